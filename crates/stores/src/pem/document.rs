//! A PEM file as a list of pieces that can be put together again byte for byte.

use zeroize::Zeroizing;

/// A PEM file: blocks, and the text around them. Printing what was parsed gives the same bytes.
#[derive(Default)]
pub(super) struct Document {
    pub(super) pieces: Vec<Piece>,
}

/// A part of a PEM file.
pub(super) enum Piece {
    /// Anything between blocks, what is no whole block included.
    Text(Zeroizing<Vec<u8>>),
    /// From the BEGIN line to the END line, line end included, and what is in it.
    Block {
        label: String,
        bytes: Zeroizing<Vec<u8>>,
        der: Zeroizing<Vec<u8>>,
    },
}

impl Document {
    /// Cuts a file into pieces. Never fails: what is no block is text.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut pieces = Vec::new();
        let text = |from: usize, to: usize| {
            (from < to).then(|| Piece::Text(Zeroizing::new(bytes[from..to].to_vec())))
        };
        let mut position = 0;
        for block in pki::pem::parse(bytes) {
            pieces.extend(text(position, block.range.start));
            position = block.range.end;
            pieces.push(Piece::Block {
                label: block.label,
                bytes: Zeroizing::new(bytes[block.range].to_vec()),
                der: Zeroizing::new(block.der),
            });
        }
        pieces.extend(text(position, bytes.len()));
        Self { pieces }
    }

    /// The file's bytes.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let length = self.pieces.iter().map(|piece| piece.bytes().len()).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for piece in &self.pieces {
            bytes.extend_from_slice(piece.bytes());
        }
        bytes
    }

    /// Appends a block in its text form. What stands before it may lack its line end: it gets one first.
    pub(super) fn push(&mut self, block: &str) {
        if let Some(before) = self.pieces.last_mut()
            && !before.bytes().ends_with(b"\n")
        {
            before.bytes_mut().push(b'\n');
        }
        self.pieces.extend(Self::parse(block.as_bytes()).pieces);
    }

    /// Positions of blocks whose label is wanted.
    pub(super) fn positions(&self, wanted: impl Fn(&str) -> bool) -> Vec<usize> {
        let is_wanted = |piece: &Piece| piece.label().is_some_and(&wanted);
        let pieces = self.pieces.iter().enumerate();
        pieces
            .filter(|(_, piece)| is_wanted(piece))
            .map(|(index, _)| index)
            .collect()
    }
}

impl Piece {
    /// The label of a block.
    pub(super) fn label(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Block { label, .. } => Some(label),
        }
    }

    /// The bytes in the file.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) | Self::Block { bytes, .. } => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Text(bytes) | Self::Block { bytes, .. } => bytes,
        }
    }

    /// What the block holds; none for text.
    pub(super) fn der(&self) -> Option<&[u8]> {
        match self {
            Self::Text(_) => None,
            Self::Block { der, .. } => Some(der),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &[u8] = b"# by hand \xff\r\n-----BEGIN DH PARAMETERS-----\r\nAAEC\r\n-----END DH PARAMETERS-----\r\n\
        text\n-----BEGIN X-----\ncut off\n-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n\
        -----END EC PRIVATE KEY-----\n-----BEGIN Y-----\nno end";

    #[test]
    fn printing_gives_back_every_byte() {
        for bytes in [
            MIXED,
            b"",
            b"\n",
            b"-----BEGIN ",
            b"-----BEGIN A-----\n-----END B-----\n",
        ] {
            assert_eq!(Document::parse(bytes).to_bytes().as_slice(), bytes);
        }
    }

    #[test]
    fn blocks_are_found_among_text() {
        let document = Document::parse(MIXED);
        let labels: Vec<&str> = document.pieces.iter().filter_map(Piece::label).collect();
        assert_eq!(labels, ["DH PARAMETERS", "EC PRIVATE KEY"]);
        for piece in document
            .pieces
            .iter()
            .filter(|piece| piece.label().is_some())
        {
            assert_eq!(piece.der(), Some([0, 1, 2].as_slice()));
        }
    }

    #[test]
    fn a_block_put_at_the_end_starts_on_a_line_of_its_own() {
        let mut document = Document::parse(b"no line end");
        document.push("-----BEGIN X-----\nAAEC\n-----END X-----\n");
        assert_eq!(
            document.to_bytes().as_slice(),
            b"no line end\n-----BEGIN X-----\nAAEC\n-----END X-----\n"
        );
    }
}
