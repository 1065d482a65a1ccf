//! Loading the record of a session.

use std::ops::ControlFlow;
use std::sync::Arc;

use kstring::KString;

use super::shared::Shared;
use super::state::{Base, Credential, State};
use super::way::Access;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::observe::{self, count};
use crate::record::Record;
use crate::secret::{Secret, StoreKey};
use crate::store::users;
use crate::store::{Face, Loaded, ready};

/// What the store answered to a credential.
pub(super) enum Found {
    Record(StoreKey, Arc<Record>),
    /// No record under this key.
    Nothing(StoreKey),
    /// A record that only a newer program can read.
    NewerForm(StoreKey),
    /// No secret opens a session.
    NoSession,
    /// Two secrets opened sessions. Both sessions are ended.
    Planted,
}

/// Loads the session if it is not loaded yet.
pub(super) async fn load(access: &mut Access<'_>, shared: &Shared) -> Result<(), Error> {
    let Access::Free(_, store) = access else {
        return access.now(|state| state.load(shared));
    };
    let store = Face::Async(*store);
    // Again if another clone has dropped the record meanwhile.
    while let Some((credential, bases)) = access.with(State::begin_load).await? {
        let mut loads = 0;
        let found = look_up(&store, &credential, shared, &mut loads).await;
        access
            .with(|state| {
                state.loads += loads;
                state.end_load(bases, credential, found, shared)
            })
            .await;
    }
    Ok(())
}

/// Asks the store. Nothing of the session is locked for that.
async fn look_up(
    store: &Face<'_>,
    credential: &Credential,
    shared: &Shared,
    loads: &mut u32,
) -> Result<Found, Error> {
    let now = shared.now();
    if let Credential::Several(secrets) = credential {
        return choose(store, secrets, shared, now, loads).await;
    }
    let Some(mut key) = credential.key() else {
        return Ok(Found::NoSession);
    };
    loop {
        count(&shared.tally.loads, 1);
        *loads += 1;
        let loaded = store.load(&key, now).await;
        match judge(key, loaded, credential, shared, now) {
            ControlFlow::Continue(to) => key = to,
            ControlFlow::Break(found) => return found,
        }
    }
}

/// [`look_up`] with blocking calls. Not the same function: what the future of the other costs is a
/// third of a request in memory.
fn look_up_blocking(
    credential: &Credential,
    shared: &Shared,
    loads: &mut u32,
) -> Result<Found, Error> {
    let (store, now) = (shared.blocking(), shared.now());
    if let Credential::Several(secrets) = credential {
        return ready(choose(&Face::Blocking(store), secrets, shared, now, loads));
    }
    let Some(mut key) = credential.key() else {
        return Ok(Found::NoSession);
    };
    loop {
        count(&shared.tally.loads, 1);
        *loads += 1;
        match judge(key, store.load(&key, now), credential, shared, now) {
            ControlFlow::Continue(to) => key = to,
            ControlFlow::Break(found) => return found,
        }
    }
}

/// Returns what the answer to a load means, or the key to follow.
fn judge(
    key: StoreKey,
    loaded: Result<Loaded, Error>,
    credential: &Credential,
    shared: &Shared,
    now: Timestamp,
) -> ControlFlow<Result<Found, Error>, StoreKey> {
    ControlFlow::Break(match loaded {
        Ok(Loaded::Found(record)) if !record.ends_under(&shared.lifetime(), now) => {
            Ok(Found::Record(key, record))
        }
        Ok(Loaded::Moved(forward)) if credential.met_before() && !forward.by_login => {
            return ControlFlow::Continue(forward.to);
        }
        Ok(_) => Ok(Found::Nothing(key)),
        Err(error) if error.kind() == ErrorKind::NewerForm => Ok(Found::NewerForm(key)),
        Err(error) => Err(error),
    })
}

/// Finds the one of several secrets that opens a session. If two do, one of them was planted, and
/// nothing distinguishes them: both sessions are ended.
async fn choose(
    store: &Face<'_>,
    secrets: &[Secret],
    shared: &Shared,
    now: Timestamp,
    loads: &mut u32,
) -> Result<Found, Error> {
    let mut open = Vec::new();
    for secret in secrets {
        count(&shared.tally.loads, 1);
        *loads += 1;
        let key = secret.store_key();
        match store.load(&key, now).await {
            // One that today's settings end opens nothing.
            Ok(Loaded::Found(record)) if record.ends_under(&shared.lifetime(), now) => {}
            Ok(Loaded::Found(record)) => open.push((key, record)),
            Ok(Loaded::Moved(_) | Loaded::Absent) => {}
            Err(error) if users::is_unreadable(&error) => {}
            Err(error) => return Err(error),
        }
    }
    if open.len() > 1 {
        for (key, _) in open {
            users::end(store, key, now, |_| true).await?;
        }
        return Ok(Found::Planted);
    }
    Ok(open
        .pop()
        .map_or(Found::NoSession, |(key, record)| Found::Record(key, record)))
}

impl State {
    /// Loads the record at the first touch.
    #[inline]
    pub(super) fn open(&mut self, shared: Option<&Shared>) -> Result<(), Error> {
        self.accessed = true;
        match (&self.base, shared) {
            (Base::Unopened(_), Some(shared)) => {
                if self.breaks_off() {
                    return Err(not_loaded());
                }
                self.load(shared)
            }
            (Base::Failed(_, error), _) => Err(error.clone()),
            (Base::Committing(_), _) => Err(committing()),
            _ => Ok(()),
        }
    }

    fn load(&mut self, shared: &Shared) -> Result<(), Error> {
        if let Some((credential, bases)) = self.begin_load()? {
            let mut loads = 0;
            let found = look_up_blocking(&credential, shared, &mut loads);
            self.loads += loads;
            self.end_load(bases, credential, found, shared);
        }
        match &self.base {
            Base::Failed(_, error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Returns whether the session has to be loaded before this run of an async transaction can go on.
    /// The run then counts for nothing.
    pub(super) fn breaks_off(&mut self) -> bool {
        match (&self.base, &mut self.transaction) {
            (Base::Unopened(Credential::None), _) => false,
            (Base::Unopened(_), Some(transaction)) if transaction.awaits_loads() => {
                transaction.broken_off.get_or_insert_with(not_loaded);
                true
            }
            _ => false,
        }
    }

    /// Returns what to look up, and on which base the answer is valid; `None` if the session is loaded.
    fn begin_load(&mut self) -> Result<Option<(Credential, u32)>, Error> {
        self.accessed = true;
        match &self.base {
            Base::Unopened(Credential::None) => {
                self.rebase_on(Base::Absent);
                Ok(None)
            }
            Base::Unopened(credential) => Ok(Some((credential.clone(), self.bases))),
            Base::Failed(_, error) => Err(error.clone()),
            Base::Committing(_) => Err(committing()),
            _ => Ok(None),
        }
    }

    /// Takes over what was found, unless another clone has loaded or changed the session meanwhile.
    fn end_load(
        &mut self,
        bases: u32,
        credential: Credential,
        found: Result<Found, Error>,
        shared: &Shared,
    ) {
        if bases != self.bases || !matches!(self.base, Base::Unopened(_)) {
            return;
        }
        let base = match found {
            Ok(Found::Record(key, record)) => {
                // A session opens only for its own user (SECURITY 18).
                let foreign = matches!(
                    (&self.visitor, record.user()),
                    (Some(visitor), Some(user)) if **visitor != *user
                );
                if foreign {
                    shared.tally.foreign(record.id());
                    (self.signed_in, self.last_key) = (None, Some(Box::new(key)));
                    Base::Absent
                } else {
                    let user = record.user().map(KString::from_ref);
                    self.signed_in = user.map(|user| Box::new((record.id(), user)));
                    Base::Loaded(key, record)
                }
            }
            Ok(Found::Nothing(key)) => {
                self.last_key = Some(Box::new(key));
                if credential.met_before() {
                    Base::Gone
                } else {
                    shared.tally.unknown_secret();
                    Base::Absent
                }
            }
            Ok(Found::NewerForm(key)) => {
                self.last_key = Some(Box::new(key));
                shared.tally.newer_form();
                Base::Absent
            }
            Ok(Found::Planted) => {
                shared.tally.planted();
                self.planted = true;
                Base::Absent
            }
            Ok(Found::NoSession) => Base::Absent,
            Err(error) => {
                observe::failed(&error);
                Base::Failed(credential, error)
            }
        };
        // A page that was given up while it loaded again has left what was pending before it.
        let pending = (!self.pending.is_empty()).then(|| std::mem::take(&mut self.pending));
        self.rebase_on(base);
        if let (Some(pending), None) = (pending, self.failure()) {
            match pending.rebase(self.record(), shared.config.limits()) {
                Ok(pending) => self.pending = pending,
                Err(error) => {
                    self.fail(error);
                }
            }
        }
    }
}

fn not_loaded() -> Error {
    Error::new(
        ErrorKind::NotLoaded,
        "the session is not loaded yet: `render_page` loads it and runs its closure again, so return this error",
    )
}

/// For a read or a write while an async commit waits for the store.
pub(super) fn committing() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the session is being committed: await the commit before the next read or write",
    )
}
