//! The only way to the disk. Every operation that changes something is a named, counted step.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{Error, Result};

/// Larger files are refused: no certificate store of ours is that large, and all of it is held in memory.
pub(crate) const FILE_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// File operations with names. Reading is no step: a kill before it equals a kill before the next change.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

/// Who owns a file and who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Mode bits.
    pub mode: u32,
    /// Owner and group; none = whoever creates it.
    pub owner: Option<(u32, u32)>,
}

impl Permissions {
    /// For a new file with secrets: 0600.
    pub const SECRET: Self = Self {
        mode: 0o600,
        owner: None,
    };
    /// For a new file without secrets: 0644.
    pub const PUBLIC: Self = Self {
        mode: 0o644,
        owner: None,
    };
}

/// What a file holds and whose it is.
pub struct Existing {
    /// Its bytes; may be a key.
    pub contents: Zeroizing<Vec<u8>>,
    /// Its mode and owner.
    pub permissions: Permissions,
}

impl FileSystem {
    /// Reads a file; none if it does not exist.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, is no regular file or is larger than 32 MiB.
    pub fn read(&self, path: &Path) -> Result<Option<Existing>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", path, error)),
        };
        let metadata = file
            .metadata()
            .map_err(|error| failed("examine", path, error))?;
        if !metadata.is_file() {
            return Err(failed("read", path, ErrorKind::InvalidInput.into()));
        }
        if metadata.len() > FILE_MAX_BYTES {
            return Err(failed("read", path, ErrorKind::FileTooLarge.into()));
        }
        // Reserved at once, so that growing leaves no copies of a key behind.
        let mut contents = Zeroizing::new(Vec::with_capacity(
            usize::try_from(metadata.len()).unwrap_or(0) + 1,
        ));
        file.read_to_end(&mut contents)
            .map_err(|error| failed("read", path, error))?;
        let permissions = Permissions {
            mode: metadata.mode() & 0o7777,
            owner: Some((metadata.uid(), metadata.gid())),
        };
        Ok(Some(Existing {
            contents,
            permissions,
        }))
    }

    /// Makes a folder, and those above it, for the agent alone (0700).
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn create_folder(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.step("create folder", path);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed("create the folder", path, error))
    }

    /// Writes a file so that after a crash it holds either the old or the new bytes: temporary file beside it, sync,
    /// rename, sync of the folder.
    ///
    /// # Errors
    /// [`Error::File`]; the old file is then still in place.
    pub fn replace(&self, path: &Path, contents: &[u8], permissions: Permissions) -> Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let temporary = path.with_file_name(name);
        self.write_temporary(&temporary, contents, permissions)?;
        self.rename(&temporary, path)?;
        self.sync_folder_of(path)
    }

    /// Writes and syncs a file that must not be there yet; a left-over of an earlier try is removed first. Mode and
    /// owner are set before the first byte is in it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write_temporary(
        &self,
        path: &Path,
        contents: &[u8],
        permissions: Permissions,
    ) -> Result<()> {
        self.remove(path)?;
        self.step("create", path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| failed("create", path, error))?;
        self.step("set owner and mode", path);
        if let Some((user, group)) = permissions.owner {
            let current = file
                .metadata()
                .map_err(|error| failed("examine", path, error))?;
            if (current.uid(), current.gid()) != (user, group) {
                fchown(&file, Some(user), Some(group))
                    .map_err(|error| failed("keep the owner of", path, error))?;
            }
        }
        file.set_permissions(fs::Permissions::from_mode(permissions.mode))
            .map_err(|error| failed("set the mode of", path, error))?;
        self.step("write", path);
        file.write_all(contents)
            .map_err(|error| failed("write", path, error))?;
        self.step("sync", path);
        file.sync_all().map_err(|error| failed("sync", path, error))
    }

    /// Renames a file over another.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step("rename", to);
        fs::rename(from, to).map_err(|error| failed("replace", to, error))
    }

    /// Makes renames and removals in the folder of `path` durable.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn sync_folder_of(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        self.step("sync folder", folder);
        File::open(folder)
            .and_then(|file| file.sync_all())
            .map_err(|error| failed("sync the folder", folder, error))
    }

    /// Removes a file; absent is good.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(&self, path: &Path) -> Result<()> {
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        self.step("remove", path);
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path, error)),
            _ => Ok(()),
        }
    }

    /// Files of a folder whose names end so, sorted; none if there is no such folder.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn list(&self, folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", folder, error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", folder, error))?;
            if entry.file_name().to_string_lossy().ends_with(ending) {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }

    #[cfg(any(test, feature = "killpoints"))]
    fn step(&self, name: &'static str, path: &Path) {
        crate::killpoints::step(name, path);
    }

    #[cfg(not(any(test, feature = "killpoints")))]
    fn step(&self, _name: &'static str, _path: &Path) {}
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_keeps_nothing_but_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        FileSystem
            .replace(&path, b"one", Permissions::SECRET)
            .unwrap();
        FileSystem
            .replace(&path, b"two", Permissions::SECRET)
            .unwrap();
        let existing = FileSystem.read(&path).unwrap().unwrap();
        assert_eq!(existing.contents.as_slice(), b"two");
        assert_eq!(existing.permissions.mode, 0o600);
        assert_eq!(FileSystem.list(folder.path(), "").unwrap(), vec![path]);
    }

    #[test]
    fn a_file_above_the_limit_is_refused_and_one_at_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.pem");
        let file = File::create(&path).unwrap();
        file.set_len(FILE_MAX_BYTES).unwrap();
        assert!(FileSystem.read(&path).is_ok());
        file.set_len(FILE_MAX_BYTES + 1).unwrap();
        assert!(FileSystem.read(&path).is_err());
    }

    #[test]
    fn absent_is_none_and_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            FileSystem
                .read(&folder.path().join("nothing"))
                .unwrap()
                .is_none()
        );
        assert!(FileSystem.read(folder.path()).is_err());
    }
}
