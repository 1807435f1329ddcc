//! The agent's configuration.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use agent_protocol::Redacted;
use serde::Deserialize;
use stores::Profile;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// What [`AgentConfig::poll_seconds`] may be.
const POLL_SECONDS: RangeInclusive<f64> = 0.1..=86_400.0;

/// The agent's configuration, a TOML file. Unknown settings are errors.
///
/// ```toml
/// server_url = "https://chancery.example:8443"
/// name = "web1.example"
/// ca_bundle = "/etc/chancery/ca.pem"
/// state_dir = "/var/lib/chancery-agent"
/// allowed_paths = ["/etc/nginx/tls"]
/// username = "agents"
/// password_file = "/etc/chancery/agent-password"
///
/// [[profile]]
/// name = "nginx"
/// test_command = ["nginx", "-t"]
/// reload = ["systemctl", "reload", "nginx"]
/// probe_address = "127.0.0.1:443"
/// probe_server_name = "web1.example"
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// `https://host:port` of the server, without a path.
    pub server_url: String,
    /// First part of every path; default `KeyfactorAgents`.
    #[serde(default = "default_virtual_directory")]
    pub virtual_directory: String,
    /// The agent's name: its `ClientMachine`, and the common name of its certificate. 1 to 64 characters.
    pub name: String,
    /// Account for the first registration; afterwards the agent's certificate is all it shows.
    #[serde(default)]
    pub username: Option<String>,
    /// Password of that account. Better: `password_file`.
    #[serde(default)]
    pub password: Option<Redacted<String>>,
    /// File that holds the password, line ends at its end ignored.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// PEM file with the only authorities that may have issued the server's certificate; the system's are not asked.
    pub ca_bundle: PathBuf,
    /// Folder of the agent's key, certificate, journal and outbox; made with mode 0700. One agent per folder.
    pub state_dir: PathBuf,
    /// Files, and folders with all below them, that jobs may touch. Absolute. Nothing else is ever read or written for a
    /// job, whatever the server says.
    #[serde(default)]
    pub allowed_paths: Vec<PathBuf>,
    /// Deployment profiles, written as `[[profile]]`; a store names one.
    #[serde(default, rename = "profile")]
    pub profiles: Vec<Profile>,
    /// Seconds between two questions for jobs, from 0.1 to 86400, default 30. The server may name another number.
    #[serde(default = "default_poll_seconds")]
    pub poll_seconds: f64,
}

impl AgentConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Config`] naming file or setting.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|error| wrong(&name, error))?;
        Self::parse(&text).map_err(|error| match error {
            Error::Config { setting, reason } => Error::Config {
                setting: format!("{name}, {setting}"),
                reason,
            },
            other => other,
        })
    }

    /// Reads TOML text.
    ///
    /// # Errors
    /// [`Error::Config`] naming the setting.
    pub fn parse(text: &str) -> Result<Self> {
        // Only the message: the full error quotes the line, and that may be the password's.
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map(|span| text[..span.start.min(text.len())].lines().count());
            wrong(
                &format!("line {}", line.unwrap_or(1).max(1)),
                error.message(),
            )
        })?;
        config.check()?;
        Ok(config)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let address = self.server_url.strip_prefix("https://").unwrap_or_default();
        if address.trim_end_matches('/').is_empty()
            || address.trim_end_matches('/').contains(['/', '@', '?'])
        {
            return Err(wrong("server_url", "has to be https://host:port"));
        }
        if self.name.trim().is_empty() || self.name.chars().count() > 64 {
            return Err(wrong("name", "has to have 1 to 64 characters"));
        }
        if !POLL_SECONDS.contains(&self.poll_seconds) {
            return Err(wrong("poll_seconds", "has to be from 0.1 to 86400"));
        }
        if self.password.is_some() && self.password_file.is_some() {
            return Err(wrong(
                "password_file",
                "stands beside password; one of them has to go",
            ));
        }
        if self.username.is_some() != (self.password.is_some() || self.password_file.is_some()) {
            return Err(wrong(
                "username",
                "needs a password, and a password needs a username",
            ));
        }
        for path in &self.allowed_paths {
            if !path.is_absolute() {
                return Err(wrong(
                    "allowed_paths",
                    format!("{} is not absolute", path.display()),
                ));
            }
        }
        for (index, profile) in self.profiles.iter().enumerate() {
            if profile.name.trim().is_empty() {
                return Err(wrong("profile", "a profile needs a name"));
            }
            if self.profiles[..index]
                .iter()
                .any(|other| other.name == profile.name)
            {
                return Err(wrong(
                    "profile",
                    format!("{} stands there twice", profile.name),
                ));
            }
        }
        Ok(())
    }

    /// Name and password for the first registration.
    pub(crate) fn account(&self) -> Result<Option<(String, Redacted<String>)>> {
        let Some(username) = &self.username else {
            return Ok(None);
        };
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => password.clone(),
            (None, Some(path)) => {
                let text = fs::read_to_string(path)
                    .map(Zeroizing::new)
                    .map_err(|error| {
                        wrong("password_file", format!("{}: {error}", path.display()))
                    })?;
                Redacted::from(text.trim_end_matches(['\r', '\n']))
            }
            (None, None) => return Ok(None),
        };
        Ok(Some((username.clone(), password)))
    }

    pub(crate) fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }
}

fn wrong(setting: &str, reason: impl std::fmt::Display) -> Error {
    Error::Config {
        setting: setting.to_owned(),
        reason: reason.to_string(),
    }
}

fn default_virtual_directory() -> String {
    agent_protocol::path::VIRTUAL_DIRECTORY.to_owned()
}

fn default_poll_seconds() -> f64 {
    30.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        server_url = "https://localhost:8443"
        name = "web1"
        ca_bundle = "/ca.pem"
        state_dir = "/state"
        allowed_paths = ["/etc/nginx/tls"]
        username = "agents"
        password = "hunter2"

        [[profile]]
        name = "nginx"
        test_command = ["nginx", "-t"]
        probe_address = "127.0.0.1:443"
    "#;

    #[test]
    fn a_good_file_is_read_with_its_defaults_and_hides_the_password() {
        let config = AgentConfig::parse(GOOD).unwrap();
        assert_eq!(config.virtual_directory, "KeyfactorAgents");
        assert_eq!(config.poll_seconds, 30.0);
        assert_eq!(config.profile("nginx").unwrap().probe_timeout_ms, 10_000);
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_wrong_setting_is_named_and_the_password_is_not_shown() {
        for (from, to, says) in [
            ("https://localhost:8443", "http://localhost", "server_url"),
            (
                "https://localhost:8443",
                "https://localhost/path",
                "server_url",
            ),
            ("\"web1\"", "\"\"", "name"),
            ("/etc/nginx/tls", "nginx/tls", "allowed_paths"),
            ("username = \"agents\"", "", "username"),
            ("username", "usernam", "usernam"),
            ("\"web1\"", "\"web1\"\npoll_seconds = 0", "poll_seconds"),
            ("\"web1\"", "\"web1\"\npoll_seconds = nan", "poll_seconds"),
            ("\"hunter2\"", "[\"hunter2\"]", "line 8"),
            ("name = \"nginx\"", "name = \"\"", "profile"),
            ("probe_address", "probe_adress", "probe_adress"),
        ] {
            let error = AgentConfig::parse(&GOOD.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(error.contains(says), "{to}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
