//! `/Certificates/{id}/Security` and `/Certificates/IdentityAudit/{id}`: who may do what with a certificate.

use serde_json::{Value, json};
use testkit::TestServer;

use crate::certificate_stores::pem_agent;
use crate::enrollment::put_into;
use crate::owner::{certificate, collection, container, give, store_in};
use crate::scoped_stores::store;

const ALL: [&str; 7] = [
    "Read",
    "EditMetadata",
    "Recover",
    "Revoke",
    "Delete",
    "ChangeOwner",
    "ImportPrivateKey",
];

testkit::both_databases! {
    async fn roles_and_identities_with_what_they_may_do(server: TestServer) {
        let id = certificate(&server, "CN=seen.example").await;
        let web = collection(&server, "Web servers", "IssuedCN -endswith \".example\"").await;
        let other = collection(&server, "Others", "IssuedCN -endswith \".test\"").await;
        let (near, far) = (container(&server, "Near").await, container(&server, "Far").await);
        store_in(&server, near, "/a.pem", id).await;
        let paths = [format!("/certificates/collections/read/{web}/"), format!("/certificates/collections/revoke/{other}/")];
        let readers = server.role("Readers", &[&paths[0], &paths[1]]).await;
        let paths = [format!("/certificate_stores/revoke/{near}/"), format!("/certificate_stores/change_owner/{far}/")];
        server.role("Field", &[&paths[0], &paths[1], "/certificate_stores/private_key/read/"]).await;
        server.role("Unrelated", &["/certificate_stores/read/"]).await;
        server.role("Asleep", &["/certificates/"]).await;
        let asleep = server.admin().get("/Security/Roles?QueryString=Name%20-eq%20%22Asleep%22").await.expect(200).items()[0].clone();
        server.admin().put("/Security/Roles", json!({ "Id": asleep["Id"], "Name": "Asleep", "Description": "", "Enabled": false })).await.expect(200);
        let both = server.account_in_role("both", "Field").await;
        give(&server, &both, readers).await;
        server.account_in_role("unrelated", "Unrelated").await;
        let admin = server.admin();
        let answer = admin.get(&format!("/Certificates/{id}/Security")).await.expect(200);
        assert_eq!(answer.json, json!({ "Roles": [
            { "Name": "Administrator", "Permissions": ALL },
            { "Name": "Field", "Permissions": ["Recover", "Revoke"] },
            { "Name": "Readers", "Permissions": ["Read"] },
        ] }));
        let answer = admin.get(&format!("/Certificates/IdentityAudit/{id}?collectionId={web}")).await.expect(200);
        let names: Vec<&str> = answer.items().iter().filter_map(|item| item["AccountName"].as_str()).collect();
        assert_eq!(names, ["admin", "both"]);
        let seen = &answer.items()[1];
        assert_eq!((seen["IdentityType"].as_str(), &seen["SID"]), (Some("User"), &Value::Null));
        let permissions = json!([
            { "Name": "Read", "GrantedBy": [format!("Readers (collection {web} (Web servers))")] },
            { "Name": "Recover", "GrantedBy": ["Field (all certificate stores)"] },
            { "Name": "Revoke", "GrantedBy": [format!("Field (container {near} (Near))")] },
        ]);
        assert_eq!(seen["Permissions"], permissions);
        let second = admin.request("GET", &format!("/Certificates/IdentityAudit/{id}")).version(2).send().await.expect(200);
        assert_eq!(second.items().len(), 2);
        let seen = &second.items()[1];
        assert_eq!(seen["Permissions"], permissions);
        assert_eq!(seen["Identity"]["ClaimValue"], "both");
        assert_eq!(seen["Identity"]["ClaimType"], "User");
        assert!(seen["Identity"]["Provider"]["Name"].is_string());
        // What is seen is what is so: the revoked membership counts at once.
        assert_eq!(admin.get(&format!("/Certificates/{id}/Security?collectionId=0")).await.expect(200).json["Roles"].as_array().unwrap().len(), 3);
        let elsewhere = certificate(&server, "CN=elsewhere.invalid").await;
        let answer = admin.get(&format!("/Certificates/{elsewhere}/Security")).await.expect(200);
        assert_eq!(answer.json["Roles"].as_array().unwrap().len(), 1);
    }

    /// More collections and containers than are asked of at once, some without an answer.
    async fn a_certificate_that_is_in_much(server: TestServer) {
        let id = certificate(&server, "CN=seen.example").await;
        let mut grants = Vec::new();
        let mut places = Vec::new();
        for number in 0..45 {
            let (name, query) = match number % 15 {
                3 => (format!("Broken {number}"), "NoSuchField -eq 1"),
                7 => (format!("Others {number}"), "IssuedCN -eq \"other\""),
                _ => (format!("All {number}"), ""),
            };
            let collection = collection(&server, &name, query).await;
            grants.push(format!("/certificates/collections/read/{collection}/"));
            if query.is_empty() {
                places.push(json!(format!("Readers (collection {collection} ({name}))")));
            }
        }
        let agent = pem_agent(&server).await;
        for number in 0..3 {
            let container = container(&server, &format!("Container {number}")).await;
            let store = store(&server, agent, &format!("/{number}.pem"), container).await;
            put_into(&server, &store, id).await;
            grants.push(format!("/certificate_stores/revoke/{container}/"));
        }
        let paths: Vec<&str> = grants.iter().map(String::as_str).collect();
        server.role("Readers", &paths).await;
        server.account_in_role("reader", "Readers").await;
        let answer = server.admin().get(&format!("/Certificates/IdentityAudit/{id}")).await.expect(200);
        let seen = answer.items().iter().find(|item| item["AccountName"] == "reader").unwrap();
        assert_eq!(seen["Permissions"][0]["GrantedBy"], json!(places));
        assert_eq!(seen["Permissions"][1]["GrantedBy"].as_array().unwrap().len(), 3, "{seen}");
    }

    async fn the_views_take_both_permissions(server: TestServer) {
        let id = certificate(&server, "CN=seen.example").await;
        let web = collection(&server, "Web servers", "IssuedCN -endswith \".example\"").await;
        let admin = server.admin();
        let reader = server.account(&["/certificates/collections/read/"]).await;
        let security = server.account(&["/security/read/"]).await;
        let scoped = server.account(&["/security/read/", &format!("/certificates/collections/read/{web}/")]).await;
        for (path, version) in [("/Certificates/ID/Security", 1), ("/Certificates/IdentityAudit/ID", 1), ("/Certificates/IdentityAudit/ID", 2)] {
            let get = |client: &testkit::Client, id: i64, query: &str| {
                client.request("GET", &format!("{}{query}", path.replace("ID", &id.to_string()))).version(version).send()
            };
            get(&reader, id, "").await.expect(403);
            get(&security, id, "").await.expect(403);
            get(&scoped, id, "").await.expect(403);
            get(&scoped, id, &format!("?collectionId={web}")).await.expect(200);
            get(&scoped, 987_654, &format!("?collectionId={web}")).await.expect(403);
            get(&admin, 987_654, "").await.expect(404);
        }
    }
}
