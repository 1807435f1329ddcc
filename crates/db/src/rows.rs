//! Many rows at once: ids that are known before the rows are there, and inserts in few statements.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic,
    IntoActiveModel, Iterable, RuntimeErr, Statement,
};

use crate::{Error, Tx};

/// Rows in one statement at most: databases limit how many values a statement may have.
const ROWS_MAX: usize = 128;

/// Takes `count` ids of each of `tables` that no other row has or will have. On SQLite they count only in this transaction,
/// which has to insert rows with all of them or, of those it leaves out, none after others.
///
/// # Errors
/// What the database said.
pub async fn reserve_ids<const N: usize>(
    tx: &Tx,
    tables: [&'static str; N],
    count: usize,
) -> Result<[Vec<i64>; N], Error> {
    let backend = tx.get_database_backend();
    let mut ids = tables.map(|_| Vec::with_capacity(count));
    if backend == sea_orm::DbBackend::Sqlite {
        let columns: Vec<String> = tables
            .iter()
            .map(|table| {
                format!("COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0)")
            })
            .collect();
        let sql = format!("SELECT {}", columns.join(", "));
        let row = tx
            .query_one_raw(Statement::from_sql_and_values(backend, sql, []))
            .await?;
        for (index, ids) in ids.iter_mut().enumerate() {
            let last: i64 = match &row {
                Some(row) => row.try_get_by_index(index)?,
                None => 0,
            };
            ids.extend((1_i64..).take(count).map(|number| last + number));
        }
        return Ok(ids);
    }
    // Which sequence it is, is looked up once and not for each id.
    let numbered = || tables.iter().enumerate();
    let sequences = numbered()
        .map(|(at, table)| format!("pg_get_serial_sequence('{table}', 'id')::regclass AS s{at}"));
    let columns = numbered().map(|(at, _)| format!("nextval(s{at})"));
    let list = |parts: Vec<String>| parts.join(", ");
    let sql = format!(
        "SELECT {} FROM (SELECT {} OFFSET 0) AS sequences, generate_series(1, $1)",
        list(columns.collect()),
        list(sequences.collect())
    );
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let rows = tx
        .query_all_raw(Statement::from_sql_and_values(backend, sql, [count.into()]))
        .await?;
    for row in rows {
        for (index, ids) in ids.iter_mut().enumerate() {
            ids.push(row.try_get_by_index(index)?);
        }
    }
    Ok(ids)
}

/// Inserts rows, many in a statement. Statements come in few forms: each has a power of two of rows. While the database works on one
/// the next is made, with its rows, where `rows` makes them as they are taken.
///
/// # Errors
/// What the database said.
pub fn insert_all<'t, A, R>(tx: &'t Tx, rows: R) -> BoxFuture<'t, Result<(), Error>>
where
    A: ActiveModelTrait + Send + 't,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    R: IntoIterator<Item = A>,
    R::IntoIter: Send + 't,
{
    // Without the type of what makes them, which callers would not be able to send to other threads.
    insert(tx, Box::new(rows.into_iter())).boxed()
}

async fn insert<A>(tx: &Tx, mut rows: Box<dyn Iterator<Item = A> + Send + '_>) -> Result<(), Error>
where
    A: ActiveModelTrait,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    let (backend, mut taken) = (tx.get_database_backend(), Vec::with_capacity(ROWS_MAX));
    taken.extend(rows.next());
    let Some(first) = taken.first() else {
        return Ok(());
    };
    // Those that are given; the others, as ids that the database makes, have to be missing from all rows.
    let columns: Vec<_> = <A::Entity as EntityTrait>::Column::iter()
        .filter(|column| !first.get(*column).is_not_set())
        .collect();
    let mut next = insert_some(backend, &columns, &mut rows, &mut taken)?;
    while let Some(statement) = next {
        let made = async { insert_some(backend, &columns, &mut rows, &mut taken) };
        let (done, made) = futures::join!(tx.execute_raw(statement), made);
        done?;
        next = made?;
    }
    Ok(())
}

/// The statement that inserts the next rows; those that it leaves for others stay in `taken`.
fn insert_some<A>(
    backend: DbBackend,
    columns: &[<A::Entity as EntityTrait>::Column],
    rows: &mut impl Iterator<Item = A>,
    taken: &mut Vec<A>,
) -> Result<Option<Statement>, Error>
where
    A: ActiveModelTrait,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    taken.extend(rows.take(ROWS_MAX - taken.len()));
    if taken.is_empty() {
        return Ok(None);
    }
    let count = 1 << taken.len().ilog2();
    let mut values = Vec::with_capacity(count * columns.len());
    for mut row in taken.drain(..count) {
        for column in columns {
            match row.take(*column) {
                ActiveValue::Set(value) | ActiveValue::Unchanged(value) => values.push(value),
                ActiveValue::NotSet => {
                    return Err(DbErr::AttrNotSet(column.as_str().to_owned()).into());
                }
            }
        }
        // One that the first row has not would be lost.
        let mut all = <A::Entity as EntityTrait>::Column::iter();
        if let Some(other) = all.find(|column| matches!(row.get(*column), ActiveValue::Set(_))) {
            return Err(DbErr::AttrNotSet(other.as_str().to_owned()).into());
        }
    }
    let sql = insert_text::<A::Entity>(backend, columns, count);
    Ok(Some(Statement::from_sql_and_values(backend, sql, values)))
}

/// Written here, since to have it made from an expression for each value costs several times as much as the values.
fn insert_text<E: EntityTrait>(backend: DbBackend, columns: &[E::Column], rows: usize) -> String {
    let names: Vec<&str> = columns.iter().map(IdenStatic::as_str).collect();
    let mut sql = format!(
        "INSERT INTO \"{}\" (\"{}\") VALUES ",
        E::default().table_name(),
        names.join("\", \"")
    );
    let mut number = 0;
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns.len() {
            number += 1;
            sql.push_str(if column == 0 { "" } else { ", " });
            match backend {
                DbBackend::Postgres => sql.push_str(&format!("${number}")),
                _ => sql.push('?'),
            }
        }
        sql.push(')');
    }
    sql
}

/// What a select of one `BIGINT` column answers that is never NULL, in its order. It comes as one row, since a driver takes longer for
/// a row than a database for a number.
///
/// # Errors
/// Those of the database.
pub async fn integers(
    connection: &impl ConnectionTrait,
    select: SelectStatement,
    column: &str,
) -> Result<Vec<i64>, Error> {
    let backend = connection.get_database_backend();
    let mut statement = backend.build(&select);
    let all = match backend {
        DbBackend::Sqlite => format!("group_concat(\"{column}\", ',')"),
        _ => format!("array_agg(\"{column}\")"),
    };
    statement.sql = format!("SELECT {all} AS numbers FROM ({}) AS found", statement.sql);
    let row = connection.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| missing("an aggregate without a row"))?;
    if let Some(row) = row.try_as_pg_row() {
        let numbers: Option<Vec<i64>> = sqlx::Row::try_get(row, 0)
            .map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))?;
        return Ok(numbers.unwrap_or_default());
    }
    let text: Option<String> = row.try_get_by_index(0)?;
    let text = text.unwrap_or_default();
    let numbers = text.split(',').filter(|number| !number.is_empty());
    let numbers: Result<Vec<i64>, _> = numbers.map(str::parse).collect();
    numbers.map_err(|_| missing("an aggregate of other than integers"))
}

/// Whether PostgreSQL plans each of the next statements of this transaction for its values, whenever it comes. Otherwise it keeps a plan
/// after some times, which may be one for a table that had hardly any rows: to read all of them. While a table grows by thousands of
/// rows a second, that goes on until it is analyzed. For inserts of many rows it costs more than it gives.
///
/// # Errors
/// What the database said.
pub async fn plan_each(tx: &Tx, is_wanted: bool) -> Result<(), Error> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(match is_wanted {
            true => "SET LOCAL plan_cache_mode = force_custom_plan",
            false => "SET LOCAL plan_cache_mode TO DEFAULT",
        })
        .await?;
    }
    Ok(())
}

/// Waits until no other transaction has the turn of this name, and has it until its end. Taken where PostgreSQL sees who waits for whom,
/// so that of two that wait for each other one is told. On SQLite writers come one after another anyway.
///
/// # Errors
/// What the database said.
pub async fn take_turn(tx: &Tx, name: &str) -> Result<(), Error> {
    let backend = tx.get_database_backend();
    if backend == DbBackend::Postgres {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        let statement = Statement::from_sql_and_values(backend, sql, [name.into()]);
        tx.execute_raw(statement).await?;
    }
    Ok(())
}

fn missing(what: &str) -> Error {
    DbErr::Type(what.to_owned()).into()
}
