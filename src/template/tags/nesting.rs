//! The nesting of partials and `session` blocks. Each level takes a part of the stack, and a stack
//! overflow ends the process: a partial that includes itself must fail before.

use std::cell::Cell;

use liquid_core::{Error, Result};

/// The limit of the reference engine for blocks and partials ("Nesting too deep").
const MAX: usize = 100;

thread_local! {
    /// Per thread, as the stack is: the engine's registers are not shared with a sandbox.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A level, until it is dropped.
pub(crate) struct Level(());

impl Level {
    /// Enters a level, or fails if that is too deep.
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
