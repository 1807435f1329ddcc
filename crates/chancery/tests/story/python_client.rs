//! The published Python client performs every operation of the server that it knows. What it calls, and what it checks, stands
//! in `python_client.py`; here are a fresh server, an agent that waits for approval, and the client from its registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use pki::{CertificateRequest, DistinguishedName, KeySpec, PrivateKey};

use crate::{
    agent::{Agent, MACHINE},
    api::ACCOUNT,
    database::{self, Database, Kind, on_both_databases},
    nginx::Nginx,
    process::run,
    server::{Orders, Server},
};

/// The client, in the version that the script was written for.
const CLIENT: &str = "keyfactor-command-sdk==11.0.0a1";

on_both_databases! {
    async fn performs_every_operation_it_knows(kind: Kind) {
        let Some(database) = Database::fresh(kind).await else { return };
        let folder = database::folder();
        let place = |part: &str| folder.path().join(part);
        let python = client(&place("python"));
        let nginx = Nginx::start(&place("nginx"), false).await;
        let server = Server::first(&place("server"), database).await;
        let mut agent = Agent::configured(&place("agent"), MACHINE, &server, &nginx);
        agent.start(&Orders::new());
        let store = nginx.tls().join("python.pem");
        std::fs::write(&store, "").unwrap();
        let request = place("request.pem");
        std::fs::write(&request, certificate_request()).unwrap();

        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/story/python_client.py");
        let mut command = Command::new(python);
        command
            .arg(script)
            .arg(server.url())
            .arg(server.roots_file())
            .args([ACCOUNT.0, ACCOUNT.1, MACHINE])
            .arg(&store)
            .arg(&request);
        let printed = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
        assert!(printed.contains("55 operations of the client were called"), "{printed}");
        agent.stop();
    }
}

/// An environment of Python with the client in it. Answers its interpreter.
pub(crate) fn client(folder: &Path) -> PathBuf {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder));
    let python = folder.join("bin/python");
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        CLIENT,
    ]));
    python
}

fn certificate_request() -> String {
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let subject = DistinguishedName::parse("CN=csr.example.org").unwrap();
    CertificateRequest::create(&subject, &[], &key)
        .unwrap()
        .to_pem()
}
