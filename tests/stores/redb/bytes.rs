//! The shared tests of damage, on files.

use std::path::Path;

use liquid_session::clock::ManualClock;
use liquid_session::{SessionId, Sessions};
use redb::ReadableTable as _;

use super::support::{RECORDS, Site};
use crate::damage::{self, Stand};

impl Stand for Site {
    fn open(&self) -> Sessions {
        self.open().0
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn change(&self, victims: &[SessionId], change: &mut dyn FnMut(usize, &mut Vec<u8>)) {
        let database = redb::Database::open(self.path()).unwrap();
        let write = database.begin_write().unwrap();
        {
            let mut records = write.open_table(RECORDS).unwrap();
            let mut changed = Vec::new();
            for line in records.iter().unwrap() {
                let (key, row) = line.unwrap();
                let (filed, trail, record) = row.value();
                let of = |id: &SessionId| record.get(30..46) == Some(id.as_bytes());
                if let Some(n) = victims.iter().position(of) {
                    changed.push((n, *key.value(), filed, trail.to_vec(), record.to_vec()));
                }
            }
            assert_eq!(changed.len(), victims.len());
            for (n, key, filed, trail, mut record) in changed {
                change(n, &mut record);
                records
                    .insert(&key, (filed, trail.as_slice(), record.as_slice()))
                    .unwrap();
            }
        }
        write.commit().unwrap();
    }
}

/// In memory where the machine allows it: the tests write much.
fn site() -> Site {
    let mut site = Site::new();
    if let Ok(folder) = tempfile::tempdir_in(Path::new("/dev/shm")) {
        site.folder = folder;
    }
    site
}

#[test]
fn damage_of_any_byte_is_an_error_once_and_harms_no_other_session() {
    damage::every_byte_is_checked(&site());
}

#[test]
fn a_newer_form_opens_as_no_session_and_stays() {
    damage::a_newer_form_stays(&site());
}

#[test]
fn a_sweep_gets_past_damage() {
    damage::sweeps_get_past_it(&site());
}
