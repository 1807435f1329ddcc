//! `/OrchestratorJobs`, and jobs on their way: queue, lease, report, retry.

use agent_protocol::{
    CompleteStatus, InventoryItem, InventoryItemStatus, JobCompleteRequest, Redacted, SessionJob,
    Uuid, job_type, path,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use db::tables::{certificate_stores, orchestrator_jobs};
use jobs::{NewJob, Schedule};
use sea_orm::{ActiveValue, EntityTrait};
use serde_json::{Value, json};
use testkit::{Outcome, TestAgent, TestServer};

const READ: &str = "/agents/management/read/";
const MODIFY: &str = "/agents/management/modify/";
/// The lease of a job, unless configured.
const LEASE_MS: i64 = 10 * 60 * 1000;

const INVENTORY: i32 = 1;
const ADD: i32 = 2;
const REMOVE: i32 = 3;

/// A PEM store of the agent, as the stores' slice writes it.
async fn store(server: &TestServer, agent: &TestAgent, path: &str) -> Uuid {
    let row = certificate_stores::ActiveModel {
        id: ActiveValue::Set(Uuid::new_v4()),
        store_type_id: ActiveValue::Set(2),
        agent_id: ActiveValue::Set(Some(agent.id())),
        container_id: ActiveValue::Set(None),
        client_machine: ActiveValue::Set(agent.name.clone()),
        client_machine_fold: ActiveValue::Set(db::fold(&agent.name)),
        store_path: ActiveValue::Set(path.to_owned()),
        store_path_fold: ActiveValue::Set(db::fold(path)),
        approved: ActiveValue::Set(true),
        create_if_missing: ActiveValue::Set(false),
        properties: ActiveValue::Set(
            json!({ "Profile": "nginx", "PrivateKeyPath": "/key.pem", "x": true, "y": null })
                .to_string(),
        ),
        sealed_secrets: ActiveValue::Set(None),
        sealed_password: ActiveValue::Set(None),
        set_new_password_allowed: ActiveValue::Set(false),
        inventory_schedule: ActiveValue::Set(None),
        inventory_job_id: ActiveValue::Set(None),
        last_inventory_at: ActiveValue::Set(None),
        created_at: ActiveValue::Set(server.clock.now()),
    };
    let ActiveValue::Set(id) = row.id else {
        unreachable!("set above")
    };
    let work = server.app().db().write("test.store", move |tx| {
        Box::pin(async move {
            let done = certificate_stores::Entity::insert(row)
                .exec_without_returning(tx)
                .await;
            done.map(drop).map_err(db::Error::from)
        })
    });
    work.await.expect("a store can be written");
    id
}

/// A job as the slices that ask for it write it.
async fn job(
    server: &TestServer,
    agent: &TestAgent,
    store_id: Uuid,
    operation: i32,
    schedule: Schedule,
) -> Uuid {
    let (id, now, agent_id) = (Uuid::new_v4(), server.clock.now(), agent.id());
    let inventory = operation == INVENTORY;
    let row = orchestrator_jobs::ActiveModel {
        id: ActiveValue::Set(id),
        agent_id: ActiveValue::Set(agent_id),
        store_id: ActiveValue::Set(Some(store_id)),
        kind: ActiveValue::Set(if inventory { 1 } else { 2 }),
        operation: ActiveValue::Set(operation),
        job_type_id: ActiveValue::Set(if inventory {
            job_type::PEM_INVENTORY
        } else {
            job_type::PEM_MANAGEMENT
        }),
        job_type: ActiveValue::Set(
            if inventory {
                "PEMInventory"
            } else {
                "PEMManagement"
            }
            .into(),
        ),
        schedule: ActiveValue::Set(Some(schedule.compact())),
        requested_at: ActiveValue::Set(now),
        requester: ActiveValue::Set("admin".into()),
        alias: ActiveValue::Set((operation == REMOVE).then(|| "AB12".into())),
        certificate_id: ActiveValue::Set((operation == ADD).then_some(1)),
        overwrite: ActiveValue::Set(false),
        include_private_key: ActiveValue::Set(false),
        fields: ActiveValue::Set(json!({ "Site": "a" }).to_string()),
        sealed_secrets: ActiveValue::Set(None),
        cancelled: ActiveValue::Set(false),
    };
    let queued = NewJob {
        id,
        queue: format!("agent:{agent_id}"),
        lane: Some(store_id.to_string()),
        kind: if inventory { "inventory" } else { "management" }.into(),
        priority: if inventory { 5 } else { 3 },
        due_at: schedule.first_due(now),
        schedule: Some(schedule),
        payload: String::new(),
    };
    let work = server.app().db().write("test.job", move |tx| {
        Box::pin(async move {
            orchestrator_jobs::Entity::insert(row)
                .exec_without_returning(tx)
                .await
                .map_err(db::Error::from)?;
            jobs::enqueue(tx, &queued, now).await
        })
    });
    work.await.expect("a job can be queued");
    id
}

async fn history(server: &TestServer) -> Vec<Value> {
    server
        .admin()
        .get("/OrchestratorJobs/JobHistory?returnLimit=1000")
        .await
        .expect(200)
        .items()
        .to_vec()
}

async fn scheduled(server: &TestServer) -> Vec<Value> {
    server
        .admin()
        .get("/OrchestratorJobs/ScheduledJobs?returnLimit=1000")
        .await
        .expect(200)
        .items()
        .to_vec()
}

fn ids(jobs: &[SessionJob]) -> Vec<Uuid> {
    jobs.iter().map(|job| job.job_id).collect()
}

fn states(entries: &[Value]) -> Vec<(i64, i64)> {
    entries
        .iter()
        .map(|entry| {
            (
                entry["Result"].as_i64().unwrap_or(-1),
                entry["Status"].as_i64().unwrap_or(-1),
            )
        })
        .collect()
}

fn refused(answer: &Value) -> bool {
    answer["Result"]["Status"] == 3
}

testkit::both_databases! {
    async fn an_inventory_from_queue_to_history(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/etc/pem").await;
        let id = job(&server, &agent, store_id, INVENTORY, Schedule::Immediate).await;
        assert!(history(&server).await.is_empty(), "no agent has fetched it");
        let waiting = scheduled(&server).await;
        assert_eq!((&waiting[0]["Id"], &waiting[0]["Target"]), (&json!(id), &json!("/etc/pem")));
        assert_eq!(waiting[0]["JobType"], job_type::PEM_INVENTORY.to_string());
        assert_eq!(waiting[0]["Schedule"]["Immediate"], true);

        let jobs = agent.register().await;
        assert_eq!(ids(&jobs), [id]);
        assert_eq!(jobs[0].configuration_endpoint.as_deref(), Some("AnyInventory/Configure"));
        let configured = agent.configure(&jobs[0]).await;
        assert_eq!((&configured["Result"]["Status"], &configured["JobCancelled"]), (&json!(1), &json!(false)));
        assert_eq!(configured["InventoryEndpoint"], "/AnyInventory/Update");
        assert_eq!(configured["Job"]["StorePath"], "/etc/pem");
        assert_eq!(configured["Job"]["Inventory"], json!([]));
        assert!(scheduled(&server).await.is_empty());
        let running = history(&server).await;
        assert_eq!(states(&running), [(0, 2)]);
        assert_eq!(running[0]["JobHistoryId"], configured["AuditId"]);
        assert_eq!((&running[0]["JobType"], &running[0]["AgentMachine"]), (&json!("PEMInventory"), &json!("web1")));
        assert_eq!(running[0]["OperationEnd"], Value::Null);

        let certificate = agent.certificate.clone().expect("a certificate");
        let entry = |alias: &str, status, certificates: Vec<String>| InventoryItem {
            alias: alias.into(), item_status: status, certificates, ..Default::default()
        };
        let items = vec![
            entry("ab12", InventoryItemStatus::Add, vec![BASE64.encode(&certificate)]),
            entry("cd34", InventoryItemStatus::Unknown, vec!["garbage".into()]),
        ];
        assert_eq!(agent.submit_inventory(&jobs[0], items.clone()).await["Result"]["Status"], 1);
        assert_eq!(agent.submit_inventory(&jobs[0], items).await["Result"]["Status"], 1, "it may be repeated");
        agent.complete(&jobs[0], CompleteStatus::Success, "1 entry").await;
        server.clock.advance(1000);
        agent.complete(&jobs[0], CompleteStatus::Error, "again").await;
        let done = history(&server).await;
        assert_eq!(states(&done), [(2, 3)]);
        assert_eq!((&done[0]["Message"], &done[0]["OperationEnd"]), (&json!("1 entry"), &json!("2026-11-21T12:00:00Z")));
        assert!(refused(&agent.submit_inventory(&jobs[0], Vec::new()).await), "it is over");
        assert!(agent.register().await.is_empty());

        job(&server, &agent, store_id, INVENTORY, Schedule::Immediate).await;
        let jobs = agent.register().await;
        let known = agent.configure(&jobs[0]).await["Job"]["Inventory"].clone();
        assert_eq!(known.as_array().map(Vec::len), Some(1));
        assert_eq!(known[0]["Alias"], "ab12");
    }

    async fn jobs_of_a_store_go_one_by_one_and_in_order(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let (store_id, other_id) = (store(&server, &agent, "/a").await, store(&server, &agent, "/b").await);
        let inventory = job(&server, &agent, store_id, INVENTORY, Schedule::Immediate).await;
        let remove = job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
        let add = job(&server, &agent, store_id, ADD, Schedule::Immediate).await;
        let elsewhere = job(&server, &agent, other_id, REMOVE, Schedule::Immediate).await;
        let jobs = agent.register().await;
        assert_eq!(ids(&jobs), [remove, add, elsewhere, inventory]);
        for late in [&jobs[1], &jobs[3]] {
            let answer = agent.configure(late).await;
            assert!(refused(&answer), "{answer}");
        }
        assert!(!refused(&agent.configure(&jobs[0]).await));
        assert!(!refused(&agent.configure(&jobs[2]).await), "another store");
        assert!(refused(&agent.configure(&jobs[1]).await), "the first is in process");
        agent.complete(&jobs[0], CompleteStatus::Success, "").await;
        assert!(!refused(&agent.configure(&jobs[1]).await));
        assert!(refused(&agent.configure(&jobs[3]).await));
        agent.complete(&jobs[1], CompleteStatus::Warning, "it was there").await;
        assert!(!refused(&agent.configure(&jobs[3]).await));
        agent.complete(&jobs[3], CompleteStatus::Success, "").await;
        assert_eq!(states(&history(&server).await), [(2, 3), (0, 2), (3, 3), (2, 3)]);
    }

    async fn what_a_management_job_carries(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        job(&server, &agent, store_id, ADD, Schedule::Immediate).await;
        let mut c = server.new_agent("c");
        c.chancery = false;
        c.enroll(&server.admin()).await;
        let c_store = store(&server, &c, "/c").await;
        job(&server, &c, c_store, ADD, Schedule::Immediate).await;

        let certificate = server.admin().get("/Certificates/1").await.expect(200).json;
        for own in [true, false] {
            let agent = if own { &mut agent } else { &mut c };
            let jobs = agent.register().await;
            assert_eq!(jobs[0].priority, Some(3));
            let work = agent.configure(&jobs[0]).await["Job"].clone();
            assert_eq!((&work["OperationType"], &work["Overwrite"], &work["PrivateKeyEntry"]), (&json!(2), &json!(false), &json!(false)));
            assert_eq!(work["Thumbprint"], certificate["Thumbprint"]);
            let der = BASE64.decode(work["EntryContents"].as_str().unwrap_or_default()).expect("bare base64");
            assert_eq!(pki::Certificate::from_der(&der).expect("one certificate").thumbprint(), certificate["Thumbprint"]);
            let properties: Value = serde_json::from_str(work["Properties"].as_str().unwrap_or_default()).expect("a text of JSON");
            assert_eq!((&properties["Profile"], &properties["x"]), (&json!("nginx"), &json!("true")));
            // A C agent that is told of a separate key rewrites the store and fails.
            assert_eq!(properties.get("PrivateKeyPath").is_some(), own);
            assert_eq!(work.get("Chancery").is_some(), own);
            if own {
                assert_eq!(work["Chancery"]["ExpectedThumbprint"], certificate["Thumbprint"]);
                assert_eq!(work["Chancery"]["EntryParameters"], json!({ "Site": "a" }));
            }
        }
    }

    async fn a_private_key_travels_as_pkcs12(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        // A certificate whose key the server holds, as enrollment stores it.
        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).expect("a key can be made");
        let name = pki::DistinguishedName::parse("CN=shop").expect("a name");
        let (begin, end) = (server.clock.now(), server.clock.now() + 1_000_000_000);
        let serial = pki::Serial::from_random(&[7; 16]);
        let issuer = pki::Issuer::self_signed_root(&name, key.clone(), begin, end, &serial).expect("it can be signed");
        let certificate = issuer.certificate().clone();
        job(&server, &agent, store_id, INVENTORY, Schedule::Immediate).await;
        let item = InventoryItem {
            alias: "shop".into(),
            item_status: InventoryItemStatus::Add,
            certificates: vec![BASE64.encode(certificate.der())],
            ..Default::default()
        };
        agent.run_all(|_, _| Outcome::Inventory(vec![item.clone()])).await;
        let query = format!("/Certificates?queryString=Thumbprint%20-eq%20%22{}%22", certificate.thumbprint());
        let found = server.admin().get(&query).await.expect(200);
        let certificate_id = found.items()[0]["Id"].as_i64().expect("it was recorded");
        let keyring = secrets::KeyRing::from_base64("dGhpcy1rZXktc2VhbHMtbm90aGluZy1vZi12YWx1ZSE=").expect("a key");
        let sealed = keyring.seal(&format!("certificate_keys.sealed_key/{certificate_id}"), &key.to_pkcs8_der()).expect("sealed");
        let id = job(&server, &agent, store_id, ADD, Schedule::Immediate).await;
        let given = json!({ "PfxPassword": "given password", "EntryPassword": "entry password" }).to_string();
        let given = keyring.seal(&format!("orchestrator_jobs.sealed_secrets/{id}"), given.as_bytes()).expect("sealed");
        let work = server.app().db().write("test.key", move |tx| {
            Box::pin(async move {
                let row = db::tables::certificate_keys::ActiveModel {
                    certificate_id: ActiveValue::Set(certificate_id),
                    sealed_key: ActiveValue::Set(sealed.into_bytes()),
                };
                db::tables::certificate_keys::Entity::insert(row).exec_without_returning(tx).await.map_err(db::Error::from)?;
                let row = orchestrator_jobs::ActiveModel {
                    id: ActiveValue::Unchanged(id),
                    certificate_id: ActiveValue::Set(Some(certificate_id)),
                    include_private_key: ActiveValue::Set(true),
                    sealed_secrets: ActiveValue::Set(Some(given.into_bytes())),
                    ..Default::default()
                };
                orchestrator_jobs::Entity::update(row).exec(tx).await.map(drop).map_err(db::Error::from)
            })
        });
        work.await.expect("the key can be written");
        let jobs = agent.register().await;
        let work = agent.configure(&jobs[0]).await["Job"].clone();
        assert_eq!((&work["PrivateKeyEntry"], &work["EntryPassword"]), (&json!(true), &json!("entry password")));
        assert_eq!(work["Alias"], certificate.thumbprint());
        let pfx = BASE64.decode(work["EntryContents"].as_str().unwrap_or_default()).expect("bare base64");
        let password = work["PfxPassword"].as_str().unwrap_or_default();
        assert_eq!(password, "given password");
        let opened = pki::pkcs12::from_pkcs12(&pfx, password).expect("the password fits");
        assert_eq!(opened.certificates, [certificate.der().to_vec()]);
        assert!(opened.key.is_some_and(|key| key.matches(&certificate)));
        let given = crate::enrollment::records_of(&server, 17).await;
        assert_eq!(given.len(), 1);
        assert_eq!((given[0].name.as_str(), given[0].on_behalf_of.as_deref()), ("CN=shop", Some("admin")));
        assert!(given[0].actor != "admin" && given[0].message.contains(&format!("certificate {certificate_id} was given to agent")), "{:?}", given[0]);
    }

    async fn a_job_whose_certificate_is_gone_fails_at_once(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        let id = job(&server, &agent, store_id, ADD, Schedule::Immediate).await;
        let work = server.app().db().write("test.gone", move |tx| {
            Box::pin(async move {
                let row = orchestrator_jobs::ActiveModel {
                    id: ActiveValue::Unchanged(id), certificate_id: ActiveValue::Set(Some(4_711)), ..Default::default()
                };
                orchestrator_jobs::Entity::update(row).exec(tx).await.map(drop).map_err(db::Error::from)
            })
        });
        work.await.expect("the job can be changed");
        let jobs = agent.register().await;
        let answer = agent.configure(&jobs[0]).await;
        assert!(refused(&answer), "{answer}");
        let done = history(&server).await;
        assert_eq!(states(&done), [(4, 3)]);
        assert_eq!(done[0]["Message"], "Certificate 4711 is no longer there.");
    }

    async fn success_of_a_management_job_brings_an_inventory(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        for operation in [ADD, REMOVE] {
            job(&server, &agent, store_id, operation, Schedule::Immediate).await;
        }
        let jobs = agent.register().await;
        agent.configure(&jobs[0]).await;
        let first = agent.complete(&jobs[0], CompleteStatus::Success, "").await.inventory_job;
        assert!(first.is_some());
        assert_eq!(agent.complete(&jobs[0], CompleteStatus::Success, "").await.inventory_job, first, "said twice, answered alike");
        agent.configure(&jobs[1]).await;
        let second = agent.complete(&jobs[1], CompleteStatus::Success, "").await.inventory_job;
        assert_eq!(first, second, "one inventory is enough");
        let jobs = agent.register().await;
        assert_eq!(ids(&jobs), [first.expect("there is one")]);
        let did = agent.run_all(|_, _| Outcome::Inventory(Vec::new())).await;
        assert_eq!((did, agent.register().await.len()), (1, 0));
        // Only the certificate that was added says so.
        let lines = server.admin().get("/Certificates/1/History").await.expect(200);
        assert!(lines.text.contains("Added to certificate store"), "{}", lines.text);
    }

    async fn a_job_that_nobody_reports_on_is_tried_again_and_then_fails(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        let id = job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
        for attempt in 1..=3 {
            let jobs = agent.register().await;
            assert_eq!(ids(&jobs), [id], "attempt {attempt}");
            assert!(!refused(&agent.configure(&jobs[0]).await));
            server.clock.advance(LEASE_MS);
        }
        assert!(agent.register().await.is_empty());
        let entries = history(&server).await;
        assert_eq!(states(&entries), [(4, 5), (4, 5), (4, 3)]);
        assert!(entries[2]["Message"].as_str().is_some_and(|text| text.contains("3 times")), "{}", entries[2]);
        assert!(scheduled(&server).await.is_empty(), "no inventory follows a failure");
    }

    async fn a_report_that_comes_late_counts(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let (store_id, other_id) = (store(&server, &agent, "/a").await, store(&server, &agent, "/b").await);
        job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
        let jobs = agent.register().await;
        agent.configure(&jobs[0]).await;
        server.clock.advance(LEASE_MS + 1);
        // Another call notices that the lease is over.
        job(&server, &agent, other_id, REMOVE, Schedule::Immediate).await;
        assert_eq!(agent.register().await.len(), 2);
        assert_eq!(states(&history(&server).await), [(4, 5)]);
        agent.complete(&jobs[0], CompleteStatus::Success, "done after all").await;
        assert_eq!(states(&history(&server).await), [(2, 3)]);
        let left = agent.register().await;
        assert!(!ids(&left).contains(&jobs[0].job_id), "{left:?}");
    }

    async fn an_agent_that_was_restarted_gets_its_job_again(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        let id = job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
        let jobs = agent.register().await;
        let first = agent.configure(&jobs[0]).await;
        server.clock.advance(LEASE_MS / 2);
        let jobs = agent.register().await;
        assert_eq!(ids(&jobs), [id]);
        let second = agent.configure(&jobs[0]).await;
        assert_eq!(first["AuditId"], second["AuditId"]);
        server.clock.advance(LEASE_MS / 2 + 1);
        agent.register().await;
        assert_eq!(states(&history(&server).await), [(0, 2)], "the lease began anew");
        agent.complete(&jobs[0], CompleteStatus::Success, "").await;
        assert_eq!(states(&history(&server).await), [(2, 3)]);
    }

    async fn a_report_of_unfinished_work_ends_nothing(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
        let jobs = agent.register().await;
        agent.configure(&jobs[0]).await;
        for status in [CompleteStatus::InProcess, CompleteStatus::Unknown] {
            agent.complete(&jobs[0], status, "").await;
            assert_eq!(states(&history(&server).await), [(0, 2)]);
        }
        // Without its number the report is found by its job.
        let report = JobCompleteRequest {
            status: CompleteStatus::Success,
            job_id: jobs[0].job_id,
            session_token: Redacted::new(agent.token.clone().expect("a token")),
            ..Default::default()
        };
        agent.call(path::MANAGEMENT_COMPLETE, &report).await;
        assert_eq!(states(&history(&server).await), [(2, 3)]);
        let unknown = JobCompleteRequest { job_id: Uuid::new_v4(), ..report };
        assert!(refused(&agent.call(path::MANAGEMENT_COMPLETE, &unknown).await));
    }

    async fn another_agents_job_is_out_of_reach(server: TestServer) {
        let (mut mine, mut other) = (server.agent("web1").await, server.agent("web2").await);
        let store_id = store(&server, &mine, "/a").await;
        job(&server, &mine, store_id, REMOVE, Schedule::Immediate).await;
        let jobs = mine.register().await;
        assert!(other.register().await.is_empty());
        assert_eq!(other.configure(&jobs[0]).await["JobCancelled"], true);
        mine.configure(&jobs[0]).await;
        assert!(refused(&serde_json::to_value(other.complete(&jobs[0], CompleteStatus::Success, "").await).expect("JSON")));
        assert!(refused(&other.submit_inventory(&jobs[0], Vec::new()).await));
        assert_eq!(states(&history(&server).await), [(0, 2)]);
    }

    async fn unscheduled_jobs_are_cancelled(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        let first = job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
        let second = job(&server, &agent, store_id, INVENTORY, Schedule::Interval { minutes: 60 }).await;
        let jobs = agent.register().await;
        let client = server.account(&[MODIFY]).await;
        let path = "/OrchestratorJobs/Unschedule";
        let unknown = Uuid::new_v4();
        let answer = client.post(path, json!({ "JobIds": [first, unknown] })).await.expect(400);
        assert_eq!(answer.reasons(), [format!("There is no scheduled job {unknown}.")]);
        assert_eq!(scheduled(&server).await.len(), 2, "nothing was changed");
        for body in [json!({}), json!({ "JobIds": [], "Query": "" }), json!({ "JobIds": [first], "Query": "JobType -eq \"Inventory\"" })] {
            drop(client.post(path, &body).await.expect(400));
        }
        drop(client.post(path, json!({ "JobIds": [first], "Query": null })).await.expect(204));
        drop(client.post(path, json!({ "Query": "JobType -eq \"Inventory\" AND TargetPath -eq \"/A\"" })).await.expect(204));
        assert!(scheduled(&server).await.is_empty());
        for cancelled in &jobs {
            let answer = agent.configure(cancelled).await;
            assert_eq!((&answer["JobCancelled"], &answer["Result"]["Status"]), (&json!(true), &json!(1)), "{answer}");
        }
        assert!(agent.register().await.is_empty());
        assert!(history(&server).await.is_empty());
        assert_eq!(jobs[1].job_id, second);
        // One that an agent works on is not scheduled any more.
        let third = job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
        let jobs = agent.register().await;
        agent.configure(&jobs[0]).await;
        drop(client.post(path, json!({ "JobIds": [third] })).await.expect(400));
    }

    async fn failures_can_be_acknowledged_and_asked_for_again(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        let id = job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
        agent.run_all(|_, _| Outcome::Failure("x".repeat(5_000))).await;
        let failed = history(&server).await;
        assert_eq!(states(&failed), [(4, 3)]);
        assert!(failed[0]["Message"].as_str().is_some_and(|text| text.chars().count() <= 2_000));
        let audit_id = failed[0]["JobHistoryId"].clone();
        let client = server.account(&[MODIFY]).await;

        let again = "/OrchestratorJobs/Reschedule";
        drop(client.post(again, json!({ "JobAuditIds": [audit_id] })).await.expect(204));
        assert_eq!(states(&history(&server).await), [(4, 5)]);
        let answer = client.post(again, json!({ "JobAuditIds": [audit_id, 4711] })).await.expect(400);
        assert_eq!(answer.reasons(), [
            format!("Job history entry {audit_id} is queued again already."),
            "There is no job history entry 4711.".into(),
        ]);
        let jobs = agent.register().await;
        assert_eq!(ids(&jobs), [id]);
        agent.configure(&jobs[0]).await;
        agent.complete(&jobs[0], CompleteStatus::Warning, "was not there").await;
        assert_eq!(states(&history(&server).await), [(4, 5), (3, 3)]);

        let seen = "/OrchestratorJobs/Acknowledge";
        drop(client.post(seen, json!({ "JobAuditIds": null, "Query": "(Result -eq \"4\" OR Result -eq \"3\") AND (Status -eq \"3\" OR Status -eq \"5\")" })).await.expect(204));
        assert_eq!(states(&history(&server).await), [(4, 4), (3, 4)]);
        drop(client.post(seen, json!({ "JobAuditIds": [audit_id] })).await.expect(204));
        agent.run_all(|_, _| Outcome::Inventory(Vec::new())).await;
        let succeeded = history(&server).await.last().map(|entry| entry["JobHistoryId"].clone()).unwrap_or_default();
        let answer = client.post(seen, json!({ "JobAuditIds": [succeeded] })).await.expect(400);
        assert_eq!(answer.reasons(), [format!("Job history entry {succeeded} is neither a failure nor a warning.")]);
        drop(client.post(again, json!({ "JobAuditIds": [succeeded] })).await.expect(400));
        drop(client.post(again, json!({ "JobAuditIds": [audit_id] })).await.expect(400));
    }

    async fn an_inventory_that_repeats_waits_for_its_time(server: TestServer) {
        let mut agent = server.agent("web1").await;
        let store_id = store(&server, &agent, "/a").await;
        let id = job(&server, &agent, store_id, INVENTORY, Schedule::Interval { minutes: 60 }).await;
        assert_eq!(agent.run_all(|_, _| Outcome::Inventory(Vec::new())).await, 1);
        assert!(agent.register().await.is_empty());
        assert_eq!(scheduled(&server).await[0]["Schedule"]["Interval"]["Minutes"], 60);
        server.clock.advance(60 * 60_000 - 1);
        assert!(agent.register().await.is_empty());
        server.clock.advance(1);
        assert_eq!(ids(&agent.register().await), [id]);
        assert_eq!(agent.run_all(|_, _| Outcome::Failure("no such file".into())).await, 1);
        assert!(agent.register().await.is_empty(), "a failure waits for its time, too");
        assert_eq!(states(&history(&server).await), [(2, 3), (4, 3)]);
        assert_eq!(scheduled(&server).await.len(), 1);
    }

    async fn fifty_stores_of_one_agent(server: TestServer) {
        let mut agent = server.agent("web1").await;
        for number in 0..50 {
            let store_id = store(&server, &agent, &format!("/store{number}")).await;
            job(&server, &agent, store_id, REMOVE, Schedule::Immediate).await;
            job(&server, &agent, store_id, INVENTORY, Schedule::Immediate).await;
        }
        let jobs = agent.register().await;
        assert_eq!(jobs.len(), 100);
        for job in &jobs[..50] {
            assert!(!refused(&agent.configure(job).await));
        }
        let again = agent.register().await;
        assert_eq!(ids(&again).len(), 50, "the inventories wait for their stores");
        for job in &jobs[..50] {
            agent.complete(job, CompleteStatus::Success, "").await;
        }
        assert_eq!(agent.run_all(|_, _| Outcome::Inventory(Vec::new())).await, 50);
        assert!(agent.register().await.is_empty());
        assert_eq!(history(&server).await.len(), 100);
    }

    async fn an_agent_without_a_certificate_gets_no_secrets(server: TestServer) {
        let mut agent = server.new_agent("web1");
        agent.register_as(None).await;
        agent.approve(&server.admin()).await;
        agent.register().await;
        let (first, second) = (store(&server, &agent, "/a").await, store(&server, &agent, "/b").await);
        job(&server, &agent, first, REMOVE, Schedule::Immediate).await;
        job(&server, &agent, second, INVENTORY, Schedule::Immediate).await;
        let jobs = agent.register().await;
        assert!(refused(&agent.configure(&jobs[0]).await));
        let answer = agent.configure(&jobs[1]).await;
        assert!(!refused(&answer) && answer["Job"]["Properties"].is_null(), "{answer}");
        assert_eq!(history(&server).await.len(), 1);
    }

    async fn the_history_can_be_queried(server: TestServer) {
        let mut agent = server.agent("Web1").await;
        let store_id = store(&server, &agent, "/etc/One.pem").await;
        let id = job(&server, &agent, store_id, INVENTORY, Schedule::Immediate).await;
        agent.run_all(|_, _| Outcome::Warning("A Remark".into())).await;
        let client = server.account(&[READ]).await;
        for (query, found) in [
            ("Agent -eq \"web1\" AND JobType -eq \"Inventory\"".to_owned(), 1),
            ("JobType -eq \"Management\"".into(), 0),
            (format!("JobId -eq \"{id}\" AND Result -eq \"Warning\" AND Status -eq 3"), 1),
            (format!("AgentId -eq \"{}\" AND Message -contains \"REMARK\"", agent.id()), 1),
            ("TargetPath -startswith \"/etc/one\" AND ScheduleType -eq \"Immediate\"".into(), 1),
            ("OperationStart -gt \"2026-11-21T11:00:00Z\"".into(), 1),
            ("OperationStart -gt \"2026-11-21T13:00:00Z\"".into(), 0),
        ] {
            let path = format!("/OrchestratorJobs/JobHistory?pq.queryString={}", query.replace(' ', "%20").replace('"', "%22"));
            let answer = client.get(&path).await.expect(200);
            assert_eq!((answer.items().len(), answer.total()), (found, Some(found as u64)), "{query}");
        }
        drop(client.get("/OrchestratorJobs/JobHistory?queryString=Nothing%20-eq%201").await.expect(400));
        drop(client.get("/OrchestratorJobs/JobHistory?sortField=OperationStart&sortAscending=1").await.expect(200));
        drop(client.get("/OrchestratorJobs/JobHistory?sortField=nothing").await.expect(400));
        job(&server, &agent, store_id, INVENTORY, Schedule::Immediate).await;
        for query in ["ClientMachine -eq \"WEB1\"", "Agent -eq \"web1\"", "Target -contains \"one\"", "Requester -eq \"ADMIN\"", "ScheduleType -ne \"Daily\""] {
            let path = format!("/OrchestratorJobs/ScheduledJobs?queryString={}", query.replace(' ', "%20").replace('"', "%22"));
            assert_eq!(client.get(&path).await.expect(200).items().len(), 1, "{query}");
        }
    }

    async fn permissions(server: TestServer) {
        let (nobody, reader) = (server.account(&["/certificate_stores/"]).await, server.account(&[READ]).await);
        for path in ["/OrchestratorJobs/JobHistory", "/OrchestratorJobs/ScheduledJobs"] {
            drop(nobody.get(path).await.expect(403));
            drop(reader.get(path).await.expect(200));
        }
        for path in ["/OrchestratorJobs/Acknowledge", "/OrchestratorJobs/Reschedule", "/OrchestratorJobs/Unschedule"] {
            drop(reader.post(path, json!({ "Query": "JobType -eq \"Inventory\"" })).await.expect(403));
        }
    }
}
