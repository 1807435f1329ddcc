//! Just enough of RFC 7468 to find the base64 blocks in a text, as forgiving as the world is: any line length, CRLF, text around.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A block between `-----BEGIN label-----` and `-----END label-----`.
pub(crate) struct Block<'a> {
    /// The label, without the dashes.
    pub(crate) label: &'a str,
    /// The text between the two lines.
    pub(crate) body: &'a str,
}

/// The blocks of a text, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find("-----BEGIN ") {
        rest = &rest[begin + "-----BEGIN ".len()..];
        let Some(label_end) = rest.find("-----") else {
            break;
        };
        let label = &rest[..label_end];
        rest = &rest[label_end + "-----".len()..];
        let Some(end) = rest.find("-----END ") else {
            break;
        };
        found.push(Block {
            label: label.trim(),
            body: &rest[..end],
        });
        rest = &rest[end + "-----END ".len()..];
    }
    found
}

/// The bytes of a base64 text, white space left out; none if it is not base64.
pub(crate) fn decode(body: &str) -> Option<Zeroizing<Vec<u8>>> {
    let compact: Zeroizing<Vec<u8>> = Zeroizing::new(
        body.bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    if compact.is_empty() {
        return None;
    }
    FORGIVING
        .decode(compact.as_slice())
        .ok()
        .map(Zeroizing::new)
}
