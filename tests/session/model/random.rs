//! Long random sequences of three requests at once.

use liquid_session::store::SessionStore;
use liquid_session::{MemoryStore, SessionConfig, Value};
use proptest::prelude::*;

use super::scene::Scene;
use super::world::{Key, Op, User};

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![Just("a"), Just("b"), Just("list")]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0..5i64).prop_map(Value::from),
        1 => Just(Value::from("text")),
        1 => Just(Value::from(vec![1])),
    ]
}

fn simple() -> impl Strategy<Value = Op> {
    let user = prop_oneof![Just::<User>("u1"), Just("u2")];
    prop_oneof![
        4 => key().prop_map(Op::Get),
        1 => Just(Op::Entries),
        4 => (key(), value()).prop_map(|(key, value)| Op::Set(key, value)),
        2 => key().prop_map(Op::Remove),
        1 => Just(Op::Clear),
        3 => (key(), 1..4i64).prop_map(|(key, by)| Op::Increment(key, by)),
        3 => (key(), value()).prop_map(|(key, item)| Op::Append(key, item)),
        3 => key().prop_map(Op::Take),
        2 => Just(Op::Renew),
        1 => user.prop_map(Op::Login),
    ]
}

fn in_transaction() -> impl Strategy<Value = Op> {
    prop_oneof![20 => simple(), 1 => Just(Op::Logout)]
}

fn op() -> impl Strategy<Value = Op> {
    let rival = proptest::option::of((key(), value()));
    prop_oneof![
        20 => simple(),
        8 => Just(Op::Commit),
        1 => Just(Op::Logout),
        1 => Just(Op::Discard),
        2 => prop_oneof![Just(1), Just(59), Just(60), Just(600), Just(1500), Just(3540), Just(3600)].prop_map(Op::Advance),
        5 => (proptest::collection::vec(in_transaction(), 0..5), rival)
            .prop_map(|(ops, rival)| Op::Transaction(ops, rival)),
    ]
}

/// What the visitor's next request does: goes on with its handle, or opens a new one.
#[derive(Clone, Debug)]
enum Step {
    Do(usize, Op),
    /// With any of the cookies that there were, dead or alive.
    Reopen(usize, prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3usize, op()).prop_map(|(handle, op)| Step::Do(handle, op)),
        1 => (0..3usize, any::<prop::sample::Index>()).prop_map(|(h, s)| Step::Reopen(h, s)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn three_requests(steps in proptest::collection::vec(step(), 1..40)) {
        play(MemoryStore::new(), &steps);
    }
}

#[cfg(feature = "postgres")]
#[test]
fn three_requests_on_postgres() {
    play_on_postgres(crate::postgres_store::Served::new);
}

#[cfg(feature = "postgres")]
#[test]
fn three_requests_on_its_async_face() {
    play_on_postgres(crate::postgres_store::Served::awaited);
}

/// Fewer: each needs a table.
#[cfg(feature = "postgres")]
fn play_on_postgres(store: fn() -> crate::postgres_store::Served) {
    use proptest::test_runner::TestRunner;

    // The server stops with the last store.
    let _first = crate::postgres_store::Served::new();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(100));
    let steps = proptest::collection::vec(step(), 1..40);
    let played = runner.run(&steps, |steps| {
        play(store(), &steps);
        Ok(())
    });
    played.unwrap();
}

fn play(store: impl SessionStore, steps: &[Step]) {
    let mut scene = Scene::on(store, SessionConfig::builder());
    let first = scene.open(None);
    scene.step(first, &Op::Set("a", 1.into()));
    scene.step(first, &Op::Commit);
    let foreign = scene.foreign_secret();
    let mut handles = [Some(0), Some(0), Some(foreign)].map(|secret| scene.open(secret));
    for step in steps {
        match step {
            Step::Do(handle, op) => scene.step(handles[*handle], op),
            Step::Reopen(handle, secret) => {
                handles[*handle] = scene.open(Some(secret.index(scene.secrets())));
            }
        }
    }
    scene.finish();
}

/// What proptest found: a removal that a failed transaction restores stays a change.
#[test]
fn a_failed_transaction_keeps_a_removal_of_what_was_only_pending() {
    let mut scene = Scene::new();
    let first = scene.open(None);
    scene.step(first, &Op::Set("a", 1.into()));
    scene.step(first, &Op::Commit);
    let b = scene.open(Some(0));
    let c = scene.open(Some(0));
    scene.step(b, &Op::Get("a"));
    scene.step(b, &Op::Transaction(vec![Op::Renew], None));
    scene.step(c, &Op::Append("b", 0.into()));
    scene.step(c, &Op::Take("b"));
    scene.step(
        c,
        &Op::Transaction(
            vec![
                Op::Get("a"),
                Op::Increment("b", 2),
                Op::Set("list", "text".into()),
                Op::Increment("list", 2),
            ],
            Some(("b", 0.into())),
        ),
    );
    scene.finish();
}
