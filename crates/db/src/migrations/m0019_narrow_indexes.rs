//! Which certificates a list shows (neither revoked nor expired) is put together out of a set in memory, or asked by the indexes of
//! state and the end of validity, which have both and the id. No other index need have it: each was larger by a half for it.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"DROP INDEX certificates_common_name_fold",
    r"CREATE INDEX certificates_common_name_fold ON certificates (common_name_fold, id)",
    r"DROP INDEX certificates_issuer_fold",
    r"CREATE INDEX certificates_issuer_fold ON certificates (issuer_fold, id)",
    r"DROP INDEX certificates_not_before",
    r"CREATE INDEX certificates_not_before ON certificates (not_before, id)",
    r"DROP INDEX certificates_imported_at",
    r"CREATE INDEX certificates_imported_at ON certificates (imported_at, id)",
    r"DROP INDEX certificates_owner_role_id",
    r"CREATE INDEX certificates_owner_role_id ON certificates (owner_role_id, id)",
    r"DROP INDEX certificates_key_type",
    r"CREATE INDEX certificates_key_type ON certificates (key_type, id)",
    r"DROP INDEX certificates_key_size",
    r"CREATE INDEX certificates_key_size ON certificates (key_size, id)",
    r"DROP INDEX certificates_authority_id",
    r"CREATE INDEX certificates_authority_id ON certificates (authority_id, id)",
    r"DROP INDEX certificates_template_id",
    r"CREATE INDEX certificates_template_id ON certificates (template_id, id)",
];
