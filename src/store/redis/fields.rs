//! A session as the fields of a hash, version 1.
//!
//! | field | value |
//! |---|---|
//! | `m:form` | `1` |
//! | `m:id` | the public handle, 16 bytes |
//! | `m:version` | how many changes it has seen |
//! | `m:created`, `m:used`, `m:ends` | milliseconds since 1970 |
//! | `m:idle` | the idle timeout in milliseconds |
//! | `m:bytes` | the size of all keys and values, kept so that a commit need not read them all |
//! | `m:user` | who is signed in; absent without one |
//! | `d:` and a key | the stored form of its value |
//!
//! Numbers are decimal texts. To add version 2: write another `m:form`, keep reading 1 here and in
//! the scripts, keep `m:form`, `m:used`, `m:idle`, `m:ends` and `m:user` as they are, since an older
//! program's sweep reads them, and add files to `fixtures/records/`.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::record::{Record, RecordParts, damaged, of_version};
use crate::secret::SessionId;
use crate::store::SessionInfo;

/// Field names and values.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The field of a key.
pub(super) fn field(key: &str) -> Vec<u8> {
    [b"d:", key.as_bytes()].concat()
}

pub(super) fn fields(record: &Record) -> Fields {
    let mut fields: Fields = vec![
        ("m:form".into(), "1".into()),
        ("m:id".into(), record.id().as_bytes().to_vec()),
        ("m:version".into(), text(record.version())),
        ("m:created".into(), text(record.created().as_millis())),
        ("m:used".into(), text(record.last_used().as_millis())),
        ("m:idle".into(), text(millis(record.idle_timeout()))),
        ("m:ends".into(), text(record.ends().as_millis())),
        ("m:bytes".into(), text(record.bytes() as u64)),
    ];
    if let Some(user) = record.user() {
        fields.push(("m:user".into(), user.into()));
    }
    fields.extend(
        record
            .iter()
            .map(|(key, value)| (field(key), value.to_vec())),
    );
    fields
}

#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    use super::{Error, Fields, Record};

    pub(crate) fn read(fields: Fields) -> Result<Option<Record>, Error> {
        super::record(fields)
    }

    pub(crate) fn write(record: &Record) -> Fields {
        super::fields(record)
    }
}

/// `None` for no fields: there is no such session.
pub(super) fn record(fields: Fields) -> Result<Option<Record>, Error> {
    if fields.is_empty() {
        return Ok(None);
    }
    let mut meta = Meta::default();
    let mut data = Vec::new();
    for (name, value) in fields {
        match name.split_at_checked(2) {
            Some((b"d:", key)) => {
                let key = std::str::from_utf8(key).map_err(|_| damaged())?;
                data.push((key.to_owned(), value));
            }
            _ => meta.note(&name, value),
        }
    }
    form(meta.form.as_deref().unwrap_or_default())?;
    let parts = meta.parts(data).ok_or_else(damaged)?;
    Record::from_parts(parts).map(Some)
}

/// An error unless this program reads this form.
pub(super) fn form(form: &[u8]) -> Result<(), Error> {
    match std::str::from_utf8(form) {
        Ok("1") => Ok(()),
        Ok(newer) if newer.parse::<u32>().is_ok() => Err(of_version(newer)),
        _ => Err(damaged()),
    }
}

/// From what the script for a user's sessions answers: id, created, used, idle, ends.
pub(super) fn info(values: [Vec<u8>; 5]) -> Result<SessionInfo, Error> {
    let [id, created, used, idle, ends] = values;
    let meta = Meta {
        id: Some(id),
        version: Some(text(0)),
        created: Some(created),
        used: Some(used),
        idle: Some(idle),
        ends: Some(ends),
        ..Meta::default()
    };
    let parts = meta.parts(Vec::new()).ok_or_else(damaged)?;
    Ok(SessionInfo::from(&Record::from_parts(parts)?))
}

#[derive(Default)]
struct Meta {
    form: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    version: Option<Vec<u8>>,
    created: Option<Vec<u8>>,
    used: Option<Vec<u8>>,
    idle: Option<Vec<u8>>,
    ends: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
}

impl Meta {
    fn note(&mut self, name: &[u8], value: Vec<u8>) {
        let place = match name {
            b"m:form" => &mut self.form,
            b"m:id" => &mut self.id,
            b"m:version" => &mut self.version,
            b"m:created" => &mut self.created,
            b"m:used" => &mut self.used,
            b"m:idle" => &mut self.idle,
            b"m:ends" => &mut self.ends,
            b"m:user" => &mut self.user,
            _ => return,
        };
        *place = Some(value);
    }

    fn parts(self, data: Vec<(String, Vec<u8>)>) -> Option<RecordParts> {
        Some(RecordParts {
            id: SessionId::from_bytes(self.id?.try_into().ok()?),
            version: number(self.version)?,
            created: Timestamp::from_millis(number(self.created)?),
            last_used: Timestamp::from_millis(number(self.used)?),
            idle_timeout: Duration::from_millis(number(self.idle)?),
            ends: Timestamp::from_millis(number(self.ends)?),
            user: match self.user {
                Some(user) => Some(String::from_utf8(user).ok()?),
                None => None,
            },
            data,
        })
    }
}

fn number(text: Option<Vec<u8>>) -> Option<u64> {
    std::str::from_utf8(&text?).ok()?.parse().ok()
}

pub(super) fn text(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn some() -> Record {
        Record::from_parts(RecordParts {
            id: SessionId::from_bytes([7; 16]),
            version: 3,
            created: Timestamp::from_millis(1),
            last_used: Timestamp::from_millis(2),
            idle_timeout: Duration::from_millis(3),
            ends: Timestamp::MAX,
            user: Some("u1".to_owned()),
            // Called like a meta field of ours.
            data: vec![("m:user".to_owned(), b"sx".to_vec())],
        })
        .unwrap()
    }

    #[test]
    fn a_record_comes_back_from_its_fields() {
        assert_eq!(record(fields(&some())).unwrap(), Some(some()));
        assert_eq!(record(Vec::new()).unwrap(), None);
    }

    #[test]
    fn damaged_fields_and_newer_forms_are_errors() {
        let whole = fields(&some());
        for (name, _) in &whole {
            let without: Fields = whole.iter().filter(|f| f.0 != *name).cloned().collect();
            match &name[..] {
                b"m:user" | b"m:bytes" | b"d:m:user" => {}
                _ => assert_eq!(record(without).unwrap_err().kind(), ErrorKind::Corrupt),
            }
        }
        let mut newer = whole;
        newer[0].1 = b"2".to_vec();
        assert_eq!(
            record(newer).unwrap_err().to_string(),
            "a stored session is of version 2, this program reads version 1: run a newer program",
        );
    }

    #[test]
    fn the_frozen_hash_of_version_1_reads_and_is_what_is_written() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/records/v1.redis");
        let file: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let bytes = |hex: &str| -> Vec<u8> {
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(byte).collect()
        };
        let mut frozen: Fields = file["fields"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone().into(), bytes(value.as_str().unwrap())))
            .collect();
        let record = record(frozen.clone()).unwrap().unwrap();
        assert_eq!(record.user(), Some("user-1"));
        assert_eq!(record.version(), 2);
        assert_eq!(
            record.last_used() - record.created(),
            Duration::from_secs(1_000)
        );
        assert_eq!(record.idle_timeout(), Duration::from_secs(3_600));
        assert_eq!(
            record.ends() - record.created(),
            Duration::from_secs(6_000_000)
        );
        assert_eq!(record.get("int").unwrap(), Some(i64::MIN.into()));
        assert_eq!(record.len(), 12);
        let mut written = fields(&record);
        written.sort();
        frozen.sort();
        assert_eq!(written, frozen);
    }
}
