//! Expired sessions leave, and nobody waits for it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::{MemoryStore, SHARDS, Shard, bucket, prefix};
use crate::clock::Timestamp;
use crate::record::Record;
use std::sync::Arc;

/// How many expired records leave a shard in one go: a commit waits for no more than that.
pub(super) const BATCH: usize = 16;

/// A minute that has come, in one shard, from this line on.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    minute: u64,
    /// How often the sweep was here for this minute: shards take turns, so that nobody waits long.
    round: usize,
    index: usize,
    line: usize,
}

impl Shard {
    /// The first minute from this one on that has come and has lines.
    fn due(&self, index: usize, from: u64, now: Timestamp) -> Option<Due> {
        let (&minute, _) = self.deadlines.range(from..=bucket(now).max(from)).next()?;
        (minute <= bucket(now)).then_some(Due {
            minute,
            round: 0,
            index,
            line: 0,
        })
    }
}

impl MemoryStore {
    /// Removes at most so many expired sessions, and says how many.
    pub(super) fn sweep_expired(&self, now: Timestamp, max: usize) -> usize {
        // All shards' minutes in one order: the longest expired go first.
        let mut due: BTreeSet<_> = (0..SHARDS)
            .filter_map(|index| self.shards[index].lock().due(index, 0, now))
            .collect();
        let mut swept = 0;
        while swept < max {
            let Some(first) = due.pop_first() else {
                break;
            };
            let (batch, next) = self.sweep_lines(first, now, max - swept);
            self.held.fetch_sub(batch.len(), Ordering::Relaxed);
            swept += batch.len();
            due.extend(next);
        }
        swept
    }

    /// Removes what is expired among the lines of one minute in one shard, looking at no more than a
    /// batch. The records are dropped by the caller, after the lock. Says where to go on.
    fn sweep_lines(&self, due: Due, now: Timestamp, max: usize) -> (Vec<Arc<Record>>, Option<Due>) {
        let Due {
            minute,
            round,
            index,
            line: mut at,
        } = due;
        // Before the lock: whoever waits for memory makes others wait for the shard.
        let mut swept = Vec::with_capacity(BATCH);
        let mut guard = self.shards[index].lock();
        let shard = &mut *guard;
        let mut lines = match shard.deadlines.get_mut(&minute) {
            Some(lines) => std::mem::take(lines),
            None => Vec::new(),
        };
        let mut look = 0;
        while at < lines.len() && look < BATCH && swept.len() < max {
            look += 1;
            let due = lines[at];
            // It takes some 2^32 sessions for two keys to begin alike; the sweep then finds one
            // of them, and the other when it comes by for that one's line.
            match shard
                .records
                .find_entry(due, |slot| prefix(&slot.key) == due)
            {
                Ok(entry) if entry.get().record.is_expired(now) => {
                    let slot = entry.remove().0;
                    self.unfile_user(slot.record.user(), &slot.key);
                    swept.push(slot.record);
                    lines.swap_remove(at);
                }
                Ok(entry) => match bucket(entry.get().record.deadline()) {
                    later if later > minute => {
                        shard.deadlines.entry(later).or_default().push(due);
                        lines.swap_remove(at);
                    }
                    // Later in this very minute.
                    _ => at += 1,
                },
                Err(_) => {
                    lines.swap_remove(at);
                }
            }
        }
        let more = at < lines.len();
        if lines.is_empty() {
            shard.deadlines.remove(&minute);
        } else {
            shard.deadlines.insert(minute, lines);
        }
        let next = if more {
            Some(Due {
                minute,
                round: round + 1,
                index,
                line: at,
            })
        } else {
            shard.due(index, minute + 1, now)
        };
        (swept, next)
    }
}
