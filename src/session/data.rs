//! Reading and writing the data of a session.

use std::sync::Arc;

use kstring::KString;
use serde::de::DeserializeOwned;

use super::Session;
use super::key::check_key;
use super::shared::Shared;
use super::state::{Base, State};
use crate::clock::Timestamp;
use crate::config::SensitiveData;
use crate::error::Error;
use crate::limits::Limits;
use crate::observe::{self, count};
use crate::record::add;
use crate::secret::StoreKey;
use crate::sensitive::{self, Finding};
use crate::store::{Forward, Loaded, Record, Swap, Swapped};
use crate::value::{StoredValue, Value};

impl Session {
    /// Returns the value under a key.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Conflict`](crate::ErrorKind::Conflict): another task of this request awaits a
    ///   commit.
    /// - [`ErrorKind::NotLoaded`](crate::ErrorKind::NotLoaded): the first touch in `render_page` with an
    ///   async store.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record or the value is damaged.
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

    /// Returns the value under a key as any type that serde can deserialize.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Value`](crate::ErrorKind::Value): the value has another shape.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record or the value is damaged.
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

    /// Stores any value that serde can serialize, with its types. Nil removes the key.
    ///
    /// A key is any text of 1 to 128 bytes. Templates write names of letters, digits, `_` and `-`.
    ///
    /// # Errors
    ///
    /// The value stored before stays.
    ///
    /// - [`ErrorKind::Key`](crate::ErrorKind::Key): the key is empty or reserved (`session_id`, `size`).
    /// - [`ErrorKind::Limit`](crate::ErrorKind::Limit): the key is longer than 128 bytes, or the bytes or
    ///   keys of the session or the nesting of the value exceed a limit.
    /// - [`ErrorKind::Value`](crate::ErrorKind::Value): the value has a number that is not finite or
    ///   beyond `i64`.
    /// - [`ErrorKind::Sensitive`](crate::ErrorKind::Sensitive): with `sensitive_data: deny`, the key or
    ///   the value looks like a password, a card number or the like; see
    ///   [`SensitiveData`](crate::config::SensitiveData).
    /// - [`ErrorKind::NoSession`](crate::ErrorKind::NoSession): there is no session here, or the response
    ///   has been sent.
    /// - [`ErrorKind::Conflict`](crate::ErrorKind::Conflict): a transaction runs on another thread.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record is damaged.
    ///
    /// ```
    /// # use liquid_session::{ErrorKind, MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// #[derive(serde::Serialize)]
    /// struct Wizard { step: u8 }
    ///
    /// session.set("wizard", Wizard { step: 2 })?;
    /// let wizard = session.get("wizard")?.unwrap();
    /// assert_eq!(wizard.get("step"), Some(&2.into()));
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

    /// Reports an unknown variable in a session value: it counts as nil, so a typo removes the key.
    pub(crate) fn note_unknown_variable(&self, key: &str, variable: &str) {
        if let Some(shared) = self.shared() {
            shared.tally.unknown_variable(Some(key), Some(variable));
        }
    }

    /// Writes, and applies the setting for sensitive data: refuses them, or reports them after the
    /// write.
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
        change(&mut state, limits).inspect_err(|error| {
            if let Some(shared) = self.shared() {
                shared.refused(error);
            }
        })
    }

    fn check_key(&self, key: &str) -> Result<(), Error> {
        check_key(key).inspect_err(|error| self.refused(error))
    }

    /// Counts the error of a write before the session is opened. A run of a transaction that has to be
    /// repeated counts nothing.
    fn refused(&self, error: &Error) {
        if let Some(shared) = self.shared()
            && !self.lock().breaks_off()
        {
            shared.refused(error);
        }
    }

    /// Removes a key, and returns whether the session had it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoSession`](crate::ErrorKind::NoSession): there is no session here, or the response
    ///   has been sent.
    /// - [`ErrorKind::Conflict`](crate::ErrorKind::Conflict): a transaction runs on another thread.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record is damaged.
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

    /// Removes every key, also those that a parallel request adds before this one commits. The session
    /// itself goes on.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoSession`](crate::ErrorKind::NoSession): there is no session here, or the response
    ///   has been sent.
    /// - [`ErrorKind::Conflict`](crate::ErrorKind::Conflict): a transaction runs on another thread.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record is damaged.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.set("a", 1)?;
    /// let cookie = session.commit()?.secret().unwrap().expose();
    ///
    /// let session = sessions.open(Some(&cookie));
    /// session.clear()?;
    /// session.commit()?;
    /// let session = sessions.open(Some(&cookie));
    /// assert!(session.keys()?.is_empty());
    /// assert!(session.id()?.is_some(), "the session goes on");
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    #[doc(alias = "flush")]
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

    /// Returns whether the session has a key.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record is damaged.
    pub fn contains(&self, key: &str) -> Result<bool, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read(key);
        Ok(state.stored(key).is_some())
    }

    /// Returns all keys, sorted.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record is damaged.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read_of_all();
        Ok(state.keys())
    }

    /// Returns all keys with their values, sorted by key.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record or a value is damaged.
    pub fn entries(&self) -> Result<Vec<(String, Value)>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read_of_all();
        state.values()
    }

    /// Returns the number of keys.
    pub(crate) fn size(&self) -> Result<usize, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read_of_all();
        Ok(state.pending.keys())
    }

    /// Adds to a whole number, and returns the sum as this request sees it. An absent key counts from
    /// zero.
    ///
    /// The commit adds to the number in the current record, so parallel requests lose no addition.
    ///
    /// # Errors
    ///
    /// The value stored before stays.
    ///
    /// - [`ErrorKind::Value`](crate::ErrorKind::Value): the key has a value that is not a whole number,
    ///   or the sum, or that of all additions of this request, would leave `i64`.
    /// - Otherwise those of [`set`](Self::set).
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// # session.set("color", "dark")?;
    /// # let cookie = session.commit()?.secret().unwrap().expose();
    /// let (one, other) = (sessions.open(Some(&cookie)), sessions.open(Some(&cookie)));
    /// assert_eq!(one.increment("visits", 1)?, 1);
    /// assert_eq!(other.increment("visits", 1)?, 1, "the other request has not committed yet");
    /// one.commit()?;
    /// other.commit()?;
    /// assert_eq!(sessions.open(Some(&cookie)).get("visits")?, Some(2.into()));
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

    /// Adds an element to the end of an array. An absent key counts as an empty array.
    ///
    /// The commit appends to the array in the current record, so parallel requests lose no element.
    ///
    /// # Errors
    ///
    /// The value stored before stays.
    ///
    /// - [`ErrorKind::Value`](crate::ErrorKind::Value): the key has a value that is not an array.
    /// - Otherwise those of [`set`](Self::set).
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

    /// Reads a key and removes it in one atomic step: of two parallel requests only one gets the value.
    /// For messages that must show exactly once.
    ///
    /// - It acts at once, and [`discard`](Self::discard) does not undo it.
    /// - Inside a [`transaction`](Self::transaction) it acts with the commit of the transaction.
    /// - Pending changes of the key count: after an [`append`](Self::append), the returned array has the
    ///   new element.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoSession`](crate::ErrorKind::NoSession): there is no session here, or the response
    ///   has been sent.
    /// - [`ErrorKind::Conflict`](crate::ErrorKind::Conflict): a transaction runs on another thread.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record or the value is damaged.
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
    #[doc(alias = "flash")]
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
    let mut merged = false;
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
        let now = shared.now();
        let mut after = record.without(key);
        // Like any other change it counts as a use, and keeps no older one than the store has.
        if let Some(touch) = state.touch_due(&record, shared) {
            after.touch(&touch);
        }
        let swap = Swap::Replace {
            before: &record,
            after: &after,
        };
        let swapped = shared.blocking().swap(&store_key, swap, now);
        let current = match swapped.inspect_err(observe::failed)? {
            Swapped::Done => {
                state.pending.forget(key, size);
                state.base = Base::Loaded(store_key, Arc::new(after));
                state.count_commit(shared);
                count(&shared.tally.merges, u64::from(merged));
                return Ok(taken);
            }
            Swapped::Current(record) => Some((store_key, record)),
            Swapped::Moved(forward) => follow(forward, shared, now)?,
            Swapped::Gone => None,
        };
        let Some((store_key, current)) = current else {
            // The session has ended or a login has moved it: there is no value to take.
            state.pending.forget(key, size);
            state.base = Base::Loaded(store_key, Arc::new(record.without(key)));
            return Ok(None);
        };
        // Another request has changed the session: look again.
        merged = true;
        state.pending = state.pending.rebase(Some(&current), limits)?;
        state.base = Base::Loaded(store_key, current);
    }
}

/// The record that renewals have moved; `None` after a login, or if the session has ended.
fn follow(
    mut forward: Forward,
    shared: &Shared,
    now: Timestamp,
) -> Result<Option<(StoreKey, Arc<Record>)>, Error> {
    while !forward.by_login {
        match shared.blocking().load(&forward.to, now)? {
            Loaded::Found(record) => return Ok(Some((forward.to, record))),
            Loaded::Moved(next) => forward = next,
            Loaded::Absent => break,
        }
    }
    Ok(None)
}
