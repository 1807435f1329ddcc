//! Where certificates come from, read in batches.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Folder, Keyfactor, Lemur, OpenBao, Skipped, StepCa};

/// Where an import comes from.
#[derive(Debug)]
pub enum Source {
    /// Files.
    Folder(Folder),
    /// A server with Keyfactor Command's API.
    Keyfactor(Keyfactor),
    /// A PKI mount of OpenBao or Vault.
    OpenBao(OpenBao),
    /// Lemur's database.
    Lemur(Lemur),
    /// step-ca's database.
    StepCa(StepCa),
}

/// A certificate of a source, and what the source knows about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// As it was.
    pub der: Vec<u8>,
    /// Where it was, for the report.
    pub place: String,
    /// The name of the role that owns it.
    pub owner: Option<String>,
    /// Metadata by field name.
    pub metadata: Map<String, Value>,
    /// That it is revoked there.
    pub revoked: Option<Revoked>,
}

/// What a source says of a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Since when, in a form that the API reads; none where the source does not say.
    pub at: Option<String>,
    /// The reason code of RFC 5280; 0 where the source does not say.
    pub reason: i64,
    /// Why, for people.
    pub comment: Option<String>,
}

impl Found {
    /// A certificate of which nothing else is known.
    pub fn plain(der: Vec<u8>, place: impl Into<String>) -> Self {
        Self {
            der,
            place: place.into(),
            owner: None,
            metadata: Map::new(),
            revoked: None,
        }
    }
}

/// The next part of a source.
#[derive(Debug, Default)]
pub struct Batch {
    /// Certificates.
    pub found: Vec<Found>,
    /// What cannot be brought over.
    pub skipped: Vec<Skipped>,
    /// What the next batch comes after.
    pub cursor: String,
}

impl Batch {
    pub(crate) fn skip(&mut self, place: impl Into<String>, reason: impl std::fmt::Display) {
        self.skipped.push(Skipped {
            place: place.into(),
            reason: reason.to_string(),
        });
    }

    /// The certificates of a PEM text.
    pub(crate) fn add_pem(&mut self, text: &str, place: &str) {
        let found = pki::pem::certificates(text.as_bytes());
        self.found
            .extend(found.into_iter().map(|der| Found::plain(der, place)));
    }
}

impl Source {
    /// What tells it from others: a checkpoint belongs to one.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(source) => source.name(),
            Self::Keyfactor(source) => source.name(),
            Self::OpenBao(source) => source.name(),
            Self::Lemur(source) => source.name(),
            Self::StepCa(source) => source.name(),
        }
    }

    /// What comes after a cursor; `None` when nothing does.
    ///
    /// # Errors
    /// A source that cannot be read.
    pub async fn batch(&mut self, after: Option<&str>) -> anyhow::Result<Option<Batch>> {
        match self {
            Self::Folder(source) => source.batch(after).await,
            Self::Keyfactor(source) => source.batch(after).await,
            Self::OpenBao(source) => source.batch(after).await,
            Self::Lemur(source) => source.batch(after).await,
            Self::StepCa(source) => source.batch(after).await,
        }
    }
}
