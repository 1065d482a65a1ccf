//! Reading and writing the data of a session.

use std::sync::Arc;

use kstring::KString;
use serde::de::DeserializeOwned;

use super::Session;
use super::key::check_key;
use super::shared::Shared;
use super::state::{Base, State};
use crate::config::SensitiveData;
use crate::error::Error;
use crate::limits::Limits;
use crate::observe::{self, count};
use crate::record::add;
use crate::sensitive::{self, Finding};
use crate::store::{Loaded, Swap, Swapped};
use crate::value::{StoredValue, Value};

impl Session {
    /// The value under a key.
    ///
    /// # Errors
    ///
    /// - What the store says when it can't be reached; the first read asks it.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the stored value is damaged.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// assert_eq!(session.get("color")?, None);
    /// session.set("color", "dark")?;
    /// assert_eq!(session.get("color")?, Some("dark".into()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read(key);
        state.value(key)
    }

    /// The value under a key as any type that serde can deserialize.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get), and [`ErrorKind::Value`](crate::ErrorKind::Value) if the value has another shape.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("step", 2)?;
    /// assert_eq!(session.get_as::<u8>("step")?, Some(2));
    /// assert!(session.get_as::<Vec<u8>>("step").is_err());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn get_as<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.get(key)?.map(|value| value.deserialize()).transpose()
    }

    /// Stores anything that serde can serialize, with its types. Nil removes the key.
    ///
    /// A key is 1 to 128 bytes of any text; templates write names of letters, digits, `_` and `-`.
    ///
    /// # Errors
    ///
    /// The value stored before stays.
    ///
    /// - [`ErrorKind::Key`](crate::ErrorKind::Key): the key is empty, too long or reserved (`session_id`, `size`).
    /// - [`ErrorKind::Value`](crate::ErrorKind::Value): a number that is not finite or beyond `i64`.
    /// - [`ErrorKind::Limit`](crate::ErrorKind::Limit): bytes, keys or nesting over the limit.
    /// - [`ErrorKind::Sensitive`](crate::ErrorKind::Sensitive): with `sensitive_data: deny`, what looks like a password, a card
    ///   number or the like; see [`SensitiveData`](crate::config::SensitiveData).
    /// - [`ErrorKind::NoSession`](crate::ErrorKind::NoSession): there is no session here.
    /// - What the store says when it can't be reached.
    ///
    /// ```
    /// # use liquid_session::{ErrorKind, MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// #[derive(serde::Serialize)]
    /// struct Wizard { step: u8 }
    ///
    /// session.set("wizard", Wizard { step: 2 })?;
    /// session.set("color", "dark")?;
    /// assert_eq!(session.set("n", f64::NAN).unwrap_err().kind(), ErrorKind::Value);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn set<T: serde::Serialize>(&self, key: &str, value: T) -> Result<(), Error> {
        self.check_key(key)?;
        self.write(&KString::from_ref(key), Value::from_serialize(&value)?)
    }

    /// Stores a value under a key that was checked before; nil removes the key.
    pub(crate) fn write(&self, key: &KString, value: Value) -> Result<(), Error> {
        if matches!(value, Value::Nil) {
            return self.remove(key).map(drop);
        }
        value.check(key).inspect_err(|error| self.refused(error))?;
        self.write_stored(key, &value, StoredValue::from(&value))
    }

    /// Stores a value that was checked before, with its stored form.
    pub(crate) fn write_stored(
        &self,
        key: &KString,
        value: &Value,
        stored: StoredValue,
    ) -> Result<(), Error> {
        self.change(|state, limits| {
            let (pending, record) = state.parts();
            self.guard(
                key,
                || Ok(sensitive::find(key, value)),
                || pending.set(key, stored, record, limits),
            )
        })
    }

    /// Reports a variable in a session value that the template does not have: a typo removes the key.
    pub(crate) fn note_unknown_variable(&self, key: &str, variable: &str) {
        if let Some(shared) = self.shared() {
            shared.tally.unknown_variable(Some(key), Some(variable));
        }
    }

    /// Writes, and does with sensitive data what the settings say: refuse them, or report them once
    /// they are written.
    #[inline]
    fn guard<T>(
        &self,
        key: &str,
        find: impl FnOnce() -> Result<Option<Finding>, Error>,
        write: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let handling = |shared: &&Shared| shared.config.sensitive_data() != SensitiveData::Allow;
        let Some(shared) = self.shared().filter(handling) else {
            return write();
        };
        let finding = find()?;
        if let Some(finding) = &finding
            && shared.config.sensitive_data() == SensitiveData::Deny
        {
            count(&shared.tally.sensitive, 1);
            return Err(finding.refusal(key));
        }
        let written = write()?;
        if let Some(finding) = finding {
            shared.tally.sensitive(finding.key(key), finding.kind);
        }
        Ok(written)
    }

    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut State, Limits) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut state = self.lock();
        let limits = state.open_to_write(self.shared())?;
        change(&mut state, limits).inspect_err(|error| self.refused(error))
    }

    fn check_key(&self, key: &str) -> Result<(), Error> {
        check_key(key).inspect_err(|error| self.refused(error))
    }

    fn refused(&self, error: &Error) {
        if let Some(shared) = self.shared() {
            shared.refused(error);
        }
    }

    /// Removes a key, and says whether it was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`](crate::ErrorKind::NoSession) where there is none, and what the store says when it can't be
    /// reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("flash", "saved")?;
    /// assert!(session.remove("flash")?);
    /// assert!(!session.remove("flash")?);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn remove(&self, key: &str) -> Result<bool, Error> {
        self.change(|state, _| {
            state.note_read(key);
            let (pending, record) = state.parts();
            Ok(pending.remove(key, record))
        })
    }

    /// Removes every key. The session itself goes on.
    ///
    /// # Errors
    ///
    /// As for [`remove`](Self::remove).
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("a", 1)?;
    /// session.clear()?;
    /// assert!(session.keys()?.is_empty());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn clear(&self) -> Result<(), Error> {
        self.change(|state, _| {
            state.note_read_of_all();
            // Where a session is, another request may have added keys that this one has not seen.
            if state.record().is_some() || !state.pending.is_empty() {
                state.pending.clear();
            }
            Ok(())
        })
    }

    /// Whether there is a value under a key.
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert!(!sessions.open(None).contains("cart")?);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn contains(&self, key: &str) -> Result<bool, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read(key);
        Ok(state.stored(key).is_some())
    }

    /// All keys, sorted.
    ///
    /// # Errors
    ///
    /// What the store says when it can't be reached.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("b", 1)?;
    /// session.set("a", 2)?;
    /// assert_eq!(session.keys()?, ["a", "b"]);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read_of_all();
        Ok(state.keys())
    }

    /// All keys with their values, sorted by key.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("a", 2)?;
    /// assert_eq!(session.entries()?, [("a".to_owned(), 2.into())]);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn entries(&self) -> Result<Vec<(String, Value)>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read_of_all();
        state.values()
    }

    /// The number of keys.
    pub(crate) fn size(&self) -> Result<usize, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read_of_all();
        Ok(state.pending.keys())
    }

    /// Adds to a whole number, and says what it is now in this request. An absent key counts from
    /// zero.
    ///
    /// The store adds to the number as it is at the commit, so parallel requests lose nothing.
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set); [`ErrorKind::Value`](crate::ErrorKind::Value) if there is something else than a whole
    /// number, or the sum would leave `i64`.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// assert_eq!(session.increment("visits", 1)?, 1);
    /// assert_eq!(session.increment("visits", 2)?, 3);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn increment(&self, key: &str, by: i64) -> Result<i64, Error> {
        self.check_key(key)?;
        self.change(|state, limits| {
            state.note_read(key);
            let current = state.value(key)?;
            let (pending, record) = state.parts();
            self.guard(
                key,
                || {
                    let sum = add(key, current.as_ref(), by)?;
                    Ok(sensitive::find(key, &Value::Int(sum)))
                },
                || pending.increment(&KString::from_ref(key), by, record, limits),
            )
        })
    }

    /// Adds an element to the end of an array; an absent key is an empty one.
    ///
    /// The store appends to the array as it is at the commit, so parallel requests lose nothing.
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set); [`ErrorKind::Value`](crate::ErrorKind::Value) if there is something else than an array.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.append("searches", "boots")?;
    /// session.append("searches", "socks")?;
    /// assert_eq!(session.get("searches")?, Some(vec!["boots", "socks"].into()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn append<T: serde::Serialize>(&self, key: &str, item: T) -> Result<(), Error> {
        self.check_key(key)?;
        let item = Value::from_serialize(&item)?;
        self.change(|state, limits| {
            // Before the guard, which descends as deep as the element nests.
            item.check_item(key)?;
            let (pending, record) = state.parts();
            self.guard(
                key,
                || Ok(sensitive::find_in_item(key, &item)),
                || pending.append(&KString::from_ref(key), item.clone(), record, limits),
            )
        })
    }

    /// Reads a key and removes it in one step: of two parallel requests only one gets the value.
    /// For messages that must show exactly once.
    ///
    /// It happens at once and is not undone by [`discard`](Self::discard); inside a
    /// [`transaction`](Self::transaction) it happens with the transaction.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get), and [`ErrorKind::NoSession`](crate::ErrorKind::NoSession) where there is none.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("flash", "saved")?;
    /// assert_eq!(session.take("flash")?, Some("saved".into()));
    /// assert_eq!(session.take("flash")?, None);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn take(&self, key: &str) -> Result<Option<Value>, Error> {
        self.change(|state, limits| {
            state.note_read(key);
            let seen = state.value(key)?;
            let immediate = state.transaction.is_none() && state.record().is_some();
            match (&seen, self.shared()) {
                (Some(_), Some(shared)) if immediate => take_now(state, key, limits, shared),
                _ => {
                    let (pending, record) = state.parts();
                    pending.remove(key, record);
                    Ok(seen)
                }
            }
        })
    }

    /// Shows the stored form of the value under a key.
    #[inline]
    pub(crate) fn read<T>(
        &self,
        key: &str,
        show: impl FnOnce(Option<&[u8]>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read(key);
        let shown = show(state.stored(key));
        state.note_unread(shown)
    }
}

/// Removes a key from the store, and returns what it held at that moment with the pending changes
/// applied.
fn take_now(
    state: &mut State,
    key: &str,
    limits: Limits,
    shared: &Shared,
) -> Result<Option<Value>, Error> {
    loop {
        let taken = state.value(key)?;
        let (Base::Loaded(store_key, record), Some(stored)) = (&state.base, state.stored(key))
        else {
            return Ok(None);
        };
        let (store_key, record, size) = (*store_key, record.clone(), stored.len());
        if record.raw(key).is_none() {
            state.pending.forget(key, size);
            return Ok(taken);
        }
        let after = record.without(key);
        let swap = Swap::Replace {
            before: &record,
            after: &after,
        };
        let now = shared.now();
        let swapped = shared.store.swap(&store_key, swap, now);
        let mut moved = match swapped.inspect_err(observe::failed)? {
            Swapped::Done => {
                state.pending.forget(key, size);
                state.base = Base::Loaded(store_key, Arc::new(after));
                count(&shared.tally.commits, 1);
                return Ok(taken);
            }
            Swapped::Current(record) => Ok((store_key, record)),
            Swapped::Moved(forward) => Err(forward),
            Swapped::Gone => return Ok(None),
        };
        // Renewals may have moved it more than once.
        let (store_key, current) = loop {
            match moved {
                Ok(found) => break found,
                Err(forward) if forward.by_login => return Ok(None),
                Err(forward) => {
                    let loaded = shared.store.load(&forward.to, now);
                    moved = match loaded.inspect_err(observe::failed)? {
                        Loaded::Found(record) => Ok((forward.to, record)),
                        Loaded::Moved(forward) => Err(forward),
                        Loaded::Absent => return Ok(None),
                    };
                }
            }
        };
        // Another request has changed the session: look again.
        state.pending = state.pending.rebase(Some(&current), limits)?;
        state.base = Base::Loaded(store_key, current);
    }
}
