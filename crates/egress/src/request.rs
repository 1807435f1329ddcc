//! What is asked, and what is answered.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST, …
    pub method: Method,
    /// `http://…` or `https://…`.
    pub url: String,
    /// Fields of the head. Not `Host`, `Connection` and what frames the body: those are the client's.
    pub headers: HeaderMap,
    /// The body, may be empty.
    pub body: Vec<u8>,
    /// Octets of the answer's body at most; never more than the policy says.
    pub limit: Option<usize>,
    /// Time for all of it; never more than the policy says.
    pub time: Option<Duration>,
    /// Redirects to follow, to the same scheme, host and port; GET and HEAD only. With 0 a redirect is an answer.
    pub redirects: u8,
    /// Refuse `http://…`.
    pub https_only: bool,
}

impl Request {
    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            limit: None,
            time: None,
            redirects: 0,
            https_only: false,
        }
    }

    /// A POST of a body of this media type.
    pub fn post(url: impl Into<String>, media: &'static str, body: Vec<u8>) -> Self {
        let request = Self {
            method: Method::POST,
            body,
            ..Self::get(url)
        };
        request.header(header::CONTENT_TYPE, HeaderValue::from_static(media))
    }

    /// With one more field of the head. Make secret ones so: `HeaderValue::set_sensitive`.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Takes answers of so many octets at most.
    #[must_use]
    pub fn limit(mut self, octets: usize) -> Self {
        self.limit = Some(octets);
        self
    }

    /// Takes so long at most.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Follows so many redirects within the same scheme, host and port.
    #[must_use]
    pub fn redirects(mut self, count: u8) -> Self {
        self.redirects = count;
        self
    }

    /// Refuses `http://…`.
    #[must_use]
    pub fn https_only(mut self) -> Self {
        self.https_only = true;
        self
    }
}

/// An answer, whatever its status: what a 404 means is for the caller to say.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The head.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The media type without its parameters, in small letters.
    pub fn media(&self) -> String {
        let value = self.headers.get(header::CONTENT_TYPE);
        let text = value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media = text.split(';').next().unwrap_or_default();
        media.trim().to_ascii_lowercase()
    }
}
