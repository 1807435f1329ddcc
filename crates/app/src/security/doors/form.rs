//! `application/x-www-form-urlencoded`, read strictly: forms of sign-in are written by programs.

/// The pairs of a form or a query; none if it cannot be read, or if a name is there twice (RFC 6749, 3.1 and 3.2).
pub(super) fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if pairs.iter().any(|(known, _)| *known == name) {
            return None;
        }
        pairs.push((name, value));
    }
    Some(pairs)
}

/// The value of a name, if it is not empty.
pub(super) fn value<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let found = pairs.iter().find(|(known, _)| known == name);
    found
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

/// Text without its escapes; none for escapes that are none, and for U+0000.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(octets)
        .ok()
        .filter(|text| !text.contains('\0'))
}

/// Pairs as a form or a query.
pub(super) fn write(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// Text with escapes for all but letters, digits and `-._~`.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let odd = "a+b c%&=ä\u{1F511}";
        let pairs = parse(&write(&[("name", odd), ("empty", "")])).unwrap();
        assert_eq!(value(&pairs, "name"), Some(odd));
        assert_eq!(value(&pairs, "empty"), None);
        assert_eq!(parse("a=1&&b=2+3").unwrap()[1].1, "2 3");
    }

    #[test]
    fn nonsense_and_doubled_names_are_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%00", "a=1&a=2"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
