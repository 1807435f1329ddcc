//! One order for many stores.

use crate::{
    api::items,
    database::{Kind, on_both_databases},
    order::Store,
    scene::{Files, Scene},
};

const STORES: usize = 50;

on_both_databases! {
    async fn one_add_makes_a_job_for_each_in_the_order_of_the_request(database: Kind) {
        let Some(mut scene) = Scene::open(database, Files::Together).await else { return };
        let mut stores = Vec::new();
        for number in 0..STORES {
            let request = scene.spare(&format!("store-{number:02}.pem"));
            stores.push(scene.store(&request).await);
        }
        let certificate = scene.certificate("fifty.story.example").await;

        let jobs = scene.add(&certificate, &stores.iter().collect::<Vec<&Store>>()).await;
        assert_eq!(jobs.len(), STORES);
        for (job, store) in jobs.iter().zip(&stores) {
            scene.succeeds(job).await;
            let outcome = scene.outcome(job).await;
            assert_eq!(outcome["StorePath"], store.path, "the GUIDs are in the order of the stores");
            let file = std::fs::read(&store.path).unwrap();
            let leaf = pki::pem::certificates(&file).remove(0);
            assert_eq!(pki::Certificate::from_der(&leaf).unwrap().thumbprint(), certificate.thumbprint);
        }
        scene.shows(&stores[STORES - 1], &[&certificate]).await;

        let query = [("QueryString", "JobType -eq \"Management\""), ("ReturnLimit", "1000")];
        let history = items(scene.see("/OrchestratorJobs/JobHistory", &query).await);
        assert_eq!(history.len(), STORES, "a page holds as many as were asked for, and none is doubled");
    }
}
