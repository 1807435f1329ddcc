//! `chancery admin` with the built program: backup and restore, and keys that change.

use std::path::{Path, PathBuf};

use crate::support::{Running, Server, run, word_after};
use serde_json::json;

/// An installation that a quickstart made: it has stored keys, an agent, stores and jobs.
struct Installation {
    folder: PathBuf,
    storage: Vec<String>,
    /// Certificates whose keys are stored.
    certificates: [i64; 2],
}

impl Installation {
    async fn new(folder: &Path, database: Option<&str>) -> Self {
        let path = folder.display().to_string();
        let mut storage = vec!["--data-dir".to_owned(), path];
        if let Some(url) = database {
            storage.extend(["--database".to_owned(), url.to_owned()]);
        }
        let mut arguments = vec![
            "quickstart",
            "--exit",
            "--site",
            "own",
            "--listen",
            "127.0.0.1:0",
        ];
        arguments.extend(storage.iter().map(String::as_str));
        let said = run(&arguments).await.good();
        // Behind the time: the name of the step holds the word as well.
        let id = |step: &str| {
            let line = said.lines().find(|line| line.contains(step)).unwrap();
            word_after(line, " ms  certificate ").parse().unwrap()
        };
        Self {
            folder: folder.to_owned(),
            storage,
            certificates: [id("enroll a certificate"), id("renew the certificate")],
        }
    }

    fn with(&self, arguments: &[&str]) -> Vec<String> {
        let arguments = arguments.iter().map(|word| (*word).to_owned());
        arguments.chain(self.storage.iter().cloned()).collect()
    }

    async fn admin(&self, arguments: &[&str]) -> crate::support::Ended {
        let arguments = self.with(&[&["admin"], arguments].concat());
        run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn serve(&self) -> Server {
        let storage: Vec<&str> = self.storage.iter().map(String::as_str).collect();
        Server::start(&storage, "admin", &self.folder.join("root.pem")).await
    }

    fn key_file(&self) -> PathBuf {
        self.folder.join("sealing.key")
    }
}

fn keys_in(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let keys = text.lines().skip(1).map(|line| word_after(line, ""));
    keys.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_key_is_deployed_from_a_restored_backup() {
    let place = tempfile::tempdir().unwrap();
    let installation = Installation::new(&place.path().join("old"), None).await;
    let root = place.path().join("root.pem");
    std::fs::copy(installation.folder.join("root.pem"), &root).unwrap();
    let key = place.path().join("kept-apart.key");
    std::fs::copy(installation.key_file(), &key).unwrap();

    // While a server runs on it.
    let server = installation.serve().await;
    let backup = place.path().join("backup.db");
    let to = backup.display().to_string();
    let said = installation.admin(&["backup", "--to", &to]).await.good();
    server.stop().await;
    let sha256 = word_after(&said, "SHA-256:");
    let independent = std::process::Command::new("sha256sum")
        .arg(&backup)
        .output();
    let independent = String::from_utf8(independent.unwrap().stdout).unwrap();
    assert!(independent.starts_with(&sha256), "{said}{independent}");
    let again = installation.admin(&["backup", "--to", &to]).await.bad();
    assert!(again.contains("is not overwritten"), "{again}");
    let secret = std::fs::read_to_string(&key).unwrap();
    let secret = secret.lines().nth(1).unwrap().rsplit(' ').next().unwrap();
    let holds_key = std::fs::read(&backup).unwrap();
    let holds_key = holds_key
        .windows(secret.len())
        .any(|window| window == secret.as_bytes());
    assert!(!holds_key, "the sealing key is in the backup");
    std::fs::remove_dir_all(&installation.folder).unwrap();

    let new = place.path().join("new");
    let (new_path, key_path) = (new.display().to_string(), key.display().to_string());
    let storage = ["--data-dir", &new_path];
    let restore = |key: &str| {
        let words = ["admin", "restore", "--from", &to, "--sealing-key", key];
        [&words[..], &storage]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let restore = async |key: &str| {
        let words = restore(key);
        run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let other = place.path().join("other.key");
    secrets::KeyRing::create(&other).unwrap();
    let refused = restore(&other.display().to_string()).await.bad();
    assert!(refused.contains("does not fit"), "{refused}");
    assert_eq!(
        new.read_dir().unwrap().count(),
        0,
        "something was left behind"
    );

    restore(&key_path).await.good();
    let twice = restore(&key_path).await.bad();
    assert!(twice.contains("exists already"), "{twice}");

    let server = Server::start(&storage, "admin", &root).await;
    for (number, id) in installation.certificates.iter().enumerate() {
        let agent = format!("restored-{number}");
        server.deploy(place.path(), &agent, *id).await;
    }
    server.stop().await;

    // The audit log goes on from the backup, and says so to somebody who has an export, the key and an old checkpoint.
    let at = |name: &str| place.path().join(name).display().to_string();
    let export = at("audit.jsonl");
    let words = ["audit", "export", "--to", &export];
    run(&[&words[..], &storage].concat()).await.good();
    let key = new.join("audit-key.pub").display().to_string();
    let checkpoint = at("checkpoint");
    std::fs::copy(new.join("audit-checkpoint"), &checkpoint).unwrap();
    let verify = [
        "audit",
        "verify",
        &export,
        "--key",
        &key,
        "--checkpoint",
        &checkpoint,
    ];
    let said = run(&verify).await.good();
    assert!(said.contains("is the one that was signed"), "{said}");
    assert!(said.contains("Restored from a backup at"), "{said}");
    assert!(said.contains("earlier checkpoint"), "{said}");
    let text = std::fs::read_to_string(&export).unwrap();
    let changed = at("changed.jsonl");
    std::fs::write(
        &changed,
        text.replacen("\"actor\":\"admin\"", "\"actor\":\"nobody\"", 1),
    )
    .unwrap();
    let told = run(&["audit", "verify", &changed, "--key", &key])
        .await
        .bad();
    assert!(told.contains("records were changed"), "{told}");
    let cut: Vec<&str> = text.lines().collect();
    std::fs::write(&changed, cut[..cut.len() - 2].join("\n")).unwrap();
    let told = run(&["audit", "verify", &changed, "--key", &key])
        .await
        .bad();
    assert!(told.contains("the checkpoint counts"), "{told}");
    let told = run(&["audit", "verify", &at("none"), "--key", &key])
        .await
        .bad();
    assert!(told.contains("none"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_left_to_its_own_tools() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().display().to_string();
    let to = place.path().join("b").display().to_string();
    let database = [
        "--data-dir",
        &data,
        "--database",
        "postgres://u:hidden@127.0.0.1:1/d",
    ];
    let backup = run(&[&["admin", "backup", "--to", &to][..], &database].concat()).await;
    let complaint = backup.bad();
    assert!(
        complaint.contains("pg_dump") && !complaint.contains("hidden"),
        "{complaint}"
    );
    let restore = ["admin", "restore", "--from", &to, "--sealing-key", &to];
    let complaint = run(&[&restore[..], &database].concat()).await.bad();
    assert!(complaint.contains("pg_restore"), "{complaint}");
}

/// Something sealed in every column: what the quickstart leaves, a request that waits, a store with a password.
async fn fill_every_column(server: &Server) -> i64 {
    let templates = server.get("/Templates").await;
    let waiting = templates.as_array().unwrap().iter();
    let mut waiting = waiting.filter(|template| template["RequiresApproval"] == true);
    let template = waiting.next().expect("one template requires approval");
    let request = json!({
        "Subject": "CN=waiting.example",
        "SANs": { "DNS": ["waiting.example"] },
        "Template": template["CommonName"],
        "CertificateAuthority": "",
        "Timestamp": "2026-01-01T00:00:00Z",
        "IncludeChain": false,
        "Password": "a password of twelve",
    });
    let pending = server.post("/Enrollment/PFX", request).await;
    let agents = server.get("/Agents").await;
    let store = json!({
        "ClientMachine": agents[0]["ClientMachine"],
        "StorePath": "/somewhere/with-password.pem",
        "CertStoreType": 2,
        "Properties": "{}",
        "AgentId": agents[0]["AgentId"],
        "Password": { "SecretValue": "of the store" },
    });
    server.post("/CertificateStores", store).await;
    pending["CertificateInformation"]["KeyfactorRequestId"]
        .as_i64()
        .unwrap()
}

async fn keys_change_under_a_running_server(database: Option<&str>) {
    let place = tempfile::tempdir().unwrap();
    let installation = Installation::new(&place.path().join("data"), database).await;
    let server = installation.serve().await;
    let request = fill_every_column(&server).await;
    let before = keys_in(&installation.key_file());

    let rotate = ["rotate-sealing-key", "--wait-seconds", "2"];
    installation.admin(&rotate).await.good();
    let both = keys_in(&installation.key_file());
    assert_eq!(both[1..], before);
    installation
        .admin(&["rotate-sealing-key", "--retire-old"])
        .await
        .good();
    assert_eq!(keys_in(&installation.key_file()), both[..1]);

    // The server that ran all the while, and one that knows nothing but the new key.
    server
        .deploy(place.path(), "before-restart", installation.certificates[0])
        .await;
    server.stop().await;
    let server = installation.serve().await;
    let approved = server
        .post("/Workflow/Certificates/Approve", json!([request]))
        .await;
    assert_eq!(
        approved["Successes"][0]["KeyfactorRequestId"], request,
        "{approved}"
    );
    server
        .deploy(place.path(), "after-restart", installation.certificates[1])
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_under_a_running_server_on_sqlite() {
    keys_change_under_a_running_server(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_under_a_running_server_on_postgres() {
    if let Some(database) = db::testing::empty_postgres().await {
        keys_change_under_a_running_server(Some(database.address())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_killed_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data").display().to_string();
    let storage = ["--data-dir", &path];
    let admin = async |words: &[&str]| run(&[&["admin"], words, &storage].concat()).await;
    admin(&["create-account", "ann", "--role", "Administrator"])
        .await
        .good();
    let key_file = place.path().join("data/sealing.key");
    let old = keys_in(&key_file);

    let waits = ["admin", "rotate-sealing-key", "--wait-seconds", "600"];
    let mut running = Running::start(&[&waits[..], &storage].concat());
    running.line_with("was added to").await;
    let second = admin(&["rotate-sealing-key"]).await.bad();
    assert!(second.contains("another command works"), "{second}");
    running.kill().await;
    let both = keys_in(&key_file);
    assert_eq!(both[1..], old);
    let early = admin(&["rotate-sealing-key", "--retire-old"]).await.bad();
    assert!(early.contains("still need key"), "{early}");

    let rotate = ["rotate-sealing-key", "--wait-seconds", "0"];
    let said = admin(&rotate).await.good();
    assert!(said.contains("An unfinished rotation"), "{said}");
    assert_eq!(keys_in(&key_file), both, "no further key was added");
    admin(&["rotate-sealing-key", "--retire-old"]).await.good();
    assert_eq!(keys_in(&key_file), both[..1]);
    admin(&["reset-password", "ann"]).await.good();

    // A database without its key is not given another one.
    std::fs::rename(&key_file, place.path().join("away.key")).unwrap();
    let create = ["create-account", "ben"];
    let complaint = admin(&create).await.bad();
    assert!(complaint.contains("sealing.key is missing"), "{complaint}");
    assert!(!key_file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_key_is_replaced_in_an_installation_that_is_there() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data").display().to_string();
    let admin = async |arguments: &[&str]| {
        run(&[&["admin"], arguments, &["--data-dir", &data]].concat()).await
    };
    let complaint = admin(&["rotate-token-key"]).await.bad();
    assert!(complaint.contains("there is no database"), "{complaint}");
    admin(&["create-account", "--role", "Administrator", "admin"])
        .await
        .good();
    let said = admin(&["rotate-token-key"]).await.good();
    assert!(
        said.contains("A new key signs") && !said.contains("minute"),
        "{said}"
    );
    let said = admin(&["rotate-token-key", "--withdraw-old"]).await.good();
    assert!(said.contains("have ended"), "{said}");
}
