//! Inventories that agents report of stores.

use agent_protocol::InventoryItem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use db::tables;
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::json;
use testkit::{Outcome, TestAgent, TestServer};
use uuid::Uuid;

use crate::certificate_stores::{create, pem};

const SCHEDULE: &str = "/CertificateStores/Schedule";

testkit::both_databases! {
    async fn a_report_that_comes_again_writes_nothing(server: TestServer) {
        let admin = server.admin();
        let mut agent = server.agent("agent1").await;
        let other = server.agent("agent2").await;
        let certificate = |of: &TestAgent| STANDARD.encode(of.certificate.as_ref().unwrap());
        let (one, two) = (certificate(&agent), certificate(&other));
        let id = create(&admin, pem(agent.id(), "/1")).await;
        let report = |two: &str| -> Vec<InventoryItem> {
            let pem = format!("-----BEGIN CERTIFICATE-----\n{two}\n-----END CERTIFICATE-----\n");
            let items = json!([
                {"Alias": "a", "ItemStatus": 0, "Certificates": [one, two], "PrivateKeyEntry": true},
                {"Alias": "b", "ItemStatus": 0, "Certificates": [pem], "PrivateKeyEntry": false, "Parameters": {"Region": "eu"}},
                {"Alias": "c", "ItemStatus": 0, "Certificates": ["AAAA"], "PrivateKeyEntry": false},
            ]);
            serde_json::from_value(items).unwrap()
        };
        let mut inventory = async |items: Vec<InventoryItem>| {
            admin.post(SCHEDULE, json!({"StoreIds": [id], "Schedule": {"Immediate": true}})).await.expect(204);
            let mut items = Some(items);
            agent.run_all(|_, _| Outcome::Inventory(items.take().unwrap_or_default())).await;
            admin.get(&format!("/CertificateStores/{id}/Inventory")).await.expect(200).json
        };
        let first = inventory(report(&two)).await;
        assert_eq!(first.as_array().unwrap().len(), 2, "{first}");
        let locked = ["certificates", "certificate_history", "store_entries", "store_entry_certificates"];
        lock(&server, &locked, true).await;
        assert_eq!(inventory(report(&two)).await, first);
        assert_eq!(inventory(report(&two)).await, first);
        let seen = tables::certificate_stores::Entity::find_by_id(id.parse::<Uuid>().unwrap());
        let seen = seen.one(server.app().db().read()).await.unwrap().unwrap();
        assert_eq!(seen.last_inventory_at, Some(server.clock.now()));
        lock(&server, &locked, false).await;

        // What has gone in between comes back, though the report is the same and all of it could be read.
        let readable = || report(&two)[..2].to_vec();
        assert_eq!(inventory(readable()).await, first);
        let gone = first[1]["Certificates"][0]["Id"].clone();
        admin.delete(&format!("/Certificates/{gone}")).await.expect(204);
        let left = admin.get(&format!("/CertificateStores/{id}/Inventory")).await.expect(200);
        assert_eq!(left.items().len(), 1);
        let again = inventory(readable()).await;
        assert_eq!(again.as_array().unwrap().len(), 2);
        assert_eq!(again[0]["Certificates"].as_array().unwrap().len(), 2);
        // Another report is another one, also when it says less.
        let other = inventory(report(&one)).await;
        assert_ne!(other[1]["Certificates"], again[1]["Certificates"]);
        let fewer = inventory(report(&one).split_off(1)).await;
        assert_eq!(fewer.as_array().unwrap().len(), 1);
    }
}

/// Lets nobody write to these tables, or everybody again.
async fn lock(server: &TestServer, names: &[&str], locked: bool) {
    let sqlite = server.database() == testkit::Database::Sqlite;
    let mut statements = Vec::new();
    if !sqlite && locked {
        statements.push("CREATE FUNCTION locked() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''locked''; END'".to_owned());
    }
    for table in names {
        for verb in ["INSERT", "UPDATE", "DELETE"] {
            let name = format!("locked_{table}_{verb}");
            statements.push(match (locked, sqlite) {
                (true, true) => format!("CREATE TRIGGER {name} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'locked'); END"),
                (true, false) => format!("CREATE TRIGGER {name} BEFORE {verb} ON {table} EXECUTE FUNCTION locked()"),
                (false, true) => format!("DROP TRIGGER {name}"),
                (false, false) => format!("DROP TRIGGER {name} ON {table}"),
            });
        }
    }
    let work = server.app().db().write("test.lock", move |tx| {
        Box::pin(async move {
            for statement in statements {
                tx.execute_unprepared(&statement)
                    .await
                    .map_err(db::Error::from)?;
            }
            Ok::<_, db::Error>(())
        })
    });
    work.await.unwrap();
}
