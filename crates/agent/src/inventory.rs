//! Inventory jobs: what is in a store, compared with what the server knows.

use agent_protocol::{
    InventoryConfigureResponse, InventoryItem, InventoryItemStatus, InventoryJob,
    InventorySubmitRequest, InventorySubmitResponse, KnownInventoryItem, ResultStatus, SessionJob,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use pki::Certificate;
use stores::{InventoryEntry, Outcome, StoreDriver};

use crate::{
    Result,
    job::{complete, configure, goes_on, note_of},
    management::{store_config, with_operation},
    outbox::Note,
    runner::{Registered, Runner, Surroundings},
    transport::Transport,
};

pub(crate) async fn run<T: Transport>(
    runner: &Runner<T>,
    registered: &Registered,
    job: &SessionJob,
    driver: &'static dyn StoreDriver,
) -> Result<bool> {
    let Some(endpoint) = &job.configuration_endpoint else {
        return Ok(false);
    };
    let request = configure(registered, job);
    let response: InventoryConfigureResponse = runner
        .call(Some(&registered.identity), endpoint, &request)
        .await?;
    if !goes_on(job, response.job_cancelled, &response.result) {
        return Ok(false);
    }
    let note = note_of(job, response.audit_id);
    let outcome = match (response.job, response.inventory_endpoint) {
        (Some(work), Some(submit)) => {
            take(runner, registered, job, driver, work, &submit, &note).await?
        }
        (None, _) => Outcome::refused("the server sent no job"),
        (_, None) => Outcome::refused("the server named no inventory endpoint"),
    };
    complete(runner, registered, job, note, &outcome).await?;
    Ok(true)
}

async fn take<T: Transport>(
    runner: &Runner<T>,
    registered: &Registered,
    job: &SessionJob,
    driver: &'static dyn StoreDriver,
    work: InventoryJob,
    submit: &str,
    note: &Note,
) -> Result<Outcome> {
    let (surroundings, job_id, note) = (runner.surroundings.clone(), job.job_id, note.clone());
    let read = move || {
        let entries = entries(&surroundings, driver, job_id, &note, &work)?;
        Ok(compare(&work.inventory, &entries))
    };
    let items: std::result::Result<Vec<InventoryItem>, String> = runner.blocking(read).await?;
    let inventory = match items {
        Ok(items) => items,
        Err(reason) => return Ok(Outcome::refused(reason)),
    };
    let count = inventory
        .iter()
        .filter(|item| item.item_status != InventoryItemStatus::Remove)
        .count();
    let session_token = registered.token.clone();
    let request = InventorySubmitRequest {
        session_token,
        job_id,
        inventory,
    };
    let response: InventorySubmitResponse = runner
        .call(Some(&registered.identity), submit, &request)
        .await?;
    let message = response
        .result
        .error
        .and_then(|error| error.message)
        .unwrap_or_default();
    Ok(match response.result.status {
        ResultStatus::Error => Outcome::refused(message),
        ResultStatus::Warning => Outcome::Warning(message),
        _ => Outcome::Success(format!("{count} entries")),
    })
}

fn entries(
    surroundings: &Surroundings,
    driver: &dyn StoreDriver,
    job_id: agent_protocol::Uuid,
    note: &Note,
    work: &InventoryJob,
) -> std::result::Result<Vec<InventoryEntry>, String> {
    let store = store_config(
        surroundings,
        work.store_path.as_deref(),
        work.store_password.as_ref(),
        work.properties.as_ref(),
    )?;
    with_operation(surroundings, job_id, note, |operation| {
        driver.inventory(&store, operation)
    })
    .map_err(|error| error.to_string())
}

/// The full picture: every entry of the store, and every known one that is gone. Entries that are as the server knows
/// them go without their certificates.
fn compare(known: &[KnownInventoryItem], entries: &[InventoryEntry]) -> Vec<InventoryItem> {
    let mut items = Vec::with_capacity(entries.len());
    for entry in entries {
        let before = known
            .iter()
            .find(|item| item.alias.eq_ignore_ascii_case(&entry.alias));
        let item_status = match before {
            None => InventoryItemStatus::Add,
            Some(before) if is_same(before, entry) => InventoryItemStatus::Unchanged,
            Some(_) => InventoryItemStatus::Modify,
        };
        let certificates = match item_status {
            InventoryItemStatus::Unchanged => Vec::new(),
            _ => entry
                .certificates
                .iter()
                .map(|der| STANDARD.encode(der))
                .collect(),
        };
        items.push(InventoryItem {
            private_key_entry: entry.private_key,
            use_chain_level: entry.certificates.len() > 1,
            item_status,
            // Exactly as the server wrote it, where it knows it.
            alias: before.map_or_else(|| entry.alias.clone(), |before| before.alias.clone()),
            certificates,
            parameters: entry.parameters.clone(),
        });
    }
    for gone in known {
        if !entries
            .iter()
            .any(|entry| entry.alias.eq_ignore_ascii_case(&gone.alias))
        {
            items.push(InventoryItem {
                item_status: InventoryItemStatus::Remove,
                alias: gone.alias.clone(),
                ..InventoryItem::default()
            });
        }
    }
    items
}

fn is_same(known: &KnownInventoryItem, entry: &InventoryEntry) -> bool {
    let thumbprints = entry.certificates.iter().map(|der| {
        Certificate::read(der)
            .map(|reading| reading.certificate.thumbprint())
            .unwrap_or_default()
    });
    known.private_key_entry == entry.private_key
        && known.thumbprints.len() == entry.certificates.len()
        && thumbprints
            .zip(&known.thumbprints)
            .all(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pki::{KeySpec, PrivateKey};

    use super::*;
    use crate::testing::issue;

    #[test]
    fn every_known_alias_comes_back_and_only_what_is_new_brings_certificates() {
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap().spki_der();
        let certificates: Vec<Certificate> = ["a", "b", "c"]
            .map(|name| issue(name, &key, 0, 1_000_000_000))
            .into();
        let entries: Vec<InventoryEntry> = certificates
            .iter()
            .map(|certificate| InventoryEntry {
                alias: certificate.thumbprint(),
                certificates: vec![certificate.der().to_vec()],
                private_key: true,
                parameters: BTreeMap::new(),
            })
            .collect();
        let known = |alias: &str, private_key_entry: bool| KnownInventoryItem {
            alias: alias.to_owned(),
            private_key_entry,
            thumbprints: vec![alias.to_owned()],
        };
        let same = certificates[0].thumbprint().to_lowercase();
        let server = [
            known(&same, true),
            known(&certificates[1].thumbprint(), false),
            known("00FF", true),
        ];
        let items = compare(&server, &entries);
        let seen: Vec<(InventoryItemStatus, &str, usize)> = items
            .iter()
            .map(|item| {
                (
                    item.item_status,
                    item.alias.as_str(),
                    item.certificates.len(),
                )
            })
            .collect();
        let (second, third) = (certificates[1].thumbprint(), certificates[2].thumbprint());
        assert_eq!(
            seen,
            [
                (InventoryItemStatus::Unchanged, same.as_str(), 0),
                (InventoryItemStatus::Modify, second.as_str(), 1),
                (InventoryItemStatus::Add, third.as_str(), 1),
                (InventoryItemStatus::Remove, "00FF", 0),
            ]
        );
    }
}
