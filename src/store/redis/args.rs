//! A change as the arguments of `commit.lua`.

use super::fields::{field, millis, text};
use super::keys::{Keys, Owner};
use super::script::Args;
use crate::clock::Timestamp;
use crate::record::{Change, Op};
use crate::secret::StoreKey;

/// How long the server keeps a record after its deadline, in milliseconds. The stored deadline
/// decides to the millisecond; this covers servers and applications whose clocks run apart.
pub(super) const GRACE: u64 = 5 * 60 * 1_000;

/// The longest time to live that the server is told: a hundred years, in milliseconds.
pub(super) const LONGEST: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;

/// For how many milliseconds from `now` the server keeps a record with this deadline.
pub(super) fn time_to_live(deadline: Timestamp, now: Timestamp) -> u64 {
    millis(deadline - now).saturating_add(GRACE).min(LONGEST)
}

/// Whether a change files the session anew: under another key, user or deadline.
pub(super) fn files(change: &Change) -> bool {
    change.renew_to().is_some() || change.user().is_some() || change.idle_timeout().is_some()
}

pub(super) fn commit_args(
    keys: &Keys,
    key: &StoreKey,
    change: &Change,
    now: Timestamp,
    believed: &Owner,
) -> Args {
    let (max_bytes, max_keys) = change.limits();
    let after = change.user().map(|user| Owner::of(Some(user)));
    let new = change.renew_to().unwrap_or(*key);
    let mut args = Args::default().key(keys.session(key));
    if files(change) {
        args = args
            .key(keys.deadlines())
            .key(keys.session(&new))
            .key(believed.index(keys))
            .key(after.as_ref().unwrap_or(believed).index(keys));
    }
    args = args
        .arg(text(now.as_millis()))
        .arg(text(max_bytes as u64))
        .arg(text(max_keys as u64))
        .arg(if change.clears() { "1" } else { "0" })
        .arg(change.expected_version().map(text).unwrap_or_default())
        .arg(
            change
                .idle_timeout()
                .map(|timeout| text(millis(timeout)))
                .unwrap_or_default(),
        )
        .arg(after.map(|owner| owner.encode()).unwrap_or_default())
        .arg(text(GRACE))
        .arg(text(LONGEST))
        .arg(if files(change) { "1" } else { "0" })
        .arg(believed.encode())
        .arg(key.as_bytes().as_slice())
        .arg(new.as_bytes().as_slice())
        .arg(text(change.expected().count() as u64));
    for (key, value) in change.expected() {
        args = args.arg(field(key)).arg(match value {
            Some(value) => [b"=", value].concat(),
            None => b"-".to_vec(),
        });
    }
    args = args.arg(text(change.ops().count() as u64));
    for (key, op) in change.ops() {
        let (code, operand) = match op {
            Op::Set(value) => ("set", value.to_vec()),
            Op::Remove => ("remove", Vec::new()),
            Op::Take => ("take", Vec::new()),
            Op::Increment(by) => ("add", by.to_string().into_bytes()),
            Op::Append(items) => {
                let mut elements = Vec::new();
                for item in items {
                    item.encode_sized(&mut elements);
                }
                ("append", elements)
            }
        };
        args = args.arg(code).arg(field(key)).arg(operand);
    }
    args
}
