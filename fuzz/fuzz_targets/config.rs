//! Any YAML as settings: no panic, no word of what stands beside the block in an error, and settings
//! that were taken keep the rules.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::{Corpus, fuzz_target};
use liquid_session::config::SameSite;
use liquid_session::{ErrorKind, MemoryStore, SessionConfig, Sessions};

/// What stands in the same file and is nobody's business.
const BESIDE: &str = "\ndatabase: {url: 'postgres://app:hunter2@db'}\n";
const SECRET: &str = "hunter2";

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    if text.contains(SECRET) {
        return Corpus::Reject;
    }
    for text in [text, &format!("{text}{BESIDE}"), &format!("{BESIDE}{text}")] {
        match SessionConfig::from_yaml(text) {
            Ok(config) => keeps_the_rules(config),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains(SECRET), "{error}");
            }
        }
    }
    Corpus::Keep
});

fn keeps_the_rules(config: SessionConfig) {
    assert!(config.timeout().as_secs() >= 60);
    assert!(
        config
            .absolute_timeout()
            .is_none_or(|all| all.as_secs() >= 60)
    );
    assert!(config.max_bytes() >= 1 && config.max_keys() >= 1);
    assert!(config.same_site() != SameSite::None || config.secure_cookies());
    assert!(config.path().starts_with('/'));
    let name = config.cookie_name().to_ascii_lowercase();
    assert!(!name.is_empty());
    if name.starts_with("__host-") {
        assert!(config.secure_cookies() && config.path() == "/" && config.domain().is_none());
    }
    if name.starts_with("__secure-") {
        assert!(config.secure_cookies());
    }

    // The cookie is one that a browser reads as it was meant.
    let (secure, same_site) = (config.secure_cookies(), config.same_site());
    let (path, domain) = (config.path().to_owned(), config.domain().map(str::to_owned));
    let days_400 = Duration::from_secs(400 * 24 * 60 * 60);
    let max_age = config
        .persistent_cookies()
        .then(|| config.absolute_timeout().unwrap_or(days_400).min(days_400));
    let (name, enabled) = (config.cookie_name().to_owned(), config.is_enabled());
    let sessions = Sessions::new(MemoryStore::with_capacity(1), config);
    let session = sessions.open(None);
    // Too much for the smallest limit.
    let wrote = session.set("a", true);
    if !enabled {
        assert!(wrote.is_err());
        return;
    }
    if wrote.is_err() {
        assert!(sessions.config().max_bytes() < 2);
        return;
    }
    let outcome = session.commit().expect("the store works");
    let header = sessions.set_cookies(&outcome).pop().expect("it is new");
    assert!(
        header.bytes().all(|b| matches!(b, b' '..=b'~')),
        "{header:?}"
    );
    let mut parts = header.split("; ");
    let secret = outcome.secret().expect("it is new").expose();
    assert_eq!(parts.next(), Some(&*format!("{name}={secret}")));
    let mut attributes: Vec<_> = parts.map(str::to_owned).collect();
    attributes.sort();
    let mut expected = vec![
        "HttpOnly".to_owned(),
        format!("Path={path}"),
        format!("SameSite={same_site:?}"),
    ];
    expected.extend(secure.then(|| "Secure".to_owned()));
    expected.extend(max_age.map(|age| format!("Max-Age={}", age.as_secs())));
    expected.extend(domain.map(|domain| format!("Domain={domain}")));
    expected.sort();
    assert_eq!(attributes, expected);
    let again = sessions.open_from_headers([format!("{name}={secret}")]);
    assert_eq!(again.get("a").expect("the store works"), Some(true.into()));
}
