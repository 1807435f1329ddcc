//! The entities and the migrated schema say the same.

use std::collections::BTreeMap;

use db::{Db, Dialect};
use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, EntityTrait, IdenStatic, Iterable, QuerySelect,
    Statement,
};

/// Column name to type and whether it may be null.
type Columns = BTreeMap<String, (&'static str, bool)>;

/// What the entity says, after reading no rows through it.
async fn said<E: EntityTrait>(db: &Db) -> (String, Columns) {
    let table = E::default().table_name().to_owned();
    let rows = E::find().limit(0).all(db.read()).await;
    assert!(
        rows.is_ok_and(|rows| rows.is_empty()),
        "{table} can be read"
    );
    let columns = E::Column::iter().map(|column| {
        let definition = column.def();
        let kind = match definition.get_column_type() {
            ColumnType::BigInteger => "bigint",
            ColumnType::Integer => "integer",
            ColumnType::Boolean => "boolean",
            ColumnType::Uuid => "uuid",
            ColumnType::Text | ColumnType::String(_) => "text",
            ColumnType::Blob | ColumnType::VarBinary(_) => "bytea",
            other => panic!("{table}.{}: {other:?}", column.as_str()),
        };
        (column.as_str().to_owned(), (kind, definition.is_null()))
    });
    let columns = columns.collect();
    (table, columns)
}

macro_rules! all_said {
    ($db:ident: $($table:ident)*) => {
        BTreeMap::from([$(said::<db::tables::$table::Entity>($db).await),*])
    };
}

/// What the database has.
async fn kept(db: &Db) -> BTreeMap<String, Columns> {
    let sql = match db.dialect() {
        Dialect::Sqlite => {
            r#"SELECT t.name AS table_name, c.name AS column_name, lower(c.type) AS kind,
                CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN 'NO' ELSE 'YES' END AS nullable
            FROM sqlite_master t, pragma_table_info(t.name) c
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"#
        }
        Dialect::Postgres => {
            "SELECT table_name::text, column_name::text, data_type::text AS kind, is_nullable::text AS nullable
            FROM information_schema.columns WHERE table_schema = 'public'"
        }
    };
    let mut tables: BTreeMap<String, Columns> = BTreeMap::new();
    let statement = Statement::from_string(db.dialect().backend(), sql);
    for row in db
        .read()
        .query_all_raw(statement)
        .await
        .expect("the catalogue can be read")
    {
        let text = |name| row.try_get::<String>("", name).expect("a text");
        let table = text("table_name");
        if table == "migrations" {
            continue;
        }
        let column = text("column_name");
        let kind = match (db.dialect(), text("kind").as_str()) {
            (_, "bigint") => "bigint",
            (_, "integer") => "integer",
            (_, "boolean") => "boolean",
            (_, "text") => "text",
            (_, "uuid") => "uuid",
            (_, "bytea") | (Dialect::Sqlite, "blob") => "bytea",
            (_, other) => panic!("{table}.{column}: {other}"),
        };
        tables
            .entry(table)
            .or_default()
            .insert(column, (kind, text("nullable") == "YES"));
    }
    tables
}

db::test_on_both! {
    async fn every_table_is_as_its_entity_says(db: &Db) {
        let mut said = all_said!(db:
            accounts agent_sessions agents audit_cursors audit_heads audit_keys audit_records audit_runs audit_sign_ins
            audit_tiles audit_tree authorities certificate_changes certificate_collections certificate_contents
            certificate_grams certificate_history certificate_lots certificates_unindexed
            certificate_keys certificate_metadata certificate_names certificate_requests certificate_stores
            certificates claims collection_favorites counters identity_providers imports job_history metadata_fields orchestrator_jobs
            past_certificate_contents past_certificate_metadata past_certificate_names past_certificate_stores past_certificates
            past_store_entries past_store_entry_certificates past_store_types permission_set_permissions
            permission_sets queue_jobs revocation_lists revocations role_claims role_permissions roles
            sessions settings sign_in_attempts store_containers store_entries store_entry_certificates store_inventories store_types templates token_keys
        );
        let mut kept = kept(db).await;
        if db.dialect() == Dialect::Sqlite {
            // It has one integer and one kind of bytes: keys are INTEGER, and ids BLOB.
            for (kind, _) in said.values_mut().chain(kept.values_mut()).flat_map(BTreeMap::values_mut) {
                *kind = match *kind {
                    "bigint" => "integer",
                    "uuid" => "bytea",
                    other => other,
                };
            }
        }
        let tables = |schema: &BTreeMap<String, Columns>| schema.keys().cloned().collect::<Vec<_>>();
        assert_eq!(tables(&said), tables(&kept));
        for (table, columns) in &said {
            assert_eq!(columns, &kept[table], "{table}");
        }
    }
}
