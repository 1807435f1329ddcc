//! `/CertificateStoreContainers` and `/Applications`: groups of stores, with a schedule for their inventories and rights of their
//! own. They are the same things by an old and a new name; an application is not bound to a type of stores.

mod applications;
mod list;
mod rights;
mod write;

use db::tables::store_containers::Model;
use jobs::Schedule;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use list::FIELDS;
pub(crate) use write::create_row;

use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Target};

/// `/CertificateStoreContainers`, `/Applications` and `/Security/Containers`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list::list, write::create, write::replace))
        .routes(routes!(list::get, write::delete))
        .routes(routes!(
            applications::list,
            applications::create,
            applications::replace
        ))
        .routes(routes!(applications::get, applications::delete))
        .routes(routes!(rights::roles, rights::set_roles))
}

/// Refuses callers without `permission` on the container, or on all. It need not exist.
///
/// # Errors
/// 403 in the words that clients look for.
fn authorize(cx: &Cx, permission: Permission, id: i64) -> Result<(), Error> {
    if cx.may_on(permission, Target::Container(id)) {
        return Ok(());
    }
    cx.authorize(permission)
}

/// The schedule that a container has now: one that was for a single time is gone after it.
pub(crate) fn current_schedule(container: &Model, now: i64) -> Option<Schedule> {
    let schedule = Schedule::parse_compact(container.schedule.as_deref()?).ok()?;
    match schedule {
        Schedule::ExactlyOnce { at } if at < now => None,
        other => Some(other),
    }
}

/// The inventory schedule of a store that comes to a container: the container's takes the place of its own where it overwrites,
/// and is the default where it does not (command-behaviour.md B.2).
pub(crate) fn schedule_on_joining(
    container: &Model,
    own: Option<Schedule>,
    now: i64,
) -> Option<Schedule> {
    let default = current_schedule(container, now);
    if container.overwrite_schedules {
        default.or(own)
    } else {
        own.or(default)
    }
}
