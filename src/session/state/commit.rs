//! What a handle sends at the end, and where it stands then.

use super::super::outcome::{Outcome, Status};
use super::{Base, Credential, State};
use crate::error::{Error, ErrorKind};
use crate::observe::{self, count};
use crate::record::{Change, NewSession, Record};
use crate::secret::{Secret, SessionId, StoreKey};
use crate::session::shared::Shared;
use crate::store::Committed;

/// What a commit came to, for `commit` and `transaction`.
pub(in crate::session) enum Attempt {
    Done(Outcome),
    Conflict,
}

impl State {
    pub(in crate::session) fn commit(&mut self, shared: Option<&Shared>) -> Result<Attempt, Error> {
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
                shared.tally.gone(None);
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
                count(&shared.tally.commits, 1);
                shared.tally.created(id);
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
                    shared.tally.renewed(id);
                }
                Ok(Attempt::Done(Outcome {
                    status: Status::Changed,
                    secret,
                    removes_cookie: false,
                }))
            }
            Ok(Committed::Gone) => {
                shared.tally.gone(Some(id));
                self.rest_on(Base::Gone);
                self.forget_changes();
                Ok(Attempt::Done(Outcome::new(Status::Gone)))
            }
            Ok(Committed::Conflict) => {
                shared.tally.conflict(id);
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
}

/// Counts a change that is stored, by the versions that its record had when it was loaded and has now.
pub(in crate::session) fn merged(shared: &Shared, change: &Change, loaded: u64, version: u64) {
    count(&shared.tally.commits, 1);
    if version != loaded + u64::from(change.changes_data()) {
        count(&shared.tally.merges, 1);
    }
}

/// The store did not commit.
pub(in crate::session) fn failed(shared: &Shared, error: &Error) {
    refused(shared, error);
    observe::failed(error);
}

/// Counts the error of a write if it is a refusal.
pub(in crate::session) fn refused(shared: &Shared, error: &Error) {
    if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Sensitive) {
        count(&shared.tally.refused, 1);
    }
}
