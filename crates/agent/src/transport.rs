//! The way to the server.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agent_protocol::Redacted;
use reqwest::{
    Client,
    header::{ACCEPT, CONTENT_TYPE},
    redirect,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use zeroize::Zeroizing;

use crate::{AgentConfig, Error, Result, state::Identity};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Long enough for a server that waits for its CA while answering.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Posts JSON and gives back the body of a 2xx answer. Any other status is an error.
pub(crate) trait Transport: Send + Sync {
    /// `path` is below the virtual directory. With an identity the connection shows its certificate, without one the
    /// configured account.
    fn post(
        &self,
        identity: Option<&Identity>,
        path: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>>> + Send;
}

/// HTTPS with rustls; trusts the configured bundle and nothing else. No proxies, no redirects.
pub(crate) struct HttpsTransport {
    base_url: String,
    roots: Arc<RootCertStore>,
    account: Option<(String, Redacted<String>)>,
    /// The client of the certificate in use, kept for its connections.
    client: Mutex<Option<(String, Client)>>,
}

impl HttpsTransport {
    pub(crate) fn new(config: &AgentConfig) -> Result<Self> {
        let server = config.server_url.trim_end_matches('/');
        let directory = config.virtual_directory.trim_matches('/');
        Ok(Self {
            base_url: format!("{server}/{directory}/"),
            roots: Arc::new(roots(config)?),
            account: config.account()?,
            client: Mutex::new(None),
        })
    }

    fn client(&self, identity: Option<&Identity>) -> Result<Client> {
        let shown = identity
            .map(|identity| identity.certificate.clone())
            .unwrap_or_default();
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, client)) = kept.as_ref()
            && *known == shown
        {
            return Ok(client.clone());
        }
        let client = self.build(identity)?;
        *kept = Some((shown, client.clone()));
        Ok(client)
    }

    fn build(&self, identity: Option<&Identity>) -> Result<Client> {
        let unusable = |error: &dyn std::fmt::Display| Error::State(format!("TLS: {error}"));
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(self.roots.clone());
        let tls = match identity {
            Some(identity) => {
                let certificate = CertificateDer::from(identity.certificate()?.der().to_vec());
                let key = identity.key()?.to_pkcs8_der();
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
                builder
                    .with_client_auth_cert(vec![certificate], key)
                    .map_err(|error| unusable(&error))?
            }
            None => builder.with_no_client_auth(),
        };
        Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| unusable(&error))
    }
}

impl Transport for HttpsTransport {
    async fn post(
        &self,
        identity: Option<&Identity>,
        path: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |reason: String| Error::Transport {
            endpoint: path.to_owned(),
            reason,
        };
        let mut request = self
            .client(identity)?
            .post(format!("{}{path}", self.base_url))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(body.to_vec());
        if let (None, Some((username, password))) = (identity, &self.account) {
            request = request.basic_auth(username, Some(password.expose()));
        }
        let response = request
            .send()
            .await
            .map_err(|error| failed(causes(&error)))?;
        if !response.status().is_success() {
            return Err(failed(format!("HTTP status {}", response.status())));
        }
        let bytes = response
            .bytes()
            .await
            .map_err(|error| failed(causes(&error)))?;
        Ok(Zeroizing::new(bytes.to_vec()))
    }
}

/// An error with all its causes: "error sending request" alone helps nobody.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn roots(config: &AgentConfig) -> Result<RootCertStore> {
    let wrong = |reason: String| Error::Config {
        setting: "ca_bundle".to_owned(),
        reason,
    };
    let path = config.ca_bundle.display();
    let bytes =
        std::fs::read(&config.ca_bundle).map_err(|error| wrong(format!("{path}: {error}")))?;
    let mut roots = RootCertStore::empty();
    for block in pki::pem::parse(&bytes) {
        if block.is_certificate() {
            roots
                .add(CertificateDer::from(block.der))
                .map_err(|error| wrong(format!("{path}: {error}")))?;
        }
    }
    if roots.is_empty() {
        return Err(wrong(format!("{path} holds no certificate")));
    }
    Ok(roots)
}
