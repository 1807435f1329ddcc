//! The KeyfactorAPI as a client sees it.

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::handshake::trusting;

/// Name and password of the account that the tests use.
pub(crate) const ACCOUNT: (&str, &str) = ("admin", "correct horse battery staple");

/// A client of one server; trusts its root and nothing else.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    base: String,
}

/// Why there is no good answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no knowing whether the server has done what was asked.
    NoAnswer(String),
    /// The server does not do it.
    Refused(StatusCode, String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAnswer(why) => write!(formatter, "no answer: {why}"),
            Self::Refused(status, body) => write!(formatter, "{status}: {body}"),
        }
    }
}

impl Api {
    pub(crate) fn new(url: &str, roots: &str) -> Self {
        let client = Client::builder()
            .tls_backend_preconfigured(trusting(roots))
            .no_proxy()
            .build()
            .expect("a client can be built");
        Self {
            client,
            base: format!("{url}/KeyfactorAPI"),
        }
    }

    /// One request, and no second try.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Trouble> {
        let no_answer = |error: reqwest::Error| Trouble::NoAnswer(format!("{error:?}"));
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(ACCOUNT.0, Some(ACCOUNT.1))
            .header("x-keyfactor-requested-with", "APIClient")
            .header("x-certificateformat", "PFX")
            .query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let text = response.text().await.map_err(no_answer)?;
        if !status.is_success() {
            return Err(Trouble::Refused(status, text));
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{path} answers no JSON: {error}\n{text}")))
    }

    /// A GET that has to succeed.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let answer = self.call(Method::GET, path, query, None).await;
        answer.unwrap_or_else(|trouble| panic!("GET {path} {query:?}: {trouble}"))
    }

    /// A POST that has to succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.call(Method::POST, path, &[], Some(&body)).await;
        answer.unwrap_or_else(|trouble| panic!("POST {path}: {trouble}"))
    }
}

/// A value's elements; a panic where it is no list.
pub(crate) fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("no list: {other}"),
    }
}

/// A member that is text.
pub(crate) fn text(value: &Value, member: &str) -> String {
    let found = value[member].as_str();
    found
        .unwrap_or_else(|| panic!("no text {member} in {value}"))
        .to_owned()
}
