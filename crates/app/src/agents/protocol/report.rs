//! What an agent reports of a store, from the body of its call. It may be long, and is mostly certificates that are known.

use std::borrow::Cow;

use agent_protocol::{InventoryItem, InventoryItemStatus, InventorySubmitRequest, Redacted};
use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::parse;
use crate::certificate_stores::{InventoryUpdate, report_digest};
use crate::certificates::Seen;
use crate::error::Error;
use crate::web::lenient;

/// A report, of which no more is read than whose it is.
pub(super) struct Report<'a> {
    pub(super) session_token: Redacted<String>,
    pub(super) job_id: Uuid,
    /// Of what it says of the entries: [`report_digest`].
    pub(super) digest: Vec<u8>,
    inventory: Inventory<'a>,
}

/// What it says of the entries.
enum Inventory<'a> {
    /// As it stands in the body.
    Text { text: &'a RawValue, body: &'a Bytes },
    /// Read leniently.
    Items(Vec<InventoryItem>),
}

/// The same, in a body that has the protocol's names and types and nothing else. What it says of the entries stays where it stands.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Exact<'a> {
    session_token: Redacted<String>,
    job_id: Uuid,
    #[serde(borrow)]
    inventory: &'a RawValue,
}

/// One entry, as exactly: texts are read where they stand.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ExactItem<'a> {
    #[serde(borrow)]
    alias: Cow<'a, str>,
    #[serde(default)]
    private_key_entry: bool,
    #[serde(default, rename = "UseChainLevel")]
    _use_chain_level: bool,
    item_status: InventoryItemStatus,
    #[serde(borrow)]
    certificates: Vec<Text<'a>>,
    #[serde(default)]
    parameters: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Report<'a> {
    /// Reads a body. What is not exactly as the protocol has it is read leniently.
    ///
    /// # Errors
    /// A body that is no JSON object of the protocol's shape, as far as it is read.
    pub(super) fn read(body: &'a Bytes) -> Result<Self, Error> {
        if let Some(exact) = exact(body) {
            let text = exact.inventory;
            return Ok(Self {
                session_token: exact.session_token,
                job_id: exact.job_id,
                digest: report_digest(text.get().as_bytes()),
                inventory: Inventory::Text { text, body },
            });
        }
        let request: InventorySubmitRequest = parse(body)?;
        let text = serde_json::to_vec(&request.inventory).map_err(Error::internal)?;
        Ok(Self {
            session_token: request.session_token,
            job_id: request.job_id,
            digest: report_digest(&text),
            inventory: Inventory::Items(request.inventory),
        })
    }

    /// What it says of each entry.
    ///
    /// # Errors
    /// Items that are not of the protocol's shape.
    pub(super) fn items(&self) -> Result<Vec<InventoryUpdate>, Error> {
        match &self.inventory {
            Inventory::Items(items) => Ok(lenient_items(items)),
            Inventory::Text { text, body } => match exact_items(text.get()) {
                Some(items) => Ok(items),
                None => {
                    let request: InventorySubmitRequest = parse(body)?;
                    Ok(lenient_items(&request.inventory))
                }
            },
        }
    }
}

fn exact(body: &[u8]) -> Option<Exact<'_>> {
    let text = std::str::from_utf8(body).ok()?;
    if !lenient::is_plain(text) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn exact_items(text: &str) -> Option<Vec<InventoryUpdate>> {
    let items: Vec<ExactItem<'_>> = serde_json::from_str(text).ok()?;
    let items = items.into_iter().filter_map(|given| {
        let certificates = given.certificates.iter().map(|text| text.0.as_ref());
        item(
            given.alias.into_owned(),
            given.item_status,
            given.private_key_entry,
            given.parameters,
            certificates,
        )
    });
    Some(items.collect())
}

fn lenient_items(items: &[InventoryItem]) -> Vec<InventoryUpdate> {
    let items = items.iter().filter_map(|given| {
        let certificates = given.certificates.iter().map(String::as_str);
        let parameters = given.parameters.clone().into_iter().collect();
        item(
            given.alias.clone(),
            given.item_status,
            given.private_key_entry,
            parameters,
            certificates,
        )
    });
    items.collect()
}

/// One item. One whose certificates are no base64 counts as unchanged: what was known of it is still the best that is known.
fn item<'a>(
    alias: String,
    status: InventoryItemStatus,
    private_key: bool,
    parameters: Map<String, Value>,
    certificates: impl Iterator<Item = &'a str>,
) -> Option<InventoryUpdate> {
    if alias.trim().is_empty() {
        return None;
    }
    let certificates: Option<Vec<Seen>> = certificates.map(certificate).collect();
    let readable = certificates.is_some();
    if !readable {
        tracing::warn!(
            alias,
            "an inventory item has a certificate that cannot be read"
        );
    }
    let certificates = certificates.unwrap_or_default();
    let needs_certificates = !matches!(
        status,
        InventoryItemStatus::Remove | InventoryItemStatus::Unchanged
    );
    let status = if readable && !(needs_certificates && certificates.is_empty()) {
        i32::try_from(status.value()).unwrap_or_default()
    } else {
        4
    };
    Some(InventoryUpdate {
        alias,
        status,
        certificates,
        private_key,
        parameters,
    })
}

/// Bare base64 DER as the protocol has it; extensions also send PEM, and wrapped lines.
fn certificate(text: &str) -> Option<Seen> {
    let decode = |text: &str| STANDARD.decode(text).ok();
    let lines = || {
        let lines = text.lines().filter(|line| !line.starts_with("-----"));
        lines.flat_map(str::split_whitespace).collect::<String>()
    };
    decode(text).or_else(|| decode(&lines())).map(Seen::new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// All that a report says, as a text.
    fn said(report: &Report<'_>) -> String {
        format!(
            "{:?} {} {:?}",
            report.session_token.expose(),
            report.job_id,
            report.items().unwrap()
        )
    }

    fn is_exact(body: &str) -> bool {
        exact(body.as_bytes()).is_some_and(|exact| exact_items(exact.inventory.get()).is_some())
    }

    #[test]
    fn what_is_exact_and_what_is_not_say_the_same() {
        let body = json!({
            "SessionToken": "t", "JobId": "0f3c8a52-6a0a-4b6e-9a58-6f1d6f3c5f01", "Inventory": [
                {"Alias": "a \u{e9}\"", "ItemStatus": 0, "Certificates": ["MAMCAQc=", "-----BEGIN X-----\nMAMC\nAQc=\n-----END X-----\n"],
                    "PrivateKeyEntry": true, "UseChainLevel": true, "Parameters": {"Region": ["eu", 1]}},
                {"Alias": "b", "ItemStatus": 4, "Certificates": [], "PrivateKeyEntry": false, "UseChainLevel": false},
                {"Alias": "c", "ItemStatus": 2, "Certificates": ["?"], "PrivateKeyEntry": false, "UseChainLevel": false, "Parameters": {}},
            ]
        });
        let text = body.to_string();
        assert!(is_exact(&text));
        let given = Bytes::from(text.clone());
        let report = Report::read(&given).unwrap();
        assert_eq!(report.items().unwrap().len(), 3);
        let others = [
            text.replace("\"Alias\"", "\"alias\""),
            text.replace("\"ItemStatus\":0", "\"ItemStatus\":\"0\",\"Other\":1"),
            format!("{text} and more"),
            text.replace("\"PrivateKeyEntry\":false", "\"PrivateKeyEntry\":null"),
        ];
        for other in others {
            assert!(!is_exact(&other) || other.contains("\"0\""), "{other}");
            let given = Bytes::from(other.clone());
            let read = Report::read(&given).unwrap();
            assert_eq!(said(&read), said(&report), "{other}");
        }
        let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
        for refused in [
            text.replace("\"eu\"", &deep),
            text.replace("\"eu\"", "\"\\u0000\""),
        ] {
            assert!(!is_exact(&refused));
            assert!(Report::read(&Bytes::from(refused)).is_err());
        }
    }
}
