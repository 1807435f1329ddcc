//! A service that does not take the new files.

use crate::{
    database::{Kind, on_both_databases},
    order::FAILURE,
    scene::{Files, Scene},
};

const SITE: &str = "reload.story.example";

on_both_databases! {
    async fn the_old_files_come_back_and_the_old_certificate_is_served(database: Kind) {
        let Some(mut scene) = Scene::open(database, Files::Apart).await else { return };
        let (certificate_file, key_file) = (scene.nginx.site(), scene.nginx.site_key());
        let read = || (std::fs::read(&certificate_file).unwrap(), std::fs::read(&key_file).unwrap());
        let (files_before, served_before) = (read(), scene.nginx.served());
        let site = scene.site();
        let site = scene.store(&site).await;
        let certificate = scene.certificate(SITE).await;

        scene.agent.break_reload(true);
        let jobs = scene.add(&certificate, &[&site]).await;
        let outcome = scene.outcome(&jobs[0]).await;
        assert_eq!(outcome["Result"], FAILURE, "{outcome}");
        let message = outcome["Message"].as_str().unwrap();
        assert!(message.contains("the reload is broken"), "it says why: {message}");
        assert!(read() == files_before, "the old files are back");
        assert_eq!(scene.nginx.served(), served_before);
        assert!(scene.nginx.finds_matching_pairs());

        // Nothing was left behind that would keep the next try from succeeding.
        scene.agent.break_reload(false);
        let jobs = scene.add(&certificate, &[&site]).await;
        scene.succeeds(&jobs[0]).await;
        scene.serves(&certificate).await;
    }
}
