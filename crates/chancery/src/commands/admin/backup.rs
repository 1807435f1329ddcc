//! Copying an SQLite database while it is in use.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use app::sealing;
use aws_lc_rs::digest::{Context, SHA256};

use super::{context, open_existing, sqlite_file};
use crate::{config::Config, console::Console};

pub(super) async fn run(config: &Config, to: &Path, console: &Console) -> anyhow::Result<()> {
    if sqlite_file(config).is_none() {
        bail!(
            "the database is PostgreSQL: back it up with pg_dump --format=custom, see docs/backup.md; \
             keep the sealing key {} apart from it",
            config.sealing_key_file.display()
        );
    }
    if to.symlink_metadata().is_ok() {
        bail!("{} exists already and is not overwritten", to.display());
    }
    let app = open_existing(config).await?;
    let copied = async {
        sealing::record_backup(&context(&app)).await?;
        let partial = partial(to);
        // Left behind by a backup that was broken off.
        let _ = fs::remove_file(&partial);
        // Made here, so that nobody else may read it from its first byte on.
        let options = OpenOptions::new().write(true).create_new(true).to_owned();
        drop(options.open(&partial).with_context(|| named(&partial))?);
        fs::set_permissions(&partial, Permissions::from_mode(0o600))?;
        app.db().backup_to(&partial).await?;
        finish(&partial, to).with_context(|| named(to))
    };
    let copied: anyhow::Result<()> = copied.await;
    app.close().await;
    copied?;
    let (bytes, sha256) = digest(to).with_context(|| named(to))?;
    console.line(format_args!("Backup: {} ({bytes} bytes)", to.display()));
    console.line(format_args!("SHA-256: {sha256}"));
    console.line(format_args!(
        "The sealing key is not part of it. Without a copy of {}, kept apart from the backup, private keys and \
         passwords in it cannot be opened.",
        config.sealing_key_file.display()
    ));
    Ok(())
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Gives a complete file its name, without taking the place of another.
fn finish(partial: &Path, to: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    fs::hard_link(partial, to)?;
    fs::remove_file(partial)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn digest(file: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(file)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
        bytes += read as u64;
    }
    let hex =
        context
            .finish()
            .as_ref()
            .iter()
            .fold(String::with_capacity(64), |mut text, octet| {
                text.push_str(&format!("{octet:02x}"));
                text
            });
    Ok((bytes, hex))
}

fn named(path: &Path) -> String {
    path.display().to_string()
}
