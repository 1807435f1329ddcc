//! A server made of files, so that it outlives the processes of the kill test.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use agent_protocol::{
    CompleteStatus, InventoryConfigureResponse, InventoryJob, InventorySubmitRequest,
    JobCompleteRequest, ManagementConfigureResponse, ManagementExtra, ManagementJob,
    OperationResult, OperationType, Redacted, ResultStatus, Session, SessionJob,
    SessionRegisterRequest, SessionRegisterResponse, Uuid, job_type, path, property,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use pki::{
    Certificate, CertificateProfile, CertificateRequest, DistinguishedName, Issuer, KeySpec,
    PrivateKey, Serial, Subject,
    pkcs12::{Encryption, to_pkcs12},
};
use serde::Serialize;
use stores::{CommandOutput, Host, Profile};
use zeroize::Zeroizing;

use crate::{AgentConfig, Error, Result, runner::Runner, state::Identity, transport::Transport};

pub(crate) const ADD: Uuid = Uuid::from_u128(0xadd);
pub(crate) const INVENTORY: Uuid = Uuid::from_u128(0x1f);
pub(crate) const AGENT_ID: &str = "11111111-2222-3333-4444-555555555555";
/// A moment in 2026, epoch milliseconds; agent certificates live ten days around it.
pub(crate) const NOW: i64 = 1_790_000_000_000;
pub(crate) const DAY: i64 = 86_400_000;

/// A certificate of an authority that lives as long as this process.
pub(crate) fn issue(name: &str, spki_der: &[u8], not_before: i64, not_after: i64) -> Certificate {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    let issuer = ISSUER.get_or_init(|| {
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let name = DistinguishedName::parse("CN=Test Root").unwrap();
        Issuer::self_signed_root(
            &name,
            key,
            0,
            NOW + 5000 * DAY,
            &Serial::from_random(&[1; 16]),
        )
        .unwrap()
    });
    let name = DistinguishedName::parse(&format!("CN={name}")).unwrap();
    let subject = Subject {
        name,
        sans: Vec::new(),
        spki_der: spki_der.to_vec(),
    };
    let profile = CertificateProfile {
        key_usage: 128,
        ..CertificateProfile::default()
    };
    issuer
        .prepare(
            subject,
            &profile,
            Serial::from_random(&[2; 16]),
            not_before,
            not_after,
        )
        .unwrap()
        .sign(issuer)
        .unwrap()
}

/// What the Add brings, as PKCS#12 with the password `pw`, and its thumbprint. Made once: it is slow on purpose.
fn deployed() -> &'static (Vec<u8>, String) {
    static DEPLOYED: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    DEPLOYED.get_or_init(|| {
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let leaf = issue("site.example", &key.spki_der(), 0, NOW + DAY);
        let chain = std::slice::from_ref(&leaf);
        (
            to_pkcs12(&key, chain, "", "pw", Encryption::Compatible).unwrap(),
            leaf.thumbprint(),
        )
    })
}

/// A folder with a server, an agent's state and a store.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) folder: PathBuf,
}

impl World {
    pub(crate) fn new(folder: &Path) -> Self {
        let world = Self {
            folder: folder.canonicalize().unwrap(),
        };
        if !world.folder.join("live").exists() {
            fs::create_dir(world.folder.join("live")).unwrap();
            world.set("approved");
            world.set("jobs");
            let (pfx, thumbprint) = deployed();
            fs::write(world.folder.join("pfx"), pfx).unwrap();
            fs::write(world.folder.join("thumbprint"), thumbprint).unwrap();
        }
        world
    }

    pub(crate) fn set(&self, flag: &str) {
        fs::write(self.folder.join(flag), "").unwrap();
    }

    pub(crate) fn clear(&self, flag: &str) {
        fs::remove_file(self.folder.join(flag)).unwrap();
    }

    fn is(&self, flag: &str) -> bool {
        self.folder.join(flag).exists()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("live/site.pem")
    }

    pub(crate) fn thumbprint(&self) -> String {
        fs::read_to_string(self.folder.join("thumbprint")).unwrap()
    }

    /// A line for each thing that happened: calls of the server, commands of the host.
    pub(crate) fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn note(&self, line: &str) {
        let mut lines = self.log();
        lines.push(line.to_owned());
        fs::write(self.folder.join("log"), lines.join("\n")).unwrap();
    }

    pub(crate) fn completions(&self) -> Vec<JobCompleteRequest> {
        let text = fs::read_to_string(self.folder.join("completions")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn submitted(&self) -> InventorySubmitRequest {
        serde_json::from_slice(&fs::read(self.folder.join("submitted")).unwrap()).unwrap()
    }

    pub(crate) fn config(&self) -> AgentConfig {
        AgentConfig {
            server_url: "https://localhost".to_owned(),
            virtual_directory: "KeyfactorAgents".to_owned(),
            name: "web1".to_owned(),
            username: None,
            password: None,
            password_file: None,
            ca_bundle: PathBuf::new(),
            state_dir: self.folder.join("state"),
            allowed_paths: vec![self.folder.join("live"), self.folder.join("state")],
            profiles: vec![Profile {
                test_command: vec!["test".to_owned()],
                reload: vec!["reload".to_owned()],
                ..Profile::named("site")
            }],
            poll_seconds: 7.0,
        }
    }

    pub(crate) fn agent(&self) -> Runner<World> {
        self.agent_at(NOW)
    }

    pub(crate) fn agent_at(&self, now: i64) -> Runner<World> {
        let host = Arc::new(NotingHost(Mutex::new(self.clone())));
        Runner::new(self.config(), self.clone(), host, Arc::new(move || now)).unwrap()
    }

    fn register(
        &self,
        identity: Option<&Identity>,
        request: &SessionRegisterRequest,
    ) -> SessionRegisterResponse {
        let shown = identity.map_or("nothing", |identity| identity.agent_id.as_str());
        let csr = if request.csr.is_some() {
            " with CSR"
        } else {
            ""
        };
        self.note(&format!("register showing {shown}{csr}"));
        let refused = |status, message: &str, code| SessionRegisterResponse {
            session: Some(Session::default()),
            result: OperationResult::failure(status, message, code),
        };
        if !self.is("approved") {
            return refused(ResultStatus::Error, "wait for approval", "A0100001");
        }
        if self.is("renew") && request.csr.is_none() {
            return refused(ResultStatus::Warning, "renew", "A0100007");
        }
        let certificate = request.csr.as_ref().map(|csr| {
            let csr = CertificateRequest::from_pem_or_der(&STANDARD.decode(csr).unwrap()).unwrap();
            assert_eq!(csr.subject().common_name(), Some("web1"));
            let certificate = issue("web1", csr.spki_der(), NOW - DAY, NOW + 9 * DAY);
            STANDARD.encode(certificate.der())
        });
        let done = self.completions();
        let open =
            |id: Uuid| self.is("jobs") && !done.iter().any(|completion| completion.job_id == id);
        let mut jobs = Vec::new();
        if identity.is_some() && open(INVENTORY) {
            jobs.push(session_job(
                INVENTORY,
                job_type::PEM_INVENTORY,
                path::INVENTORY_CONFIGURE,
                path::INVENTORY_COMPLETE,
            ));
            jobs.push(session_job(
                Uuid::from_u128(9),
                Uuid::from_u128(9),
                "x",
                "x",
            ));
        }
        if identity.is_some() && open(ADD) {
            let add = session_job(
                ADD,
                job_type::PEM_MANAGEMENT,
                path::MANAGEMENT_CONFIGURE,
                path::MANAGEMENT_COMPLETE,
            );
            jobs.push(SessionJob {
                priority: Some(3),
                ..add
            });
        }
        let session = Session {
            token: Some(Redacted::from("token")),
            agent_id: Some(AGENT_ID.to_owned()),
            heartbeat_interval: 5,
            jobs,
            certificate,
            ..Session::default()
        };
        SessionRegisterResponse {
            session: Some(session),
            result: OperationResult::success(),
        }
    }

    fn management(&self) -> ManagementConfigureResponse {
        let read = |file: &str, default: &str| {
            fs::read_to_string(self.folder.join(file)).unwrap_or(default.to_owned())
        };
        let refused = OperationResult::failure(ResultStatus::Error, "not now", "A0100002");
        ManagementConfigureResponse {
            audit_id: 7,
            job_cancelled: self.is("cancelled"),
            result: if self.is("refused") {
                refused
            } else {
                OperationResult::success()
            },
            job: Some(ManagementJob {
                operation_type: OperationType::Add,
                store_path: Some(read("path", &self.store().display().to_string())),
                private_key_entry: true,
                entry_contents: Some(
                    STANDARD
                        .encode(fs::read(self.folder.join("pfx")).unwrap())
                        .into(),
                ),
                pfx_password: Some("pw".into()),
                properties: Some(
                    format!(
                        "{{\"{}\":\"{}\"}}",
                        property::PROFILE,
                        read("profile", "site")
                    )
                    .into(),
                ),
                chancery: Some(ManagementExtra {
                    expected_thumbprint: Some(read("thumbprint", "")),
                    ..ManagementExtra::default()
                }),
                ..ManagementJob::default()
            }),
        }
    }

    fn complete(&self, request: &JobCompleteRequest) -> OperationResult {
        assert_eq!(request.session_token.expose(), "token");
        let mut text = fs::read_to_string(self.folder.join("completions")).unwrap_or_default();
        text.push_str(&serde_json::to_string(request).unwrap());
        text.push('\n');
        fs::write(self.folder.join("completions"), text).unwrap();
        OperationResult::success()
    }
}

fn session_job(id: Uuid, kind: Uuid, configure: &str, complete: &str) -> SessionJob {
    SessionJob {
        job_id: id,
        job_type_id: kind,
        configuration_endpoint: Some(format!("/KeyfactorAgents/{configure}")),
        completion_endpoint: Some(complete.to_owned()),
        ..SessionJob::default()
    }
}

impl Transport for World {
    async fn post(
        &self,
        identity: Option<&Identity>,
        path: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        if self.is("deaf") && path.ends_with("/Complete") {
            let endpoint = path.to_owned();
            return Err(Error::Transport {
                endpoint,
                reason: "HTTP status 503".to_owned(),
            });
        }
        let answer = match path {
            path::SESSION_REGISTER => {
                let request = serde_json::from_slice(&body).unwrap();
                return Ok(json(&self.register(identity, &request)));
            }
            path::MANAGEMENT_CONFIGURE => json(&self.management()),
            path::INVENTORY_CONFIGURE => json(&InventoryConfigureResponse {
                audit_id: 8,
                inventory_endpoint: Some("/AnyInventory/Update".to_owned()),
                result: OperationResult::success(),
                job: Some(InventoryJob {
                    store_path: Some(self.store().display().to_string()),
                    ..InventoryJob::default()
                }),
                ..InventoryConfigureResponse::default()
            }),
            path::INVENTORY_UPDATE => {
                fs::write(self.folder.join("submitted"), &body).unwrap();
                json(&serde_json::json!({"Result": {"Status": 1}}))
            }
            path::MANAGEMENT_COMPLETE | path::INVENTORY_COMPLETE => {
                let request: JobCompleteRequest = serde_json::from_slice(&body).unwrap();
                assert_ne!(request.status, CompleteStatus::Unknown);
                let result = self.complete(&request);
                // The protocol lets a Complete be answered with nothing.
                assert_eq!(result.status, ResultStatus::Success);
                Zeroizing::new(Vec::new())
            }
            other => panic!("{other}"),
        };
        self.note(path);
        Ok(answer)
    }
}

fn json(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(value).unwrap())
}

/// A host whose commands succeed and are noted.
struct NotingHost(Mutex<World>);

impl Host for NotingHost {
    fn run(&self, command: &[String], _: Duration) -> std::result::Result<CommandOutput, String> {
        self.0
            .lock()
            .unwrap()
            .note(&format!("run {}", command.join(" ")));
        Ok(CommandOutput {
            status: Some(0),
            text: String::new(),
        })
    }

    fn served_certificate(
        &self,
        _: &str,
        _: Option<&str>,
        _: Duration,
    ) -> std::result::Result<Vec<u8>, String> {
        Err("nothing listens".to_owned())
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn pause(&self, _: Duration) {}
}
