//! The state of a session between opening and commit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, ThreadId};

use kstring::KString;

use super::load::committing;
use super::outcome::Outcome;
use super::pending::Pending;
use super::shared::Shared;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::observe::{self, count};
use crate::record::{Owner, Record};
use crate::secret::{Secret, SessionId, StoreKey};
use crate::store::users::{self, Ended};
use crate::store::{Face, ready};
use crate::value::Value;

pub(super) struct State {
    pub(super) base: Base,
    /// How often the base was replaced. An answer of the store that comes later is void.
    pub(super) bases: u32,
    pub(super) pending: Pending,
    pub(super) renew: bool,
    pub(super) login: Option<Box<Owner>>,
    /// Whether the request counts as a use.
    pub(super) prolongs: bool,
    /// The key by which this request last met the session, or tried to. Boxed, like other rare parts,
    /// to keep a request small.
    pub(super) last_key: Option<Box<StoreKey>>,
    /// The session ID and the user of a signed-in session that this request has met: a logout ends it
    /// also if no key leads to it.
    pub(super) signed_in: Option<Box<(SessionId, KString)>>,
    /// The visitor has a cookie of ours: came with it, or was sent one.
    pub(super) has_cookie: bool,
    /// Two cookies opened sessions: the answer removes the cookie wherever it may be.
    pub(super) planted: bool,
    /// How often this request has committed changes or ended a session. What was staged before is not
    /// restored.
    settled: u32,
    /// This request ended the session: its cookie is removed, unless a new one is sent.
    pub(super) ended: bool,
    pub(super) accessed: bool,
    /// The loads and the stored changes of this request.
    pub(super) loads: u32,
    pub(super) commits: u32,
    /// The user to whom the host has limited the session.
    pub(super) visitor: Option<Box<str>>,
    /// The ID that a new session will have, once the request has read it.
    pub(super) new_id: Option<SessionId>,
    pub(super) transaction: Option<Box<Transaction>>,
    /// The error of a value that could not be read since the last render began.
    unread: Option<Error>,
    /// A value of the record is damaged.
    damage: Option<Error>,
    /// The last outcome that concerns the cookie, until the answer is sent: a handler that committed
    /// may have dropped it.
    pub(super) unsent: Option<Box<Outcome>>,
    /// The answer has been sent.
    pub(super) finished: bool,
}

/// What the store holds, as far as the request knows.
pub(super) enum Base {
    /// There is no session here, for this reason.
    Disabled(Cow<'static, str>),
    /// The store was not asked yet.
    Unopened(Credential),
    /// No session: no cookie, or a secret that the store does not know.
    Absent,
    Loaded(StoreKey, Arc<Record>),
    /// An async commit waits for the store.
    Committing(Credential),
    /// The store could not be read or written.
    Failed(Credential, Error),
    /// The session ended while the request was running.
    Gone,
}

#[derive(Clone)]
pub(crate) enum Credential {
    None,
    /// From the cookie.
    Secret(Secret),
    /// From several cookies of the session's name: at most one of them opens a session.
    #[cfg_attr(
        not(feature = "cookie"),
        allow(dead_code, reason = "headers have several")
    )]
    Several(Box<[Secret]>),
    /// Of a session that this request has loaded before.
    Key(StoreKey),
}

impl Credential {
    pub(super) fn key(&self) -> Option<StoreKey> {
        match self {
            Self::None | Self::Several(_) => None,
            Self::Secret(secret) => Some(secret.store_key()),
            Self::Key(key) => Some(*key),
        }
    }

    /// Whether this request has loaded the session before.
    pub(super) fn met_before(&self) -> bool {
        matches!(self, Self::Key(_))
    }
}

/// The pending changes of a request at some point.
pub(crate) struct Savepoint {
    pending: Option<Pending>,
    renew: bool,
    login: Option<Box<Owner>>,
    settled: u32,
}

impl Savepoint {
    pub(super) fn has_changes(&self) -> bool {
        self.pending.is_some()
    }
}

/// A transaction that is running.
pub(super) struct Transaction {
    pub(super) is_async: bool,
    /// The thread that runs the closure. An async transaction has none between two runs.
    pub(super) thread: Option<ThreadId>,
    pub(super) keys: Vec<KString>,
    /// The session was read as a whole.
    pub(super) whole: bool,
    /// A touch in this run of the closure needs the session loaded.
    pub(super) broken_off: Option<Error>,
    /// The transactions of this session that wait for the end of this one.
    pub(super) waiting: Vec<Waker>,
}

impl Transaction {
    pub(super) fn new(is_async: bool) -> Self {
        Self {
            is_async,
            thread: (!is_async).then(|| thread::current().id()),
            keys: Vec::new(),
            whole: false,
            broken_off: None,
            waiting: Vec::new(),
        }
    }

    pub(super) fn is_of_this_thread(&self) -> bool {
        self.thread == Some(thread::current().id())
    }

    /// Whether a load on this thread is awaited, by running the closure again.
    pub(super) fn awaits_loads(&self) -> bool {
        self.is_async && self.is_of_this_thread()
    }

    pub(super) fn wake_at_the_end(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    pub(super) fn forget_reads(&mut self) {
        self.keys.clear();
        self.whole = false;
    }
}

impl State {
    pub(super) fn new(base: Base) -> Self {
        Self {
            has_cookie: matches!(
                base,
                Base::Unopened(Credential::Secret(_) | Credential::Several(_))
            ),
            planted: false,
            base,
            bases: 0,
            last_key: None,
            signed_in: None,
            pending: Pending::default(),
            renew: false,
            login: None,
            prolongs: true,
            settled: 0,
            ended: false,
            accessed: false,
            loads: 0,
            commits: 0,
            visitor: None,
            new_id: None,
            transaction: None,
            unread: None,
            damage: None,
            unsent: None,
            finished: false,
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match &self.base {
            Base::Loaded(_, record) => Some(record),
            _ => None,
        }
    }

    /// The store key, as far as it is known without a store call.
    pub(super) fn key(&self) -> Option<StoreKey> {
        match &self.base {
            Base::Unopened(credential)
            | Base::Committing(credential)
            | Base::Failed(credential, _) => credential.key(),
            Base::Loaded(key, _) => Some(*key),
            _ => None,
        }
    }

    /// Replaces the base, drops the pending changes, and returns the former base.
    pub(super) fn rebase_on(&mut self, base: Base) -> Base {
        let before = std::mem::replace(&mut self.base, base);
        self.bases = self.bases.wrapping_add(1);
        (self.unread, self.damage) = (None, None);
        self.reset_pending();
        before
    }

    fn reset_pending(&mut self) {
        let (pending, record) = self.parts();
        pending.reset(record);
    }

    #[inline]
    pub(super) fn parts(&mut self) -> (&mut Pending, Option<&Record>) {
        let record = match &self.base {
            Base::Loaded(_, record) => Some(&**record),
            _ => None,
        };
        (&mut self.pending, record)
    }

    pub(super) fn count_commit(&mut self, shared: &Shared) {
        count(&shared.tally.commits, 1);
        self.commits += 1;
    }

    /// Opens the session for a write.
    #[inline]
    pub(super) fn open_to_write(&mut self, shared: Option<&Shared>) -> Result<Limits, Error> {
        if self.finished {
            return Err(Error::new(
                ErrorKind::NoSession,
                "the session can't change any more: the response has been sent; write before the handler returns",
            ));
        }
        if let Some(transaction) = &self.transaction
            && !transaction.is_of_this_thread()
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the session is in a transaction of another thread: write in the transaction, or after it",
            ));
        }
        self.open(shared)?;
        match (&self.base, shared) {
            (Base::Disabled(reason), _) => Err(Error::new(
                ErrorKind::NoSession,
                format!("there is no session here: {reason}"),
            )),
            (_, Some(shared)) => Ok(shared.config.limits()),
            (_, None) => Err(Error::new(ErrorKind::NoSession, "there is no session here")),
        }
    }

    #[inline]
    pub(super) fn note_read(&mut self, key: &str) {
        if let Some(transaction) = &mut self.transaction
            && let Err(at) = transaction
                .keys
                .binary_search_by(|known| known.as_str().cmp(key))
        {
            transaction.keys.insert(at, KString::from_ref(key));
        }
    }

    pub(super) fn note_read_of_all(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.whole = true;
        }
    }

    /// The stored form of the value that the request sees under a key.
    #[inline]
    pub(super) fn stored(&self, key: &str) -> Option<&[u8]> {
        self.pending.value(key, self.record())
    }

    /// Remembers until the answer that a value could not be read: it must not pass for an absent one.
    pub(super) fn note_unread<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.unread = Some(error.clone());
            if error.kind() == ErrorKind::Corrupt {
                self.damage = Some(error.clone());
            }
        }
        result
    }

    pub(super) fn value(&mut self, key: &str) -> Result<Option<Value>, Error> {
        let value = self.stored(key).map(Value::decode).transpose();
        self.note_unread(value)
    }

    /// All keys that the request sees, sorted, with the stored forms of their values.
    fn entries(&self) -> BTreeMap<&str, &[u8]> {
        let stored = self.record().into_iter().flat_map(Record::iter);
        let mut entries: BTreeMap<_, _> =
            stored.filter(|(key, _)| self.pending.leaves(key)).collect();
        entries.extend(self.pending.written());
        entries
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.entries().into_keys().map(str::to_owned).collect()
    }

    pub(super) fn values(&mut self) -> Result<Vec<(String, Value)>, Error> {
        let values = self
            .entries()
            .into_iter()
            .map(|(key, stored)| Ok((key.to_owned(), Value::decode(stored)?)))
            .collect();
        self.note_unread(values)
    }

    /// Whether a commit would begin a session.
    pub(super) fn begins(&self) -> bool {
        matches!(self.base, Base::Absent)
            && (self.pending.stores_anything() || self.login.is_some())
    }

    /// The session ID: that of the record, or the one that the session will get.
    pub(super) fn id(&mut self) -> Option<SessionId> {
        match &self.base {
            Base::Loaded(_, record) => Some(record.id()),
            _ if self.begins() => Some(*self.new_id.get_or_insert_with(SessionId::generate)),
            _ => None,
        }
    }

    /// Returns the user, also one who signs in at the commit.
    pub(super) fn user(&self) -> Option<&str> {
        self.owner().map(|owner| &*owner.user)
    }

    /// The user with all that a login gave, also at the commit.
    pub(super) fn owner(&self) -> Option<&Owner> {
        self.login.as_deref().or_else(|| self.record()?.owner())
    }

    /// Returns the failure of an earlier read.
    pub(super) fn failure(&self) -> Option<&Error> {
        match &self.base {
            Base::Failed(_, error) => Some(error),
            _ => {
                let broken_off = || self.transaction.as_ref()?.broken_off.as_ref();
                self.unread.as_ref().or_else(broken_off)
            }
        }
    }

    /// The failure that keeps the request from being committed.
    pub(super) fn obstacle(&self) -> Option<&Error> {
        self.failure().or(self.damage.as_ref())
    }

    /// Answers with an error until the changes are discarded.
    pub(super) fn fail(&mut self, error: Error) -> Error {
        let credential = self.key().map_or(Credential::None, Credential::Key);
        self.rebase_on(Base::Failed(credential, error.clone()));
        error
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.pending.is_empty() || self.login.is_some() || self.renew
    }

    /// Whether the end of the request will ask the store.
    #[cfg(feature = "tower")]
    pub(super) fn needs_store(&self, shared: &Shared) -> bool {
        let due = |record: &Record| self.touch_due(record, shared).is_some();
        self.has_changes()
            || self.transaction.is_some()
            || self.obstacle().is_some()
            || self.record().is_some_and(due)
    }

    /// Does nothing during a commit, which decides about the changes.
    pub(super) fn forget_changes(&mut self) {
        if let Base::Committing(_) = self.base {
            return;
        }
        self.reset_pending();
        self.renew = false;
        self.login = None;
        self.new_id = None;
        self.unread = None;
        if let Base::Failed(credential, _) = &self.base {
            self.base = Base::Unopened(credential.clone());
        }
    }

    /// Returns the pending changes, for [`restore`](Self::restore).
    pub(super) fn savepoint(&self) -> Savepoint {
        Savepoint {
            pending: (!self.pending.is_empty()).then(|| self.pending.clone()),
            renew: self.renew,
            login: self.login.clone(),
            settled: self.settled,
        }
    }

    /// Restores the pending changes of a savepoint on the present record. After a logout or a commit
    /// since then, nothing that was pending before it returns.
    pub(super) fn restore(&mut self, to: &Savepoint, limits: Limits) -> Result<(), Error> {
        // During a commit, and after a failed one, nothing may come back.
        if let Base::Committing(_) | Base::Failed(..) = self.base {
            return Ok(());
        }
        self.reset_pending();
        self.unread = None;
        if to.settled != self.settled {
            (self.renew, self.login) = (false, None);
            return Ok(());
        }
        if let Some(pending) = &to.pending {
            match pending.rebase(self.record(), limits) {
                Ok(pending) => self.pending = pending,
                Err(error) => {
                    self.forget_changes();
                    return Err(error);
                }
            }
        }
        (self.renew, self.login) = (to.renew, to.login.clone());
        Ok(())
    }

    /// Ends the session in the store, and begins again without one.
    pub(super) fn end(&mut self, shared: &Shared) -> Result<(), Error> {
        match self.base {
            Base::Unopened(Credential::Several(_)) => self.open(Some(shared))?,
            Base::Committing(_) => return Err(committing()),
            _ => {}
        }
        let ended = self.end_in_store(shared).inspect_err(observe::failed)?;
        if let Some(ended) = ended {
            shared
                .tally
                .destroyed(ended.record.map(|record| record.id()));
        }
        self.begin_without();
        Ok(())
    }

    /// Ends the session that the key leads to. If it leads nowhere, the session that the request had
    /// loaded is ended by its user and session ID.
    fn end_in_store(&self, shared: &Shared) -> Result<Option<Ended>, Error> {
        let Some(key) = self.key().or(self.last_key.as_deref().copied()) else {
            return Ok(None);
        };
        let (store, now) = (shared.blocking(), shared.now());
        let end = |key, wanted: &dyn Fn(&Record) -> bool| {
            ready(users::end(&Face::Blocking(store), key, now, wanted))
        };
        let visitor = self.visitor.as_deref();
        let own = |record: &Record| {
            let user = record.user();
            visitor.is_none() || user.is_none() || user == visitor
        };
        if let Some(ended) = end(key, &own)? {
            return Ok(Some(ended));
        }
        let Some((id, user)) = self.signed_in.as_deref() else {
            return Ok(None);
        };
        let same = |record: &Record| {
            record.id() == *id && record.user() == Some(user.as_str()) && own(record)
        };
        for line in store.user_index(user, now)? {
            if line.id == *id
                && let Some(ended) = end(line.key, &same)?
            {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    /// Goes on under the key that a commit has stored the session under.
    pub(super) fn go_on(&mut self, key: StoreKey, id: SessionId) {
        if let Some(owner) = self.login.take() {
            self.signed_in = Some(Box::new((id, KString::from_ref(&owner.user))));
        }
        self.settled += 1;
        self.rebase_on(Base::Unopened(Credential::Key(key)));
    }

    /// The session has ended: a logout still ends what its key leads to.
    pub(super) fn lose(&mut self, key: StoreKey) {
        self.last_key = Some(Box::new(key));
        self.rebase_on(Base::Gone);
    }

    pub(super) fn begin_without(&mut self) {
        self.ended = true;
        self.settled += 1;
        self.last_key = None;
        self.signed_in = None;
        self.rebase_on(Base::Absent);
        self.forget_changes();
    }

    /// Returns what to remove from the store if the session is damaged: the record that was read, or
    /// what can't be read under the key.
    pub(super) fn damaged(&self) -> Option<(StoreKey, Option<Arc<Record>>)> {
        match (&self.base, &self.damage) {
            (Base::Failed(credential, error), _) if error.kind() == ErrorKind::Corrupt => {
                credential.key().map(|key| (key, None))
            }
            (Base::Loaded(key, record), Some(_)) => Some((*key, Some(record.clone()))),
            _ => None,
        }
    }

    /// Forgets what the transaction has read.
    pub(super) fn begin_again(&mut self) {
        self.unload();
        if let Some(transaction) = &mut self.transaction {
            transaction.forget_reads();
        }
    }

    /// Drops the record, so that the next touch loads the current one.
    pub(super) fn unload(&mut self) {
        if let Base::Loaded(key, _) = self.base {
            self.rebase_on(Base::Unopened(Credential::Key(key)));
        }
    }
}
