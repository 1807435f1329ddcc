//! A probe that is shown another certificate than the job's.

use serde_json::json;

use crate::{
    agent::PROFILE_OF_ANOTHER_SITE,
    database::{Kind, on_both_databases},
    nginx::shown_on,
    order::FAILURE,
    scene::{Files, Scene},
    until::until,
};

on_both_databases! {
    async fn the_change_is_rolled_back_and_both_thumbprints_are_told(database: Kind) {
        let Some(mut scene) = Scene::open(database, Files::Together).await else { return };
        let file = scene.nginx.site();
        let (file_before, served_before) = (std::fs::read(&file).unwrap(), scene.nginx.served());
        let other = shown_on(scene.nginx.other_port);
        assert_ne!(other, served_before);

        // The store's profile looks at a port that serves something else: so does a forgotten load balancer.
        let site = scene.store_at(&file, &json!({ "Profile": PROFILE_OF_ANOTHER_SITE }));
        let site = scene.store(&site).await;
        let certificate = scene.certificate("probe.story.example").await;
        let jobs = scene.add(&certificate, &[&site]).await;

        let outcome = scene.outcome(&jobs[0]).await;
        assert_eq!(outcome["Result"], FAILURE, "{outcome}");
        let message = outcome["Message"].as_str().unwrap();
        assert!(message.contains(&certificate.thumbprint), "what was ordered: {message}");
        assert!(message.contains(&other), "what was seen: {message}");
        assert!(std::fs::read(&file).unwrap() == file_before, "the old file is back");
until("the old certificate is served again", async || {
            let served = scene.nginx.served();
            if served == served_before { Ok(()) } else { Err(served) }
        })
        .await;
    }
}
