//! What was reported last of each store.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[r"CREATE TABLE store_inventories (
        store_id {guid} NOT NULL REFERENCES certificate_stores (id) ON DELETE CASCADE,
        digest {bytes} NOT NULL,
        places {i64} NOT NULL,
        PRIMARY KEY (store_id)
    )"];
