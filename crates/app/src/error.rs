//! The one error of the product. Its kind alone decides status and code, by one table.

use std::error::Error as StdError;

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::security::Explanation;

/// What kind of failure, and thereby what the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value is missing or wrong.
    BadRequest,
    /// The body is not JSON of the declared shape.
    BadBody,
    /// A required header is missing.
    MissingHeader,
    /// The certificate has no stored private key.
    NoStoredKey,
    /// `x-certificateformat` names a form that this operation cannot give.
    BadFormat,
    /// The sort field is none of the list's.
    BadSortField,
    /// The query string cannot be read, or names an unknown field.
    BadQuery,
    /// The operation does not exist in the version asked for.
    BadVersion,
    /// Nobody is signed in, or the password is wrong.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// There is no such thing, or no such path.
    NotFound,
    /// The path exists, the method does not.
    BadMethod,
    /// The state of the thing forbids it, or somebody else was first.
    Conflict,
    /// The body is larger than the limit.
    TooLarge,
    /// The body's media type is not JSON.
    BadMediaType,
    /// The certificate authority refused.
    AuthorityRefused,
    /// The database is busy or away; the same request may do later.
    Unavailable,
    /// More requests than one caller may make; later ones are welcome.
    TooManyRequests,
    /// A fault of ours.
    Internal,
}

/// The table: kind, status, code, meaning. `docs/errors.md` shows the same rows; a test compares them.
pub const TABLE: &[(Kind, StatusCode, &str, &str)] = &[
    (
        Kind::BadRequest,
        StatusCode::BAD_REQUEST,
        "0xA011000B",
        "a value is missing or wrong",
    ),
    (
        Kind::BadBody,
        StatusCode::BAD_REQUEST,
        "0xA0111001",
        "the body is not JSON of the declared shape",
    ),
    (
        Kind::MissingHeader,
        StatusCode::BAD_REQUEST,
        "0xA0110007",
        "a required header is missing",
    ),
    (
        Kind::NoStoredKey,
        StatusCode::BAD_REQUEST,
        "0xA0110002",
        "the certificate has no stored private key",
    ),
    (
        Kind::BadFormat,
        StatusCode::BAD_REQUEST,
        "0xA0110008",
        "the certificate format is not offered here",
    ),
    (
        Kind::BadSortField,
        StatusCode::BAD_REQUEST,
        "0xA011004A",
        "the sort field is none of the list's",
    ),
    (
        Kind::BadQuery,
        StatusCode::BAD_REQUEST,
        "0xA0111002",
        "the query cannot be read or names an unknown field",
    ),
    (
        Kind::BadVersion,
        StatusCode::BAD_REQUEST,
        "0xA0111003",
        "the operation does not exist in the version asked for",
    ),
    (
        Kind::Unauthenticated,
        StatusCode::UNAUTHORIZED,
        "0xA0111004",
        "nobody is signed in, or the password is wrong",
    ),
    (
        Kind::Forbidden,
        StatusCode::FORBIDDEN,
        "0xA0111005",
        "the caller may not do this",
    ),
    (
        Kind::NotFound,
        StatusCode::NOT_FOUND,
        "0xA0111006",
        "there is no such thing, or no such path",
    ),
    (
        Kind::BadMethod,
        StatusCode::METHOD_NOT_ALLOWED,
        "0xA0111007",
        "the path does not know this method",
    ),
    (
        Kind::Conflict,
        StatusCode::CONFLICT,
        "0xA0111008",
        "the state of the thing forbids it",
    ),
    (
        Kind::TooLarge,
        StatusCode::PAYLOAD_TOO_LARGE,
        "0xA0111009",
        "the body is larger than the limit",
    ),
    (
        Kind::BadMediaType,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "0xA011100A",
        "the body's media type is not JSON",
    ),
    (
        Kind::AuthorityRefused,
        StatusCode::BAD_REQUEST,
        "0xA011100B",
        "the certificate authority refused the request",
    ),
    (
        Kind::Unavailable,
        StatusCode::SERVICE_UNAVAILABLE,
        "0xA011100C",
        "the database is busy or away; try again",
    ),
    (
        Kind::TooManyRequests,
        StatusCode::TOO_MANY_REQUESTS,
        "0xA011100D",
        "more requests than one caller may make; wait as long as Retry-After says",
    ),
    (
        Kind::Internal,
        StatusCode::INTERNAL_SERVER_ERROR,
        "0xA0111000",
        "a fault of the server; the log has it",
    ),
];

/// A failure: what the caller is told, and what only the log is told.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    failed: Vec<String>,
    retry_after: Option<u64>,
    tried: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The body of every answer that is a failure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorBody {
    /// A stable code, see `docs/errors.md`.
    #[schema(example = "0xA011000B")]
    pub error_code: String,
    /// What is wrong, and where.
    pub message: String,
    /// One entry for each part of a request of several that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_operations: Vec<FailedOperation>,
    /// How it was decided, for who may see that and asked with `x-chancery-explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
}

/// One part of a request of several that is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct FailedOperation {
    /// Which part, and why.
    pub reason: String,
}

impl Error {
    /// An error of any kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            failed: Vec::new(),
            retry_after: None,
            tried: None,
            source: None,
        }
    }

    /// The same, about somebody who was not let in, for the record.
    pub(crate) fn tried(self, who: &str) -> Self {
        Self {
            tried: Some(who.to_owned()),
            ..self
        }
    }

    /// A value is missing or wrong. The message names the place.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    /// Several parts of the request are wrong; each reason names its part.
    pub fn bad_parts(message: impl Into<String>, failed: Vec<String>) -> Self {
        Self {
            failed,
            ..Self::new(Kind::BadRequest, message)
        }
    }

    /// One caller asks too often. `wait_ms` says when it may ask again; the answer's `Retry-After` rounds it up to seconds.
    pub fn too_many(message: impl Into<String>, wait_ms: i64) -> Self {
        let seconds = u64::try_from(wait_ms).unwrap_or_default().div_ceil(1000);
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(Kind::TooManyRequests, message)
        }
    }

    /// The caller may not.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// There is no such thing: `not_found("certificate store", id)`.
    pub fn not_found(what: &str, which: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("There is no {what} {which}."))
    }

    /// The state of the thing forbids it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// A fault of ours; the caller learns nothing but the correlation id.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new(
                Kind::Internal,
                "An unexpected error occurred. The correlation id leads to it in the log.",
            )
        }
    }

    /// What kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The error of work that was done for several at once, for another of them.
    #[must_use]
    pub(crate) fn repeated(&self) -> Self {
        match &self.source {
            None => Self::new(self.kind, self.message.clone()),
            Some(source) => Self {
                source: Some(format!("{source:?}").into()),
                ..Self::new(self.kind, self.message.clone())
            },
        }
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The reasons of the parts.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// Who was not let in, as far as known.
    pub(crate) fn who_tried(&self) -> Option<&str> {
        self.tried.as_deref()
    }

    /// Seconds after which another try makes sense, where that is known.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// Status and code, from the table.
    pub fn status(&self) -> (StatusCode, &'static str) {
        TABLE.iter().find(|(kind, ..)| *kind == self.kind).map_or(
            (StatusCode::INTERNAL_SERVER_ERROR, "0xA0111000"),
            |(_, status, code, _)| (*status, code),
        )
    }

    /// The answer's body.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            error_code: self.status().1.to_owned(),
            message: self.message.clone(),
            failed_operations: self
                .failed
                .iter()
                .map(|reason| FailedOperation {
                    reason: reason.clone(),
                })
                .collect(),
            explanation: None,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        for reason in &self.failed {
            write!(f, "; {reason}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        if error.is_constraint() {
            // Slices check first and say what is wrong; this is the race that the database decided.
            return Self {
                source: Some(error.into()),
                ..Self::conflict(
                    "Somebody else changed this at the same time. Read it again and repeat the request.",
                )
            };
        }
        if error.is_away() {
            tracing::error!(%error, "the database is away");
            return Self {
                source: Some(error.into()),
                ..Self::new(
                    Kind::Unavailable,
                    "The database is busy or away. Try again.",
                )
            };
        }
        Self::internal(error)
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        db::Error::from(error).into()
    }
}

impl From<jobs::Error> for Error {
    fn from(error: jobs::Error) -> Self {
        Self::internal(error)
    }
}

impl From<secrets::Error> for Error {
    fn from(error: secrets::Error) -> Self {
        Self::internal(error)
    }
}

impl From<serde_json::Error> for Error {
    /// JSON of our own that cannot be written or read; what callers send goes through `web` instead.
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}
