//! Setting up an empty data folder from a backup and the separately kept sealing key. Nothing gets its final name
//! before both have been opened together.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use app::{App, audit};
use secrets::KeyRing;

use super::{context, sqlite_file};
use crate::{config::Config, console::Console, data_dir, server};

/// How every SQLite file begins (sqlite.org/fileformat.html 1.3).
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";
/// The folder in which a restore works; one that was broken off leaves it behind, and the next one begins anew.
const STAGING: &str = "restoring";

pub(super) async fn run(
    config: &Config,
    from: &Path,
    sealing_key: &Path,
    console: &Console,
) -> anyhow::Result<()> {
    let Some(database) = sqlite_file(config) else {
        bail!(
            "the database is PostgreSQL: restore it with pg_restore, see docs/backup.md, then put the sealing key \
             at {}",
            config.sealing_key_file.display()
        );
    };
    for target in [&database, &config.sealing_key_file] {
        if target.symlink_metadata().is_ok() {
            bail!(
                "{} exists already: restore onto an empty data folder",
                target.display()
            );
        }
    }
    refuse_unless_empty(&config.data_dir)?;
    let ring = KeyRing::load(sealing_key)?;
    refuse_unless_sqlite(from)?;

    data_dir::prepare(&config.data_dir)?;
    let staging = Staging::new(config.data_dir.join(STAGING))?;
    let copy = staging.0.join("chancery.db");
    fs::copy(from, &copy).with_context(|| from.display().to_string())?;
    open_once(config, &staging.0, &copy, ring.clone()).await?;

    // The key first: a database without its key would get a new one at the next start, and be refused.
    if let Some(folder) = config.sealing_key_file.parent() {
        data_dir::prepare(folder)?;
    }
    ring.save(&config.sealing_key_file)?;
    if let Err(error) = move_into_place(&copy, &database) {
        // Without it the next attempt would find the folder in use.
        let _ = fs::remove_file(&config.sealing_key_file);
        return Err(error).with_context(|| database.display().to_string());
    }
    drop(staging);
    console.line(format_args!(
        "Restored {} into {}.",
        from.display(),
        config.data_dir.display()
    ));
    console.line(format_args!(
        "The sealing key {} fits it.",
        config.sealing_key_file.display()
    ));
    Ok(())
}

/// Opens the copy with the key, which migrates it and checks that the two belong together.
async fn open_once(
    config: &Config,
    folder: &Path,
    copy: &Path,
    ring: KeyRing,
) -> anyhow::Result<()> {
    let mut options = server::options(config, ring, config.public_url.as_deref());
    options.database_url = format!("sqlite:{}", copy.display());
    options.data_dir = folder.to_owned();
    let app = App::open_existing(options).await?;
    // Says so in the audit log, too: it goes on openly from where the backup ends.
    let recorded = audit::go_on_after_restore(&context(&app)).await;
    app.close().await;
    recorded?;
    // What is still in the log beside the file would stay behind.
    let mut log = copy.as_os_str().to_owned();
    log.push("-wal");
    match fs::metadata(&log) {
        Ok(metadata) if metadata.len() > 0 => bail!("{} was not folded back", copy.display()),
        _ => Ok(()),
    }
}

fn refuse_unless_empty(folder: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    for entry in entries {
        let name = entry?.file_name();
        if name != STAGING {
            bail!(
                "{} is not empty ({} is in it): restore onto an empty data folder",
                folder.display(),
                name.to_string_lossy()
            );
        }
    }
    Ok(())
}

fn refuse_unless_sqlite(file: &Path) -> anyhow::Result<()> {
    let named = || file.display().to_string();
    let mut header = [0; SQLITE_HEADER.len()];
    let mut opened = fs::File::open(file).with_context(named)?;
    let read = opened.read_exact(&mut header);
    if read.is_err() || header != *SQLITE_HEADER {
        bail!("{} is no SQLite database", file.display());
    }
    Ok(())
}

/// Renames, or copies where that leads to another file system; complete on disk before it has its name.
fn move_into_place(copy: &Path, target: &Path) -> std::io::Result<()> {
    let folder = target.parent().filter(|path| !path.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut nearby = target.as_os_str().to_owned();
    nearby.push(".restoring");
    let nearby = PathBuf::from(nearby);
    if fs::rename(copy, &nearby).is_err() {
        fs::copy(copy, &nearby)?;
    }
    fs::set_permissions(&nearby, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    fs::File::open(&nearby)?.sync_all()?;
    fs::rename(&nearby, target)?;
    fs::File::open(folder)?.sync_all()
}

/// A folder that goes away with the value.
struct Staging(PathBuf);

impl Staging {
    fn new(folder: PathBuf) -> anyhow::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        data_dir::prepare(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays behind is known by its name and cleared by the next attempt.
        let _ = fs::remove_dir_all(&self.0);
    }
}
