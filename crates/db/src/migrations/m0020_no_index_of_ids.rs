//! The table itself is found by id. An index of ids beside it said which certificates a list shows; those of state and of the end of
//! validity say so too, for lists that are not put together in memory yet.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[r"DROP INDEX certificates_id"];
