//! The DER structures around what is signed.

use std::time::Duration;

use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{DateTime, Decode, Encode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::time::{Time, Validity};

use super::key_id_of;
use crate::error::{Error, Result};
use crate::extensions::{self, Source};
use crate::key::PrivateKey;
use crate::lint::{self, Draft};

/// `TBSCertificate` of RFC 5280 §4.1. Names and key are taken over octet for octet: the issuer's name must be exactly the one in the
/// issuer's certificate.
#[derive(Sequence)]
struct ToBeSigned<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial_number: UintRef<'a>,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    validity: Validity,
    subject: AnyRef<'a>,
    subject_public_key_info: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// `SIGNED` of X.509: certificates and CRLs have the same shape.
#[derive(Sequence)]
struct Signed<'a> {
    to_be_signed: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

/// What a certificate says of its issuer.
pub(super) struct Authority<'a> {
    pub(super) name_der: &'a [u8],
    /// None for roots: RFC 5280 §4.2.1.1 lets them leave it out.
    pub(super) key_id: Option<&'a [u8]>,
    pub(super) algorithm_der: &'a [u8],
}

/// Lints the draft, then encodes it. The only way to a `TBSCertificate`.
pub(super) fn to_be_signed(
    draft: &Draft<'_>,
    spki_der: &[u8],
    authority: &Authority<'_>,
) -> Result<Vec<u8>> {
    lint::check(draft)?;
    let serial = draft.serial.content();
    let subject = draft.name.to_der()?;
    let subject_key_id = key_id_of(spki_der)?;
    let extensions = extensions::build(&Source {
        profile: draft.profile,
        key_usage: draft.profile.key_usage_for(draft.key),
        names: draft.names,
        subject_is_empty: draft.name.is_empty(),
        subject_key_id: &subject_key_id,
        authority_key_id: authority.key_id,
    })?;
    let content = ToBeSigned {
        version: 2,
        serial_number: UintRef::new(&serial).map_err(extensions::encoding)?,
        signature: any(authority.algorithm_der)?,
        issuer: any(authority.name_der)?,
        validity: Validity::new(time_of(draft.not_before_ms)?, time_of(draft.not_after_ms)?),
        subject: any(&subject)?,
        subject_public_key_info: any(spki_der)?,
        extensions,
    };
    content.to_der().map_err(extensions::encoding)
}

/// Puts a signature to encoded content.
pub(crate) fn sign(content: &[u8], algorithm_der: &[u8], key: &PrivateKey) -> Result<Vec<u8>> {
    let signature = key.sign(content)?;
    Signed {
        to_be_signed: any(content)?,
        algorithm: any(algorithm_der)?,
        signature: BitStringRef::from_bytes(&signature).map_err(extensions::encoding)?,
    }
    .to_der()
    .map_err(extensions::encoding)
}

/// UTCTime until the end of 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5).
pub(crate) fn time_of(milliseconds: i64) -> Result<Time> {
    u64::try_from(milliseconds / 1000)
        .ok()
        .and_then(|seconds| DateTime::from_unix_duration(Duration::from_secs(seconds)).ok())
        .map(Time::from)
        .ok_or_else(|| {
            Error::malformed(
                "time",
                format!("{milliseconds} ms is not between 1970 and 9999"),
            )
        })
}

fn any(der: &[u8]) -> Result<AnyRef<'_>> {
    AnyRef::from_der(der).map_err(extensions::encoding)
}
