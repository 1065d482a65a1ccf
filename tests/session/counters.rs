//! Each counter moves with what it counts, and with nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::damaging::{Damage, Damaging};
use liquid_session::clock::ManualClock;
use liquid_session::config::SensitiveData;
use liquid_session::store::Revoke;
use liquid_session::{
    Answer, Error, ErrorKind, ParserBuilderExt as _, Session, SessionConfig, Sessions, Status,
};

const FORGED: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct Bench {
    sessions: Sessions,
    store: Damaging,
    clock: ManualClock,
    moved: BTreeSet<String>,
}

impl Bench {
    fn new(config: SessionConfig) -> Self {
        let clock = ManualClock::new();
        let store = Damaging::default();
        Self {
            sessions: Sessions::new(store.clone(), config).with_clock(clock.clone()),
            store,
            clock,
            moved: BTreeSet::new(),
        }
    }

    /// All counters by name, also those that this test has never heard of.
    fn read(&self) -> BTreeMap<String, u64> {
        let text = format!("{:?}", self.sessions.counters());
        let fields = text
            .trim_start_matches("Counters { ")
            .trim_end_matches(" }");
        fields
            .split(", ")
            .map(|field| field.split_once(": ").unwrap())
            .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
            .collect()
    }

    /// Runs a step, which moves these counters so far and no other.
    #[track_caller]
    fn step<T>(&mut self, expected: &[(&str, u64)], step: impl FnOnce(&Sessions) -> T) -> T {
        let before = self.read();
        let result = step(&self.sessions);
        let moved: BTreeMap<_, _> = self
            .read()
            .into_iter()
            .map(|(name, count)| (name.clone(), count - before[&name]))
            .filter(|(_, by)| *by > 0)
            .collect();
        let expected = expected.iter().map(|(name, by)| (name.to_string(), *by));
        assert_eq!(moved, expected.collect());
        self.moved.extend(moved.into_keys());
        result
    }
}

/// Commits, and gives the new cookie.
fn stored(session: &Session) -> String {
    session.commit().unwrap().secret().unwrap().expose()
}

fn begin(sessions: &Sessions) -> String {
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    stored(&session)
}

fn write(sessions: &Sessions, cookie: &str, key: &str) -> Status {
    let session = sessions.open(Some(cookie));
    session.set(key, 1).unwrap();
    session.commit().unwrap().status()
}

#[test]
fn each_step_moves_its_counters_and_no_other() {
    let config = SessionConfig::builder()
        .sensitive_data(SensitiveData::Warn)
        .build()
        .unwrap();
    let mut bench = Bench::new(config);

    bench.step(&[], |sessions| {
        let untouched = sessions.open(Some(FORGED));
        assert_eq!(untouched.commit().unwrap().status(), Status::Unchanged);
        // Nobody came with a cookie, so nobody asks the store.
        assert_eq!(sessions.open(None).get("a").unwrap(), None);
    });
    let cookie = bench.step(&[("commits", 1), ("created", 1)], begin);
    bench.step(&[("loads", 1)], |sessions| {
        let reader = sessions.open(Some(&cookie));
        reader.get("a").unwrap();
        reader.get("b").unwrap();
        let _ = reader.commit().unwrap();
    });
    bench.step(&[("loads", 1), ("commits", 1)], |sessions| {
        assert_eq!(write(sessions, &cookie, "b"), Status::Changed);
    });
    bench.step(&[("loads", 1), ("unknown_secrets", 1)], |sessions| {
        sessions.open(Some(FORGED)).get("a").unwrap();
    });

    let slow = bench.sessions.open(Some(&cookie));
    slow.set("slow", 1).unwrap();
    bench.step(&[("loads", 1), ("commits", 1)], |sessions| {
        write(sessions, &cookie, "fast");
    });
    bench.step(&[("commits", 1), ("merges", 1)], |_| {
        let _ = slow.commit().unwrap();
    });
    // A use that is recorded meanwhile is no change.
    let clock = bench.clock.clone();
    bench.step(&[("loads", 2), ("commits", 1)], |sessions| {
        slow.set("slow", 2).unwrap();
        clock.advance(Duration::from_secs(3600));
        let reader = sessions.open(Some(&cookie));
        reader.get("a").unwrap();
        let _ = reader.commit().unwrap();
        let _ = slow.commit().unwrap();
    });

    // What is taken is taken at once, and by no merge unless there is one.
    let slow = bench.sessions.open(Some(&cookie));
    slow.get("slow").unwrap();
    bench.step(&[("commits", 1)], |_| slow.take("slow").unwrap());
    bench.step(&[("commits", 1)], |_| {
        slow.set("b", 2).unwrap();
        let _ = slow.commit().unwrap();
    });
    slow.get("fast").unwrap();
    write(&bench.sessions, &cookie, "b");
    bench.step(&[("commits", 1), ("merges", 1)], |_| {
        slow.take("fast").unwrap()
    });

    // The rival's load and commit, and the transaction's two attempts.
    bench.step(
        &[("loads", 3), ("commits", 2), ("conflicts", 1)],
        |sessions| {
            let mut first = true;
            let page = sessions.open(Some(&cookie));
            let done = page.transaction(|page| {
                page.increment("n", 1)?;
                if std::mem::take(&mut first) {
                    write(sessions, &cookie, "n");
                }
                Ok::<_, Error>(())
            });
            assert!(done.is_ok());
        },
    );

    bench.step(&[("sensitive", 1)], |sessions| {
        sessions.open(None).set("password", "sesame").unwrap();
    });
    bench.step(&[("refused", 4)], |sessions| {
        let session = sessions.open(None);
        let long = "x".repeat(5_000);
        let deep = (0..40).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
        let refused = [
            session.set("long", &long),
            session.set("deep", deep),
            session.set(&long, 1),
            session.append("list", &long),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Limit);
        }
        // A mistake of the program, not a limit.
        assert_eq!(session.set("size", 1).unwrap_err().kind(), ErrorKind::Key);
    });

    let cookie = bench.step(
        &[("loads", 1), ("commits", 1), ("renewed", 1)],
        |sessions| {
            let session = sessions.open(Some(&cookie));
            session.login("alice").unwrap();
            stored(&session)
        },
    );
    bench.step(&[("loads", 1), ("foreign", 1)], |sessions| {
        let session = sessions.open(Some(&cookie));
        session.only_for("bob").unwrap();
        assert_eq!(session.get("a").unwrap(), None);
    });
    let slow = bench.sessions.open(Some(&cookie));
    slow.set("slow", 3).unwrap();
    bench.step(&[("ended", 1)], |sessions| {
        sessions.open(Some(&cookie)).logout().unwrap();
    });
    bench.step(&[("gone", 1)], |_| {
        assert_eq!(slow.commit().unwrap().status(), Status::Gone);
    });
    // What the same request writes afterwards is dropped as well.
    bench.step(&[("gone", 1)], |_| {
        slow.set("slow", 4).unwrap();
        assert_eq!(slow.commit().unwrap().status(), Status::Gone);
    });
    for _ in 0..3 {
        let session = bench.sessions.open(None);
        session.login("alice").unwrap();
        let _ = session.commit().unwrap();
    }
    bench.step(&[("ended", 3)], |sessions| {
        assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 3);
    });
    bench.step(&[], |sessions| {
        assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 0);
    });
    begin(&bench.sessions);
    bench.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    bench.step(&[("swept", 1)], |sessions| sessions.sweep(10).unwrap());

    for (damage, error) in [
        (Damage::Value, true),
        (Damage::Record, true),
        (Damage::NewerForm, false),
    ] {
        bench.store.set(Damage::None);
        let session = bench.sessions.open(None);
        session.set("a", "text").unwrap();
        let cookie = stored(&session);
        bench.store.set(damage);
        bench.step(&[("loads", 1), ("unreadable", 1)], |sessions| {
            let session = sessions.open(Some(&cookie));
            assert_eq!(session.get("a").is_err(), error);
            assert_eq!(session.finish(Answer::Good).error.is_some(), error);
        });
    }

    bench.store.set(Damage::None);
    bench.step(&[("unknown_variables", 1)], |sessions| {
        let parser = liquid::ParserBuilder::with_stdlib()
            .sessions()
            .build()
            .unwrap();
        let page = parser.parse("{% session a = session.b %}").unwrap();
        let session = sessions.open(None);
        session.render(&page, &liquid::object!({})).unwrap();
    });
    #[cfg(feature = "cookie")]
    {
        let cookies = [0; 2].map(|_| {
            let session = bench.sessions.open(None);
            session.set("a", 1).unwrap();
            format!("__Host-sid={}", stored(&session))
        });
        bench.step(&[("loads", 2), ("planted", 1)], |sessions| {
            let session = sessions.open_from_headers(&cookies);
            assert_eq!(session.get("a").unwrap(), None);
        });
    }

    #[cfg(feature = "tower")]
    {
        let cookie = begin(&bench.sessions);
        bench.step(&[("loads", 1), ("blocking_calls", 1)], |sessions| {
            crate::handler::read(sessions, &cookie);
        });
    }

    #[cfg(feature = "tower")]
    bench.step(&[("plain_http", 2)], |sessions| {
        use liquid_session::http::SessionLayer;
        use tower::{Service as _, service_fn};
        use tower_layer::Layer as _;
        let page = service_fn(async |_: http::Request<()>| Ok::<_, Error>(http::Response::new(())));
        let mut site = SessionLayer::new(sessions.clone()).layer(page);
        for _ in 0..2 {
            drop(site.call(http::Request::new(())));
        }
    });

    let mut all: BTreeSet<_> = bench.read().into_keys().collect();
    for (counter, there) in [
        ("planted", cfg!(feature = "cookie")),
        ("blocking_calls", cfg!(feature = "tower")),
        ("plain_http", cfg!(feature = "tower")),
    ] {
        if !there {
            all.remove(counter);
        }
    }
    assert_eq!(bench.moved, all, "a counter that no step moves");
}

#[test]
fn a_refusal_counts_whoever_refuses() {
    let config = SessionConfig::builder()
        .sensitive_data(SensitiveData::Deny)
        .max_keys(3)
        .build()
        .unwrap();
    let mut bench = Bench::new(config);
    bench.step(&[("sensitive", 1), ("refused", 1)], |sessions| {
        let refused = sessions.open(None).set("password", "sesame");
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Sensitive);
    });
    // Two requests that are within the limit each, and together are not: the store refuses.
    let cookie = begin(&bench.sessions);
    let slow = bench.sessions.open(Some(&cookie));
    slow.set("b", 1).unwrap();
    slow.set("c", 1).unwrap();
    write(&bench.sessions, &cookie, "d");
    bench.step(&[("refused", 1)], |_| {
        assert_eq!(slow.commit().unwrap_err().kind(), ErrorKind::Limit);
    });
}
