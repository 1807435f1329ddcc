//! The members of the population into a database, while no server serves it.

use std::sync::Arc;

use anyhow::{Context, ensure};
use app::filling::Certificate;
use app::{App, Clock, Cx, Options};
use db::tables::{authorities, certificate_stores, store_entries, store_entry_certificates};
use futures::{StreamExt, stream};
use sea_orm::{ActiveValue::Set, ConnectionTrait, Statement};

use super::population::{AUTHORITIES, Member, OWNERS, Population};
use crate::server::Setup;

/// Certificates in one transaction.
const LOT: usize = 2_048;
/// Lots that are written at the same time: PostgreSQL does so side by side.
const AT_ONCE: usize = 2;
/// The built-in type of stores.
const PEM: i64 = 2;

/// What members refer to.
struct Known {
    authorities: Vec<i64>,
    templates: Vec<i64>,
    owners: Vec<i64>,
    stores: Vec<uuid::Uuid>,
}

/// Fills the database of a server that is not running. Indexes that only speed up are made after the rows, since that is much faster
/// and leaves nothing else behind. Ids are given as lots come, which on PostgreSQL is not quite the order of the population.
pub(super) async fn fill(setup: &Setup, count: usize) -> anyhow::Result<()> {
    let now_ms = Clock::System.now();
    let ring = secrets::KeyRing::load(setup.sealing_key())?;
    let options = Options::new(setup.address(), setup.folder().to_owned(), ring);
    let app = App::open(options).await?;
    let db = app.db().clone();
    let indexes = take_indexes(&db).await?;
    let known = prepare(&db, count, now_ms).await?;
    let cx = Cx::system(Arc::clone(&app), "benchmark");
    let mut population = Population::new(count, now_ms);
    let lots = std::iter::from_fn(|| {
        let lot: Vec<Member> = population.by_ref().take(LOT).collect();
        Some(lot).filter(|lot| !lot.is_empty())
    });
    let written = stream::iter(lots).map(|lot| write(&cx, &known, lot));
    let mut written = written.buffer_unordered(AT_ONCE);
    while let Some(written) = written.next().await {
        written?;
    }
    drop(written);
    for sql in indexes {
        execute(&db, sql).await?;
    }
    execute(&db, "ANALYZE".into()).await?;
    if db.dialect() == db::Dialect::Postgres {
        // What autovacuum would have done by the time that so many have come in; it cannot run in a transaction.
        db.read().execute_unprepared("VACUUM").await?;
    }
    app.close().await;
    Ok(())
}

/// Writes a lot of members.
async fn write(cx: &Cx, known: &Known, lot: Vec<Member>) -> anyhow::Result<()> {
    let at_ms = lot.last().context("an empty lot")?.at_ms;
    let stores: Vec<Option<usize>> = lot.iter().map(|member| member.store).collect();
    let all = lot.into_iter().map(|member| known.certificate(member));
    let ids = app::filling::record(cx, at_ms, all.collect()).await?;
    place(cx.db(), known, &ids, &stores).await
}

impl Known {
    fn certificate(&self, member: Member) -> Certificate {
        let one_of = |ids: &[i64], index: Option<usize>| index.map(|index| ids[index % ids.len()]);
        Certificate {
            der: member.der,
            authority_id: one_of(&self.authorities, member.authority),
            template_id: one_of(&self.templates, member.template),
            requester: member.requester,
            owner_role_id: one_of(&self.owners, member.owner),
            metadata: member.metadata,
            is_revoked: member.is_revoked,
        }
    }
}

/// The authorities and stores; roles, templates and metadata fields are there.
async fn prepare(db: &db::Db, count: usize, now_ms: i64) -> anyhow::Result<Known> {
    let first = Population::new(count, now_ms).next();
    let der = first.context("an empty population")?.der;
    let rows = (0..AUTHORITIES).map(|number| {
        let (host, name) = ("pki.example.com", format!("Issuing CA {number:02}"));
        authorities::ActiveModel {
            logical_name: Set(name.clone()),
            host_name: Set(host.into()),
            name_fold: Set(db::fold(&format!("{host}\\{name}"))),
            purpose: Set("elsewhere".into()),
            parent_id: Set(None),
            certificate: Set(der.clone()),
            sealed_key: Set(None),
            configuration: Set("{}".into()),
            enabled: Set(false),
            created_at: Set(now_ms),
            ..Default::default()
        }
    });
    let rows: Vec<_> = rows.collect();
    let stores: Vec<uuid::Uuid> = (0..Population::stores(count) as u128)
        .map(|number| uuid::Uuid::from_u128(0xC0FF_EE00 << 96 | number))
        .collect();
    let store_rows: Vec<_> = stores
        .iter()
        .enumerate()
        .map(|(number, id)| {
            let machine = Population::host(number);
            let path = format!("/srv/tls/{number}.pem");
            certificate_stores::ActiveModel {
                id: Set(*id),
                store_type_id: Set(PEM),
                agent_id: Set(None),
                container_id: Set(None),
                client_machine_fold: Set(db::fold(&machine)),
                client_machine: Set(machine),
                store_path_fold: Set(db::fold(&path)),
                store_path: Set(path),
                approved: Set(true),
                create_if_missing: Set(false),
                properties: Set("{}".into()),
                sealed_secrets: Set(None),
                sealed_password: Set(None),
                set_new_password_allowed: Set(false),
                inventory_schedule: Set(None),
                inventory_job_id: Set(None),
                last_inventory_at: Set(Some(now_ms)),
                created_at: Set(now_ms),
            }
        })
        .collect();
    db.write("bench.prepare", move |tx| {
        Box::pin(async move {
            db::insert_all(tx, rows).await?;
            db::insert_all(tx, store_rows).await
        })
    })
    .await?;
    let found = Known {
        authorities: ids(
            db,
            "SELECT id FROM authorities WHERE purpose = 'elsewhere' ORDER BY id",
        )
        .await?,
        templates: ids(db, "SELECT id FROM templates ORDER BY id").await?,
        owners: ids(db, "SELECT id FROM roles ORDER BY id DESC LIMIT 20").await?,
        stores,
    };
    ensure!(found.owners.len() >= OWNERS, "roles are missing");
    Ok(found)
}

async fn ids(db: &db::Db, sql: &str) -> anyhow::Result<Vec<i64>> {
    let statement = Statement::from_string(db.dialect().backend(), sql);
    let rows = db.read().query_all_raw(statement).await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get_by_index(0))
        .collect::<Result<_, _>>()?)
}

/// Puts certificates into their stores, each under an alias of its own.
async fn place(
    db: &db::Db,
    known: &Known,
    certificates: &[i64],
    stores: &[Option<usize>],
) -> anyhow::Result<()> {
    let placed: Vec<(i64, uuid::Uuid)> = certificates
        .iter()
        .zip(stores)
        .filter_map(|(id, store)| Some((*id, known.stores[(*store)? % known.stores.len()])))
        .collect();
    db.write("bench.place", move |tx| {
        Box::pin(async move {
            let [entries] = db::reserve_ids(tx, ["store_entries"], placed.len()).await?;
            let both = || placed.iter().zip(&entries);
            let rows = both().map(|((certificate, store), entry)| store_entries::ActiveModel {
                id: Set(*entry),
                store_id: Set(*store),
                alias: Set(format!("entry{certificate}")),
                alias_fold: Set(format!("entry{certificate}")),
                private_key: Set(true),
                parameters: Set("{}".into()),
            });
            db::insert_all(tx, rows).await?;
            let rows =
                both().map(
                    |((certificate, store), entry)| store_entry_certificates::ActiveModel {
                        entry_id: Set(*entry),
                        chain_level: Set(0),
                        certificate_id: Set(*certificate),
                        store_id: Set(*store),
                        ..Default::default()
                    },
                );
            db::insert_all(tx, rows).await
        })
    })
    .await?;
    Ok(())
}

/// Takes away the indexes that are not constraints, and answers the statements that make them.
async fn take_indexes(db: &db::Db) -> anyhow::Result<Vec<String>> {
    const TABLES: &str = "('certificates', 'certificate_names', 'certificate_metadata', 'certificate_history', 'store_entries', 'store_entry_certificates')";
    let sql = match db.dialect() {
        db::Dialect::Sqlite => format!(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN {TABLES}"
        ),
        db::Dialect::Postgres => format!(
            "SELECT indexname::text, indexdef FROM pg_indexes WHERE tablename IN {TABLES} AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        ),
    };
    let rows = db
        .read()
        .query_all_raw(Statement::from_string(db.dialect().backend(), sql))
        .await?;
    let mut made = Vec::new();
    for row in rows {
        let (name, sql): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        execute(db, format!("DROP INDEX {name}")).await?;
        made.push(sql);
    }
    Ok(made)
}

async fn execute(db: &db::Db, sql: String) -> anyhow::Result<()> {
    db.write("bench.statement", move |tx| {
        Box::pin(async move {
            tx.execute_unprepared(&sql).await?;
            Ok::<_, db::Error>(())
        })
    })
    .await
    .context("an index of the inventory")
}
