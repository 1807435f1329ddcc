//! The data of a leaf: a record as one line of JSON, members in a fixed order, secrets nowhere. Exports hold the same lines.

use db::tables::audit_records::Model;
use serde::Serialize;
use serde_json::value::RawValue;
use transparency::Hash;

use crate::error::Error;

#[derive(Serialize)]
struct Leaf<'a> {
    id: i64,
    chain: i32,
    position: i64,
    at: i64,
    actor: &'a str,
    on_behalf_of: Option<&'a str>,
    address: Option<&'a str>,
    operation: i32,
    category: i32,
    level: i32,
    name: &'a str,
    message: &'a str,
    before: Option<&'a RawValue>,
    after: Option<&'a RawValue>,
    correlation_id: uuid::Uuid,
}

/// The line of a record, without its end.
///
/// # Errors
/// When `before` or `after` is not JSON, which the server never writes.
pub(super) fn line(row: &Model) -> Result<Vec<u8>, Error> {
    fn json(text: Option<&String>) -> Result<Option<&RawValue>, serde_json::Error> {
        text.map(|text| serde_json::from_str(text)).transpose()
    }
    let leaf = Leaf {
        id: row.id,
        chain: row.chain,
        position: row.position,
        at: row.at,
        actor: &row.actor,
        on_behalf_of: row.on_behalf_of.as_deref(),
        address: row.address.as_deref(),
        operation: row.operation,
        category: row.category,
        level: row.level,
        name: &row.name,
        message: &row.message,
        before: json(row.before.as_ref())?,
        after: json(row.after.as_ref())?,
        correlation_id: row.correlation_id,
    };
    Ok(serde_json::to_vec(&leaf)?)
}

/// The hash of the leaf that the columns make; `None` when they make none.
pub(super) fn hash(row: &Model) -> Option<Hash> {
    line(row).ok().map(|line| transparency::leaf_hash(&line))
}
