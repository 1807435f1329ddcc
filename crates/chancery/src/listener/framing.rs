//! Where one request ends and the next begins has to be beyond doubt: a proxy in front that sees it differently would
//! let one caller speak in the name of another (request smuggling).
//!
//! The HTTP library refuses most of what is unclear. With both lengths it takes the chunks and ends the connection after
//! the answer (RFC 9112, 6.3), so nothing behind is ever read as a request. What it lets pass and others read in another
//! way is refused here.

use axum::{
    http::{HeaderValue, Request, StatusCode, Version, header},
    response::{IntoResponse as _, Response},
};

/// The answer to a request whose head is unclear; it ends the connection.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Response> {
    if request.version() >= Version::HTTP_2 || is_clear(request) {
        return None;
    }
    let mut response = StatusCode::BAD_REQUEST.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    Some(response)
}

fn is_clear<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if host.is_none() && request.version() == Version::HTTP_11 || hosts.next().is_some() {
        return false;
    }
    // One coding, said once. `gzip, chunked` and two lines are allowed by the letter, and nobody sends them.
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_none_or(chunked) && codings.next().is_none()
}
