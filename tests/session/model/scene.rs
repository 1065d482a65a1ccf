//! The real thing and the model side by side, compared after every step.

use std::collections::BTreeMap;
use std::time::Duration;

use liquid_session::clock::{Clock, ManualClock};
use liquid_session::config::SessionConfigBuilder;
use liquid_session::store::SessionStore;
use liquid_session::{
    Error, MemoryStore, Outcome, Secret, Session, SessionConfig, SessionId, Sessions,
};

use super::world::{Answer, Data, Handle, Op, TIMEOUT, World};

pub(crate) struct Scene {
    pub(crate) world: World,
    handles: Vec<(Handle, Session)>,
    sessions: Sessions,
    clock: ManualClock,
    begun: u64,
    /// The real secrets, by the model's numbers.
    secrets: Vec<String>,
    /// The real public handles, by the model's.
    ids: BTreeMap<usize, SessionId>,
    trace: Vec<(usize, Op)>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::on(MemoryStore::new(), SessionConfig::builder())
    }

    /// On an empty store, with these settings.
    pub(crate) fn on(store: impl SessionStore, config: SessionConfigBuilder) -> Self {
        let config = config
            .timeout_minutes(u32::try_from(TIMEOUT / 60).unwrap())
            .build()
            .unwrap();
        let clock = ManualClock::new();
        Self {
            world: World::default(),
            handles: Vec::new(),
            sessions: Sessions::new(store, config).with_clock(clock.clone()),
            begun: clock.now().as_millis(),
            clock,
            secrets: Vec::new(),
            ids: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    /// One more request, with the cookie of this number.
    pub(crate) fn open(&mut self, secret: Option<usize>) -> usize {
        let cookie = secret.map(|secret| self.secrets[secret].as_str());
        let session = self.sessions.open(cookie);
        self.handles.push((Handle::open(secret), session));
        self.handles.len() - 1
    }

    /// How many secrets there were so far.
    pub(crate) fn secrets(&self) -> usize {
        self.secrets.len()
    }

    /// A secret of the right form that this store never gave out.
    pub(crate) fn foreign_secret(&mut self) -> usize {
        let elsewhere = Sessions::new(MemoryStore::with_capacity(1), SessionConfig::default());
        let session = elsewhere.open(None);
        session.set("a", 1).unwrap();
        self.secrets
            .push(session.commit().unwrap().secret().unwrap().expose());
        self.world.new_secret()
    }

    pub(crate) fn step(&mut self, handle: usize, op: &Op) {
        self.trace.push((handle, op.clone()));
        let (model, session) = &mut self.handles[handle];
        let expected = model.apply(op, &mut self.world);
        let before = self.secrets.len();
        let found = match perform(session, op, &self.sessions, &self.clock, &mut self.secrets) {
            Ok(answer) => answer,
            Err(error) => {
                if matches!(op, Op::Commit | Op::Transaction(..)) {
                    // A commit that failed: nothing goes on until it is discarded.
                    let kept = matches!(op, Op::Transaction(..)) && session.get("a").is_ok();
                    if !kept {
                        session.discard();
                        model.apply(&Op::Discard, &mut self.world);
                    }
                }
                Answer::Failed(error.kind())
            }
        };
        assert_eq!(found, expected, "{:?}", self.trace);
        for secret in before..self.secrets.len() {
            let fresh = self.secrets[..secret]
                .iter()
                .all(|s| *s != self.secrets[secret]);
            assert!(fresh, "a secret came twice: {:?}", self.trace);
        }
        self.compare_handle(handle);
        // The others ask the store for nothing; what they did wrong shows at the next one of these.
        if matches!(
            op,
            Op::Commit | Op::Logout | Op::Advance(_) | Op::Take(_) | Op::Transaction(..)
        ) {
            self.compare_store();
        }
    }

    fn compare_handle(&self, handle: usize) {
        let (model, session) = &self.handles[handle];
        assert_eq!(session.has_changes(), model.changed(), "{:?}", self.trace);
        if model.is_opened() {
            assert_eq!(all(session), model.view(), "the view: {:?}", self.trace);
        }
    }

    fn compare_store(&mut self) {
        assert_eq!(self.secrets.len(), self.world.secrets, "{:?}", self.trace);
        for (number, secret) in self.secrets.iter().enumerate() {
            let request = self.sessions.open(Some(secret));
            let Some(stored) = self.world.alive(number) else {
                let id = request.id().unwrap();
                assert_eq!(id, None, "secret {number} is alive: {:?}", self.trace);
                continue;
            };
            assert_eq!(all(&request), stored.data, "stored: {:?}", self.trace);
            assert_eq!(request.user().unwrap().as_deref(), stored.user);
            let id = request.id().unwrap().unwrap();
            let known = self.ids.entry(stored.id).or_insert(id);
            assert_eq!(*known, id, "another public handle: {:?}", self.trace);
        }
    }

    /// At the end: the store holds what it should and nothing else.
    pub(crate) fn finish(&self) {
        let mut expected: Vec<_> = self
            .world
            .all_alive()
            .map(|stored| {
                let at = |seconds: u64| self.begun + seconds * 1_000;
                (self.ids[&stored.id], at(stored.created), at(stored.used))
            })
            .collect();
        let mut found = Vec::new();
        self.sessions
            .store()
            .scan(self.clock.now(), &mut |_, record| {
                let (created, used) = (record.created(), record.last_used());
                found.push((record.id(), created.as_millis(), used.as_millis()));
                true
            })
            .unwrap();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{:?}", self.trace);
    }
}

fn all(session: &Session) -> Data {
    session.entries().unwrap().into_iter().collect()
}

fn perform(
    session: &Session,
    op: &Op,
    sessions: &Sessions,
    clock: &ManualClock,
    secrets: &mut Vec<String>,
) -> Result<Answer, Error> {
    Ok(match op {
        Op::Get(key) => Answer::Found(session.get(key)?),
        Op::Entries => Answer::All(session.entries()?.into_iter().collect()),
        Op::Set(key, value) => done(session.set(key, value)?),
        Op::Remove(key) => Answer::Removed(session.remove(key)?),
        Op::Clear => done(session.clear()?),
        Op::Increment(key, by) => Answer::Counted(session.increment(key, *by)?),
        Op::Append(key, item) => done(session.append(key, item)?),
        Op::Take(key) => Answer::Found(session.take(key)?),
        Op::Renew => done(session.renew()?),
        Op::Login(user) => done(session.login(*user)?),
        Op::Logout => done(session.logout()?),
        Op::Discard => {
            session.discard();
            done(())
        }
        Op::Commit => answer(session.commit()?, secrets),
        Op::Advance(seconds) => {
            clock.advance(Duration::from_secs(*seconds));
            done(())
        }
        Op::Transaction(ops, rival) => {
            let mut attempts = 0;
            let (_, outcome) = session.transaction(|session| {
                attempts += 1;
                for op in ops {
                    perform(session, op, sessions, clock, secrets)?;
                }
                if let (1, Some((key, value)), Some(newest)) = (attempts, rival, secrets.last()) {
                    let request = sessions.open(Some(newest));
                    request.set(key, value)?;
                    if let Some(secret) = request.commit()?.secret().map(Secret::expose) {
                        secrets.push(secret);
                    }
                }
                Ok::<_, Error>(())
            })?;
            answer(outcome, secrets)
        }
    })
}

fn done((): ()) -> Answer {
    Answer::Done
}

fn answer(outcome: Outcome, secrets: &mut Vec<String>) -> Answer {
    secrets.extend(outcome.secret().map(Secret::expose));
    Answer::Committed {
        status: outcome.status(),
        secret: outcome.secret().is_some(),
        removes_cookie: outcome.removes_cookie(),
    }
}
