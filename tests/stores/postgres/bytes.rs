//! The shared tests of damage, on PostgreSQL.

use liquid_session::clock::ManualClock;
use liquid_session::{SessionConfig, SessionId, Sessions};

use super::store;
use crate::damage::{self, Stand};
use crate::postgres_server::PostgresServer;

struct Site {
    server: PostgresServer,
    clock: ManualClock,
}

impl Stand for Site {
    fn open(&self) -> Sessions {
        Sessions::new(store(&self.server), SessionConfig::default()).with_clock(self.clock.clone())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn change(&self, victims: &[SessionId], change: &mut dyn FnMut(usize, &mut Vec<u8>)) {
        let mut updates = String::new();
        for (n, id) in victims.iter().enumerate() {
            let find = format!(
                "select encode(record, 'hex') from liquid_session where id = '{id}' and record is not null"
            );
            let mut record = bytes(&self.server.value(&find));
            change(n, &mut record);
            let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
            updates += &format!(
                "update liquid_session set record = '\\x{hex}' where id = '{id}' and record is not null;"
            );
        }
        self.server.sql(&updates);
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn site() -> Option<Site> {
    Some(Site {
        server: PostgresServer::start(&[])?,
        clock: ManualClock::new(),
    })
}

#[test]
fn damage_of_any_byte_is_an_error_once_and_harms_no_other_session() {
    let Some(site) = site() else {
        return;
    };
    damage::every_byte_is_checked(&site);
}

#[test]
fn a_newer_form_opens_as_no_session_and_stays() {
    let Some(site) = site() else {
        return;
    };
    damage::a_newer_form_stays(&site);
}

#[test]
fn a_sweep_gets_past_damage() {
    let Some(site) = site() else {
        return;
    };
    damage::sweeps_get_past_it(&site);
}
