//! Our OpenAPI documents, as the built program prints them.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{cargo, succeed, target};

/// One operation.
pub(crate) struct Operation {
    pub(crate) version: u8,
    /// In upper case.
    pub(crate) method: String,
    /// The template, without the base.
    pub(crate) path: String,
    /// What the caller needs; `None` when the document does not say.
    pub(crate) permissions: Option<Vec<String>>,
}

/// Builds the program, and the tests with it: the same crates with other features are other crates to cargo, so building the
/// program alone would compile most of the dependencies a second time.
pub(crate) fn build() -> Result<()> {
    succeed(cargo().args(["test", "--quiet", "--workspace", "--no-run"]))
}

/// The document of one version, as text. The program has to be built.
pub(crate) fn text(version: u8) -> Result<String> {
    let program = target().join("debug/chancery");
    let output = Command::new(&program)
        .args(["openapi", "--api-version", &version.to_string()])
        .output()
        .with_context(|| program.display().to_string())?;
    if !output.status.success() {
        bail!(
            "{} openapi: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Every operation of both versions.
pub(crate) fn operations() -> Result<Vec<Operation>> {
    let mut found = Vec::new();
    for version in [1, 2] {
        let document: Value = serde_json::from_str(&text(version)?)?;
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if ["get", "post", "put", "delete", "patch"].contains(&method.as_str()) {
                    let permissions = operation["x-permissions"].as_array();
                    found.push(Operation {
                        version,
                        method: method.to_ascii_uppercase(),
                        path: path.clone(),
                        permissions: permissions.map(|list| {
                            list.iter()
                                .map(|entry| {
                                    entry
                                        .as_str()
                                        .map_or_else(|| entry.to_string(), str::to_owned)
                                })
                                .collect()
                        }),
                    });
                }
            }
        }
    }
    Ok(found)
}
