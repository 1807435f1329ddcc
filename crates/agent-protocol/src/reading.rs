//! Tolerant readers: what clients leave out, null or garble must not fail a whole body.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

/// `null` reads as the type's default. Together with `#[serde(default)]` a missing member does so, too.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A GUID in any of its usual forms; anything else reads as the nil GUID, which names no job.
///
/// A server has to answer an unknown job with 200 and Status 3: a refused body would crash the public C agent
/// (agent-protocol reference, section 6).
pub(crate) fn guid_or_nil<'de, D>(deserializer: D) -> Result<Uuid, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(guid(&Value::deserialize(deserializer)?).unwrap_or_default())
}

/// As [`guid_or_nil`], for members that may be absent: not a GUID reads as none.
pub(crate) fn optional_guid<'de, D>(deserializer: D) -> Result<Option<Uuid>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(guid(&Value::deserialize(deserializer)?))
}

/// An extension member: one that cannot be read is treated as absent, as by those who do not know it.
pub(crate) fn extension<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// A whole number, also as text; anything else is zero, as the public C agent reads it.
pub(crate) fn integer<'de, D>(deserializer: D) -> Result<i64, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(match Value::deserialize(deserializer)? {
        // Integers pass through a double in the C agent: `7.0` is seven.
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|value| value as i64))
            .unwrap_or_default(),
        Value::String(text) => text.trim().parse().unwrap_or_default(),
        _ => 0,
    })
}

fn guid(value: &Value) -> Option<Uuid> {
    Uuid::parse_str(value.as_str()?.trim()).ok()
}
