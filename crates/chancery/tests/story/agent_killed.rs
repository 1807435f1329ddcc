//! The agent killed at every file operation of a job.
//!
//! One run counts the operations; each is then the last one of an agent that is started again. With certificate and key
//! in one file nginx could be started at any moment. In two files there is a moment between the two renames; the agent
//! puts it right when it starts, before anything else, and the nginx that runs never notices.

use std::path::Path;

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
    nothing_is_left_behind(&mut scene).await;
    let steps = std::fs::read_to_string(&log).unwrap();
    assert!(
        steps.contains("rename") && steps.lines().count() > 15,
        "{steps}"
    );

    for (index, place) in steps.lines().enumerate() {
        let step = index + 1;
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
        nothing_is_left_behind(&mut scene).await;
        scene.serves(&ordered).await;

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

/// A restart of an agent that has no folders for its journal and its outbox, so that making them is among its steps.
fn restart(scene: &mut Scene, orders: &Orders) {
    scene.agent.stop();
    for folder in scene.agent.journals() {
        match std::fs::remove_dir(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                panic!("{}: {error}", folder.display())
            }
            _ => {}
        }
    }
    scene.agent.start(orders);
}

/// Replaces the site's certificate; wherever the agent dies, this ends well.
async fn replaced(scene: &mut Scene, site: &Store, ordered: &Certificate) {
    let jobs = scene.add(ordered, &[site]).await;
    scene.succeeds(&jobs[0]).await;
    scene.shows(site, &[ordered]).await;
    scene.serves(ordered).await;
}

/// Neither a journal nor a report that waits, neither a backup nor a temporary file.
async fn nothing_is_left_behind(scene: &mut Scene) {
    until("the agent has put everything away", async || {
        scene.tend().await;
        let left: Vec<String> = scene
            .agent
            .journals()
            .iter()
            .flat_map(|folder| names_in(folder))
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    let mut left = names_in(&scene.nginx.tls());
    left.retain(|name| {
        !["site.pem", "site.key", "other.pem", "other.key"].contains(&name.as_str())
    });
    assert!(left.is_empty(), "beside the site's files: {left:?}");
    assert!(scene.nginx.finds_matching_pairs());
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
