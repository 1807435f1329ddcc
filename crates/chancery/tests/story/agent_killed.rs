//! The agent killed at every file operation of a job.
//!
//! One run counts the operations; each is then the last one of an agent that is started again. With certificate and key
//! in one file nginx could be started at any moment. In two files there is a moment between the two renames; the agent
//! puts it right when it starts, before anything else, and the nginx that runs never notices.

use std::path::Path;

use crate::{
    database::{Kind, on_both_databases},
    order::{Certificate, Store},
    scene::{AtDeath, Files, Scene},
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

    async fn again_while_it_puts_the_files_right(database: Kind) {
        killed_at_every_step_of_a_recovery(database).await;
    }
}

async fn killed_at_every_step(database: Kind, files: Files) {
    let Some(mut scene) = Scene::open(database, files).await else {
        return;
    };
    let site = scene.site();
    let site = scene.store(&site).await;
    let mut served = scene.certificate("order-0.story.example").await;
    let steps = steps_of(&mut scene, &site, &served, None).await;
    assert!(steps.len() > 15, "{steps:#?}");

    for (index, place) in steps.iter().enumerate() {
        let ordered = scene
            .certificate(&format!("order-{}.story.example", index + 1))
            .await;
        let deaths = deaths_at(&mut scene, &site, &ordered, &[index + 1]).await;
        let known = [&served.thumbprint, &ordered.thumbprint];
        assert!(
            known.contains(&&deaths[0].served),
            "at {place} nginx served {deaths:?}, neither of {known:?}"
        );
        assert!(
            deaths[0].pair_matches || files == Files::Apart,
            "at {place} nginx could not have been started"
        );
        served = ordered;
    }
}

/// The agent dies between the two renames, at the worst of all moments, and then again at each step of putting that
/// right.
async fn killed_at_every_step_of_a_recovery(database: Kind) {
    let Some(mut scene) = Scene::open(database, Files::Apart).await else {
        return;
    };
    let site = scene.site();
    let site = scene.store(&site).await;
    let first = scene.certificate("first.story.example").await;
    let steps = steps_of(&mut scene, &site, &first, None).await;
    let renamed = format!("rename {}", scene.nginx.tls().display());
    let first_rename = steps
        .iter()
        .position(|step| step.contains(&renamed))
        .unwrap();
    let between = first_rename + 2;

    let second = scene.certificate("second.story.example").await;
    let steps = steps_of(&mut scene, &site, &second, Some(between)).await;
    assert!(
        !scene.agent_deaths[0].pair_matches,
        "it is the worst of all moments"
    );
    // The work begins anew with a journal of its own.
    let anew = |step: &String| step.contains(" create ") && step.contains("/journal/");
    let recovery = steps.iter().position(anew).unwrap();
    assert!(recovery > 5, "the old key is written again: {steps:#?}");

    for step in 1..=recovery {
        let ordered = scene
            .certificate(&format!("order-{step}.story.example"))
            .await;
        let deaths = deaths_at(&mut scene, &site, &ordered, &[between, step]).await;
        assert_eq!(
            deaths[0].served, deaths[1].served,
            "the nginx that runs never notices"
        );
    }
}

/// Replaces the site's certificate and answers the file operations, `NUMBER NAME PATH`, that this took; those of the
/// second agent when the first one is killed.
async fn steps_of(
    scene: &mut Scene,
    site: &Store,
    ordered: &Certificate,
    killed_at: Option<usize>,
) -> Vec<String> {
    let (log, armed) = (scene.path("steps"), scene.path("armed"));
    let _ = (std::fs::remove_file(&log), std::fs::remove_file(&armed));
    let logging: Orders = vec![
        ("CHANCERY_FILE_STEP_LOG", log.clone().into()),
        ("CHANCERY_KILL_ARMED", armed.clone().into()),
    ];
    match killed_at {
        None => restart(scene, &logging),
        Some(step) => {
            restart(scene, &killing(step, &armed));
            scene.next_agent = logging;
        }
    }
    std::fs::write(&armed, "").unwrap();
    replaced(scene, site, ordered).await;
    nothing_is_left_behind(scene).await;
    let log = std::fs::read_to_string(&log).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// Replaces the site's certificate while agents die, one after the other, at these of their file operations. Ends with
/// what has to be true wherever they did.
async fn deaths_at(
    scene: &mut Scene,
    site: &Store,
    ordered: &Certificate,
    steps: &[usize],
) -> Vec<AtDeath> {
    let armed = scene.path("armed");
    let _ = std::fs::remove_file(&armed);
    scene.agent_deaths.clear();
    restart(scene, &killing(steps[0], &armed));
    if let Some(step) = steps.get(1) {
        scene.next_agent = killing(*step, &armed);
    }
    std::fs::write(&armed, "").unwrap();
    replaced(scene, site, ordered).await;
    // The last steps come after all that a client can see.
    until("the agent has died as often as it was told", async || {
        scene.tend().await;
        match scene.agent_deaths.len() >= steps.len() {
            true => Ok(()),
            false => Err(format!("{} of {steps:?}", scene.agent_deaths.len())),
        }
    })
    .await;
    nothing_is_left_behind(scene).await;
    scene.serves(ordered).await;
    assert_eq!(scene.agent_deaths.len(), steps.len());
    std::mem::take(&mut scene.agent_deaths)
}

fn killing(step: usize, armed: &Path) -> Orders {
    vec![
        ("CHANCERY_KILL_AT_FILE_STEP", step.to_string().into()),
        ("CHANCERY_KILL_ARMED", armed.into()),
    ]
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
