//! What a server with Keyfactor Command's API has besides certificates: created where nothing has its name. What refers to another thing
//! by its id refers to the one of the same name here.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::report::{Outcome, Report};

const NO_TYPE: &str = "its store type is not here";
const NO_CONTAINER: &str = "its container is not here";
const NO_AGENT: &str = "no agent of its machine's name is here; approve one and import again";

/// Kinds of things in the order in which they are brought over: what others refer to comes first.
pub(crate) async fn bring(
    from: &Api,
    to: &Api,
    dry_run: bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut bring = Bring {
        from,
        to,
        dry_run,
        report,
    };
    bring
        .kind("metadata field", "/MetadataFields", &["Name"], |row| {
            Ok(without(row, &["Id"]))
        })
        .await?;
    bring
        .kind("role", "/Security/Roles", &["Name"], |row| {
            // Who holds a role is somebody whom another server knows.
            Ok(only(
                row,
                &["Name", "Description", "Enabled", "Private", "Permissions"],
            ))
        })
        .await?;
    bring
        .kind(
            "store type",
            "/CertificateStoreTypes",
            &["ShortName"],
            |row| {
                Ok(without(
                    row,
                    &[
                        "StoreType",
                        "ImportType",
                        "InventoryJobType",
                        "ManagementJobType",
                        "DiscoveryJobType",
                        "EnrollmentJobType",
                        "InventoryEndpoint",
                    ],
                ))
            },
        )
        .await?;
    let types = bring
        .ids("/CertificateStoreTypes", "StoreType", &["ShortName"])
        .await?;
    bring
        .kind(
            "container",
            "/CertificateStoreContainers",
            &["Name"],
            |row| {
                let mut body = only(row, &["Name", "OverwriteSchedules"]);
                if let Some(here) = referred(&types, &row["CertStoreType"], NO_TYPE)? {
                    body["CertStoreType"] = here;
                }
                Ok(body)
            },
        )
        .await?;
    bring
        .kind("collection", "/CertificateCollections", &["Name"], |row| {
            let mut body = only(
                row,
                &["Name", "Description", "DuplicationField", "ShowOnDashboard"],
            );
            let query = ["Query", "Content"].map(|member| row[member].as_str().unwrap_or_default());
            body["Query"] = query
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or("")
                .into();
            if body["Description"].as_str().unwrap_or_default().is_empty() {
                body["Description"] = body["Name"].clone();
            }
            Ok(body)
        })
        .await?;
    bring
        .kind("template", "/Templates", &["CommonName"], |_| {
            Err("templates belong to authorities; make one here".into())
        })
        .await?;
    let containers = bring
        .ids("/CertificateStoreContainers", "Id", &["Name"])
        .await?;
    let agents = bring.ids("/Agents", "AgentId", &["ClientMachine"]).await?;
    bring
        .kind(
            "store",
            "/CertificateStores",
            &["ClientMachine", "Storepath"],
            |row| {
                let mut body = only(
                    row,
                    &[
                        "ClientMachine",
                        "Storepath",
                        "Properties",
                        "CreateIfMissing",
                    ],
                );
                body["CertStoreType"] =
                    referred(&types, &row["CertStoreType"], NO_TYPE)?.unwrap_or_default();
                let agent = referred(&agents, &row["AgentId"], NO_AGENT)?;
                body["AgentId"] = agent.ok_or(NO_AGENT)?;
                if let Some(here) = referred(&containers, &row["ContainerId"], NO_CONTAINER)? {
                    body["ContainerId"] = here;
                }
                Ok(body)
            },
        )
        .await
}

struct Bring<'a> {
    from: &'a Api,
    to: &'a Api,
    dry_run: bool,
    report: &'a mut Report,
}

impl Bring<'_> {
    /// Things of a kind, told apart by `name`. `body` makes what creates one, or says why it cannot be.
    async fn kind(
        &mut self,
        kind: &'static str,
        path: &str,
        name: &[&str],
        body: impl Fn(&Value) -> Result<Value, String>,
    ) -> anyhow::Result<()> {
        let rows = match self.from.list(path).await {
            Ok(rows) => rows,
            Err(error) => {
                self.report.skip(kind, format!("cannot be read: {error:#}"));
                return Ok(());
            }
        };
        let here: HashMap<String, Value> = self
            .to
            .list(path)
            .await?
            .into_iter()
            .map(|row| (key(&row, name), row))
            .collect();
        for row in &rows {
            let (shown, body) = (name_of(row, name), body(row));
            let (outcome, reason) = match (here.get(&key(row, name)), body) {
                (Some(there), Ok(body)) if differs(&body, there) => (Outcome::Differs, None),
                (Some(_), _) => (Outcome::Known, None),
                (None, Err(reason)) => (Outcome::NotBrought, Some(reason)),
                (None, Ok(_)) if self.dry_run => (Outcome::Created, None),
                (None, Ok(body)) => match self.to.call("POST", path, &[], Some(&body)).await? {
                    Ok(_) => (Outcome::Created, None),
                    Err(refusal) => (Outcome::NotBrought, Some(refusal.to_string())),
                },
            };
            self.report.object(kind, &shown, outcome, reason);
        }
        Ok(())
    }

    /// The ids there, and those of the things with the same names here.
    async fn ids(
        &self,
        path: &str,
        id: &str,
        name: &[&str],
    ) -> anyhow::Result<HashMap<String, Value>> {
        let here: HashMap<String, Value> = self
            .to
            .list(path)
            .await?
            .into_iter()
            .map(|row| (key(&row, name), row[id].clone()))
            .collect();
        // What cannot be read there is not needed either.
        let there = self.from.list(path).await.unwrap_or_default();
        let pairs = there.iter().filter_map(|row| {
            let here = here.get(&key(row, name))?.clone();
            Some((id_text(&row[id]), here))
        });
        let mut ids: HashMap<String, Value> = pairs.collect();
        if self.dry_run {
            // What would be created has no id yet.
            for row in &there {
                ids.entry(id_text(&row[id])).or_insert(Value::Null);
            }
        }
        Ok(ids)
    }
}

/// A number or a GUID as text; empty for none.
fn id_text(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// The thing here that another one refers to; `None` when it refers to none.
fn referred(
    ids: &HashMap<String, Value>,
    id: &Value,
    missing: &str,
) -> Result<Option<Value>, String> {
    match id_text(id).as_str() {
        "" | "0" | "-1" => Ok(None),
        id => ids
            .get(id)
            .cloned()
            .map(Some)
            .ok_or_else(|| missing.to_owned()),
    }
}

fn name_of(row: &Value, name: &[&str]) -> String {
    let parts: Vec<&str> = name
        .iter()
        .map(|member| row[*member].as_str().unwrap_or_default())
        .collect();
    parts.join(" ")
}

/// Names are compared without regard to case.
fn key(row: &Value, name: &[&str]) -> String {
    name_of(row, name).to_lowercase()
}

fn only(row: &Value, members: &[&str]) -> Value {
    let members = members
        .iter()
        .filter(|member| !row[**member].is_null())
        .map(|member| ((*member).to_owned(), row[*member].clone()));
    Value::Object(members.collect::<Map<_, _>>())
}

fn without(row: &Value, members: &[&str]) -> Value {
    let mut object = row.as_object().cloned().unwrap_or_default();
    object.retain(|name, value| !members.contains(&name.as_str()) && !value.is_null());
    json!(object)
}

/// Whether a thing here has another value for something that both have. Numbers of other things are of each server.
fn differs(body: &Value, here: &Value) -> bool {
    let plain = |value: &Value| value.is_string() || value.is_boolean();
    body.as_object().into_iter().flatten().any(|(name, value)| {
        plain(value) && plain(&here[name]) && *name != "AgentId" && here[name] != *value
    })
}
