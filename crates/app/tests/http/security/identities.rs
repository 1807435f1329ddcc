//! `/Security/Identities`, `/Security/Roles/{id}/Identities` and `/Security/My`.

use serde_json::json;
use testkit::TestServer;

use super::{collection, container, role_id, role_of};

testkit::both_databases! {
    async fn an_identity_from_creation_to_deletion(server: TestServer) {
        let admin = server.admin();
        let made = admin.post("/Security/Identities", json!({ "AccountName": "CORP\\Alice" })).await.expect(200).json;
        assert_eq!((&made["AccountName"], &made["IdentityType"], &made["Valid"], &made["Roles"]), (&json!("CORP\\Alice"), &json!("User"), &json!(true), &json!([])));
        let again = admin.post("/Security/Identities", json!({ "AccountName": "corp\\ALICE" })).await.expect(200).json;
        assert_eq!(again, made, "known already");
        let role = admin.post("/Security/Roles", json!({ "Name": "Some", "Description": "", "Permissions": ["Reports:Read"], "Identities": [{ "AccountName": "CORP\\alice" }] })).await.expect(200).json;
        assert_eq!(role["Identities"][0]["Id"], made["Id"]);
        let list = admin.get("/Security/Identities?Validate=true").await.expect(200);
        assert_eq!(list.total(), Some(2));
        let shown = list.items().iter().find(|identity| identity["Id"] == made["Id"]).unwrap();
        assert_eq!((&shown["Roles"][0]["Name"], &shown["Roles"][0]["Permissions"]), (&json!("Some"), &json!(["Reports:Read"])));
        let sorted = admin.get("/Security/Identities?SortField=Id&SortAscending=1").await.expect(200);
        assert_eq!(sorted.items()[0]["Id"], made["Id"]);
        for (name, valid) in [("CORP%5Calice", true), ("admin", true), ("CORP%5Cadmin", true), ("admin%40corp", true), ("nobody", false), ("", false)] {
            let found = admin.get(&format!("/Security/Identities/Lookup?accountName={name}")).await.expect(200).json;
            assert_eq!(found, json!({ "Valid": valid }), "{name}");
        }
        let path = format!("/Security/Identities/{}", made["Id"]);
        admin.delete(&path).await.expect(204);
        admin.get(&path).await.expect(404);
        admin.delete(&path).await.expect(404);
        admin.post("/Security/Identities", json!({ "AccountName": " " })).await.expect(400);
        admin.post("/Security/Identities", json!({})).await.expect(400);
    }

    async fn an_identity_of_a_local_account_loses_its_roles_and_stays(server: TestServer) {
        let admin = server.admin();
        let alice = server.account(&["/reports/read/", "/agents/management/read/"]).await;
        let known = admin.post("/Security/Identities", json!({ "AccountName": format!("CORP\\{}", alice.name()) })).await.expect(200).json;
        assert_eq!(known["AccountName"], alice.name());
        let path = format!("/Security/Identities/{}", known["Id"]);
        alice.get("/Agents").await.expect(200);
        admin.delete(&path).await.expect(204);
        alice.get("/Agents").await.expect(403);
        assert_eq!(admin.get(&path).await.expect(200).json["SecuredAreaPermissions"], json!([]));
        let own = admin.post("/Security/Identities", json!({ "AccountName": "admin" })).await.expect(200).json;
        let refused = admin.delete(&format!("/Security/Identities/{}", own["Id"])).await.expect(400);
        assert!(refused.message().contains("administrator"), "{}", refused.message());
    }

    async fn what_an_identity_may_do(server: TestServer) {
        let (servers, front) = (collection(&server, "Servers").await, container(&server, "Front").await);
        let (on_servers, on_front) = (format!("/certificates/collections/read/{servers}/"), format!("/certificate_stores/read/{front}/"));
        let alice = server.account(&["/pam/read/", "/reports/read/", &on_servers, &on_front, "/pam/read/7/"]).await;
        let role = role_of(&alice);
        let id = server.admin().post("/Security/Identities", json!({ "AccountName": alice.name() })).await.expect(200).json["Id"].clone();
        let shown = server.admin().get(&format!("/Security/Identities/{id}")).await.expect(200).json;
        let granted = |permission: &str| json!([{ "Permission": permission, "GrantedByRoles": [role] }]);
        assert_eq!((&shown["Identity"], &shown["Claim"]["ClaimValue"]), (&json!(alice.name()), &json!(alice.name())));
        assert_eq!(shown["SecuredAreaPermissions"][0], granted("PrivilegedAccessManagement:Read")[0]);
        assert_eq!(shown["SecuredAreaPermissions"].as_array().map(Vec::len), Some(2));
        assert_eq!(shown["CollectionPermissions"], granted(&on_servers));
        assert_eq!(shown["ContainerPermissions"], granted(&on_front));
        assert_eq!(shown["PamProviderPermissions"], granted("/pam/read/7/"));
        assert_eq!(shown["PamPermissions"], granted("PrivilegedAccessManagement:Read"));
    }

    async fn who_holds_a_role(server: TestServer) {
        let admin = server.admin();
        let (alice, bob) = (server.account(&[]).await, server.account(&[]).await);
        let id = server.role("Some", &["/agents/management/read/"]).await;
        let path = format!("/Security/Roles/{id}/Identities");
        assert_eq!(admin.get(&path).await.expect(200).json, json!([]));
        let mut ids = Vec::new();
        for client in [&alice, &bob] {
            ids.push(admin.post("/Security/Identities", json!({ "AccountName": client.name() })).await.expect(200).json["Id"].clone());
        }
        let both = admin.put(&path, json!({ "Ids": [ids[1], ids[0], ids[0]] })).await.expect(200).json;
        assert_eq!(both, json!([{ "Id": ids[0], "Name": alice.name() }, { "Id": ids[1], "Name": bob.name() }]));
        alice.get("/Agents").await.expect(200);
        assert_eq!(admin.put(&path, json!({ "Ids": null })).await.expect(200).json, both);
        admin.put(&path, json!({ "Ids": [ids[0], 987_654] })).await.expect(400);
        assert_eq!(admin.get(&path).await.expect(200).json, both);
        assert_eq!(admin.put(&path, json!({ "Ids": [ids[1]] })).await.expect(200).json, json!([both[1]]));
        alice.get("/Agents").await.expect(403);
        admin.get("/Security/Roles/987654/Identities").await.expect(404);
        admin.put("/Security/Roles/987654/Identities", json!({ "Ids": [] })).await.expect(404);
        admin.put("/Security/Roles/1/Identities", json!({ "Ids": [] })).await.expect(400);
    }

    async fn a_copy_grants_the_same_to_nobody(server: TestServer) {
        let admin = server.admin();
        let front = container(&server, "Front").await;
        let id = server.role("Some", &["/ssl/", "/reports/read/", &format!("/certificate_stores/read/{front}/")]).await;
        let path = format!("/Security/Roles/{id}/Copy");
        let copy = admin.post(&path, json!({ "Name": "Copy", "Description": "Copied", "EmailAddress": "a@b.example" })).await.expect(200).json;
        assert_eq!((&copy["Name"], &copy["Description"], &copy["Identities"]), (&json!("Copy"), &json!("Copied"), &json!([])));
        let of = async |id: &str| admin.request("GET", &format!("/Security/Roles/{id}")).version(2).send().await.expect(200).json;
        let (first, second) = (of(&id.to_string()).await, of(&copy["Id"].to_string()).await);
        assert_eq!(first["Permissions"], second["Permissions"]);
        assert_eq!(second["EmailAddress"], "a@b.example");
        admin.post(&path, json!({ "Name": "some" })).await.expect(400);
        admin.post(&path, json!({})).await.expect(400);
        admin.post("/Security/Roles/987654/Copy", json!({ "Name": "New" })).await.expect(404);
    }

    async fn ones_own_roles_and_permissions(server: TestServer) {
        let alice = server.account(&["/certificate_stores/schedule/", "/certificates/collections/read/3/"]).await;
        let shown = alice.get("/Security/My").await.expect(200).json;
        assert_eq!(shown["Roles"], json!([role_of(&alice)]));
        // What is implied too; what is limited to an object not.
        assert_eq!(shown["GlobalPermissions"], json!([
            { "Area": "CertificateStoreManagement", "Permission": "Read" }, { "Area": "CertificateStoreManagement", "Permission": "Schedule" },
        ]));
        let nobody = server.account(&[]).await;
        let id = role_id(&server, &role_of(&nobody)).await;
        server.admin().delete(&format!("/Security/Roles/{id}")).await.expect(204);
        assert_eq!(nobody.get("/Security/My").await.expect(200).json, json!({ "Roles": [], "GlobalPermissions": [] }));
        assert!(server.admin().get("/Security/My").await.expect(200).json["GlobalPermissions"].as_array().is_some_and(|all| all.len() > 50));
    }
}
