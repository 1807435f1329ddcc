//! What became of everything.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, SKIPPED};

/// Lines of one kind that are shown; the file has more.
const SHOWN_MAX: usize = 20;
/// Of what is left out, in the report; the checkpoint has all.
const SKIPPED_MAX: usize = 10_000;

/// What an import has done, or, of a dry run, would do.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The source.
    pub source: String,
    /// Nothing was written to the server.
    pub dry_run: bool,
    /// Of certificates.
    pub certificates: Certificates,
    /// Of everything else.
    pub objects: Vec<Object>,
    /// What cannot be brought over, and why: the first 10,000 of it.
    pub skipped: Vec<Skipped>,
    /// How much that is in all.
    pub skipped_in_all: u64,
}

/// Counts of certificates.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// Read from the source.
    pub read: u64,
    /// Not at the server before.
    pub new: u64,
    /// At the server before, and twice in the source.
    pub known: u64,
    /// Refused by the server's reader.
    pub failed: u64,
    /// With metadata, an owner or a revocation that the server did not have.
    pub differs: u64,
}

/// Something that is no certificate.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    /// For example `role`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where there is something to say.
    pub reason: Option<String>,
}

/// What became of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// It was created; of a dry run: it would be.
    Created,
    /// It is there, by its name.
    Known,
    /// It is there and is not the same; it stays as it is.
    Differs,
    /// It cannot be brought over.
    NotBrought,
}

/// Something that cannot be brought over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Where it is in the source.
    pub place: String,
    /// Why.
    pub reason: String,
}

impl Report {
    pub(crate) fn new(checkpoint: &Checkpoint, dry_run: bool) -> Self {
        Self {
            source: checkpoint.source().to_owned(),
            dry_run,
            ..Self::default()
        }
    }

    pub(crate) fn object(
        &mut self,
        kind: &'static str,
        name: &str,
        outcome: Outcome,
        reason: Option<String>,
    ) {
        self.objects.push(Object {
            kind,
            name: name.to_owned(),
            outcome,
            reason,
        });
    }

    pub(crate) fn skip(&mut self, place: impl Into<String>, reason: impl fmt::Display) {
        self.skipped.push(Skipped {
            place: place.into(),
            reason: reason.to_string(),
        });
    }

    /// Adds what the checkpoint has, and writes `report.json` beside it.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(crate) fn write(&mut self, checkpoint: &Checkpoint, folder: &Path) -> anyhow::Result<()> {
        let (count, first) = checkpoint.skipped(SKIPPED_MAX)?;
        self.skipped_in_all = self.skipped.len() as u64 + count;
        self.skipped.extend(first);
        self.skipped.truncate(SKIPPED_MAX);
        let file = folder.join("report.json");
        let text = serde_json::to_vec_pretty(self)?;
        std::fs::write(&file, text).with_context(|| file.display().to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Certificates {
            read,
            new,
            known,
            failed,
            differs,
        } = self.certificates;
        let would = if self.dry_run {
            " (dry run: nothing was written)"
        } else {
            ""
        };
        writeln!(f, "{}{would}", self.source)?;
        writeln!(
            f,
            "certificates: {read} read, {new} new, {known} known, {failed} refused, {differs} with other metadata, owner or revocation"
        )?;
        for outcome in [
            Outcome::Created,
            Outcome::Known,
            Outcome::Differs,
            Outcome::NotBrought,
        ] {
            let some: Vec<&Object> = self
                .objects
                .iter()
                .filter(|object| object.outcome == outcome)
                .collect();
            if some.is_empty() {
                continue;
            }
            let word = match outcome {
                Outcome::Created if self.dry_run => "would be created",
                Outcome::Created => "created",
                Outcome::Known => "there already",
                Outcome::Differs => "there, but different; left as they are",
                Outcome::NotBrought => "not brought over",
            };
            writeln!(f, "{word}: {}", some.len())?;
            for object in some.iter().take(SHOWN_MAX) {
                let reason = object.reason.as_ref().map(|reason| format!(": {reason}"));
                let reason = reason.unwrap_or_default();
                writeln!(f, "  {} {}{reason}", object.kind, object.name)?;
            }
        }
        if !self.skipped.is_empty() {
            let kept = self.skipped.len() as u64;
            let more = if kept < self.skipped_in_all {
                format!("; report.json has the first {kept}, {SKIPPED} all")
            } else {
                String::new()
            };
            writeln!(f, "left out: {}{more}", self.skipped_in_all.max(kept))?;
            for skipped in self.skipped.iter().take(SHOWN_MAX) {
                writeln!(f, "  {}: {}", skipped.place, skipped.reason)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;

    #[test]
    fn more_is_counted_than_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::open(folder.path(), "a test", "here").unwrap();
        for part in 0..3 {
            let mut batch = Batch {
                cursor: part.to_string(),
                ..Batch::default()
            };
            for number in 0..4_000 {
                batch.skip(format!("file {part}.{number}"), "no certificate");
            }
            checkpoint.add(batch).unwrap();
        }
        let mut report = Report::new(&checkpoint, true);
        report.skip("store type", "cannot be read");
        report.write(&checkpoint, folder.path()).unwrap();
        let text = report.to_string();
        let said = "left out: 12001; report.json has the first 10000, skipped.jsonl all";
        assert!(text.contains(said), "{text}");
        let written = std::fs::read(folder.path().join("report.json")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["skipped_in_all"], 12_001);
        assert_eq!(written["skipped"].as_array().unwrap().len(), 10_000);
        let all = std::fs::read_to_string(folder.path().join(SKIPPED)).unwrap();
        assert_eq!(all.lines().count(), 12_000);
    }
}
