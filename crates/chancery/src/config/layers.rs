//! From file, environment and flags to one text per setting, each with its origin.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use toml::de::{DeTable, DeValue};

use super::{ConfigError, Given, Origin, invalid};
use crate::settings::{self, Kind, SETTINGS, Setting};

/// The texts of a setting (several only for a list), and who said so.
type Value = (Vec<String>, Origin);

/// Values by setting name, the strongest source of each.
pub(super) struct Layers {
    values: BTreeMap<&'static str, Value>,
    pub(super) unknown_variables: Vec<String>,
}

impl Layers {
    pub(super) fn collect(given: &Given) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        let variable = |name: &str| {
            given
                .environment
                .get(name)
                .filter(|v| !v.is_empty())
                .cloned()
        };

        let file = match given.flags.get("config").and_then(|paths| paths.last()) {
            Some(path) => Some((path.clone(), Origin::Flag("--config".into()))),
            None => variable(settings::CONFIG_FILE_VARIABLE).map(|path| {
                (
                    path,
                    Origin::Variable(settings::CONFIG_FILE_VARIABLE.into()),
                )
            }),
        };
        if let Some((path, origin)) = file {
            values.extend(read_file(Path::new(&path), origin)?);
        }
        values.extend(stronger(|setting, companion| {
            let name = setting.variable() + if companion { "_FILE" } else { "" };
            Some((vec![variable(&name)?], Origin::Variable(name)))
        })?);
        values.extend(stronger(|setting, companion| {
            let name = setting.name.to_owned() + if companion { "_file" } else { "" };
            let values = given.flags.get(&name)?.clone();
            Some((
                values,
                Origin::Flag(format!("--{}", name.replace('_', "-"))),
            ))
        })?);

        let unknown_variables = given
            .environment
            .keys()
            .filter(|name| *name != settings::CONFIG_FILE_VARIABLE)
            .filter(|name| {
                let rest = name.strip_prefix("CHANCERY_").map(str::to_lowercase);
                rest.is_some_and(|name| settings::named(&name).is_none())
            })
            .cloned()
            .collect();
        Ok(Self {
            values,
            unknown_variables,
        })
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<(Vec<String>, Origin)>, ConfigError> {
        let Some((values, origin)) = self.values.get(name) else {
            return Ok(None);
        };
        let members: Vec<String> = values
            .iter()
            .flat_map(|value| value.split(','))
            .map(|member| member.trim().to_owned())
            .filter(|member| !member.is_empty())
            .collect();
        if members.is_empty() {
            return Err(invalid(origin.clone(), "needs at least one member"));
        }
        Ok(Some((members, origin.clone())))
    }

    pub(super) fn checked_list(
        &self,
        name: &'static str,
        default: &str,
        check: fn(&str) -> Result<String, String>,
    ) -> Result<(Vec<String>, Origin), ConfigError> {
        let (members, origin) = match self.list(name)? {
            Some(given) => given,
            None => (
                default.split(',').map(str::to_owned).collect(),
                Origin::Default(name),
            ),
        };
        let members: Result<Vec<_>, _> = members.iter().map(|member| check(member)).collect();
        match members {
            Ok(members) => Ok((members, origin)),
            Err(problem) => Err(invalid(origin, &problem)),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<(String, Origin)>, ConfigError> {
        let Some((values, origin)) = self.values.get(name) else {
            return Ok(None);
        };
        let value = values.last().map(|value| value.trim()).unwrap_or_default();
        if value.is_empty() {
            return Err(invalid(origin.clone(), "is empty"));
        }
        if let Some((
            Setting {
                kind: Kind::Choice(words),
                ..
            },
            _,
        )) = settings::named(name)
            && !words.contains(&value)
        {
            let problem = format!("`{value}` is none of {}", words.join(", "));
            return Err(invalid(origin.clone(), &problem));
        }
        Ok(Some((value.to_owned(), origin.clone())))
    }

    pub(super) fn path(&self, name: &str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.text(name)?.map(|(path, _)| path.into()))
    }

    pub(super) fn number<N: FromStr + Default + PartialEq>(
        &self,
        name: &'static str,
    ) -> Result<N, ConfigError> {
        let (text, origin) = match self.text(name)? {
            Some(given) => given,
            None => {
                let default = settings::named(name).map(|(setting, _)| setting.default);
                (
                    default.unwrap_or_default().to_owned(),
                    Origin::Default(name),
                )
            }
        };
        match text.parse::<N>() {
            Ok(number) if number != N::default() => Ok(number),
            _ => Err(invalid(
                origin,
                &format!("`{text}` is not a whole number from 1 up"),
            )),
        }
    }

    pub(super) fn seconds(&self, name: &'static str) -> Result<Duration, ConfigError> {
        // 32 bits, so that adding it to an instant cannot overflow.
        self.number::<u32>(name)
            .map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// The values of one source above the file, secrets in files read.
fn stronger(
    find: impl Fn(&Setting, bool) -> Option<Value>,
) -> Result<BTreeMap<&'static str, Value>, ConfigError> {
    let mut found = BTreeMap::new();
    for setting in SETTINGS {
        let value = find(setting, false);
        let file = if setting.has_file_companion() {
            find(setting, true)
        } else {
            None
        };
        match (value, file) {
            (Some(_), Some((_, origin))) => {
                return Err(invalid(
                    origin,
                    &format!("{} is set as well; one is enough", setting.name),
                ));
            }
            (Some(value), None) => {
                found.insert(setting.name, value);
            }
            (None, Some((paths, origin))) => {
                let path = PathBuf::from(paths.last().cloned().unwrap_or_default());
                found.insert(setting.name, (vec![secret_from(&path, &origin)?], origin));
            }
            (None, None) => {}
        }
    }
    Ok(found)
}

fn read_file(path: &Path, origin: Origin) -> Result<BTreeMap<&'static str, Value>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        origin,
        path: path.into(),
        source,
    })?;
    let table = DeTable::parse(&text).map_err(|error| ConfigError::NotToml {
        path: path.into(),
        message: error.to_string().trim_end().to_owned(),
    })?;

    let folder = path.parent().unwrap_or(Path::new(""));
    let mut found = BTreeMap::new();
    for (key, value) in table.get_ref() {
        let line = text[..key.span().start].matches('\n').count() + 1;
        let name = key.get_ref().as_ref();
        let Some((setting, companion)) = settings::named(name) else {
            return Err(ConfigError::UnknownKey {
                path: path.into(),
                line,
                key: name.into(),
            });
        };
        let origin = Origin::File {
            path: path.into(),
            line,
            key: name.into(),
        };
        let mut values = texts_of(value.get_ref(), setting, &origin)?;
        if companion || setting.kind == Kind::Path {
            for value in &mut values {
                *value = folder.join(&*value).display().to_string();
            }
        }
        if companion {
            let file = PathBuf::from(values.pop().unwrap_or_default());
            values = vec![secret_from(&file, &origin)?];
        }
        if found.contains_key(setting.name) {
            let problem = format!("{0} and {0}_file are both set; one is enough", setting.name);
            return Err(invalid(origin, &problem));
        }
        found.insert(setting.name, (values, origin));
    }
    Ok(found)
}

fn texts_of(
    value: &DeValue<'_>,
    setting: &Setting,
    origin: &Origin,
) -> Result<Vec<String>, ConfigError> {
    match (value, setting.kind) {
        (DeValue::Integer(number), Kind::Number) if number.radix() == 10 => {
            Ok(vec![number.as_str().to_owned()])
        }
        (DeValue::String(text), kind) if kind != Kind::Number => Ok(vec![text.to_string()]),
        (DeValue::Array(members), Kind::List) => members
            .iter()
            .map(|member| member.get_ref().as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| invalid(origin.clone(), "every member must be a string")),
        (_, kind) => {
            let wanted = match kind {
                Kind::Number => "a decimal integer",
                Kind::List => "a string or an array of strings",
                _ => "a string",
            };
            Err(invalid(
                origin.clone(),
                &format!("must be {wanted}, not {}", value.type_str()),
            ))
        }
    }
}

fn secret_from(path: &Path, origin: &Origin) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        origin: origin.clone(),
        path: path.into(),
        source,
    })?;
    Ok(text.trim().to_owned())
}

/// A hint at the setting that was probably meant: the one that shares the longest beginning, if it is a long one.
pub(super) fn suggestion(key: &str) -> String {
    let key = key.to_lowercase().replace('-', "_");
    let shared = |name: &str| {
        key.chars()
            .zip(name.chars())
            .take_while(|(a, b)| a == b)
            .count()
    };
    SETTINGS
        .iter()
        .max_by_key(|setting| shared(setting.name))
        .filter(|setting| shared(setting.name) >= 3)
        .map(|setting| format!("; did you mean `{}`?", setting.name))
        .unwrap_or_default()
}
