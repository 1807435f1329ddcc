//! Where an agent may touch files.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// The files and folders of the agent's own configuration, and what is refused even there. The server cannot widen it.
#[derive(Clone, Debug, Default)]
pub struct AllowedPaths {
    allowed: Vec<PathBuf>,
    refused: Vec<PathBuf>,
}

impl AllowedPaths {
    /// `allowed`: files, or folders with all below them. `refused`: stronger than allowed; the agent's own state.
    pub fn new(allowed: Vec<PathBuf>, refused: Vec<PathBuf>) -> Self {
        Self { allowed, refused }
    }

    /// The real path behind `path`, if it is allowed. Every symbolic link is followed first, so that none can lead out
    /// of the allowed folders; the file itself need not exist, its folder must.
    ///
    /// # Errors
    /// [`Error::PathRefused`], naming the path and the reason.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let refuse = |reason: String| Error::PathRefused {
            path: path.to_owned(),
            reason,
        };
        if !path.is_absolute() {
            return Err(refuse("the path must be absolute".to_owned()));
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(refuse("the path must not contain '..'".to_owned()));
        }
        let real =
            real_path(path).map_err(|source| refuse(format!("cannot be resolved: {source}")))?;
        if real.is_dir() {
            return Err(refuse("is a folder, not a file".to_owned()));
        }
        if covers(&self.refused, &real) {
            return Err(refuse("belongs to the agent itself".to_owned()));
        }
        if !covers(&self.allowed, &real) {
            let reason = if real == path {
                "is not under allowed_paths of the agent's configuration".to_owned()
            } else {
                let real = real.display();
                format!(
                    "leads to {real}, which is not under allowed_paths of the agent's configuration"
                )
            };
            return Err(refuse(reason));
        }
        Ok(real)
    }
}

fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    // A link that leads nowhere counts as existing: writing through it would create its target somewhere.
    if path.symlink_metadata().is_ok() {
        return path.canonicalize();
    }
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let folder = path.parent().ok_or_else(missing)?.canonicalize()?;
    Ok(folder.join(path.file_name().ok_or_else(missing)?))
}

fn covers(roots: &[PathBuf], real: &Path) -> bool {
    // A root that does not exist yet covers by its name as written.
    roots
        .iter()
        .any(|root| real.starts_with(real_path(root).unwrap_or_else(|_| root.clone())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_real_paths_under_the_allowed_ones_pass() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["allowed", "allowed/state", "allowed-too", "outside"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        std::fs::write(root.join("outside/key.pem"), "x").unwrap();
        symlink(root.join("outside/key.pem"), root.join("allowed/link.pem")).unwrap();
        symlink(
            root.join("outside/nothing.pem"),
            root.join("allowed/dangling.pem"),
        )
        .unwrap();
        symlink(root.join("outside"), root.join("allowed/folder")).unwrap();
        symlink(
            root.join("allowed/site.pem"),
            root.join("outside/inward.pem"),
        )
        .unwrap();
        std::fs::write(root.join("allowed/site.pem"), "x").unwrap();
        let paths = AllowedPaths::new(vec![root.join("allowed")], vec![root.join("allowed/state")]);

        for good in ["allowed/new.pem", "allowed/site.pem"] {
            assert_eq!(paths.resolve(&root.join(good)).unwrap(), root.join(good));
        }
        assert_eq!(
            paths.resolve(&root.join("outside/inward.pem")).unwrap(),
            root.join("allowed/site.pem")
        );
        for bad in [
            "allowed-too/site.pem",
            "outside/key.pem",
            "allowed/link.pem",
            "allowed/dangling.pem",
            "allowed/folder/new.pem",
            "allowed/../outside/key.pem",
            "allowed/state/key.pem",
            "allowed/missing/site.pem",
            "allowed",
        ] {
            let error = paths.resolve(&root.join(bad)).unwrap_err().to_string();
            assert!(error.contains(bad.trim_end_matches('/')), "{error}");
        }
        assert!(paths.resolve(Path::new("allowed/site.pem")).is_err());
        assert!(
            AllowedPaths::default()
                .resolve(&root.join("allowed/site.pem"))
                .is_err()
        );
    }
}
