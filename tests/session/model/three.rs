//! Every interleaving of three requests on one session that may get new secrets meanwhile.

use super::scene::Scene;
use super::world::{FORWARD, Op};

/// What a request does between its first look at the session and its end.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Write,
    Renew,
    /// The user that the session may have already.
    LoginSame,
    LoginOther,
    Take,
    Logout,
    /// With nothing but the cookie: it has not looked.
    LogoutUnseen,
}

const ACTS: [Act; 7] = [
    Act::Write,
    Act::Renew,
    Act::LoginSame,
    Act::LoginOther,
    Act::Take,
    Act::Logout,
    Act::LogoutUnseen,
];

/// A request arrives with the first secret of the session, or with the newest one.
#[derive(Clone, Copy)]
struct Request {
    act: Act,
    newest: bool,
}

impl Request {
    /// What it does when it arrives. It does nothing else to the store before it ends.
    fn begin(self, number: i64) -> Vec<Op> {
        let own = ["a1", "a2", "a3"][number as usize];
        let mut ops = match self.act {
            Act::Write => vec![Op::Set(own, number.into()), Op::Increment("n", 1)],
            Act::Renew => vec![Op::Increment("n", 1), Op::Renew],
            Act::LoginSame => vec![Op::Set(own, number.into()), Op::Login("u1")],
            Act::LoginOther => vec![Op::Set(own, number.into()), Op::Login("u2")],
            Act::Take => vec![Op::Get("list")],
            Act::Logout => vec![Op::Get("a")],
            Act::LogoutUnseen => Vec::new(),
        };
        if self.act == Act::Take {
            ops.push(Op::Append("list", number.into()));
        }
        ops
    }

    /// What it does at its end: one step for the others.
    fn end(self) -> Vec<Op> {
        match self.act {
            Act::Take => vec![Op::Take("list"), Op::Commit],
            Act::Logout | Act::LogoutUnseen => vec![Op::Logout, Op::Commit],
            _ => vec![Op::Commit],
        }
    }
}

/// Every order of three arrivals and three ends, in which the requests arrive by their number: they
/// are told apart by nothing else.
fn orders() -> Vec<Vec<usize>> {
    fn go_on(order: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if order.len() == 6 {
            all.push(order.clone());
            return;
        }
        let steps = |request| order.iter().filter(|&&other| other == request).count();
        let next: Vec<_> = (0..3)
            .filter(|&request| {
                let arrives_in_turn = request == 0 || steps(request - 1) > 0;
                steps(request) < 2 && arrives_in_turn
            })
            .collect();
        for request in next {
            order.push(request);
            go_on(order, all);
            order.pop();
        }
    }
    let mut all = Vec::new();
    go_on(&mut Vec::new(), &mut all);
    all
}

/// Plays one order, with a pause before one of the steps; `None` if the same was played with another
/// choice of secrets.
fn play(
    user: Option<&'static str>,
    requests: [Request; 3],
    order: &[usize],
    pause: Option<usize>,
) -> Option<()> {
    let mut scene = Scene::new();
    let first = scene.open(None);
    for op in [
        Op::Set("a", 1.into()),
        Op::Set("n", 1.into()),
        Op::Append("list", 0.into()),
    ] {
        scene.step(first, &op);
    }
    if let Some(user) = user {
        scene.step(first, &Op::Login(user));
    }
    scene.step(first, &Op::Commit);
    let mut handles = [None; 3];
    for (at, &number) in order.iter().enumerate() {
        let request = requests[number];
        if pause == Some(at) {
            scene.step(first, &Op::Advance(FORWARD));
        }
        match handles[number] {
            None => {
                let newest = scene.secrets() - 1;
                if request.newest && newest == 0 {
                    return None;
                }
                let secret = if request.newest { newest } else { 0 };
                let handle = scene.open(Some(secret));
                for op in request.begin(number as i64) {
                    scene.step(handle, &op);
                }
                handles[number] = Some(handle);
            }
            Some(handle) => {
                for op in request.end() {
                    scene.step(handle, &op);
                }
            }
        }
    }
    scene.finish();
    Some(())
}

fn play_all(user: Option<&'static str>) -> usize {
    let orders = orders();
    let kinds: Vec<_> = ACTS
        .into_iter()
        .flat_map(|act| [false, true].map(|newest| Request { act, newest }))
        .collect();
    let halves = kinds.chunks(kinds.len().div_ceil(2));
    std::thread::scope(|scope| {
        let threads: Vec<_> = halves
            .map(|half| {
                let (kinds, orders) = (&kinds, &orders);
                scope.spawn(move || {
                    let mut played = 0;
                    // The first to arrive finds one secret.
                    for &third in half {
                        for &second in kinds {
                            for &first in kinds.iter().filter(|first| !first.newest) {
                                for order in orders {
                                    let requests = [first, second, third];
                                    for pause in [None, Some(3), Some(4)] {
                                        played += usize::from(
                                            play(user, requests, order, pause).is_some(),
                                        );
                                    }
                                }
                            }
                        }
                    }
                    played
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    })
}

#[test]
fn three_requests_on_one_session() {
    assert_eq!(orders().len(), 15);
    assert_eq!(play_all(None), 22_596);
}

#[test]
fn three_requests_on_a_session_of_a_user() {
    assert_eq!(play_all(Some("u1")), 22_596);
}
