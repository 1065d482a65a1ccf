//! Where a handle stands between opening and commit.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use kstring::KString;

use super::outcome::{Outcome, Status};
use super::overlay::{Overlay, Seen};
use crate::error::{Error, ErrorKind};
use crate::events;
use crate::record::{Change, Limits, NewSession, Record};
use crate::secret::{Secret, SessionId, StoreKey};
use crate::shared::Shared;
use crate::store::{Committed, SharedRecord};
use crate::value::Value;

pub(super) struct State {
    pub(super) base: Base,
    pub(super) overlay: Overlay,
    /// Counts every base and every written value: what a view pins, it pins by this number.
    pub(super) serial: u64,
    /// The number of the present base.
    base_serial: u64,
    pub(super) renew: bool,
    pub(super) login: Option<Box<Login>>,
    /// The visitor came with a cookie of ours, or was sent one.
    has_cookie: bool,
    /// The session was ended by this request: its cookie goes, whatever comes after.
    ended: bool,
    pub(super) accessed: bool,
    /// Who the host says the visitor is.
    pub(super) visitor: Option<Box<str>>,
    /// The handle that the session will have, once something asked for it.
    new_id: Option<SessionId>,
    /// What a transaction has read.
    pub(super) reads: Option<Box<Reads>>,
    /// The last outcome that says something of the cookie, until somebody asks for it: whoever
    /// committed may have dropped it.
    pub(super) unsent: Option<Box<Outcome>>,
}

/// Marks the number of a written value; other numbers are positions in a record.
const WRITTEN: u64 = 1 << 63;

/// Who signs in, and the idle timeout that goes with it.
pub(super) type Login = (Box<str>, Option<Duration>);

/// The record under the changes.
pub(super) enum Base {
    /// There is no session here, for this reason.
    Off(Cow<'static, str>),
    /// Nobody has asked the store yet.
    Unopened(Credential),
    /// There is none: no cookie, or a secret that the store does not know.
    Absent,
    /// This one.
    Loaded(StoreKey, SharedRecord),
    /// The store could not be read.
    Failed(Credential, Error),
    /// It ended while the request was running.
    Gone,
}

#[derive(Clone)]
pub(super) enum Credential {
    None,
    Secret(Secret),
    Key(StoreKey),
}

impl Credential {
    pub(super) fn key(&self) -> Option<StoreKey> {
        match self {
            Self::None => None,
            Self::Secret(secret) => Some(secret.store_key()),
            Self::Key(key) => Some(*key),
        }
    }
}

#[derive(Default)]
pub(super) struct Reads {
    keys: Vec<KString>,
    whole: bool,
}

impl Reads {
    fn note(&mut self, key: &str) {
        if let Err(at) = self.keys.binary_search_by(|k| k.as_str().cmp(key)) {
            self.keys.insert(at, KString::from_ref(key));
        }
    }
}

/// What a commit came to, for `commit` and `transaction`.
pub(super) enum Attempt {
    Done(Outcome),
    Conflict,
}

impl State {
    pub(super) fn new(base: Base) -> Self {
        Self {
            has_cookie: matches!(base, Base::Unopened(Credential::Secret(_))),
            base,
            overlay: Overlay::default(),
            serial: 0,
            base_serial: 0,
            renew: false,
            login: None,
            ended: false,
            accessed: false,
            visitor: None,
            new_id: None,
            reads: None,
            unsent: None,
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match &self.base {
            Base::Loaded(_, record) => Some(record),
            _ => None,
        }
    }

    /// The key of the session, as far as it is known without a store call.
    pub(super) fn key(&self) -> Option<StoreKey> {
        match &self.base {
            Base::Unopened(credential) | Base::Failed(credential, _) => credential.key(),
            Base::Loaded(key, _) => Some(*key),
            _ => None,
        }
    }

    fn rest_on(&mut self, base: Base) {
        self.base = base;
        self.serial += 1;
        self.base_serial = self.serial;
        self.begin_anew();
    }

    /// Drops what the request did so far.
    fn begin_anew(&mut self) {
        // In place: mostly there is nothing to drop.
        self.overlay.reset(match &self.base {
            Base::Loaded(_, record) => Some(record),
            _ => None,
        });
    }

    /// Asks the store, the first time that something needs it.
    #[inline]
    pub(super) fn open(&mut self, shared: Option<&Shared>) -> Result<(), Error> {
        self.accessed = true;
        match (&self.base, shared) {
            (Base::Unopened(credential), Some(shared)) => {
                let credential = credential.clone();
                self.load(credential, shared)
            }
            (Base::Failed(_, error), _) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn load(&mut self, credential: Credential, shared: &Shared) -> Result<(), Error> {
        let Some(key) = credential.key() else {
            self.rest_on(Base::Absent);
            return Ok(());
        };
        shared.tally.add(|stripe| &stripe.loads, 1);
        match shared.store.load(&key, shared.now()) {
            Ok(Some(record)) => {
                // A session opens only for its own user (SECURITY 18).
                let foreign = matches!(
                    (&self.visitor, record.user()),
                    (Some(visitor), Some(user)) if **visitor != *user
                );
                self.rest_on(if foreign {
                    events::foreign(&shared.tally, record.id());
                    Base::Absent
                } else {
                    Base::Loaded(key, record)
                });
                Ok(())
            }
            Ok(None) => {
                // This very handle has met the session before, so it has ended since.
                let ended = matches!(credential, Credential::Key(_));
                if !ended {
                    events::unknown_secret(&shared.tally);
                }
                self.rest_on(if ended { Base::Gone } else { Base::Absent });
                Ok(())
            }
            Err(error) => {
                events::failed(&error);
                self.rest_on(Base::Failed(credential, error.clone()));
                Err(error)
            }
        }
    }

    /// The same for what needs a session: writes.
    #[inline]
    pub(super) fn open_to_write(&mut self, shared: Option<&Shared>) -> Result<Limits, Error> {
        self.open(shared)?;
        match (&self.base, shared) {
            (Base::Off(reason), _) => Err(Error::new(
                ErrorKind::NoSession,
                format!("there is no session here: {reason}"),
            )),
            (_, Some(shared)) => Ok(shared.config.limits()),
            (_, None) => Err(Error::new(ErrorKind::NoSession, "there is no session here")),
        }
    }

    #[inline]
    pub(super) fn note_read(&mut self, key: &str) {
        if let Some(reads) = &mut self.reads {
            reads.note(key);
        }
    }

    pub(super) fn note_read_of_all(&mut self) {
        if let Some(reads) = &mut self.reads {
            reads.whole = true;
        }
    }

    /// The value under a key, as this request sees it.
    pub(super) fn value(&self, key: &str) -> Result<Option<Value>, Error> {
        let stored = match self.overlay.see(key) {
            Seen::Written(_, value) => Some(value),
            Seen::Removed => None,
            Seen::Untouched => self.record().and_then(|record| record.raw(key)),
        };
        stored.map(Value::decode).transpose()
    }

    /// The same in its stored form for a view, which keeps the value by the number.
    #[inline]
    pub(super) fn lend(&mut self, key: &str) -> Option<(u64, &[u8])> {
        match self.overlay.lend(key) {
            Seen::Written(serial, stored) => Some((WRITTEN | serial, stored)),
            Seen::Removed => None,
            Seen::Untouched => {
                let Base::Loaded(_, record) = &self.base else {
                    return None;
                };
                let (position, stored) = record.locate(key)?;
                Some((self.base_serial << 32 | position as u64, stored))
            }
        }
    }

    /// All keys with their values, sorted by key.
    pub(super) fn all(&self) -> Result<Vec<(String, Value)>, Error> {
        let mut all = std::collections::BTreeMap::new();
        for (key, bytes) in self.record().into_iter().flat_map(Record::iter) {
            if matches!(self.overlay.see(key), Seen::Untouched) {
                all.insert(key.to_owned(), Value::decode(bytes)?);
            }
        }
        for (key, bytes) in self.overlay.written() {
            all.insert(key.to_owned(), Value::decode(bytes)?);
        }
        Ok(all.into_iter().collect())
    }

    /// The public handle: that of the record, or the one that the session will get.
    pub(super) fn id(&mut self) -> Option<SessionId> {
        match &self.base {
            Base::Loaded(_, record) => Some(record.id()),
            Base::Absent if self.overlay.stores_anything() || self.login.is_some() => {
                Some(*self.new_id.get_or_insert_with(SessionId::generate))
            }
            _ => None,
        }
    }

    /// The store has removed a key: so does the record that the request goes on with.
    pub(super) fn lose(&mut self, key: &str) {
        let Base::Loaded(_, record) = &mut self.base else {
            return;
        };
        self.overlay.lose(key, record);
        Arc::make_mut(record).remove(key);
        // Keys have other positions from here on.
        self.serial += 1;
        self.base_serial = self.serial;
    }

    pub(super) fn has_changes(&self) -> bool {
        self.overlay.has_changes() || self.login.is_some() || self.renew
    }

    pub(super) fn forget_changes(&mut self) {
        self.begin_anew();
        self.renew = false;
        self.login = None;
        self.new_id = None;
        if let Base::Failed(credential, _) = &self.base {
            self.base = Base::Unopened(credential.clone());
        }
    }

    /// Goes back to an earlier overlay of the same base.
    pub(super) fn restore(&mut self, overlay: Overlay) {
        if overlay.has_changes() {
            self.overlay = overlay;
        } else {
            // It may be from before the record was loaded.
            self.begin_anew();
        }
    }

    /// Ends the session in the store and begins again without one.
    pub(super) fn end(&mut self, shared: &Shared) -> Result<(), Error> {
        if self.visitor.is_some() {
            // Not somebody else's: see `load`.
            self.open(Some(shared))?;
        }
        if let Some(key) = self.key()
            && shared.store.destroy(&key).inspect_err(events::failed)?
        {
            events::destroyed(&shared.tally, self.record().map(Record::id));
        }
        self.ended = true;
        self.rest_on(Base::Absent);
        self.forget_changes();
        Ok(())
    }

    pub(super) fn commit(&mut self, shared: Option<&Shared>) -> Result<Attempt, Error> {
        let attempt = self.send_changes(shared)?;
        if let Attempt::Done(outcome) = &attempt {
            // What a session that has ended since left to send is void too.
            if outcome.concerns_cookie() || outcome.status() == Status::Gone {
                self.unsent = Some(Box::new(outcome.clone()));
            }
        }
        Ok(attempt)
    }

    fn send_changes(&mut self, shared: Option<&Shared>) -> Result<Attempt, Error> {
        let Some(shared) = shared else {
            return Ok(Attempt::Done(Outcome::new(Status::Unchanged)));
        };
        if self.has_changes() {
            // A renewal may be all there is, and nothing loaded yet.
            self.open(Some(shared))?;
        }
        match &self.base {
            Base::Failed(_, error) => Err(error.clone()),
            Base::Off(_) | Base::Unopened(_) => Ok(Attempt::Done(self.nothing_stored())),
            Base::Absent if self.overlay.stores_anything() || self.login.is_some() => {
                self.create(shared)
            }
            Base::Absent => Ok(Attempt::Done(self.nothing_stored())),
            Base::Gone if self.has_changes() => {
                events::gone(&shared.tally, None);
                self.forget_changes();
                Ok(Attempt::Done(Outcome::new(Status::Gone)))
            }
            Base::Gone => Ok(Attempt::Done(Outcome::new(Status::Unchanged))),
            Base::Loaded(key, record) if self.has_changes() => {
                self.merge(*key, record.id(), shared)
            }
            Base::Loaded(key, record) => {
                let now = shared.now();
                if record.touch_due(now) {
                    let key = *key;
                    self.rest_on(Base::Unopened(Credential::Key(key)));
                    // A use that could not be recorded shortens the session a little and is recorded
                    // the next time: no reason to fail a page that is rendered.
                    let _ = shared.store.touch(&key, now);
                }
                Ok(Attempt::Done(Outcome::new(Status::Unchanged)))
            }
        }
    }

    fn nothing_stored(&mut self) -> Outcome {
        self.forget_changes();
        if !self.ended {
            return Outcome::new(Status::Unchanged);
        }
        self.ended = false;
        Outcome {
            status: Status::Ended,
            secret: None,
            removes_cookie: std::mem::take(&mut self.has_cookie),
        }
    }

    /// What goes to the store, but for what the request did to the data.
    fn change(&self, shared: &Shared) -> Change {
        let mut change = Change::new(shared.config.limits());
        if let Some(login) = &self.login {
            let (user, idle_timeout) = &**login;
            change.extra().user = Some(user.clone());
            change.extra().idle_timeout = *idle_timeout;
        }
        change
    }

    fn create(&mut self, shared: &Shared) -> Result<Attempt, Error> {
        let secret = Secret::generate()?;
        let key = secret.store_key();
        let mut change = self.change(shared);
        change.ops = self.overlay.ops().clone();
        let id = self.new_id.unwrap_or_else(SessionId::generate);
        change.extra().create = Some(NewSession {
            id,
            idle_timeout: shared.config.timeout(),
            absolute_timeout: shared.config.absolute_timeout(),
        });
        let committed = shared.store.commit(&key, &change, shared.now());
        match committed.inspect_err(|error| failed(shared, error))? {
            Committed::Stored { .. } => {
                self.committed(key);
                shared.tally.add(|stripe| &stripe.commits, 1);
                events::created(&shared.tally, id);
                Ok(Attempt::Done(Outcome {
                    status: Status::Created,
                    secret: Some(secret),
                    removes_cookie: false,
                }))
            }
            Committed::Conflict => Ok(Attempt::Conflict),
            Committed::Gone => Err(Error::new(
                ErrorKind::Unavailable,
                "the session store did not create a session",
            )),
        }
    }

    fn merge(&mut self, key: StoreKey, id: SessionId, shared: &Shared) -> Result<Attempt, Error> {
        let secret = (self.renew || self.login.is_some())
            .then(Secret::generate)
            .transpose()?;
        let new_key = secret.as_ref().map(Secret::store_key);
        let mut change = self.change(shared);
        (change.clear, change.ops) = self.overlay.take();
        if new_key.is_some() {
            change.extra().renew_to = new_key;
        }
        if let (Some(reads), Some(record)) = (&self.reads, self.record()) {
            let extra = change.extra();
            extra.expect = reads
                .keys
                .iter()
                .map(|key| (key.clone(), record.raw(key).map(Into::into)))
                .collect();
            extra.expect_version = reads.whole.then(|| record.version());
        }
        let loaded = self.record().map_or(0, Record::version);
        // Lets go of the record: the store merges in place if nobody else holds it.
        self.rest_on(Base::Unopened(Credential::Key(key)));
        match shared.store.commit(&key, &change, shared.now()) {
            Ok(Committed::Stored { version, .. }) => {
                self.committed(new_key.unwrap_or(key));
                merged(shared, &change, loaded, version);
                if secret.is_some() {
                    events::renewed(&shared.tally, id);
                }
                Ok(Attempt::Done(Outcome {
                    status: Status::Changed,
                    secret,
                    removes_cookie: false,
                }))
            }
            Ok(Committed::Gone) => {
                events::gone(&shared.tally, Some(id));
                self.rest_on(Base::Gone);
                self.forget_changes();
                Ok(Attempt::Done(Outcome::new(Status::Gone)))
            }
            Ok(Committed::Conflict) => {
                events::conflict(&shared.tally, id);
                Ok(Attempt::Conflict)
            }
            Err(error) => {
                failed(shared, &error);
                self.rest_on(Base::Failed(Credential::Key(key), error.clone()));
                Err(error)
            }
        }
    }

    fn committed(&mut self, key: StoreKey) {
        self.rest_on(Base::Unopened(Credential::Key(key)));
        self.renew = false;
        self.login = None;
        self.new_id = None;
        self.has_cookie = true;
        self.ended = false;
    }

    /// Lets go of the record, so that the next touch loads it as it is by then.
    pub(super) fn unload(&mut self) {
        if let Base::Loaded(key, _) = self.base {
            self.rest_on(Base::Unopened(Credential::Key(key)));
        }
    }
}

/// Counts a change that is stored, by the versions that its record had when it was loaded and has now.
pub(super) fn merged(shared: &Shared, change: &Change, loaded: u64, version: u64) {
    shared.tally.add(|stripe| &stripe.commits, 1);
    if version != loaded + u64::from(change.changes_data()) {
        shared.tally.add(|stripe| &stripe.merges, 1);
    }
}

/// The store did not commit.
pub(super) fn failed(shared: &Shared, error: &Error) {
    refused(shared, error);
    events::failed(error);
}

/// Counts the error of a write if it is a refusal.
pub(super) fn refused(shared: &Shared, error: &Error) {
    if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Sensitive) {
        shared.tally.add(|stripe| &stripe.refused, 1);
    }
}
