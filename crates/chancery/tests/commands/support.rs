//! The built program, from outside: started, asked, ended.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(120);

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// The output of a command that must have ended well.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }

    /// The complaint of a command that must have failed.
    pub(crate) fn bad(self) -> String {
        assert_eq!(self.code, Some(1), "{}\n{}", self.out, self.err);
        self.err
    }
}

/// The program with arguments, without the settings of whoever runs the tests.
pub(crate) fn chancery(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHANCERY_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    let output = tokio::time::timeout(LIMIT, chancery(arguments).output());
    let output = output.await.expect("it ends in time").unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A command that runs until it is told to end.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) said: String,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = chancery(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        Self {
            child,
            lines: BufReader::new(out).lines(),
            said: String::new(),
        }
    }

    /// Reads on until a line holds `wanted`; that line.
    pub(crate) async fn line_with(&mut self, wanted: &str) -> String {
        let read = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push_str(&line);
                self.said.push('\n');
                if line.contains(wanted) {
                    return line;
                }
            }
            panic!("it ended without {wanted:?}:\n{}", self.said)
        };
        tokio::time::timeout(LIMIT, read).await.unwrap()
    }

    /// Ends it as a service manager would; its exit status.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().expect("it still runs").to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        assert!(asked.await.unwrap().success());
        // Read on, so that it does not wait for a reader.
        while let Ok(Some(_)) = self.lines.next_line().await {}
        let ended = tokio::time::timeout(LIMIT, self.child.wait());
        ended.await.expect("it ends in time").unwrap().code()
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A server on an installation, and an administrator's way to its API.
pub(crate) struct Server {
    running: Running,
    pub(crate) url: String,
    http: reqwest::Client,
    root: PathBuf,
    account: String,
    password: String,
}

impl Server {
    /// Starts `chancery serve` on what `storage` names (flags), with a fresh password for the account; `root` is the
    /// PEM file of the installation's root.
    pub(crate) async fn start(storage: &[&str], account: &str, root: &Path) -> Self {
        let reset = run(&[&["admin", "reset-password", account], storage].concat()).await;
        let said = reset.good();
        let (_, password) = said.trim().rsplit_once(' ').unwrap();
        let arguments = [
            &["serve", "--listen", "127.0.0.1:0", "--log", "warn"],
            storage,
        ]
        .concat();
        let mut running = Running::start(&arguments);
        let line = running.line_with("listens on").await;
        let (_, address) = line.rsplit_once(' ').unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let pem = std::fs::read(root).unwrap();
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
            .no_proxy()
            .build()
            .unwrap();
        Self {
            url: format!("https://{address}"),
            running,
            http,
            root: root.to_owned(),
            account: account.to_owned(),
            password: password.to_owned(),
        }
    }

    /// One call that must succeed; its body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self
            .http
            .request(method.clone(), format!("{}/KeyfactorAPI{path}", self.url))
            .basic_auth(&self.account, Some(&self.password))
            .header("x-keyfactor-requested-with", "APIClient")
            .header("x-certificateformat", "PFX");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, Some(body)).await
    }

    /// Puts a stored certificate with its key into a new PEM file, through a new agent of that name and the agent
    /// program; then the file holds the certificate and the key that belongs to it.
    pub(crate) async fn deploy(&self, folder: &Path, agent: &str, certificate_id: i64) {
        let config = folder.join(format!("{agent}.toml"));
        let stores = folder.join(format!("{agent}-stores"));
        std::fs::create_dir_all(&stores).unwrap();
        let text = format!(
            "server_url = {:?}\nname = {agent:?}\nca_bundle = {:?}\nstate_dir = {:?}\nallowed_paths = [{stores:?}]\n\
             username = {:?}\npassword = {:?}\n",
            self.url,
            self.root,
            folder.join(format!("{agent}-state")),
            self.account,
            self.password
        );
        std::fs::write(&config, text).unwrap();
        let config = config.display().to_string();
        let once = ["agent", "--once", "--log", "warn", "--config", &config];
        let pending = run(&once).await.bad();
        assert!(pending.contains("not approved yet"), "{pending}");
        let agents = self.get("/Agents").await;
        let ours = agents.as_array().unwrap().iter();
        let mut ours = ours.filter(|found| found["ClientMachine"] == agent);
        let agent_id = ours.next_back().unwrap()["AgentId"].clone();
        self.post("/Agents/Approve", json!([agent_id])).await;
        run(&once).await.good();

        let file = stores.join("site.pem");
        let store = json!({
            "ClientMachine": agent,
            "StorePath": file,
            "CertStoreType": 2,
            "CreateIfMissing": true,
            "Properties": "{}",
            "AgentId": agent_id,
        });
        let store = self.post("/CertificateStores", store).await;
        let add = json!({
            "CertificateId": certificate_id,
            "CertificateStores": [{
                "CertificateStoreId": store["Id"],
                "IncludePrivateKey": true,
                "Overwrite": true,
            }],
            "Schedule": { "Immediate": true },
        });
        self.post("/CertificateStores/Certificates/Add", add).await;
        run(&once).await.good();
        let history = self.get("/OrchestratorJobs/JobHistory").await;
        let pem = std::fs::read_to_string(&file).unwrap_or_default();
        let leaf = pki::pem::certificates(pem.as_bytes());
        let leaf = leaf.first().unwrap_or_else(|| panic!("{history:#}"));
        let leaf = pki::Certificate::from_der(leaf).unwrap();
        let wanted = self.get(&format!("/Certificates/{certificate_id}")).await;
        let wanted = wanted["Thumbprint"].as_str().unwrap();
        assert!(leaf.thumbprint().eq_ignore_ascii_case(wanted));
        assert!(pki::PrivateKey::from_pem(&pem).unwrap().matches(&leaf));
    }

    pub(crate) async fn stop(self) {
        assert_eq!(self.running.terminate().await, Some(0));
    }
}

/// What stands behind a word in a text, up to the next blank or comma.
pub(crate) fn word_after(text: &str, before: &str) -> String {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("{before:?} in {text}"));
    let end = |character: char| character.is_whitespace() || character == ',';
    rest.trim_start().split(end).next().unwrap().to_owned()
}
