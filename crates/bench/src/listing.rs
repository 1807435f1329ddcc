//! Pages of 50 from the certificate list, one caller: first pages, late pages, sorted and filtered ones.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Latencies;
use crate::server::Server;

/// Requests measured.
pub(crate) const REQUESTS: usize = 1_000;
/// The kinds of pages, asked for in turn.
const KINDS: [&str; 4] = ["first", "late", "sorted", "filtered"];

/// What the pages took.
pub(crate) struct Listed {
    pub(crate) all: Latencies,
    /// Of each kind: p50 and p99 in milliseconds.
    pub(crate) kinds: Value,
}

/// Asks for pages spread over the whole list.
pub(crate) async fn run(server: &Server, certificates: usize) -> anyhow::Result<Listed> {
    let api = server.api()?;
    let pages = certificates.div_ceil(50).max(1);
    let mut each: [Vec<Duration>; KINDS.len()] = Default::default();
    let began = Instant::now();
    for number in 0..REQUESTS {
        let path = match number % KINDS.len() {
            0 => "/Certificates?ReturnLimit=50".to_owned(),
            1 => format!(
                "/Certificates?ReturnLimit=50&PageReturned={}",
                1 + number * 7 % pages
            ),
            2 => "/Certificates?ReturnLimit=50&SortField=NotAfter&SortAscending=1".to_owned(),
            _ => format!(
                "/Certificates?ReturnLimit=50&QueryString=IssuedCN%20-startswith%20%22host{:04}%22",
                number % 1_000
            ),
        };
        let asked = Instant::now();
        api.get(&path).await?;
        each[number % KINDS.len()].push(asked.elapsed());
    }
    let elapsed = began.elapsed();
    let mut kinds = serde_json::Map::new();
    for (name, some) in KINDS.iter().zip(&each) {
        let latencies = Latencies::of(some.clone(), elapsed);
        kinds.insert((*name).into(), json!([latencies.p50_ms, latencies.p99_ms]));
    }
    Ok(Listed {
        all: Latencies::of(each.concat(), elapsed),
        kinds: Value::Object(kinds),
    })
}
