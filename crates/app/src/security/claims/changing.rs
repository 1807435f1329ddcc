//! Claims, changed.

use db::tables::{accounts, claims, role_claims, roles};
use sea_orm::sea_query::Query;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::reading::{Providers, find, type_name};
use super::wire::{About, ClaimCreation, ClaimOutput, ClaimUpdate, Wanted, check_length};
use super::{ClaimType, LOCAL_PROVIDER};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::administration;

/// Creates a claim.
///
/// # Errors
/// 403 without the permission; 400 for what is no claim, for one that exists, and for one of local accounts.
pub(super) async fn create(cx: &Cx, request: ClaimCreation) -> Result<ClaimOutput, Error> {
    cx.authorize_administration()?;
    let about = About::read(
        "",
        &request.claim_type,
        &request.claim_value,
        &request.provider_authentication_scheme,
    )?;
    let description = request.description.unwrap_or_default();
    check_length("Description", &description)?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("claims.create", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            if let Some(known) = find(tx, &about).await? {
                return Err(Error::bad_request(format!(
                    "The claim {} {:?} of {:?} already exists, with the id {}.",
                    type_name(known.claim_type),
                    known.value,
                    known.provider,
                    known.id
                )));
            }
            let row = insert(tx, &cx, about, description).await?;
            Ok(Providers::read(tx).await?.output(row))
        })
    })
    .await
}

/// Gives a claim another description.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id; 400 for a text that is too long.
pub(super) async fn update(cx: &Cx, request: ClaimUpdate) -> Result<ClaimOutput, Error> {
    cx.authorize_administration()?;
    check_length("Description", &request.description)?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("claims.update", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            let row = claims::Entity::find_by_id(request.id).one(tx).await?;
            let row = row.ok_or_else(|| Error::not_found("security claim", request.id))?;
            let before = record(&row);
            let changed = claims::ActiveModel {
                id: ActiveValue::Unchanged(row.id),
                description: ActiveValue::Set(request.description),
                ..Default::default()
            };
            let row = changed.update(tx).await?;
            let message = format!("Security claim {} was changed.", row.value);
            let entry = Entry::new(
                Operation::Updated,
                Category::SecurityClaim,
                &row.value,
                message,
            );
            audit::record(tx, &cx, entry.before(before).after(record(&row))).await?;
            Ok(Providers::read(tx).await?.output(row))
        })
    })
    .await
}

/// Deletes a claim, and takes its roles away.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id; 400 for a claim that stands for a local account.
pub(super) async fn delete(cx: &Cx, id: i64) -> Result<(), Error> {
    cx.authorize_administration()?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("claims.delete", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            let row = claims::Entity::find_by_id(id).one(tx).await?;
            let row = row.ok_or_else(|| Error::not_found("security claim", id))?;
            let account = accounts::Entity::find()
                .filter(accounts::Column::ClaimId.eq(id))
                .one(tx)
                .await?;
            if let Some(account) = account {
                return Err(Error::bad_request(format!(
                    "The claim stands for the local account {:?}, which has to be deleted itself.",
                    account.name
                )));
            }
            delete_unchecked(tx, &cx, row).await
        })
    })
    .await
}

/// Deletes a claim with its record.
///
/// # Errors
/// Those of the database.
pub(crate) async fn delete_unchecked(
    tx: &db::Tx,
    cx: &Cx,
    row: claims::Model,
) -> Result<(), Error> {
    let held = Query::select()
        .column(role_claims::Column::RoleId)
        .from(role_claims::Entity)
        .and_where(role_claims::Column::ClaimId.eq(row.id))
        .to_owned();
    let held = roles::Entity::find()
        .filter(roles::Column::Id.in_subquery(held))
        .order_by_asc(roles::Column::Id)
        .all(tx)
        .await?;
    let names: Vec<&str> = held.iter().map(|role| role.name.as_str()).collect();
    let mut before = record(&row);
    before["Roles"] = names.into();
    claims::Entity::delete_by_id(row.id).exec(tx).await?;
    let message = format!("Security claim {} was deleted.", row.value);
    let entry = Entry::new(
        Operation::Deleted,
        Category::SecurityClaim,
        &row.value,
        message,
    );
    audit::record(tx, cx, entry.before(before)).await
}

/// The claim that a role shall be given to; one that does not exist is created.
///
/// # Errors
/// 400 for an unknown id, and for a local account that does not exist.
pub(crate) async fn find_or_create(
    tx: &db::Tx,
    cx: &Cx,
    wanted: Wanted,
) -> Result<claims::Model, Error> {
    match wanted {
        Wanted::Id(id) => {
            let row = claims::Entity::find_by_id(id).one(tx).await?;
            row.ok_or_else(|| Error::bad_request(format!("Claims: there is no claim {id}.")))
        }
        Wanted::About(about, description) => match find(tx, &about).await? {
            Some(known) => Ok(known),
            None => insert(tx, cx, about, description.unwrap_or_default()).await,
        },
    }
}

/// Writes a new claim with its record.
///
/// # Errors
/// 400 for a claim of local accounts, since those come with their accounts.
pub(crate) async fn insert(
    tx: &db::Tx,
    cx: &Cx,
    about: About,
    description: String,
) -> Result<claims::Model, Error> {
    if db::fold(&about.provider) == db::fold(LOCAL_PROVIDER) {
        let message = match about.kind {
            ClaimType::User => format!("There is no local account {:?}.", about.value),
            kind => format!(
                "Local accounts ({LOCAL_PROVIDER}) have claims of the type User only, not {}.",
                kind.name()
            ),
        };
        return Err(Error::bad_request(format!("ClaimValue: {message}")));
    }
    let row = claims::ActiveModel {
        id: ActiveValue::NotSet,
        claim_type: ActiveValue::Set(about.kind as i32),
        value_fold: ActiveValue::Set(db::fold(&about.value)),
        value: ActiveValue::Set(about.value),
        provider_fold: ActiveValue::Set(db::fold(&about.provider)),
        provider: ActiveValue::Set(about.provider),
        description: ActiveValue::Set(description),
        created_at: ActiveValue::Set(cx.now()),
    };
    let row = row.insert(tx).await?;
    let message = format!("Security claim {} was created.", row.value);
    let entry = Entry::new(
        Operation::Created,
        Category::SecurityClaim,
        &row.value,
        message,
    );
    audit::record(tx, cx, entry.after(record(&row))).await?;
    Ok(row)
}

/// A claim as audit records show it.
pub(crate) fn record(row: &claims::Model) -> Value {
    json!({
        "Id": row.id, "ClaimType": type_name(row.claim_type), "ClaimValue": row.value,
        "ProviderAuthenticationScheme": row.provider, "Description": row.description,
    })
}
