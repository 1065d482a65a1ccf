//! The table stays small: PostgreSQL writes a new row for each change, and clears the old ones later.

use std::time::{Duration, Instant};

use super::{change, changed, store};
use crate::postgres_server::{PostgresServer, say};
use liquid_session::SessionId;
use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::store::{
    Lifetime, PostgresStore, Record, SessionStore, StoreKey, Swap, Swapped,
};

const SESSIONS: usize = 100_000;
const CHANGES: usize = 1_000_000;
const THREADS: usize = 8;
const LIFETIME: Lifetime = Lifetime::new(Duration::from_secs(30 * 24 * 60 * 60));

/// xorshift: the same steps in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn begin(store: &PostgresStore, dice: &mut Dice) -> (StoreKey, Record) {
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&dice.throw().to_le_bytes());
    }
    let key = StoreKey::from_bytes(bytes);
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[8..24]);
    let mut create = change().create(SessionId::from_bytes(id));
    for name in ["cart", "color", "flash", "language", "seen"] {
        create = create.set(name, &"x".repeat(60).into());
    }
    if dice.throw().is_multiple_of(4) {
        create = create.login(&format!("user-{}", dice.throw() % 50_000), None);
    }
    let now = SystemClock.now();
    let record = create.created(now).unwrap().unwrap();
    assert_eq!(
        store.swap(&key, Swap::Create(&record), now).unwrap(),
        Swapped::Done
    );
    (key, record)
}

/// Half of the changes are touches, half are commits, over all sessions in random order.
fn work(store: &PostgresStore, dice: &mut Dice, live: &mut [(StoreKey, Record)], changes: usize) {
    for _ in 0..changes {
        let (key, record) = &mut live[dice.throw() as usize % live.len()];
        let now = record.last_used() + Duration::from_secs(5 * 60);
        if dice.throw().is_multiple_of(2) {
            let touch = record.touch_due(&LIFETIME, now).unwrap();
            store.touch(key, &touch).unwrap();
            let mut touched = record.clone();
            touched.touch(&touch);
            *record = touched;
        } else {
            let count = dice.throw() % 1_000;
            let after = changed(record, &change().set("seen", &(count as i64).into()), now);
            let swap = Swap::Replace {
                before: record,
                after: &after,
            };
            assert_eq!(store.swap(key, swap, now).unwrap(), Swapped::Done);
            *record = after;
        }
    }
}

/// `cargo test --features postgres --test stores -- --ignored --nocapture a_million_changes`
#[test]
#[ignore = "takes minutes, and prints the size of the table"]
fn a_million_changes_leave_a_table_below_three_times_its_live_size() {
    let Some(server) = PostgresServer::start(&["max_wal_size=1GB", "synchronous_commit=off"])
    else {
        return;
    };
    let store = store(&server);
    let size = || {
        let sizes =
            server.sql("select pg_table_size('liquid_session'), pg_indexes_size('liquid_session')");
        let [table, indexes] = [0, 1].map(|at| sizes[0][at].parse::<f64>().unwrap() / 1e6);
        (table, indexes)
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let mut dice = Dice(0x9e37_79b9_7f4a_7c15 + thread as u64);
                let mut live: Vec<_> = (0..SESSIONS / THREADS)
                    .map(|_| begin(store, &mut dice))
                    .collect();
                work(store, &mut dice, &mut live, CHANGES / THREADS);
            });
        }
    });
    let took = begun.elapsed();
    let (table, indexes) = size();
    let updates =
        server.sql("select n_tup_upd, n_tup_hot_upd, autovacuum_count from pg_stat_user_tables");
    server.sql("vacuum full liquid_session");
    let (live_table, live_indexes) = size();
    let times = (table + indexes) / (live_table + live_indexes);
    say(&format!(
        "{CHANGES} changes of {SESSIONS} sessions in {took:?}: table {table:.0} MB, indexes {indexes:.0} MB; \
         live {live_table:.0} MB and {live_indexes:.0} MB; {times:.2} times; updates, of these on their \
         page, autovacuums: {updates:?}"
    ));
    assert!(times < 3.0, "{times}");
}
