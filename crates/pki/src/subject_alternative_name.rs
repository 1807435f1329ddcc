//! Subject alternative names: the `GeneralName`s of RFC 5280 §4.2.1.6 as (kind, text).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use der::asn1::{Any, AnyRef, Ia5String, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Tag};
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_parser::extensions::GeneralName as ParsedGeneralName;

use crate::distinguished_name::{DistinguishedName, text_of};
use crate::error::{Error, Result};
use crate::oid;

/// What kind of name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SanKind {
    /// `otherName` of a type not named below; the value is `identifier:hexadecimal of the DER`.
    Other,
    /// `rfc822Name`, an e-mail address.
    Rfc822,
    /// `dNSName`.
    Dns,
    /// `x400Address`; the value is hexadecimal.
    X400,
    /// `directoryName`; the value is a distinguished name.
    Directory,
    /// `ediPartyName`; the value is hexadecimal.
    EdiParty,
    /// `uniformResourceIdentifier`.
    Uri,
    /// `iPAddress`; the value is IPv4 or IPv6 text.
    Ip,
    /// `registeredID`; the value is a dotted identifier.
    RegisteredId,
    /// `otherName` with a Microsoft user principal name; the value is the name.
    UserPrincipalName,
    /// `otherName` with the identity of a domain controller; the value is hexadecimal.
    NtdsReplication,
}

/// One subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubjectAlternativeName {
    /// The kind.
    pub kind: SanKind,
    /// The text; its form depends on the kind.
    pub value: String,
}

impl SanKind {
    /// The number Command's REST API uses (`SubjectAltNameElements[].Type`): the tag of the `GeneralName`, 100 for user principal names,
    /// 101 for NTDS replication.
    pub fn number(self) -> u16 {
        match self {
            SanKind::Other => 0,
            SanKind::Rfc822 => 1,
            SanKind::Dns => 2,
            SanKind::X400 => 3,
            SanKind::Directory => 4,
            SanKind::EdiParty => 5,
            SanKind::Uri => 6,
            SanKind::Ip => 7,
            SanKind::RegisteredId => 8,
            SanKind::UserPrincipalName => 100,
            SanKind::NtdsReplication => 101,
        }
    }
}

impl SubjectAlternativeName {
    /// A name of a kind.
    pub fn new(kind: SanKind, value: impl Into<String>) -> Self {
        SubjectAlternativeName {
            kind,
            value: value.into(),
        }
    }

    /// A `dNSName`.
    pub fn dns(value: impl Into<String>) -> Self {
        Self::new(SanKind::Dns, value)
    }

    pub(crate) fn from_parsed(name: &ParsedGeneralName<'_>) -> Self {
        match name {
            ParsedGeneralName::OtherName(type_id, tagged) => {
                other_name(&type_id.to_id_string(), tagged)
            }
            ParsedGeneralName::RFC822Name(text) => Self::new(SanKind::Rfc822, *text),
            ParsedGeneralName::DNSName(text) => Self::new(SanKind::Dns, *text),
            ParsedGeneralName::X400Address(any) => Self::new(SanKind::X400, hex::encode(any.data)),
            ParsedGeneralName::DirectoryName(name) => Self::new(
                SanKind::Directory,
                DistinguishedName::from_parsed(name).to_string(),
            ),
            ParsedGeneralName::EDIPartyName(any) => {
                Self::new(SanKind::EdiParty, hex::encode(any.data))
            }
            ParsedGeneralName::URI(text) => Self::new(SanKind::Uri, *text),
            ParsedGeneralName::IPAddress(octets) => Self::new(SanKind::Ip, address_text(octets)),
            ParsedGeneralName::RegisteredID(oid) => {
                Self::new(SanKind::RegisteredId, oid.to_id_string())
            }
            ParsedGeneralName::Invalid(tag, octets) => {
                let kind = match tag.0 {
                    1 => SanKind::Rfc822,
                    2 => SanKind::Dns,
                    3 => SanKind::X400,
                    4 => SanKind::Directory,
                    5 => SanKind::EdiParty,
                    6 => SanKind::Uri,
                    7 => SanKind::Ip,
                    8 => SanKind::RegisteredId,
                    _ => SanKind::Other,
                };
                // Octets that are no text of their kind: Latin-1 for the text kinds, hexadecimal for the others.
                let value = match kind {
                    SanKind::Rfc822 | SanKind::Dns | SanKind::Uri => {
                        octets.iter().map(|octet| char::from(*octet)).collect()
                    }
                    _ => hex::encode(octets),
                };
                Self::new(kind, value)
            }
        }
    }

    /// The form for encoding.
    pub(crate) fn to_general_name(&self) -> Result<GeneralName> {
        let wrong = |reason: &str| {
            Error::malformed(
                "subject alternative name",
                format!("`{}`: {reason}", self.value),
            )
        };
        let ia5 = || Ia5String::new(&self.value).map_err(|_| wrong("only ASCII can be encoded"));
        Ok(match self.kind {
            SanKind::Rfc822 => GeneralName::Rfc822Name(ia5()?),
            SanKind::Dns => GeneralName::DnsName(ia5()?),
            SanKind::Uri => GeneralName::UniformResourceIdentifier(ia5()?),
            SanKind::Ip => {
                let address: IpAddr = self
                    .value
                    .parse()
                    .map_err(|_| wrong("it is no IPv4 or IPv6 address"))?;
                GeneralName::from(address)
            }
            SanKind::Directory => {
                GeneralName::DirectoryName(DistinguishedName::parse(&self.value)?.to_name()?)
            }
            SanKind::RegisteredId => GeneralName::RegisteredId(
                self.value
                    .parse()
                    .map_err(|_| wrong("it is no object identifier"))?,
            ),
            SanKind::UserPrincipalName => other(
                oid::USER_PRINCIPAL_NAME,
                Any::new(Tag::Utf8String, self.value.as_bytes())
                    .map_err(|error| wrong(&error.to_string()))?,
            )?,
            SanKind::NtdsReplication => {
                let octets = hex::decode(&self.value).map_err(|_| wrong("it is no hexadecimal"))?;
                let octets = OctetString::new(octets).map_err(|error| wrong(&error.to_string()))?;
                other(
                    oid::NTDS_REPLICATION,
                    Any::encode_from(&octets).map_err(|error| wrong(&error.to_string()))?,
                )?
            }
            SanKind::Other => {
                let (type_id, value) = self
                    .value
                    .split_once(':')
                    .ok_or_else(|| wrong("the form is identifier:hexadecimal"))?;
                let octets = hex::decode(value).map_err(|_| wrong("it is no hexadecimal"))?;
                let value = Any::from_der(&octets).map_err(|_| wrong("it is no DER value"))?;
                other(type_id, value)?
            }
            SanKind::X400 | SanKind::EdiParty => {
                return Err(wrong("names of this kind can only be read"));
            }
        })
    }
}

fn other(type_id: &str, value: Any) -> Result<GeneralName> {
    let type_id: ObjectIdentifier = type_id.parse().map_err(|error| {
        Error::malformed("subject alternative name", format!("`{type_id}`: {error}"))
    })?;
    Ok(GeneralName::OtherName(OtherName { type_id, value }))
}

/// Reads an `otherName`; `tagged` is the value inside its explicit `[0]`.
fn other_name(type_id: &str, tagged: &[u8]) -> SubjectAlternativeName {
    let inner = AnyRef::from_der(tagged).map_or(tagged, AnyRef::value);
    if let Ok(value) = AnyRef::from_der(inner) {
        let tag = inner.first().copied().unwrap_or_default();
        if type_id == oid::USER_PRINCIPAL_NAME
            && let Some(text) = text_of(tag, value.value())
        {
            return SubjectAlternativeName::new(SanKind::UserPrincipalName, text);
        }
        if type_id == oid::NTDS_REPLICATION && tag == 4 {
            return SubjectAlternativeName::new(
                SanKind::NtdsReplication,
                hex::encode(value.value()),
            );
        }
    }
    SubjectAlternativeName::new(SanKind::Other, format!("{type_id}:{}", hex::encode(inner)))
}

/// The text of an address; of an address with mask, `address/mask`; of anything else, hexadecimal.
fn address_text(octets: &[u8]) -> String {
    let four = |octets: &[u8]| <[u8; 4]>::try_from(octets).map(Ipv4Addr::from).ok();
    let sixteen = |octets: &[u8]| <[u8; 16]>::try_from(octets).map(Ipv6Addr::from).ok();
    let one = |octets: &[u8]| {
        four(octets)
            .map(IpAddr::from)
            .or_else(|| sixteen(octets).map(IpAddr::from))
    };
    let (address, mask) = octets.split_at(octets.len() / 2);
    one(octets).map_or_else(
        || match (one(address), one(mask)) {
            (Some(address), Some(mask)) => format!("{address}/{mask}"),
            _ => hex::encode(octets),
        },
        |address| address.to_string(),
    )
}

/// The DER of a `GeneralNames` sequence.
pub(crate) fn encode_general_names(names: &[SubjectAlternativeName]) -> Result<Vec<u8>> {
    names
        .iter()
        .map(SubjectAlternativeName::to_general_name)
        .collect::<Result<Vec<_>>>()?
        .to_der()
        .map_err(|error| Error::malformed("subject alternative name", error))
}
