//! Pages of certificate stores for who may read them all, and for who may read those of 200 containers.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::client::{Api, Latencies};
use crate::server::Server;

/// Containers that the limited caller may read; as many others are there.
const CONTAINERS: usize = 200;
/// Stores that are created at the same moment.
const AT_ONCE: usize = 64;
/// Pages measured for each caller.
const PAGES: usize = 400;
/// Entries on a page.
const PAGE: usize = 50;
const ROLE: &str = "Bench Containers";
const ACCOUNT: &str = "bench-containers";

/// What the run came to.
pub(crate) struct Scoped {
    pub(crate) readable: usize,
    pub(crate) administrator: Latencies,
    pub(crate) limited: Latencies,
}

/// Creates the stores, half of them in containers that the limited caller may read, and lets both callers page.
pub(crate) async fn run(server: &Server, stores: usize) -> anyhow::Result<Scoped> {
    let admin = server.api()?;
    let mut containers = Vec::with_capacity(2 * CONTAINERS);
    for number in 0..2 * CONTAINERS {
        let body = json!({ "Name": format!("Bench container {number}") });
        let made = admin
            .post("/KeyfactorAPI/CertificateStoreContainers", &body)
            .await?;
        containers.push(made["Id"].as_i64().context("the container's Id")?);
    }
    let permissions: Vec<String> = containers
        .iter()
        .step_by(2)
        .map(|id| format!("/certificate_stores/read/{id}/"))
        .collect();
    let role =
        json!({ "Name": ROLE, "Description": "Reads 200 containers.", "Permissions": permissions });
    admin.post("/KeyfactorAPI/Security/Roles", &role).await?;
    let limited = server.account(ACCOUNT, ROLE).await?;
    stream::iter(0..stores)
        .map(|number| create(&admin, number, containers[number % containers.len()]))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    let readable = stores / 2;
    let administrator = page(&admin, stores).await?;
    let limited = page(&limited, readable).await?;
    Ok(Scoped {
        readable,
        administrator,
        limited,
    })
}

async fn create(admin: &Api, number: usize, container: i64) -> anyhow::Result<()> {
    let body = json!({
        "ClientMachine": format!("web{:06}.example.com", number.wrapping_mul(7_919) % 1_000_000), "StorePath": format!("/srv/tls/{number}.pem"),
        "CertStoreType": 2, "ContainerId": container, "Properties": "{}"
    });
    admin.post("/KeyfactorAPI/CertificateStores", &body).await?;
    Ok(())
}

/// Pages spread over the whole list, after some that are not counted.
async fn page(api: &Api, total: usize) -> anyhow::Result<Latencies> {
    let pages = total.div_ceil(PAGE).max(1);
    let mut each: Vec<Duration> = Vec::with_capacity(PAGES);
    let mut began = Instant::now();
    for number in 0..PAGES + 10 {
        if number == 10 {
            each.clear();
            began = Instant::now();
        }
        let wanted = 1 + number * pages / (PAGES + 10);
        let path = format!("/CertificateStores?ReturnLimit={PAGE}&PageReturned={wanted}");
        let asked = Instant::now();
        let found = api.get(&path).await?;
        each.push(asked.elapsed());
        if found.as_array().is_none_or(Vec::is_empty) {
            bail!("page {wanted} of {pages} is empty");
        }
    }
    Ok(Latencies::of(each, began.elapsed()))
}

impl Scoped {
    /// The figures as a line of the report.
    pub(crate) fn line(&self, database: &str, stores: usize) -> Value {
        json!({
            "workload": "pages of stores, 200 containers against all", "database": database, "stores": stores,
            "readable": self.readable, "all_p50_ms": self.administrator.p50_ms, "all_p99_ms": self.administrator.p99_ms,
            "limited_p50_ms": self.limited.p50_ms, "limited_p99_ms": self.limited.p99_ms,
            "ratio": self.administrator.per_second / self.limited.per_second, "aim_ratio": 2.0
        })
    }
}
