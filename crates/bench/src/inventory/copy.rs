//! The limit: how fast PostgreSQL takes the same rows of certificates and their contents in, as a file that it reads itself, into
//! tables with the same indexes and without any.

use std::time::Instant;

use anyhow::Context;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};

const TABLES: [&str; 2] = ["certificates", "certificate_contents"];

/// Copies out what is there, in again, and takes it away.
pub(super) async fn run(address: &str, certificates: usize) -> anyhow::Result<Value> {
    let connection = sea_orm::Database::connect(address).await?;
    let statement =
        Statement::from_string(connection.get_database_backend(), "SHOW data_directory");
    let row = connection
        .query_one_raw(statement)
        .await?
        .context("a folder")?;
    let folder: String = row.try_get_by_index(0)?;
    let file = |table: &str| format!("{folder}/chancery-bench-{table}");
    for table in TABLES {
        let sql = format!("COPY {table} TO '{}' (FORMAT binary)", file(table));
        connection.execute_unprepared(&sql).await?;
    }
    let bare = copied(&connection, "INCLUDING DEFAULTS", file).await?;
    let indexed = copied(&connection, "INCLUDING ALL", file).await?;
    for table in TABLES {
        // Emptied, since a database has no statement that takes a file away.
        let sql = format!("COPY (SELECT 1 WHERE FALSE) TO '{}'", file(table));
        connection.execute_unprepared(&sql).await?;
    }
    connection.close().await?;
    let each = |seconds: f64| certificates as f64 / seconds;
    Ok(json!({
        "workload": "PostgreSQL COPY of the same rows, certificates and contents", "per_second": each(bare),
        "per_second_with_indexes": each(indexed)
    }))
}

async fn copied(
    connection: &DatabaseConnection,
    like: &str,
    file: impl Fn(&str) -> String,
) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    // What a run that was ended has left.
    connection
        .execute_unprepared("DROP TABLE IF EXISTS copied")
        .await?;
    for table in TABLES {
        let create = format!("CREATE TABLE copied (LIKE {table} {like})");
        connection.execute_unprepared(&create).await?;
        let began = Instant::now();
        let sql = format!("COPY copied FROM '{}' (FORMAT binary)", file(table));
        connection.execute_unprepared(&sql).await?;
        seconds += began.elapsed().as_secs_f64();
        connection.execute_unprepared("DROP TABLE copied").await?;
    }
    Ok(seconds)
}
