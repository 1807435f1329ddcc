//! The state folder: identity, key in waiting, journal, outbox, lock.

use std::{fs::File, path::PathBuf};

use agent_protocol::Redacted;
use pki::{Certificate, KeySpec, PrivateKey};
use serde::{Deserialize, Serialize};
use stores::{FileSystem, Permissions};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Who the agent is for the server. One file holds all of it, so that it is never half of one and half of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// GUID the server gave.
    pub(crate) agent_id: String,
    /// The agent's certificate, PEM.
    pub(crate) certificate: String,
    /// Its private key, PKCS#8 PEM.
    pub(crate) key: Redacted<String>,
}

impl Identity {
    pub(crate) fn certificate(&self) -> Result<Certificate> {
        let block = pki::pem::parse(self.certificate.as_bytes())
            .into_iter()
            .next();
        let block =
            block.ok_or_else(|| Error::State("identity.json holds no certificate".into()))?;
        Ok(Certificate::from_der(&block.der)?)
    }

    pub(crate) fn key(&self) -> Result<PrivateKey> {
        Ok(PrivateKey::from_pem(self.key.expose())?)
    }
}

/// The state folder, locked for this process.
pub(crate) struct State {
    folder: PathBuf,
    file_system: FileSystem,
    _lock: File,
}

impl State {
    /// Makes the folder where needed and locks it.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        let file_system = FileSystem;
        file_system.create_folder(&folder)?;
        let path = folder.join("lock");
        let lock = File::create(&path)
            .map_err(|error| Error::State(format!("{}: {error}", path.display())))?;
        lock.try_lock().map_err(|error| {
            Error::State(format!("another agent uses {}: {error}", folder.display()))
        })?;
        Ok(Self {
            folder,
            file_system,
            _lock: lock,
        })
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("journal")
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.folder.join("outbox")
    }

    /// The identity, if the agent has enrolled.
    pub(crate) fn identity(&self) -> Result<Option<Identity>> {
        let path = self.folder.join("identity.json");
        let Some(existing) = self.file_system.read(&path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&existing.contents)
            .map(Some)
            .map_err(|error| Error::State(format!("{}: {error}", path.display())))
    }

    /// The key for the next certificate: made once, and used until a certificate for it has arrived. So a server that
    /// issued one whose answer was lost is asked for the same again.
    pub(crate) fn key_in_waiting(&self) -> Result<PrivateKey> {
        let path = self.folder.join("next-key.pem");
        if let Some(existing) = self.file_system.read(&path)? {
            let text = std::str::from_utf8(&existing.contents).unwrap_or_default();
            let key = PrivateKey::from_pem(text)?;
            // A kill after the identity was saved leaves its key here.
            let current = self
                .identity()?
                .map(|identity| identity.certificate())
                .transpose()?;
            if !current.is_some_and(|certificate| key.matches(&certificate)) {
                return Ok(key);
            }
        }
        let key = PrivateKey::generate(KeySpec::EcP256)?;
        let text = key.to_pkcs8_pem();
        self.file_system
            .replace(&path, text.as_bytes(), Permissions::SECRET)?;
        Ok(key)
    }

    /// Takes a new certificate for the key in waiting.
    pub(crate) fn save_identity(
        &self,
        agent_id: &str,
        certificate: &Certificate,
        key: &PrivateKey,
    ) -> Result<Identity> {
        let identity = Identity {
            agent_id: agent_id.to_owned(),
            certificate: pki::pem::encode("CERTIFICATE", certificate.der()),
            key: Redacted::from(key.to_pkcs8_pem().as_str()),
        };
        let text = serde_json::to_vec(&identity)
            .map(Zeroizing::new)
            .map_err(|error| Error::State(format!("identity.json: {error}")))?;
        let path = self.folder.join("identity.json");
        self.file_system
            .replace(&path, &text, Permissions::SECRET)?;
        self.file_system.remove(&self.folder.join("next-key.pem"))?;
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::issue;

    #[test]
    fn one_agent_per_folder() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path().join("state")).unwrap();
        assert!(State::open(folder.path().join("state")).is_err());
        drop(state);
        State::open(folder.path().join("state")).unwrap();
    }

    #[test]
    fn the_key_in_waiting_stays_until_its_certificate_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path().to_owned()).unwrap();
        let key = state.key_in_waiting().unwrap();
        assert_eq!(state.key_in_waiting().unwrap().spki_der(), key.spki_der());
        let certificate = issue("web1", &key.spki_der(), 0, 1_000_000_000);
        state.save_identity("id", &certificate, &key).unwrap();
        let identity = state.identity().unwrap().unwrap();
        assert!(
            identity
                .key()
                .unwrap()
                .matches(&identity.certificate().unwrap())
        );
        assert_ne!(state.key_in_waiting().unwrap().spki_der(), key.spki_der());
    }

    #[test]
    fn a_key_left_behind_by_a_kill_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path().to_owned()).unwrap();
        let key = state.key_in_waiting().unwrap();
        let left = std::fs::read(folder.path().join("next-key.pem")).unwrap();
        let certificate = issue("web1", &key.spki_der(), 0, 1_000_000_000);
        state.save_identity("id", &certificate, &key).unwrap();
        std::fs::write(folder.path().join("next-key.pem"), left).unwrap();
        assert_ne!(state.key_in_waiting().unwrap().spki_der(), key.spki_der());
    }
}
