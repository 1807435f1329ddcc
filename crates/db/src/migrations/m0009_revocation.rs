//! What the authorities here have revoked, apart from the inventory: a certificate that is deleted stays revoked, and a list is made
//! without reading certificates. And the lists that were made of it.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"CREATE TABLE revocations (
        authority_id {i64} NOT NULL REFERENCES authorities (id) ON DELETE CASCADE,
        serial_number TEXT NOT NULL,
        revoked_at {i64} NOT NULL,
        reason INTEGER NOT NULL,
        not_after {i64} NOT NULL,
        PRIMARY KEY (authority_id, serial_number)
    )",
    r"CREATE TABLE revocation_lists (
        authority_id {i64} NOT NULL REFERENCES authorities (id) ON DELETE CASCADE,
        number {i64} NOT NULL,
        this_update {i64} NOT NULL,
        next_update {i64} NOT NULL,
        der {bytes} NOT NULL,
        PRIMARY KEY (authority_id)
    )",
];
