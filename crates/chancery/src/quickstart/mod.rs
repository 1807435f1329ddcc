//! `chancery quickstart`: on an empty machine, with nothing configured, everything up to a live TLS endpoint whose
//! certificate Chancery enrolled, deployed, renewed and replaced. Server and agent run in this process, and talk to
//! each other as if they did not.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use app::{ADMINISTRATOR_ROLE, Cx, security::accounts};
use secrecy::SecretString;
use tokio::sync::watch;

use crate::{
    config::{Config, Given},
    console::Console,
    data_dir, logging,
    server::{self, Server},
};

mod client;
mod in_process_agent;
mod site;
mod steps;
mod story;

use client::Client;
use in_process_agent::InProcessAgent;
use site::Site;
use steps::Steps;

/// The administrator that the quickstart makes.
const ADMINISTRATOR: &str = "admin";
/// Who does the work when the administrator exists already, and its password is nobody's business but a person's.
const WORKER: &str = "quickstart";
/// Tells a quickstart's folder from another one.
const MARK: &str = "quickstart.txt";
/// Where the server listens when nobody says anything and the port is free.
const LISTEN: &str = "127.0.0.1:8443";

/// What `chancery quickstart` was asked for.
#[derive(Debug)]
pub struct Options {
    /// The folder for everything.
    pub data_dir: PathBuf,
    /// Another database than an SQLite file in the folder; may hold a password.
    pub database: Option<String>,
    /// `host:port` for the server.
    pub listen: Option<String>,
    /// What gets the certificate.
    pub site: SiteChoice,
    /// End after the proof.
    pub exit: bool,
}

/// Which TLS site gets the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteChoice {
    /// nginx where it is installed.
    Auto,
    /// nginx.
    Nginx,
    /// One of our own.
    Own,
}

/// What runs, so that it can be ended in order.
struct Parts {
    server: Server,
    site: Site,
    agent: InProcessAgent,
}

/// Runs the quickstart: to the end of the proof, or until `stop` turns true.
///
/// # Errors
/// The step that failed, with what the server answered.
pub async fn run(
    options: Options,
    console: &Console,
    stop: watch::Receiver<bool>,
    hangups: watch::Receiver<u64>,
) -> anyhow::Result<()> {
    let folder = own_folder(&options.data_dir)?;
    let log = folder.join("quickstart.log");
    logging::start_in_file("info", &log)?;
    console.line(format_args!(
        "Chancery quickstart in {}\n",
        folder.display()
    ));
    let steps = Steps::new(console.clone());
    let done = prove(&options, &folder, console, &steps, stop.clone(), hangups).await;
    let parts = match done {
        Ok(parts) => parts,
        Err(error) => {
            console.line(format_args!("\nThe log is in {}", log.display()));
            return Err(error);
        }
    };
    if !options.exit {
        parts.agent.take_time();
        console.line("\nServer, agent and site stay up until Ctrl-C.");
        asked_to_end(stop).await;
    }
    parts.stop().await;
    Ok(())
}

impl Parts {
    async fn stop(self) {
        self.agent.stop().await;
        self.site.stop().await;
        self.server.stop().await;
    }
}

async fn asked_to_end(mut stop: watch::Receiver<bool>) {
    // An error means that nobody can ask any more; then only the process's end ends it.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Starts everything and tells the story. Whatever was started is ended again when it fails.
async fn prove(
    options: &Options,
    folder: &Path,
    console: &Console,
    steps: &Steps,
    stop: watch::Receiver<bool>,
    hangups: watch::Receiver<u64>,
) -> anyhow::Result<Parts> {
    let config = configuration(options, folder)?;
    let api_base = config.api_base.first().cloned().unwrap_or_default();
    let server = steps
        .step("folder, keys, authorities, database: server", async {
            let server = Server::start(config, None, hangups, None).await?;
            let url = server.url().to_owned();
            Ok((server, url))
        })
        .await?;
    let api = format!("{}{api_base}", server.url());
    let prepared = prepare(options, folder, console, steps, &server).await;
    let (site, agent, told) = match prepared {
        Ok(prepared) => {
            // Not around the starting: what is half started could not be ended in order.
            let told = tokio::select! {
                told = tell(folder, steps, &api, &prepared) => told,
                () = asked_to_end(stop) => Err(anyhow::anyhow!("broken off")),
            };
            (
                prepared.site,
                prepared.agent,
                told.map(|served| (served, prepared.root)),
            )
        }
        Err(error) => {
            server.stop().await;
            return Err(error);
        }
    };
    let parts = Parts {
        server,
        site,
        agent,
    };
    let retired = retire_worker(&parts.server).await;
    let (thumbprint, root) = match told.and_then(|told| retired.map(|()| told)) {
        Ok(told) => told,
        Err(error) => {
            parts.stop().await;
            return Err(error);
        }
    };
    summary(console, steps, &parts, &api, &thumbprint, &root);
    Ok(parts)
}

/// What stands around the story.
struct Prepared {
    site: Site,
    agent: InProcessAgent,
    root: PathBuf,
    root_der: Vec<u8>,
    account: String,
    password: SecretString,
}

async fn prepare(
    options: &Options,
    folder: &Path,
    console: &Console,
    steps: &Steps,
    server: &Server,
) -> anyhow::Result<Prepared> {
    let root = folder.join("root.pem");
    let root_der = write_root(server, &root).await?;
    let agent_password = accounts::random_password();
    let (account, password) = steps
        .step(
            "administrator and accounts",
            make_accounts(server, &agent_password),
        )
        .await?;
    if account == ADMINISTRATOR {
        use secrecy::ExposeSecret as _;
        console.line(format_args!(
            "\n    Sign in as {ADMINISTRATOR} with the password {}   (shown this once)\n",
            password.expose_secret()
        ));
    } else {
        console.line(format_args!(
            "\n    The account {ADMINISTRATOR} exists; its password was shown when it was made. A new one:\n    \
             chancery admin reset-password {ADMINISTRATOR} --data-dir {}\n",
            folder.display()
        ));
    }
    let stores = folder.join("site");
    let site = steps
        .step("TLS site with a placeholder certificate", async {
            let site = Site::start(&stores, options.site, server::now_ms()).await?;
            let outcome = format!("{} on {}", site.kind, site.address);
            Ok((site, outcome))
        })
        .await?;
    let started = start_agent(
        folder,
        &root,
        &root_der,
        &stores,
        server,
        &agent_password,
        &site,
    );
    let agent = match started {
        Ok(agent) => agent,
        Err(error) => {
            site.stop().await;
            return Err(error);
        }
    };
    Ok(Prepared {
        site,
        agent,
        root,
        root_der,
        account,
        password,
    })
}

fn start_agent(
    folder: &Path,
    root: &Path,
    root_der: &[u8],
    stores: &Path,
    server: &Server,
    password: &str,
    site: &Site,
) -> anyhow::Result<InProcessAgent> {
    let installation = pki::Certificate::from_der(root_der)?.thumbprint();
    let settings = in_process_agent::Settings {
        server_url: server.url(),
        root,
        folder: folder.join("agent"),
        stores,
        password,
        installation: &installation,
    };
    InProcessAgent::start(&settings, site)
}

async fn tell(
    folder: &Path,
    steps: &Steps,
    api: &str,
    prepared: &Prepared,
) -> anyhow::Result<String> {
    let client = Client::new(
        api.to_owned(),
        &prepared.root_der,
        &prepared.account,
        prepared.password.clone(),
    )?;
    story::Story {
        client: &client,
        steps,
        site: &prepared.site,
        root_der: &prepared.root_der,
        second_store: &folder.join("site").join("second.pem"),
        pkcs12_password: accounts::random_password(),
    }
    .tell()
    .await
}

fn summary(
    console: &Console,
    steps: &Steps,
    parts: &Parts,
    api: &str,
    thumbprint: &str,
    root: &Path,
) {
    console.line(format_args!(
        "\nProved in {} ms: {} ({}) serves {thumbprint}.",
        steps.total().as_millis(),
        parts.site.url(),
        parts.site.address
    ));
    console.line(format_args!(
        "The same without Chancery:\n  openssl s_client -connect {} -servername {} -CAfile {} -verify_return_error \
         </dev/null 2>/dev/null | openssl x509 -noout -subject -issuer -fingerprint -sha1",
        parts.site.address,
        site::HOST,
        root.display()
    ));
    console.line(format_args!("\nAPI reference: {}/docs", parts.server.url()));
    console.line(format_args!("API base:      {api}"));
    console.line(format_args!("Root CA:       {}", root.display()));
}

/// The folder, made when it is missing. A folder that is not a quickstart's is left alone: an administrator is made
/// in it, and a real installation must not get one by mistake.
fn own_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    data_dir::prepare(folder)?;
    let folder = folder
        .canonicalize()
        .with_context(|| folder.display().to_string())?;
    let mark = folder.join(MARK);
    if !mark.exists() {
        if fs::read_dir(&folder)?.next().is_some() {
            bail!(
                "{} is not empty and not the folder of a quickstart; name another with --data-dir",
                folder.display()
            );
        }
        fs::write(
            &mark,
            "Made by `chancery quickstart`. May be deleted with all that is in it.\n",
        )?;
    }
    Ok(folder)
}

fn configuration(options: &Options, folder: &Path) -> anyhow::Result<Config> {
    let listen = match &options.listen {
        Some(address) => address.clone(),
        None if TcpListener::bind(LISTEN).is_ok() => LISTEN.into(),
        None => "127.0.0.1:0".into(),
    };
    let mut flags = BTreeMap::from([
        ("data_dir".to_owned(), vec![folder.display().to_string()]),
        ("listen".to_owned(), vec![listen]),
    ]);
    if let Some(url) = &options.database {
        flags.insert("database".to_owned(), vec![url.clone()]);
    }
    // The environment may be that of a real server; nothing of it is meant for the quickstart.
    let given = Given {
        flags,
        ..Given::default()
    };
    Ok(Config::read(&given)?)
}

async fn write_root(server: &Server, file: &Path) -> anyhow::Result<Vec<u8>> {
    let anchors = server.app().trust_anchors().await?;
    let root = anchors.into_iter().next().context("there is no root")?;
    let pem = pki::pem::encode("CERTIFICATE", &root);
    data_dir::replace(file, pem.as_bytes(), 0o644)?;
    Ok(root)
}

/// The accounts of the agent and of who does the work; the name and password of the latter.
async fn make_accounts(
    server: &Server,
    agent_password: &str,
) -> anyhow::Result<((String, SecretString), String)> {
    let cx = Cx::system(Arc::clone(server.app()), "quickstart");
    let mut password = accounts::random_password();
    let roles = [ADMINISTRATOR_ROLE.to_owned()];
    give_account(&cx, in_process_agent::NAME, agent_password, &[]).await?;
    let name = if accounts::exists(server.app(), ADMINISTRATOR).await? {
        give_account(&cx, WORKER, &password, &roles).await?;
        WORKER
    } else {
        accounts::create(&cx, ADMINISTRATOR, password.clone(), &roles).await?;
        ADMINISTRATOR
    };
    let account = (
        name.to_owned(),
        SecretString::from(std::mem::take(&mut password)),
    );
    Ok((account, format!("signed in as {name}")))
}

/// Makes the account, or gives the one that is there this password.
async fn give_account(cx: &Cx, name: &str, password: &str, roles: &[String]) -> anyhow::Result<()> {
    if accounts::exists(cx.app(), name).await? {
        accounts::reset_password(cx, name, password.to_owned()).await?;
        accounts::set_disabled(cx, name, false).await?;
    } else {
        accounts::create(cx, name, password.to_owned(), roles).await?;
    }
    Ok(())
}

/// The worker is of no use after the proof, and nobody would notice who guessed its password.
async fn retire_worker(server: &Server) -> anyhow::Result<()> {
    let app = server.app();
    if accounts::exists(app, WORKER).await? {
        let cx = Cx::system(Arc::clone(app), "quickstart");
        accounts::set_disabled(&cx, WORKER, true).await?;
    }
    Ok(())
}
