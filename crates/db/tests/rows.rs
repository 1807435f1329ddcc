//! Many rows at once.

use db::tables::counters::{ActiveModel, Column, Entity};
use db::{Db, testing};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

async fn check(db: &Db) {
    const VALUES: [i64; 5] = [7, -3, 0, i64::MAX, i64::MIN];
    let select = |limit| {
        let all = Entity::find().select_only().column(Column::Value);
        let sorted = all.order_by_desc(Column::Value).limit(limit);
        sorted.into_query()
    };
    db.write("test.none", |tx| {
        Box::pin(async { Ok::<_, db::Error>(Entity::delete_many().exec(tx).await?) })
    })
    .await
    .expect("the table is emptied");
    let none = db::integers(db.read(), select(9), "value")
        .await
        .expect("integers");
    assert_eq!(none, Vec::<i64>::new());
    db.write("test.some", |tx| {
        Box::pin(async {
            let rows = VALUES.map(|value| ActiveModel {
                name: Set(format!("test {value}")),
                shard: Set(0),
                value: Set(value),
            });
            db::insert_all(tx, rows).await
        })
    })
    .await
    .expect("rows");
    let all = db::integers(db.read(), select(9), "value")
        .await
        .expect("integers");
    assert_eq!(all, [i64::MAX, 7, 0, -3, i64::MIN]);
    let some = db::integers(db.read(), select(2), "value")
        .await
        .expect("integers");
    assert_eq!(some, [i64::MAX, 7]);
    let unknown = db::integers(db.read(), select(2), "no such column").await;
    assert!(unknown.is_err());
}

fn numbered(number: i64) -> ActiveModel {
    ActiveModel {
        name: Set(format!("numbered {number}")),
        shard: Set(0),
        value: Set(number),
    }
}

/// More than a statement has, and in the end fewer.
async fn check_many(db: &Db) {
    db.write("test.many", |tx| {
        Box::pin(async { db::insert_all(tx, (0..300).map(numbered)).await })
    })
    .await
    .expect("rows");
    let all = Entity::find()
        .filter(Column::Name.starts_with("numbered"))
        .select_only()
        .column(Column::Value)
        .order_by_asc(Column::Value);
    let found = db::integers(db.read(), all.into_query(), "value").await;
    assert_eq!(found.expect("integers"), (0..300).collect::<Vec<_>>());
    // One in the middle of a later statement.
    let refused = db.write("test.refused", |tx| {
        Box::pin(async {
            let rows = (300..600).map(|number| match number {
                500 => ActiveModel {
                    value: NotSet,
                    ..numbered(number)
                },
                _ => numbered(number),
            });
            db::insert_all(tx, rows).await
        })
    });
    refused.await.expect_err("a column is missing");
    let count = Entity::find().filter(Column::Name.starts_with("numbered"));
    assert_eq!(count.count(db.read()).await.expect("a count"), 300);
}

#[tokio::test]
async fn integers_come_in_their_order_on_sqlite() {
    let fresh = testing::sqlite().await;
    check(&fresh).await;
    check_many(&fresh).await;
}

#[tokio::test]
async fn integers_come_in_their_order_on_postgres() {
    let Some(fresh) = testing::postgres().await else {
        return;
    };
    check(&fresh).await;
    check_many(&fresh).await;
}
