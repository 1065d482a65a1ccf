//! Which sessions a user has.

use std::collections::HashSet;

use super::{MemoryStore, Shard};
use crate::secret::StoreKey;

impl MemoryStore {
    pub(super) fn file_user(&self, user: &str, key: StoreKey) {
        let mut users = self.users.lock();
        match users.get_mut(user) {
            Some(keys) => {
                keys.insert(key);
            }
            None => {
                users.insert(user.into(), HashSet::from([key]));
            }
        }
    }

    pub(super) fn unfile_user(&self, user: Option<&str>, key: &StoreKey) {
        let Some(user) = user else { return };
        let mut users = self.users.lock();
        if let Some(keys) = users.get_mut(user) {
            keys.remove(key);
            if keys.is_empty() {
                users.remove(user);
            }
        }
    }

    /// Looks at the sessions of a user one by one. A renewal may move one to another key meanwhile,
    /// so what is filed since is looked at too, until there is nothing new: no session escapes.
    pub(super) fn visit_user(&self, user: &str, mut visit: impl FnMut(&mut Shard, &StoreKey)) {
        let mut seen = HashSet::new();
        loop {
            let new: Vec<_> = match self.users.lock().get(user) {
                Some(keys) => keys.difference(&seen).copied().collect(),
                None => return,
            };
            if new.is_empty() {
                return;
            }
            for key in &new {
                visit(&mut self.shard(key), key);
            }
            seen.extend(new);
        }
    }
}
