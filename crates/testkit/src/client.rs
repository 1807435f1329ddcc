//! A client of the REST interface whose every answer is checked against the OpenAPI document.

use std::borrow::Borrow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use app::App;
use app::web::PeerAddress;
use axum::body::Body;
use base64::Engine;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::contract::{self, Exchange};
use crate::database::Database;

/// The base that paths without one are below.
const BASE: &str = "/KeyfactorAPI";

/// Somebody who calls the server. Paths are below the base unless they begin with `/Keyfactor` or lead to sign-in.
#[derive(Clone, Debug)]
pub struct Client {
    app: Arc<App>,
    database: Database,
    credentials: Option<(String, String)>,
}

impl Client {
    pub(crate) fn new(
        app: Arc<App>,
        database: Database,
        credentials: Option<(String, String)>,
    ) -> Self {
        Self {
            app,
            database,
            credentials,
        }
    }

    /// Somebody who does not sign in, at the same server.
    pub fn anonymous(&self) -> Self {
        Self::new(Arc::clone(&self.app), self.database, None)
    }

    /// Somebody who sends this name and this password to the same server.
    pub fn signed_in(&self, name: &str, password: &str) -> Self {
        let credentials = Some((name.to_owned(), password.to_owned()));
        Self::new(Arc::clone(&self.app), self.database, credentials)
    }

    /// The name it signs in with; empty for nobody.
    pub fn name(&self) -> &str {
        self.credentials.as_ref().map_or("", |(name, _)| name)
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// `DELETE` without a body.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path).send().await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, json: impl Borrow<Value>) -> Answer {
        self.request("POST", path).json(json).send().await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, json: impl Borrow<Value>) -> Answer {
        self.request("PUT", path).json(json).send().await
    }

    /// `DELETE` with a JSON body.
    pub async fn delete_with(&self, path: &str, json: impl Borrow<Value>) -> Answer {
        self.request("DELETE", path).json(json).send().await
    }

    /// Any request. `method` is a name or a [`Method`]; names are sent as they stand (`Put`).
    pub fn request(&self, method: impl AsRef<str>, path: &str) -> RequestBuilder {
        let mut headers = HeaderMap::new();
        if let Some((name, password)) = &self.credentials {
            let encoded =
                base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
            let value =
                HeaderValue::from_str(&format!("Basic {encoded}")).expect("base64 fits a header");
            headers.insert(header::AUTHORIZATION, value);
        }
        RequestBuilder {
            app: Arc::clone(&self.app),
            database: self.database,
            method: method.as_ref().to_owned(),
            path: absolute(path),
            headers,
            body: Vec::new(),
            address: None,
        }
    }
}

fn absolute(path: &str) -> String {
    let beside = ["/crl/", "/oauth2/", "/.well-known/", "/signin", "/signout"];
    let whole = path
        .get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case("/Keyfactor"))
        || beside.iter().any(|start| path.starts_with(start));
    if whole {
        path.to_owned()
    } else {
        format!("{BASE}{path}")
    }
}

/// A request that is not sent yet.
#[derive(Debug)]
#[must_use = "it goes out with `send`"]
pub struct RequestBuilder {
    app: Arc<App>,
    database: Database,
    method: String,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
    address: Option<IpAddr>,
}

impl RequestBuilder {
    /// The network address it comes from; unknown unless told.
    ///
    /// # Panics
    /// When it is none.
    pub fn from_address(mut self, address: &str) -> Self {
        self.address = Some(address.parse().expect("an IP address"));
        self
    }

    /// Sets a header; an empty value takes it away.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        if value.is_empty() {
            self.headers.remove(name);
        } else {
            self.headers.insert(
                name,
                HeaderValue::from_str(value).expect("a header's value"),
            );
        }
        self
    }

    /// A form.
    pub fn form(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.body = text.into();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Another path and query, below the base as in [`Client::request`].
    pub fn path(mut self, path: &str) -> Self {
        self.path = absolute(path);
        self
    }

    /// The version of the operation.
    pub fn version(self, version: u8) -> Self {
        self.header("x-keyfactor-api-version", &version.to_string())
    }

    /// A JSON body.
    pub fn json(self, json: impl Borrow<Value>) -> Self {
        self.text_body(json.borrow().to_string())
    }

    /// A body as it stands; JSON by its content type, which [`header`](Self::header) may change afterwards.
    pub fn text_body(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.body = text.into();
        self.header("content-type", "application/json")
    }

    /// Sends it.
    ///
    /// # Panics
    /// When the answer is not as the OpenAPI document says.
    pub async fn send(self) -> Answer {
        let (answer, checked) = self.send_checked().await;
        if let Err(reason) = checked {
            panic!("{reason}");
        }
        answer
    }

    /// Sends it with a body that arrives late: `meanwhile` happens when the server knows who calls and reads the body.
    ///
    /// # Panics
    /// When the answer is not as the OpenAPI document says.
    pub async fn send_late(
        mut self,
        meanwhile: impl Future<Output = ()> + Send + 'static,
    ) -> Answer {
        let octets = std::mem::take(&mut self.body);
        let body = futures::stream::once(async {
            meanwhile.await;
            Ok::<_, std::convert::Infallible>(octets)
        });
        let (answer, checked) = self.send_body(Body::from_stream(body)).await;
        if let Err(reason) = checked {
            panic!("{reason}");
        }
        answer
    }

    /// Sends it with a body that comes in parts; an error among them breaks it off.
    ///
    /// # Panics
    /// When the answer is not as the OpenAPI document says.
    pub async fn send_parts(
        self,
        parts: impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + 'static,
    ) -> Answer {
        let (answer, checked) = self.send_body(Body::from_stream(parts)).await;
        if let Err(reason) = checked {
            panic!("{reason}");
        }
        answer
    }

    /// Sends it. Answers also what the answer has that the OpenAPI document does not declare.
    ///
    /// # Panics
    /// When the request cannot be made.
    pub async fn send_checked(mut self) -> (Answer, Result<(), String>) {
        let body = Body::from(std::mem::take(&mut self.body));
        self.send_body(body).await
    }

    async fn send_body(self, body: Body) -> (Answer, Result<(), String>) {
        let method = Method::from_bytes(self.method.as_bytes()).expect("a method is a token");
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self
            .path
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", self.path));
        let asked_version = self.headers.get("x-keyfactor-api-version").cloned();
        *request.headers_mut() = self.headers;
        if let Some(address) = self.address {
            request
                .extensions_mut()
                .insert(PeerAddress(SocketAddr::new(address, 50_000)));
        }
        let Ok(response) = self.app.router().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let octets = body
            .collect()
            .await
            .expect("the answer can be read")
            .to_bytes()
            .to_vec();
        let text = String::from_utf8_lossy(&octets).into_owned();
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            json: serde_json::from_slice(&octets).unwrap_or_default(),
            text,
            octets,
            what: format!("{} {}", self.method, self.path),
        };
        let checked = contract::check(&Exchange {
            version: asked_version
                .as_ref()
                .map_or("", |value| value.to_str().unwrap_or("?")),
            method: &self.method,
            path: &self.path,
            answer: &answer,
            database: self.database,
        });
        (answer, checked)
    }
}

/// An answer, checked.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null when it is not.
    pub json: Value,
    /// The body as text.
    pub text: String,
    /// The body as it came.
    pub octets: Vec<u8>,
    what: String,
}

impl Answer {
    /// Itself, when the status is this.
    ///
    /// # Panics
    /// When it is another; the message shows the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text);
        self
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How many there are in all, from `X-Total-Count`.
    pub fn total(&self) -> Option<u64> {
        self.header("x-total-count")
            .and_then(|value| value.parse().ok())
    }

    /// The code of a refusal.
    ///
    /// # Panics
    /// When the answer is none.
    #[track_caller]
    pub fn error_code(&self) -> &str {
        self.json["ErrorCode"]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no ErrorCode in {}", self.what, self.text))
    }

    /// The message of a refusal.
    ///
    /// # Panics
    /// When the answer is none.
    #[track_caller]
    pub fn message(&self) -> &str {
        self.json["Message"]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no Message in {}", self.what, self.text))
    }

    /// The reasons of the parts of a refusal; empty when it names none.
    pub fn reasons(&self) -> Vec<&str> {
        let parts = self.json["FailedOperations"].as_array();
        parts
            .into_iter()
            .flatten()
            .filter_map(|part| part["Reason"].as_str())
            .collect()
    }

    /// The entries of a list.
    ///
    /// # Panics
    /// When the body is no list.
    #[track_caller]
    pub fn items(&self) -> &[Value] {
        self.json
            .as_array()
            .unwrap_or_else(|| panic!("{}: no list in {}", self.what, self.text))
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }
}

#[cfg(test)]
impl Answer {
    /// An answer of JSON without a server.
    pub(crate) fn of(status: u16, text: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        Self {
            status,
            headers,
            json: serde_json::from_str(text).unwrap_or_default(),
            text: text.to_owned(),
            octets: text.as_bytes().to_vec(),
            what: "a test".into(),
        }
    }
}
