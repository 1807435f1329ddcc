//! The project's own commands: `cargo xtask <command>`.

mod bench;
mod document;
mod fuzz;
mod openapi_check;
mod packages;
mod postgres;
mod routes;
mod test;
mod tidy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask test [-- CARGO_TEST_ARGUMENTS]  all tests, on SQLite and on a private PostgreSQL; then the coverage of the interface.
                                            With arguments: only what they name, without the coverage.
cargo xtask bench [-- ARGUMENTS]            the benchmarks on both databases, as JSON; with `table`, a table too
cargo xtask fuzz TARGET [--seconds N] [--seed N]
                                            a decoder of the pki crate under mutated inputs; an unknown target lists them
cargo xtask routes                          method, path, file and line, permissions of every operation
cargo xtask tidy                            who knows whom, file lengths, forbidden words, documents that mirror code
cargo xtask openapi-check [ARGUMENTS]       our OpenAPI documents against the contract, where ../shared is present";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.filter(|argument| argument != "--").collect();
    let done = match command.as_str() {
        "test" => test::run(&rest),
        "bench" => bench::run(&rest),
        "fuzz" => fuzz::run(&rest),
        "routes" => routes::run(),
        "tidy" => tidy::run(),
        "openapi-check" => openapi_check::run(&rest),
        "" | "help" | "--help" | "-h" => say(USAGE),
        other => Err(anyhow::anyhow!("there is no command {other:?}\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line of the command's own output.
fn say(text: impl AsRef<str>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.as_ref())?;
    Ok(out.flush()?)
}

/// The workspace's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Cargo, in the workspace's folder.
fn cargo() -> std::process::Command {
    let mut command =
        std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Fails when a command did.
fn succeed(command: &mut std::process::Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| anyhow::anyhow!("{command:?}: {error}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}

/// Every Rust file below a folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
