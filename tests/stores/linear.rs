//! Requests that run at once are linearizable: what three of them saw and did to one session, and what
//! is stored afterwards, is what the same steps would have done one after the other, in some order that
//! keeps each request's own.
//!
//! A history is recorded, then [`explained`] searches for that order in [`World`], a sequential model of
//! a session. In half of the histories the steps take turns by a seeded schedule; in the other half
//! three threads run freely.
//!
//! `LINEAR_HISTORIES=20000` plays so many histories a store instead of 500; `LINEAR_SEED` chooses others.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};

use liquid_session::clock::ManualClock;
use liquid_session::store::{Revoke, SessionStore};
use liquid_session::{Error, ErrorKind, Session, SessionConfig, Sessions, Status, Value};

const THREADS: usize = 3;
const REQUESTS: usize = 3;
const HISTORIES: u64 = 500;

mod memory {
    #[test]
    fn parallel_requests_are_linearizable() {
        super::play(liquid_session::MemoryStore::new());
    }
}

#[cfg(feature = "redb")]
mod redb {
    #[test]
    fn parallel_requests_are_linearizable() {
        // A history costs ten fsyncs: in memory, where the machine has such a folder.
        let shared = std::path::Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(shared).or_else(|_| tempfile::tempdir());
        let folder = folder.expect("a folder");
        let path = folder.path().join("sessions.redb");
        super::play(liquid_session::store::RedbStore::open(path).expect("a new file"));
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    #[test]
    fn parallel_requests_are_linearizable() {
        super::play(crate::postgres_store::Served::new());
    }
}

#[cfg(feature = "redis")]
mod redis {
    #[test]
    fn parallel_requests_are_linearizable() {
        super::play(crate::redis_store::Served::new());
    }

    #[test]
    fn on_the_async_face() {
        super::play(crate::redis_store::Served::new().awaited());
    }
}

/// Records histories on a store, and explains each.
fn play(store: impl SessionStore) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let histories = number("LINEAR_HISTORIES").unwrap_or(HISTORIES);
    let seed = number("LINEAR_SEED").unwrap_or(1);
    // The time stands, so that no session and no forward expires.
    let sessions = Sessions::new(store, SessionConfig::default()).with_clock(ManualClock::new());
    let mut statuses = HashSet::new();
    for seed in seed..seed + histories {
        let history = record(&sessions, seed);
        let steps = history.iter().flatten();
        statuses.extend(steps.filter_map(|event| match event.step {
            Step::Commit(Sent { status, .. }) => Some(format!("{status:?}")),
            _ => None,
        }));
        let world = World::new(history.len());
        assert!(
            explained(&history, world, &mut HashSet::new()),
            "no order explains history {seed}:\n{}",
            shown(&history)
        );
    }
    assert_eq!(statuses.len(), 5, "a status was never met: {statuses:?}");
}

// What is recorded.

type Key = &'static str;
type Data = BTreeMap<Key, Datum>;

/// Numbers of users and of cookies, in the order of their first use.
type User = usize;
type Cookie = usize;

/// Each key holds one type, so that no merge fails.
const KEYS: [Key; 4] = ["a", "b", "list", "number"];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Datum {
    Number(i64),
    List(Vec<i64>),
}

impl From<Value> for Datum {
    fn from(value: Value) -> Self {
        match value.as_array() {
            Some(items) => Self::List(items.iter().filter_map(Value::as_i64).collect()),
            None => Self::Number(value.as_i64().expect("a number")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Set(Key, i64),
    Remove(Key),
    Clear,
    Increment(i64),
    Append(i64),
    Take(Key),
    /// Writes one more than a key holds under another key.
    Transaction(Key, Key),
    Renew,
    Login(User),
    Logout,
}

/// What an operation returned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Nothing,
    Removed(bool),
    Number(i64),
    Taken(Option<Datum>),
    /// What was read, and what the commit returned; `None` if the session was gone.
    Committed(Option<(i64, Sent)>),
}

/// What a commit returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    status: Status,
    cookie: Option<Cookie>,
    removes: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// Opens and loads the session.
    Open(Option<Cookie>, Option<(Data, Option<User>)>),
    Operate(Op, Answer),
    Commit(Sent),
    /// Ends all sessions of a user, and how many that were.
    Revoke(User, usize),
}

impl Step {
    /// Whether it concerns nothing but its own request.
    fn is_local(&self) -> bool {
        match self {
            Self::Operate(op, _) => !matches!(op, Op::Take(_) | Op::Transaction(..) | Op::Logout),
            _ => false,
        }
    }
}

/// A step, and when it began and ended.
struct Event {
    start: u64,
    end: u64,
    step: Step,
}

fn shown(history: &[Vec<Event>]) -> String {
    let mut events: Vec<_> = history
        .iter()
        .enumerate()
        .flat_map(|(thread, events)| events.iter().map(move |event| (thread, event)))
        .collect();
    events.sort_by_key(|(_, event)| event.start);
    let line = |(thread, event): (usize, &Event)| {
        format!(
            "{:>3}-{:<3} thread {thread}: {:?}\n",
            event.start, event.end, event.step
        )
    };
    events.into_iter().map(line).collect()
}

// Recording.

/// A generator of the xorshift family.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.below(1);
        random
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What the three threads share.
struct Stage<'s> {
    sessions: &'s Sessions,
    seed: u64,
    time: AtomicU64,
    cookies: Mutex<Vec<String>>,
}

impl Stage<'_> {
    fn now(&self) -> u64 {
        self.time.fetch_add(1, SeqCst)
    }

    fn user(&self, user: User) -> String {
        format!("{}-{user}", self.seed)
    }

    fn keep(&self, cookie: String) -> Cookie {
        let mut cookies = self.cookies.lock().expect("no panic");
        cookies.push(cookie);
        cookies.len() - 1
    }

    fn open(&self, cookie: Option<Cookie>) -> (Session, Step) {
        let secret = cookie.map(|cookie| self.cookies.lock().expect("no panic")[cookie].clone());
        let session = self.sessions.open(secret.as_deref());
        let seen = self.look(&session).expect("the store answers");
        (session, Step::Open(cookie, seen))
    }

    fn look(&self, session: &Session) -> Result<Option<(Data, Option<User>)>, Error> {
        if session.id()?.is_none() {
            return Ok(None);
        }
        let known = |key: String| KEYS.into_iter().find(|known| *known == key);
        let data = session
            .entries()?
            .into_iter()
            .map(|(key, value)| (known(key).expect("a key of ours"), value.into()))
            .collect();
        let user = session.user()?;
        let user = user.map(|user| usize::from(user == self.user(1)));
        Ok(Some((data, user)))
    }
}

/// One of the three threads: it takes one step at a time.
struct Player<'s> {
    stage: &'s Stage<'s>,
    random: Random,
    requests: usize,
    session: Option<Session>,
    ops: Vec<Op>,
    events: Vec<Event>,
    /// The last number that was written: each is written once.
    written: i64,
}

impl<'s> Player<'s> {
    fn new(stage: &'s Stage<'s>, thread: usize) -> Self {
        Self {
            stage,
            random: Random::new(stage.seed * THREADS as u64 + thread as u64),
            requests: REQUESTS,
            session: None,
            ops: Vec::new(),
            events: Vec::new(),
            written: 1_000 * (thread as i64 + 1),
        }
    }

    /// `false` when there is nothing left to do.
    fn step(&mut self) -> bool {
        let start = self.stage.now();
        let step = match self.session.take() {
            Some(session) => self.go_on(session),
            None if self.requests == 0 => return false,
            None => {
                self.requests -= 1;
                self.begin()
            }
        };
        let end = self.stage.now();
        self.events.push(Event { start, end, step });
        true
    }

    fn begin(&mut self) -> Step {
        if self.random.below(12) == 0 {
            let user = self.random.below(2);
            let name = self.stage.user(user);
            let ended = self.stage.sessions.revoke(&name, Revoke::All);
            return Step::Revoke(user, ended.expect("the store answers"));
        }
        let issued = self.stage.cookies.lock().expect("no panic").len();
        // Mostly the newest, as a browser would.
        let cookie = match self.random.below(8) {
            0 => self.random.below(issued),
            1 => issued.saturating_sub(2),
            _ => issued - 1,
        };
        let (session, step) = self.stage.open(Some(cookie));
        self.session = Some(session);
        self.ops = (0..=self.random.below(2)).map(|_| self.choose()).collect();
        step
    }

    fn choose(&mut self) -> Op {
        self.written += 1;
        match self.random.below(20) {
            0..3 => Op::Set(self.random.one(&["a", "b", "number"]), self.written),
            3..5 => Op::Remove(self.random.one(&KEYS)),
            5 => Op::Clear,
            6..8 => Op::Increment(1),
            8..11 => Op::Append(self.written),
            11..14 => Op::Take(self.random.one(&["a", "list", "list", "number"])),
            14..16 => Op::Transaction(
                self.random.one(&["a", "number"]),
                self.random.one(&["a", "b", "number"]),
            ),
            16 | 17 => Op::Renew,
            18 => Op::Login(self.random.below(2)),
            _ => Op::Logout,
        }
    }

    fn go_on(&mut self, session: Session) -> Step {
        if self.ops.is_empty() {
            return Step::Commit(self.sent(&session.commit().expect("the store answers")));
        }
        let op = self.ops.remove(0);
        let answer = match self.operate(&session, op) {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::Gone => Answer::Committed(None),
            Err(error) => panic!("{op:?}: {error}"),
        };
        // A transaction commits, and a request after its commit is another request.
        if !matches!(op, Op::Transaction(..)) {
            self.session = Some(session);
        }
        Step::Operate(op, answer)
    }

    fn sent(&self, outcome: &liquid_session::Outcome) -> Sent {
        Sent {
            status: outcome.status(),
            cookie: outcome
                .secret()
                .map(|secret| self.stage.keep(secret.expose())),
            removes: outcome.removes_cookie(),
        }
    }

    fn operate(&self, session: &Session, op: Op) -> Result<Answer, Error> {
        match op {
            Op::Set(key, number) => session.set(key, number)?,
            Op::Remove(key) => return Ok(Answer::Removed(session.remove(key)?)),
            Op::Clear => session.clear()?,
            Op::Increment(by) => return Ok(Answer::Number(session.increment("number", by)?)),
            Op::Append(item) => session.append("list", item)?,
            Op::Take(key) => return Ok(Answer::Taken(session.take(key)?.map(Datum::from))),
            Op::Renew => session.renew()?,
            Op::Login(user) => session.login(self.stage.user(user))?,
            Op::Logout => session.logout()?,
            Op::Transaction(from, to) => {
                let (read, outcome) = session.transaction(|session| {
                    let read = session.get_as(from)?.unwrap_or(0);
                    session.set(to, read + 1)?;
                    Ok::<_, Error>(read)
                })?;
                return Ok(Answer::Committed(Some((read, self.sent(&outcome)))));
            }
        }
        Ok(Answer::Nothing)
    }
}

/// The events of the three threads, and in a fourth list those before and after.
fn record(sessions: &Sessions, seed: u64) -> Vec<Vec<Event>> {
    let stage = Stage {
        sessions,
        seed,
        time: AtomicU64::new(0),
        cookies: Mutex::default(),
    };
    let mut around = Player::new(&stage, THREADS);
    around.session = Some(sessions.open(None));
    let mut random = Random::new(seed);
    let first = stage.open(None).1;
    let (start, end) = (stage.now(), stage.now());
    around.events.push(Event {
        start,
        end,
        step: first,
    });
    around.ops = [
        Op::Set("a", 1),
        Op::Append(2),
        Op::Login(0),
        Op::Increment(5),
    ]
    .into_iter()
    .filter(|_| random.below(3) > 0)
    .collect();
    // Never nothing: there has to be a session.
    around.ops.insert(0, Op::Set("b", 3));
    while around.session.is_some() {
        around.step();
    }

    let mut players: Vec<_> = (0..THREADS)
        .map(|thread| Player::new(&stage, thread))
        .collect();
    if seed.is_multiple_of(2) {
        let mut playing: Vec<_> = (0..THREADS).collect();
        while !playing.is_empty() {
            let at = random.below(playing.len());
            if !players[playing[at]].step() {
                playing.remove(at);
            }
        }
    } else {
        let together = Arc::new(Barrier::new(THREADS));
        std::thread::scope(|scope| {
            for player in &mut players {
                let together = together.clone();
                scope.spawn(move || {
                    together.wait();
                    while player.step() {}
                });
            }
        });
    }

    let issued = stage.cookies.lock().expect("no panic").len();
    for cookie in 0..issued {
        let start = stage.now();
        let (_, step) = stage.open(Some(cookie));
        let end = stage.now();
        around.events.push(Event { start, end, step });
    }
    let mut history: Vec<_> = players.into_iter().map(|player| player.events).collect();
    history.push(around.events);
    history
}

// The sequential specification.

/// A session as it is stored.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Stored {
    data: Data,
    user: Option<User>,
}

/// What a cookie leads to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// The session that began with this cookie.
    Session(Cookie),
    Forward {
        to: Cookie,
        by_login: bool,
    },
}

/// A request between its first step and its commit.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Request {
    cookie: Option<Cookie>,
    /// Where it met its session.
    met: Option<Cookie>,
    seen: Stored,
    pending: Vec<Op>,
    renew: bool,
    login: Option<User>,
    ended: bool,
    /// It has noticed that its session is gone: what it sees is not defined.
    lost: bool,
}

impl Request {
    fn view(&self) -> Data {
        applied(&self.pending, self.seen.data.clone())
    }

    fn drop_pending(&mut self, key: Key) {
        self.pending.retain(|op| match op {
            Op::Set(other, _) | Op::Remove(other) => *other != key,
            Op::Increment(_) => key != "number",
            Op::Append(_) => key != "list",
            _ => true,
        });
    }
}

fn applied(ops: &[Op], mut data: Data) -> Data {
    for op in ops {
        match *op {
            Op::Set(key, number) => {
                data.insert(key, Datum::Number(number));
            }
            Op::Remove(key) => {
                data.remove(key);
            }
            Op::Clear => data.clear(),
            Op::Increment(by) => {
                if let Datum::Number(number) = data.entry("number").or_insert(Datum::Number(0)) {
                    *number += by;
                }
            }
            Op::Append(item) => {
                let list = data
                    .entry("list")
                    .or_insert_with(|| Datum::List(Vec::new()));
                if let Datum::List(items) = list {
                    items.push(item);
                }
            }
            _ => {}
        }
    }
    data
}

fn number(data: &Data, key: Key) -> i64 {
    match data.get(key) {
        Some(Datum::Number(number)) => *number,
        _ => 0,
    }
}

/// What is stored, where each request stands, and how many steps of each thread have been taken.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    places: BTreeMap<Cookie, Place>,
    stored: BTreeMap<Cookie, Stored>,
    requests: Vec<Request>,
    /// How many sessions the revocation of each thread has ended so far.
    revoked: Vec<usize>,
    taken: Vec<usize>,
}

impl World {
    fn new(threads: usize) -> Self {
        Self {
            places: BTreeMap::new(),
            stored: BTreeMap::new(),
            requests: vec![Request::default(); threads],
            revoked: vec![0; threads],
            taken: vec![0; threads],
        }
    }

    /// Where a session is that was met under a cookie, and which it is.
    fn find(&self, mut at: Cookie, across_logins: bool) -> Option<(Cookie, Cookie)> {
        loop {
            match *self.places.get(&at)? {
                Place::Session(session) => {
                    return self.stored.contains_key(&session).then_some((at, session));
                }
                Place::Forward { by_login: true, .. } if !across_logins => return None,
                Place::Forward { to, .. } => at = to,
            }
        }
    }

    /// The worlds that the next step of a thread may lead to: none if it can't have been taken here.
    fn after(&self, thread: usize, step: &Step) -> Vec<Self> {
        if let Step::Revoke(user, ended) = step {
            return self.after_revocation(thread, *user, *ended);
        }
        let mut world = self.clone();
        let mut request = std::mem::take(&mut world.requests[thread]);
        let fits = match step {
            Step::Open(cookie, seen) => world.open(&mut request, *cookie, seen.as_ref()),
            Step::Operate(op, answer) => world.operate(&mut request, *op, answer),
            Step::Commit(sent) => world.commit(std::mem::take(&mut request), *sent, false),
            Step::Revoke(..) => false,
        };
        world.requests[thread] = request;
        world.taken[thread] += 1;
        if fits { vec![world] } else { Vec::new() }
    }

    /// Sessions end one by one. At one moment, after the last, the user has none.
    fn after_revocation(&self, thread: usize, user: User, ended: usize) -> Vec<Self> {
        let of_user = self
            .stored
            .iter()
            .filter(|(_, stored)| stored.user == Some(user));
        if self.revoked[thread] < ended {
            let one_less = |(session, _): (&Cookie, _)| {
                let mut world = self.clone();
                world.stored.remove(session);
                world.revoked[thread] += 1;
                world
            };
            return of_user.map(one_less).collect();
        }
        if of_user.count() > 0 {
            return Vec::new();
        }
        let mut world = self.clone();
        world.revoked[thread] = 0;
        world.taken[thread] += 1;
        vec![world]
    }

    /// A cookie opens the session that it leads to without a forward.
    fn open(
        &self,
        request: &mut Request,
        cookie: Option<Cookie>,
        seen: Option<&(Data, Option<User>)>,
    ) -> bool {
        let opened = cookie.and_then(|cookie| match self.places.get(&cookie) {
            Some(Place::Session(session)) => self.stored.get(session),
            _ => None,
        });
        *request = Request {
            cookie,
            met: opened.and(cookie),
            seen: opened.cloned().unwrap_or_default(),
            ..Request::default()
        };
        opened.map(|stored| (&stored.data, stored.user)) == seen.map(|(data, user)| (data, *user))
    }

    fn operate(&mut self, request: &mut Request, op: Op, answer: &Answer) -> bool {
        let view = request.view();
        let expected = match op {
            Op::Remove(key) => {
                let there = match answer {
                    Answer::Removed(there) if request.lost => *there,
                    _ => view.contains_key(key),
                };
                if there {
                    request.pending.push(op);
                }
                Answer::Removed(there)
            }
            Op::Clear => {
                if request.met.is_some() || !request.pending.is_empty() {
                    request.pending = vec![op];
                }
                Answer::Nothing
            }
            Op::Increment(by) => {
                request.pending.push(op);
                match answer {
                    Answer::Number(sum) if request.lost => Answer::Number(*sum),
                    _ => Answer::Number(number(&view, "number") + by),
                }
            }
            Op::Set(..) | Op::Append(_) => {
                request.pending.push(op);
                Answer::Nothing
            }
            Op::Renew => {
                request.renew = true;
                Answer::Nothing
            }
            Op::Login(user) => {
                // What another user left is not handed on.
                if request
                    .login
                    .or(request.seen.user)
                    .is_some_and(|other| other != user)
                {
                    request.pending = vec![Op::Clear];
                }
                request.login = Some(user);
                Answer::Nothing
            }
            Op::Logout => {
                if let Some((_, session)) = request
                    .met
                    .or(request.cookie)
                    .and_then(|at| self.find(at, true))
                {
                    self.stored.remove(&session);
                }
                *request = Request {
                    ended: true,
                    ..Request::default()
                };
                Answer::Nothing
            }
            Op::Take(key) => Answer::Taken(self.take(request, key, &view, answer)),
            Op::Transaction(from, to) => return self.transaction(request, from, to, answer),
        };
        expected == *answer
    }

    /// Removes a key from the session as it is now, with what is pending on it. A key that looked
    /// absent at the load concerns the request alone.
    fn take(
        &mut self,
        request: &mut Request,
        key: Key,
        view: &Data,
        answer: &Answer,
    ) -> Option<Datum> {
        let seen = view.get(key)?.clone();
        if request.lost {
            return match answer {
                Answer::Taken(taken) => taken.clone(),
                _ => None,
            };
        }
        let Some(met) = request.met.filter(|_| request.seen.data.contains_key(key)) else {
            if request.met.is_some() {
                request.drop_pending(key);
            } else {
                request.pending.push(Op::Remove(key));
            }
            return Some(seen);
        };
        let Some((at, session)) = self.find(met, false) else {
            // What the request added to the key goes with the value.
            request.lost = true;
            request.drop_pending(key);
            request.seen.data.remove(key);
            return None;
        };
        let data = &mut self.stored.get_mut(&session)?.data;
        let taken = applied(&request.pending, data.clone()).remove(key);
        data.remove(key);
        request.met = Some(at);
        request.seen.data = data.clone();
        request.drop_pending(key);
        taken
    }

    fn transaction(&mut self, request: &mut Request, from: Key, to: Key, answer: &Answer) -> bool {
        let Answer::Committed(committed) = answer else {
            return false;
        };
        let mut request = std::mem::take(request);
        let session = request.met.map(|met| self.find(met, false));
        if session == Some(None) {
            return committed.is_none();
        }
        let Some((read, sent)) = *committed else {
            return false;
        };
        let data = session
            .flatten()
            .map(|(_, session)| self.stored[&session].data.clone());
        let now = number(&applied(&request.pending, data.unwrap_or_default()), from);
        request.pending.push(Op::Set(to, read + 1));
        read == now && self.commit(request, sent, true)
    }

    fn commit(&mut self, request: Request, sent: Sent, reloads: bool) -> bool {
        let nothing = |status| Sent {
            status,
            cookie: None,
            removes: false,
        };
        let Some(met) = request.met else {
            let data = request.view();
            if data.is_empty() && request.login.is_none() {
                return sent
                    == Sent {
                        removes: request.ended,
                        ..nothing(if request.ended {
                            Status::Ended
                        } else {
                            Status::Unchanged
                        })
                    };
            }
            let Some(cookie) = sent.cookie else {
                return false;
            };
            self.places.insert(cookie, Place::Session(cookie));
            self.stored.insert(
                cookie,
                Stored {
                    data,
                    user: request.login,
                },
            );
            return sent
                == Sent {
                    cookie: Some(cookie),
                    ..nothing(Status::Created)
                };
        };
        if request.pending.is_empty() && !request.renew && request.login.is_none() {
            return sent == nothing(Status::Unchanged);
        }
        let Some((at, session)) = self.find(met, false) else {
            return sent == nothing(Status::Gone);
        };
        let Some(stored) = self.stored.get_mut(&session) else {
            return false;
        };
        stored.data = applied(&request.pending, std::mem::take(&mut stored.data));
        stored.user = request.login.or(stored.user);
        if let Some(cookie) = sent.cookie {
            let by_login = request.login.is_some();
            self.places.insert(
                at,
                Place::Forward {
                    to: cookie,
                    by_login,
                },
            );
            self.places.insert(cookie, Place::Session(session));
        }
        // A request whose session was renewed meanwhile renews no second time, unless its
        // transaction has loaded the session again.
        let renews = request.renew && (at == met || reloads);
        let may_not = request.renew && reloads && request.login.is_none();
        let moved = sent.cookie.is_some();
        let fits = moved == (request.login.is_some() || renews) || (!moved && may_not && at != met);
        fits && sent
            == Sent {
                cookie: sent.cookie,
                ..nothing(Status::Changed)
            }
    }
}

/// Whether there is an order of the steps that are left in which each fits the world before it. Of two
/// steps of which one had ended when the other began, that one comes first.
fn explained(history: &[Vec<Event>], world: World, dead_ends: &mut HashSet<u64>) -> bool {
    let next: Vec<Option<&Event>> = (history.iter().zip(&world.taken))
        .map(|(events, taken)| events.get(*taken))
        .collect();
    let Some(first_end) = next.iter().flatten().map(|event| event.end).min() else {
        return true;
    };
    // The order of what concerns one request alone makes no difference.
    let local = next
        .iter()
        .position(|event| event.is_some_and(|event| event.step.is_local()));
    let threads = match local {
        Some(thread) => thread..thread + 1,
        None => 0..next.len(),
    };
    for thread in threads {
        let Some(event) = next[thread] else { continue };
        if local.is_none() && event.start > first_end {
            continue;
        }
        for after in world.after(thread, &event.step) {
            let mut hasher = DefaultHasher::new();
            after.hash(&mut hasher);
            if dead_ends.insert(hasher.finish()) && explained(history, after, dead_ends) {
                return true;
            }
        }
    }
    false
}
