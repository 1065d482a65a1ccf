//! What `Session::activity` says of a request.

use liquid_session::{
    Activity, Error, MemoryStore, ParserBuilderExt as _, Session, SessionConfig, Sessions,
};

struct Bench(Sessions, String);

impl Bench {
    /// A session with the keys `a` and `b`.
    fn new() -> Self {
        let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
        let session = sessions.open(None);
        session.set("a", 1).unwrap();
        session.set("b", 2).unwrap();
        let cookie = session.commit().unwrap().secret().unwrap().expose();
        Self(sessions, cookie)
    }

    fn open(&self) -> Session {
        self.0.open(Some(&self.1))
    }

    /// What a page does, before its commit.
    fn page(&self, session: &Session, text: &str) -> Activity {
        let parser = liquid::ParserBuilder::with_stdlib().sessions().build();
        let page = parser.unwrap().parse(text).unwrap();
        let done = session.transaction(|session| {
            session.render(&page, &liquid::Object::new())?;
            Ok::<_, Error>(session.activity())
        });
        done.unwrap().0
    }
}

#[test]
fn an_untouched_page_has_done_nothing() {
    let bench = Bench::new();
    let session = bench.open();
    assert_eq!(bench.page(&session, "Hello"), Activity::default());
    assert_eq!(session.activity(), Activity::default());
    assert!(!session.is_accessed(), "asking is no use");
}

#[test]
fn a_page_names_what_it_reads_and_writes() {
    let bench = Bench::new();
    let session = bench.open();
    let text = "{{ context.session.b }}{{ context.session.a }}{{ context.session.none }}{% session c = 'x' %}{% session a = null %}";
    let page = bench.page(&session, text);
    assert_eq!(page.read, ["a", "b", "none"]);
    assert_eq!(page.written, ["a", "c"]);
    assert!(!page.read_all && !page.cleared);
    assert_eq!((page.loads, page.commits), (1, 0));
    let done = session.activity();
    assert_eq!((done.loads, done.commits), (1, 1));
    assert!(done.read.is_empty() && done.written.is_empty());

    // As the limit counts them: by its message when it is one byte too low.
    let refused = |max_bytes| {
        let config = SessionConfig::builder()
            .max_bytes(max_bytes)
            .build()
            .unwrap();
        let session = Sessions::new(MemoryStore::new(), config).open(None);
        session
            .set("b", 2)
            .and_then(|()| session.set("c", "x"))
            .is_err()
    };
    assert!(refused(page.bytes - 1) && !refused(page.bytes));

    let session = bench.open();
    let page = bench.page(
        &session,
        "{% for pair in context.session %}{% endfor %}{% session = null %}",
    );
    assert!(page.read_all && page.cleared);
    assert_eq!((page.bytes, page.written.len()), (0, 0));
}

/// Each attempt of a transaction loads.
#[test]
fn loads_and_commits_are_those_of_the_counters() {
    let bench = Bench::new();
    let before = bench.0.counters();
    let (session, other) = (bench.open(), bench.open());
    let mut first = true;
    let done = session.transaction(|session| {
        let a = session.get_as::<i64>("a")?.unwrap_or_default();
        if std::mem::take(&mut first) {
            other.set("a", 5)?;
            drop(other.commit()?);
        }
        session.set("a", a + 1)
    });
    drop(done.unwrap());
    let of_other = other.activity();
    let own = session.activity();
    assert_eq!((of_other.loads, of_other.commits), (1, 1));
    assert_eq!((own.loads, own.commits), (2, 1));

    let taker = bench.open();
    assert_eq!(taker.take("a").unwrap(), Some(6.into()));
    assert_eq!((taker.activity().loads, taker.activity().commits), (1, 1));

    let after = bench.0.counters();
    assert_eq!(
        (after.loads - before.loads, after.commits - before.commits),
        (4, 3)
    );
}
