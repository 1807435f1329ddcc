//! Checkpoints (C2SP tlog-checkpoint): origin, size, root, and lines of our own.

use crate::Error;
use crate::hash::{Hash, from_base64, to_base64};
use crate::note::{Signer, Verifier};

/// What a log says about itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Further lines, none empty.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The signed note.
    pub fn sign(&self, signer: &Signer) -> String {
        let mut text = format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            to_base64(&self.root)
        );
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        signer.sign(&text)
    }

    /// Reads a note that `verifier` signed for a log of its own name.
    ///
    /// # Errors
    /// [`Error::Note`], [`Error::Signature`], or [`Error::Checkpoint`] with what is wrong.
    pub fn open(note: &str, verifier: &Verifier) -> Result<Self, Error> {
        let checkpoint = Self::parse(verifier.open(note)?)?;
        if checkpoint.origin != verifier.name() {
            return Err(Error::Checkpoint("it is of another log"));
        }
        Ok(checkpoint)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty());
        let size = lines.next().ok_or(Error::Checkpoint("it has no size"))?;
        let root = lines.next().ok_or(Error::Checkpoint("it has no root"))?;
        let number: u64 = size
            .parse()
            .map_err(|_| Error::Checkpoint("the size is no number"))?;
        if number.to_string() != size {
            return Err(Error::Checkpoint("the size is not written plainly"));
        }
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(Error::Checkpoint("a line is empty"));
        }
        Ok(Self {
            origin: origin
                .ok_or(Error::Checkpoint("it has no origin"))?
                .to_owned(),
            size: number,
            root: from_base64(root).ok_or(Error::Checkpoint("the root is no hash"))?,
            extensions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_signed() {
        let signer = Signer::new("example.org/log", &[7; 32]).unwrap();
        let made = Checkpoint {
            origin: "example.org/log".into(),
            size: 42,
            root: [9; 32],
            extensions: vec!["restored 7".into()],
        };
        let note = made.sign(&signer);
        assert!(note.starts_with("example.org/log\n42\nCQkJ"));
        assert_eq!(Checkpoint::open(&note, signer.verifier()).unwrap(), made);
        let other = Checkpoint {
            origin: "example.org/other".into(),
            ..made
        };
        assert!(Checkpoint::open(&other.sign(&signer), signer.verifier()).is_err());
    }

    #[test]
    fn texts_that_are_no_checkpoint() {
        let root = to_base64(&[1; 32]);
        for text in [
            "".into(),
            "a\n".into(),
            "a\n1\n".into(),
            format!("a\n01\n{root}\n"),
            format!("a\n-1\n{root}\n"),
            format!("\n1\n{root}\n"),
            format!("a\n1\n{root}=\n"),
            format!("a\n1\n{root}\n\nb\n"),
        ] {
            assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
        }
    }
}
