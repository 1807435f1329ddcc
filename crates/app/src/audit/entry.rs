//! A record before it is written, and the numbers of the contract.

use serde_json::Value;

/// What was done: the contract's AuditLogOperation, which ends at 25; numbers from 101 are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Operation {
    Created = 1,
    Updated = 2,
    Deleted = 3,
    Approved = 4,
    Denied = 5,
    Revoked = 6,
    Downloaded = 7,
    DeletedPrivateKey = 8,
    Renewed = 9,
    Imported = 13,
    RemovedFromHold = 14,
    ScheduledAdd = 15,
    ScheduledRemoval = 16,
    DownloadedWithPrivateKey = 17,
    Scheduled = 18,
    Reset = 19,
    Disapproved = 20,
    Failed = 23,
    Completed = 24,
    Rejected = 25,
    SignedIn = 101,
    SignInFailed = 102,
}

/// The names of all operations, whether anything here does them or not.
pub(crate) const OPERATIONS: &[(&str, i64)] = &[
    ("created", 1),
    ("updated", 2),
    ("deleted", 3),
    ("approved", 4),
    ("denied", 5),
    ("revoked", 6),
    ("downloaded", 7),
    ("deleted private key", 8),
    ("renewed", 9),
    ("encountered", 10),
    ("scheduled replacement", 11),
    ("recovered", 12),
    ("imported", 13),
    ("removed from hold", 14),
    ("scheduled add", 15),
    ("scheduled removal", 16),
    ("download with private key", 17),
    ("scheduled", 18),
    ("reset", 19),
    ("disapproved", 20),
    ("restarted", 21),
    ("sent", 22),
    ("failed", 23),
    ("completed", 24),
    ("rejected", 25),
    ("signed in", 101),
    ("sign-in failed", 102),
];

/// What it was done to: the contract's AuditLogCategory. Numbers above 2008 are not published; those from 2100 are ours
/// (docs/keyfactor-quirks.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Category {
    Certificate = 2001,
    Template = 2003,
    CertificateCollection = 2004,
    ApplicationSetting = 2007,
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
    AuditLog = 2111,
    IdentityProvider = 2112,
    Session = 2113,
    Access = 2114,
    SecurityClaim = 2115,
    PermissionSet = 2116,
    MetadataField = 2117,
}

/// The names of all categories.
pub(crate) const CATEGORIES: &[(&str, i64)] = &[
    ("certificate", 2001),
    ("api application", 2002),
    ("template", 2003),
    ("certificate collection", 2004),
    ("expiration alert", 2005),
    ("pending alert", 2006),
    ("application setting", 2007),
    ("issued alert", 2008),
    ("certificate store", 2101),
    ("certificate store type", 2102),
    ("certificate store container", 2103),
    ("agent", 2104),
    ("orchestrator job", 2105),
    ("security role", 2106),
    ("account", 2107),
    ("certificate request", 2108),
    ("certificate authority", 2109),
    ("installation", 2110),
    ("audit log", 2111),
    ("identity provider", 2112),
    ("session", 2113),
    ("access", 2114),
    ("security claim", 2115),
    ("permission set", 2116),
    ("metadata field", 2117),
];

/// The names of all levels.
pub(crate) const LEVELS: &[(&str, i64)] = &[("information", 0), ("warning", 1), ("failure", 2)];

/// The name of a number, as people read it.
pub(crate) fn named(names: &[(&'static str, i64)], number: i32) -> String {
    let found = names.iter().find(|(_, known)| *known == i64::from(number));
    let Some((name, _)) = found else {
        return number.to_string();
    };
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
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
    pub(super) operation: Operation,
    pub(super) category: Category,
    pub(super) level: Level,
    pub(super) name: String,
    pub(super) message: String,
    pub(super) on_behalf_of: Option<String>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
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
            on_behalf_of: None,
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

    /// For whom it is done, when that is somebody else.
    pub(crate) fn on_behalf_of(self, name: impl Into<String>) -> Self {
        Self {
            on_behalf_of: Some(name.into()),
            ..self
        }
    }

    pub(crate) fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        assert_eq!(
            named(OPERATIONS, Operation::ScheduledAdd as i32),
            "Scheduled add"
        );
        assert_eq!(named(CATEGORIES, Category::AuditLog as i32), "Audit log");
        assert_eq!(named(LEVELS, Level::Failure as i32), "Failure");
        assert_eq!(named(LEVELS, 9), "9");
    }
}
