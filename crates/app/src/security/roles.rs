//! Security roles, version 1.

use db::tables::roles;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use utoipa_axum::router::OpenApiRouter;

use crate::error::Error;

/// `/Security/Roles`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}

/// The role with this id.
///
/// # Errors
/// Those of the database.
pub(crate) async fn role_by_id(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<roles::Model>, Error> {
    Ok(roles::Entity::find_by_id(id).one(connection).await?)
}

/// The role with this name, without regard to case.
///
/// # Errors
/// Those of the database.
pub(crate) async fn role_by_name(
    connection: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<roles::Model>, Error> {
    Ok(roles::Entity::find()
        .filter(roles::Column::NameFold.eq(db::fold(name)))
        .one(connection)
        .await?)
}
