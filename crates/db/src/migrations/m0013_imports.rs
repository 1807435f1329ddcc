//! Imports of certificates as a stream: how far each has come.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"CREATE TABLE imports (
        id {guid} NOT NULL,
        run_id {guid} NOT NULL,
        format INTEGER NOT NULL,
        state INTEGER NOT NULL,
        reason TEXT,
        username TEXT NOT NULL,
        provider TEXT NOT NULL,
        subject TEXT NOT NULL,
        owner_role_id {i64},
        metadata TEXT NOT NULL,
        octets {i64} NOT NULL,
        new_certificates {i64} NOT NULL,
        known_certificates {i64} NOT NULL,
        updated_certificates {i64} NOT NULL,
        failed_certificates {i64} NOT NULL,
        failures TEXT NOT NULL,
        runs INTEGER NOT NULL,
        active_ms {i64} NOT NULL,
        started_at {i64} NOT NULL,
        updated_at {i64} NOT NULL,
        ended_at {i64},
        PRIMARY KEY (id)
    )",
    r"CREATE INDEX imports_started_at ON imports (started_at, id)",
];
