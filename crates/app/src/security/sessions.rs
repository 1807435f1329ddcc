//! Sessions of browsers: how they begin and end, and `/Chancery/Sessions`, where people see and end them.

use std::sync::Arc;

use db::tables::sessions::{ActiveModel, Column, Entity, Model};
use db::tables::{accounts, identity_providers};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::doors::random;
use super::sign_in::{IDLE_MS, LIFETIME_MS, Portrait, fingerprint, hash};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::{Caller, Cx};
use crate::error::Error;
use crate::identity_providers::Provider;
use crate::security::Permission;
use crate::security::claims::LOCAL_PROVIDER;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::{Date, List, NoContent, Paging, PathId, Query};

/// Characters of a browser's name for itself that are kept.
const USER_AGENT_MAX: usize = 300;

/// The search reference of sessions.
const FIELDS: &[Field] = &[
    field("CreatedAt", FieldKind::Date, || {
        Expr::col(Column::CreatedAt)
    }),
    field("LastSeenAt", FieldKind::Date, || {
        Expr::col(Column::LastSeenAt)
    }),
    field("Name", FieldKind::Text, || Expr::col(Column::Name)),
    field("Address", FieldKind::Text, || Expr::col(Column::Address)),
    field("Id", FieldKind::Guid, || Expr::col(Column::Id)),
];

/// `/Chancery/Sessions`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(sessions))
        .routes(routes!(end))
}

/// A session of a browser.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChancerySession)]
struct SessionResponse {
    /// Its id.
    id: Uuid,
    /// Who is signed in.
    name: String,
    /// The authentication scheme of the provider that vouched; `Chancery` for local accounts.
    provider: String,
    /// The address it began at.
    address: Option<String>,
    /// What the browser called itself.
    user_agent: Option<String>,
    /// When it began.
    created_at: Date,
    /// When it was last used, to a minute.
    last_seen_at: Date,
    /// When it ends if it is used until then.
    expires_at: Date,
    /// Whether it is the one that asks.
    current: bool,
}

/// Whose sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
struct Flags {
    /// Everybody's, for who may read security; otherwise the caller's own.
    all: Option<bool>,
}

/// Lists the sessions of the caller, or of everybody.
#[utoipa::path(get, path = "/Chancery/Sessions", tag = "Chancery", params(Paging, Flags), responses((status = 200, description = "A page of sessions, the oldest first", body = Vec<SessionResponse>)), extensions(("x-permissions" = json!([]))))]
async fn sessions(
    cx: Cx,
    Query(paging): Query<Paging>,
    Query(flags): Query<Flags>,
) -> Result<List<SessionResponse>, Error> {
    let whose = if flags.all.unwrap_or_default() {
        cx.authorize(Permission::SecurityRead)?;
        Condition::all()
    } else {
        mine(&cx).await?
    };
    let alive = Condition::all()
        .add(Column::ExpiresAt.gt(cx.now()))
        .add(Column::LastSeenAt.gt(cx.now() - IDLE_MS));
    let select = Entity::find().filter(whose).filter(alive);
    let (rows, total) = page(&cx, select, &paging, FIELDS, "CreatedAt", Column::Id).await?;
    let schemes = identity_providers::Entity::find()
        .all(cx.db().read())
        .await?;
    let current = current(&cx);
    let items = rows.into_iter().map(|row| {
        let scheme = schemes
            .iter()
            .find(|provider| Some(provider.id) == row.identity_provider_id);
        let provider = scheme.map_or(LOCAL_PROVIDER, |one| &one.authentication_scheme);
        SessionResponse {
            provider: provider.to_owned(),
            current: Some(row.id) == current,
            id: row.id,
            name: row.name,
            address: row.address,
            user_agent: row.user_agent,
            created_at: Date(row.created_at),
            last_seen_at: Date(row.last_seen_at),
            expires_at: Date(row.expires_at),
        }
    });
    Ok(List {
        items: items.collect(),
        total,
    })
}

/// Ends a session: the caller's own, or anybody's for who may change security. It is over at once, on every server.
#[utoipa::path(delete, path = "/Chancery/Sessions/{id}", tag = "Chancery", params(("id" = Uuid, Path, description = "Its id")), responses((status = 204, description = "It is over")), extensions(("x-permissions" = json!([]))))]
async fn end(cx: Cx, PathId(id): PathId<Uuid>) -> Result<NoContent, Error> {
    let whose = if cx.may(Permission::SecurityModify) {
        Condition::all()
    } else {
        mine(&cx).await?
    };
    let found = Entity::find()
        .filter(whose)
        .filter(Column::Id.eq(id))
        .one(cx.db().read())
        .await?;
    let session = found.ok_or_else(|| Error::not_found("session", id))?;
    end_session(&cx, session).await?;
    Ok(NoContent)
}

fn current(cx: &Cx) -> Option<Uuid> {
    match cx.caller() {
        Caller::Identity(identity) => identity.session_id,
        Caller::System(_) => None,
    }
}

/// The sessions of the caller: those of the local account, or of the same subject at the same provider. A bearer of another's
/// token has none: only a session says who somebody is at a provider.
async fn mine(cx: &Cx) -> Result<Condition, Error> {
    let account = match cx.caller() {
        Caller::Identity(identity) => identity.account_id,
        Caller::System(_) => None,
    };
    if let Some(id) = account {
        return Ok(Condition::all().add(Column::AccountId.eq(id)));
    }
    let own = match current(cx) {
        Some(id) => Entity::find_by_id(id).one(cx.db().read()).await?,
        None => None,
    };
    Ok(match own {
        Some(own) => Condition::all()
            .add(Column::IdentityProviderId.eq(own.identity_provider_id))
            .add(Column::Subject.eq(own.subject)),
        None => Condition::all().add(Column::Id.eq(Uuid::nil())),
    })
}

/// Who a session is for.
pub(super) enum Holder {
    /// A local account that has proven its password.
    Account(accounts::Model),
    /// Somebody a provider vouches for.
    Provider(Arc<Provider>, Portrait),
}

/// Begins a session, and ends the one that the browser had before. Answers what the cookie has to hold.
///
/// # Errors
/// Those of the database.
pub(super) async fn begin(
    cx: &Cx,
    holder: Holder,
    before: Option<&str>,
    user_agent: Option<&str>,
) -> Result<String, Error> {
    let secret = random()?;
    let (account_id, provider_id, name, subject, claims, credential) = match holder {
        Holder::Account(account) => {
            let credential = fingerprint(&account.password_hash);
            let none = String::new();
            (
                Some(account.id),
                None,
                account.name,
                none,
                json!([]),
                credential,
            )
        }
        Holder::Provider(provider, portrait) => {
            let claims = portrait.claims.iter();
            let claims: Vec<Value> = claims
                .map(|(kind, value)| json!([*kind as i32, value]))
                .collect();
            let none = String::new();
            (
                None,
                Some(provider.id),
                portrait.name,
                portrait.subject,
                Value::from(claims),
                none,
            )
        }
    };
    let row = Model {
        id: cx.guid(),
        token_hash: hash(&secret),
        account_id,
        identity_provider_id: provider_id,
        name,
        subject,
        claims: claims.to_string(),
        credential,
        address: cx.address().map(|address| address.to_string()),
        user_agent: user_agent.map(|agent| agent.chars().take(USER_AGENT_MAX).collect()),
        created_at: cx.now(),
        last_seen_at: cx.now(),
        expires_at: cx.now() + LIFETIME_MS,
    };
    let before = before.map(hash);
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("sessions.begin", move |tx| {
        Box::pin(async move {
            if let Some(before) = before {
                Entity::delete_many()
                    .filter(Column::TokenHash.eq(before))
                    .exec(tx)
                    .await?;
            }
            let entry = entry(Operation::Created, &row, "began").after(json!({
                "Id": row.id, "Name": row.name, "Subject": row.subject, "IdentityProviderId": row.identity_provider_id,
            }));
            let active: ActiveModel = row.into();
            Entity::insert(active).exec_without_returning(tx).await?;
            audit::record(tx, &cx, entry).await
        })
    })
    .await?;
    Ok(secret)
}

fn entry(operation: Operation, row: &Model, what: &str) -> Entry {
    let message = format!("A session of {} {what}.", row.name);
    Entry::new(operation, Category::Session, &row.name, message)
}

/// Ends the session of a browser, if it has one.
///
/// # Errors
/// Those of the database.
pub(super) async fn end_by_secret(cx: &Cx, secret: &str) -> Result<(), Error> {
    let found = Entity::find()
        .filter(Column::TokenHash.eq(hash(secret)))
        .one(cx.db().read())
        .await?;
    match found {
        Some(session) => end_session(cx, session).await,
        None => Ok(()),
    }
}

async fn end_session(cx: &Cx, session: Model) -> Result<(), Error> {
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("sessions.end", move |tx| {
        Box::pin(async move {
            let gone = Entity::delete_by_id(session.id).exec(tx).await?;
            if gone.rows_affected == 0 {
                return Ok(());
            }
            let entry = entry(Operation::Deleted, &session, "ended");
            audit::record(tx, &cx, entry.before(json!({ "Id": session.id }))).await
        })
    })
    .await
}
