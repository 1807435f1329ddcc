//! `/PermissionSets` and `/Permissions`.

use serde_json::json;
use testkit::TestServer;

use super::{container, role, role_id, role_of, version_2, with};

const GLOBAL: &str = "099c05f0-deba-4562-a5b1-f491e19c0749";

testkit::both_databases! {
    async fn a_set_from_creation_to_deletion(server: TestServer) {
        let admin = server.admin();
        let list = admin.get("/PermissionSets?QueryString=name%20-eq%20%22global%22").await.expect(200);
        assert_eq!(list.json, json!([{ "Id": GLOBAL, "Name": "Global", "Permissions": ["/"] }]));
        let front = container(&server, "Front").await;
        let on_front = format!("/certificate_stores/modify/{front}/");
        let made = admin.post("/PermissionSets", json!({ "Name": "Web team", "Permissions": ["/certificates/", on_front] })).await.expect(200).json;
        assert_eq!(made["Permissions"], json!([on_front, "/certificates/"]));
        let path = format!("/PermissionSets/{}", made["Id"].as_str().unwrap());
        assert_eq!(admin.get(&path).await.expect(200).json, made);
        assert_eq!(admin.get("/PermissionSets").await.expect(200).total(), Some(2));

        // A role holds what is in its set, with and without an object, and nothing else.
        let asked = with(role("Web", &["/certificates/import/", &on_front], &[]), "PermissionSetId", made["Id"].clone());
        let web = version_2(&admin, "POST", "/Security/Roles", asked).await.expect(200).json;
        for outside in [json!(["/ssl/read/"]), json!(["/certificate_stores/modify/"]), json!(["/"])] {
            let refused = version_2(&admin, "PUT", "/Security/Roles", with(web.clone(), "Permissions", outside)).await.expect(400);
            assert!(refused.text.contains("Web team"), "{}", refused.text);
        }
        admin.post(&format!("/Security/Roles/{}/Permissions/Global", web["Id"]), json!([{ "Area": "SslManagement", "Permission": "Read" }])).await.expect(400);
        admin.put("/Security/Roles", json!({ "Id": web["Id"], "Name": "Web", "Description": "", "Permissions": ["SslManagement:Read"] })).await.expect(400);
        let moved = server.role("Elsewhere", &["/ssl/read/"]).await;
        let moved = admin.request("GET", &format!("/Security/Roles/{moved}")).version(2).send().await.expect(200).json;
        version_2(&admin, "PUT", "/Security/Roles", with(moved, "PermissionSetId", made["Id"].clone())).await.expect(400);

        // Narrowing names the roles that would fall outside; a set in use stays.
        let refused = admin.put("/PermissionSets", json!({ "Id": made["Id"], "Permissions": ["/certificates/"] })).await.expect(400);
        assert!(refused.text.contains("\\\"Web\\\"") && refused.text.contains(&on_front), "{}", refused.text);
        let refused = admin.delete(&path).await.expect(400);
        assert!(refused.message().contains("Web"), "{}", refused.message());
        assert_eq!(admin.get(&path).await.expect(200).json, made);
        let wider = admin.put("/PermissionSets", json!({ "Id": made["Id"], "Permissions": ["/certificates/", "/certificate_stores/"] })).await.expect(200).json;
        assert_eq!((&wider["Permissions"], &wider["Name"]), (&json!(["/certificate_stores/", "/certificates/"]), &json!("Web team")));
        admin.delete(&format!("/Security/Roles/{}", web["Id"])).await.expect(204);
        admin.delete(&path).await.expect(204);
        admin.get(&path).await.expect(404);
        admin.delete(&path).await.expect(404);
    }

    async fn refused_requests_change_nothing(server: TestServer) {
        let admin = server.admin();
        let before = admin.get("/PermissionSets").await.expect(200).json;
        for (body, named) in [
            (json!({ "Name": "", "Permissions": [] }), "Name"),
            (json!({ "Name": "GLOBAL", "Permissions": [] }), "Global"),
            (json!({ "Name": "\u{ff27}lobal", "Permissions": [] }), "Global"),
            (json!({ "Name": "New", "Permissions": ["/nothing/"] }), "/nothing/"),
            (json!({ "Name": "New", "Permissions": ["/certificate_stores/read/987/"] }), "987"),
            (json!({ "Name": "New", "Permissions": ["/ssl/", "/ssl/read/"] }), "covers"),
            (json!({ "Name": "New", "Permissions": ["/ssl/", "/SSL"] }), "twice"),
            (json!({ "Name": "New" }), "Permissions"),
        ] {
            let refused = admin.post("/PermissionSets", &body).await.expect(400);
            assert!(refused.text.contains(named), "{body}: {}", refused.text);
        }
        let refused = admin.put("/PermissionSets", json!({ "Id": GLOBAL, "Permissions": ["/ssl/"] })).await.expect(400);
        assert!(refused.message().contains("Global"), "{}", refused.message());
        admin.delete(&format!("/PermissionSets/{GLOBAL}")).await.expect(400);
        admin.put("/PermissionSets", json!({ "Id": "11111111-1111-4111-8111-111111111111", "Permissions": [] })).await.expect(404);
        assert_eq!(admin.get("/PermissionSets").await.expect(200).json, before);
    }

    async fn ones_own_sets(server: TestServer) {
        let alice = server.account(&[]).await;
        assert_eq!(alice.get("/PermissionSets/My").await.expect(200).json[0]["Name"], "Global");
        let set = server.admin().post("/PermissionSets", json!({ "Name": "Few", "Permissions": ["/ssl/"] })).await.expect(200).json;
        let own = role_id(&server, &role_of(&alice)).await;
        let own = server.admin().request("GET", &format!("/Security/Roles/{own}")).version(2).send().await.expect(200).json;
        version_2(&server.admin(), "PUT", "/Security/Roles", with(own, "PermissionSetId", set["Id"].clone())).await.expect(200);
        assert_eq!(alice.get("/PermissionSets/My").await.expect(200).json, json!([set]));
    }

    async fn every_permission_is_listed(server: TestServer) {
        let all = server.admin().get("/Permissions").await.expect(200).json;
        let all: Vec<&str> = all.as_array().unwrap().iter().filter_map(|text| text.as_str()).collect();
        for wanted in ["/", "/certificate_stores/schedule/", "/certificate_stores/schedule/#/", "/security/modify/", "/pam/read/#/", "/certificates/collections/read/#/"] {
            assert!(all.contains(&wanted), "{wanted}");
        }
        assert!(!all.contains(&"/security/modify/#/"));
    }

    async fn security_is_changed_from_the_set_global_alone(server: TestServer) {
        let admin = server.admin();
        let keeper = server.account(&["/security/modify/"]).await;
        let claim = json!({ "ClaimType": 4, "ClaimValue": "x", "ProviderAuthenticationScheme": "Corporate", "Description": "" });
        keeper.post("/Security/Claims", &claim).await.expect(200);
        let set = admin.post("/PermissionSets", json!({ "Name": "Keepers", "Permissions": ["/security/"] })).await.expect(200).json;
        let own = role_id(&server, &role_of(&keeper)).await;
        let own = admin.request("GET", &format!("/Security/Roles/{own}")).version(2).send().await.expect(200).json;
        version_2(&admin, "PUT", "/Security/Roles", with(own, "PermissionSetId", set["Id"].clone())).await.expect(200);
        let refused = keeper.post("/Security/Claims", with(claim, "ClaimValue", "y")).await.expect(403);
        assert!(refused.message().contains("Global"), "{}", refused.message());
        version_2(&keeper, "POST", "/Security/Roles", role("New", &[], &[])).await.expect(403);
        keeper.post("/PermissionSets", json!({ "Name": "New", "Permissions": [] })).await.expect(403);
        keeper.get("/Security/Roles").await.expect(200);
    }
}
