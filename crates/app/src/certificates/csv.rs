//! `GET /Certificates/CSV`: certificates as a table for spreadsheets. The rows are written while they are read, so that a long
//! table takes no more memory than a short one.

use std::collections::HashMap;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use db::tables::{authorities, certificates, roles, templates};
use futures::{StreamExt, TryStreamExt, stream};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::Deserialize;
use utoipa::IntoParams;

use super::fields::FIELDS;
use super::listing::{self, Shown};
use super::{Collection, wire};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};
use crate::web::query_string::{SortOrder, parse_query};
use crate::web::{Date, Paging, Query, list};

/// Rows of one table at most: a spreadsheet holds no more.
const ROWS_MAX: u64 = 1_000_000;
/// Rows that are read at a time.
const ROWS_AT_ONCE: usize = 500;
/// The columns, named as the members of a certificate.
const HEAD: &str = "Id,Thumbprint,SerialNumber,IssuedCN,IssuedDN,IssuerDN,IssuedOU,IssuedEmail,NotBefore,NotAfter,ImportDate,CertStateString,RevocationEffDate,RevocationReason,KeyTypeString,KeySizeInBits,Curve,SigningAlgorithm,CertificateAuthorityName,TemplateName,OwnerRoleName,RequesterName,HasPrivateKey\r\n";

/// Which certificates, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(super) struct Wanted {
    /// As in the list; empty for all.
    query: Option<String>,
    /// The field to sort by.
    sort_name: Option<String>,
    /// 0 ascending (the default), 1 descending.
    #[param(value_type = Option<i32>)]
    sort_order: Option<SortOrder>,
}

/// Certificates as CSV: a JSON string, or plain `text/csv` for callers who accept that. Revoked and expired ones are left out
/// unless asked for.
#[utoipa::path(
    get, path = "/Certificates/CSV", tag = "Certificate", params(Wanted, Shown, Collection),
    responses((status = 200, description = "A line each after the line of the columns' names", content(
        (String = "application/json"),
        (String = "text/csv"),
    ))),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
pub(super) async fn export(
    cx: Cx,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
    Query(shown): Query<Shown>,
    Query(collection): Query<Collection>,
) -> Result<Response, Error> {
    let ids = ids(&cx, wanted, &shown, collection.through()).await?;
    let plain = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.to_ascii_lowercase().contains("text/csv"));
    let names = Names::read(&cx).await?;
    let parts: Vec<Vec<i64>> = ids.chunks(ROWS_AT_ONCE).map(<[i64]>::to_vec).collect();
    let head = stream::once(async { Ok::<_, Error>(HEAD.to_owned()) });
    let rows = stream::iter(parts).then(move |part| {
        let (cx, names) = (cx.clone(), names.clone());
        async move { names.rows(&cx, &part).await }
    });
    let text = head.chain(rows);
    let (media, body) = if plain {
        let text = text.map_ok(Bytes::from);
        ("text/csv; charset=utf-8", Body::from_stream(text))
    } else {
        let quote = || stream::once(async { Ok(Bytes::from_static(b"\"")) });
        let text = text.and_then(|text| async move { within_quotes(&text) });
        let whole = quote().chain(text).chain(quote());
        ("application/json; charset=utf-8", Body::from_stream(whole))
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert("x-total-count", HeaderValue::from(ids.len()));
    if plain {
        let name = HeaderValue::from_static("attachment; filename=\"certificates.csv\"");
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// The text as the inside of a JSON string.
fn within_quotes(text: &str) -> Result<Bytes, Error> {
    let quoted = Bytes::from(serde_json::to_string(text)?);
    Ok(quoted.slice(1..quoted.len().saturating_sub(1)))
}

/// The certificates in their order.
///
/// # Errors
/// Those of the list; 400 for more certificates than a table holds.
async fn ids(cx: &Cx, wanted: Wanted, shown: &Shown, through: Through) -> Result<Vec<i64>, Error> {
    cx.authorize_certificate_list(Permission::CertificatesRead, through)
        .await?;
    let query = parse_query(wanted.query.as_deref().unwrap_or_default())?;
    let paging = Paging {
        sort_field: wanted.sort_name,
        sort_ascending: wanted.sort_order,
        ..Paging::default()
    };
    let found = certificates::Entity::find()
        .select_only()
        .column(certificates::Column::Id)
        .filter(listing::wanted(cx, query.as_ref(), through, shown).await?);
    let sorted = list::sorted(found, &paging, &FIELDS, "Id", certificates::Column::Id)?;
    let ids: Vec<i64> = sorted
        .limit(ROWS_MAX + 1)
        .into_tuple()
        .all(cx.db().read())
        .await?;
    if ids.len() as u64 > ROWS_MAX {
        return Err(Error::bad_request(format!(
            "Query: it finds more than {ROWS_MAX} certificates, which is the most that a table holds; make it narrower."
        )));
    }
    Ok(ids)
}

/// The names of what certificates point to.
#[derive(Clone, Debug)]
struct Names {
    authorities: HashMap<i64, String>,
    templates: HashMap<i64, String>,
    roles: HashMap<i64, String>,
}

impl Names {
    async fn read(cx: &Cx) -> Result<Self, Error> {
        let connection = cx.db().read();
        let known = authorities::Entity::find()
            .select_only()
            .columns([
                authorities::Column::Id,
                authorities::Column::HostName,
                authorities::Column::LogicalName,
            ])
            .into_tuple()
            .all(connection)
            .await?;
        let authorities = known
            .into_iter()
            .map(|(id, host, name): (i64, String, String)| (id, format!("{host}\\{name}")));
        let templates: Vec<(i64, String)> = templates::Entity::find()
            .select_only()
            .columns([templates::Column::Id, templates::Column::DisplayName])
            .into_tuple()
            .all(connection)
            .await?;
        let roles: Vec<(i64, String)> = roles::Entity::find()
            .select_only()
            .columns([roles::Column::Id, roles::Column::Name])
            .into_tuple()
            .all(connection)
            .await?;
        Ok(Self {
            authorities: authorities.collect(),
            templates: templates.into_iter().collect(),
            roles: roles.into_iter().collect(),
        })
    }

    /// The lines of these certificates, in this order. One that was deleted meanwhile has none.
    async fn rows(&self, cx: &Cx, ids: &[i64]) -> Result<String, Error> {
        let rows = certificates::Entity::find()
            .filter(certificates::Column::Id.is_in(ids.iter().copied()))
            .all(cx.db().read())
            .await?;
        let mut rows: HashMap<i64, certificates::Model> =
            rows.into_iter().map(|row| (row.id, row)).collect();
        let lines = ids.iter().filter_map(|id| rows.remove(id));
        Ok(lines.map(|row| self.line(row)).collect())
    }

    fn line(&self, row: certificates::Model) -> String {
        let date = |at: i64| Date(at).text();
        let named = |names: &HashMap<i64, String>, id: Option<i64>| {
            id.and_then(|id| names.get(&id).cloned())
                .unwrap_or_default()
        };
        let cells = [
            row.id.to_string(),
            row.thumbprint,
            row.serial_number,
            row.common_name.unwrap_or_default(),
            row.subject,
            row.issuer,
            row.organizational_unit.unwrap_or_default(),
            row.email.unwrap_or_default(),
            date(row.not_before),
            date(row.not_after),
            date(row.imported_at),
            wire::state_text(row.state),
            row.revoked_at.map(date).unwrap_or_default(),
            row.revocation_reason
                .map(|reason| reason.to_string())
                .unwrap_or_default(),
            wire::key_type_text(row.key_type),
            row.key_size.to_string(),
            row.curve.unwrap_or_default(),
            row.signing_algorithm,
            named(&self.authorities, row.authority_id),
            named(&self.templates, row.template_id),
            named(&self.roles, row.owner_role_id),
            row.requester.unwrap_or_default(),
            row.has_private_key.to_string(),
        ];
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| crate::web::csv::quoted(cell))
            .collect();
        format!("{}\r\n", cells.join(","))
    }
}
