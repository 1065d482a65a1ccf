//! A commit for stores that swap.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Committed, Face, Forward, Loaded, SessionStore, Swap, Swapped};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::record::{Change, Record};
use crate::secret::StoreKey;

/// How often a commit meets another version before it asks its caller to wait.
const ATTEMPTS: u32 = 3;

/// Returns the result of a future that waits for nothing, as over a blocking store.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("a blocking store returns when it is ready"),
    }
}

pub(super) async fn by_swapping<S: SessionStore + ?Sized>(
    store: Face<'_, S>,
    key: &StoreKey,
    change: &Change,
    mut current: Option<Arc<Record>>,
    now: Timestamp,
) -> Result<Committed, Error> {
    if let Some(record) = change.created(now)? {
        return match store.swap(key, Swap::Create(&record), now).await? {
            Swapped::Done => Ok(Committed::Stored {
                key: *key,
                merged: false,
            }),
            _ => Err(key_in_use()),
        };
    }
    let (mut key, mut followed) = (*key, false);
    let mut attempts = 0;
    while attempts < ATTEMPTS {
        let before = match current.take() {
            Some(record) => record,
            None => match store.load(&key, now).await? {
                Loaded::Found(record) => record,
                Loaded::Moved(forward) if change.follows(&forward) => {
                    (key, followed) = (forward.to, true);
                    continue;
                }
                Loaded::Moved(_) | Loaded::Absent => return Ok(Committed::Gone),
            },
        };
        let mut after = Record::clone(&before);
        if !change.apply(&mut after, now)? {
            return Ok(Committed::Conflict);
        }
        let to = change.renew_to(followed);
        let swap = match to {
            Some(to) => Swap::Move {
                before: &before,
                after: &after,
                forward: Forward::new(to, change, now),
            },
            None => Swap::Replace {
                before: &before,
                after: &after,
            },
        };
        match store.swap(&key, swap, now).await? {
            Swapped::Done => {
                return Ok(Committed::Stored {
                    key: to.unwrap_or(key),
                    merged: before.version() != change.loaded_version(),
                });
            }
            Swapped::Current(record) => {
                current = Some(record);
                attempts += 1;
            }
            Swapped::Moved(forward) if change.follows(&forward) => {
                (key, followed) = (forward.to, true);
            }
            Swapped::Moved(_) | Swapped::Gone => return Ok(Committed::Gone),
        }
    }
    Ok(Committed::Busy)
}

/// 240 random bits can't meet by chance.
pub(super) fn key_in_use() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "a new session got the key of another one: the system's random generator repeats itself",
    )
}
