//! Lines of JSON at the end of a file.

use std::{io, path::Path};

use app::audit::Forwarded;
use tokio::{fs::OpenOptions, io::AsyncWriteExt as _};

/// Writes the lines and waits until they are on disk. The file is opened each time, so that it may be moved away and a new one is
/// begun.
pub(super) async fn append(path: &Path, records: &[Forwarded]) -> io::Result<()> {
    let mut text = String::new();
    for record in records {
        text.push_str(&record.line);
        text.push('\n');
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let mut file = options.open(path).await?;
    file.write_all(text.as_bytes()).await?;
    // Only what has left this process can be brought to disk.
    file.flush().await?;
    file.sync_data().await
}
