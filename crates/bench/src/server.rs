//! The server under test: the built binary as a process of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sea_orm::ConnectionTrait;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::client::Api;
use crate::cost::{self, Cost};

const PASSWORD: &str = "seventeen quiet herons";
const ACCOUNT: &str = "bench";
/// How long a server may take to answer before the run is given up.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where a server keeps its things.
#[derive(Clone)]
pub(crate) struct Setup {
    binary: PathBuf,
    folder: PathBuf,
    database: Option<String>,
}

impl Setup {
    pub(crate) fn new(binary: &Path, folder: &Path, database: Option<&str>) -> Self {
        Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            database: database.map(str::to_owned),
        }
    }

    /// A folder beside that of the server.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.with_extension(name)
    }

    /// Another server with an empty database: beside the file, or on the same PostgreSQL.
    pub(crate) async fn empty(&self, name: &str) -> anyhow::Result<Self> {
        let mut other = self.clone();
        other.folder = self.beside(name);
        if let Some(address) = &self.database {
            let (server, database) = address.rsplit_once('/').context("a database's name")?;
            let connection = sea_orm::Database::connect(address.as_str()).await?;
            let create = format!("CREATE DATABASE \"{database}_{name}\"");
            connection.execute_unprepared(&create).await?;
            connection.close().await?;
            other.database = Some(format!("{server}/{database}_{name}"));
        }
        Ok(other)
    }

    /// Where the server keeps what is not in the database.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server printed since its start.
    fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.join("server.log"))?)
    }

    /// The key ring that its secrets are sealed with.
    pub(crate) fn sealing_key(&self) -> PathBuf {
        self.folder.join("sealing.key")
    }

    /// The address of the database, whichever it is.
    pub(crate) fn address(&self) -> String {
        match &self.database {
            Some(address) => address.clone(),
            None => format!("sqlite:{}", self.folder.join("chancery.db").display()),
        }
    }

    /// The PostgreSQL database, if it is one.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(&self.folder)
            .kill_on_drop(true)
            .stdin(Stdio::null());
        if let Some(database) = &self.database {
            command.env("CHANCERY_DATABASE", database);
        }
        command
    }
}

/// A server that runs.
pub(crate) struct Server {
    setup: Setup,
    child: Child,
    pub(crate) url: String,
    pub(crate) roots: Vec<Vec<u8>>,
    database_process: Option<u32>,
}

impl Server {
    /// Starts the server, and makes the account when it is not there yet.
    pub(crate) async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let mut server = Self::launch(setup).await?;
        let db = server.open_database().await?;
        server.database_process = cost::database_process(&db).await?;
        db.close().await;
        if server.api()?.get("/Status/Endpoints").await.is_err() {
            server.create_account(ACCOUNT, "Administrator").await?;
        }
        Ok(server)
    }

    /// Starts the server and waits until it answers.
    pub(crate) async fn launch(setup: &Setup) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        std::fs::create_dir_all(&setup.folder)?;
        let log = std::fs::File::create(setup.folder.join("server.log"))?;
        let mut child = setup
            .command(&[
                "serve",
                "--listen",
                &address,
                "--log",
                "warn,app::certificates=info",
            ])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{}", setup.binary.display()))?;
        let url = format!("https://{address}");
        let certificate = setup.folder.join("tls/server.pem");
        let started = Instant::now();
        // The port is bound before the server can answer, and at a first start before it has a certificate.
        let roots = loop {
            if let Ok(bundle) = std::fs::read(&certificate) {
                let roots = pki::pem::certificates(&bundle);
                if !roots.is_empty() && Api::new(&url, &roots, None)?.is_answered().await {
                    break roots;
                }
            }
            if let Some(status) = child.try_wait()? {
                let log = setup.log()?;
                bail!("the server ended with {status}: {log}");
            }
            if started.elapsed() > START_LIMIT {
                bail!("the server does not answer");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        Ok(Self {
            setup: setup.clone(),
            child,
            url,
            roots,
            database_process: None,
        })
    }

    /// What it printed since its start.
    pub(crate) fn log(&self) -> anyhow::Result<String> {
        self.setup.log()
    }

    async fn create_account(&self, name: &str, role: &str) -> anyhow::Result<()> {
        let mut command = self.setup.command(&[
            "admin",
            "create-account",
            name,
            "--role",
            role,
            "--password-stdin",
        ]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut input = child.stdin.take().context("standard input")?;
        input.write_all(format!("{PASSWORD}\n").as_bytes()).await?;
        drop(input);
        let status = child.wait().await?;
        if !status.success() {
            bail!("the account could not be made: {status}");
        }
        Ok(())
    }

    /// A client signed in as the administrator.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        Ok(Api::new(&self.url, &self.roots, None)?.with_account(ACCOUNT, PASSWORD))
    }

    /// A client signed in as a new account in a role.
    pub(crate) async fn account(&self, name: &str, role: &str) -> anyhow::Result<Api> {
        self.create_account(name, role).await?;
        Ok(Api::new(&self.url, &self.roots, None)?.with_account(name, PASSWORD))
    }

    /// A client without an account, or with an agent's certificate.
    pub(crate) fn agent_api(&self, identity: Option<(Vec<u8>, Vec<u8>)>) -> anyhow::Result<Api> {
        Api::new(&self.url, &self.roots, identity)
    }

    /// Resident memory of the process, in megabytes.
    pub(crate) fn resident_mb(&self) -> anyhow::Result<f64> {
        let id = self.child.id().context("the server ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("VmRSS")?;
        let kilobytes: f64 = line.split_whitespace().nth(1).context("VmRSS")?.parse()?;
        Ok(kilobytes / 1024.0)
    }

    /// Time of the processor used so far.
    pub(crate) fn cost(&self) -> anyhow::Result<Cost> {
        Cost::now(
            self.child.id().context("the server ended")?,
            self.database_process,
        )
    }

    /// The server's database, beside the server.
    pub(crate) async fn open_database(&self) -> anyhow::Result<db::Db> {
        Ok(db::Db::open(&self.setup.address(), &db::Options::default()).await?)
    }

    /// What the database says about its commits, asked by the library that the server uses.
    pub(crate) async fn durability(&self) -> anyhow::Result<db::Durability> {
        let db = self.open_database().await?;
        let durability = db.durability().await?;
        db.close().await;
        Ok(durability)
    }

    /// Ends the server and waits for it.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("the server ended by itself")?;
        let told = Command::new("kill")
            .arg("-TERM")
            .arg(id.to_string())
            .status()
            .await?;
        if !told.success() {
            bail!("the server could not be told to end");
        }
        self.child.wait().await?;
        Ok(())
    }
}
