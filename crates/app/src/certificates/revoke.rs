//! `POST /Certificates/Revoke` and `POST /Certificates/RevokeAll`: revoke, put on hold, take from hold. What was answered is in the
//! authority's revocation list. What an authority elsewhere revoked is recorded by `revoked_elsewhere`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use db::tables::{certificates, revocations};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::chosen::{Chosen, ROWS_MAX, refused, title};
use super::record::{STATE_ACTIVE, STATE_REVOKED, STATE_UNKNOWN};
use super::{Collection, counts, noted, stored};
use crate::audit::{self, Category, Entry, Operation};
use crate::authorities::{self, KnownAuthority};
use crate::cx::Cx;
use crate::error::Error;
use crate::past;
use crate::security::{Permission, Through};
use crate::web::{Body, Date, Json, Query};

pub(super) const NEEDED: Permission = Permission::CertificatesRevoke;
/// Characters of a comment at most.
const COMMENT_MAX: usize = 4_000;
/// How far ahead of ours a client's clock may be.
const AHEAD_MS: i64 = jobs::DAY_MS;
/// What clients send for a date that nobody set.
const NO_DATE: i64 = -62_135_596_800_000;

const UNSPECIFIED: i32 = 0;
const HOLD: i32 = 6;
const UNKNOWN: i32 = 999;

/// Certificates to revoke.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevokeCertificateRequest)]
pub(super) struct RevokeRequest {
    /// Their ids, 10,000 at most.
    certificate_ids: Option<Vec<i64>>,
    /// -1 takes from hold, and so do 7 and 8; 0 unspecified (also when left out), 1 key compromised, 2 authority compromised,
    /// 3 affiliation changed, 4 superseded, 5 cessation of operation, 6 puts on hold, 999 unknown.
    reason: Option<i64>,
    /// Why, for people.
    comment: Option<String>,
    /// Since when: now unless given; not before the certificate begins.
    effective_date: Option<Date>,
    /// A certificate collection; 0 for none.
    collection_id: Option<i64>,
    /// A container of certificate stores; 0 for none.
    container_id: Option<i64>,
    /// Accepted: the list is always published.
    #[serde(rename = "PublishCRL")]
    #[expect(dead_code, reason = "declared by the contract")]
    publish_crl: Option<bool>,
}

/// What to revoke by a query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevokeAllCertificatesRequest)]
pub(super) struct RevokeAllRequest {
    /// A query; it may find 10,000 certificates at most.
    query: Option<String>,
    /// As for one certificate.
    reason: Option<i64>,
    /// Why, for people.
    comment: Option<String>,
    /// Since when: now unless given.
    effective_date: Option<Date>,
    /// Also what is revoked already.
    include_revoked: Option<bool>,
    /// Also what has expired.
    include_expired: Option<bool>,
}

/// What was revoked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevocationResponse)]
pub(super) struct RevocationOutput {
    /// The certificates that are now as asked for.
    revoked_ids: Vec<i64>,
    /// Those that wait for a workflow.
    suspended_certs: Vec<SuspendedOutput>,
}

/// A revocation that waits for a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SuspendedRevocationResponse)]
pub(super) struct SuspendedOutput {
    cert_id: i64,
    workflow_id: Uuid,
    message: String,
}

/// Revokes certificates, puts them on hold or takes them from it: all or none.
#[utoipa::path(
    post, path = "/Certificates/Revoke", tag = "Certificate", request_body = RevokeRequest,
    responses((status = 200, body = RevocationOutput, description = "They are as asked for")),
    extensions(
        ("x-permissions" = json!(["/certificates/collections/revoke/"])),
        ("x-permissions-or" = json!([["/certificate_stores/revoke/"]]))
    )
)]
pub(super) async fn revoke(
    cx: Cx,
    Body(request): Body<RevokeRequest>,
) -> Result<Json<RevocationOutput>, Error> {
    let through = Through::new(request.collection_id, request.container_id);
    let chosen = Chosen::Ids(request.certificate_ids.unwrap_or_default())
        .authorized(&cx, "CertificateIds", NEEDED, through)
        .await?;
    let order = Order::new(&cx, request.reason, request.comment, request.effective_date)
        .map_err(Error::bad_request)?;
    carry_out(&cx, chosen, order, through).await.map(Json)
}

/// Revokes what a query finds: all or none.
#[utoipa::path(
    post, path = "/Certificates/RevokeAll", tag = "Certificate", params(Collection),
    request_body = RevokeAllRequest,
    responses((status = 200, body = RevocationOutput, description = "They are as asked for")),
    extensions(("x-permissions" = json!(["/certificates/collections/revoke/"])))
)]
pub(super) async fn revoke_all(
    cx: Cx,
    Query(collection): Query<Collection>,
    Body(request): Body<RevokeAllRequest>,
) -> Result<Json<RevocationOutput>, Error> {
    let through = collection.through();
    let chosen = Chosen::Query {
        query: request.query.unwrap_or_default(),
        revoked: request.include_revoked.unwrap_or(false),
        expired: request.include_expired.unwrap_or(false),
    };
    let chosen = chosen.authorized(&cx, "Query", NEEDED, through).await?;
    let order = Order::new(&cx, request.reason, request.comment, request.effective_date)
        .map_err(Error::bad_request)?;
    carry_out(&cx, chosen, order, through).await.map(Json)
}

/// What is to become of each certificate.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// None takes from hold.
    reason: Option<i32>,
    comment: Option<String>,
    /// Since when; none is now.
    at: Option<i64>,
}

impl Order {
    /// # Errors
    /// Which member is wrong, and how.
    pub(super) fn new(
        cx: &Cx,
        reason: Option<i64>,
        comment: Option<String>,
        date: Option<Date>,
    ) -> Result<Self, String> {
        let reason = match reason.unwrap_or(0) {
            -1 | 7 | 8 => None,
            known @ (0..=6 | 999) => i32::try_from(known).ok(),
            other => {
                return Err(format!(
                    "Reason: {other} is none; there are -1 (remove from hold), 0 to 7, 8 and 999."
                ));
            }
        };
        let comment = comment.map(|text| text.trim().to_owned());
        let comment = comment.filter(|text| !text.is_empty());
        let length = comment.as_ref().map_or(0, |text| text.chars().count());
        if length > COMMENT_MAX {
            return Err(format!(
                "Comment: it has {length} characters; {COMMENT_MAX} are allowed."
            ));
        }
        let at = date.map(|date| date.0).filter(|at| *at != NO_DATE);
        if at.is_some_and(|at| at > cx.now() + AHEAD_MS) {
            return Err(
                "EffectiveDate: it is in the future, and revocations take effect at once.".into(),
            );
        }
        Ok(Self {
            reason,
            comment,
            at: at.map(|at| at.min(cx.now())),
        })
    }

    /// What is done, as its history says.
    fn action(&self) -> &'static str {
        match self.reason {
            None => "Removed from Hold",
            Some(HOLD) => "Put on Hold",
            Some(_) => "Revoked",
        }
    }

    /// What a certificate becomes; `None` when it is so already.
    ///
    /// # Errors
    /// Why it cannot.
    pub(super) fn applied(
        &self,
        row: &certificates::Model,
        now: i64,
    ) -> Result<Option<Status>, String> {
        let is_revoked = row.state == STATE_REVOKED;
        let is_held = is_revoked && row.revocation_reason == Some(HOLD);
        let Some(reason) = self.reason else {
            return match is_held {
                true => Ok(Some(Status::default())),
                false => Err("it is not on hold".into()),
            };
        };
        if reason == HOLD && is_held {
            return Ok(None);
        }
        if reason == HOLD && is_revoked {
            return Err("it is revoked for good and cannot be put on hold".into());
        }
        // Who gives no reason takes none back.
        let says_less = matches!(reason, UNSPECIFIED | UNKNOWN);
        if is_revoked && !is_held && (says_less || row.revocation_reason == Some(reason)) {
            return Ok(None);
        }
        if self.at.is_some_and(|at| at < row.not_before) {
            return Err("EffectiveDate is before the certificate begins".into());
        }
        // What was signed while it was on hold stays doubtful.
        let at = self
            .at
            .unwrap_or(now)
            .min(row.revoked_at.unwrap_or(i64::MAX));
        Ok(Some(Status {
            revoked: Some((at, reason)),
            comment: self.comment.clone(),
        }))
    }
}

/// What a certificate becomes.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    /// Since when and why; none when it is good again.
    revoked: Option<(i64, i32)>,
    comment: Option<String>,
}

async fn carry_out(
    cx: &Cx,
    chosen: Chosen,
    order: Order,
    through: Through,
) -> Result<RevocationOutput, Error> {
    let known = authorities::all(cx.app()).await?;
    let cx = cx.clone();
    let revoked_ids = cx
        .db()
        .clone()
        .write("certificates.revoke", move |tx| {
            Box::pin(async move {
                let rows = chosen.locked(tx, &cx, NEEDED, through).await?;
                let changes = changes(&rows, &order, &known, cx.now())?;
                write(tx, &cx, &changes).await?;
                Ok::<_, Error>(rows.iter().map(|row| row.id).collect())
            })
        })
        .await?;
    Ok(RevocationOutput {
        revoked_ids,
        suspended_certs: Vec::new(),
    })
}

/// One certificate, and what it becomes.
pub(super) struct Change<'a> {
    pub(super) row: &'a certificates::Model,
    /// Whose list tells of it; none of certificates from elsewhere.
    pub(super) authority: Option<&'a KnownAuthority>,
    pub(super) order: &'a Order,
    pub(super) status: Status,
}

impl Change<'_> {
    fn state(&self) -> i32 {
        match (self.status.revoked, self.authority) {
            (Some(_), _) => STATE_REVOKED,
            (None, Some(_)) => STATE_ACTIVE,
            // As of any certificate from elsewhere: it may have been revoked since.
            (None, None) => STATE_UNKNOWN,
        }
    }

    /// What its history and the audit log say was done, and by whom if not here.
    fn action(&self) -> String {
        let action = self.order.action();
        match self.authority {
            Some(_) => action.to_owned(),
            None => format!("{action} by its issuer"),
        }
    }
}

fn changes<'a>(
    rows: &'a [certificates::Model],
    order: &'a Order,
    known: &'a [Arc<KnownAuthority>],
    now: i64,
) -> Result<Vec<Change<'a>>, Error> {
    let (mut changes, mut reasons) = (Vec::new(), Vec::new());
    for row in rows {
        let authority = known
            .iter()
            .find(|authority| row.authority_id == Some(authority.id));
        let change = match authority {
            None => Err("it was issued by none of this server's authorities, so that only its issuer can revoke it".into()),
            Some(_) if authorities::is_own(known, &row.sha256) => {
                Err("it is the certificate of an authority of this server".into())
            }
            Some(authority) => order.applied(row, now).map(|status| {
                status.map(|status| Change { row, authority: Some(&**authority), order, status })
            }),
        };
        match change {
            Ok(change) => changes.extend(change),
            Err(reason) => reasons.push(format!("Certificate {}: {reason}.", row.id)),
        }
    }
    match reasons.is_empty() {
        true => Ok(changes),
        false => Err(refused(
            match order.reason {
                None => "taken from hold",
                Some(HOLD) => "put on hold",
                Some(_) => "revoked",
            },
            reasons,
        )),
    }
}

/// Everybody locks in one order: certificates, authorities, counts, audit.
///
/// # Errors
/// Those of the database.
pub(super) async fn write(tx: &db::Tx, cx: &Cx, changes: &[Change<'_>]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = changes.iter().map(|change| change.row.id).collect();
    past::certificates_change(tx, cx, &ids).await?;
    for change in changes {
        let revoked = change.status.revoked;
        let row = certificates::ActiveModel {
            id: ActiveValue::Unchanged(change.row.id),
            state: ActiveValue::Set(change.state()),
            revoked_at: ActiveValue::Set(revoked.map(|(at, _)| at)),
            revocation_reason: ActiveValue::Set(revoked.map(|(_, reason)| reason)),
            revocation_comment: ActiveValue::Set(change.status.comment.clone()),
            ..Default::default()
        };
        certificates::Entity::update(row)
            .validate()?
            .exec(tx)
            .await?;
    }
    let lines = changes.iter().map(|change| {
        let comment = change.order.comment.as_deref().unwrap_or_default();
        stored::history_row(cx, change.row.id, &change.action(), comment)
    });
    db::insert_all(tx, lines).await?;
    write_revocations(tx, changes).await?;
    let touched: BTreeMap<i64, &KnownAuthority> = changes
        .iter()
        .filter_map(|change| change.authority.map(|authority| (authority.id, authority)))
        .collect();
    for authority in touched.into_values() {
        authorities::publish(tx, cx, authority).await?;
    }
    count(tx, changes).await?;
    let entries = changes.iter().map(|change| (cx, entry(change)));
    match changes {
        [change] => audit::record(tx, cx, entry(change)).await,
        _ => audit::record_all(tx, entries.collect()).await,
    }
}

/// What the lists are made of.
async fn write_revocations(tx: &db::Tx, changes: &[Change<'_>]) -> Result<(), Error> {
    use revocations::Column as C;
    let rows = changes.iter().filter_map(|change| {
        let (authority, (at, reason)) = (change.authority?, change.status.revoked?);
        Some(revocations::ActiveModel {
            authority_id: ActiveValue::Set(authority.id),
            serial_number: ActiveValue::Set(change.row.serial_number.clone()),
            revoked_at: ActiveValue::Set(at),
            reason: ActiveValue::Set(reason),
            not_after: ActiveValue::Set(change.row.not_after),
        })
    });
    let rows: Vec<_> = rows.collect();
    for some in rows.chunks(ROWS_MAX) {
        let again = OnConflict::columns([C::AuthorityId, C::SerialNumber])
            .update_columns([C::RevokedAt, C::Reason, C::NotAfter])
            .to_owned();
        revocations::Entity::insert_many(some.to_vec())
            .on_conflict(again)
            .exec_without_returning(tx)
            .await?;
    }
    let mut good: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for change in changes.iter().filter(|one| one.status.revoked.is_none()) {
        if let Some(authority) = change.authority {
            let serials = good.entry(authority.id).or_default();
            serials.insert(&change.row.serial_number);
        }
    }
    for (authority_id, serials) in good {
        let serials: Vec<&str> = serials.into_iter().collect();
        for some in serials.chunks(ROWS_MAX) {
            revocations::Entity::delete_many()
                .filter(C::AuthorityId.eq(authority_id))
                .filter(C::SerialNumber.is_in(some.iter().copied()))
                .exec(tx)
                .await?;
        }
    }
    Ok(())
}

async fn count(tx: &db::Tx, changes: &[Change<'_>]) -> Result<(), Error> {
    noted::note(tx, changes.iter().map(|change| change.row.id)).await?;
    let each = changes.iter().flat_map(|change| {
        let before = counts::Counted::from(change.row);
        let state = change.state();
        [(before, -1), (counts::Counted { state, ..before }, 1)]
    });
    counts::change(tx, each).await
}

fn entry(change: &Change<'_>) -> Entry {
    let row = change.row;
    let operation = match change.status.revoked {
        Some(_) => Operation::Revoked,
        None => Operation::RemovedFromHold,
    };
    let after = &change.status;
    Entry::new(
        operation,
        Category::Certificate,
        title(row),
        format!("Certificate {}: {}", row.id, change.action()),
    )
    .before(shown(
        row.state,
        row.revoked_at,
        row.revocation_reason,
        row.revocation_comment.as_deref(),
    ))
    .after(shown(
        change.state(),
        after.revoked.map(|(at, _)| at),
        after.revoked.map(|(_, reason)| reason),
        after.comment.as_deref(),
    ))
}

fn shown(
    state: i32,
    at: Option<i64>,
    reason: Option<i32>,
    comment: Option<&str>,
) -> serde_json::Value {
    json!({
        "CertState": state,
        "RevocationEffDate": at.map(|at| Date(at).text()),
        "RevocationReason": reason,
        "RevocationComment": comment,
    })
}
