//! What a TLS server serves.

use std::{net::TcpStream, sync::Arc, time::Duration};

use pki::Certificate;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// A client's settings with these roots, PEM, as the only authorities.
pub(crate) fn trusting(roots: &str) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store
            .add(root.expect("the roots are PEM"))
            .expect("a root can be trusted");
    }
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has the default versions")
        .with_root_certificates(store)
        .with_no_client_auth()
}

/// Connects like a browser that trusts our root only, and gives the thumbprint of the certificate it was shown. A chain
/// that does not lead to the root, a wrong name and a key that does not fit are errors.
pub(crate) fn proven(roots: &str, port: u16, name: &str) -> Result<String, String> {
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let mut connection = ClientConnection::new(Arc::new(trusting(roots)), name)
        .map_err(|error| error.to_string())?;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    let patience = Some(Duration::from_secs(10));
    stream
        .set_read_timeout(patience)
        .map_err(|error| error.to_string())?;
    while connection.is_handshaking() {
        connection
            .complete_io(&mut stream)
            .map_err(|error| error.to_string())?;
    }
    let leaf = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .ok_or("no certificate was shown")?;
    Certificate::from_der(leaf)
        .map(|certificate| certificate.thumbprint())
        .map_err(|error| error.to_string())
}
