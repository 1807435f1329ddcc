//! The export of a log as lines of text, and its check from the first line to the last.
//!
//! ```text
//! {"chancery_audit_export":1,"verifier":"…","checkpoint":"…"}
//! {"id":1,…}                    a record: the line without its end is the data of the leaf
//! {"pruned":"base64"}           instead of a record whose body was pruned: the hash of its leaf
//! {"tile":"base64"}             after every 256 records: the root over them, so that a difference is found near its place
//! ```
//!
//! What is checked: the signature of the checkpoint by a key that the caller brings, the root over all records, that a body is
//! missing only where a record of the log itself says that it was pruned, and that the log begins with the one of an earlier
//! checkpoint, when the caller brings one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::hash::{Hash, from_base64, leaf_hash, perfect, to_base64};
use crate::note::Verifier;
use crate::tile::TILE_WIDTH;
use crate::tree::Tree;

/// The member of a pruning record's `after` that says up to which record bodies were pruned (exclusive).
pub const PRUNED_MEMBER: &str = "pruned_before";
/// Operation and category of a pruning record: deleted, of the audit log (docs/audit.md).
const PRUNING: (i32, i32) = (3, 2111);
/// How the lines that are no records begin.
const PRUNED_START: &[u8] = b"{\"pruned\":\"";
const TILE_START: &[u8] = b"{\"tile\":\"";
const LINE_END: &[u8] = b"\"}";
/// The line of a checkpoint that tells of a restore: `restored SIZE ROOT`.
const RESTORED: &str = "restored ";
/// Findings that are kept; more say nothing new.
const FINDINGS_MAX: usize = 50;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportHeader {
    /// The form of the lines: 1.
    pub chancery_audit_export: u32,
    /// The key as the exporting server names it. For people: the check uses the key that the caller brings.
    pub verifier: String,
    /// The signed checkpoint that covers every record of the export.
    pub checkpoint: String,
}

/// The first line of an export, without its end.
pub fn export_header(verifier: &Verifier, checkpoint: &str) -> String {
    let header = ExportHeader {
        chancery_audit_export: 1,
        verifier: verifier.to_string(),
        checkpoint: checkpoint.to_owned(),
    };
    // Three texts and a number are always JSON.
    serde_json::to_string(&header).unwrap_or_default()
}

/// The line in place of a record whose body is gone, or (`tile`) after a tile of records; without its end.
pub fn pruned_line(leaf: &Hash) -> String {
    format!("{{\"pruned\":\"{}\"}}", to_base64(leaf))
}

/// Something in an export that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The first line is none.
    #[error("the first line is not that of an audit export: {0}")]
    Header(String),
    /// The checkpoint was not signed by the given key.
    #[error("the checkpoint of the export: {0}")]
    Checkpoint(crate::Error),
    /// A line that is neither a record nor anything else.
    #[error("line {0} cannot be read")]
    Line(u64),
    /// The last line has no end: the file was cut off.
    #[error("there are {found} records, and the checkpoint counts {expected}")]
    Count {
        /// In the file.
        found: u64,
        /// In the checkpoint.
        expected: u64,
    },
    /// Some of these records are not those of the tile.
    #[error("records {first} to {last} (from 0) are not those that the server hashed")]
    Tile {
        /// The first record's place in the log.
        first: u64,
        /// The last record's.
        last: u64,
    },
    /// The records are not those of the checkpoint.
    #[error(
        "the root over the records is not the one that was signed: records were changed, moved, added or taken out"
    )]
    Root,
    /// A body is missing and nothing says why.
    #[error("the body of record {0} (from 0) is missing, and no record says that it was pruned")]
    Missing(u64),
    /// The earlier checkpoint is of a log that this one does not begin with.
    #[error("the log does not begin with the {size} records of the earlier checkpoint{}", told(.restored))]
    Earlier {
        /// Records in the earlier checkpoint.
        size: u64,
        /// Where the log says that it was restored at fewer records.
        restored: Option<u64>,
    },
    /// The log says that it was restored from a state that it does not begin with.
    #[error(
        "the log says that it was restored at {0} records with a root that it does not have there"
    )]
    Restored(u64),
}

fn told(restored: &Option<u64>) -> String {
    restored.map_or_else(String::new, |size| {
        format!(
            "; it says itself that it was restored from a backup at {size} records, so what came after those was lost then"
        )
    })
}

/// What a check saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The name of the log.
    pub origin: String,
    /// Records in all.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Records whose bodies were pruned.
    pub pruned: u64,
    /// At how many records the log was restored from a backup, in the order of the checkpoint.
    pub restored: Vec<u64>,
}

/// Checks an export, given line by line.
#[derive(Debug)]
pub struct ExportReader {
    verifier: Verifier,
    earlier: Option<Checkpoint>,
    checkpoint: Option<Checkpoint>,
    lines: u64,
    tree: Tree,
    tile: Vec<Hash>,
    /// Roots to compare when the tree has grown to a size.
    wanted: BTreeMap<u64, Vec<(Hash, Finding)>>,
    pruned: Vec<(u64, u64)>,
    pruned_before: u64,
    restored: Vec<u64>,
    findings: Vec<Finding>,
}

impl ExportReader {
    /// A check with this key, and against a checkpoint that was kept outside.
    pub fn new(verifier: Verifier, earlier: Option<Checkpoint>) -> Self {
        Self {
            verifier,
            earlier,
            checkpoint: None,
            lines: 0,
            tree: Tree::default(),
            tile: Vec::with_capacity(256),
            wanted: BTreeMap::new(),
            pruned: Vec::new(),
            pruned_before: 0,
            restored: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// The next line, without its end.
    pub fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        if self.lines == 1 {
            return self.header(line);
        }
        if let Some(rest) = line.strip_prefix(PRUNED_START) {
            match ended(rest) {
                Some(leaf) => {
                    self.missing(self.tree.size());
                    self.leaf(leaf);
                }
                None => self.find(Finding::Line(self.lines)),
            }
        } else if let Some(rest) = line.strip_prefix(TILE_START) {
            match ended(rest) {
                Some(root) => self.tile_ends(root),
                None => self.find(Finding::Line(self.lines)),
            }
        } else {
            if holds(line, PRUNED_MEMBER.as_bytes()) {
                self.pruning(line);
            }
            self.leaf(leaf_hash(line));
        }
    }

    fn header(&mut self, line: &[u8]) {
        let header: ExportHeader = match serde_json::from_slice(line) {
            Ok(header) => header,
            Err(error) => return self.find(Finding::Header(error.to_string())),
        };
        if header.chancery_audit_export != 1 {
            return self.find(Finding::Header("it is of an unknown form".into()));
        }
        match Checkpoint::open(&header.checkpoint, &self.verifier) {
            Ok(checkpoint) => self.expect(checkpoint),
            Err(error) => self.find(Finding::Checkpoint(error)),
        }
    }

    fn expect(&mut self, checkpoint: Checkpoint) {
        for line in &checkpoint.extensions {
            let Some(rest) = line.strip_prefix(RESTORED) else {
                continue;
            };
            let parts = rest
                .split_once(' ')
                .and_then(|(size, root)| Some((size.parse().ok()?, from_base64(root)?)));
            let Some((size, root)) = parts else {
                self.findings
                    .push(Finding::Checkpoint(crate::Error::Checkpoint(
                        "a line about a restore cannot be read",
                    )));
                continue;
            };
            self.restored.push(size);
            self.want(size, root, Finding::Restored(size));
        }
        if let Some(earlier) = self.earlier.clone() {
            let restored = self.restored.iter().copied().find(|at| *at < earlier.size);
            let finding = Finding::Earlier {
                size: earlier.size,
                restored,
            };
            if earlier.size > checkpoint.size {
                self.find(finding);
            } else {
                self.want(earlier.size, earlier.root, finding);
            }
        }
        self.want(checkpoint.size, checkpoint.root, Finding::Root);
        self.checkpoint = Some(checkpoint);
        self.compare();
    }

    fn want(&mut self, size: u64, root: Hash, finding: Finding) {
        self.wanted.entry(size).or_default().push((root, finding));
    }

    /// Compares the roots that were wanted at this size.
    fn compare(&mut self) {
        let Some(wanted) = self.wanted.remove(&self.tree.size()) else {
            return;
        };
        let found = self.tree.root();
        for (root, finding) in wanted {
            if root != found {
                self.find(finding);
            }
        }
    }

    fn leaf(&mut self, leaf: Hash) {
        self.tile.push(leaf);
        self.tree.append(leaf);
        self.compare();
    }

    fn tile_ends(&mut self, root: Hash) {
        // The tree forgets full tiles here: nobody asks for them.
        self.tree.take_changed();
        let whole = self.tile.len() as u64 == TILE_WIDTH;
        if !whole || perfect(&self.tile) != root {
            let last = self.tree.size().saturating_sub(1);
            let first = (last + 1).saturating_sub(self.tile.len() as u64);
            self.find(Finding::Tile { first, last });
        }
        self.tile.clear();
    }

    /// Remembers, as runs, where bodies are missing.
    fn missing(&mut self, index: u64) {
        match self.pruned.last_mut() {
            Some((_, end)) if *end == index => *end += 1,
            _ => self.pruned.push((index, index + 1)),
        }
    }

    /// A record that says up to where bodies were pruned. It counts only when the root is right, as every other record.
    fn pruning(&mut self, line: &[u8]) {
        #[derive(Deserialize)]
        struct Pruning {
            operation: i32,
            category: i32,
            after: After,
        }
        #[derive(Deserialize)]
        struct After {
            pruned_before: u64,
        }
        if let Ok(record) = serde_json::from_slice::<Pruning>(line)
            && (record.operation, record.category) == PRUNING
        {
            self.pruned_before = self.pruned_before.max(record.after.pruned_before);
        }
    }

    /// What the whole of it showed.
    ///
    /// # Errors
    /// Everything that is not as it has to be, in the order in which it was found.
    pub fn finish(mut self) -> Result<Report, Vec<Finding>> {
        if self.lines == 0 {
            self.find(Finding::Header("the file is empty".into()));
        }
        let size = self.tree.size();
        if let Some(checkpoint) = &self.checkpoint
            && checkpoint.size != size
        {
            let expected = checkpoint.size;
            self.find(Finding::Count {
                found: size,
                expected,
            });
        }
        let pruned = std::mem::take(&mut self.pruned);
        for (first, end) in &pruned {
            for index in (*first).max(self.pruned_before)..*end {
                if self.findings.len() == FINDINGS_MAX {
                    break;
                }
                self.find(Finding::Missing(index));
            }
        }
        if !self.findings.is_empty() {
            return Err(self.findings);
        }
        let checkpoint = self
            .checkpoint
            .ok_or_else(|| vec![Finding::Header("there is no checkpoint".into())])?;
        Ok(Report {
            origin: checkpoint.origin,
            size,
            root: checkpoint.root,
            pruned: pruned.iter().map(|(first, end)| end - first).sum(),
            restored: self.restored,
        })
    }
}

/// The hash of a line that ends as it has to.
fn ended(rest: &[u8]) -> Option<Hash> {
    let encoded = rest.strip_suffix(LINE_END)?;
    from_base64(std::str::from_utf8(encoded).ok()?)
}

/// Whether `text` holds `word`, by its first octet first: this runs over every line.
fn holds(text: &[u8], word: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|octet| *octet == word[0]) {
        if rest[at..].starts_with(word) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests;
