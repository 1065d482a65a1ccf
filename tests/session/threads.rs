//! Real threads on one session.

use liquid_session::{Error, MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions, Status};

const THREADS: usize = 8;

fn together(work: impl Fn(usize) -> Result<(), Error> + Sync) {
    let start = std::sync::Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(thread).unwrap();
            });
        }
    });
}

fn begin(sessions: &Sessions) -> String {
    let session = sessions.open(None);
    session.set("begun", true).unwrap();
    session.commit().unwrap().secret().unwrap().expose()
}

#[test]
fn eight_thousand_transactions_count_to_eight_thousand() {
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let cookie = begin(&sessions);
    together(|_| {
        for _ in 0..1_000 {
            let (_, outcome) = sessions.open(Some(&cookie)).transaction(|session| {
                let n = session.get_as::<u64>("n")?.unwrap_or(0);
                session.set("n", n + 1)
            })?;
            assert_eq!(outcome.status(), Status::Changed);
        }
        Ok(())
    });
    let n = sessions.open(Some(&cookie)).get_as::<u64>("n").unwrap();
    assert_eq!(n, Some(8_000));
}

#[test]
fn different_keys_need_no_transaction() {
    let config = SessionConfig::builder()
        .max_keys(1_000)
        .max_bytes(100_000)
        .build()
        .unwrap();
    let sessions = Sessions::new(MemoryStore::new(), config);
    let cookie = begin(&sessions);
    together(|thread| {
        for n in 0..100 {
            let session = sessions.open(Some(&cookie));
            session.set(&format!("key_{thread}_{n}"), n)?;
            assert_eq!(session.commit()?.status(), Status::Changed);
        }
        Ok(())
    });
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.keys().unwrap().len(), 1 + THREADS * 100);
    for thread in 0..THREADS {
        for n in 0..100 {
            let key = format!("key_{thread}_{n}");
            assert_eq!(session.get_as::<u64>(&key).unwrap(), Some(n), "{key}");
        }
    }
}

#[test]
fn eight_thousand_rendered_transactions_count_to_eight_thousand() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    let page = parser
        .parse("{% session n = context.session.n | default: 0 | plus: 1 %}{{ context.session.n }}")
        .unwrap();
    let globals = liquid::Object::new();
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let cookie = begin(&sessions);
    together(|_| {
        for _ in 0..1_000 {
            let session = sessions.open(Some(&cookie));
            let (_, outcome) = session.transaction(|session| session.render(&page, &globals))?;
            assert_eq!(outcome.status(), Status::Changed);
        }
        Ok(())
    });
    let n = sessions.open(Some(&cookie)).get_as::<u64>("n").unwrap();
    assert_eq!(n, Some(8_000));
}
