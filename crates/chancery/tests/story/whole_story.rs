//! The main job from beginning to end, with nothing in its way.

use crate::{
    database::{Kind, on_both_databases},
    order::{SUCCESS, WARNING},
    scene::{Files, Scene},
    until::until,
};

const SITE: &str = "www.story.example";

on_both_databases! {
    async fn enroll_deploy_prove_renew_replace_prove_remove(database: Kind) {
        let Some(mut scene) = Scene::open(database, Files::Apart).await else { return };

        // Enroll, and tell the server where the site keeps its certificate.
        let first = scene.certificate(SITE).await;
        let site = scene.site();
        let site = scene.store(&site).await;

        // Deploy: one job, done by the agent, and nginx serves exactly that certificate.
        let jobs = scene.add(&first, &[&site]).await;
        assert_eq!(jobs.len(), 1);
        scene.succeeds(&jobs[0]).await;
        scene.serves(&first).await;
        // The next connection may still be taken by a worker that was told to end.
        until("OpenSSL sees it too", async || match scene.nginx.served() {
            served if served == first.thumbprint => Ok(()),
            other => Err(other),
        }).await;
        scene.shows(&site, &[&first]).await;

        // Renew, replace, prove again.
        let second = scene.renewed(&first).await;
        assert_ne!(second.thumbprint, first.thumbprint);
        let jobs = scene.add(&second, &[&site]).await;
        scene.succeeds(&jobs[0]).await;
        scene.serves(&second).await;
        scene.shows(&site, &[&second]).await;

        // A second store, from which the certificate is removed again; the site stays.
        let spare = scene.spare("spare.pem");
        let spare = scene.store(&spare).await;
        let jobs = scene.add(&second, &[&spare]).await;
        scene.succeeds(&jobs[0]).await;
        scene.shows(&spare, &[&second]).await;
        let job = scene.remove(&second, &spare).await;
        scene.succeeds(&job).await;
        scene.shows(&spare, &[]).await;
        let left = std::fs::read_to_string(&spare.path).unwrap();
        assert!(!left.contains("BEGIN"), "neither certificate nor key is left: {left}");
        scene.serves(&second).await;

        // What is not there cannot be removed, and that is no failure.
        let job = scene.remove(&second, &spare).await;
        let outcome = scene.outcome(&job).await;
        assert_eq!(outcome["Result"], WARNING, "{outcome}");

        // The book says what happened, and no more.
        assert_eq!(scene.jobs_of(&site).await.len(), 2);
        assert_eq!(scene.jobs_of(&spare).await.len(), 3);
        assert_eq!(scene.certificates(SITE).await.len(), 2);
        assert_eq!(outcome["AgentMachine"], crate::agent::MACHINE);
        assert_ne!(outcome["Result"], SUCCESS);
    }
}
