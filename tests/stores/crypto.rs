//! Rustls's crypto provider, for the tests of TLS: what is installed is installed for the whole process.

use std::sync::LazyLock;

use liquid_session::{Error, ErrorKind};

/// What the stores say before one is installed.
static WITHOUT: LazyLock<Vec<Error>> = LazyLock::new(|| {
    let said = vec![
        #[cfg(feature = "redis-tls")]
        liquid_session::store::RedisStore::open("rediss://localhost").unwrap_err(),
        #[cfg(feature = "postgres-tls")]
        liquid_session::store::PostgresStore::open("postgres://localhost?sslmode=require")
            .unwrap_err(),
    ];
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    said
});

/// Checks what the stores say without a provider, and installs one.
pub(crate) fn install() {
    for error in &*WITHOUT {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("crypto provider"), "{error}");
    }
}
