//! An HTTPS client that trusts the benchmarked server only, and what its latencies come to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use reqwest::Client;
use reqwest::header::HeaderMap;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::AsyncReadExt;

/// Octets of a file that are sent together.
const PART: usize = 64 * 1024;

/// An account's client, or an agent's.
#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    url: String,
    authorization: Option<String>,
}

impl Api {
    /// A client that shows `identity` (certificate DER and key PKCS#8 DER), if there is one.
    pub(crate) fn new(
        url: &str,
        roots: &[Vec<u8>],
        identity: Option<(Vec<u8>, Vec<u8>)>,
    ) -> anyhow::Result<Self> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store
                .add(CertificateDer::from(root.clone()))
                .context("root certificate")?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store);
        let tls = match identity {
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
                builder.with_client_auth_cert(vec![CertificateDer::from(certificate)], key)?
            }
            None => builder.with_no_client_auth(),
        };
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .pool_max_idle_per_host(256)
            .timeout(Duration::from_secs(120))
            .build()?;
        Ok(Self {
            http,
            url: url.to_owned(),
            authorization: None,
        })
    }

    pub(crate) fn with_account(mut self, name: &str, password: &str) -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        self.authorization = Some(format!("Basic {pair}"));
        self
    }

    /// Whether the server answers at all, whatever it says.
    pub(crate) async fn is_answered(&self) -> bool {
        self.http.get(format!("{}/", self.url)).send().await.is_ok()
    }

    /// A GET below `/KeyfactorAPI`.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.http.get(format!("{}/KeyfactorAPI{path}", self.url)))
            .await
    }

    /// A POST to a whole path.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("x-certificateformat", "PEM")
            .json(body);
        self.send(request).await
    }

    /// A page of certificates, or of anything else that is listed: how many there are in all, and those on it.
    pub(crate) async fn page(&self, path: &str) -> anyhow::Result<(u64, Value)> {
        let request = self.http.get(format!("{}/KeyfactorAPI{path}", self.url));
        let (headers, body) = self.ask(request).await?;
        let total = headers.get("x-total-count").context("X-Total-Count")?;
        Ok((total.to_str()?.parse()?, body))
    }

    /// A PUT below `/KeyfactorAPI`.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.put(format!("{}/KeyfactorAPI{path}", self.url));
        self.send(request.json(body)).await
    }

    /// A POST below `/KeyfactorAPI` of a file of any length, however long it takes.
    pub(crate) async fn post_file(
        &self,
        path: &str,
        media: &str,
        file: &Path,
    ) -> anyhow::Result<Value> {
        let (parts, mut read) = tokio::sync::mpsc::channel(4);
        let mut file = tokio::fs::File::open(file).await?;
        let reading = async move {
            loop {
                let mut part = Vec::with_capacity(PART);
                if file.read_buf(&mut part).await? == 0 {
                    return Ok::<_, anyhow::Error>(());
                }
                let frame = Ok::<_, std::io::Error>(Frame::data(Bytes::from(part)));
                if parts.send(frame).await.is_err() {
                    return Ok(());
                }
            }
        };
        let body = StreamBody::new(futures::stream::poll_fn(move |cx| read.poll_recv(cx)));
        let request = self
            .http
            .post(format!("{}/KeyfactorAPI{path}", self.url))
            .timeout(Duration::from_secs(86_400))
            .header("content-type", media)
            .body(reqwest::Body::wrap(body));
        Ok(tokio::try_join!(reading, self.send(request))?.1)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        Ok(self.ask(request).await?.1)
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> anyhow::Result<(HeaderMap, Value)> {
        let request = match &self.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let answer = request
            .header("x-keyfactor-requested-with", "APIClient")
            .send()
            .await?;
        let status = answer.status();
        let headers = answer.headers().clone();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{status}: {text}");
        }
        if text.is_empty() {
            return Ok((headers, Value::Null));
        }
        Ok((headers, serde_json::from_str(&text)?))
    }
}

/// What many latencies come to.
pub(crate) struct Latencies {
    pub(crate) count: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Latencies {
    pub(crate) fn of(mut each: Vec<Duration>, elapsed: Duration) -> Self {
        each.sort();
        let at = |part: f64| {
            let index = (each.len() as f64 * part) as usize;
            each.get(index.min(each.len().saturating_sub(1)))
                .map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
        };
        Self {
            count: each.len(),
            per_second: each.len() as f64 / elapsed.as_secs_f64(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        }
    }
}
