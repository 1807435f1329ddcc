//! What audit records are found by. Nothing had been released when it came: records from before it are not found by these columns
//! and do not validate.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"ALTER TABLE audit_records ADD COLUMN actor_fold {fold} NOT NULL DEFAULT ''",
    r"ALTER TABLE audit_records ADD COLUMN on_behalf_of_fold {fold}",
    r"ALTER TABLE audit_records ADD COLUMN name_fold {fold} NOT NULL DEFAULT ''",
    r"CREATE INDEX audit_records_thing ON audit_records (category, name_fold)",
    r"CREATE INDEX audit_records_request ON audit_records (correlation_id)",
    r"CREATE INDEX audit_sign_ins_hour ON audit_sign_ins (hour)",
];
