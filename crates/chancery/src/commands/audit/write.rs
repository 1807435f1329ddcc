//! Writing an export to a new file.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::Context as _;
use app::audit::Export;

/// Writes the export to a file that must not be there, readable by its owner only. What was broken off is taken away again.
pub(super) async fn new_file(export: &mut Export, to: &Path) -> anyhow::Result<()> {
    let named = || to.display().to_string();
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .with_context(named)?;
    let mut file = std::io::BufWriter::new(file);
    let written: anyhow::Result<()> = async {
        while let Some(text) = export.next().await? {
            file.write_all(text.as_bytes()).with_context(named)?;
        }
        file.flush().with_context(named)?;
        file.get_ref().sync_all().with_context(named)
    }
    .await;
    if written.is_err() {
        let _ = std::fs::remove_file(to);
    }
    written
}
