//! TLS through rustls.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Error, ErrorKind};

/// Trusts a certificate in PEM form, or those that the system trusts.
pub(super) fn connector(root: Option<&[u8]>) -> Result<MakeRustlsConnect, Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(Error::new(
            ErrorKind::Config,
            "a PostgreSQL store over TLS needs rustls's crypto provider: call `install_default` of one, such as `rustls::crypto::ring`, before",
        ));
    }
    let Some(pem) = root else {
        let system = MakeRustlsConnect::with_native_certs();
        return system.map(|(connector, _)| connector).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                "the system has no certificates that it trusts: install them, or pass `root_certificate`",
            )
        });
    };
    let mut roots = RootCertStore::empty();
    let invalid = || {
        Error::new(
            ErrorKind::Config,
            "expected a certificate in PEM form as `root_certificate`, found something else",
        )
    };
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots
            .add(certificate.map_err(|_| invalid())?)
            .map_err(|_| invalid())?;
    }
    if roots.is_empty() {
        return Err(invalid());
    }
    Ok(MakeRustlsConnect::new(
        ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}
