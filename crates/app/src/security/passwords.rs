//! Password hashes: Argon2id, a few at a time, off the request threads.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::app::PasswordCost;
use crate::error::Error;

/// Characters of a password at least, and octets at most (a longer one would only cost time).
pub(crate) const PASSWORD_CHARACTERS_MIN: usize = 12;
pub(crate) const PASSWORD_OCTETS_MAX: usize = 1_024;

/// Hashes that may be worked on at once; each takes 19 MiB.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

fn hasher(cost: PasswordCost) -> Result<Argon2<'static>, Error> {
    let params = match cost {
        // The first recommendation of OWASP's password storage sheet for Argon2id.
        PasswordCost::Full => Params::new(19 * 1024, 2, 1, None),
        PasswordCost::Small => Params::new(Params::MIN_M_COST, 1, 1, None),
    };
    Ok(Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        params.map_err(|error| Error::internal(error.to_string()))?,
    ))
}

/// Refuses passwords that are too short or too long.
///
/// # Errors
/// 400 with the rule.
pub(crate) fn check(password: &str) -> Result<(), Error> {
    if password.chars().count() < PASSWORD_CHARACTERS_MIN || password.len() > PASSWORD_OCTETS_MAX {
        return Err(Error::bad_request(format!(
            "A password has at least {PASSWORD_CHARACTERS_MIN} characters and at most {PASSWORD_OCTETS_MAX} octets."
        )));
    }
    Ok(())
}

/// The hash of a password, as a PHC string.
///
/// # Errors
/// Only when the hasher fails.
pub(crate) async fn hash(
    password: impl Into<Zeroizing<String>>,
    cost: PasswordCost,
) -> Result<String, Error> {
    let password = password.into();
    off_thread(move || {
        let mut salt = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::internal("no randomness"))?;
        let hash = hasher(cost)?.hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string())
            .map_err(|error| Error::internal(error.to_string()))
    })
    .await
}

/// Whether a password fits a hash.
///
/// # Errors
/// Only when the stored hash cannot be read.
pub(crate) async fn verify(password: Zeroizing<String>, hash: String) -> Result<bool, Error> {
    off_thread(move || {
        let hash = PasswordHash::new(&hash).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok())
    })
    .await
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let _permit = AT_ONCE.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
}
