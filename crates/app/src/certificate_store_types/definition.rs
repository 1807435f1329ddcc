//! What a store type says: the contract's parts of it, as they are sent, stored and read back.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// An enumeration of the contract: read as name or number, in any case, and written as its name, as 25.x servers do.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $number:literal),+ $(,)? }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        $(#[$meta])*
        pub(crate) enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            const ALL: &'static [(Self, &'static str, i32)] = &[$((Self::$variant, stringify!($variant), $number)),+];
        }

        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0].0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let wanted = text.trim();
                let found = Self::ALL
                    .iter()
                    .find(|(_, name, number)| name.eq_ignore_ascii_case(wanted) || wanted.parse() == Ok(*number));
                found.map(|(one, ..)| *one).ok_or_else(|| {
                    let all: Vec<String> = Self::ALL.iter().map(|(_, name, number)| format!("{name} ({number})")).collect();
                    serde::de::Error::custom(format!("{text:?} is none of {}", all.join(", ")))
                })
            }
        }
    };
}

named! {
    /// Whether a thing may or must be given.
    #[schema(as = CertStoreTypeAllowed)]
    Allowed {
        /// It must not.
        Forbidden = 0,
        /// It may.
        Optional = 1,
        /// It must.
        Required = 2,
    }
}

impl Allowed {
    /// The contract's number.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Forbidden => 0,
            Self::Optional => 1,
            Self::Required => 2,
        }
    }

    /// The member of this number; `Forbidden` when there is none.
    pub(crate) fn of(number: i32) -> Self {
        match number {
            1 => Self::Optional,
            2 => Self::Required,
            _ => Self::Forbidden,
        }
    }
}

named! {
    /// What the value of a property or an entry parameter is.
    #[schema(as = CertStoreTypeFieldType)]
    FieldType {
        /// Any text.
        String = 0,
        /// `true` or `false`.
        Bool = 1,
        /// One of some options.
        MultipleChoice = 2,
        /// Text that is sealed and never shown.
        Secret = 3,
    }
}

named! {
    /// Who makes an entry's password.
    #[schema(as = CertStoreTypePasswordStyle)]
    PasswordStyle {
        /// The server.
        Default = 0,
        /// The user.
        Custom = 1,
    }
}

named! {
    /// The form in which a certificate is handed to the agent.
    #[schema(as = CertStoreTypeCertificateFormat)]
    CertificateFormat {
        /// PKCS#12.
        Pfx = 0,
        /// PEM.
        Pem = 1,
    }
}

/// `null` and absence are the default.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A number; texts that are none count as nothing, since the reference gives these enumerations no names.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.trim().parse().ok()))
}

/// This one enumeration stays a number in answers: the reference names its members only by it.
pub(super) fn as_number<S: Serializer>(
    format: &CertificateFormat,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_i32(match format {
        CertificateFormat::Pfx => 0,
        CertificateFormat::Pem => 1,
    })
}

/// Which jobs stores of a type can have; inventory is always one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertStoreTypeSupportedOperations)]
pub(crate) struct SupportedOperations {
    /// Certificates can be added.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) add: bool,
    /// Stores can be made where there are none.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) create: bool,
    /// Stores can be found.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) discovery: bool,
    /// Keys can be made on the device.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) enrollment: bool,
    /// Certificates can be removed.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) remove: bool,
}

impl SupportedOperations {
    /// Whether there are management jobs.
    pub(crate) fn management(self) -> bool {
        self.add || self.create || self.remove
    }
}

/// When a property is validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreTypePropertyValidation)]
pub(crate) struct PropertyValidation {
    /// On creation.
    #[serde(default, deserialize_with = "number")]
    pub(crate) on_creation: Option<i32>,
}

/// A custom field of the stores of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreTypeProperty)]
pub(crate) struct Property {
    /// Its place in the type, from 1; assigned by the server.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) id: i32,
    /// The type's id; assigned by the server.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) store_type_id: i64,
    /// The name by which stores give it.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) name: String,
    /// For people; the name unless told.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) display_name: String,
    /// What its value is.
    #[serde(default, rename = "Type", deserialize_with = "or_default")]
    pub(crate) kind: FieldType,
    /// The other property that has to be on for this one to count; empty for none.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) depends_on: String,
    /// Its value when none is given; of a MultipleChoice the comma list of options, of which the first is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_value: Option<String>,
    /// Whether a store must give it.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) required: bool,
    /// When it is validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validation_options: Option<PropertyValidation>,
}

/// The options of a comma list, each trimmed; an empty one counts.
fn options(list: &str) -> Vec<&str> {
    if list.trim().is_empty() {
        Vec::new()
    } else {
        list.split(',').map(str::trim).collect()
    }
}

/// Whether `text` is a boolean as clients write it.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Why `text` is no value of the kind; `choices` are those of a MultipleChoice, and none mean that anything goes.
fn wrong_value(kind: FieldType, choices: &str, text: &str) -> Option<String> {
    match kind {
        FieldType::Bool if boolean(text).is_none() => {
            Some(format!("{text:?} is neither true nor false"))
        }
        FieldType::MultipleChoice => {
            let options = options(choices);
            let known = options.is_empty()
                || options
                    .iter()
                    .any(|option| option.eq_ignore_ascii_case(text.trim()));
            (!known).then(|| format!("{text:?} is none of {}", options.join(", ")))
        }
        _ => None,
    }
}

impl Property {
    /// The value of a store that gives none.
    pub(crate) fn default_text(&self) -> &str {
        let text = self.default_value.as_deref().unwrap_or_default();
        match self.kind {
            FieldType::MultipleChoice => options(text).first().copied().unwrap_or_default(),
            FieldType::Secret => "",
            _ => text,
        }
    }

    /// Why `text` is no value of this property.
    pub(crate) fn wrong(&self, text: &str) -> Option<String> {
        wrong_value(
            self.kind,
            self.default_value.as_deref().unwrap_or_default(),
            text,
        )
    }
}

/// When an entry parameter must be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertStoreTypeRequiredWhen)]
pub(crate) struct RequiredWhen {
    /// When a certificate is added with its private key.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) has_private_key: bool,
    /// When a certificate is added.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) on_add: bool,
    /// When a certificate is removed.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) on_remove: bool,
    /// When a key is made on the device.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) on_reenrollment: bool,
}

/// When an entry parameter is validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreTypesEntryParameterValidation)]
pub(crate) struct EntryParameterValidation {
    /// With a private key.
    #[serde(default, deserialize_with = "number")]
    pub(crate) has_private_key: Option<i32>,
    /// On add.
    #[serde(default, deserialize_with = "number")]
    pub(crate) on_add: Option<i32>,
    /// On remove.
    #[serde(default, deserialize_with = "number")]
    pub(crate) on_remove: Option<i32>,
    /// On key generation on the device.
    #[serde(default, rename = "OnODKG", deserialize_with = "number")]
    pub(crate) on_odkg: Option<i32>,
}

/// A custom field of one certificate in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreTypeEntryParameter)]
pub(crate) struct EntryParameter {
    /// Its place in the type, from 1; assigned by the server.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) id: i32,
    /// The type's id; assigned by the server.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) store_type_id: i64,
    /// The name by which jobs give it.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) name: String,
    /// For people; the name unless told.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) display_name: String,
    /// What its value is.
    #[serde(default, rename = "Type", deserialize_with = "or_default")]
    pub(crate) kind: FieldType,
    /// When it must be given.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) required_when: RequiredWhen,
    /// When it is validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validation_options: Option<EntryParameterValidation>,
    /// The other parameter that has to be given for this one to count; empty for none.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) depends_on: String,
    /// Its value when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_value: Option<String>,
    /// Comma list of the options of a MultipleChoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<String>,
}

impl EntryParameter {
    /// Why `text` is no value of this parameter.
    pub(crate) fn wrong(&self, text: &str) -> Option<String> {
        wrong_value(self.kind, self.options.as_deref().unwrap_or_default(), text)
    }
}

/// The passwords of stores and entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertStoreTypePasswordOptions)]
pub(crate) struct PasswordOptions {
    /// Entries can have passwords.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) entry_supported: bool,
    /// Stores must have one.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) store_required: bool,
    /// Who makes them.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) style: PasswordStyle,
}

/// What the store path of a store of this type may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StorePaths {
    /// Anything.
    Any,
    /// One of these.
    OneOf(Vec<String>),
}

/// The part of a store type that is stored as one JSON object; the columns beside it are what lists and jobs ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Definition {
    pub(crate) supported_operations: SupportedOperations,
    pub(crate) properties: Vec<Property>,
    pub(crate) entry_parameters: Vec<EntryParameter>,
    pub(crate) password_options: PasswordOptions,
    pub(crate) store_path_type: String,
    pub(crate) store_path_value: String,
    pub(crate) certificate_format: CertificateFormat,
    pub(crate) local_store: bool,
    pub(crate) server_required: bool,
    pub(crate) power_shell: bool,
    pub(crate) blueprint_allowed: bool,
    pub(crate) server_registration: Option<i64>,
    pub(crate) inventory_endpoint: String,
    pub(crate) job_properties: Vec<String>,
}

impl Definition {
    /// The definition of a stored type.
    ///
    /// # Errors
    /// An internal one: what is stored is ours.
    pub(crate) fn of(row: &db::tables::store_types::Model) -> Result<Self, crate::error::Error> {
        // The lenient reader, since the parts read numbers as text.
        crate::web::lenient::parse(row.definition.as_bytes())
            .and_then(crate::web::lenient::from_value)
            .map_err(crate::error::Error::internal)
    }

    /// What the path of a store may be. Three published definitions hold a list of choices without saying so.
    pub(crate) fn store_paths(&self) -> StorePaths {
        let value = self.store_path_value.trim();
        let list: Option<Vec<String>> = serde_json::from_str(value).ok();
        match (self.store_path_type.to_ascii_lowercase().as_str(), list) {
            ("freeform", _) => StorePaths::Any,
            (_, Some(choices)) if !choices.is_empty() => StorePaths::OneOf(choices),
            ("fixed", _) if !value.is_empty() => StorePaths::OneOf(vec![value.to_owned()]),
            _ => StorePaths::Any,
        }
    }

    /// The property of this name, whatever its case.
    pub(crate) fn property(&self, name: &str) -> Option<&Property> {
        self.properties
            .iter()
            .find(|property| property.name.eq_ignore_ascii_case(name.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enumerations_are_read_as_name_or_number_and_written_as_name() {
        for text in ["\"Required\"", "\"required\"", "2", "\"2\""] {
            let value = crate::web::lenient::parse(text.as_bytes()).unwrap();
            let read: Allowed = crate::web::lenient::from_value(value).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), "Required");
        }
        let value = crate::web::lenient::parse(b"7").unwrap();
        let refused = crate::web::lenient::from_value::<Allowed>(value).unwrap_err();
        assert!(
            refused.contains("Forbidden (0), Optional (1), Required (2)"),
            "{refused}"
        );
    }

    #[test]
    fn the_default_of_a_choice_is_its_first_option() {
        let property = Property {
            kind: FieldType::MultipleChoice,
            default_value: Some(",SCP,SFTP,Both".into()),
            ..Property::default()
        };
        assert_eq!(property.default_text(), "");
        assert_eq!(property.wrong("sftp"), None);
        assert_eq!(property.wrong(""), None);
        assert!(property.wrong("FTP").is_some());
    }

    #[test]
    fn store_paths_are_derived() {
        let of = |kind: &str, value: &str| {
            let definition = Definition {
                store_path_type: kind.into(),
                store_path_value: value.into(),
                ..Definition::default()
            };
            definition.store_paths()
        };
        assert_eq!(
            of("", "[\"My\",\"WebHosting\"]"),
            StorePaths::OneOf(vec!["My".into(), "WebHosting".into()])
        );
        assert_eq!(of("Fixed", "/"), StorePaths::OneOf(vec!["/".into()]));
        assert_eq!(of("", ""), StorePaths::Any);
        assert_eq!(of("Freeform", "/"), StorePaths::Any);
    }
}
