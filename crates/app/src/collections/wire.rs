//! Collections on the wire.

use db::tables::certificate_collections::Model;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::web::Date;

/// A collection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateQuery)]
pub(super) struct CollectionOutput {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    description: String,
    /// False: none is made by the server.
    automated: bool,
    /// The query; empty for every certificate.
    content: String,
    /// By what reports leave renewed certificates out: 0 nothing, 1 common name, 2 distinguished name, 4 principal name; 3 is kept
    /// as it is given.
    duplication_field: i32,
    show_on_dashboard: bool,
    /// Whether the caller has it in the navigation.
    favorite: bool,
}

impl CollectionOutput {
    pub(super) fn new(row: Model, favorite: bool) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            automated: false,
            content: row.query,
            duplication_field: row.duplication_field,
            show_on_dashboard: row.show_on_dashboard,
            favorite,
        }
    }
}

/// A collection after a change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCollectionResponse)]
pub(super) struct ChangedOutput {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    description: String,
    /// False: none is made by the server.
    automated: bool,
    /// The query, as `Query`.
    content: String,
    /// The query; empty for every certificate.
    query: String,
    duplication_field: i32,
    show_on_dashboard: bool,
    favorite: bool,
    /// How many certificates are in it, revoked and expired ones among them; 0 when that was never counted.
    #[schema(value_type = i32)]
    estimated_cert_count: i64,
    /// When they were counted; null when they never were.
    last_estimated: Option<Date>,
}

impl ChangedOutput {
    pub(super) fn new(row: Model, favorite: bool, count: Count) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            automated: false,
            content: row.query.clone(),
            query: row.query,
            duplication_field: row.duplication_field,
            show_on_dashboard: row.show_on_dashboard,
            favorite,
            estimated_cert_count: count.certificates.unwrap_or_default(),
            last_estimated: count.at.map(Date),
        }
    }
}

/// How many certificates a collection had, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) certificates: Option<i64>,
    /// Epoch milliseconds.
    pub(super) at: Option<i64>,
}

/// A collection in the short list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCollectionListResponse)]
pub(super) struct ListedOutput {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    /// The query.
    content: String,
    /// In words.
    duplication_field: &'static str,
    favorite: bool,
    show_on_dashboard: bool,
    /// True: only what the caller may read is listed.
    has_query_permissions: bool,
    description: String,
}

impl ListedOutput {
    pub(super) fn new(row: Model, favorite: bool) -> Self {
        Self {
            id: row.id,
            name: row.name,
            content: row.query,
            duplication_field: match row.duplication_field {
                1 => "Common Name",
                2 => "Distinguished Name",
                4 => "Principal Name",
                _ => "None",
            },
            favorite,
            show_on_dashboard: row.show_on_dashboard,
            has_query_permissions: true,
            description: row.description,
        }
    }
}

/// A collection to create or to copy, or what is to stand in its place: then what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCollectionRequest)]
pub(super) struct CollectionRequest {
    /// Which collection, when it is replaced; else ignored.
    #[schema(value_type = Option<i32>)]
    pub(super) id: Option<i64>,
    /// A collection whose roles' permissions the new one gets, and what is left out here; 0 for none. Needed to copy.
    #[schema(value_type = Option<i32>)]
    pub(super) copy_from_id: Option<i64>,
    /// Unique, without regard to case.
    #[schema(value_type = String)]
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    /// In the query language of certificates; empty for all.
    pub(super) query: Option<String>,
    /// 0, 1, 2, 3 or 4, as it is shown.
    #[schema(value_type = Option<i32>)]
    pub(super) duplication_field: Option<i64>,
    pub(super) show_on_dashboard: Option<bool>,
    /// Whether the caller has it in the navigation.
    pub(super) favorite: Option<bool>,
}
