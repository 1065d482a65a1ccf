//! The store knows the SHA-256 of a secret and no more: 15 (ASVS 5.0, 11.4.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use liquid_session::clock::{Clock as _, SystemClock};
use liquid_session::store::{MemoryStore, StoreKey};
use liquid_session::{SessionConfig, Sessions};
use sha2::{Digest as _, Sha256};

use super::cookie;

#[test]
fn security_15_memory_holds_no_secret() {
    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let secrets = fill(&sessions);
    holds_no_secret(&sessions, &secrets, &[]);
}

#[cfg(feature = "redb")]
#[test]
fn security_15_the_file_of_redb_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let open = || liquid_session::store::RedbStore::open(&path).unwrap();
    let sessions = Sessions::new(open(), SessionConfig::default());
    let secrets = fill(&sessions);
    drop(sessions);
    let file = std::fs::read(&path).unwrap();
    let hash = Sha256::digest(bytes(&secrets[2]));
    assert!(has(&file, &hash[..30]), "the hash");
    assert!(!has(&file, &hash), "only 30 bytes of it");
    let sessions = Sessions::new(open(), SessionConfig::default());
    holds_no_secret(&sessions, &secrets, &file);
}

/// Neither the table nor the log of statements, nor the files of the server.
#[cfg(feature = "postgres")]
#[test]
fn security_15_a_postgres_server_holds_no_secret() {
    let logged = &["log_statement=all", "log_min_duration_statement=0"];
    let Some(server) = crate::postgres_server::PostgresServer::start(logged) else {
        return;
    };
    let store = liquid_session::store::PostgresStore::open(&server.url()).unwrap();
    store.migrate().unwrap();
    let sessions = Sessions::new(store, SessionConfig::default());
    let secrets = fill(&sessions);
    server.sql("checkpoint");
    let mut dump = server.log();
    assert!(has(&dump, b"insert into"), "the log of statements");
    let mut folders = vec![server.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => dump.extend(std::fs::read(path).unwrap()),
            }
        }
    }
    let hash = Sha256::digest(bytes(&secrets[2]));
    assert!(has(&dump, &hash[..30]), "the hash");
    assert!(!has(&dump, &hash), "only 30 bytes of it");
    holds_no_secret(&sessions, &secrets, &dump);
}

#[cfg(feature = "redis")]
#[test]
fn security_15_a_redis_server_holds_no_secret() {
    let Some(server) = crate::redis_server::RedisServer::start(&[]) else {
        return;
    };
    let store = liquid_session::store::RedisStore::open(&server.url()).unwrap();
    let sessions = Sessions::new(store, SessionConfig::default());
    let secrets = fill(&sessions);
    let mut dump = Vec::new();
    for key in server.ask::<Vec<Vec<u8>>>(&["KEYS", "*"]) {
        dump.extend_from_slice(&key);
        let value = redis::cmd("DUMP").arg(&key).query(&mut server.connect());
        dump.extend(value.unwrap_or_else(|_| Vec::<u8>::new()));
    }
    let hash = Sha256::digest(bytes(&secrets[2]));
    assert!(has(&dump, &hash[..30]), "the hash");
    assert!(!has(&dump, &hash), "only 30 bytes of it");
    holds_no_secret(&sessions, &secrets, &dump);
}

/// Two dead secrets and a living one, in every form in which a secret comes by a store.
fn fill(sessions: &Sessions) -> Vec<String> {
    let session = sessions.open(None);
    session.set("sesame", "open").unwrap();
    let mut secrets = vec![cookie(&session)];
    for step in ["login", "renew"] {
        let session = sessions.open(secrets.last().map(String::as_str));
        match step {
            "login" => session.login("alice").unwrap(),
            _ => session.renew().unwrap(),
        }
        secrets.push(cookie(&session));
    }
    let session = sessions.open(Some(&secrets[2]));
    let counted = session.transaction(|session| session.increment("n", 1));
    assert_eq!(counted.unwrap().0, 1);
    secrets
}

fn holds_no_secret(sessions: &Sessions, secrets: &[String], dump: &[u8]) {
    let mut dump = dump.to_vec();
    let mut keys: Vec<StoreKey> = Vec::new();
    let seen = sessions
        .store()
        .scan(SystemClock.now(), &mut |key, record| {
            keys.push(*key);
            dump.extend_from_slice(key.as_bytes());
            dump.extend(record.to_bytes());
            dump.extend(format!("{key:?} {record:?}").into_bytes());
            true
        });
    seen.unwrap();
    dump.extend(format!("{sessions:?}").into_bytes());
    for secret in secrets {
        let raw = bytes(secret);
        assert!(!has(&dump, secret.as_bytes()), "the text of a secret");
        assert!(!has(&dump, &raw), "the bytes of a secret");
        assert!(!has(&dump, hex(&raw).as_bytes()), "the bytes in hex");
    }

    // What is there is the shard and the hash, and a thief gets nowhere with them.
    let [key] = keys[..] else {
        panic!("one session is alive, found {}", keys.len());
    };
    let secret = bytes(&secrets[2]);
    assert_eq!(key.shard()[..], secret[..2]);
    assert_eq!(key.as_bytes()[2..], Sha256::digest(&secret)[..30]);
    for stolen in [
        base64url(key.as_bytes()),
        hex(key.as_bytes()),
        sessions.user_sessions("alice").unwrap()[0].id.to_string(),
    ] {
        assert_eq!(sessions.open(Some(&stolen)).get("sesame").unwrap(), None);
    }
    let session = sessions.open(Some(&secrets[2]));
    assert_eq!(session.get("sesame").unwrap(), Some("open".into()));
}

fn base64url(bytes: &[u8]) -> String {
    let mut text = vec![0; 43];
    URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn bytes(secret: &str) -> Vec<u8> {
    let mut bytes = vec![0; 32];
    URL_SAFE_NO_PAD.decode_slice(secret, &mut bytes).unwrap();
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn has(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}
