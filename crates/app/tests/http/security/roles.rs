//! `/Security/Roles`.

use serde_json::{Value, json};
use testkit::TestServer;

fn role(name: &str, permissions: &[&str], accounts: &[&str]) -> Value {
    let identities: Vec<Value> = accounts
        .iter()
        .map(|name| json!({ "AccountName": name }))
        .collect();
    json!({
        "Name": name, "Description": "For a test", "Enabled": true, "Private": false,
        "Permissions": permissions, "Identities": identities,
    })
}

fn with_id(mut role: Value, id: &Value) -> Value {
    role["Id"] = id.clone();
    role
}

testkit::both_databases! {
    async fn a_name_means_who_holds_the_role_already(server: TestServer) {
        let admin = server.admin();
        let foreign = |scheme: &str| json!({ "ClaimType": 0, "ClaimValue": "account1", "ProviderAuthenticationScheme": scheme, "Description": "" });
        let made = crate::security::version_2(&admin, "POST", "/Security/Roles", crate::security::role("Held", &[], &[foreign("Active Directory"), foreign("idp")])).await.expect(200).json;
        let before = made["Claims"].clone();
        // A local account of that name comes later.
        let account = server.account(&[]).await;
        assert_eq!(account.name(), "account1");
        let read = async || crate::security::version_2(&admin, "GET", &format!("/Security/Roles/{}", made["Id"]), json!(null)).await.expect(200).json["Claims"].clone();
        let put = async |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| json!({ "AccountName": name })).collect();
            let body = json!({ "Id": made["Id"], "Name": "Held", "Description": "", "Identities": names });
            admin.put("/Security/Roles", body).await.expect(200);
        };
        put(&["account1", "account1"]).await;
        assert_eq!(read().await, before, "what was read and sent back");
        put(&["account1"]).await;
        let one = read().await;
        assert_eq!(one.as_array().map(Vec::len), Some(1));
        assert_eq!(one[0], before[0]);
        // Who is not held by anybody of that name means the account.
        put(&[]).await;
        put(&["account1"]).await;
        assert_eq!(read().await[0]["Provider"]["AuthenticationScheme"], "Chancery");
    }

    async fn a_role_from_creation_to_deletion(server: TestServer) {
        let admin = server.admin();
        let alice = server.account(&[]).await;
        alice.get("/Certificates").await.expect(403);
        let asked = role("Readers", &["Certificates:Read", "/certificate_stores/read/"], &[alice.name()]);
        let made = admin.post("/Security/Roles", &asked).await.expect(200).json;
        assert_eq!(made["Name"], "Readers");
        assert_eq!(made["Permissions"], json!(["CertificateStoreManagement:Read", "Certificates:Read"]));
        assert_eq!(made["Identities"][0]["AccountName"], alice.name());
        assert_eq!(made["Identities"][0]["IdentityType"], "User");
        assert_eq!((&made["Enabled"], &made["Private"], &made["Immutable"], &made["Valid"]), (&json!(true), &json!(false), &json!(false), &json!(true)));
        assert_eq!(made["PermissionSetId"], "099c05f0-deba-4562-a5b1-f491e19c0749");
        // A grant counts at once.
        alice.get("/Certificates").await.expect(200);
        let path = format!("/Security/Roles/{}", made["Id"]);
        assert_eq!(admin.get(&path).await.expect(200).json, made);

        let changed = json!({ "Id": made["Id"], "Name": "Watchers", "Description": "", "Permissions": ["AgentManagement:Read"], "Private": true });
        let changed = admin.put("/Security/Roles", changed).await.expect(200).json;
        assert_eq!(changed["Name"], "Watchers");
        assert_eq!(changed["Permissions"], json!(["AgentManagement:Read"]));
        assert_eq!(changed["Private"], true);
        assert_eq!(changed["Identities"][0]["AccountName"], alice.name(), "lists that are not given stay");
        alice.get("/Certificates").await.expect(403);
        alice.get("/Agents").await.expect(200);
        let closed = json!({ "Id": made["Id"], "Name": "Watchers", "Description": "", "Enabled": false, "Permissions": null, "Identities": null });
        admin.put("/Security/Roles", closed).await.expect(200);
        alice.get("/Agents").await.expect(403);
        let emptied = json!({ "Id": made["Id"], "Name": "watchers", "Description": "", "Identities": [], "Permissions": [] });
        let emptied = admin.put("/Security/Roles", emptied).await.expect(200).json;
        assert_eq!((&emptied["Identities"], &emptied["Permissions"]), (&json!([]), &json!([])));
        assert_eq!(emptied["Name"], "watchers");

        admin.delete(&path).await.expect(204);
        admin.get(&path).await.expect(404);
        admin.delete(&path).await.expect(404);
    }

    async fn lists_are_searched_and_ordered(server: TestServer) {
        let admin = server.admin();
        for name in ["beta", "Alpha"] {
            admin.post("/Security/Roles", role(name, &[], &[])).await.expect(200);
        }
        let all = admin.get("/Security/Roles?Validate=true").await.expect(200);
        let names: Vec<&str> = all.items().iter().filter_map(|item| item["Name"].as_str()).collect();
        assert_eq!(names, ["Administrator", "Alpha", "beta"]);
        assert_eq!(all.total(), Some(3));
        for (query, expected) in [
            ("name -eq \"ALPHA\"", vec!["Alpha"]),
            ("Description -contains \"for a\" AND Name -ne \"alpha\"", vec!["beta"]),
            ("Immutable -eq true", vec!["Administrator"]),
            ("Private -eq true", vec![]),
            ("Enabled -eq false", vec![]),
            ("Id -eq 1", vec!["Administrator"]),
        ] {
            let query = query.replace(' ', "%20").replace('"', "%22");
            let found = admin.get(&format!("/Security/Roles?pq.queryString={query}")).await.expect(200);
            let names: Vec<&str> = found.items().iter().filter_map(|item| item["Name"].as_str()).collect();
            assert_eq!(names, expected, "{query}");
        }
        let page = admin.get("/Security/Roles?SortField=Id&SortAscending=1&ReturnLimit=1&PageReturned=2").await.expect(200);
        assert_eq!(page.items()[0]["Name"], "beta");
        let bad = admin.get("/Security/Roles?SortField=Nothing").await.expect(400);
        assert_eq!(bad.error_code(), "0xA011004A");
        admin.get("/Security/Roles?QueryString=Nothing%20-eq%201").await.expect(400);
    }

    async fn accounts_in_every_form(server: TestServer) {
        let alice = server.account(&[]).await;
        for form in [alice.name().to_owned(), format!("DOMAIN\\{}", alice.name()), format!("{}@domain.example", alice.name().to_uppercase())] {
            let twice = json!({ "Name": form, "Description": "", "Identities": [{ "AccountName": form }, { "AccountName": alice.name() }] });
            let made = server.admin().post("/Security/Roles", twice).await.expect(200).json;
            assert_eq!(made["Identities"].as_array().map(Vec::len), Some(1), "{form}");
        }
    }

    async fn refused_requests_change_nothing(server: TestServer) {
        let admin = server.admin();
        let made = admin.post("/Security/Roles", role("Taken", &[], &[])).await.expect(200).json;
        let other = admin.post("/Security/Roles", role("Other", &[], &[])).await.expect(200).json;
        let before = admin.get("/Security/Roles").await.expect(200).json;
        // (the request, what the message names)
        let wrong = [
            (role("", &[], &[]), "Name"),
            (role("tAKEN", &[], &[]), "Taken"),
            (role("New", &["Nothing:Read"], &[]), "Nothing:Read"),
            (role("New", &["/nothing/"], &[]), "/nothing/"),
            (role("New", &[], &["nobody"]), "nobody"),
            (role("New", &[], &[""]), "AccountName"),
            (json!({ "Name": "New", "Description": "", "PermissionSetId": "11111111-1111-4111-8111-111111111111" }), "PermissionSetId"),
            (json!({ "Name": "New" }), "Description"),
            (json!({ "Description": "" }), "Name"),
            (json!({ "Name": "New", "Description": "", "Permissions": "Certificates:Read" }), "Permissions"),
        ];
        for (body, named) in wrong {
            let refused = admin.post("/Security/Roles", &body).await.expect(400);
            assert!(refused.text.contains(named), "{body}: {}", refused.text);
            let refused = admin.put("/Security/Roles", with_id(body.clone(), &other["Id"])).await.expect(400);
            assert!(refused.text.contains(named), "{body}: {}", refused.text);
        }
        let several = admin.post("/Security/Roles", role("New", &["A:B", "C:D"], &[])).await.expect(400);
        assert_eq!(several.reasons().len(), 2);
        admin.put("/Security/Roles", role("New", &[], &[])).await.expect(400);
        admin.put("/Security/Roles", with_id(role("New", &[], &[]), &json!(987_654))).await.expect(404);
        admin.get("/Security/Roles/987654").await.expect(404);
        admin.get("/Security/Roles/x").await.expect(400);
        assert_eq!(admin.get("/Security/Roles").await.expect(200).json, before);
        // Its own name is not taken.
        admin.put("/Security/Roles", with_id(role("TAKEN", &[], &[]), &made["Id"])).await.expect(200);
    }

    async fn the_administrators_role_keeps_what_it_is(server: TestServer) {
        let admin = server.admin();
        let found = admin.get("/Security/Roles?QueryString=Name%20-eq%20%22Administrator%22").await.expect(200);
        let own = found.items()[0].clone();
        assert_eq!(own["Immutable"], true);
        assert!(own["Permissions"].as_array().is_some_and(|all| all.len() > 10));
        let path = format!("/Security/Roles/{}", own["Id"]);
        admin.delete(&path).await.expect(400);
        for (member, value) in [
            ("Name", json!("Root")), ("Description", json!("Changed")), ("Enabled", json!(false)),
            ("Private", json!(true)), ("Permissions", json!(["Certificates:Read"])),
        ] {
            let mut changed = own.clone();
            changed[member] = value;
            let refused = admin.put("/Security/Roles", &changed).await.expect(400);
            assert!(refused.message().starts_with(member), "{}", refused.message());
        }
        let mut empty = own.clone();
        empty["Identities"] = json!([]);
        admin.put("/Security/Roles", &empty).await.expect(400);
        let deputy = server.account(&[]).await;
        let mut more = own.clone();
        more["Identities"] = json!([{ "AccountName": "admin" }, { "AccountName": deputy.name() }]);
        let more = admin.put("/Security/Roles", &more).await.expect(200).json;
        assert_eq!(more["Identities"].as_array().map(Vec::len), Some(2));
        deputy.get("/Security/Roles").await.expect(200);
    }

    async fn a_role_that_owns_certificates_stays(server: TestServer) {
        let admin = server.admin();
        let made = admin.post("/Security/Roles", role("Owners", &[], &[])).await.expect(200).json;
        let certificate = admin.get("/Certificates?ReturnLimit=1").await.expect(200).items()[0]["Id"].clone();
        admin.put(&format!("/Certificates/{certificate}/Owner"), json!({ "NewRoleId": made["Id"] })).await.expect(204);
        let path = format!("/Security/Roles/{}", made["Id"]);
        let refused = admin.delete(&path).await.expect(400);
        assert!(refused.message().contains("owns 1 certificate;"), "{}", refused.message());
        admin.put(&format!("/Certificates/{certificate}/Owner"), json!({ "NewRoleName": null })).await.expect(204);
        admin.delete(&path).await.expect(204);
    }

    async fn permissions_are_needed(server: TestServer) {
        let reader = server.account(&["/security/read/"]).await;
        let made = server.admin().post("/Security/Roles", role("Kept", &[], &[])).await.expect(200).json;
        let path = format!("/Security/Roles/{}", made["Id"]);
        reader.get("/Security/Roles").await.expect(200);
        reader.get(&path).await.expect(200);
        reader.post("/Security/Roles", role("New", &[], &[])).await.expect(403);
        reader.put("/Security/Roles", with_id(role("New", &[], &[]), &made["Id"])).await.expect(403);
        reader.delete(&path).await.expect(403);
        let nobody = server.account(&[]).await;
        nobody.get("/Security/Roles").await.expect(403);
        nobody.get(&path).await.expect(403);
        server.anonymous().get("/Security/Roles").await.expect(401);
        let keeper = server.account(&["/security/modify/"]).await;
        keeper.delete(&path).await.expect(204);
    }
}
