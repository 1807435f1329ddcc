//! The server killed at every commit between an order and its proof.
//!
//! One run says at which commits the server can be killed; each of them, just before and just after, is then a run of its
//! own on the same database. The client repeats what it got no answer to, after it has looked; the agent is left to
//! itself. An agent that waits asks again and again, and the audit log is put in order by the clock, so how often both
//! happen differs from run to run: the first [`TIMES_MAX`] times of each write are tried, and a server that has not come
//! to its moment is given another order.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    database::{Kind, on_both_databases},
    order::SUCCESS,
    scene::{Files, Scene},
    server::Orders,
};

/// How many times of the same write are moments of their own.
const TIMES_MAX: u32 = 4;
/// How many orders a server gets to come to its moment: each of them comes to each write once at least, the one before
/// may leave its last write to the next.
const ORDERS_MAX: u32 = TIMES_MAX + 1;

on_both_databases! {
    async fn nothing_is_lost_and_nothing_is_doubled(database: Kind) {
        let Some(mut scene) = Scene::open(database, Files::Together).await else { return };
        let site = scene.site();
        scene.store(&site).await;

        let armed = scene.path("armed");
        let log = scene.path("commits");
        let orders: Orders =
            vec![("CHANCERY_COMMIT_LOG", log.clone().into()), ("CHANCERY_KILL_ARMED", armed.clone().into())];
        scene.server.restart(&orders).await;
        std::fs::write(&armed, "").unwrap();
        a_certificate_is_ordered_and_served(&mut scene, 0).await;
        let moments = moments_of(&std::fs::read_to_string(&log).unwrap());
        assert!(moments.len() >= 20, "an order takes at least ten commits: {moments:#?}");

        let mut orders_made = 0;
        let mut missed = BTreeSet::new();
        for moment in &moments {
            orders_made += 1;
            let armed = scene.path(&format!("armed-{orders_made}"));
            let orders: Orders =
                vec![("CHANCERY_KILL_AT_COMMIT", moment.into()), ("CHANCERY_KILL_ARMED", armed.clone().into())];
            scene.server.restart(&orders).await;
            let deaths = scene.server_deaths;
            std::fs::write(&armed, "").unwrap();
            a_certificate_is_ordered_and_served(&mut scene, orders_made).await;
            for _ in 1..ORDERS_MAX {
                if scene.server_deaths > deaths {
                    break;
                }
                orders_made += 1;
                a_certificate_is_ordered_and_served(&mut scene, orders_made).await;
            }
            if scene.server_deaths == deaths {
                missed.insert(moment);
            }
        }
        assert!(missed.is_empty(), "these moments were not come to: {missed:?}");
    }
}

/// The part of the story in which the server dies. Ends with what has to be true wherever it did.
async fn a_certificate_is_ordered_and_served(scene: &mut Scene, number: u32) {
    let name = format!("order-{number}.story.example");
    let certificate = scene.certificate(&name).await;
    let site = scene.site();
    let site = scene.store(&site).await;
    let spare = scene.spare(&format!("order-{number}.pem"));
    let spare = scene.store(&spare).await;
    let jobs = scene.add(&certificate, &[&site, &spare]).await;

    for job in &jobs {
        let outcome = scene.outcome(job).await;
        assert_eq!(outcome["Result"], SUCCESS, "{outcome}");
    }
    scene.shows(&site, &[&certificate]).await;
    scene.shows(&spare, &[&certificate]).await;
    scene.serves(&certificate).await;
    assert_eq!(
        scene.certificates(&name).await,
        [certificate],
        "one order, one certificate"
    );
    assert_eq!(
        scene.stores(&spare.path).await.len(),
        1,
        "one order, one store"
    );
    assert_eq!(
        scene.jobs_of(&spare).await,
        BTreeSet::from([jobs[1].clone()]),
        "one order, one job"
    );
}

/// The lines `NUMBER MOMENT NAME` of a log as `MOMENT NAME TIME`.
fn moments_of(log: &str) -> Vec<String> {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    let mut moments = Vec::new();
    for line in log.lines() {
        let (_, moment) = line.split_once(' ').expect("a number and a moment");
        let time = times.entry(moment).or_default();
        *time += 1;
        if *time <= TIMES_MAX {
            moments.push(format!("{moment} {time}"));
        }
    }
    moments
}
