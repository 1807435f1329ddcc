//! `chancery quickstart` as a person runs it: the built program, both databases, nginx and the site of its own.

use std::{path::Path, process::Command};

use crate::support::{Running, run, word_after};

async fn quickstart(folder: &Path, more: &[&str]) -> crate::support::Ended {
    let folder = folder.display().to_string();
    let first = [
        "quickstart",
        "--exit",
        "--data-dir",
        &folder,
        "--listen",
        "127.0.0.1:0",
    ];
    run(&[&first[..], more].concat()).await
}

/// Every step in its order, and the proof at the end.
fn is_the_whole_story(said: &str) {
    let mut rest = said;
    for step in [
        "server",
        "administrator",
        "TLS site",
        "agent registers",
        "enroll a certificate",
        "create a PEM store",
        "add the certificate",
        "inventory shows it",
        "serves exactly it",
        "renew the certificate",
        "replace it on the site",
        "serves the new one",
        "create a second PEM store",
        "remove it there",
        "it is gone",
        "Proved in ",
        "openssl s_client -connect 127.0.0.1:",
        "API reference: https://127.0.0.1:",
    ] {
        let found = rest.find(step);
        let found = found.unwrap_or_else(|| panic!("{step:?} is missing or late:\n{said}"));
        rest = &rest[found..];
    }
    let enrolled = word_after(&word_line(said, "enroll a certificate"), ", ");
    let renewed = word_after(&word_line(said, "renew the certificate"), ", ");
    assert_ne!(enrolled, renewed);
    assert!(
        word_line(said, "serves exactly it").ends_with(&enrolled),
        "{said}"
    );
    assert!(
        word_line(said, "serves the new one").ends_with(&renewed),
        "{said}"
    );
    assert!(
        word_line(said, "Proved in").ends_with(&format!("serves {renewed}.")),
        "{said}"
    );
}

fn word_line(said: &str, holding: &str) -> String {
    let line = said.lines().find(|line| line.contains(holding));
    line.unwrap_or_else(|| panic!("{holding}: {said}"))
        .to_owned()
}

/// nginx is part of what CI has; a machine without it leaves these tests out.
fn nginx_is_there() -> bool {
    let found = Command::new("sh")
        .args(["-c", "PATH=$PATH:/usr/sbin command -v nginx"])
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        found || std::env::var_os("CI").is_none(),
        "nginx is not installed"
    );
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_and_nginx_and_once_more_on_the_same_folder() {
    if !nginx_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let said = quickstart(folder.path(), &["--site", "nginx"]).await.good();
    is_the_whole_story(&said);
    assert!(said.contains("nginx on 127.0.0.1:"), "{said}");
    let password = word_after(&said, "with the password ");
    let log = std::fs::read_to_string(folder.path().join("quickstart.log")).unwrap();
    assert!(!log.contains(&password), "the log holds the password");
    assert!(
        !folder.path().join("site/nginx.pid").exists(),
        "nginx still runs"
    );

    let again = quickstart(folder.path(), &["--site", "nginx"]).await.good();
    is_the_whole_story(&again);
    assert!(again.contains("The account admin exists"), "{again}");
    assert!(again.contains("is there already"), "{again}");
    assert!(!again.contains("with the password"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_and_the_site_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let said = quickstart(folder.path(), &["--site", "own"]).await.good();
    is_the_whole_story(&said);
    assert!(
        said.contains("a small site of our own on 127.0.0.1:"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_and_nginx() {
    let Some(database) = db::testing::empty_postgres().await else {
        return;
    };
    let site = if nginx_is_there() { "nginx" } else { "own" };
    let folder = tempfile::tempdir().unwrap();
    let more = ["--site", site, "--database", database.address()];
    let said = quickstart(folder.path(), &more).await.good();
    is_the_whole_story(&said);
    assert!(!folder.path().join("chancery.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stays_up_and_the_printed_line_repeats_the_proof() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let listen = ["--listen", "127.0.0.1:0"];
    let arguments = ["quickstart", "--data-dir", &path];
    let mut running = Running::start(&[&arguments[..], &listen].concat());
    running.line_with("stay up until").await;
    let renewed = word_after(&word_line(&running.said, "renew the certificate"), ", ");
    let line = word_line(&running.said, "openssl s_client");
    let shown = Command::new("sh").args(["-c", &line]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let fingerprint = shown.lines().find(|line| line.contains("Fingerprint="));
    let fingerprint = fingerprint.unwrap_or_else(|| panic!("{line}: {shown}"));
    assert_eq!(
        word_after(fingerprint, "Fingerprint=").replace(':', ""),
        renewed
    );

    let docs = word_after(&running.said, "API reference: ");
    let root = folder.path().join("root.pem").display().to_string();
    let curl = ["--silent", "--fail", "--location", "--cacert", &root, &docs];
    assert!(
        Command::new("curl")
            .args(curl)
            .output()
            .unwrap()
            .status
            .success()
    );
    assert_eq!(running.terminate().await, Some(0));
    assert!(
        !folder.path().join("site/nginx.pid").exists(),
        "nginx still runs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_names_its_step_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").display().to_string();
    // An address that is nobody's (RFC 5737).
    let arguments = [
        "quickstart",
        "--exit",
        "--data-dir",
        &path,
        "--listen",
        "192.0.2.1:8443",
    ];
    let failed = run(&arguments).await;
    assert!(failed.out.contains("FAILED"), "{}", failed.out);
    let complaint = failed.bad();
    assert!(complaint.contains("step \"folder, keys, authorities, database: server\" failed"));
    assert!(complaint.contains("192.0.2.1:8443"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chancery.db"), "somebody's").unwrap();
    let complaint = quickstart(folder.path(), &[]).await.bad();
    assert!(
        complaint.contains("not the folder of a quickstart"),
        "{complaint}"
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}
