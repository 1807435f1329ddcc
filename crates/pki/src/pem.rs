//! Textual encodings (RFC 7468), read with tolerance and without losing anything around the blocks.
//!
//! Every byte of a text is either inside the range of a block or between two blocks, so a file is
//! rewritten faithfully by copying what is not to change. Tolerated: any line length or none, CRLF,
//! blanks around lines, comments between blocks, the headers of old encrypted keys (RFC 1421), a
//! block wrapped into the `BEGIN`/`END` lines of another (the inner one counts).

use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::armor;

/// Most blocks that are read; what follows counts as text.
pub const MAX_BLOCKS: usize = 10_000;

/// Longest block, in bytes of text; a longer one counts as text.
pub const MAX_BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// Labels of blocks that hold a certificate; the last one has OpenSSL's trust settings behind it.
const CERTIFICATE_LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// One block of a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind `BEGIN`, e.g. `CERTIFICATE`.
    pub label: String,
    /// The decoded bytes; encrypted ones if [`Block::is_encrypted`].
    pub der: Vec<u8>,
    /// Headers such as `Proc-Type`, in order; most blocks have none.
    pub headers: Vec<(String, String)>,
    /// From the first dash of the `BEGIN` line to the end of the `END` line, its line end included,
    /// in bytes of the source.
    pub range: Range<usize>,
    /// The text between the block before (or the start) and this one, e.g. comments or OpenSSL's
    /// `Bag Attributes`. Bytes that are not UTF-8 are replaced here; the source has the originals.
    pub preamble: String,
}

impl Block {
    /// Whether the block holds a certificate.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        CERTIFICATE_LABELS.contains(&self.label.as_str())
    }

    /// Whether the block holds a private key of any form, encrypted or not.
    #[must_use]
    pub fn is_private_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    /// Whether the bytes are encrypted, in the PKCS#8 way or the old one with headers.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY"
            || self
                .headers
                .iter()
                .any(|(name, value)| name == "Proc-Type" && value.contains("ENCRYPTED"))
    }
}

/// Shows no content, which may be a private key.
impl fmt::Debug for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Block")
            .field("label", &self.label)
            .field("bytes", &self.der.len())
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// The blocks of a text, in order. What cannot be decoded counts as text between blocks, so nothing
/// is an error. What comes after the last block is `&text[blocks.last().range.end..]`.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut preamble_start = 0;
    let mut position = 0;
    while let Some(found) = find(&text[position..], BEGIN) {
        let start = position + found;
        position = start + BEGIN.len();
        // Up to the next `BEGIN`: of two nested blocks the inner one counts.
        let next = find(&text[position..], BEGIN).map_or(text.len(), |offset| position + offset);
        let Some((label, headers, der, length)) = decode(&text[start..next]) else {
            continue;
        };
        position = start + length;
        blocks.push(Block {
            label,
            der,
            headers,
            range: start..position,
            preamble: String::from_utf8_lossy(&text[preamble_start..start]).into_owned(),
        });
        preamble_start = position;
        if blocks.len() == MAX_BLOCKS {
            break;
        }
    }
    blocks
}

/// The DER of every certificate of a text, in order. Trust settings behind a `TRUSTED CERTIFICATE`
/// are left out.
#[must_use]
pub fn certificates(text: &[u8]) -> Vec<Vec<u8>> {
    parse(text)
        .into_iter()
        .filter(Block::is_certificate)
        .map(|mut block| {
            if block.label == "TRUSTED CERTIFICATE"
                && let Some(length) = element_length(&block.der)
            {
                block.der.truncate(length);
            }
            block.der
        })
        .collect()
}

/// A block with lines of 64 columns, each ended by LF.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> String {
    // 48 bytes are 64 characters; sized in advance, so that growing leaves no copy of a key behind.
    let lines = der.len().div_ceil(48);
    let mut text = String::with_capacity(lines * 65 + 2 * (label.len() + 17));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in der.chunks(48) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The certificates one after another in the order given; with headers, the subject and issuer stand
/// before each, as OpenSSL writes them.
#[must_use]
pub fn bundle(certificates: &[crate::Certificate], headers: bool) -> String {
    let mut text = String::new();
    for certificate in certificates {
        if headers {
            // A name cannot start a block of its own: line ends in it are escaped.
            text.push_str(&format!(
                "subject={}\nissuer={}\n",
                certificate.subject(),
                certificate.issuer()
            ));
        }
        text.push_str(&encode("CERTIFICATE", certificate.der()));
    }
    text
}

/// Label, headers, bytes and length of the block at the start of `text`.
#[expect(
    clippy::type_complexity,
    reason = "the parts of a block, taken apart right where they are answered"
)]
fn decode(text: &[u8]) -> Option<(String, Vec<(String, String)>, Vec<u8>, usize)> {
    let after_begin = &text[BEGIN.len()..];
    let label_length = find(after_begin, DASHES)?;
    let label = std::str::from_utf8(&after_begin[..label_length]).ok()?;
    if label.contains(['\r', '\n']) {
        return None;
    }
    let body_start = BEGIN.len() + label_length + DASHES.len();
    let body_length = find(&text[body_start..], END)?;
    if body_length > MAX_BLOCK_BYTES {
        return None;
    }
    let body_end = body_start + body_length;
    let end_label = &text[body_end + END.len()..];
    let end_label_length = find(end_label, DASHES)?;
    if end_label[..end_label_length].trim_ascii() != label.trim().as_bytes() {
        return None;
    }
    let body = std::str::from_utf8(&text[body_start..body_end]).ok()?;
    let (headers, encoded) = split_headers(body);
    let mut der = armor::decode(encoded)?;
    let end = body_end + END.len() + end_label_length + DASHES.len();
    let length = end + line_end_length(&text[end..]);
    Some((
        label.trim().to_owned(),
        headers,
        std::mem::take(&mut *der),
        length,
    ))
}

/// The `Name: value` lines at the start of a block, and what follows.
fn split_headers(body: &str) -> (Vec<(String, String)>, &str) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = body;
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        } else if let Some((_, value)) = headers.last_mut()
            && line.starts_with([' ', '\t'])
            && !line.trim().is_empty()
        {
            value.push_str(line.trim());
        } else if !line.trim().is_empty() || after.is_empty() {
            return (headers, rest);
        }
        rest = after;
    }
}

/// Blanks and one line end, if nothing else stands on the rest of the line.
fn line_end_length(text: &[u8]) -> usize {
    let blanks = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    match &text[blanks..] {
        [b'\r', b'\n', ..] => blanks + 2,
        [b'\r' | b'\n', ..] => blanks + 1,
        [] => blanks,
        _ => 0,
    }
}

/// The length of the first DER element, header included.
fn element_length(der: &[u8]) -> Option<usize> {
    let first = usize::from(*der.get(1)?);
    if first < 0x80 {
        return Some(2 + first);
    }
    let octets = der
        .get(2..2 + (first & 0x7f))
        .filter(|octets| octets.len() <= 4)?;
    let length = octets
        .iter()
        .fold(0, |length, octet| length << 8 | usize::from(*octet));
    Some(2 + octets.len() + length)
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    text.windows(pattern.len())
        .position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(text: &str) -> Vec<(String, Vec<u8>)> {
        parse(text.as_bytes())
            .into_iter()
            .map(|block| (block.label, block.der))
            .collect()
    }

    #[test]
    fn encodes_lines_of_64_columns() {
        assert_eq!(
            encode("X", &[0; 50]),
            format!(
                "-----BEGIN X-----\n{}\nAAA=\n-----END X-----\n",
                "A".repeat(64)
            )
        );
        assert_eq!(encode("X", &[]), "-----BEGIN X-----\n-----END X-----\n");
    }

    #[test]
    fn reads_what_the_world_writes() {
        let expected = [("X Y".to_owned(), vec![0, 1, 2])];
        for text in [
            "-----BEGIN X Y-----\nAAEC\n-----END X Y-----\n",
            "-----BEGIN X Y-----\r\nAAEC\r\n-----END X Y-----",
            "-----BEGIN X Y-----AAEC-----END X Y-----",
            "-----BEGIN X Y----- AA EC -----END X Y-----",
            "  -----BEGIN X Y-----\n  AA\n\n  EC\n  -----END X Y-----",
            "# comment\n-----BEGIN X Y-----\nAAEC\n-----END X Y-----\ntrailing",
            // csr-signer wraps a text that has its lines already.
            "-----BEGIN X Y-----\n#subject\n-----BEGIN X Y-----\nAAEC\n-----END X Y-----\n-----END X Y-----\n",
            "-----BEGIN lost\n-----BEGIN X Y-----\nAAEC\n-----END X Y-----\n",
            "-----BEGIN A-----\n****\n-----END A-----\n-----BEGIN X Y-----\nAAEC\n-----END X Y-----\n",
            "-----BEGIN A-----\nAAEC\n-----END B-----\n-----BEGIN X Y-----\nAAEC\n-----END X Y-----\n",
        ] {
            assert_eq!(labels(text), expected, "{text}");
        }
    }

    #[test]
    fn keeps_headers_apart() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,\n 00FF\n\nAAEC\n-----END RSA PRIVATE KEY-----\n";
        let block = &parse(text.as_bytes())[0];
        assert_eq!(block.der, [0, 1, 2]);
        assert_eq!(
            block.headers[1],
            ("DEK-Info".to_owned(), "AES-256-CBC,00FF".to_owned())
        );
        assert!(block.is_encrypted() && block.is_private_key() && !block.is_certificate());
    }

    #[test]
    fn ranges_and_preambles_cover_the_text() {
        let text = "before\n-----BEGIN A-----\nAA==\n-----END A-----  \r\nbetween\n-----BEGIN B-----\nAAAA\n-----END B----- x\nafter";
        let blocks = parse(text.as_bytes());
        assert_eq!(blocks[0].preamble, "before\n");
        assert_eq!(blocks[1].preamble, "between\n");
        assert_eq!(&text[blocks[1].range.end..], " x\nafter");
        assert_eq!(
            &text[blocks[0].range.clone()],
            "-----BEGIN A-----\nAA==\n-----END A-----  \r\n"
        );
    }

    #[test]
    fn cuts_trust_settings_off() {
        let mut trusted = vec![0x30, 0x82, 0x01, 0x00];
        trusted.resize(4 + 256, 7);
        let certificate = trusted.clone();
        trusted.extend_from_slice(&[0x30, 0]);
        let text = encode("TRUSTED CERTIFICATE", &trusted)
            + &encode("OTHER", &[1])
            + &encode("X509 CERTIFICATE", &[2]);
        assert_eq!(certificates(text.as_bytes()), [certificate, vec![2]]);
    }

    #[test]
    fn debug_shows_no_content() {
        let block = parse(encode("PRIVATE KEY", &[0xab; 40]).as_bytes()).remove(0);
        assert_eq!(
            format!("{block:?}"),
            "Block { label: \"PRIVATE KEY\", bytes: 40, range: 0..111, .. }"
        );
    }

    #[test]
    fn reads_many_blocks_and_not_more() {
        let text = encode("A", &[1]).repeat(MAX_BLOCKS + 1);
        assert_eq!(parse(text.as_bytes()).len(), MAX_BLOCKS);
        assert!(parse(&b"-----BEGIN A-----\n".repeat(50_000)).is_empty());
    }

    proptest! {
        #[test]
        fn every_byte_is_in_a_block_or_between(
            pieces in prop::collection::vec(prop_oneof![
                "[ -~\r\n]{0,20}",
                (r"[A-Z][A-Z0-9 ]{0,8}[A-Z]", prop::collection::vec(any::<u8>(), 1..100))
                    .prop_map(|(label, der)| encode(&label, &der)),
                Just("-----BEGIN A-----".to_owned()),
                Just("-----END A-----".to_owned()),
            ], 0..8)
        ) {
            let text = pieces.concat().into_bytes();
            let blocks = parse(&text);
            let mut rebuilt = Vec::new();
            let mut end = 0;
            for block in &blocks {
                prop_assert!(block.range.start >= end);
                rebuilt.extend_from_slice(block.preamble.as_bytes());
                rebuilt.extend_from_slice(&text[block.range.clone()]);
                end = block.range.end;
            }
            rebuilt.extend_from_slice(&text[end..]);
            prop_assert_eq!(rebuilt, text);
        }

        #[test]
        fn encoding_and_parsing_gives_the_same(der in prop::collection::vec(any::<u8>(), 1..300)) {
            let text = encode("CERTIFICATE", &der);
            prop_assert_eq!(certificates(text.as_bytes()), vec![der]);
        }

        #[test]
        fn never_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&text);
            let _ = element_length(&text);
        }
    }
}
