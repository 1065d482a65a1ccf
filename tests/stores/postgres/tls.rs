//! The store on PostgreSQL over TLS.

use std::time::Duration;

use crate::postgres_server::{PostgresServer, hand_over};
use liquid_session::store::PostgresStore;
use liquid_session::{ErrorKind, SessionConfig, Sessions};

#[test]
fn it_talks_tls_and_trusts_no_other_server() {
    crate::crypto::install();
    let builder = PostgresStore::builder("postgres://localhost?sslmode=require")
        .root_certificate("no certificate");
    assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Config);

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut only_owner = std::fs::metadata(path("key.pem")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut only_owner, 0o600);
    std::fs::set_permissions(path("key.pem"), only_owner).unwrap();
    if PostgresServer::is_here() {
        hand_over(folder.path());
    }
    let Some(server) = PostgresServer::start(&[
        "ssl=on",
        &format!("ssl_cert_file={}", path("cert.pem")),
        &format!("ssl_key_file={}", path("key.pem")),
    ]) else {
        return;
    };
    // Nothing else than TLS, except for the test itself.
    let rules = "hostnossl all all 127.0.0.1/32 trust\nhostssl all shop all scram-sha-256\n";
    server.sql("create role shop login password 'password'; grant create on schema public to shop");
    std::fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
    server.sql("select pg_reload_conf()");
    let url = format!(
        "postgres://shop:password@localhost:{}/postgres?sslmode=require",
        server.port()
    );
    let store = |trusted: Option<String>| {
        let builder = PostgresStore::builder(&url).timeout(Duration::from_secs(60));
        match trusted {
            Some(pem) => builder.root_certificate(pem),
            None => builder,
        }
    };
    let trusting = store(Some(made.cert.pem())).build().unwrap();
    trusting.migrate().unwrap();
    let sessions = Sessions::new(trusting, SessionConfig::default());
    let session = sessions.open(None);
    session.set("a", 1).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    let encrypted = "select bool_and(ssl)::text from pg_stat_ssl join pg_stat_activity using (pid)
        where application_name = 'liquid-session'";
    assert_eq!(server.value(encrypted), "true");

    // The system does not know it, and another one of the same name is not it.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for trusted in [None, Some(other.cert.pem())] {
        let store = match store(trusted).build() {
            Ok(store) => store,
            // A machine may trust no certificate at all.
            Err(error) => {
                assert!(error.to_string().contains("no certificates"), "{error}");
                continue;
            }
        };
        let sessions = Sessions::new(store, SessionConfig::default());
        let error = sessions.open(Some(&cookie)).get("a").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
