//! `cargo xtask tidy`: what the architecture says and no compiler checks.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{root, rust_files, say};

/// Who may know whom, outside tests (ARCHITECTURE.md).
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("pki", &[]),
    ("search", &[]),
    ("agent-protocol", &[]),
    ("transparency", &[]),
    ("secrets", &["pki"]),
    ("db", &[]),
    ("egress", &[]),
    ("jobs", &["db"]),
    ("ca", &["pki", "secrets"]),
    ("stores", &["pki", "secrets"]),
    ("agent", &["stores", "agent-protocol", "pki"]),
    ("importer", &["pki"]),
    (
        "app",
        &[
            "transparency",
            "pki",
            "search",
            "agent-protocol",
            "secrets",
            "db",
            "egress",
            "jobs",
            "ca",
        ],
    ),
    (
        "chancery",
        &[
            "transparency",
            "pki",
            "search",
            "agent-protocol",
            "secrets",
            "db",
            "egress",
            "jobs",
            "ca",
            "stores",
            "agent",
            "importer",
            "app",
        ],
    ),
    (
        "bench",
        &[
            "transparency",
            "pki",
            "search",
            "agent-protocol",
            "secrets",
            "db",
            "egress",
            "jobs",
            "ca",
            "stores",
            "agent",
            "app",
            "chancery",
        ],
    ),
    (
        "testkit",
        &[
            "transparency",
            "pki",
            "search",
            "agent-protocol",
            "secrets",
            "db",
            "egress",
            "jobs",
            "ca",
            "stores",
            "agent",
            "app",
        ],
    ),
];
/// Libraries that only some crates may know: HTTP serving and databases.
const KEPT: &[(&str, &[&str])] = &[
    ("axum", &["app", "chancery", "testkit"]),
    ("utoipa", &["app", "chancery"]),
    ("sea-orm", &["db", "jobs", "app", "testkit", "bench"]),
    ("sqlx", &["db", "jobs", "importer", "testkit"]),
    // A server that connects to where somebody tells it to does so through `egress`, which guards the way. The others
    // are clients of a server that their operator names: the agent, the quickstart (in `chancery`), the benchmarks, the importer.
    (
        "reqwest",
        &["egress", "agent", "importer", "chancery", "bench"],
    ),
    ("hyper-rustls", &[]),
];
/// Folders of crates in [`KEPT`] that may use a library where the rest of their crate may not: `chancery` is a client in
/// the quickstart alone, its `serve` is the server.
const KEPT_IN: &[(&str, &str, &[&str])] = &[(
    "reqwest",
    "crates/chancery/src/",
    &[
        "crates/chancery/src/quickstart/",
        "crates/chancery/src/listener/tests.rs",
    ],
)];
/// Lines of a file; above, its head (the `//!` lines) says why with [`LONG`].
const LINES_MAX: usize = 500;
/// The same for files of tests, whose length follows that of the interface: they mirror its URLs.
const LINES_OF_TESTS_MAX: usize = 1_000;
const LONG: &str = "long because";
/// Words that no line of code has. In pieces, so that this file does not find itself.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("to", "do!("), "finish it"),
    (concat!("unimple", "mented!("), "finish it"),
    (concat!("db", "g!("), "take it out"),
    (concat!("print", "ln!("), "write through a writer"),
    (concat!("#[al", "low("), "#[expect] with a reason"),
    (concat!("#![al", "low("), "#[expect] with a reason"),
];
/// Tables of which is kept what was in them: who changes or deletes their rows calls `crate::past` first.
const WITH_PAST: &[&str] = &[
    "certificates",
    "certificate_contents",
    "certificate_names",
    "certificate_metadata",
    "store_entries",
    "store_entry_certificates",
];

pub(crate) fn run() -> Result<()> {
    let mut wrong = Vec::new();
    dependencies(&mut wrong)?;
    lines(&mut wrong)?;
    past(&mut wrong)?;
    errors(&mut wrong)?;
    for line in &wrong {
        say(line)?;
    }
    if !wrong.is_empty() {
        bail!("tidy: {} to put right", wrong.len());
    }
    say("tidy: nothing to put right")
}

fn dependencies(wrong: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(root().join("crates"))? {
        let folder = entry?.path();
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let manifest = folder.join("Cargo.toml");
        if !manifest.exists() {
            continue;
        }
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(of, _)| *of == name) else {
            wrong.push(format!("crates/{name}: not in the table of who may know whom (xtask/src/tidy.rs, ARCHITECTURE.md)"));
            continue;
        };
        let mut code = String::new();
        for file in rust_files(&folder.join("src"))? {
            code += &std::fs::read_to_string(file)?;
        }
        for dependency in dependencies_of(&std::fs::read_to_string(&manifest)?) {
            if !code.contains(&dependency.replace('-', "_")) {
                wrong.push(format!(
                    "crates/{name}: depends on {dependency} and does not use it"
                ));
            }
            let ours = MAY_KNOW.iter().any(|(of, _)| *of == dependency);
            if ours && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("crates/{name}: must not know {dependency}"));
            }
            if let Some((_, keepers)) = KEPT.iter().find(|(library, _)| *library == dependency)
                && !keepers.contains(&name.as_str())
            {
                wrong.push(format!(
                    "crates/{name}: must not know {dependency}, which is for {}",
                    keepers.join(", ")
                ));
            }
        }
    }
    Ok(())
}

/// The names in `[dependencies]`; those of tests and build scripts are free.
fn dependencies_of(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[dependencies]";
            if let Some(name) = line.strip_prefix("[dependencies.") {
                found.push(name.trim_end_matches(']').to_owned());
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            found.push(
                line.split(['.', '=', ' '])
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
    }
    found
}

fn lines(wrong: &mut Vec<String>) -> Result<()> {
    for folder in ["crates", "xtask"] {
        for file in rust_files(&root().join(folder))? {
            let shown = file
                .strip_prefix(root())
                .unwrap_or(&file)
                .display()
                .to_string();
            let text = std::fs::read_to_string(&file)?;
            if text.lines().any(|line| line.starts_with("//! @generated")) {
                continue;
            }
            let count = text.lines().count();
            let head = text
                .lines()
                .take_while(|line| line.starts_with("//!"))
                .collect::<Vec<_>>()
                .join(" ");
            let tests_of_a_file = file.file_name().is_some_and(|name| name == "tests.rs");
            if head.is_empty() && !tests_of_a_file {
                wrong.push(format!(
                    "{shown}:1: no head (`//!`) that says what the file is"
                ));
            }
            let is_test = shown.contains("/tests/") || tests_of_a_file;
            let limit = if is_test {
                LINES_OF_TESTS_MAX
            } else {
                LINES_MAX
            };
            if count > limit && !head.to_lowercase().contains(LONG) {
                wrong.push(format!(
                    "{shown}:1: {count} lines; cut it, or say why in the head (`//! … {LONG} …`)"
                ));
            }
            for (library, inside, places) in KEPT_IN {
                let named = text.contains(&format!("{library}::"));
                let kept = places.iter().any(|place| shown.starts_with(place));
                if named && shown.starts_with(inside) && !kept {
                    wrong.push(format!(
                        "{shown}: must not use {library}, which is for {}",
                        places.join(", ")
                    ));
                }
            }
            for (number, line) in (1..).zip(text.lines()) {
                let code = line.split("//").next().unwrap_or_default();
                for (word, instead) in FORBIDDEN {
                    // Tests may print: it shows only when they fail.
                    let prints = is_test && word.starts_with("print");
                    if code.contains(word) && !prints {
                        wrong.push(format!("{shown}:{number}: {word}…: {instead}"));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Files that change or delete what is kept when it changes know the module that keeps it.
fn past(wrong: &mut Vec<String>) -> Result<()> {
    for file in rust_files(&root().join("crates/app/src"))? {
        let text = std::fs::read_to_string(&file)?;
        let changed = WITH_PAST.iter().find(|table| {
            let does = |verb: &str| text.contains(&format!(" {table}::Entity::{verb}"));
            does("update") || does("delete")
        });
        if let Some(table) = changed
            && !text.contains("past::")
        {
            let shown = file.strip_prefix(root()).unwrap_or(&file).display();
            wrong.push(format!(
                "{shown}: it changes or deletes {table} and does not call `crate::past`, which keeps what was"
            ));
        }
    }
    Ok(())
}

/// The table of errors in the code and in the documents has the same rows.
fn errors(wrong: &mut Vec<String>) -> Result<()> {
    let documents = root().join("docs/errors.md");
    if !documents.exists() {
        return Ok(());
    }
    let code = std::fs::read_to_string(root().join("crates/app/src/error.rs"))
        .context("crates/app/src/error.rs")?;
    let in_code = rows_of_code(&code);
    let in_documents = rows_of_document(&documents)?;
    if in_code.is_empty() {
        wrong.push("crates/app/src/error.rs: the table of errors was not found".into());
    }
    for row in in_code.iter().filter(|row| !in_documents.contains(row)) {
        wrong.push(format!("docs/errors.md: lacks the row {row:?}"));
    }
    for row in in_documents.iter().filter(|row| !in_code.contains(row)) {
        wrong.push(format!(
            "docs/errors.md: the row {row:?} is not in crates/app/src/error.rs"
        ));
    }
    Ok(())
}

/// Code and meaning of each row: `(Kind::…, StatusCode::…, "0x…", "meaning"),`, on one line or several.
fn rows_of_code(code: &str) -> Vec<(String, String)> {
    let table = code
        .split_once("TABLE: &[")
        .and_then(|(_, rest)| rest.split_once("];"))
        .map_or("", |(table, _)| table);
    let texts: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
    texts
        .chunks_exact(2)
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect()
}

/// Code and meaning of each row: `| 400 | `0x…` | meaning | what to do |`.
fn rows_of_document(path: &Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path)?;
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let code = cells.get(2)?.trim_matches('`');
        code.starts_with("0x")
            .then(|| Some((code.to_owned(), (*cells.get(3)?).to_owned())))?
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_tests_are_free() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\ndb.workspace = true\npki = { path = \"..\" }\n\n[dev-dependencies]\ntestkit.workspace = true\n";
        assert_eq!(dependencies_of(manifest), ["db", "pki"]);
    }

    #[test]
    fn rows_of_errors_are_read() {
        let code = "TABLE: &[(Kind::A, StatusCode::B, \"0x1\", \"one\"), (Kind::C,\n StatusCode::D, \"0x2\",\n \"two\"),];";
        assert_eq!(
            rows_of_code(code),
            [("0x1".into(), "one".into()), ("0x2".into(), "two".into())]
        );
    }
}
