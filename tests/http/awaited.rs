//! A store with an async face: awaited loads, pages and commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use liquid_session::http::SessionLayer;
use liquid_session::store::Revoke;
use liquid_session::{
    Answer, Error, ErrorKind, ParserBuilderExt as _, Session, SessionConfig, Sessions, Status,
    Value,
};
use tokio::task::yield_now;

use crate::awaited_store::{Awaited, Moment};
use crate::support::Browser;

struct Bench {
    store: Awaited,
    sessions: Sessions,
}

impl Bench {
    fn new() -> Self {
        let store = Awaited::new();
        let sessions = Sessions::new(store.clone(), SessionConfig::default());
        Self { store, sessions }
    }

    /// The cookie of a session with `a: 1`.
    fn begin(&self) -> String {
        let session = self.sessions.open(None);
        session.set("a", 1).unwrap();
        session.commit().unwrap().secret().unwrap().expose()
    }

    fn open(&self, cookie: &str) -> Session {
        self.sessions.open(Some(cookie))
    }

    fn stored(&self, cookie: &str, key: &str) -> Option<Value> {
        self.open(cookie).get(key).unwrap()
    }

    /// Runs a page, and returns how often its closure ran and how many store calls it awaited. No call
    /// may block.
    async fn page(
        &self,
        cookie: Option<&str>,
        mut page: impl FnMut(&Session) -> Result<(), Error> + Send + 'static,
    ) -> (usize, usize) {
        let (awaited, blocking) = (self.store.awaited(), self.store.blocking());
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let session = self.sessions.open(cookie);
        let rendered = session.render_page(move |session| {
            counted.fetch_add(1, Ordering::SeqCst);
            page(session)
        });
        rendered.await.unwrap();
        assert!(session.finish_async(Answer::Good).await.error.is_none());
        assert_eq!(self.store.blocking(), blocking);
        (runs.load(Ordering::SeqCst), self.store.awaited() - awaited)
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn after_a_load_reads_and_writes_call_no_store() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let blocking = bench.store.blocking();
    let session = bench.open(&cookie);
    session.load().await.unwrap();
    session.load().await.unwrap();
    assert_eq!(session.get("a").unwrap(), Some(1.into()));
    assert_eq!(session.get_as::<u8>("a").unwrap(), Some(1));
    session.set("b", 2).unwrap();
    assert_eq!(session.keys().unwrap(), ["a", "b"]);
    assert_eq!(bench.store.awaited(), 1);
    assert!(session.finish_async(Answer::Good).await.error.is_none());
    assert_eq!(bench.store.awaited(), 2);
    assert_eq!(bench.store.blocking(), blocking);
    assert_eq!(bench.stored(&cookie, "b"), Some(2.into()));
}

#[tokio::test]
async fn a_page_pays_for_its_use_of_the_session_and_for_nothing_else() {
    let bench = Bench::new();
    let cookie = bench.begin();
    // Runs of the closure, and store calls.
    let untouched = bench.page(Some(&cookie), |_| Ok(())).await;
    assert_eq!(untouched, (1, 0));
    let read = bench.page(Some(&cookie), |session| {
        session.get("a")?;
        session.get("b").map(drop)
    });
    assert_eq!(read.await, (2, 1));
    let written = bench.page(Some(&cookie), |session| session.set("b", 1));
    assert_eq!(written.await, (2, 2));
    let nobody = bench.page(None, |session| session.get("a").map(drop));
    assert_eq!(nobody.await, (1, 0));
    let new = bench.page(None, |session| session.set("a", 1));
    assert_eq!(new.await, (1, 1));
    assert_eq!(bench.sessions.counters().loads, 2);
    assert_eq!(bench.sessions.counters().blocking_calls, 0);
}

#[tokio::test]
async fn the_run_before_the_load_counts_for_nothing() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    let page =
        "{% session typo = session.b %}{% if context.session.a == 1 %}one{% else %}none{% endif %}";
    let page = parser.parse(page).unwrap();
    let before = bench.sessions.counters();
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let see = seen.clone();
    let html = bench
        .open(&cookie)
        .render_page(move |session| {
            // A closure that swallows every error.
            see.lock().push(session.set("size", 0).unwrap_err().kind());
            see.lock()
                .push(session.set(&"k".repeat(129), 0).unwrap_err().kind());
            let failed = session.set("b", 1).and_then(|()| session.renew());
            see.lock().extend(failed.err().map(|error| error.kind()));
            let shown = session.render(&page, &liquid::object!({}));
            Ok::<_, Error>(shown.unwrap_or_else(|_| "failed".to_owned()))
        })
        .await
        .unwrap();
    assert_eq!(html, "one");
    let (key, limit) = (ErrorKind::Key, ErrorKind::Limit);
    assert_eq!(*seen.lock(), [key, limit, ErrorKind::NotLoaded, key, limit]);
    let after = bench.sessions.counters();
    assert_eq!(after.loads - before.loads, 1);
    assert_eq!(after.commits - before.commits, 1);
    assert_eq!(after.renewed - before.renewed, 1);
    assert_eq!(after.conflicts, before.conflicts);
    assert_eq!(after.refused - before.refused, 1, "counted once");
    assert_eq!(
        after.unknown_variables - before.unknown_variables,
        1,
        "and this"
    );
}

#[tokio::test]
async fn a_template_that_only_asks_is_broken_off_too() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    for (source, shown) in [
        (
            "{% if context.session.a %}yes{% else %}no{% endif %}",
            "yes",
        ),
        (
            "{% if context.session == blank %}none{% else %}some{% endif %}",
            "some",
        ),
        ("{{ context.session.size }}", "1"),
        (
            "{% for pair in context.session %}{{ pair[0] }}{% endfor %}",
            "a",
        ),
        ("{{ context.session.session_id | size }}", "36"),
    ] {
        let page = parser.parse(source).unwrap();
        // Straight through the engine, which swallows what a bare `if` meets.
        let render = move |session: &Session| {
            let globals = liquid::object!({});
            Ok::<_, Error>(page.render(&session.bind(&globals)).unwrap_or_default())
        };
        let html = bench.open(&cookie).render_page(render).await.unwrap();
        assert_eq!(html, shown, "{source}");
    }
}

#[tokio::test]
async fn a_load_that_fails_is_seen_by_the_closure() {
    let bench = Bench::new();
    let cookie = bench.begin();
    bench.store.set_down(true);
    let session = bench.open(&cookie);
    assert_eq!(kind(session.load().await), ErrorKind::Unavailable);
    let session = bench.open(&cookie);
    let page = session.render_page(|session| {
        let failed = session.get("a").unwrap_err();
        Err::<(), _>(Error::new(
            ErrorKind::Render,
            format!("{:?}", failed.kind()),
        ))
    });
    assert_eq!(page.await.unwrap_err().to_string(), "Unavailable");
    bench.store.set_down(false);
    session.discard();
    session.load().await.unwrap();
    assert_eq!(session.get("a").unwrap(), Some(1.into()));
}

#[tokio::test]
async fn a_conflict_loads_again_and_runs_the_closure_once_more() {
    // Broken off, in conflict, and stored: the second attempt has loaded before it runs.
    for (loaded_before, expected_runs) in [(false, 3), (true, 2)] {
        let bench = Bench::new();
        let cookie = bench.begin();
        let rival = bench.open(&cookie);
        let before = bench.sessions.counters();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let page = bench.open(&cookie);
        if loaded_before {
            page.load().await.unwrap();
        }
        let page = page.render_page(move |session| {
            counted.fetch_add(1, Ordering::SeqCst);
            let a = session.get_as::<i64>("a")?.unwrap_or(0);
            if a == 1 {
                rival.set("a", 10)?;
                let _ = rival.commit()?;
            }
            session.set("a", a + 1)
        });
        page.await.unwrap();
        assert_eq!(bench.stored(&cookie, "a"), Some(11.into()));
        let after = bench.sessions.counters();
        assert_eq!(after.conflicts - before.conflicts, 1);
        // Two of the page, one of its rival, and one of this test.
        assert_eq!(after.loads - before.loads, 4);
        assert_eq!(runs.load(Ordering::SeqCst), expected_runs);
    }
}

#[tokio::test]
async fn what_a_run_wrote_after_it_was_broken_off_is_taken_back() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let session = bench.open(&cookie);
    let page = session.render_page(|session| {
        if session.get("a").is_err() {
            // It acts at once, in the run that counts for nothing too.
            session.logout()?;
        }
        session.increment("n", 1)
    });
    assert_eq!(page.await.unwrap(), 1);
    assert_eq!(bench.stored(&cookie, "a"), None);
}

#[tokio::test]
async fn no_lock_is_held_while_the_store_is_awaited() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let session = bench.open(&cookie);
    bench.store.pause(Moment::Before);
    let (one, other) = (session.clone(), session.clone());
    let loads = [
        tokio::spawn(async move { one.load().await }),
        tokio::spawn(async move { other.load().await }),
    ];
    bench.store.stopped(2).await;
    assert!(session.is_accessed() && !session.has_changes());
    bench.store.resume();
    for load in loads {
        load.await.unwrap().unwrap();
    }
    assert_eq!(session.get("a").unwrap(), Some(1.into()));
    assert_eq!(bench.store.awaited(), 2);
}

#[tokio::test]
async fn an_answer_that_comes_late_undoes_nothing() {
    let bench = Bench::new();
    type Act = fn(&Session);
    // What another clone does meanwhile, and what the session shows then.
    let acts: [(Act, Option<i64>); 4] = [
        (
            |session| {
                session.set("a", 2).unwrap();
                let _ = session.commit().unwrap();
            },
            Some(2),
        ),
        (|session| session.set("a", 3).unwrap(), Some(3)),
        (|session| session.logout().unwrap(), None),
        (|session| session.only_for("bob").unwrap(), None),
    ];
    for (at, (act, shown)) in acts.into_iter().enumerate() {
        let session = bench.sessions.open(None);
        session.set("a", 1).unwrap();
        session.login("alice").unwrap();
        let cookie = session.commit().unwrap().secret().unwrap().expose();
        let session = bench.open(&cookie);
        bench.store.pause(Moment::After);
        let slow = session.clone();
        let load = tokio::spawn(async move { slow.load().await });
        bench.store.stopped(1).await;
        act(&session);
        bench.store.resume();
        load.await.unwrap().unwrap();
        assert_eq!(session.get("a").unwrap(), shown.map(Value::from), "{at}");
    }
}

#[tokio::test]
async fn nothing_reads_or_writes_a_session_that_is_being_committed() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let session = bench.open(&cookie);
    session.load().await.unwrap();
    bench.store.pause(Moment::Before);
    let page = session.clone();
    let page =
        tokio::spawn(async move { page.render_page(|session| session.increment("a", 1)).await });
    bench.store.stopped(1).await;
    assert_eq!(kind(session.get("a")), ErrorKind::Conflict);
    assert_eq!(kind(session.load().await), ErrorKind::Conflict);
    assert_eq!(kind(session.set("a", 7)), ErrorKind::Conflict);
    assert_eq!(kind(session.logout()), ErrorKind::Conflict);
    assert_eq!(kind(session.commit()), ErrorKind::Conflict);
    assert_eq!(
        kind(session.transaction(|session| session.set("a", 7))),
        ErrorKind::Conflict
    );
    session.discard();
    bench.store.resume();
    assert_eq!(page.await.unwrap().unwrap(), 2);
    assert_eq!(session.get("a").unwrap(), Some(2.into()));
    assert_eq!(bench.stored(&cookie, "a"), Some(2.into()));
}

#[tokio::test]
async fn nothing_is_written_from_the_moment_the_request_ends() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let session = bench.open(&cookie);
    session.load().await.unwrap();
    session.set("b", 1).unwrap();
    bench.store.pause(Moment::Before);
    let ending = session.clone();
    let finished = tokio::spawn(async move { ending.finish_async(Answer::Good).await });
    bench.store.stopped(1).await;
    assert_eq!(kind(session.set("late", 1)), ErrorKind::NoSession);
    bench.store.resume();
    assert!(finished.await.unwrap().error.is_none());
    assert_eq!(kind(session.set("late", 1)), ErrorKind::NoSession);
    assert_eq!(bench.stored(&cookie, "b"), Some(1.into()));
    assert_eq!(bench.stored(&cookie, "late"), None);
}

#[tokio::test]
async fn a_commit_that_is_dropped_is_not_known_to_be_stored() {
    for (moment, stored) in [(Moment::Before, 1), (Moment::After, 2)] {
        let bench = Bench::new();
        let cookie = bench.begin();
        let session = bench.open(&cookie);
        session.load().await.unwrap();
        bench.store.pause(moment);
        let page = session.clone();
        let page =
            tokio::spawn(
                async move { page.render_page(|session| session.increment("a", 1)).await },
            );
        bench.store.stopped(1).await;
        page.abort();
        assert!(page.await.unwrap_err().is_cancelled());
        bench.store.resume();
        assert_eq!(kind(session.get("a")), ErrorKind::Unconfirmed);
        assert_eq!(kind(session.set("a", 9)), ErrorKind::Unconfirmed);
        assert_eq!(kind(session.load().await), ErrorKind::Unconfirmed);
        session.discard();
        assert_eq!(session.get("a").unwrap(), Some(stored.into()));
        let finished = session.finish_async(Answer::Good).await;
        assert!(finished.error.is_none());
        assert_eq!(bench.stored(&cookie, "a"), Some(stored.into()));
    }
}

#[tokio::test]
async fn a_page_that_is_dropped_before_its_commit_leaves_what_was_pending_before() {
    let bench = Bench::new();
    let cookie = bench.begin();
    // It waits for a load, after a first run.
    let session = bench.open(&cookie);
    bench.store.pause(Moment::Before);
    let page = session.clone();
    let page = tokio::spawn(async move { page.render_page(|session| session.login("ann")).await });
    bench.store.stopped(1).await;
    page.abort();
    assert!(page.await.unwrap_err().is_cancelled());
    bench.store.resume();
    assert!(!session.has_changes());
    session.load().await.unwrap();
    session.set("mine", 1).unwrap();
    // It has met a conflict, and waits for the load of its next attempt.
    let rival = bench.open(&cookie);
    let store = bench.store.clone();
    let waiting = session.clone();
    let page = tokio::spawn(async move {
        let page = waiting.render_page(move |session| {
            session.get("a")?;
            rival.increment("a", 1)?;
            let _ = rival.commit()?;
            store.pause(Moment::Load);
            session.login("ann")
        });
        page.await
    });
    bench.store.stopped(1).await;
    page.abort();
    assert!(page.await.unwrap_err().is_cancelled());
    bench.store.resume();
    let changes = session.has_changes();
    let finished = session.finish_async(Answer::Good).await;
    assert!(finished.error.is_none(), "{:?}", finished.error);
    assert!(finished.cookie.is_none(), "nobody has signed in");
    assert!(changes);
    assert_eq!(bench.stored(&cookie, "mine"), Some(1.into()));
    assert!(bench.sessions.user_sessions("ann").unwrap().is_empty());
}

#[tokio::test]
async fn a_synchronous_transaction_beside_a_page_is_a_conflict_at_once() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let session = bench.open(&cookie);
    bench.store.pause(Moment::Before);
    let page = session.clone();
    let page =
        tokio::spawn(async move { page.render_page(|session| session.increment("a", 1)).await });
    bench.store.stopped(1).await;
    let begun = Instant::now();
    let beside = session.transaction(|session| session.increment("a", 1));
    assert_eq!(kind(beside), ErrorKind::Conflict);
    assert_eq!(kind(session.set("b", 1)), ErrorKind::Conflict);
    let finished = session.finish(Answer::Good);
    assert_eq!(finished.error.unwrap().kind(), ErrorKind::Conflict);
    assert!(begun.elapsed() < Duration::from_secs(5));
    bench.store.resume();
    assert_eq!(page.await.unwrap().unwrap(), 2);
    // Within the closure of a page, too.
    let nested = session.render_page(|session| {
        let inner = session.transaction(|session| session.increment("a", 1));
        assert_eq!(inner.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(session.commit().unwrap_err().kind(), ErrorKind::Conflict);
        session.increment("a", 1)
    });
    assert_eq!(nested.await.unwrap(), 3);
}

#[tokio::test]
async fn pages_of_one_request_wait_for_each_other_and_the_end_waits_for_them() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let session = bench.open(&cookie);
    let pages = (0..3).map(|_| {
        let session = session.clone();
        tokio::spawn(async move {
            let page = session.render_page(|session| {
                let a = session.get_as::<i64>("a")?.unwrap_or(0);
                session.set("a", a + 1)
            });
            page.await.is_err()
        })
    });
    let pages: Vec<_> = pages.collect();
    yield_now().await;
    // One of them is under way.
    let finished = session.finish_async(Answer::Good).await;
    assert!(finished.error.is_none());
    let mut refused = 0;
    for page in pages {
        refused += usize::from(page.await.unwrap());
    }
    let stored = bench.stored(&cookie, "a").unwrap();
    assert_eq!(stored, Value::from(4 - refused as i64));
    assert!(refused < 3);
}

#[tokio::test]
async fn what_may_wait_runs_on_another_thread() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let session = bench.open(&cookie);
    let here = std::thread::current().id();
    let taken = session.run(move |session| {
        assert_ne!(std::thread::current().id(), here);
        session.take("a")
    });
    assert_eq!(taken.await.unwrap(), Some(1.into()));
    // While a call blocks that thread, this one goes on, though the call holds the lock.
    let session = bench.open(&cookie);
    bench.store.pause(Moment::Blocking);
    let other = session.clone();
    let run = tokio::spawn(async move { other.run(|session| session.get("a")).await });
    bench.store.stopped(1).await;
    let waiting = session.clone();
    let load = tokio::spawn(async move { waiting.load().await });
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!load.is_finished());
    bench.store.resume();
    run.await.unwrap().unwrap();
    load.await.unwrap().unwrap();
}

#[tokio::test]
async fn work_that_has_not_begun_when_its_future_is_dropped_is_not_done() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    // The only blocking thread is busy.
    let (release, busy) = std::sync::mpsc::channel::<()>();
    let occupied = runtime.spawn_blocking(move || busy.recv().unwrap());
    let session = bench.open(&cookie);
    let leaving = runtime.spawn(async move { session.run(Session::logout).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    release.send(()).unwrap();
    occupied.await.unwrap();
    runtime.spawn_blocking(|| ()).await.unwrap();
    assert_eq!(bench.stored(&cookie, "a"), Some(1.into()));
    runtime.shutdown_background();
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_is_a_page_without_a_commit() {
    let bench = Bench::new();
    let session = bench.sessions.open(None);
    session.login("alice").unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    let session = bench.open(&cookie);
    let sessions = bench.sessions.clone();
    let page = session.render_page(move |session| {
        session.set("a", 1)?;
        sessions.revoke("alice", Revoke::All).map(drop)
    });
    page.await.unwrap();
    assert_eq!(session.get("a").unwrap(), None);
    let finished = session.finish_async(Answer::Good).await;
    assert!(finished.error.is_none());
    assert!(
        finished
            .cookie
            .is_none_or(|cookie| cookie.status() == Status::Gone)
    );
}

#[tokio::test]
async fn two_cookies_that_open_sessions_are_ended_without_a_blocking_call() {
    let bench = Bench::new();
    let cookies = [bench.begin(), bench.begin()];
    let blocking = bench.store.blocking();
    let headers = cookies
        .each_ref()
        .map(|cookie| format!("__Host-sid={cookie}"));
    let session = bench.sessions.open_from_headers(&headers);
    session.load().await.unwrap();
    assert_eq!(session.get("a").unwrap(), None);
    assert_eq!(bench.store.blocking(), blocking);
    assert_eq!(bench.sessions.counters().planted, 1);
    for cookie in &cookies {
        assert_eq!(bench.stored(cookie, "a"), None);
    }
}

#[tokio::test]
async fn a_page_whose_turn_does_not_come_is_a_conflict_after_ten_seconds() {
    let bench = Bench::new();
    let cookie = bench.begin();
    let count = |session: Session| async move {
        let page = session.render_page(|session| {
            let a = session.get_as::<i64>("a")?.unwrap_or(0);
            session.set("a", a + 1)
        });
        page.await
    };
    // The first one has the turn after a conflict, and its load stands still.
    let rival = bench.open(&cookie);
    let (store, session) = (bench.store.clone(), bench.open(&cookie));
    let first = tokio::spawn(async move {
        let page = session.render_page(move |session| {
            session.get("a")?;
            rival.increment("a", 1)?;
            let _ = rival.commit()?;
            store.pause(Moment::Load);
            session.set("b", 1)
        });
        page.await
    });
    bench.store.stopped(1).await;
    let waiting = bench.open(&cookie);
    waiting.set("mine", 1).unwrap();
    let begun = Instant::now();
    assert_eq!(kind(count(waiting.clone()).await), ErrorKind::Conflict);
    assert!(begun.elapsed() >= Duration::from_secs(10));
    first.abort();
    bench.store.resume();
    assert!(first.await.unwrap_err().is_cancelled());
    // What was pending before the page is still there, and the queue is empty.
    count(waiting.clone()).await.unwrap();
    assert_eq!(bench.stored(&cookie, "mine"), Some(1.into()));
}

/// Loads before it writes, and leaves the commit to the layer.
async fn mark(session: Session) -> Result<String, String> {
    let marked = async {
        session.load().await?;
        session.increment("n", 1)
    };
    marked
        .await
        .map(|n| n.to_string())
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_layer_awaits_its_commit() {
    let bench = Bench::new();
    let layer = SessionLayer::new(bench.sessions.clone()).assume_https();
    let app = Router::new().route("/", get(mark)).layer(layer);
    let mut browser = Browser::on(app, &bench.sessions);
    for n in 1..=3 {
        assert_eq!(browser.get("/").await.body, n.to_string());
    }
    bench.store.set_down(true);
    let answer = browser.get("/").await;
    let error = answer.extensions.get::<Error>().unwrap();
    assert_eq!(
        (answer.status.as_u16(), error.kind()),
        (503, ErrorKind::Unavailable)
    );
    assert_eq!(bench.store.blocking(), 0);
    assert_eq!(bench.sessions.counters().blocking_calls, 0);
}
