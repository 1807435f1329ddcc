//! Which certificates a change is about: ids, or what a query finds; never more than one transaction bears.

use db::tables::certificates;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};

/// Certificates that one request changes at most.
const AT_ONCE: usize = 10_000;
/// Rows in one statement at most.
pub(super) const ROWS_MAX: usize = 500;
/// Reasons that a refusal gives at most.
const REASONS_MAX: usize = 100;

/// What a request names.
#[derive(Clone, Debug)]
pub(super) enum Chosen {
    /// These.
    Ids(Vec<i64>),
    /// What the query finds, as far as a list would show it.
    Query {
        query: String,
        revoked: bool,
        expired: bool,
    },
}

impl Chosen {
    /// Refuses callers without `permission` on all that is chosen, and requests that name nothing or too much.
    ///
    /// # Errors
    /// 403; 400 naming `place`.
    pub(super) async fn authorized(
        self,
        cx: &Cx,
        place: &str,
        permission: Permission,
        through: Through,
    ) -> Result<Self, Error> {
        match self {
            Self::Ids(mut ids) => {
                let given = ids.len();
                if given > AT_ONCE {
                    cx.authorize_somewhere(permission).or_else(|error| {
                        match permission.through_stores() {
                            Some(stores) => cx.authorize_somewhere(stores),
                            None => Err(error),
                        }
                    })?;
                    return Err(Error::bad_request(format!(
                        "{place}: {given} certificates are named; one request changes {AT_ONCE} at most."
                    )));
                }
                ids.sort_unstable();
                ids.dedup();
                cx.authorize_certificates(permission, &ids, through).await?;
                if ids.is_empty() {
                    return Err(Error::bad_request(format!(
                        "{place}: name a certificate at least."
                    )));
                }
                Ok(Self::Ids(ids))
            }
            Self::Query { query, .. } if query.trim().is_empty() => {
                cx.authorize_certificate_list(permission, through).await?;
                Err(Error::bad_request(format!(
                    "{place}: a query is needed, since everything would be found without one."
                )))
            }
            query => {
                cx.authorize_certificate_list(permission, through).await?;
                Ok(query)
            }
        }
    }

    /// The certificates, in the order of their ids, locked until the transaction ends.
    ///
    /// # Errors
    /// 403 when what the caller may has changed since; 404 naming ids that do not exist; 400 for a bad query and one that finds
    /// too many.
    pub(super) async fn locked(
        self,
        tx: &db::Tx,
        cx: &Cx,
        permission: Permission,
        through: Through,
    ) -> Result<Vec<certificates::Model>, Error> {
        let ids = match self {
            Self::Ids(ids) => ids,
            Self::Query {
                query,
                revoked,
                expired,
            } => {
                let found = Found {
                    query: &query,
                    revoked,
                    expired,
                };
                found.ids(tx, cx, through).await?
            }
        };
        let mut rows = Vec::with_capacity(ids.len());
        for some in ids.chunks(ROWS_MAX) {
            let found = certificates::Entity::find()
                .filter(certificates::Column::Id.is_in(some.iter().copied()))
                .order_by_asc(certificates::Column::Id)
                .lock_exclusive()
                .all(tx)
                .await?;
            rows.extend(found);
        }
        // Where they are counts as it is in this transaction.
        cx.authorize_certificates_in(tx, permission, &ids, through)
            .await?;
        let mut known = rows.iter().map(|row| row.id).peekable();
        let unknown: Vec<String> = ids
            .iter()
            .filter(|id| known.next_if(|known| known == *id).is_none())
            .take(20)
            .map(ToString::to_string)
            .collect();
        match unknown.is_empty() {
            true => Ok(rows),
            false => Err(Error::not_found("certificate", unknown.join(", "))),
        }
    }
}

struct Found<'a> {
    query: &'a str,
    revoked: bool,
    expired: bool,
}

impl Found<'_> {
    async fn ids(&self, tx: &db::Tx, cx: &Cx, through: Through) -> Result<Vec<i64>, Error> {
        let mut wanted = Condition::all().add(super::condition(tx, cx, self.query).await?);
        if let Through::Collection(id) = through {
            wanted = wanted.add(crate::collections::condition(tx, cx, id).await?);
        }
        if !self.revoked {
            wanted = wanted.add(certificates::Column::State.ne(super::record::STATE_REVOKED));
        }
        if !self.expired {
            wanted = wanted.add(certificates::Column::NotAfter.gt(cx.now()));
        }
        let ids: Vec<i64> = certificates::Entity::find()
            .select_only()
            .column(certificates::Column::Id)
            .filter(wanted)
            .order_by_asc(certificates::Column::Id)
            .limit(AT_ONCE as u64 + 1)
            .into_tuple()
            .all(tx)
            .await?;
        if ids.len() > AT_ONCE {
            return Err(Error::bad_request(format!(
                "Query: it finds more than the {AT_ONCE} certificates that one request changes at most."
            )));
        }
        Ok(ids)
    }
}

/// The refusal of a change that some certificates do not allow, each with its reason.
pub(super) fn refused(what: &str, mut reasons: Vec<String>) -> Error {
    let count = reasons.len();
    reasons.truncate(REASONS_MAX);
    let certificates = if count == 1 {
        "certificate"
    } else {
        "certificates"
    };
    Error::bad_parts(
        format!("{count} {certificates} cannot be {what}. Nothing was changed."),
        reasons,
    )
}

/// A certificate as people know it.
pub(super) fn title(row: &certificates::Model) -> String {
    if row.subject.is_empty() {
        row.thumbprint.clone()
    } else {
        row.subject.clone()
    }
}
