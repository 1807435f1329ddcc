//! Definitions of metadata fields, and what the values on certificates are found by. Nothing had been released when it came:
//! values from before it are not found by queries until they are written again.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"CREATE TABLE metadata_fields (
        id {id},
        name TEXT NOT NULL,
        name_fold {fold} NOT NULL UNIQUE,
        description TEXT NOT NULL,
        data_type INTEGER NOT NULL,
        hint TEXT,
        validation TEXT,
        enrollment INTEGER NOT NULL,
        message TEXT,
        options TEXT,
        default_value TEXT,
        allow_api BOOLEAN NOT NULL,
        explicit_update BOOLEAN NOT NULL,
        display_order INTEGER NOT NULL,
        case_sensitive BOOLEAN NOT NULL
    )",
    r"ALTER TABLE certificate_metadata ADD COLUMN value_key {fold} NOT NULL DEFAULT ''",
    r"ALTER TABLE certificate_metadata ADD COLUMN value_long {fold}",
    r"ALTER TABLE certificate_metadata ADD COLUMN number {i64}",
    r"CREATE INDEX certificate_metadata_value ON certificate_metadata (name_fold, value_key, certificate_id)",
    r"CREATE INDEX certificate_metadata_number ON certificate_metadata (name_fold, number, certificate_id) WHERE number IS NOT NULL",
];
