//! The suite that every store must pass.
//!
//! [`store_acceptance!`](crate::store_acceptance) makes one `#[test]` of each case, so a store's
//! tests are one line, and a promise that the store breaks is named in their output:
//!
//! ```text
//! test revival::a_write_after_a_logout_elsewhere_is_gone ... FAILED
//! ```
//!
//! - Each case begins with a store of its own and moves its own clock.
//! - Cases go through [`Sessions`] where an application would, and straight to the
//!   [`SessionStore`] where only the trait can show the difference.
//! - All of them hold for every store: there is nothing to switch off. Of a store that
//!   [expires records by itself](SessionStore::expires_by_itself) only the numbers that its sweep
//!   returns are not compared.
//!
//! The cases are what the tests of Django (`SessionTestsMixin`), Spring Session, Rack, scs, Plug and
//! actix-session check, put in terms of this crate's promises, and what none of them checks: that
//! parallel requests lose nothing.

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

use std::sync::Arc;

#[cfg(doc)]
use crate::Sessions;
use crate::error::Error;
use crate::store::SessionStore;

/// What a case answers: an error is a store that failed where it must not.
type Checked = Result<(), Error>;

/// Makes the empty store that a case begins with.
type Fresh<'f> = &'f dyn Fn() -> Arc<dyn SessionStore>;

/// One promise, and the function that checks it.
struct Case {
    topic: &'static str,
    name: &'static str,
    check: fn(Fresh<'_>) -> Checked,
}

/// The one list of cases: from it come the tests that [`store_acceptance!`](crate::store_acceptance)
/// makes, and [`cases`].
macro_rules! suite {
    // `$d` is a dollar sign, for the macro that this one writes.
    (($d:tt) $($topic:ident { $($name:ident,)+ })+) => {
        const CASES: &[Case] = &[
            $($(Case {
                topic: stringify!($topic),
                name: stringify!($name),
                check: $topic::$name,
            },)+)+
        ];

        /// Tests a store: one `#[test]` for each case of the
        /// [suite](crate::testing::acceptance).
        ///
        /// It takes a function that gives a new, empty store, and belongs into a module of tests.
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
                $(mod $topic {
                    #[allow(unused_imports, reason = "the factory may need none of it")]
                    use super::*;

                    $(#[test]
                    fn $name() {
                        $d crate::testing::acceptance::check(
                            concat!(stringify!($topic), "::", stringify!($name)),
                            $d factory,
                        );
                    })+
                })+
            };
        }
    };
}

suite! { ($)
    data {
        a_visit_stores_nothing,
        a_missing_key_is_nothing,
        the_next_request_reads_what_was_set,
        a_value_is_overwritten,
        many_keys_go_in_one_commit,
        a_removed_key_is_gone_and_the_others_stay,
        a_session_without_keys_is_still_a_session,
        clear_empties_the_session_and_keeps_it,
        clear_keeps_what_the_same_request_writes_after_it,
        keys_and_entries_come_sorted,
        reading_changes_nothing,
        an_unknown_key_loads_nothing_and_creates_nothing,
        a_session_keeps_its_public_handle,
        two_sessions_share_nothing,
        increment_counts_from_zero,
        append_begins_an_array,
        take_hands_out_the_value_and_removes_it,
        take_of_a_missing_key_is_nothing,
        every_change_gives_a_new_version,
        a_commit_says_whether_it_merged,
        the_size_is_that_of_keys_and_values,
        a_change_is_stored_whole_or_not_at_all,
        an_increment_of_another_type_fails_and_stores_nothing,
        an_append_to_another_type_fails_and_stores_nothing,
        an_increment_beyond_i64_fails_and_stores_nothing,
    }
    limits {
        the_merged_session_keeps_to_max_bytes,
        a_full_session_is_written_anew,
        a_full_session_is_written_anew_beside_a_transaction,
        the_merged_session_keeps_to_max_keys,
        a_session_over_its_limits_may_shrink_and_not_grow,
    }
    values {
        every_type_comes_back_as_it_was,
        numbers_keep_their_bits,
        dates_keep_their_offset,
        a_text_that_looks_like_something_else_stays_a_text,
        nesting_goes_down_to_the_limit,
        keys_may_be_any_text,
        names_in_objects_may_be_any_text,
        empty_values_are_values,
        two_hundred_keys,
        a_big_value,
        changes_of_a_big_session_touch_one_key,
    }
    concurrency {
        different_keys_both_survive,
        a_write_and_a_removal_of_different_keys_both_survive,
        of_one_key_the_later_commit_wins,
        of_a_write_and_a_removal_the_later_commit_wins,
        changing_one_key_leaves_the_others_alone,
        clear_wins_over_what_was_there_before_it,
        clear_leaves_what_comes_after_it,
        clear_and_its_own_writes_are_one_step,
        increments_add_up,
        increments_add_to_what_another_request_set,
        appends_add_up_in_order_of_commit,
        a_value_is_taken_once,
        take_finds_what_is_there_now,
        a_taken_key_can_be_written_again,
        take_is_exact_beside_an_append,
        take_is_exact_beside_an_increment,
        clear_wins_where_nothing_was_seen,
    }
    transactions {
        a_key_that_changed_is_a_conflict,
        a_key_that_went_is_a_conflict,
        a_key_that_came_is_a_conflict,
        a_key_that_was_cleared_is_a_conflict,
        a_key_with_the_same_value_again_is_none,
        a_key_that_was_not_read_is_none,
        a_session_read_as_a_whole_must_be_unchanged,
        a_use_alone_is_no_conflict,
        a_conflict_runs_again_on_what_is_there_now,
        a_conflict_in_a_renewal_leaves_the_old_secret_alive,
        an_ended_session_is_gone,
        what_was_taken_before_is_not_removed_again,
        a_renewal_alone_is_no_conflict,
        a_conflict_after_a_renewal_runs_again,
        a_login_elsewhere_ends_it,
        clear_and_removals_count_as_reads,
    }
    revival {
        a_write_after_a_logout_elsewhere_is_gone,
        every_kind_of_change_after_a_logout_is_gone,
        a_write_after_the_end_is_gone,
        a_write_after_a_revocation_is_gone,
        a_take_after_a_logout_is_nothing,
        a_touch_after_a_logout_does_nothing,
        only_a_creating_change_creates,
        only_a_creating_swap_creates,
        a_dead_secret_is_never_adopted,
        a_foreign_secret_is_never_adopted_by_any_first_operation,
        removing_twice_says_so,
        destroying_one_session_leaves_the_others,
        writes_after_a_logout_begin_a_new_session,
    }
    renewal {
        data_handle_and_creation_stay,
        the_old_secret_is_dead,
        nothing_happens_before_the_commit,
        changes_go_along_in_one_step,
        it_merges_with_other_requests,
        it_can_be_repeated,
        a_new_session_has_no_older_secret,
        a_parallel_writer_with_the_old_secret_is_merged,
        of_two_renewals_one_wins,
        a_session_that_ended_is_not_renewed,
        a_refused_change_leaves_the_old_secret_alive,
    }
    forwarding {
        a_forward_says_where_and_until_when,
        it_opens_nothing,
        a_logout_ends_the_session_wherever_it_is,
        a_logout_follows_every_hop,
        a_logout_elsewhere_leaves_no_way_back,
        a_commit_is_merged_hop_by_hop,
        a_commit_that_renews_is_merged_and_renews_nothing,
        a_commit_that_signs_in_moves_the_session_again,
        after_a_login_every_commit_is_gone,
        a_login_in_the_middle_of_a_chain_stops_a_commit,
        a_take_follows_renewals_and_no_login,
        a_request_that_had_loaded_nothing_begins_anew,
        it_ends_with_its_minute,
        each_hop_has_its_own_minute,
        a_logout_after_its_minute_goes_by_user_and_id,
        a_logout_after_its_minute_leaves_an_anonymous_session,
        a_request_goes_on_after_it_was_merged,
        a_revocation_finds_the_session_at_every_hop,
        a_refused_change_leaves_the_renewed_session,
    }
    swaps {
        a_swap_of_the_expected_version_is_done,
        a_swap_of_an_older_version_gets_the_current_one,
        a_swap_of_a_moved_session_gets_the_forward,
        a_touch_alone_leaves_the_version,
        a_key_in_use_is_refused,
        what_can_be_read_is_not_removed_as_unreadable,
        the_index_has_the_line_before_the_session,
        the_store_answers,
    }
    lifecycle {
        the_idle_timeout_ends_a_session_to_the_millisecond,
        the_absolute_timeout_ends_a_session_to_the_millisecond,
        the_earlier_of_both_timeouts_counts,
        a_use_moves_the_idle_end,
        a_commit_is_a_use,
        a_renewal_does_not_move_the_absolute_end,
        a_longer_idle_timeout_comes_with_a_login,
        a_shorter_idle_timeout_comes_with_a_login,
        a_use_within_the_interval_is_not_recorded,
        a_touch_writes_no_data,
        a_touch_never_moves_back,
        a_clock_that_goes_back_ends_nothing,
        a_time_far_in_the_future_counts_as_now,
        a_swap_keeps_the_later_use,
        a_take_moves_no_use_back,
        a_touch_of_a_moved_session_does_nothing,
        tighter_settings_bind_the_sessions_that_exist,
        a_touch_of_an_unknown_session_does_nothing,
        an_expired_session_is_not_loaded_changed_or_touched,
        an_expired_session_is_not_renewed,
        scan_shows_each_session_once,
        scan_stops_when_told,
        scan_leaves_out_what_has_expired,
    }
    sweep {
        only_the_expired_go,
        it_removes_no_more_than_asked,
        it_asks_for_nothing_and_removes_nothing,
        a_used_session_stays,
        a_session_with_a_longer_timeout_stays,
        a_renewed_session_is_swept_once,
        a_destroyed_session_is_not_counted,
        many_are_swept_in_the_end,
    }
    users {
        a_login_lists_the_session,
        a_second_login_in_one_request_starts_empty,
        a_session_without_a_user_is_not_listed,
        all_sessions_of_a_user_are_listed,
        names_that_begin_alike_are_different_users,
        a_name_may_be_any_text,
        the_list_says_what_the_record_says,
        one_session_is_revoked,
        all_others_are_revoked,
        all_are_revoked,
        only_the_users_own_sessions_are_revoked,
        a_login_of_somebody_else_moves_the_session,
        a_login_of_somebody_else_empties_the_session,
        a_login_of_the_same_user_keeps_the_data,
        a_login_without_a_commit_changes_nothing,
        of_two_logins_one_wins,
        a_refused_login_leaves_the_session_where_it_was,
        a_renewed_session_is_listed_once,
        a_destroyed_session_leaves_the_list,
        an_expired_session_leaves_the_list,
        a_swept_session_leaves_the_list,
        a_session_opens_only_for_its_user,
        the_index_keeps_a_session_through_renewals,
        a_label_comes_with_a_login,
        a_revoked_session_revokes_nothing,
    }
    threads {
        different_keys_are_all_there,
        increments_are_all_there,
        appends_are_all_there,
        transactions_count_exactly,
        a_value_is_taken_by_one,
        a_session_is_renewed_by_one,
        writers_never_revive_a_session,
        nobody_escapes_a_revocation,
        new_sessions_are_all_there,
    }
}

/// The names of all cases, as `topic::name`.
///
/// ```
/// use liquid_session::testing::acceptance;
///
/// assert!(acceptance::cases().any(|name| name == "concurrency::different_keys_both_survive"));
/// ```
pub fn cases() -> impl Iterator<Item = String> {
    CASES
        .iter()
        .map(|case| format!("{}::{}", case.topic, case.name))
}

/// Checks one case, for test harnesses of one's own;
/// [`store_acceptance!`](crate::store_acceptance) calls it for each.
///
/// # Panics
///
/// When the store breaks the promise, and when there is no case of that name.
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
    let found = CASES
        .iter()
        .find(|known| case.split_once("::") == Some((known.topic, known.name)));
    assert!(
        found.is_some(),
        "the suite has no case `{case}`: `cases` lists them"
    );
    if let Some(found) = found {
        let result = (found.check)(&|| Arc::new(factory()));
        assert!(
            result.is_ok(),
            "{case}: the store failed where it must not: {result:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A case that gets lost in an edit is missed here.
    #[test]
    fn the_suite_has_as_many_cases_as_it_is_supposed_to() {
        let mut names: Vec<_> = cases().collect();
        assert_eq!(names.len(), 190);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 190, "a name is there twice");
    }

    #[test]
    #[should_panic(expected = "the suite has no case `data::nope`")]
    fn an_unknown_case_is_no_success() {
        check("data::nope", crate::MemoryStore::new);
    }
}
