//! The suite that every store must pass.
//!
//! [`store_acceptance!`](crate::store_acceptance) makes one `#[test]` of each case, so a store's
//! tests are one line, and a promise that the store breaks is named in their output:
//!
//! ```text
//! test revival::a_write_after_a_logout_elsewhere_is_gone ... FAILED
//! ```
//!
//! - Each case begins with a new store and moves its own clock.
//! - Cases go through [`Sessions`] where an application would, and straight to the
//!   [`SessionStore`] where only the trait can show the difference.
//! - All of them hold for every store: there is nothing to switch off.
//!
//! The cases are what the tests of Django (`SessionTestsMixin`), Spring Session, Rack, scs, Plug and
//! actix-session check, put in terms of this crate's promises, and what none of them checks: that
//! parallel requests lose nothing.

use std::sync::Arc;

#[cfg(doc)]
use crate::Sessions;
use crate::error::Error;
use crate::store::SessionStore;

/// The result of a case: an error is a store that failed where it must not.
type Checked = Result<(), Error>;

/// Makes the empty store that a case begins with.
type Fresh<'f> = &'f dyn Fn() -> Arc<dyn SessionStore>;

/// The name of a promise, and the function that checks it.
type Case = (&'static str, fn(Fresh<'_>) -> Checked);

/// Declares the cases of a topic: each function in it is one. `$tests` is the name of the macro that
/// makes a `#[test]` of each.
macro_rules! cases {
    ($tests:ident: $($case:tt)+) => {
        cases! { ($) $tests: $($case)+ }
    };
    // `$d` is a dollar sign, for the macro that this one writes.
    (($d:tt) $tests:ident:
        $($(#[$about:meta])* fn $name:ident($fresh:ident: Fresh<'_> $(,)?) -> Checked $check:block)+
    ) => {
        $($(#[$about])* fn $name($fresh: Fresh<'_>) -> Checked $check)+

        pub(super) const CASES: &[super::Case] = &[$((stringify!($name), $name),)+];

        #[doc(hidden)]
        #[macro_export]
        macro_rules! $tests {
            ($d topic:ident, $d factory:expr) => {
                mod $d topic {
                    #[allow(unused_imports, reason = "not every factory needs a name")]
                    use super::*;

                    $(#[test]
                    fn $name() {
                        $d crate::testing::acceptance::check(
                            concat!(stringify!($d topic), "::", stringify!($name)),
                            $d factory,
                        );
                    })+
                }
            };
        }
    };
}

/// Collects the topics.
macro_rules! topics {
    // `$d` is a dollar sign, for the macro that this one writes.
    (($d:tt) $($topic:ident: $tests:ident,)+) => {
        const TOPICS: &[(&str, &[Case])] = &[$((stringify!($topic), $topic::CASES),)+];

        /// Tests a store: one `#[test]` for each case of the
        /// [suite](crate::testing::acceptance).
        ///
        /// It takes a function that returns a new, empty store, and belongs into a module of tests.
        ///
        /// ```
        /// mod my_store {
        ///     liquid_session::store_acceptance!(liquid_session::MemoryStore::new);
        /// }
        /// # fn main() {}
        /// ```
        #[macro_export]
        macro_rules! store_acceptance {
            ($d factory:expr) => {
                $($d crate::$tests! { $topic, $d factory })+
            };
        }
    };
}

mod bench;
mod concurrency;
mod data;
mod forwarding;
mod lifecycle;
mod limits;
mod renewal;
mod revival;
mod swaps;
mod sweep;
mod threads;
mod transactions;
mod users;
mod values;

topics! { ($)
    concurrency: __acceptance_concurrency,
    data: __acceptance_data,
    forwarding: __acceptance_forwarding,
    lifecycle: __acceptance_lifecycle,
    limits: __acceptance_limits,
    renewal: __acceptance_renewal,
    revival: __acceptance_revival,
    swaps: __acceptance_swaps,
    sweep: __acceptance_sweep,
    threads: __acceptance_threads,
    transactions: __acceptance_transactions,
    users: __acceptance_users,
    values: __acceptance_values,
}

/// Every case: its topic, its name and its check.
fn all() -> impl Iterator<Item = (&'static str, &'static Case)> {
    let of_topic = |(topic, cases): &(&'static str, &'static [Case])| {
        let topic = *topic;
        cases.iter().map(move |case| (topic, case))
    };
    TOPICS.iter().flat_map(of_topic)
}

/// Returns the names of all cases, as `topic::name`.
///
/// ```
/// use liquid_session::testing::acceptance;
///
/// assert!(acceptance::cases().any(|name| name == "concurrency::different_keys_both_survive"));
/// ```
pub fn cases() -> impl Iterator<Item = String> {
    all().map(|(topic, (name, _))| format!("{topic}::{name}"))
}

/// Checks one case. [`store_acceptance!`](crate::store_acceptance) calls it for each; call it from
/// another test harness.
///
/// # Panics
///
/// - If the store breaks the promise.
/// - If there is no case of that name.
///
/// ```
/// use liquid_session::{MemoryStore, testing::acceptance};
///
/// for case in acceptance::cases() {
///     # if case.starts_with("threads") { continue; }
///     acceptance::check(&case, MemoryStore::new);
/// }
/// ```
pub fn check<S: SessionStore>(case: &str, factory: impl Fn() -> S) {
    let found = all().find(|(topic, (name, _))| case.split_once("::") == Some((*topic, *name)));
    assert!(
        found.is_some(),
        "the suite has no case `{case}`: `cases` lists them"
    );
    if let Some((_, (_, check))) = found {
        let result = check(&|| Arc::new(factory()));
        assert!(
            result.is_ok(),
            "{case}: the store failed where it must not: {result:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the suite has no case `data::nope`")]
    fn an_unknown_case_is_no_success() {
        check("data::nope", crate::MemoryStore::new);
    }
}
