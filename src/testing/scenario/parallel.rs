//! Plays two requests of one browser in every order of their steps.
//!
//! Each request runs on a thread of its own and waits before each step, so that a transaction runs as it
//! does elsewhere, with its retries.

use std::collections::BTreeMap;
use std::panic;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::format::{Entry, Parallel, Request, SetCookie};
use super::report::{Action, Course, Found, Place, Played, Step};
use super::run::{Player, Stage};
use crate::error::Error;
use crate::session::{Outcome, Session};

/// Plays the two requests in every order, each on a copy of the sessions: the scenario is played again
/// up to this entry. It goes on with the first order, one request after the other.
pub(super) fn in_every_order<'s>(
    stage: &'s Stage<'s>,
    player: &mut Player<'s>,
    at: usize,
    parallel: &'s Parallel,
    place: Place<'_>,
) -> Played {
    let mut order = Order::default();
    let mut shown = player.play_in_order(parallel, &mut order);
    let (mut orders, mut failed) = (1, usize::from(shown.fails()));
    while order.advance() {
        let mut player = stage.enter();
        for entry in &stage.file.requests[..at] {
            player.play_again(&entry.value);
        }
        let course = player.play_in_order(parallel, &mut order);
        player.leave();
        orders += 1;
        failed += usize::from(course.fails());
        if course.fails() && !shown.fails() {
            shown = course;
        }
    }
    Played::parallel(place, shown, orders, failed)
}

/// An order of the steps: which of the two requests goes on, wherever both can.
#[derive(Default)]
struct Order(Vec<usize>);

impl Order {
    /// Returns the request that goes on at the `at`-th decision.
    fn decide(&mut self, at: usize) -> usize {
        if at == self.0.len() {
            self.0.push(0);
        }
        self.0[at]
    }

    /// Moves to the next order; `false` after the last one.
    fn advance(&mut self) -> bool {
        while let Some(last) = self.0.pop() {
            if last == 0 {
                self.0.push(1);
                return true;
            }
        }
        false
    }
}

/// The page or the error, and what the commit means for the cookie.
type Answer = (Result<String, Error>, Option<Outcome>);

/// How far a request has come.
enum Reached {
    /// It waits before this step; with the result of the render, if that was the step before.
    Before(Action, Option<Result<String, Error>>),
    End(Answer),
}

/// Where a request waits before each step.
struct Gate {
    reached: Sender<Reached>,
    go: Receiver<()>,
}

impl Gate {
    fn wait(&self, action: Action, rendered: Option<&Result<String, Error>>) {
        // The errors of both mean that the test has panicked: the request ends by itself.
        let _ = self
            .reached
            .send(Reached::Before(action, rendered.cloned()));
        let _ = self.go.recv();
    }
}

/// A request on its thread.
struct Running<'scope> {
    thread: ScopedJoinHandle<'scope, ()>,
    reached: Receiver<Reached>,
    go: Sender<()>,
    /// Where it waits; `None` after a panic.
    at: Option<Reached>,
}

impl<'scope> Running<'scope> {
    fn start(
        scope: &'scope Scope<'scope, '_>,
        play: impl FnOnce(&Gate) -> Answer + Send + 'scope,
    ) -> Self {
        let (arrived, reached) = channel();
        let (go, started) = channel();
        let gate = Gate {
            reached: arrived,
            go: started,
        };
        let thread = scope.spawn(move || {
            let answer = play(&gate);
            let _ = gate.reached.send(Reached::End(answer));
        });
        let at = reached.recv().ok();
        Self {
            thread,
            reached,
            go,
            at,
        }
    }

    /// The step that comes next; none at the end.
    fn next(&self) -> Option<Action> {
        match self.at {
            Some(Reached::Before(action, _)) => Some(action),
            _ => None,
        }
    }

    fn step(&mut self) {
        let _ = self.go.send(());
        self.at = self.reached.recv().ok();
    }

    /// Returns the result of the request, or of the render that was its last step.
    fn result(&self) -> Option<&Result<String, Error>> {
        match &self.at {
            Some(Reached::Before(_, rendered)) => rendered.as_ref(),
            Some(Reached::End((answer, _))) => Some(answer),
            None => None,
        }
    }

    fn outcome(&self) -> Option<&Outcome> {
        match &self.at {
            Some(Reached::End((_, outcome))) => outcome.as_ref(),
            _ => None,
        }
    }

    /// Returns the page or the error, or panics as the request did.
    fn finish(self) -> Result<String, Error> {
        match (self.thread.join(), self.at) {
            (Ok(()), Some(Reached::End((answer, _)))) => answer,
            (Err(payload), _) => panic::resume_unwind(payload),
            (Ok(()), _) => unreachable!("a request without a panic has an end"),
        }
    }
}

impl<'s> Player<'s> {
    /// Plays an entry of the scenario without a comparison.
    fn play_again(&mut self, entry: &'s Entry) {
        match entry {
            Entry::Single(request) => drop(self.play(request)),
            Entry::Parallel(parallel) => {
                drop(self.play_in_order(parallel, &mut Order::default()));
            }
        }
    }

    /// Plays both requests in one order of their steps. The browser sends both before it has an answer,
    /// so with the same cookie.
    fn play_in_order(&mut self, parallel: &'s Parallel, order: &mut Order) -> Course {
        let written = &parallel.written;
        let browser = written.browser.0.as_str();
        self.clock.advance(written.wait.0);
        let sent = self.jar(browser);
        let mut jar = sent.clone();
        let (mut steps, mut cookies) = (Vec::new(), [SetCookie::None; 2]);
        let (mut loads, mut writes, mut decisions) = (0, 0, 0);
        let player = &*self;
        let counts = &player.stage.counts;
        counts.take();
        let answers = thread::scope(|scope| {
            let mut running = parallel.requests.each_ref().map(|request| {
                let sent = sent.sent(request);
                Running::start(scope, move |gate| {
                    player.play_in_steps(request, sent, written.transaction, gate)
                })
            });
            loop {
                let (at, action) = match [running[0].next(), running[1].next()] {
                    [Some(one), Some(other)] => {
                        let at = order.decide(decisions);
                        decisions += 1;
                        (at, [one, other][at])
                    }
                    [Some(action), None] => (0, action),
                    [None, Some(action)] => (1, action),
                    [None, None] => break,
                };
                let request = &mut running[at];
                request.step();
                let (loaded, wrote) = counts.take();
                loads += loaded;
                writes += wrote;
                if let Some(outcome) = request.outcome() {
                    cookies[at] = jar.keep(outcome);
                }
                let cookie = match action {
                    Action::Read => sent.sent(&parallel.requests[at]),
                    Action::Render | Action::Commit => jar.cookie(),
                };
                steps.push(Step::new(
                    at + 1,
                    action,
                    request.next() == Some(Action::Read),
                    request.result(),
                    player.stored(cookie).unwrap_or_default(),
                ));
                // Loads of the line above are none of the requests'.
                counts.take();
            }
            let [one, other] = running.map(Running::finish);
            let [first, second] = &parallel.requests;
            [(first, one, cookies[0]), (second, other, cookies[1])]
        })
        .map(|(request, answer, cookie)| {
            Found::new(request, answer, Ok(BTreeMap::new()), (0, 0), cookie)
        });
        let session = self.stored(jar.cookie());
        self.jars.insert(browser, jar);
        let [one, other] = cookies;
        let found = Found {
            output: None,
            error: None,
            redirect: None,
            session,
            loads,
            writes,
            cookie: if other == SetCookie::None { one } else { other },
        };
        Course::new(parallel, steps, answers, found)
    }

    /// Plays a request that waits before each of its steps.
    fn play_in_steps(
        &self,
        request: &Request,
        sent: Option<&str>,
        transaction: bool,
        gate: &Gate,
    ) -> Answer {
        let answer = |session: &Session| {
            gate.wait(Action::Read, None);
            // Loads. A failure fails the render.
            let _ = session.id();
            gate.wait(Action::Render, None);
            let answer = self.answer(request, session);
            if answer.is_ok() {
                gate.wait(Action::Commit, Some(&answer));
            }
            answer
        };
        let session = self.open(request, sent);
        if !transaction {
            let answer = answer(&session);
            return self.end(&session, answer);
        }
        match session.attempt(answer, || true) {
            Ok((page, outcome)) => (Ok(page), Some(outcome)),
            Err(error) => self.end(&session, Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_order_of_three_and_three_steps_comes_once() {
        let mut order = Order::default();
        let mut orders = Vec::new();
        loop {
            let mut steps = String::new();
            let mut left = [3, 3];
            let mut decisions = 0;
            while left != [0, 0] {
                let at = match left {
                    [_, 0] => 0,
                    [0, _] => 1,
                    _ => {
                        decisions += 1;
                        order.decide(decisions - 1)
                    }
                };
                left[at] -= 1;
                steps.push(['1', '2'][at]);
            }
            orders.push(steps);
            if !order.advance() {
                break;
            }
        }
        assert_eq!(orders[0], "111222", "one request after the other");
        assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 20);
        assert_eq!(orders.len(), 20);
    }
}
