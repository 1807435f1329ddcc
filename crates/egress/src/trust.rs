//! Whose certificates are believed: the machine's trust store, and what the operator adds.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Reason};

/// The anchors of the machine, read once a process: `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the system's place.
fn machine() -> &'static RootCertStore {
    static ANCHORS: OnceLock<RootCertStore> = OnceLock::new();
    ANCHORS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        let (taken, unusable) = store.add_parsable_certificates(found.certs);
        tracing::debug!(taken, unusable, errors = ?found.errors, "trust store of the machine");
        if taken == 0 {
            tracing::warn!(
                "this machine trusts no certificate authority; https needs trust anchors of its own"
            );
        }
        store
    })
}

/// Trust anchors besides the machine's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    added: Vec<CertificateDer<'static>>,
    config: OnceLock<ClientConfig>,
}

impl Trust {
    /// This and the certificates of a PEM text.
    pub(crate) fn with(&self, pem: &[u8]) -> Result<Self, Error> {
        let bad = |what: String| {
            let message = format!("The trust anchors hold {what}.");
            Error::new(Reason::BadAddress, message)
        };
        let mut added = self.added.clone();
        let before = added.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|error| bad(format!("a damaged PEM certificate: {error}")))?;
            // So that a certificate nobody can use is found when it is entered.
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|error| bad(format!("an unusable certificate: {error}")))?;
            added.push(certificate);
        }
        if added.len() == before {
            return Err(bad("no PEM certificate".to_owned()));
        }
        Ok(Self {
            added,
            config: OnceLock::new(),
        })
    }

    /// For a connection. Clones share what they learn about sessions.
    pub(crate) fn config(&self) -> Result<ClientConfig, Error> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let mut anchors = machine().clone();
        anchors.add_parsable_certificates(self.added.iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(Reason::Tls, error.to_string()))?
            .with_root_certificates(anchors)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.config.get_or_init(|| config).clone())
    }
}
