//! Odd numbers, dates, keys and texts.

use liquid_session::{ErrorKind, Value};

use super::*;

#[test]
fn numbers_out_of_range_never_panic() {
    let parser = parser_with(&[]);
    for (markup, expected) in [
        ("9223372036854775807", Some(Value::Int(i64::MAX))),
        ("-9223372036854775808", Some(Value::Int(i64::MIN))),
        // No JSON for serde_json: nil.
        ("'1e400' | parse_json", None),
        (
            "'9223372036854775808' | parse_json",
            Some(Value::Float(9_223_372_036_854_775_808.0)),
        ),
        ("'-0.0' | parse_json", Some(Value::Float(-0.0))),
        ("'1e308' | parse_json", Some(Value::Float(1e308))),
        ("'NaN' | parse_json", None),
    ] {
        let session = stored();
        let page = format!("{{% session n = {markup} %}}");
        assert_eq!(render_with(&parser, &session, &page).unwrap(), "", "{page}");
        assert_eq!(session.get("n").unwrap(), expected, "{page}");
        assert_eq!(session.get("before").unwrap(), Some("kept".into()));
        let _ = session.commit().unwrap();
        assert_eq!(session.get("n").unwrap(), expected, "{page}");
    }
    for markup in [
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999999",
    ] {
        let page = format!("{{% session n = {markup} %}}");
        let error = parser.parse(&page).err().unwrap().to_string();
        assert!(error.contains("is beyond what can be stored"), "{error}");
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let session = stored();
        let globals = liquid::object!({ "n": value });
        for page in ["{% session n = n %}", "{% session n = list %}"] {
            let page = parser.parse(page).unwrap();
            let globals = liquid::object!({ "n": value, "list": [1, value] });
            let error = session.render(&page, &globals).unwrap_err().to_string();
            assert!(error.contains("expected a finite number"), "{error}");
        }
        let page = parser.parse("{% session n = n %}").unwrap();
        fails_and_loses_nothing(
            session.render(&page, &globals),
            &session,
            "expected a finite number for the session key `n`",
        );
    }
    let session = stored();
    session.set("n", i64::MAX).unwrap();
    assert_eq!(
        session.increment("n", 1).unwrap_err().kind(),
        ErrorKind::Value
    );
    assert_eq!(
        session.set("u", u64::MAX).unwrap_err().kind(),
        ErrorKind::Value
    );
    assert_eq!(
        session.set("u", u128::MAX).unwrap_err().kind(),
        ErrorKind::Value
    );
    assert_eq!(session.get("n").unwrap(), Some(i64::MAX.into()));
}

/// Some filters of the engine panic on the edge of `i64`. Whoever catches that loses nothing.
#[test]
fn a_filter_that_panics_takes_back_what_the_page_wrote() {
    let parser = parser_with(&[("half", "{{ -9223372036854775808 | divided_by: -1 }}")]);
    let session = stored();
    for page in [
        "{% session mine = 1 %}{% session n = -9223372036854775808 | divided_by: -1 %}",
        "{% session mine = 1 %}{% session before = null %}{% include 'half' %}",
        "{% session mine = 1 %}{% session before %}{% render 'half' %}{% endsession %}",
    ] {
        let page = parser.parse(page).unwrap();
        let act = || session.render(&page, &liquid::Object::new());
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err());
        assert!(!session.has_changes());
        assert_eq!(session.get("before").unwrap(), Some("kept".into()));
    }
    session.set("after", 1).unwrap();
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
}

#[test]
fn dates_out_of_range_are_stored_or_refused() {
    let session = stored();
    for date in [time::Date::MIN, time::Date::MAX] {
        session.set("date", Value::from(date)).unwrap();
        for offset in [
            time::UtcOffset::UTC,
            time::UtcOffset::from_hms(25, 59, 59).unwrap(),
        ] {
            let moment = date.midnight().assume_offset(offset);
            session.set("moment", Value::from(moment)).unwrap();
            let _ = session.commit().unwrap();
            assert_eq!(session.get("date").unwrap(), Some(date.into()));
            // What the engine prints of it is its own affair; that it ends is ours.
            let _ = render(
                &session,
                "{{ context.session.moment }}{{ context.session.date }}",
            );
            let _ = render(&session, "{{ context.session.moment | date: '%Y %s %z' }}");
            let _ = render(&session, "{{ context.session | json }}");
        }
    }
    for text in [
        "99999999-01-01",
        "0000-00-00",
        "2026-02-30",
        "-1-1-1",
        "9999-12-31 99:99:99 +9999",
    ] {
        let page = format!("{{% session d = '{text}' | date: '%Y' %}}{{% session t = '{text}' %}}");
        assert_eq!(render(&session, &page).unwrap(), "");
        assert_eq!(session.get("t").unwrap(), Some(text.into()));
    }
}

#[test]
fn a_long_empty_or_reserved_key_is_refused_without_being_repeated() {
    let session = stored();
    let long = "k".repeat(1 << 20);
    for result in [
        session.set(&long, 1),
        session.append(&long, 1),
        session.increment(&long, 1).map(drop),
        session.set(&"ä".repeat(65), 1),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.to_string().len() < 200);
    }
    for key in ["", "session_id", "size"] {
        assert_eq!(session.set(key, 1).unwrap_err().kind(), ErrorKind::Key);
        assert_eq!(session.append(key, 1).unwrap_err().kind(), ErrorKind::Key);
    }
    // Reading is no harm.
    assert_eq!(session.get(&long).unwrap(), None);
    assert!(!session.remove(&long).unwrap());
    assert!(!session.has_changes());
    let page = format!("{{% session {} = 1 %}}", "k".repeat(129));
    assert!(
        parser_with(&[])
            .parse(&page)
            .is_err_and(|error| error.to_string().contains("128 bytes"))
            || {
                let error = render(&session, &page).unwrap_err().to_string();
                error.contains("128 bytes")
            }
    );
}

#[test]
fn odd_keys_are_keys_like_any_other() {
    const ODD: &[&str] = &[
        "\0",
        "\0session handle",
        "a\nb",
        "\u{202e}txt.exe",
        "\u{feff}",
        "__proto__",
        "constructor",
        "context",
        "session",
        "m:version",
        "d:x",
        "t",
        "first",
        "last",
        " ",
        "{{ x }}",
        "\u{10ffff}",
    ];
    let sessions = Counted::default().sessions();
    let session = sessions.open(None);
    for (n, key) in ODD.iter().enumerate() {
        session.set(key, n as i64).unwrap();
    }
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    let session = sessions.open(Some(&cookie));
    for (n, key) in ODD.iter().enumerate() {
        assert_eq!(session.get_as(key).unwrap(), Some(n), "{key:?}");
        let globals = liquid::object!({ "key": *key });
        let page = parser_with(&[])
            .parse("{{ context.session[key] }}{{ context[key].nothing }}")
            .unwrap();
        match session.render(&page, &globals) {
            Ok(output) => assert_eq!(output, n.to_string(), "{key:?}"),
            // The second half, where `context` has no such name.
            Err(error) => assert!(error.to_string().contains("nknown"), "{error}"),
        }
    }
    assert_eq!(session.keys().unwrap().len(), ODD.len());
}

#[test]
fn a_stored_text_is_no_template() {
    let session = stored();
    let text = "{{ 1 | plus: 1 }}{% session stolen = 'x' %}{% include 'x' %}";
    session.set("text", text).unwrap();
    let page = "{{ context.session.text }}{% session copy = context.session.text %}{% session block %}{{ context.session.text }}{% endsession %}";
    assert_eq!(render(&session, page).unwrap(), text);
    assert_eq!(session.get("copy").unwrap(), Some(text.into()));
    assert_eq!(session.get("block").unwrap(), Some(text.into()));
    assert_eq!(session.get("stolen").unwrap(), None);
}
