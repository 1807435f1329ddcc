//! What was. Rows are kept as they were when they change or go ([`keep`]), in tables beside the live ones; [`Db::at`] reads as of a
//! moment: its queries are those of today, over common table expressions that carry the tables' names and give the live rows that
//! were so then with the kept ones that were. Nothing is asked differently, so that no query has to know of the past.
//!
//! [`Db::at`]: crate::Db::at

use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoCondition, OnConflict, Query};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, Iterable, Statement};

use crate::tables::{
    certificate_contents, certificate_metadata, certificate_names, certificate_stores,
    certificates, store_entries, store_entry_certificates, store_types,
};
use crate::{Error, Tx};

/// How rows of a table come to be past.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// They change. What was kept last ends where the live row begins; the first begins with the value here.
    Versions(&'static str),
    /// They come and go, and say themselves since when they are there.
    ComesAndGoes,
    /// They never change, and go with what they belong to.
    Belongs,
}

/// A table whose past is kept.
struct Mirror {
    table: &'static str,
    kind: Kind,
    /// The columns that are kept.
    columns: fn() -> Vec<&'static str>,
}

fn all<E: EntityTrait>() -> Vec<&'static str>
where
    E::Column: Iterable + IdenStatic,
{
    E::Column::iter().map(|column| column.as_str()).collect()
}

const MIRRORS: &[Mirror] = &[
    Mirror {
        table: "certificates",
        kind: Kind::Versions("certificates.imported_at"),
        columns: all::<certificates::Entity>,
    },
    Mirror {
        table: "certificate_contents",
        kind: Kind::Belongs,
        columns: all::<certificate_contents::Entity>,
    },
    Mirror {
        table: "certificate_names",
        kind: Kind::Belongs,
        columns: all::<certificate_names::Entity>,
    },
    Mirror {
        table: "certificate_metadata",
        kind: Kind::ComesAndGoes,
        columns: all::<certificate_metadata::Entity>,
    },
    Mirror {
        table: "certificate_stores",
        kind: Kind::Versions("0"),
        // What places of certificates show, and by what they are found.
        columns: || {
            use certificate_stores::Column as C;
            let columns = [
                C::Id,
                C::StoreTypeId,
                C::ContainerId,
                C::ClientMachine,
                C::ClientMachineFold,
                C::StorePath,
                C::StorePathFold,
            ];
            columns.iter().map(IdenStatic::as_str).collect()
        },
    },
    Mirror {
        table: "store_types",
        kind: Kind::Belongs,
        columns: || {
            use store_types::Column as C;
            [C::Id, C::Name].iter().map(IdenStatic::as_str).collect()
        },
    },
    Mirror {
        table: "store_entries",
        kind: Kind::Versions("0"),
        columns: || {
            use store_entries::Column as C;
            let columns = [C::Id, C::StoreId, C::Alias, C::AliasFold];
            columns.iter().map(IdenStatic::as_str).collect()
        },
    },
    Mirror {
        table: "store_entry_certificates",
        kind: Kind::ComesAndGoes,
        columns: all::<store_entry_certificates::Entity>,
    },
];

impl Mirror {
    /// Since when a live row is so, in SQL.
    fn since(&self) -> Option<String> {
        let table = self.table;
        match self.kind {
            Kind::Versions(first) => Some(format!(
                "COALESCE((SELECT MAX(p.until) FROM past_{table} p WHERE p.id = {table}.id), {first})"
            )),
            Kind::ComesAndGoes => Some(format!("{table}.since")),
            Kind::Belongs => None,
        }
    }

    /// The table as it was at the moment that `at` stands for.
    fn then(&self, backend: DbBackend, at: &str) -> String {
        let table = self.table;
        let columns = (self.columns)();
        // A common table expression sees itself under its own name on SQLite, and the table on PostgreSQL.
        let live = match backend {
            DbBackend::Sqlite => format!("main.{table}"),
            _ => table.to_owned(),
        };
        let listed = |of: &str| {
            let columns = columns.iter().map(|column| format!("{of}.{column}"));
            columns.collect::<Vec<_>>().join(", ")
        };
        let (live_then, past_then) = match self.kind {
            Kind::Versions(first) => {
                let first = first.replace(table, "l");
                (
                    format!(
                        "WHERE {first} <= {at} AND NOT EXISTS (SELECT 1 FROM past_{table} o WHERE o.id = l.id AND o.until > {at})"
                    ),
                    format!("WHERE p.since <= {at} AND p.until > {at}"),
                )
            }
            Kind::ComesAndGoes => (
                format!("WHERE (l.since IS NULL OR l.since <= {at})"),
                format!("WHERE (p.since IS NULL OR p.since <= {at}) AND p.until > {at}"),
            ),
            Kind::Belongs => (String::new(), String::new()),
        };
        let past = match table {
            // What may be seen of a store is decided by where it is now, or was last.
            "certificate_stores" => format!(
                "{} FROM past_{table} p LEFT JOIN {live} n ON n.id = p.id {past_then}",
                listed("p").replace(
                    "p.container_id",
                    "CASE WHEN n.id IS NULL THEN p.container_id ELSE n.container_id END"
                )
            ),
            // Numbers of types are given again.
            "store_types" => format!(
                "{} FROM past_{table} p WHERE NOT EXISTS (SELECT 1 FROM {live} n WHERE n.id = p.id)",
                listed("p")
            ),
            _ => format!("{} FROM past_{table} p {past_then}", listed("p")),
        };
        format!(
            "{table} AS NOT MATERIALIZED (SELECT {} FROM {live} l {live_then} UNION ALL SELECT {past})",
            listed("l")
        )
    }
}

/// A query, asked of a moment in epoch milliseconds, or of now.
pub(crate) fn at(moment: Option<i64>, statement: Statement) -> Result<Statement, DbErr> {
    let Some(moment) = moment else {
        return Ok(statement);
    };
    let backend = statement.db_backend;
    let mut values = statement.values.map_or_else(Vec::new, |values| values.0);
    // Numbered, since it stands several times; SQLite's other places are not, and are not counted with it.
    let place = format!("${}", values.len() + 1);
    let then: Vec<String> = MIRRORS
        .iter()
        .filter(|mirror| statement.sql.contains(&format!("\"{}\"", mirror.table)))
        .map(|mirror| mirror.then(backend, &place))
        .collect();
    if then.is_empty() {
        return Ok(Statement {
            values: Some(sea_orm::Values(values)),
            ..statement
        });
    }
    values.push(moment.into());
    let then = then.join(", ");
    let sql = match statement.sql.strip_prefix("WITH ") {
        Some(rest) if !rest.starts_with("RECURSIVE") => format!("WITH {then}, {rest}"),
        None if statement.sql.starts_with("SELECT ") => format!("WITH {then} {}", statement.sql),
        _ => {
            return Err(DbErr::Custom(
                "only queries can be asked of the past".into(),
            ));
        }
    };
    Ok(Statement {
        sql,
        values: Some(sea_orm::Values(values)),
        db_backend: backend,
    })
}

/// Keeps the rows of a table that `which` is true of as they are until `now`, epoch milliseconds: they are about to change or to go.
/// Of a change there is one trace in a millisecond. No more than a statement.
///
/// # Errors
/// What the database said; that the table's past is not kept.
pub async fn keep<E: EntityTrait>(
    tx: &Tx,
    entity: E,
    now: i64,
    which: impl IntoCondition,
) -> Result<(), Error> {
    let table = entity.table_name();
    let mirror = MIRRORS.iter().find(|mirror| mirror.table == table);
    let mirror = mirror.ok_or_else(|| DbErr::Custom(format!("the past of {table} is not kept")))?;
    let mut columns = (mirror.columns)();
    let mut rows = Query::select();
    rows.columns(
        columns
            .iter()
            .map(|column| (Alias::new(table), Alias::new(*column))),
    )
    .from(Alias::new(table))
    .cond_where(which.into_condition());
    if let Some(since) = mirror.since() {
        if matches!(mirror.kind, Kind::Versions(_)) {
            columns.push("since");
            rows.expr(Expr::cust(since.clone()));
        }
        columns.push("until");
        rows.expr(Expr::val(now))
            .and_where(Expr::cust(format!("COALESCE({since}, 0)")).lt(now));
    }
    let mut insert = Query::insert();
    insert
        .into_table(Alias::new(format!("past_{table}")))
        .columns(columns.into_iter().map(Alias::new))
        .select_from(rows)
        .map_err(|error| DbErr::Custom(error.to_string()))?
        // Somebody else keeps the same at the same moment.
        .on_conflict(OnConflict::new().do_nothing().to_owned());
    tx.execute(&insert).await?;
    Ok(())
}
