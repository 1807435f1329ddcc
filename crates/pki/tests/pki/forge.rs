//! Certificates and revocation lists put together part by part, so that any part can be wrong. Signed with the crate's own keys.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, Encode as _, Tag};
use pki::{Certificate, KeySpec, PrivateKey};

use crate::support::*;

/// An element of DER.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    AnyRef::new(Tag::from_der(&[tag]).unwrap(), &content)
        .unwrap()
        .to_der()
        .unwrap()
}

pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    ObjectIdentifier::new_unwrap(dotted).to_der().unwrap()
}

pub(crate) fn dn(text: &str) -> Vec<u8> {
    name(text).to_der().unwrap()
}

/// GeneralizedTime of a day counted from [`START`].
fn time(day: i64) -> Vec<u8> {
    let seconds = u64::try_from((START + day * DAY) / 1000).unwrap();
    let time = der::DateTime::from_unix_duration(std::time::Duration::from_secs(seconds)).unwrap();
    if time.year() < 2050 {
        der::asn1::UtcTime::from_date_time(time)
            .unwrap()
            .to_der()
            .unwrap()
    } else {
        der::asn1::GeneralizedTime::from_date_time(time)
            .to_der()
            .unwrap()
    }
}

/// Somebody with a name and a key.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) name: Vec<u8>,
    pub(crate) key: PrivateKey,
}

pub(crate) fn party(name: &str) -> Party {
    Party {
        name: dn(name),
        key: PrivateKey::generate(KeySpec::EcP256).unwrap(),
    }
}

/// What a certificate is to say. Days count from [`START`].
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) serial: u8,
    pub(crate) issuer_name: Option<Vec<u8>>,
    pub(crate) days: (i64, i64),
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) version: u8,
    pub(crate) inner_algorithm: Option<Vec<u8>>,
    pub(crate) outer_algorithm: Option<Vec<u8>>,
    pub(crate) spoil_signature: bool,
}

pub(crate) fn leaf(extensions: &[Vec<u8>]) -> Forge {
    Forge {
        serial: 9,
        issuer_name: None,
        days: (0, 100),
        extensions: extensions.to_vec(),
        version: 2,
        inner_algorithm: None,
        outer_algorithm: None,
        spoil_signature: false,
    }
}

/// An authority with the extensions such have, and more.
pub(crate) fn authority(path_length: Option<u8>, more: &[Vec<u8>]) -> Forge {
    let mut extensions = vec![basic_constraints(true, path_length), key_usage(0x06)];
    extensions.extend_from_slice(more);
    Forge {
        serial: 3,
        days: (0, 1000),
        ..leaf(&extensions)
    }
}

pub(crate) fn ecdsa() -> Vec<u8> {
    element(0x30, &[&oid("1.2.840.10045.4.3.2")])
}

impl Forge {
    pub(crate) fn sign(&self, subject: &Party, issuer: &Party) -> Certificate {
        let inner = self.inner_algorithm.clone().unwrap_or_else(ecdsa);
        let outer = self.outer_algorithm.clone().unwrap_or_else(ecdsa);
        let version = element(0xa0, &[&element(2, &[&[self.version]])]);
        let mut parts = vec![
            if self.version == 0 {
                Vec::new()
            } else {
                version
            },
            element(2, &[&[self.serial]]),
            inner,
            self.issuer_name
                .clone()
                .unwrap_or_else(|| issuer.name.clone()),
            element(0x30, &[&time(self.days.0), &time(self.days.1)]),
            subject.name.clone(),
            subject.key.spki_der(),
        ];
        if !self.extensions.is_empty() {
            parts.push(element(
                0xa3,
                &[&element(0x30, &[&self.extensions.concat()])],
            ));
        }
        let to_be_signed = element(0x30, &[&parts.concat()]);
        let mut signature = issuer.key.sign(&to_be_signed).unwrap();
        if self.spoil_signature {
            *signature.last_mut().unwrap() ^= 1;
        }
        let der = element(
            0x30,
            &[&to_be_signed, &outer, &element(3, &[&[0], &signature])],
        );
        Certificate::from_der(&der).unwrap()
    }

    pub(crate) fn serial(mut self, serial: u8) -> Self {
        self.serial = serial;
        self
    }

    pub(crate) fn days(mut self, from: i64, to: i64) -> Self {
        self.days = (from, to);
        self
    }
}

pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical {
        element(1, &[&[0xff]])
    } else {
        Vec::new()
    };
    element(0x30, &[&oid(id), &flag, &element(4, &[value])])
}

pub(crate) fn basic_constraints(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let flag = if ca {
        element(1, &[&[0xff]])
    } else {
        Vec::new()
    };
    let length = path_length.map_or_else(Vec::new, |length| element(2, &[&[length]]));
    extension("2.5.29.19", true, &element(0x30, &[&flag, &length]))
}

/// The bits in their order: 0x80 is digitalSignature, 0x04 keyCertSign, 0x02 cRLSign.
pub(crate) fn key_usage(bits: u8) -> Vec<u8> {
    let unused = u8::try_from(bits.trailing_zeros()).unwrap();
    extension("2.5.29.15", true, &element(3, &[&[unused, bits]]))
}

pub(crate) fn extended_key_usage(usages: &[&str]) -> Vec<u8> {
    let usages: Vec<u8> = usages.iter().flat_map(|usage| oid(usage)).collect();
    extension("2.5.29.37", false, &element(0x30, &[&usages]))
}

/// Subject and authority key identifier.
pub(crate) fn key_identifiers(own: &[u8], issuer: &[u8]) -> Vec<Vec<u8>> {
    vec![
        extension("2.5.29.14", false, &element(4, &[own])),
        extension(
            "2.5.29.35",
            false,
            &element(0x30, &[&element(0x80, &[issuer])]),
        ),
    ]
}

/// The tags of `GeneralName`: 0x81 e-mail, 0x82 DNS, 0x86 URI, 0x87 address, 0xa4 directory name.
pub(crate) fn alternative_names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<u8> = names
        .iter()
        .flat_map(|(tag, content)| element(*tag, &[content]))
        .collect();
    extension("2.5.29.17", false, &element(0x30, &[&names]))
}

pub(crate) fn name_constraints(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Vec<u8> {
    let list = |tag, names: &[(u8, &[u8])]| {
        let subtrees: Vec<u8> = names
            .iter()
            .flat_map(|(tag, content)| element(0x30, &[&element(*tag, &[content])]))
            .collect();
        if names.is_empty() {
            Vec::new()
        } else {
            element(tag, &[&subtrees])
        }
    };
    extension(
        "2.5.29.30",
        true,
        &element(0x30, &[&list(0xa0, permitted), &list(0xa1, excluded)]),
    )
}

/// A revocation list of the given serial numbers, with extensions of the list beyond its number.
pub(crate) fn revocation_list(
    issuer: &Party,
    days: (i64, i64),
    serials: &[u8],
    more: &[Vec<u8>],
) -> Vec<u8> {
    let entries: Vec<u8> = serials
        .iter()
        .flat_map(|serial| {
            let reason = extension("2.5.29.21", false, &element(0x0a, &[&[1]]));
            element(
                0x30,
                &[
                    &element(2, &[&[*serial]]),
                    &time(0),
                    &element(0x30, &[&reason]),
                ],
            )
        })
        .collect();
    let entries = if serials.is_empty() {
        Vec::new()
    } else {
        element(0x30, &[&entries])
    };
    let number = extension("2.5.29.20", false, &element(2, &[&[7]]));
    let extensions = element(0xa0, &[&element(0x30, &[&number, &more.concat()])]);
    let to_be_signed = element(
        0x30,
        &[
            &element(2, &[&[1]]),
            &ecdsa(),
            &issuer.name,
            &time(days.0),
            &time(days.1),
            &entries,
            &extensions,
        ],
    );
    let signature = issuer.key.sign(&to_be_signed).unwrap();
    element(
        0x30,
        &[&to_be_signed, &ecdsa(), &element(3, &[&[0], &signature])],
    )
}
