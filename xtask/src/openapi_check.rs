//! `cargo xtask openapi-check`: our OpenAPI documents against the contract, which lies beside the repository where it is present.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{document, root, say, target};

/// How much of the contract is complete at least, a line for each version: `1 12.5`. It only grows.
const MINIMUM: &str = ".ci/contract-minimum";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let script = shared().join("contract/check.py");
    if !script.exists() {
        return say(format!(
            "openapi-check: skipped, {} is not here",
            script.display()
        ));
    }
    document::build()?;
    let minimum = std::fs::read_to_string(root().join(MINIMUM)).context(MINIMUM)?;
    let mut failed = false;
    for version in ["1", "2"] {
        let file = target().join(format!("openapi-v{version}.json"));
        std::fs::write(&file, document::text(if version == "2" { 2 } else { 1 })?)?;
        let least = minimum
            .lines()
            .find_map(|line| line.strip_prefix(version)?.trim().parse::<f64>().ok())
            .with_context(|| format!("{MINIMUM}: no line for version {version}"))?;
        let output = Command::new("python3")
            .arg(&script)
            .arg(&file)
            .args(["--api-version", version, "--min", &least.to_string()])
            .args(arguments)
            .output()
            .context("python3")?;
        let text = String::from_utf8_lossy(&output.stdout);
        // Without arguments the totals say enough.
        let lines: Vec<&str> = text.lines().collect();
        let from = if arguments.is_empty() {
            lines.len().saturating_sub(2)
        } else {
            0
        };
        for line in &lines[from..] {
            say(format!("version {version}: {line}"))?;
        }
        if !output.status.success() {
            failed = true;
            let reason = String::from_utf8_lossy(&output.stderr);
            say(format!(
                "version {version}: below the minimum of {least} %, or wrong. {}",
                reason.trim()
            ))?;
        }
    }
    if failed {
        bail!(
            "the contract's share shrank; `cargo xtask openapi-check --list` shows each shortfall"
        );
    }
    Ok(())
}

/// The folder beside the repository that holds the contract.
fn shared() -> PathBuf {
    std::env::var_os("CHANCERY_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from)
}
