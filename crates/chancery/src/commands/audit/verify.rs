//! Checking an export: no database, no server, no configuration.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use clap::ArgMatches;
use transparency::{Checkpoint, ExportReader, Report, Verifier, to_base64};

use super::super::Failure;
use crate::console::Console;

/// Longest line that is read, in octets: far above any record, and it keeps a wrong file from filling the memory.
const LINE_MAX: usize = 64 * 1024 * 1024;

pub(super) fn run(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    let path = |name: &str| matches.get_one::<PathBuf>(name);
    let file = path("file").ok_or_else(|| Failure::usage(anyhow!("FILE is missing")))?;
    let key = matches.get_one::<String>("key");
    let verifier = key
        .context("--key is missing")
        .and_then(|key| verifier(key))
        .map_err(Failure::usage)?;
    let earlier = path("checkpoint")
        .map(|path| earlier(path, &verifier))
        .transpose()
        .map_err(Failure::usage)?;
    let reader = read(file, ExportReader::new(verifier, earlier.clone()))
        .with_context(|| file.display().to_string())?;
    match reader.finish() {
        Ok(report) => {
            tell(console, &report, earlier.as_ref());
            Ok(())
        }
        Err(findings) => {
            for finding in &findings {
                console.error(format_args!("{}: {finding}", file.display()));
            }
            Err(anyhow!("the audit log was tampered with, or the file is not all of it").into())
        }
    }
}

fn verifier(key: &str) -> anyhow::Result<Verifier> {
    let text = match std::fs::read_to_string(key) {
        Ok(text) => text,
        // A key is no path that exists; its own complaint says more than that of the file system.
        Err(_) => key.to_owned(),
    };
    Verifier::parse(&text).context("--key")
}

fn earlier(path: &Path, verifier: &Verifier) -> anyhow::Result<Checkpoint> {
    let named = || format!("--checkpoint {}", path.display());
    let note = std::fs::read_to_string(path).with_context(named)?;
    Checkpoint::open(&note, verifier).with_context(named)
}

fn read(file: &Path, mut reader: ExportReader) -> anyhow::Result<ExportReader> {
    let mut input = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut line = Vec::with_capacity(1 << 16);
    loop {
        line.clear();
        let read = std::io::Read::take(&mut input, LINE_MAX as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(reader);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        reader.line(&line);
    }
}

fn tell(console: &Console, report: &Report, earlier: Option<&Checkpoint>) {
    console.line(format_args!(
        "Every one of the {} records is the one that was signed.",
        report.size
    ));
    console.line(format_args!("Log: {}", report.origin));
    console.line(format_args!("Root: {}", to_base64(&report.root)));
    if report.pruned > 0 {
        console.line(format_args!(
            "The bodies of {} records were pruned, as the log says; their hashes are proven.",
            report.pruned
        ));
    }
    if let Some(earlier) = earlier {
        console.line(format_args!(
            "It begins with the {} records of the earlier checkpoint.",
            earlier.size
        ));
    }
    for size in &report.restored {
        console.line(format_args!(
            "Restored from a backup at {size} records: what came after those at the time was lost then."
        ));
    }
}
