//! Panics of the template engine, which are not this crate's to mend.

use std::panic::{self, AssertUnwindSafe};

/// Lets a panic of the engine unwind up to [`survive`]. Any other ends the run, as libFuzzer has it.
pub fn tolerate() {
    let abort = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let engines = ["/liquid-core-", "/liquid-lib-", "/liquid-0."];
        let theirs = info
            .location()
            .is_some_and(|place| engines.iter().any(|name| place.file().contains(name)));
        if !theirs {
            abort(info);
        }
    }));
}

/// `None` if the engine panicked.
pub fn survive<T>(act: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(act)).ok()
}
