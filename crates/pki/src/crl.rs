//! Certificate revocation lists (RFC 5280 §5).

use der::asn1::{AnyRef, UintRef};
use der::{Decode, Encode, Enumerated, Sequence};
use x509_cert::ext::Extension;
use x509_cert::time::Time;

use crate::error::{Error, Result};
use crate::extensions::{self, CRL_SIGN};
use crate::issuer::{Issuer, sign, time_of};
use crate::serial::Serial;

const CRL_NUMBER: &str = "2.5.29.20";
const CRL_REASON: &str = "2.5.29.21";

/// Building of complete CRLs, version 2.
#[derive(Debug)]
pub struct CertificateRevocationList;

/// `CRLReason` of RFC 5280 §5.3.1, those that a complete CRL can carry.
#[derive(Clone, Copy, Enumerated)]
#[repr(u32)]
enum Reason {
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    PrivilegeWithdrawn = 9,
    AaCompromise = 10,
}

#[derive(Sequence)]
struct Revoked {
    serial_number: der::asn1::Uint,
    revocation_date: Time,
    #[asn1(optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Sequence)]
struct ToBeSigned<'a> {
    version: u8,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    this_update: Time,
    next_update: Time,
    #[asn1(optional = "true")]
    revoked: Option<Vec<Revoked>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

impl CertificateRevocationList {
    /// Builds and signs a CRL; the result is its DER. An entry is (serial number in hexadecimal, time of revocation, reason); times are
    /// milliseconds since the Unix epoch. Reasons are the numbers of RFC 5280 §5.3.1, which Command shares; 0 and Command's 999 (unknown)
    /// are written as no reason.
    ///
    /// # Errors
    /// [`Error::Refused`] if the issuer may not sign CRLs or the update times are in the wrong order; [`Error::Malformed`] naming the
    /// entry; [`Error::Crypto`].
    pub fn build(
        issuer: &Issuer,
        number: u64,
        this_update_ms: i64,
        next_update_ms: i64,
        revoked: &[(String, i64, i32)],
    ) -> Result<Vec<u8>> {
        let usage = issuer.certificate().key_usage();
        if usage != 0 && usage & CRL_SIGN == 0 {
            return Err(Error::refused(
                "issuer_may_sign",
                "the issuer may not sign CRLs",
            ));
        }
        if this_update_ms / 1000 >= next_update_ms / 1000 {
            return Err(Error::refused(
                "update_order",
                "the next update is not after this update",
            ));
        }
        let entries = revoked.iter().map(entry).collect::<Result<Vec<_>>>()?;
        let number_octets = number.to_be_bytes();
        let number = UintRef::new(&number_octets).map_err(extensions::encoding)?;
        let content = ToBeSigned {
            version: 1,
            signature: AnyRef::from_der(issuer.algorithm_der()).map_err(extensions::encoding)?,
            issuer: AnyRef::from_der(issuer.certificate().subject_der())
                .map_err(extensions::encoding)?,
            this_update: time_of(this_update_ms)?,
            next_update: time_of(next_update_ms)?,
            revoked: (!entries.is_empty()).then_some(entries),
            extensions: vec![
                extensions::authority_key_identifier(issuer.key_id())?,
                extensions::extension(CRL_NUMBER, false, &number)?,
            ],
        };
        let der = content.to_der().map_err(extensions::encoding)?;
        sign(&der, issuer.algorithm_der(), issuer.key())
    }
}

fn entry((serial_hex, at_ms, reason): &(String, i64, i32)) -> Result<Revoked> {
    let in_entry = |error: Error| Error::malformed("CRL entry", format!("{serial_hex}: {error}"));
    let serial = Serial::from_hex(serial_hex).map_err(in_entry)?;
    let reason = match reason {
        0 | 999 => None,
        1 => Some(Reason::KeyCompromise),
        2 => Some(Reason::CaCompromise),
        3 => Some(Reason::AffiliationChanged),
        4 => Some(Reason::Superseded),
        5 => Some(Reason::CessationOfOperation),
        6 => Some(Reason::CertificateHold),
        9 => Some(Reason::PrivilegeWithdrawn),
        10 => Some(Reason::AaCompromise),
        other => {
            return Err(Error::malformed(
                "CRL entry",
                format!("{serial_hex}: {other} is no reason of a revoked certificate"),
            ));
        }
    };
    let extensions = reason
        .map(|reason| extensions::extension(CRL_REASON, false, &reason).map(|one| vec![one]))
        .transpose()?;
    Ok(Revoked {
        serial_number: der::asn1::Uint::new(&serial.content()).map_err(extensions::encoding)?,
        revocation_date: time_of(*at_ms).map_err(in_entry)?,
        extensions,
    })
}
