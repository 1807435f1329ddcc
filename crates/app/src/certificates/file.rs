//! Files of certificates and keys that callers send. Reading one may cost seconds of a processor, so a few at a time are read.

use pki::{Contents, ContentsError};
use secrets::Secret;
use tokio::sync::Semaphore;

use crate::error::{Error, Kind};

static READERS: Semaphore = Semaphore::const_new(2);

/// Reads the members `Certificate` and `Password` of a request: text of a file in PEM, or Base64 of a file in any form.
///
/// # Errors
/// 400 that names the place in the file, 413 for a file that is too large.
pub(super) async fn read(
    certificate: Option<String>,
    password: Option<String>,
) -> Result<Contents, Error> {
    let text = certificate
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| Error::bad_request("Certificate: a value is required."))?;
    let password = password.filter(|text| !text.is_empty()).map(Secret::from);
    let turn = READERS.acquire().await.map_err(Error::internal)?;
    let read = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let Some(password) = password else {
            return read_without(text.as_bytes());
        };
        let password = password.expose_str().map_err(Error::internal)?;
        Contents::read(text.as_bytes(), Some(password)).map_err(|error| refusal(&error))
    });
    read.await.map_err(Error::internal)?
}

/// An empty password and none are the same to clients, and different to files.
fn read_without(octets: &[u8]) -> Result<Contents, Error> {
    let needed = match Contents::read(octets, None) {
        Err(error @ ContentsError::PasswordNeeded { .. }) => error,
        other => return other.map_err(|error| refusal(&error)),
    };
    Contents::read(octets, Some("")).map_err(|error| {
        refusal(match &error {
            ContentsError::WrongPassword { .. } => &needed,
            other => other,
        })
    })
}

fn refusal(error: &ContentsError) -> Error {
    match error {
        ContentsError::TooLarge { .. } => {
            Error::new(Kind::TooLarge, format!("Certificate: {error}."))
        }
        ContentsError::PasswordNeeded { .. } | ContentsError::WrongPassword { .. } => {
            Error::bad_request(format!("Password: {error}."))
        }
        _ => Error::bad_request(format!("Certificate: {error}.")),
    }
}
