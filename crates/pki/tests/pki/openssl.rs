//! What this crate writes, read by OpenSSL; requests and keys of OpenSSL, read by this crate.

use pki::{
    CertificateRequest, CertificateRevocationList, Issuer, KeySpec, PrivateKey, SanKind,
    SubjectAlternativeName,
};

use crate::support::*;

/// OpenSSL 3.0 knows these; ML-DSA is tested in `issuing.rs`.
const SPECS: [KeySpec; 5] = [
    KeySpec::Rsa2048,
    KeySpec::EcP256,
    KeySpec::EcP384,
    KeySpec::EcP521,
    KeySpec::Ed25519,
];

#[test]
fn openssl_verifies_chain_and_revocation_list() {
    for spec in SPECS {
        let files = directory(&format!("chain-{}", spec.name().replace(' ', "-")));
        let root = root(spec);
        let middle_key = PrivateKey::generate(spec).unwrap();
        let middle = root
            .prepare(
                subject("CN=Middle,O=Chancery", &[], &middle_key),
                &authority_profile(Some(0)),
                serial(2),
                START,
                START + 1000 * DAY,
            )
            .unwrap()
            .sign(&root)
            .unwrap();
        let middle = Issuer::new(middle, middle_key).unwrap();
        let key = PrivateKey::generate(spec).unwrap();
        let sans = [
            SubjectAlternativeName::dns("a.example"),
            SubjectAlternativeName::new(SanKind::Ip, "10.1.2.3"),
        ];
        let leaf = issue(
            &middle,
            subject("CN=a.example", &sans, &key),
            &server_profile(),
        )
        .unwrap();
        let list = |issuer: &Issuer, revoked: &[(String, i64, i32)]| {
            let der = CertificateRevocationList::build(
                issuer,
                300,
                START + DAY,
                START + 20 * DAY,
                revoked,
            )
            .unwrap();
            pki::pem::encode("X509 CRL", &der)
        };
        let root_file = write(&files, "root.pem", pem(root.certificate()));
        let middle_file = write(&files, "middle.pem", pem(middle.certificate()));
        let leaf_file = write(&files, "leaf.pem", pem(&leaf));
        let at = ((START + 10 * DAY) / 1000).to_string();
        let clean = write(
            &files,
            "clean.crl",
            list(&root, &[]) + &list(&middle, &[("0BAD".into(), START, 1)]),
        );
        let verified = openssl(
            &[
                "verify",
                "-x509_strict",
                "-crl_check_all",
                "-purpose",
                "sslserver",
                "-verify_hostname",
                "a.example",
                "-attime",
                &at,
                "-CAfile",
                &root_file,
                "-untrusted",
                &middle_file,
                "-CRLfile",
                &clean,
                &leaf_file,
            ],
            b"",
        );
        assert!(verified.contains("OK"), "{verified}");
        let revoked = list(&middle, &[(leaf.serial_hex().into(), START + 2 * DAY, 4)]);
        let text = openssl(&["crl", "-noout", "-text"], revoked.as_bytes());
        assert!(text.contains("Superseded"), "{text}");
        assert!(text.contains("CRL Number"), "{text}");
        let spaced = leaf.serial_hex().to_owned();
        assert!(text.contains(&format!("Serial Number: {spaced}")), "{text}");
    }
}

#[test]
fn openssl_reads_the_extensions() {
    let root = root(KeySpec::EcP256);
    let key = PrivateKey::generate(KeySpec::Rsa2048).unwrap();
    let sans = [
        SubjectAlternativeName::dns("*.a.example"),
        SubjectAlternativeName::new(SanKind::Ip, "2001:db8::1"),
        SubjectAlternativeName::new(SanKind::Rfc822, "me@a.example"),
        SubjectAlternativeName::new(SanKind::Uri, "https://a.example/x"),
        SubjectAlternativeName::new(SanKind::Directory, "CN=dir,O=b"),
        SubjectAlternativeName::new(SanKind::RegisteredId, "1.2.3.4"),
        SubjectAlternativeName::new(SanKind::UserPrincipalName, "me@corp.example"),
    ];
    let leaf = issue(
        &root,
        subject(
            "CN=Ä leaf,OU=x\\, y,O=Chancery,ST=Some,C=DE,E=me@a.example",
            &sans,
            &key,
        ),
        &server_profile(),
    )
    .unwrap();
    assert_eq!(leaf.subject_alternative_names(), sans);
    let text = openssl(
        &[
            "x509",
            "-inform",
            "DER",
            "-noout",
            "-text",
            "-nameopt",
            "RFC2253,utf8,-esc_msb",
        ],
        leaf.der(),
    );
    for expected in [
        "CN=Ä leaf,OU=x\\, y,O=Chancery,ST=Some,C=DE,emailAddress=me@a.example",
        "DNS:*.a.example, IP Address:2001:DB8:0:0:0:0:0:1, email:me@a.example, URI:https://a.example/x",
        "DirName:/O=b/CN=dir, Registered ID:1.2.3.4, othername: UPN::me@corp.example",
        "Digital Signature, Key Encipherment",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "CA:FALSE",
        "URI:http://crl.example/root.crl",
        "OCSP - URI:http://ocsp.example",
        "CA Issuers - URI:http://crl.example/root.cer",
        "Not Before: Jan  2 00:00:00 2026 GMT",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn openssl_verifies_requests() {
    for spec in SPECS {
        let key = PrivateKey::generate(spec).unwrap();
        let sans = [SubjectAlternativeName::dns("a.example")];
        let request = CertificateRequest::create(&name("CN=a,O=b"), &sans, &key).unwrap();
        let text = openssl(
            &["req", "-verify", "-noout", "-text"],
            request.to_pem().as_bytes(),
        );
        assert!(text.contains("verify OK"), "{text}");
        assert!(text.contains("DNS:a.example"), "{text}");
        let plain = CertificateRequest::create(&name("CN=a"), &[], &key).unwrap();
        openssl(&["req", "-verify", "-noout"], plain.to_pem().as_bytes());
    }
}

#[test]
fn requests_of_openssl_are_read() {
    let files = directory("requests");
    for algorithm in ["rsa:2048", "ed25519", "ec"] {
        let key_file = files.join("key.pem");
        let key_file = key_file.to_str().unwrap();
        let mut arguments = vec![
            "req", "-new", "-nodes", "-keyout", key_file, "-newkey", algorithm,
        ];
        if algorithm == "ec" {
            arguments.extend(["-pkeyopt", "ec_paramgen_curve:P-384"]);
        }
        arguments.extend([
            "-subj",
            "/C=DE/O=b, c/CN=a.example",
            "-addext",
            "subjectAltName=DNS:a.example,IP:10.0.0.1",
        ]);
        let pem = openssl(&arguments, b"");
        let pem = &pem[pem.find("-----BEGIN").unwrap()
            ..pem.find("-----END CERTIFICATE REQUEST-----").unwrap() + 34];
        let request = CertificateRequest::from_pem_or_der(pem.as_bytes()).unwrap();
        assert_eq!(request.subject_text(), "CN=a.example,O=b\\, c,C=DE");
        assert_eq!(request.subject_alternative_names()[1].value, "10.0.0.1");
        let key = PrivateKey::from_pem(&std::fs::read_to_string(key_file).unwrap()).unwrap();
        assert_eq!(key.spki_der(), request.spki_der());

        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        for form in [
            pem.replace('\n', "\r\n").into_bytes(),
            pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
                .into_bytes(),
            format!("some text before\n{pem}").into_bytes(),
            body.into_bytes(),
            request.der().to_vec(),
        ] {
            assert_eq!(
                CertificateRequest::from_pem_or_der(&form).unwrap().der(),
                request.der()
            );
        }
    }
}

#[test]
fn keys_go_both_ways() {
    for spec in SPECS {
        let key = PrivateKey::generate(spec).unwrap();
        let public = openssl(
            &["pkey", "-pubout", "-outform", "PEM"],
            key.to_pkcs8_pem().as_bytes(),
        );
        assert_eq!(
            pki::pem::parse(public.as_bytes())[0].der,
            key.spki_der(),
            "{spec}"
        );
        if spec == KeySpec::Ed25519 {
            continue;
        }
        let traditional = openssl(&["pkey", "-traditional"], key.to_pkcs8_pem().as_bytes());
        assert!(!traditional.contains("BEGIN PRIVATE KEY"));
        let read = PrivateKey::from_pem(&traditional).unwrap();
        assert_eq!(read.spki_der(), key.spki_der());
    }
    // With the EC PARAMETERS block before the key.
    let text = openssl(&["ecparam", "-name", "secp384r1", "-genkey"], b"");
    let key = PrivateKey::from_pem(&text).unwrap();
    assert_eq!(key.key_info().curve.as_deref(), Some("P-384"));
    let encrypted = openssl(
        &[
            "genpkey",
            "-algorithm",
            "ED25519",
            "-aes256",
            "-pass",
            "pass:secret",
        ],
        b"",
    );
    assert!(
        PrivateKey::from_pem(&encrypted)
            .unwrap_err()
            .to_string()
            .contains("encrypted")
    );
}
