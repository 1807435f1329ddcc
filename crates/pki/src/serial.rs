//! Serial numbers of certificates.

use std::fmt;

use crate::error::{Error, Result};

/// A serial number as RFC 5280 §4.1.2.2 wants it: positive, not zero, at most 20 octets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial {
    /// The magnitude, most significant octet first, without leading zeroes; never empty.
    magnitude: Vec<u8>,
}

impl Serial {
    /// A serial number out of 16 random octets. 126 of the 128 bits stay random; the top is fixed so that every number is positive and of
    /// the same length.
    pub fn from_random(random: &[u8; 16]) -> Self {
        let mut magnitude = random.to_vec();
        magnitude[0] = (magnitude[0] & 0x3f) | 0x40;
        Serial { magnitude }
    }

    /// A serial number of 16 octets for one of many: the time in milliseconds since the Unix epoch, then 80 random bits, where the
    /// Baseline Requirements (section 7.1) want 64. Numbers that are made later are greater, so that an index of them grows at its end
    /// instead of everywhere.
    pub fn at(now_ms: i64, random: &[u8; 10]) -> Self {
        let mut octets = [0; 16];
        octets[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
        octets[6..].copy_from_slice(random);
        Self::from_random(&octets)
    }

    /// Reads hexadecimal of either case, without sign.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not hexadecimal, zero, or longer than 20 octets.
    pub fn from_hex(text: &str) -> Result<Self> {
        let padded = if text.len() % 2 == 1 {
            format!("0{text}")
        } else {
            text.to_owned()
        };
        let octets =
            hex::decode(padded).map_err(|error| Error::malformed("serial number", error))?;
        let start = octets
            .iter()
            .position(|octet| *octet != 0)
            .ok_or_else(|| Error::malformed("serial number", "it is zero"))?;
        let serial = Serial {
            magnitude: octets[start..].to_vec(),
        };
        if serial.content().len() > 20 {
            return Err(Error::malformed(
                "serial number",
                "it is longer than 20 octets",
            ));
        }
        Ok(serial)
    }

    /// Upper-case hexadecimal without sign octet, as [`crate::Certificate::serial_hex`] shows it.
    pub fn to_hex(&self) -> String {
        hex::encode_upper(&self.magnitude)
    }

    /// The content octets of the DER INTEGER.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.magnitude.len() + 1);
        if self.magnitude[0] & 0x80 != 0 {
            content.push(0);
        }
        content.extend_from_slice(&self.magnitude);
        content
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_serials_are_positive_and_sixteen_octets() {
        for fill in [0x00, 0x7f, 0x80, 0xff] {
            let serial = Serial::from_random(&[fill; 16]);
            let content = serial.content();
            assert_eq!(content.len(), 16);
            assert!(content[0] & 0x80 == 0 && content[0] != 0);
        }
    }

    #[test]
    fn serials_of_a_time_are_in_its_order() {
        let at = |now, fill| Serial::at(now, &[fill; 10]);
        assert!(at(1_800_000_000_000, 0xff) < at(1_800_000_000_001, 0));
        for now in [i64::MIN, -1, 0, 1_800_000_000_000, i64::MAX] {
            for fill in [0x00, 0xff] {
                let content = at(now, fill).content();
                assert_eq!((content.len(), content[0] & 0xc0), (16, 0x40));
                assert_eq!(content[6..], [fill; 10]);
            }
        }
    }

    #[test]
    fn hexadecimal_round_trips_and_bounds_hold() {
        assert_eq!(Serial::from_hex("0aBc").unwrap().to_hex(), "0ABC");
        assert_eq!(Serial::from_hex("abc").unwrap().to_hex(), "0ABC");
        assert_eq!(Serial::from_hex("80").unwrap().content(), [0, 0x80]);
        assert!(Serial::from_hex("0000").is_err());
        assert!(Serial::from_hex("").is_err());
        assert!(Serial::from_hex("zz").is_err());
        assert!(Serial::from_hex(&"7f".repeat(20)).is_ok());
        assert!(Serial::from_hex(&"80".repeat(20)).is_err());
    }
}
