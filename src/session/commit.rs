//! Committing the pending changes of a session, and ending a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::load::{committing, load};
use super::outcome::{Outcome, Status};
use super::shared::Shared;
use super::state::{Base, Credential, State};
use super::transaction::conflict;
use super::way::{Access, Way};
use super::{Answer, Finished};
use crate::error::{Error, ErrorKind};
use crate::observe::{self, count};
use crate::record::{Change, Record};
use crate::secret::{Secret, SessionId, StoreKey};
use crate::store::{Committed, Swap, Swapped, ready};

/// How long a commit or a transaction may wait for other requests.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The result of a commit, for `commit` and `transaction`.
pub(super) enum Attempt {
    Done(Outcome),
    Conflict,
}

/// What a commit does next.
#[allow(
    clippy::large_enum_variant,
    reason = "it is made and sent at once: a box would cost an allocation"
)]
enum Step {
    Done(Outcome),
    /// A renewal may be the only change, and nothing loaded yet.
    Load,
    Touch(StoreKey, Arc<Record>),
    Send(Sending),
}

/// A change on its way to the store.
struct Sending {
    key: StoreKey,
    id: SessionId,
    change: Change,
    /// The record that the change was made on; `None` if it begins a session.
    loaded: Option<Arc<Record>>,
    /// The secret of a session that begins or is renewed, with its key.
    secret: Option<(Secret, StoreKey)>,
    /// How long the browser keeps the cookie with the secret.
    max_age: Option<Duration>,
    begins: bool,
    /// A transaction queues by itself, and may have the turn already.
    queues: bool,
}

pub(super) async fn commit(
    access: &mut Access<'_>,
    shared: Option<&Shared>,
) -> Result<Attempt, Error> {
    let Some(shared) = shared else {
        return Ok(Attempt::Done(Outcome::new(Status::Unchanged)));
    };
    if let Access::Held(state) = access {
        return state.commit_blocking(shared);
    }
    loop {
        match access.with(|state| state.begin_commit(shared)).await? {
            Step::Done(outcome) => return Ok(Attempt::Done(outcome)),
            Step::Load => load(access, shared).await?,
            Step::Touch(key, record) => {
                if let Some(touch) = record.touch_due(&shared.lifetime(), shared.now()) {
                    // A use that could not be recorded is recorded the next time: no reason to fail a
                    // page that is rendered.
                    let _ = access.way().face(shared).touch(&key, &touch).await;
                }
                return Ok(Attempt::Done(Outcome::new(Status::Unchanged)));
            }
            Step::Send(mut sending) => {
                let access = Unanswered(access);
                let committed = send(access.0.way(), &mut sending, shared).await;
                let end = |state: &mut State| state.end_commit(sending, committed, shared);
                return access.0.with(end).await;
            }
        }
    }
}

/// If the future of a commit is dropped, nothing tells whether the store has the change.
struct Unanswered<'x, 'a>(&'x mut Access<'a>);

impl Drop for Unanswered<'_, '_> {
    fn drop(&mut self) {
        self.0.now(|state| {
            if matches!(state.base, Base::Committing(_)) {
                let _ = state.fail(Error::new(
                    ErrorKind::Unconfirmed,
                    "the request was given up during a commit: the change is not known to be stored; discard it, and read the session again",
                ));
            }
        });
    }
}

/// Sends a change.
async fn send(way: Way<'_>, sending: &mut Sending, shared: &Shared) -> Result<Committed, Error> {
    let loaded = sending.loaded.take();
    let (key, change) = (&sending.key, &sending.change);
    let store = way.face(shared);
    match store.commit(key, change, loaded, shared.now()).await {
        Ok(Committed::Busy) if sending.queues => send_in_turn(way, sending, shared).await,
        committed => committed,
    }
}

/// Sends a change behind those of the other requests of this process. Between processes, random pauses
/// separate the attempts.
async fn send_in_turn(
    way: Way<'_>,
    sending: &Sending,
    shared: &Shared,
) -> Result<Committed, Error> {
    let (store, key, change) = (way.face(shared), &sending.key, &sending.change);
    let end = Instant::now() + PATIENCE;
    let Some(turn) = shared.queues.enter(*key) else {
        return Ok(Committed::Busy);
    };
    if way.until(Some(end), |cx| turn.poll(cx)).await.is_some() {
        while Instant::now() < end {
            match store.commit(key, change, None, shared.now()).await? {
                Committed::Busy => way.pause().await,
                committed => return Ok(committed),
            }
        }
    }
    Ok(Committed::Busy)
}

/// Ends a request that has no transaction and takes no more writes.
pub(super) async fn finish(
    access: &mut Access<'_>,
    answer: Answer,
    shared: Option<&Shared>,
) -> Finished {
    let mut error = None;
    if answer == Answer::Good {
        error = match commit(access, shared).await {
            Ok(Attempt::Done(_)) => None,
            Ok(Attempt::Conflict) => Some(conflict()),
            Err(error) => Some(error),
        };
    }
    if answer == Answer::Failed || error.is_some() {
        if let Some(shared) = shared {
            end_damaged(access, shared).await;
        }
        access.with(State::forget_changes).await;
        // Nothing is left to store; a logout's cookie may be left to remove.
        let _ = commit(access, shared).await;
    }
    let cookie = access.with(|state| state.unsent.take()).await;
    Finished {
        cookie: cookie.map(|outcome| *outcome),
        error,
    }
}

/// Ends a damaged session if the store still has the bytes that were read.
async fn end_damaged(access: &mut Access<'_>, shared: &Shared) {
    let Some((key, record)) = access.with(|state| state.damaged()).await else {
        return;
    };
    let swap = record
        .as_deref()
        .map_or(Swap::RemoveUnreadable, Swap::Remove);
    let store = access.way().face(shared);
    if let Ok(Swapped::Done) = store.swap(&key, swap, shared.now()).await {
        shared.tally.damaged(record.map(|record| record.id()));
        access.with(State::begin_without).await;
    }
}

impl State {
    /// Commits with blocking calls, under the lock of this state.
    pub(super) fn commit(&mut self, shared: Option<&Shared>) -> Result<Attempt, Error> {
        match shared {
            Some(shared) => self.commit_blocking(shared),
            None => Ok(Attempt::Done(Outcome::new(Status::Unchanged))),
        }
    }

    /// [`commit`] with blocking calls. Not the same function, for the reason that loads are not.
    fn commit_blocking(&mut self, shared: &Shared) -> Result<Attempt, Error> {
        loop {
            match self.begin_commit(shared)? {
                Step::Done(outcome) => return Ok(Attempt::Done(outcome)),
                Step::Load => self.open(Some(shared))?,
                Step::Touch(key, record) => {
                    if let Some(touch) = record.touch_due(&shared.lifetime(), shared.now()) {
                        let _ = shared.blocking().touch(&key, &touch);
                    }
                    return Ok(Attempt::Done(Outcome::new(Status::Unchanged)));
                }
                Step::Send(mut sending) => {
                    let mut access = Access::Held(self);
                    let access = Unanswered(&mut access);
                    let (loaded, store) = (sending.loaded.take(), shared.blocking());
                    let (key, change) = (&sending.key, &sending.change);
                    let mut committed = store.commit(key, change, loaded, shared.now());
                    if sending.queues && matches!(committed, Ok(Committed::Busy)) {
                        committed = ready(send_in_turn(Way::Blocking, &sending, shared));
                    }
                    let end = |state: &mut State| state.end_commit(sending, committed, shared);
                    return access.0.now(end);
                }
            }
        }
    }

    fn begin_commit(&mut self, shared: &Shared) -> Result<Step, Error> {
        if let Some(error) = self.obstacle() {
            return Err(error.clone());
        }
        let has_changes = self.has_changes();
        let outcome = match &self.base {
            Base::Committing(_) => return Err(committing()),
            Base::Unopened(_) if has_changes => return Ok(Step::Load),
            Base::Loaded(key, _) if has_changes => {
                let key = *key;
                return self.merge(key, shared).map(Step::Send);
            }
            Base::Loaded(key, record) => {
                if self.touch_due(record, shared).is_some() {
                    let step = Step::Touch(*key, record.clone());
                    self.unload();
                    return Ok(step);
                }
                Outcome::new(Status::Unchanged)
            }
            Base::Absent if self.begins() => return self.create(shared).map(Step::Send),
            Base::Gone if has_changes => {
                shared.tally.gone(None);
                self.forget_changes();
                Outcome::new(Status::Gone)
            }
            Base::Gone => Outcome::new(Status::Unchanged),
            _ => self.nothing_stored(),
        };
        Ok(Step::Done(self.noted(outcome)))
    }

    /// Notes what an outcome means for the cookie, until the answer is sent.
    fn noted(&mut self, mut outcome: Outcome) -> Outcome {
        outcome.planted = std::mem::take(&mut self.planted);
        // Never send a cookie for a session that has since ended.
        if outcome.concerns_cookie() || outcome.status() == Status::Gone {
            self.unsent = Some(Box::new(outcome.clone()));
        }
        outcome
    }

    fn nothing_stored(&mut self) -> Outcome {
        self.forget_changes();
        if !self.ended {
            return Outcome::new(Status::Unchanged);
        }
        self.ended = false;
        Outcome {
            removes_cookie: std::mem::take(&mut self.has_cookie),
            ..Outcome::new(Status::Ended)
        }
    }

    /// Takes the pending operations, the login and the expectations of a transaction as a change.
    fn change(&mut self, shared: &Shared) -> Change {
        let mut change = shared.change();
        if !self.prolongs {
            change = change.dont_prolong();
        }
        if let Some(owner) = &self.login {
            change = change.with_owner((**owner).clone());
        }
        if let (Some(transaction), Base::Loaded(_, record)) = (&self.transaction, &self.base) {
            for key in &transaction.keys {
                change = change.expect(key, record.raw(key));
            }
            if transaction.whole {
                change = change.expect_version(record.version());
            }
        }
        (change.clear, change.ops) = self.pending.take();
        change
    }

    fn create(&mut self, shared: &Shared) -> Result<Sending, Error> {
        let secret = Secret::generate(None)?;
        let key = secret.store_key();
        let id = self.new_id.unwrap_or_else(SessionId::generate);
        let now = shared.now();
        let max_age = shared.cookie_age(self.login.as_deref(), now, now);
        let change = self.change(shared).create(id);
        self.rebase_on(Base::Committing(Credential::None));
        Ok(Sending {
            key,
            id,
            change,
            loaded: None,
            secret: Some((secret, key)),
            max_age,
            begins: true,
            queues: false,
        })
    }

    fn merge(&mut self, key: StoreKey, shared: &Shared) -> Result<Sending, Error> {
        let secret = if self.renew || self.login.is_some() {
            let secret = Secret::generate(Some(key.shard()))?;
            let to = secret.store_key();
            Some((secret, to))
        } else {
            None
        };
        let mut change = self.change(shared);
        if let Some((_, to)) = &secret {
            change = change.renew(*to);
        }
        // Drops the record: a store that holds it in memory changes it in place.
        let committing_to = Base::Committing(Credential::Key(key));
        let Base::Loaded(_, loaded) = self.rebase_on(committing_to) else {
            return Err(committing());
        };
        change.loaded = loaded.version();
        let max_age = secret.as_ref().and_then(|_| {
            let owner = self.login.as_deref().or_else(|| loaded.owner());
            shared.cookie_age(owner, loaded.created(), shared.now())
        });
        Ok(Sending {
            key,
            id: loaded.id(),
            change,
            loaded: Some(loaded),
            secret,
            max_age,
            begins: false,
            queues: self.transaction.is_none(),
        })
    }

    fn end_commit(
        &mut self,
        sending: Sending,
        committed: Result<Committed, Error>,
        shared: &Shared,
    ) -> Result<Attempt, Error> {
        let Sending { key, id, .. } = sending;
        match committed {
            Ok(Committed::Stored { key, merged }) => {
                self.committed(key, id);
                self.count_commit(shared);
                if merged {
                    count(&shared.tally.merges, 1);
                }
                let secret = sending
                    .secret
                    .filter(|(_, to)| *to == key)
                    .map(|(secret, _)| secret);
                let mut status = Status::Changed;
                if sending.begins {
                    shared.tally.created(id);
                    status = Status::Created;
                } else if secret.is_some() {
                    shared.tally.renewed(id);
                }
                let outcome = Outcome::with_secret(status, secret, sending.max_age);
                Ok(Attempt::Done(self.noted(outcome)))
            }
            Ok(Committed::Gone) => {
                shared.tally.gone(Some(id));
                self.lose(key);
                self.forget_changes();
                Ok(Attempt::Done(self.noted(Outcome::new(Status::Gone))))
            }
            Ok(Committed::Conflict | Committed::Busy) => {
                shared.tally.conflict(id);
                self.rebase_on(Base::Unopened(Credential::Key(key)));
                Ok(Attempt::Conflict)
            }
            Err(error) => {
                shared.refused(&error);
                observe::failed(&error);
                Err(self.fail(error))
            }
        }
    }

    fn committed(&mut self, key: StoreKey, id: SessionId) {
        self.go_on(key, id);
        self.renew = false;
        self.new_id = None;
        self.has_cookie = true;
        self.ended = false;
    }
}
