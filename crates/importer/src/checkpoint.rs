//! How far an import has come: a folder with the certificates that were read, what else is known of them, and a note that is replaced as
//! a whole. Whatever is written behind what the note says is cut off when it is opened again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Batch, Revoked, Skipped};

const CERTIFICATES: &str = "certificates.der";
const ATTRIBUTES: &str = "attributes.jsonl";
/// What was left out, a line each.
pub(crate) const SKIPPED: &str = "skipped.jsonl";

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    source: String,
    /// The server that all of it goes to.
    server: String,
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
    /// Things that were left out.
    skipped: u64,
    /// Octets of `skipped.jsonl` that count.
    skipped_octets: u64,
    /// Certificates that have been given metadata or an owner, or are now revoked.
    differs: u64,
}

/// What is known of a certificate besides itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) thumbprint: String,
    pub(crate) place: String,
    pub(crate) owner: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    /// None in checkpoints from before it was read.
    #[serde(default)]
    pub(crate) revoked: Option<Revoked>,
}

/// The checkpoint of an import.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    folder: PathBuf,
    note: Note,
}

impl Checkpoint {
    pub(crate) fn open(folder: &Path, source: &str, server: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let file = folder.join("checkpoint.json");
        let note = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{}: it is damaged", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Note {
                source: source.to_owned(),
                server: server.to_owned(),
                cursor: None,
                read: false,
                certificates: 0,
                spooled: 0,
                attributes: 0,
                attributes_done: 0,
                import_id: Uuid::new_v4(),
                skipped: 0,
                skipped_octets: 0,
                differs: 0,
            },
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        if (note.source.as_str(), note.server.as_str()) != (source, server) {
            bail!(
                "{} is the checkpoint of another import: from {} to {}, and not from {source} to {server}; name another folder",
                folder.display(),
                note.source,
                note.server
            );
        }
        let opened = Self {
            folder: folder.to_owned(),
            note,
        };
        for (name, length) in [
            (CERTIFICATES, opened.note.spooled),
            (ATTRIBUTES, opened.note.attributes),
            (SKIPPED, opened.note.skipped_octets),
        ] {
            let file = opened.file(name)?;
            let found = file.metadata()?.len();
            if found < length {
                bail!(
                    "{}: {name} has {found} octets where the checkpoint says {length}; take another folder to begin anew",
                    folder.display()
                );
            }
            // What was written behind the last checkpoint is written again.
            file.set_len(length)?;
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

    /// Lays down a batch. A certificate that cannot be read at all is left out, and one that is not framed as DER: of a stream of
    /// certificates, nothing behind it could be read.
    pub(crate) fn add(&mut self, batch: Batch) -> anyhow::Result<()> {
        let (mut octets, mut lines) = (Vec::new(), Vec::new());
        let mut skipped = batch.skipped;
        for found in batch.found {
            match pki::Certificate::read(&found.der) {
                _ if framed(&found.der) != Some(found.der.len()) => skipped.push(Skipped {
                    place: found.place,
                    reason: "it is not DER (its length is not said, or not that of what is there); POST /Certificates/Import may read it".into(),
                }),
                Err(error) => skipped.push(Skipped {
                    place: found.place,
                    reason: error.to_string(),
                }),
                Ok(reading) => {
                    self.note.certificates += 1;
                    octets.extend_from_slice(&found.der);
                    let is_plain = found.owner.is_none() && found.metadata.is_empty() && found.revoked.is_none();
                    if !is_plain {
                        let attributes = Attributes {
                            thumbprint: reading.certificate.thumbprint(),
                            place: found.place,
                            owner: found.owner,
                            metadata: found.metadata,
                            revoked: found.revoked,
                        };
                        serde_json::to_writer(&mut lines, &attributes)?;
                        lines.push(b'\n');
                    }
                }
            }
        }
        self.append(CERTIFICATES, &octets)?;
        self.append(ATTRIBUTES, &lines)?;
        self.lay_down(&skipped)?;
        self.note.spooled += octets.len() as u64;
        self.note.attributes += lines.len() as u64;
        self.note.cursor = Some(batch.cursor);
        self.save()
    }

    /// Lays down what was left out; it counts when the note is saved.
    fn lay_down(&mut self, skipped: &[Skipped]) -> anyhow::Result<()> {
        let mut lines = Vec::new();
        for one in skipped {
            serde_json::to_writer(&mut lines, one)?;
            lines.push(b'\n');
        }
        self.append(SKIPPED, &lines)?;
        self.note.skipped += skipped.len() as u64;
        self.note.skipped_octets += lines.len() as u64;
        Ok(())
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

    /// How much was left out so far, and the first of it.
    pub(crate) fn skipped(&self, first: usize) -> anyhow::Result<(u64, Vec<Skipped>)> {
        let lines = BufReader::new(self.file(SKIPPED)?).lines().take(first);
        let read = lines.map(|line| serde_json::from_str(&line?).map_err(anyhow::Error::from));
        let some = read.collect::<anyhow::Result<_>>();
        Ok((self.note.skipped, some.context("skipped.jsonl is damaged")?))
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
        self.folder.join(CERTIFICATES)
    }

    /// Each certificate of the spool in turn.
    pub(crate) fn each(&self, mut take: impl FnMut(Vec<u8>)) -> anyhow::Result<()> {
        let mut file = BufReader::new(File::open(self.spool())?);
        loop {
            // Enough for any header, and less than any certificate.
            let mut der = vec![0; 6];
            if file.read(&mut der[..1])? == 0 {
                return Ok(());
            }
            file.read_exact(&mut der[1..])?;
            let length = framed(&der).filter(|length| *length >= 6);
            der.resize(length.context("certificates.der is damaged")?, 0);
            file.read_exact(&mut der[6..])?;
            take(der);
        }
    }

    /// Some of what is not brought over yet, and where what follows begins. Empty at the end.
    pub(crate) fn attributes(
        &self,
        from: u64,
        count: usize,
    ) -> anyhow::Result<(Vec<Attributes>, u64)> {
        let mut file = BufReader::new(self.file(ATTRIBUTES)?);
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

    /// Certificates that have been given metadata or an owner, or are now revoked.
    pub(crate) fn differs(&self) -> u64 {
        self.note.differs
    }

    /// What stands before `end` is brought over: of `differs` more certificates the server had something else, and some it refused.
    pub(crate) fn set_attributes_done(
        &mut self,
        end: u64,
        differs: u64,
        refused: &[Skipped],
    ) -> anyhow::Result<()> {
        self.lay_down(refused)?;
        self.note.attributes_done = end;
        self.note.differs += differs;
        self.save()
    }
}

/// The octets of a DER element of which at least the header is there; none unless its length is said as in a certificate.
fn framed(der: &[u8]) -> Option<usize> {
    let (&first, rest) = der.strip_prefix(&[0x30])?.split_first()?;
    match first {
        0..=0x7f => Some(2 + usize::from(first)),
        0x81..=0x84 => {
            let octets = usize::from(first & 0x7f);
            let length = rest.get(..octets)?;
            let length = length
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet));
            Some(2 + octets + length)
        }
        _ => None,
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
        let open = |source: &str, to: &str| Checkpoint::open(folder.path(), source, to);
        let mut checkpoint = open("a test", "here").unwrap();
        let owned = Found {
            owner: Some("Owners".into()),
            ..Found::plain(der.clone(), "first")
        };
        let batch = Batch {
            found: vec![
                owned,
                Found::plain(vec![0x30, 1, 5], "second"),
                Found::plain(indefinite(&der), "third"),
                Found::plain([&der[..], &[0]].concat(), "fourth"),
                Found::plain(der.clone(), "fifth"),
            ],
            skipped: Vec::new(),
            cursor: "b".into(),
        };
        checkpoint.add(batch).unwrap();
        checkpoint.append("certificates.der", b"half of a").unwrap();
        checkpoint.append("attributes.jsonl", b"{\"thumb").unwrap();

        checkpoint.append(SKIPPED, b"{").unwrap();

        for (source, server) in [("another", "here"), ("a test", "there")] {
            let refused = open(source, server).unwrap_err().to_string();
            assert!(
                refused.contains("from a test to here, and not"),
                "{refused}"
            );
        }
        let mut again = open("a test", "here").unwrap();
        assert_eq!(again.cursor(), Some("b"));
        let (count, skipped) = again.skipped(2).unwrap();
        assert_eq!((again.certificates(), count), (2, 3));
        let places: Vec<&str> = skipped.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(places, ["second", "third"]);
        assert!(skipped[1].reason.contains("not DER"), "{skipped:?}");
        let mut all = Vec::new();
        again.each(|one| all.push(one)).unwrap();
        assert_eq!(all, [der.clone(), der]);
        let (some, end) = again.attributes(0, 10).unwrap();
        assert_eq!(some.len(), 1);
        assert_eq!(some[0].owner.as_deref(), Some("Owners"));
        assert!(again.attributes(end, 10).unwrap().0.is_empty());
        // What the server refused stays known.
        let refused = Skipped {
            place: "first".into(),
            reason: "owner: 403".into(),
        };
        again
            .set_attributes_done(end, 1, std::slice::from_ref(&refused))
            .unwrap();
        let again = open("a test", "here").unwrap();
        assert_eq!((again.differs(), again.attributes_done()), (1, end));
        let (count, skipped) = again.skipped(10).unwrap();
        assert_eq!((count, skipped.last()), (4, Some(&refused)));
    }

    /// The same certificate with its length not said, as BER may have it.
    fn indefinite(der: &[u8]) -> Vec<u8> {
        [&[0x30, 0x80], &der[4..], &[0, 0]].concat()
    }
}
