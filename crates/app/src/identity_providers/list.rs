//! Reading providers and their types.

use std::collections::BTreeMap;

use db::tables::identity_providers::{Column, Entity, Model};
use sea_orm::EntityTrait;
use sea_orm::sea_query::Expr;
use uuid::Uuid;

use super::MASK;
use super::parameters::{DataType, ProviderType};
use super::wire::{
    ParameterResponse, ParameterValueResponse, ProviderResponse, SecretResponse, TypeResponse,
};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::{Json, List, Paging, PathId, Query};

/// The search reference of providers.
const FIELDS: &[Field] = &[
    field("AuthenticationScheme", FieldKind::Folded, || {
        Expr::col(Column::AuthenticationSchemeFold)
    }),
    field("DisplayName", FieldKind::Folded, || {
        Expr::col(Column::DisplayNameFold)
    }),
    field("Id", FieldKind::Guid, || Expr::col(Column::Id)),
    field("PermissionSetId", FieldKind::Guid, || {
        Expr::col(Column::PermissionSetId)
    }),
    field("AuthenticationEnabled", FieldKind::Boolean, || {
        Expr::col(Column::AuthenticationEnabled)
    }),
];

/// Lists identity providers.
#[utoipa::path(get, path = "/IdentityProviders", tag = "IdentityProvider", params(Paging), responses((status = 200, description = "A page of providers", body = Vec<ProviderResponse>)), extensions(("x-permissions" = json!(["/identity_providers/read/"]))))]
pub(super) async fn identity_providers(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<ProviderResponse>, Error> {
    cx.authorize(Permission::IdentityProvidersRead)?;
    let (rows, total) = page(
        &cx,
        Entity::find(),
        &paging,
        FIELDS,
        "AuthenticationScheme",
        Column::Id,
    )
    .await?;
    let items: Result<_, _> = rows.into_iter().map(response).collect();
    Ok(List {
        items: items?,
        total,
    })
}

/// Reads one identity provider.
#[utoipa::path(get, path = "/IdentityProviders/{id}", tag = "IdentityProvider", params(("id" = Uuid, Path, description = "Its id")), responses((status = 200, description = "The provider", body = ProviderResponse)), extensions(("x-permissions" = json!(["/identity_providers/read/"]))))]
pub(super) async fn identity_provider(
    cx: Cx,
    PathId(id): PathId<Uuid>,
) -> Result<Json<ProviderResponse>, Error> {
    cx.authorize(Permission::IdentityProvidersRead)?;
    let row = Entity::find_by_id(id).one(cx.db().read()).await?;
    let row = row.ok_or_else(|| Error::not_found("identity provider", id))?;
    response(row).map(Json)
}

/// Lists the types of identity providers and what can be configured of each.
#[utoipa::path(get, path = "/IdentityProviders/Types", tag = "IdentityProvider", responses((status = 200, description = "The types", body = Vec<TypeResponse>)), extensions(("x-permissions" = json!(["/identity_providers/read/"]))))]
pub(super) async fn types(cx: Cx) -> Result<Json<Vec<TypeResponse>>, Error> {
    cx.authorize(Permission::IdentityProvidersRead)?;
    Ok(Json(ProviderType::ALL.into_iter().map(type_of).collect()))
}

fn type_of(kind: ProviderType) -> TypeResponse {
    TypeResponse {
        id: kind.id(),
        name: kind.name(),
        type_parameters: kind
            .definitions()
            .map(|definition| ParameterResponse {
                id: definition.id,
                name: definition.name,
                display_name: definition.display_name,
                data_type: definition.data_type as i32,
                required: definition.required,
            })
            .collect(),
    }
}

/// A provider as answers show it.
///
/// # Errors
/// When the row cannot be read.
pub(super) fn response(row: Model) -> Result<ProviderResponse, Error> {
    let kind = kind(&row)?;
    let mut texts: BTreeMap<String, String> = serde_json::from_str(&row.parameters)?;
    let has_secret = row.sealed_client_secret.is_some();
    let parameters = kind.definitions().map(|definition| {
        let secret = definition.data_type == DataType::Secret;
        ParameterValueResponse {
            id: definition.id,
            name: definition.name,
            display_name: definition.display_name,
            required: definition.required,
            data_type: definition.data_type as i32,
            value: texts.remove(definition.name),
            secret_value: secret.then(|| SecretResponse {
                secret_value: has_secret.then_some(MASK),
                parameters: None,
                provider: None,
                has_value: has_secret,
            }),
        }
    });
    Ok(ProviderResponse {
        id: row.id,
        parameters: parameters.collect(),
        authentication_scheme: row.authentication_scheme,
        display_name: row.display_name,
        type_id: kind.id(),
        permission_set_id: row.permission_set_id,
        authentication_enabled: row.authentication_enabled,
    })
}

/// The type of a stored provider.
///
/// # Errors
/// When it is none that is known.
pub(super) fn kind(row: &Model) -> Result<ProviderType, Error> {
    ProviderType::parse(&row.provider_type)
        .ok_or_else(|| Error::internal(format!("provider type {:?}", row.provider_type)))
}
