//! Where one certificate ends and the next begins, in a stream that comes in parts. Nothing is decoded here but PEM.

use pki::MAXIMUM_CERTIFICATE_BYTES;
use pki::pem::{self, MAX_BLOCK_BYTES};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Octets of what stands behind `BEGIN` or `END`.
const LABEL_MAX: usize = 200;

/// What the stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// PEM blocks; what stands between them is passed over.
    Pem,
    /// DER certificates one after another, with nothing between them.
    Der,
}

/// A part of the stream that should be one certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it begins, in octets of the whole stream.
    pub(super) offset: u64,
    /// Where it ends.
    pub(super) end: u64,
    /// The DER, or why there is none.
    pub(super) content: Result<Vec<u8>, String>,
}

/// Takes a stream apart as it comes. Keeps one certificate at most.
#[derive(Debug)]
pub(super) struct Splitter {
    format: Format,
    buffer: Vec<u8>,
    /// Octets at the beginning of the buffer that are done with.
    used: usize,
    /// Octets behind `used` in which nothing was found.
    scanned: usize,
    /// Where in the stream `used` stands.
    offset: u64,
    /// Octets that are passed over, since the element they are of is too long.
    skip: u64,
}

impl Splitter {
    /// Begins at an octet of the stream.
    pub(super) fn new(format: Format, offset: u64) -> Self {
        Self {
            format,
            buffer: Vec::new(),
            used: 0,
            scanned: 0,
            offset,
            skip: 0,
        }
    }

    /// Where in the stream everything before is done with.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where it goes on when it breaks off: what is being passed over is done with.
    pub(super) fn resume_at(&self) -> u64 {
        self.offset + self.skip
    }

    /// The next octets.
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(octets);
    }

    /// The next piece that is there as a whole.
    ///
    /// # Errors
    /// What is wrong when it cannot be told any more where the next certificate begins.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, String> {
        match self.format {
            Format::Pem => Ok(self.next_block()),
            Format::Der => self.next_element(),
        }
    }

    /// After the last octet: what is left, if it is something.
    pub(super) fn finish(&mut self) -> Option<Piece> {
        let rest = &self.buffer[self.used..];
        let cut_short = match self.format {
            Format::Pem => rest.starts_with(BEGIN),
            // What was being passed over has been told of.
            Format::Der => !rest.is_empty(),
        };
        let (offset, left) = (self.offset, rest.len());
        self.advance(left);
        cut_short.then(|| self.piece(offset, Err("it is cut short".into())))
    }

    fn advance(&mut self, octets: usize) {
        self.used += octets;
        self.offset += octets as u64;
        self.scanned = 0;
    }

    fn piece(&self, offset: u64, content: Result<Vec<u8>, String>) -> Piece {
        Piece {
            offset,
            end: self.offset,
            content,
        }
    }

    fn next_block(&mut self) -> Option<Piece> {
        let rest = &self.buffer[self.used..];
        let Some(begin) = find(rest, BEGIN) else {
            // The last octets may be the first of a beginning.
            let done = rest.len().saturating_sub(BEGIN.len() - 1);
            self.advance(done);
            return None;
        };
        if begin > 0 {
            self.advance(begin);
        }
        let offset = self.offset;
        let block = &self.buffer[self.used..];
        let from = self.scanned.max(BEGIN.len());
        let is_line = |at: &usize| block[*at..].starts_with(END) || block[*at..].starts_with(BEGIN);
        let found = (from..block.len()).find(|at| block[*at] == b'-' && is_line(at));
        let Some(at) = found else {
            let length = block.len();
            if length > MAX_BLOCK_BYTES {
                self.advance(BEGIN.len());
                let reason = format!("the block has more than {MAX_BLOCK_BYTES} octets");
                return Some(self.piece(offset, Err(reason)));
            }
            self.scanned = length.saturating_sub(BEGIN.len() - 1);
            return None;
        };
        if block[at..].starts_with(BEGIN) {
            self.advance(at);
            let reason = "another block begins before this one ends".into();
            return Some(self.piece(offset, Err(reason)));
        }
        let label = &block[at + END.len()..];
        let Some(length) = find(&label[..label.len().min(LABEL_MAX)], DASHES) else {
            let is_short = label.len() < LABEL_MAX;
            self.scanned = at;
            if is_short {
                return None;
            }
            self.advance(at + END.len());
            return Some(self.piece(offset, Err("the line of its end has no end".into())));
        };
        let end = at + END.len() + length + DASHES.len();
        let content = certificate(&block[..end]);
        self.advance(end);
        Some(self.piece(offset, content))
    }

    fn next_element(&mut self) -> Result<Option<Piece>, String> {
        let available = (self.buffer.len() - self.used) as u64;
        let skipped = self.skip.min(available);
        self.skip -= skipped;
        self.advance(usize::try_from(skipped).unwrap_or_default());
        let rest = &self.buffer[self.used..];
        let (&tag, &first) = match rest {
            [tag, first, ..] => (tag, first),
            [tag] if *tag != 0x30 => return Err(self.no_beginning()),
            _ => return Ok(None),
        };
        let octets = usize::from(first & 0x7f);
        if tag != 0x30 || first == 0x80 || first > 0x84 {
            return Err(self.no_beginning());
        }
        let (header, content) = match first {
            0..0x80 => (2, octets),
            _ => match rest.get(2..2 + octets) {
                None => return Ok(None),
                Some(length) => (
                    2 + octets,
                    length
                        .iter()
                        .fold(0, |length, octet| length << 8 | usize::from(*octet)),
                ),
            },
        };
        let (offset, length) = (self.offset, header + content);
        if length > MAXIMUM_CERTIFICATE_BYTES {
            self.skip = length as u64;
            let reason = format!("it has more than {MAXIMUM_CERTIFICATE_BYTES} octets");
            let end = offset + length as u64;
            return Ok(Some(Piece {
                offset,
                end,
                content: Err(reason),
            }));
        }
        let Some(element) = rest.get(..length) else {
            return Ok(None);
        };
        let content = element.to_vec();
        self.advance(length);
        Ok(Some(self.piece(offset, Ok(content))))
    }

    fn no_beginning(&self) -> String {
        format!("octet {}: no DER certificate begins here", self.offset)
    }
}

/// The DER of a block.
fn certificate(block: &[u8]) -> Result<Vec<u8>, String> {
    if let Some(der) = pem::certificates(block).pop() {
        return Ok(der);
    }
    match pem::parse(block).pop() {
        Some(other) => Err(format!("{} is no certificate", other.label)),
        None => Err("the block cannot be decoded".into()),
    }
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|octet| *octet == pattern[0]) {
        if text[from + at..].starts_with(pattern) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out when the stream comes in parts of `size` octets.
    fn split(format: Format, stream: &[u8], size: usize) -> (Vec<Piece>, Result<u64, String>) {
        let mut splitter = Splitter::new(format, 0);
        let mut pieces = Vec::new();
        for part in stream.chunks(size) {
            splitter.push(part);
            loop {
                match splitter.next() {
                    Ok(Some(piece)) => pieces.push(piece),
                    Ok(None) => break,
                    Err(reason) => return (pieces, Err(reason)),
                }
            }
        }
        pieces.extend(splitter.finish());
        (pieces, Ok(splitter.offset()))
    }

    #[test]
    fn blocks_are_the_same_however_they_come() {
        let one = pem::encode("CERTIFICATE", &[0x30, 1, 7]);
        let other = pem::encode("X509 CRL", &[0x30, 1, 8]);
        let text = format!(
            "# roots\n{one}between - and ----- and -----\r\n{other}-----BEGIN CERTIFICATE-----\nMIIB\n{one}\n-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nMIIB"
        );
        let (whole, end) = split(Format::Pem, text.as_bytes(), text.len());
        let told: Vec<Result<&[u8], &str>> = whole
            .iter()
            .map(|piece| piece.content.as_deref().map_err(String::as_str))
            .collect();
        assert_eq!(
            told,
            [
                Ok(&[0x30, 1, 7][..]),
                Err("X509 CRL is no certificate"),
                Err("another block begins before this one ends"),
                Ok(&[0x30, 1, 7][..]),
                Err("the block cannot be decoded"),
                Err("it is cut short"),
            ]
        );
        assert_eq!(end, Ok(text.len() as u64));
        assert_eq!(whole[0].offset, 8);
        assert!(text[..usize::try_from(whole[0].end).unwrap()].ends_with("CERTIFICATE-----"));
        for size in 1..40 {
            assert_eq!(split(Format::Pem, text.as_bytes(), size).0, whole, "{size}");
        }
    }

    #[test]
    fn a_block_without_end_does_not_stay_in_memory() {
        let mut splitter = Splitter::new(Format::Pem, 0);
        let mut failed = 0;
        splitter.push(b"-----BEGIN CERTIFICATE-----\n");
        for _ in 0..200 {
            splitter.push(&[b'A'; 65_536]);
            while let Ok(Some(piece)) = splitter.next() {
                assert!(piece.content.is_err());
                failed += 1;
            }
        }
        assert_eq!(failed, 1);
        assert!(splitter.buffer.len() < 2 * 65_536);
    }

    #[test]
    fn what_is_passed_over_is_done_with_wherever_the_stream_breaks_off() {
        let huge = [&[0x30, 0x83, 0x50, 0, 0][..], &vec![6; 0x50_0000]].concat();
        let stream = [&[0x30, 1, 7][..], &huge, &[0x30, 1, 8]].concat();
        let behind = 3 + huge.len();
        for cut in [8, 9, 70_000, behind - 1, behind] {
            let mut splitter = Splitter::new(Format::Der, 0);
            let mut pieces = 0;
            for part in stream[..cut].chunks(65_536) {
                splitter.push(part);
                while splitter.next().unwrap().is_some() {
                    pieces += 1;
                }
            }
            assert_eq!((pieces, splitter.resume_at()), (2, behind as u64), "{cut}");
            let mut rest = Splitter::new(Format::Der, splitter.resume_at());
            rest.push(&stream[behind..]);
            let piece = rest.next().unwrap().unwrap();
            assert_eq!(
                (piece.offset, piece.content),
                (behind as u64, Ok(vec![0x30, 1, 8]))
            );
        }
        // What has not come as a whole comes again.
        let mut splitter = Splitter::new(Format::Der, 0);
        splitter.push(&stream[..7]);
        assert!(splitter.next().unwrap().is_some());
        assert_eq!((splitter.next(), splitter.resume_at()), (Ok(None), 3));
    }

    #[test]
    fn elements_are_the_same_however_they_come() {
        let long = [&[0x30, 0x82, 1, 0][..], &[5; 256]].concat();
        let huge = [&[0x30, 0x83, 0x50, 0, 0][..], &vec![6; 0x50_0000]].concat();
        let stream = [&[0x30, 1, 7][..], &long, &huge, &[0x30, 1, 8]].concat();
        let (whole, end) = split(Format::Der, &stream, stream.len());
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[0].content, Ok(vec![0x30, 1, 7]));
        assert_eq!(whole[1].content, Ok(long));
        assert!(whole[2].content.is_err());
        assert_eq!(whole[3].content, Ok(vec![0x30, 1, 8]));
        assert_eq!(end, Ok(stream.len() as u64));
        for size in [1_000, 65_536] {
            assert_eq!(split(Format::Der, &stream, size).0, whole, "{size}");
        }
        for size in 1..5 {
            assert_eq!(split(Format::Der, &stream[..200], size).0.len(), 2);
        }
        let (before, broken) = split(Format::Der, &[0x30, 1, 7, 0x2d, 0x2d], 1);
        assert_eq!(before.len(), 1);
        assert_eq!(
            broken,
            Err("octet 3: no DER certificate begins here".into())
        );
        assert!(split(Format::Der, &[0x30, 0x80, 0, 0], 9).1.is_err());
    }
}
