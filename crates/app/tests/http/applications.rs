//! `/Applications`, `/CertificateStores/AssignContainer` and `/Security/Containers/{id}/Roles`; and containers as scopes of rights.

use serde_json::{Value, json};
use testkit::{Client, TestServer};

use crate::certificate_stores::pem_agent;
use crate::scoped_stores::{container, store};

const PATH: &str = "/Applications";
const CONTAINERS: &str = "/CertificateStoreContainers";
const ASSIGN: &str = "/CertificateStores/AssignContainer";

async fn schedule_of(client: &Client, store: &str) -> Value {
    let store = client.get(&format!("/CertificateStores/{store}")).await;
    store.expect(200).json["InventorySchedule"].clone()
}

testkit::both_databases! {
    async fn an_application_is_created_read_replaced_and_deleted(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let (one, two) = (store(&server, agent, "/1", 0).await, store(&server, agent, "/2", 0).await);
        let made = admin.post(PATH, json!({
            "Name": "Shop", "OverwriteSchedules": true, "Schedule": {"Weekly": {"Days": ["Monday", 4], "Time": "2026-01-01T02:00:00Z"}},
            "CertificateStores": [{"Id": one}],
        })).await.expect(200);
        let id = made.json["Id"].as_i64().unwrap();
        let weekly = json!({"Weekly": {"Days": ["Monday", "Thursday"], "Time": "2026-11-21T02:00:00Z"}});
        assert_eq!((&made.json["Schedule"], &made.json["CertStoreType"]), (&weekly, &json!(-1)));
        let member = &made.json["CertificateStores"][0];
        assert_eq!((&member["Id"], &member["ApplicationId"], &member["ApplicationName"]), (&json!(one), &json!(id), &json!("Shop")));
        assert_eq!(schedule_of(&admin, &one).await, weekly);
        let listed = admin.get(&format!("{PATH}?queryString=Name%20-eq%20%22shop%22")).await.expect(200);
        assert_eq!(listed.json, json!([{"Id": id, "Name": "Shop", "OverwriteSchedules": true, "Schedule": "W_25_02:00", "StoreCount": 1}]));
        assert_eq!(admin.get(&format!("{PATH}/{id}")).await.expect(200).json["Schedule"], weekly);

        // Who is not named stays.
        let put = admin.put(PATH, json!({"Id": id, "Name": "Shop 2", "OverwriteSchedules": false, "CertificateStores": [two]})).await.expect(200);
        assert_eq!((put.json["CertificateStores"].as_array().unwrap().len(), &put.json["Schedule"]), (2, &Value::Null));
        assert_eq!(schedule_of(&admin, &one).await, weekly, "without overwriting, a store keeps its own");
        admin.put(PATH, json!({"Id": id, "Name": "Shop 2", "CertificateStores": []})).await.expect(200);
        assert_eq!(admin.get(PATH).await.expect(200).items()[0]["StoreCount"], 2);
        admin.delete(&format!("{PATH}/{id}")).await.expect(204);
        admin.get(&format!("{PATH}/{id}")).await.expect(404);
        admin.delete(&format!("{PATH}/{id}")).await.expect(404);
        admin.put(PATH, json!({"Id": id, "Name": "Shop"})).await.expect(404);
        assert_eq!(admin.get(&format!("/CertificateStores/{one}")).await.expect(200).json["ContainerId"], Value::Null);
    }

    async fn what_runs_once_is_cleared_after_it(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let one = store(&server, agent, "/1", 0).await;
        let made = admin.post(PATH, json!({"Name": "Shop", "OverwriteSchedules": true, "CertificateStores": [{"Id": one}], "Schedule": {"Immediate": true}})).await.expect(200);
        let id = made.json["Id"].clone();
        assert_eq!(made.json["Schedule"], json!({"Immediate": true}));
        assert_eq!(schedule_of(&admin, &one).await, json!({"Immediate": true}));
        assert_eq!(admin.get(&format!("{PATH}/{id}")).await.expect(200).json["Schedule"], Value::Null);
        // Again is again.
        let once = json!({"ExactlyOnce": {"Time": "2026-11-21T13:00:00Z"}});
        let change = |schedule: &Value| json!({"Id": id, "Name": "Shop", "OverwriteSchedules": true, "Schedule": schedule});
        admin.put(PATH, change(&json!({"Immediate": true}))).await.expect(200);
        admin.put(PATH, change(&once)).await.expect(200);
        assert_eq!(schedule_of(&admin, &one).await, once);
        assert_eq!(admin.get(&format!("{PATH}/{id}")).await.expect(200).json["Schedule"], once);
        server.clock.advance(61 * 60 * 1_000);
        assert_eq!(admin.get(&format!("{PATH}/{id}")).await.expect(200).json["Schedule"], Value::Null);
        assert_eq!(admin.get(CONTAINERS).await.expect(200).items()[0]["Schedule"], Value::Null);
        let two = store(&server, agent, "/2", id.as_i64().unwrap()).await;
        assert_eq!(schedule_of(&admin, &two).await, Value::Null, "what is over is no default");
    }

    async fn mistakes_of_an_application_are_named(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let one = store(&server, agent, "/1", 0).await;
        admin.post(PATH, json!({"Name": "Taken"})).await.expect(200);
        for (wanted, words) in [
            (json!({"Name": " "}), "Name: a value"),
            (json!({"Name": "TAKEN"}), "already exists"),
            (json!({"Name": "A", "Schedule": {"Interval": {"Minutes": 0}}}), "Schedule.Interval"),
            (json!({"Name": "A", "CertificateStores": [{"Id": one}, {}]}), "CertificateStores[1]: a value"),
            (json!({"Name": "A", "CertificateStores": ["x"]}), "CertificateStores[0]: \"x\" is not a GUID"),
        ] {
            let answer = admin.post(PATH, wanted).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        let unknown = "00000000-0000-4000-8000-00000000beef";
        let answer = admin.post(PATH, json!({"Name": "A", "CertificateStores": [{"Id": one}, {"Id": unknown}]})).await.expect(400);
        assert!(answer.reasons()[0].contains(unknown), "{}", answer.text);
        assert_eq!(admin.get(PATH).await.expect(200).total(), Some(1), "nothing was created");
        assert_eq!(admin.get(&format!("/CertificateStores/{one}")).await.expect(200).json["ContainerId"], Value::Null);
        admin.get(&format!("{PATH}?queryString=Nonsense%20-eq%201")).await.expect(400);
        admin.put(PATH, json!({"Name": "A"})).await.expect(400);
    }

    async fn stores_are_put_into_containers(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let (one, two) = (store(&server, agent, "/1", 0).await, store(&server, agent, "/2", 0).await);
        let made = admin.post(CONTAINERS, json!({"Name": "Web", "CertStoreType": 2, "OverwriteSchedules": true, "Schedule": "I_60"})).await.expect(200);
        let id = made.json["Id"].as_i64().unwrap();
        let answer = admin.put(ASSIGN, json!({"KeystoreIds": [one, two], "CertStoreContainerId": id})).await.expect(200);
        assert_eq!(answer.items().len(), 2);
        assert_eq!((&answer.items()[0]["ContainerName"], &answer.items()[1]["ContainerId"]), (&json!("Web"), &json!(id)));
        assert_eq!(schedule_of(&admin, &one).await, json!({"Interval": {"Minutes": 60}}));
        let answer = admin.put(ASSIGN, json!({"KeystoreIds": [two], "NewContainerName": "New", "NewContainerType": 2})).await.expect(200);
        assert_eq!(answer.items()[0]["ContainerName"], "New");
        assert_eq!(schedule_of(&admin, &two).await, json!({"Interval": {"Minutes": 60}}), "the new one has no schedule");
        for (wanted, words) in [
            (json!({"KeystoreIds": [], "CertStoreContainerId": id}), "KeystoreIds"),
            (json!({"KeystoreIds": ["x"], "CertStoreContainerId": id}), "KeystoreIds[0]"),
            (json!({"KeystoreIds": [one]}), "either"),
            (json!({"KeystoreIds": [one], "CertStoreContainerId": id, "NewContainerName": "Both"}), "either"),
            (json!({"KeystoreIds": [one], "CertStoreContainerId": 99}), "no container 99"),
            (json!({"KeystoreIds": [one], "NewContainerName": "web"}), "already exists"),
        ] {
            let answer = admin.put(ASSIGN, wanted).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        let other = admin.post("/CertificateStoreTypes", json!({"Name": "A", "ShortName": "A"})).await.expect(200);
        let typed = admin.post(CONTAINERS, json!({"Name": "Typed", "CertStoreType": other.json["StoreType"]})).await.expect(200);
        let answer = admin.put(ASSIGN, json!({"KeystoreIds": [one], "CertStoreContainerId": typed.json["Id"]})).await.expect(400);
        assert!(answer.reasons()[0].contains("another type"), "{}", answer.text);
    }

    async fn containers_are_reached_by_their_grants(server: TestServer) {
        let agent = pem_agent(&server).await;
        let (first, second) = (container(&server, "First").await, container(&server, "Second").await);
        let mine = store(&server, agent, "/1", first).await;
        let others = store(&server, agent, "/2", second).await;
        let loose = store(&server, agent, "/3", 0).await;
        let reader = server.account(&[&format!("/certificate_stores/read/{first}/")]).await;
        let modifier = server.account(&[&format!("/certificate_stores/modify/{first}/")]).await;
        for path in [CONTAINERS, PATH] {
            for client in [&reader, &modifier] {
                let listed = client.get(path).await.expect(200);
                assert_eq!((listed.total(), listed.items().len(), &listed.items()[0]["Name"]), (Some(1), 1, &json!("First")), "{path}");
                client.get(&format!("{path}/{first}")).await.expect(200);
                client.get(&format!("{path}/{second}")).await.expect(403);
                client.get(&format!("{path}/99")).await.expect(403);
                client.post(path, json!({"Name": "Another"})).await.expect(403);
                client.put(path, json!({"Id": second, "Name": "Taken"})).await.expect(403);
                client.put(path, json!({"Id": 99, "Name": "Taken"})).await.expect(403);
                client.delete(&format!("{path}/{second}")).await.expect(403);
                client.delete(&format!("{path}/99")).await.expect(403);
            }
            reader.put(path, json!({"Id": first, "Name": "Taken"})).await.expect(403);
            reader.delete(&format!("{path}/{first}")).await.expect(403);
            modifier.put(path, json!({"Id": first, "Name": "First"})).await.expect(200);
        }
        // Stores are pulled neither out of another container nor out of none.
        for store in [&others, &loose] {
            let refused = modifier.put(ASSIGN, json!({"KeystoreIds": [mine, store], "CertStoreContainerId": first})).await.expect(403);
            assert!(refused.message().contains(store.as_str()), "{}", refused.text);
            modifier.put(PATH, json!({"Id": first, "Name": "First", "CertificateStores": [{"Id": store}]})).await.expect(403);
        }
        modifier.put(ASSIGN, json!({"KeystoreIds": [mine], "CertStoreContainerId": second})).await.expect(403);
        modifier.put(ASSIGN, json!({"KeystoreIds": [mine], "NewContainerName": "Mine"})).await.expect(403);
        assert_eq!(server.admin().get(&format!("/CertificateStores/{others}")).await.expect(200).json["ContainerId"], second);
        modifier.delete(&format!("{PATH}/{first}")).await.expect(204);
        // The grants went with it.
        modifier.get(PATH).await.expect(403);
        reader.get("/CertificateStores").await.expect(403);
    }

    async fn permissions_on_a_container_are_set_from_its_side(server: TestServer) {
        let admin = server.admin();
        let id = container(&server, "Web").await;
        let role = server.role("Operators", &[]).await;
        let operator = server.account_in_role("operator", "Operators").await;
        let path = format!("/Security/Containers/{id}/Roles");
        assert_eq!(admin.get(&path).await.expect(200).json, json!([]));
        operator.get(CONTAINERS).await.expect(403);
        let grant = |permissions: Value| json!([{ "SecurityRoleId": role, "Name": "whatever", "Permissions": permissions }]);
        let set = admin.post(&path, grant(json!(["Schedule", "/certificate_stores/read/"]))).await.expect(200);
        assert_eq!(set.json, json!([{ "SecurityRoleId": role, "Name": "Operators", "Permissions": ["Read", "Schedule"] }]));
        assert_eq!(admin.get(&path).await.expect(200).json, set.json);
        operator.get(&format!("{CONTAINERS}/{id}")).await.expect(200);
        operator.delete(&format!("{CONTAINERS}/{id}")).await.expect(403);
        assert_eq!(admin.post(&path, grant(json!(["CertificateStoreManagement:Modify"]))).await.expect(200).items()[0]["Permissions"], json!(["Modify"]));
        operator.put(CONTAINERS, json!({"Id": id, "Name": "Web"})).await.expect(200);
        assert_eq!(admin.post(&path, grant(json!([]))).await.expect(200).json, json!([]));
        operator.get(CONTAINERS).await.expect(403);
        let answer = admin.post(&path, grant(json!(["EditEverything"]))).await.expect(400);
        assert!(answer.message().contains("none of Read, Schedule, Modify"), "{}", answer.text);
        admin.get("/Security/Containers/99/Roles").await.expect(404);
        admin.post("/Security/Containers/99/Roles", grant(json!([]))).await.expect(404);
        operator.get(&path).await.expect(403);
        operator.post(&path, grant(json!(["Read"]))).await.expect(403);
    }

    async fn pages_of_the_readable_stores_are_whole_and_in_order(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let containers = [container(&server, "1").await, container(&server, "2").await, container(&server, "3").await];
        for number in 0..12 {
            let in_it = if number % 4 == 3 { 0 } else { containers[number % 4] };
            let mut wanted = crate::certificate_stores::pem(agent, &format!("/{number}"));
            wanted["ContainerId"] = json!(in_it);
            wanted["ClientMachine"] = json!(format!("web{:02}", 50 - number));
            crate::certificate_stores::create(&admin, wanted).await;
        }
        let rights = [0, 2].map(|index| format!("/certificate_stores/read/{}/", containers[index]));
        let reader = server.account(&[&rights[0], &rights[1]]).await;
        let all = admin.get("/CertificateStores").await.expect(200);
        let readable = |all: &testkit::Answer| {
            let wanted = all.items().iter().filter(|store| [0, 2].iter().any(|index| store["ContainerId"] == json!(containers[*index])));
            wanted.map(|store| store["Id"].clone()).collect::<Vec<Value>>()
        };
        let paged = async |order: u8| {
            let mut found = Vec::new();
            for page in 1..=4 {
                let answer = reader.get(&format!("/CertificateStores?ReturnLimit=2&PageReturned={page}&SortField=clientmachine&SortAscending={order}")).await.expect(200);
                assert_eq!((answer.total(), answer.items().len()), (Some(6), if page == 4 { 0 } else { 2 }));
                found.extend(answer.items().iter().map(|store| store["Id"].clone()));
            }
            found
        };
        // The first pass asks the database, the later ones what is remembered of it.
        for _ in 0..3 {
            assert_eq!(paged(0).await, readable(&all));
            let mut backwards = readable(&all);
            backwards.reverse();
            assert_eq!(paged(1).await, backwards);
        }
        // What is remembered is forgotten with every change of it.
        let first = readable(&all)[0].clone();
        admin.delete(&format!("/CertificateStores/{}", first.as_str().unwrap())).await.expect(204);
        assert_eq!(reader.get("/CertificateStores").await.expect(200).total(), Some(5));
        let moved = readable(&all)[1].clone();
        admin.put(ASSIGN, json!({"KeystoreIds": [moved], "CertStoreContainerId": containers[1]})).await.expect(200);
        assert_eq!(reader.get("/CertificateStores").await.expect(200).total(), Some(4));
        admin.delete(&format!("{CONTAINERS}/{}", containers[2])).await.expect(204);
        let left = reader.get("/CertificateStores").await.expect(200);
        assert!(left.items().iter().all(|store| store["ContainerId"] == json!(containers[0])), "{}", left.text);
        let sorted = reader.get("/CertificateStores?SortField=StorePath").await.expect(200);
        assert_eq!(sorted.total(), left.total());
    }
}
