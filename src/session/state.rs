//! Where a handle stands between opening and commit.

mod commit;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use kstring::KString;

pub(super) use commit::{Attempt, merged, refused};

use super::outcome::Outcome;
use super::overlay::{Overlay, Seen};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::observe::{self, count};
use crate::record::Record;
use crate::secret::{Secret, SessionId, StoreKey};
use crate::session::shared::Shared;
use crate::value::Value;

pub(super) struct State {
    pub(super) base: Base,
    pub(super) overlay: Overlay,
    /// Counts every base and every written value: what a view pins, it pins by this number.
    pub(super) serial: u64,
    /// The number of the present base.
    base_serial: u64,
    pub(super) renew: bool,
    pub(super) login: Option<Box<StagedLogin>>,
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
pub(super) type StagedLogin = (Box<str>, Option<Duration>);

/// The record under the changes.
pub(super) enum Base {
    /// There is no session here, for this reason.
    Off(Cow<'static, str>),
    /// Nobody has asked the store yet.
    Unopened(Credential),
    /// There is none: no cookie, or a secret that the store does not know.
    Absent,
    /// This one.
    Loaded(StoreKey, Arc<Record>),
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
        let (overlay, record, _) = self.parts();
        // In place: mostly there is nothing to drop.
        overlay.reset(record);
    }

    /// What a write needs: where it goes, what is under it, and the last number given to a value.
    #[inline]
    pub(super) fn parts(&mut self) -> (&mut Overlay, Option<&Record>, &mut u64) {
        let record = match &self.base {
            Base::Loaded(_, record) => Some(&**record),
            _ => None,
        };
        (&mut self.overlay, record, &mut self.serial)
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
        count(&shared.tally.loads, 1);
        match shared.store.load(&key, shared.now()) {
            Ok(Some(record)) => {
                // A session opens only for its own user (SECURITY 18).
                let foreign = matches!(
                    (&self.visitor, record.user()),
                    (Some(visitor), Some(user)) if **visitor != *user
                );
                self.rest_on(if foreign {
                    shared.tally.foreign(record.id());
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
                    shared.tally.unknown_secret();
                }
                self.rest_on(if ended { Base::Gone } else { Base::Absent });
                Ok(())
            }
            Err(error) => {
                observe::failed(&error);
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
            && shared.store.destroy(&key).inspect_err(observe::failed)?
        {
            shared.tally.destroyed(self.record().map(Record::id));
        }
        self.ended = true;
        self.rest_on(Base::Absent);
        self.forget_changes();
        Ok(())
    }

    /// Lets go of the record, so that the next touch loads it as it is by then.
    pub(super) fn unload(&mut self) {
        if let Base::Loaded(key, _) = self.base {
            self.rest_on(Base::Unopened(Credential::Key(key)));
        }
    }
}
