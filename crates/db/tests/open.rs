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
