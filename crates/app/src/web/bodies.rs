//! What handlers take and give: request bodies, path values, answers.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lenient;
use crate::cx::Cx;
use crate::error::{Error, Kind};

/// A request body, read leniently.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let media = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let media = media
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let json = media.is_empty()
            || media == "text/json"
            || media.starts_with("application/") && media.ends_with("json");
        if !json {
            return Err(Error::new(
                Kind::BadMediaType,
                format!("The body has to be application/json, not {media}."),
            ));
        }
        let bytes = read(request, state).await?;
        let value = lenient::parse(&bytes)
            .map_err(|reason| Error::new(Kind::BadBody, format!("Body: {reason}.")))?;
        let body = lenient::from_value(value)
            .map_err(|reason| Error::new(Kind::BadBody, format!("Body: {reason}.")))?;
        Ok(Self(body))
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(_)
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE =>
            {
                Error::new(
                    Kind::TooLarge,
                    "The body is larger than this server accepts.",
                )
            }
            _ => Error::new(Kind::BadBody, "The body ended before its announced length."),
        })
}

/// The one value in the path, parsed: `{id}` of whatever type.
#[derive(Debug)]
pub(crate) struct PathId<T>(pub(crate) T);

impl<S: Send + Sync, T: std::str::FromStr> FromRequestParts<S> for PathId<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::bad_request("The path is not UTF-8."))?;
        let Some((name, text)) = params.iter().last() else {
            return Err(Error::bad_request("The path has no identifier."));
        };
        // U+0000 names nothing, and PostgreSQL does not take it.
        let parsed = text.trim().parse().ok().filter(|_| !text.contains('\0'));
        let Some(value) = parsed else {
            let shown: String = text.chars().take(40).collect();
            return Err(Error::bad_request(format!(
                "Path: {name} is not valid: {shown:?}."
            )));
        };
        Ok(Self(value))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Cx {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let cx = parts.extensions.get::<Self>().cloned();
        cx.ok_or_else(|| Error::internal("a handler was reached without sign-in"))
    }
}

/// A 200 with a JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

/// A page of a list, and how many there are in all, for `X-Total-Count`.
#[derive(Debug)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    pub(crate) total: u64,
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        let mut response = json(StatusCode::OK, &self.items);
        response
            .headers_mut()
            .insert("x-total-count", HeaderValue::from(self.total));
        response
    }
}

/// A 204.
#[derive(Debug)]
pub(crate) struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let media = HeaderValue::from_static("application/json; charset=utf-8");
            (status, [(header::CONTENT_TYPE, media)], bytes).into_response()
        }
        Err(error) => Error::from(error).into_response(),
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, _) = self.status();
        let mut response = json(status, &self.body());
        if status == StatusCode::UNAUTHORIZED {
            // Scripts send no credentials first and answer this challenge (clients.md 2.3).
            // Basic comes first: some look at the first alone.
            let headers = response.headers_mut();
            for challenge in [
                "Basic realm=\"Chancery\", charset=\"UTF-8\"",
                "Bearer realm=\"Chancery\"",
            ] {
                headers.append(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static(challenge),
                );
            }
        }
        if let Some(seconds) = self.retry_after() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}
