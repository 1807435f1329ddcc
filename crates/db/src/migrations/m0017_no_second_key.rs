//! On SQLite the version of a change is its key, which needs no index beside it.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] =
    &[r"{sqlite}DROP INDEX IF EXISTS certificate_changes_version"];
