//! Certificate collections: saved queries. And the order in which stores are listed, with all that a page is chosen by.

/// As in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"CREATE TABLE certificate_collections (
        id {id},
        name TEXT NOT NULL,
        name_fold TEXT NOT NULL UNIQUE,
        description TEXT NOT NULL,
        query TEXT NOT NULL,
        duplication_field INTEGER NOT NULL,
        show_on_dashboard BOOLEAN NOT NULL,
        position {i64} NOT NULL,
        last_count {i64},
        last_counted_at {i64},
        created_at {i64} NOT NULL
    )",
    r"CREATE TABLE collection_favorites (
        collection_id {i64} NOT NULL REFERENCES certificate_collections (id) ON DELETE CASCADE,
        holder TEXT NOT NULL,
        PRIMARY KEY (holder, collection_id)
    )",
    r"CREATE INDEX collection_favorites_collection_id ON collection_favorites (collection_id)",
    r"DROP INDEX certificate_stores_client_machine_fold",
    r"CREATE INDEX certificate_stores_listed ON certificate_stores (client_machine_fold, id, container_id)",
];
