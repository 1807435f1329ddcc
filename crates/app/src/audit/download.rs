//! `GET /Audit/Download`: the records as CSV.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use db::tables::audit_records::{Column, Entity, Model};
use sea_orm::EntityTrait;

use super::entry::{CATEGORIES, LEVELS, OPERATIONS, named};
use super::list::FIELDS;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::csv::quoted;
use crate::web::list::page;
use crate::web::{Date, Json, Paging, Query};

/// The columns that the reference names.
const HEAD: &str = "Id,Timestamp,Message,Operation,Level,User,Category,Name,XMLMessage\r\n";
/// Records in a file when the caller names no number; more come page by page.
const RECORDS: i64 = 10_000;

/// The audit records that the query names, as CSV: a JSON string, or plain `text/csv` for callers who accept that.
#[utoipa::path(
    get,
    path = "/Audit/Download",
    tag = "AuditLog",
    params(Paging),
    responses((status = 200, description = "The records, a line each after the line of the columns' names", content(
        (String = "application/json"),
        (String = "text/csv"),
    ))),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn download(
    cx: Cx,
    headers: HeaderMap,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    cx.authorize(Permission::AuditingRead)?;
    let text = csv(&cx, paging).await?;
    let plain = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.to_ascii_lowercase().contains("text/csv"));
    if !plain {
        return Ok(Json(text).into_response());
    }
    let media = HeaderValue::from_static("text/csv; charset=utf-8");
    let name = HeaderValue::from_static("attachment; filename=\"audit.csv\"");
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, text).into_response())
}

async fn csv(cx: &Cx, paging: Paging) -> Result<String, Error> {
    let paging = Paging {
        return_limit: paging.return_limit.or(Some(RECORDS)),
        ..paging
    };
    let (rows, _) = page(cx, Entity::find(), &paging, FIELDS, "Id", Column::Id).await?;
    let mut text = HEAD.to_owned();
    for row in rows {
        let details = details(&row);
        let fields = [
            &row.message,
            &named(OPERATIONS, row.operation),
            &named(LEVELS, row.level),
            &row.actor,
            &named(CATEGORIES, row.category),
            &row.name,
            &details,
        ];
        // Writing to a String cannot fail.
        let _ = write!(text, "{},{}", row.id, Date(row.at).text());
        for value in fields {
            text.push(',');
            text.push_str(&quoted(value));
        }
        text.push_str("\r\n");
    }
    Ok(text)
}

/// Before and after, for the column `XMLMessage`.
fn details(row: &Model) -> String {
    let part = |name: &str, value: Option<&String>| {
        value.map_or_else(String::new, |value| {
            format!("<{name}>{}</{name}>", escaped(value))
        })
    };
    format!(
        "<AuditRecord>{}{}</AuditRecord>",
        part("Before", row.before.as_ref()),
        part("After", row.after.as_ref())
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_text() {
        assert_eq!(escaped("<a&b>"), "&lt;a&amp;b&gt;");
    }
}
