//! Between a check and what follows from it nobody gets in: 14 (ASVS 5.0, 15.4.2).

use liquid_session::store::{MemoryStore, Revoke, SessionStore};
use liquid_session::{ErrorKind, SessionConfig, Sessions, Status};

use super::{THREADS, cookie, together};

#[test]
fn security_14_check_and_act_are_one_step_in_memory() {
    check_and_act(MemoryStore::new());
}

#[cfg(feature = "redb")]
#[test]
fn security_14_check_and_act_are_one_step_in_redb() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    check_and_act(liquid_session::store::RedbStore::open(path).unwrap());
}

#[cfg(feature = "postgres")]
#[test]
fn security_14_check_and_act_are_one_step_in_postgres() {
    check_and_act(crate::postgres_store::Served::new());
}

#[cfg(feature = "redis")]
#[test]
fn security_14_check_and_act_are_one_step_in_redis() {
    let Some(server) = crate::redis_server::RedisServer::start(&[]) else {
        return;
    };
    let store = liquid_session::store::RedisStore::builder(&server.url())
        .timeout(std::time::Duration::from_secs(60))
        .build();
    check_and_act(store.unwrap());
}

fn check_and_act(store: impl SessionStore) {
    let config = SessionConfig::builder().max_keys(4).build().unwrap();
    let sessions = Sessions::new(store, config);
    for _ in 0..20 {
        what_was_read_is_still_so(&sessions);
        a_limit_is_not_passed_by_two_at_once(&sessions);
        a_secret_is_replaced_once(&sessions);
        a_revoked_session_takes_no_write(&sessions);
    }
    let listed = sessions.user_sessions("alice").unwrap();
    assert_eq!(listed, [], "a session escaped");
}

/// "Is there a coupon? Then spend it." "How many are there? Then one more."
fn what_was_read_is_still_so(sessions: &Sessions) {
    let session = sessions.open(None);
    session.set("coupon", "one").unwrap();
    let cookie = cookie(&session);
    let taken = together(|_| {
        let session = sessions.open(Some(&cookie));
        let coupon = session.take("coupon")?;
        let _ = session.transaction(|session| {
            let n = session.get_as::<usize>("n")?.unwrap_or(0);
            session.set("n", n + 1)
        })?;
        Ok(coupon)
    });
    let taken: Vec<_> = taken.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken, ["one".into()], "one coupon, spent once");
    let n = sessions.open(Some(&cookie)).get_as("n").unwrap();
    assert_eq!(n, Some(THREADS));
}

/// "Is there room? Then store it."
fn a_limit_is_not_passed_by_two_at_once(sessions: &Sessions) {
    let session = sessions.open(None);
    session.set("begun", true).unwrap();
    let cookie = cookie(&session);
    let stored = together(|thread| {
        let session = sessions.open(Some(&cookie));
        session.set(&format!("key{thread}"), thread)?;
        session.commit()
    });
    let keys = sessions.open(Some(&cookie)).keys().unwrap();
    assert_eq!(keys.len(), 4, "max_keys: {keys:?}");
    let refused = stored.iter().filter_map(|result| result.as_ref().err());
    let kinds: Vec<_> = refused.map(liquid_session::Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::Limit; THREADS - 3]);
}

/// "Does the secret open a session? Then give that one a new secret."
fn a_secret_is_replaced_once(sessions: &Sessions) {
    let session = sessions.open(None);
    session.set("begun", true).unwrap();
    let old = cookie(&session);
    let outcomes = together(|_| {
        let session = sessions.open(Some(&old));
        session.get("begun")?;
        session.renew()?;
        session.commit()
    });
    let alive = outcomes
        .into_iter()
        .filter_map(|outcome| outcome.unwrap().secret().map(|secret| secret.expose()))
        .filter(|secret| sessions.open(Some(secret)).contains("begun").unwrap())
        .count();
    assert_eq!(alive, 1, "one session has one secret");
    assert!(!sessions.open(Some(&old)).contains("begun").unwrap());
}

/// "Is it there? Then write, renew, record the use."
fn a_revoked_session_takes_no_write(sessions: &Sessions) {
    let session = sessions.open(None);
    session.set("begun", true).unwrap();
    session.login("alice").unwrap();
    let cookie = cookie(&session);
    let requests: Vec<_> = (0..THREADS).map(|_| sessions.open(Some(&cookie))).collect();
    for request in &requests {
        assert!(request.contains("begun").unwrap(), "loaded before the end");
    }
    let secrets = together(|thread| {
        let request = &requests[thread];
        if thread == 0 {
            sessions.revoke("alice", Revoke::All)?;
            return Ok(None);
        }
        if thread % 2 == 0 {
            request.renew()?;
        }
        request.increment("n", 1)?;
        let outcome = request.commit()?;
        assert_ne!(outcome.status(), Status::Created);
        Ok(outcome.secret().map(|secret| secret.expose()))
    });
    let secrets = secrets.into_iter().filter_map(Result::unwrap);
    for secret in secrets.chain([cookie]) {
        let session = sessions.open(Some(&secret));
        assert!(session.keys().unwrap().is_empty(), "it came back to life");
    }
}
