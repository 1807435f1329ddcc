//! What `Db::write` promises, on both databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use db::tables::counters::{ActiveModel, Column, Entity};
use db::{Db, Error, Tx};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, TransactionTrait,
};

async fn insert(tx: &Tx, name: &str) -> Result<(), Error> {
    let row = ActiveModel {
        name: Set(name.to_owned()),
        shard: Set(0),
        value: Set(0),
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

async fn write(db: &Db, name: &'static str) -> Result<(), Error> {
    db.write("test.insert", move |tx| Box::pin(insert(tx, name)))
        .await
}

async fn names(db: &Db) -> Vec<String> {
    let mut names: Vec<String> = Entity::find()
        .all(db.read())
        .await
        .expect("the table can be read")
        .into_iter()
        .map(|row| row.name)
        .collect();
    names.sort();
    names
}

db::test_on_both! {
    async fn two_hundred_writers_lose_nothing(db: &Db) {
        write(db, "hits").await.unwrap();
        let writers: Vec<_> = (0..200)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write("test.count", |tx| {
                        Box::pin(async move {
                            Entity::update_many()
                                .col_expr(Column::Value, Expr::col(Column::Value).add(1))
                                .filter(Column::Name.eq("hits"))
                                .exec(tx)
                                .await?;
                            Ok::<_, Error>(())
                        })
                    })
                    .await
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        assert_eq!(Entity::find().one(db.read()).await.unwrap().unwrap().value, 200);
    }

    async fn an_answer_comes_after_the_commit(db: &Db) {
        for name in ["a", "b", "c", "d"] {
            write(db, name).await.unwrap();
            // Another connection sees it at once.
            assert!(names(db).await.iter().any(|seen| seen == name));
        }
    }

    async fn an_error_or_a_panic_ends_only_its_own_closure(db: &Db) {
        let refused = db.write("test.refused", |tx| {
            Box::pin(async move {
                insert(tx, "refused").await?;
                Err::<(), _>(Error::Address("made up".into()))
            })
        });
        let panicking = db.write("test.panicking", |tx| {
            Box::pin(async move {
                insert(tx, "panicking").await?;
                assert!(names_of(tx).await.is_empty(), "the closure panics");
                Ok::<_, Error>(())
            })
        });
        let (before, refused, panicking, after) =
            tokio::join!(write(db, "before"), refused, panicking, write(db, "after"));
        before.unwrap();
        after.unwrap();
        assert!(matches!(refused, Err(Error::Address(text)) if text == "made up"));
        assert!(matches!(panicking, Err(Error::Panicked("test.panicking"))));
        assert_eq!(names(db).await, ["after", "before"]);
        write(db, "later").await.unwrap();
    }

    async fn a_write_inside_a_write_is_refused(db: &Db) {
        let same = db.clone();
        let nested = db
            .write("test.outer", move |tx| {
                Box::pin(async move {
                    insert(tx, "outer").await?;
                    write(&same, "inner").await
                })
            })
            .await;
        assert!(matches!(nested, Err(Error::NestedWrite("test.outer"))));
        assert!(names(db).await.is_empty());
        write(db, "after").await.unwrap();
    }

    async fn a_refused_row_does_not_spoil_the_batch(db: &Db) {
        write(db, "taken").await.unwrap();
        let (one, taken, two) =
            tokio::join!(write(db, "one"), write(db, "taken"), write(db, "two"));
        one.unwrap();
        two.unwrap();
        assert!(taken.unwrap_err().is_constraint());
        assert_eq!(names(db).await, ["one", "taken", "two"]);
    }

    async fn a_foreign_key_is_checked_at_once(db: &Db) {
        use db::tables::role_permissions as permissions;
        let (orphan, other) = tokio::join!(
            db.write("test.orphan", |tx| {
                Box::pin(async move {
                    let row = permissions::ActiveModel {
                        role_id: Set(7),
                        permission: Set("/".into()),
                        object_id: Set(0),
                    };
                    permissions::Entity::insert(row).exec_without_returning(tx).await?;
                    Ok::<_, Error>(())
                })
            }),
            write(db, "other")
        );
        assert!(orphan.unwrap_err().is_constraint());
        other.unwrap();
    }

    async fn a_savepoint_may_fail_inside_a_write(db: &Db) {
        write(db, "taken").await.unwrap();
        db.write("test.savepoint", |tx| {
            Box::pin(async move {
                insert(tx, "kept").await?;
                let inner = tx.begin().await?;
                assert!(insert(&inner, "taken").await.unwrap_err().is_constraint());
                inner.rollback().await?;
                insert(tx, "kept too").await
            })
        })
        .await
        .unwrap();
        assert_eq!(names(db).await, ["kept", "kept too", "taken"]);
    }

    async fn what_was_answered_well_was_kept(db: &Db) {
        write(db, "taken").await.unwrap();
        let answer = db
            .write("test.goes_on", |tx| {
                Box::pin(async move {
                    insert(tx, "kept").await?;
                    assert!(insert(tx, "taken").await.is_err());
                    Ok::<_, Error>(())
                })
            })
            .await;
        // PostgreSQL gives up the whole transaction and commits nothing without saying so.
        let kept = names(db).await.contains(&"kept".to_owned());
        match db.dialect() {
            db::Dialect::Sqlite => assert!(answer.is_ok() && kept),
            db::Dialect::Postgres => {
                assert!(matches!(answer, Err(Error::StatementFailed("test.goes_on"))));
                assert!(!kept);
            }
        }
        write(db, "after").await.unwrap();
    }

    async fn who_leaves_midway_keeps_nothing_or_everything(db: &Db) {
        let started = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&started);
        let mut left = Box::pin(db.write("test.left", move |tx| {
            Box::pin(async move {
                insert(tx, "one").await?;
                seen.store(true, Ordering::SeqCst);
                insert(tx, "two").await
            })
        }));
        while !started.load(Ordering::SeqCst) {
            if futures::poll!(&mut left).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(left);
        // The writer takes this one after that one; on PostgreSQL it may wait for the rollback.
        write(db, "after").await.unwrap();
        let names = names(db).await;
        assert!(names == ["after"] || names == ["after", "one", "two"], "{names:?}");
    }
}

async fn names_of(tx: &Tx) -> Vec<String> {
    let rows = Entity::find().all(tx).await.expect("the table can be read");
    rows.into_iter().map(|row| row.name).collect()
}
