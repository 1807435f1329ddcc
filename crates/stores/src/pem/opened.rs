//! The files of one store, read.

use std::path::PathBuf;

use pki::{Certificate, PrivateKey};
use zeroize::Zeroizing;

use super::document::{Document, Piece};
use crate::{
    Operation, Permissions, Result, StoreConfig, deployment::Change, file_system::Existing,
};

/// Labels of blocks that hold a certificate. (`TRUSTED CERTIFICATE` is openssl's own with more inside: kept as is.)
pub(super) fn is_certificate(label: &str) -> bool {
    matches!(label, "CERTIFICATE" | "X509 CERTIFICATE")
}

/// Labels of blocks that hold a private key.
pub(super) fn is_private_key(label: &str) -> bool {
    matches!(
        label,
        "PRIVATE KEY"
            | "ENCRYPTED PRIVATE KEY"
            | "RSA PRIVATE KEY"
            | "EC PRIVATE KEY"
            | "DSA PRIVATE KEY"
    )
}

/// One file.
pub(super) struct OpenedFile {
    path: PathBuf,
    old: Option<Existing>,
    /// Whether a key was in it as it was read.
    held_key: bool,
    pub(super) document: Document,
}

/// The files of a store: its own, and the separate key file where there is one.
pub(super) struct Opened {
    pub(super) file: OpenedFile,
    pub(super) key_file: Option<OpenedFile>,
    /// Readable certificates of the store file, in its order, each once.
    pub(super) certificates: Vec<Certificate>,
}

impl Opened {
    /// Reads the files; a missing one counts as empty. The allowed paths decide first.
    pub(super) fn open(store: &StoreConfig<'_>, operation: &Operation<'_>) -> Result<Self> {
        let path = operation.allowed_paths.resolve(&store.path)?;
        let key_path = match &store.private_key_path {
            // The same file named twice is one file with its key inline.
            Some(key_path) => Some(operation.allowed_paths.resolve(key_path)?)
                .filter(|key_path| *key_path != path),
            None => None,
        };
        let file = OpenedFile::open(path, operation)?;
        let key_file = key_path
            .map(|path| OpenedFile::open(path, operation))
            .transpose()?;
        let mut certificates: Vec<Certificate> = Vec::new();
        for index in file.document.positions(is_certificate) {
            let der = file.document.pieces[index].der();
            match der.and_then(|der| Certificate::read(der).ok()) {
                Some(reading) => {
                    let found = reading.certificate;
                    if !certificates.iter().any(|known| known.der() == found.der()) {
                        certificates.push(found);
                    }
                }
                // One bad block must not hide the others; it stays in the file.
                None => tracing::warn!(store = %store.path.display(), "unreadable certificate"),
            }
        }
        Ok(Self {
            file,
            key_file,
            certificates,
        })
    }

    /// Whether the store file is there.
    pub(super) fn exists(&self) -> bool {
        self.file.old.is_some()
    }

    /// Whether this is a store of one identity rather than of many certificates.
    pub(super) fn is_identity(&self, store: &StoreConfig<'_>) -> bool {
        !store.trust_store && (self.key_file.is_some() || self.key_blocks() > 0)
    }

    /// How many private keys there are, in both files.
    pub(super) fn key_blocks(&self) -> usize {
        self.file.key_blocks() + self.key_file.as_ref().map_or(0, OpenedFile::key_blocks)
    }

    /// The store's key, where it can be read: an encrypted one cannot.
    pub(super) fn readable_key(&self) -> Option<PrivateKey> {
        let separate = self.key_file.as_ref().and_then(OpenedFile::readable_key);
        separate.or_else(|| self.file.readable_key())
    }

    /// The store file as an empty one.
    pub(super) fn into_empty_file(self, permissions: Permissions) -> Change {
        let new = Zeroizing::new(Vec::new());
        Change {
            path: self.file.path,
            old: self.file.old,
            new,
            permissions,
        }
    }
}

impl OpenedFile {
    fn open(path: PathBuf, operation: &Operation<'_>) -> Result<Self> {
        let old = operation.file_system.read(&path)?;
        let document = Document::parse(old.as_ref().map_or(&[], |existing| &existing.contents));
        let held_key = !document.positions(is_private_key).is_empty();
        Ok(Self {
            path,
            old,
            held_key,
            document,
        })
    }

    pub(super) fn key_blocks(&self) -> usize {
        self.document.positions(is_private_key).len()
    }

    fn readable_key(&self) -> Option<PrivateKey> {
        let index = *self.document.positions(is_private_key).first()?;
        let text = std::str::from_utf8(self.document.pieces[index].bytes()).ok()?;
        PrivateKey::from_pem(text).ok()
    }

    /// The file with other contents. It keeps owner and mode; one that is new, or holds its first key now, is closed to
    /// everybody but its owner.
    pub(super) fn into_change_of(self, new: &Document) -> Change {
        let holds_key = !new.positions(is_private_key).is_empty();
        let permissions = match &self.old {
            None if holds_key => Permissions::SECRET,
            None => Permissions::PUBLIC,
            Some(existing) if holds_key && !self.held_key => Permissions {
                mode: existing.permissions.mode & 0o700,
                ..existing.permissions
            },
            Some(existing) => existing.permissions,
        };
        Change {
            path: self.path,
            old: self.old,
            new: new.to_bytes(),
            permissions,
        }
    }
}

/// The pieces of a document without those that are dropped; `EC PARAMETERS` go with the key they stand before.
pub(super) fn without(document: &mut Document, dropped: impl Fn(&str) -> bool) -> Vec<Slot> {
    let pieces = std::mem::take(&mut document.pieces);
    let drops_keys = dropped("EC PRIVATE KEY");
    let mut slots: Vec<Slot> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece.label() {
            Some(label) if dropped(label) => {
                if label == "EC PRIVATE KEY" && drops_keys {
                    drop_parameters(&mut slots);
                }
                slots.push(if is_private_key(label) {
                    Slot::Key
                } else {
                    Slot::Certificate
                });
            }
            _ => slots.push(Slot::Kept(piece)),
        }
    }
    slots
}

/// A place in a document.
pub(super) enum Slot {
    /// A piece that stays.
    Kept(Piece),
    /// Where a certificate was.
    Certificate,
    /// Where a private key was.
    Key,
}

fn drop_parameters(slots: &mut Vec<Slot>) {
    let is_blank = |slot: &Slot| matches!(slot, Slot::Kept(Piece::Text(bytes)) if bytes.iter().all(u8::is_ascii_whitespace));
    let Some(index) = slots.iter().rposition(|slot| !is_blank(slot)) else {
        return;
    };
    if matches!(&slots[index], Slot::Kept(piece) if piece.label() == Some("EC PARAMETERS")) {
        slots.truncate(index);
    }
}
