//! When certificates were revoked, for figures by week.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"CREATE INDEX certificates_revoked_at ON certificates (revoked_at) WHERE revoked_at IS NOT NULL",
];
