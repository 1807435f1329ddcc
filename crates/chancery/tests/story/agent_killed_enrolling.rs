//! A new agent killed at every file operation from its first start to its first session.

use reqwest::Method;
use serde_json::json;

use crate::{
    agent::Agent,
    database::{Kind, on_both_databases},
    scene::{Files, Scene, agents_named, enrolled, registered},
    server::Orders,
    until::until,
};

/// More operations than an enrollment has; the test ends at the first one that is not come to.
const STEPS_MAX: u32 = 60;

on_both_databases! {
    async fn it_is_enrolled_once_and_works(database: Kind) {
        let Some(scene) = Scene::open(database, Files::Together).await else { return };
        for step in 1..=STEPS_MAX {
            let name = format!("new-{step}.example");
            let mut agent = Agent::configured(&scene.path(&name), &name, &scene.server, &scene.nginx);
            agent.start(&vec![("CHANCERY_KILL_AT_FILE_STEP", step.to_string().into())]);
            let has_died = comes_to_a_certificate_or_dies(&scene, &mut agent, &name).await;
            if has_died {
                agent.start(&Orders::new());
                let id = registered(&scene.api, &name).await;
                scene.api.post("/Agents/Approve", json!([id])).await;
                enrolled(&scene.api, &id).await;
            }
            // A session with its own certificate: the server has seen which one it used.
            until("the agent uses its certificate", async || {
                let [only] = agents_named(&scene.api, &name).await.try_into().expect("one agent, registered once");
                assert!(!agent.has_aborted(), "{only}");
                let used = only["LastThumbprintUsed"].as_str().unwrap_or_default();
                if !used.is_empty() && only["Thumbprint"] == used { Ok(()) } else { Err(only.to_string()) }
            })
            .await;
            if !has_died {
                assert!(step > 10, "key, certificate and folders are at least ten operations, not {step}");
                return;
            }
        }
        panic!("the agent never comes through");
    }
}

/// Approves the agent as soon as it has registered. True when it died first.
async fn comes_to_a_certificate_or_dies(scene: &Scene, agent: &mut Agent, name: &str) -> bool {
    until("the agent is enrolled or dies", async || {
        if agent.has_aborted() {
            return Ok(true);
        }
        let Some(known) = agents_named(&scene.api, name).await.into_iter().next() else {
            return Err("not registered".to_owned());
        };
        if known["LastThumbprintUsed"]
            .as_str()
            .is_some_and(|used| !used.is_empty())
        {
            return Ok(false);
        }
        let approval = json!([known["AgentId"]]);
        // Approving twice is no error worth a word here: the agent may have got its certificate in between.
        let _ = scene
            .api
            .call(Method::POST, "/Agents/Approve", &[], Some(&approval))
            .await;
        Err(known.to_string())
    })
    .await
}
