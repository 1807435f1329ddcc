//! Certificates in a PKCS#7 envelope: the degenerate SignedData without content and signers
//! (RFC 5652, section 5.1), known as `.p7b`.
//!
//! The certificates form a SET, whose elements DER would sort. Clients take the first one for the
//! leaf and the second for its issuer, so they are written in the order given, as other products
//! do, and read in the order they stand in.

use der::{Tag, TagNumber};

use crate::ber::{
    self, CONTEXT_0, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, element, expect, read,
};
use crate::{Certificate, Error, Result};

/// Longest envelope that is read, in bytes.
pub const MAX_PKCS7_BYTES: usize = 16 * 1024 * 1024;

/// Most certificates that are read from one envelope.
pub const MAX_CERTIFICATES: usize = 10_000;

const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// The certificates in the order given, at least one, as the DER of a ContentInfo.
pub fn certificates_to_pkcs7_der(certificates: &[Certificate]) -> Result<Vec<u8>> {
    if certificates.is_empty() {
        return Err(malformed("there is no certificate"));
    }
    let ders: Vec<&[u8]> = certificates.iter().map(Certificate::der).collect();
    assemble(&ders).map_err(|error| malformed(&error.to_string()))
}

/// The DER of every certificate of a SignedData, in the order they stand in. Lengths may be
/// indefinite, as some products write them; signatures are not looked at.
pub fn certificates_from_pkcs7(der: &[u8]) -> Result<Vec<Vec<u8>>> {
    if der.len() > MAX_PKCS7_BYTES {
        return Err(malformed("it is too long"));
    }
    let mut parts = signed_data(der)?;
    let mut found = Vec::new();
    // Version, digest algorithms, encapsulated content; the certificates come next if at all.
    for _ in 0..3 {
        parts.next().ok_or_else(|| malformed("it is cut short"))??;
    }
    let Some(certificates) = parts.optional(CONTEXT_0)? else {
        return Ok(found);
    };
    for element in ber::elements(certificates.content) {
        let element = element?;
        // Other choices are attribute certificates and the like.
        if element.tag == SEQUENCE {
            if found.len() == MAX_CERTIFICATES {
                return Err(malformed("it holds too many certificates"));
            }
            found.push(element.whole.to_vec());
        }
    }
    Ok(found)
}

/// The envelope inside an envelope, as it stands: the content itself (RFC 5652 §5.2), or PKCS#7 before it put its content into an
/// OCTET STRING.
pub(crate) fn encapsulated_envelope(der: &[u8]) -> Option<&[u8]> {
    let content_info = signed_data(der).ok()?.nth(2)?.ok()?;
    let mut parts = ber::elements(content_info.content);
    parts.required(OBJECT_IDENTIFIER, "a content type").ok()?;
    let (content, _) = read(parts.optional(CONTEXT_0).ok()??.content, 0).ok()?;
    let inner = match content.tag {
        OCTET_STRING => content.content,
        _ => content.whole,
    };
    signed_data(inner).is_ok().then_some(inner)
}

/// The parts of the SignedData of a ContentInfo.
fn signed_data(der: &[u8]) -> Result<ber::Elements<'_>> {
    let (content_info, _) = expect(der, SEQUENCE, "a ContentInfo")?;
    let (content_type, rest) = expect(content_info.content, OBJECT_IDENTIFIER, "a content type")?;
    if content_type.content != SIGNED_DATA {
        return Err(malformed("the content is not SignedData"));
    }
    let (content, _) = expect(rest, CONTEXT_0, "the content")?;
    let (signed_data, _) = expect(content.content, SEQUENCE, "the SignedData")?;
    Ok(ber::elements(signed_data.content))
}

fn assemble(certificates: &[&[u8]]) -> der::Result<Vec<u8>> {
    let context_0 = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    let version = element(Tag::Integer, &[&[1]])?;
    let no_elements = element(Tag::Set, &[])?;
    let data = element(Tag::ObjectIdentifier, &[&DATA])?;
    let signed_data = element(
        Tag::Sequence,
        &[
            &version,
            &no_elements,
            &element(Tag::Sequence, &[&data])?,
            &element(context_0, certificates)?,
            &no_elements,
        ],
    )?;
    let content_type = element(Tag::ObjectIdentifier, &[&SIGNED_DATA])?;
    element(
        Tag::Sequence,
        &[&content_type, &element(context_0, &[&signed_data])?],
    )
}

fn malformed(reason: &str) -> Error {
    Error::malformed("PKCS#7", reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pkcs12::tests::{openssl, test_chain};

    #[test]
    fn openssl_reads_the_certificates_in_order() {
        let (_, certificates) = test_chain();
        for order in [[0, 1], [1, 0]] {
            let ordered = order.map(|position| certificates[position].clone());
            let der = certificates_to_pkcs7_der(&ordered).unwrap();
            let text = openssl(&["pkcs7", "-inform", "DER", "-print_certs"], &der).unwrap();
            let expected = ordered
                .each_ref()
                .map(|certificate| certificate.der().to_vec());
            assert_eq!(crate::pem::certificates(&text), expected);
            assert_eq!(certificates_from_pkcs7(&der).unwrap(), expected);
        }
        assert!(certificates_to_pkcs7_der(&[]).is_err());
    }

    #[test]
    fn reads_what_openssl_writes() {
        let (_, certificates) = test_chain();
        let text: String = certificates
            .iter()
            .map(|certificate| crate::pem::encode("CERTIFICATE", certificate.der()))
            .collect();
        let der = openssl(
            &[
                "crl2pkcs7",
                "-nocrl",
                "-certfile",
                "/dev/stdin",
                "-outform",
                "DER",
            ],
            text.as_bytes(),
        )
        .unwrap();
        let mut found = certificates_from_pkcs7(&der).unwrap();
        let mut expected: Vec<_> = certificates
            .iter()
            .map(|certificate| certificate.der().to_vec())
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn reads_indefinite_lengths() {
        let mut ber = vec![0x30, 0x80, 0x06, 0x09];
        ber.extend_from_slice(&SIGNED_DATA);
        ber.extend_from_slice(&[
            0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01, 0x31, 0x00, 0x30, 0x80,
        ]);
        ber.extend_from_slice(&[0x06, 0x01, 0x2a, 0x00, 0x00]);
        ber.extend_from_slice(&[
            0xa0, 0x80, 0x30, 0x01, 0x05, 0xa1, 0x00, 0x30, 0x00, 0x00, 0x00,
        ]);
        ber.extend_from_slice(&[0x31, 0x00, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            certificates_from_pkcs7(&ber).unwrap(),
            [vec![0x30, 1, 5], vec![0x30, 0]]
        );
    }

    #[test]
    fn refuses_the_rest() {
        assert!(certificates_from_pkcs7(&[]).is_err());
        assert!(certificates_from_pkcs7(b"-----BEGIN PKCS7-----").is_err());
        assert!(certificates_from_pkcs7(&[0x30, 0x80].repeat(100_000)).is_err());
        assert!(certificates_from_pkcs7(&vec![0; MAX_PKCS7_BYTES + 1]).is_err());
        let der = certificates_to_pkcs7_der(&test_chain().1).unwrap();
        for length in 0..der.len() {
            assert!(certificates_from_pkcs7(&der[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = certificates_from_pkcs7(&bytes);
            let _ = certificates_from_pkcs7(&[&[0x30, 0x80, 6, 9][..], &SIGNED_DATA, &bytes].concat());
        }
    }
}
