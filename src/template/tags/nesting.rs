//! How deep partials and blocks of this crate stand in one another. Each level takes a part of the
//! stack, and a stack that is full ends the process: a partial that includes itself must not get there.

use std::cell::Cell;

use liquid_core::{Error, Result};

/// As deep as the reference engine lets blocks and partials go ("Nesting too deep").
const MAX: usize = 100;

thread_local! {
    /// Of this thread, as the stack is: a sandbox has registers of its own.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One level, for as long as it is held.
pub(crate) struct Level(());

impl Level {
    /// One level more, or an error if that is too deep.
    pub(crate) fn enter() -> Result<Self> {
        DEPTH.with(|depth| {
            if depth.get() >= MAX {
                return Err(Error::with_msg(format!(
                    "partials and `session` blocks nest deeper than the limit of {MAX} levels: look for a partial that includes itself"
                )));
            }
            depth.set(depth.get() + 1);
            Ok(Self(()))
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}
