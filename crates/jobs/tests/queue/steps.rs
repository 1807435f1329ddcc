//! What the tests do, in one line each.

use db::Db;
use jobs::{Error, Finished, Job, NewJob};
use uuid::Uuid;

pub(crate) const MINUTE: i64 = 60_000;
/// Any moment; the tests count from it.
pub(crate) const NOW: i64 = 1_900_000_000_000;

pub(crate) fn job(queue: &str, kind: &str) -> NewJob {
    NewJob {
        id: Uuid::new_v4(),
        queue: queue.into(),
        lane: None,
        kind: kind.into(),
        priority: 5,
        due_at: NOW,
        schedule: None,
        payload: "{}".into(),
    }
}

pub(crate) fn in_lane(lane: &str, kind: &str) -> NewJob {
    NewJob {
        lane: Some(lane.into()),
        ..job("a", kind)
    }
}

pub(crate) async fn enqueue(db: &Db, jobs: &[&NewJob]) {
    let jobs: Vec<NewJob> = jobs.iter().map(|job| (*job).clone()).collect();
    db.write("test.enqueue", move |tx| {
        Box::pin(async move {
            for job in &jobs {
                jobs::enqueue(tx, job, NOW).await?;
            }
            Ok::<_, Error>(())
        })
    })
    .await
    .expect("the queue answers");
}

pub(crate) async fn claim(db: &Db, queue: &'static str, now: i64, limit: u64) -> Vec<Job> {
    let dialect = db.dialect();
    db.write("test.claim", move |tx| {
        Box::pin(jobs::claim(tx, dialect, queue, now, MINUTE, limit))
    })
    .await
    .expect("the queue answers")
}

pub(crate) async fn claim_one(db: &Db, id: Uuid, now: i64) -> Option<Job> {
    let dialect = db.dialect();
    db.write("test.claim_one", move |tx| {
        Box::pin(jobs::claim_one(tx, dialect, "a", id, now, MINUTE))
    })
    .await
    .expect("the queue answers")
}

pub(crate) async fn kinds(db: &Db, queue: &'static str, now: i64, limit: u64) -> Vec<String> {
    claim(db, queue, now, limit)
        .await
        .into_iter()
        .map(|job| job.kind)
        .collect()
}

pub(crate) async fn finish(db: &Db, id: Uuid, now: i64) -> Finished {
    db.write("test.finish", move |tx| Box::pin(jobs::finish(tx, id, now)))
        .await
        .expect("the queue answers")
}

pub(crate) async fn retry(db: &Db, id: Uuid, due_at: i64) -> bool {
    db.write("test.retry", move |tx| {
        Box::pin(jobs::retry(tx, id, due_at))
    })
    .await
    .expect("the queue answers")
}

pub(crate) async fn renew(db: &Db, id: Uuid, lease_until: i64) -> bool {
    db.write("test.renew", move |tx| {
        Box::pin(jobs::renew(tx, id, lease_until))
    })
    .await
    .expect("the queue answers")
}

pub(crate) async fn cancel(db: &Db, id: Uuid) -> Option<Job> {
    db.write("test.cancel", move |tx| Box::pin(jobs::cancel(tx, id)))
        .await
        .expect("the queue answers")
}
