//! When the log of SQLite is folded back into its file.

use std::time::Duration;

use db::tables::counters::{ActiveModel, Entity};
use db::{Db, Error, Tx, testing};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, Statement};

/// Pages after which a small write folds it back itself, and a large one.
const SMALL: i64 = 4_000;
const LARGE: i64 = 128_000;
/// So many octets are more pages than the one and less than the other.
const OCTETS: usize = 48 * 1024 * 1024;

async fn limit(tx: &Tx) -> Result<i64, Error> {
    let statement = Statement::from_string(tx.get_database_backend(), "PRAGMA wal_autocheckpoint");
    let row = tx.query_one_raw(statement).await?.expect("it has a value");
    Ok(row.try_get_by_index(0)?)
}

async fn small(db: &Db) -> i64 {
    db.write("test.small", |tx| Box::pin(limit(tx)))
        .await
        .expect("nothing is written")
}

#[tokio::test]
async fn what_large_writes_leave_in_the_log_is_folded_back_beside_the_writer() {
    let folder = testing::empty_folder();
    let path = folder.path().join("test.db");
    let address = path.display().to_string();
    let db = Db::open(&address, &db::Options::default()).await.unwrap();
    assert_eq!(small(&db).await, SMALL);
    let large = db.write_much("test.large", |tx| {
        Box::pin(async move {
            let row = ActiveModel {
                name: Set("x".repeat(OCTETS)),
                shard: Set(0),
                value: Set(0),
            };
            Entity::insert(row).exec_without_returning(tx).await?;
            limit(tx).await
        })
    });
    assert_eq!(large.await.unwrap(), LARGE);
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let folded_back = async {
        while std::fs::metadata(&path).unwrap().len() < OCTETS as u64 {
            looks.tick().await;
        }
        // A while after the last large write the writer does it again, before a small one.
        while small(&db).await != SMALL {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), folded_back)
        .await
        .unwrap();
    db.close().await;
    assert!(!folder.path().join("test.db-wal").exists());
    let again = Db::open(&address, &db::Options::default()).await.unwrap();
    assert_eq!(Entity::find().all(again.read()).await.unwrap().len(), 1);
}
