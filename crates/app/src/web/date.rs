//! Points in time on the wire: out as UTC with `Z` and no needless fraction, in as every form that clients send.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A point in time, in epoch milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(pub(crate) i64);

impl Date {
    /// `2026-03-19T21:26:35.967Z`; the fraction is left out when it is zero.
    pub(crate) fn text(self) -> String {
        let nanos = i128::from(self.0) * 1_000_000;
        let Ok(at) = time::OffsetDateTime::from_unix_timestamp_nanos(nanos) else {
            // Certificates may say years that no calendar library holds; the nearest end is shown.
            return if self.0 < 0 {
                "0001-01-01T00:00:00Z"
            } else {
                "9999-12-31T23:59:59Z"
            }
            .into();
        };
        let (date, clock) = (at.date(), at.time());
        let mut text = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        );
        if clock.millisecond() != 0 {
            let fraction = format!(".{:03}", clock.millisecond());
            text.push_str(fraction.trim_end_matches('0'));
        }
        text.push('Z');
        text
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The search tokens (`%TODAY%`) mean nothing here, so their base does not matter.
        if text.contains('%') {
            return Err(serde::de::Error::custom(format!("{text:?} is not a date")));
        }
        search::dates::parse(&text, 0)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a date")))
    }
}

impl PartialSchema for Date {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Date {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fraction_is_trimmed() {
        assert_eq!(Date(1_773_955_595_967).text(), "2026-03-19T21:26:35.967Z");
        assert_eq!(Date(1_773_955_595_900).text(), "2026-03-19T21:26:35.9Z");
        assert_eq!(Date(1_773_955_595_000).text(), "2026-03-19T21:26:35Z");
        assert_eq!(Date(i64::MAX).text(), "9999-12-31T23:59:59Z");
    }
}
