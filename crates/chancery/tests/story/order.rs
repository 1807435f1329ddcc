//! A careful client: what it may not have asked for in vain it looks up before it asks again. So every step here can be
//! interrupted anywhere, and done again.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    api::{items, text},
    scene::Scene,
    until::until,
};

/// `JobHistory` status of a job that is over.
const COMPLETED: i64 = 3;
/// `JobHistory` result of a job that ended well.
pub(crate) const SUCCESS: i64 = 2;
/// `JobHistory` result of a job that found nothing to do.
pub(crate) const WARNING: i64 = 3;
/// `JobHistory` result of a job that changed nothing because it could not.
pub(crate) const FAILURE: i64 = 4;

/// A certificate as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) thumbprint: String,
}

/// A store as the server knows it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) id: String,
    pub(crate) path: String,
}

impl Scene {
    /// The certificate for a name, enrolled with a key that the server makes and keeps. There is one, whatever happens.
    pub(crate) async fn certificate(&mut self, name: &str) -> Certificate {
        loop {
            if let Some(found) = self.certificates(name).await.into_iter().next() {
                return found;
            }
            self.ask(
                "/Enrollment/PFX",
                &json!({
                    "Subject": format!("CN={name}"),
                    "SANs": { "dns": [name] },
                    "Template": "WebServer",
                    "Password": "only for the answer",
                    "IncludeChain": true,
                    "Timestamp": "2025-01-01T00:00:00Z",
                }),
            )
            .await;
        }
    }

    /// The certificate that takes the place of another one: same names, new key.
    pub(crate) async fn renewed(&mut self, old: &Certificate) -> Certificate {
        loop {
            let newer = self
                .certificates(&old.name)
                .await
                .into_iter()
                .find(|found| found.id > old.id);
            if let Some(found) = newer {
                return found;
            }
            let body = json!({ "CertificateId": old.id, "Timestamp": "2025-01-01T00:00:00Z" });
            self.ask("/Enrollment/Renew", &body).await;
        }
    }

    /// All certificates with this common name.
    pub(crate) async fn certificates(&mut self, name: &str) -> Vec<Certificate> {
        let query = format!("CN -eq \"{name}\"");
        let found = items(self.see("/Certificates", &[("QueryString", &query)]).await);
        found
            .iter()
            .map(|found| Certificate {
                id: found["Id"].as_i64().expect("a certificate has an id"),
                name: text(found, "IssuedCN"),
                thumbprint: text(found, "Thumbprint"),
            })
            .collect()
    }

    /// The store of a request, made if it is not there.
    pub(crate) async fn store(&mut self, request: &Value) -> Store {
        loop {
            if let Some(found) = self
                .stores(&text(request, "Storepath"))
                .await
                .into_iter()
                .next()
            {
                return found;
            }
            self.ask("/CertificateStores", request).await;
        }
    }

    /// All stores with this path.
    pub(crate) async fn stores(&mut self, path: &str) -> Vec<Store> {
        let query = format!("StorePath -eq \"{path}\"");
        let found = items(
            self.see("/CertificateStores", &[("QueryString", &query)])
                .await,
        );
        found
            .iter()
            .map(|found| Store {
                id: text(found, "Id"),
                path: text(found, "Storepath"),
            })
            .collect()
    }

    /// Puts a certificate and its key into stores, in place of what they hold. Answers the jobs, in the order of the
    /// stores.
    pub(crate) async fn add(
        &mut self,
        certificate: &Certificate,
        stores: &[&Store],
    ) -> Vec<String> {
        let targets: Vec<Value> = stores
            .iter()
            .map(|store| {
                json!({
                    "CertificateStoreId": store.id,
                    "Overwrite": true,
                    "IncludePrivateKey": true,
                    "EntryPassword": null,
                })
            })
            .collect();
        let body = json!({
            "CertificateId": certificate.id,
            "CertificateStores": targets,
            "Schedule": { "Immediate": true },
        });
        self.order("/CertificateStores/Certificates/Add", &body, stores)
            .await
    }

    /// Takes a certificate out of a store. Answers the job.
    pub(crate) async fn remove(&mut self, certificate: &Certificate, store: &Store) -> String {
        let body = json!({
            "CertificateStores": [{ "CertificateStoreId": store.id, "Alias": certificate.thumbprint }],
            "Schedule": { "Immediate": true },
        });
        self.order("/CertificateStores/Certificates/Remove", &body, &[store])
            .await
            .remove(0)
    }

    /// Orders once. Without an answer the client sees from the stores' jobs whether its order has arrived.
    async fn order(&mut self, path: &str, body: &Value, stores: &[&Store]) -> Vec<String> {
        let mut before = Vec::new();
        for store in stores {
            before.push(self.jobs_of(store).await);
        }
        loop {
            if let Some(answer) = self.ask(path, body).await {
                let jobs = items(answer);
                return jobs
                    .iter()
                    .map(|job| job.as_str().expect("a job is a GUID").to_owned())
                    .collect();
            }
            let mut jobs = Vec::new();
            for (store, before) in stores.iter().zip(&before) {
                jobs.extend(self.jobs_of(store).await.difference(before).cloned());
            }
            if !jobs.is_empty() {
                assert_eq!(
                    jobs.len(),
                    stores.len(),
                    "one order makes a job for each store, or none"
                );
                return jobs;
            }
        }
    }

    /// GUIDs of the management jobs of a store: those that wait, are being done, or are over.
    pub(crate) async fn jobs_of(&mut self, store: &Store) -> BTreeSet<String> {
        let query = format!(
            "Target -eq \"{}\" AND JobType -eq \"Management\"",
            store.path
        );
        let query = [("QueryString", query.as_str()), ("ReturnLimit", "1000")];
        let waiting = items(self.see("/OrchestratorJobs/ScheduledJobs", &query).await);
        let mut jobs: BTreeSet<String> = waiting.iter().map(|job| text(job, "Id")).collect();
        // In this order: a job moves from the first list to the second one.
        let query = format!(
            "TargetPath -eq \"{}\" AND JobType -eq \"Management\"",
            store.path
        );
        let query = [("QueryString", query.as_str()), ("ReturnLimit", "1000")];
        let begun = items(self.see("/OrchestratorJobs/JobHistory", &query).await);
        jobs.extend(begun.iter().map(|job| text(job, "JobId")));
        jobs
    }

    /// The one entry in the history of a job, once it is over.
    pub(crate) async fn outcome(&mut self, job: &str) -> Value {
        let query = format!("JobId -eq \"{job}\"");
        until(&format!("job {job} is over"), async || {
            self.tend().await;
            let history = items(
                self.see("/OrchestratorJobs/JobHistory", &[("QueryString", &query)])
                    .await,
            );
            match history.as_slice() {
                [only] if only["Status"] == COMPLETED => Ok(only.clone()),
                [] | [_] => Err(format!("{history:?}")),
                several => panic!("a job has one entry in the history: {several:?}"),
            }
        })
        .await
    }

    /// Waits for a job that has to end well.
    pub(crate) async fn succeeds(&mut self, job: &str) {
        let outcome = self.outcome(job).await;
        assert_eq!(outcome["Result"], SUCCESS, "{outcome}");
    }

    /// Waits until the inventory of a store shows exactly these certificates.
    pub(crate) async fn shows(&mut self, store: &Store, expected: &[&Certificate]) {
        let path = format!("/CertificateStores/{}/Inventory", store.id);
        let expected: Vec<&str> = expected
            .iter()
            .map(|certificate| certificate.thumbprint.as_str())
            .collect();
        until("the inventory is as ordered", async || {
            self.tend().await;
            let inventory = items(self.see(&path, &[]).await);
            let leaves: Vec<String> = inventory
                .iter()
                .map(|entry| text(&entry["Certificates"][0], "Thumbprint").to_uppercase())
                .collect();
            if leaves == expected {
                Ok(())
            } else {
                Err(format!("{inventory:?} instead of {expected:?}"))
            }
        })
        .await;
    }
}
