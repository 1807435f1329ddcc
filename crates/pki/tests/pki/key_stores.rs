//! Java key stores: what is written here is read by `keytool`, and the other way round.

use std::process::Command;

use pki::{Certificate, Error, KeySpec, PrivateKey, jks};

use crate::support::*;

fn keytool(arguments: &[&str]) -> String {
    let output = Command::new("keytool")
        .args([
            "-J-Duser.language=en",
            "-J-XX:TieredStopAtLevel=1",
            "-J-Xshare:auto",
        ])
        .args(arguments)
        .output()
        .expect("the tests need the keytool command");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "keytool {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

fn entries() -> (Vec<jks::Entry>, PrivateKey, Certificate) {
    let issuer = root(KeySpec::Rsa2048);
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let leaf = issue(
        &issuer,
        subject("CN=leaf.example", &[], &key),
        &server_profile(),
    )
    .unwrap();
    let root = issuer.certificate().der().to_vec();
    let entries = vec![
        jks::Entry {
            alias: "Website Ü".into(),
            created: START,
            key: Some(key.clone()),
            certificates: vec![leaf.der().to_vec(), root.clone()],
            is_key: true,
        },
        jks::Entry {
            alias: "root".into(),
            created: START,
            key: None,
            certificates: vec![root],
            is_key: false,
        },
    ];
    (entries, key, leaf)
}

#[test]
fn keytool_reads_what_is_written() {
    let files = directory("jks-written");
    let (entries, _, leaf) = entries();
    let store = write(
        &files,
        "store.jks",
        jks::to_jks(&entries, "changeit").unwrap(),
    );
    let list = keytool(&[
        "-list",
        "-v",
        "-keystore",
        &store,
        "-storepass",
        "changeit",
        "-storetype",
        "JKS",
    ]);
    assert!(list.contains("Your keystore contains 2 entries"), "{list}");
    assert!(
        list.contains("PrivateKeyEntry") && list.contains("trustedCertEntry"),
        "{list}"
    );
    assert!(list.contains("Certificate chain length: 2"), "{list}");
    assert!(list.replace(':', "").contains(&leaf.thumbprint()), "{list}");
    // The key itself is opened when it is moved to another store.
    let moved = files.join("moved.p12");
    let moved = moved.to_str().unwrap();
    keytool(&[
        "-importkeystore",
        "-srckeystore",
        &store,
        "-srcstorepass",
        "changeit",
        "-srcstoretype",
        "JKS",
        "-destkeystore",
        moved,
        "-deststoretype",
        "PKCS12",
        "-deststorepass",
        "changeit",
    ]);
    let moved = pki::pkcs12::from_pkcs12(&std::fs::read(moved).unwrap(), "changeit").unwrap();
    assert!(moved.key.unwrap().matches(&leaf));

    let trust = write(
        &files,
        "trust.jks",
        jks::to_jks(&entries[1..], "changeit").unwrap(),
    );
    let list = keytool(&["-list", "-keystore", &trust, "-storepass", "changeit"]);
    assert!(
        list.contains("1 entry") && list.contains("root, "),
        "{list}"
    );
}

#[test]
fn what_keytool_writes_is_read() {
    let files = directory("jks-read");
    let store = files.join("store.jks");
    let store = store.to_str().unwrap();
    keytool(&[
        "-genkeypair",
        "-alias",
        "made",
        "-keyalg",
        "RSA",
        "-keysize",
        "2048",
        "-dname",
        "CN=made.example",
        "-keystore",
        store,
        "-storetype",
        "JKS",
        "-storepass",
        "changeit",
        "-keypass",
        "changeit",
    ]);
    let octets = std::fs::read(store).unwrap();
    let entries = jks::from_jks(&octets, Some("changeit")).unwrap();
    let certificate = Certificate::from_der(&entries[0].certificates[0]).unwrap();
    assert_eq!(
        (entries[0].alias.as_str(), certificate.subject()),
        ("made", "CN=made.example")
    );
    assert!(entries[0].key.as_ref().unwrap().matches(&certificate));
    assert!(matches!(
        jks::from_jks(&octets, Some("wrong")),
        Err(Error::WrongPassword)
    ));
    assert!(jks::from_jks(&octets, None).unwrap()[0].key.is_none());
}

#[test]
fn it_comes_back_as_it_was_and_damage_is_found() {
    let (entries, key, leaf) = entries();
    let octets = jks::to_jks(&entries, "pässword").unwrap();
    let again = jks::from_jks(&octets, Some("pässword")).unwrap();
    assert_eq!(again.len(), 2);
    assert_eq!(
        (again[0].alias.as_str(), again[0].created, again[0].is_key),
        ("website ü", START, true)
    );
    assert_eq!(
        again[0].key.as_ref().unwrap().to_pkcs8_der(),
        key.to_pkcs8_der()
    );
    assert_eq!(again[0].certificates[0], leaf.der());
    assert_eq!(again[1].certificates, entries[1].certificates);
    for length in 0..octets.len() {
        assert!(
            jks::from_jks(&octets[..length], Some("pässword")).is_err(),
            "{length}"
        );
    }
    for at in (0..octets.len()).step_by(7) {
        let mut changed = octets.clone();
        changed[at] ^= 1;
        assert!(jks::from_jks(&changed, Some("pässword")).is_err(), "{at}");
    }
    let cut = jks::from_jks(&octets[..300], None).unwrap_err().to_string();
    assert!(cut.contains("entry 1") && cut.contains("offset"), "{cut}");
    assert!(
        jks::to_jks(&[], "x")
            .is_ok_and(|empty| jks::from_jks(&empty, Some("x")).unwrap().is_empty())
    );
    let mut bomb = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff];
    bomb.extend([0; 20]);
    assert!(
        jks::from_jks(&bomb, None)
            .unwrap_err()
            .to_string()
            .contains("more than")
    );
    assert!(
        jks::from_jks(&[0xce; 40], None)
            .unwrap_err()
            .to_string()
            .contains("JCEKS")
    );
}
