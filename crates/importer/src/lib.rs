//! `chancery import`: what other certificate managers know, brought to a Chancery server through its API.
//!
//! A [`Source`] is read in batches, each with a cursor to go on from. Its certificates are laid down in a file beside the checkpoint,
//! which is then sent as one stream (`POST /Chancery/Certificates/Import`): wherever this ends, it goes on where it was. What else a
//! source has is created through the ordinary operations, unless it is there. Nothing is deleted, and nothing is changed that is there,
//! but for metadata, owners and revocations that the source knows. `docs/import.md`.

mod api;
mod attributes;
mod checkpoint;
mod databases;
mod folder;
mod keyfactor;
mod objects;
mod openbao;
mod report;
mod source;
mod stream;

pub use api::{Api, Credentials};
pub use databases::{Lemur, StepCa};
pub use folder::Folder;
pub use keyfactor::Keyfactor;
pub use openbao::OpenBao;
pub use report::{Certificates, Object, Outcome, Report, Skipped};
pub use source::{Batch, Found, Revoked, Source};

use std::path::PathBuf;

use checkpoint::Checkpoint;

/// How an import is run.
#[derive(Debug)]
pub struct Options {
    /// The folder of the checkpoint: made when missing; one import has one.
    pub checkpoint: PathBuf,
    /// Reads the source and compares, and writes nothing to the server.
    pub dry_run: bool,
    /// The role that owns new certificates; the server's default unless given.
    pub owner_role: Option<String>,
}

/// Runs an import from where its checkpoint stands. `tell` is given a line for people now and then.
///
/// # Errors
/// A source or server that does not answer, or refuses what the whole needs; a checkpoint of another import. What is wrong with a single
/// thing stands in the report.
pub async fn run(
    mut source: Source,
    server: &Api,
    options: &Options,
    tell: &(dyn Fn(String) + Sync),
) -> anyhow::Result<Report> {
    let mut checkpoint =
        Checkpoint::open(&options.checkpoint, &source.name(), server.base().as_str())?;
    if !checkpoint.is_read() {
        while let Some(batch) = source.batch(checkpoint.cursor()).await? {
            checkpoint.add(batch)?;
            tell(format!("read {} certificates", checkpoint.certificates()));
        }
        checkpoint.end_reading()?;
    }
    let mut report = Report::new(&checkpoint, options.dry_run);
    if let Source::Keyfactor(from) = &source {
        objects::bring(from.api(), server, options.dry_run, &mut report).await?;
    }
    if options.dry_run {
        attributes::compare(&checkpoint, server, &mut report).await?;
    } else {
        report.certificates = stream::send(&mut checkpoint, server, options, tell).await?;
        attributes::bring(&mut checkpoint, server, tell).await?;
        report.certificates.differs = checkpoint.differs();
    }
    report.write(&checkpoint, &options.checkpoint)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dry_run_leaves_its_report_too() {
        let (files, checkpoint) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(files.path().join("notes.txt"), "no certificate").unwrap();
        // Another test may have done so.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let credentials = Credentials::Basic("admin".into(), "password".into());
        // Nobody is asked about nothing.
        let server = Api::new("http://127.0.0.1:1/KeyfactorAPI", None, credentials).unwrap();
        let source = Source::Folder(Folder::new(files.path(), Vec::new()).unwrap());
        let options = Options {
            checkpoint: checkpoint.path().to_owned(),
            dry_run: true,
            owner_role: None,
        };
        let report = run(source, &server, &options, &|_| ()).await.unwrap();
        let written = std::fs::read(checkpoint.path().join("report.json")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written, serde_json::to_value(&report).unwrap());
        assert_eq!(
            (&written["dry_run"], &written["skipped_in_all"]),
            (&true.into(), &1.into())
        );
    }
}
