//! Benchmarks: they drive the built binary as clients do, over HTTPS with permissions on and limits as shipped, and print one
//! JSON object a line. They report; nothing passes or fails by time. `docs/performance.md` says how the figures there were made.

mod agents;
mod audit;
mod client;
mod cost;
mod enrollment;
mod inventory;
mod listing;
mod scoped;
mod server;
mod start;
mod table;
mod url;

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use serde_json::json;

use crate::server::{Server, Setup};

/// The workloads of `cargo xtask bench`.
#[derive(Parser)]
struct Arguments {
    /// All workloads but those of the inventory, or only enrollments, only the inventory, only what comes in by the thousands, or both of
    /// these and their table.
    #[arg(value_enum, default_value_t)]
    workload: Workload,
    /// Of one workload alone, one database: the inventory needs the room of all its certificates in each.
    #[arg(long, value_enum)]
    database: Option<Database>,
    /// A folder that databases are kept in; what is there from before is measured as it is.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The server's binary, built for release.
    #[arg(long)]
    binary: PathBuf,
    /// An empty PostgreSQL database to use too: `postgres://…`.
    #[arg(long)]
    postgres: Option<String>,
    /// Certificates in the large database.
    #[arg(long, default_value_t = 100_000)]
    certificates: usize,
    /// Agents that are simulated.
    #[arg(long, default_value_t = 1_000)]
    agents: usize,
    /// Certificate stores that are paged through.
    #[arg(long, default_value_t = 100_000)]
    stores: usize,
    /// Audit records in the export that is verified; 0 to leave that out.
    #[arg(long, default_value_t = 1_000_000)]
    audit_records: u64,
    /// Callers that enroll at once.
    #[arg(long, default_value_t = 64)]
    callers: usize,
}

/// How long, in seconds, what lists need is put together behind the answers after so many changes.
const LISTS_READY: u64 = 20;

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Workload {
    #[default]
    All,
    Enrollment,
    Inventory,
    /// A stream of certificates into an empty database, and the inventory of a large store.
    Bulk,
    /// The inventory and what comes in by the thousands, one database after the other, and at the end a table of both.
    Table,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        bail!("another TLS provider is installed already");
    }
    let temporary = tempfile::tempdir().context("a folder for the databases")?;
    let folder = arguments.folder.as_deref().unwrap_or(temporary.path());
    let sqlite = Setup::new(&arguments.binary, &folder.join("sqlite"), None);
    if arguments.workload != Workload::All {
        if arguments.database != Some(Database::Postgres) {
            alone(&arguments, "sqlite", &sqlite).await?;
        }
        if let (Some(address), None | Some(Database::Postgres)) =
            (&arguments.postgres, arguments.database)
        {
            let folder = folder.join("postgres");
            let postgres = Setup::new(&arguments.binary, &folder, Some(address));
            alone(&arguments, "postgres", &postgres).await?;
        }
        if arguments.workload == Workload::Table {
            let lines = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
            let mut out = std::io::stdout().lock();
            write!(out, "\n{}", table::markdown(&lines))?;
        }
        return Ok(());
    }
    run(&arguments, "sqlite", &sqlite).await?;
    if arguments.audit_records > 0 {
        let seconds = audit::verify(folder, arguments.audit_records)?;
        report(&json!({
            "workload": "audit export verified", "records": arguments.audit_records, "cores": 1, "seconds": seconds, "aim_seconds": 10
        }))?;
    }
    if let Some(address) = &arguments.postgres {
        let postgres = Setup::new(&arguments.binary, &folder.join("postgres"), Some(address));
        run(&arguments, "postgres", &postgres).await?;
    }
    Ok(())
}

/// One workload, on one database.
async fn alone(arguments: &Arguments, database: &str, setup: &Setup) -> anyhow::Result<()> {
    match arguments.workload {
        Workload::Inventory => {
            return inventory::run(setup, database, arguments.certificates).await;
        }
        Workload::Bulk => {
            return inventory::bulk::run(setup, database, arguments.certificates).await;
        }
        Workload::Table => {
            inventory::run(setup, database, arguments.certificates).await?;
            let empty = setup.empty("bulk").await?;
            return inventory::bulk::run(&empty, database, arguments.certificates).await;
        }
        Workload::All | Workload::Enrollment => {}
    }
    let server = Server::start(setup).await?;
    enroll(arguments, database, &server).await?;
    server.stop().await
}

/// Answers how long an enrollment takes, in microseconds.
async fn enroll(arguments: &Arguments, database: &str, server: &Server) -> anyhow::Result<f64> {
    let (enrolled, cost) =
        enrollment::run(server, arguments.certificates, arguments.callers).await?;
    report(&json!({
        "workload": "CSR enrollments, P-256, durable", "database": database, "certificates": enrolled.count,
        "callers": arguments.callers, "per_second": enrolled.per_second, "p50_ms": enrolled.p50_ms, "p99_ms": enrolled.p99_ms,
        "processor_us_each": cost, "note": "client and server share the machine", "aim_per_second": 3_000
    }))?;
    Ok(1e6 / enrolled.per_second)
}

async fn run(arguments: &Arguments, database: &str, setup: &Setup) -> anyhow::Result<()> {
    let server = Server::start(setup).await?;
    let durability = server.durability().await?;
    report(
        &json!({ "workload": "durability", "database": database, "settings": durability.settings, "full": durability.full }),
    )?;
    if !durability.full {
        bail!(
            "{database}: commits are not made durable ({:?}); figures of it would mean nothing",
            durability.settings
        );
    }
    report(
        &json!({ "workload": "memory idle", "database": database, "resident_mb": server.resident_mb()?, "aim_mb": 60 }),
    )?;
    server.stop().await?;
    let empty_ms = start::milliseconds(setup).await?;

    let server = Server::start(setup).await?;
    let enrollment_us = enroll(arguments, database, &server).await?;
    let appended = audit::append(&setup.beside("audit"), setup.database()).await?;
    for (lot, append) in audit::LOTS.into_iter().zip(appended) {
        report(&json!({
            "workload": "audit records appended", "database": database, "in_a_transaction": lot, "row_us": append.plain_us,
            "tree_us": append.tree_us, "enrollment_us": enrollment_us,
            "ratio": (append.tree_us - append.plain_us) / enrollment_us, "aim_ratio": 0.1,
            "note": "what the tree adds to a record, of what an enrollment takes; both with many writers at once"
        }))?;
    }
    for (when, wait) in [
        ("right after the enrollments", 0),
        ("when lists are ready", LISTS_READY),
    ] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let before = server.cost()?;
        let listed = listing::run(&server, arguments.certificates).await?;
        let cost = server.cost()?.each_since(before, listing::REQUESTS);
        report(&json!({
            "workload": "list page of 50", "when": when, "database": database, "certificates": arguments.certificates,
            "p50_ms": listed.all.p50_ms, "p99_ms": listed.all.p99_ms, "requests": listed.all.count, "processor_us_each": cost,
            "p50_and_p99_ms_of": listed.kinds, "aim_p99_ms": 10
        }))?;
    }
    report(
        &json!({ "workload": "memory loaded", "database": database, "resident_mb": server.resident_mb()? }),
    )?;
    server.stop().await?;
    let full_ms = start::milliseconds(setup).await?;
    report(&json!({
        "workload": "server start", "database": database, "empty_ms": empty_ms, "certificates": arguments.certificates,
        "full_ms": full_ms, "ratio": full_ms / empty_ms, "aim_ratio": 1.2
    }))?;

    let server = Server::start(setup).await?;
    let jobs = agents::run(&server, arguments.agents).await?;
    report(&json!({
        "workload": "jobs created and completed", "database": database, "agents": arguments.agents, "jobs": jobs.jobs,
        "created_per_second": jobs.created_per_second, "completed_per_second": jobs.completed_per_second,
        "processor_us_each_completed": jobs.cost
    }))?;
    let paged = scoped::run(&server, arguments.stores).await?;
    report(&paged.line(database, arguments.stores))?;
    server.stop().await
}

/// What was reported, for the table.
static REPORTED: Mutex<Vec<serde_json::Value>> = Mutex::new(Vec::new());

fn report(line: &serde_json::Value) -> anyhow::Result<()> {
    let mut lines = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(line.clone());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
