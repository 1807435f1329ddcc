//! `/CertificateStoreContainers`.

use serde_json::{Value, json};
use testkit::TestServer;

use crate::certificate_stores::{create, pem, pem_agent};

const PATH: &str = "/CertificateStoreContainers";

testkit::both_databases! {
    async fn a_container_is_created_read_replaced_and_deleted(server: TestServer) {
        let admin = server.admin();
        let made = admin.post(PATH, json!({"Name": "Web", "CertStoreType": 2, "Schedule": {"Interval": {"Minutes": 60}}})).await.expect(200);
        let id = made.json["Id"].as_i64().unwrap();
        assert_eq!(made.json["Schedule"], json!({"Interval": {"Minutes": 60}}));
        assert_eq!(made.json["CertificateStores"], json!([]));
        let agent = pem_agent(&server).await;
        let mut store = pem(agent, "/1");
        store["ContainerId"] = json!(id);
        let store = create(&admin, store).await;

        let listed = admin.get(&format!("{PATH}?pq.queryString=Name%20-eq%20%22web%22&PerformRoleCheck=true")).await.expect(200);
        assert_eq!(listed.json, json!([{
            "Id": id, "Name": "Web", "OverwriteSchedules": false, "Schedule": "I_60", "CertStoreType": 2, "StoreCount": 1,
        }]));
        let read = admin.get(&format!("{PATH}/{id}")).await.expect(200);
        assert_eq!(read.json["Schedule"], Value::Null);
        assert_eq!(read.json["CertificateStores"][0]["Id"], json!(store));
        // Its schedule is the default of stores that come to it.
        assert_eq!(read.json["CertificateStores"][0]["InventorySchedule"], json!({"Interval": {"Minutes": 60}}));

        let put = admin.put(PATH, json!({"Id": id, "Name": "Web 2", "CertStoreType": 0})).await.expect(200);
        assert_eq!((&put.json["Name"], &put.json["Schedule"], &put.json["CertStoreType"]), (&json!("Web 2"), &Value::Null, &json!(2)));
        // Without overwriting, a store keeps its own.
        let kept = admin.get(&format!("/CertificateStores/{store}")).await.expect(200);
        assert_eq!(kept.json["InventorySchedule"], json!({"Interval": {"Minutes": 60}}));
        admin.delete(&format!("{PATH}/{id}")).await.expect(204);
        admin.get(&format!("{PATH}/{id}")).await.expect(404);
        admin.delete(&format!("{PATH}/{id}")).await.expect(404);
        admin.put(PATH, json!({"Id": id, "Name": "Web"})).await.expect(404);
        let left = admin.get(&format!("/CertificateStores/{store}")).await.expect(200);
        assert_eq!((&left.json["ContainerId"], &left.json["ContainerName"]), (&Value::Null, &Value::Null));
    }

    async fn an_overwriting_schedule_goes_to_every_store(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let made = admin.post(PATH, json!({"Name": "Any", "OverwriteSchedules": true, "Schedule": "D_03:00"})).await.expect(200);
        let id = made.json["Id"].as_i64().unwrap();
        assert_eq!(made.json["CertStoreType"], -1);
        let mut ids = Vec::new();
        for path in ["/1", "/2"] {
            let mut store = pem(agent, path);
            store["ContainerId"] = json!(id);
            store["InventorySchedule"] = json!("I_5");
            ids.push(create(&admin, store).await);
        }
        let schedules = async |wanted: Value| {
            for id in &ids {
                let store = admin.get(&format!("/CertificateStores/{id}")).await.expect(200);
                assert_eq!(store.json["InventorySchedule"], wanted);
            }
        };
        schedules(json!({"Daily": {"Time": "2026-11-21T03:00:00Z"}})).await;
        let change = |schedule: Value| json!({"Id": id, "Name": "Any", "OverwriteSchedules": true, "Schedule": schedule});
        admin.put(PATH, change(json!({"Monthly": {"Day": 5, "Time": "2026-01-01T04:00:00Z"}}))).await.expect(200);
        schedules(json!({"Monthly": {"Day": 5, "Time": "2026-11-21T04:00:00Z"}})).await;
        admin.put(PATH, change(json!({"Off": true}))).await.expect(200);
        schedules(Value::Null).await;
    }

    async fn mistakes_of_a_container_are_named(server: TestServer) {
        let admin = server.admin();
        let id = admin.post(PATH, json!({"Name": "Web", "CertStoreType": 2})).await.expect(200).json["Id"].clone();
        for (wanted, words) in [
            (json!({"Name": ""}), "Name: a value"),
            (json!({"Name": "x".repeat(257)}), "Name: longer"),
            (json!({"Name": "WEB"}), "already exists"),
            (json!({"Name": "A", "CertStoreType": 99}), "no certificate store type 99"),
            (json!({"Name": "A", "Schedule": {"Interval": {"Minutes": 0}}}), "Schedule.Interval"),
        ] {
            let answer = admin.post(PATH, wanted).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        admin.put(PATH, json!({"Name": "Other"})).await.expect(400);
        let answer = admin.put(PATH, json!({"Id": id, "Name": "Web", "CertStoreType": 102})).await.expect(400);
        assert!(answer.message().contains("cannot change"), "{}", answer.text);
        admin.get(&format!("{PATH}?queryString=Nonsense%20-eq%201")).await.expect(400);
        let made = admin.post("/CertificateStoreTypes", json!({"Name": "A", "ShortName": "A"})).await.expect(200);
        let store = json!({"ClientMachine": "a", "StorePath": "/", "CertStoreType": made.json["StoreType"], "ContainerId": id});
        let answer = admin.post("/CertificateStores", store).await.expect(400);
        assert!(answer.message().contains("another type"), "{}", answer.text);
    }

    async fn containers_need_permissions(server: TestServer) {
        let nobody = server.account(&[]).await;
        nobody.get(PATH).await.expect(403);
        nobody.get(&format!("{PATH}/1")).await.expect(403);
        let reader = server.account(&["/certificate_stores/read/"]).await;
        reader.get(PATH).await.expect(200);
        reader.post(PATH, json!({"Name": "A"})).await.expect(403);
        reader.put(PATH, json!({"Id": 1, "Name": "A"})).await.expect(403);
        reader.delete(&format!("{PATH}/1")).await.expect(403);
    }
}
