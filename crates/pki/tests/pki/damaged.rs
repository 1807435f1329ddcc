//! Certificates that strict parsers refuse: each is read with what can be read, its octets as they were, and a warning.

use der::asn1::AnyRef;
use der::{Decode as _, Encode as _, Tag};
use pki::{
    Certificate, KeyAlgorithm, KeySpec, PrivateKey, Reading, SanKind, SubjectAlternativeName,
};

use crate::support::*;

/// A certificate whose parts are put together here, so that any of them can be wrong.
struct Parts {
    serial: Vec<u8>,
    not_after: Vec<u8>,
    subject: Vec<u8>,
    spki: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

impl Parts {
    fn good() -> Self {
        Parts {
            serial: element(2, &[5]),
            not_after: element(0x17, b"491231235959Z"),
            subject: name("CN=odd").to_der().unwrap(),
            spki: PrivateKey::generate(KeySpec::Ed25519).unwrap().spki_der(),
            extensions: Vec::new(),
        }
    }

    fn der(&self) -> Vec<u8> {
        let algorithm = element(0x30, &element(6, &[0x2b, 0x65, 0x70]));
        let validity = element(
            0x30,
            &[element(0x17, b"200101000000Z"), self.not_after.clone()].concat(),
        );
        let mut parts = vec![
            element(0xa0, &element(2, &[2])),
            self.serial.clone(),
            algorithm.clone(),
            name("CN=issuer").to_der().unwrap(),
            validity,
            self.subject.clone(),
            self.spki.clone(),
        ];
        if !self.extensions.is_empty() {
            parts.push(element(0xa3, &element(0x30, &self.extensions.concat())));
        }
        let to_be_signed = element(0x30, &parts.concat());
        element(
            0x30,
            &[to_be_signed, algorithm, element(3, &[0; 65])].concat(),
        )
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    AnyRef::new(Tag::from_der(&[tag]).unwrap(), content)
        .unwrap()
        .to_der()
        .unwrap()
}

fn read(der: &[u8]) -> Reading {
    let reading = Certificate::read(der).unwrap();
    assert_eq!(reading.certificate.der(), der, "no octet is lost");
    assert_eq!(reading.certificate.thumbprint().len(), 40);
    reading
}

fn warned(reading: &Reading, part: &str) -> String {
    let found = reading.warnings.iter().find(|warning| warning.part == part);
    found
        .unwrap_or_else(|| panic!("{part}: {:?}", reading.warnings))
        .reason
        .clone()
}

#[test]
fn a_good_one_has_no_warning() {
    let reading = read(&Parts::good().der());
    assert_eq!(reading.warnings, []);
    assert_eq!(reading.certificate.subject(), "CN=odd");
    assert_eq!(reading.certificate.serial_content(), [5]);
    let issued = root(KeySpec::EcP256).certificate().clone();
    assert_eq!(read(issued.der()).warnings, []);
}

#[test]
fn serial_numbers_of_all_kinds() {
    let with = |octets: &[u8]| {
        read(
            &Parts {
                serial: element(2, octets),
                ..Parts::good()
            }
            .der(),
        )
    };
    let negative = with(&[0xff, 0x7f]);
    assert_eq!(negative.certificate.serial_hex(), "FF7F");
    assert!(warned(&negative, "serial number").contains("negative"));
    assert_eq!(with(&[0x7f; 20]).warnings, []);
    let long = with(&[0x7f; 33]);
    assert_eq!(long.certificate.serial_hex(), "7F".repeat(33));
    assert!(warned(&long, "serial number").contains("33 octets"));
    assert_eq!(with(&[]).certificate.serial_hex(), "");
    let none = read(
        &Parts {
            serial: element(4, &[1]),
            ..Parts::good()
        }
        .der(),
    );
    assert!(warned(&none, "serial number").starts_with("offset "));
    assert_eq!(none.certificate.subject(), "CN=odd");
}

#[test]
fn times_that_are_none_and_times_far_away() {
    let with = |tag, text: &str| {
        read(
            &Parts {
                not_after: element(tag, text.as_bytes()),
                ..Parts::good()
            }
            .der(),
        )
    };
    let far = with(0x18, "20500101000000Z");
    assert_eq!(
        (far.certificate.not_after(), far.warnings.len()),
        (2_524_608_000_000, 0)
    );
    assert_eq!(
        with(0x18, "99991231235959Z").certificate.not_after(),
        253_402_300_799_000
    );
    for wrong in ["123450101000000Z", "20501301000000Z", "never", ""] {
        let reading = with(0x18, wrong);
        assert_eq!(
            reading.certificate.not_after(),
            253_402_300_799_000,
            "{wrong}"
        );
        assert!(!reading.certificate.has_readable_validity());
        assert!(
            warned(&reading, "not after").contains("is no time"),
            "{wrong}"
        );
        assert_eq!(reading.certificate.subject(), "CN=odd");
    }
    let zone = with(0x17, "490101000000+0100");
    assert!(zone.certificate.has_readable_validity());
    let backwards = with(0x17, "190101000000Z");
    assert!(warned(&backwards, "validity").contains("before"));
}

#[test]
fn names_keys_and_extensions_that_are_none() {
    let reading = read(
        &Parts {
            subject: element(0x30, &[1, 2, 3]),
            ..Parts::good()
        }
        .der(),
    );
    assert_eq!(reading.certificate.subject(), "");
    assert!(warned(&reading, "subject").contains("could not be read"));
    assert_eq!(reading.certificate.issuer(), "CN=issuer");

    let reading = read(
        &Parts {
            spki: element(0x30, &[5, 0]),
            ..Parts::good()
        }
        .der(),
    );
    assert_eq!(reading.certificate.key().algorithm, KeyAlgorithm::Unknown);
    assert!(!reading.warnings.is_empty());

    let constraints = element(6, &[0x55, 0x1d, 0x13]);
    let broken = element(
        0x30,
        &[constraints.clone(), element(4, &[0xff; 3])].concat(),
    );
    let unknown = element(
        0x30,
        &[
            element(6, &[0x2a, 3, 4]),
            element(1, &[0xff]),
            element(4, &[1]),
        ]
        .concat(),
    );
    let reading = read(
        &Parts {
            extensions: vec![broken.clone(), broken, unknown],
            ..Parts::good()
        }
        .der(),
    );
    assert!(
        warned(&reading, "extension").contains("2.5.29.19"),
        "{:?}",
        reading.warnings
    );
    assert!(
        reading
            .warnings
            .iter()
            .any(|warning| warning.reason.contains("more than once"))
    );

    let no_extension = element(0xa3, &[1, 2, 3, 4]);
    let reading = read(
        &Parts {
            extensions: vec![no_extension],
            ..Parts::good()
        }
        .der(),
    );
    assert_eq!(reading.certificate.subject(), "CN=odd");
    assert!(!reading.warnings.is_empty());
}

#[test]
fn a_hundred_thousand_odd_extensions_are_a_hundred_warnings() {
    let broken = element(
        0x30,
        &[element(6, &[0x55, 0x1d, 0x13]), element(4, &[0xff; 3])].concat(),
    );
    let wrong = element(0x30, &[1, 1, 0]);
    for extension in [broken, wrong] {
        let started = std::time::Instant::now();
        let der = Parts {
            extensions: vec![extension; 100_000],
            ..Parts::good()
        }
        .der();
        let reading = read(&der);
        assert!(
            (1..=110).contains(&reading.warnings.len()),
            "{}",
            reading.warnings.len()
        );
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}

#[test]
fn every_kind_of_alternative_name_and_ten_thousand_of_them() {
    let general = [
        element(
            0xa0,
            &[
                element(6, &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x14, 2, 3]),
                element(0xa0, &element(12, b"u@x")),
            ]
            .concat(),
        ),
        element(0x81, b"a@b"),
        element(0x82, b"a.example"),
        element(0xa3, &[]),
        element(0xa4, &name("CN=d").to_der().unwrap()),
        element(0xa5, &element(0xa1, &element(12, b"p"))),
        element(0x86, b"http://x/"),
        element(0x87, &[10, 0, 0, 1]),
        element(0x88, &[0x2a, 3, 4]),
        element(0x82, b"b\xffd"),
    ];
    let with = |names: &[u8]| {
        let extension = [
            element(6, &[0x55, 0x1d, 0x11]),
            element(4, &element(0x30, names)),
        ]
        .concat();
        read(
            &Parts {
                extensions: vec![element(0x30, &extension)],
                ..Parts::good()
            }
            .der(),
        )
    };
    let reading = with(&general.concat());
    let names: Vec<_> = reading
        .certificate
        .subject_alternative_names()
        .iter()
        .map(|name| (name.kind, name.value.as_str()))
        .collect();
    assert_eq!(names[0], (SanKind::UserPrincipalName, "u@x"));
    assert_eq!(names[2], (SanKind::Dns, "a.example"));
    assert_eq!(names[4], (SanKind::Directory, "CN=d"));
    assert_eq!(names[7], (SanKind::Ip, "10.0.0.1"));
    assert_eq!(names[8], (SanKind::RegisteredId, "1.2.3.4"));
    assert_eq!(names[9], (SanKind::Dns, "bÿd"));
    assert_eq!(names.len(), general.len());

    let many: Vec<u8> = (0..10_000)
        .flat_map(|number| element(0x82, format!("host-{number}.example").as_bytes()))
        .collect();
    let reading = with(&many);
    assert_eq!(
        reading.certificate.subject_alternative_names().len(),
        10_000
    );
    assert_eq!(
        reading.certificate.subject_alternative_names()[9_999],
        SubjectAlternativeName::dns("host-9999.example")
    );
    assert_eq!(reading.warnings, []);
}

#[test]
fn keys_of_every_family() {
    let with = |oid: &str, parameters: &[u8], length: usize| {
        let identifier = der::asn1::ObjectIdentifier::new_unwrap(oid)
            .to_der()
            .unwrap();
        let algorithm = element(0x30, &[&identifier, parameters].concat());
        let spki = element(
            0x30,
            &[algorithm, element(3, &vec![0; length + 1])].concat(),
        );
        read(
            &Parts {
                spki,
                ..Parts::good()
            }
            .der(),
        )
        .certificate
        .key()
        .clone()
    };
    for (oid, length, algorithm) in [
        ("1.3.101.112", 32, KeyAlgorithm::Ed25519),
        ("1.3.101.113", 57, KeyAlgorithm::Ed448),
        ("2.16.840.1.101.3.4.3.17", 1312, KeyAlgorithm::MlDsa44),
        ("2.16.840.1.101.3.4.3.18", 1952, KeyAlgorithm::MlDsa65),
        ("2.16.840.1.101.3.4.3.19", 2592, KeyAlgorithm::MlDsa87),
        ("2.16.840.1.101.3.4.3.20", 32, KeyAlgorithm::SlhDsa),
        ("2.16.840.1.101.3.4.3.31", 64, KeyAlgorithm::SlhDsa),
        ("1.2.3.4", 9, KeyAlgorithm::Unknown),
    ] {
        let key = with(oid, &[], length);
        assert_eq!(key.algorithm, algorithm, "{oid}");
        assert_eq!(key.algorithm_oid, oid);
    }
    assert_eq!(
        with("2.16.840.1.101.3.4.3.20", &[], 32).parameter_set(),
        Some("SLH-DSA-SHA2-128s")
    );
    assert_eq!(
        with("2.16.840.1.101.3.4.3.31", &[], 64).parameter_set(),
        Some("SLH-DSA-SHAKE-256f")
    );
    assert_eq!(with("1.3.101.112", &[], 32).parameter_set(), None);
    let parameters = element(
        0x30,
        &[element(2, &[0x7f; 128]), element(2, &[3]), element(2, &[2])].concat(),
    );
    let dsa = with("1.2.840.10040.4.1", &parameters, 130);
    assert_eq!((dsa.algorithm, dsa.size_bits), (KeyAlgorithm::Dsa, 1023));
}

#[test]
fn what_is_no_certificate_is_refused_with_the_offset() {
    let der = Parts::good().der();
    let text = |octets: &[u8]| Certificate::read(octets).unwrap_err().to_string();
    assert!(
        text(&der[..100]).contains("the end is at offset 100"),
        "{}",
        text(&der[..100])
    );
    let garbage = [&der[..], b"\0\0\0"].concat();
    assert!(text(&garbage).contains(&format!("3 octets follow it at offset {}", der.len())));
    assert!(text(b"").contains("nothing"));
    assert!(text(b"hello").contains("offset 0"));
    assert!(text(&element(0x30, &element(0x30, &[]))).contains("nothing of a certificate"));
    assert!(
        text(
            &PrivateKey::generate(KeySpec::EcP256)
                .unwrap()
                .to_pkcs8_der()
        )
        .contains("nothing of a certificate")
    );
    assert!(text(&vec![0x30; pki::MAXIMUM_CERTIFICATE_BYTES + 1]).contains("longer"));
    for length in 0..der.len() {
        assert!(Certificate::read(&der[..length]).is_err(), "{length}");
    }
}
