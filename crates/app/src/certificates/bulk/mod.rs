//! `/Chancery/Certificates/Import`: certificates as a stream of any length. It is read as it comes and written in lots; each lot is
//! on disk together with how far the stream has come, so that what breaks off goes on where it was. `docs/import.md`.

mod lots;
mod progress;
mod reading;
mod stream;
mod writing;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use db::tables::imports::{self, Model};
use futures::StreamExt;
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, IntoActiveModel};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::audit::{self, Category, Entry, Operation};
use crate::cx::{Caller, Cx};
use crate::enrollment;
use crate::error::{Error, Kind};
use crate::metadata_fields;
use crate::security::Permission;
use crate::web::{Json, List, Paging, PathId, Query, RequestProgress};
use lots::Plan;
pub(crate) use progress::Imports;
use progress::{COMPLETE, ImportResponse, RUNNING};
use reading::Part;
use stream::Format;

/// The path below the base: its body is read as it comes, and counts nowhere as being in memory.
pub(crate) const PATH: &str = "/Chancery/Certificates/Import";

/// Parts of the body that wait to be taken apart.
const PARTS_WAITING: usize = 32;
/// When no octet came for so long, what is there is written.
const PAUSE: Duration = Duration::from_secs(1);
/// Of each such time in which octets were waited for, as many have to come as below: a stream that hardly comes holds a place that
/// another could have.
const PACE_TIME: Duration = Duration::from_secs(60);
/// Octets that have to come in it.
const PACE_OCTETS: usize = 64 * 1024;

/// Which import, and what is said of all certificates of the stream.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ImportQuery {
    /// The import's id, so that it can be watched while it runs, and go on when it breaks off; a new one unless given.
    id: Option<Uuid>,
    /// The octet of the stream that the body begins with, 0 unless given: has to be `Octets` of the import.
    #[param(minimum = 0)]
    from: Option<i64>,
    /// The role that owns new certificates; the default owner unless given.
    owner_role_id: Option<i64>,
    /// The same, by name.
    owner_role_name: Option<String>,
    /// Metadata of all certificates of the stream, known ones too: a JSON object of values by field name.
    metadata: Option<String>,
}

/// Imports certificates as a stream of any length: PEM, or DER certificates one after another. What is no certificate is counted and
/// passed over. Each lot is on disk with how far the stream has come; what breaks off goes on with the same `id` and with `from`.
/// An owner needs the right to give a new certificate to that role, metadata `/certificates/collections/metadata/modify/`.
#[utoipa::path(
    post, path = "/Chancery/Certificates/Import", tag = "Chancery", params(ImportQuery),
    request_body(content((String = "application/x-pem-file"), (String = "application/octet-stream")), description = "The stream from octet `from` on"),
    responses((status = 200, body = ImportResponse, description = "All of it was read"), (status = 409, body = crate::error::ErrorBody, description = "It is under way, complete, or stands at another octet")),
    extensions(("x-permissions" = json!(["/certificates/import/"])))
)]
pub(super) async fn import(
    cx: Cx,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Result<Json<ImportResponse>, Error> {
    import_stream(&cx, query, request).await.map(Json)
}

/// Imports of streams, the oldest first unless sorted otherwise.
#[utoipa::path(
    get, path = "/Chancery/Certificates/Import", tag = "Chancery", params(Paging),
    responses((status = 200, body = Vec<ImportResponse>, description = "A page")),
    extensions(("x-permissions" = json!(["/certificates/import/"])))
)]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<ImportResponse>, Error> {
    progress::list(&cx, &paging).await
}

/// How far an import has come.
#[utoipa::path(
    get, path = "/Chancery/Certificates/Import/{id}", tag = "Chancery", params(("id" = Uuid, Path, description = "Its id")),
    responses((status = 200, body = ImportResponse, description = "As far as it is on disk")),
    extensions(("x-permissions" = json!(["/certificates/import/"])))
)]
pub(super) async fn one(cx: Cx, PathId(id): PathId<Uuid>) -> Result<Json<ImportResponse>, Error> {
    progress::one(&cx, id).await.map(Json)
}

async fn import_stream(
    cx: &Cx,
    query: ImportQuery,
    request: Request,
) -> Result<ImportResponse, Error> {
    cx.authorize(Permission::CertificatesImport)?;
    let format = format(request.headers())?;
    let metadata = given_metadata(query.metadata.as_deref())?;
    if !metadata.is_empty() {
        cx.authorize(Permission::CertificatesMetadataModify)?;
    }
    let metadata = metadata_fields::check(cx.db().read(), &metadata).await?;
    let owner_name = query.owner_role_name.as_deref();
    let owner = enrollment::first_owner(cx, query.owner_role_id, owner_name, None).await?;
    let plan = Plan {
        cx: cx.clone(),
        owner_role_id: owner.role_id.filter(|_| owner.named),
        metadata,
    };
    let id = query.id.unwrap_or_else(|| cx.guid());
    let reading = cx.app().imports.begin(id, whose(cx))?;
    let row = begin(&plan, id, format, query.from.unwrap_or(0)).await?;
    let (parts, taken) = mpsc::channel(PARTS_WAITING);
    let (lots, waiting) = mpsc::channel(1);
    let from = row.octets.unsigned_abs();
    tokio::task::spawn_blocking(move || reading::read(format, from, taken, &lots));
    let progress = request.extensions().get::<RequestProgress>().cloned();
    // A task of its own: when the caller goes away, what has come is still written.
    let written = tokio::spawn(writing::write(plan, row, waiting, reading, progress));
    pump(request.into_body(), parts).await;
    let failed = written.await.map_err(Error::internal)??;
    match failed {
        Some(reason) => Err(Error::bad_request(format!("Body: {reason}"))),
        None => progress::one(cx, id).await,
    }
}

/// Passes the body on as it comes. What is dropped without an end has broken off.
async fn pump(body: Body, parts: mpsc::Sender<Part>) {
    let mut octets = body.into_data_stream();
    let mut pace = Pace::default();
    loop {
        let asked = Instant::now();
        let came = tokio::time::timeout(PAUSE, octets.next()).await;
        let length = match &came {
            Ok(Some(Ok(part))) => part.len(),
            _ => 0,
        };
        let part = match came {
            Ok(None) => Part::End,
            Ok(Some(Err(_))) => Part::Broken("The body ended before its announced length.".into()),
            _ if !pace.is_kept(asked.elapsed(), length) => {
                let seconds = PACE_TIME.as_secs();
                Part::Broken(format!(
                    "Fewer than {PACE_OCTETS} octets came in {seconds} seconds."
                ))
            }
            Ok(Some(Ok(part))) => Part::Octets(part),
            Err(_) => Part::Pause,
        };
        let goes_on = matches!(part, Part::Octets(_) | Part::Pause);
        // Nobody takes it: writing has failed.
        if parts.send(part).await.is_err() || !goes_on {
            return;
        }
    }
}

/// How fast a stream comes: the time in which it was waited for, and what came. What the server takes to write does not count.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    octets: usize,
}

impl Pace {
    /// Counts, and answers whether the stream comes fast enough.
    fn is_kept(&mut self, waited: Duration, octets: usize) -> bool {
        self.waited += waited;
        self.octets += octets;
        if self.waited < PACE_TIME {
            return true;
        }
        std::mem::take(self).octets >= PACE_OCTETS
    }
}

fn format(headers: &HeaderMap) -> Result<Format, Error> {
    let media = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = media
        .and_then(|media| media.split(';').next())
        .unwrap_or_default();
    match media.trim().to_ascii_lowercase().as_str() {
        "application/x-pem-file" | "application/pem-certificate-chain" | "text/plain" => {
            Ok(Format::Pem)
        }
        "application/octet-stream" | "application/pkix-cert" => Ok(Format::Der),
        other => Err(Error::new(
            Kind::BadMediaType,
            format!(
                "The body has to be application/x-pem-file or, for DER, application/octet-stream, not {other:?}."
            ),
        )),
    }
}

fn given_metadata(text: Option<&str>) -> Result<Vec<(String, String)>, Error> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let object: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| Error::bad_request(format!("Metadata: no JSON object: {error}.")))?;
    let mut given = metadata_fields::given(Some(object))?;
    given.retain(|(_, value)| !metadata_fields::is_blank(value));
    Ok(given)
}

/// Who asks, as the provider knows it.
fn whose(cx: &Cx) -> (String, String) {
    match cx.caller() {
        Caller::Identity(identity) => (identity.provider.clone(), identity.subject.clone()),
        Caller::System(reason) => (String::new(), (*reason).to_owned()),
    }
}

/// The row of an import that begins or goes on.
async fn begin(plan: &Plan, id: Uuid, format: Format, from: i64) -> Result<Model, Error> {
    let plan = plan.clone();
    let db = plan.cx.db().clone();
    db.write("certificates.import_begin", move |tx| {
        Box::pin(async move {
            let (cx, now) = (&plan.cx, plan.cx.now());
            let (provider, subject) = whose(cx);
            let row = match progress::locked(tx, id).await? {
                None if from != 0 => {
                    return Err(Error::conflict(format!(
                        "from: import {id} is new; it begins with octet 0."
                    )));
                }
                None => {
                    let row = Model {
                        id,
                        run_id: cx.guid(),
                        format: format.number(),
                        state: RUNNING,
                        reason: None,
                        username: cx.caller_name(),
                        provider,
                        subject,
                        owner_role_id: plan.owner_role_id,
                        metadata: serde_json::to_string(&plan.metadata)?,
                        octets: 0,
                        new_certificates: 0,
                        known_certificates: 0,
                        updated_certificates: 0,
                        failed_certificates: 0,
                        failures: "[]".into(),
                        runs: 1,
                        active_ms: 0,
                        started_at: now,
                        updated_at: now,
                        ended_at: None,
                    };
                    imports::Entity::insert(row.clone().into_active_model())
                        .exec_without_returning(tx)
                        .await?;
                    row
                }
                Some(row) => {
                    check_resumed(&plan, &row, format, from)?;
                    let row = Model {
                        run_id: cx.guid(),
                        state: RUNNING,
                        reason: None,
                        runs: row.runs + 1,
                        updated_at: now,
                        ended_at: None,
                        ..row
                    };
                    let changed = imports::ActiveModel {
                        id: ActiveValue::Unchanged(id),
                        ..row.clone().into_active_model().reset_all()
                    };
                    imports::Entity::update(changed).validate()?.exec(tx).await?;
                    row
                }
            };
            let verb = if row.runs == 1 { "begins" } else { "goes on" };
            let message = format!("Import {id} {verb} at octet {}.", row.octets);
            let title = format!("Import {id}");
            let entry = Entry::new(Operation::Created, Category::Certificate, title, message);
            let fields: Vec<&str> = plan.metadata.iter().map(|(name, _)| name.as_str()).collect();
            let after = json!({ "ImportId": id, "Octets": row.octets, "OwnerRoleId": row.owner_role_id, "Metadata": fields });
            audit::record(tx, cx, entry.after(after)).await?;
            Ok(row)
        })
    })
    .await
}

/// Whether an import can go on with this request.
fn check_resumed(plan: &Plan, row: &Model, format: Format, from: i64) -> Result<(), Error> {
    let id = row.id;
    if (&row.provider, &row.subject) != (&whose(&plan.cx).0, &whose(&plan.cx).1) {
        return Err(Error::conflict(format!(
            "id: import {id} is another account's."
        )));
    }
    match row.state {
        RUNNING if !progress::is_orphaned(&plan.cx, row) => return Err(progress::is_running(id)),
        COMPLETE => return Err(Error::conflict(format!("Import {id} is complete."))),
        _ => {}
    }
    if row.octets != from {
        return Err(Error::conflict(format!(
            "from: import {id} stands at octet {}, not {from}.",
            row.octets
        )));
    }
    let same = row.format == format.number()
        && row.owner_role_id == plan.owner_role_id
        && row.metadata == serde_json::to_string(&plan.metadata)?;
    match same {
        true => Ok(()),
        false => Err(Error::conflict(format!(
            "Import {id} began with another form of certificates, another owner or other metadata."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_hardly_comes_is_not_waited_for() {
        const SECOND: Duration = Duration::from_secs(1);
        let parts_until_slow = |waited: Duration, octets: usize| {
            let mut pace = Pace::default();
            (1..=10_000).find(|_| !pace.is_kept(waited, octets))
        };
        assert_eq!(parts_until_slow(SECOND, 0), Some(60), "nothing");
        assert_eq!(parts_until_slow(SECOND, 1_000), Some(60), "octet by octet");
        assert_eq!(parts_until_slow(SECOND, 1_100), None, "slow but steady");
        assert_eq!(parts_until_slow(Duration::ZERO, 0), None, "not waited for");
        let mut pace = Pace::default();
        assert!(pace.is_kept(SECOND, PACE_OCTETS));
        let silent = (1..=1_000).find(|_| !pace.is_kept(SECOND, 0));
        assert_eq!(silent, Some(119), "what came long ago does not count");
    }
}
