//! Committing the pending changes of a session.

use std::time::{Duration, Instant};

use super::outcome::{Outcome, Status};
use super::shared::Shared;
use super::state::{Base, Credential, State};
use crate::error::Error;
use crate::observe::{self, count};
use crate::record::Change;
use crate::secret::{Secret, SessionId, StoreKey};
use crate::store::Committed;

/// How long a commit or a transaction may wait for other requests.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The result of a commit, for `commit` and `transaction`.
pub(super) enum Attempt {
    Done(Outcome),
    Conflict,
}

impl State {
    pub(super) fn commit(&mut self, shared: Option<&Shared>) -> Result<Attempt, Error> {
        let mut attempt = self.send_changes(shared)?;
        if let Attempt::Done(outcome) = &mut attempt {
            outcome.planted = std::mem::take(&mut self.planted);
            // Never send a cookie for a session that has since ended.
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
            // A renewal may be the only change, and nothing loaded yet.
            self.open(Some(shared))?;
        }
        if let Some(error) = self.obstacle() {
            return Err(error.clone());
        }
        match &self.base {
            Base::Loaded(key, _) if self.has_changes() => {
                let key = *key;
                self.merge(key, shared)
            }
            Base::Loaded(key, record) => {
                let now = shared.now();
                let key = *key;
                if let Some(touch) = record.touch_due(&shared.lifetime(), now) {
                    // A use that could not be recorded is recorded the next time: no reason to fail a
                    // page that is rendered.
                    let _ = shared.store.touch(&key, &touch);
                    self.rebase_on(Base::Unopened(Credential::Key(key)));
                }
                Ok(Attempt::Done(Outcome::new(Status::Unchanged)))
            }
            Base::Absent if self.begins() => self.create(shared),
            Base::Gone if self.has_changes() => {
                shared.tally.gone(None);
                self.forget_changes();
                Ok(Attempt::Done(Outcome::new(Status::Gone)))
            }
            Base::Gone => Ok(Attempt::Done(Outcome::new(Status::Unchanged))),
            _ => Ok(Attempt::Done(self.nothing_stored())),
        }
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

    fn create(&mut self, shared: &Shared) -> Result<Attempt, Error> {
        let secret = Secret::generate(None)?;
        let key = secret.store_key();
        let id = self.new_id.unwrap_or_else(SessionId::generate);
        let change = self.change(shared).create(id);
        let committed = shared.store.commit(&key, &change, None, shared.now());
        if let Err(error) = committed {
            return Err(self.failed(shared, error));
        }
        count(&shared.tally.commits, 1);
        shared.tally.created(id);
        self.committed(key, id);
        Ok(Attempt::Done(Outcome::with_secret(
            Status::Created,
            Some(secret),
        )))
    }

    fn merge(&mut self, key: StoreKey, shared: &Shared) -> Result<Attempt, Error> {
        let mut change = self.change(shared);
        let renewed = if self.renew || self.login.is_some() {
            let secret = Secret::generate(Some(key.shard()))?;
            let to = secret.store_key();
            change = change.renew(to);
            Some((secret, to))
        } else {
            None
        };
        // Drops the record: a store that holds it in memory changes it in place.
        let unopened = Base::Unopened(Credential::Key(key));
        let Base::Loaded(_, loaded) = std::mem::replace(&mut self.base, unopened) else {
            return Ok(Attempt::Conflict);
        };
        let id = loaded.id();
        change.loaded = loaded.version();
        self.pending.reset(None);
        let mut committed = shared
            .store
            .commit(&key, &change, Some(loaded), shared.now());
        // A transaction queues by itself, and may hold the turn already.
        if let (Ok(Committed::Busy), None) = (&committed, &self.transaction) {
            committed = self.queue_to_commit(key, &change, shared);
        }
        match committed {
            Ok(Committed::Stored { key, merged }) => {
                self.committed(key, id);
                count(&shared.tally.commits, 1);
                if merged {
                    count(&shared.tally.merges, 1);
                }
                let secret = renewed
                    .filter(|(_, to)| *to == key)
                    .map(|(secret, _)| secret);
                if secret.is_some() {
                    shared.tally.renewed(id);
                }
                Ok(Attempt::Done(Outcome::with_secret(Status::Changed, secret)))
            }
            Ok(Committed::Gone) => {
                shared.tally.gone(Some(id));
                self.lose(key);
                self.forget_changes();
                Ok(Attempt::Done(Outcome::new(Status::Gone)))
            }
            Ok(Committed::Conflict | Committed::Busy) => {
                shared.tally.conflict(id);
                Ok(Attempt::Conflict)
            }
            Err(error) => Err(self.failed(shared, error)),
        }
    }

    /// Commits behind the other requests of this process. Between processes, random pauses separate the
    /// attempts.
    fn queue_to_commit(
        &self,
        key: StoreKey,
        change: &Change,
        shared: &Shared,
    ) -> Result<Committed, Error> {
        let until = Instant::now() + PATIENCE;
        let Some(_turn) = shared.queues.wait(key, until) else {
            return Ok(Committed::Busy);
        };
        while Instant::now() < until {
            match shared.store.commit(&key, change, None, shared.now())? {
                Committed::Busy => pause(),
                committed => return Ok(committed),
            }
        }
        Ok(Committed::Busy)
    }

    fn failed(&mut self, shared: &Shared, error: Error) -> Error {
        shared.refused(&error);
        observe::failed(&error);
        self.fail(error)
    }

    fn committed(&mut self, key: StoreKey, id: SessionId) {
        self.go_on(key, id);
        self.renew = false;
        self.new_id = None;
        self.has_cookie = true;
        self.ended = false;
    }
}

/// Sleeps for up to 16 milliseconds, at random: requests of several processes take turns.
pub(super) fn pause() {
    let random = SessionId::generate().as_bytes()[0];
    std::thread::sleep(Duration::from_micros(64 * u64::from(random)));
}
