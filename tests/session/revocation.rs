//! A revocation in the middle of a renewal, at the one moment that a race rarely meets.

use std::sync::{Arc, Mutex, OnceLock};

use liquid_session::clock::Timestamp;
use liquid_session::store::{
    Forward, IndexLine, Loaded, Record, Revoke, SessionStore, StoreKey, Swap, Swapped, Touch,
};
use liquid_session::{Error, MemoryStore, SessionConfig, Sessions};

/// A renewal that has added its line to the user's index, and has not moved the session yet.
struct Move {
    from: StoreKey,
    before: Record,
    after: Record,
    forward: Forward,
}

/// Adds an index line before it moves the session, as a store with an index elsewhere does, and lets a
/// revocation look in between.
#[derive(Default)]
struct Slow {
    inner: MemoryStore,
    half_done: Mutex<Option<Move>>,
    /// Revokes all sessions of the user from inside the next move.
    revoking: OnceLock<Sessions>,
}

impl Slow {
    fn complete(&self, now: Timestamp) -> Result<(), Error> {
        let Some(half) = self.half_done.lock().unwrap().take() else {
            return Ok(());
        };
        let swap = Swap::Move {
            before: &half.before,
            after: &half.after,
            forward: half.forward,
        };
        assert_eq!(self.inner.swap(&half.from, swap, now)?, Swapped::Done);
        Ok(())
    }
}

impl SessionStore for Slow {
    fn load(&self, key: &StoreKey, now: Timestamp) -> Result<Loaded, Error> {
        let loaded = self.inner.load(key, now)?;
        let early = {
            let half = self.half_done.lock().unwrap();
            half.as_ref().is_some_and(|half| half.forward.to == *key)
        };
        if early {
            assert_eq!(loaded, Loaded::Absent);
            self.complete(now)?;
        }
        Ok(loaded)
    }

    fn swap(&self, key: &StoreKey, swap: Swap<'_>, now: Timestamp) -> Result<Swapped, Error> {
        match swap {
            Swap::Move {
                before,
                after,
                forward,
            } if self.revoking.get().is_some() => {
                *self.half_done.lock().unwrap() = Some(Move {
                    from: *key,
                    before: before.clone(),
                    after: after.clone(),
                    forward,
                });
                let sessions = self.revoking.get().unwrap();
                let ended = sessions.revoke("ann", Revoke::All)?;
                assert_eq!(ended, 1, "the session that was being renewed is alive");
                Ok(Swapped::Done)
            }
            swap => self.inner.swap(key, swap, now),
        }
    }

    fn user_index(&self, user: &str, now: Timestamp) -> Result<Vec<IndexLine>, Error> {
        let mut lines = self.inner.user_index(user, now)?;
        if let Some(half) = &*self.half_done.lock().unwrap() {
            let (id, key) = (half.after.id(), half.forward.to);
            lines.insert(0, IndexLine { id, key });
        }
        Ok(lines)
    }

    fn touch(&self, key: &StoreKey, touch: &Touch<'_>) -> Result<(), Error> {
        self.inner.touch(key, touch)
    }

    fn sweep(&self, now: Timestamp, max: usize) -> Result<usize, Error> {
        self.inner.sweep(now, max)
    }

    fn scan(
        &self,
        now: Timestamp,
        visit: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        self.inner.scan(now, visit)
    }

    fn ping(&self) -> Result<(), Error> {
        self.inner.ping()
    }
}

#[test]
fn ends_a_session_whose_new_key_it_looked_at_too_early() {
    let store = Arc::new(Slow::default());
    let sessions = Sessions::new(store.clone(), SessionConfig::default());
    let session = sessions.open(None);
    session.login("ann").unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();

    store.revoking.set(sessions.clone()).unwrap();
    let session = sessions.open(Some(&cookie));
    session.renew().unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    assert_eq!(sessions.open(Some(&cookie)).user().unwrap(), None);
    assert!(sessions.user_sessions("ann").unwrap().is_empty());
}
