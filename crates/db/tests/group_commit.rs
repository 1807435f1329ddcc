//! The SQLite writer: which closures share a commit, and when they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use db::tables::counters::{ActiveModel, Entity};
use db::{Db, Error, Tx, testing};
use sea_orm::{ActiveValue::Set, EntityTrait, PaginatorTrait};
use tokio::sync::oneshot;

async fn insert(tx: &Tx, name: &str) -> Result<(), Error> {
    let row = ActiveModel {
        name: Set(name.to_owned()),
        shard: Set(0),
        value: Set(0),
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

async fn count(db: &Db) -> u64 {
    Entity::find()
        .count(db.read())
        .await
        .expect("the table can be read")
}

/// A write that tells when it has begun and then keeps the writer busy until it is let go, which no real one does.
fn gate(
    db: &Db,
) -> (
    oneshot::Receiver<()>,
    oneshot::Sender<()>,
    impl Future<Output = Result<(), Error>> + use<>,
) {
    let (began, begun) = oneshot::channel();
    let (go, gone) = oneshot::channel();
    let db = db.clone();
    let write = async move {
        db.write("test.gate", move |_| {
            Box::pin(async move {
                began.send(()).expect("the test waits");
                gone.await.expect("the test lets go");
                Ok(())
            })
        })
        .await
    };
    (begun, go, write)
}

#[tokio::test]
async fn those_that_wait_together_are_answered_together() {
    let db = testing::sqlite().await;
    let (begun, first_go, first) = gate(&db);
    let first = tokio::spawn(first);
    begun.await.unwrap();

    // The writer is busy: these three wait and are its next batch.
    let mut early = Box::pin(db.write("test.early", |tx| Box::pin(insert(tx, "early"))));
    assert!(futures::poll!(&mut early).is_pending());
    let (begun, go, middle) = gate(&db);
    let mut middle = Box::pin(middle);
    assert!(futures::poll!(&mut middle).is_pending());
    let mut late = Box::pin(db.write("test.late", |tx| Box::pin(insert(tx, "late"))));
    assert!(futures::poll!(&mut late).is_pending());

    first_go.send(()).unwrap();
    first.await.unwrap().unwrap();
    begun.await.unwrap();
    // The early one has run, but nothing is committed, so nobody was told and nobody sees it.
    assert!(futures::poll!(&mut early).is_pending());
    assert_eq!(count(&db).await, 0);

    go.send(()).unwrap();
    early.await.unwrap();
    assert_eq!(count(&db).await, 2, "the late one is in the same commit");
    middle.await.unwrap();
    late.await.unwrap();
}

#[tokio::test]
async fn a_closure_whose_caller_has_gone_is_not_run() {
    let db = testing::sqlite().await;
    let (begun, go, busy) = gate(&db);
    let busy = tokio::spawn(busy);
    begun.await.unwrap();

    let ran = Arc::new(AtomicBool::new(false));
    let runs = Arc::clone(&ran);
    let mut left = Box::pin(db.write("test.left", move |tx| {
        runs.store(true, Ordering::SeqCst);
        Box::pin(insert(tx, "left"))
    }));
    assert!(futures::poll!(&mut left).is_pending());
    drop(left);
    let mut stays = Box::pin(db.write("test.stays", |tx| Box::pin(insert(tx, "stays"))));
    assert!(futures::poll!(&mut stays).is_pending());

    go.send(()).unwrap();
    busy.await.unwrap().unwrap();
    stays.await.unwrap();
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn one_batch_holds_a_success_an_error_and_a_panic() {
    let db = testing::sqlite().await;
    let (begun, go, busy) = gate(&db);
    let busy = tokio::spawn(busy);
    begun.await.unwrap();

    let mut kept = Box::pin(db.write("test.kept", |tx| Box::pin(insert(tx, "kept"))));
    let mut twice = Box::pin(db.write("test.twice", |tx| Box::pin(insert(tx, "kept"))));
    let mut refused = Box::pin(db.write("test.refused", |tx| {
        Box::pin(async move {
            insert(tx, "refused").await?;
            Err::<(), _>(Error::Address("made up".into()))
        })
    }));
    let mut panicking = Box::pin(db.write::<(), Error, _>("test.panicking", |tx| {
        Box::pin(async move {
            insert(tx, "panicking").await?;
            panic!("as a test does")
        })
    }));
    // Before it makes its future, too.
    let mut hasty = Box::pin(db.write::<(), Error, _>("test.hasty", |_| panic!("as a test does")));
    let mut last = Box::pin(db.write("test.last", |tx| Box::pin(insert(tx, "last"))));
    assert!(futures::poll!(&mut kept).is_pending());
    assert!(futures::poll!(&mut twice).is_pending());
    assert!(futures::poll!(&mut refused).is_pending());
    assert!(futures::poll!(&mut panicking).is_pending());
    assert!(futures::poll!(&mut hasty).is_pending());
    assert!(futures::poll!(&mut last).is_pending());

    go.send(()).unwrap();
    busy.await.unwrap().unwrap();
    kept.await.unwrap();
    assert!(twice.await.unwrap_err().is_constraint());
    assert!(matches!(refused.await, Err(Error::Address(_))));
    assert!(matches!(
        panicking.await,
        Err(Error::Panicked("test.panicking"))
    ));
    assert!(matches!(hasty.await, Err(Error::Panicked("test.hasty"))));
    last.await.unwrap();
    assert_eq!(count(&db).await, 2);
}

#[tokio::test]
async fn the_first_that_fails_takes_nothing_with_it() {
    let db = testing::sqlite().await;
    for panics in [false, true] {
        let (begun, go, busy) = gate(&db);
        let busy = tokio::spawn(busy);
        begun.await.unwrap();
        let mut first = Box::pin(db.write::<(), _, _>("test.first", move |tx| {
            Box::pin(async move {
                insert(tx, "first").await?;
                assert!(!panics, "as a test does");
                Err(Error::Address("made up".into()))
            })
        }));
        let name = format!("second {panics}");
        let mut second = Box::pin(db.write("test.second", move |tx| {
            Box::pin(async move { insert(tx, &name).await })
        }));
        let mut third = Box::pin(db.write("test.third", move |tx| {
            Box::pin(async move {
                insert(tx, "third").await?;
                Err::<(), _>(Error::Address("made up".into()))
            })
        }));
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        assert!(futures::poll!(&mut third).is_pending());
        go.send(()).unwrap();
        busy.await.unwrap().unwrap();
        match first.await.unwrap_err() {
            Error::Panicked(_) => assert!(panics),
            other => assert!(matches!(other, Error::Address(_)) && !panics),
        }
        second.await.unwrap();
        third.await.unwrap_err();
        assert_eq!(count(&db).await, 1 + u64::from(panics));
    }
}

#[tokio::test]
async fn a_large_write_begins_a_commit() {
    let db = testing::sqlite().await;
    let (begun, go, busy) = gate(&db);
    let busy = tokio::spawn(busy);
    begun.await.unwrap();
    let mut early = Box::pin(db.write("test.early", |tx| Box::pin(insert(tx, "early"))));
    assert!(futures::poll!(&mut early).is_pending());
    let (began, large_began) = oneshot::channel();
    let (large_go, gone) = oneshot::channel();
    let mut large = Box::pin(db.write_much("test.large", move |tx| {
        Box::pin(async move {
            began.send(()).expect("the test waits");
            gone.await.expect("the test lets go");
            insert(tx, "large").await
        })
    }));
    assert!(futures::poll!(&mut large).is_pending());
    let mut late = Box::pin(db.write("test.late", |tx| Box::pin(insert(tx, "late"))));
    assert!(futures::poll!(&mut late).is_pending());
    go.send(()).unwrap();
    busy.await.unwrap().unwrap();
    // What came before is committed when it begins; what comes behind is committed with it.
    large_began.await.unwrap();
    early.await.unwrap();
    assert_eq!(count(&db).await, 1);
    assert!(futures::poll!(&mut late).is_pending());
    large_go.send(()).unwrap();
    large.await.unwrap();
    late.await.unwrap();
    assert_eq!(count(&db).await, 3);
}

#[tokio::test]
async fn accepted_writes_are_finished_before_closing() {
    let folder = testing::empty_folder();
    let address = folder.path().join("test.db").display().to_string();
    let db = Db::open(&address, &db::Options::default()).await.unwrap();
    let (begun, go, busy) = gate(&db);
    let busy = tokio::spawn(busy);
    begun.await.unwrap();
    let same = db.clone();
    let mut last = Box::pin(same.write("test.last", |tx| Box::pin(insert(tx, "last"))));
    assert!(futures::poll!(&mut last).is_pending());
    go.send(()).unwrap();
    db.close().await;
    busy.await.unwrap().unwrap();
    last.await.unwrap();
    let refused = same
        .write("test.closed", |tx| Box::pin(insert(tx, "closed")))
        .await;
    assert!(matches!(refused, Err(Error::WriterStopped(_))));
    let again = Db::open(&address, &db::Options::default()).await.unwrap();
    assert_eq!(count(&again).await, 1);
}
