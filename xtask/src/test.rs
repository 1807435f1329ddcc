//! `cargo xtask test`: everything, on both databases.

mod coverage;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{cargo, packages, postgres, say, target};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let started = Instant::now();
    packages::install(packages::ALL)?;
    let record = target().join("coverage-of-the-interface");
    drop(std::fs::remove_dir_all(&record));
    let files = files();
    let server = postgres::Server::start(&postgres::roomy_folder(), false)?;
    let mut command = cargo();
    command
        .args(["test", "--no-fail-fast"])
        .env("CHANCERY_TEST_POSTGRES", server.address())
        .env("CHANCERY_TEST_FOLDER", &files)
        .env("CHANCERY_COVERAGE_DIR", &record);
    let names_packages = arguments
        .iter()
        .any(|argument| argument == "-p" || argument.starts_with("--package"));
    if !names_packages {
        command.arg("--workspace");
    }
    let tally = counted(command.args(arguments))?;
    drop(server);
    drop(std::fs::remove_dir_all(&files));
    // Where nothing ran, nothing is covered, and the list would only hide why.
    let covered = if arguments.is_empty() && tally.passed > 0 {
        coverage::check(&record)
    } else {
        Ok(())
    };
    say(format!(
        "{} passed, {} failed, {} ignored; {} s",
        tally.passed,
        tally.failed,
        tally.ignored,
        started.elapsed().as_secs()
    ))?;
    if !tally.success {
        bail!("tests failed");
    }
    covered
}

/// The beginning of the names of folders for SQLite files; the process's id follows.
const FILES: &str = "chancery-files-";

/// A folder for SQLite files: in memory where there is room, since tests make many and sync each. Those of runs that were
/// killed go.
fn files() -> PathBuf {
    let place = postgres::roomy_folder();
    for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(FILES);
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
    let folder = place.join(format!("{FILES}{}", std::process::id()));
    drop(std::fs::create_dir_all(&folder));
    folder
}

#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    success: bool,
}

/// Runs the tests, shows what they print, and adds up their result lines.
fn counted(command: &mut std::process::Command) -> Result<Tally> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo test")?;
    let mut tally = Tally::default();
    let output = child.stdout.take().context("the output of cargo test")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        say(&line)?;
        if line.starts_with("test result: ") {
            tally.passed += number_before(&line, " passed");
            tally.failed += number_before(&line, " failed");
            tally.ignored += number_before(&line, " ignored");
        }
    }
    let status = child.wait()?;
    tally.success = status.success();
    if !tally.success {
        say(format!("cargo test: {status}"))?;
    }
    Ok(tally)
}

fn number_before(line: &str, word: &str) -> u64 {
    let before = line.split_once(word).map_or("", |(before, _)| before);
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(number_before(line, " passed"), 12);
        assert_eq!(number_before(line, " failed"), 3);
        assert_eq!(number_before("nothing", " failed"), 0);
    }
}
