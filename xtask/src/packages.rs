//! What the tests need of Debian: PostgreSQL, nginx, openssl, Python's virtual environments, Node.js.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::say;

/// Something that the tests need.
pub(crate) struct Need {
    name: &'static str,
    is_there: fn() -> bool,
    /// Packages that bring it, the best first.
    packages: &'static [&'static str],
}

/// Everything.
pub(crate) const ALL: &[Need] = &[
    Need {
        name: "PostgreSQL",
        is_there: has_postgres,
        packages: &["postgresql-15", "postgresql"],
    },
    Need {
        name: "nginx",
        is_there: || on_path("nginx"),
        packages: &["nginx-light", "nginx"],
    },
    Need {
        name: "openssl",
        is_there: || on_path("openssl"),
        packages: &["openssl"],
    },
    Need {
        name: "Python with venv",
        is_there: has_venv,
        packages: &["python3-venv"],
    },
    // Reads the key stores that are written, and judges chains beside OpenSSL.
    Need {
        name: "Java with keytool and compiler",
        is_there: || on_path("keytool") && on_path("javac"),
        packages: &["default-jdk-headless", "openjdk-17-jdk-headless"],
    },
    // The OpenID provider of the tests runs on it.
    Need {
        name: "Node.js",
        is_there: || on_path("node"),
        packages: &["nodejs"],
    },
    Need {
        name: "npm",
        is_there: || on_path("npm"),
        packages: &["npm"],
    },
];

/// Installs what is missing, where that is possible.
pub(crate) fn install(needed: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needed.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let names = names.join(", ");
    if !is_root() || !on_path("apt-get") {
        let packages: Vec<&str> = missing
            .iter()
            .filter_map(|need| need.packages.last().copied())
            .collect();
        bail!(
            "the tests need {names}. Install them, on Debian as root: apt-get install {}",
            packages.join(" ")
        );
    }
    say(format!("installing {names}"))?;
    // A failure shows in what cannot be installed next.
    apt(&["update"]);
    for need in missing {
        let mut packages = need.packages.iter();
        let install =
            |package: &&str| apt(&["install", "--yes", "--no-install-recommends", package]);
        if !packages.any(|package| install(package) && (need.is_there)()) {
            bail!(
                "{} could not be installed: apt-get install {}",
                need.name,
                need.packages.join(" or ")
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
    crate::postgres::own_user_id() == Some(0)
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
pub(crate) fn postgres_folder() -> Option<PathBuf> {
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
