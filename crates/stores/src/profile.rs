//! Deployment profiles.

use std::time::Duration;

use serde::Deserialize;

/// What happens around a change of a store's files: a test of the configuration, a reload, a proof.
///
/// Profiles stand in the agent's own configuration. A server can only name one, so that it can never make an agent run
/// a command or open a connection that the agent's owner did not write down.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name that stores refer to.
    pub name: String,
    /// Program and arguments that test the configuration with the new files in place (`["nginx", "-t"]`). No shell is
    /// involved. Empty = no test. Exit status 0 = good.
    #[serde(default)]
    pub test_command: Vec<String>,
    /// Program and arguments that make the service read its files again. Empty = no reload.
    #[serde(default)]
    pub reload: Vec<String>,
    /// `host:port` to which a TLS connection is opened after the reload; the certificate served there has to be the
    /// job's. Absent = no proof.
    #[serde(default)]
    pub probe_address: Option<String>,
    /// Server name (SNI) for the probe. Absent = the host of `probe_address`.
    #[serde(default)]
    pub probe_server_name: Option<String>,
    /// How long the right certificate may take to appear, in milliseconds: reloads are asynchronous.
    #[serde(default = "default_probe_timeout_ms")]
    pub probe_timeout_ms: u64,
    /// How long each command may run, in milliseconds.
    #[serde(default = "default_command_timeout_ms")]
    pub command_timeout_ms: u64,
}

impl Profile {
    /// A profile of this name that does nothing.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            test_command: Vec::new(),
            reload: Vec::new(),
            probe_address: None,
            probe_server_name: None,
            probe_timeout_ms: default_probe_timeout_ms(),
            command_timeout_ms: default_command_timeout_ms(),
        }
    }

    pub(crate) fn command_timeout(&self) -> Duration {
        Duration::from_millis(self.command_timeout_ms)
    }

    pub(crate) fn probe_timeout(&self) -> Duration {
        Duration::from_millis(self.probe_timeout_ms)
    }
}

fn default_probe_timeout_ms() -> u64 {
    10_000
}

fn default_command_timeout_ms() -> u64 {
    30_000
}
