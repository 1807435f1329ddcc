//! Issuing, linting, chains: without any other reader.

use crate::support::*;
use pki::{
    Certificate, CertificateProfile, CertificateRequest, Error, Issuer, KeyAlgorithm, KeySpec,
    PrivateKey, SanKind, Serial, SubjectAlternativeName, build_chain,
};

const ALL: [KeySpec; 8] = [
    KeySpec::Rsa2048,
    KeySpec::EcP256,
    KeySpec::EcP384,
    KeySpec::EcP521,
    KeySpec::Ed25519,
    KeySpec::MlDsa44,
    KeySpec::MlDsa65,
    KeySpec::MlDsa87,
];

#[test]
fn every_algorithm_issues_requests_and_verifies() {
    for spec in ALL {
        let root = root(spec);
        let key = PrivateKey::generate(spec).unwrap();
        let sans = [SubjectAlternativeName::dns("a.example")];
        let request = CertificateRequest::create(&name("CN=a.example"), &sans, &key).unwrap();
        let request = CertificateRequest::from_pem_or_der(request.to_pem().as_bytes()).unwrap();
        assert_eq!(request.key(), key.key_info());
        let leaf = issue(
            &root,
            pki::Subject {
                name: request.subject().clone(),
                sans: request.subject_alternative_names().to_vec(),
                spki_der: request.spki_der().to_vec(),
            },
            &server_profile(),
        )
        .unwrap();
        leaf.verify_signed_by(root.certificate()).unwrap();
        root.certificate()
            .verify_signed_by(root.certificate())
            .unwrap();
        assert!(key.matches(&leaf) && !key.matches(root.certificate()));
        assert_eq!(leaf.verify_signed_by(&leaf), Err(Error::BadSignature));
        assert_eq!(leaf.authority_key_id(), root.certificate().subject_key_id());
        assert_eq!(leaf.issuer_der(), root.certificate().subject_der());
        assert_eq!(
            (leaf.not_before(), leaf.not_after()),
            (START + DAY, START + 90 * DAY)
        );
        assert!(!leaf.is_ca() && root.certificate().is_ca());
        assert_eq!(root.certificate().key_usage(), 2 | 4);
        assert_eq!(leaf.ocsp_urls(), ["http://ocsp.example"]);
        assert_eq!(Certificate::from_der(leaf.der()).unwrap(), leaf);

        let again = PrivateKey::from_pkcs8_der(&key.to_pkcs8_der()).unwrap();
        assert_eq!(again.spki_der(), key.spki_der());
        let again = PrivateKey::from_pem(&key.to_pkcs8_pem()).unwrap();
        assert!(again.matches(&leaf));
        assert!(!format!("{key:?}").contains(&hex::encode(&key.to_pkcs8_der()[20..40])));
    }
}

#[test]
fn usages_follow_the_key() {
    let root = root(KeySpec::EcP256);
    for (spec, expected) in [
        (KeySpec::Rsa2048, 128 | 32),
        (KeySpec::EcP256, 128),
        (KeySpec::MlDsa65, 128),
    ] {
        let key = PrivateKey::generate(spec).unwrap();
        let leaf = issue(&root, subject("CN=a", &[], &key), &server_profile()).unwrap();
        assert_eq!(leaf.key_usage(), expected, "{spec}");
    }
    let key = PrivateKey::generate(KeySpec::MlDsa44).unwrap();
    let leaf = issue(&root, subject("CN=a", &[], &key), &server_profile()).unwrap();
    assert_eq!(leaf.key().algorithm, KeyAlgorithm::MlDsa44);
    assert_eq!(leaf.signature_algorithm(), "SHA-256withECDSA");
}

#[test]
fn an_empty_subject_makes_the_names_critical() {
    let root = root(KeySpec::EcP256);
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let sans = [SubjectAlternativeName::dns("a.example")];
    let critical = [0x06, 0x03, 0x55, 0x1d, 0x11, 0x01, 0x01, 0xff];
    let is_critical =
        |certificate: &Certificate| certificate.der().windows(8).any(|part| part == critical);
    let without = issue(&root, subject("", &sans, &key), &server_profile()).unwrap();
    assert_eq!(without.subject(), "");
    assert!(is_critical(&without));
    let with = issue(&root, subject("CN=a", &sans, &key), &server_profile()).unwrap();
    assert!(!is_critical(&with));
}

#[test]
fn times_change_form_in_2050() {
    const END_OF_2049: i64 = 2_524_607_999_000;
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let root = Issuer::self_signed_root(
        &name("CN=r"),
        key,
        END_OF_2049,
        END_OF_2049 + 1000,
        &serial(1),
    )
    .unwrap();
    let der = root.certificate().der();
    let contains = |part: &[u8]| der.windows(part.len()).any(|found| found == part);
    assert!(contains(b"\x17\x0d491231235959Z"));
    assert!(contains(b"\x18\x0f20500101000000Z"));
    assert_eq!(root.certificate().not_after(), END_OF_2049 + 1000);
}

fn lints(result: pki::Result<impl std::fmt::Debug>) -> Vec<&'static str> {
    match result {
        Err(Error::Refused { findings }) => findings.iter().map(|finding| finding.lint).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn lints_refuse() {
    let root = root(KeySpec::EcP256);
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let plain = || subject("CN=a", &[], &key);
    let profile = server_profile();
    let times = |from, until| lints(root.prepare(plain(), &profile, serial(2), from, until));
    assert_eq!(times(START + DAY, START + DAY), ["validity_order"]);
    assert_eq!(times(START - DAY, START + DAY), ["validity_within_issuer"]);
    assert_eq!(times(START, START + 4000 * DAY), ["validity_within_issuer"]);
    assert_eq!(
        times(-DAY, START + DAY),
        ["validity_range", "validity_within_issuer"]
    );

    let named = |text: &str, sans: &[SubjectAlternativeName]| {
        lints(issue(&root, subject(text, sans, &key), &profile))
    };
    assert_eq!(named("", &[]), ["subject_present"]);
    assert_eq!(named("CN=a,C=Germany", &[]), ["subject_attributes"]);
    assert_eq!(named("CN=a,OU=", &[]), ["subject_attributes"]);
    assert_eq!(
        named(&format!("CN={}", "x".repeat(65)), &[]),
        ["subject_attributes"]
    );
    for (kind, value) in [
        (SanKind::Dns, "a.*.example"),
        (SanKind::Dns, "a b"),
        (SanKind::Ip, "300.1.1.1"),
        (SanKind::Rfc822, "nobody"),
        (SanKind::Uri, "no uri"),
        (SanKind::Directory, "XX=1"),
    ] {
        assert_eq!(
            named("CN=a", &[SubjectAlternativeName::new(kind, value)]),
            ["alternative_names"],
            "{value}"
        );
    }
    let twice = [
        SubjectAlternativeName::dns("a.example"),
        SubjectAlternativeName::dns("A.example"),
    ];
    assert_eq!(named("CN=a", &twice), ["alternative_names_unique"]);

    let profiled = |profile: CertificateProfile| lints(issue(&root, plain(), &profile));
    assert_eq!(
        profiled(CertificateProfile {
            key_usage: 4,
            ..server_profile()
        }),
        ["authority_key_usage"]
    );
    assert_eq!(
        profiled(CertificateProfile {
            key_usage: 128 | 1,
            ..server_profile()
        }),
        ["key_usage"]
    );
    assert_eq!(
        profiled(CertificateProfile {
            key_usage: 32,
            ..server_profile()
        }),
        ["key_usage"]
    );
    assert_eq!(
        profiled(CertificateProfile {
            basic_constraints: Some((false, Some(0))),
            ..server_profile()
        }),
        ["path_length"]
    );
    assert_eq!(
        profiled(CertificateProfile {
            extended_key_usages: vec!["server".into()],
            ..server_profile()
        }),
        ["extended_key_usage"]
    );
    assert_eq!(
        profiled(CertificateProfile {
            crl_distribution_points: vec!["file:///x".into()],
            ..server_profile()
        }),
        ["urls"]
    );
}

#[test]
fn lints_keep_authorities_in_bounds() {
    let root = root(KeySpec::EcP256);
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let middle = issue(
        &root,
        subject("CN=Middle", &[], &key),
        &authority_profile(Some(0)),
    )
    .unwrap();
    assert_eq!(middle.path_length(), Some(0));
    let middle = Issuer::new(middle, key.clone()).unwrap();
    assert_eq!(
        lints(issue(
            &middle,
            subject("CN=Below", &[], &key),
            &authority_profile(None)
        )),
        ["path_length"]
    );
    let leaf = issue(&root, subject("CN=a", &[], &key), &server_profile()).unwrap();
    assert_eq!(
        lints(Issuer::new(leaf, key.clone())),
        ["issuer_is_authority"]
    );
    assert_eq!(
        lints(Issuer::new(root.certificate().clone(), key.clone())),
        ["issuer_key"]
    );
    let prepared = root
        .prepare(
            subject("CN=a", &[], &key),
            &server_profile(),
            serial(3),
            START,
            START + DAY,
        )
        .unwrap();
    assert_eq!(lints(prepared.sign(&middle)), ["same_issuer"]);
}

#[test]
fn chains_are_found_in_any_pool() {
    let root_a = root(KeySpec::EcP256);
    let root_b = root(KeySpec::EcP256);
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let middle = issue(
        &root_a,
        subject("CN=Middle", &[], &key),
        &authority_profile(None),
    )
    .unwrap();
    let middle = Issuer::new(middle, key).unwrap();
    let leaf_key = PrivateKey::generate(KeySpec::Ed25519).unwrap();
    let leaf = middle
        .prepare(
            subject("CN=leaf", &[], &leaf_key),
            &server_profile(),
            Serial::from_hex("05").unwrap(),
            START + DAY,
            START + 2 * DAY,
        )
        .unwrap()
        .sign(&middle)
        .unwrap();
    let [a, b] = [root_a.certificate().clone(), root_b.certificate().clone()];
    let pool = [
        b.clone(),
        leaf.clone(),
        a.clone(),
        middle.certificate().clone(),
        a.clone(),
    ];
    assert_eq!(
        build_chain(&leaf, &pool),
        [leaf.clone(), middle.certificate().clone(), a.clone()]
    );
    assert_eq!(build_chain(&leaf, &[b]), std::slice::from_ref(&leaf));
    assert_eq!(build_chain(&a, &pool), [a]);
}

#[test]
fn requests_are_checked() {
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let request = CertificateRequest::create(&name("CN=a"), &[], &key).unwrap();
    let mut forged = request.der().to_vec();
    let at = forged
        .windows(3)
        .position(|part| part == [0x0c, 0x01, b'a'])
        .unwrap();
    forged[at + 2] = b'b';
    assert_eq!(
        CertificateRequest::from_pem_or_der(&forged).unwrap_err(),
        Error::BadSignature
    );
    let text = |input: &[u8]| {
        CertificateRequest::from_pem_or_der(input)
            .unwrap_err()
            .to_string()
    };
    assert!(text(&vec![b'A'; pki::MAXIMUM_REQUEST_BYTES + 1]).contains("65536"));
    assert!(text(b"").contains("neither"));
    assert!(
        text(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
            .contains("CERTIFICATE instead")
    );
}
