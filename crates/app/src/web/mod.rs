//! The rules of the wire, once, for every operation: lenient in, exact out, paging, versions, path case, errors.

pub(crate) mod bodies;
mod body_budget;
pub(crate) mod csv;
pub(crate) mod date;
mod dispatch;
pub(crate) mod lenient;
pub(crate) mod list;
mod maybe;
mod path;
pub(crate) mod query_string;
pub(crate) mod schedule;
pub(crate) mod secret;
mod secure;

pub(crate) use bodies::{Body, Json, List, NoContent, PathId};
pub(crate) use body_budget::BodyBudget;
pub(crate) use date::Date;
pub(crate) use dispatch::{ApiRoutes, serve};
pub use dispatch::{PeerAddress, PeerCertificate, RequestProgress};
pub(crate) use maybe::Maybe;
pub(crate) use path::below as path_below;
pub(crate) use query_string::{Paging, Query};
pub use secure::{network_of, secure};

/// The product version that answers carry in `X-Keyfactor-Product-Version`. Clients gate features by it: 25.x is what the
/// contract describes, and what `kfutil` needs below 12 it does not ask of certificates and stores.
pub const PRODUCT_VERSION: &str = concat!("25.4.1+chancery.", env!("CARGO_PKG_VERSION"));
