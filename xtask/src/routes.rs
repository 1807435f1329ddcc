//! `cargo xtask routes`: where each operation is served.

use std::collections::HashMap;

use anyhow::Result;

use crate::{document, root, rust_files, say};

pub(crate) fn run() -> Result<()> {
    document::build()?;
    let places = places()?;
    for operation in document::operations()? {
        let key = (operation.method.clone(), operation.path.clone());
        let place = places.get(&key).map_or("?", String::as_str);
        let permissions = match &operation.permissions {
            None => "undeclared".to_owned(),
            Some(none) if none.is_empty() => "signed in".to_owned(),
            Some(some) => some.join(" and "),
        };
        let version = if operation.version == 1 {
            String::new()
        } else {
            format!(" (version {})", operation.version)
        };
        say(format!(
            "{:6} {}{version}\n       {place}  {permissions}",
            operation.method, operation.path
        ))?;
    }
    Ok(())
}

/// Method and path of each handler, and the file and line of its function.
fn places() -> Result<HashMap<(String, String), String>> {
    let mut found = HashMap::new();
    for file in rust_files(&root().join("crates/app/src"))? {
        let text = std::fs::read_to_string(&file)?;
        let shown = file
            .strip_prefix(root())
            .unwrap_or(&file)
            .display()
            .to_string();
        for (at, start) in text.match_indices("#[utoipa::path(") {
            let rest = &text[at + start.len()..];
            let method: String = rest
                .trim_start()
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .collect();
            let path = rest
                .split_once("path = \"")
                .and_then(|(_, rest)| rest.split_once('"'))
                .map(|(path, _)| path);
            let function = rest
                .find("fn ")
                .map_or(at, |offset| at + start.len() + offset);
            let line = text[..function].lines().count().max(1);
            if let Some(path) = path {
                found.insert(
                    (method.to_ascii_uppercase(), path.to_owned()),
                    format!("{shown}:{line}"),
                );
            }
        }
    }
    Ok(found)
}
