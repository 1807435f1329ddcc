//! Which certificates changed: what is kept in memory of lists is brought up to date by it. And the indexes of what lists are sorted
//! by that had none.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"CREATE TABLE certificate_changes (
        version {version},
        first_id {i64} NOT NULL,
        last_id {i64} NOT NULL
    )",
    r"CREATE INDEX certificate_changes_version ON certificate_changes (version)",
    // Each with what decides whether a list shows the certificate, where totals are counted by it.
    r"DROP INDEX certificates_owner_role_id",
    r"DROP INDEX certificates_imported_at",
    r"DROP INDEX certificates_issuer_fold",
    r"DROP INDEX certificates_request_id",
    r"CREATE INDEX certificates_owner_role_id ON certificates (owner_role_id, id, not_after, state)",
    r"CREATE INDEX certificates_imported_at ON certificates (imported_at, id, not_after, state)",
    r"CREATE INDEX certificates_issuer_fold ON certificates (issuer_fold, id, not_after, state)",
    r"CREATE INDEX certificates_request_id ON certificates (request_id, id)",
    r"CREATE INDEX certificates_state ON certificates (state, id, not_after)",
    r"CREATE INDEX certificates_key_type ON certificates (key_type, id, not_after, state)",
    r"CREATE INDEX certificates_key_size ON certificates (key_size, id, not_after, state)",
    r"CREATE INDEX certificates_authority_id ON certificates (authority_id, id, not_after, state)",
    r"CREATE INDEX certificates_template_id ON certificates (template_id, id, not_after, state)",
    r"CREATE INDEX certificates_has_private_key ON certificates (has_private_key, id)",
    r"CREATE INDEX certificates_is_authority ON certificates (is_authority, id)",
    r"CREATE INDEX certificates_key_usage ON certificates (key_usage, id)",
    r"DROP INDEX certificates_revoked_at",
    r"CREATE INDEX certificates_revoked_at ON certificates (revoked_at, id)",
    r"CREATE INDEX certificates_revocation_reason ON certificates (revocation_reason, id)",
    r"CREATE INDEX certificates_curve ON certificates (curve, id)",
    r"CREATE INDEX certificates_signing_algorithm ON certificates (signing_algorithm, id)",
    r"CREATE INDEX certificates_requester ON certificates (requester, id)",
    r"CREATE INDEX certificates_organizational_unit ON certificates (organizational_unit, id)",
    r"CREATE INDEX certificates_email ON certificates (email, id)",
];
