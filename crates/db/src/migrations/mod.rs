//! The list of migrations and how they are applied. Forward only; each is applied once, in one transaction with its mark.
//! They never scan data, so a server starts as fast on ten million certificates as on none; what was changed before the first release
//! (`m0001`, `m0015`, `m0018`, `m0019`) may take its time in databases from before it.

mod m0001_first;
mod m0002_collections;
mod m0003_audit_tree;
mod m0006_identity_providers;
mod m0007_audit_search;
mod m0008_metadata_fields;
mod m0009_revocation;
mod m0010_analytics;
mod m0011_certificate_grams;
mod m0012_certificate_changes;
mod m0013_imports;
mod m0014_past;
mod m0015_certificate_digests;
mod m0016_store_inventories;
mod m0017_no_second_key;
mod m0018_list_indexes;
mod m0019_narrow_indexes;
mod m0020_no_index_of_ids;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};

use crate::{Dialect, Error, Tx};

/// A step of the schema: a name that is never reused, and its statements.
struct Migration {
    name: &'static str,
    statements: &'static [&'static str],
}

const ALL: &[Migration] = &[
    Migration {
        name: "0001_first",
        statements: m0001_first::STATEMENTS,
    },
    Migration {
        name: "0002_collections",
        statements: m0002_collections::STATEMENTS,
    },
    Migration {
        name: "0003_audit_tree",
        statements: m0003_audit_tree::STATEMENTS,
    },
    Migration {
        name: "0006_identity_providers",
        statements: m0006_identity_providers::STATEMENTS,
    },
    Migration {
        name: "0007_audit_search",
        statements: m0007_audit_search::STATEMENTS,
    },
    Migration {
        name: "0008_metadata_fields",
        statements: m0008_metadata_fields::STATEMENTS,
    },
    Migration {
        name: "0009_revocation",
        statements: m0009_revocation::STATEMENTS,
    },
    Migration {
        name: "0010_analytics",
        statements: m0010_analytics::STATEMENTS,
    },
    Migration {
        name: "0011_certificate_grams",
        statements: m0011_certificate_grams::STATEMENTS,
    },
    Migration {
        name: "0012_certificate_changes",
        statements: m0012_certificate_changes::STATEMENTS,
    },
    Migration {
        name: "0013_imports",
        statements: m0013_imports::STATEMENTS,
    },
    Migration {
        name: "0014_past",
        statements: m0014_past::STATEMENTS,
    },
    Migration {
        name: "0015_certificate_digests",
        statements: m0015_certificate_digests::STATEMENTS,
    },
    Migration {
        name: "0016_store_inventories",
        statements: m0016_store_inventories::STATEMENTS,
    },
    Migration {
        name: "0017_no_second_key",
        statements: m0017_no_second_key::STATEMENTS,
    },
    Migration {
        name: "0018_list_indexes",
        statements: m0018_list_indexes::STATEMENTS,
    },
    Migration {
        name: "0019_narrow_indexes",
        statements: m0019_narrow_indexes::STATEMENTS,
    },
    Migration {
        name: "0020_no_index_of_ids",
        statements: m0020_no_index_of_ids::STATEMENTS,
    },
];

/// Any number that other users of the same PostgreSQL server are unlikely to lock: "chancery" folded to 64 bits.
const POSTGRES_LOCK: i64 = 0x6368_616e_6365_7279;

/// Brings a SQLite file up to date. The transaction takes the write lock first, so a second server waits and finds it done.
pub(crate) async fn migrate_sqlite(connection: &DatabaseConnection) -> Result<(), Error> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let tx = connection.begin_with_options(options).await?;
    apply(&tx, Dialect::Sqlite).await?;
    tx.commit().await?;
    Ok(())
}

/// Brings a PostgreSQL database up to date, under a lock that the transaction's end releases.
pub(crate) async fn migrate_postgres(pool: &DatabaseConnection) -> Result<(), Error> {
    let tx = pool.begin().await?;
    execute(
        &tx,
        Dialect::Postgres,
        &format!("SELECT pg_advisory_xact_lock({POSTGRES_LOCK})"),
    )
    .await?;
    apply(&tx, Dialect::Postgres).await?;
    tx.commit().await?;
    Ok(())
}

async fn apply(tx: &Tx, dialect: Dialect) -> Result<(), Error> {
    execute(
        tx,
        dialect,
        "CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY)",
    )
    .await?;
    for migration in ALL {
        let sql = format!(
            "SELECT name FROM migrations WHERE name = '{}'",
            migration.name
        );
        if tx
            .query_one_raw(Statement::from_string(dialect.backend(), sql))
            .await?
            .is_some()
        {
            continue;
        }
        for statement in migration.statements {
            if let Some(statement) = dialect.own(statement) {
                execute(tx, dialect, &dialect.types(statement)).await?;
            }
        }
        execute(
            tx,
            dialect,
            &format!(
                "INSERT INTO migrations (name) VALUES ('{}')",
                migration.name
            ),
        )
        .await?;
        tracing::info!(migration = migration.name, "schema changed");
    }
    Ok(())
}

async fn execute(tx: &Tx, dialect: Dialect, sql: &str) -> Result<(), Error> {
    tx.execute_raw(Statement::from_string(dialect.backend(), sql.to_owned()))
        .await?;
    Ok(())
}
