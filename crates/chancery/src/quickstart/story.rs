//! The main job, call by call, through nothing but the REST API and a TLS handshake.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::Certificate;
use serde_json::{Value, json};

use super::{
    client::{Client, number, text, wait_for},
    in_process_agent::{NAME, PROFILE},
    site::{self, HOST, Site},
    steps::Steps,
};

/// How long a job may take from its request to its end.
const JOB_LIMIT: Duration = Duration::from_secs(60);
/// How long the agent may take to appear.
const AGENT_LIMIT: Duration = Duration::from_secs(60);
/// How long a reload may take until the first new connection meets it.
const SERVED_LIMIT: Duration = Duration::from_secs(15);

/// Bit of `AllowedEnrollmentTypes` that allows enrollment with a key made by the server.
const ENROLLMENT_PFX: i64 = 1;
/// `Result` of a job in the history.
const RESULT_SUCCESS: i64 = 2;
const RESULT_WARNING: i64 = 3;
const RESULT_FAILURE: i64 = 4;
/// `Status` of an agent that is approved.
const AGENT_APPROVED: i64 = 2;

/// Who tells it, and where.
pub(super) struct Story<'a> {
    pub(super) client: &'a Client,
    pub(super) steps: &'a Steps,
    pub(super) site: &'a Site,
    /// The root that certificates lead up to, DER.
    pub(super) root_der: &'a [u8],
    /// File of the second store.
    pub(super) second_store: &'a Path,
    /// Password that the enrolled PKCS#12 is asked for with.
    pub(super) pkcs12_password: String,
}

/// A certificate of the server's inventory.
struct Enrolled {
    id: i64,
    thumbprint: String,
}

impl Story<'_> {
    /// Does it all. Answers the thumbprint that the site serves in the end.
    ///
    /// # Errors
    /// The first step that failed, with the server's answer.
    pub(super) async fn tell(&self) -> anyhow::Result<String> {
        let steps = self.steps;
        let agent_id = steps
            .step("agent registers and is approved", self.approve())
            .await?;
        let first = steps
            .step("enroll a certificate (PFX)", self.enroll())
            .await?;

        let certificate = &self.site.files.certificate;
        let properties = json!({
            "Profile": PROFILE,
            "separatePrivateKey": "true",
            "privateKeyPath": self.site.files.key.display().to_string(),
        });
        let create = self.store(&agent_id, certificate, &properties, false);
        let store = steps
            .step("create a PEM store for the site", create)
            .await?;
        let add = self.add(&first, &store);
        steps.step("add the certificate: job done", add).await?;
        let listed = self.listed(&store, Some(&first.thumbprint));
        steps.step("inventory shows it", listed).await?;
        let served = self.served(&first.thumbprint);
        steps
            .step("TLS handshake: the site serves exactly it", served)
            .await?;

        let second = steps
            .step("renew the certificate", self.renew(&first))
            .await?;
        let replace = self.add(&second, &store);
        steps
            .step("replace it on the site: job done", replace)
            .await?;
        let listed = self.listed(&store, Some(&second.thumbprint));
        steps
            .step("inventory shows the new one only", listed)
            .await?;
        let served = self.served(&second.thumbprint);
        steps
            .step("TLS handshake: the site serves the new one", served)
            .await?;

        let plain = json!({});
        let create = self.store(&agent_id, self.second_store, &plain, true);
        let other = steps.step("create a second PEM store", create).await?;
        let add = self.add(&second, &other);
        steps
            .step("add the certificate there too: job done", add)
            .await?;
        let listed = self.listed(&other, Some(&second.thumbprint));
        steps.step("inventory shows it", listed).await?;
        let remove = self.remove(&second, &other);
        steps.step("remove it there: job done", remove).await?;
        let gone = self.gone(&other);
        steps.step("inventory and file: it is gone", gone).await?;
        Ok(second.thumbprint)
    }

    async fn approve(&self) -> anyhow::Result<(String, String)> {
        let mut approved = false;
        let id = wait_for("the agent registers", AGENT_LIMIT, async || {
            let agents = self.client.find("/Agents", "").await?;
            let ours = agents.iter().find(|agent| agent["ClientMachine"] == NAME);
            let Some(agent) = ours else { return Ok(None) };
            let id = text(agent, "AgentId")?.to_owned();
            if agent["Status"].as_i64() != Some(AGENT_APPROVED) {
                if !approved {
                    self.client.post("/Agents/Approve", &json!([id])).await?;
                    approved = true;
                }
                return Ok(None);
            }
            // It has come back for its certificate.
            let known = agent["Thumbprint"]
                .as_str()
                .is_some_and(|text| !text.is_empty());
            Ok(known.then_some(id))
        });
        let id = id.await?;
        let outcome = format!("agent {id}");
        Ok((id, outcome))
    }

    async fn enroll(&self) -> anyhow::Result<(Enrolled, String)> {
        let authorities = self.client.find("/CertificateAuthority", "").await?;
        let pfx = |item: &&Value| {
            item["AllowedEnrollmentTypes"].as_i64().unwrap_or_default() & ENROLLMENT_PFX != 0
        };
        let authority = authorities.iter().find(pfx);
        let authority = authority.context("no authority allows PFX enrollment")?;
        let templates = self.client.find("/Templates", "").await?;
        let template = templates
            .iter()
            .filter(pfx)
            .find(|template| template["RequiresApproval"] == false);
        let template = template.context("no template allows PFX enrollment without approval")?;
        let authority = format!(
            "{}\\{}",
            text(authority, "HostName")?,
            text(authority, "LogicalName")?
        );
        let template = text(template, "CommonName")?;
        let request = json!({
            "CustomFriendlyName": HOST,
            "Password": self.pkcs12_password,
            "Subject": format!("CN={HOST},O=Chancery Quickstart"),
            "SANs": { "DNS": [HOST] },
            "CertificateAuthority": authority,
            "Template": template,
            "IncludeChain": true,
            "Timestamp": timestamp()?,
        });
        let answer = self.client.post("/Enrollment/PFX", &request).await?;
        let information = &answer["CertificateInformation"];
        let pkcs12 = STANDARD.decode(text(information, "Pkcs12Blob")?)?;
        let pkcs12 = pki::pkcs12::from_pkcs12(&pkcs12, &self.pkcs12_password)?;
        let leaf = pkcs12
            .certificates
            .first()
            .context("the PKCS#12 is empty")?;
        ensure!(pkcs12.key.is_some(), "the PKCS#12 holds no private key");
        let enrolled = Enrolled {
            id: number(information, "KeyfactorId")?,
            thumbprint: Certificate::from_der(leaf)?.thumbprint().to_uppercase(),
        };
        let outcome = format!("certificate {}, {}", enrolled.id, enrolled.thumbprint);
        Ok((enrolled, outcome))
    }

    async fn renew(&self, before: &Enrolled) -> anyhow::Result<(Enrolled, String)> {
        let request = json!({ "CertificateId": before.id, "Timestamp": timestamp()? });
        let answer = self.client.post("/Enrollment/Renew", &request).await?;
        let enrolled = Enrolled {
            id: number(&answer, "KeyfactorId")?,
            thumbprint: text(&answer, "Thumbprint")?.to_uppercase(),
        };
        ensure!(
            enrolled.thumbprint != before.thumbprint,
            "the renewed certificate is the old one: {answer}"
        );
        let outcome = format!("certificate {}, {}", enrolled.id, enrolled.thumbprint);
        Ok((enrolled, outcome))
    }

    /// The store of this file; one that an earlier quickstart made is used again.
    async fn store(
        &self,
        agent_id: &str,
        file: &Path,
        properties: &Value,
        create_if_missing: bool,
    ) -> anyhow::Result<(String, String)> {
        let path = file.display().to_string();
        let stores = self.client.find("/CertificateStores", "").await?;
        let same = |store: &&Value| store["Storepath"] == path && store["AgentId"] == agent_id;
        if let Some(store) = stores.iter().find(same) {
            let id = text(store, "Id")?.to_owned();
            let outcome = format!("store {id} is there already");
            return Ok((id, outcome));
        }
        // By the contract an array, of one.
        let kinds = self.client.get("/CertificateStoreTypes/Name/PEM").await?;
        let kind = &kinds[0];
        let request = json!({
            "ContainerId": null,
            "ClientMachine": NAME,
            "StorePath": path,
            "CertStoreType": number(kind, "StoreType")?,
            "Approved": true,
            "CreateIfMissing": create_if_missing,
            "Properties": properties.to_string(),
            "AgentId": agent_id,
            "InventorySchedule": null,
        });
        let answer = self.client.post("/CertificateStores", &request).await?;
        let id = text(&answer, "Id")?.to_owned();
        let outcome = format!("store {id}");
        Ok((id, outcome))
    }

    async fn add(&self, certificate: &Enrolled, store: &str) -> anyhow::Result<((), String)> {
        let request = json!({
            "CertificateId": certificate.id,
            "CertificateStores": [{
                "CertificateStoreId": store,
                "Overwrite": true,
                "IncludePrivateKey": true,
                "EntryPassword": null,
            }],
            "Schedule": { "Immediate": true },
        });
        let path = "/CertificateStores/Certificates/Add";
        self.job(&self.client.post(path, &request).await?).await
    }

    async fn remove(&self, certificate: &Enrolled, store: &str) -> anyhow::Result<((), String)> {
        let request = json!({
            "CertificateStores": [{
                "CertificateStoreId": store,
                "Alias": certificate.thumbprint,
            }],
            "Schedule": { "Immediate": true },
        });
        let path = "/CertificateStores/Certificates/Remove";
        self.job(&self.client.post(path, &request).await?).await
    }

    /// Waits until the one job of an answer has ended well.
    async fn job(&self, answer: &Value) -> anyhow::Result<((), String)> {
        let job = answer[0]
            .as_str()
            .with_context(|| format!("the answer names no job: {answer}"))?;
        let query = format!("JobId -eq \"{job}\"");
        wait_for("the job ends", JOB_LIMIT, async || {
            let history = self
                .client
                .find("/OrchestratorJobs/JobHistory", &query)
                .await?;
            let Some(run) = history.first() else {
                return Ok(None);
            };
            match run["Result"].as_i64() {
                Some(RESULT_SUCCESS) => Ok(Some(())),
                Some(RESULT_WARNING | RESULT_FAILURE) => {
                    bail!("job {job} did not succeed: {}", run["Message"])
                }
                _ => Ok(None),
            }
        })
        .await?;
        Ok(((), format!("job {job}")))
    }

    /// Waits until the inventory of a store holds exactly this certificate, or nothing.
    async fn listed(&self, store: &str, thumbprint: Option<&str>) -> anyhow::Result<((), String)> {
        let path = format!("/CertificateStores/{store}/Inventory");
        let mut last = Value::Null;
        let waited = wait_for("the inventory is up to date", JOB_LIMIT, async || {
            last = self.client.get(&path).await?;
            let entries = last.as_array().map(Vec::as_slice).unwrap_or_default();
            let right = match (thumbprint, entries) {
                (None, []) => true,
                (Some(wanted), [entry]) => entry["Certificates"][0]["Thumbprint"]
                    .as_str()
                    .is_some_and(|found| found.eq_ignore_ascii_case(wanted)),
                _ => false,
            };
            Ok(right.then_some(()))
        })
        .await;
        waited.with_context(|| format!("the inventory shows {last}"))?;
        Ok(((), thumbprint.unwrap_or("nothing").to_owned()))
    }

    async fn served(&self, thumbprint: &str) -> anyhow::Result<((), String)> {
        let mut last = String::from("nothing");
        let waited = wait_for("the site serves it", SERVED_LIMIT, async || {
            match site::served(self.site.address, self.root_der).await {
                Ok(leaf) => last = leaf.thumbprint().to_uppercase(),
                Err(error) => last = format!("{error:#}"),
            }
            Ok((last == thumbprint).then_some(()))
        })
        .await;
        waited.with_context(|| format!("wanted {thumbprint}, the site shows {last}"))?;
        Ok(((), format!("{} serves {thumbprint}", self.site.address)))
    }

    async fn gone(&self, store: &str) -> anyhow::Result<((), String)> {
        self.listed(store, None).await?;
        let path = self.second_store.display();
        let content = std::fs::read(self.second_store).with_context(|| path.to_string())?;
        let left = pki::pem::certificates(&content).len();
        ensure!(left == 0, "{path} still holds {left} certificates");
        Ok(((), format!("{path} holds no certificate")))
    }
}

fn timestamp() -> anyhow::Result<String> {
    let now = time::OffsetDateTime::now_utc();
    Ok(now.format(&time::format_description::well_known::Rfc3339)?)
}
