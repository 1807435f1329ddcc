//! `/MetadataFields`: what may be noted about certificates beside what they say themselves, and the one place that checks a value
//! against its field.

mod checking;
mod reading;
mod value;
mod wire;
mod writing;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use db::tables::metadata_fields::Model;

pub(crate) use checking::{Fields, at_enrollment, check, check_in, enrolled_in, given, named};
pub(crate) use reading::all;
pub(crate) use value::{Kind, is_blank, kind, number, options, same};

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(
            reading::list,
            writing::create,
            writing::replace,
            writing::delete_several
        ))
        .routes(routes!(reading::one, writing::delete))
        .routes(routes!(reading::in_use))
}
