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

/// Words that passwords are made of when nobody thinks. A password of nothing but these is refused, whatever digits and signs
/// stand around them, and whatever signs stand for letters.
const COMMON: &[&str] = &[
    "password",
    "passwort",
    "passwd",
    "welcome",
    "welcometo",
    "administrator",
    "admin",
    "root",
    "user",
    "test",
    "secret",
    "changeme",
    "change",
    "letmein",
    "default",
    "login",
    "master",
    "monkey",
    "dragon",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "batman",
    "shadow",
    "iloveyou",
    "iloveu",
    "trustno",
    "starwars",
    "whatever",
    "qwertyuiop",
    "qwertzuiop",
    "qwerty",
    "qwertz",
    "azerty",
    "asdfghjkl",
    "asdfgh",
    "asdf",
    "zxcvbnm",
    "zxcvbn",
    "yxcvbnm",
    "abcdefghijkl",
    "abcdefgh",
    "abcdef",
    "abcd",
    "abc",
    "qazwsxedc",
    "qazwsx",
    "keyfactor",
    "chancery",
    "certificate",
    "company",
    "summer",
    "winter",
    "spring",
    "autumn",
    "hello",
    "guest",
    "access",
    "server",
    "database",
    "my",
    "the",
    "is",
    "this",
    "for",
    "me",
    "one",
    "temp",
    "temporary",
    "initial",
    "new",
    "demo",
    "example",
    "corporate",
    "computer",
    "internet",
    "security",
];

/// Refuses passwords that are too short or too long, that hold the account's name, or that are among the first ones guessed.
///
/// # Errors
/// 400 naming the member and the rule.
pub(crate) fn check(member: &str, password: &str, name: &str) -> Result<(), Error> {
    if password.chars().count() < PASSWORD_CHARACTERS_MIN || password.len() > PASSWORD_OCTETS_MAX {
        return Err(Error::bad_request(format!(
            "{member}: a password has at least {PASSWORD_CHARACTERS_MIN} characters and at most {PASSWORD_OCTETS_MAX} octets."
        )));
    }
    let (folded, name) = (db::fold(password), db::fold(name));
    if name.chars().count() >= 3 && folded.contains(&name) || folded == name {
        return Err(Error::bad_request(format!(
            "{member}: a password does not hold the name of its account."
        )));
    }
    if is_common(&folded) {
        return Err(Error::bad_request(format!(
            "{member}: this password is among the first that are guessed."
        )));
    }
    Ok(())
}

/// Whether a password is one of few letters, of digits alone, or of common words alone.
fn is_common(folded: &str) -> bool {
    let mut letters: Vec<char> = folded.chars().collect();
    let digits = letters
        .iter()
        .filter(|letter| letter.is_ascii_digit())
        .count();
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < 5 || digits == folded.chars().count() {
        return true;
    }
    // As it is, and with signs read as the letters that they look like.
    let core = folded.trim_matches(|letter: char| !letter.is_alphabetic());
    [
        folded,
        &read_as_letters(folded),
        core,
        &read_as_letters(core),
    ]
    .into_iter()
    .any(|text| {
        text.split(|letter: char| !letter.is_alphabetic())
            .all(is_common_words)
    })
}

fn read_as_letters(text: &str) -> String {
    let letter = |sign| match sign {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    text.chars().map(letter).collect()
}

/// Whether a text is nothing but common words, one after the other.
fn is_common_words(text: &str) -> bool {
    // Which lengths of the beginning are made of words.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for start in 0..text.len() {
        if !reached[start] {
            continue;
        }
        for word in COMMON {
            if text[start..].starts_with(word) {
                reached[start + word.len()] = true;
            }
        }
    }
    reached[text.len()]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_first_is_refused() {
        for bad in [
            "Password1234",
            "passwordpassword",
            "P@ssw0rd2026!",
            "welcome-2026-welcome",
            "123456789012345",
            "aaaaaaaaaaaaaaaa",
            "qwertyuiop123",
            "ChangeMe!ChangeMe!",
            "abcabcabcabcabc",
            "admin-password-1",
            "letmein letmein",
            "short",
            "alice-is-in-wonderland",
            "ＰＡＳＳＷＯＲＤ１２３４",
        ] {
            assert!(check("Password", bad, "Alice").is_err(), "{bad}");
        }
        for good in [
            "correct horse battery",
            "kT7-pq2w-Zx9f-mm",
            "straße über den fluss",
            "passwordless zebra",
        ] {
            assert!(check("Password", good, "Alice").is_ok(), "{good}");
        }
        assert!(check("Password", &"x1y2z".repeat(300), "Alice").is_err());
    }
}
