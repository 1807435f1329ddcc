//! `DELETE /Certificates…`, `DELETE /Certificates/PrivateKey…` and `GET /Certificates/Locations/{id}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use db::tables;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use testkit::TestServer;

use crate::certificate_stores::{create, pem, pem_agent};
use crate::certificates_revoke::{enrolled, list, parsed, records, revoke, total};
use crate::enrollment::{enroll_pfx, put_into};
use crate::metadata_fields::define;
use crate::owner::{certificate, collection, container};

const DELETE: &str = "/certificates/collections/delete/";

/// Enrolls with a key that is stored. Answers the id.
async fn with_key(server: &TestServer, name: &str) -> i64 {
    let body = json!({
        "Subject": format!("CN={name}"), "Template": "WebServer", "Password": "Secret-2026", "Metadata": { "Ticket": "1" }
    });
    let answer = enroll_pfx(&server.admin(), "PFX", body).await.expect(200);
    answer.json["CertificateInformation"]["KeyfactorID"]
        .as_i64()
        .or_else(|| answer.json["CertificateInformation"]["KeyfactorId"].as_i64())
        .unwrap()
}

/// Rows of the inventory's tables that belong to a certificate.
async fn belongings(server: &TestServer, id: i64) -> [u64; 6] {
    use tables::{
        certificate_contents as contents, certificate_history as history, certificate_keys as keys,
        certificate_metadata as metadata, certificate_names as names,
        store_entry_certificates as links,
    };
    let connection = server.app().db().read();
    [
        contents::Entity::find()
            .filter(contents::Column::CertificateId.eq(id))
            .count(connection)
            .await
            .unwrap(),
        names::Entity::find()
            .filter(names::Column::CertificateId.eq(id))
            .count(connection)
            .await
            .unwrap(),
        keys::Entity::find()
            .filter(keys::Column::CertificateId.eq(id))
            .count(connection)
            .await
            .unwrap(),
        metadata::Entity::find()
            .filter(metadata::Column::CertificateId.eq(id))
            .count(connection)
            .await
            .unwrap(),
        history::Entity::find()
            .filter(history::Column::CertificateId.eq(id))
            .count(connection)
            .await
            .unwrap(),
        links::Entity::find()
            .filter(links::Column::CertificateId.eq(id))
            .count(connection)
            .await
            .unwrap(),
    ]
}

async fn store(server: &TestServer, path: &str, certificate: i64) -> String {
    let store = create(&server.admin(), pem(pem_agent(server).await, path)).await;
    put_into(server, &store, certificate).await;
    store
}

async fn inventory(server: &TestServer, store: &str) -> Vec<Value> {
    let path = format!("/CertificateStores/{store}/Inventory");
    server.admin().get(&path).await.expect(200).items().to_vec()
}

testkit::both_databases! {
    async fn a_deleted_certificate_leaves_nothing(server: TestServer) {
        define(&server.admin(), &[("Ticket", 1)]).await;
        let id = with_key(&server, "gone.example").await;
        let kept = with_key(&server, "kept.example").await;
        let place = store(&server, "/etc/gone.pem", id).await;
        assert_eq!(inventory(&server, &place).await.len(), 1);
        assert!(belongings(&server, id).await.iter().all(|rows| *rows > 0));
        let (good, all) = (total(&server, false).await, total(&server, true).await);
        let path = format!("/Certificates/{id}");
        server.account(&["/certificates/collections/read/"]).await.delete(&path).await.expect(403);
        server.account(&[DELETE]).await.delete(&path).await.expect(204);
        assert_eq!(belongings(&server, id).await, [0; 6]);
        assert!(belongings(&server, kept).await.iter().take(5).all(|rows| *rows > 0));
        assert_eq!(inventory(&server, &place).await.len(), 0);
        assert_eq!((total(&server, false).await, total(&server, true).await), (good - 1, all - 1));
        server.admin().get(&path).await.expect(404);
        server.admin().delete(&path).await.expect(404);
        server.admin().delete("/Certificates/x").await.expect(400);
        let records = records(&server, 3).await;
        assert_eq!(records.len(), 1);
        let before: Value = serde_json::from_str(records[0].before.as_ref().unwrap()).unwrap();
        assert_eq!((before["Id"].as_i64(), before["IssuedDN"].as_str()), (Some(id), Some("CN=gone.example")));
        // The authorities' own stay: chains are built from them.
        let refused = server.admin().delete("/Certificates/1").await.expect(400);
        assert!(refused.reasons()[0].contains("the certificate of an authority"), "{}", refused.text);
    }

    async fn a_deleted_certificate_stays_revoked(server: TestServer) {
        let (id, chain) = enrolled(&server, "still-revoked.example").await;
        let (other, _) = enrolled(&server, "another.example").await;
        revoke(&server.admin(), &[id], 1).await.expect(200);
        let (good, all) = (total(&server, false).await, total(&server, true).await);
        server.admin().delete(&format!("/Certificates/{id}")).await.expect(204);
        assert_eq!((total(&server, false).await, total(&server, true).await), (good, all - 1));
        revoke(&server.admin(), &[other], 1).await.expect(200);
        assert_eq!(list(&server, &chain[0]).await.length(), 2);
        // Who brings it back finds it as it was, whichever way he brings it.
        let back = parsed(&chain[0]);
        let stream = server.admin().request("POST", "/Chancery/Certificates/Import").text_body(back.der()).header("content-type", "application/octet-stream");
        stream.send().await.expect(200);
        let mut shown = Vec::new();
        for _ in 0..2 {
            let path = format!("/Certificates?IncludeRevoked=true&QueryString=Thumbprint%20-eq%20%22{}%22", back.thumbprint());
            let found = server.admin().get(&path).await.expect(200).items()[0].clone();
            shown.push(["CertState", "RevocationReason", "RevocationEffDate", "CertificateAuthorityName"].map(|name| found[name].clone()));
            assert_eq!((total(&server, false).await, total(&server, true).await), (good - 1, all), "counted as revoked");
            server.admin().delete(&format!("/Certificates/{}", found["Id"])).await.expect(204);
            server.admin().post("/Certificates/Import", json!({ "Certificate": STANDARD.encode(back.der()) })).await.expect(200);
        }
        assert_eq!(shown[0], shown[1]);
        assert_eq!((&shown[0][0], &shown[0][1]), (&json!(2), &json!(1)));
        assert!(shown[0][2].is_string() && shown[0][3].is_string(), "{shown:?}");
    }

    async fn a_deleted_certificate_that_comes_back_can_be_revoked(server: TestServer) {
        let (id, chain) = enrolled(&server, "mistaken.example").await;
        let back = parsed(&chain[0]);
        server.admin().delete(&format!("/Certificates/{id}")).await.expect(204);
        server.admin().post("/Certificates/Import", json!({ "Certificate": STANDARD.encode(back.der()) })).await.expect(200);
        let path = format!("/Certificates?QueryString=Thumbprint%20-eq%20%22{}%22", back.thumbprint());
        let found = server.admin().get(&path).await.expect(200).items()[0].clone();
        assert_eq!(found["CertState"], 1, "{found}");
        revoke(&server.admin(), &[found["Id"].as_i64().unwrap()], 1).await.expect(200);
        assert_eq!(list(&server, &chain[0]).await.length(), 1);
    }

    async fn several_are_deleted_or_none(server: TestServer) {
        let mut ids = Vec::new();
        for name in ["CN=one.example", "CN=two.example", "CN=three.example"] {
            ids.push(certificate(&server, name).await);
        }
        let before = total(&server, true).await;
        let many: Vec<i64> = (1..=100_000).collect();
        let path = "/Certificates";
        for (body, status) in [
            (json!([]), 400),
            (json!(null), 400),
            (json!(many), 400),
            (json!(["x"]), 400),
            (json!({ "Ids": ids }), 400),
            (json!([ids[0], 4_000_000]), 404),
            (json!([ids[0], 1]), 400),
        ] {
            server.admin().delete_with(path, body).await.expect(status);
        }
        assert_eq!(total(&server, true).await, before);
        let through = collection(&server, "One", "IssuedCN -eq \"one.example\"").await;
        let limited = server.account(&[&format!("{DELETE}{through}/")]).await;
        limited.delete_with(path, json!([ids[0]])).await.expect(403);
        limited.delete_with(&format!("{path}?collectionId={through}"), json!(many)).await.expect(400);
        server.account(&[]).await.delete_with(path, json!(many)).await.expect(403);
        limited.delete_with(&format!("{path}?collectionId={through}"), json!([ids[0], ids[1]])).await.expect(403);
        assert_eq!(total(&server, true).await, before);
        limited.delete_with(&format!("{path}?collectionId={through}"), json!([ids[0], ids[0]])).await.expect(204);
        server.admin().delete_with(path, json!([ids[2], ids[1]])).await.expect(204);
        assert_eq!(total(&server, true).await, before - 3);
        assert_eq!(records(&server, 3).await.len(), 3);
    }

    async fn what_a_query_finds_is_deleted(server: TestServer) {
        for name in ["CN=a.old.example", "CN=b.old.example", "CN=c.new.example"] {
            certificate(&server, name).await;
        }
        let (revoked, _) = enrolled(&server, "d.old.example").await;
        revoke(&server.admin(), &[revoked], 1).await.expect(200);
        let before = total(&server, true).await;
        let path = "/Certificates/Query";
        for query in [json!(""), json!(null), json!("Nothing -eq 1"), json!("IssuedCN -eq \"a"), json!("IssuedCN -contains \"CA\""), json!(["x"])] {
            server.admin().delete_with(path, query).await.expect(400);
        }
        let through = collection(&server, "A", "IssuedCN -startswith \"a.\"").await;
        let limited = server.account(&[&format!("{DELETE}{through}/")]).await;
        let query = json!("IssuedCN -endswith \".old.example\"");
        limited.delete_with(path, query.clone()).await.expect(403);
        assert_eq!(total(&server, true).await, before);
        limited.delete_with(&format!("{path}?collectionId={through}"), query.clone()).await.expect(204);
        assert_eq!(total(&server, true).await, before - 1);
        server.admin().delete_with(path, query.clone()).await.expect(204);
        assert_eq!(total(&server, true).await, before - 3);
        server.admin().delete_with(path, query).await.expect(204);
        assert_eq!(records(&server, 3).await.len(), 3);
    }

    async fn a_stored_key_is_destroyed(server: TestServer) {
        define(&server.admin(), &[("Ticket", 1)]).await;
        let ids = [with_key(&server, "key-one.example").await, with_key(&server, "key-two.example").await];
        let without = certificate(&server, "CN=no-key.example").await;
        let one = format!("/Certificates/PrivateKey/{}", ids[0]);
        let all = "/Certificates/PrivateKey";
        server.account(&["/certificates/collections/read/"]).await.delete(&one).await.expect(403);
        server.account(&[]).await.delete_with(all, json!(ids)).await.expect(403);
        server.admin().delete("/Certificates/PrivateKey/4000000").await.expect(404);
        for (body, status) in [(json!([]), 400), (json!((1..=100_000).collect::<Vec<i64>>()), 400), (json!([ids[0], 4_000_000]), 404)] {
            server.admin().delete_with(all, body).await.expect(status);
        }
        assert_eq!(belongings(&server, ids[0]).await[2], 1);
        server.account(&[DELETE]).await.delete(&one).await.expect(204);
        assert_eq!(belongings(&server, ids[0]).await[2], 0);
        let shown = server.admin().get(&format!("/Certificates/{}?includeHasPrivateKey=true", ids[0])).await.expect(200);
        assert_eq!((shown.json["HasPrivateKey"].as_bool(), shown.json["KeyRecoverable"].as_bool()), (Some(false), Some(false)));
        assert_eq!(records(&server, 8).await.len(), 1);
        // What has none stays as it is and leaves no trace.
        server.admin().delete(&one).await.expect(204);
        server.admin().delete_with(all, json!([ids[0], ids[1], without])).await.expect(204);
        assert_eq!(belongings(&server, ids[1]).await[2], 0);
        assert_eq!(records(&server, 8).await.len(), 2);
        let history = server.admin().get(&format!("/Certificates/{}/History", ids[1])).await.expect(200);
        assert!(history.items().iter().any(|line| line["Action"] == "Private Key Deleted"));
    }

    async fn locations_are_those_the_caller_may_see(server: TestServer) {
        let id = certificate(&server, "CN=placed.example").await;
        let agent = pem_agent(&server).await;
        let shown = container(&server, "Shown").await;
        let hidden = container(&server, "Hidden").await;
        let mut stores = Vec::new();
        for (path, container) in [("/etc/shown.pem", json!(shown)), ("/etc/hidden.pem", json!(hidden)), ("/etc/alone.pem", Value::Null)] {
            let mut body = pem(agent, path);
            body["ContainerId"] = container;
            let store = create(&server.admin(), body).await;
            put_into(&server, &store, id).await;
            stores.push(store);
        }
        let here = &stores[0];
        let path = format!("/Certificates/Locations/{id}");
        let all = server.admin().get(&path).await.expect(200);
        let details = all.json["Details"].as_array().unwrap();
        assert_eq!(details.len(), 1);
        assert_eq!((details[0]["StoreType"].as_str(), details[0]["StoreTypeId"].as_i64(), details[0]["StoreCount"].as_i64()), (Some("PEM File"), Some(2), Some(3)));
        let some = server.account(&["/certificates/collections/read/", &format!("/certificate_stores/read/{shown}/")]).await;
        let seen = some.get(&path).await.expect(200);
        assert_eq!(seen.json["Details"][0]["Locations"], json!([{
            "StoreId": here, "StoreTypeId": 2, "ClientMachine": "web1", "StorePath": "/etc/shown.pem", "AgentPool": null, "Alias": "held",
            "IPAddress": null, "Port": null, "NetworkName": null
        }]));
        let listed = some.get(&format!("/Certificates/{id}?includeLocations=true")).await.expect(200);
        assert_eq!(listed.json["Locations"].as_array().map(Vec::len), Some(1));
        let none = server.account(&["/certificates/collections/read/"]).await;
        assert_eq!(none.get(&path).await.expect(200).json["Details"], json!([]));
        server.account(&[]).await.get(&path).await.expect(403);
        server.admin().get("/Certificates/Locations/4000000").await.expect(404);
    }
}
