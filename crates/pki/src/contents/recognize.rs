//! What octets are, told by how they start.

use crate::ber::{self, BIT_STRING, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};

/// What a SEQUENCE is, told by its first elements.
pub(super) enum Kind {
    Certificate,
    Request,
    RevocationList,
    Pkcs7,
    Pkcs12,
    Key(&'static str),
    EncryptedKey,
    PublicKey,
}

/// Tells the kinds of DER apart; none for what is not known here.
pub(super) fn kind_of(der: &[u8]) -> Option<Kind> {
    let (outer, _) = ber::read(der, 0).ok()?;
    let mut parts = ber::elements(outer.content);
    let first = parts.next()?.ok()?;
    let second = parts
        .next()
        .and_then(Result::ok)
        .map_or(0, |second| second.tag);
    match (first.tag, second) {
        (OBJECT_IDENTIFIER, _) => Some(Kind::Pkcs7),
        (INTEGER, SEQUENCE) if first.content == [3] => Some(Kind::Pkcs12),
        (INTEGER, SEQUENCE) => Some(Kind::Key("PRIVATE KEY")),
        (INTEGER, INTEGER) => Some(Kind::Key("RSA PRIVATE KEY")),
        (INTEGER, OCTET_STRING) => Some(Kind::Key("EC PRIVATE KEY")),
        (SEQUENCE, OCTET_STRING) => Some(Kind::EncryptedKey),
        (SEQUENCE, BIT_STRING) => Some(Kind::PublicKey),
        (SEQUENCE, _) => {
            let tags: Vec<u8> = ber::elements(first.content)
                .take(7)
                .filter_map(Result::ok)
                .map(|part| part.tag)
                .collect();
            let times = [ber::UTC_TIME, ber::GENERALIZED_TIME];
            Some(match tags.as_slice() {
                [INTEGER, SEQUENCE, SEQUENCE, ber::CONTEXT_0, ..]
                | [INTEGER, SEQUENCE, SEQUENCE] => Kind::Request,
                [INTEGER, SEQUENCE, SEQUENCE, time, ..] | [SEQUENCE, SEQUENCE, time, ..]
                    if times.contains(time) =>
                {
                    Kind::RevocationList
                }
                _ => Kind::Certificate,
            })
        }
        _ => None,
    }
}

/// Text of UTF-8, or of UTF-16 with a mark, as Windows writes it; without the mark.
pub(super) fn text_of(octets: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let wide = |from: fn([u8; 2]) -> u16, octets: &[u8]| {
        let units = octets.chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .ok()
            .map(Into::into)
    };
    match octets {
        [0xff, 0xfe, rest @ ..] => wide(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => wide(u16::from_be_bytes, rest),
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).ok().map(Into::into),
        // Comments around the blocks may be in any encoding.
        _ if octets.windows(11).any(|window| window == b"-----BEGIN ") => {
            Some(String::from_utf8_lossy(octets))
        }
        _ => std::str::from_utf8(octets).ok().map(Into::into),
    }
}

/// Whether a beginning without its own end lost a block: base64 stands behind it.
pub(super) fn lost_block(text: &str) -> bool {
    text.lines()
        .skip(1)
        .any(|line| line.len() >= 16 && line.trim().bytes().all(is_base64))
}

pub(super) fn is_base64(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || octet.is_ascii_whitespace()
        || matches!(octet, b'+' | b'/' | b'=')
}
