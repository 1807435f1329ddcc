//! What the tests of this crate share: fixed identities, and a host without commands or network.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use pki::{Certificate, PrivateKey};

use crate::{CommandOutput, Entry, Host};

/// An identity of the fixtures; all are issued by [`ISSUING`].
pub(crate) struct Identity {
    pub(crate) certificate: &'static str,
    pub(crate) key: &'static str,
}

pub(crate) const FIRST: Identity = Identity {
    certificate: include_str!("pem/fixtures/first.pem"),
    key: include_str!("pem/fixtures/first.key"),
};
pub(crate) const SECOND: Identity = Identity {
    certificate: include_str!("pem/fixtures/second.pem"),
    key: include_str!("pem/fixtures/second.key"),
};
/// Its key is in the PKCS#1 form.
pub(crate) const PKCS1: Identity = Identity {
    certificate: include_str!("pem/fixtures/pkcs1.pem"),
    key: include_str!("pem/fixtures/pkcs1.key"),
};
pub(crate) const ISSUING: &str = include_str!("pem/fixtures/issuing.pem");
pub(crate) const ROOT: &str = include_str!("pem/fixtures/root.pem");

impl Identity {
    pub(crate) fn der(&self) -> Vec<u8> {
        der(self.certificate)
    }

    pub(crate) fn thumbprint(&self) -> String {
        thumbprint(self.certificate)
    }

    /// As a job brings it: key, and the chain up to the root.
    pub(crate) fn entry(&self, overwrite: bool) -> Entry {
        Entry {
            alias: String::new(),
            certificate: self.der(),
            chain: vec![der(ISSUING), der(ROOT)],
            key: Some(PrivateKey::from_pem(self.key).unwrap()),
            overwrite,
        }
    }

    pub(crate) fn entry_without_key(&self, overwrite: bool) -> Entry {
        Entry {
            key: None,
            ..self.entry(overwrite)
        }
    }
}

pub(crate) fn der(pem: &str) -> Vec<u8> {
    pki::pem::parse(pem.as_bytes())
        .first()
        .unwrap()
        .der
        .to_vec()
}

pub(crate) fn thumbprint(pem: &str) -> String {
    Certificate::from_der(&der(pem)).unwrap().thumbprint()
}

/// A service that reads the first certificate of a file when told `reload`.
pub(crate) struct FakeHost {
    site: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Duration,
    loaded: Option<Vec<u8>>,
    commands: Vec<String>,
    failing: Option<&'static str>,
    deaf: bool,
}

impl FakeHost {
    /// A service that has loaded what the file holds now.
    pub(crate) fn serving(site: &Path) -> Self {
        let state = State {
            loaded: first_certificate(site),
            ..State::default()
        };
        Self {
            site: site.to_owned(),
            state: Mutex::new(state),
        }
    }

    /// This command (`test` or `reload`) fails from now on.
    pub(crate) fn fail(self, command: &'static str) -> Self {
        self.state.lock().unwrap().failing = Some(command);
        self
    }

    /// Reloads succeed, but the service goes on with what it has.
    pub(crate) fn deaf(self) -> Self {
        self.state.lock().unwrap().deaf = true;
        self
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().unwrap().commands.clone()
    }
}

impl Host for FakeHost {
    fn run(&self, command: &[String], _timeout: Duration) -> Result<CommandOutput, String> {
        let mut state = self.state.lock().unwrap();
        let command = command.join(" ");
        let failing = state.failing == Some(command.as_str());
        if command == "reload" && !failing && !state.deaf {
            state.loaded = first_certificate(&self.site);
        }
        state.commands.push(command);
        let status = Some(i32::from(failing));
        Ok(CommandOutput {
            status,
            text: "it says so".to_owned(),
        })
    }

    fn served_certificate(
        &self,
        _address: &str,
        _server_name: Option<&str>,
        _timeout: Duration,
    ) -> Result<Vec<u8>, String> {
        self.state
            .lock()
            .unwrap()
            .loaded
            .clone()
            .ok_or_else(|| "nothing listens".to_owned())
    }

    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().now
    }

    fn pause(&self, duration: Duration) {
        self.state.lock().unwrap().now += duration;
    }
}

fn first_certificate(site: &Path) -> Option<Vec<u8>> {
    let blocks = pki::pem::parse(&std::fs::read(site).ok()?);
    blocks
        .iter()
        .find(|block| block.label == "CERTIFICATE")
        .map(|block| block.der.to_vec())
}
