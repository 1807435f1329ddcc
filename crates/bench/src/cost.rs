//! Time of the processor that a workload took: of the server, of this client, and of PostgreSQL's processes. On a machine that
//! others use too it says more than the clock.

use anyhow::Context;
use serde_json::{Value, json};

/// Clock ticks a second in `/proc`: 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// What the three had used at one moment, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    server_us: f64,
    client_us: f64,
    database_us: f64,
}

impl Cost {
    /// As of now. `database` is the process that all of PostgreSQL's are children of.
    pub(crate) fn now(server: u32, database: Option<u32>) -> anyhow::Result<Self> {
        Ok(Self {
            server_us: used(&server.to_string(), false)?,
            client_us: used("self", false)?,
            database_us: match database {
                None => 0.0,
                Some(parent) => family(parent)?,
            },
        })
    }

    /// What was used since `before`, for each of `count` requests.
    pub(crate) fn each_since(self, before: Self, count: usize) -> Value {
        let each = |now: f64, then: f64| ((now - then) / count.max(1) as f64).round();
        json!({
            "server": each(self.server_us, before.server_us), "client": each(self.client_us, before.client_us),
            "database": each(self.database_us, before.database_us)
        })
    }
}

/// The fields of `/proc/PID/stat` after the name, which may hold blanks.
fn fields(process: &str) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("/proc/PID/stat")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

fn used(process: &str, with_ended_children: bool) -> anyhow::Result<f64> {
    let fields = fields(process)?;
    // utime, stime, cutime, cstime: fields 14 to 17, of which the name was the second.
    let wanted = if with_ended_children { 11..15 } else { 11..13 };
    let ticks: f64 = fields
        .get(wanted)
        .context("/proc/PID/stat")?
        .iter()
        .filter_map(|text| text.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS * 1e6)
}

fn family(parent: u32) -> anyhow::Result<f64> {
    let mut sum = used(&parent.to_string(), true)?;
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_child = name.bytes().all(|byte| byte.is_ascii_digit())
            && fields(&name).is_ok_and(|fields| fields.get(1) == Some(&parent.to_string()));
        if is_child {
            // One that has just ended is in its parent's account.
            sum += used(&name, false).unwrap_or(0.0);
        }
    }
    Ok(sum)
}

/// The process of the PostgreSQL server behind a connection. `None` on SQLite, and when it is on another machine.
pub(crate) async fn database_process(db: &db::Db) -> anyhow::Result<Option<u32>> {
    let Some(process) = db.server_process().await? else {
        return Ok(None);
    };
    Ok(fields(&process.to_string())
        .ok()
        .and_then(|fields| fields.get(1)?.parse().ok()))
}
