//! Reading the text form of RFC 4514, with the liberties people take: blanks around separators, `;`, quoted values.

use der::Decode;
use der::asn1::AnyRef;

use super::{Attribute, DistinguishedName, attribute_types};
use crate::error::{Error, Result};

impl DistinguishedName {
    /// Reads `CN=a,O=b\,c`: most specific first, separated by `,` or `;`, `+` inside multi-valued names; values may be quoted, escaped
    /// (`\,` or `\2C`), or `#` and the hexadecimal of DER. Types are names (`CN`, `O`, `OU`, `L`, `ST` or `S`, `C`, `E` or `EMAILADDRESS`,
    /// `DC`, `SERIALNUMBER`, `STREET`, `UID`, `TITLE`, `GN`, `SN`, …) or dotted identifiers. The empty text is the empty name.
    ///
    /// # Errors
    /// [`Error::Malformed`] that names the position, counted in characters from 1.
    pub fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader {
            characters: text.chars().collect(),
            position: 0,
        };
        reader.skip_blanks();
        if reader.peek().is_none() {
            return Ok(DistinguishedName::default());
        }
        let mut relative_names = Vec::new();
        loop {
            let mut relative = vec![reader.attribute()?];
            while reader.take_if(|character| character == '+') {
                relative.push(reader.attribute()?);
            }
            relative_names.push(relative);
            if reader.peek().is_none() {
                break;
            }
            // The value ended at a separator that is not `+`: it is `,` or `;`.
            reader.position += 1;
        }
        relative_names.reverse();
        Ok(DistinguishedName { relative_names })
    }
}

impl std::str::FromStr for DistinguishedName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

struct Reader {
    characters: Vec<char>,
    position: usize,
}

impl Reader {
    fn attribute(&mut self) -> Result<Attribute> {
        self.skip_blanks();
        let start = self.position;
        while self
            .peek()
            .is_some_and(|character| !"=,;+".contains(character))
        {
            self.position += 1;
        }
        let name: String = self.characters[start..self.position].iter().collect();
        if name.trim().is_empty() {
            return Err(error_at(start, "an attribute type was expected"));
        }
        if !self.take_if(|character| character == '=') {
            return Err(error_at(
                self.position,
                &format!("`=` was expected after `{}`", name.trim()),
            ));
        }
        let oid = attribute_types::oid_of(&name).ok_or_else(|| {
            error_at(
                start,
                &format!("`{}` is no known attribute type", name.trim()),
            )
        })?;
        self.skip_blanks();
        match self.peek() {
            Some('#') => self.hexadecimal(oid),
            Some('"') => {
                let text = self.quoted()?;
                Ok(Attribute {
                    oid,
                    text,
                    encoded: None,
                })
            }
            _ => {
                let text = self.plain()?;
                Ok(Attribute {
                    oid,
                    text,
                    encoded: None,
                })
            }
        }
    }

    /// An unquoted value; blanks at its end do not belong to it unless escaped.
    fn plain(&mut self) -> Result<String> {
        let start = self.position;
        let mut octets = Vec::new();
        let mut kept = 0;
        while let Some(character) = self.peek() {
            match character {
                ',' | ';' | '+' => break,
                '\\' => {
                    self.escape(&mut octets)?;
                    kept = octets.len();
                }
                _ => {
                    push(&mut octets, character);
                    self.position += 1;
                    if !is_blank(character) {
                        kept = octets.len();
                    }
                }
            }
        }
        octets.truncate(kept);
        text_at(start, octets)
    }

    fn quoted(&mut self) -> Result<String> {
        let start = self.position;
        self.position += 1;
        let mut octets = Vec::new();
        loop {
            match self.peek() {
                None => return Err(error_at(start, "the quote is not closed")),
                Some('"') => break,
                Some('\\') => self.escape(&mut octets)?,
                Some(character) => {
                    push(&mut octets, character);
                    self.position += 1;
                }
            }
        }
        self.position += 1;
        self.expect_separator()?;
        text_at(start, octets)
    }

    fn hexadecimal(&mut self, oid: String) -> Result<Attribute> {
        let start = self.position;
        self.position += 1;
        let from = self.position;
        while self
            .peek()
            .is_some_and(|character| character.is_ascii_hexdigit())
        {
            self.position += 1;
        }
        let digits: String = self.characters[from..self.position].iter().collect();
        self.expect_separator()?;
        let encoded = hex::decode(digits)
            .map_err(|_| error_at(start, "`#` must be followed by pairs of hexadecimal digits"))?;
        let value = AnyRef::from_der(&encoded)
            .map_err(|_| error_at(start, "the hexadecimal is not one DER value"))?;
        let tag = encoded
            .first()
            .copied()
            .ok_or_else(|| error_at(start, "the hexadecimal is not one DER value"))?;
        Ok(Attribute::from_encoded(oid, (tag, value.value().to_vec())))
    }

    /// `\` and a special character, or `\` and two hexadecimal digits.
    fn escape(&mut self, octets: &mut Vec<u8>) -> Result<()> {
        let at = self.position;
        self.position += 1;
        let first = self
            .peek()
            .ok_or_else(|| error_at(at, "nothing follows the backslash"))?;
        self.position += 1;
        if let Some(high) = first.to_digit(16)
            && let Some(low) = self.peek().and_then(|second| second.to_digit(16))
        {
            self.position += 1;
            octets.push(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
            return Ok(());
        }
        if !" \"#+,;<=>\\".contains(first) {
            return Err(error_at(at, &format!("`\\{first}` is no escape")));
        }
        push(octets, first);
        Ok(())
    }

    fn expect_separator(&mut self) -> Result<()> {
        self.skip_blanks();
        match self.peek() {
            None | Some(',' | ';' | '+') => Ok(()),
            Some(found) => Err(error_at(
                self.position,
                &format!("a separator was expected, not `{found}`"),
            )),
        }
    }

    fn skip_blanks(&mut self) {
        while self.take_if(is_blank) {}
    }

    fn take_if(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let taken = self.peek().is_some_and(wanted);
        if taken {
            self.position += 1;
        }
        taken
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.position).copied()
    }
}

/// What may surround separators. Only these: a no-break space, say, belongs to the value.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn push(octets: &mut Vec<u8>, character: char) {
    octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn text_at(position: usize, octets: Vec<u8>) -> Result<String> {
    String::from_utf8(octets).map_err(|_| error_at(position, "the escaped octets are not UTF-8"))
}

fn error_at(position: usize, reason: &str) -> Error {
    Error::malformed(
        "distinguished name",
        format!("{reason} at position {}", position + 1),
    )
}
