//! `/CertificateStores`, and what other tests need of stores: agents, certificates and types.

use agent_protocol::InventoryItem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use db::tables;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use testkit::{Client, Outcome, TestAgent, TestServer};
use uuid::Uuid;

const NOBODY: &str = "00000000-0000-4000-8000-00000000beef";
const ADD: &str = "/CertificateStores/Certificates/Add";
const REMOVE: &str = "/CertificateStores/Certificates/Remove";
const SCHEDULE: &str = "/CertificateStores/Schedule";

/// Puts an approved agent into the database, with these capabilities of its stores (`PEM.Inventory`).
pub(crate) async fn agent(server: &TestServer, name: &str, capabilities: &[&str]) -> Uuid {
    agent_of_status(server, name, capabilities, 2).await
}

async fn agent_of_status(
    server: &TestServer,
    name: &str,
    capabilities: &[&str],
    status: i32,
) -> Uuid {
    let id = server.cx().guid();
    let capabilities: Vec<String> = capabilities
        .iter()
        .map(|one| format!("CertStores.{one}"))
        .collect();
    let row = tables::agents::Model {
        id,
        client_machine: name.into(),
        client_machine_fold: db::fold(name),
        username: "admin".into(),
        platform: 5,
        version: "1.0.0".into(),
        status,
        capabilities: json!(capabilities).to_string(),
        thumbprint: None,
        previous_thumbprint: None,
        last_thumbprint_used: None,
        request_key: None,
        certificate: None,
        authentication_reenrollment: 0,
        last_error_code: None,
        last_error_message: None,
        single_shot: true,
        takes_extras: true,
        registered_at: 0,
        last_seen: 0,
    };
    insert::<tables::agents::Entity>(server, tables::agents::ActiveModel::from(row)).await;
    id
}

/// Puts a row into the database.
pub(crate) async fn insert<E: EntityTrait>(server: &TestServer, row: E::ActiveModel)
where
    E::ActiveModel: Send + 'static,
{
    let work = server.app().db().write("test.insert", move |tx| {
        Box::pin(async move {
            E::insert(row)
                .exec_without_returning(tx)
                .await
                .map_err(db::Error::from)?;
            Ok::<_, db::Error>(())
        })
    });
    work.await.expect("the row fits");
}

/// Puts a certificate into the inventory, with or without a key beside it. Only what jobs ask of it is true.
pub(crate) async fn certificate(server: &TestServer, thumbprint: &str, key: bool) -> i64 {
    use tables::certificates::{ActiveModel, Column, Entity};
    let text = |text: &str| ActiveValue::Set(text.to_owned());
    let row = ActiveModel {
        id: ActiveValue::NotSet,
        sha256: ActiveValue::Set(thumbprint.as_bytes().to_vec()),
        thumbprint: text(thumbprint),
        serial_number: text("0A"),
        subject: text("CN=one"),
        subject_fold: text("cn=one"),
        issuer: text("CN=two"),
        issuer_fold: text("cn=two"),
        common_name: ActiveValue::Set(Some("one".into())),
        common_name_fold: ActiveValue::Set(Some("one".into())),
        organizational_unit: ActiveValue::Set(None),
        email: ActiveValue::Set(None),
        not_before: ActiveValue::Set(testkit::START),
        not_after: ActiveValue::Set(testkit::START + 1),
        imported_at: ActiveValue::Set(testkit::START),
        key_type: ActiveValue::Set(3),
        key_size: ActiveValue::Set(256),
        key_algorithm: text("1.2.840.10045.2.1"),
        curve: ActiveValue::Set(None),
        signing_algorithm: text("SHA-256withECDSA"),
        key_usage: ActiveValue::Set(0),
        is_authority: ActiveValue::Set(false),
        path_length: ActiveValue::Set(None),
        state: ActiveValue::Set(1),
        revoked_at: ActiveValue::Set(None),
        revocation_reason: ActiveValue::Set(None),
        revocation_comment: ActiveValue::Set(None),
        authority_id: ActiveValue::Set(None),
        template_id: ActiveValue::Set(None),
        request_id: ActiveValue::Set(None),
        requester: ActiveValue::Set(None),
        owner_role_id: ActiveValue::Set(None),
        has_private_key: ActiveValue::Set(key),
    };
    insert::<Entity>(server, row).await;
    let found = Entity::find()
        .filter(Column::Thumbprint.eq(thumbprint))
        .one(server.app().db().read())
        .await;
    found
        .expect("certificates can be read")
        .expect("it was put there")
        .id
}

/// A PEM store that this agent works on.
pub(crate) fn pem(agent: Uuid, path: &str) -> Value {
    json!({ "ClientMachine": "web1", "StorePath": path, "CertStoreType": 2, "AgentId": agent, "Properties": "{}" })
}

/// Creates a store and answers its id.
pub(crate) async fn create(client: &Client, store: Value) -> String {
    let created = client.post("/CertificateStores", store).await.expect(200);
    created.json["Id"]
        .as_str()
        .expect("a store has an id")
        .to_owned()
}

/// An approved agent for PEM stores.
pub(crate) async fn pem_agent(server: &TestServer) -> Uuid {
    agent(server, "agent1", &["PEM.Inventory", "PEM.Management"]).await
}

/// Creates a store type with the members of `with` over usual ones, and an agent for it.
async fn kind(server: &TestServer, short_name: &str, with: Value) -> (i64, Uuid) {
    let mut wanted = json!({
        "Name": format!("Type {short_name}"),
        "ShortName": short_name,
        "SupportedOperations": { "Add": true, "Remove": true },
        "PrivateKeyAllowed": "Optional",
        "CustomAliasAllowed": "Optional",
    });
    for (name, value) in with.as_object().expect("an object") {
        wanted[name] = value.clone();
    }
    let made = server
        .admin()
        .post("/CertificateStoreTypes", wanted)
        .await
        .expect(200);
    let capabilities = [
        format!("{short_name}.Inventory"),
        format!("{short_name}.Management"),
    ];
    let capabilities: Vec<&str> = capabilities.iter().map(String::as_str).collect();
    let agent = agent(server, &format!("agent-{short_name}"), &capabilities).await;
    (
        made.json["StoreType"].as_i64().expect("a type has an id"),
        agent,
    )
}

fn of_kind((kind, agent): (i64, Uuid), path: &str) -> Value {
    json!({ "ClientMachine": "web1", "StorePath": path, "CertStoreType": kind, "AgentId": agent })
}

async fn jobs(server: &TestServer) -> u64 {
    let rows = tables::orchestrator_jobs::Entity::find()
        .count(server.app().db().read())
        .await
        .unwrap();
    let queued = tables::queue_jobs::Entity::find()
        .filter(tables::queue_jobs::Column::Queue.starts_with("agent:"))
        .count(server.app().db().read())
        .await
        .unwrap();
    assert_eq!(rows, queued, "every job is in the queue, and nothing else");
    rows
}

async fn job(server: &TestServer, id: &Value) -> tables::orchestrator_jobs::Model {
    let id = Uuid::parse_str(id.as_str().expect("ids are texts")).expect("ids are GUIDs");
    let row = tables::orchestrator_jobs::Entity::find_by_id(id)
        .one(server.app().db().read())
        .await;
    row.expect("jobs can be read").expect("the job is there")
}

/// Sends a request with one bad target beside a good one, and checks that it is refused, names the bad target, and does
/// nothing.
async fn refused(
    server: &TestServer,
    path: &str,
    mut body: Value,
    good: Value,
    bad: Value,
    words: &str,
) {
    let before = jobs(server).await;
    let id = bad["CertificateStoreId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    body["CertificateStores"] = json!([good, bad]);
    let answer = server.admin().post(path, &body).await.expect(400);
    let reasons = answer.reasons();
    assert_eq!(reasons.len(), 1, "{}", answer.text);
    assert!(
        reasons[0].contains("CertificateStores[1]") && reasons[0].contains(&id),
        "{}",
        answer.text
    );
    assert!(reasons[0].contains(words), "{words:?} in {}", answer.text);
    assert_eq!(jobs(server).await, before, "nothing was scheduled");
}

testkit::both_databases! {
    async fn a_store_is_created_read_replaced_and_deleted(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let created = admin.post("/CertificateStores", json!({
            "ContainerId": 0, "ClientMachine": "web1", "Storepath": "/etc/one.pem", "CertStoreType": 2, "Approved": false,
            "CreateIfMissing": false, "Properties": "{\"Profile\":{\"value\":\"nginx\"},\"isTrustStore\":false}",
            "AgentId": agent, "AgentAssigned": true, "ContainerName": "", "InventorySchedule": {}, "Password": null,
        })).await.expect(200);
        let id = created.json["Id"].as_str().unwrap();
        assert_eq!(created.json["Approved"], true);
        assert_eq!(created.json["DisplayName"], "web1 - /etc/one.pem");
        assert_eq!(created.json["InventorySchedule"], json!({}));
        assert_eq!(created.json["ReenrollmentStatus"], Value::Null);

        let read = admin.get(&format!("/CertificateStores/{id}")).await.expect(200);
        assert_eq!(read.json["Storepath"], "/etc/one.pem");
        assert_eq!(read.json["InventorySchedule"], Value::Null);
        assert_eq!(read.json["ReenrollmentStatus"]["CustomAliasAllowed"], 0);
        assert_eq!(read.json["AgentAssigned"], true);
        assert_eq!(read.json["CertStoreInventoryJobId"], Value::Null);
        assert_eq!(read.json["Password"]["HasValue"], false);
        let properties: Value = serde_json::from_str(read.json["Properties"].as_str().unwrap()).unwrap();
        assert_eq!(properties, json!({"Profile": "nginx", "isTrustStore": "false"}));

        // What kfutil sends when it migrates: type 0, nothing of the container.
        let put = admin.request("Put", "/CertificateStores").json(json!({
            "Id": id, "ClientMachine": "web1", "Storepath": "/etc/two.pem", "AgentId": agent, "CertStoreType": 0,
            "Properties": "{}", "InventorySchedule": {"Interval": {"Minutes": 30}},
        })).send().await.expect(200);
        assert_eq!(put.json["Storepath"], "/etc/two.pem");
        assert_eq!(put.json["CertStoreType"], 2);
        assert_eq!(put.json["Approved"], true);
        assert_eq!(put.json["Properties"], "{}");
        assert_eq!(put.json["InventorySchedule"], json!({"Interval": {"Minutes": 30}}));
        assert!(put.json["CertStoreInventoryJobId"].is_string());

        admin.delete(&format!("/CertificateStores/{id}")).await.expect(204);
        admin.get(&format!("/CertificateStores/{id}")).await.expect(404);
        admin.delete(&format!("/CertificateStores/{id}")).await.expect(404);
        admin.put("/CertificateStores", json!({"Id": id})).await.expect(404);
        admin.put("/CertificateStores", json!({"Id": null})).await.expect(400);
        admin.get("/CertificateStores/nonsense").await.expect(400);
        assert_eq!(tables::queue_jobs::Entity::find().count(server.app().db().read()).await.unwrap(), 0);
    }

    async fn every_mistake_of_a_store_is_named(server: TestServer) {
        let admin = server.admin();
        let good = pem_agent(&server).await;
        let new = agent_of_status(&server, "new", &["PEM.Inventory"], 1).await;
        let unable = agent(&server, "unable", &["JKS.Inventory"]).await;
        create(&admin, pem(good, "/etc/one.pem")).await;
        let wrong = |change: Value| {
            let mut store = pem(good, "/etc/x.pem");
            for (name, value) in change.as_object().unwrap() {
                store[name] = value.clone();
            }
            store
        };
        for (change, words) in [
            (json!({"CertStoreType": null}), "CertStoreType: a value"),
            (json!({"CertStoreType": 999}), "no certificate store type 999"),
            (json!({"ClientMachine": " "}), "ClientMachine:"),
            (json!({"StorePath": ""}), "StorePath: a value"),
            (json!({"StorePath": "/etc/one.pem"}), "already exists"),
            (json!({"AgentId": NOBODY}), "no agent"),
            (json!({"AgentId": "abc"}), "AgentId: \"abc\" is not a GUID"),
            (json!({"AgentId": new}), "not approved"),
            (json!({"AgentId": unable}), "CertStores.PEM.Inventory"),
            (json!({"ContainerId": 7}), "no container 7"),
            (json!({"Properties": "{\"isTrustStore\":\"perhaps\"}"}), "Properties.isTrustStore"),
            (json!({"Properties": "not json"}), "Properties:"),
            (json!({"InventorySchedule": {"Interval": {"Minutes": 0}}}), "InventorySchedule.Interval"),
            (json!({"AgentId": null, "InventorySchedule": {"Immediate": true}}), "without an agent"),
            (json!({"Password": {"Provider": 3, "Parameters": {}}}), "no secret providers"),
        ] {
            let answer = admin.post("/CertificateStores", wrong(change)).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        // Several at once.
        let answer = admin.post("/CertificateStores", wrong(json!({"ClientMachine": "", "AgentId": NOBODY}))).await.expect(400);
        assert!(answer.message().contains("ClientMachine") && answer.message().contains("no agent"), "{}", answer.text);
        assert_eq!(admin.get("/CertificateStores").await.expect(200).total(), Some(1));
    }

    async fn properties_and_passwords_follow_the_type(server: TestServer) {
        let admin = server.admin();
        let kind = kind(&server, "Vault", json!({
            "ServerRequired": true,
            "StorePathType": "MultipleChoice",
            "StorePathValue": "[\"My\",\"WebHosting\"]",
            "PasswordOptions": {"StoreRequired": true},
            "Properties": [
                {"Name": "Mode", "Type": "MultipleChoice", "DefaultValue": "fast,safe", "Required": true},
                {"Name": "UseToken", "Type": "Bool", "DefaultValue": "False"},
                {"Name": "Token", "Type": "Secret", "Required": true, "DependsOn": "UseToken"},
            ],
        })).await;
        let with = |change: Value| {
            let mut store = of_kind(kind, "My");
            store["Properties"] = json!("{\"Mode\":\"safe\"}");
            store["Password"] = json!({"SecretValue": "geheim"});
            for (name, value) in change.as_object().unwrap() {
                store[name] = value.clone();
            }
            store
        };
        for (change, words) in [
            (json!({"Properties": "{}"}), "Properties.Mode: a value is required"),
            (json!({"Properties": "{\"Mode\":\"slow\"}"}), "none of fast, safe"),
            (json!({"Properties": "{\"Mode\":\"safe\",\"UseToken\":\"true\"}"}), "Properties.Token: a value is required"),
            (json!({"Properties": "{\"Mode\":\"safe\",\"Token\":{\"value\":{\"Provider\":1}}}"}), "no secret providers"),
            (json!({"Password": null}), "Password: certificate stores of type Vault require one"),
            (json!({"StorePath": "Elsewhere"}), "none of My, WebHosting"),
        ] {
            let answer = admin.post("/CertificateStores", with(change)).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        let properties = json!({
            "Mode": {"value": "safe"}, "UseToken": "true",
            "Token": {"value": {"SecretValue": "streng-geheim"}}, "ServerPassword": "auch-geheim",
        });
        let created = admin.post("/CertificateStores", with(json!({"Properties": properties.to_string()}))).await.expect(200);
        let id = created.json["Id"].as_str().unwrap().to_owned();
        let echoed: Value = serde_json::from_str(created.json["Properties"].as_str().unwrap()).unwrap();
        Uuid::parse_str(echoed["Token"].as_str().unwrap()).expect("an opaque GUID");
        let read = admin.get(&format!("/CertificateStores/{id}")).await.expect(200);
        let shown: Value = serde_json::from_str(read.json["Properties"].as_str().unwrap()).unwrap();
        assert_eq!(shown["Mode"], "safe");
        assert_eq!(shown["Token"]["Value"], "********************");
        assert_eq!(shown["ServerPassword"]["HasValue"], true);
        assert_eq!(read.json["Password"]["Value"], "********************");
        for answer in [&created.text, &read.text] {
            assert!(!answer.contains("geheim"), "{answer}");
        }
        // What was read is sent back: secrets stay, other values are replaced.
        let mut again = read.json.clone();
        again["Properties"] = json!(json!({"Mode": "fast", "UseToken": "true", "Token": shown["Token"]}).to_string());
        let put = admin.put("/CertificateStores", again).await.expect(200);
        let shown: Value = serde_json::from_str(put.json["Properties"].as_str().unwrap()).unwrap();
        assert_eq!((&shown["Mode"], &shown["Token"]["HasValue"]), (&json!("fast"), &json!(true)));
        assert_eq!(put.json["Password"]["HasValue"], true);
        let row = tables::certificate_stores::Entity::find().one(server.app().db().read()).await.unwrap().unwrap();
        let keyring = secrets::KeyRing::from_base64("dGhpcy1rZXktc2VhbHMtbm90aGluZy1vZi12YWx1ZSE=").unwrap();
        let open = |column: &str, sealed: Vec<u8>| {
            let sealed = secrets::Sealed::from_bytes(sealed).unwrap();
            keyring.open(&format!("certificate_stores.{column}/{id}"), &sealed).unwrap().expose_str().unwrap().to_owned()
        };
        assert_eq!(open("sealed_password", row.sealed_password.unwrap()), "geheim");
        let sealed = open("sealed_secrets", row.sealed_secrets.unwrap());
        assert_eq!(sealed, "{\"ServerPassword\":\"auch-geheim\",\"Token\":\"streng-geheim\"}");
        // Some types want it said that there is no password.
        let unsaid = with(json!({"StorePath": "WebHosting", "Password": {"SecretValue": null}}));
        let created = admin.post("/CertificateStores", unsaid).await.expect(200);
        assert_eq!(created.json["Password"]["HasValue"], false);
    }

    async fn stores_are_listed_by_every_field(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let container = admin.post("/CertificateStoreContainers", json!({"Name": "Web", "CertStoreType": 2})).await.expect(200);
        let container = container.json["Id"].as_i64().unwrap();
        let mut first = pem(agent, "/etc/B.pem");
        first["ClientMachine"] = json!("Alpha");
        first["ContainerId"] = json!(container);
        first["InventorySchedule"] = json!("I_15");
        let first = create(&admin, first).await;
        let mut second = pem(agent, "/etc/a.pem");
        second["AgentId"] = Value::Null;
        let second = create(&admin, second).await;
        for (query, wanted) in [
            (String::new(), vec![&first, &second]),
            (format!("Id -eq \"{second}\""), vec![&second]),
            ("ClientMachine -eq \"ALPHA\"".into(), vec![&first]),
            ("StorePath -eq \"/etc/b.pem\" AND ClientMachine -eq \"alpha\"".into(), vec![&first]),
            ("ContainerName -eq \"web\"".into(), vec![&first]),
            ("Container -ne \"web\"".into(), vec![&second]),
            (format!("ContainerId -eq \"{container}\""), vec![&first]),
            ("ContainerId -eq NULL".into(), vec![&second]),
            ("(Category -eq 2)".into(), vec![&first, &second]),
            ("CertStoreType -eq \"102\"".into(), vec![]),
            ("approved -eq true".into(), vec![&first, &second]),
            (format!("AgentId -eq \"{agent}\""), vec![&first]),
            ("AgentAvailable -eq true".into(), vec![&first]),
            ("AgentAvailable -eq false".into(), vec![&second]),
            ("HasInventoryScheduled -eq true".into(), vec![&first]),
            ("HasInventoryScheduled -eq false".into(), vec![&second]),
            ("AddSupported -eq true".into(), vec![&first, &second]),
            ("RemoveSupported -eq false".into(), vec![]),
            ("PrivateKeyAllowed -eq 1".into(), vec![&first, &second]),
            ("PrivateKeyAllowed -eq \"Required\"".into(), vec![]),
            ("CertificateId -eq 5".into(), vec![]),
            ("CreateIfMissing -eq false".into(), vec![&first, &second]),
        ] {
            let query = query.replace(' ', "%20").replace('"', "%22");
            let path = format!("/CertificateStores?certificateStoreQuery.queryString={query}&PerformRoleCheck=false&RoleIdList=1");
            let found = admin.get(&path).await.expect(200);
            let ids: Vec<&str> = found.items().iter().map(|store| store["Id"].as_str().unwrap()).collect();
            assert_eq!(ids, wanted, "{path}");
            assert_eq!(found.total(), Some(wanted.len() as u64));
        }
        let named = admin.get(&format!("/CertificateStores/{first}")).await.expect(200);
        assert_eq!(named.json["ContainerName"], "Web");
        let sorted = admin.get("/CertificateStores?SortField=StorePath&SortAscending=0&ReturnLimit=1").await.expect(200);
        assert_eq!(sorted.items()[0]["Id"], *second);
        let far = admin.get("/CertificateStores?certificateStoreQuery.pageReturned=9").await.expect(200);
        assert_eq!((far.items().len(), far.total()), (0, Some(2)));
        admin.get("/CertificateStores?queryString=Nonsense%20-eq%201").await.expect(400);
        admin.get("/CertificateStores?sortField=Nonsense").await.expect(400);
    }

    async fn several_stores_are_deleted_and_missing_ones_passed_over(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let one = create(&admin, pem(agent, "/1")).await;
        let two = create(&admin, pem(agent, "/2")).await;
        create(&admin, pem(agent, "/3")).await;
        admin.delete_with("/CertificateStores", json!([one, NOBODY, "nonsense", two])).await.expect(204);
        assert_eq!(admin.get("/CertificateStores").await.expect(200).total(), Some(1));
        admin.delete_with("/CertificateStores", json!({"a": 1})).await.expect(400);
    }

    async fn every_schedule_form_is_set_shown_and_taken_away(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let one = create(&admin, pem(agent, "/1")).await;
        let two = create(&admin, pem(agent, "/2")).await;
        let today = "2026-11-21";
        for (given, compact, shown) in [
            (json!({"Immediate": true}), "", json!({"Immediate": true})),
            (json!({"Interval": {"Minutes": 15}}), "I_15", json!({"Interval": {"Minutes": 15}})),
            (json!({"Daily": {"Time": "2023-01-01T23:30:00Z"}}), "D_23:30",
                json!({"Daily": {"Time": format!("{today}T23:30:00Z")}})),
            (json!({"Weekly": {"Days": ["Monday", 4], "Time": "2023-01-01T09:30:00Z"}}), "W_25_09:30",
                json!({"Weekly": {"Days": ["Monday", "Thursday"], "Time": format!("{today}T09:30:00Z")}})),
            (json!({"Monthly": {"Day": 27, "Time": "2023-01-01T08:00:00Z"}}), "M_27_08:00",
                json!({"Monthly": {"Day": 27, "Time": format!("{today}T08:00:00Z")}})),
            (json!({"ExactlyOnce": {"Time": "2030-01-02T03:04:00Z"}}), "O_2030-01-02T03:04",
                json!({"ExactlyOnce": {"Time": "2030-01-02T03:04:00Z"}})),
        ] {
            for schedule in [given, json!(compact)] {
                admin.post(SCHEDULE, json!({"StoreIds": [one, two, one], "Schedule": schedule})).await.expect(204);
                for id in [&one, &two] {
                    let store = admin.get(&format!("/CertificateStores/{id}")).await.expect(200);
                    assert_eq!(store.json["InventorySchedule"], shown, "{schedule}");
                    assert!(store.json["CertStoreInventoryJobId"].is_string());
                }
                for off in [json!({"Off": null}), json!({"Off": true}), json!("off")] {
                    admin.post(SCHEDULE, json!({"StoreIds": [one, two], "Schedule": off})).await.expect(204);
                    let store = admin.get(&format!("/CertificateStores/{one}")).await.expect(200);
                    assert_eq!(store.json["InventorySchedule"], Value::Null);
                    assert_eq!(store.json["CertStoreInventoryJobId"], Value::Null);
                }
            }
        }
        // Whatever was taken away is not in the queue any more.
        assert_eq!(tables::queue_jobs::Entity::find().count(server.app().db().read()).await.unwrap(), 0);
    }

    async fn a_schedule_for_one_bad_store_changes_none(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let good = create(&admin, pem(agent, "/1")).await;
        let mut lonely = pem(agent, "/2");
        lonely["AgentId"] = Value::Null;
        let lonely = create(&admin, lonely).await;
        let answer = admin
            .post(SCHEDULE, json!({"StoreIds": [good, NOBODY, lonely, "x"], "Schedule": {"Immediate": true}}))
            .await
            .expect(400);
        let reasons = answer.reasons();
        assert_eq!(reasons.len(), 3, "{}", answer.text);
        assert!(reasons[0].contains("StoreIds[1]") && reasons[0].contains(NOBODY), "{}", answer.text);
        assert!(reasons[1].contains("StoreIds[2]") && reasons[1].contains("no agent"), "{}", answer.text);
        assert!(reasons[2].contains("StoreIds[3]") && reasons[2].contains("not a GUID"), "{}", answer.text);
        let store = admin.get(&format!("/CertificateStores/{good}")).await.expect(200);
        assert_eq!(store.json["InventorySchedule"], Value::Null);
        for (ids, schedule) in [
            (json!([]), json!({"Immediate": true})),
            (json!(null), json!({"Immediate": true})),
            (json!([good]), json!(null)),
            (json!([good]), json!({})),
            (json!([good]), json!({"Immediate": true, "Interval": {"Minutes": 5}})),
            (json!([good]), json!({"Weekly": {"Days": ["Noday"], "Time": "2023-01-01T09:30:00Z"}})),
            (json!([good]), json!("X_5")),
        ] {
            admin.post(SCHEDULE, json!({"StoreIds": ids, "Schedule": schedule})).await.expect(400);
        }
        assert_eq!(jobs(&server).await, 0);
        // Off is for every store, whatever its agent can do.
        admin.post(SCHEDULE, json!({"StoreIds": [good, lonely], "Schedule": {"Off": {}}})).await.expect(204);
        let reader = server.account(&["/certificate_stores/read/"]).await;
        reader.post(SCHEDULE, json!({"StoreIds": [good], "Schedule": {"Immediate": true}})).await.expect(403);
        let scheduler = server.account(&["/certificate_stores/schedule/"]).await;
        scheduler.post(SCHEDULE, json!({"StoreIds": [good], "Schedule": {"Immediate": true}})).await.expect(204);
    }

    async fn fifty_stores_get_a_job_each_in_the_order_of_the_request(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let thumbprint = "AB".repeat(20);
        let certificate = certificate(&server, &thumbprint, true).await;
        let mut stores = Vec::new();
        for number in 0..50 {
            stores.push(create(&admin, pem(agent, &format!("/etc/{number}.pem"))).await);
        }
        stores.reverse();
        let targets: Vec<Value> = stores
            .iter()
            .map(|id| json!({"CertificateStoreId": id, "EntryPassword": null, "IncludePrivateKey": true, "Alias": ""}))
            .collect();
        let body = json!({
            "CertificateId": certificate, "CertificateStores": targets, "Schedule": {"Immediate": true}, "CollectionId": 0,
            "SomethingElse": {"x": 1},
        });
        let answer = admin.post(ADD, body).await.expect(200);
        let ids = answer.items().to_vec();
        assert_eq!(ids.len(), 50);
        for (id, store) in ids.iter().zip(&stores) {
            let job = job(&server, id).await;
            assert_eq!(job.store_id.map(|id| id.to_string()).as_deref(), Some(store.as_str()));
            assert_eq!((job.kind, job.operation, job.certificate_id), (2, 2, Some(certificate)));
            assert_eq!((job.alias, job.include_private_key, job.overwrite), (None, true, false));
        }
        assert_eq!(jobs(&server).await, 50);
        let targets: Vec<Value> =
            stores.iter().map(|id| json!({"CertificateStoreId": id, "Alias": thumbprint})).collect();
        let body = json!({
            "CertificateStores": targets, "Schedule": {"ExactlyOnce": {"Time": "2020-01-01T00:00:00Z"}},
            "CertificateId": 0, "Alias": "", "CollectionId": null, "ContainerId": 3,
        });
        let ids = admin.post(REMOVE, body).await.expect(200).items().to_vec();
        for (id, store) in ids.iter().zip(&stores) {
            let job = job(&server, id).await;
            assert_eq!(job.store_id.map(|id| id.to_string()).as_deref(), Some(store.as_str()));
            assert_eq!((job.kind, job.operation, job.alias.as_deref()), (2, 3, Some(thumbprint.as_str())));
        }
        // A time that has passed is now.
        let due = tables::queue_jobs::Entity::find()
            .filter(tables::queue_jobs::Column::DueAt.lte(testkit::START))
            .count(server.app().db().read())
            .await
            .unwrap();
        assert_eq!(due, 100);
    }

    async fn every_member_of_an_add_reaches_its_job(server: TestServer) {
        let admin = server.admin();
        let kind = kind(&server, "Full", json!({
            "CustomAliasAllowed": 2,
            "PasswordOptions": {"EntrySupported": true},
            "EntryParameters": [{"Name": "Region", "Type": "MultipleChoice", "Options": "eu,us", "RequiredWhen": {"OnAdd": true}}],
        })).await;
        let store = create(&admin, of_kind(kind, "/1")).await;
        let certificate = certificate(&server, &"CD".repeat(20), true).await;
        let target = json!({
            "certificateStoreId": store.to_uppercase(), "ALIAS": " mine.pfx ", "overwrite": "true", "PfxPassword": "geheim",
            "EntryPassword": {"SecretValue": "entry-geheim"}, "IncludePrivateKey": true, "JobFields": {"region": "EU"},
        });
        let both = json!([target, {"CertificateStoreId": store, "Alias": "other", "JobFields": {"Region": "us"}}]);
        let body = json!({
            "CertificateId": certificate.to_string(), "CertificateStores": both,
            "Schedule": {"ExactlyOnce": {"Time": "2030-01-02T03:04:05Z"}},
        });
        let answer = admin.post(ADD, body).await.expect(200);
        let first = job(&server, &answer.items()[0]).await;
        assert_eq!(first.alias.as_deref(), Some("mine.pfx"));
        assert_eq!(first.schedule.as_deref(), Some("O_2030-01-02T03:04:05"));
        assert_eq!(first.fields, "{\"Region\":\"EU\"}");
        assert!(first.overwrite && first.include_private_key && first.sealed_secrets.is_some());
        let second = job(&server, &answer.items()[1]).await;
        assert!(!second.overwrite && !second.include_private_key && second.sealed_secrets.is_none());
    }

    async fn an_add_with_one_bad_target_makes_nothing(server: TestServer) {
        let admin = server.admin();
        let good_agent = pem_agent(&server).await;
        let thumbprint = "EF".repeat(20);
        let with_key = certificate(&server, &thumbprint, true).await;
        let without_key = certificate(&server, &"01".repeat(20), false).await;
        let good = create(&admin, pem(good_agent, "/good")).await;
        let body = json!({"CertificateId": with_key, "Schedule": {"Immediate": true}});
        let target = |id: &str| json!({"CertificateStoreId": id});
        let check = async |bad: Value, words: &str| {
            refused(&server, ADD, body.clone(), target(&good), bad, words).await;
        };

        check(target(NOBODY), "no such certificate store").await;
        check(target("nonsense"), "not a GUID").await;
        check(json!({"Alias": "x"}), "CertificateStoreId: a value is required").await;
        let mut lonely = pem(good_agent, "/lonely");
        lonely["AgentId"] = Value::Null;
        check(target(&create(&admin, lonely).await), "no agent").await;
        check(target(&good), "the same store and alias stand at CertificateStores[0]").await;
        check(json!({"CertificateStoreId": create(&admin, pem(good_agent, "/a")).await, "Alias": "mine"}), "name their entries themselves").await;
        check(json!({"CertificateStoreId": create(&admin, pem(good_agent, "/b")).await, "EntryPassword": {"SecretValue": "x"}}), "EntryPassword").await;
        check(json!({"CertificateStoreId": create(&admin, pem(good_agent, "/c")).await, "JobFields": {"Region": "x"}}), "JobFields.Region: its type has no such").await;
        check(json!({"CertificateStoreId": create(&admin, pem(good_agent, "/e")).await, "EntryPassword": {"Provider": 4}}), "no secret providers").await;

        let unapproved = create(&admin, pem(good_agent, "/unapproved")).await;
        let changed = tables::certificate_stores::ActiveModel {
            approved: ActiveValue::Set(false),
            ..Default::default()
        };
        let id = Uuid::parse_str(&unapproved).unwrap();
        server.app().db().write("test.update", move |tx| Box::pin(async move {
            tables::certificate_stores::Entity::update_many()
                .set(changed)
                .filter(tables::certificate_stores::Column::Id.eq(id))
                .exec(tx)
                .await
                .map_err(db::Error::from)?;
            Ok::<_, db::Error>(())
        })).await.unwrap();
        check(target(&unapproved), "not approved").await;

        let reader = agent(&server, "reader", &["PEM.Inventory"]).await;
        check(target(&create(&admin, pem(reader, "/reader")).await), "CertStores.PEM.Management").await;

        let no_key = kind(&server, "NoKey", json!({"PrivateKeyAllowed": "Forbidden"})).await;
        let no_key = create(&admin, of_kind(no_key, "/1")).await;
        check(json!({"CertificateStoreId": no_key, "IncludePrivateKey": true}), "do not take private keys").await;
        let key = kind(&server, "Key", json!({"PrivateKeyAllowed": 2, "CustomAliasAllowed": "Required"})).await;
        let key = create(&admin, of_kind(key, "/1")).await;
        check(json!({"CertificateStoreId": key, "Alias": "a"}), "require the private key").await;
        check(json!({"CertificateStoreId": key, "IncludePrivateKey": true, "Alias": " "}), "Alias: stores of type Key require one").await;
        let only_read = kind(&server, "Read", json!({"SupportedOperations": {}})).await;
        check(target(&create(&admin, of_kind(only_read, "/1")).await), "cannot be added to stores of type Read").await;
        let fields = kind(&server, "Fields", json!({"EntryParameters": [
            {"Name": "Always", "Type": "string", "RequiredWhen": {"OnAdd": true}},
            {"Name": "WithKey", "Type": 0, "RequiredWhen": {"HasPrivateKey": true}},
            {"Name": "Choice", "Type": "MultipleChoice", "Options": "a,b"},
            {"Name": "Flag", "Type": "Bool"},
            {"Name": "Below", "Type": "String", "DependsOn": "Flag", "RequiredWhen": {"OnAdd": true}},
        ]})).await;
        let fields = create(&admin, of_kind(fields, "/1")).await;
        let with = |fields_given: Value| json!({"CertificateStoreId": fields, "JobFields": fields_given});
        check(with(json!({})), "JobFields.Always: a value is required").await;
        check(with(json!({"Always": " "})), "JobFields.Always: a value is required").await;
        check(with(json!({"Always": "x", "Choice": "c"})), "JobFields.Choice: \"c\" is none of a, b").await;
        check(with(json!({"Always": "x", "Flag": "perhaps"})), "JobFields.Flag").await;
        check(with(json!({"Always": "x", "Flag": true})), "JobFields.Below: a value is required").await;
        check(with(json!({"Always": ["x"]})), "JobFields.Always").await;
        let mut keyed = with(json!({"Always": "x"}));
        keyed["IncludePrivateKey"] = json!(true);
        check(keyed, "JobFields.WithKey: a value is required").await;

        // Everything that is wrong with a target is said at once, and of every bad target.
        let three = json!({"CertificateId": without_key, "Schedule": {"Immediate": true}, "CertificateStores": [
            {"CertificateStoreId": good, "IncludePrivateKey": true, "Alias": "x"}, target(NOBODY), with(json!({"Always": "x"})),
        ]});
        let answer = admin.post(ADD, three).await.expect(400);
        let reasons = answer.reasons();
        assert_eq!(reasons.len(), 2, "{}", answer.text);
        assert!(reasons[0].contains("Alias:") && reasons[0].contains("no stored private key"), "{}", answer.text);
        assert!(reasons[1].contains(NOBODY), "{}", answer.text);

        // The thumbprint is what the store would call it anyway.
        let named = json!({"CertificateStoreId": good, "Alias": thumbprint.to_lowercase()});
        admin.post(ADD, json!({"CertificateId": with_key, "Schedule": {"Immediate": true}, "CertificateStores": [named]})).await.expect(200);
        assert_eq!(jobs(&server).await, 1);
    }

    async fn a_request_that_is_wrong_as_a_whole_makes_nothing(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let id = certificate(&server, &"23".repeat(20), true).await;
        let store = create(&admin, pem(agent, "/1")).await;
        let good = json!({
            "CertificateId": id, "CertificateStores": [{"CertificateStoreId": store, "Alias": "x"}], "Schedule": {"Immediate": true},
        });
        for (change, words) in [
            (json!({"Schedule": null}), "Schedule: Immediate or ExactlyOnce is required"),
            (json!({"Schedule": {}}), "Schedule: Immediate or ExactlyOnce is required"),
            (json!({"Schedule": {"Immediate": false}}), "Schedule: Immediate or ExactlyOnce is required"),
            (json!({"Schedule": {"Immediate": true, "ExactlyOnce": {"Time": "2030-01-01T00:00:00Z"}}}), "only one of"),
            (json!({"Schedule": {"Interval": {"Minutes": 5}}}), "only Immediate and ExactlyOnce"),
            (json!({"Schedule": {"Daily": {"Time": "2030-01-01T00:00:00Z"}}}), "only Immediate and ExactlyOnce"),
            (json!({"Schedule": {"Weekly": {"Days": [1], "Time": "2030-01-01T00:00:00Z"}}}), "only Immediate and ExactlyOnce"),
            (json!({"Schedule": {"Monthly": {"Day": 1, "Time": "2030-01-01T00:00:00Z"}}}), "only Immediate and ExactlyOnce"),
            (json!({"Schedule": {"Off": true}}), "only Immediate and ExactlyOnce"),
            (json!({"Schedule": {"ExactlyOnce": {"Time": "soon"}}}), "Schedule.ExactlyOnce.Time"),
            (json!({"CertificateStores": []}), "at least one"),
            (json!({"CertificateStores": null}), "at least one"),
            (json!({"CertificateStores": vec![json!({"CertificateStoreId": store, "Alias": "x"}); 10_001]}), "10000 are possible"),
        ] {
            let mut body = good.clone();
            for (name, value) in change.as_object().unwrap() {
                body[name] = value.clone();
            }
            for path in [ADD, REMOVE] {
                let answer = admin.post(path, &body).await.expect(400);
                assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
            }
        }
        for (value, words) in [(json!(null), "CertificateId: a value"), (json!(987), "no certificate 987"), (json!("x"), "CertificateId")] {
            let mut body = good.clone();
            body["CertificateId"] = value;
            let answer = admin.post(ADD, &body).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        admin.post(ADD, json!(null)).await.expect(400);
        admin.post(ADD, json!({"CertificateStores": "x"})).await.expect(400);
        assert_eq!(jobs(&server).await, 0);
    }

    async fn a_remove_with_one_bad_target_makes_nothing(server: TestServer) {
        let admin = server.admin();
        let pem_agent = pem_agent(&server).await;
        let good = create(&admin, pem(pem_agent, "/good")).await;
        let body = json!({"Schedule": {"Immediate": true}});
        let target = |id: &str, alias: &str| json!({"CertificateStoreId": id, "Alias": alias});
        let check = async |bad: Value, words: &str| {
            refused(&server, REMOVE, body.clone(), target(&good, "one"), bad, words).await;
        };
        check(target(NOBODY, "x"), "no such certificate store").await;
        check(target(&good, " "), "Alias: a value is required").await;
        check(target(&good, " ONE"), "the same store and alias stand at CertificateStores[0]").await;
        let reader = agent(&server, "reader", &["PEM.Inventory"]).await;
        check(target(&create(&admin, pem(reader, "/reader")).await, "x"), "CertStores.PEM.Management").await;
        let kind = kind(&server, "Fields", json!({"EntryParameters": [
            {"Name": "Site", "Type": "String", "RequiredWhen": {"OnRemove": true, "OnAdd": false}},
        ]})).await;
        let fields = create(&admin, of_kind(kind, "/1")).await;
        check(target(&fields, "x"), "JobFields.Site: a value is required").await;
        let mut with = target(&fields, "x");
        with["JobFields"] = json!({"Site": "s", "Other": 1});
        check(with.clone(), "JobFields.Other").await;
        with["JobFields"] = json!({"Site": "s"});
        // The same alias in two stores, and two aliases in one.
        let targets = json!([target(&good, "one"), with, target(&good, "two")]);
        let answer = admin.post(REMOVE, json!({"Schedule": "", "CertificateStores": targets})).await.expect(200);
        assert_eq!(answer.items().len(), 3);
        assert_eq!(jobs(&server).await, 3);
    }

    async fn add_and_remove_need_both_permissions(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let store = create(&admin, pem(agent, "/1")).await;
        let certificate = certificate(&server, &"45".repeat(20), true).await;
        let body = json!({
            "CertificateId": certificate, "CertificateStores": [{"CertificateStoreId": store, "Alias": "45".repeat(20)}],
            "Schedule": {"Immediate": true},
        });
        let (read, schedule) = ("/certificates/collections/read/", "/certificate_stores/schedule/");
        for too_little in [vec![], vec![read], vec![schedule]] {
            let client = server.account(&too_little).await;
            client.post(ADD, &body).await.expect(403);
            client.post(REMOVE, &body).await.expect(403);
        }
        assert_eq!(jobs(&server).await, 0);
        let enough = server.account(&[read, schedule]).await;
        enough.post(ADD, &body).await.expect(200);
        enough.post(REMOVE, &body).await.expect(200);
        let reader = server.account(&["/certificate_stores/read/"]).await;
        reader.get("/CertificateStores").await.expect(200);
        reader.get(&format!("/CertificateStores/{store}/Inventory")).await.expect(200);
        reader.post("/CertificateStores", pem(agent, "/2")).await.expect(403);
        reader.put("/CertificateStores", json!({"Id": store})).await.expect(403);
        reader.delete(&format!("/CertificateStores/{store}")).await.expect(403);
        reader.delete_with("/CertificateStores", json!([store])).await.expect(403);
        let nobody = server.account(&[]).await;
        nobody.get("/CertificateStores").await.expect(403);
        nobody.get(&format!("/CertificateStores/{store}")).await.expect(403);
        nobody.get(&format!("/CertificateStores/{store}/Inventory")).await.expect(403);
    }

    async fn a_store_that_is_missing_is_made_first(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let mut store = pem(agent, "/1");
        store["CreateIfMissing"] = json!(true);
        create(&admin, store).await;
        let rows = tables::orchestrator_jobs::Entity::find().all(server.app().db().read()).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].kind, rows[0].operation), (2, 4));
    }

    async fn a_store_that_changes_its_agent_takes_its_jobs_back(server: TestServer) {
        let admin = server.admin();
        let first = pem_agent(&server).await;
        let second = agent(&server, "agent2", &["PEM.Inventory", "PEM.Management"]).await;
        let mut store = pem(first, "/1");
        store["InventorySchedule"] = json!({"Daily": {"Time": "2023-01-01T03:00:00Z"}});
        let id = create(&admin, store.clone()).await;
        store["Id"] = json!(id);
        store["AgentId"] = json!(second);
        let put = admin.put("/CertificateStores", &store).await.expect(200);
        assert_eq!(put.json["AgentId"], json!(second));
        let queued = tables::queue_jobs::Entity::find().all(server.app().db().read()).await.unwrap();
        assert_eq!(queued.len(), 1);
        assert_eq!(queued[0].queue, format!("agent:{second}"));
        // The same again changes nothing.
        let again = admin.put("/CertificateStores", &store).await.expect(200);
        assert_eq!(again.json["CertStoreInventoryJobId"], put.json["CertStoreInventoryJobId"]);
        // Left out means cleared.
        store["InventorySchedule"] = Value::Null;
        let put = admin.put("/CertificateStores", &store).await.expect(200);
        assert_eq!(put.json["InventorySchedule"], Value::Null);
        assert_eq!(tables::queue_jobs::Entity::find().count(server.app().db().read()).await.unwrap(), 0);
    }

    async fn the_inventory_is_paged_by_alias(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let id = create(&admin, pem(agent, "/1")).await;
        let leaf = certificate(&server, &"67".repeat(20), false).await;
        let issuer = certificate(&server, &"89".repeat(20), false).await;
        let store_id = Uuid::parse_str(&id).unwrap();
        for (entry, alias, chain) in [(1, "b", vec![leaf, issuer]), (2, "A", vec![leaf]), (3, "c", vec![])] {
            insert::<tables::store_entries::Entity>(&server, tables::store_entries::ActiveModel {
                id: ActiveValue::Set(entry),
                store_id: ActiveValue::Set(store_id),
                alias: ActiveValue::Set(alias.into()),
                alias_fold: ActiveValue::Set(db::fold(alias)),
                private_key: ActiveValue::Set(false),
                parameters: ActiveValue::Set("{\"Region\":\"eu\"}".into()),
            }).await;
            for (level, certificate) in (0..).zip(chain) {
                insert::<tables::store_entry_certificates::Entity>(&server, tables::store_entry_certificates::ActiveModel {
                    since: ActiveValue::Set(None),
                    entry_id: ActiveValue::Set(entry),
                    chain_level: ActiveValue::Set(level),
                    certificate_id: ActiveValue::Set(certificate),
                    store_id: ActiveValue::Set(store_id),
                }).await;
            }
        }
        let path = format!("/CertificateStores/{id}/Inventory");
        let all = admin.get(&path).await.expect(200);
        let names: Vec<&Value> = all.items().iter().map(|entry| &entry["Name"]).collect();
        assert_eq!(names, ["A", "b", "c"]);
        assert_eq!(all.items()[1]["CertStoreId"], json!(id));
        assert_eq!(all.items()[1]["Parameters"], json!({"Region": "eu"}));
        let chain = all.items()[1]["Certificates"].as_array().unwrap();
        assert_eq!(chain.len(), 2);
        assert_eq!((&chain[0]["Id"], &chain[1]["Id"]), (&json!(leaf), &json!(issuer)));
        assert_eq!((&chain[0]["CertStoreInventoryItemId"], &chain[0]["Metadata"]), (&json!(1), &json!({})));
        assert_eq!(chain[0]["Thumbprint"], "67".repeat(20));
        let page = admin.get(&format!("{path}?query.pageReturned=2&query.returnLimit=2")).await.expect(200);
        assert_eq!((page.items().len(), page.total()), (1, Some(3)));
        let past = admin.get(&format!("{path}?query.pageReturned=3&query.returnLimit=2")).await.expect(200);
        assert_eq!((past.items().len(), past.total()), (0, Some(3)));
        let down = admin.get(&format!("{path}?sortField=Name&sortAscending=1")).await.expect(200);
        assert_eq!(down.items()[0]["Name"], "c");
        admin.get(&format!("/CertificateStores/{NOBODY}/Inventory")).await.expect(404);
        let holding = admin.get(&format!("/CertificateStores?queryString=CertificateId%20-eq%20{issuer}")).await.expect(200);
        assert_eq!(holding.total(), Some(1));
        // A removal knows which certificate the entry holds.
        let body = json!({"CertificateStores": [{"CertificateStoreId": id, "Alias": "B"}], "Schedule": {"Immediate": true}});
        let removal = admin.post(REMOVE, body).await.expect(200);
        assert_eq!(job(&server, &removal.items()[0]).await.certificate_id, Some(leaf));
        // The inventory goes with its store.
        admin.delete(&format!("/CertificateStores/{id}")).await.expect(204);
        let left = tables::store_entry_certificates::Entity::find().count(server.app().db().read()).await.unwrap();
        assert_eq!(left + tables::store_entries::Entity::find().count(server.app().db().read()).await.unwrap(), 0);
    }

    async fn an_enrollment_can_go_into_stores_at_once(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let store = create(&admin, pem(agent, "/1")).await;
        let order = |change: Value| {
            let mut order = json!({
                "Subject": "CN=a.example", "Template": "WebServer", "Password": "correct horse", "Timestamp": "2026-11-21T12:00:00Z",
                "Stores": [{"StoreId": store, "Overwrite": true}],
            });
            for (name, value) in change.as_object().unwrap() {
                order[name] = value.clone();
            }
            order
        };
        let enroll = async |client: &Client, order: Value| {
            let request = client.request("POST", "/Enrollment/PFX").header("x-keyfactor-api-version", "2");
            request.header("x-certificateformat", "STORE").json(order).send().await
        };
        let answer = enroll(&admin, order(json!({}))).await.expect(200);
        assert_eq!(answer.json["SuccessfulStores"], json!([store]));
        let first = answer.json["CertificateInformation"]["KeyfactorId"].as_i64().unwrap();
        let rows = tables::orchestrator_jobs::Entity::find().all(server.app().db().read()).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].certificate_id, rows[0].overwrite, rows[0].include_private_key), (Some(first), true, true));

        // A bad store stops the enrollment before anything is issued.
        let before = admin.get("/Certificates").await.expect(200).total();
        let bad = order(json!({"Stores": [{"StoreId": store}, {"StoreId": NOBODY}]}));
        let refused = enroll(&admin, bad).await.expect(400);
        assert!(refused.reasons()[0].contains(NOBODY), "{}", refused.text);
        let existing = json!({"InstallIntoExistingCertificateStores": true, "Stores": []});
        enroll(&admin, order(existing.clone())).await.expect(400);
        let enroller = server.account(&["/certificates/enrollment/pfx/"]).await;
        enroll(&enroller, order(json!({}))).await.expect(403);
        assert_eq!(admin.get("/Certificates").await.expect(200).total(), before);
        assert_eq!(jobs(&server).await, 1);

        // Its successor goes to where the last inventory found it.
        insert::<tables::store_entries::Entity>(&server, tables::store_entries::ActiveModel {
            id: ActiveValue::Set(1),
            store_id: ActiveValue::Set(Uuid::parse_str(&store).unwrap()),
            alias: ActiveValue::Set("OLD".into()),
            alias_fold: ActiveValue::Set("old".into()),
            private_key: ActiveValue::Set(true),
            parameters: ActiveValue::Set("{}".into()),
        }).await;
        insert::<tables::store_entry_certificates::Entity>(&server, tables::store_entry_certificates::ActiveModel {
            since: ActiveValue::Set(None),
            entry_id: ActiveValue::Set(1),
            chain_level: ActiveValue::Set(0),
            certificate_id: ActiveValue::Set(first),
            store_id: ActiveValue::Set(Uuid::parse_str(&store).unwrap()),
        }).await;
        let mut renewal = order(existing);
        renewal["RenewalCertificateId"] = json!(first);
        let answer = enroll(&admin, renewal).await.expect(200);
        assert_eq!(answer.json["SuccessfulStores"], json!([store]));
        assert_eq!(jobs(&server).await, 2);
    }

    async fn an_agent_s_inventory_is_what_the_store_holds(server: TestServer) {
        let admin = server.admin();
        let mut agent = server.agent("agent1").await;
        let other = server.agent("agent2").await;
        let certificate = |of: &TestAgent| STANDARD.encode(of.certificate.as_ref().unwrap());
        let (one, two) = (certificate(&agent), certificate(&other));
        let id = create(&admin, pem(agent.id(), "/1")).await;
        let inventory = async || admin.get(&format!("/CertificateStores/{id}/Inventory")).await.expect(200);
        let item = |alias: &str, status: i32, certificates: Value| -> InventoryItem {
            let item = json!({"Alias": alias, "ItemStatus": status, "Certificates": certificates, "PrivateKeyEntry": true,
                "Parameters": {"Region": "eu"}});
            serde_json::from_value(item).unwrap()
        };
        let mut before: Vec<Value> = Vec::new();
        for (items, wanted) in [
            // An alias that is reported twice counts once.
            (vec![item("a", 1, json!([one, two])), item("B", 1, json!([two])), item("A", 1, json!([two]))], vec![("a", 2), ("B", 1)]),
            // Unchanged entries come without their certificates.
            (vec![item("a", 4, json!([])), item("b", 4, json!([]))], vec![("a", 2), ("B", 1)]),
            (vec![item("a", 2, json!([two])), item("b", 4, json!([]))], vec![("a", 1), ("B", 1)]),
            (vec![item("a", 4, json!([])), item("b", 3, json!([])), item("c", 4, json!([one]))], vec![("a", 1), ("c", 1)]),
            // What is not mentioned is gone.
            (vec![item("c", 4, json!([]))], vec![("c", 1)]),
            (vec![], vec![]),
        ] {
            admin.post(SCHEDULE, json!({"StoreIds": [id], "Schedule": {"Immediate": true}})).await.expect(204);
            let mut items = Some(items);
            let done = agent.run_all(|_, _| Outcome::Inventory(items.take().unwrap_or_default())).await;
            assert_eq!(done, 1);
            let found = inventory().await;
            let shown: Vec<(&str, usize)> = found
                .items()
                .iter()
                .map(|entry| (entry["Name"].as_str().unwrap(), entry["Certificates"].as_array().unwrap().len()))
                .collect();
            assert_eq!(shown, wanted);
            // An entry that stays keeps its identity.
            for entry in found.items() {
                let same = before.iter().find(|old| old["Name"] == entry["Name"]);
                let item_id = |entry: &Value| entry["Certificates"][0]["CertStoreInventoryItemId"].clone();
                assert!(same.is_none_or(|old| item_id(old) == item_id(entry)));
                assert_eq!(entry["Parameters"], json!({"Region": "eu"}));
            }
            before = found.items().to_vec();
            // What is done once leaves no schedule.
            let store = admin.get(&format!("/CertificateStores/{id}")).await.expect(200);
            assert_eq!(store.json["InventorySchedule"], Value::Null);
            assert_eq!(store.json["CertStoreInventoryJobId"], Value::Null);
        }
    }
}
