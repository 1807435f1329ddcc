//! The coverage of the interface: an operation may stand in the OpenAPI document only if tests have driven, on both databases, a
//! success and a refusal of it. (`testkit` writes the record: version, method, path, status, database.)

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Result, bail};

use crate::{document, say};

pub(super) fn check(record: &Path) -> Result<()> {
    let mut seen = HashSet::new();
    if record.exists() {
        for entry in std::fs::read_dir(record)? {
            for line in std::fs::read_to_string(entry?.path())?.lines() {
                let cells: Vec<&str> = line.split('\t').collect();
                if let [version, method, path, status, database] = cells[..] {
                    let class = status.chars().next().unwrap_or('?');
                    seen.insert(format!("{version} {method} {path} {class}xx {database}"));
                }
            }
        }
    }
    let operations = document::operations()?;
    let mut lacking = Vec::new();
    for operation in &operations {
        let name = format!(
            "{} {} {}",
            operation.version, operation.method, operation.path
        );
        for (class, what) in [("2xx", "a success"), ("4xx", "a refusal")] {
            let missing = ["sqlite", "postgres"]
                .into_iter()
                .filter(|database| !seen.contains(&format!("{name} {class} {database}")));
            let missing: Vec<&str> = missing.collect();
            if !missing.is_empty() {
                lacking.push(format!(
                    "version {name}: no test drives {what} on {}",
                    missing.join(" and ")
                ));
            }
        }
    }
    for line in &lacking {
        say(line)?;
    }
    if !lacking.is_empty() {
        bail!(
            "coverage of the interface: {} shortfalls in {} operations",
            lacking.len(),
            operations.len()
        );
    }
    say(format!(
        "coverage of the interface: success and refusal of all {} operations, on both databases",
        operations.len()
    ))
}
