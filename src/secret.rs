//! [`Secret`], [`StoreKey`] and [`SessionId`]: what the visitor, the store and everyone else know a
//! session by.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};

/// How many characters a secret has in a cookie: 32 bytes in base64url without padding.
pub(crate) const TEXT_LEN: usize = 43;

/// The random value in the visitor's cookie: 32 bytes from the system's random generator.
///
/// - It gives access to the session. So it has no `Display`, its `Debug` shows nothing, and only
///   [`expose`](Self::expose) returns the text.
/// - The store never sees it: it knows the [`StoreKey`](crate::store::StoreKey).
/// - 256 bits are twice what OWASP's ASVS 5.0 asks for (7.2.3, 11.5.1).
///
/// ```
/// use liquid_session::{MemoryStore, SessionConfig, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("a", 1)?;
/// let outcome = session.commit()?;
/// let secret = outcome.secret().expect("a new session has a new secret");
/// assert_eq!(secret.expose().len(), 43);
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new secret; a renewed session stays in its shard.
    pub(crate) fn generate(shard: Option<[u8; 2]>) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|cause| {
            Error::with_source(
                ErrorKind::Unavailable,
                "the system gave no random bytes for a new session",
                cause,
            )
        })?;
        if let Some(shard) = shard {
            bytes[..2].copy_from_slice(&shard);
        }
        Ok(Self(bytes))
    }

    /// Parses the text of a cookie. Text that is not 43 characters of base64url is not a secret and never
    /// reaches a store (ASVS: untrusted input).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::parse_bytes(text.as_bytes())
    }

    /// Parses the bytes of a cookie, which may not be text.
    pub(crate) fn parse_bytes(text: &[u8]) -> Option<Self> {
        if text.len() != TEXT_LEN {
            return None;
        }
        let mut bytes = [0; 32];
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (written == bytes.len()).then_some(Self(bytes))
    }

    /// Returns the text for the cookie. Send it in `Set-Cookie` over TLS, and nowhere else.
    ///
    /// ```
    /// use liquid_session::{MemoryStore, SessionConfig, Sessions};
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// session.set("a", 1)?;
    /// let cookie = session.commit()?.secret().map(|secret| secret.expose());
    /// assert_eq!(sessions.open(cookie.as_deref()).get("a")?, Some(1.into()));
    /// # Ok::<(), liquid_session::Error>(())
    /// ```
    pub fn expose(&self) -> String {
        let mut text = [0; TEXT_LEN];
        // 32 bytes always make 43 characters of ASCII.
        let _ = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Whether two cookies of one request hold the same value. Both are the visitor's own, so the time
    /// that it takes reveals nothing.
    #[cfg(feature = "cookie")]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The store key: the shard, then 30 bytes of the secret's SHA-256.
    pub(crate) fn store_key(&self) -> StoreKey {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&self.0[..2]);
        key[2..].copy_from_slice(&Sha256::digest(self.0)[..30]);
        StoreKey(key)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a store files a session under: two bytes of its [`Secret`], the shard, and 30 bytes of the
/// secret's SHA-256.
///
/// A dump of the store opens no session: 240 random bits can't be computed from a hash. Lookups
/// compare hashes, so the time they take reveals nothing of the secret. A renewed session keeps its
/// shard, so a store can keep all that belongs to one session in one place.
///
/// ```
/// use liquid_session::store::StoreKey;
///
/// let key = StoreKey::from_bytes([7; 32]);
/// assert_eq!(key.as_bytes(), &[7; 32]);
/// assert_eq!(format!("{key:?}"), "StoreKey(..)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// Makes the key of these bytes, as a store kept them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to write down.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first two bytes: equal for all keys that one session ever has.
    pub const fn shard(&self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// The public ID of a session: a random UUID.
///
/// It stays the same as long as the session lives, also when the secret changes. It may be shown in
/// logs, in lists of a user's sessions and as `context.session.session_id`: it gives access to nothing.
///
/// ```
/// use liquid_session::{MemoryStore, SessionConfig, SessionId, Sessions};
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.set("a", 1)?;
/// session.commit()?;
/// let id = session.id()?.expect("stored");
/// assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
/// assert_eq!(sessions.open(Some(&id.to_string())).get("a")?, None);
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Makes a random ID.
    pub(crate) fn generate() -> Self {
        Self(Uuid::new_v4())
    }

    /// Makes the ID of these bytes, as a store kept them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns the bytes for a store to keep.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::parse_str(text).map(Self).map_err(|cause| {
            Error::with_source(
                ErrorKind::Value,
                "the text is not a session ID: expected a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8",
                cause,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_from_its_text_and_nothing_else_does() {
        let secret = Secret::generate(None).unwrap();
        let text = secret.expose();
        assert_eq!(Secret::parse(&text).unwrap().0, secret.0);
        assert!(Secret::parse(&text[1..]).is_none());
        assert!(Secret::parse(&format!("{text}=")).is_none());
        assert!(Secret::parse(&format!("{}+", &text[..42])).is_none());
        assert!(Secret::parse(&"ż".repeat(21)).is_none());
        // The last character has two unused bits: only one text is valid for a secret.
        assert!(Secret::parse(&format!("{}B", "A".repeat(42))).is_none());
    }

    #[test]
    fn the_store_key_is_the_shard_and_the_sha_256_of_the_secret() {
        assert_eq!(
            Secret::generate(Some([1, 2])).unwrap().store_key().shard(),
            [1, 2]
        );
        let key = Secret([0; 32]).store_key();
        let hex: String = key.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "000066687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f"
        );
    }
}
