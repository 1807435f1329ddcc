//! The audit log as a tree that proves itself. Nothing had been released when it came, so that records from before it, which no
//! tree covers, are not carried over.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"DROP TABLE audit_records",
    r"CREATE TABLE audit_records (
        id {id},
        chain INTEGER NOT NULL,
        position {i64} NOT NULL,
        at {i64} NOT NULL,
        actor TEXT NOT NULL,
        on_behalf_of TEXT,
        address TEXT,
        operation INTEGER NOT NULL,
        category INTEGER NOT NULL,
        level INTEGER NOT NULL,
        name TEXT NOT NULL,
        message TEXT NOT NULL,
        before TEXT,
        after TEXT,
        correlation_id {guid} NOT NULL,
        leaf_hash {bytes} NOT NULL,
        mac {bytes} NOT NULL
    )",
    r"CREATE INDEX audit_records_at ON audit_records (at)",
    // Not unique: a row that somebody put there must not keep the server from writing its own.
    r"CREATE INDEX audit_records_position ON audit_records (chain, position)",
    r"CREATE TABLE audit_heads (
        chain INTEGER NOT NULL,
        position {i64} NOT NULL,
        mac {bytes} NOT NULL,
        PRIMARY KEY (chain)
    )",
    r"CREATE TABLE audit_keys (
        id {i64} NOT NULL,
        origin TEXT NOT NULL,
        sealed_signing_key {bytes} NOT NULL,
        sealed_record_key {bytes} NOT NULL,
        PRIMARY KEY (id)
    )",
    r"CREATE TABLE audit_tree (
        id {i64} NOT NULL,
        size {i64} NOT NULL,
        positions TEXT NOT NULL,
        pruned_before {i64} NOT NULL,
        checkpoint TEXT NOT NULL,
        mac {bytes} NOT NULL,
        PRIMARY KEY (id)
    )",
    r"CREATE TABLE audit_tiles (
        level INTEGER NOT NULL,
        number {i64} NOT NULL,
        hashes {bytes} NOT NULL,
        PRIMARY KEY (level, number)
    )",
    r"CREATE TABLE audit_runs (
        first_leaf {i64} NOT NULL,
        chain INTEGER NOT NULL,
        first_position {i64} NOT NULL,
        length {i64} NOT NULL,
        PRIMARY KEY (first_leaf)
    )",
    r"CREATE INDEX audit_runs_position ON audit_runs (chain, first_position)",
    r"CREATE TABLE audit_cursors (
        name TEXT NOT NULL,
        next_leaf {i64} NOT NULL,
        holder {guid} NOT NULL,
        held_until {i64} NOT NULL,
        PRIMARY KEY (name)
    )",
    r"CREATE TABLE audit_sign_ins (
        credential TEXT NOT NULL,
        address TEXT NOT NULL,
        hour {i64} NOT NULL,
        PRIMARY KEY (credential, address, hour)
    )",
];
