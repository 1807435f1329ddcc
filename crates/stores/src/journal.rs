//! The crash-safe journal: what a store's files were, until the new ones are proven.
//!
//! One file per job, `<job id>.json`, always replaced whole. Its phase alone decides what [`recover`] does:
//!
//! - no journal: nothing was changed;
//! - `Prepared`: the files may be old, new or a mix; the old ones are put back;
//! - `Finished`: the job is decided, the files are final, only its outcome is still to be reported.
//!
//! So the step from `Prepared` to `Finished` is the moment a change becomes real.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{Error, FileSystem, Outcome, Permissions, Result, file_system::Existing};

/// What [`recover`] found for one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// The job was cut off; its store is as it was before. The service may have read the new files: reload it by the
    /// profile, then [`forget`]. The job may be done again.
    Restored {
        /// The job.
        job_id: Uuid,
        /// The caller's words.
        note: String,
        /// Name of the profile to reload by.
        profile: Option<String>,
    },
    /// The job was done or had failed; report the outcome, then [`forget`]. The job must not be done again.
    Finished {
        /// The job.
        job_id: Uuid,
        /// The caller's words.
        note: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// The old files could not be put back; the journal stays, and the next [`recover`] tries again.
    Stuck {
        /// The job.
        job_id: Uuid,
        /// What is in the way.
        reason: String,
    },
}

/// Puts every interrupted operation right. To be called when an agent starts, before any job. Can be repeated, and
/// killed, at will. `.json.new` files are journals that never became valid and are removed.
///
/// # Errors
/// [`Error::Journal`] for a journal that cannot be understood, [`Error::File`] when the folder cannot be read.
pub fn recover(directory: &Path, file_system: &FileSystem) -> Result<Vec<Recovered>> {
    for torn in file_system.list(directory, ".json.new")? {
        file_system.remove(&torn)?;
    }
    let mut found = Vec::new();
    for path in file_system.list(directory, ".json")? {
        let Some(journal) = Journal::read(&path, file_system)? else {
            continue;
        };
        let Journal {
            job_id,
            note,
            profile,
            phase,
        } = journal;
        found.push(match phase {
            Phase::Finished { outcome } => Recovered::Finished {
                job_id,
                note,
                outcome,
            },
            Phase::Prepared { targets } => match restore(&targets, file_system) {
                Ok(()) => Recovered::Restored {
                    job_id,
                    note,
                    profile,
                },
                Err(error) => Recovered::Stuck {
                    job_id,
                    reason: error.to_string(),
                },
            },
        });
    }
    Ok(found)
}

/// Ends a job's journal, once its outcome is safely elsewhere. Absent is good. A journal whose old files could not be
/// put back stays: it holds the only copy of them.
///
/// # Errors
/// [`Error::File`], [`Error::Journal`].
pub fn forget(directory: &Path, job_id: Uuid, file_system: &FileSystem) -> Result<()> {
    let path = path_of(directory, job_id);
    let Some(journal) = Journal::read(&path, file_system)? else {
        return Ok(());
    };
    if let Phase::Prepared { targets } = &journal.phase
        && !is_restored(targets, file_system)?
    {
        return Ok(());
    }
    file_system.remove(&path)?;
    file_system.sync_folder_of(&path)
}

/// Drops journals of other jobs that were stuck on one of these files: a newer operation starts from the files as they
/// are now, and must not be undone by an older one at the next start.
pub(crate) fn supersede(
    directory: &Path,
    job_id: Uuid,
    targets: &[Target],
    file_system: &FileSystem,
) -> Result<()> {
    for path in file_system.list(directory, ".json")? {
        let Some(journal) = Journal::read(&path, file_system)? else {
            continue;
        };
        let Phase::Prepared { targets: theirs } = &journal.phase else {
            continue;
        };
        let overlaps = theirs
            .iter()
            .any(|their| targets.iter().any(|our| our.path == their.path));
        if journal.job_id != job_id && overlaps {
            file_system.remove(&path)?;
        }
    }
    Ok(())
}

/// The journal of one job.
#[derive(Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) job_id: Uuid,
    pub(crate) note: String,
    pub(crate) profile: Option<String>,
    pub(crate) phase: Phase,
}

/// How far a job is.
#[derive(Serialize, Deserialize)]
pub(crate) enum Phase {
    /// The files may be touched.
    Prepared { targets: Vec<Target> },
    /// The files are final. No backup is kept: it may hold a private key.
    Finished { outcome: Outcome },
}

/// One file that is swapped.
#[derive(Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    pub(crate) temporary: PathBuf,
    old: Option<OldFile>,
    new_sha256: String,
}

#[derive(Serialize, Deserialize)]
struct OldFile {
    contents_base64: Zeroizing<String>,
    mode: u32,
    user: u32,
    group: u32,
}

impl Target {
    /// A file at its old and its new contents; the temporary name is told by job, so that a left-over is found.
    pub(crate) fn new(path: &Path, old: Option<&Existing>, new: &[u8], job_id: Uuid) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self {
            path: path.to_owned(),
            temporary: path.with_file_name(format!(".{name}.{job_id}.new")),
            old: old.map(|existing| {
                let (user, group) = existing.permissions.owner.unwrap_or_default();
                let contents_base64 = Zeroizing::new(STANDARD.encode(&existing.contents));
                OldFile {
                    contents_base64,
                    mode: existing.permissions.mode,
                    user,
                    group,
                }
            }),
            new_sha256: sha256(new),
        }
    }

    fn old_contents(&self) -> Result<Option<(Zeroizing<Vec<u8>>, Permissions)>> {
        let Some(old) = &self.old else {
            return Ok(None);
        };
        let contents = STANDARD
            .decode(old.contents_base64.as_bytes())
            .map_err(|error| {
                let reason = format!("the backup is damaged: {error}");
                Error::Journal {
                    path: self.path.clone(),
                    reason,
                }
            })?;
        let permissions = Permissions {
            mode: old.mode,
            owner: Some((old.user, old.group)),
        };
        Ok(Some((Zeroizing::new(contents), permissions)))
    }
}

impl Journal {
    fn read(path: &Path, file_system: &FileSystem) -> Result<Option<Self>> {
        let Some(existing) = file_system.read(path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&existing.contents)
            .map(Some)
            .map_err(|error| Error::Journal {
                path: path.to_owned(),
                reason: error.to_string(),
            })
    }

    /// Makes this the journal of its job, durably.
    pub(crate) fn write(&self, directory: &Path, file_system: &FileSystem) -> Result<()> {
        file_system.create_folder(directory)?;
        let path = path_of(directory, self.job_id);
        let text = serde_json::to_vec(self)
            .map(Zeroizing::new)
            .map_err(|error| Error::Journal {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        file_system.replace(&path, &text, Permissions::SECRET)
    }
}

/// Puts the old files back and removes the temporary ones.
///
/// Files that are neither old nor new were changed by somebody else after the crash; then nothing is touched, as half
/// of theirs and half of ours would be worse.
pub(crate) fn restore(targets: &[Target], file_system: &FileSystem) -> Result<()> {
    let mut to_restore = Vec::new();
    for target in targets {
        let current = file_system
            .read(&target.path)?
            .map(|existing| existing.contents);
        let old = target.old_contents()?;
        let is_old = current.as_ref() == old.as_ref().map(|(contents, _)| contents);
        let is_new = current
            .as_ref()
            .is_some_and(|bytes| sha256(bytes) == target.new_sha256);
        if !is_old && !is_new {
            let path = target.path.display();
            return Err(Error::Store(format!(
                "{path} was changed by somebody else in the meantime; nothing was restored"
            )));
        }
        if !is_old {
            to_restore.push((target, old));
        }
    }
    for target in targets {
        file_system.remove(&target.temporary)?;
    }
    for (target, old) in to_restore {
        match old {
            Some((contents, permissions)) => {
                file_system.write_temporary(&target.temporary, &contents, permissions)?;
                file_system.rename(&target.temporary, &target.path)?;
            }
            None => file_system.remove(&target.path)?,
        }
        file_system.sync_folder_of(&target.path)?;
    }
    Ok(())
}

fn is_restored(targets: &[Target], file_system: &FileSystem) -> Result<bool> {
    for target in targets {
        let current = file_system
            .read(&target.path)?
            .map(|existing| existing.contents);
        if current != target.old_contents()?.map(|(contents, _)| contents) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn path_of(directory: &Path, job_id: Uuid) -> PathBuf {
    directory.join(format!("{job_id}.json"))
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(folder: &Path, job_id: Uuid, old: Option<&[u8]>, new: &[u8]) -> PathBuf {
        let path = folder.join("site.pem");
        if let Some(old) = old {
            std::fs::write(&path, old).unwrap();
        }
        let existing = FileSystem.read(&path).unwrap();
        let target = Target::new(&path, existing.as_ref(), new, job_id);
        let phase = Phase::Prepared {
            targets: vec![target],
        };
        let journal = Journal {
            job_id,
            note: "n".into(),
            profile: Some("p".into()),
            phase,
        };
        journal.write(&folder.join("journal"), &FileSystem).unwrap();
        path
    }

    #[test]
    fn an_interrupted_change_is_undone_and_doing_so_twice_is_the_same() {
        for old in [None, Some(b"old".as_slice())] {
            let folder = tempfile::tempdir().unwrap();
            let job_id = Uuid::from_u128(7);
            let journal = folder.path().join("journal");
            let path = prepared(folder.path(), job_id, old, b"new");
            std::fs::write(&path, b"new").unwrap();
            for _ in 0..2 {
                let found = recover(&journal, &FileSystem).unwrap();
                let (note, profile) = ("n".to_owned(), Some("p".to_owned()));
                assert_eq!(
                    found,
                    [Recovered::Restored {
                        job_id,
                        note,
                        profile
                    }]
                );
                assert_eq!(std::fs::read(&path).ok().as_deref(), old);
            }
            forget(&journal, job_id, &FileSystem).unwrap();
            forget(&journal, job_id, &FileSystem).unwrap();
            assert_eq!(recover(&journal, &FileSystem).unwrap(), []);
        }
    }

    #[test]
    fn what_somebody_else_wrote_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = prepared(folder.path(), Uuid::nil(), Some(b"old"), b"new");
        std::fs::write(&path, b"by hand").unwrap();
        let found = recover(&folder.path().join("journal"), &FileSystem).unwrap();
        assert!(
            matches!(&found[..], [Recovered::Stuck { reason, .. }] if reason.contains("site.pem"))
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"by hand");
    }

    #[test]
    fn a_journal_that_is_still_needed_is_not_forgotten_until_a_newer_job_takes_over() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("journal");
        let path = prepared(folder.path(), Uuid::nil(), Some(b"old"), b"new");
        std::fs::write(&path, b"new").unwrap();
        forget(&directory, Uuid::nil(), &FileSystem).unwrap();
        assert!(path_of(&directory, Uuid::nil()).exists());
        let newer = Target::new(&path, None, b"newer", Uuid::from_u128(1));
        supersede(&directory, Uuid::from_u128(1), &[newer], &FileSystem).unwrap();
        assert!(!path_of(&directory, Uuid::nil()).exists());
    }

    #[test]
    fn a_torn_journal_goes_and_a_garbled_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json.new"), b"{").unwrap();
        assert_eq!(recover(folder.path(), &FileSystem).unwrap(), []);
        assert!(!folder.path().join("a.json.new").exists());
        std::fs::write(folder.path().join("b.json"), b"{").unwrap();
        let error = recover(folder.path(), &FileSystem).unwrap_err().to_string();
        assert!(error.contains("b.json"), "{error}");
        assert_eq!(
            recover(&folder.path().join("missing"), &FileSystem).unwrap(),
            []
        );
    }
}
