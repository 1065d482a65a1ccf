//! What ends and lists sessions, on any store: logout, revocation, the sessions of a user.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Face, IndexLine, Loaded, Revoke, SessionInfo, SessionStore, Swap, Swapped, ready};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::record::{Lifetime, Record};
use crate::secret::{SessionId, StoreKey};

/// A session that was ended.
pub(crate) struct Ended {
    /// `None` if the record could not be read.
    pub(crate) record: Option<Arc<Record>>,
}

/// The keys that were looked at. The index may name every key that a session had: without this, each
/// of them would be followed to the same session.
type Visited = HashSet<StoreKey>;

/// Follows forwards to a record, if they lead to a key that was not looked at.
async fn find<S: SessionStore + ?Sized>(
    store: &Face<'_, S>,
    key: &mut StoreKey,
    visited: &mut Visited,
    now: Timestamp,
) -> Result<Option<Arc<Record>>, Error> {
    while !visited.contains(key) {
        let loaded = store.load(key, now).await?;
        if matches!(loaded, Loaded::Absent) {
            // It may be the new key of a session that is being renewed just now: another key leads
            // there then, and it must be looked at again.
            break;
        }
        visited.insert(*key);
        match loaded {
            Loaded::Found(record) => return Ok(Some(record)),
            Loaded::Moved(forward) => *key = forward.to,
            Loaded::Absent => {}
        }
    }
    Ok(None)
}

/// Ends the session that a key leads to, if the record is `wanted`; one that can't be read is ended
/// in any case. `None` if there is no such session.
pub(crate) async fn end<S: SessionStore + ?Sized>(
    store: &Face<'_, S>,
    key: StoreKey,
    now: Timestamp,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Option<Ended>, Error> {
    end_unless_visited(store, key, &mut Visited::new(), now, wanted).await
}

async fn end_unless_visited<S: SessionStore + ?Sized>(
    store: &Face<'_, S>,
    mut key: StoreKey,
    visited: &mut Visited,
    now: Timestamp,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Option<Ended>, Error> {
    let mut known = None;
    loop {
        let record = match known.take() {
            Some(record) => Some(record),
            None => match find(store, &mut key, visited, now).await {
                Ok(Some(record)) => Some(record),
                Ok(None) => return Ok(None),
                Err(error) if is_unreadable(&error) => None,
                Err(error) => return Err(error),
            },
        };
        let swap = match &record {
            Some(record) if !wanted(record) => return Ok(None),
            Some(record) => Swap::Remove(record),
            None => Swap::RemoveUnreadable,
        };
        match store.swap(&key, swap, now).await? {
            Swapped::Done => return Ok(Some(Ended { record })),
            Swapped::Current(record) => known = Some(record),
            Swapped::Moved(forward) => key = forward.to,
            Swapped::Gone => return Ok(None),
        }
    }
}

/// Whether a record can't be read, now and later.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NewerForm)
}

/// Ends sessions of a user and returns how many. `caller` is the key of a session that must be alive
/// whenever the index was read: one that was ended revokes nothing.
pub(crate) fn revoke<S: SessionStore + ?Sized>(
    store: &S,
    user: &str,
    which: Revoke,
    caller: Option<StoreKey>,
    now: Timestamp,
) -> Result<usize, Error> {
    let face = Face::Blocking(store);
    let (mut seen, mut visited) = (HashSet::new(), Visited::new());
    let mut count = 0;
    // A renewal or a login may add a line while others are worked through.
    let (mut unmet, mut again) = (Vec::new(), false);
    loop {
        let lines = new_lines(store, user, &mut seen, now)?;
        if lines.is_empty() && (!again || unmet.is_empty()) {
            return Ok(count);
        }
        if let Some(mut key) = caller {
            let own = ready(find(&face, &mut key, &mut Visited::new(), now))?;
            if own.is_none_or(|record| record.user() != Some(user)) {
                return Ok(count);
            }
        }
        let before = count;
        // A login may have added its line and not stored its session yet. Once a later session is ended,
        // that one must be, too.
        for line in lines.into_iter().chain(std::mem::take(&mut unmet)) {
            if which.includes(line.id) {
                let wanted =
                    |record: &Record| record.user() == Some(user) && which.includes(record.id());
                let ended = end_unless_visited(&face, line.key, &mut visited, now, wanted);
                let ended = ready(ended)?;
                count += usize::from(ended.is_some());
                unmet.extend(ended.is_none().then_some(line));
            }
        }
        again = count > before;
    }
}

fn new_lines<S: SessionStore + ?Sized>(
    store: &S,
    user: &str,
    seen: &mut HashSet<IndexLine>,
    now: Timestamp,
) -> Result<Vec<IndexLine>, Error> {
    let lines = store.user_index(user, now)?.into_iter();
    Ok(lines.filter(|line| seen.insert(*line)).collect())
}

/// The live sessions of a user, and how many of their records can't be read.
pub(crate) fn list<S: SessionStore + ?Sized>(
    store: &S,
    user: &str,
    lifetime: &Lifetime,
    now: Timestamp,
) -> Result<(Vec<SessionInfo>, usize), Error> {
    let face = Face::Blocking(store);
    let (mut seen, mut visited) = (HashSet::new(), Visited::new());
    let mut list: BTreeMap<SessionId, SessionInfo> = BTreeMap::new();
    let mut unreadable = 0;
    loop {
        let lines = new_lines(store, user, &mut seen, now)?;
        if lines.is_empty() {
            return Ok((list.into_values().collect(), unreadable));
        }
        for mut line in lines {
            match ready(find(&face, &mut line.key, &mut visited, now)) {
                Ok(Some(record)) => {
                    if record.user() == Some(user) && !record.ends_under(lifetime, now) {
                        list.insert(record.id(), SessionInfo::from(&*record));
                    }
                }
                Ok(None) => {}
                Err(error) if is_unreadable(&error) => unreadable += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
