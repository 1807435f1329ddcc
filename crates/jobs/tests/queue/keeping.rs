//! What is kept of a job, and when it ends.

use db::Db;
use jobs::{Error, Finished, Job, NewJob, Schedule};
use uuid::Uuid;

use crate::steps::{MINUTE, NOW, cancel, claim, enqueue, finish, job, kinds};

db::test_on_both! {
    async fn a_job_is_kept_as_it_was_said(db: &Db) {
        let schedule = Schedule::parse_compact("W_246_09:30").unwrap();
        let said = NewJob {
            lane: Some("store".into()),
            schedule: Some(schedule),
            payload: "{\"a\":\"ü\"}".into(),
            ..job("a", "inventory")
        };
        enqueue(db, &[&said]).await;
        let kept = jobs::find(db.read(), said.id).await.unwrap().unwrap();
        assert_eq!(kept, Job {
            id: said.id,
            queue: "a".into(),
            lane: Some("store".into()),
            kind: "inventory".into(),
            priority: 5,
            due_at: NOW,
            schedule: Some(schedule),
            payload: said.payload,
            attempts: 0,
            lease_until: None,
            created_at: NOW,
        });
        assert_eq!(jobs::find(db.read(), Uuid::new_v4()).await.unwrap(), None);
    }

    async fn a_job_said_twice_is_one_job(db: &Db) {
        let first = job("a", "first");
        enqueue(db, &[&first]).await;
        let held = claim(db, "a", NOW, 1).await;
        // Also beside another change of the same transaction, which must survive.
        enqueue(db, &[&job("b", "other"), &NewJob { kind: "second".into(), ..first.clone() }]).await;
        assert_eq!(jobs::find(db.read(), first.id).await.unwrap().as_ref(), held.first());
        assert_eq!(kinds(db, "b", NOW, 9).await, ["other"]);
    }

    async fn finishing_removes_or_repeats_and_may_be_said_twice(db: &Db) {
        let once = job("a", "once");
        let exactly = NewJob { schedule: Some(Schedule::ExactlyOnce { at: NOW }), ..job("a", "exactly") };
        let hourly = NewJob { schedule: Some(Schedule::Interval { minutes: 60 }), ..job("a", "hourly") };
        enqueue(db, &[&once, &exactly, &hourly]).await;
        assert_eq!(claim(db, "a", NOW, 9).await.len(), 3);
        for id in [once.id, exactly.id] {
            assert_eq!(finish(db, id, NOW + 7).await, Finished::Removed);
            assert_eq!(finish(db, id, NOW + 8).await, Finished::Unknown);
            assert!(!finish(db, id, NOW + 8).await.existed());
        }
        let again = Finished::Again { due_at: NOW + 7 + 60 * MINUTE };
        assert_eq!(finish(db, hourly.id, NOW + 7).await, again);
        assert_eq!(finish(db, hourly.id, NOW + 9).await, again, "the second time changes nothing");
        let waiting = jobs::find(db.read(), hourly.id).await.unwrap().unwrap();
        assert_eq!((waiting.attempts, waiting.lease_until), (0, None));
        assert!(claim(db, "a", NOW + 60 * MINUTE, 9).await.is_empty());
        assert_eq!(kinds(db, "a", NOW + 7 + 60 * MINUTE, 9).await, ["hourly"]);
    }

    async fn a_cancelled_job_is_answered_and_gone(db: &Db) {
        let one = job("a", "one");
        enqueue(db, &[&one]).await;
        let held = claim(db, "a", NOW, 1).await;
        assert_eq!(cancel(db, one.id).await.as_ref(), held.first());
        assert_eq!(cancel(db, one.id).await, None);
        assert_eq!(jobs::find(db.read(), one.id).await.unwrap(), None);
        assert_eq!(finish(db, one.id, NOW).await, Finished::Unknown);
    }

    async fn a_schedule_can_change(db: &Db) {
        let one = NewJob { schedule: Some(Schedule::Interval { minutes: 60 }), ..job("a", "one") };
        enqueue(db, &[&one]).await;
        let reschedule = async |schedule: Option<Schedule>, id: Uuid, due_at: i64| {
            db.write("test.reschedule", move |tx| {
                Box::pin(jobs::reschedule(tx, id, schedule, due_at))
            })
            .await
            .unwrap()
        };
        let daily = Schedule::parse_compact("D_12:00").unwrap();
        assert!(reschedule(Some(daily), one.id, NOW + 5).await);
        assert!(!reschedule(Some(daily), Uuid::new_v4(), NOW).await);
        assert!(claim(db, "a", NOW, 1).await.is_empty());
        let held = claim(db, "a", NOW + 5, 1).await;
        assert_eq!(held[0].schedule, Some(daily));
        assert!(reschedule(None, one.id, NOW + 9).await);
        assert_eq!(jobs::claimed(db.read(), "a").await.unwrap().len(), 1, "it stays held");
        assert_eq!(finish(db, one.id, NOW + 5).await, Finished::Removed);
    }

    async fn what_is_due_can_be_seen(db: &Db) {
        assert_eq!(jobs::earliest_due(db.read()).await.unwrap(), None);
        let soon = NewJob { due_at: NOW + 1, ..job("a", "soon") };
        let late = NewJob { due_at: NOW + 9, ..job("a", "late") };
        let other = NewJob { due_at: NOW - 4, ..job("b", "other") };
        enqueue(db, &[&late, &soon, &other]).await;
        let due = async |until| {
            let due = jobs::due_within(db.read(), "a", until).await.unwrap();
            due.into_iter().map(|job| job.kind).collect::<Vec<_>>()
        };
        assert!(due(NOW).await.is_empty());
        assert_eq!(due(NOW + 1).await, ["soon"]);
        assert_eq!(due(NOW + 9).await, ["soon", "late"]);
        assert_eq!(jobs::earliest_due(db.read()).await.unwrap(), Some(NOW - 4));
        assert_eq!(jobs::earliest_due_in(db.read(), "a").await.unwrap(), Some(NOW + 1));
        claim(db, "b", NOW, 1).await;
        assert_eq!(jobs::earliest_due(db.read()).await.unwrap(), Some(NOW + 1));
    }

    async fn what_was_not_kept_was_not_enqueued(db: &Db) {
        let one = job("a", "one");
        let id = one.id;
        let failed = db
            .write("test.rolled_back", move |tx| {
                Box::pin(async move {
                    jobs::enqueue(tx, &one, NOW).await?;
                    Err::<(), Error>(db::Error::Address("made up".into()).into())
                })
            })
            .await;
        assert!(matches!(failed, Err(Error::Database(db::Error::Address(_)))));
        assert_eq!(jobs::find(db.read(), id).await.unwrap(), None);
    }
}
