//! Every interleaving of short requests.

use super::scene::Scene;
use super::world::{Key, Op, User};

/// All that a request may do, told apart by the request: values and users are its own.
fn ops(request: usize) -> Vec<Op> {
    let (value, user): (i64, User) = [(10, "u1"), (20, "u2")][request];
    let (a, b): (Key, Key) = ("a", "b");
    vec![
        Op::Get(a),
        Op::Set(a, value.into()),
        Op::Set(b, value.into()),
        Op::Remove(a),
        Op::Clear,
        // Two of them without a use in between end the session.
        Op::Advance(40 * 60),
        Op::Renew,
        Op::Login(user),
        Op::Logout,
        Op::Commit,
    ]
}

/// All requests that do so many of these things and commit.
fn requests(ops: &[Op], length: usize) -> Vec<Vec<Op>> {
    let mut all = vec![Vec::new()];
    for _ in 0..length {
        all = all
            .iter()
            .flat_map(|begun| {
                ops.iter()
                    .map(|op| [begun, std::slice::from_ref(op)].concat())
            })
            .collect();
    }
    for request in &mut all {
        request.push(Op::Commit);
    }
    all
}

/// Every way to lay one request's steps between the other's: who comes next.
fn merges(first: usize, second: usize) -> Vec<Vec<usize>> {
    match (first, second) {
        (0, 0) => vec![Vec::new()],
        _ => {
            let mut all = Vec::new();
            if first > 0 {
                all.extend(
                    merges(first - 1, second)
                        .into_iter()
                        .map(|m| [vec![0], m].concat()),
                );
            }
            if second > 0 {
                all.extend(
                    merges(first, second - 1)
                        .into_iter()
                        .map(|m| [vec![1], m].concat()),
                );
            }
            all
        }
    }
}

/// What a step of a request has to do with the other request.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// Nothing: it reads and writes what the handle holds.
    Own,
    /// It reads the store.
    Load,
    /// It changes the store or the time.
    World,
}

fn reaches(request: &[Op]) -> Vec<Reach> {
    let mut opened = false;
    let reach = |op: &Op| match op {
        Op::Commit => {
            opened = false;
            Reach::World
        }
        Op::Logout => {
            opened = true;
            Reach::World
        }
        Op::Advance(_) => Reach::World,
        _ if opened => Reach::Own,
        _ => {
            opened = true;
            Reach::Load
        }
    };
    request.iter().map(reach).collect()
}

/// Whether this is the first of all orders that come to the same, because steps that have nothing to
/// do with each other may change places.
fn is_first(merge: &[usize], reaches: [&[Reach]; 2]) -> bool {
    let mut at = [0, 0];
    let mut before = None;
    merge.iter().all(|&who| {
        let reach = reaches[who][at[who]];
        at[who] += 1;
        let free = match before.replace((who, reach)) {
            Some((1, other)) if who == 0 => {
                other == Reach::Own
                    || reach == Reach::Own
                    || (other, reach) == (Reach::Load, Reach::Load)
            }
            _ => false,
        };
        !free
    })
}

/// Plays all of them on a session `{a: 1}` of this user.
fn play(user: Option<User>, ops: impl Fn(usize) -> Vec<Op>, length: usize) {
    let (ones, twos) = (requests(&ops(0), length), requests(&ops(1), length));
    let mut merges = merges(length + 1, length + 1);
    if user.is_none() {
        // Both may do the same things, so who begins makes no difference.
        merges.retain(|merge| merge[0] == 0);
    }
    let halves = ones.chunks(ones.len().div_ceil(2));
    let played: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = halves
            .map(|half| {
                let (twos, merges) = (&twos, &merges);
                scope.spawn(move || {
                    let mut played = 0;
                    for (one, two) in half
                        .iter()
                        .flat_map(|one| twos.iter().map(move |two| (one, two)))
                    {
                        let reaches = [&*reaches(one), &*reaches(two)];
                        for merge in merges.iter().filter(|merge| is_first(merge, reaches)) {
                            interleave(user, one, two, merge);
                            played += 1;
                        }
                    }
                    played
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    let pairs = ones.len() * twos.len();
    assert!(played > pairs, "{played} orders of {pairs} pairs");
}

fn interleave(user: Option<User>, one: &[Op], two: &[Op], merge: &[usize]) {
    let mut scene = Scene::new();
    let first = scene.open(None);
    scene.step(first, &Op::Set("a", 1.into()));
    if let Some(user) = user {
        scene.step(first, &Op::Login(user));
    }
    scene.step(first, &Op::Commit);
    let handles = [scene.open(Some(0)), scene.open(Some(0))];
    let mut next = [one.iter(), two.iter()];
    for &who in merge {
        scene.step(handles[who], next[who].next().unwrap());
    }
    scene.finish();
}

#[test]
fn two_requests_on_one_session() {
    play(None, ops, 2);
}

/// Of the first one; the other one may sign in as somebody else.
#[test]
fn two_requests_on_a_session_of_a_user() {
    let ops = |request| {
        let mut ops = ops(request);
        ops.retain(|op| !matches!(op, Op::Get(_) | Op::Advance(_)));
        ops
    };
    play(Some("u1"), ops, 2);
}

#[test]
fn one_request_with_a_secret_from_outside() {
    for request in &requests(&ops(0), 3) {
        let mut scene = Scene::new();
        let foreign = scene.foreign_secret();
        let handle = scene.open(Some(foreign));
        for op in request {
            scene.step(handle, op);
        }
        scene.finish();
    }
}
