//! A client of the REST API as anybody else's would be: HTTPS, Basic, and no trust in anything but the root that
//! this installation made.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, Url, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often something that others do is looked for.
const POLL: Duration = Duration::from_millis(50);

/// An account's way to the API.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    account: String,
    password: SecretString,
}

impl Client {
    /// `base` is the URL of the API without a slash at its end; `root_der` the only trusted root.
    pub(super) fn new(
        base: String,
        root_der: &[u8],
        account: &str,
        password: SecretString,
    ) -> anyhow::Result<Self> {
        let root = reqwest::Certificate::from_der(root_der)?;
        let http = reqwest::Client::builder()
            .tls_certs_only([root])
            .timeout(CALL_TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            base,
            account: account.to_owned(),
            password,
        })
    }

    /// One call; the body of its answer, null when that is empty.
    ///
    /// # Errors
    /// Any answer but a success, in the server's own words.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut url = Url::parse(&format!("{}{path}", self.base))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self
            .http
            .request(method.clone(), url)
            .basic_auth(&self.account, Some(self.password.expose_secret()))
            .header("x-keyfactor-requested-with", "APIClient")
            .header("x-certificateformat", "PFX")
            .header(header::ACCEPT, "application/json");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("{method} {path}"))?;
        let status = answer.status();
        let text = answer
            .text()
            .await
            .with_context(|| format!("{method} {path}"))?;
        if !status.is_success() {
            bail!("{method} {path} answered {status}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .with_context(|| format!("{method} {path} answered no JSON: {text}"))
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, &[], None).await
    }

    /// The items of a list that a query finds.
    pub(super) async fn find(&self, path: &str, query: &str) -> anyhow::Result<Vec<Value>> {
        let pairs: &[(&str, &str)] = &[("pq.queryString", query), ("pq.returnLimit", "50")];
        let pairs = if query.is_empty() { &pairs[1..] } else { pairs };
        match self.call(Method::GET, path, pairs, None).await? {
            Value::Array(items) => Ok(items),
            other => bail!("GET {path} answered no list: {other}"),
        }
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, &[], Some(body)).await
    }
}

/// Looks again and again until `look` finds something.
///
/// # Errors
/// The first error of `look`; nothing found within `limit`, which `what` then names.
pub(super) async fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let waited = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(limit, waited).await {
        Ok(found) => found,
        Err(_) => bail!("{what}: not within {} s", limit.as_secs()),
    }
}

/// A member of an answer as text.
///
/// # Errors
/// Names the member that is missing.
pub(super) fn text<'a>(answer: &'a Value, member: &str) -> anyhow::Result<&'a str> {
    answer[member]
        .as_str()
        .with_context(|| format!("the answer holds no text {member}: {answer}"))
}

/// A member of an answer as a number.
///
/// # Errors
/// Names the member that is missing.
pub(super) fn number(answer: &Value, member: &str) -> anyhow::Result<i64> {
    answer[member]
        .as_i64()
        .with_context(|| format!("the answer holds no number {member}: {answer}"))
}
