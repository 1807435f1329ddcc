//! `/Security/Roles/{id}/Permissions`, and grants on objects that go.

use serde_json::{Value, json};
use testkit::TestServer;

use super::{collection, container, role_id, role_of};

testkit::both_databases! {
    async fn global(server: TestServer) {
        let admin = server.admin();
        let id = server.role("Some", &["/reports/read/"]).await;
        let path = format!("/Security/Roles/{id}/Permissions/Global");
        let reports = json!({ "Area": "Reports", "Permission": "Read" });
        let ssl = json!({ "Area": "SslManagement", "Permission": "Modify" });
        assert_eq!(admin.get(&path).await.expect(200).json, json!([reports]));
        assert_eq!(admin.post(&path, json!([{ "area": "sslmanagement", "permission": "MODIFY" }, ssl])).await.expect(200).json, json!([reports, ssl]));
        assert_eq!(admin.post(&path, json!([])).await.expect(200).json, json!([reports, ssl]));
        // One name of version 1 stands for two permissions.
        let pki = json!({ "Area": "PkiManagement", "Permission": "Read" });
        assert_eq!(admin.put(&path, json!([pki])).await.expect(200).json, json!([pki]));
        let role = admin.request("GET", &format!("/Security/Roles/{id}")).version(2).send().await.expect(200).json;
        assert_eq!(role["Permissions"], json!(["/certificate_authorities/read/", "/certificate_templates/read/"]));
        assert_eq!(admin.put(&path, json!([])).await.expect(200).json, json!([]));
        for wrong in [json!([{ "Area": "Nothing", "Permission": "Read" }]), json!([{}]), json!([reports, { "Area": "Reports" }])] {
            admin.post(&path, &wrong).await.expect(400);
            admin.put(&path, &wrong).await.expect(400);
        }
        assert_eq!(admin.get(&path).await.expect(200).json, json!([]));
    }

    async fn collections_and_containers(server: TestServer) {
        let admin = server.admin();
        let alice = server.account(&["/reports/read/"]).await;
        let id = role_id(&server, &role_of(&alice)).await;
        let (servers, phones) = (collection(&server, "Servers").await, collection(&server, "Phones").await);
        let (front, back) = (container(&server, "Front").await, container(&server, "Back").await);
        let base = format!("/Security/Roles/{id}/Permissions");
        let on = |member: &str, id: i64, name: &str, permission: &str| -> Value { json!({ member: id, "Name": name, "Permission": permission }) };

        let path = format!("{base}/Collections");
        assert_eq!(admin.get(&path).await.expect(200).json, json!([]));
        alice.get(&format!("/Certificates?CollectionId={servers}")).await.expect(403);
        let added = admin.post(&path, json!([{ "CollectionId": servers, "Permission": "Read" }, { "CollectionId": phones, "Permission": "Certificates:Recover" }])).await.expect(200).json;
        assert_eq!(added, json!([on("CollectionId", servers, "Servers", "Read"), on("CollectionId", phones, "Phones", "Recover")]));
        alice.get(&format!("/Certificates?CollectionId={servers}")).await.expect(200);
        let set = admin.put(&path, json!([{ "CollectionId": phones, "Permission": "/certificates/collections/delete/" }])).await.expect(200).json;
        assert_eq!(set, json!([on("CollectionId", phones, "Phones", "Delete")]));
        alice.get(&format!("/Certificates?CollectionId={servers}")).await.expect(403);

        let path = format!("{base}/Containers");
        assert_eq!(admin.get(&path).await.expect(200).json, json!([]));
        let added = admin.post(&path, json!([{ "ContainerId": front, "Permission": "Schedule" }, { "ContainerId": back, "Permission": "Read" }])).await.expect(200).json;
        assert_eq!(added, json!([on("ContainerId", front, "Front", "Schedule"), on("ContainerId", back, "Back", "Read")]));
        let set = admin.put(&path, json!([{ "ContainerId": back, "Permission": "Modify" }])).await.expect(200).json;
        assert_eq!(set, json!([on("ContainerId", back, "Back", "Modify")]));

        for (path, wrong) in [
            ("Collections", json!([{ "CollectionId": 987, "Permission": "Read" }])), ("Collections", json!([{ "CollectionId": servers, "Permission": "Schedule" }])),
            ("Collections", json!([{ "Permission": "Read" }])), ("Containers", json!([{ "ContainerId": 987, "Permission": "Read" }])),
            ("Containers", json!([{ "ContainerId": front, "Permission": "Certificates:Read" }])), ("Containers", json!([{ "ContainerId": -1, "Permission": "Read" }])),
            ("Containers", json!([{ "ContainerId": front }])),
        ] {
            admin.post(&format!("{base}/{path}"), &wrong).await.expect(400);
            admin.put(&format!("{base}/{path}"), &wrong).await.expect(400);
        }
        let all = admin.get(&base).await.expect(200).json;
        assert_eq!(all, json!([
            { "Type": "Global", "Area": "Reports", "Permission": "Read", "ObjectId": null },
            { "Type": "Container", "Area": "CertificateStoreManagement", "Permission": "Modify", "ObjectId": back },
            { "Type": "Collection", "Area": "Certificates", "Permission": "Delete", "ObjectId": phones },
        ]));
    }

    async fn pam_providers(server: TestServer) {
        let admin = server.admin();
        let id = server.role("Some", &["/pam/read/7/", "/pam/modify/7/"]).await;
        let path = format!("/Security/Roles/{id}/Permissions/PamProviders");
        assert_eq!(admin.get(&path).await.expect(200).json, json!([{ "PamProviderId": 7, "Name": null, "Permissions": ["Modify", "Read"] }]));
        // There are no providers yet, so only what is there already may stay.
        admin.put(&path, json!([{ "PamProviderId": 8, "Permissions": ["Read"] }])).await.expect(400);
        admin.put(&path, json!([{ "PamProviderId": 7, "Permissions": ["Schedule"] }])).await.expect(400);
        assert_eq!(admin.put(&path, json!([{ "PamProviderId": 7, "Permissions": ["Read"] }])).await.expect(200).json[0]["Permissions"], json!(["Read"]));
        assert_eq!(admin.put(&path, json!([])).await.expect(200).json, json!([]));
    }

    async fn who_is_not_there_and_what_cannot_change(server: TestServer) {
        let admin = server.admin();
        for family in ["", "/Global", "/Collections", "/Containers", "/PamProviders"] {
            admin.get(&format!("/Security/Roles/987654/Permissions{family}")).await.expect(404);
        }
        for family in ["Global", "Collections", "Containers", "PamProviders"] {
            admin.put(&format!("/Security/Roles/987654/Permissions/{family}"), json!([])).await.expect(404);
        }
        let refused = admin.put("/Security/Roles/1/Permissions/Global", json!([])).await.expect(400);
        assert!(refused.message().starts_with("Permissions"), "{}", refused.message());
    }

    async fn grants_go_with_their_object(server: TestServer) {
        let admin = server.admin();
        let front = container(&server, "Front").await;
        let scoped = format!("/certificate_stores/read/{front}/");
        // The same number on a collection is another thing.
        let other = format!("/certificates/collections/read/{front}/");
        let id = server.role("Some", &[&scoped, &other]).await;
        let set = admin.post("/PermissionSets", json!({ "Name": "Front", "Permissions": [scoped, "/ssl/"] })).await.expect(200).json;
        admin.delete(&format!("/CertificateStoreContainers/{front}")).await.expect(204);
        let role = admin.request("GET", &format!("/Security/Roles/{id}")).version(2).send().await.expect(200).json;
        assert_eq!(role["Permissions"], json!([other]));
        let set = admin.get(&format!("/PermissionSets/{}", set["Id"].as_str().unwrap())).await.expect(200).json;
        assert_eq!(set["Permissions"], json!(["/ssl/"]));
    }

    async fn the_access_list_of_a_collection(server: TestServer) {
        let admin = server.admin();
        let servers = collection(&server, "Servers").await;
        let id = server.role("Some", &[&format!("/certificates/collections/read/{servers}/"), &format!("/certificates/collections/revoke/{servers}/"), "/ssl/"]).await;
        let audit = admin.get(&format!("/Security/Audit/Collections/{servers}")).await.expect(200).json;
        assert_eq!(audit["QueryId"], servers);
        assert_eq!(audit["AccessControlList"], json!([{ "RoleId": id, "AreaPermissions": [4, 8] }]));
        assert_eq!(audit["AssignableRoles"], json!([{ "RoleId": 1, "Name": "Administrator" }, { "RoleId": id, "Name": "Some" }]));
        admin.get("/Security/Audit/Collections/987654").await.expect(404);
    }
}
