//! Indexes that lists ask. Those of names and of stores say whose certificates they are, so that who looks for certificates by them need
//! not look each of them up, and the stores of a path are found without the others. Like the one of digests they are made anew in
//! databases from before it, none of which was released; SQLite databases from then also keep their keys beside their tables (`{by_key}`).

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"DROP INDEX certificate_names_value_fold",
    r"CREATE INDEX certificate_names_value_fold ON certificate_names (value_fold, certificate_id)",
    r"DROP INDEX store_entry_certificates_store_id",
    r"CREATE INDEX store_entry_certificates_store_id ON store_entry_certificates (store_id, certificate_id)",
    r"CREATE INDEX certificate_stores_store_path_fold ON certificate_stores (store_path_fold)",
];
