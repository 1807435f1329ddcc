//! Audit records: who did what, from where, before and after. Written in the transaction of the change, so that there is no
//! change without its record.

use db::tables::audit_records;
use sea_orm::{ActiveValue, EntityTrait};
use serde_json::Value;

use crate::cx::Cx;
use crate::error::Error;

/// What was done: the contract's AuditLogOperation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Operation {
    Created = 1,
    Updated = 2,
    Deleted = 3,
    Approved = 4,
    Denied = 5,
    Downloaded = 7,
    Renewed = 9,
    Imported = 13,
    ScheduledAdd = 15,
    ScheduledRemoval = 16,
    Scheduled = 18,
    Reset = 19,
    Disapproved = 20,
    Failed = 23,
    Completed = 24,
}

/// What it was done to: the contract's AuditLogCategory. Numbers above 2008 are not published; those from 2100 are ours
/// (docs/keyfactor-quirks.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Category {
    Certificate = 2001,
    Template = 2003,
    CertificateStore = 2101,
    CertificateStoreType = 2102,
    CertificateStoreContainer = 2103,
    Agent = 2104,
    OrchestratorJob = 2105,
    SecurityRole = 2106,
    Account = 2107,
    CertificateRequest = 2108,
    CertificateAuthority = 2109,
    Installation = 2110,
    ApplicationSetting = 2120,
    IdentityProvider = 2130,
    CertificateCollection = 2150,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Level {
    Information = 0,
    Warning = 1,
    Failure = 2,
}

/// One record before it is written.
#[derive(Debug)]
pub(crate) struct Entry {
    operation: Operation,
    category: Category,
    level: Level,
    name: String,
    message: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Entry {
    /// `name` is the thing, as people know it.
    pub(crate) fn new(
        operation: Operation,
        category: Category,
        name: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            operation,
            category,
            level: Level::Information,
            name: name.into(),
            message: message.into(),
            before: None,
            after: None,
        }
    }

    /// The thing before; secrets have to be left out by the caller.
    pub(crate) fn before(self, before: Value) -> Self {
        Self {
            before: Some(before),
            ..self
        }
    }

    /// The thing after; secrets have to be left out by the caller.
    pub(crate) fn after(self, after: Value) -> Self {
        Self {
            after: Some(after),
            ..self
        }
    }

    pub(crate) fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

/// Writes a record into the transaction of the change.
///
/// # Errors
/// Those of the database.
pub(crate) async fn record(tx: &db::Tx, cx: &Cx, entry: Entry) -> Result<(), Error> {
    let row = audit_records::ActiveModel {
        id: ActiveValue::NotSet,
        at: ActiveValue::Set(cx.now()),
        actor: ActiveValue::Set(cx.caller_name()),
        address: ActiveValue::Set(cx.address().map(|address| address.to_string())),
        operation: ActiveValue::Set(entry.operation as i32),
        category: ActiveValue::Set(entry.category as i32),
        level: ActiveValue::Set(entry.level as i32),
        name: ActiveValue::Set(entry.name),
        message: ActiveValue::Set(entry.message),
        before: ActiveValue::Set(entry.before.map(|value| value.to_string())),
        after: ActiveValue::Set(entry.after.map(|value| value.to_string())),
        correlation_id: ActiveValue::Set(cx.correlation_id()),
    };
    audit_records::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
