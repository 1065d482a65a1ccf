//! Records of stored form 1, which every later version must read. `fixtures/records/form1-*` are never
//! edited; `WRITE_FIXTURES=1` writes those that are missing, for the form that follows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use liquid_session::clock::Timestamp;
use liquid_session::store::{Change, Lifetime, Limits, Record};
use liquid_session::{ErrorKind, SessionId, Value};
use time::macros::{date, datetime};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_123);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ID: SessionId = SessionId::from_bytes([7; 16]);
const USER: &str = "u-1 żółć";

/// Where the flags stand, and where the user's name begins with its length.
const FLAGS: usize = 27;
const NAME: usize = 46;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/records")
        .join(format!("form1-{name}.record"))
}

fn read(name: &str) -> Record {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let record = Record::from_bytes(&bytes).unwrap();
    // As long as form 1 is the newest, it is what is written.
    assert_eq!(record.to_bytes(), bytes);
    record
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

/// Writes the check of the record, whose entries begin at a place and are those of another record
/// with one key.
fn check(bytes: &mut [u8], entries: usize, like: &Record) {
    let (key, value) = like.iter().next().unwrap();
    let index = &bytes[entries..entries + 5];
    let len = 5 + 1 + key.len() + value.len();
    let covered = [
        &bytes[..9],
        &bytes[FLAGS..=FLAGS],
        &bytes[FLAGS + 3..entries],
        index,
        &u32::try_from(len).unwrap().to_le_bytes(),
        key.as_bytes(),
    ];
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_IBM_SDLC);
    let check = crc.checksum(&covered.concat()).to_le_bytes();
    bytes[FLAGS + 1..FLAGS + 3].copy_from_slice(&check);
}

/// A session without a user or a key; one of each value; one of a user with a timeout of its own, used
/// again after ten minutes; and that one with a label and a persistent cookie.
fn examples() -> [(&'static str, Vec<u8>); 4] {
    let limits = Limits {
        max_bytes: 1 << 20,
        max_keys: 100,
    };
    let begin = || Change::new(limits, Lifetime::new(DAY)).create(ID);
    let record = |change: Change| change.created(START).unwrap().unwrap();
    let mut rich = begin();
    for (key, value) in values() {
        rich = rich.set(key, &value);
    }
    let mut used = record(begin().set("a", &1.into()).login(USER, Some(HOUR)));
    let later = used.clone();
    used.touch(
        &later
            .touch_due(&Lifetime::new(DAY), START + HOUR / 6)
            .unwrap(),
    );
    let mut labelled = used.to_bytes();
    labelled[FLAGS] |= 4 | 8;
    // Behind the user's name and the timeout.
    let at = NAME + 1 + USER.len() + 6;
    labelled.splice(at..at, *b"\x07Firefox");
    check(&mut labelled, at + 8, &used);
    [
        ("empty", record(begin()).to_bytes()),
        ("values", record(rich).to_bytes()),
        ("user", used.to_bytes()),
        ("label", labelled),
    ]
}

/// Does nothing unless it is asked to, and never overwrites.
#[test]
fn fixtures_are_written_on_request() {
    if std::env::var_os("WRITE_FIXTURES").is_none() {
        return;
    }
    for (name, bytes) in examples() {
        let path = fixture(name);
        assert!(!path.exists(), "a fixture is never edited");
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn form_1_still_reads() {
    let empty = read("empty");
    assert_eq!((empty.id(), empty.len(), empty.user()), (ID, 0, None));
    assert_eq!((empty.created(), empty.last_used()), (START, START));
    assert_eq!(empty.deadline(), START + DAY);

    let rich = read("values");
    let values = values();
    for (key, expected) in &values {
        let found = rich.get(key).unwrap().unwrap_or_default();
        assert!(
            same(&found, expected),
            "{key}: found {found:?}, expected {expected:?}"
        );
    }
    assert_eq!(rich.len(), values.len());

    for (name, label) in [("user", ""), ("label", "Firefox")] {
        let record = read(name);
        assert_eq!((record.user(), record.label()), (Some(USER), label));
        assert_eq!(record.idle_timeout(), Some(HOUR));
        assert_eq!(record.created(), START);
        assert_eq!(record.last_used(), START + HOUR / 6);
        assert_eq!(record.deadline(), START + HOUR / 6 + HOUR);
        assert_eq!(record.get("a").unwrap(), Some(1.into()));
    }
}

#[test]
fn a_newer_form_has_an_error_of_its_own() {
    for form in [2, 3, 255] {
        let mut bytes = std::fs::read(fixture("values")).unwrap();
        bytes[0] = form;
        let error = Record::from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NewerForm);
        assert!(error.to_string().contains(&form.to_string()), "{error}");
    }
}

#[test]
fn what_is_cut_off_or_of_an_unknown_form_is_damage() {
    for (name, bytes) in examples() {
        for len in 0..bytes.len() {
            let error = Record::from_bytes(&bytes[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}, {len} bytes");
        }
    }
    let mut bytes = std::fs::read(fixture("empty")).unwrap();
    for (at, byte) in [(0, 0), (FLAGS, 2), (FLAGS, 128)] {
        let before = std::mem::replace(&mut bytes[at], byte);
        let error = Record::from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}");
        bytes[at] = before;
    }
}
