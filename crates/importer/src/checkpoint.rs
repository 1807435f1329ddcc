//! How far an import has come: a folder with the certificates that were read, what else is known of them, and a note that is replaced as
//! a whole. Whatever is written behind what the note says is cut off when it is opened again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Batch, Skipped};

/// Reasons that are kept.
const SKIPPED_MAX: usize = 10_000;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    source: String,
    cursor: Option<String>,
    /// Everything was read.
    read: bool,
    certificates: u64,
    /// Octets of `certificates.der` that count.
    spooled: u64,
    /// Octets of `attributes.jsonl` that count.
    attributes: u64,
    /// Octets of `attributes.jsonl` that are brought over.
    attributes_done: u64,
    /// The server's import.
    import_id: Uuid,
    skipped: Vec<Skipped>,
}

/// What is known of a certificate besides itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) thumbprint: String,
    pub(crate) place: String,
    pub(crate) owner: Option<String>,
    pub(crate) metadata: Map<String, Value>,
}

/// The checkpoint of an import.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    folder: PathBuf,
    note: Note,
}

impl Checkpoint {
    pub(crate) fn open(folder: &Path, source: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let file = folder.join("checkpoint.json");
        let note = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{}: it is damaged", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Note {
                source: source.to_owned(),
                cursor: None,
                read: false,
                certificates: 0,
                spooled: 0,
                attributes: 0,
                attributes_done: 0,
                import_id: Uuid::new_v4(),
                skipped: Vec::new(),
            },
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        if note.source != source {
            bail!(
                "{} is the checkpoint of another import, {}",
                folder.display(),
                note.source
            );
        }
        let opened = Self {
            folder: folder.to_owned(),
            note,
        };
        for (name, length) in [
            ("certificates.der", opened.note.spooled),
            ("attributes.jsonl", opened.note.attributes),
        ] {
            opened.file(name)?.set_len(length)?;
        }
        opened.save()?;
        Ok(opened)
    }

    fn file(&self, name: &str) -> anyhow::Result<File> {
        let path = self.folder.join(name);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options
            .open(&path)
            .with_context(|| path.display().to_string())
    }

    fn save(&self) -> anyhow::Result<()> {
        let (new, file) = (
            self.folder.join("checkpoint.new"),
            self.folder.join("checkpoint.json"),
        );
        let mut written = File::create(&new).with_context(|| new.display().to_string())?;
        written.write_all(&serde_json::to_vec(&self.note)?)?;
        written.sync_all()?;
        fs::rename(&new, &file).with_context(|| file.display().to_string())
    }

    fn append(&self, name: &str, octets: &[u8]) -> anyhow::Result<()> {
        let mut file = self.file(name)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(octets)?;
        file.sync_data()?;
        Ok(())
    }

    /// Lays down a batch. A certificate that cannot be read at all is left out.
    pub(crate) fn add(&mut self, batch: Batch) -> anyhow::Result<()> {
        let (mut octets, mut lines) = (Vec::new(), Vec::new());
        let mut skipped = batch.skipped;
        for found in batch.found {
            match pki::Certificate::read(&found.der) {
                Err(error) => skipped.push(Skipped {
                    place: found.place,
                    reason: error.to_string(),
                }),
                Ok(reading) => {
                    self.note.certificates += 1;
                    octets.extend_from_slice(&found.der);
                    if found.owner.is_some() || !found.metadata.is_empty() {
                        let attributes = Attributes {
                            thumbprint: reading.certificate.thumbprint(),
                            place: found.place,
                            owner: found.owner,
                            metadata: found.metadata,
                        };
                        serde_json::to_writer(&mut lines, &attributes)?;
                        lines.push(b'\n');
                    }
                }
            }
        }
        self.append("certificates.der", &octets)?;
        self.append("attributes.jsonl", &lines)?;
        self.note.spooled += octets.len() as u64;
        self.note.attributes += lines.len() as u64;
        let room = SKIPPED_MAX.saturating_sub(self.note.skipped.len());
        self.note.skipped.extend(skipped.into_iter().take(room));
        self.note.cursor = Some(batch.cursor);
        self.save()
    }

    pub(crate) fn end_reading(&mut self) -> anyhow::Result<()> {
        self.note.read = true;
        self.save()
    }

    pub(crate) fn is_read(&self) -> bool {
        self.note.read
    }

    pub(crate) fn source(&self) -> &str {
        &self.note.source
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.note.cursor.as_deref()
    }

    pub(crate) fn certificates(&self) -> u64 {
        self.note.certificates
    }

    pub(crate) fn skipped(&self) -> &[Skipped] {
        &self.note.skipped
    }

    pub(crate) fn import_id(&self) -> Uuid {
        self.note.import_id
    }

    /// Another import at the server: the one that was begun cannot go on.
    pub(crate) fn renew_import(&mut self) -> anyhow::Result<()> {
        self.note.import_id = Uuid::new_v4();
        self.save()
    }

    /// The certificates, one after another.
    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.join("certificates.der")
    }

    /// Each certificate of the spool in turn.
    pub(crate) fn each(&self, mut take: impl FnMut(Vec<u8>)) -> anyhow::Result<()> {
        let mut file = BufReader::new(File::open(self.spool())?);
        loop {
            let mut header = [0; 6];
            if file.read(&mut header[..1])? == 0 {
                return Ok(());
            }
            file.read_exact(&mut header[1..2])?;
            let octets = match header[1] {
                first @ 0x81..=0x84 => usize::from(first & 0x7f),
                _ => 0,
            };
            file.read_exact(&mut header[2..2 + octets])?;
            let length = match octets {
                0 => usize::from(header[1]),
                _ => header[2..2 + octets]
                    .iter()
                    .fold(0, |length, octet| length << 8 | usize::from(*octet)),
            };
            let mut der = vec![0; 2 + octets + length];
            der[..2 + octets].copy_from_slice(&header[..2 + octets]);
            file.read_exact(&mut der[2 + octets..])?;
            take(der);
        }
    }

    /// Some of what is not brought over yet, and where what follows begins. Empty at the end.
    pub(crate) fn attributes(
        &self,
        from: u64,
        count: usize,
    ) -> anyhow::Result<(Vec<Attributes>, u64)> {
        let mut file = BufReader::new(self.file("attributes.jsonl")?);
        file.seek(SeekFrom::Start(from))?;
        let (mut some, mut end, mut line) = (Vec::new(), from, String::new());
        while some.len() < count {
            line.clear();
            let length = file.read_line(&mut line)?;
            if length == 0 {
                break;
            }
            some.push(serde_json::from_str(&line).context("attributes.jsonl is damaged")?);
            end += length as u64;
        }
        Ok((some, end))
    }

    pub(crate) fn attributes_done(&self) -> u64 {
        self.note.attributes_done
    }

    pub(crate) fn set_attributes_done(&mut self, end: u64) -> anyhow::Result<()> {
        self.note.attributes_done = end;
        self.save()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Found;

    #[test]
    fn what_the_note_does_not_know_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
        let name = pki::DistinguishedName::parse("CN=a").unwrap();
        let serial = pki::Serial::from_random(&[7; 16]);
        let root = pki::Issuer::self_signed_root(&name, key, 0, 86_400_000_000, &serial).unwrap();
        let der = root.certificate().der().to_vec();
        let mut checkpoint = Checkpoint::open(folder.path(), "a test").unwrap();
        let owned = Found {
            owner: Some("Owners".into()),
            ..Found::plain(der.clone(), "first")
        };
        let batch = Batch {
            found: vec![owned, Found::plain(vec![0x30, 1, 5], "second")],
            skipped: Vec::new(),
            cursor: "b".into(),
        };
        checkpoint.add(batch).unwrap();
        checkpoint.append("certificates.der", b"half of a").unwrap();
        checkpoint.append("attributes.jsonl", b"{\"thumb").unwrap();

        assert!(Checkpoint::open(folder.path(), "another").is_err());
        let again = Checkpoint::open(folder.path(), "a test").unwrap();
        assert_eq!(again.cursor(), Some("b"));
        assert_eq!((again.certificates(), again.skipped().len()), (1, 1));
        let mut all = Vec::new();
        again.each(|one| all.push(one)).unwrap();
        assert_eq!(all, [der]);
        let (some, end) = again.attributes(0, 10).unwrap();
        assert_eq!(some.len(), 1);
        assert_eq!(some[0].owner.as_deref(), Some("Owners"));
        assert!(again.attributes(end, 10).unwrap().0.is_empty());
    }
}
