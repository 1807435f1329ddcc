//! The lenient reader: JSON as real clients send it, into structs with the contract's names.
//!
//! Clients send names in any case, text for numbers and booleans, numbers for text, raw line breaks inside text, and data
//! after the first value (`clients.md` 2.5). [`parse`] reads such text into a value; [`Lenient`] is a serde deserializer
//! over it that matches names without regard to case and converts scalars where the conversion loses nothing.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde_json::{Map, Value};

/// How deep arrays and objects may nest.
const MAX_DEPTH: usize = 64;

/// A failure to read: what is wrong. The path is added by `serde_path_to_error`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LenientError(String);

impl de::Error for LenientError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Reads the first JSON value of a body. Control characters inside text are taken as they are; what follows the first
/// value is ignored. An empty body is `null`.
///
/// # Errors
/// The reader's message with line and column.
pub(crate) fn parse(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body)
        .map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    check_depth(text)?;
    let escaped = escape_control_characters(text);
    let mut values = serde_json::Deserializer::from_str(&escaped).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) if may_hold_nul(text) && holds_nul(&value) => {
            Err("a text holds the character U+0000".into())
        }
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(Value::Null),
    }
}

/// Whether a text reads here as it does in any reader of JSON that takes it: no U+0000, and not too deep.
pub(crate) fn is_plain(text: &str) -> bool {
    !may_hold_nul(text) && check_depth(text).is_ok()
}

fn may_hold_nul(text: &str) -> bool {
    let octets = text.as_bytes();
    memchr::memchr(0, octets).is_some() || memchr::memmem::find(octets, b"\\u0000").is_some()
}

/// Whether a text or a name holds U+0000, which PostgreSQL cannot store. The depth has been checked.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

fn check_depth(text: &str) -> Result<(), String> {
    let (octets, mut depth, mut at) = (text.as_bytes(), 0_usize, 0);
    while let Some(octet) = octets.get(at) {
        at += 1;
        match octet {
            // Texts may be long.
            b'"' => {
                while let Some(rest) = octets.get(at..) {
                    match memchr::memchr2(b'"', b'\\', rest) {
                        None => return Ok(()),
                        Some(end) if rest[end] == b'"' => {
                            at += end + 1;
                            break;
                        }
                        Some(end) => at += end + 2,
                    }
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("nested deeper than {MAX_DEPTH} at byte {}", at - 1));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Raw line breaks and tabs inside text become their escapes: the secrets-engine client puts PEM into its body as it is.
fn escape_control_characters(text: &str) -> std::borrow::Cow<'_, str> {
    // In parts, which the processor compares many octets at a time.
    let has_some = |part: &[u8]| part.iter().fold(false, |has, byte| has | (*byte < 0x20));
    if !text.as_bytes().chunks(4_096).any(has_some) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 64);
    let (mut in_text, mut escaped) = (false, false);
    for character in text.chars() {
        if in_text && character < ' ' {
            escaped = false;
            match character {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                other => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            }
            continue;
        }
        match character {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ => {}
        }
        out.push(character);
    }
    out.into()
}

/// A deserializer over a parsed value.
pub(crate) struct Lenient(pub(crate) Value);

impl<'de> IntoDeserializer<'de, LenientError> for Lenient {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

fn wrong<T>(wanted: &str, value: &Value) -> Result<T, LenientError> {
    let got = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() > 40 => "a text".to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    Err(LenientError(format!("expected {wanted}, got {got}")))
}

fn integer(value: &Value) -> Result<i64, LenientError> {
    let found = match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            // 3.0 is an integer to the clients that send it.
            number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < 9e15)
                .map(|float| float as i64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(i64::from(*flag)),
        _ => None,
    };
    found.map_or_else(|| wrong("an integer", value), Ok)
}

fn object<'de, V: Visitor<'de>>(
    map: Map<String, Value>,
    visitor: V,
) -> Result<V::Value, LenientError> {
    visitor.visit_map(MapDeserializer::new(
        map.into_iter().map(|(key, value)| (key, Lenient(value))),
    ))
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
            let number = integer(&self.0)?;
            match <$type>::try_from(number) {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(LenientError(format!("{number} is out of range"))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = LenientError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_i64(number),
                (_, Some(number), _) => visitor.visit_u64(number),
                (.., Some(number)) => visitor.visit_f64(number),
                _ => Err(LenientError("a number that cannot be held".into())),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Lenient)))
            }
            Value::Object(map) => object(map, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        match &self.0 {
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::String(text)
                if text.trim().eq_ignore_ascii_case("true") || text.trim() == "1" =>
            {
                visitor.visit_bool(true)
            }
            Value::String(text)
                if text.trim().eq_ignore_ascii_case("false") || text.trim() == "0" =>
            {
                visitor.visit_bool(false)
            }
            Value::Number(number) if number.as_i64() == Some(1) => visitor.visit_bool(true),
            Value::Number(number) if number.as_i64() == Some(0) => visitor.visit_bool(false),
            other => wrong("true or false", other),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        let found = match &self.0 {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match found {
            Some(number) => visitor.visit_f64(number),
            None => wrong("a number", &self.0),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Number(number) => visitor.visit_string(number.to_string()),
            Value::Bool(flag) => visitor.visit_string(flag.to_string()),
            other => wrong("text", &other),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            value => visitor.visit_some(Lenient(value)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, LenientError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, LenientError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        match self.0 {
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Lenient)))
            }
            other => wrong("an array", &other),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, LenientError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, LenientError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        match self.0 {
            Value::Object(map) => object(map, visitor),
            other => wrong("an object", &other),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LenientError> {
        let Value::Object(map) = self.0 else {
            return wrong("an object", &self.0);
        };
        let mut named: Map<String, Value> = Map::new();
        for (key, value) in map {
            let Some(field) = fields.iter().find(|field| field.eq_ignore_ascii_case(&key)) else {
                continue;
            };
            // The same member in two spellings: a value beats null, otherwise the later one counts.
            if !(value.is_null() && named.contains_key(*field)) {
                named.insert((*field).to_owned(), value);
            }
        }
        object(named, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LenientError> {
        match &self.0 {
            Value::String(text) => match variants
                .iter()
                .find(|variant| variant.eq_ignore_ascii_case(text.trim()))
            {
                Some(variant) => visitor.visit_enum((*variant).into_deserializer()),
                None => Err(LenientError(format!(
                    "{text:?} is none of {}",
                    variants.join(", ")
                ))),
            },
            other => wrong("a name", other),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LenientError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, LenientError> {
        visitor.visit_unit()
    }
}

/// Reads `value` as a `T`, naming the member that does not fit.
///
/// # Errors
/// `Member.Path: what is wrong`.
pub(crate) fn from_value<T: de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(Lenient(value)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." {
            inner.to_string()
        } else {
            format!("{path}: {inner}")
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase", default)]
    #[derive(Default)]
    struct Sample {
        certificate_id: Option<i64>,
        name: Option<String>,
        overwrite: bool,
        stores: Vec<Inner>,
        metadata: std::collections::BTreeMap<String, String>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase", default)]
    struct Inner {
        alias: String,
    }

    fn read(text: &str) -> Result<Sample, String> {
        from_value(parse(text.as_bytes())?)
    }

    #[test]
    fn names_in_any_case_and_scalars_as_text() {
        let sample = read(
            r#"{"certificateID":"7","NAME":12,"overWrite":"True","stores":[{"ALIAS":"a"}],"x":{},"metadata":{"A":1,"b":true}}"#,
        );
        let sample = sample.unwrap();
        assert_eq!(sample.certificate_id, Some(7));
        assert_eq!(sample.name.as_deref(), Some("12"));
        assert!(sample.overwrite);
        assert_eq!(sample.stores[0].alias, "a");
        assert_eq!(sample.metadata["A"], "1");
        assert_eq!(sample.metadata["b"], "true");
    }

    #[test]
    fn raw_line_breaks_and_trailing_data() {
        let sample = read("{\"Name\":\"a\nb\\\"c\td\"}} , \"Reason\":0}").unwrap();
        assert_eq!(sample.name.as_deref(), Some("a\nb\"c\td"));
    }

    #[test]
    fn errors_name_the_member() {
        assert_eq!(
            read(r#"{"Stores":[{"Alias":"x"},{"Alias":{}}]}"#).unwrap_err(),
            "Stores[1].Alias: expected text, got an object"
        );
        assert_eq!(
            read(r#"{"CertificateId":"x"}"#).unwrap_err(),
            "CertificateId: expected an integer, got \"x\""
        );
        assert!(read("{, \"ip\": []}").unwrap_err().contains("line 1"));
        assert!(
            parse("[".repeat(100_000).as_bytes())
                .unwrap_err()
                .contains("deeper")
        );
        assert!(
            read("")
                .unwrap_err()
                .contains("expected an object, got null")
        );
    }
}
