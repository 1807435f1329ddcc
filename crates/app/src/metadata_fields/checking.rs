//! Values that somebody gives, checked against the fields they are of.

use std::collections::HashMap;
use std::sync::Arc;

use db::tables::metadata_fields::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde_json::{Map, Value};

use super::value::{fits, is_blank};
use super::writing::{HIDDEN, REQUIRED};
use crate::cx::Cx;
use crate::error::Error;
use crate::remembered::Remembered;

/// Metadata fields in one request at most.
pub(crate) const FIELDS_MAX: usize = 200;
/// Octets of a value at most.
pub(crate) const VALUE_MAX: usize = 64 * 1024;

/// All definitions, for enrollments.
#[derive(Default)]
pub(crate) struct Fields(Remembered<(), Arc<Vec<Model>>>);

/// A request's `Metadata` as texts: clients send numbers and booleans too. Null is a blank value, which means none.
///
/// # Errors
/// 400 naming the field whose value is no scalar or too long, and a field that is given twice.
pub(crate) fn given(given: Option<Map<String, Value>>) -> Result<Vec<(String, String)>, Error> {
    let mut values: Vec<(String, String)> = Vec::new();
    for (name, value) in given.unwrap_or_default() {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text,
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(Error::bad_request(format!(
                    "Metadata.{name}: the value has to be text, a number or a boolean."
                )));
            }
        };
        values.push((name.trim().to_owned(), text));
    }
    Ok(values)
}

/// Checks values against their fields, in one query. Answers them under the names of the fields as they are defined, in the order
/// given. A blank value stays in the answer: it clears the field.
///
/// # Errors
/// 400 naming each field that does not exist or is given twice, and each value that does not fit its field.
pub(crate) async fn check(
    connection: &impl ConnectionTrait,
    given: &[(String, String)],
) -> Result<Vec<(String, String)>, Error> {
    let known = named(connection, given.iter().map(|(name, _)| name)).await?;
    checked(&known, given)
}

/// [`check`] inside a write: until its end, nobody changes or deletes these fields.
///
/// # Errors
/// As there.
pub(crate) async fn check_in(
    tx: &db::Tx,
    given: &[(String, String)],
) -> Result<Vec<(String, String)>, Error> {
    let names: Vec<&String> = given
        .iter()
        .map(|(name, _)| name)
        .take(FIELDS_MAX)
        .collect();
    checked(&locked(tx, names).await?, given)
}

/// The values that each of several enrollments gives, checked again inside the write of them all: between [`at_enrollment`] and it,
/// days may lie. Those that a renewal keeps (`true`) were let in once, and stay as long as there is their field.
///
/// # Errors
/// As [`check`].
pub(crate) async fn enrolled_in(
    tx: &db::Tx,
    all: &[(&[(String, String)], bool)],
) -> Result<Vec<Vec<(String, String)>>, Error> {
    let mut names = Vec::new();
    for (values, _) in all {
        names.extend(values.iter().map(|(name, _)| name));
    }
    let known = locked(tx, names).await?;
    let is_known = |name: &str| known.iter().any(|field| field.name_fold == db::fold(name));
    all.iter()
        .map(|(values, kept)| match kept {
            false => checked(&known, values),
            true => {
                let there = values.iter().filter(|(name, _)| is_known(name));
                Ok(there.cloned().collect())
            }
        })
        .collect()
}

/// The fields with these names, which nobody changes or deletes until the end of the write.
async fn locked(tx: &db::Tx, names: Vec<&String>) -> Result<Vec<Model>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    Ok(by_name(names.into_iter()).lock_shared().all(tx).await?)
}

/// The fields with these names.
///
/// # Errors
/// Those of the database.
pub(crate) async fn named(
    connection: &impl ConnectionTrait,
    names: impl ExactSizeIterator<Item = &String>,
) -> Result<Vec<Model>, Error> {
    if names.len() == 0 {
        return Ok(Vec::new());
    }
    Ok(by_name(names.take(FIELDS_MAX)).all(connection).await?)
}

fn by_name<'a>(names: impl Iterator<Item = &'a String>) -> Select<Entity> {
    let names = names.map(|name| db::fold(name));
    Entity::find()
        .filter(Column::NameFold.is_in(names))
        .order_by_asc(Column::Id)
}

/// Checks what an enrollment gives, and adds the default values of required and hidden fields that it leaves out. Blank values count
/// as left out.
///
/// # Errors
/// As [`check`], and 400 naming each required field that has no value.
pub(crate) async fn at_enrollment(
    cx: &Cx,
    metadata: Option<Map<String, Value>>,
) -> Result<Vec<(String, String)>, Error> {
    let given = given(metadata)?;
    let query = async || {
        let rows = Entity::find().order_by_asc(Column::Id);
        Ok(Some(Arc::new(rows.all(cx.db().read()).await?)))
    };
    let fields = cx.app().metadata_fields.0.find(cx, (), query).await?;
    let fields = fields.unwrap_or_default();
    let mut values = checked(&fields, &given)?;
    values.retain(|(_, value)| !is_blank(value));
    let mut missing = Vec::new();
    for field in fields.iter() {
        let left_out = !values.iter().any(|(name, _)| *name == field.name);
        if !left_out || ![REQUIRED, HIDDEN].contains(&field.enrollment) {
            continue;
        }
        match field
            .default_value
            .as_ref()
            .filter(|value| !is_blank(value))
        {
            Some(default) => values.push((field.name.clone(), default.clone())),
            None if field.enrollment == REQUIRED => {
                missing.push(format!("Metadata.{}: a value is required.", field.name));
            }
            None => {}
        }
    }
    refused(missing).map(|()| values)
}

fn checked(known: &[Model], given: &[(String, String)]) -> Result<Vec<(String, String)>, Error> {
    if given.len() > FIELDS_MAX {
        return Err(Error::bad_request(format!(
            "Metadata: there are more than {FIELDS_MAX} fields."
        )));
    }
    let known: HashMap<&str, &Model> = known
        .iter()
        .map(|field| (field.name_fold.as_str(), field))
        .collect();
    let mut values: Vec<(String, String)> = Vec::with_capacity(given.len());
    let mut wrong = Vec::new();
    for (name, value) in given {
        let shown: String = name.chars().take(100).collect();
        let Some(field) = known.get(db::fold(name).as_str()) else {
            wrong.push(format!(
                "Metadata.{shown}: there is no metadata field of this name."
            ));
            continue;
        };
        let name = &field.name;
        if values.iter().any(|(other, _)| other == name) {
            wrong.push(format!("Metadata.{name}: the field is given twice."));
        } else if value.len() > VALUE_MAX {
            wrong.push(format!("Metadata.{name}: longer than {VALUE_MAX} octets."));
        } else if let Err(reason) = fits(field, value) {
            wrong.push(format!("Metadata.{name}: {reason}."));
        } else {
            values.push((name.clone(), value.clone()));
        }
    }
    refused(wrong).map(|()| values)
}

fn refused(mut wrong: Vec<String>) -> Result<(), Error> {
    match wrong.len() {
        0 => Ok(()),
        1 => Err(Error::bad_request(wrong.remove(0))),
        count => Err(Error::bad_parts(
            format!("Metadata: {count} values are refused, {}", wrong[0]),
            wrong,
        )),
    }
}
