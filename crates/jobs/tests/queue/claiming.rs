//! Who is handed what, and when.

use db::Db;
use jobs::{Finished, Job, NewJob, Schedule};
use uuid::Uuid;

use crate::steps::{
    MINUTE, NOW, cancel, claim, claim_one, enqueue, finish, in_lane, job, kinds, renew, retry,
};

db::test_on_both! {
    async fn order_is_priority_then_due_time_then_arrival(db: &Db) {
        let later = NewJob { due_at: NOW - 5, ..job("a", "third") };
        let early = NewJob { due_at: NOW - 9, ..job("a", "second") };
        let urgent = NewJob { priority: 1, ..job("a", "first") };
        let future = NewJob { due_at: NOW + 1, ..job("a", "future") };
        let ties: Vec<NewJob> = (0..20).map(|index| job("a", &format!("tie {index:02}"))).collect();
        enqueue(db, &[&later, &early, &urgent, &future, &job("b", "elsewhere")]).await;
        enqueue(db, &ties.iter().collect::<Vec<_>>()).await;
        assert_eq!(kinds(db, "a", NOW, 2).await, ["first", "second"]);
        let rest = kinds(db, "a", NOW, 100).await;
        let expected: Vec<String> = std::iter::once("third".to_owned())
            .chain((0..20).map(|index| format!("tie {index:02}")))
            .collect();
        assert_eq!(rest, expected);
        assert!(kinds(db, "a", NOW, 100).await.is_empty());
        assert_eq!(kinds(db, "a", NOW + 1, 100).await, ["future"]);
    }

    async fn one_job_is_claimed_when_it_is_next_in_its_lane(db: &Db) {
        let (first, second) = (in_lane("x", "first"), in_lane("x", "second"));
        let later = NewJob { due_at: NOW + 1, ..job("a", "later") };
        enqueue(db, &[&first, &second, &later]).await;
        assert!(claim_one(db, second.id, NOW).await.is_none());
        assert!(claim_one(db, later.id, NOW).await.is_none());
        let held = claim_one(db, first.id, NOW).await.expect("it is next");
        assert_eq!((held.attempts, held.lease_until), (1, Some(NOW + MINUTE)));
        assert!(claim_one(db, first.id, NOW).await.is_none());
        assert!(claim_one(db, second.id, NOW).await.is_none());
        assert_eq!(claim_one(db, first.id, NOW + MINUTE).await.map(|job| job.attempts), Some(2));
        assert!(finish(db, first.id, NOW).await.existed());
        assert!(claim_one(db, second.id, NOW).await.is_some());
        assert!(claim_one(db, Uuid::new_v4(), NOW).await.is_none());
    }

    async fn nothing_is_claimed_with_a_limit_of_none(db: &Db) {
        enqueue(db, &[&job("a", "x")]).await;
        assert!(claim(db, "a", NOW, 0).await.is_empty());
        assert_eq!(claim(db, "a", NOW, u64::MAX).await.len(), 1);
    }

    async fn a_lane_has_one_held_job_and_an_order(db: &Db) {
        let (one, two, three) = (in_lane("s", "one"), in_lane("s", "two"), in_lane("s", "three"));
        enqueue(db, &[&one, &two, &three, &in_lane("t", "other"), &job("a", "free")]).await;
        // The same lane of another queue is another lane.
        enqueue(db, &[&NewJob { lane: Some("s".into()), ..job("b", "elsewhere") }]).await;
        assert_eq!(kinds(db, "a", NOW, 9).await, ["one", "other", "free"]);
        assert_eq!(kinds(db, "b", NOW, 9).await, ["elsewhere"]);
        assert!(kinds(db, "a", NOW, 9).await.is_empty());
        assert_eq!(finish(db, one.id, NOW).await, Finished::Removed);
        assert_eq!(kinds(db, "a", NOW, 9).await, ["two"]);
        assert!(cancel(db, two.id).await.is_some());
        assert_eq!(kinds(db, "a", NOW, 9).await, ["three"]);
    }

    async fn a_lease_that_ran_out_is_handed_out_again(db: &Db) {
        let (one, two) = (in_lane("s", "one"), in_lane("s", "two"));
        enqueue(db, &[&one, &two]).await;
        let held = claim(db, "a", NOW, 9).await;
        assert_eq!((held[0].attempts, held[0].lease_until), (1, Some(NOW + MINUTE)));
        assert!(claim(db, "a", NOW + MINUTE - 1, 9).await.is_empty());
        let again = claim(db, "a", NOW + MINUTE, 9).await;
        assert_eq!(again.len(), 1, "its lane stays taken");
        assert_eq!(again[0].id, one.id);
        assert_eq!((again[0].attempts, again[0].lease_until), (2, Some(NOW + 2 * MINUTE)));
        assert_eq!(jobs::claimed(db.read(), "a").await.unwrap(), again);
        assert!(jobs::claimed(db.read(), "b").await.unwrap().is_empty());
        assert_eq!(jobs::find(db.read(), one.id).await.unwrap().as_ref(), again.first());
    }

    async fn a_renewed_lease_holds(db: &Db) {
        let one = job("a", "one");
        enqueue(db, &[&one]).await;
        assert!(!renew(db, one.id, NOW + MINUTE).await, "nobody holds it yet");
        claim(db, "a", NOW, 1).await;
        assert!(renew(db, one.id, NOW + 5 * MINUTE).await);
        assert!(claim(db, "a", NOW + 5 * MINUTE - 1, 1).await.is_empty());
        assert_eq!(claim(db, "a", NOW + 5 * MINUTE, 1).await.len(), 1);
        finish(db, one.id, NOW).await;
        assert!(!renew(db, one.id, NOW + 9 * MINUTE).await, "it is gone");
    }

    async fn a_retried_job_keeps_its_attempts_and_its_place(db: &Db) {
        let add = in_lane("s", "add");
        let remove = NewJob { due_at: NOW + 1, priority: 1, ..in_lane("s", "remove") };
        let inventory = NewJob {
            schedule: Some(Schedule::Interval { minutes: 60 }),
            due_at: NOW + MINUTE,
            ..in_lane("s", "inventory")
        };
        enqueue(db, &[&inventory, &add, &remove]).await;
        assert_eq!(kinds(db, "a", NOW, 9).await, ["add"]);
        assert!(retry(db, add.id, NOW + 5 * MINUTE).await);
        assert!(kinds(db, "a", NOW + 1, 9).await.is_empty(), "the removal waits for the addition");
        assert_eq!(kinds(db, "a", NOW + MINUTE, 9).await, ["inventory"], "which was there before");
        assert!(finish(db, inventory.id, NOW + MINUTE).await.existed());
        let again = claim(db, "a", NOW + 5 * MINUTE, 9).await;
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].id, again[0].attempts), (add.id, 2));
        assert_eq!(finish(db, add.id, NOW + 5 * MINUTE).await, Finished::Removed);
        assert_eq!(kinds(db, "a", NOW + 5 * MINUTE, 9).await, ["remove"]);
        assert!(!retry(db, Uuid::new_v4(), NOW).await);
    }

    async fn a_retried_inventory_does_not_stop_its_lane(db: &Db) {
        let inventory =
            NewJob { schedule: Some(Schedule::Interval { minutes: 60 }), ..in_lane("s", "inventory") };
        enqueue(db, &[&inventory, &in_lane("s", "add")]).await;
        assert_eq!(kinds(db, "a", NOW, 9).await, ["inventory"]);
        assert!(retry(db, inventory.id, NOW + 5 * MINUTE).await);
        assert_eq!(kinds(db, "a", NOW, 9).await, ["add"]);
    }

    async fn concurrent_claimers_share_nothing(db: &Db) {
        const LANES: usize = 8;
        let jobs: Vec<NewJob> = (0..64)
            .map(|index| in_lane(&format!("lane {}", index % LANES), &format!("{index:02}")))
            .collect();
        enqueue(db, &jobs.iter().collect::<Vec<_>>()).await;
        let mut done: Vec<Job> = Vec::new();
        while done.len() < jobs.len() {
            let claims = (0..6).map(|_| {
                let db = db.clone();
                tokio::spawn(async move { claim(&db, "a", NOW, 3).await })
            });
            let mut round = Vec::new();
            for claimed in claims.collect::<Vec<_>>() {
                round.extend(claimed.await.unwrap());
            }
            assert_eq!(round.len(), LANES, "all lanes are free, and each gives one");
            let mut lanes: Vec<_> = round.iter().map(|job| job.lane.clone()).collect();
            lanes.sort();
            lanes.dedup();
            assert_eq!(lanes.len(), LANES, "no lane is held twice");
            for job in &round {
                assert_eq!(finish(db, job.id, NOW).await, Finished::Removed);
            }
            done.extend(round);
        }
        for lane in 0..LANES {
            let lane = format!("lane {lane}");
            let order: Vec<&str> = done
                .iter()
                .filter(|job| job.lane.as_deref() == Some(&lane))
                .map(|job| job.kind.as_str())
                .collect();
            assert!(order.is_sorted(), "{lane}: {order:?}");
        }
    }
}
