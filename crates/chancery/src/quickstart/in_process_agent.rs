//! The agent of the quickstart. It runs in this process, and otherwise is like one on another machine: it reads a
//! configuration file, talks HTTPS with the server, waits for approval and shows its own certificate.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use agent::{Agent, AgentConfig};
use anyhow::Context as _;
use tokio::{sync::watch, task::JoinHandle};
use toml::{Table, Value};

use super::site::{HOST, Site};
use crate::data_dir;

/// The agent's name, and the account it registers with.
pub(super) const NAME: &str = "quickstart-agent";
/// The profile of the site, as the store names it.
pub(super) const PROFILE: &str = "site";

/// Between two questions for jobs as long as somebody waits for the outcome.
const HURRIED: Duration = Duration::from_millis(50);
/// Between two questions afterwards, in seconds.
const POLL_SECONDS: i64 = 5;

/// An agent that runs.
pub(super) struct InProcessAgent {
    hurry: watch::Sender<bool>,
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What the configuration file says.
pub(super) struct Settings<'a> {
    /// URL of the server.
    pub(super) server_url: &'a str,
    /// The PEM file of the root to trust.
    pub(super) root: &'a Path,
    /// The agent's own folder.
    pub(super) folder: PathBuf,
    /// The folder of the stores.
    pub(super) stores: &'a Path,
    /// Password of the account.
    pub(super) password: &'a str,
    /// Which installation this is; an agent's identity is of no use with another one.
    pub(super) installation: &'a str,
}

impl InProcessAgent {
    /// Writes the agent's configuration and starts it.
    ///
    /// # Errors
    /// Files that cannot be written; a state folder that another agent holds.
    pub(super) fn start(settings: &Settings<'_>, site: &Site) -> anyhow::Result<Self> {
        data_dir::prepare(&settings.folder)?;
        let password_file = settings.folder.join("password");
        data_dir::replace(&password_file, settings.password.as_bytes(), 0o600)?;
        let file = settings.folder.join("agent.toml");
        let text = toml::to_string(&configuration(settings, &password_file, site))?;
        data_dir::replace(&file, text.as_bytes(), 0o600)?;
        let agent = Agent::new(AgentConfig::load(&file)?).context("agent")?;

        let (hurry, hurried) = watch::channel(true);
        let (end, shutdown) = watch::channel(false);
        let task = tokio::spawn(run(agent, hurried, shutdown));
        Ok(Self { hurry, end, task })
    }

    /// From now on nobody waits for it.
    pub(super) fn take_time(&self) {
        self.hurry.send_replace(false);
    }

    /// Ends it; a job under way is finished.
    pub(super) async fn stop(self) {
        self.end.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the agent broke off");
        }
    }
}

async fn run(agent: Agent, hurried: watch::Receiver<bool>, mut end: watch::Receiver<bool>) {
    while *hurried.borrow() && !*end.borrow() {
        if let Err(error) = agent.run_once().await {
            tracing::warn!(%error, "the agent's session failed");
        }
        tokio::select! {
            () = tokio::time::sleep(HURRIED) => {}
            _ = end.wait_for(|end| *end) => {}
        }
    }
    if let Err(error) = agent.run(end).await {
        tracing::error!(%error, "the agent ended");
    }
}

fn configuration(settings: &Settings<'_>, password_file: &Path, site: &Site) -> Table {
    let path = |path: &Path| Value::from(path.display().to_string());
    let words = |words: &[String]| Value::from(words.to_vec());
    let mut profile = Table::new();
    profile.insert("name".into(), PROFILE.into());
    profile.insert("test_command".into(), words(&site.test_command));
    profile.insert("reload".into(), words(&site.reload));
    profile.insert("probe_address".into(), site.address.to_string().into());
    profile.insert("probe_server_name".into(), HOST.into());

    let state = settings
        .folder
        .join(format!("state-{}", settings.installation));
    let mut table = Table::new();
    table.insert("server_url".into(), settings.server_url.into());
    table.insert("name".into(), NAME.into());
    table.insert("ca_bundle".into(), path(settings.root));
    table.insert("state_dir".into(), path(&state));
    table.insert("allowed_paths".into(), vec![path(settings.stores)].into());
    table.insert("username".into(), NAME.into());
    table.insert("password_file".into(), path(password_file));
    table.insert("poll_seconds".into(), POLL_SECONDS.into());
    table.insert("profile".into(), Value::Array(vec![profile.into()]));
    table
}
