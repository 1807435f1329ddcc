//! The inventory at any size: pages of 50 by any filter and sort, later pages, totals, counts, start and size on disk.

pub(crate) mod bulk;
mod copy;
mod fill;
mod population;
mod queries;
mod random;
mod x509;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use self::population::{FIELDS, OWNERS};
use self::queries::{Filter, SORTS};
use self::random::Random;
use crate::client::{Api, Latencies};
use crate::server::{Server, Setup};
use crate::start;

/// What a certificate may take on disk, in octets: more than it does, so that a run is not begun that cannot end.
const ROOM: u64 = 6_000;
/// Certificates that a server has of its own at most: those of its authorities, and its own.
const OWN_MAX: u64 = 100;
/// Rounds of first pages: each filter with other values, by several fields.
const ROUNDS: usize = 6;
const SORTS_EACH: usize = 5;
/// Of more certificates `COPY` is not measured: it needs their room twice more.
const COPIED_MAX: usize = 1_000_000;
/// How long after the first lists the others are asked for, where the server does not say before that it is ready.
const READY: Duration = Duration::from_secs(20);
const READY_EACH: Duration = Duration::from_micros(120);
/// Later pages drawn from each query, and how many queries.
const LATER: usize = 60;

/// Waits until the server says that it has all in memory that lists need, or that there is no room for it.
async fn ready(server: &Server, certificates: usize) -> anyhow::Result<Value> {
    let limit = READY + READY_EACH * certificates as u32;
    let begin = Instant::now();
    while !server.log()?.contains("certificates are listed by") && begin.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let is_ready = server.log()?.contains("listed by is in memory");
    Ok(json!({ "workload": "until all is in memory", "seconds": seconds, "is_ready": is_ready }))
}

/// Fills the database unless it is filled, measures, and answers a line for each workload.
pub(crate) async fn run(setup: &Setup, database: &str, certificates: usize) -> anyhow::Result<()> {
    let line = |mut line: Value| {
        if let Some(line) = line.as_object_mut() {
            line.insert("database".into(), database.into());
            line.insert("certificates".into(), certificates.into());
        }
        crate::report(&line)
    };
    let server = Server::start(setup).await?;
    let before = held(&server).await?;
    // A new one has the certificates of its own authorities and of the server.
    let is_filled = before > OWN_MAX;
    let wanted = certificates as u64..=certificates as u64 + OWN_MAX;
    if is_filled && !wanted.contains(&before) {
        bail!(
            "the folder holds {before} certificates, not {certificates}: say so, or take another one"
        );
    }
    if !is_filled {
        line(
            json!({ "workload": "disk needed at most", "gigabytes": (certificates as u64 * ROOM) as f64 / 1e9 }),
        )?;
        roles_and_fields(&server.api()?).await?;
        server.stop().await?;
        let empty_ms = start::milliseconds(setup).await?;
        let began = Instant::now();
        fill::fill(setup, certificates).await?;
        let seconds = began.elapsed().as_secs_f64();
        line(
            json!({ "workload": "inventory filled", "per_second": certificates as f64 / seconds }),
        )?;
        let full_ms = start::milliseconds(setup).await?;
        line(json!({
            "workload": "server start", "empty_ms": empty_ms, "full_ms": full_ms, "ratio": full_ms / empty_ms, "aim_ratio": 1.2
        }))?;
    } else {
        server.stop().await?;
    }
    let server = Server::start(setup).await?;
    let counted = held(&server).await?;
    if !wanted.contains(&counted) {
        bail!("of {certificates} certificates {counted} are counted");
    }
    line(names_indexed(&server).await?)?;
    server.stop().await?;
    let size = size_on_disk(setup).await?;
    line(
        json!({ "workload": "size on disk", "octets_each": size as f64 / certificates as f64, "aim_octets_each": 4_096 }),
    )?;
    let server = Server::start(setup).await?;
    let api = server.api()?;
    line(costed(&server, first_pages(&api, certificates, "just started", 0)).await?)?;
    // What lists are sorted by is put together behind the first answers.
    line(ready(&server, certificates).await?)?;
    line(costed(&server, first_pages(&api, certificates, "then", ROUNDS)).await?)?;
    line(read_once(&server).await?)?;
    line(
        costed(
            &server,
            first_pages(&api, certificates, "in memory", 2 * ROUNDS),
        )
        .await?,
    )?;
    // The very same pages: what is on the disk and not in memory, where that is the smaller, is left out of the figures.
    line(
        costed(
            &server,
            first_pages(&api, certificates, "the same again", 2 * ROUNDS),
        )
        .await?,
    )?;
    for when in ["first", "the same again"] {
        line(costed(&server, substrings(&api, certificates, when)).await?)?;
    }
    line(costed(&server, totals(&api)).await?)?;
    line(costed(&server, later_pages(&api, certificates)).await?)?;
    line(costed(&server, counts(&api)).await?)?;
    if let Some(address) = setup.database().filter(|_| certificates <= COPIED_MAX) {
        line(copy::run(address, certificates).await?)?;
    }
    line(json!({ "workload": "memory after pages", "resident_mb": server.resident_mb()? }))?;
    server.stop().await
}

/// How many certificates the server counts.
async fn held(server: &Server) -> anyhow::Result<u64> {
    let all = "/Certificates?IncludeExpired=true&IncludeRevoked=true";
    Ok(server.api()?.page(all).await?.0)
}

/// Reads the rows that lists show once, as a server has that runs for long: from here on they come from memory, as far as it holds them.
async fn read_once(server: &Server) -> anyhow::Result<Value> {
    let (began, db) = (Instant::now(), server.open_database().await?);
    let mut octets = 0;
    for sql in [
        "SELECT CAST(SUM(LENGTH(subject)) AS BIGINT) AS octets FROM certificates",
        "SELECT CAST(SUM(LENGTH(der)) AS BIGINT) AS octets FROM certificate_contents",
    ] {
        let statement = Statement::from_string(db.dialect().backend(), sql);
        let row = db.read().query_one_raw(statement).await?;
        octets += row.context("a sum")?.try_get::<i64>("", "octets")?;
    }
    db.close().await;
    Ok(
        json!({ "workload": "rows of lists read once", "seconds": began.elapsed().as_secs_f64(), "octets": octets }),
    )
}

/// The line of a workload, and what each of its requests took of the processor, with what was done behind them.
async fn costed(
    server: &Server,
    workload: impl Future<Output = anyhow::Result<(Value, usize)>>,
) -> anyhow::Result<Value> {
    let before = server.cost()?;
    let (mut line, requests) = workload.await?;
    let cost = server.cost()?.each_since(before, requests);
    if let Some(line) = line.as_object_mut() {
        line.insert("processor_us_each".into(), cost);
    }
    Ok(line)
}

/// Waits until the index of names, which is filled behind the writes, has all of them but what is not worth a lot yet.
async fn names_indexed(server: &Server) -> anyhow::Result<Value> {
    const LEFT_MAX: i64 = 1_000;
    const LIMIT: Duration = Duration::from_hours(1);
    let (began, db) = (Instant::now(), server.open_database().await?);
    let some = format!(
        "SELECT (SELECT COUNT(*) FROM (SELECT 1 AS one FROM certificates_unindexed LIMIT {}) AS noted)
         + (SELECT CAST(COALESCE(SUM(value), 0) AS BIGINT) FROM counters WHERE name = 'certificates to be noted') AS waiting",
        LEFT_MAX + 1
    );
    let statement = Statement::from_string(db.dialect().backend(), some);
    loop {
        let row = db.read().query_one_raw(statement.clone()).await?;
        let waiting: i64 = row.context("a count")?.try_get("", "waiting")?;
        if waiting <= LEFT_MAX {
            break;
        }
        if began.elapsed() > LIMIT {
            bail!("{waiting} and more certificates are not in the index of names yet");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    db.close().await;
    Ok(json!({ "workload": "index of names caught up", "seconds": began.elapsed().as_secs_f64() }))
}

async fn roles_and_fields(api: &Api) -> anyhow::Result<()> {
    for number in 0..OWNERS {
        let role = json!({ "Name": format!("Owners {number}"), "Description": "Owns certificates.", "Permissions": [] });
        api.post("/KeyfactorAPI/Security/Roles", &role).await?;
    }
    for name in FIELDS {
        let field = json!({ "Name": name, "Description": "Of the benchmark.", "DataType": 1 });
        api.post("/KeyfactorAPI/MetadataFields", &field).await?;
    }
    Ok(())
}

/// Times one request; answers the total too.
async fn timed(api: &Api, path: &str) -> anyhow::Result<(Duration, u64)> {
    let asked = Instant::now();
    let (total, _) = api.page(path).await.with_context(|| path.to_owned())?;
    Ok((asked.elapsed(), total))
}

/// p50, p99 and the longest, in milliseconds.
fn figures(each: &[Duration]) -> Value {
    let all = Latencies::of(each.to_vec(), Duration::from_secs(1));
    let longest = each.iter().max().map_or(0.0, Duration::as_secs_f64);
    json!({ "p50_ms": all.p50_ms, "p99_ms": all.p99_ms, "max_ms": longest * 1e3, "requests": each.len() })
}

/// The slowest few, with what was asked.
fn slowest(mut each: Vec<(Duration, String)>) -> Value {
    each.sort_by_key(|one| std::cmp::Reverse(one.0));
    each.truncate(6);
    each.into_iter()
        .map(|(time, what)| json!([time.as_secs_f64() * 1e3, what]))
        .collect()
}

/// Where a time goes by what the query means: totals up to 20,000 have the same aim as pages.
fn by_total<'a, T>(total: u64, narrow: &'a mut Vec<T>, broad: &'a mut Vec<T>) -> &'a mut Vec<T> {
    match total {
        0..=20_000 => narrow,
        _ => broad,
    }
}

/// First pages in rounds from `begin` on, which have other values each.
async fn first_pages(
    api: &Api,
    count: usize,
    when: &str,
    begin: usize,
) -> anyhow::Result<(Value, usize)> {
    let mut random = Random::new(5 + begin as u64);
    let (authorities, owners) = (
        highest(api, "/CertificateAuthority").await?,
        highest(api, "/Security/Roles").await?,
    );
    let (mut first, mut again, mut named) = (Vec::new(), Vec::new(), Vec::new());
    let (mut narrow, mut broad) = (Vec::new(), Vec::new());
    for round in begin..begin + ROUNDS {
        for filter in queries::indexed(count, round, authorities, owners) {
            for turn in 0..SORTS_EACH {
                let (sort, ascending) = (SORTS[random.below(SORTS.len())], random.below(2) == 0);
                let (time, total) = timed(api, &filter.page(sort, ascending, 1)).await?;
                // The first time a total may have to be counted.
                match turn {
                    0 => first.push(time),
                    _ => again.push(time),
                }
                by_total(total, &mut narrow, &mut broad).push(time);
                named.push((
                    time,
                    format!("{} by {sort} {ascending}: {total}", filter.query),
                ));
            }
        }
    }
    let requests = named.len();
    let line = json!({
        "workload": "first page of 50, indexed filter, any sort", "server": when, "first_time": figures(&first), "again": figures(&again),
        "up_to_20000": figures(&narrow), "more": figures(&broad), "slowest": slowest(named), "aim_p99_ms": 20
    });
    Ok((line, requests))
}

async fn highest(api: &Api, path: &str) -> anyhow::Result<i64> {
    let all = api.get(&format!("{path}?ReturnLimit=1000")).await?;
    let ids = all.as_array().context("a list")?.iter();
    Ok(ids.filter_map(|one| one["Id"].as_i64()).max().unwrap_or(0))
}

async fn substrings(api: &Api, count: usize, when: &str) -> anyhow::Result<(Value, usize)> {
    let (mut each, mut named) = (Vec::new(), Vec::new());
    let (mut narrow, mut broad) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for filter in queries::substrings(count, round) {
            let (time, total) = timed(api, &filter.page("IssuedCN", true, 1)).await?;
            each.push(time);
            by_total(total, &mut narrow, &mut broad).push(time);
            named.push((time, format!("{}: {total}", filter.query)));
        }
    }
    let line = json!({ "workload": "first page of 50, part of a name", "server": when, "all": figures(&each), "up_to_20000": figures(&narrow),
        "more": figures(&broad), "slowest": slowest(named), "aim_p99_ms": 60 });
    Ok((line, each.len()))
}

/// Exact totals of filters that match much, by the sort that costs least.
async fn totals(api: &Api) -> anyhow::Result<(Value, usize)> {
    let (mut first, mut again, mut named) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..12 {
        let query = match number % 4 {
            0 => format!("KeySize -gt {}", 200 + number),
            1 => format!("NotBefore -lt \"%TODAY-{number}%\""),
            2 => format!("KeyType -eq \"RSA\" AND KeySize -lt {}", 4_000 + number),
            _ => format!("TemplateId -gt {} AND KeyUsage -ne {number}", number % 3),
        };
        let filter = Filter {
            query,
            all: number % 2 == 0,
        };
        let path = filter.page("Id", true, 1);
        let (time, total) = timed(api, &path).await?;
        first.push(time);
        named.push((time, format!("{}: {total}", filter.query)));
        for _ in 0..5 {
            again.push(timed(api, &path).await?.0);
        }
    }
    let line = json!({
        "workload": "exact total of a broad filter", "first_time": figures(&first), "again": figures(&again), "slowest": slowest(named),
        "aim_first_ms": 150
    });
    Ok((line, first.len() + again.len()))
}

/// Pages drawn over whole results; and with a change before each.
async fn later_pages(api: &Api, count: usize) -> anyhow::Result<(Value, usize)> {
    let mut random = Random::new(6);
    let (mut next, mut each, mut changed, mut named) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for filter in queries::spread(count) {
        for _ in 0..3 {
            let (sort, ascending) = (SORTS[random.below(SORTS.len())], random.below(2) == 0);
            let (_, total) = timed(api, &filter.page(sort, ascending, 1)).await?;
            let pages = total.div_ceil(50).max(1) as usize;
            // Somebody reads the first page before he asks for another.
            tokio::time::sleep(Duration::from_millis(500)).await;
            for turn in 0..LATER {
                let page = 1 + random.below(pages) as u64;
                if turn >= LATER - 5 {
                    let id = 50 + random.below(count / 2);
                    let metadata =
                        json!({ "Id": id, "Metadata": { FIELDS[2]: format!("changed {turn}") } });
                    api.put("/Certificates/Metadata", &metadata).await?;
                }
                let (time, _) = timed(api, &filter.page(sort, ascending, page)).await?;
                match turn {
                    0 => &mut next,
                    turn if turn >= LATER - 5 => &mut changed,
                    _ => &mut each,
                }
                .push(time);
                named.push((
                    time,
                    format!(
                        "{} by {sort} {ascending}: page {page} of {pages}, turn {turn}",
                        filter.query
                    ),
                ));
            }
        }
    }
    let requests = named.len();
    let line = json!({
        "workload": "later pages of 50, 0.001 % to 60 %, any sort", "second_request": figures(&next), "all_others": figures(&each),
        "after_a_change": figures(&changed), "slowest": slowest(named), "aim_p99_ms": 50
    });
    Ok((line, requests))
}

async fn counts(api: &Api) -> anyhow::Result<(Value, usize)> {
    let mut each = Vec::new();
    for turn in 0..30 {
        let metadata =
            json!({ "Id": 60 + turn, "Metadata": { FIELDS[2]: format!("counted {turn}") } });
        api.put("/Certificates/Metadata", &metadata).await?;
        let asked = Instant::now();
        if api.get("/Chancery/Certificates/Counts").await.is_err() {
            let note = "this build has no such operation";
            return Ok((json!({ "workload": "dashboard counts", "note": note }), 1));
        }
        each.push(asked.elapsed());
    }
    let named = each
        .iter()
        .zip(0..)
        .map(|(time, turn)| (*time, format!("turn {turn}")));
    let line = json!({
        "workload": "dashboard counts, right after a change", "all": figures(&each), "slowest": slowest(named.collect()),
        "aim_p99_ms": 20
    });
    Ok((line, each.len()))
}

/// All tables and indexes.
async fn size_on_disk(setup: &Setup) -> anyhow::Result<u64> {
    let Some(address) = setup.database() else {
        let mut sum = 0;
        for name in ["chancery.db", "chancery.db-wal"] {
            sum += std::fs::metadata(setup.folder().join(name)).map_or(0, |file| file.len());
        }
        return Ok(sum);
    };
    let connection = sea_orm::Database::connect(address).await?;
    let statement = Statement::from_string(
        connection.get_database_backend(),
        "SELECT pg_database_size(current_database())",
    );
    let row = connection
        .query_one_raw(statement)
        .await?
        .context("a size")?;
    let size: i64 = row.try_get_by_index(0)?;
    connection.close().await?;
    Ok(size as u64)
}
