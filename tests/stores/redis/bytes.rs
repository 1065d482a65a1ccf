//! The shared tests of damage, on Redis.

use liquid_session::clock::ManualClock;
use liquid_session::{SessionConfig, SessionId, Sessions};

use super::{ask, names, store};
use crate::damage::{self, Stand};
use crate::redis_server::RedisServer;

struct Site {
    server: RedisServer,
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
        let mut changed = 0;
        for name in names(&self.server) {
            let kind: String = ask(&self.server, redis::cmd("TYPE").arg(&name));
            if kind != "string" {
                continue;
            }
            let mut record: Vec<u8> = ask(&self.server, redis::cmd("GET").arg(&name));
            let of = |id: &SessionId| record.get(30..46) == Some(id.as_bytes());
            if let Some(n) = victims.iter().position(of) {
                change(n, &mut record);
                let mut set = redis::cmd("SET");
                let () = ask(&self.server, set.arg(&name).arg(record).arg("KEEPTTL"));
                changed += 1;
            }
        }
        assert_eq!(changed, victims.len());
    }
}

fn site() -> Option<Site> {
    Some(Site {
        server: RedisServer::start(&[])?,
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
