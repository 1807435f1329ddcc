//! `GET /Certificates/{id}/Validate`: whether a path of sound certificates leads from a certificate to a root that is known here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use db::tables::certificates;
use pki::Certificate;
use pki::validation::{Demand, Evidence, Outcome, Report, Test};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::record::STATE_REVOKED;
use super::revocation_evidence::{self, Gathered};
use super::{Collection, stored};
use crate::authorities;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};
use crate::web::{Date, Json, PathId, Query};

/// Whether a certificate is valid, and why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateValidationResponse)]
pub(super) struct ValidationOutput {
    /// Every check passed along the path; revocation of which nothing is known does not count.
    valid: bool,
    /// By the name of each check: `Passed`, or `Failed` or `Not checked` with the reason of each certificate.
    results: BTreeMap<&'static str, String>,
}

impl From<Report> for ValidationOutput {
    fn from(report: Report) -> Self {
        let results = report.chain_statuses().into_iter().map(|status| {
            let text = match status.outcome {
                Outcome::Passed => "Passed".to_owned(),
                Outcome::Failed => format!("Failed: {}", status.reason),
                Outcome::NotChecked => format!("Not checked: {}", status.reason),
            };
            (status.name, text)
        });
        Self {
            valid: report.valid,
            results: results.collect(),
        }
    }
}

/// Checks a certificate and the path to its root, with what is in the inventory, and asks the OCSP responders and revocation lists that
/// its certificates name.
#[utoipa::path(
    get, path = "/Certificates/{id}/Validate", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Collection),
    responses((status = 200, body = ValidationOutput, description = "Whether it is valid, and the outcome of each check")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
pub(super) async fn validate(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(collection): Query<Collection>,
) -> Result<Json<ValidationOutput>, Error> {
    let report = report(&cx, id, collection.through()).await?;
    Ok(Json(report.into()))
}

async fn report(cx: &Cx, id: i64, through: Through) -> Result<Report, Error> {
    cx.authorize_certificate(Permission::CertificatesRead, id, through)
        .await?;
    let found = stored::load(cx.db().read(), id).await?;
    let (_, leaf) = found.ok_or_else(|| Error::not_found("certificate", id))?;
    let pool = stored::issuers(cx.db().read(), &leaf).await?;
    let (mut roots, intermediates): (Vec<_>, Vec<_>) = pool.into_iter().partition(is_root);
    if is_root(&leaf) {
        roots.push(leaf.clone());
    }
    let known = Arc::new((leaf, intermediates, roots));
    let mut report = judge(cx, &known, &Arc::default()).await?;
    add_revocation(cx, &mut report).await?;
    if !report.valid {
        // What is no good anyway does not tell us where to connect to.
        return Ok(report);
    }
    let gathered = Arc::new(revocation_evidence::gather(cx, &report.path).await);
    let mut report = judge(cx, &known, &gathered).await?;
    add_revocation(cx, &mut report).await?;
    for judgement in &mut report.path {
        let silent = gathered.silent.get(&judgement.certificate.sha256());
        let checks = judgement.checks.iter_mut();
        let unknown = checks
            .filter(|check| check.test == Test::Revocation && check.outcome == Outcome::NotChecked);
        for check in unknown {
            let reasons = [
                std::slice::from_ref(&check.reason),
                silent.map_or(&[], Vec::as_slice),
            ];
            check.reason = reasons.concat().join("; ");
        }
    }
    Ok(report)
}

/// A certificate, what may be between it and a root, and the roots.
type Known = (Certificate, Vec<Certificate>, Vec<Certificate>);

/// Verifying hundreds of signatures takes longer than other requests shall wait.
async fn judge(cx: &Cx, known: &Arc<Known>, gathered: &Arc<Gathered>) -> Result<Report, Error> {
    let (known, gathered, at) = (Arc::clone(known), Arc::clone(gathered), cx.now());
    let validated = tokio::task::spawn_blocking(move || {
        let (leaf, intermediates, roots) = &*known;
        let evidence = Evidence {
            revocation_lists: &gathered.lists,
            ocsp_answers: &gathered.answers,
        };
        let demand = Demand {
            at,
            ..Demand::default()
        };
        pki::validate(leaf, intermediates, roots, &evidence, &demand)
    });
    validated.await.map_err(Error::internal)
}

/// What is trusted, see docs/validation.md.
fn is_root(certificate: &Certificate) -> bool {
    certificate.is_ca() && certificate.is_self_issued()
}

/// What is recorded here: which certificates were revoked, and that those of our own authorities were not.
async fn add_revocation(cx: &Cx, report: &mut Report) -> Result<(), Error> {
    // By the digest that has an index; told apart by the other one.
    let thumbprints = report
        .path
        .iter()
        .map(|judgement| judgement.certificate.thumbprint());
    let rows = certificates::Entity::find()
        .filter(certificates::Column::Thumbprint.is_in(thumbprints))
        .all(cx.db().read())
        .await?;
    let rows: HashMap<Vec<u8>, certificates::Model> = rows
        .into_iter()
        .map(|row| (row.sha256.clone(), row))
        .collect();
    let own = authorities::all(cx.app()).await?;
    let issuers: Vec<Option<Certificate>> = (1..=report.path.len())
        .map(|above| report.path.get(above).map(|one| one.certificate.clone()))
        .collect();
    for (judgement, issuer) in report.path.iter_mut().zip(issuers) {
        let row = rows.get(judgement.certificate.sha256().as_slice());
        let checks = judgement.checks.iter_mut();
        for check in checks.filter(|check| check.test == Test::Revocation) {
            let ours = issuer.as_ref().and_then(|issuer| {
                own.iter()
                    .find(|authority| authority.issuer.certificate() == issuer)
            });
            match (row, ours) {
                (Some(row), _) if row.state == STATE_REVOKED => {
                    let since = row
                        .revoked_at
                        .map_or_else(String::new, |at| format!(" since {}", Date(at).text()));
                    check.outcome = Outcome::Failed;
                    check.reason = format!("it is revoked{since}");
                    report.valid = false;
                }
                (Some(row), Some(authority)) if row.authority_id == Some(authority.id) => {
                    check.outcome = Outcome::Passed;
                    check.reason = format!("{} has not revoked it", authority.full_name());
                }
                _ => {}
            }
        }
    }
    Ok(())
}
