//! The store on Redis over TLS.

use std::net::TcpListener;
use std::time::Duration;

use crate::redis_server::RedisServer;
use liquid_session::store::RedisStore;
use liquid_session::{ErrorKind, SessionConfig, Sessions};

#[test]
fn it_talks_tls_and_trusts_nobody_else() {
    crate::crypto::install();

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let Some(_server) = RedisServer::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &path("cert.pem"),
        "--tls-key-file",
        &path("key.pem"),
        "--tls-ca-cert-file",
        &path("cert.pem"),
        "--tls-auth-clients",
        "no",
    ]) else {
        return;
    };
    let store = |trusted: Option<String>| {
        let builder = RedisStore::builder(&format!("rediss://localhost:{port}"))
            .timeout(Duration::from_secs(60));
        let builder = match trusted {
            Some(pem) => builder.root_certificate(pem),
            None => builder,
        };
        Sessions::new(builder.build().unwrap(), SessionConfig::default())
    };
    let sessions = store(Some(made.cert.pem()));
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    assert_eq!(
        sessions.open(Some(&cookie)).get("a").unwrap(),
        Some(1.into())
    );

    // The system does not know it, and another one of the same name is not it.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for sessions in [store(None), store(Some(other.cert.pem()))] {
        let error = sessions.open(Some(&cookie)).get("a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
