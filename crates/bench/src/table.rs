//! The table of what the inventory aims at (`docs/performance.md`), out of the lines that its workloads report.

use std::fmt::Write;

use serde_json::Value;

/// A figure: in the lines of which workload it is, and of which state of the server, and how it is shown.
#[derive(Clone, Copy)]
struct Row {
    what: &'static str,
    aim: &'static str,
    workload: &'static str,
    server: Option<&'static str>,
    shown: fn(&Value) -> Option<String>,
}

const FIRST: &str = "first page of 50, indexed filter, any sort";
const PART: &str = "first page of 50, part of a name";
const AGAIN: &str = "the same again";
const LATER: &str = "later pages of 50, 0.001 % to 60 %, any sort";
const TOTAL: &str = "exact total of a broad filter";

const fn row(
    what: &'static str,
    aim: &'static str,
    workload: &'static str,
    shown: fn(&Value) -> Option<String>,
) -> Row {
    Row {
        what,
        aim,
        workload,
        server: None,
        shown,
    }
}

const fn when(server: &'static str, row: Row) -> Row {
    Row {
        server: Some(server),
        ..row
    }
}

const ROWS: [Row; 27] = [
    when(
        "then",
        row(
            "first page, filter asked the first time",
            "20 ms, 150 ms for a broad total",
            FIRST,
            |line| times(line, "first_time"),
        ),
    ),
    when(
        "then",
        row("the same filter by other sorts", "20 ms", FIRST, |line| {
            times(line, "again")
        }),
    ),
    when(
        "then",
        row(
            "both, filters that up to 20,000 match",
            "20 ms",
            FIRST,
            |line| times(line, "up_to_20000"),
        ),
    ),
    when(
        "in memory",
        row(
            "rows read once: filter asked the first time",
            "20 ms, 150 ms for a broad total",
            FIRST,
            |line| times(line, "first_time"),
        ),
    ),
    when(
        "in memory",
        row(
            "rows read once: the same by other sorts",
            "20 ms",
            FIRST,
            |line| times(line, "again"),
        ),
    ),
    when(
        "in memory",
        row(
            "rows read once: both, up to 20,000 match",
            "20 ms",
            FIRST,
            |line| times(line, "up_to_20000"),
        ),
    ),
    when(
        AGAIN,
        row(
            "the very same pages again, up to 20,000 match",
            "20 ms",
            FIRST,
            |line| times(line, "up_to_20000"),
        ),
    ),
    when(
        AGAIN,
        row(
            "the very same pages again, more match",
            "20 ms",
            FIRST,
            |line| times(line, "more"),
        ),
    ),
    when(
        "first",
        row("part of a name", "60 ms", PART, |line| times(line, "all")),
    ),
    when(
        "first",
        row(
            "part of a name that up to 20,000 have",
            "60 ms",
            PART,
            |line| times(line, "up_to_20000"),
        ),
    ),
    when(
        AGAIN,
        row(
            "part of a name, the very same again",
            "60 ms",
            PART,
            |line| times(line, "all"),
        ),
    ),
    row(
        "exact total of a broad filter, the first time",
        "150 ms",
        TOTAL,
        |line| times(line, "first_time"),
    ),
    row(
        "exact total of a broad filter, again",
        "20 ms",
        TOTAL,
        |line| times(line, "again"),
    ),
    row("later pages: the second request", "50 ms", LATER, |line| {
        times(line, "second_request")
    }),
    row("later pages: all others", "50 ms", LATER, |line| {
        times(line, "all_others")
    }),
    row(
        "later pages, right after a change",
        "50 ms",
        LATER,
        |line| times(line, "after_a_change"),
    ),
    row(
        "dashboard counts, right after a change",
        "20 ms",
        "dashboard counts, right after a change",
        |line| times(line, "all"),
    ),
    when(
        "just started",
        row(
            "server just started: filter asked the first time",
            "–",
            FIRST,
            |line| times(line, "first_time"),
        ),
    ),
    when(
        "just started",
        row(
            "server just started: the same by other sorts",
            "–",
            FIRST,
            |line| times(line, "again"),
        ),
    ),
    row(
        "then, until all is in memory",
        "–",
        "until all is in memory",
        |line| Some(format!("{:.1} s", number(line, "seconds")?)),
    ),
    row(
        "server start, empty and full",
        "1.2",
        "server start",
        |line| {
            let (empty, full) = (number(line, "empty_ms")?, number(line, "full_ms")?);
            Some(format!(
                "{empty:.0}, {full:.0} ms ({:.2})",
                number(line, "ratio")?
            ))
        },
    ),
    row(
        "size on disk, indexes made afterwards",
        "4,096",
        "size on disk",
        octets,
    ),
    row(
        "size on disk, as imported, without metadata and stores",
        "4,096",
        "size on disk, as imported",
        octets,
    ),
    row(
        "bulk import, new; its slowest tenth",
        "5,000/s",
        "bulk import, new",
        |line| {
            let tenths = line["per_second_of_each_tenth"].as_array()?.iter();
            let slowest = tenths.filter_map(Value::as_f64).min_by(f64::total_cmp)?;
            Some(format!(
                "{:.0}/s; {slowest:.0}/s",
                number(line, "per_second")?
            ))
        },
    ),
    row(
        "bulk import, the same again",
        "–",
        "bulk import, again",
        |line| Some(format!("{:.0}/s", number(line, "per_second")?)),
    ),
    row(
        "`COPY` of the same rows, with and without indexes",
        "–",
        "PostgreSQL COPY of the same rows, certificates and contents",
        |line| {
            let (bare, indexed) = (
                number(line, "per_second")?,
                number(line, "per_second_with_indexes")?,
            );
            Some(format!("{indexed:.0}/s, {bare:.0}/s"))
        },
    ),
    row(
        "full inventory of a store, nothing changed: server; database",
        "50 ms",
        "full inventory of a store, nothing changed",
        |line| {
            let cost = &line["processor_us_each"];
            let server = number(cost, "server")? / 1e3;
            let database = number(cost, "database").unwrap_or(0.0) / 1e3;
            Some(format!("{server:.1}; {database:.1} ms of the processor"))
        },
    ),
];

fn number(line: &Value, member: &str) -> Option<f64> {
    line[member].as_f64()
}

fn times(line: &Value, member: &str) -> Option<String> {
    let times = &line[member];
    let (p50, p99) = (number(times, "p50_ms")?, number(times, "p99_ms")?);
    Some(format!("{p50:.1}, {p99:.1} ms"))
}

fn octets(line: &Value) -> Option<String> {
    Some(format!("{:.0} octets each", number(line, "octets_each")?))
}

/// A column for each database. What was not measured, as the start of a server whose database was kept, has no figure.
pub(crate) fn markdown(lines: &[Value]) -> String {
    let mut table = String::from(
        "| workload | SQLite p50, p99 | PostgreSQL p50, p99 | aim (p99) |\n|---|---|---|---|\n",
    );
    for row in &ROWS {
        let figure = |database: &str| {
            let mut of_row = lines.iter().filter(|line| {
                line["database"] == database
                    && line["workload"] == row.workload
                    && line["server"].as_str() == row.server
            });
            of_row
                .next_back()
                .and_then(row.shown)
                .unwrap_or_else(|| "–".into())
        };
        // Writing to a string cannot fail.
        writeln!(
            table,
            "| {} | {} | {} | {} |",
            row.what,
            figure("sqlite"),
            figure("postgres"),
            row.aim
        )
        .unwrap_or_default();
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_stand_in_the_row_and_column_that_they_are_of() {
        let times = |p50: f64| json!({ "p50_ms": p50, "p99_ms": p50 * 2.0 });
        let lines = [
            json!({ "workload": FIRST, "server": "just started", "database": "sqlite", "again": times(9.0) }),
            json!({ "workload": FIRST, "server": "then", "database": "sqlite", "first_time": times(1.5), "again": times(2.0) }),
            json!({ "workload": TOTAL, "database": "postgres", "again": times(3.25) }),
            json!({ "workload": "server start", "database": "postgres", "empty_ms": 40.4, "full_ms": 44.0, "ratio": 1.089 }),
            json!({ "workload": "bulk import, new", "database": "sqlite", "per_second": 6000.4, "per_second_of_each_tenth": [7000.0, 5000.0] }),
            json!({ "workload": "full inventory of a store, nothing changed", "database": "postgres",
                "processor_us_each": { "server": 20000.0, "database": 2500.0, "client": 7.0 } }),
        ];
        let table = markdown(&lines);
        for line in [
            "| first page, filter asked the first time | 1.5, 3.0 ms | – | 20 ms, 150 ms for a broad total |",
            "| the same filter by other sorts | 2.0, 4.0 ms | – | 20 ms |",
            "| server just started: the same by other sorts | 9.0, 18.0 ms | – | – |",
            "| exact total of a broad filter, again | – | 3.2, 6.5 ms | 20 ms |",
            "| server start, empty and full | – | 40, 44 ms (1.09) | 1.2 |",
            "| bulk import, new; its slowest tenth | 6000/s; 5000/s | – | 5,000/s |",
            "| full inventory of a store, nothing changed: server; database | – | 20.0; 2.5 ms of the processor | 50 ms |",
        ] {
            assert!(table.lines().any(|found| found == line), "{line}\n{table}");
        }
        assert_eq!(table.lines().count(), ROWS.len() + 2);
    }
}
