//! The end of a request's waiting, in one place: it happens once.

use db::tables::certificate_requests;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter};

use super::{STATE_DENIED, STATE_ISSUED, STATE_PENDING};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;

/// Marks a waiting request as decided, and forgets its key: of several who decide at once, one succeeds.
///
/// # Errors
/// 409 when it does not wait any more.
pub(super) async fn decided(
    tx: &db::Tx,
    cx: &Cx,
    id: i64,
    state: i32,
    comment: Option<String>,
) -> Result<(), Error> {
    let change = certificate_requests::ActiveModel {
        state: ActiveValue::Set(state),
        sealed_key: ActiveValue::Set(None),
        decided_at: ActiveValue::Set(Some(cx.now())),
        decided_by: ActiveValue::Set(Some(cx.caller_name())),
        denial_comment: ActiveValue::Set(comment),
        ..<certificate_requests::ActiveModel as ActiveModelTrait>::default()
    };
    let changed = certificate_requests::Entity::update_many()
        .set(change)
        .filter(certificate_requests::Column::Id.eq(id))
        .filter(certificate_requests::Column::State.eq(STATE_PENDING))
        .exec(tx)
        .await?;
    if changed.rows_affected == 1 {
        return Ok(());
    }
    let row = certificate_requests::Entity::find_by_id(id).one(tx).await?;
    Err(Error::conflict(no_longer_waits(
        row.as_ref().map_or(0, |row| row.state),
    )))
}

/// Why a request in this state cannot be decided.
pub(crate) fn no_longer_waits(state: i32) -> String {
    match state {
        STATE_ISSUED => "The request has been approved already.".into(),
        STATE_DENIED => "The request has been denied already.".into(),
        _ => "The request does not wait for a decision.".into(),
    }
}

/// Denies a waiting request.
///
/// # Errors
/// 409 when it does not wait any more; those of the database.
pub(crate) async fn deny(
    cx: &Cx,
    row: certificate_requests::Model,
    comment: String,
) -> Result<(), Error> {
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("enrollment.deny", move |tx| {
            Box::pin(async move {
                decided(tx, &cx, row.id, STATE_DENIED, Some(comment)).await?;
                let message = format!("request {} denied", row.id);
                audit::record(
                    tx,
                    &cx,
                    Entry::new(
                        Operation::Denied,
                        Category::CertificateRequest,
                        row.subject,
                        message,
                    ),
                )
                .await
            })
        })
        .await
}
