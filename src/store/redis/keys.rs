//! Names of keys, and what stands under them beside records.

use sha2::{Digest as _, Sha256};

use crate::SessionId;
use crate::clock::Timestamp;
use crate::store::StoreKey;
use crate::store::{Forward, IndexLine};

/// The first byte of a forward. No form of a record has this number.
const FORWARD: u8 = 0;

/// The key of a session: the prefix, the shard in braces, and the rest of the store key.
///
/// A cluster takes what stands in the braces for the slot, so all keys that a session ever has share
/// one. In hex, because a raw byte may be a brace.
pub(super) fn session(prefix: &str, key: &StoreKey) -> Vec<u8> {
    let digit = |number: u8| b"0123456789abcdef"[usize::from(number & 15)];
    let [a, b] = key.shard();
    let tag = [b'{', digit(a >> 4), digit(a), digit(b >> 4), digit(b), b'}'];
    [prefix.as_bytes(), &tag, &key.as_bytes()[2..]].concat()
}

/// The store key in the name of a session's key.
pub(super) fn parse_session(prefix: &str, name: &[u8]) -> Option<StoreKey> {
    let rest = name.strip_prefix(prefix.as_bytes())?.strip_prefix(b"{")?;
    let (hex, rest) = rest.split_first_chunk::<4>()?;
    let shard = u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
    let mut key = [0; 32];
    key[..2].copy_from_slice(&shard.to_be_bytes());
    key[2..].copy_from_slice(<&[u8; 30]>::try_from(rest.strip_prefix(b"}")?).ok()?);
    Some(StoreKey::from_bytes(key))
}

/// The pattern of all sessions' keys, those with another prefix among them.
pub(super) const PATTERN: &str = "*{????}*";

/// The key of a user's index. A user name may be long, and hold any character: half of its SHA-256
/// stands for it. Two users who share an index are told apart by their records.
pub(super) fn index(prefix: &str, user: &str) -> Vec<u8> {
    let digest = Sha256::digest(user.as_bytes());
    [prefix.as_bytes(), b":u:", &digest[..16]].concat()
}

/// A line of the index: session ID and store key.
pub(super) fn line(id: SessionId, key: &StoreKey) -> Vec<u8> {
    [&id.as_bytes()[..], key.as_bytes()].concat()
}

pub(super) fn parse_line(line: &[u8]) -> Option<IndexLine> {
    let (id, key) = line.split_first_chunk()?;
    Some(IndexLine {
        id: SessionId::from_bytes(*id),
        key: StoreKey::from_bytes(key.try_into().ok()?),
    })
}

/// The stored form of a forward: its first byte, whether a login moved the session, the end, the key.
pub(super) fn forward(forward: &Forward) -> Vec<u8> {
    let mut out = vec![FORWARD, u8::from(forward.by_login)];
    out.extend_from_slice(&forward.until.as_millis().to_le_bytes());
    out.extend_from_slice(forward.to.as_bytes());
    out
}

/// `None` if these are not the bytes of a forward.
pub(super) fn parse_forward(bytes: &[u8]) -> Option<Forward> {
    let [FORWARD, by_login @ (0 | 1), rest @ ..] = bytes else {
        return None;
    };
    let (until, to) = rest.split_first_chunk()?;
    Some(Forward {
        to: StoreKey::from_bytes(to.try_into().ok()?),
        by_login: *by_login == 1,
        until: Timestamp::from_millis(u64::from_le_bytes(*until)),
    })
}
