//! Certificate requests (PKCS#10, RFC 2986).

use std::sync::Arc;

use der::asn1::{Any, BitString, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ExtensionRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use crate::armor;
use crate::certificate;
use crate::distinguished_name::DistinguishedName;
use crate::error::{Error, Result};
use crate::key::PrivateKey;
use crate::key_info::KeyInfo;
use crate::pem;
use crate::subject_alternative_name::{SubjectAlternativeName, encode_general_names};

/// The largest request that is read, in bytes of whatever form it comes in: 64 KiB. The largest ML-DSA request with a hundred names is
/// a fifth of that.
pub const MAXIMUM_REQUEST_BYTES: usize = 64 * 1024;

/// `extensionRequest` of PKCS#9.
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
/// The same under Microsoft's own identifier.
const MICROSOFT_EXTENSION_REQUEST: &str = "1.3.6.1.4.1.311.2.1.14";
const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";

/// A certificate request whose signature has been verified: there is no value of this type with a bad one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    content: Arc<Content>,
}

#[derive(Debug)]
struct Content {
    der: Vec<u8>,
    subject: DistinguishedName,
    subject_text: String,
    subject_alternative_names: Vec<SubjectAlternativeName>,
    spki_der: Vec<u8>,
    key: KeyInfo,
}

impl CertificateRequest {
    /// Reads a request and verifies that it is signed with its own key. Accepts PEM (`CERTIFICATE REQUEST` or `NEW CERTIFICATE REQUEST`,
    /// any line ends), bare base64, and DER.
    ///
    /// # Errors
    /// [`Error::Malformed`], also above [`MAXIMUM_REQUEST_BYTES`]; [`Error::BadSignature`]; [`Error::UnsupportedAlgorithm`].
    pub fn from_pem_or_der(input: &[u8]) -> Result<Self> {
        if input.len() > MAXIMUM_REQUEST_BYTES {
            return Err(Error::malformed(
                "certificate request",
                format!("it is longer than {MAXIMUM_REQUEST_BYTES} bytes"),
            ));
        }
        if input.first() == Some(&0x30)
            && let Ok(request) = Self::from_der(input)
        {
            return Ok(request);
        }
        match std::str::from_utf8(input) {
            Ok(text) => Self::from_text(text),
            Err(_) => Self::from_der(input),
        }
    }

    fn from_text(text: &str) -> Result<Self> {
        let blocks = pem::parse(text.as_bytes());
        let wanted = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
        if let Some(block) = blocks
            .iter()
            .find(|block| wanted.contains(&block.label.as_str()))
        {
            return Self::from_der(&block.der);
        }
        if let Some(block) = blocks.first() {
            return Err(Error::malformed(
                "certificate request",
                format!("the text holds a {} instead", block.label),
            ));
        }
        let der = armor::decode(text).ok_or_else(|| {
            Error::malformed(
                "certificate request",
                "it is neither PEM, nor base64, nor DER",
            )
        })?;
        Self::from_der(&der)
    }

    fn from_der(der: &[u8]) -> Result<Self> {
        let (rest, request) = X509CertificationRequest::from_der(der)
            .map_err(|error| Error::malformed("certificate request", error))?;
        if !rest.is_empty() {
            return Err(Error::malformed("certificate request", "octets follow it"));
        }
        let info = &request.certification_request_info;
        let spki_der = info.subject_pki.raw;
        certificate::algorithm(&request.signature_algorithm).verify(
            spki_der,
            info.raw,
            &request.signature_value.data,
        )?;
        let subject = DistinguishedName::from_parsed(&info.subject);
        Ok(CertificateRequest {
            content: Arc::new(Content {
                der: der.to_vec(),
                subject_text: subject.to_string(),
                subject,
                subject_alternative_names: requested_names(&request),
                spki_der: spki_der.to_vec(),
                key: KeyInfo::of_spki(spki_der),
            }),
        })
    }

    /// Makes a request and signs it. Without names it has no attributes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for names that cannot be encoded; [`Error::Crypto`].
    pub fn create(
        subject: &DistinguishedName,
        names: &[SubjectAlternativeName],
        key: &PrivateKey,
    ) -> Result<Self> {
        let malformed = |error: der::Error| Error::malformed("certificate request", error);
        let spki_der = key.spki_der();
        let info = CertReqInfo {
            version: Version::V1,
            subject: subject.to_name()?,
            public_key: SubjectPublicKeyInfoOwned::from_der(&spki_der).map_err(malformed)?,
            attributes: attributes(subject, names)?,
        };
        let signature = key.sign(&info.to_der().map_err(malformed)?)?;
        let request = CertReq {
            info,
            algorithm: key.signature_algorithm(),
            signature: BitString::from_bytes(&signature).map_err(malformed)?,
        };
        Self::from_der(&request.to_der().map_err(malformed)?)
    }

    /// The requested subject; may be empty.
    pub fn subject(&self) -> &DistinguishedName {
        &self.content.subject
    }

    /// The requested subject as text, most specific attribute first.
    pub fn subject_text(&self) -> &str {
        &self.content.subject_text
    }

    /// The requested subject alternative names.
    pub fn subject_alternative_names(&self) -> &[SubjectAlternativeName] {
        &self.content.subject_alternative_names
    }

    /// The DER of the `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> &[u8] {
        &self.content.spki_der
    }

    /// What the public key is.
    pub fn key(&self) -> &KeyInfo {
        &self.content.key
    }

    /// The DER of the request.
    pub fn der(&self) -> &[u8] {
        &self.content.der
    }

    /// The request as PEM (`CERTIFICATE REQUEST`), lines ended by LF.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", &self.content.der)
    }
}

fn attributes(
    subject: &DistinguishedName,
    names: &[SubjectAlternativeName],
) -> Result<SetOfVec<Attribute>> {
    let malformed = |error: der::Error| Error::malformed("certificate request", error);
    let mut attributes = SetOfVec::new();
    if names.is_empty() {
        return Ok(attributes);
    }
    let extension = Extension {
        extn_id: ObjectIdentifier::new(SUBJECT_ALTERNATIVE_NAME)
            .expect("a constant identifier is valid"),
        critical: subject.is_empty(),
        extn_value: OctetString::new(encode_general_names(names)?).map_err(malformed)?,
    };
    let mut values = SetOfVec::new();
    values
        .insert(Any::encode_from(&vec![extension]).map_err(malformed)?)
        .map_err(malformed)?;
    attributes
        .insert(Attribute {
            oid: ObjectIdentifier::new(EXTENSION_REQUEST).expect("a constant identifier is valid"),
            values,
        })
        .map_err(malformed)?;
    Ok(attributes)
}

/// The subject alternative names of the extension request, whichever of the two identifiers it stands under.
fn requested_names(request: &X509CertificationRequest<'_>) -> Vec<SubjectAlternativeName> {
    let mut found = Vec::new();
    for attribute in request.certification_request_info.iter_attributes() {
        let identifier = attribute.oid.to_id_string();
        if identifier != EXTENSION_REQUEST && identifier != MICROSOFT_EXTENSION_REQUEST {
            continue;
        }
        let Ok(set) = der::asn1::AnyRef::from_der(attribute.value) else {
            continue;
        };
        let Ok((_, requested)) = ExtensionRequest::from_der(set.value()) else {
            continue;
        };
        for extension in &requested.extensions {
            if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
                found.extend(
                    names
                        .general_names
                        .iter()
                        .map(SubjectAlternativeName::from_parsed),
                );
            }
        }
    }
    found
}
