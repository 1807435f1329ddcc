//! `GET /Chancery/Certificates/Changes`: what is different between two moments, certificate by certificate and field by field.
//!
//! What happened in between is found by the times of all that comes, changes and goes, so that its cost is that of the changes and
//! not of the inventory. Each certificate it happened to is then looked at as it was at both moments: what came and went again, or was
//! changed and changed back, is no change.

use std::collections::{BTreeMap, HashMap, HashSet};

use db::tables::{certificate_metadata, certificates};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Statement};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::as_of::moment;
use super::chosen::ROWS_MAX;
use super::listing::{self, Shown, wanted};
use super::wire::Location;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};
use crate::web::{Date, List, Paging, Query};

/// Where something happened to a certificate: the table, its column with the certificate's id, and the one with the time.
const HAPPENINGS: &[(&str, &str, &str)] = &[
    ("certificates", "id", "imported_at"),
    ("past_certificates", "id", "since"),
    ("past_certificates", "id", "until"),
    ("certificate_metadata", "certificate_id", "since"),
    ("past_certificate_metadata", "certificate_id", "since"),
    ("past_certificate_metadata", "certificate_id", "until"),
    ("store_entry_certificates", "certificate_id", "since"),
    ("past_store_entry_certificates", "certificate_id", "since"),
    ("past_store_entry_certificates", "certificate_id", "until"),
];

/// Between which moments, and of which certificates.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Between {
    /// The earlier moment: a date in any form that queries take.
    #[param(rename = "from", required = true, value_type = String)]
    from: Option<String>,
    /// The later moment; now unless given.
    #[param(rename = "to")]
    to: Option<String>,
    /// A certificate collection; 0 for none. Certificates come into it and go out of it.
    #[param(rename = "collectionId")]
    collection_id: Option<i64>,
    /// Which page, from 1 (the default).
    #[param(rename = "PageReturned", minimum = 1)]
    page_returned: Option<i64>,
    /// Entries on a page, 50 unless told, 10,000 at most.
    #[param(rename = "ReturnLimit", minimum = 1)]
    return_limit: Option<i64>,
}

/// A certificate that is different.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChanceryCertificateChange)]
pub(super) struct ChangeOutput {
    certificate_id: i64,
    /// When something happened to it last, of what happened in between.
    last_changed: Date,
    change: Change,
    thumbprint: String,
    #[serde(rename = "IssuedDN")]
    issued_dn: String,
    /// What is different of it. Of one that appeared or vanished: all that it says now, or said.
    fields: Vec<FieldOutput>,
}

/// What became of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChanceryCertificateChangeKind)]
enum Change {
    /// It is there, and was not.
    Appeared,
    /// It is not as it was.
    Changed,
    /// It was there, and is not.
    Vanished,
}

/// A field that is different.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChanceryCertificateFieldChange)]
struct FieldOutput {
    /// As in a certificate; `Metadata.NAME` for metadata, `Locations` for each place that is new or gone.
    field: String,
    /// Null when it had no value.
    before: Value,
    /// Null when it has no value.
    after: Value,
}

/// What appeared, changed and vanished between two moments. The order is that of the last changes.
#[utoipa::path(
    get, path = "/Chancery/Certificates/Changes", tag = "Certificate", params(Between),
    responses((status = 200, body = Vec<ChangeOutput>, description = "A page; `X-Total-Count` says how many certificates are different")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
pub(super) async fn changes(
    cx: Cx,
    Query(between): Query<Between>,
) -> Result<List<ChangeOutput>, Error> {
    of(&cx, between).await
}

async fn of(cx: &Cx, between: Between) -> Result<List<ChangeOutput>, Error> {
    let through = Through::new(between.collection_id, None);
    cx.authorize_certificate_list(Permission::CertificatesRead, through)
        .await?;
    let from = between.from.as_deref();
    let from = from.ok_or_else(|| Error::bad_request("from: a value is required."))?;
    let from = moment(cx, "from", from)?;
    let to = between.to.as_deref().map(|to| moment(cx, "to", to));
    let to = to.transpose()?.unwrap_or_else(|| cx.now());
    if from > to {
        return Err(Error::bad_request("to: it is before from."));
    }
    let paging = Paging {
        page_returned: between.page_returned,
        return_limit: between.return_limit,
        ..Paging::default()
    };
    let (skip, limit) = paging.window()?;
    let page = skip..skip.saturating_add(limit);
    let (before, after) = (cx.as_of(from), cx.as_of(to));
    let (mut items, mut total) = (Vec::new(), 0);
    for some in touched(cx, from, to).await?.chunks(ROWS_MAX) {
        let ids: Vec<i64> = some.iter().map(|(id, _)| *id).collect();
        let was = present(&before, &ids, through).await?;
        let is = present(&after, &ids, through).await?;
        // Those that came or went are different whatever they say: they are read only where they are shown.
        let either = was.union(&is).count();
        let is_shown = total < page.end && total.saturating_add(either as u64) > page.start;
        let is_needed = |id: &&i64| match (was.contains(*id), is.contains(*id)) {
            (true, true) => true,
            (was, is) => is_shown && (was || is),
        };
        let needed: Vec<i64> = ids.iter().filter(is_needed).copied().collect();
        let mut was_so = states(&before, &of_these(&needed, &was)).await?;
        let mut is_so = states(&after, &of_these(&needed, &is)).await?;
        for (id, at) in some {
            let change = match (was.contains(id), is.contains(id)) {
                (false, false) => continue,
                (false, true) => Change::Appeared,
                (true, true) => Change::Changed,
                (true, false) => Change::Vanished,
            };
            let (old, new) = (was_so.remove(id), is_so.remove(id));
            let fields = different(old.as_ref(), new.as_ref());
            if change == Change::Changed && fields.is_empty() {
                continue;
            }
            total += 1;
            if page.contains(&(total - 1))
                && let Some(state) = new.or(old)
            {
                items.push(ChangeOutput {
                    certificate_id: *id,
                    last_changed: Date(*at),
                    change,
                    thumbprint: state.row.thumbprint,
                    issued_dn: state.row.subject,
                    fields,
                });
            }
        }
    }
    Ok(List { items, total })
}

fn of_these(ids: &[i64], among: &HashSet<i64>) -> Vec<i64> {
    ids.iter()
        .filter(|id| among.contains(id))
        .copied()
        .collect()
}

/// The certificates to which something happened after `from` and until `to`, and when last, in the order of that.
async fn touched(cx: &Cx, from: i64, to: i64) -> Result<Vec<(i64, i64)>, Error> {
    let happenings: Vec<String> = HAPPENINGS
        .iter()
        .map(|(table, id, at)| {
            format!("SELECT {id} AS certificate_id, {at} AS happened_at FROM {table} WHERE {at} > $1 AND {at} <= $2")
        })
        .collect();
    let sql = format!(
        "SELECT certificate_id, MAX(happened_at) AS last_at FROM ({}) AS happenings GROUP BY certificate_id ORDER BY last_at, certificate_id",
        happenings.join(" UNION ALL ")
    );
    let backend = cx.db().dialect().backend();
    let statement = Statement::from_sql_and_values(backend, sql, [from.into(), to.into()]);
    let rows = cx.db().read().query_all_raw(statement).await?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect()
}

/// Those of these certificates that are there, and in the collection.
async fn present(then: &Cx, ids: &[i64], through: Through) -> Result<HashSet<i64>, Error> {
    let everything = Shown {
        include_revoked: Some(true),
        include_expired: Some(true),
    };
    let found: Vec<i64> = certificates::Entity::find()
        .select_only()
        .column(certificates::Column::Id)
        .filter(certificates::Column::Id.is_in(ids.iter().copied()))
        .filter(wanted(then, None, through, &everything).await?)
        .into_tuple()
        .all(then.db().read())
        .await?;
    Ok(found.into_iter().collect())
}

/// A certificate with what can change of it.
struct State {
    row: certificates::Model,
    metadata: BTreeMap<String, String>,
    locations: Vec<Location>,
}

async fn states(then: &Cx, ids: &[i64]) -> Result<HashMap<i64, State>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let connection = then.db().read();
    let rows = certificates::Entity::find()
        .filter(certificates::Column::Id.is_in(ids.iter().copied()))
        .all(connection)
        .await?;
    let values = certificate_metadata::Entity::find()
        .filter(certificate_metadata::Column::CertificateId.is_in(ids.iter().copied()))
        .all(connection)
        .await?;
    let mut locations = listing::locations(then, ids).await?;
    let mut found: HashMap<i64, State> = HashMap::with_capacity(rows.len());
    for row in rows {
        let locations = locations.remove(&row.id).unwrap_or_default();
        let state = State {
            metadata: BTreeMap::new(),
            locations: locations.into_iter().map(|(_, place)| place).collect(),
            row,
        };
        found.insert(state.row.id, state);
    }
    for value in values {
        if let Some(state) = found.get_mut(&value.certificate_id) {
            state.metadata.insert(value.name, value.value);
        }
    }
    Ok(found)
}

impl State {
    /// What it says, in the order of the answer: by group, name, and what tells places from each other.
    fn said(&self) -> BTreeMap<(usize, String, String), Value> {
        let row = &self.row;
        let date = |at: Option<i64>| at.map(|at| Date(at).text());
        let own = [
            ("CertState", json!(row.state)),
            ("RevocationEffDate", json!(date(row.revoked_at))),
            ("RevocationReason", json!(row.revocation_reason)),
            ("RevocationComment", json!(row.revocation_comment)),
            ("OwnerRoleId", json!(row.owner_role_id)),
            ("TemplateId", json!(row.template_id)),
            ("CertificateAuthorityId", json!(row.authority_id)),
            ("CertRequestId", json!(row.request_id)),
            ("RequesterName", json!(row.requester)),
            ("HasPrivateKey", json!(row.has_private_key)),
        ];
        let own = (0..).zip(own);
        let mut said: BTreeMap<(usize, String, String), Value> = own
            .filter(|(_, (_, value))| !value.is_null())
            .map(|(place, (name, value))| ((place, name.to_owned(), String::new()), value))
            .collect();
        for (name, value) in &self.metadata {
            let key = (100, format!("Metadata.{name}"), String::new());
            said.insert(key, json!(value));
        }
        for place in &self.locations {
            let place = json!(place);
            said.insert((101, "Locations".into(), place.to_string()), place);
        }
        said
    }
}

fn different(old: Option<&State>, new: Option<&State>) -> Vec<FieldOutput> {
    let mut old = old.map(State::said).unwrap_or_default();
    let new = new.map(State::said).unwrap_or_default();
    let mut fields: BTreeMap<(usize, String, String), (Value, Value)> = BTreeMap::new();
    for (key, after) in new {
        let before = old.remove(&key).unwrap_or_default();
        if before != after {
            fields.insert(key, (before, after));
        }
    }
    let gone = old
        .into_iter()
        .map(|(key, before)| (key, (before, Value::Null)));
    fields.extend(gone);
    let field = |((_, field, _), (before, after))| FieldOutput {
        field,
        before,
        after,
    };
    fields.into_iter().map(field).collect()
}
