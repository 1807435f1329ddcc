//! OpenSSL's program is the second reader and writer, so that we do not only understand ourselves.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::pem;

const PASSWORD: &str = "geheim ü 42";

/// What the program answers to the input, or what it complains about.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need the openssl program");
    // A program that complains early closes its input; what it says tells more than the broken pipe.
    drop(child.stdin.take().unwrap().write_all(input));
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A key with its certificate and the authority's, made by OpenSSL once.
pub(crate) fn test_chain() -> (PrivateKey, Vec<Certificate>) {
    static CHAIN: LazyLock<(Vec<u8>, Vec<Vec<u8>>)> = LazyLock::new(|| {
        let new_key = || {
            openssl(
                &[
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ],
                b"",
            )
        };
        let authority_key = new_key().unwrap();
        let request = ["req", "-x509", "-key", "/dev/stdin", "-days", "30", "-subj"];
        let authority = openssl(
            &[&request[..], &["/CN=Test Authority"]].concat(),
            &authority_key,
        )
        .unwrap();
        let leaf_key = new_key().unwrap();
        let signer = [&authority_key[..], &authority].concat();
        let leaf = with_file(&signer, |path| {
            let names = ["/CN=leaf.example", "-CA", path, "-CAkey", path];
            openssl(&[&request[..], &names].concat(), &leaf_key).unwrap()
        });
        let certificates = [pem::certificates(&leaf), pem::certificates(&authority)].concat();
        (pem::parse(&leaf_key)[0].der.clone(), certificates)
    });
    let certificates = CHAIN
        .1
        .iter()
        .map(|der| Certificate::from_der(der).unwrap())
        .collect();
    (PrivateKey::from_pkcs8_der(&CHAIN.0).unwrap(), certificates)
}

/// Some inputs are read twice by the program, which a pipe does not allow.
fn with_file<T>(content: &[u8], read: impl FnOnce(&str) -> T) -> T {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!(
        "chancery-pki-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, content).unwrap();
    let answer = read(path.to_str().unwrap());
    std::fs::remove_file(&path).unwrap();
    answer
}

fn ders(certificates: &[Certificate]) -> Vec<Vec<u8>> {
    certificates
        .iter()
        .map(|certificate| certificate.der().to_vec())
        .collect()
}

/// Padding alone would let one wrong password in 256 through to another error.
#[test]
fn every_wrong_password_is_told_without_a_mac() {
    let (key, certificates) = test_chain();
    let text = pem::encode("PRIVATE KEY", &key.to_pkcs8_der())
        + &pem::encode("CERTIFICATE", certificates[0].der());
    let password = format!("pass:{PASSWORD}");
    let der = with_file(text.as_bytes(), |path| {
        openssl(
            &[
                "pkcs12", "-export", "-in", path, "-passout", &password, "-iter", "1", "-nomac",
            ],
            b"",
        )
        .unwrap()
    });
    assert!(from_pkcs12(&der, PASSWORD).is_ok());
    for number in 0..2000 {
        let error = from_pkcs12(&der, &format!("wrong {number}")).unwrap_err();
        assert!(matches!(error, Error::WrongPassword), "{number}: {error}");
    }
}

#[test]
fn openssl_reads_every_encryption_without_its_legacy_provider() {
    let (key, certificates) = test_chain();
    let password = format!("pass:{PASSWORD}");
    for (encryption, expected) in [
        (
            Encryption::Modern,
            ["MAC: sha256, Iteration 50000", "PBES2", "PBES2"],
        ),
        (
            Encryption::ModernForRandomPassword,
            ["MAC: sha256, Iteration 1\n", "PBES2", "PBES2"],
        ),
        (
            Encryption::Compatible,
            [
                "MAC: sha1, Iteration 2048",
                "PKCS7 Encrypted data: pbeWithSHA1And3-KeyTripleDES-CBC",
                "Shrouded Keybag: PBES2",
            ],
        ),
        (
            Encryption::Legacy,
            [
                "MAC: sha1, Iteration 2048",
                "PKCS7 Encrypted data: pbeWithSHA1And3",
                "Shrouded Keybag: pbeWithSHA1And3",
            ],
        ),
    ] {
        let der = to_pkcs12(&key, &certificates, "my name", PASSWORD, encryption).unwrap();
        let text = openssl(&["pkcs12", "-nodes", "-passin", &password], &der).unwrap();
        assert_eq!(
            pem::certificates(&text),
            ders(&certificates),
            "{encryption:?}"
        );
        let blocks = pem::parse(&text);
        let key_block = blocks.iter().find(|block| block.is_private_key()).unwrap();
        assert_eq!(key_block.der, *key.to_pkcs8_der(), "{encryption:?}");
        assert!(
            key_block.preamble.contains("friendlyName: my name"),
            "{encryption:?}"
        );

        let shown = with_file(&der, |path| {
            let arguments = [
                "pkcs12", "-in", path, "-info", "-noout", "-passin", &password,
            ];
            Command::new("openssl")
                .args(arguments)
                .output()
                .unwrap()
                .stderr
        });
        let shown = String::from_utf8(shown).unwrap();
        for words in expected {
            assert!(shown.contains(words), "{encryption:?}: {words} in {shown}");
        }
        assert!(openssl(&["pkcs12", "-nodes", "-passin", "pass:wrong"], &der).is_err());
    }
}

#[test]
fn reads_what_it_writes() {
    let (key, certificates) = test_chain();
    for encryption in [
        Encryption::Modern,
        Encryption::ModernForRandomPassword,
        Encryption::Compatible,
        Encryption::Legacy,
    ] {
        for (name, password) in [("näme", PASSWORD), ("", ""), ("x", &"long ".repeat(30))] {
            let der = to_pkcs12(&key, &certificates, name, password, encryption).unwrap();
            let read = from_pkcs12(&der, password).unwrap();
            assert_eq!(*read.key.unwrap().to_pkcs8_der(), *key.to_pkcs8_der());
            assert_eq!(read.certificates, ders(&certificates));
            assert_eq!(read.friendly_name.as_deref(), Some(name));
            assert!(matches!(
                from_pkcs12(&der, "wrong"),
                Err(Error::WrongPassword)
            ));
        }
    }
    let der = to_pkcs12(&key, &certificates, "a😀b", "p", Encryption::Modern).unwrap();
    assert_eq!(
        from_pkcs12(&der, "p").unwrap().friendly_name.as_deref(),
        Some("a\u{fffd}b")
    );
    assert!(matches!(
        to_pkcs12(&key, &[], "n", "p", Encryption::Modern),
        Err(Error::Malformed(_))
    ));
    assert!(to_pkcs12(&key, &certificates, "n", "😀", Encryption::Compatible).is_err());
}

#[test]
fn reads_what_openssl_writes() {
    let (key, certificates) = test_chain();
    let blocks = |certificates: &[Certificate]| {
        certificates
            .iter()
            .map(|one| pem::encode("CERTIFICATE", one.der()))
            .collect::<String>()
    };
    let key_text = pem::encode("PRIVATE KEY", &key.to_pkcs8_der());
    let reversed: Vec<_> = certificates.iter().cloned().rev().collect();
    let password = format!("pass:{PASSWORD}");
    let export = [
        "pkcs12",
        "-export",
        "-name",
        "their name",
        "-passout",
        &password,
    ];
    let old = [
        "-keypbe",
        "PBE-SHA1-3DES",
        "-certpbe",
        "PBE-SHA1-3DES",
        "-macalg",
        "sha1",
    ];
    for more in [&[][..], &old[..], &["-nomac"]] {
        // Authority first in the file: the leaf still comes first out of it.
        for text in [blocks(&certificates), blocks(&reversed)] {
            let der = with_file((key_text.clone() + &text).as_bytes(), |path| {
                openssl(&[&export[..], &["-in", path], more].concat(), b"").unwrap()
            });
            let read = from_pkcs12(&der, PASSWORD).unwrap();
            assert_eq!(
                *read.key.unwrap().to_pkcs8_der(),
                *key.to_pkcs8_der(),
                "{more:?}"
            );
            assert_eq!(read.certificates, ders(&certificates), "{more:?}");
            assert_eq!(read.friendly_name.as_deref(), Some("their name"));
            assert!(
                matches!(from_pkcs12(&der, "wrong"), Err(Error::WrongPassword)),
                "{more:?}"
            );
        }
    }
    let trust_store = openssl(
        &[&export[..], &["-nokeys"]].concat(),
        blocks(&reversed).as_bytes(),
    )
    .unwrap();
    let read = from_pkcs12(&trust_store, PASSWORD).unwrap();
    assert!(read.key.is_none());
    assert_eq!(read.certificates, ders(&certificates));
}

#[test]
fn an_empty_password_is_a_password() {
    let (key, certificates) = test_chain();
    let ours = to_pkcs12(&key, &certificates, "n", "", Encryption::Compatible).unwrap();
    let text = openssl(&["pkcs12", "-nodes", "-passin", "pass:"], &ours).unwrap();
    let theirs = with_file(&text, |path| {
        openssl(
            &["pkcs12", "-export", "-in", path, "-passout", "pass:"],
            b"",
        )
        .unwrap()
    });
    assert_eq!(
        from_pkcs12(&theirs, "").unwrap().certificates,
        ders(&certificates)
    );
}

#[test]
fn refuses_what_is_no_pkcs12() {
    assert!(matches!(from_pkcs12(&[], ""), Err(Error::Malformed(_))));
    assert!(matches!(
        from_pkcs12(b"hello", ""),
        Err(Error::Malformed(_))
    ));
    assert!(matches!(
        from_pkcs12(&vec![0; MAX_PKCS12_BYTES + 1], ""),
        Err(Error::Malformed(_))
    ));
    assert!(matches!(
        from_pkcs12(&PBES2.repeat(MAX_ENCRYPTED_PARTS + 1), ""),
        Err(Error::Malformed(_))
    ));
    let (key, certificates) = test_chain();
    let mut der = to_pkcs12(&key, &certificates, "n", "p", Encryption::Compatible).unwrap();
    for length in (0..der.len()).step_by(7) {
        assert!(from_pkcs12(&der[..length], "p").is_err(), "{length}");
    }
    let middle = der.len() / 2;
    der[middle] ^= 1;
    assert!(from_pkcs12(&der, "p").is_err());
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = from_pkcs12(&bytes, "p");
    }
}
