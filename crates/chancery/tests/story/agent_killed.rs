//! The agent killed at every file operation of a job.
//!
//! One run counts the operations; each is then the last one of an agent that is started again. With certificate and key
//! in one file nginx could be started at any moment. In two files there is a moment between the two renames; the agent
//! puts it right when it starts, before anything else, and the nginx that runs never notices.

use std::collections::BTreeSet;

use crate::{
    database::{Kind, on_both_databases},
    order::{Certificate, Store},
    scene::{Files, Scene},
    server::Orders,
    until::until,
};

on_both_databases! {
    async fn certificate_and_key_in_one_file(database: Kind) {
        killed_at_every_step(database, Files::Together).await;
    }

    async fn certificate_and_key_apart(database: Kind) {
        killed_at_every_step(database, Files::Apart).await;
    }
}

async fn killed_at_every_step(database: Kind, files: Files) {
    let Some(mut scene) = Scene::open(database, files).await else {
        return;
    };
    let site = scene.site();
    let site = scene.store(&site).await;
    let mut served = scene.certificate("order-0.story.example").await;

    let (log, armed) = (scene.path("steps"), scene.path("armed"));
    restart(
        &mut scene,
        &vec![
            ("CHANCERY_FILE_STEP_LOG", log.clone().into()),
            ("CHANCERY_KILL_ARMED", armed.clone().into()),
        ],
    );
    std::fs::write(&armed, "").unwrap();
    replaced(&mut scene, &site, &served).await;
    let steps = std::fs::read_to_string(&log).unwrap();
    let count = steps.lines().count();
    assert!(steps.contains("rename") && count > 15, "{steps}");

    for step in 1..=count {
        let armed = scene.path(&format!("armed-{step}"));
        restart(
            &mut scene,
            &vec![
                ("CHANCERY_KILL_AT_FILE_STEP", step.to_string().into()),
                ("CHANCERY_KILL_ARMED", armed.clone().into()),
            ],
        );
        let ordered = scene
            .certificate(&format!("order-{step}.story.example"))
            .await;
        std::fs::write(&armed, "").unwrap();
        replaced(&mut scene, &site, &ordered).await;

        let place = steps.lines().nth(step - 1).unwrap();
        // The last steps come after all that a client can see.
        until(&format!("the agent dies at {place}"), async || {
            scene.tend().await;
            if scene.agent_deaths.is_empty() {
                Err("it lives".to_owned())
            } else {
                Ok(())
            }
        })
        .await;
        let [death] = scene.agent_deaths.as_slice() else {
            panic!("the agent dies once, at {place}: {:?}", scene.agent_deaths);
        };
        let known = [&served.thumbprint, &ordered.thumbprint];
        assert!(
            known.contains(&&death.served),
            "at {place} nginx served {death:?}, neither of {known:?}"
        );
        assert!(
            death.pair_matches || files == Files::Apart,
            "at {place} nginx could not have been started"
        );
        scene.agent_deaths.clear();
        served = ordered;
    }
}

fn restart(scene: &mut Scene, orders: &Orders) {
    scene.agent.stop();
    scene.agent.start(orders);
}

/// Replaces the site's certificate; however often the agent dies, this ends well and leaves nothing behind.
async fn replaced(scene: &mut Scene, site: &Store, ordered: &Certificate) {
    let jobs = scene.add(ordered, &[site]).await;
    scene.succeeds(&jobs[0]).await;
    scene.shows(site, &[ordered]).await;
    scene.tend().await;
    scene.serves(ordered).await;
    assert!(scene.nginx.finds_matching_pairs());
    let left: BTreeSet<String> = std::fs::read_dir(scene.nginx.tls())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["site.pem", "site.key", "other.pem", "other.key"].contains(&name.as_str()))
        .collect();
    assert_eq!(
        left,
        BTreeSet::new(),
        "no backup and no temporary file is left"
    );
}
