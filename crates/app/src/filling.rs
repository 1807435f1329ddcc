//! Many certificates into a database that no server serves: what the benchmarks of the inventory begin with. They take the same
//! way in as enrolled ones, so that every table and index is as a server would have left it.

use db::tables::certificates as rows;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::certificates::{self, Counted, New, Origin};
use crate::cx::Cx;
use crate::error::Error;

/// A certificate, and what the server knows of it.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate. Its signature need not verify: an inventory keeps what it finds.
    pub der: Vec<u8>,
    /// The authority that issued it, by id.
    pub authority_id: Option<i64>,
    /// The template it was issued from, by id.
    pub template_id: Option<i64>,
    /// Who asked for it.
    pub requester: Option<String>,
    /// The role that owns it, by id.
    pub owner_role_id: Option<i64>,
    /// Name and value of each metadata field.
    pub metadata: Vec<(String, String)>,
    /// Whether it is revoked.
    pub is_revoked: bool,
}

/// Records certificates that came at a moment, in epoch milliseconds, none of which the database knows, in one transaction. Answers their
/// ids, which ascend.
///
/// # Errors
/// Of a certificate that cannot be read, and those of the database.
pub async fn record(cx: &Cx, at: i64, all: Vec<Certificate>) -> Result<Vec<i64>, Error> {
    let cx = cx.with_clock_at(at);
    let read: Vec<pki::Certificate> = all
        .iter()
        .map(|one| pki::Certificate::from_der(&one.der).map_err(Error::internal))
        .collect::<Result<_, _>>()?;
    let db = cx.db().clone();
    db.write_much("filling.record", move |tx| {
        Box::pin(async move { record_in(tx, &cx, &all, &read).await })
    })
    .await
}

async fn record_in(
    tx: &db::Tx,
    cx: &Cx,
    all: &[Certificate],
    read: &[pki::Certificate],
) -> Result<Vec<i64>, Error> {
    let [ids] = db::reserve_ids(tx, ["certificates"], all.len()).await?;
    let new: Vec<New<'_>> = all
        .iter()
        .zip(read)
        .zip(&ids)
        .map(|((one, certificate), id)| New {
            cx,
            id: *id,
            certificate,
            origin: Origin {
                authority_id: one.authority_id,
                template_id: one.template_id,
                requester: one.requester.as_deref(),
                owner_role_id: one.owner_role_id,
                metadata: &one.metadata,
                history: Some(("Imported", "Found in a certificate store.".into())),
                ..Origin::default()
            },
        })
        .collect();
    let counted = certificates::record_new(tx, &new).await?;
    certificates::count(tx, counted).await?;
    let revoked: Vec<i64> = ids
        .iter()
        .zip(all)
        .filter_map(|(id, one)| one.is_revoked.then_some(*id))
        .collect();
    if !revoked.is_empty() {
        let are = rows::Column::Id.is_in(revoked.iter().copied());
        let before = rows::Entity::find().filter(are.clone()).all(tx).await?;
        rows::Entity::update_many()
            .col_expr(rows::Column::State, Expr::val(certificates::STATE_REVOKED))
            .col_expr(rows::Column::RevokedAt, Expr::val(cx.now()))
            .col_expr(rows::Column::RevocationReason, Expr::val(4))
            .filter(are)
            .exec(tx)
            .await?;
        let each = before.iter().flat_map(|row| {
            let (before, state) = (Counted::from(row), certificates::STATE_REVOKED);
            [(before, -1), (Counted { state, ..before }, 1)]
        });
        certificates::count(tx, each).await?;
    }
    Ok(ids)
}
