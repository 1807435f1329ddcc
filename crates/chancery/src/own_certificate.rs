//! The server's own TLS certificate, for who gives none: a key made here, a certificate from the built-in CA, both
//! in files that the listener watches like given ones. The key never enters the database.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use app::App;
use pki::{Certificate, KeySpec, PrivateKey, SanKind, SubjectAlternativeName};
use tokio::sync::watch;

use crate::{config::TlsFiles, data_dir};

/// How often to see whether the certificate is due: it is replaced when a third of its life is left, so an hour
/// more or less does not matter.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// The certificate of this server and what it has to say.
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    files: TlsFiles,
    names: Vec<SubjectAlternativeName>,
}

impl OwnCertificate {
    /// A certificate kept in `data_dir`, for these DNS names and IP addresses.
    pub fn new(data_dir: &Path, names: &[String]) -> Self {
        let folder = data_dir.join("tls");
        let files = TlsFiles {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        let mut names: Vec<_> = names
            .iter()
            .map(|name| match name.parse::<std::net::IpAddr>() {
                Ok(ip) => SubjectAlternativeName::new(SanKind::Ip, ip.to_string()),
                Err(_) => SubjectAlternativeName::new(SanKind::Dns, name.to_lowercase()),
            })
            .collect();
        names.sort_by(|a, b| (a.kind, &a.value).cmp(&(b.kind, &b.value)));
        names.dedup();
        Self { files, names }
    }

    /// Where certificate and key are.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Sees to it that there is a certificate for the names that is good for a while; `true` if a new one was made.
    ///
    /// # Errors
    /// The CA issues none, or the files cannot be written.
    pub async fn ensure(&self, app: &Arc<App>, now_ms: i64) -> anyhow::Result<bool> {
        if self.is_good_at(now_ms) {
            return Ok(false);
        }
        let key = PrivateKey::generate(KeySpec::EcP256)?;
        let chain = app
            .issue_server_certificate(&self.names, &key)
            .await
            .context("the built-in CA does not issue the server's own certificate")?;
        let pem = |certificate: &Certificate| pki::pem::encode("CERTIFICATE", certificate.der());
        let root = chain.last().map(pem).unwrap_or_default();
        let chain: String = chain.iter().map(pem).collect();
        self.write(&chain, &key.to_pkcs8_pem(), &root)?;
        tracing::info!(certificate = %self.files.certificate.display(), "issued the server's own TLS certificate");
        Ok(true)
    }

    /// Replaces the certificate when it is due, until `shutdown` turns true.
    pub async fn keep(
        self,
        app: Arc<App>,
        now_ms: impl Fn() -> i64,
        mut shutdown: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                _ = shutdown.wait_for(|end| *end) => return,
            }
            if let Err(error) = self.ensure(&app, now_ms()).await {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the server's own TLS certificate is not replaced"
                );
            }
        }
    }

    fn write(&self, chain_pem: &str, key_pem: &str, root_pem: &str) -> anyhow::Result<()> {
        let named = |path: &PathBuf| format!("cannot write {}", path.display());
        if let Some(folder) = self.files.key.parent() {
            data_dir::prepare(folder)?;
        }
        // What agents and clients are to trust; nothing of ours reads it.
        let root = self.files.key.with_file_name("root.pem");
        data_dir::replace(&root, root_pem.as_bytes(), 0o644).with_context(|| named(&root))?;
        // Between the two the pair does not fit; the listener then keeps what it has and looks again.
        data_dir::replace(&self.files.key, key_pem.as_bytes(), 0o600)
            .with_context(|| named(&self.files.key))?;
        data_dir::replace(&self.files.certificate, chain_pem.as_bytes(), 0o644)
            .with_context(|| named(&self.files.certificate))
    }

    /// Whether what is on disk can be used: it reads, the key fits, the names are these and a third of its life is
    /// left. Anything else is replaced, whatever the reason.
    fn is_good_at(&self, now_ms: i64) -> bool {
        let Ok(certificate) = std::fs::read(&self.files.certificate) else {
            return false;
        };
        let Ok(key) = std::fs::read_to_string(&self.files.key) else {
            return false;
        };
        let Ok(key) = PrivateKey::from_pem(&key) else {
            return false;
        };
        let chain = pki::pem::certificates(&certificate);
        let Some(Ok(leaf)) = chain.first().map(|der| Certificate::from_der(der)) else {
            return false;
        };
        let life = leaf.not_after() - leaf.not_before();
        key.matches(&leaf)
            && now_ms >= leaf.not_before()
            && now_ms < leaf.not_after() - life / 3
            && self.names_are_those_of(&leaf)
    }

    fn names_are_those_of(&self, leaf: &Certificate) -> bool {
        let mut names = leaf.subject_alternative_names().to_vec();
        names.sort_by(|a, b| (a.kind, &a.value).cmp(&(b.kind, &b.value)));
        names == self.names
    }
}
