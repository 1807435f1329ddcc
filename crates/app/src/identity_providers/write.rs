//! Entering and changing providers. None is ever deleted: claims and history name it.

use std::collections::BTreeMap;

use db::tables::identity_providers::{ActiveModel, Column, Entity, Model};
use db::tables::{claims, permission_sets};
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use uuid::Uuid;

use super::list::{kind, response};
use super::parameters::{self, Given, ProviderType};
use super::wire::{CreateRequest, ProviderResponse, UpdateRequest};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::sealing::IDENTITY_PROVIDER_SECRET;
use crate::security::claims::LOCAL_PROVIDER;
use crate::security::{Permission, administration, permission_sets::GLOBAL};
use crate::web::{Body, Json, PathId};

/// Characters of a name at most, as the contract has it.
const NAME_MAX: usize = 512;

/// Enters an identity provider. It is enabled from the start.
#[utoipa::path(post, path = "/IdentityProviders", tag = "IdentityProvider", request_body = CreateRequest, responses((status = 200, description = "The provider", body = ProviderResponse)), extensions(("x-permissions" = json!(["/identity_providers/modify/", "/security/modify/"]))))]
pub(super) async fn create(
    cx: Cx,
    Body(request): Body<CreateRequest>,
) -> Result<Json<ProviderResponse>, Error> {
    let row = create_provider(&cx, request).await?;
    response(row).map(Json)
}

/// Changes an identity provider. Its scheme and its type stay.
#[utoipa::path(put, path = "/IdentityProviders/{id}", tag = "IdentityProvider", params(("id" = Uuid, Path, description = "Its id")), request_body = UpdateRequest, responses((status = 200, description = "The provider", body = ProviderResponse)), extensions(("x-permissions" = json!(["/identity_providers/modify/", "/security/modify/"]))))]
pub(super) async fn update(
    cx: Cx,
    PathId(id): PathId<Uuid>,
    Body(request): Body<UpdateRequest>,
) -> Result<Json<ProviderResponse>, Error> {
    let row = update_provider(&cx, id, request).await?;
    response(row).map(Json)
}

/// Who vouches for everybody is a matter of security: it takes what changes of roles take.
fn authorize(cx: &Cx) -> Result<(), Error> {
    cx.authorize(Permission::IdentityProvidersModify)?;
    cx.authorize_administration()
}

/// Refuses to let in whoever holds roles by claims of this scheme, when they hold more than the caller: who says what a provider's
/// tokens mean can be any of them.
async fn check_holders(tx: &db::Tx, cx: &Cx, row: &Model) -> Result<(), Error> {
    let of_scheme = claims::Column::ProviderFold.eq(&row.authentication_scheme_fold);
    cx.authorize_letting_in(tx, Condition::all().add(of_scheme))
        .await
}

async fn create_provider(cx: &Cx, request: CreateRequest) -> Result<Model, Error> {
    authorize(cx)?;
    let scheme = name("AuthenticationScheme", request.authentication_scheme)?;
    check_scheme(&scheme)?;
    let display_name = name("DisplayName", request.display_name)?;
    let wanted = request.provider_type.unwrap_or_default();
    let kind = ProviderType::parse(&wanted).ok_or_else(|| {
        let names = ProviderType::ALL.map(ProviderType::name).join(" and ");
        Error::bad_request(format!("ProviderType: there are {names}."))
    })?;
    let given = parameters::read(kind, request.parameters.unwrap_or_default())?;
    parameters::check_addresses(cx.egress(), kind, &given.texts).await?;
    let id = cx.guid();
    let row = Model {
        id,
        authentication_scheme_fold: db::fold(&scheme),
        authentication_scheme: scheme,
        display_name_fold: db::fold(&display_name),
        display_name,
        provider_type: kind.name().to_owned(),
        permission_set_id: request.permission_set_id.unwrap_or(GLOBAL),
        authentication_enabled: true,
        parameters: serde_json::to_string(&given.texts)?,
        sealed_client_secret: sealed(cx, id, &given)?,
        created_at: cx.now(),
    };
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("identity_providers.create", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            authorize(&cx)?;
            names_are_free(tx, &row).await?;
            set_exists(tx, row.permission_set_id).await?;
            check_holders(tx, &cx, &row).await?;
            let active: ActiveModel = row.clone().into();
            Entity::insert(active).exec_without_returning(tx).await?;
            let message = format!("Identity provider {} was created.", row.display_name);
            let entry = entry(Operation::Created, &row, message).after(audited(&row)?);
            audit::record(tx, &cx, entry).await?;
            Ok::<_, Error>(row)
        })
    })
    .await
}

async fn update_provider(cx: &Cx, id: Uuid, request: UpdateRequest) -> Result<Model, Error> {
    authorize(cx)?;
    let before = Entity::find_by_id(id).one(cx.db().read()).await?;
    let before = before.ok_or_else(|| Error::not_found("identity provider", id))?;
    let scheme = name("AuthenticationScheme", request.authentication_scheme)?;
    if db::fold(&scheme) != before.authentication_scheme_fold {
        return Err(Error::bad_request(format!(
            "AuthenticationScheme: it cannot change; this provider's is {:?}.",
            before.authentication_scheme
        )));
    }
    let display_name = name("DisplayName", request.display_name)?;
    let kind = kind(&before)?;
    let mut row = Model {
        display_name_fold: db::fold(&display_name),
        display_name,
        permission_set_id: request
            .permission_set_id
            .unwrap_or(before.permission_set_id),
        authentication_enabled: request
            .authentication_enabled
            .unwrap_or(before.authentication_enabled),
        ..before.clone()
    };
    if let Some(given) = request.parameters {
        let given = parameters::read(kind, given)?;
        parameters::check_addresses(cx.egress(), kind, &given.texts).await?;
        let new = sealed(cx, id, &given)?;
        refuse_secret_elsewhere(&before, &given, new.is_some())?;
        row.parameters = serde_json::to_string(&given.texts)?;
        row.sealed_client_secret = new.or(row.sealed_client_secret);
    }
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("identity_providers.update", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            authorize(&cx)?;
            let unchanged = Entity::find_by_id(id).one(tx).await?.as_ref() == Some(&before);
            if !unchanged {
                return Err(Error::conflict(
                    "Somebody else changed this at the same time. Read it again and repeat the request.",
                ));
            }
            names_are_free(tx, &row).await?;
            set_exists(tx, row.permission_set_id).await?;
            let opened = row.authentication_enabled && !before.authentication_enabled;
            if opened || row.parameters != before.parameters {
                check_holders(tx, &cx, &row).await?;
            }
            let active: ActiveModel = row.clone().into();
            active.reset_all().update(tx).await?;
            let message = format!("Identity provider {} was changed.", row.display_name);
            let entry = entry(Operation::Updated, &row, message)
                .before(audited(&before)?)
                .after(audited(&row)?);
            audit::record(tx, &cx, entry).await?;
            Ok::<_, Error>(row)
        })
    })
    .await
}

/// A kept secret goes to the addresses it was given for and nowhere else: whoever may change a provider could otherwise
/// have it sent to himself.
fn refuse_secret_elsewhere(before: &Model, given: &Given, new: bool) -> Result<(), Error> {
    if new || before.sealed_client_secret.is_none() {
        return Ok(());
    }
    let old: BTreeMap<String, String> = serde_json::from_str(&before.parameters)?;
    for name in ["Authority", "DiscoveryDocumentEndpoint", "TokenEndpoint"] {
        if old.get(name) != given.texts.get(name) {
            return Err(Error::bad_request(format!(
                "Parameters.ClientSecret: a value is required when {name} changes, since the secret goes there."
            )));
        }
    }
    Ok(())
}

fn sealed(cx: &Cx, id: Uuid, given: &Given) -> Result<Option<Vec<u8>>, Error> {
    let Some(secret) = &given.client_secret else {
        return Ok(None);
    };
    let purpose = IDENTITY_PROVIDER_SECRET.purpose(id);
    let sealed = cx.app().keyring().seal(&purpose, secret.expose())?;
    Ok(Some(sealed.into_bytes()))
}

fn name(place: &str, given: Option<String>) -> Result<String, Error> {
    let name = given.unwrap_or_default().trim().to_owned();
    let what = match name.chars().count() {
        0 => "a value is required".to_owned(),
        count if count > NAME_MAX => format!("longer than {NAME_MAX} characters"),
        _ if name.contains(char::is_control) => "control characters are not possible".to_owned(),
        _ => return Ok(name),
    };
    Err(Error::bad_request(format!("{place}: {what}.")))
}

/// The scheme stands in addresses and in claims, so it has to read the same everywhere.
fn check_scheme(scheme: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Those who vouch without a provider, and the browser's sign-in without one.
    let taken = [LOCAL_PROVIDER, "local", "unknown"];
    if taken.iter().any(|taken| taken.eq_ignore_ascii_case(scheme)) {
        return Err(Error::bad_request(format!(
            "AuthenticationScheme: {scheme:?} is not free."
        )));
    }
    if !scheme.chars().all(plain) || scheme.starts_with('.') {
        return Err(Error::bad_request(
            "AuthenticationScheme: letters, digits, '-', '_' and '.' are possible, since it stands in addresses.",
        ));
    }
    Ok(())
}

async fn names_are_free(tx: &db::Tx, row: &Model) -> Result<(), Error> {
    let others = Entity::find()
        .filter(Column::Id.ne(row.id))
        .filter(
            sea_orm::Condition::any()
                .add(Column::AuthenticationSchemeFold.eq(&row.authentication_scheme_fold))
                .add(Column::DisplayNameFold.eq(&row.display_name_fold)),
        )
        .one(tx)
        .await?;
    let Some(other) = others else {
        return Ok(());
    };
    let place = if other.authentication_scheme_fold == row.authentication_scheme_fold {
        "AuthenticationScheme"
    } else {
        "DisplayName"
    };
    Err(Error::bad_request(format!(
        "{place}: another identity provider has this name."
    )))
}

async fn set_exists(tx: &db::Tx, id: Uuid) -> Result<(), Error> {
    let found = permission_sets::Entity::find_by_id(id).one(tx).await?;
    if found.is_none() {
        return Err(Error::bad_request(format!(
            "PermissionSetId: there is no permission set {id}."
        )));
    }
    Ok(())
}

fn entry(operation: Operation, row: &Model, message: String) -> Entry {
    Entry::new(
        operation,
        Category::IdentityProvider,
        &row.authentication_scheme,
        message,
    )
}

/// What audit shows: everything but the secret.
fn audited(row: &Model) -> Result<Value, Error> {
    let texts: BTreeMap<String, String> = serde_json::from_str(&row.parameters)?;
    Ok(json!({
        "Id": row.id,
        "AuthenticationScheme": row.authentication_scheme,
        "DisplayName": row.display_name,
        "ProviderType": row.provider_type,
        "PermissionSetId": row.permission_set_id,
        "AuthenticationEnabled": row.authentication_enabled,
        "Parameters": texts,
        "HasClientSecret": row.sealed_client_secret.is_some(),
    }))
}
