//! Many certificates as one stream, into an empty database and then once more, and the inventory of one large store.

use std::path::Path;
use std::time::{Duration, Instant};

use agent_protocol as wire;
use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufWriter};
use uuid::Uuid;

use super::population::Population;
use crate::agents;
use crate::client::Latencies;
use crate::server::{Server, Setup};

const PATH: &str = "/Chancery/Certificates/Import";
/// How often one looks how far the import has come.
const LOOK: Duration = Duration::from_millis(250);
/// Entries of the large store, and how often its inventory is sent.
const ENTRIES: usize = 10_000;
const INVENTORIES: usize = 20;

/// Sends `certificates` as a stream of DER, made beforehand, twice; then the inventory of a store with 10,000 of them. The size is that of
/// indexes as they have grown.
pub(crate) async fn run(setup: &Setup, database: &str, certificates: usize) -> anyhow::Result<()> {
    let stream = tempfile::NamedTempFile::new().context("a file for the stream")?;
    make(stream.path(), certificates).await?;
    let server = Server::start(setup).await?;
    let before = super::held(&server).await?;
    ensure!(
        before <= super::OWN_MAX,
        "the database holds {before} certificates; the import begins with an empty one"
    );
    for kind in ["new", "again"] {
        let mut line = import(&server, stream.path(), certificates).await?;
        line["workload"] = format!("bulk import, {kind}").into();
        line["database"] = database.into();
        crate::report(&line)?;
    }
    // What is done behind the writes would be counted as the inventory's.
    super::names_indexed(&server).await?;
    let mut line = large_store(&server, certificates).await?;
    line["database"] = database.into();
    crate::report(&line)?;
    server.stop().await?;
    let size = super::size_on_disk(setup).await?;
    crate::report(&json!({
        "workload": "size on disk, as imported", "database": database, "certificates": certificates,
        "octets_each": size as f64 / certificates as f64, "aim_octets_each": 4_096
    }))
}

async fn make(path: &Path, certificates: usize) -> anyhow::Result<()> {
    let mut file = BufWriter::new(tokio::fs::File::create(path).await?);
    for member in population(certificates) {
        file.write_all(&member.der).await?;
    }
    Ok(file.flush().await?)
}

fn population(certificates: usize) -> Population {
    Population::new(certificates, app::Clock::System.now() / DAY_MS * DAY_MS)
}

/// The population is the same all day.
const DAY_MS: i64 = 86_400_000;

async fn import(server: &Server, stream: &Path, certificates: usize) -> anyhow::Result<Value> {
    let (api, id) = (server.api()?, Uuid::new_v4());
    let mut parts = Vec::new();
    let before = server.cost()?;
    let began = Instant::now();
    let path = format!("{PATH}?id={id}");
    let sending = api.post_file(&path, "application/octet-stream", stream);
    tokio::pin!(sending);
    let mut looks = tokio::time::interval(LOOK);
    let done = loop {
        tokio::select! {
            done = &mut sending => break done?,
            _ = looks.tick() => {
                // It may not have begun yet.
                if let Ok(import) = api.get(&format!("{PATH}/{id}")).await {
                    let count = import["Certificates"].as_u64().unwrap_or_default();
                    parts.push((began.elapsed().as_secs_f64(), count as f64));
                }
            }
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    parts.push((seconds, certificates as f64));
    ensure!(done["Certificates"] == certificates, "{done}");
    Ok(json!({
        "certificates": certificates, "octets": done["Octets"], "per_second": certificates as f64 / seconds,
        "per_second_of_each_tenth": tenths(&parts, certificates as f64),
        "processor_us_each": server.cost()?.each_since(before, certificates),
        "new": done["New"], "known": done["Known"], "updated": done["Updated"], "failed": done["Failed"],
        "resident_mb": server.resident_mb()?, "note": "client and server share the machine", "aim_per_second": 5_000
    }))
}

/// Rates in each tenth of the run, from how far it had come at some moments.
fn tenths(parts: &[(f64, f64)], count: f64) -> Vec<f64> {
    let at = |wanted: f64| {
        let (mut then, mut there) = (0.0, 0.0);
        for (now, here) in parts {
            if *here >= wanted {
                return then + (now - then) * (wanted - there) / (here - there).max(1.0);
            }
            (then, there) = (*now, *here);
        }
        then
    };
    let ends: Vec<f64> = (0..=10_u8)
        .map(|tenth| at(count * f64::from(tenth) / 10.0))
        .collect();
    ends.windows(2)
        .map(|ends| (count / 10.0 / (ends[1] - ends[0])).round())
        .collect()
}

/// The full inventory of a store, again and again, in which nothing changes after the first.
async fn large_store(server: &Server, certificates: usize) -> anyhow::Result<Value> {
    let admin = server.api()?;
    let agent = agents::enroll(&admin, 0).await?;
    let body = json!({
        "ClientMachine": agent.name, "StorePath": "/srv/tls/all", "CertStoreType": 2, "AgentId": agent.id, "Properties": "{}",
        "Approved": true, "InventorySchedule": { "Interval": { "Minutes": 1 } }
    });
    admin.post("/KeyfactorAPI/CertificateStores", &body).await?;
    let api = server.agent_api(Some(agent.identity.clone()))?;
    let path = |relative: &str| format!("/KeyfactorAgents/{}", relative.trim_start_matches('/'));
    let register = agents::register(&agent.name, None, &agent.id);
    let answer = api
        .post(&path(wire::path::SESSION_REGISTER), &register)
        .await?;
    let (token, job) = (&answer["Session"]["Token"], &answer["Session"]["Jobs"][0]);
    let endpoint = job["ConfigurationEndpoint"].as_str().context("a job")?;
    let body = json!({ "SessionToken": token, "JobId": job["JobId"] });
    api.post(&path(endpoint), &body).await?;
    let items: Vec<Value> = population(certificates)
        .take(ENTRIES)
        .enumerate()
        .map(|(number, member)| {
            json!({
                "Alias": format!("entry{number}"), "PrivateKeyEntry": false, "UseChainLevel": false, "ItemStatus": 0,
                "Certificates": [STANDARD.encode(member.der)], "Parameters": {}
            })
        })
        .collect();
    let body = json!({ "SessionToken": token, "JobId": job["JobId"], "Inventory": items });
    let submit = path(wire::path::INVENTORY_UPDATE);
    let began = Instant::now();
    api.post(&submit, &body).await?;
    let first_ms = began.elapsed().as_secs_f64() * 1e3;
    let before = server.cost()?;
    let mut each = Vec::new();
    for _ in 0..INVENTORIES {
        let asked = Instant::now();
        api.post(&submit, &body).await?;
        each.push(asked.elapsed());
    }
    let cost = server.cost()?.each_since(before, INVENTORIES);
    let times = Latencies::of(each, Duration::from_secs(1));
    Ok(json!({
        "workload": "full inventory of a store, nothing changed", "entries": items.len(), "octets": body.to_string().len(),
        "first_ms": first_ms, "p50_ms": times.p50_ms, "p99_ms": times.p99_ms, "processor_us_each": cost,
        "note": "the client writes the body anew each time; its part of the time is client", "aim_server_ms": 50
    }))
}
