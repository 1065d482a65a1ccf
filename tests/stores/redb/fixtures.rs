//! Files of version 1, which every later version must read. `fixtures/records/v1.*` are never edited;
//! `WRITE_FIXTURES=1` writes those that are not there, for the version that follows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use liquid_session::Login;
use liquid_session::clock::{Clock as _, ManualClock, Timestamp};
use liquid_session::store::{Record, RedbStore, SessionStore as _};
use liquid_session::{SessionConfig, Sessions, Value};
use time::macros::{date, datetime};

use super::support::{check_tables, cookie};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/records")
        .join(name)
}

/// One of each type, and what is easily lost: signs, extremes, types that look alike, order.
fn values() -> Vec<(&'static str, Value)> {
    let object = BTreeMap::from([
        ("sku".to_owned(), Value::from("A-1")),
        ("any text: żółć \u{1F34E}\0".to_owned(), Value::from(2)),
        ("".to_owned(), Value::Nil),
        (
            "deep".to_owned(),
            Value::from(vec![
                Value::from(vec![1.5, -0.0]),
                Value::from(BTreeMap::new()),
            ]),
        ),
    ]);
    vec![
        ("text", "żółć \u{1F34E}\n\0".into()),
        ("like_a_date", "2026-01-02".into()),
        ("like_a_number", "007".into()),
        ("zero", 0.into()),
        ("greatest", i64::MAX.into()),
        ("least", i64::MIN.into()),
        ("one", 1.0.into()),
        ("tenth", 0.1.into()),
        ("huge", 1e300.into()),
        ("tiny", f64::from_bits(1).into()),
        ("minus_zero", (-0.0).into()),
        ("yes", true.into()),
        ("no", false.into()),
        ("day", date!(2026 - 02 - 28).into()),
        ("first_day", date!(0001 - 01 - 01).into()),
        (
            "moment",
            datetime!(2026-03-29 02:30:15.123456789 +05:45).into(),
        ),
        (
            "before_1970",
            datetime!(1899-12-31 23:59:59 -00:44:30).into(),
        ),
        (
            "list",
            Value::from(vec![Value::from("a"), 1.into(), 1.0.into(), true.into()]),
        ),
        ("object", object.into()),
    ]
}

/// `==` takes 0.0 for -0.0.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Float(found), Value::Float(expected)) => found.to_bits() == expected.to_bits(),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| same(f, e))
        }
        (Value::Object(found), Value::Object(expected)) => {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(f, e)| f.0 == e.0 && same(f.1, e.1))
        }
        _ => found == expected,
    }
}

const LATER: Duration = Duration::from_secs(600);

fn check_rich(record: &Record) {
    let start = ManualClock::new().now();
    assert_eq!(record.user(), Some("u-1 żółć"));
    assert_eq!(record.created(), start);
    assert_eq!(record.last_used(), start + LATER);
    assert_eq!(record.idle_timeout(), Duration::from_secs(90 * 60));
    assert_eq!(record.ends(), start + Duration::from_secs(24 * 60 * 60));
    assert_eq!(record.version(), 2);
    let values = values();
    for (key, expected) in &values {
        let found = record.get(key).unwrap().unwrap_or_default();
        assert!(
            same(&found, expected),
            "{key}: found {found:?}, expected {expected:?}"
        );
    }
    assert_eq!(record.len(), values.len());
}

/// Three sessions: one with everything in it, a second one of the same user, one of nobody.
fn write(path: &Path) {
    let clock = ManualClock::new();
    let config = SessionConfig::builder()
        .absolute_timeout_minutes(24 * 60)
        .build()
        .unwrap();
    let sessions = Sessions::new(RedbStore::open(path).unwrap(), config).with_clock(clock.clone());
    let rich = sessions.open(None);
    rich.set("text", "overwritten").unwrap();
    let secret = cookie(&rich);
    clock.advance(LATER);
    let rich = sessions.open(Some(&secret));
    for (key, value) in values() {
        rich.set(key, value).unwrap();
    }
    rich.login(Login::new("u-1 żółć").timeout(Duration::from_secs(90 * 60)))
        .unwrap();
    cookie(&rich);
    let second = sessions.open(None);
    second.login("u-1 żółć").unwrap();
    cookie(&second);
    let third = sessions.open(None);
    third.set("color", "dark").unwrap();
    cookie(&third);
}

fn rich(store: &RedbStore, now: Timestamp) -> Record {
    let mut rich = None;
    store
        .scan(now, &mut |_, record| {
            if record.len() > 1 {
                rich = Some(record.clone());
            }
            true
        })
        .unwrap();
    rich.unwrap()
}

/// Does nothing unless it is asked to, and never overwrites.
#[test]
fn fixtures_are_written_on_request() {
    if std::env::var_os("WRITE_FIXTURES").is_none() {
        return;
    }
    let path = fixture("v1.redb");
    assert!(!path.exists(), "a fixture is never edited");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write(&path);
    // Smaller, for those who clone this.
    redb::Database::open(&path).unwrap().compact().unwrap();
    let store = RedbStore::open(&path).unwrap();
    std::fs::write(
        fixture("v1.record"),
        rich(&store, ManualClock::new().now()).to_bytes(),
    )
    .unwrap();
}

#[test]
fn a_record_of_version_1_still_reads() {
    let bytes = std::fs::read(fixture("v1.record")).unwrap();
    let record = Record::from_bytes(&bytes).unwrap();
    check_rich(&record);
    // And as long as version 1 is the newest, that is what is written.
    assert_eq!(record.to_bytes(), bytes);
}

#[test]
fn a_database_of_version_1_still_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v1.redb");
    std::fs::copy(fixture("v1.redb"), &path).unwrap();
    let now = ManualClock::new().now() + LATER;
    let store = RedbStore::open(&path).unwrap();
    check_rich(&rich(&store, now));
    let mut colors = Vec::new();
    let mut sessions = 0;
    store
        .scan(now, &mut |_, record| {
            sessions += 1;
            colors.extend(record.get("color").unwrap());
            true
        })
        .unwrap();
    assert_eq!(sessions, 3);
    assert_eq!(colors, [Value::from("dark")]);
    assert_eq!(store.user_sessions("u-1 żółć", now).unwrap().len(), 2);
    // The sweep finds them by their deadlines: the one with 90 minutes first.
    let after_90_minutes = now + Duration::from_secs(90 * 60);
    assert_eq!(store.sweep(after_90_minutes, 10).unwrap(), 1);
    assert_eq!(
        store
            .user_sessions("u-1 żółć", after_90_minutes)
            .unwrap()
            .len(),
        1
    );
    drop(store);
    assert_eq!(check_tables(&path), 2);
}
