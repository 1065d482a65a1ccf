//! Settings: what is refused, in which words.

use liquid_session::config::{Environment, SameSite};
use liquid_session::{ErrorKind, SessionConfig};

fn json(text: &str) -> Result<SessionConfig, String> {
    serde_json::from_str(text).map_err(|error: serde_json::Error| error.to_string())
}

#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let error = json(text).unwrap_err();
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

#[test]
fn every_setting_reads_into_its_getter() {
    let config = json(
        r#"{"enabled": false, "timeout_minutes": 2, "absolute_timeout_minutes": 3,
            "secure_cookies": true, "persistent_cookies": true, "same_site": "Strict", "domain": "shop.example.com",
            "path": "/shop", "cookie_name": "__Secure-cart", "environment": "development",
            "trusted_proxies": ["10.0.0.0/8", "::1"], "max_bytes": 5, "max_keys": 6,
            "sensitive_data": "deny"}"#,
    )
    .unwrap();
    assert!(!config.is_enabled());
    assert_eq!(config.timeout().as_secs(), 120);
    assert_eq!(config.absolute_timeout().unwrap().as_secs(), 180);
    assert!(config.secure_cookies());
    assert!(config.persistent_cookies());
    assert_eq!(config.same_site(), SameSite::Strict);
    assert_eq!(config.domain(), Some("shop.example.com"));
    assert_eq!(config.path(), "/shop");
    assert_eq!(config.cookie_name(), "__Secure-cart");
    assert_eq!(config.environment(), Environment::Development);
    assert!(config.trusts("10.9.9.9".parse().unwrap()));
    assert!(config.trusts("::1".parse().unwrap()));
    assert!(!config.trusts("127.0.0.1".parse().unwrap()));
    assert_eq!((config.max_bytes(), config.max_keys()), (5, 6));
}

#[test]
fn a_name_follows_from_the_other_settings() {
    let name = |text| json(text).unwrap().cookie_name().to_owned();
    assert_eq!(name("{}"), "__Host-sid");
    assert_eq!(name(r#"{"domain": "example.com"}"#), "__Secure-sid");
    assert_eq!(name(r#"{"path": "/shop"}"#), "__Secure-sid");
    assert_eq!(
        name(r#"{"secure_cookies": false, "environment": "development"}"#),
        "sid"
    );
    assert_eq!(name(r#"{"cookie_name": "cart"}"#), "cart");
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_what_is_allowed_and_found() {
    refused(
        r#"{"enabled": 1}"#,
        &["`enabled`", "`true` or `false`", "found 1"],
    );
    refused(r#"{"enabled": "true"}"#, &["found the text \"true\""]);
    refused(
        r#"{"timeout_minutes": -1}"#,
        &["`timeout_minutes`", "from 1", "found -1"],
    );
    refused(r#"{"timeout_minutes": 1.5}"#, &["found 1.5"]);
    refused(r#"{"timeout_minutes": null}"#, &["found nothing"]);
    refused(
        r#"{"timeout_minutes": 4294967296}"#,
        &["4294967295, found 4294967296"],
    );
    refused(r#"{"max_keys": [1]}"#, &["`max_keys`", "found a list"]);
    refused(
        r#"{"domain": {}}"#,
        &["`domain`", "a text", "found a block"],
    );
    refused(
        r#"{"trusted_proxies": "10.0.0.1"}"#,
        &["a list of addresses"],
    );
    refused(
        r#"{"environment": "prod"}"#,
        &["did you mean `production`?"],
    );
    refused(
        r#"{"same_site": "none"}"#,
        &["`Lax`, `Strict` or `None`", "did you mean `None`?"],
    );
    refused(
        r#"{"sensitive_data": "refuse"}"#,
        &["`allow`, `warn` or `deny`"],
    );
}

#[test]
fn a_typo_names_the_nearest_setting_and_all_there_are() {
    refused(
        r#"{"secure_cookie": true}"#,
        &[
            "unknown session setting `secure_cookie`",
            "did you mean `secure_cookies`?",
            "max_bytes",
        ],
    );
    refused(
        r#"{"max_keys": 3, "max_keys": 4}"#,
        &["`max_keys` is given twice"],
    );
}

#[test]
fn zero_is_no_timeout_and_no_limit() {
    for name in [
        "timeout_minutes",
        "absolute_timeout_minutes",
        "max_bytes",
        "max_keys",
    ] {
        let text = format!(r#"{{"{name}": 0}}"#);
        refused(&text, &[&format!("`{name}` must be 1 or more, found 0")]);
    }
}

#[test]
fn cookie_settings_that_browsers_drop_are_refused() {
    let refused_by_rule = [
        (
            r#"{"same_site": "None", "secure_cookies": false, "environment": "development"}"#,
            "needs `secure_cookies: true`",
        ),
        (
            r#"{"cookie_name": "__Host-a", "domain": "example.com"}"#,
            "no `domain`",
        ),
        (r#"{"cookie_name": "__host-a", "path": "/a"}"#, "`path: /`"),
        (
            r#"{"cookie_name": "__Host-a", "secure_cookies": false, "environment": "development"}"#,
            "`secure_cookies: true`",
        ),
        (
            r#"{"cookie_name": "__SECURE-a", "secure_cookies": false, "environment": "development"}"#,
            "`secure_cookies: true`",
        ),
    ];
    for (text, words) in refused_by_rule {
        refused(text, &[words]);
    }
    for name in ["", "a b", "a=b", "a;b", "ż", "a\n", "\"a\"", "a,b"] {
        let config = SessionConfig::builder().cookie_name(name).build();
        assert_eq!(config.unwrap_err().kind(), ErrorKind::Config, "{name:?}");
    }
    let longest = "a".repeat(4096 - 43);
    assert!(
        SessionConfig::builder()
            .cookie_name(&longest)
            .build()
            .is_ok()
    );
    let longer = longest + "a";
    assert!(
        SessionConfig::builder()
            .cookie_name(&longer)
            .build()
            .is_err()
    );
    for path in [
        "",
        "shop",
        "/a;b",
        "/a b",
        "/ż",
        "/\n",
        &format!("/{}", "a".repeat(1024)),
    ] {
        assert!(
            SessionConfig::builder().path(path).build().is_err(),
            "{path:?}"
        );
    }
    for domain in [
        "",
        ".",
        ".example.com",
        "example.com.",
        "a..b",
        "-a.com",
        "a-.com",
        "exam ple.com",
        "żółw.pl",
        "10.0.0.1",
        "::1",
        "example.com; Secure",
        "example.com:80",
    ] {
        assert!(
            SessionConfig::builder().domain(domain).build().is_err(),
            "{domain:?}"
        );
    }
}

#[test]
fn production_has_secure_cookies() {
    let refusals = [
        json(r#"{"secure_cookies": false}"#).unwrap_err(),
        json(r#"{"environment": "production", "secure_cookies": false}"#).unwrap_err(),
        json(r#"{"secure_cookies": false, "enabled": false, "cookie_name": "a"}"#).unwrap_err(),
        SessionConfig::builder()
            .secure_cookies(false)
            .build()
            .unwrap_err()
            .to_string(),
    ];
    for error in refusals {
        for words in [
            "`secure_cookies: false`",
            "found `environment: production`",
            "remove `secure_cookies`, or set `environment: development`",
        ] {
            assert!(error.contains(words), "{words:?} is not in: {error}");
        }
    }
    let development = [
        json(r#"{"environment": "development"}"#),
        json(r#"{"environment": "development", "secure_cookies": false}"#),
    ];
    assert_eq!(
        development.map(|config| config.unwrap().secure_cookies()),
        [true, false]
    );
}

#[test]
fn text_of_the_settings_is_escaped_and_cut_in_errors() {
    let forged = "a\nINFO all is well\u{1b}[31m";
    let long = "b".repeat(100_000);
    for text in [forged, &long] {
        let quoted = serde_json::to_string(text).unwrap();
        for block in [
            format!("{{{quoted}: 1}}"),
            format!(r#"{{"domain": {quoted}, "path": "{long}"}}"#),
            format!(r#"{{"path": {quoted}}}"#),
            format!(r#"{{"cookie_name": {quoted}, "path": "/"}}"#),
            format!(r#"{{"environment": {quoted}}}"#),
            format!(r#"{{"trusted_proxies": [{quoted}]}}"#),
        ] {
            let error = json(&block).unwrap_err();
            assert!(!error.contains(char::is_control), "{error}");
            assert!(error.len() < 600, "{} bytes", error.len());
        }
    }
}

#[test]
fn a_proxy_is_an_address_or_a_network() {
    refused(
        r#"{"trusted_proxies": ["10.0.0.0/8", "proxy.internal"]}"#,
        &[
            "`trusted_proxies`",
            "addresses and networks",
            "found \"proxy.internal\"",
        ],
    );
}

#[cfg(feature = "yaml")]
mod yaml {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn error(text: &str) -> String {
        SessionConfig::from_yaml(text).unwrap_err().to_string()
    }

    #[test]
    fn the_reference_s_own_example_reads() {
        let block = "
sessions:
  enabled: true
  timeout_minutes: 30
  secure_cookies: true
  same_site: 'Lax'
";
        let config = SessionConfig::from_yaml(block).unwrap();
        assert_eq!(config.timeout().as_secs(), 30 * 60);
    }

    #[test]
    fn a_file_may_hold_other_things_and_leave_the_block_out() {
        let whole = "name: shop\nsessions:\n  max_keys: 3\ndeploy: [a, {b: c}]\n";
        assert_eq!(SessionConfig::from_yaml(whole).unwrap().max_keys(), 3);
        let default = [
            "",
            "# nothing\n",
            "null",
            "sessions:",
            "sessions: {}",
            "name: shop\n",
        ];
        for text in default {
            let config = SessionConfig::from_yaml(text).unwrap();
            assert_eq!(config, SessionConfig::default(), "{text:?}");
        }
    }

    #[test]
    fn errors_give_the_line_and_the_column() {
        assert!(error("\n\nmax_keys: -3").starts_with("line 3, column 11: `max_keys` must be"));
        assert!(error("sessions:\n  max_key: 3").starts_with("line 2, column 3: unknown session"));
        assert!(error("max_keys: 3\ndomain: a b").starts_with("line 2, column 9: `domain` must"));
        assert!(
            error("a: 1\nmax_keys: 3").starts_with("line 1, column 1: unknown session setting `a`")
        );
        assert_eq!(
            error("max_keys: 3\nmax_keys: 3"),
            "line 2, column 1: `max_keys` is given twice"
        );
        assert_eq!(
            error("sessions:\nsessions:"),
            "line 2, column 1: `sessions` is given twice"
        );
        assert_eq!(
            error("sessions: 3"),
            "line 1, column 11: expected a block of session settings, found a number",
        );
        assert_eq!(
            error("session:\n  max_keys: 3"),
            "line 1, column 1: unknown block `session`, did you mean `sessions`?",
        );
        assert!(error("max_keys: [").ends_with("at line 1, column 11"));
        assert!(error("secure_cookies: 'true'").contains("found the text \"true\""));
        assert!(
            error("sessions:\n  secure_cookies: false")
                .starts_with("line 2, column 19: `secure_cookies: false`")
        );
        assert_eq!(
            error("\"sessions\\e[31m\":\n  max_keys: 3"),
            "line 1, column 1: unknown block `sessions\\u{1b}[31m`, did you mean `sessions`?",
        );
    }

    #[test]
    fn a_deeply_nested_text_is_an_error() {
        for open in ["[", "{a: ", "- "] {
            assert!(SessionConfig::from_yaml(&open.repeat(100_000)).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = SessionConfig::from_yaml(&text);
        }

        #[test]
        fn no_arrangement_of_yaml_makes_it_panic(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("sessions:"), Just("\n"), Just("\n  "), Just("max_keys"), Just(": "),
                    Just("trusted_proxies: "), Just("[10.0.0.0/8, "), Just("]"), Just("{"),
                    Just("}"), Just("- "), Just("&a "), Just("*a"), Just("!!int "), Just("<<"),
                    Just("'"), Just("\""), Just("|"), Just("---\n"), Just("99999999999999999999"),
                    Just("~"), Just(".inf"), Just("\u{feff}"), Just("? "), Just("None"),
                ],
                0..24,
            )
        ) {
            let _ = SessionConfig::from_yaml(&parts.concat());
        }
    }
}
