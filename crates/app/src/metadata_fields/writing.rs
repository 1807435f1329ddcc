//! Creating, replacing and deleting fields.

use db::tables::certificate_metadata;
use db::tables::metadata_fields::{ActiveModel, Column, Entity, Model};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde_json::{Value, json};

use super::reading::is_used;
use super::value::{Kind, expression, fits, kind, options};
use super::wire::{FieldOutput, FieldRequest, Forced};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::past;
use crate::security::{self, Permission};
use crate::web::{Body, Json, NoContent, PathId, Query};

/// `Enrollment`: an enrollment has to give a value.
pub(super) const REQUIRED: i32 = 1;
/// `Enrollment`: not on the forms.
pub(super) const HIDDEN: i32 = 2;

/// Characters of a name at most: with the beginning of a value it has to fit into an index.
const NAME_MAX: usize = 100;
/// Characters of every other text at most.
const TEXT_MAX: usize = 4_000;
/// Characters of the options together at most.
const OPTIONS_MAX: usize = 20_000;
/// Fields that are deleted in one request at most.
const DELETED_MAX: usize = 1_000;

/// Creates a metadata field.
#[utoipa::path(post, path = "/MetadataFields", tag = "MetadataField", request_body = FieldRequest, responses((status = 200, body = FieldOutput, description = "The new field")), extensions(("x-permissions" = json!(["/metadata/types/modify/"]))))]
pub(super) async fn create(
    cx: Cx,
    Body(request): Body<FieldRequest>,
) -> Result<Json<FieldOutput>, Error> {
    cx.authorize(Permission::MetadataTypesModify)?;
    let order = request.display_order;
    let wanted = definition(request, None)?;
    let writer = cx.clone();
    let work = cx.db().write("metadata_fields.create", move |tx| {
        let (cx, mut wanted) = (writer, wanted);
        Box::pin(async move {
            name_is_free(tx, &wanted).await?;
            if order.is_none() {
                wanted.display_order = after_the_last(tx).await?;
            }
            let mut active = wanted.into_active_model().reset_all();
            active.id = ActiveValue::NotSet;
            let row = active.insert(tx).await?;
            security::changed(tx).await?;
            let entry = entry(Operation::Created, &row, "created").after(audited(&row));
            audit::record(tx, &cx, entry).await?;
            Ok::<_, Error>(row)
        })
    });
    Ok(Json(work.await?.into()))
}

/// Replaces a metadata field: members left out are cleared, but for the order. Name and type stay once certificates have values.
#[utoipa::path(put, path = "/MetadataFields", tag = "MetadataField", request_body = FieldRequest, responses((status = 200, body = FieldOutput, description = "The field as it is now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such field")), extensions(("x-permissions" = json!(["/metadata/types/modify/"]))))]
pub(super) async fn replace(
    cx: Cx,
    Body(request): Body<FieldRequest>,
) -> Result<Json<FieldOutput>, Error> {
    cx.authorize(Permission::MetadataTypesModify)?;
    let id = request.id.filter(|id| *id != 0);
    let id = id.ok_or_else(|| Error::bad_request("Id: a value is required."))?;
    let writer = cx.clone();
    let work = cx.db().write("metadata_fields.replace", move |tx| {
        let (cx, request) = (writer, request);
        Box::pin(async move {
            let before = locked(tx, id).await?;
            let mut row = definition(request, Some(&before))?;
            name_is_free(tx, &row).await?;
            if is_used(tx, &before).await? {
                if row.name_fold != before.name_fold {
                    return Err(Error::bad_request(format!(
                        "Name: certificates have values of {}, so that its name cannot change.",
                        before.name
                    )));
                }
                if row.data_type != before.data_type {
                    return Err(Error::bad_request(format!(
                        "DataType: certificates have values of {}, so that its type cannot change.",
                        before.name
                    )));
                }
                row.name.clone_from(&before.name);
            }
            let active: ActiveModel = row.clone().into();
            active.reset_all().update(tx).await?;
            security::changed(tx).await?;
            let entry = entry(Operation::Updated, &row, "changed");
            let entry = entry.before(audited(&before)).after(audited(&row));
            audit::record(tx, &cx, entry).await?;
            Ok::<_, Error>(row)
        })
    });
    Ok(Json(work.await?.into()))
}

/// Deletes a metadata field; with `force` also one that certificates have values of, and these.
#[utoipa::path(delete, path = "/MetadataFields/{id}", tag = "MetadataField", params(("id" = i32, Path, description = "Its id"), Forced), responses((status = 204, description = "It is gone"), (status = 409, body = crate::error::ErrorBody, description = "It is in use")), extensions(("x-permissions" = json!(["/metadata/types/modify/"]))))]
pub(super) async fn delete(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(forced): Query<Forced>,
) -> Result<NoContent, Error> {
    delete_fields(&cx, vec![id], forced.force.unwrap_or_default()).await?;
    Ok(NoContent)
}

/// Deletes several metadata fields, or none of them when one cannot be.
#[utoipa::path(delete, path = "/MetadataFields", tag = "MetadataField", params(Forced), request_body = Vec<i32>, responses((status = 204, description = "They are gone"), (status = 404, body = crate::error::ErrorBody, description = "One id, and there is no such field"), (status = 409, body = crate::error::ErrorBody, description = "One id, and its field is in use"), (status = 400, body = crate::error::ErrorBody, description = "Of several, which cannot be deleted and why")), extensions(("x-permissions" = json!(["/metadata/types/modify/"]))))]
pub(super) async fn delete_several(
    cx: Cx,
    Query(forced): Query<Forced>,
    Body(ids): Body<Vec<i64>>,
) -> Result<NoContent, Error> {
    delete_fields(&cx, ids, forced.force.unwrap_or_default()).await?;
    Ok(NoContent)
}

async fn delete_fields(cx: &Cx, mut ids: Vec<i64>, force: bool) -> Result<(), Error> {
    cx.authorize(Permission::MetadataTypesModify)?;
    if ids.len() > DELETED_MAX {
        return Err(Error::bad_request(format!(
            "Body: more than {DELETED_MAX} ids."
        )));
    }
    ids.sort_unstable();
    ids.dedup();
    let writer = cx.clone();
    cx.db()
        .write("metadata_fields.delete", move |tx| {
            Box::pin(async move {
                let single = ids.len() == 1;
                let mut failed = Vec::new();
                for id in ids {
                    match delete_field(tx, &writer, id, force).await {
                        Ok(()) => {}
                        Err(error) if single || error.status().0.is_server_error() => {
                            return Err(error);
                        }
                        Err(error) => failed.push(error.message().to_owned()),
                    }
                }
                if failed.is_empty() {
                    // After all fields: everybody takes them before the generation.
                    security::changed(tx).await?;
                    return Ok::<_, Error>(());
                }
                // The whole write is undone.
                Err(Error::bad_parts("No metadata field was deleted.", failed))
            })
        })
        .await
}

async fn delete_field(tx: &db::Tx, cx: &Cx, id: i64, force: bool) -> Result<(), Error> {
    let row = locked(tx, id).await?;
    if !force && is_used(tx, &row).await? {
        return Err(Error::conflict(format!(
            "Certificates have values of metadata field {} ({id}); with force they are deleted with it.",
            row.name
        )));
    }
    let of_field = certificate_metadata::Column::NameFold.eq(&row.name_fold);
    past::metadata_changes(tx, cx, of_field.clone()).await?;
    let values = certificate_metadata::Entity::delete_many()
        .filter(of_field)
        .exec(tx)
        .await?
        .rows_affected;
    Entity::delete_by_id(id).exec(tx).await?;
    crate::certificates::note_all(tx).await?;
    let mut before = audited(&row);
    before["CertificatesWithValues"] = values.into();
    let entry = entry(Operation::Deleted, &row, "deleted").before(before);
    audit::record(tx, cx, entry).await
}

/// The field, which nobody else changes or checks values against until the end of the write.
async fn locked(tx: &db::Tx, id: i64) -> Result<Model, Error> {
    let row = Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    row.ok_or_else(|| Error::not_found("metadata field", id))
}

async fn name_is_free(tx: &db::Tx, wanted: &Model) -> Result<(), Error> {
    let other = Entity::find()
        .filter(Column::NameFold.eq(&wanted.name_fold))
        .filter(Column::Id.ne(wanted.id))
        .one(tx)
        .await?;
    match other {
        Some(other) => Err(Error::bad_request(format!(
            "Name: a metadata field named {:?} already exists.",
            other.name
        ))),
        None => Ok(()),
    }
}

async fn after_the_last(tx: &db::Tx) -> Result<i32, Error> {
    let last: Option<Option<i32>> = Entity::find()
        .select_only()
        .column_as(Column::DisplayOrder.max(), "last")
        .into_tuple()
        .one(tx)
        .await?;
    Ok(last.flatten().unwrap_or_default().saturating_add(1))
}

/// What a request defines. `before` is the field it is to replace.
///
/// # Errors
/// 400 naming the member.
fn definition(request: FieldRequest, before: Option<&Model>) -> Result<Model, Error> {
    let name = name(request.name)?;
    let data_type = among("DataType", request.data_type, 1..=8)?
        .ok_or_else(|| Error::bad_request("DataType: a value is required."))?;
    let order = among(
        "DisplayOrder",
        request.display_order,
        i32::MIN.into()..=i32::MAX.into(),
    )?;
    let text = |member: &str, text: Option<String>, max: usize| match text {
        Some(text) if text.chars().count() > max => Err(Error::bad_request(format!(
            "{member}: longer than {max} characters."
        ))),
        text => Ok(text),
    };
    let row = Model {
        id: before.map_or(0, |before| before.id),
        name_fold: db::fold(&name),
        name,
        description: text("Description", request.description, TEXT_MAX)?.unwrap_or_default(),
        data_type,
        hint: text("Hint", request.hint, TEXT_MAX)?,
        validation: text("Validation", request.validation, TEXT_MAX)?,
        enrollment: among("Enrollment", request.enrollment, 0..=2)?.unwrap_or_default(),
        message: text("Message", request.message, TEXT_MAX)?,
        options: text("Options", request.options, OPTIONS_MAX)?,
        default_value: text("DefaultValue", request.default_value, TEXT_MAX)?,
        allow_api: request.allow_api.unwrap_or(true),
        explicit_update: request.explicit_update.unwrap_or_default(),
        display_order: order
            .or(before.map(|before| before.display_order))
            .unwrap_or_default(),
        case_sensitive: request.case_sensitive.unwrap_or(true),
    };
    expression(&row).map_err(|reason| Error::bad_request(format!("Validation: {reason}.")))?;
    if kind(row.data_type) == Kind::Choice && options(&row).next().is_none() {
        return Err(Error::bad_request(
            "Options: a choice needs at least one, with commas between them.",
        ));
    }
    fits(&row, row.default_value.as_deref().unwrap_or_default())
        .map_err(|reason| Error::bad_request(format!("DefaultValue: {reason}.")))?;
    Ok(row)
}

fn name(given: Option<String>) -> Result<String, Error> {
    let name = given.unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        return Err(Error::bad_request("Name: a value is required."));
    }
    if name.chars().count() > NAME_MAX {
        return Err(Error::bad_request(format!(
            "Name: longer than {NAME_MAX} characters."
        )));
    }
    // A hyphen in front would be an operator to a query.
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
    if !name.chars().all(fits) || name.starts_with('-') {
        return Err(Error::bad_request(format!(
            "Name: {name:?} has to be of letters, digits, - and _, without spaces, and not begin with -."
        )));
    }
    Ok(name)
}

fn among(
    member: &str,
    given: Option<i64>,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Option<i32>, Error> {
    let Some(number) = given else {
        return Ok(None);
    };
    let known = i32::try_from(number)
        .ok()
        .filter(|_| range.contains(&number));
    known.map(Some).ok_or_else(|| {
        Error::bad_request(format!(
            "{member}: {number} is not from {} to {}.",
            range.start(),
            range.end()
        ))
    })
}

fn entry(operation: Operation, row: &Model, what: &str) -> Entry {
    let message = format!("Metadata field {} was {what}.", row.name);
    Entry::new(operation, Category::MetadataField, &row.name, message)
}

fn audited(row: &Model) -> Value {
    json!({
        "Id": row.id,
        "Name": row.name,
        "Description": row.description,
        "DataType": row.data_type,
        "Hint": row.hint,
        "Validation": row.validation,
        "Enrollment": row.enrollment,
        "Message": row.message,
        "Options": row.options,
        "DefaultValue": row.default_value,
        "AllowAPI": row.allow_api,
        "ExplicitUpdate": row.explicit_update,
        "DisplayOrder": row.display_order,
        "CaseSensitive": row.case_sensitive,
    })
}
