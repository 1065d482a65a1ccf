//! Sensitive data, as the settings want them: stored, stored and reported, or refused.

use liquid_session::config::SensitiveData;
use liquid_session::{
    Error, ErrorKind, MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions, Status, Value,
};
use proptest::prelude::*;

const NO_PLACE: &str = "which has no place in a session (`sensitive_data: deny`)";

fn sessions(handling: SensitiveData) -> Sessions {
    let config = SessionConfig::builder()
        .sensitive_data(handling)
        .build()
        .unwrap();
    Sessions::new(MemoryStore::new(), config)
}

/// How many findings were counted.
fn counted(sessions: &Sessions) -> u64 {
    sessions.counters().sensitive
}

struct Case {
    line: usize,
    kind: &'static str,
    key: String,
    value: Value,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sensitive/cases.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases = Vec::new();
    for (line, text) in text.lines().enumerate() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let mut parts = text.splitn(3, " | ");
        let mut part = || parts.next().unwrap_or_else(|| panic!("line {}", line + 1));
        let kind = match part() {
            "password" => "a password",
            "api key" => "an API key",
            "token" => "a token",
            "private key" => "a private key",
            "ssn" => "a US social security number",
            "card" => "a payment card's number or code",
            "none" => "",
            other => panic!("line {}: no kind `{other}`", line + 1),
        };
        cases.push(Case {
            line: line + 1,
            kind,
            key: part().replace("{}", ""),
            value: Value::from_json(&part().replace("{}", "")).unwrap(),
        });
    }
    assert!(!cases.is_empty(), "{path} has no case");
    cases
}

/// What a refusal says of a case; nothing if it was stored.
fn refusal(sessions: &Sessions, case: &Case) -> Option<String> {
    let session = sessions.open(None);
    match session.set(&case.key, &case.value) {
        Ok(()) => {
            assert_eq!(session.get(&case.key).unwrap().as_ref(), Some(&case.value));
            None
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Sensitive, "line {}", case.line);
            assert_eq!(session.get(&case.key).unwrap(), None);
            assert!(!session.has_changes());
            Some(error.to_string())
        }
    }
}

/// The texts and numbers in a value.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Int(number) => found.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(entries) => {
            for (name, value) in entries {
                // What the author of a template calls things may stand in a message.
                if name.starts_with(|c: char| c.is_ascii_digit()) {
                    found.push(name.clone());
                }
                leaves(value, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_case_is_what_it_is_taken_for() {
    let sessions = sessions(SensitiveData::Deny);
    for case in cases() {
        let text = refusal(&sessions, &case);
        let (line, key) = (case.line, &case.key);
        assert_eq!(
            text.is_some(),
            !case.kind.is_empty(),
            "line {line}: {text:?}"
        );
        let Some(text) = text else { continue };
        assert!(
            text.contains(&format!("{}, {NO_PLACE}", case.kind)),
            "line {line}: {text}"
        );
        let mut datum = Vec::new();
        leaves(&case.value, &mut datum);
        for leaf in datum.iter().filter(|leaf| leaf.len() > 3 && *leaf != key) {
            assert!(!text.contains(leaf.as_str()), "line {line}: {text}");
        }
        let is_key_itself = key.contains("4111") || key.starts_with("AKIA");
        assert_eq!(
            text.contains(key.as_str()),
            !is_key_itself,
            "line {line}: {text}"
        );
    }
}

#[test]
fn warn_stores_every_case_and_counts_it() {
    let sessions = sessions(SensitiveData::Warn);
    let mut expected = 0;
    for case in cases() {
        assert_eq!(refusal(&sessions, &case), None);
        expected += u64::from(!case.kind.is_empty());
        assert_eq!(counted(&sessions), expected, "line {}", case.line);
    }
}

#[test]
fn allow_stores_every_case_and_looks_at_none() {
    let sessions = sessions(SensitiveData::Allow);
    for case in cases() {
        assert_eq!(refusal(&sessions, &case), None);
    }
    assert_eq!(counted(&sessions), 0);
}

#[test]
fn a_refusal_leaves_what_was_stored_before() {
    let sessions = sessions(SensitiveData::Deny);
    let session = sessions.open(None);
    session.set("note", "harmless").unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();

    let session = sessions.open(Some(&cookie));
    let error = session.set("note", "4111111111111111").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value for the session key `note` holds a payment card's number or code, which has no \
         place in a session (`sensitive_data: deny`): keep it elsewhere and store a reference to it"
    );
    let outcome = session.commit().unwrap();
    assert_eq!(outcome.status(), Status::Unchanged);
    let session = sessions.open(Some(&cookie));
    assert_eq!(session.get("note").unwrap(), Some("harmless".into()));
    assert_eq!(counted(&sessions), 1);
}

#[test]
fn append_and_increment_are_guarded_too() {
    let sessions = sessions(SensitiveData::Deny);
    let session = sessions.open(None);
    let kind = |result: Result<(), Error>| result.map_err(|error| error.kind());
    assert_eq!(kind(session.append("seen", "boots")), Ok(()));
    for (key, item) in [("seen", "078-05-1120"), ("passwords", "a"), ("token", "a")] {
        assert_eq!(
            kind(session.append(key, item)),
            Err(ErrorKind::Sensitive),
            "{key}"
        );
    }
    assert_eq!(session.get("seen").unwrap(), Some(vec!["boots"].into()));
    assert_eq!(
        kind(session.increment("cvv", 1).map(drop)),
        Err(ErrorKind::Sensitive)
    );
    assert_eq!(session.increment("visits", 1).unwrap(), 1);
    // A number that becomes one by addition.
    session.set("n", 4_111_111_111_111_110_i64).unwrap();
    assert_eq!(
        kind(session.increment("n", 1).map(drop)),
        Err(ErrorKind::Sensitive)
    );
    assert_eq!(
        session.get_as::<i64>("n").unwrap(),
        Some(4_111_111_111_111_110)
    );
}

#[test]
fn the_tag_says_nothing_of_the_datum_either() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    let sessions = sessions(SensitiveData::Deny);
    let globals = liquid::object!({ "number": "4111111111111111" });
    for template in [
        "{% session note = number %}",
        "{% session note = '4111111111111111' %}",
        "{% session note = '4111' | append: '111111111111' %}",
        "{% session note %}4111111111111111{% endsession %}",
        "{% session note = 4111111111111111 %}",
    ] {
        let page = parser.parse(template).unwrap();
        let session = sessions.open(None);
        let error = page
            .render(&session.bind(&globals))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`note` holds a payment card's number"),
            "{error}"
        );
        assert!(!error.contains("1111"), "{template}: {error}");
        assert!(!session.has_changes(), "{template}");
    }
}

#[test]
fn a_key_from_outside_is_escaped_and_cut() {
    let session = sessions(SensitiveData::Deny).open(None);
    let key = format!(
        "q\n2026 INFO all is well\u{1b}[31m {} password",
        "x".repeat(60)
    );
    for (key, value) in [(&*key, "a"), ("a\rb", "4111111111111111")] {
        let error = session.set(key, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Sensitive);
        let error = error.to_string();
        assert!(!error.contains(char::is_control), "{error}");
        assert!(error.len() < 350, "{error}");
    }
}

/// A key that is the datum stands in neither the error nor what the engine adds to it.
#[test]
fn a_key_that_is_the_datum_is_not_named() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    let key = concat!("AK", "IAIOSFODNN7EXAMPLE");
    for template in [
        format!("{{% session {key} = 'a' %}}"),
        format!("{{% session {key} %}}a{{% endsession %}}"),
    ] {
        let page = parser.parse(&template).unwrap();
        let session = sessions(SensitiveData::Deny).open(None);
        let globals = liquid::Object::new();
        let error = page.render(&session.bind(&globals)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("a session key holds an API key"), "{error}");
        assert!(!error.contains(key), "{error}");
    }
}

/// What is refused for another reason was not stored, and is no finding.
#[test]
fn warn_counts_what_was_stored() {
    let sessions = sessions(SensitiveData::Warn);
    let session = sessions.open(None);
    let error = session.set("password", "x".repeat(5_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(counted(&sessions), 0);
    session.append("passwords", "a").unwrap();
    session.increment("cvv", 1).unwrap();
    assert_eq!(counted(&sessions), 2);
}

#[cfg(feature = "tracing")]
#[test]
fn warn_reports_the_key_and_the_kind_and_never_the_value() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let sessions = sessions(SensitiveData::Warn);
    tracing::subscriber::with_default(subscriber, || {
        let session = sessions.open(None);
        session.set("note", "4111111111111111").unwrap();
        session.set("5555555555554444", "a").unwrap();
        session.set("color", "dark").unwrap();
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.lines().count(), 2, "{log}");
    assert_eq!(
        log.matches("WARN liquid_session: sensitive data in a session")
            .count(),
        2,
        "{log}"
    );
    assert!(log.contains("key=\"note\""), "{log}");
    assert!(
        log.contains("kind=a payment card's number or code"),
        "{log}"
    );
    assert!(!log.contains("4111") && !log.contains("5555"), "{log}");
}

fn passes(key: &str, value: impl Into<Value>) -> bool {
    let sessions = sessions(SensitiveData::Warn);
    sessions.open(None).set(key, value.into()).unwrap();
    counted(&sessions) == 0
}

/// A right number for these first digits, by the rule as ISO/IEC 7812-1 words it: double every
/// other digit from the right, add up, and what is missing to the next ten is the check digit.
fn with_check_digit(payload: &str) -> String {
    let sum: u32 = payload
        .chars()
        .rev()
        .enumerate()
        .map(|(n, c)| {
            let digit = c.to_digit(10).unwrap() * if n % 2 == 0 { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    format!("{payload}{}", (10 - sum % 10) % 10)
}

proptest! {
    #[test]
    fn every_visa_number_is_found_and_with_another_digit_none(
        middle in "[0-9]{14}",
        at in 1usize..16,
        by in 1u8..10,
    ) {
        let number = with_check_digit(&format!("4{middle}"));
        prop_assert!(!passes("note", number.as_str()));
        prop_assert!(!passes("note", number.parse::<i64>().unwrap()));
        let mut wrong = number.into_bytes();
        wrong[at] = b'0' + (wrong[at] - b'0' + by) % 10;
        let wrong = String::from_utf8(wrong).unwrap();
        prop_assert!(passes("note", wrong.as_str()));
    }

    #[test]
    fn times_phones_and_uuids_pass(
        millis in 1_000_000_000_000i64..2_100_000_000_000,
        nanos in 1_000_000_000_000_000_000i64..2_100_000_000_000_000_000,
        phone in "\\+[1-9][0-9]{6,14}",
        bare in "(49|43|46)[1-9][0-9]{6,10}",
        order in "[A-Z]{3}-[0-9]{6}",
        uuid in any::<u128>(),
    ) {
        prop_assert!(passes("at", millis));
        prop_assert!(passes("at", nanos));
        prop_assert!(passes("at", nanos.to_string()));
        prop_assert!(passes("phone", phone));
        prop_assert!(passes("phone", bare.parse::<i64>().unwrap()));
        prop_assert!(passes("phone", bare));
        prop_assert!(passes("order", order));
        prop_assert!(passes("id", uuid::Uuid::from_u128(uuid).to_string()));
    }

    #[test]
    fn every_article_number_passes(payload in "[0-9]{12}") {
        let sum: u32 = payload
            .chars()
            .zip([1, 3].into_iter().cycle())
            .map(|(c, weight)| c.to_digit(10).unwrap() * weight)
            .sum();
        let ean = format!("{payload}{}", (10 - sum % 10) % 10);
        prop_assert!(passes("ean", ean.as_str()));
    }

    #[test]
    fn any_key_and_any_text_is_safe_to_look_at(key in "\\PC{1,30}", text in "\\PC{0,80}") {
        if key.len() <= 128 && key != "size" && key != "session_id" {
            let _ = passes(&key, text);
        }
    }
}
