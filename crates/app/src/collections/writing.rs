//! Creating, copying, replacing and deleting collections.

use db::tables::certificate_collections::{ActiveModel, Column, Entity, Model};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::{Value, json};

use super::counting::counted;
use super::wire::{ChangedOutput, CollectionRequest};
use super::{authorize, favorites, unknown};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::{Caller, Cx};
use crate::error::Error;
use crate::security::permissions::TABLE;
use crate::security::{Per, Permission, Target, changed, forget_object, object_grants, population};
use crate::web::{Body, Json, NoContent, PathId};

/// Characters of a name at most.
const NAME_MAX: usize = 256;
/// Characters of a description or a query at most.
const TEXT_MAX: usize = 20_000;
const NEEDED: Permission = Permission::CollectionsModify;

/// Creates a collection, from another when that is named: with its roles' permissions, and what is left out here.
#[utoipa::path(post, path = "/CertificateCollections", tag = "CertificateCollection", request_body = CollectionRequest, responses((status = 200, body = ChangedOutput, description = "The new collection")), extensions(("x-permissions" = json!(["/certificates/collections/modify/"]))))]
pub(super) async fn create(
    cx: Cx,
    Body(request): Body<CollectionRequest>,
) -> Result<Json<ChangedOutput>, Error> {
    create_collection(&cx, request).await.map(Json)
}

/// Copies a collection with its roles' permissions.
#[utoipa::path(post, path = "/CertificateCollections/Copy", tag = "CertificateCollection", request_body = CollectionRequest, responses((status = 200, body = ChangedOutput, description = "The new collection")), extensions(("x-permissions" = json!(["/certificates/collections/modify/"]))))]
pub(super) async fn copy(
    cx: Cx,
    Body(request): Body<CollectionRequest>,
) -> Result<Json<ChangedOutput>, Error> {
    cx.authorize(NEEDED)?;
    if request.copy_from_id.is_none_or(|id| id == 0) {
        return Err(Error::bad_request("CopyFromId: a value is required."));
    }
    create_collection(&cx, request).await.map(Json)
}

/// Replaces a collection. What is left out stays as it is.
#[utoipa::path(put, path = "/CertificateCollections", tag = "CertificateCollection", request_body = CollectionRequest, responses((status = 200, body = ChangedOutput, description = "The collection as it is now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such collection")), extensions(("x-permissions" = json!(["/certificates/collections/modify/"]))))]
pub(super) async fn replace(
    cx: Cx,
    Body(request): Body<CollectionRequest>,
) -> Result<Json<ChangedOutput>, Error> {
    replace_collection(&cx, request).await.map(Json)
}

/// Deletes a collection and every permission on it. Its certificates stay.
#[utoipa::path(delete, path = "/CertificateCollections/{id}", tag = "CertificateCollection", params(("id" = i32, Path, description = "Its id")), responses((status = 204, description = "It is gone")), extensions(("x-permissions" = json!(["/certificates/collections/modify/"]))))]
pub(super) async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    delete_collection(&cx, id).await.map(|()| NoContent)
}

/// A request whose parts have been checked.
#[derive(Debug)]
struct Wanted {
    name: String,
    description: Option<String>,
    query: Option<String>,
    duplication_field: Option<i32>,
    show_on_dashboard: Option<bool>,
    favorite: Option<bool>,
}

impl Wanted {
    async fn read(cx: &Cx, request: CollectionRequest) -> Result<Self, Error> {
        let name = request.name.unwrap_or_default().trim().to_owned();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Error::bad_request("Name: a value is required."));
        }
        if name.chars().count() > NAME_MAX {
            return Err(Error::bad_request(format!(
                "Name: longer than {NAME_MAX} characters."
            )));
        }
        for (member, text) in [
            ("Description", &request.description),
            ("Query", &request.query),
        ] {
            if text
                .as_ref()
                .is_some_and(|text| text.chars().count() > TEXT_MAX)
            {
                return Err(Error::bad_request(format!(
                    "{member}: longer than {TEXT_MAX} characters."
                )));
            }
        }
        let duplication_field = match request.duplication_field {
            None => None,
            Some(number) => {
                let known = i32::try_from(number)
                    .ok()
                    .filter(|number| (0..=4).contains(number));
                Some(known.ok_or_else(|| {
                    Error::bad_request(format!(
                        "DuplicationField: {number} is none of 0, 1, 2, 3 and 4."
                    ))
                })?)
            }
        };
        let query = request.query.map(|query| query.trim().to_owned());
        if let Some(query) = &query {
            check_query(cx, query).await?;
        }
        Ok(Self {
            name,
            description: request.description.map(|text| text.trim().to_owned()),
            query,
            duplication_field,
            show_on_dashboard: request.show_on_dashboard,
            favorite: request.favorite,
        })
    }
}

/// Refuses what could not be evaluated, with the position of the mistake.
async fn check_query(cx: &Cx, query: &str) -> Result<(), Error> {
    let read = crate::certificates::condition(cx.db().read(), cx, query).await;
    let wrong = read.err();
    wrong.map_or(Ok(()), |error| {
        let message = error.message();
        let message = message.strip_prefix("QueryString").unwrap_or(message);
        let message = message.trim_start_matches(':').trim_start();
        Err(Error::new(error.kind(), format!("Query: {message}")))
    })
}

/// Refuses a new query that would tell of stores that the caller may not read.
fn tells_what_is_known(cx: &Cx, query: &str) -> Result<(), Error> {
    if cx.may(Permission::StoresRead) || !crate::certificates::asks_of_stores(query)? {
        return Ok(());
    }
    let refused = cx.refused(&[Permission::StoresRead]);
    Err(Error::forbidden(format!(
        "Query: it asks in which certificate stores certificates are. {refused}"
    )))
}

async fn name_is_free(tx: &db::Tx, name: &str, id: Option<i64>) -> Result<(), Error> {
    let other = Entity::find()
        .filter(Column::NameFold.eq(db::fold(name)))
        .one(tx)
        .await?;
    match other.filter(|other| Some(other.id) != id) {
        Some(other) => Err(Error::bad_request(format!(
            "Name: a certificate collection named {:?} already exists.",
            other.name
        ))),
        None => Ok(()),
    }
}

/// Refuses another query where the caller has rights through the collection alone: it would change what he may do, and to whom he
/// owes them he could give himself everything. What his roles grant is read anew: a body may arrive long after the caller was
/// known, and rights that came meanwhile count.
async fn own_rights_stay(tx: &db::Tx, cx: &Cx, id: i64) -> Result<(), Error> {
    if matches!(cx.caller(), Caller::System(_)) {
        return Ok(());
    }
    // Changes of rights wait from here on, and those that did not are read.
    changed(tx).await?;
    let grants = population::of_claims(tx, cx.claim_ids()).await?;
    let held = |permission, target| match cx.recorder() {
        None => grants.allow(permission, target),
        Some(recorder) => recorder.decide(&grants, permission, target),
    };
    let raised = TABLE.iter().find(|row| {
        row.per == Per::Collection
            && row.permission != NEEDED
            && !held(row.permission, Target::System)
            && held(row.permission, Target::Collection(id))
    });
    let Some(row) = raised else { return Ok(()) };
    Err(Error::forbidden(format!(
        "Query: you hold {} through certificate collection {id} alone, so another query would change your own rights; somebody \
         who holds it system-wide has to change it.",
        row.display
    )))
}

async fn create_collection(cx: &Cx, request: CollectionRequest) -> Result<ChangedOutput, Error> {
    cx.authorize(NEEDED)?;
    let from = request.copy_from_id.filter(|id| *id != 0);
    let wanted = Wanted::read(cx, request).await?;
    let favorite = wanted.favorite.unwrap_or_default();
    let writer = cx.clone();
    let work = cx.db().write("collections.create", move |tx| {
        let cx = writer;
        Box::pin(async move {
            let source = match from {
                Some(id) => Some(source(tx, &cx, id, &wanted).await?),
                None => None,
            };
            name_is_free(tx, &wanted.name, None).await?;
            let known = source.as_ref().map(|source| &source.query);
            if let Some(query) = wanted.query.as_ref().filter(|query| Some(*query) != known) {
                tells_what_is_known(&cx, query)?;
            }
            let last: Option<i64> = Entity::find()
                .select_only()
                .column(Column::Position)
                .order_by_desc(Column::Position)
                .into_tuple()
                .one(tx)
                .await?;
            let taken = source.as_ref();
            let row = ActiveModel {
                id: ActiveValue::NotSet,
                name_fold: ActiveValue::Set(db::fold(&wanted.name)),
                name: ActiveValue::Set(wanted.name),
                description: ActiveValue::Set(
                    wanted
                        .description
                        .or_else(|| taken.map(|row| row.description.clone()))
                        .unwrap_or_default(),
                ),
                query: ActiveValue::Set(
                    wanted
                        .query
                        .or_else(|| taken.map(|row| row.query.clone()))
                        .unwrap_or_default(),
                ),
                duplication_field: ActiveValue::Set(
                    wanted
                        .duplication_field
                        .or(taken.map(|row| row.duplication_field))
                        .unwrap_or_default(),
                ),
                show_on_dashboard: ActiveValue::Set(
                    wanted
                        .show_on_dashboard
                        .or(taken.map(|row| row.show_on_dashboard))
                        .unwrap_or_default(),
                ),
                position: ActiveValue::Set(last.unwrap_or_default() + 1),
                last_count: ActiveValue::Set(None),
                last_counted_at: ActiveValue::Set(None),
                created_at: ActiveValue::Set(cx.now()),
            };
            let row = row.insert(tx).await?;
            if favorite {
                favorites::set(tx, &cx, row.id, true).await?;
            }
            let mut after = audited(&row);
            if let Some(source) = &source {
                let roles = object_grants::copy(tx, Per::Collection, source.id, row.id).await?;
                after["CopyFromId"] = source.id.into();
                after["RolesWithPermissions"] = roles.into();
            }
            let message = format!("Certificate collection {} was created.", row.name);
            let entry = Entry::new(
                Operation::Created,
                Category::CertificateCollection,
                &row.name,
                message,
            );
            audit::record(tx, &cx, entry.after(after)).await?;
            Ok::<_, Error>(row)
        })
    });
    let row = work.await?;
    let count = counted(cx, &row).await;
    Ok(ChangedOutput::new(row, favorite, count))
}

/// The collection that is copied. Its roles get their permissions on the new one too, so that its query cannot be another where
/// that would give the caller more.
async fn source(tx: &db::Tx, cx: &Cx, id: i64, wanted: &Wanted) -> Result<Model, Error> {
    let row = Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    let row = row.ok_or_else(|| {
        Error::bad_request(format!(
            "CopyFromId: there is no certificate collection {id}."
        ))
    })?;
    authorize(cx, Permission::CertificatesRead, id)?;
    if wanted
        .query
        .as_ref()
        .is_some_and(|query| *query != row.query)
    {
        own_rights_stay(tx, cx, id).await?;
    }
    Ok(row)
}

async fn replace_collection(cx: &Cx, request: CollectionRequest) -> Result<ChangedOutput, Error> {
    cx.authorize_somewhere(NEEDED)?;
    let id = request
        .id
        .filter(|id| *id != 0)
        .ok_or_else(|| Error::bad_request("Id: a value is required."))?;
    authorize(cx, NEEDED, id)?;
    let wanted = Wanted::read(cx, request).await?;
    let writer = cx.clone();
    let work = cx.db().write("collections.replace", move |tx| {
        let cx = writer;
        Box::pin(async move {
            let before = Entity::find_by_id(id).lock_exclusive().one(tx).await?;
            let before = before.ok_or_else(|| unknown(&cx, NEEDED, id))?;
            name_is_free(tx, &wanted.name, Some(id)).await?;
            let was_favorite = favorites::of_caller(tx, &cx).await?.contains(&id);
            let favorite = wanted.favorite.unwrap_or(was_favorite);
            let mut row = Model {
                name_fold: db::fold(&wanted.name),
                name: wanted.name,
                description: wanted
                    .description
                    .unwrap_or_else(|| before.description.clone()),
                query: wanted.query.unwrap_or_else(|| before.query.clone()),
                duplication_field: wanted.duplication_field.unwrap_or(before.duplication_field),
                show_on_dashboard: wanted.show_on_dashboard.unwrap_or(before.show_on_dashboard),
                ..before.clone()
            };
            if row.query != before.query {
                own_rights_stay(tx, &cx, id).await?;
                tells_what_is_known(&cx, &row.query)?;
                (row.last_count, row.last_counted_at) = (None, None);
            }
            let active: ActiveModel = row.clone().into();
            active.reset_all().update(tx).await?;
            favorites::set(tx, &cx, id, favorite).await?;
            let message = format!("Certificate collection {} was changed.", row.name);
            let entry = Entry::new(
                Operation::Updated,
                Category::CertificateCollection,
                &row.name,
                message,
            );
            let entry = entry.before(audited(&before)).after(audited(&row));
            audit::record(tx, &cx, entry).await?;
            Ok::<_, Error>((row, favorite))
        })
    });
    let (row, favorite) = work.await?;
    let count = counted(cx, &row).await;
    Ok(ChangedOutput::new(row, favorite, count))
}

async fn delete_collection(cx: &Cx, id: i64) -> Result<(), Error> {
    cx.authorize_somewhere(NEEDED)?;
    authorize(cx, NEEDED, id)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("collections.delete", move |tx| {
            Box::pin(async move {
                let row = Entity::find_by_id(id).lock_exclusive().one(tx).await?;
                let row = row.ok_or_else(|| unknown(&cx, NEEDED, id))?;
                let mut before = audited(&row);
                before["RolesWithPermissions"] =
                    forget_object(tx, Per::Collection, id).await?.into();
                // Favorites go with it.
                Entity::delete_by_id(id).exec(tx).await?;
                let message = format!("Certificate collection {} was deleted.", row.name);
                let entry = Entry::new(
                    Operation::Deleted,
                    Category::CertificateCollection,
                    &row.name,
                    message,
                );
                audit::record(tx, &cx, entry.before(before)).await
            })
        })
        .await
}

fn audited(row: &Model) -> Value {
    json!({
        "Id": row.id,
        "Name": row.name,
        "Description": row.description,
        "Query": row.query,
        "DuplicationField": row.duplication_field,
        "ShowOnDashboard": row.show_on_dashboard,
    })
}
