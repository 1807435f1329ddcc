//! The folder for what the server keeps, and the files in it that hold secrets.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::Context as _;
use secrets::KeyRing;

/// Makes the folder if it is missing, readable by its owner only. An existing one keeps its mode: whoever made it
/// may have had reasons.
///
/// # Errors
/// Names the folder.
pub fn prepare(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("data_dir: cannot make the folder {}", folder.display()))
}

/// The sealing keys from their file; at the first start a fresh key is written there.
///
/// Whether a fresh key fits a database that exists already is for the opener of the database to find out.
///
/// # Errors
/// Names the file: not readable, readable by others, damaged.
pub fn key_ring(file: &Path) -> anyhow::Result<KeyRing> {
    let named = || format!("sealing_key_file: {}", file.display());
    match file.try_exists().with_context(named)? {
        true => KeyRing::load(file).with_context(named),
        false => {
            if let Some(folder) = file.parent() {
                prepare(folder).with_context(named)?;
            }
            let ring = KeyRing::create(file).with_context(named)?;
            tracing::info!(file = %file.display(), "made a sealing key; keep a copy apart from the backups");
            Ok(ring)
        }
    }
}

/// Replaces `file` in one step, so that a reader sees the old content or the new, and so does whoever looks after a
/// loss of power.
///
/// # Errors
/// What the system says; the old content is still there.
pub fn replace(file: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    // Left behind by a process that was killed; its mode may be another.
    let _ = std::fs::remove_file(&temporary);
    let mut written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    written.write_all(content)?;
    written.sync_all()?;
    std::fs::rename(&temporary, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_sealing_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/b");
        prepare(&data).unwrap();
        prepare(&data).unwrap();
        assert_eq!(mode(&data), 0o700);
        let file = folder.path().join("keys/sealing.key");
        let first = key_ring(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(key_ring(&file).unwrap().primary_id(), first.primary_id());

        std::fs::write(&file, "nonsense").unwrap();
        let error = format!("{:#}", key_ring(&file).unwrap_err());
        assert!(
            error.starts_with(&format!("sealing_key_file: {}", file.display())),
            "{error}"
        );
    }

    #[test]
    fn a_file_is_replaced_with_the_mode_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.key");
        std::fs::write(folder.path().join("server.key.new"), "left behind").unwrap();
        replace(&file, b"one", 0o600).unwrap();
        replace(&file, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(mode(&file), 0o600);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
