//! An agent that did not hear the answer reports its outcome again.

use reqwest::Client;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};

use crate::{
    agent::MACHINE,
    api::{items, text},
    database::{Kind, on_both_databases},
    order::SUCCESS,
    scene::{Files, Scene},
};

on_both_databases! {
    async fn the_second_complete_gets_the_same_answer_and_changes_nothing(database: Kind) {
        let Some(mut scene) = Scene::open(database, Files::Together).await else { return };
        let store = scene.spare("reported.pem");
        let store = scene.store(&store).await;
        let certificate = scene.certificate("twice.story.example").await;

        // From here on the test is the agent: it has its certificate and its key.
        scene.agent.stop();
        let agent = Wire::of(&scene);
        let jobs = scene.add(&certificate, &[&store]).await;
        let session = agent.post("Session/Register", &agent.registration()).await;
        let token = text(&session["Session"], "Token");
        let job = items(session["Session"]["Jobs"].clone())
            .into_iter()
            .find(|job| text(job, "JobId").eq_ignore_ascii_case(&jobs[0]))
            .unwrap_or_else(|| panic!("the job is in the session: {session}"));

        let configure = json!({ "SessionToken": token, "JobId": jobs[0] });
        let endpoint = text(&job, "ConfigurationEndpoint");
        let first = agent.post(&endpoint, &configure).await;
        let again = agent.post(&endpoint, &configure).await;
        assert_eq!(first["AuditId"], again["AuditId"], "a job that is handed out again stays one job");

        let complete = json!({
            "Status": 2, "AuditId": first["AuditId"], "JobId": jobs[0], "Message": "", "SessionToken": token,
        });
        let endpoint = text(&job, "CompletionEndpoint");
        let answer = agent.post(&endpoint, &complete).await;
        assert_eq!(answer["Result"]["Status"], 1, "{answer}");
        let row = scene.outcome(&jobs[0]).await;
        assert_eq!(row["Result"], SUCCESS);
        assert_eq!(agent.post(&endpoint, &complete).await, answer);
        assert_eq!(scene.outcome(&jobs[0]).await, row, "one row, and the same as before");

        // Not even with another outcome.
        let mut failed = complete.clone();
        failed["Status"] = 4.into();
        failed["Message"] = "a late thought".into();
        agent.post(&endpoint, &failed).await;
        assert_eq!(scene.outcome(&jobs[0]).await, row);
        assert_eq!(scene.jobs_of(&store).await.len(), 1);
    }
}

/// The agent protocol with the agent's own certificate, and nothing in between.
struct Wire {
    client: Client,
    base: String,
    agent_id: String,
}

impl Wire {
    fn of(scene: &Scene) -> Self {
        let identity = scene.agent.identity();
        let certificate =
            CertificateDer::from_pem_slice(text(&identity, "certificate").as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(text(&identity, "key").as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(scene.server.roots().as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let tls = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)
            .unwrap();
        Self {
            client: Client::builder()
                .tls_backend_preconfigured(tls)
                .no_proxy()
                .build()
                .unwrap(),
            base: format!("{}/KeyfactorAgents/", scene.server.url()),
            agent_id: text(&identity, "agent_id"),
        }
    }

    fn registration(&self) -> Value {
        json!({
            "AgentPlatform": 5,
            "AgentVersion": 563_031_557_799_936_u64,
            "TenantId": "00000000-0000-0000-0000-000000000000",
            "ClientMachine": MACHINE,
            "CSR": null,
            "AgentId": self.agent_id,
            "Capabilities": ["CertStores.PEM.Inventory", "CertStores.PEM.Management"],
            "ClientParameters": {},
        })
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let path = path
            .trim_start_matches('/')
            .trim_start_matches("KeyfactorAgents/");
        let response = self
            .client
            .post(format!("{}{path}", self.base))
            .json(body)
            .send()
            .await
            .unwrap();
        let status = response.status();
        let answer = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }
}
