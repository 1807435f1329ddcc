//! The record of what tests have driven: a line for each exchange, in a file for each process.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use crate::database::{COVERAGE_VARIABLE, Database};

/// Notes an exchange where the record is wanted: version, method, path template, status, database.
pub(crate) fn note(version: u8, method: &str, template: &str, status: u16, database: Database) {
    static FILE: OnceLock<Option<Mutex<std::fs::File>>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let folder = PathBuf::from(std::env::var_os(COVERAGE_VARIABLE)?);
        std::fs::create_dir_all(&folder).expect("the folder of the record can be made");
        let path = folder.join(format!("{}.tsv", std::process::id()));
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path);
        Some(Mutex::new(file.expect("the record can be written")))
    });
    let Some(file) = file else { return };
    let line = format!(
        "{version}\t{method}\t{template}\t{status}\t{}\n",
        database.name()
    );
    let mut file = file
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    file.write_all(line.as_bytes())
        .expect("the record can be written");
}
