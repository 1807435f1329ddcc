//! Certificates that somebody has seen somewhere: most are known.

use std::collections::HashMap;

use aws_lc_rs::digest;
use db::tables::certificates;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::record::{Origin, record_together};
use crate::application_settings::OwnerPolicy;
use crate::cx::Cx;
use crate::error::Error;

/// Rows in one statement at most: databases limit how many values a statement may have.
const ROWS_MAX: usize = 500;

/// A certificate that was seen somewhere. It is read only where it is not known.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    der: Vec<u8>,
    sha256: Vec<u8>,
}

impl Seen {
    pub(crate) fn new(der: Vec<u8>) -> Self {
        let sha256 = digest::digest(&digest::SHA256, &der).as_ref().to_vec();
        Self { der, sha256 }
    }

    fn thumbprint(&self) -> String {
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        hex::encode_upper(sha1)
    }
}

/// Records certificates that an inventory has seen. Answers their ids in the order given; the same certificate twice has the
/// same id twice, and one that cannot be read none. Known ones are not written at all; new ones get the default owner.
///
/// # Errors
/// Those of the database.
pub(crate) async fn record_seen(
    tx: &db::Tx,
    cx: &Cx,
    seen: &[&Seen],
) -> Result<Vec<Option<i64>>, Error> {
    let mut ids: HashMap<Vec<u8>, i64> = HashMap::with_capacity(seen.len());
    for some in seen.chunks(ROWS_MAX) {
        // Others may have been made to have the same thumbprints; they have other digests.
        let thumbprints = some.iter().map(|one| one.thumbprint());
        let known: Vec<(i64, Vec<u8>)> = certificates::Entity::find()
            .select_only()
            .columns([certificates::Column::Id, certificates::Column::Sha256])
            .filter(certificates::Column::Thumbprint.is_in(thumbprints))
            .into_tuple()
            .all(tx)
            .await?;
        ids.extend(known.into_iter().map(|(id, digest)| (digest, id)));
    }
    let mut unknown: Vec<&Seen> = seen.to_vec();
    unknown.retain(|one| !ids.contains_key(&one.sha256));
    unknown.sort_by_key(|one| &one.sha256);
    unknown.dedup_by_key(|one| &one.sha256);
    let mut new = Vec::with_capacity(unknown.len());
    for one in unknown {
        if let Ok(reading) = pki::Certificate::read(&one.der) {
            new.push((one.sha256.clone(), reading.certificate));
        }
    }
    if !new.is_empty() {
        let owner_role_id = OwnerPolicy::load(tx).await?.default_owner(tx).await?;
        let origin = || Origin {
            owner_role_id,
            history: Some(("Imported", "Found in a certificate store.".into())),
            ..Origin::default()
        };
        let all: Vec<_> = new.iter().map(|(_, one)| (one, origin())).collect();
        let recorded = record_together(tx, cx, &all).await?;
        let digests = new.iter().map(|(digest, _)| digest.clone());
        ids.extend(digests.zip(recorded));
    }
    Ok(seen
        .iter()
        .map(|one| ids.get(&one.sha256).copied())
        .collect())
}
