//! Signed tokens (RFC 7519, RFC 8725): what they say before anybody believes it, and the checks after which it is believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

/// Octets of a token at most. With every group of a large directory in it a token has some ten thousand.
pub(super) const TOKEN_MAX: usize = 16 * 1024;
/// How far clocks may be apart, in seconds.
pub(super) const LEEWAY_S: i64 = 30;

/// What stands in a token: names of claims and their values.
pub(crate) type Claims = Map<String, Value>;

/// What a token says of itself. Nothing of it is proven.
#[derive(Debug)]
pub(super) struct Said {
    /// The algorithm: one of ours, or the token is refused.
    pub(super) algorithm: Algorithm,
    /// The id of the key.
    pub(super) key_id: Option<String>,
    /// Who issued it.
    pub(super) issuer: String,
}

/// What a token says of itself, to find the key that proves it.
///
/// # Errors
/// Why it is none that could be believed, for the log.
pub(super) fn said(token: &str) -> Result<Said, String> {
    if token.len() > TOKEN_MAX {
        return Err(format!("the token is longer than {TOKEN_MAX} octets"));
    }
    // `none` and algorithms unknown to the library fail here; symmetric ones have no key that could be found.
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    if header.crit.is_some() {
        return Err("the token demands extensions".into());
    }
    let kind = header.typ.as_deref().unwrap_or("JWT");
    let known = ["JWT", "at+jwt", "application/at+jwt"];
    if !known.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        return Err("the token is of another kind".into());
    }
    let payload = token.split('.').nth(1).unwrap_or_default();
    let payload = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| "the token is not base64".to_owned())?;
    let claims: Claims =
        serde_json::from_slice(&payload).map_err(|_| "the token holds no claims".to_owned())?;
    let Some(Value::String(issuer)) = claims.get("iss") else {
        return Err("the token names no issuer".into());
    };
    Ok(Said {
        algorithm: header.alg,
        key_id: header.kid,
        issuer: issuer.clone(),
    })
}

/// What a token has to be.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// What its key may be used with.
    pub(super) algorithms: &'a [Algorithm],
    /// Who has to have issued it.
    pub(super) issuer: &'a str,
    /// For whom it has to be, one of these.
    pub(super) audiences: &'a [&'a str],
    /// Now, in epoch milliseconds.
    pub(super) now: i64,
}

/// The claims of a token whose signature, issuer, audience and times are right.
///
/// # Errors
/// What is wrong, for the log.
pub(super) fn verify(
    token: &str,
    key: &DecodingKey,
    wanted: &Wanted<'_>,
) -> Result<Claims, String> {
    let mut validation = Validation {
        algorithms: wanted.algorithms.to_vec(),
        // By our clock, below.
        validate_exp: false,
        ..Validation::default()
    };
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[wanted.issuer]);
    validation.set_audience(wanted.audiences);
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
        .map_err(|error| error.to_string())?
        .claims;
    check_times(&claims, wanted.now)?;
    Ok(claims)
}

fn check_times(claims: &Claims, now: i64) -> Result<(), String> {
    let now = now / 1000;
    let expires = seconds(claims, "exp")?.ok_or("the token has no end")?;
    if now >= expires.saturating_add(LEEWAY_S) {
        return Err("the token has expired".into());
    }
    if seconds(claims, "nbf")?.is_some_and(|from| from > now + LEEWAY_S) {
        return Err("the token is not valid yet".into());
    }
    if seconds(claims, "iat")?.is_some_and(|at| at > now + LEEWAY_S) {
        return Err("the token was issued in the future".into());
    }
    Ok(())
}

/// When a token ends, in epoch milliseconds.
pub(super) fn expires_at(claims: &Claims) -> i64 {
    let end = seconds(claims, "exp").ok().flatten().unwrap_or_default();
    end.saturating_mul(1000)
}

/// A NumericDate in whole seconds: fractions are possible.
fn seconds(claims: &Claims, name: &str) -> Result<Option<i64>, String> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let whole = number.as_i64();
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a number that large is as good as endless"
            )]
            let read = whole.or_else(|| number.as_f64().map(|seconds| seconds as i64));
            Ok(read)
        }
        Some(_) => Err(format!("the token's {name} is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn times(claims: &Value) -> Result<(), String> {
        check_times(claims.as_object().unwrap(), 1_000_000)
    }

    #[test]
    fn times_are_checked_with_a_little_leeway() {
        assert!(times(&json!({"exp": 1001})).is_ok());
        assert!(times(&json!({"exp": 971})).is_ok());
        assert!(times(&json!({"exp": 970})).is_err());
        assert!(times(&json!({"exp": 1000.5})).is_ok());
        assert!(times(&json!({"exp": 1e300})).is_ok());
        assert!(times(&json!({"exp": "1001"})).is_err());
        assert!(times(&json!({})).is_err());
        assert!(times(&json!({"exp": 1001, "nbf": 1030, "iat": 1030})).is_ok());
        assert!(times(&json!({"exp": 2000, "nbf": 1031})).is_err());
        assert!(times(&json!({"exp": 2000, "iat": 1031})).is_err());
        assert!(times(&json!({"exp": 2000, "nbf": "soon"})).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused_before_anything_else() {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token =
            |header: Value, claims: Value| format!("{}.{}.c2ln", part(&header), part(&claims));
        let issuer = json!({"iss": "https://idp.example"});
        let good = said(&token(json!({"alg": "ES256", "kid": "1"}), issuer.clone())).unwrap();
        assert_eq!(
            (good.issuer.as_str(), good.key_id.as_deref(), good.algorithm),
            ("https://idp.example", Some("1"), Algorithm::ES256)
        );
        for (header, claims) in [
            (json!({"alg": "none"}), issuer.clone()),
            (json!({"alg": "ES256K"}), issuer.clone()),
            (json!({"alg": "ES256", "crit": ["b64"]}), issuer.clone()),
            (json!({"alg": "ES256", "typ": "logout+jwt"}), issuer.clone()),
            (
                json!({"alg": "ES256"}),
                json!({"iss": ["https://idp.example"]}),
            ),
            (json!({"alg": "ES256"}), json!({})),
            (json!({"alg": "ES256"}), json!([])),
        ] {
            let text = token(header, claims);
            assert!(said(&text).is_err(), "{text}");
        }
        for text in [
            "",
            ".",
            "..",
            "a.b.c",
            "a.b.c.d",
            &"a".repeat(TOKEN_MAX + 1),
        ] {
            assert!(said(text).is_err(), "{text:.20}");
        }
    }
}
