//! Properties over generated input: names survive printing, and nothing panics.

use std::sync::OnceLock;

use crate::support::*;
use pki::{
    Certificate, CertificateRequest, DistinguishedName, KeySpec, PrivateKey, SanKind,
    SubjectAlternativeName,
};
use proptest::prelude::*;

fn seeds() -> &'static (Vec<u8>, Vec<u8>, Vec<u8>) {
    static SEEDS: OnceLock<(Vec<u8>, Vec<u8>, Vec<u8>)> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let root = root(KeySpec::EcP256);
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let sans = [
            SubjectAlternativeName::dns("a.example"),
            SubjectAlternativeName::new(SanKind::Ip, "10.0.0.1"),
            SubjectAlternativeName::new(SanKind::UserPrincipalName, "u@x"),
            SubjectAlternativeName::new(SanKind::RegisteredId, "1.2.3"),
            SubjectAlternativeName::new(SanKind::Directory, "CN=d"),
        ];
        let leaf = issue(
            &root,
            subject("CN=a+UID=b,O=c,E=d@e", &sans, &key),
            &server_profile(),
        )
        .unwrap();
        let request = CertificateRequest::create(&name("CN=a"), &sans, &key).unwrap();
        (
            leaf.der().to_vec(),
            request.der().to_vec(),
            key.to_pkcs8_der().to_vec(),
        )
    })
}

fn mutate(
    seed: &[u8],
    changes: &[(prop::sample::Index, u8)],
    cut: Option<prop::sample::Index>,
) -> Vec<u8> {
    let mut octets = seed.to_vec();
    for (index, value) in changes {
        let at = index.index(octets.len());
        octets[at] = *value;
    }
    if let Some(cut) = cut {
        octets.truncate(cut.index(octets.len()));
    }
    octets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names_survive_printing(attributes in prop::collection::vec((prop::sample::select(vec!["CN", "O", "OU", "L", "ST", "C", "E", "DC", "SERIALNUMBER", "STREET", "UID", "T", "GN", "SN", "1.2.3.4"]), any::<String>(), any::<bool>()), 1..6)) {
        let mut text = String::new();
        for (index, (attribute, value, joined)) in attributes.iter().enumerate() {
            if index > 0 {
                text.push(if *joined { '+' } else { ',' });
            }
            // Quoting with both special characters escaped is always readable.
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            text.push_str(&format!("{attribute}=\"{quoted}\""));
        }
        let parsed = DistinguishedName::parse(&text).unwrap();
        let values: Vec<_> = parsed.entries().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (attribute, value, _) in &attributes {
            prop_assert!(values.contains(&((*attribute).to_owned(), value.clone())));
        }
        let printed = parsed.to_string();
        let again = DistinguishedName::parse(&printed).unwrap();
        prop_assert_eq!(&again, &parsed, "{}", printed);
        if let Ok(der) = parsed.to_der() {
            let read = DistinguishedName::from_der(&der).unwrap();
            prop_assert_eq!(read.to_der().unwrap(), der);
            // A SET has an order of its own, so inside a multi-valued name the order may differ.
            let sorted = |name: &DistinguishedName| { let mut values: Vec<_> = name.entries().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(); values.sort(); values };
            prop_assert_eq!(sorted(&read), sorted(&parsed));
        }
    }

    #[test]
    fn any_text_is_a_name_or_an_error(text in any::<String>()) {
        if let Ok(name) = DistinguishedName::parse(&text) {
            prop_assert_eq!(DistinguishedName::parse(&name.to_string()).unwrap(), name);
        }
    }

    #[test]
    fn text_like_a_name_is_a_name_or_an_error(text in "[CNOU=,+;\\\\\"# a0F.12]{0,24}") {
        if let Ok(name) = DistinguishedName::parse(&text) {
            prop_assert_eq!(DistinguishedName::parse(&name.to_string()).unwrap(), name);
        }
    }

    #[test]
    fn mutated_input_never_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<Option<prop::sample::Index>>()) {
        let (leaf, request, key) = seeds();
        if let Ok(certificate) = Certificate::from_der(&mutate(leaf, &changes, cut)) {
            let _ = certificate.verify_signed_by(&certificate);
            let _ = pki::build_chain(&certificate, std::slice::from_ref(&certificate));
            let _ = (certificate.subject_name().to_der(), certificate.thumbprint(), certificate.is_self_issued());
        }
        let _ = CertificateRequest::from_pem_or_der(&mutate(request, &changes, cut));
        let _ = PrivateKey::from_pkcs8_der(&mutate(key, &changes, cut));
    }

    #[test]
    fn noise_never_panics(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Certificate::from_der(&octets).is_err());
        prop_assert!(CertificateRequest::from_pem_or_der(&octets).is_err());
        prop_assert!(PrivateKey::from_pkcs8_der(&octets).is_err());
        let _ = PrivateKey::from_pem(&String::from_utf8_lossy(&octets));
    }
}

#[test]
fn names_as_people_write_them() {
    for (text, printed) in [
        ("CN=a, O=b", "CN=a,O=b"),
        ("cn = a ; o = b", "CN=a,O=b"),
        ("CN=\"a, b\",O=c", "CN=a\\, b,O=c"),
        ("CN=a\\2Cb", "CN=a\\,b"),
        ("CN=\\C3\\A4", "CN=ä"),
        (
            "S=Bayern,EMAILADDRESS=a@b,OID.2.5.4.3=x",
            "ST=Bayern,E=a@b,CN=x",
        ),
        ("CN=\\#a\\ ", "CN=\\#a\\ "),
        ("CN=a=b", "CN=a=b"),
        ("2.5.4.3=#0C0161", "CN=a"),
        ("1.2.3=#0101FF", "1.2.3=#0101ff"),
        ("UID=x+CN=y,O=", "UID=x+CN=y,O="),
        ("  ", ""),
    ] {
        assert_eq!(name(text).to_string(), printed, "{text}");
    }
    for (text, position) in [
        ("CN", 3),
        ("CN=a,", 6),
        ("CN=a,=b", 6),
        ("XX=a", 1),
        ("O=b,XX=a", 5),
        ("CN=\"a", 4),
        ("CN=\"a\"b", 7),
        ("CN=a\\", 5),
        ("CN=a\\z", 5),
        ("CN=#0g", 6),
        ("CN=\\FF", 4),
    ] {
        let error = DistinguishedName::parse(text).unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("at position {position}")),
            "{text}: {error}"
        );
    }
    let many = name("CN=a,OU=x,OU=y");
    assert_eq!(many.values_of("ou"), ["x", "y"]);
    assert_eq!(many.values_of("2.5.4.11"), ["x", "y"]);
    assert!(many.values_of("nothing").is_empty());
}
