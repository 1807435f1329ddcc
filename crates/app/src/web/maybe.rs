//! A member that may be absent, `null`, or there: some operations tell the three apart.

use serde::{Deserialize, Deserializer};

/// What a body says of a member. Declare it with `#[serde(default)]` and `#[schema(value_type = Option<T>)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Maybe<T> {
    /// The body does not have the member.
    #[default]
    Absent,
    /// The member is `null`.
    Null,
    /// The member has a value.
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::lenient;
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder {
        #[serde(default)]
        member: Maybe<i64>,
    }

    #[test]
    fn three_states() {
        let read = |text: &str| {
            let value = lenient::parse(text.as_bytes()).unwrap();
            lenient::from_value::<Holder>(value).map(|holder| holder.member)
        };
        assert_eq!(read("{}").unwrap(), Maybe::Absent);
        assert_eq!(read(r#"{"Member":null}"#).unwrap(), Maybe::Null);
        assert_eq!(read(r#"{"MEMBER":"7"}"#).unwrap(), Maybe::Value(7));
        assert!(read(r#"{"member":"seven"}"#).is_err());
    }
}
