//! A server with Keyfactor Command's API, read page by page by the ids of its certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::api::Api;
use crate::{Batch, Found, Revoked};

/// A server with Keyfactor Command's API.
#[derive(Debug)]
pub struct Keyfactor {
    api: Api,
}

impl Keyfactor {
    /// Reads with these rights: certificates that they do not show are not brought over.
    pub fn new(api: Api) -> Self {
        Self { api }
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    pub(crate) fn name(&self) -> String {
        format!("Keyfactor Command at {}", self.api.base())
    }

    pub(crate) async fn batch(&mut self, after: Option<&str>) -> anyhow::Result<Option<Batch>> {
        // By id and not by page: what is added or deleted meanwhile moves pages.
        let query = format!("Id -gt {}", after.unwrap_or("0"));
        let asked = [
            ("QueryString", query.as_str()),
            ("SortField", "Id"),
            ("SortAscending", "0"),
            ("IncludeRevoked", "true"),
            ("IncludeExpired", "true"),
            ("IncludeMetadata", "true"),
        ];
        let rows = self.api.page("/Certificates", 1, &asked).await?;
        let Some(last) = rows.last().and_then(|row| row["Id"].as_i64()) else {
            return Ok(None);
        };
        let mut batch = Batch {
            cursor: last.to_string(),
            ..Batch::default()
        };
        for row in &rows {
            let place = format!("certificate {}", row["Id"]);
            let content = row["ContentBytes"].as_str().unwrap_or_default();
            let Ok(der) = STANDARD.decode(content) else {
                batch.skip(place, "its content is no base64");
                continue;
            };
            if row["HasPrivateKey"] == true || row["ArchivedKey"] == true {
                batch.skip(&place, "its private key stays where it is");
            }
            batch.found.push(Found {
                der,
                place,
                owner: text(row, "OwnerRoleName"),
                metadata: row["Metadata"].as_object().cloned().unwrap_or_default(),
                revoked: (row["CertState"] == 2).then(|| Revoked {
                    at: text(row, "RevocationEffDate"),
                    reason: row["RevocationReason"].as_i64().unwrap_or(0),
                    comment: text(row, "RevocationComment"),
                }),
            });
        }
        Ok(Some(batch))
    }
}

fn text(row: &Value, member: &str) -> Option<String> {
    let text = row[member].as_str().unwrap_or_default().trim();
    (!text.is_empty()).then(|| text.to_owned())
}
