//! An agent that speaks `/KeyfactorAgents` as the reference says, without a machine behind it.

use std::collections::HashMap;
use std::sync::Arc;

use agent_protocol::{
    AgentPlatform, CompleteStatus, InventoryItem, InventorySubmitRequest, JobCompleteRequest,
    JobCompleteResponse, JobConfigureRequest, RegistrationExtra, SessionJob,
    SessionRegisterRequest, SessionRegisterResponse, Uuid, capability, path,
};
use app::App;
use app::web::PeerCertificate;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use pki::{CertificateRequest, DistinguishedName, KeySpec, PrivateKey};
use serde::Serialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::client::Client;
use crate::server::{ADMINISTRATOR, PASSWORD};

/// What an agent did with a job.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It went well.
    Success,
    /// It went well, with a remark.
    Warning(String),
    /// It did not.
    Failure(String),
    /// An inventory, which is submitted before it is completed.
    Inventory(Vec<InventoryItem>),
    /// The agent dies before it says anything.
    Silence,
}

/// An agent. Its members may be changed before it registers.
#[derive(Debug)]
pub struct TestAgent {
    /// Its name, `ClientMachine`.
    pub name: String,
    /// What it can do; inventory and management of PEM stores unless changed.
    pub capabilities: Vec<String>,
    /// Whether it is our own (takes PKCS#12 and the `Chancery` members), as it is unless changed.
    pub chancery: bool,
    /// Its id, once it has one.
    pub id: Option<Uuid>,
    /// The session, after each registration.
    pub token: Option<String>,
    /// Its certificate (DER), once it has one.
    pub certificate: Option<Vec<u8>>,
    app: Arc<App>,
    authorization: Option<String>,
    audit_ids: HashMap<Uuid, i64>,
}

impl TestAgent {
    pub(crate) fn new(app: &Arc<App>, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            capabilities: vec![
                capability::PEM_INVENTORY.into(),
                capability::PEM_MANAGEMENT.into(),
            ],
            chancery: true,
            id: None,
            token: None,
            certificate: None,
            app: Arc::clone(app),
            authorization: None,
            audit_ids: HashMap::new(),
        }
        .signed_in(ADMINISTRATOR, PASSWORD)
    }

    /// The same agent, signing in with another account.
    #[must_use]
    pub fn signed_in(mut self, name: &str, password: &str) -> Self {
        self.authorization = Some(format!(
            "Basic {}",
            BASE64.encode(format!("{name}:{password}"))
        ));
        self
    }

    /// The same agent without name and password: only its certificate says who it is.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.authorization = None;
        self
    }

    /// Its id.
    ///
    /// # Panics
    /// Before it has one.
    #[track_caller]
    pub fn id(&self) -> Uuid {
        self.id.expect("the agent has enrolled")
    }

    /// Enrolls: asks with a request, is approved by `approver`, and asks again.
    ///
    /// # Panics
    /// When the server does not let it in.
    pub async fn enroll(&mut self, approver: &Client) {
        let first = self.register_with_request().await;
        if self.token.is_none() {
            assert_eq!(
                first.session.and_then(|session| session.certificate),
                None,
                "no certificate before approval"
            );
            self.approve(approver).await;
            self.register_with_request().await;
        }
        assert!(
            self.token.is_some() && self.certificate.is_some(),
            "an approved agent gets a session and a certificate"
        );
    }

    /// Has the agent of this name approved.
    ///
    /// # Panics
    /// When there is none, or the approver may not.
    pub async fn approve(&self, approver: &Client) {
        let listed = approver.get("/Agents?returnLimit=10000").await.expect(200);
        let agent = listed
            .items()
            .iter()
            .rfind(|agent| agent["ClientMachine"] == self.name.as_str());
        let agent = agent.unwrap_or_else(|| panic!("the agent {} is not listed", self.name));
        approver
            .post("/Agents/Approve", json!([agent["AgentId"]]))
            .await
            .expect(204);
    }

    /// Registers with a request for a certificate of a fresh key: enrollment, or rotation when it has an id.
    ///
    /// # Panics
    /// When the answer is not 200 with the declared body.
    pub async fn register_with_request(&mut self) -> SessionRegisterResponse {
        let key = PrivateKey::generate(KeySpec::EcP256).expect("a key can be made");
        let subject = DistinguishedName::parse(&format!("CN={}", self.name))
            .expect("the name fits a subject");
        let request =
            CertificateRequest::create(&subject, &[], &key).expect("a request can be made");
        self.register_as(Some(BASE64.encode(request.der()))).await
    }

    /// Registers a session. Answers the jobs that are due.
    ///
    /// # Panics
    /// When the answer is not 200 with the declared body.
    pub async fn register(&mut self) -> Vec<SessionJob> {
        let response = self.register_as(None).await;
        response
            .session
            .map(|session| session.jobs)
            .unwrap_or_default()
    }

    /// Registers, and takes over what the answer gives.
    ///
    /// # Panics
    /// When the answer is not 200 with the declared body.
    pub async fn register_as(&mut self, csr: Option<String>) -> SessionRegisterResponse {
        let request = SessionRegisterRequest {
            agent_platform: AgentPlatform::Native,
            agent_version: 1 << 48,
            client_machine: self.name.clone(),
            csr,
            agent_id: self.id.map(|id| id.to_string()).unwrap_or_default(),
            capabilities: self.capabilities.clone(),
            chancery: self.chancery.then(|| RegistrationExtra {
                version: "1.0.0".into(),
                hostname: self.name.clone(),
                profiles: Vec::new(),
            }),
            ..SessionRegisterRequest::default()
        };
        let answer = self.call(path::SESSION_REGISTER, &request).await;
        let response: SessionRegisterResponse =
            serde_json::from_value(answer).expect("the answer has the protocol's shape");
        let session = response.session.clone().unwrap_or_default();
        self.token = session.token.map(|token| token.expose().clone());
        if let Some(id) = session.agent_id.as_deref() {
            self.id = Some(Uuid::parse_str(id).expect("the agent's id is a GUID"));
        }
        if let Some(certificate) = session.certificate {
            self.certificate = Some(
                BASE64
                    .decode(certificate)
                    .expect("the certificate is bare base64"),
            );
        }
        response
    }

    /// Fetches a job. Answers the body as it came.
    ///
    /// # Panics
    /// When the answer is not 200.
    pub async fn configure(&mut self, job: &SessionJob) -> Value {
        let request = JobConfigureRequest {
            session_token: self.session_token(),
            job_id: job.job_id,
        };
        let endpoint = job
            .configuration_endpoint
            .as_deref()
            .expect("the job says where to fetch it");
        let answer = self.call(endpoint, &request).await;
        if let Some(audit_id) = answer["AuditId"].as_i64() {
            self.audit_ids.insert(job.job_id, audit_id);
        }
        answer
    }

    /// Sends an inventory. Answers the body as it came.
    ///
    /// # Panics
    /// When the answer is not 200.
    pub async fn submit_inventory(&self, job: &SessionJob, items: Vec<InventoryItem>) -> Value {
        let request = InventorySubmitRequest {
            session_token: self.session_token(),
            job_id: job.job_id,
            inventory: items,
        };
        self.call(path::INVENTORY_UPDATE, &request).await
    }

    /// Says how a job ended.
    ///
    /// # Panics
    /// When the answer is not 200 with the declared body.
    pub async fn complete(
        &self,
        job: &SessionJob,
        status: CompleteStatus,
        message: &str,
    ) -> JobCompleteResponse {
        let request = JobCompleteRequest {
            status,
            audit_id: self.audit_ids.get(&job.job_id).copied().unwrap_or_default(),
            job_id: job.job_id,
            message: message.to_owned(),
            session_token: self.session_token(),
            ..JobCompleteRequest::default()
        };
        let endpoint = job
            .completion_endpoint
            .as_deref()
            .expect("the job says where to complete it");
        let answer = self.call(endpoint, &request).await;
        if answer.is_null() {
            JobCompleteResponse::default()
        } else {
            serde_json::from_value(answer).expect("the protocol's shape")
        }
    }

    /// Registers and works through the jobs that are due. `work` gets the job and the answer of its Configure call. Answers how
    /// many jobs it was given and did.
    ///
    /// # Panics
    /// When an answer is not 200.
    pub async fn run_all(&mut self, mut work: impl FnMut(&SessionJob, &Value) -> Outcome) -> usize {
        let mut done = 0;
        for job in self.register().await {
            let configured = self.configure(&job).await;
            if configured["JobCancelled"] == true || configured["Result"]["Status"] != 1 {
                continue;
            }
            done += 1;
            match work(&job, &configured) {
                Outcome::Success => drop(self.complete(&job, CompleteStatus::Success, "").await),
                Outcome::Warning(message) => {
                    drop(self.complete(&job, CompleteStatus::Warning, &message).await);
                }
                Outcome::Failure(message) => {
                    drop(self.complete(&job, CompleteStatus::Error, &message).await);
                }
                Outcome::Inventory(items) => {
                    self.submit_inventory(&job, items).await;
                    drop(self.complete(&job, CompleteStatus::Success, "").await);
                }
                Outcome::Silence => {}
            }
        }
        done
    }

    /// One call, by its path relative to the agents' prefix. Answers the body, null when it is empty.
    ///
    /// # Panics
    /// When the status is not 200, or the body is not JSON.
    pub async fn call(&self, path: &str, body: &impl Serialize) -> Value {
        let body = serde_json::to_value(body).expect("requests are JSON");
        let (status, answer) = self.send(path, body.to_string().into_bytes()).await;
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        if answer.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&answer).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// One call with any body. Answers status and body as they came.
    ///
    /// # Panics
    /// When the path is none.
    pub async fn send(&self, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        // As the C agent does it: the first `KeyfactorAgents/` is taken out of a path.
        let path = path.replacen("KeyfactorAgents/", "", 1);
        let uri = format!("/KeyfactorAgents/{}", path.trim_start_matches('/'));
        let mut request = Request::post(uri)
            .body(Body::from(body))
            .expect("the path is one");
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(authorization) = &self.authorization {
            let value = HeaderValue::from_str(authorization).expect("base64 fits a header");
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        if let Some(certificate) = &self.certificate {
            request
                .extensions_mut()
                .insert(PeerCertificate(certificate.clone()));
        }
        let Ok(response) = self.app.router().oneshot(request).await;
        let status = response.status();
        let octets = response
            .into_body()
            .collect()
            .await
            .expect("the answer can be read")
            .to_bytes();
        (status, octets.to_vec())
    }

    fn session_token(&self) -> agent_protocol::Redacted<String> {
        agent_protocol::Redacted::new(self.token.clone().unwrap_or_default())
    }
}
