//! Certificates in a PKCS#7 envelope: the degenerate SignedData without content and signers
//! (RFC 5652, section 5.1), known as `.p7b`.
//!
//! The certificates form a SET, whose elements DER would sort. Clients take the first one for the
//! leaf and the second for its issuer, so they are written in the order given, as other products
//! do, and read in the order they stand in.

use der::asn1::AnyRef;
use der::{Encode as _, Tag, TagNumber};

use crate::{Certificate, Error, Result};

/// Longest envelope that is read, in bytes.
pub const MAX_PKCS7_BYTES: usize = 16 * 1024 * 1024;

/// Most certificates that are read from one envelope.
pub const MAX_CERTIFICATES: usize = 10_000;

/// Deepest nesting of elements without a length of their own (BER).
const MAX_DEPTH: usize = 16;

const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;

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
    let (content_info, _) = expect(der, SEQUENCE, "a ContentInfo")?;
    let (content_type, rest) = expect(content_info.content, OBJECT_IDENTIFIER, "a content type")?;
    if content_type.content != SIGNED_DATA {
        return Err(malformed("the content is not SignedData"));
    }
    let (content, _) = expect(rest, CONTEXT_0, "the content")?;
    let (signed_data, _) = expect(content.content, SEQUENCE, "the SignedData")?;
    // Version, digest algorithms, encapsulated content; the certificates come next if at all.
    let mut rest = signed_data.content;
    for _ in 0..3 {
        rest = read(rest, 0)?.1;
    }
    let mut found = Vec::new();
    if rest.first() != Some(&CONTEXT_0) {
        return Ok(found);
    }
    let mut rest = read(rest, 0)?.0.content;
    while !rest.is_empty() {
        let (element, after) = read(rest, 0)?;
        // Other choices are attribute certificates and the like.
        if element.tag == SEQUENCE {
            if found.len() == MAX_CERTIFICATES {
                return Err(malformed("it holds too many certificates"));
            }
            found.push(element.whole.to_vec());
        }
        rest = after;
    }
    Ok(found)
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

/// One element whose content is the parts one after another.
pub(crate) fn element(tag: Tag, parts: &[&[u8]]) -> der::Result<Vec<u8>> {
    AnyRef::new(tag, &parts.concat())?.to_der()
}

/// An element of BER. `whole` has the header and, for an indefinite length, the end mark.
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

fn expect<'a>(input: &'a [u8], tag: u8, what: &str) -> Result<(Element<'a>, &'a [u8])> {
    if input.first() != Some(&tag) {
        return Err(malformed(&format!("expected {what}")));
    }
    read(input, 0)
}

/// The first element and what follows it.
pub(crate) fn read(input: &[u8], depth: usize) -> Result<(Element<'_>, &[u8])> {
    let cut_short = || malformed("it is cut short");
    let (&tag, after_tag) = input.split_first().ok_or_else(cut_short)?;
    if tag & 0x1f == 0x1f {
        return Err(malformed("it has a tag of several bytes"));
    }
    let (&first, after_first) = after_tag.split_first().ok_or_else(cut_short)?;
    if first == 0x80 {
        return read_indefinite(input, depth);
    }
    let (length, after_length) = if first < 0x80 {
        (usize::from(first), after_first)
    } else {
        let octets = usize::from(first & 0x7f);
        if octets > 4 {
            return Err(malformed("an element is too long"));
        }
        let (octets, rest) = after_first.split_at_checked(octets).ok_or_else(cut_short)?;
        (
            octets
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet)),
            rest,
        )
    };
    let (content, rest) = after_length
        .split_at_checked(length)
        .ok_or_else(cut_short)?;
    let whole = &input[..input.len() - rest.len()];
    Ok((
        Element {
            tag,
            content,
            whole,
        },
        rest,
    ))
}

/// An element that ends with two zero bytes after its last inner element.
fn read_indefinite(input: &[u8], depth: usize) -> Result<(Element<'_>, &[u8])> {
    let tag = input[0];
    if tag & 0x20 == 0 || depth == MAX_DEPTH {
        return Err(malformed(
            "an element has no length, or too many stand inside each other",
        ));
    }
    let body = &input[2..];
    let mut rest = body;
    loop {
        if let [0, 0, after @ ..] = rest {
            let content = &body[..body.len() - rest.len()];
            let whole = &input[..input.len() - after.len()];
            return Ok((
                Element {
                    tag,
                    content,
                    whole,
                },
                after,
            ));
        }
        rest = read(rest, depth + 1)?.1;
    }
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
