//! Distinguished names in DER: read with tolerance, written strictly.

use der::asn1::{Any, ObjectIdentifier};
use der::{Decode, Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::{Attribute, DistinguishedName, attribute_types};
use crate::error::{Error, Result};

const UTF8: u8 = 12;
const NUMERIC: u8 = 18;
const PRINTABLE: u8 = 19;
const T61: u8 = 20;
const IA5: u8 = 22;
const VISIBLE: u8 = 26;
const UNIVERSAL: u8 = 28;
const BMP: u8 = 30;

/// Whether a tag octet is one of the string types of X.520.
pub(super) fn is_string(tag: u8) -> bool {
    matches!(
        tag,
        UTF8 | NUMERIC | PRINTABLE | T61 | IA5 | VISIBLE | UNIVERSAL | BMP
    )
}

/// The text of an ASN.1 string of any of the string types, whatever its octets; none if the tag is no string type.
pub(crate) fn text_of(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        UTF8 | NUMERIC | PRINTABLE | IA5 | VISIBLE | T61 => {
            Some(match std::str::from_utf8(content) {
                Ok(text) => text.to_owned(),
                // T61String is Latin-1 wherever it is found in certificates; the others get the same treatment when they are wrong.
                Err(_) => content.iter().map(|octet| char::from(*octet)).collect(),
            })
        }
        BMP => {
            let units = content.chunks(2).map(|pair| {
                pair.iter()
                    .fold(0u16, |unit, octet| unit << 8 | u16::from(*octet))
            });
            Some(
                char::decode_utf16(units)
                    .map(|unit| unit.unwrap_or('\u{fffd}'))
                    .collect(),
            )
        }
        UNIVERSAL => Some(
            content
                .chunks(4)
                .map(|four| {
                    four.iter()
                        .fold(0u32, |point, octet| point << 8 | u32::from(*octet))
                })
                .map(|point| char::from_u32(point).unwrap_or('\u{fffd}'))
                .collect(),
        ),
        _ => None,
    }
}

impl DistinguishedName {
    /// Reads the DER of a `Name`, keeping what it does not understand.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the octets are no `Name` at all.
    pub fn from_der(name_der: &[u8]) -> Result<Self> {
        let (rest, name) = X509Name::from_der(name_der)
            .map_err(|error| Error::malformed("distinguished name", error))?;
        if !rest.is_empty() {
            return Err(Error::malformed("distinguished name", "octets follow it"));
        }
        Ok(Self::from_parsed(&name))
    }

    pub(crate) fn from_parsed(name: &X509Name<'_>) -> Self {
        let relative_names = name
            .iter_rdn()
            .map(|relative| {
                relative
                    .iter()
                    .map(|attribute| {
                        let value = attribute.attr_value();
                        let constructed = if value.header.is_constructed() {
                            0x20
                        } else {
                            0
                        };
                        let class = (value.header.class() as u8) << 6;
                        let number = u8::try_from(value.tag().0).unwrap_or(0x1f) & 0x1f;
                        let encoded = (class | constructed | number, value.data.to_vec());
                        Attribute::from_encoded(attribute.attr_type().to_id_string(), encoded)
                    })
                    .collect()
            })
            .collect();
        DistinguishedName { relative_names }
    }

    /// The strict form.
    pub(crate) fn to_name(&self) -> Result<Name> {
        Name::from_der(&self.to_der()?)
            .map_err(|error| Error::malformed("distinguished name", error))
    }

    fn to_sequence(&self) -> Result<RdnSequence> {
        let mut sequence = RdnSequence::default();
        for relative in &self.relative_names {
            let mut set = RelativeDistinguishedName::default();
            for attribute in relative {
                set.insert(attribute.to_strict()?)
                    .map_err(|error| Error::malformed("distinguished name", error))?;
            }
            sequence.push(set);
        }
        Ok(sequence)
    }

    /// The DER of the `Name`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for values that have no strict encoding.
    pub fn to_der(&self) -> Result<Vec<u8>> {
        self.to_sequence()?
            .to_der()
            .map_err(|error| Error::malformed("distinguished name", error))
    }
}

impl Attribute {
    pub(super) fn from_encoded(oid: String, encoded: (u8, Vec<u8>)) -> Self {
        let text = text_of(encoded.0, &encoded.1).unwrap_or_else(|| {
            let der = Tag::from_der(&[encoded.0])
                .and_then(|tag| Any::new(tag, encoded.1.clone()))
                .and_then(|any| any.to_der())
                .unwrap_or_else(|_| encoded.1.clone());
            format!("#{}", hex::encode(der))
        });
        Attribute {
            oid,
            text,
            encoded: Some(encoded),
        }
    }

    fn to_strict(&self) -> Result<AttributeTypeAndValue> {
        let malformed = |error: &dyn std::fmt::Display| {
            Error::malformed(
                "distinguished name",
                format!("{}: {error}", attribute_types::name_of(&self.oid)),
            )
        };
        let oid: ObjectIdentifier = self.oid.parse().map_err(|error| malformed(&error))?;
        let value = match &self.encoded {
            Some((tag, content)) => {
                Tag::from_der(&[*tag]).and_then(|tag| Any::new(tag, content.clone()))
            }
            None => Any::new(self.default_tag(), self.text.as_bytes()),
        }
        .map_err(|error| malformed(&error))?;
        Ok(AttributeTypeAndValue { oid, value })
    }

    /// The string type RFC 5280 Appendix A asks for, UTF8String where the text does not fit it.
    fn default_tag(&self) -> Tag {
        let printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
        match self.oid.as_str() {
            attribute_types::COUNTRY | attribute_types::SERIAL_NUMBER
                if self.text.bytes().all(printable) =>
            {
                Tag::PrintableString
            }
            attribute_types::EMAIL | attribute_types::DOMAIN_COMPONENT if self.text.is_ascii() => {
                Tag::Ia5String
            }
            _ => Tag::Utf8String,
        }
    }
}
