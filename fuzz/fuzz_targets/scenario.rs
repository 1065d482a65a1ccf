//! Any YAML as a scenario: no panic and no hang, neither in reading nor in playing it, and an error
//! that says where.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use liquid_session::MemoryStore;
use liquid_session::testing::scenario::Scenario;
use liquid_session_fuzz::engine;

fuzz_target!(init: engine::tolerate(), |data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    // Nobody's files are read here.
    if text.contains("file") || text.contains("views") || text.contains('\\') {
        return Corpus::Reject;
    }
    match Scenario::from_yaml(text) {
        Ok(scenario) => {
            if is_bounded(text)
                && let Some(report) = engine::survive(|| scenario.run(MemoryStore::with_capacity(1)))
            {
                let report = report.expect("the store works");
                assert!(report.passed() + report.failed() > 0);
                let _ = report.to_string();
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    Corpus::Keep
});

/// Whether the templates do no more than their size says. What the engine does with a million
/// rounds, or with a partial that includes itself, is no matter of scenarios.
fn is_bounded(text: &str) -> bool {
    let count = |word| text.matches(word).count();
    let loops = count("for") + count("tablerow");
    let partials = count("include") + count("render");
    !text.contains("..") && loops <= 2 && (partials <= 1 || !text.contains("partials"))
}
