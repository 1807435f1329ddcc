//! Opening, migrating, copying.

use db::tables::counters::{ActiveModel, Entity};
use db::{Db, Dialect, Error, Options, testing};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

async fn insert(db: &Db, name: &'static str) -> Result<(), Error> {
    db.write("test.insert", move |tx| {
        Box::pin(async move {
            let row = ActiveModel {
                name: Set(name.to_owned()),
                shard: Set(0),
                value: Set(7),
            };
            Entity::insert(row).exec_without_returning(tx).await?;
            Ok(())
        })
    })
    .await
}

/// Opens several at once, as servers that start together do, and lets each write.
async fn open_together(address: &str) {
    const NAMES: [&str; 4] = ["one", "two", "three", "four"];
    let options = Options {
        readers: 1,
        postgres_connections: 2,
    };
    let opening = NAMES.map(|name| {
        let (address, options) = (address.to_owned(), options.clone());
        tokio::spawn(async move {
            let db = Db::open(&address, &options).await?;
            insert(&db, name).await?;
            Ok::<_, Error>(db)
        })
    });
    let mut last = None;
    for opened in opening {
        last = Some(
            opened
                .await
                .expect("no panic")
                .expect("all of them open and write"),
        );
    }
    let rows = Entity::find()
        .all(last.expect("there are four").read())
        .await
        .expect("rows");
    assert_eq!(rows.len(), NAMES.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_open_one_new_file() {
    for _ in 0..5 {
        let folder = testing::empty_folder();
        open_together(&format!(
            "sqlite:{}",
            folder.path().join("new.db").display()
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_open_one_new_database() {
    if let Some(database) = testing::empty_postgres().await {
        open_together(database.address()).await;
    }
}

#[tokio::test]
async fn postgres_compiles_no_plan() {
    let Some(fresh) = testing::postgres().await else {
        return;
    };
    let setting = "SELECT current_setting('jit') AS jit";
    let setting = sea_orm::Statement::from_string(fresh.dialect().backend(), setting);
    let read = fresh.read().query_one_raw(setting).await.expect("a row");
    let read = read.map(|row| row.try_get::<String>("", "jit"));
    assert_eq!(read, Some(Ok("off".to_owned())));
}

#[tokio::test]
async fn an_address_of_another_kind_is_refused() {
    for address in ["mysql://host/name", "http://x"] {
        let refused = Db::open(address, &Options::default()).await.map(|_| ());
        assert!(matches!(refused, Err(Error::Address(_))), "{address}");
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_a_file_is_an_error() {
    let folder = testing::empty_folder();
    assert!(
        Db::open(&folder.path().display().to_string(), &Options::default())
            .await
            .is_err()
    );
    let missing = folder
        .path()
        .join("no/such/folder/file.db")
        .display()
        .to_string();
    assert!(Db::open(&missing, &Options::default()).await.is_err());
}

#[tokio::test]
async fn a_path_with_odd_characters_is_that_file() {
    let folder = testing::empty_folder();
    let path = folder.path().join("a b?c#d%20é.db");
    let db = Db::open(&path.display().to_string(), &Options::default())
        .await
        .unwrap();
    insert(&db, "one").await.unwrap();
    assert!(path.exists());
}

db::test_on_both! {
    async fn what_is_acknowledged_is_on_disk(db: &Db) {
        let durability = db.durability().await.unwrap();
        assert!(durability.full, "{durability:?}");
        let value = |name: &str| {
            let found = durability.settings.iter().find(|(setting, _)| setting == name);
            found.map(|(_, value)| value.as_str())
        };
        match db.dialect() {
            Dialect::Sqlite => {
                assert_eq!(durability.database, "sqlite");
                assert_eq!(value("synchronous"), Some("2"));
                assert_eq!(value("journal_mode"), Some("wal"));
            }
            Dialect::Postgres => {
                assert_eq!(durability.database, "postgres");
                assert_eq!(value("fsync"), Some("on"));
            }
        }
    }

    async fn a_copy_has_the_same_rows(db: &Db) {
        let folder = testing::empty_folder();
        let target = folder.path().join("copy's.db");
        insert(db, "one").await.unwrap();
        insert(db, "two").await.unwrap();
        let copied = db.backup_to(&target).await;
        if db.dialect() == Dialect::Postgres {
            assert!(matches!(copied, Err(Error::Address(_))));
            return;
        }
        copied.unwrap();
        insert(db, "three").await.unwrap();
        assert!(db.backup_to(&target).await.is_err(), "a copy is not written over");
        let copy = Db::open(&target.display().to_string(), &Options::default()).await.unwrap();
        assert_eq!(Entity::find().all(copy.read()).await.unwrap().len(), 2);
        insert(&copy, "four").await.unwrap();
    }
}

#[tokio::test]
async fn readers_cannot_write() {
    let db = testing::sqlite().await;
    let refused = db.read().execute_unprepared("DELETE FROM counters").await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn an_open_database_can_be_opened_again() {
    let db = testing::sqlite().await;
    insert(&db, "one").await.unwrap();
    let again = Db::open(db.address(), &Options::default()).await.unwrap();
    insert(&again, "two").await.unwrap();
    assert_eq!(Entity::find().all(db.read()).await.unwrap().len(), 2);
}

/// Ends all connections to the database but the one that says so.
async fn end_connections(address: &str) {
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(address)
        .await
        .expect("a connection");
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(&mut connection)
    .await
    .expect("the connections end");
}

#[tokio::test]
async fn a_read_survives_the_end_of_its_connection() {
    let Some(fresh) = testing::postgres().await else {
        return;
    };
    insert(&fresh, "there").await.expect("a row");
    let all = || async { Entity::find().all(fresh.read()).await };
    for _ in 0..3 {
        let (one, two) = tokio::join!(all(), all());
        assert_eq!((one.expect("rows").len(), two.expect("rows").len()), (1, 1));
        end_connections(fresh.address()).await;
    }
    assert_eq!(all().await.expect("rows").len(), 1);
    assert_eq!(
        Entity::find()
            .one(fresh.read())
            .await
            .expect("a row")
            .map(|row| row.value),
        Some(7)
    );
}

#[tokio::test]
async fn snapshots_leave_connections_to_those_who_write() {
    let Some(fresh) = testing::postgres().await else {
        return;
    };
    let db = Db::open(
        fresh.address(),
        &Options {
            readers: 1,
            postgres_connections: 4,
        },
    )
    .await
    .expect("it opens");
    let snapshots: Vec<_> = (0..6)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move { db.snapshot().await.map(std::mem::forget) })
        })
        .collect();
    tokio::time::timeout(std::time::Duration::from_secs(20), insert(&db, "written"))
        .await
        .expect("a connection is left")
        .expect("a row");
    snapshots.iter().for_each(tokio::task::JoinHandle::abort);
}
