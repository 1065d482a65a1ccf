//! Whole templates with any state of the session, rendered by the engine and by a model over plain
//! maps: the same output, the same session in the request, after the commit and loaded afresh.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use liquid_session_fuzz::template::{Plan, play};

fuzz_target!(|plan: Plan| -> Corpus {
    if play(&plan) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
