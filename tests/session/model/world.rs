//! The promises of a session, as plainly as they can be written: a request keeps a list of its changes,
//! and a commit makes them again on the stored map.

use std::collections::{BTreeMap, BTreeSet};

use liquid_session::{ErrorKind, Status, Value};

pub(crate) type Key = &'static str;
pub(crate) type User = &'static str;
pub(crate) type Data = BTreeMap<String, Value>;

/// The idle timeout of the sessions, how old a recorded use must be to be recorded anew, and how long
/// a forward lives: in seconds.
pub(crate) const TIMEOUT: u64 = 3600;
pub(crate) const INTERVAL: u64 = 180;
pub(crate) const FORWARD: u64 = 60;
/// How many forwards a memory store keeps for one session.
const MAX_FORWARDS: usize = 8;

/// What a handle is asked to do.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Get(Key),
    Entries,
    Set(Key, Value),
    Remove(Key),
    Clear,
    Increment(Key, i64),
    Append(Key, Value),
    Take(Key),
    Renew,
    Login(User),
    Logout,
    Discard,
    Commit,
    /// Seconds pass.
    Advance(u64),
    /// Two attempts at these; during the first one another request sets a key.
    Transaction(Vec<Op>, Option<(Key, Value)>),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    Found(Option<Value>),
    All(Data),
    Removed(bool),
    Counted(i64),
    Committed {
        status: Status,
        secret: bool,
        removes_cookie: bool,
    },
    Failed(ErrorKind),
}

/// What a request did, in order.
#[derive(Clone, Debug)]
enum Did {
    Set(Key, Value),
    Remove(Key),
    Clear,
    Increment(Key, i64),
    Append(Key, Value),
}

impl Did {
    fn key(&self) -> Option<Key> {
        match self {
            Did::Set(key, _) | Did::Remove(key) | Did::Increment(key, _) | Did::Append(key, _) => {
                Some(key)
            }
            Did::Clear => None,
        }
    }
}

/// Does it to these data; `None` if a value has the wrong type for it.
fn redo(mut data: Data, log: &[Did]) -> Option<Data> {
    for did in log {
        match did {
            Did::Set(key, value) => {
                data.insert((*key).to_owned(), value.clone());
            }
            Did::Remove(key) => {
                data.remove(*key);
            }
            Did::Clear => data.clear(),
            Did::Increment(key, by) => match data.entry((*key).to_owned()).or_insert(0.into()) {
                Value::Int(number) => *number = number.checked_add(*by)?,
                _ => return None,
            },
            Did::Append(key, item) => {
                let list = data.entry((*key).to_owned());
                match list.or_insert(Value::Array(Vec::new())) {
                    Value::Array(items) => items.push(item.clone()),
                    _ => return None,
                }
            }
        }
    }
    Some(data)
}

/// A session in the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) id: usize,
    pub(crate) data: Data,
    pub(crate) user: Option<User>,
    pub(crate) created: u64,
    pub(crate) used: u64,
    version: usize,
    /// The secrets that it had before, oldest first.
    trail: Vec<usize>,
}

impl Stored {
    fn use_at(&mut self, now: u64) {
        if now >= self.used + INTERVAL {
            self.used = now;
        }
    }
}

/// Where a session went.
#[derive(Clone, Copy)]
struct Forward {
    to: usize,
    by_login: bool,
    until: u64,
}

/// The store: sessions and forwards by the number of their secret.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) now: u64,
    sessions: BTreeMap<usize, Stored>,
    forwards: BTreeMap<usize, Forward>,
    /// How many secrets there were; those that came from outside count too.
    pub(crate) secrets: usize,
    ids: usize,
    versions: usize,
}

impl World {
    pub(crate) fn alive(&self, secret: usize) -> Option<&Stored> {
        let stored = self.sessions.get(&secret)?;
        (self.now < stored.used + TIMEOUT).then_some(stored)
    }

    pub(crate) fn all_alive(&self) -> impl Iterator<Item = &Stored> {
        self.sessions
            .keys()
            .filter_map(|secret| self.alive(*secret))
    }

    /// Where the session of a secret is now: the end of the chain, if every hop of it is alive and,
    /// unless `across_logins`, no login made one.
    fn follow(&self, mut secret: usize, across_logins: bool) -> Option<usize> {
        while let Some(forward) = self.forwards.get(&secret) {
            if self.now >= forward.until || (forward.by_login && !across_logins) {
                return None;
            }
            secret = forward.to;
        }
        self.alive(secret).map(|_| secret)
    }

    fn put(&mut self, secret: usize, mut stored: Stored) -> usize {
        self.versions += 1;
        stored.version = self.versions;
        self.sessions.insert(secret, stored);
        self.versions
    }

    /// Moves a session, and leaves a forward under its old secret.
    fn relocate(&mut self, from: usize, to: usize, mut stored: Stored, by_login: bool) {
        self.sessions.remove(&from);
        if stored.trail.len() == MAX_FORWARDS {
            self.forwards.remove(&stored.trail.remove(0));
        }
        stored.trail.push(from);
        let until = self.now + FORWARD;
        self.forwards.insert(
            from,
            Forward {
                to,
                by_login,
                until,
            },
        );
        self.put(to, stored);
    }

    /// Ends a session; its forwards go with it.
    fn end(&mut self, secret: usize) {
        for old in self
            .sessions
            .remove(&secret)
            .into_iter()
            .flat_map(|s| s.trail)
        {
            self.forwards.remove(&old);
        }
    }

    pub(crate) fn new_secret(&mut self) -> usize {
        self.secrets += 1;
        self.secrets - 1
    }
}

enum Base {
    /// `met`: this handle has seen the session alive.
    Unopened {
        secret: Option<usize>,
        met: bool,
    },
    Absent,
    Loaded {
        secret: usize,
        seen: Stored,
    },
    Gone,
}

#[derive(Clone, Default)]
struct Reads {
    keys: BTreeSet<Key>,
    whole: bool,
}

pub(crate) struct Handle {
    base: Base,
    log: Vec<Did>,
    renew: bool,
    login: Option<User>,
    ended: bool,
    has_cookie: bool,
    reads: Option<Reads>,
    /// The secret by which this request last met the session, or that of its cookie.
    last: Option<usize>,
    /// The session that it met signed in, and the user.
    signed_in: Option<(usize, User)>,
    logouts: usize,
}

impl Handle {
    pub(crate) fn open(secret: Option<usize>) -> Self {
        Self {
            base: Base::Unopened { secret, met: false },
            log: Vec::new(),
            renew: false,
            login: None,
            ended: false,
            has_cookie: secret.is_some(),
            reads: None,
            last: secret,
            signed_in: None,
            logouts: 0,
        }
    }

    pub(crate) fn is_opened(&self) -> bool {
        !matches!(self.base, Base::Unopened { .. })
    }

    fn load(&mut self, world: &World) {
        let Base::Unopened { secret, met } = self.base else {
            return;
        };
        // Only a request that has met the session follows it.
        let secret = match secret {
            Some(secret) if met => world.follow(secret, false),
            secret => secret,
        };
        self.base = match secret.and_then(|secret| Some((secret, world.alive(secret)?))) {
            Some((secret, stored)) => {
                self.signed_in = stored.user.map(|user| (stored.id, user));
                Base::Loaded {
                    secret,
                    seen: stored.clone(),
                }
            }
            None if met => Base::Gone,
            None => Base::Absent,
        };
    }

    /// What the request sees.
    pub(crate) fn view(&self) -> Data {
        let seen = match &self.base {
            Base::Loaded { seen, .. } => seen.data.clone(),
            _ => Data::new(),
        };
        redo(seen, &self.log).expect("what was not possible was not logged")
    }

    pub(crate) fn changed(&self) -> bool {
        !self.log.is_empty() || self.renew || self.login.is_some()
    }

    fn forget(&mut self) {
        self.log.clear();
        self.renew = false;
        self.login = None;
    }

    fn note(&mut self, key: Key) {
        if let Some(reads) = &mut self.reads {
            reads.keys.insert(key);
        }
    }

    /// What it did before to the same key, or to all of them, then makes no difference.
    fn overwrite(&mut self, did: Did) {
        match &did {
            Did::Clear => self.log.clear(),
            Did::Set(key, _) | Did::Remove(key) => self.log.retain(|did| did.key() != Some(key)),
            Did::Increment(..) | Did::Append(..) => {}
        }
        self.log.push(did);
    }

    fn try_to(&mut self, did: Did) -> bool {
        if redo(self.view(), std::slice::from_ref(&did)).is_none() {
            return false;
        }
        // The commit adds one sum: only the request itself sees the numbers on the way.
        let of_key = self
            .log
            .iter_mut()
            .rfind(|before| before.key() == did.key());
        match (of_key, &did) {
            (Some(Did::Increment(_, sum)), Did::Increment(_, by)) => *sum += by,
            _ => self.log.push(did),
        }
        true
    }

    pub(crate) fn apply(&mut self, op: &Op, world: &mut World) -> Answer {
        match op {
            Op::Advance(seconds) => {
                world.now += seconds;
                return Answer::Done;
            }
            Op::Logout => return self.logout(world),
            Op::Discard => {
                self.forget();
                return Answer::Done;
            }
            Op::Commit => return self.commit(world),
            Op::Transaction(ops, rival) => return self.transaction(ops, rival, world),
            _ => self.load(world),
        }
        match op {
            Op::Get(key) => {
                self.note(key);
                Answer::Found(self.view().remove(*key))
            }
            Op::Entries => {
                if let Some(reads) = &mut self.reads {
                    reads.whole = true;
                }
                Answer::All(self.view())
            }
            Op::Set(key, value) => {
                self.overwrite(Did::Set(key, value.clone()));
                Answer::Done
            }
            Op::Remove(key) => {
                self.note(key);
                Answer::Removed(self.remove(key).is_some())
            }
            Op::Clear => {
                if let Some(reads) = &mut self.reads {
                    reads.whole = true;
                }
                // Where a session is, another request may have added what this one has not seen.
                if matches!(self.base, Base::Loaded { .. }) || !self.log.is_empty() {
                    self.overwrite(Did::Clear);
                }
                Answer::Done
            }
            Op::Increment(key, by) => {
                self.note(key);
                if !self.try_to(Did::Increment(key, *by)) {
                    return Answer::Failed(ErrorKind::Value);
                }
                match self.view().get(*key) {
                    Some(Value::Int(number)) => Answer::Counted(*number),
                    other => panic!("an increment made {other:?}"),
                }
            }
            Op::Append(key, item) => {
                if self.try_to(Did::Append(key, item.clone())) {
                    Answer::Done
                } else {
                    Answer::Failed(ErrorKind::Value)
                }
            }
            Op::Take(key) => self.take(key, world),
            Op::Renew => {
                self.renew = true;
                Answer::Done
            }
            Op::Login(user) => {
                let stored = match &self.base {
                    Base::Loaded { seen, .. } => seen.user,
                    _ => None,
                };
                let bound = self.login.or(stored);
                if bound.is_some_and(|bound| bound != *user) {
                    // Whatever anybody wrote as the other user, seen by this request or not.
                    self.overwrite(Did::Clear);
                }
                self.login = Some(user);
                Answer::Done
            }
            _ => unreachable!("answered above"),
        }
    }

    fn remove(&mut self, key: Key) -> Option<Value> {
        let value = self.view().remove(key)?;
        self.overwrite(Did::Remove(key));
        Some(value)
    }

    /// Removes a key from the store at once, on top of what other requests have committed: what it
    /// gives out is what this request would see there, and nobody else gets it.
    fn take(&mut self, key: Key, world: &mut World) -> Answer {
        self.note(key);
        if self.reads.is_some() {
            return Answer::Found(self.remove(key));
        }
        loop {
            let Some(value) = self.view().remove(key) else {
                return Answer::Found(None);
            };
            let Base::Loaded { secret, seen } = &mut self.base else {
                return Answer::Found(self.remove(key));
            };
            let current = world.follow(*secret, false);
            if seen.data.contains_key(key) {
                match current.and_then(|at| Some((at, world.alive(at)?.clone()))) {
                    Some((at, mut stored)) if at == *secret && stored.version == seen.version => {
                        stored.data.remove(key);
                        // It counts as a use, like any other change.
                        if world.now >= seen.used + INTERVAL {
                            (stored.used, seen.used) = (world.now, world.now);
                        }
                        seen.version = world.put(at, stored);
                    }
                    Some((secret, seen)) => {
                        let before =
                            std::mem::replace(&mut self.base, Base::Loaded { secret, seen });
                        let log = self.log.clone();
                        if !self.redo_all(&log) {
                            (self.base, self.log) = (before, log);
                            return Answer::Failed(ErrorKind::Value);
                        }
                        continue;
                    }
                    None => {
                        seen.data.remove(key);
                        self.log.retain(|did| did.key() != Some(key));
                        return Answer::Found(None);
                    }
                }
                seen.data.remove(key);
            }
            self.log.retain(|did| did.key() != Some(key));
            return Answer::Found(Some(value));
        }
    }

    fn logout(&mut self, world: &mut World) -> Answer {
        let known = match self.base {
            Base::Unopened { secret, .. } => secret,
            Base::Loaded { secret, .. } => Some(secret),
            Base::Absent | Base::Gone => None,
        };
        let at = known
            .or(self.last)
            .and_then(|secret| world.follow(secret, true));
        let same = |secret: &usize| {
            let stored = world.alive(*secret);
            stored.is_some_and(|s| {
                s.user
                    .is_some_and(|user| self.signed_in == Some((s.id, user)))
            })
        };
        if let Some(secret) = at.or_else(|| world.sessions.keys().copied().find(same)) {
            world.end(secret);
        }
        self.base = Base::Absent;
        self.forget();
        self.ended = true;
        (self.last, self.signed_in) = (None, None);
        self.logouts += 1;
        Answer::Done
    }

    fn commit(&mut self, world: &mut World) -> Answer {
        self.try_commit(world)
            .unwrap_or(Answer::Failed(ErrorKind::Conflict))
    }

    /// `None` is a conflict.
    fn try_commit(&mut self, world: &mut World) -> Option<Answer> {
        if self.changed() {
            self.load(world);
        }
        let now = world.now;
        let answer = match &self.base {
            Base::Unopened { .. } => self.nothing(),
            Base::Absent if self.view().is_empty() && self.login.is_none() => self.nothing(),
            Base::Absent => {
                let secret = world.new_secret();
                world.ids += 1;
                let id = world.ids - 1;
                let stored = Stored {
                    id,
                    data: self.view(),
                    user: self.login,
                    created: now,
                    used: now,
                    version: 0,
                    trail: Vec::new(),
                };
                world.put(secret, stored);
                self.committed(secret, id);
                committed(Status::Created, true)
            }
            Base::Gone if self.changed() => {
                self.forget();
                committed(Status::Gone, false)
            }
            Base::Gone => committed(Status::Unchanged, false),
            Base::Loaded { secret, seen } => {
                let (secret, due) = (*secret, now >= seen.used + INTERVAL);
                if self.changed() {
                    return self.merge(secret, world);
                }
                if due {
                    if world.alive(secret).is_some()
                        && let Some(stored) = world.sessions.get_mut(&secret)
                    {
                        stored.used = stored.used.max(now);
                    }
                    self.base = met(secret);
                }
                committed(Status::Unchanged, false)
            }
        };
        Some(answer)
    }

    fn merge(&mut self, secret: usize, world: &mut World) -> Option<Answer> {
        let at = world.follow(secret, false);
        let Some((at, mut stored)) = at.and_then(|at| Some((at, world.alive(at)?.clone()))) else {
            self.base = Base::Gone;
            self.forget();
            return Some(committed(Status::Gone, false));
        };
        if let (Some(reads), Base::Loaded { seen, .. }) = (&self.reads, &self.base) {
            let same = |key: &Key| seen.data.get(*key) == stored.data.get(*key);
            let whole = !reads.whole || seen.version == stored.version;
            if !(whole && reads.keys.iter().all(same)) {
                self.base = met(secret);
                return None;
            }
        }
        let Some(data) = redo(stored.data, &self.log) else {
            // The handle is of no use now until what it did is discarded; the test does that.
            self.base = met(secret);
            return Some(Answer::Failed(ErrorKind::Value));
        };
        stored.data = data;
        stored.user = self.login.or(stored.user);
        if self.login.is_some() {
            stored.used = stored.used.max(world.now);
        }
        stored.use_at(world.now);
        let id = stored.id;
        // Where another request has renewed the session, only a login moves it again.
        let renews = self.login.is_some() || (self.renew && at == secret);
        let filed_under = if renews {
            let to = world.new_secret();
            world.relocate(at, to, stored, self.login.is_some());
            to
        } else {
            world.put(at, stored);
            at
        };
        self.committed(filed_under, id);
        Some(committed(Status::Changed, renews))
    }

    fn nothing(&mut self) -> Answer {
        self.forget();
        if !std::mem::take(&mut self.ended) {
            return committed(Status::Unchanged, false);
        }
        Answer::Committed {
            status: Status::Ended,
            secret: false,
            removes_cookie: std::mem::take(&mut self.has_cookie),
        }
    }

    fn committed(&mut self, secret: usize, id: usize) {
        self.base = met(secret);
        self.last = Some(secret);
        if let Some(user) = self.login {
            self.signed_in = Some((id, user));
        }
        self.forget();
        self.has_cookie = true;
        self.ended = false;
    }

    /// Does again over the present record what was staged over an older one: a number to add to may
    /// be a text by now, and then all of it is dropped. A removal stays one where the key is absent.
    fn lay(&mut self, log: &[Did]) -> bool {
        let done = self.redo_all(log);
        if !done {
            self.forget();
        }
        done
    }

    fn redo_all(&mut self, log: &[Did]) -> bool {
        self.log.clear();
        log.iter().all(|did| self.try_to(did.clone()))
    }

    /// Returns to what was staged before a transaction; a logout since then drops all of it.
    fn return_to(&mut self, (log, renew, login, logouts): &Staged) -> bool {
        if *logouts != self.logouts {
            self.forget();
            return true;
        }
        (self.renew, self.login) = (*renew, *login);
        self.lay(log)
    }

    fn transaction(
        &mut self,
        ops: &[Op],
        rival: &Option<(Key, Value)>,
        world: &mut World,
    ) -> Answer {
        let before = (self.log.clone(), self.renew, self.login, self.logouts);
        let mut answer = None;
        for attempt in 0..2 {
            self.reads = Some(Reads::default());
            if attempt > 0 {
                if !before.0.is_empty() {
                    self.load(world);
                }
                if !self.return_to(&before) {
                    self.reads = None;
                    return Answer::Failed(ErrorKind::Value);
                }
            }
            let failed = ops
                .iter()
                .map(|op| self.apply(op, world))
                .find(|answer| matches!(answer, Answer::Failed(_)));
            if let Some(failed) = failed {
                self.return_to(&before);
                answer = Some(failed);
                break;
            }
            if let (0, Some((key, value))) = (attempt, rival) {
                world.rival_sets(key, value);
            }
            if let Some(done) = self.try_commit(world) {
                answer = Some(match done {
                    Answer::Committed {
                        status: Status::Gone,
                        ..
                    } => Answer::Failed(ErrorKind::Gone),
                    done => done,
                });
                break;
            }
        }
        self.reads = None;
        answer.expect("nobody comes in between in the second attempt")
    }
}

/// What a request had staged at some point, and how often it had signed out.
type Staged = (Vec<Did>, bool, Option<User>, usize);

impl World {
    /// Another request, with the newest secret that there is.
    fn rival_sets(&mut self, key: Key, value: &Value) {
        let Some(newest) = self.secrets.checked_sub(1) else {
            return;
        };
        let mut rival = Handle::open(Some(newest));
        rival.apply(&Op::Set(key, value.clone()), self);
        rival.commit(self);
    }
}

fn met(secret: usize) -> Base {
    Base::Unopened {
        secret: Some(secret),
        met: true,
    }
}

fn committed(status: Status, secret: bool) -> Answer {
    Answer::Committed {
        status,
        secret,
        removes_cookie: false,
    }
}
