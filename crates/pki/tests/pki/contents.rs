//! Files of all forms: what is found in them, and how broken ones are refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::pkcs12::Encryption;
use pki::{Certificate, Contents, ContentsError, KeySpec, PrivateKey, jks, pkcs7, pkcs12};

use crate::support::*;

struct Sample {
    key: PrivateKey,
    leaf: Certificate,
    root: Certificate,
}

fn sample() -> Sample {
    let issuer = root(KeySpec::EcP256);
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let leaf = issue(
        &issuer,
        subject("CN=leaf.example", &[], &key),
        &server_profile(),
    )
    .unwrap();
    Sample {
        key,
        leaf,
        root: issuer.certificate().clone(),
    }
}

impl Sample {
    fn chain(&self) -> [Certificate; 2] {
        [self.leaf.clone(), self.root.clone()]
    }

    fn pem(&self) -> String {
        format!("{}{}", pem(&self.leaf), pem(&self.root))
    }
}

fn found(octets: &[u8], password: Option<&str>) -> Vec<Certificate> {
    let contents = Contents::read(octets, password).unwrap();
    contents
        .certificates
        .into_iter()
        .map(|found| found.certificate)
        .collect()
}

fn refused(octets: &[u8], password: Option<&str>) -> ContentsError {
    Contents::read(octets, password).unwrap_err()
}

#[test]
fn certificates_of_every_form() {
    let sample = sample();
    let chain = sample.chain();
    let p7b = pkcs7::certificates_to_pkcs7_der(&chain).unwrap();
    let bare = STANDARD.encode(sample.leaf.der());
    let windows = format!("\u{feff}{}", sample.pem()).replace('\n', "\r\n");
    let wide: Vec<u8> = windows.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let p12 = pkcs12::to_pkcs12(&sample.key, &chain, "name", "pw", Encryption::Modern).unwrap();
    for (form, octets, count) in [
        ("der", sample.leaf.der().to_vec(), 1),
        ("pem", sample.pem().into_bytes(), 2),
        (
            "pem with text",
            format!("subject: x\n{}\nend", sample.pem()).into_bytes(),
            2,
        ),
        ("windows", windows.into_bytes(), 2),
        ("utf-16", wide, 2),
        ("twice", format!("{0}{0}", sample.pem()).into_bytes(), 2),
        ("base64", bare.clone().into_bytes(), 1),
        (
            "base64 of pem",
            STANDARD.encode(sample.pem()).into_bytes(),
            2,
        ),
        ("p7b", p7b.clone(), 2),
        ("p7b pem", pki::pem::encode("PKCS7", &p7b).into_bytes(), 2),
        (
            "p7b under a certificate's label",
            pki::pem::encode("CERTIFICATE", &p7b).into_bytes(),
            2,
        ),
        (
            "base64 of p7b pem",
            STANDARD
                .encode(pki::pem::encode("PKCS7", &p7b))
                .into_bytes(),
            2,
        ),
        ("pkcs12", p12.clone(), 2),
        ("base64 of pkcs12", STANDARD.encode(&p12).into_bytes(), 2),
        (
            "crl and certificate",
            format!(
                "{}{}",
                pki::pem::encode("X509 CRL", &[0x30, 0]),
                pem(&sample.leaf)
            )
            .into_bytes(),
            1,
        ),
    ] {
        assert_eq!(found(&octets, Some("pw")), chain[..count], "{form}");
    }
}

#[test]
fn keys_with_and_without_password() {
    let sample = sample();
    let encrypted = sample.key.to_encrypted_pkcs8_pem("secret").unwrap();
    let p12 = pkcs12::to_pkcs12(
        &sample.key,
        &sample.chain(),
        "name",
        "secret",
        Encryption::Compatible,
    )
    .unwrap();
    let entry = jks::Entry {
        alias: "Name".into(),
        created: START,
        key: Some(sample.key.clone()),
        certificates: vec![sample.leaf.der().to_vec(), sample.root.der().to_vec()],
        is_key: true,
    };
    let store = jks::to_jks(&[entry], "secret").unwrap();
    for (form, octets) in [
        ("pem", format!("{}{encrypted}", sample.pem()).into_bytes()),
        ("der", sample.key.to_encrypted_pkcs8_der("secret").unwrap()),
        ("pkcs12", p12.clone()),
        ("jks", store.clone()),
    ] {
        let contents = Contents::read(&octets, Some("secret")).unwrap();
        assert_eq!(contents.keys.len(), 1, "{form}");
        assert!(contents.keys[0].key.matches(&sample.leaf), "{form}");
        assert!(
            matches!(
                refused(&octets, Some("wrong")),
                ContentsError::WrongPassword { .. }
            ),
            "{form}"
        );
        if form != "jks" {
            assert!(
                matches!(refused(&octets, None), ContentsError::PasswordNeeded { .. }),
                "{form}"
            );
        }
    }
    // Java reads certificates without a password, and so do we.
    let contents = Contents::read(&store, None).unwrap();
    assert_eq!((contents.certificates.len(), contents.keys.len()), (2, 0));
    assert_eq!(contents.certificates[0].alias.as_deref(), Some("name"));
    assert_eq!(contents.ignored, ["PRIVATE KEY without its password"]);

    let plain = Contents::read(sample.key.to_pkcs8_pem().as_bytes(), None).unwrap();
    assert!(plain.keys[0].key.matches(&sample.leaf));
    for form in ["-traditional", "-topk8"] {
        let arguments: &[&str] = if form == "-topk8" {
            &[
                "pkcs8",
                "-topk8",
                "-passout",
                "pass:secret",
                "-v2prf",
                "hmacWithSHA512",
                "-v2",
                "aes-128-cbc",
            ]
        } else {
            &["ec"]
        };
        let text = openssl(arguments, sample.key.to_pkcs8_pem().as_bytes());
        let contents = Contents::read(text.as_bytes(), Some("secret")).unwrap();
        assert!(contents.keys[0].key.matches(&sample.leaf), "{form}");
    }
    let written = openssl(&["pkey", "-passin", "pass:secret"], encrypted.as_bytes());
    assert!(
        PrivateKey::from_pem(&written)
            .unwrap()
            .matches(&sample.leaf)
    );
}

#[test]
fn broken_files_are_refused_with_the_place() {
    let sample = sample();
    let text = |octets: &[u8]| refused(octets, None).to_string();
    let der = sample.leaf.der();
    assert!(
        text(&der[..200]).contains("the end is at offset 200"),
        "{}",
        text(&der[..200])
    );
    assert!(
        text(&[der, &[1, 2]].concat())
            .contains(&format!("2 octets follow it at offset {}", der.len()))
    );
    assert!(text(b"").contains("empty"));
    assert!(text(b" \n").contains("empty"));
    assert!(text("{\"a\": 1}".as_bytes()).contains("offset 0"));
    assert!(text(&[0xff, 1, 2]).contains("neither"));
    let second = pem(&sample.root);
    let broken = format!("{}{}", pem(&sample.leaf), &second[..200]);
    assert!(
        text(broken.as_bytes()).contains("entry 2 (offset"),
        "{}",
        text(broken.as_bytes())
    );
    let middle = format!("{}{}", &second[..200], pem(&sample.leaf));
    assert!(
        text(middle.as_bytes()).contains("entry 1 (offset 0)"),
        "{}",
        text(middle.as_bytes())
    );
    let inner = format!(
        "{}{}",
        pem(&sample.leaf),
        pki::pem::encode("CERTIFICATE", &der[..99])
    );
    assert!(
        text(inner.as_bytes()).starts_with("entry 2 (offset"),
        "{}",
        text(inner.as_bytes())
    );
    assert!(
        text(pki::pem::encode("X509 CRL", &[0x30, 0]).as_bytes())
            .contains("no certificate but X509 CRL")
    );
    let large = vec![b'A'; 50_000_000];
    assert!(matches!(
        refused(&large, None),
        ContentsError::TooLarge { found: 50_000_000 }
    ));
    let many: String = (0..10_002)
        .map(|_| "-----BEGIN X-----\nAAAA\n-----END X-----\n")
        .collect();
    assert!(matches!(
        refused(many.as_bytes(), None),
        ContentsError::TooMany { limit: 10_000, .. }
    ));
    for bag in ["RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        let old = format!(
            "-----BEGIN {bag}-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END {bag}-----\n"
        );
        assert!(text(old.as_bytes()).contains("Proc-Type"));
    }
}

/// An envelope whose one certificate is what is given.
fn envelope(inner: &[u8]) -> Vec<u8> {
    use der::{Decode as _, Encode as _};
    let element = |tag: u8, content: &[u8]| {
        der::asn1::AnyRef::new(der::Tag::from_der(&[tag]).unwrap(), content)
            .unwrap()
            .to_der()
            .unwrap()
    };
    let data = element(
        0x30,
        &element(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1]),
    );
    let parts = [
        element(2, &[1]),
        element(0x31, &[]),
        data,
        element(0xa0, inner),
        element(0x31, &[]),
    ]
    .concat();
    let signed = element(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]);
    element(
        0x30,
        &[signed, element(0xa0, &element(0x30, &parts))].concat(),
    )
}

#[test]
fn bombs_are_refused() {
    let sample = sample();
    let mut nested = sample.leaf.der().to_vec();
    for level in 1..2000 {
        nested = envelope(&nested);
        if level == 2 {
            assert_eq!(found(&nested, None), std::slice::from_ref(&sample.leaf));
        }
    }
    assert!(
        matches!(refused(&nested, None), ContentsError::TooDeep { .. }),
        "{}",
        refused(&nested, None)
    );
    let mut text = sample.leaf.der().to_vec();
    for _ in 0..20 {
        text = STANDARD.encode(&text).into_bytes();
    }
    assert!(matches!(
        refused(&text, None),
        ContentsError::TooDeep { .. }
    ));
    assert!(Contents::read(&[0x30, 0x80].repeat(1_000_000), None).is_err());
    assert!(Contents::read(&envelope(&[0x30, 0].repeat(20_000)), None).is_err());
    let slow = "-----BEGIN ".repeat(1_000_000);
    assert!(Contents::read(slow.as_bytes(), None).is_err());
}

#[test]
fn a_file_costs_only_so_many_key_derivations() {
    let sample = sample();
    let p12 = pkcs12::to_pkcs12(
        &sample.key,
        &sample.chain(),
        "n",
        "pw",
        Encryption::ModernForRandomPassword,
    )
    .unwrap();
    let many = pki::pem::encode("CERTIFICATE", &p12).repeat(pki::MAXIMUM_FILE_PASSWORD_TRIALS + 1);
    assert!(matches!(
        refused(many.as_bytes(), Some("pw")),
        ContentsError::TooMany {
            what: "encrypted keys",
            ..
        }
    ));
}

#[test]
fn chains_are_written_in_both_orders() {
    let sample = sample();
    let chain = sample.chain();
    for (order, expected) in [
        ("EndEntityFirst", [&sample.leaf, &sample.root]),
        ("endentityfirst", [&sample.leaf, &sample.root]),
        ("RootFirst", [&sample.root, &sample.leaf]),
    ] {
        let arranged = pki::ChainOrder::parse(order).unwrap().arrange(&chain);
        let expected = expected.map(Clone::clone);
        assert_eq!(arranged, expected);
        let der = pkcs7::certificates_to_pkcs7_der(&arranged).unwrap();
        let text = openssl(&["pkcs7", "-inform", "DER", "-print_certs"], &der);
        assert_eq!(found(text.as_bytes(), None), expected);
        assert_eq!(
            found(
                pki::pem::bundle(&arranged, order == "RootFirst").as_bytes(),
                None
            ),
            expected
        );
    }
    assert!(pki::ChainOrder::parse("sideways").is_none());
    let text = pki::pem::bundle(&chain, true);
    assert!(
        text.starts_with(
            "subject=CN=leaf.example\nissuer=CN=Test Root,O=Chancery\n-----BEGIN CERTIFICATE-----\n"
        ),
        "{text}"
    );
}

#[test]
fn odd_certificates_come_with_their_warnings() {
    let odd = crate::foreign::foreign(
        "odd-contents",
        &[
            "-newkey",
            "ed25519",
            "-set_serial",
            "-129",
            "-subj",
            "/CN=n",
        ],
        "",
    );
    let contents = Contents::read(pem(&odd).as_bytes(), None).unwrap();
    assert!(
        contents.certificates[0]
            .warnings
            .iter()
            .any(|warning| warning.part == "serial number")
    );
    assert_eq!(contents.certificates[0].place, "entry 1 (offset 0)");
}
