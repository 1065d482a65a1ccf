//! The session of one request.

mod guard;
mod identity;
mod outcome;
mod overlay;
mod pins;
mod state;
mod transaction;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use kstring::KString;
use parking_lot::{Mutex, MutexGuard};
use serde::de::DeserializeOwned;

pub use outcome::{Outcome, Status};
use overlay::{Overlay, Seen};
pub(crate) use pins::Pins;
use state::{Attempt, Base, Credential, State};

use crate::error::{Error, ErrorKind};
use crate::events;
use crate::record::{Change, Limits, MAX_KEY_BYTES, Op};
use crate::secret::Secret;
use crate::shared::Shared;
use crate::store::Committed;
use crate::value::{StoredValue, Value};

/// Names with a meaning of their own in `context.session`.
const RESERVED: [&str; 2] = ["session_id", "size"];

/// The session of one request: the record as it was loaded, and what this request did.
///
/// - **Lazy.** Opening asks no store; the first read or write loads the record, once.
/// - **Live.** What was written is read at once, by Rust and by templates.
/// - **One commit.** [`commit`](Self::commit) sends what the request did, and the store merges it
///   into the record as it is by then. Nothing else is stored before, but for [`logout`](Self::logout)
///   and [`take`](Self::take), which happen at once.
///
/// Clones are the same session. A handle is for one request: open a new one for the next.
///
/// # Example
///
/// ```
/// use liquid_session::{MemoryStore, SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("cart", vec!["apple", "pear"])?;
/// session.increment("visits", 1)?;
/// assert_eq!(session.get_as::<Vec<String>>("cart")?.unwrap(), ["apple", "pear"]);
///
/// let outcome = session.commit()?;
/// assert!(outcome.secret().is_some(), "a new session needs a cookie");
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    shared: Option<Arc<Shared>>,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn open(shared: Arc<Shared>, secret: Option<Secret>) -> Self {
        let credential = secret.map_or(Credential::None, Credential::Secret);
        Self::with(Some(shared), Base::Unopened(credential))
    }

    fn with(shared: Option<Arc<Shared>>, base: Base) -> Self {
        Self(Arc::new(Inner {
            shared,
            state: Mutex::new(State::new(base)),
        }))
    }

    /// A handle where there is no session, such as a background job.
    ///
    /// `context.session` is nil there, reads find nothing, and a write fails with the reason.
    ///
    /// ```
    /// use liquid_session::Session;
    ///
    /// let session = Session::off("a background job has none");
    /// assert_eq!(session.get("cart")?, None);
    /// assert_eq!(
    ///     session.set("cart", 1).unwrap_err().to_string(),
    ///     "there is no session here: a background job has none",
    /// );
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn off(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::with(None, Base::Off(reason.into()))
    }

    /// Opens the session only for this user: if it is bound to somebody else, the visitor gets an
    /// empty one. For hosts that know who is signed in from elsewhere.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.set("color", "dark")?;
    /// session.login("alice")?;
    /// let cookie = session.commit()?.secret().unwrap().expose();
    ///
    /// assert_eq!(sessions.open(&*cookie).for_user("bob").get("color")?, None);
    /// assert!(sessions.open(&*cookie).for_user("alice").get("color")?.is_some());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    #[must_use]
    pub fn for_user(self, user: &str) -> Self {
        let mut state = self.lock();
        state.visitor = Some(user.into());
        // Whatever was read before, by whoever it was, is not this user's to see.
        state.unload();
        drop(state);
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    fn shared(&self) -> Option<&Shared> {
        self.0.shared.as_deref()
    }

    /// Whether there is a session at hand, also an empty one.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, Session, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert!(sessions.open(None).is_on());
    /// assert!(!Session::off("no cookies here").is_on());
    /// ```
    pub fn is_on(&self) -> bool {
        self.0.shared.is_some()
    }

    /// The value under a key.
    ///
    /// # Errors
    ///
    /// - What the store says when it can't be reached; the first read asks it.
    /// - [`ErrorKind::Corrupt`] if the stored value is damaged.
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
    /// As for [`get`](Self::get), and [`ErrorKind::Value`] if the value has another shape.
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
    /// - [`ErrorKind::Key`]: the key is empty, too long or reserved (`session_id`, `size`).
    /// - [`ErrorKind::Value`]: a number that is not finite or beyond `i64`.
    /// - [`ErrorKind::Limit`]: bytes, keys or nesting over the limit.
    /// - [`ErrorKind::Sensitive`]: with `sensitive_data: deny`, what looks like a password, a card
    ///   number or the like; see [`SensitiveData`](crate::config::SensitiveData).
    /// - [`ErrorKind::NoSession`]: there is no session here.
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

    /// The same for a value that was checked before, with its stored form.
    pub(crate) fn write_stored(
        &self,
        key: &KString,
        value: &Value,
        stored: StoredValue,
    ) -> Result<(), Error> {
        self.change(|state, limits| {
            let finding = guard::check(self.shared(), key, value)?;
            let State {
                overlay,
                base,
                serial,
                ..
            } = state;
            overlay.set(key, stored, record_of(base), limits, serial)?;
            guard::report(self.shared(), key, finding);
            Ok(())
        })
    }

    fn change<T>(
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
            state::refused(shared, error);
        }
    }

    /// Removes a key, and says whether it was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`] where there is none, and what the store says when it can't be
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
            let State {
                overlay,
                base,
                serial,
                ..
            } = state;
            Ok(overlay.remove(key, record_of(base), serial))
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
            state.overlay.clear();
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
        Ok(match state.overlay.see(key) {
            Seen::Written(..) => true,
            Seen::Removed => false,
            Seen::Untouched => state
                .record()
                .is_some_and(|record| record.raw(key).is_some()),
        })
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
        Ok(self.entries()?.into_iter().map(|(key, _)| key).collect())
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
        state.all()
    }

    /// How many keys there are.
    pub(crate) fn size(&self) -> Result<usize, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read_of_all();
        let State { overlay, base, .. } = &mut *state;
        Ok(overlay.keys(record_of(base)))
    }

    /// Adds to a whole number, and says what it is now in this request. An absent key counts from
    /// zero.
    ///
    /// The store adds to the number as it is at the commit, so parallel requests lose nothing.
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set); [`ErrorKind::Value`] if there is something else than a whole
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
            let finding = guard::check_sum(self.shared(), key, current.as_ref(), by)?;
            let State {
                overlay,
                base,
                serial,
                ..
            } = state;
            let number = overlay.increment(
                &KString::from_ref(key),
                by,
                current.as_ref(),
                record_of(base),
                limits,
                serial,
            )?;
            guard::report(self.shared(), key, finding);
            Ok(number)
        })
    }

    /// Adds an element to the end of an array; an absent key is an empty one.
    ///
    /// The store appends to the array as it is at the commit, so parallel requests lose nothing.
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set); [`ErrorKind::Value`] if there is something else than an array.
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
            let finding = guard::check_item(self.shared(), key, &item)?;
            let State {
                overlay,
                base,
                serial,
                ..
            } = state;
            overlay.append(
                &KString::from_ref(key),
                item,
                record_of(base),
                limits,
                serial,
            )?;
            guard::report(self.shared(), key, finding);
            Ok(())
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
    /// As for [`get`](Self::get), and [`ErrorKind::NoSession`] where there is none.
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
            let in_store = matches!(state.overlay.see(key), Seen::Untouched) && seen.is_some();
            let (Base::Loaded(store_key, record), Some(shared), true, None) =
                (&state.base, self.shared(), in_store, &state.reads)
            else {
                let State {
                    overlay,
                    base,
                    serial,
                    ..
                } = state;
                overlay.remove(key, record_of(base), serial);
                return Ok(seen);
            };
            let mut change = Change::new(limits);
            change.ops = [(KString::from_ref(key), Op::Take)].into_iter().collect();
            let committed = shared.store.commit(store_key, &change, shared.now());
            let committed = committed.inspect_err(events::failed)?;
            let loaded = record.version();
            state.lose(key);
            match committed {
                Committed::Stored { mut taken, version } => {
                    state::merged(shared, &change, loaded, version);
                    Ok(taken.pop().map(|(_, value)| value))
                }
                Committed::Gone | Committed::Conflict => Ok(None),
            }
        })
    }

    /// Whether anything of the session was read or written: the answer depends on the cookie, and
    /// wants `Vary: Cookie`.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// assert!(!session.accessed());
    /// session.get("a")?;
    /// assert!(session.accessed());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn accessed(&self) -> bool {
        self.lock().accessed
    }

    /// Whether there is something to commit.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// assert!(!session.changed());
    /// session.set("a", 1)?;
    /// assert!(session.changed());
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn changed(&self) -> bool {
        self.lock().has_changes()
    }

    /// Drops what this request wrote and staged, and a failure of the store with it. For after a
    /// failed `template.render`, which the handle can't see.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions, Status};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("a", 1)?;
    /// session.discard();
    /// assert_eq!(session.commit()?.status(), Status::Unchanged);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn discard(&self) {
        self.lock().forget_changes();
    }

    /// Stores what this request did, and says what the cookie needs.
    ///
    /// - Nothing done: no store call, but for a use that is due to be recorded.
    /// - The session is there: the changes are merged into it as it is now. On the same key the later
    ///   commit wins.
    /// - It was there and is gone, signed out elsewhere or expired: nothing is stored and nothing
    ///   comes back to life; the status is [`Gone`](Status::Gone).
    /// - It never was: a new session under a new secret.
    ///
    /// The handle then stands at the stored session, and the next read loads it again.
    ///
    /// # Errors
    ///
    /// Nothing is stored, and the handle answers with the same error until [`discard`](Self::discard).
    ///
    /// - [`ErrorKind::Limit`], [`ErrorKind::Value`]: the merged session would break a rule.
    /// - What the store says, now or when it was first read.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions, Status};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// session.set("a", 1)?;
    /// let outcome = session.commit()?;
    /// assert_eq!(outcome.status(), Status::Created);
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn commit(&self) -> Result<Outcome, Error> {
        match self.lock().commit(self.shared())? {
            Attempt::Done(outcome) => Ok(outcome),
            Attempt::Conflict => Err(transaction::conflict()),
        }
    }

    /// What the cookie needs after all commits of this request, if anything; each answer is handed
    /// out once. For a middleware that sends the cookie, whoever committed: the handler in a
    /// [`transaction`](Self::transaction), or the middleware itself.
    ///
    /// ```
    /// # use liquid_session::{Error, MemoryStore, SessionConfig, Sessions, Status};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// // The handler has its own commit, and does not look at the outcome.
    /// session.transaction(16, |session| session.increment("visits", 1))?;
    ///
    /// // The middleware has nothing left to commit, and a cookie to send.
    /// assert_eq!(session.commit()?.status(), Status::Unchanged);
    /// assert!(session.unsent().and_then(|outcome| outcome.secret().cloned()).is_some());
    /// assert!(session.unsent().is_none());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unsent(&self) -> Option<Outcome> {
        self.lock().unsent.take().map(|outcome| *outcome)
    }

    /// Whether reads and the commit may wait for a disk or a network, so that async code moves them
    /// to a blocking thread; see [`SessionStore::blocks`](crate::store::SessionStore::blocks).
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// assert!(!sessions.open(None).blocks(), "memory never waits");
    /// ```
    pub fn blocks(&self) -> bool {
        self.shared().is_some_and(|shared| shared.store.blocks())
    }

    /// The value under a key, lent for as long as the pins live.
    pub(crate) fn read<'p>(&self, key: &str, pins: &'p Pins) -> Result<Option<&'p Value>, Error> {
        let mut state = self.lock();
        state.open(self.shared())?;
        state.note_read(key);
        match state.lend(key) {
            Some((number, stored)) => pins.keep(number, || Value::decode(stored)).map(Some),
            None => Ok(None),
        }
    }

    /// The failure of the store that a template ran into, if any.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &self.lock().base {
            Base::Failed(_, error) => Some(error.clone()),
            _ => None,
        }
    }

    /// What the request wrote so far, to come back to.
    pub(crate) fn savepoint(&self) -> Savepoint {
        let state = self.lock();
        let written = state.overlay.has_changes();
        Savepoint(written.then(|| state.overlay.clone()))
    }

    /// Takes back what was written since.
    pub(crate) fn roll_back(&self, savepoint: Savepoint) {
        self.lock().restore(savepoint.0.unwrap_or_default());
    }
}

/// Nothing, if nothing was written: most pages begin so.
pub(crate) struct Savepoint(Option<Overlay>);

fn record_of(base: &Base) -> Option<&crate::record::Record> {
    match base {
        Base::Loaded(_, record) => Some(record),
        _ => None,
    }
}

/// Refuses keys that can't be written.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    let problem = if RESERVED.contains(&key) {
        format!("the key `{key}` is reserved: choose another name")
    } else if key.is_empty() {
        "expected a session key, found an empty text".to_owned()
    } else if key.len() > MAX_KEY_BYTES {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "a session key of {} bytes is over the limit of {MAX_KEY_BYTES} bytes: choose a shorter name",
                key.len()
            ),
        ));
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Key, problem))
}

/// Without keys, values and the secret: it may end in a log.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("on", &self.is_on())
            .finish_non_exhaustive()
    }
}
