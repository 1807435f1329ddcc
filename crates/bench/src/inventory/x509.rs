//! Certificates as DER, written by hand because a million of them are made. Keys and signatures are random octets of the right form:
//! none of the signatures verifies, and nothing asks them to, since an inventory keeps what it finds.

use super::random::Random;

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    Ed25519,
    MlDsa65,
}

/// What a certificate says.
pub(super) struct Content<'a> {
    pub(super) key: Key,
    pub(super) issuer_key: Key,
    /// DER of the names.
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// Epoch seconds.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) names: &'a [String],
    pub(super) is_authority: bool,
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = Vec::with_capacity(length + 5);
    out.push(tag);
    if length < 128 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let from = octets.iter().position(|octet| *octet != 0).unwrap_or(0);
        out.push(0x80 | (octets.len() - from) as u8);
        out.extend(&octets[from..]);
    }
    out.extend(content);
    out
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

/// A positive number of exactly as many octets.
fn number(random: &mut Random, octets: usize) -> Vec<u8> {
    let mut content = random.octets(octets);
    content[0] = content[0] & 0x7F | 0x40;
    tlv(0x02, &content)
}

const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const SHA256_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B];
const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
const ECDSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03];
const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
const ML_DSA_65: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12];

fn algorithm(identifier: &[u8], parameters: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0x06, identifier), parameters])
}

fn public_key(key: Key, random: &mut Random) -> Vec<u8> {
    let rsa = |random: &mut Random, octets: usize| {
        let mut modulus = vec![0, 0x80 | random.next() as u8];
        modulus.extend(random.octets(octets - 1));
        let pair = sequence(&[&tlv(0x02, &modulus), &tlv(0x02, &[1, 0, 1])]);
        sequence(&[&algorithm(RSA, &[5, 0]), &bits(&pair)])
    };
    let point = |random: &mut Random, curve: &[u8], octets: usize| {
        let point = [vec![4], random.octets(2 * octets)].concat();
        sequence(&[&algorithm(EC, &tlv(0x06, curve)), &bits(&point)])
    };
    let plain = |random: &mut Random, identifier: &[u8], octets: usize| {
        sequence(&[&algorithm(identifier, &[]), &bits(&random.octets(octets))])
    };
    match key {
        Key::Rsa2048 => rsa(random, 256),
        Key::Rsa3072 => rsa(random, 384),
        Key::Rsa4096 => rsa(random, 512),
        Key::P256 => point(random, P256, 32),
        Key::P384 => point(random, P384, 48),
        Key::Ed25519 => plain(random, ED25519, 32),
        Key::MlDsa65 => plain(random, ML_DSA_65, 1_952),
    }
}

/// Algorithm and value of a signature with such a key.
fn signature(key: Key, random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let pair = |random: &mut Random, octets: usize| {
        let (r, s) = (number(random, octets), number(random, octets));
        sequence(&[&r, &s])
    };
    match key {
        Key::Rsa2048 => (algorithm(SHA256_RSA, &[5, 0]), random.octets(256)),
        Key::Rsa3072 => (algorithm(SHA256_RSA, &[5, 0]), random.octets(384)),
        Key::Rsa4096 => (algorithm(SHA256_RSA, &[5, 0]), random.octets(512)),
        Key::P256 => (algorithm(ECDSA_SHA256, &[]), pair(random, 32)),
        Key::P384 => (algorithm(ECDSA_SHA384, &[]), pair(random, 48)),
        Key::Ed25519 => (algorithm(ED25519, &[]), random.octets(64)),
        Key::MlDsa65 => (algorithm(ML_DSA_65, &[]), random.octets(3_309)),
    }
}

/// DER of a name: common name, and what else there is of unit, organization and country.
pub(super) fn name(common_name: &str, unit: Option<&str>, organization: Option<&str>) -> Vec<u8> {
    let part = |attribute: u8, tag: u8, text: &str| {
        let pair = sequence(&[
            &tlv(0x06, &[0x55, 0x04, attribute]),
            &tlv(tag, text.as_bytes()),
        ]);
        tlv(0x31, &pair)
    };
    let mut parts = Vec::new();
    if let Some(organization) = organization {
        parts.extend(part(6, 0x13, "DE"));
        parts.extend(part(10, 0x0C, organization));
    }
    if let Some(unit) = unit {
        parts.extend(part(11, 0x0C, unit));
    }
    parts.extend(part(3, 0x0C, common_name));
    tlv(0x30, &parts)
}

/// Years from 1970 to 2049.
fn time(seconds: i64) -> Vec<u8> {
    // Civil date of a day number, after Howard Hinnant's algorithm.
    let (day, rest) = (
        seconds.div_euclid(86_400) + 719_468,
        seconds.rem_euclid(86_400),
    );
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (
        of_year - (153 * shifted + 2) / 5 + 1,
        if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        },
    );
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let text = format!(
        "{:02}{month:02}{day:02}{:02}{:02}{:02}Z",
        year % 100,
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    );
    tlv(0x17, text.as_bytes())
}

fn extension(identifier: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if is_critical { &[1, 1, 0xFF] } else { &[] };
    sequence(&[&tlv(0x06, identifier), critical, &tlv(0x04, value)])
}

fn extensions(content: &Content<'_>, random: &mut Random) -> Vec<u8> {
    let mut all = Vec::new();
    let constraints: &[u8] = if content.is_authority {
        &[1, 1, 0xFF]
    } else {
        &[]
    };
    all.extend(extension(
        &[0x55, 0x1D, 0x13],
        true,
        &tlv(0x30, constraints),
    ));
    let usage = if content.is_authority {
        [1, 0x06]
    } else {
        [5, 0xA0]
    };
    all.extend(extension(&[0x55, 0x1D, 0x0F], true, &tlv(0x03, &usage)));
    if !content.is_authority {
        let server = tlv(0x06, &[0x2B, 6, 1, 5, 5, 7, 3, 1]);
        all.extend(extension(&[0x55, 0x1D, 0x25], false, &tlv(0x30, &server)));
    }
    let key_id = tlv(0x04, &random.octets(20));
    all.extend(extension(&[0x55, 0x1D, 0x0E], false, &key_id));
    let authority = tlv(0x30, &tlv(0x80, &random.octets(20)));
    all.extend(extension(&[0x55, 0x1D, 0x23], false, &authority));
    let point = tlv(0x86, b"http://crl.pki.example.com/issuing.crl");
    let point = tlv(0x30, &tlv(0x30, &tlv(0xA0, &tlv(0xA0, &point))));
    all.extend(extension(&[0x55, 0x1D, 0x1F], false, &point));
    if !content.names.is_empty() {
        let names: Vec<u8> = content
            .names
            .iter()
            .flat_map(|name| tlv(0x82, name.as_bytes()))
            .collect();
        all.extend(extension(&[0x55, 0x1D, 0x11], false, &tlv(0x30, &names)));
    }
    tlv(0xA3, &tlv(0x30, &all))
}

/// A certificate.
pub(super) fn certificate(content: &Content<'_>, random: &mut Random) -> Vec<u8> {
    let (algorithm, value) = signature(content.issuer_key, random);
    let to_be_signed = sequence(&[
        &[0xA0, 3, 2, 1, 2],
        &number(random, 16),
        &algorithm,
        content.issuer,
        &sequence(&[&time(content.not_before), &time(content.not_after)]),
        content.subject,
        &public_key(content.key, random),
        &extensions(content, random),
    ]);
    sequence(&[&to_be_signed, &algorithm, &bits(&value)])
}
