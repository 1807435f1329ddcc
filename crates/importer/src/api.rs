//! A client of a server with this API: ours, or the one it was made for.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// How long reaching a server may take.
const CONNECT: Duration = Duration::from_secs(30);
/// How long one call may take that is no stream.
const CALL: Duration = Duration::from_secs(120);
/// Entries that are asked for at once.
const PAGE: usize = 1_000;
/// Octets that are read from a file at once.
const PART: usize = 64 * 1024;

/// How to sign in.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// An account and its password.
    Basic(String, SecretString),
    /// A token of an identity provider.
    Bearer(SecretString),
    /// A header of its own, for example `X-Vault-Token`.
    Header(&'static str, SecretString),
}

/// A server's API, and who asks.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    credentials: Credentials,
}

/// An answer that is a refusal.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.status)
    }
}

impl Api {
    /// `base` is the URL that paths are below, `https://chancery.example.org/KeyfactorAPI` for example; plain HTTP is for this machine
    /// alone. `roots` are the only authorities trusted, in PEM; those of the system unless given.
    ///
    /// # Errors
    /// What is wrong with the address or the roots.
    pub fn new(base: &str, roots: Option<&Path>, credentials: Credentials) -> anyhow::Result<Self> {
        let base = Url::parse(base.trim_end_matches('/')).with_context(|| base.to_owned())?;
        if !base.username().is_empty() || base.password().is_some() {
            bail!("credentials do not belong into an address");
        }
        let is_here = matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if base.scheme() != "https" && !is_here {
            bail!("{base}: secrets go over https:// only");
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(file) = roots {
            let text = std::fs::read(file).with_context(|| file.display().to_string())?;
            let roots = pki::pem::certificates(&text);
            if roots.is_empty() {
                bail!("{}: there is no certificate in it", file.display());
            }
            let roots = roots.iter().map(|der| reqwest::Certificate::from_der(der));
            builder = builder.tls_certs_only(roots.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self {
            http: builder.build()?,
            base,
            credentials,
        })
    }

    /// The address that paths are below.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<reqwest::RequestBuilder> {
        let mut url = Url::parse(&format!("{}{path}", self.base))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self
            .http
            .request(method, url)
            .header("x-keyfactor-requested-with", "APIClient")
            .header("accept", "application/json");
        Ok(match &self.credentials {
            Credentials::Basic(name, password) => {
                request.basic_auth(name, Some(password.expose_secret()))
            }
            Credentials::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Credentials::Header(name, value) => request.header(*name, value.expose_secret()),
        })
    }

    /// One call: the body of its answer, or the refusal.
    ///
    /// # Errors
    /// A server that does not answer.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<Result<Value, Refusal>> {
        let method = Method::from_bytes(method.as_bytes())?;
        let mut request = self.request(method.clone(), path, query)?.timeout(CALL);
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(&format!("{method} {path}"), request).await
    }

    /// # Errors
    /// A server that does not answer, or refuses.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let answer = self.call("GET", path, query, None).await?;
        answer.map_err(|refusal| anyhow::anyhow!("GET {path}: {refusal}"))
    }

    /// A page of a list, from 1.
    ///
    /// # Errors
    /// As [`Api::get`]; an answer that is no list.
    pub(crate) async fn page(
        &self,
        path: &str,
        page: usize,
        query: &[(&str, &str)],
    ) -> anyhow::Result<Vec<Value>> {
        let (page, limit) = (page.to_string(), PAGE.to_string());
        let mut all = vec![
            ("PageReturned", page.as_str()),
            ("ReturnLimit", limit.as_str()),
        ];
        all.extend_from_slice(query);
        match self.get(path, &all).await? {
            Value::Array(items) => Ok(items),
            _ => bail!("GET {path} answered no list"),
        }
    }

    /// All entries of a list.
    ///
    /// # Errors
    /// As [`Api::page`].
    pub(crate) async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        for number in 1.. {
            let items = self.page(path, number, &[]).await?;
            let is_last = items.len() < PAGE;
            all.extend(items);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// Sends a file from an octet on.
    ///
    /// # Errors
    /// A connection that breaks off.
    pub(crate) async fn send_file(
        &self,
        path: &str,
        query: &[(&str, &str)],
        file: &Path,
        from: u64,
    ) -> anyhow::Result<Result<Value, Refusal>> {
        let mut file = tokio::fs::File::open(file).await?;
        file.seek(std::io::SeekFrom::Start(from)).await?;
        let parts = stream::try_unfold(file, async |mut file| {
            let mut part = vec![0; PART];
            let length = file.read(&mut part).await?;
            part.truncate(length);
            let frame = Frame::data(Bytes::from(part));
            Ok::<_, std::io::Error>((length > 0).then_some((frame, file)))
        });
        let request = self
            .request(Method::POST, path, query)?
            .header("content-type", "application/octet-stream")
            .body(reqwest::Body::wrap(StreamBody::new(SyncParts(Box::pin(
                parts,
            )))));
        answer(&format!("POST {path}"), request).await
    }
}

/// Parts of a body; polled by one at a time.
struct SyncParts<S>(std::pin::Pin<Box<S>>);

impl<S: futures::Stream> futures::Stream for SyncParts<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

async fn answer(
    what: &str,
    request: reqwest::RequestBuilder,
) -> anyhow::Result<Result<Value, Refusal>> {
    let answer = request.send().await.with_context(|| what.to_owned())?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| what.to_owned())?;
    let json: Option<Value> = serde_json::from_str(&text).ok();
    if status.is_success() {
        if text.is_empty() {
            return Ok(Ok(Value::Null));
        }
        return json
            .map(Ok)
            .with_context(|| format!("{what} answered no JSON"));
    }
    let json = json.unwrap_or_default();
    let parts = json["FailedOperations"].as_array().into_iter().flatten();
    let mut message = json["Message"].as_str().unwrap_or_default().to_owned();
    for reason in parts.filter_map(|part| part["Reason"].as_str()).take(3) {
        message = format!("{message} {reason}");
    }
    if message.is_empty() {
        message = text.chars().take(300).collect();
    }
    Ok(Err(Refusal {
        status: status.as_u16(),
        message,
    }))
}
