//! What the keys in the server are called.

use crate::secret::StoreKey;

/// All keys of a store begin with its prefix in braces. What stands in braces decides the slot of a
/// cluster that a key lives in, and the keys of one script must share a slot.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: format!("{{{prefix}}}"),
        }
    }

    /// The hash of a session.
    pub(super) fn session(&self, key: &StoreKey) -> Vec<u8> {
        self.named("s", &hex(key))
    }

    /// The sorted set of a user's sessions.
    pub(super) fn user(&self, user: &str) -> Vec<u8> {
        self.named("u", user.as_bytes())
    }

    /// The sorted set of all deadlines.
    pub(super) fn deadlines(&self) -> Vec<u8> {
        self.named("d", b"")
    }

    /// The lease of a session.
    pub(super) fn lease(&self, key: &StoreKey) -> Vec<u8> {
        self.named("l", &hex(key))
    }

    fn named(&self, kind: &str, name: &[u8]) -> Vec<u8> {
        let mut out = format!("{}:{kind}:", self.prefix).into_bytes();
        out.extend_from_slice(name);
        out
    }
}

/// Not base64url: nobody shall take it for a secret.
fn hex(key: &StoreKey) -> Vec<u8> {
    key.as_bytes()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| digit + if digit < 10 { b'0' } else { b'a' - 10 })
        .collect()
}

/// Who a session belongs to, as the scripts have it: `n`, or `u` and the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    User(String),
}

impl Owner {
    pub(super) fn of(user: Option<&str>) -> Self {
        user.map_or(Self::Nobody, |user| Self::User(user.to_owned()))
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (b'n', []) => Some(Self::Nobody),
            (b'u', user) => String::from_utf8(user.to_vec()).ok().map(Self::User),
            _ => None,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Nobody => b"n".to_vec(),
            Self::User(user) => [b"u", user.as_bytes()].concat(),
        }
    }

    /// The index to file under; the deadlines stand in where there is none, because a script gets
    /// its keys by position.
    pub(super) fn index(&self, keys: &Keys) -> Vec<u8> {
        match self {
            Self::Nobody => keys.deadlines(),
            Self::User(user) => keys.user(user),
        }
    }
}

/// A line of the deadlines: the key of a session, then its owner.
pub(super) fn line(bytes: &[u8]) -> Option<(StoreKey, Owner)> {
    let (key, owner) = bytes.split_first_chunk::<32>()?;
    Some((StoreKey::from_bytes(*key), Owner::parse(owner)?))
}
