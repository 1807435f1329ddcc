//! What the tests need of Debian: PostgreSQL, nginx, openssl, Python's virtual environments.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::say;

/// What is needed: how to see that it is there, and the packages that bring it, the first that exists.
const NEEDED: &[(&str, fn() -> bool, &[&str])] = &[
    ("PostgreSQL", has_postgres, &["postgresql-15", "postgresql"]),
    ("nginx", || on_path("nginx"), &["nginx-light", "nginx"]),
    ("openssl", || on_path("openssl"), &["openssl"]),
    ("Python with venv", has_venv, &["python3-venv"]),
];

/// Installs what is missing, where that is possible.
pub(super) fn install() -> Result<()> {
    let missing: Vec<_> = NEEDED.iter().filter(|(_, there, _)| !there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(name, ..)| *name).collect();
    let packages: Vec<&str> = missing
        .iter()
        .filter_map(|(.., packages)| packages.last().copied())
        .collect();
    if !is_root() || !on_path("apt-get") {
        bail!(
            "the tests need {}. Install them, on Debian as root: apt-get install {}",
            names.join(", "),
            packages.join(" ")
        );
    }
    say(format!("installing {}", names.join(", ")))?;
    // A failure shows in what cannot be installed next.
    apt(&["update"]);
    for (name, there, packages) in missing {
        let installed = packages.iter().any(|package| {
            apt(&["install", "--yes", "--no-install-recommends", package]) && there()
        });
        if !installed {
            bail!(
                "{name} could not be installed: apt-get install {}",
                packages.join(" or ")
            );
        }
    }
    Ok(())
}

fn apt(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    // Services of the packages are not wanted: the tests start their own.
    command
        .arg("--quiet")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    super::postgres::own_user_id() == Some(0)
}

/// Whether a program can be called. Services live in `sbin`, which people other than root do not have on their path.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders
        .into_iter()
        .any(|folder| folder.join(program).is_file())
}

fn has_postgres() -> bool {
    postgres_folder().is_some()
}

fn has_venv() -> bool {
    let mut command = Command::new("python3");
    command
        .args(["-c", "import venv, ensurepip"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The folder of PostgreSQL's programs: the newest of Debian's, or wherever they are on the path.
pub(super) fn postgres_folder() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|folder| has_programs(folder))
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found
        .pop()
        .or_else(|| std::env::split_paths(&path).find(|folder| has_programs(folder)))
}

fn has_programs(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}
