//! The server's side of TLS: its certificate, whom it believes as client, and how both change while it runs.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_lc_rs::digest;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use tokio::sync::watch;

use crate::config::TlsFiles;

/// The certificates whose holders may sign in with a client certificate. Asked again at every reload.
pub type ClientAuthorities = Arc<dyn Fn() -> Vec<CertificateDer<'static>> + Send + Sync>;

/// How often the files are compared with what is in use.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No certificate, or a damaged one.
    #[error("{} holds no usable PEM certificate: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: pem::Error,
    },
    /// No private key, or an encrypted or damaged one.
    #[error("{} holds no usable unencrypted PEM private key: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: pem::Error,
    },
    /// Each alone is fine, but they do not fit together, or the key is of an unknown sort.
    #[error("{} and {} do not fit together: {source}", files.certificate.display(), files.key.display())]
    Pair {
        /// The files.
        files: TlsFiles,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The CA of the agents is not acceptable as a trust anchor.
    #[error("the certificate authority of the agents cannot be used: {0}")]
    Authority(String),
}

/// What new connections are greeted with. Connections that are open keep what they began with.
pub struct Tls {
    files: TlsFiles,
    authorities: ClientAuthorities,
    current: RwLock<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// SHA-256 over all that the configuration was made from, or that failed last: the same again is not tried again.
    seen: digest::Digest,
}

struct Material {
    certificate_pem: Vec<u8>,
    key_pem: Vec<u8>,
    authorities: Vec<CertificateDer<'static>>,
}

impl Tls {
    /// Reads the files and makes them ready for use.
    ///
    /// # Errors
    /// A [`TlsError`] that names the file at fault.
    pub fn load(files: TlsFiles, authorities: ClientAuthorities) -> Result<Arc<Self>, TlsError> {
        let material = Material::read(&files, &authorities)?;
        let current = Current {
            config: Arc::new(material.server_config(&files)?),
            seen: material.digest(),
        };
        Ok(Arc::new(Self {
            files,
            authorities,
            current: RwLock::new(current),
        }))
    }

    /// The configuration for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .config
            .clone()
    }

    /// Takes up changed files and authorities; `true` if there was a change. Blocks for the time of reading two
    /// small files.
    ///
    /// # Errors
    /// A [`TlsError`]; the old certificate then stays in use. The same faulty content is complained about once.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let material = Material::read(&self.files, &self.authorities)?;
        let seen = material.digest();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.seen.as_ref() == seen.as_ref() {
            return Ok(false);
        }
        current.seen = seen;
        current.config = Arc::new(material.server_config(&self.files)?);
        Ok(true)
    }

    /// Reloads every few seconds and on every message from `hangup`, until `shutdown` turns true.
    pub async fn watch(
        self: Arc<Self>,
        mut hangup: watch::Receiver<u64>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut unreadable = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(RELOAD_INTERVAL) => {}
                Ok(()) = hangup.changed() => {}
                _ = shutdown.wait_for(|end| *end) => return,
            }
            let tls = self.clone();
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Ok(changed)) => {
                    unreadable = false;
                    if changed {
                        let certificate = self.files.certificate.display();
                        tracing::info!(%certificate, "TLS certificate reloaded");
                    }
                }
                Ok(Err(error)) => {
                    // A missing file looks the same every time: say it once.
                    let again = unreadable && matches!(error, TlsError::Unreadable { .. });
                    unreadable = matches!(error, TlsError::Unreadable { .. });
                    if !again {
                        tracing::error!(%error, "TLS certificate not reloaded, the old one stays in use");
                    }
                }
                Err(error) => tracing::error!(%error, "TLS reload broke off"),
            }
        }
    }
}

impl Material {
    fn read(files: &TlsFiles, authorities: &ClientAuthorities) -> Result<Self, TlsError> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| TlsError::Unreadable {
                path: path.clone(),
                source,
            })
        };
        Ok(Self {
            certificate_pem: read(&files.certificate)?,
            key_pem: read(&files.key)?,
            authorities: authorities(),
        })
    }

    fn digest(&self) -> digest::Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [&self.certificate_pem, &self.key_pem]
            .into_iter()
            .map(Vec::as_slice)
            .chain(self.authorities.iter().map(AsRef::as_ref))
        {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.finish()
    }

    fn server_config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let certificate = |source| TlsError::Certificate {
            path: files.certificate.clone(),
            source,
        };
        let chain = CertificateDer::pem_slice_iter(&self.certificate_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(certificate)?;
        if chain.is_empty() {
            return Err(certificate(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key_pem).map_err(|source| TlsError::Key {
            path: files.key.clone(),
            source,
        })?;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Pair {
                files: files.clone(),
                source,
            })?;
        let builder = if self.authorities.is_empty() {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for authority in &self.authorities {
                roots
                    .add(authority.clone())
                    .map_err(|e| TlsError::Authority(e.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error: VerifierBuilderError| TlsError::Authority(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|source| TlsError::Pair {
                files: files.clone(),
                source,
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}
