//! The properties of a store: a JSON object in a text, checked against the type.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::certificate_store_types::{Definition, FieldType, Property, boolean};

/// Names that clients send for every type that needs a server, declared or not, and whether they are secret
/// (store-types.md 1.1).
const SERVER_PROPERTIES: &[(&str, bool)] = &[
    ("ServerUsername", true),
    ("ServerPassword", true),
    ("ServerUseSsl", false),
];

/// What clients show of a secret that they read.
const MASK: &str = "********************";

/// The properties as they are given: an object, or its text.
#[derive(Clone, Default)]
pub(super) struct PropertiesInput(Value);

impl std::fmt::Debug for PropertiesInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PropertiesInput(…)")
    }
}

impl<'de> Deserialize<'de> for PropertiesInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

/// One value as it is given.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    /// A value.
    Text(String),
    /// A value in the form that only secrets have.
    Secret(String),
    /// Nothing, or what a reader saw of a secret.
    Nothing,
}

/// Checked properties of a store.
#[derive(Debug, Default)]
pub(super) struct Properties {
    /// As they are stored: null stands for a sealed value.
    pub(super) open: Map<String, Value>,
    /// The sealed ones.
    pub(super) secrets: BTreeMap<String, String>,
}

impl PropertiesInput {
    /// Checks the values against the type. Secrets that are not given are those of `kept`; other values that are not given
    /// are gone. Names that the type does not know are kept as they are, since clients read back what they wrote.
    ///
    /// # Errors
    /// What is wrong and where; every mistake is named.
    pub(super) fn check(
        &self,
        kind: &Definition,
        kept: &BTreeMap<String, String>,
    ) -> Result<Properties, Vec<String>> {
        let object = self.object().map_err(|reason| vec![reason])?;
        let mut found = Properties::default();
        let mut wrong = Vec::new();
        for (name, value) in object {
            let declared = kind.property(&name);
            let name = canonical(kind, &name);
            let given = match given(value) {
                Ok(given) => given,
                Err(reason) => {
                    wrong.push(format!("Properties.{name}: {reason}"));
                    continue;
                }
            };
            let secret = is_secret(kind, &name)
                || kept.contains_key(&name)
                || matches!(given, Given::Secret(_));
            match given {
                Given::Text(text) | Given::Secret(text) if secret => {
                    if !text.is_empty() {
                        found.open.insert(name.clone(), Value::Null);
                        found.secrets.insert(name, text);
                    } else if kept.contains_key(&name) {
                        // An empty text takes the secret away, unlike null.
                        found.open.remove(&name);
                        found.secrets.insert(name, String::new());
                    }
                }
                Given::Text(text) | Given::Secret(text) => {
                    let blank = text.trim().is_empty();
                    if let Some(reason) = declared
                        .filter(|_| !blank)
                        .and_then(|property| property.wrong(&text))
                    {
                        wrong.push(format!("Properties.{name}: {reason}"));
                    }
                    found.open.insert(name, Value::String(text));
                }
                Given::Nothing => {}
            }
        }
        for (name, value) in kept {
            if !found.secrets.contains_key(name) {
                found.open.insert(name.clone(), Value::Null);
                found.secrets.insert(name.clone(), value.clone());
            }
        }
        found.secrets.retain(|_, value| !value.is_empty());
        wrong.extend(missing(kind, &found));
        if wrong.is_empty() {
            Ok(found)
        } else {
            Err(wrong)
        }
    }

    fn object(&self) -> Result<Map<String, Value>, String> {
        let parsed;
        let value = match &self.0 {
            Value::String(text) if text.trim().is_empty() => return Ok(Map::new()),
            Value::String(text) => {
                parsed = crate::web::lenient::parse(text.as_bytes())
                    .map_err(|reason| format!("Properties: {reason}"))?;
                &parsed
            }
            other => other,
        };
        match value {
            Value::Null => Ok(Map::new()),
            Value::Object(map) => Ok(map.clone()),
            _ => Err("Properties: expected a JSON object, as text.".into()),
        }
    }
}

fn canonical(kind: &Definition, name: &str) -> String {
    let name = name.trim();
    let server = SERVER_PROPERTIES
        .iter()
        .find(|(server, _)| server.eq_ignore_ascii_case(name))
        .map(|(name, _)| *name);
    kind.property(name)
        .map_or(server.unwrap_or(name), |property| property.name.as_str())
        .to_owned()
}

fn is_secret(kind: &Definition, name: &str) -> bool {
    match kind.property(name) {
        Some(property) => property.kind == FieldType::Secret,
        None => SERVER_PROPERTIES.contains(&(name, true)),
    }
}

/// Reads one value: plain, `{"value": …}`, `{"value": {"SecretValue": …}}`, or what an earlier answer showed of a secret.
fn given(value: Value) -> Result<Given, String> {
    match value {
        Value::Null => Ok(Given::Nothing),
        Value::String(text) if text == MASK => Ok(Given::Nothing),
        Value::String(text) => Ok(Given::Text(text)),
        Value::Bool(flag) => Ok(Given::Text(flag.to_string())),
        Value::Number(number) => Ok(Given::Text(number.to_string())),
        Value::Array(_) => Err("an array is no value.".into()),
        Value::Object(map) => {
            let member = |name: &str| {
                map.iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            };
            if let Some(secret) = member("SecretValue") {
                return match secret {
                    Value::Null => Ok(Given::Nothing),
                    Value::String(text) if text == MASK => Ok(Given::Nothing),
                    Value::String(text) => Ok(Given::Secret(text.clone())),
                    _ => Err("SecretValue has to be a text.".into()),
                };
            }
            // Masked, as it was read. This comes before providers: the masked form names one too.
            if member("HasValue").is_some() || member("SecretTypeGuid").is_some() {
                return Ok(Given::Nothing);
            }
            if member("Provider").is_some_and(|provider| !provider.is_null() && *provider != 0) {
                return Err("this server has no secret providers; give SecretValue.".into());
            }
            match member("value") {
                Some(inner) => given(inner.clone()),
                None if map.is_empty() => Ok(Given::Nothing),
                None => Err("an object has to hold value or SecretValue.".into()),
            }
        }
    }
}

/// What the type requires and the store does not give. A property that depends on another counts only while that is on.
fn missing(kind: &Definition, found: &Properties) -> Vec<String> {
    let required = kind
        .properties
        .iter()
        .filter(|property| property.required && counts(kind, found, property, 0));
    required
        .filter(|property| text(found, &property.name).is_none_or(|text| text.trim().is_empty()))
        .map(|property| format!("Properties.{}: a value is required.", property.name))
        .collect()
}

fn text<'a>(found: &'a Properties, name: &str) -> Option<&'a str> {
    found
        .secrets
        .get(name)
        .map(String::as_str)
        .or_else(|| found.open.get(name).and_then(Value::as_str))
}

fn counts(kind: &Definition, found: &Properties, property: &Property, depth: u8) -> bool {
    if property.depends_on.is_empty() || depth > 8 {
        return true;
    }
    let Some(other) = kind.property(&property.depends_on) else {
        return true;
    };
    let value = text(found, &other.name).unwrap_or_else(|| other.default_text());
    let on = match other.kind {
        FieldType::Bool => boolean(value) == Some(true),
        _ => !value.trim().is_empty(),
    };
    on && counts(kind, found, other, depth + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind() -> Definition {
        let property = |name: &str, kind, required, depends_on: &str, default: &str| Property {
            name: name.into(),
            kind,
            required,
            depends_on: depends_on.into(),
            default_value: Some(default.into()),
            ..Property::default()
        };
        Definition {
            properties: vec![
                property("Mode", FieldType::MultipleChoice, true, "", "fast,safe"),
                property("UseToken", FieldType::Bool, false, "", "false"),
                property("Token", FieldType::Secret, true, "UseToken", ""),
            ],
            ..Definition::default()
        }
    }

    fn check(
        value: Value,
        kept: &[(&str, &str)],
    ) -> Result<(Value, BTreeMap<String, String>), Vec<String>> {
        let kept = kept
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        PropertiesInput(value)
            .check(&kind(), &kept)
            .map(|found| (Value::Object(found.open), found.secrets))
    }

    #[test]
    fn every_form_of_a_value() {
        let secrets = BTreeMap::from([("Token".to_owned(), "t".to_owned())]);
        for value in [
            json!({"mode": "safe", "UseToken": true, "Token": "t"}),
            json!({"Mode": {"value": "safe"}, "UseToken": {"value": "true"}, "Token": {"value": "t"}}),
            json!({"Mode": "safe", "UseToken": "true", "Token": {"value": {"SecretValue": "t"}}}),
            json!(r#"{"Mode":"safe","UseToken":"true","Token":{"SecretValue":"t"}}"#),
        ] {
            let (open, sealed) = check(value, &[]).unwrap();
            assert_eq!(
                open,
                json!({"Mode": "safe", "UseToken": "true", "Token": null})
            );
            assert_eq!(sealed, secrets);
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(
            check(json!({}), &[]).unwrap_err(),
            ["Properties.Mode: a value is required."]
        );
        let wrong = check(json!({"Mode": "slow", "UseToken": "yes", "x": []}), &[]).unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        let wrong = check(json!({"Mode": "safe", "UseToken": "true"}), &[]).unwrap_err();
        assert_eq!(wrong, ["Properties.Token: a value is required."]);
        let wrong = check(
            json!({"Mode": "safe", "Token": {"value": {"Provider": 3}}}),
            &[],
        )
        .unwrap_err();
        assert!(wrong[0].contains("no secret providers"), "{wrong:?}");
        assert!(check(json!("[1]"), &[]).is_err());
    }

    #[test]
    fn secrets_stay_until_they_are_replaced_or_emptied() {
        let kept = [("Token", "old")];
        let masked =
            json!({"Value": MASK, "HasValue": true, "ProviderId": null, "SecretTypeGuid": "…"});
        for value in [
            json!(null),
            masked,
            json!(MASK),
            json!({"value": {"SecretValue": null}}),
        ] {
            let (open, sealed) = check(json!({"Mode": "safe", "Token": value}), &kept).unwrap();
            assert_eq!(open["Token"], Value::Null);
            assert_eq!(sealed["Token"], "old");
        }
        let (_, sealed) = check(json!({"Mode": "safe", "Token": "new"}), &kept).unwrap();
        assert_eq!(sealed["Token"], "new");
        let (open, sealed) = check(json!({"Mode": "safe", "Token": ""}), &kept).unwrap();
        assert_eq!((open.get("Token"), sealed.len()), (None, 0));
    }

    #[test]
    fn unknown_names_are_kept_and_credentials_are_secret() {
        let (open, sealed) = check(
            json!({"Mode": "safe", "Extra": 5, "serverPassword": "p"}),
            &[],
        )
        .unwrap();
        assert_eq!(
            open,
            json!({"Mode": "safe", "Extra": "5", "ServerPassword": null})
        );
        assert_eq!(sealed["ServerPassword"], "p");
    }
}
