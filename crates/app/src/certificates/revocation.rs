//! What becomes of certificates that are revoked, put on hold or taken from it, by this server's authorities (`revoke`) or by others
//! (`revoked_elsewhere`): what an order means for each, and how it is written.

use std::collections::{BTreeMap, BTreeSet};

use db::tables::{certificates, revocations};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::chosen::{ROWS_MAX, refused, title};
use super::record::{STATE_ACTIVE, STATE_REVOKED, STATE_UNKNOWN};
use super::{counts, noted, stored};
use crate::audit::{self, Category, Entry, Operation};
use crate::authorities::{self, KnownAuthority};
use crate::cx::Cx;
use crate::error::Error;
use crate::past;
use crate::security::Permission;
use crate::web::Date;

/// What every operation here takes.
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

    /// The same, as a refusal says what cannot be.
    pub(super) fn participle(&self) -> &'static str {
        match self.reason {
            None => "taken from hold",
            Some(HOLD) => "put on hold",
            Some(_) => "revoked",
        }
    }

    /// What a certificate becomes; `None` when it is so already.
    fn applied(&self, row: &certificates::Model, now: i64) -> Result<Option<Status>, String> {
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
struct Status {
    /// Since when and why; none when it is good again.
    revoked: Option<(i64, i32)>,
    comment: Option<String>,
}

/// One certificate, and what it becomes.
pub(super) struct Change<'a> {
    row: &'a certificates::Model,
    /// Whose list tells of it; none of certificates from elsewhere.
    authority: Option<&'a KnownAuthority>,
    order: &'a Order,
    status: Status,
}

impl<'a> Change<'a> {
    /// None when the certificate is so already.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn new(
        row: &'a certificates::Model,
        authority: Option<&'a KnownAuthority>,
        order: &'a Order,
        now: i64,
    ) -> Result<Option<Self>, String> {
        let status = order.applied(row, now)?;
        Ok(status.map(|status| Self {
            row,
            authority,
            order,
            status,
        }))
    }

    /// The certificate's id.
    pub(super) fn id(&self) -> i64 {
        self.row.id
    }

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

/// What becomes of each certificate, of those that are not so already.
///
/// # Errors
/// 400 with the reason of each that cannot be `what`.
pub(super) fn all_or_none<'a>(
    rows: &'a [certificates::Model],
    what: &str,
    change: impl Fn(&'a certificates::Model) -> Result<Option<Change<'a>>, String>,
) -> Result<Vec<Change<'a>>, Error> {
    let (mut changes, mut reasons) = (Vec::new(), Vec::new());
    for row in rows {
        match change(row) {
            Ok(change) => changes.extend(change),
            Err(reason) => reasons.push(format!("Certificate {}: {reason}.", row.id)),
        }
    }
    match reasons.is_empty() {
        true => Ok(changes),
        false => Err(refused(what, reasons)),
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
