//! Distinguished names: as text (RFC 4514) and as DER.

mod attribute_types;
mod encoding;
mod parse;

use std::fmt;

use crate::ber;

pub(crate) use encoding::text_of;

/// A distinguished name. The text form puts the most specific attribute first (`CN=a,O=b`), the reverse of the order in DER, as
/// RFC 4514 and Command do.
///
/// Names read from DER keep their string types, so that writing them again gives the same octets.
#[derive(Debug, Clone, Default)]
pub struct DistinguishedName {
    /// In the order of DER: least specific first. An inner list has more than one entry for multi-valued names (`CN=a+UID=b`).
    relative_names: Vec<Vec<Attribute>>,
}

/// One `type=value`.
#[derive(Debug, Clone)]
struct Attribute {
    /// Dotted identifier of the type.
    oid: String,
    /// The value as text; for values that are no strings, `#` and the hexadecimal of their DER.
    text: String,
    /// Tag octet and content of the value as read from DER or from `#` hexadecimal; none for values given as text.
    encoded: Option<(u8, Vec<u8>)>,
}

impl Attribute {
    /// Whether the text stands for a DER value rather than being the value.
    fn is_opaque(&self) -> bool {
        self.encoded
            .as_ref()
            .is_some_and(|(tag, _)| !encoding::is_string(*tag))
    }
}

impl DistinguishedName {
    /// Whether there is no attribute at all.
    pub fn is_empty(&self) -> bool {
        self.relative_names.is_empty()
    }

    /// The name in a form in which equal names are equal: RFC 5280 §7.1 asks to ignore case, the string type, and blanks at the ends
    /// and beyond one; values that are no strings stay as they are.
    pub(crate) fn canonical(&self) -> Vec<Vec<(String, String)>> {
        self.relative_names
            .iter()
            .map(|relative| {
                let mut pairs: Vec<_> = relative
                    .iter()
                    .map(|attribute| {
                        let words: Vec<&str> = attribute.text.split_whitespace().collect();
                        (attribute.oid.clone(), words.join(" ").to_lowercase())
                    })
                    .collect();
                pairs.sort();
                pairs
            })
            .collect()
    }

    /// Whether both are the same name by RFC 5280 §7.1; empty names are nobody's.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        !self.is_empty() && self.canonical() == other.canonical()
    }

    /// How many attributes of a `Name` in DER this name, which was read from it, lacks.
    pub(crate) fn lacks_of(&self, name_der: &[u8]) -> usize {
        let Ok((sequence, _)) = ber::read(name_der, 0) else {
            return usize::from(!name_der.is_empty());
        };
        let stand: usize = ber::elements(sequence.content)
            .map(|relative| relative.map_or(1, |relative| ber::elements(relative.content).count()))
            .sum();
        stand.saturating_sub(self.attributes().count())
    }

    /// The most specific common name.
    pub fn common_name(&self) -> Option<&str> {
        self.first_of(attribute_types::COMMON_NAME)
    }

    /// The values of an attribute type given by name (`CN`, `OU`, `ST`; either case) or dotted identifier, most specific first. Empty if
    /// the type is unknown or absent.
    pub fn values_of(&self, attribute_type: &str) -> Vec<&str> {
        let Some(oid) = attribute_types::oid_of(attribute_type) else {
            return Vec::new();
        };
        self.attributes()
            .filter(|attribute| attribute.oid == oid)
            .map(|attribute| attribute.text.as_str())
            .collect()
    }

    /// Every attribute as (name or dotted identifier, value), most specific first.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes().map(|attribute| {
            (
                attribute_types::name_of(&attribute.oid),
                attribute.text.as_str(),
            )
        })
    }

    pub(crate) fn organizational_unit(&self) -> Option<&str> {
        self.first_of(attribute_types::ORGANIZATIONAL_UNIT)
    }

    pub(crate) fn email(&self) -> Option<&str> {
        self.first_of(attribute_types::EMAIL)
    }

    fn first_of(&self, oid: &str) -> Option<&str> {
        self.attributes()
            .find(|attribute| attribute.oid == oid)
            .map(|attribute| attribute.text.as_str())
    }

    fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.relative_names.iter().rev().flatten()
    }
}

/// Two names are equal if they have the same attributes with the same text in the same order, whatever their string types.
impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        let key = |name: &Self| -> Vec<Vec<(String, String)>> {
            name.relative_names
                .iter()
                .map(|relative| {
                    let mut pairs: Vec<_> = relative
                        .iter()
                        .map(|attribute| (attribute.oid.clone(), attribute.text.clone()))
                        .collect();
                    pairs.sort();
                    pairs
                })
                .collect()
        };
        key(self) == key(other)
    }
}

impl Eq for DistinguishedName {}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, relative) in self.relative_names.iter().rev().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            for (index, attribute) in relative.iter().enumerate() {
                if index > 0 {
                    formatter.write_str("+")?;
                }
                write!(formatter, "{}=", attribute_types::name_of(&attribute.oid))?;
                if attribute.is_opaque() {
                    formatter.write_str(&attribute.text)?;
                } else {
                    write_escaped(formatter, &attribute.text)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes a value with the escapes of RFC 4514 §2.4.
fn write_escaped(formatter: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => write!(formatter, "\\{character}")?,
            '#' if index == 0 => formatter.write_str("\\#")?,
            ' ' if index == 0 || index == last => formatter.write_str("\\ ")?,
            '\0'..='\x1f' | '\x7f' => write!(formatter, "\\{:02X}", u32::from(character))?,
            _ => write!(formatter, "{character}")?,
        }
    }
    Ok(())
}
