//! What is particular to PEM files; what holds for every driver stands in the conformance suite.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use uuid::Uuid;
use zeroize::Zeroizing;

use super::PemDriver;
use crate::{
    AllowedPaths, Entry, FileSystem, InventoryEntry, Operation, Outcome, StoreConfig, StoreDriver,
    testing::{FIRST, FakeHost, ISSUING, PKCS1, ROOT, SECOND, der, thumbprint},
};

const DH: &str =
    "# for old clients\n-----BEGIN DH PARAMETERS-----\nAAEC\n-----END DH PARAMETERS-----\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path(), text).unwrap();
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("store.pem")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn store(&self) -> StoreConfig<'static> {
        StoreConfig::at(self.path())
    }

    fn with_operation<T>(&self, work: impl FnOnce(&Operation<'_>) -> T) -> T {
        work(&Operation {
            job_id: Uuid::nil(),
            note: "",
            journal_directory: &self.0.path().join("journal"),
            allowed_paths: &AllowedPaths::new(vec![self.0.path().to_owned()], Vec::new()),
            file_system: &FileSystem,
            host: &FakeHost::serving(&self.path()),
        })
    }

    fn add(&self, store: &StoreConfig<'_>, entry: &Entry) -> Outcome {
        self.with_operation(|operation| PemDriver.add(store, entry, operation))
    }

    fn remove(&self, alias: &str) -> Outcome {
        self.with_operation(|operation| PemDriver.remove(&self.store(), alias, operation))
    }

    fn inventory(&self) -> Vec<InventoryEntry> {
        self.with_operation(|operation| PemDriver.inventory(&self.store(), operation))
            .unwrap()
    }
}

fn success(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Success(_)), "{outcome:?}");
}

fn failure(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failure {
            message,
            rolled_back: false,
            ..
        } => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn replacing_keeps_what_is_not_the_identity_in_its_place() {
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let sec1 = parameters.to_owned() + "\n" + PKCS1.key;
    // The parameters stand before an RSA key here: they are not its own and stay.
    let folder = Folder::with(&format!(
        "head\n{}{ISSUING}between\n{sec1}{DH}tail",
        PKCS1.certificate
    ));
    success(&folder.add(&folder.store(), &SECOND.entry(true)));
    let text = folder.text();
    let key = pki::PrivateKey::from_pem(SECOND.key)
        .unwrap()
        .to_pkcs8_pem();
    assert_eq!(
        text,
        format!(
            "head\n{}{}between\n{parameters}\n{}{DH}tail",
            pki::pem::encode("CERTIFICATE", &SECOND.der()),
            pki::pem::encode("CERTIFICATE", &der(ISSUING)),
            key.as_str()
        )
    );
    assert!(!text.contains("RSA PRIVATE KEY"));
}

#[test]
fn parameters_of_a_replaced_ec_key_go_with_it() {
    let key = FIRST.key.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let folder = Folder::with(&format!("{}{parameters}\n{key}{DH}", FIRST.certificate));
    success(&folder.add(&folder.store(), &SECOND.entry(true)));
    assert!(!folder.text().contains("EC PARAMETERS"));
    assert!(folder.text().contains(DH));
}

#[test]
fn removing_the_identity_leaves_the_rest() {
    let folder = Folder::with(&format!("{DH}{}{}{ISSUING}", FIRST.key, FIRST.certificate));
    success(&folder.remove(&FIRST.thumbprint()));
    assert_eq!(folder.text(), DH);
}

#[test]
fn the_leaf_is_the_one_the_key_belongs_to_wherever_it_stands() {
    let folder = Folder::with(&format!("{ISSUING}{}{}", PKCS1.certificate, PKCS1.key));
    let [entry] = &folder.inventory()[..] else {
        panic!()
    };
    assert_eq!(entry.alias, PKCS1.thumbprint());
    assert!(entry.private_key);
    assert_eq!(entry.certificates, [PKCS1.der(), der(ISSUING)]);
}

#[test]
fn a_key_that_belongs_to_nothing_or_is_encrypted_is_told_apart() {
    let folder = Folder::with(&format!("{}{}", FIRST.certificate, SECOND.key));
    assert!(!folder.inventory()[0].private_key);
    assert!(failure(folder.add(&folder.store(), &FIRST.entry(false))).contains("Overwrite"));
    success(&folder.add(&folder.store(), &FIRST.entry(true)));
    assert!(folder.inventory()[0].private_key);

    let encrypted = FIRST.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let folder = Folder::with(&format!("{}{encrypted}", FIRST.certificate));
    assert!(folder.inventory()[0].private_key);
}

#[test]
fn a_certificate_without_key_renews_the_one_whose_key_is_there() {
    let folder = Folder::with(&format!("{}{}", ISSUING, FIRST.key));
    success(&folder.add(&folder.store(), &FIRST.entry_without_key(true)));
    assert_eq!(folder.inventory()[0].alias, FIRST.thumbprint());
    assert!(folder.text().contains(FIRST.key));
    let message = failure(folder.add(&folder.store(), &SECOND.entry_without_key(true)));
    assert!(message.contains("no private key"), "{message}");
}

#[test]
fn a_file_with_two_keys_is_not_touched() {
    let text = format!("{}{}{}", FIRST.certificate, FIRST.key, PKCS1.key);
    let folder = Folder::with(&text);
    assert!(failure(folder.add(&folder.store(), &SECOND.entry(true))).contains("2 private keys"));
    assert!(failure(folder.remove(&FIRST.thumbprint())).contains("2 private keys"));
    assert_eq!(folder.text(), text);
}

#[test]
fn a_trust_store_holds_many_certificates_once_each_and_no_key() {
    let folder = Folder::with(&format!("comment\n{ROOT}{ROOT}"));
    let store = StoreConfig {
        trust_store: true,
        ..folder.store()
    };
    assert!(failure(folder.add(&store, &FIRST.entry(false))).contains("no private key"));
    success(&folder.add(&store, &FIRST.entry_without_key(false)));
    assert!(matches!(
        folder.add(&store, &FIRST.entry_without_key(true)),
        Outcome::Warning(_)
    ));
    let aliases: Vec<String> = folder
        .inventory()
        .into_iter()
        .map(|entry| entry.alias)
        .collect();
    assert_eq!(aliases, [thumbprint(ROOT), FIRST.thumbprint()]);
    success(&folder.remove(&thumbprint(ROOT)));
    assert_eq!(
        folder.text(),
        format!("comment\n{}", pki::pem::encode("CERTIFICATE", &FIRST.der()))
    );
    assert!(matches!(
        folder.remove(&thumbprint(ROOT)),
        Outcome::Warning(_)
    ));

    let folder = Folder::with(FIRST.key);
    let store = StoreConfig {
        trust_store: true,
        ..folder.store()
    };
    assert!(failure(folder.add(&store, &FIRST.entry_without_key(false))).contains("private key"));
}

#[test]
fn wrong_material_is_refused_by_name() {
    let folder = Folder::with("");
    let garbage = Entry {
        certificate: b"no".to_vec(),
        ..FIRST.entry(true)
    };
    assert!(failure(folder.add(&folder.store(), &garbage)).contains("certificate"));
    let mixed = Entry {
        certificate: SECOND.der(),
        ..FIRST.entry(true)
    };
    assert!(failure(folder.add(&folder.store(), &mixed)).contains("does not belong"));
    let chain = Entry {
        chain: vec![b"no".to_vec()],
        ..FIRST.entry(true)
    };
    assert!(failure(folder.add(&folder.store(), &chain)).contains("chain, certificate 0"));
    let password = Some(Zeroizing::new("x".to_owned()));
    let store = StoreConfig {
        password,
        ..folder.store()
    };
    assert!(failure(folder.add(&store, &FIRST.entry(true))).contains("password"));
    assert_eq!(folder.text(), "");
}

#[test]
fn a_file_that_gets_its_first_key_is_closed_and_others_keep_their_mode() {
    let folder = Folder::with("");
    let mode = || folder.path().metadata().unwrap().permissions().mode() & 0o777;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o644)).unwrap();
    success(&folder.add(&folder.store(), &FIRST.entry(false)));
    assert_eq!(mode(), 0o600);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o640)).unwrap();
    success(&folder.add(&folder.store(), &SECOND.entry(true)));
    assert_eq!(mode(), 0o640);
}

#[test]
fn the_chain_can_be_left_out_and_an_unreadable_certificate_hides_nothing() {
    let folder = Folder::with("");
    let store = StoreConfig {
        includes_chain: false,
        ..folder.store()
    };
    success(&folder.add(&store, &FIRST.entry(false)));
    assert_eq!(folder.inventory()[0].certificates, [FIRST.der()]);

    let broken = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
    let folder = Folder::with(&format!("{broken}{ROOT}"));
    assert_eq!(folder.inventory()[0].alias, thumbprint(ROOT));
    success(&folder.add(&folder.store(), &FIRST.entry_without_key(false)));
    assert!(folder.text().starts_with(broken));
}

#[test]
fn the_inventory_of_a_missing_file_is_an_error_that_names_it() {
    let folder = Folder::with("");
    fs::remove_file(folder.path()).unwrap();
    let error = folder
        .with_operation(|operation| PemDriver.inventory(&folder.store(), operation))
        .unwrap_err()
        .to_string();
    assert!(error.contains("store.pem does not exist"), "{error}");
    assert!(matches!(folder.remove("AA"), Outcome::Warning(_)));
}
