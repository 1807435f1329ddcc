//! Signed notes (C2SP signed-note): a text, a blank line, a line for each signature. Ed25519 only.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::Error;
use crate::hash;

/// The number of Ed25519 in keys.
const ED25519_TYPE: u8 = 1;
const SIGNATURE_START: &str = "\u{2014} ";
const SEED_BYTES: usize = 32;

/// The public half of a key with its name: `name+hash+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: [u8; 32],
}

impl Verifier {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`Error::Key`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::Key("it is not name+hash+key"));
        };
        let octets = STANDARD
            .decode(encoded)
            .map_err(|_| Error::Key("the key is not base64"))?;
        let (&kind, key) = octets.split_first().ok_or(Error::Key("it is empty"))?;
        if kind != ED25519_TYPE {
            return Err(Error::Key("it is not an Ed25519 key"));
        }
        let key = key
            .try_into()
            .map_err(|_| Error::Key("it is not 32 octets long"))?;
        let verifier = Self::new(name, key)?;
        if format!("{:08x}", verifier.id()) != id {
            return Err(Error::Key("the hash is not that of name and key"));
        }
        Ok(verifier)
    }

    fn new(name: &str, key: [u8; 32]) -> Result<Self, Error> {
        if name.is_empty() || name.contains('+') || name.contains(char::is_whitespace) {
            return Err(Error::Key("the name holds a blank or a plus, or nothing"));
        }
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// The name, which is the origin of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number by which signatures name the key: the start of the SHA-256 of name and key.
    fn id(&self) -> u32 {
        let mut octets = self.name.as_bytes().to_vec();
        octets.extend([b'\n', ED25519_TYPE]);
        octets.extend(self.key);
        let hash = hash::of(&octets);
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }

    /// The text of a note that this key signed. Signatures of others are passed over.
    ///
    /// # Errors
    /// [`Error::Note`], and [`Error::Signature`] when this key did not sign it or signed something else.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, Error> {
        let at = note
            .rfind("\n\n")
            .ok_or(Error::Note("there is no blank line before the signatures"))?;
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        if !signatures.ends_with('\n') {
            return Err(Error::Note("the last line is not complete"));
        }
        for line in signatures.lines() {
            let signature = line
                .strip_prefix(SIGNATURE_START)
                .and_then(|rest| rest.split_once(' '))
                .ok_or(Error::Note("a line is no signature"))?;
            if signature.0 != self.name {
                continue;
            }
            let octets = STANDARD
                .decode(signature.1)
                .map_err(|_| Error::Note("a signature is not base64"))?;
            let Some((id, signature)) = octets.split_first_chunk::<4>() else {
                return Err(Error::Note("a signature is too short"));
            };
            if u32::from_be_bytes(*id) != self.id() {
                continue;
            }
            let key = UnparsedPublicKey::new(&ED25519, &self.key);
            if key.verify(text.as_bytes(), signature).is_ok() {
                return Ok(text);
            }
            break;
        }
        Err(Error::Signature(self.name.clone()))
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let octets = [&[ED25519_TYPE][..], &self.key].concat();
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.id(),
            STANDARD.encode(octets)
        )
    }
}

/// A private key with its name.
pub struct Signer {
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl Signer {
    /// The key of a seed of 32 octets.
    ///
    /// # Errors
    /// [`Error::Key`] for a seed or a name that cannot be one.
    pub fn new(name: &str, seed: &[u8]) -> Result<Self, Error> {
        if seed.len() != SEED_BYTES {
            return Err(Error::Key("the seed is not 32 octets long"));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::Key("the seed makes no key"))?;
        let key = pair.public_key().as_ref().try_into();
        let verifier = Verifier::new(name, key.map_err(|_| Error::Key("not 32 octets"))?)?;
        Ok(Self { pair, verifier })
    }

    /// A fresh seed.
    ///
    /// # Errors
    /// [`Error::Key`] when the operating system gives no randomness.
    pub fn generate_seed() -> Result<Zeroizing<[u8; SEED_BYTES]>, Error> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_| Error::Key("no randomness"))?;
        Ok(seed)
    }

    /// The public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The note of `text`, which ends with a line end.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let octets = [&self.verifier.id().to_be_bytes(), signature.as_ref()].concat();
        format!(
            "{text}\n{SIGNATURE_START}{} {}\n",
            self.verifier.name,
            STANDARD.encode(octets)
        )
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's first implementation (golang.org/x/mod/sumdb/note).
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_another_implementation_opens() {
        let verifier = Verifier::parse(KEY).unwrap();
        assert_eq!(verifier.to_string(), KEY);
        let text = verifier.open(NOTE).unwrap();
        assert!(text.ends_with("problem is.\n"));
        let changed = NOTE.replace("answer", "Answer");
        assert!(matches!(verifier.open(&changed), Err(Error::Signature(_))));
    }

    #[test]
    fn what_is_signed_opens_and_nothing_else() {
        let seed = Signer::generate_seed().unwrap();
        let signer = Signer::new("example.org/log", seed.as_slice()).unwrap();
        let note = signer.sign("a\n\nb\n");
        let verifier = Verifier::parse(&signer.verifier().to_string()).unwrap();
        assert_eq!(verifier.open(&note).unwrap(), "a\n\nb\n");
        let stranger = Verifier::parse(KEY).unwrap();
        assert!(stranger.open(&note).is_err());
        let both = format!("{note}\u{2014} stranger AAAAAAAA\n");
        assert_eq!(verifier.open(&both).unwrap(), "a\n\nb\n");
        for broken in ["", "\n\n", "a\n\nb", "a\n\nb\n", &note[..note.len() - 1]] {
            assert!(verifier.open(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn keys_that_are_none() {
        for text in [
            "",
            "a+b",
            "a+00000000+!",
            "a+00000000+",
            "a+00000000+Ag==",
            "a+00000000+AQ==",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeuman+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(Verifier::parse(text).is_err(), "{text:?}");
        }
        assert!(Signer::new("a b", &[0; 32]).is_err());
        assert!(Signer::new("a", &[0; 31]).is_err());
    }
}
