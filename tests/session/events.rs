//! The table of events in the guide, and what is really emitted: the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::damaging::{Damage, Damaging};
use liquid_session::clock::{ManualClock, Timestamp};
use liquid_session::config::SensitiveData;
use liquid_session::store::{
    IndexLine, Loaded, Record, Revoke, SessionStore, StoreKey, Swap, Swapped, Touch,
};
use liquid_session::{
    Answer, Error, ErrorKind, MemoryStore, ParserBuilderExt as _, Session, SessionConfig, Sessions,
};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/observability.md");

/// Level and message.
type Name = (String, String);

/// The fields that an event always has, and those that it may have.
#[derive(Debug, Default, PartialEq)]
struct Fields {
    always: BTreeSet<String>,
    sometimes: BTreeSet<String>,
}

/// The rows of the table under a heading of the guide.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(GUIDE).unwrap();
    let (_, section) = text.split_once(&format!("# {heading}\n")).unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

fn documented() -> BTreeMap<Name, Fields> {
    let event = |row: &Vec<String>| {
        let mut fields = Fields::default();
        for field in row[2].split(", ").filter(|field| !field.is_empty()) {
            let name = field.trim_end_matches('?').trim_matches('`').to_owned();
            match field.ends_with('?') {
                true => fields.sometimes.insert(name),
                false => fields.always.insert(name),
            };
        }
        (
            (row[0].trim_matches('`').to_owned(), row[1].clone()),
            fields,
        )
    };
    table("Events").iter().map(event).collect()
}

/// Every event that was emitted: its name, and its fields with what was in them.
#[derive(Clone, Default)]
struct Emitted(Arc<Mutex<Vec<Event>>>);

type Event = (Name, BTreeMap<String, String>);

impl<S: tracing::Subscriber> Layer<S> for Emitted {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Values::default();
        event.record(&mut fields);
        assert_eq!(event.metadata().target(), "liquid_session");
        let message = fields.0.remove("message").unwrap();
        let name = (event.metadata().level().to_string(), message);
        self.0.lock().unwrap().push((name, fields.0));
    }
}

#[derive(Default)]
struct Values(BTreeMap<String, String>);

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Emitted {
    /// What all events of a name have in common, and what only some of them have.
    fn summary(&self) -> BTreeMap<Name, Fields> {
        let mut seen: BTreeMap<Name, Vec<BTreeSet<String>>> = BTreeMap::new();
        for (name, fields) in &*self.0.lock().unwrap() {
            let fields = fields.keys().cloned().collect();
            seen.entry(name.clone()).or_default().push(fields);
        }
        seen.into_iter()
            .map(|(name, all)| {
                let any: BTreeSet<_> = all.iter().flatten().cloned().collect();
                let everywhere = |field: &String| all.iter().all(|one| one.contains(field));
                let (always, sometimes) = any.into_iter().partition(everywhere);
                (name, Fields { always, sometimes })
            })
            .collect()
    }

    fn values(&self, message: &str, field: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter()
            .filter(|((_, text), _)| text == message)
            .filter_map(|(_, fields)| fields.get(field).cloned())
            .collect()
    }
}

/// Commits, and gives the new cookie.
fn stored(session: &Session) -> String {
    session.commit().unwrap().secret().unwrap().expose()
}

fn begin(sessions: &Sessions) -> String {
    let session = sessions.open(None);
    session.set("color", "dark").unwrap();
    stored(&session)
}

fn sign_in(sessions: &Sessions, cookie: &str) -> String {
    let session = sessions.open(Some(cookie));
    session.login("alice").unwrap();
    stored(&session)
}

/// Each event of the guide, and those with a field that may be missing both with it and without.
fn drive_all(sessions: &Sessions, clock: &ManualClock) {
    let cookie = sign_in(sessions, &begin(sessions));
    let foreign = sessions.open(Some(&cookie));
    foreign.only_for("bob").unwrap();
    assert_eq!(foreign.get("color").unwrap(), None);

    let page = sessions.open(Some(&cookie));
    let rival = sessions.open(Some(&cookie));
    let mut first = true;
    let done = page.transaction(|page| {
        page.increment("n", 1)?;
        if std::mem::take(&mut first) {
            rival.increment("n", 1)?;
            let _ = rival.commit()?;
        }
        Ok::<_, Error>(())
    });
    assert!(done.is_ok());

    let session = sessions.open(None);
    session.set("note", "4111111111111111").unwrap();
    session.set("5555555555554444", "a").unwrap();

    // Ended by a request that had loaded it, and by one that had not.
    let slow = sessions.open(Some(&cookie));
    slow.set("slow", 1).unwrap();
    let leaving = sessions.open(Some(&cookie));
    leaving.get("color").unwrap();
    leaving.logout().unwrap();
    sessions.open(Some(&begin(sessions))).logout().unwrap();
    let _ = slow.commit().unwrap();
    // The handle of what is gone is not known any more.
    slow.set("slow", 2).unwrap();
    let _ = slow.commit().unwrap();
    sessions.open(Some(&cookie)).get("color").unwrap();

    let parser = liquid::ParserBuilder::with_stdlib();
    let parser = parser.sessions().build().unwrap();
    let typo = parser.parse("{% session cart = session.cart %}").unwrap();
    let session = sessions.open(None);
    session.render(&typo, &liquid::Object::new()).unwrap();

    let (own, planted) = (begin(sessions), begin(sessions));
    let header = format!("__Host-sid={own}; __Host-sid={planted}");
    let session = sessions.open_from_headers([&header]);
    assert_eq!(session.get("color").unwrap(), None);

    sign_in(sessions, &begin(sessions));
    assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 1);
    begin(sessions);
    clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    assert!(sessions.sweep(10).unwrap() > 0);
}

/// A store that can't be reached, which has a cause; and one that is full, which has none.
fn fail() {
    let full = Sessions::new(MemoryStore::with_capacity(0), SessionConfig::default());
    let session = full.open(None);
    session.set("a", 1).unwrap();
    session.commit().unwrap_err();
    let down = Sessions::new(Down, SessionConfig::default());
    let forged = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    down.open(Some(forged)).get("a").unwrap_err();
}

struct Down;

impl Down {
    fn error<T>() -> Result<T, Error> {
        Err(Error::with_source(
            ErrorKind::Unavailable,
            "the session store can't be reached",
            "refused",
        ))
    }
}

impl SessionStore for Down {
    fn load(&self, _: &StoreKey, _: Timestamp) -> Result<Loaded, Error> {
        Self::error()
    }

    fn swap(&self, _: &StoreKey, _: Swap<'_>, _: Timestamp) -> Result<Swapped, Error> {
        Self::error()
    }

    fn touch(&self, _: &StoreKey, _: &Touch<'_>) -> Result<(), Error> {
        Self::error()
    }

    fn user_index(&self, _: &str, _: Timestamp) -> Result<Vec<IndexLine>, Error> {
        Self::error()
    }

    fn sweep(&self, _: Timestamp, _: usize) -> Result<usize, Error> {
        Self::error()
    }

    fn scan(
        &self,
        _: Timestamp,
        _: &mut dyn FnMut(&StoreKey, &Record) -> bool,
    ) -> Result<(), Error> {
        Self::error()
    }

    fn ping(&self) -> Result<(), Error> {
        Self::error()
    }
}

/// Records that can't be read: a value of one, the whole of one, and one of a newer form.
fn damage() {
    let store = Damaging::default();
    let sessions = Sessions::new(store.clone(), SessionConfig::default());
    for damage in [Damage::Value, Damage::Record] {
        store.set(Damage::None);
        let cookie = sign_in(&sessions, &begin(&sessions));
        store.set(damage);
        let session = sessions.open(Some(&cookie));
        assert_eq!(session.get("color").unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(session.finish(Answer::Good).error.is_some());
        store.set(Damage::None);
        assert_eq!(sessions.open(Some(&cookie)).get("color").unwrap(), None);
    }
    let cookie = begin(&sessions);
    store.set(Damage::Record);
    sessions.open(Some(&cookie)).logout().unwrap();
    store.set(Damage::None);
    #[cfg(feature = "tower")]
    crate::handler::read(&sessions, &begin(&sessions));
    let cookie = sign_in(&sessions, &begin(&sessions));
    store.set(Damage::NewerForm);
    assert_eq!(sessions.open(Some(&cookie)).get("color").unwrap(), None);
    assert_eq!(sessions.user_sessions("alice").unwrap(), []);
    assert_eq!(sessions.revoke("alice", Revoke::All).unwrap(), 1);
}

/// A request over plain HTTP, as a server behind the layer gets it.
#[cfg(feature = "tower")]
fn plain_http() {
    use liquid_session::http::SessionLayer;
    use tower::{Service as _, service_fn};
    use tower_layer::Layer as _;
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let page = service_fn(async |_: http::Request<()>| Ok::<_, Error>(http::Response::new(())));
    let mut site = SessionLayer::new(sessions).layer(page);
    for _ in 0..2 {
        drop(site.call(http::Request::new(())));
    }
}

#[test]
fn the_guide_lists_what_is_emitted() {
    let emitted = Emitted::default();
    let subscriber = tracing_subscriber::registry().with(emitted.clone());
    let clock = ManualClock::new();
    let config = SessionConfig::builder()
        .sensitive_data(SensitiveData::Warn)
        .build()
        .unwrap();
    let sessions = Sessions::new(MemoryStore::new(), config).with_clock(clock.clone());
    tracing::subscriber::with_default(subscriber, || {
        drive_all(&sessions, &clock);
        fail();
        damage();
        #[cfg(feature = "tower")]
        plain_http();
    });
    let mut documented = documented();
    let plain_http = "a request over plain HTTP has no session";
    if !cfg!(feature = "tower") {
        documented.remove(&("WARN".to_owned(), plain_http.to_owned()));
    }
    assert_eq!(emitted.summary(), documented);
    let reasons = emitted.values(plain_http, "reason");
    assert!(
        reasons.len() <= 1,
        "one event for each reason, not for each request"
    );

    // A handle is a handle: the same one from the first event to the last.
    let created = emitted.values("session created", "session");
    let renewed = emitted.values("session renewed: its old secret is dead", "session");
    assert_eq!(created[0], renewed[0]);
    assert_eq!(created[0].len(), 36, "not a public handle");
    assert_eq!(
        emitted.values("sensitive data in a session", "key"),
        ["note"]
    );
    assert_eq!(
        emitted.values("sessions of a user revoked", "count"),
        ["1", "1"]
    );
}

#[test]
fn the_guide_lists_every_counter() {
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let text = format!("{:?}", sessions.counters());
    let fields = text
        .trim_start_matches("Counters { ")
        .trim_end_matches(" }");
    let fields: Vec<_> = fields
        .split(", ")
        .map(|field| format!("`{}`", field.split_once(": ").unwrap().0))
        .collect();
    let rows = table("Counters");
    let listed: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(fields, listed);
}
