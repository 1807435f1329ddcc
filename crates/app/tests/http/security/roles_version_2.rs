//! `/Security/Roles`, version 2.

use serde_json::{Value, json};
use testkit::TestServer;

use super::{account_claim, collection, container, role, version_2, with};

const SUBJECT: &str = "3f1c2d58-subject";

fn subject() -> Value {
    json!({ "ClaimType": "OAuthSubject", "ClaimValue": SUBJECT, "ProviderAuthenticationScheme": "Corporate", "Description": "A machine" })
}

testkit::both_databases! {
    async fn who_may_not_is_told_before_the_request_is_read(server: TestServer) {
        let reader = server.account(&["/security/read/"]).await;
        let bad = with(role("New", &["/nothing/"], &[]), "Id", 2);
        for method in ["POST", "PUT"] {
            version_2(&reader, method, "/Security/Roles", bad.clone()).await.expect(403);
            reader.request(method, "/Security/Roles").json(&bad).send().await.expect(403);
        }
        let admin = server.admin();
        let many: Vec<String> = (1..=1_001).map(|id| format!("/certificates/collections/read/{id}/")).collect();
        let many = with(bad, "Permissions", json!(many));
        for method in ["POST", "PUT"] {
            let answers = [version_2(&admin, method, "/Security/Roles", many.clone()).await, admin.request(method, "/Security/Roles").json(&many).send().await];
            for answer in answers {
                assert!(answer.expect(400).message().starts_with("Permissions: 1001 are more than the 1000"));
            }
        }
    }

    async fn a_role_from_creation_to_deletion(server: TestServer) {
        let admin = server.admin();
        let alice = server.account(&[]).await;
        let (collection, container) = (collection(&server, "Servers").await, container(&server, "Front").await);
        let on_collection = format!("/certificates/collections/read/{collection}/");
        let on_container = format!("/certificate_stores/schedule/{container}/");
        let asked = role("Watchers", &["/agents/management/read/", &on_collection, &on_container], &[account_claim(alice.name()), subject()]);
        let asked = with(asked, "EmailAddress", "watchers@chancery.example");
        let made = version_2(&admin, "POST", "/Security/Roles", asked).await.expect(200).json;
        assert_eq!(made["Permissions"], json!(["/agents/management/read/", on_container, on_collection]));
        assert_eq!((&made["EmailAddress"], &made["Immutable"]), (&json!("watchers@chancery.example"), &json!(false)));
        let claims = made["Claims"].as_array().unwrap();
        assert_eq!(claims.len(), 2);
        assert_eq!((&claims[0]["ClaimType"], &claims[0]["ClaimValue"], &claims[0]["Provider"]["AuthenticationScheme"]), (&json!("User"), &json!(alice.name()), &json!("Chancery")));
        assert_eq!((&claims[1]["ClaimType"], &claims[1]["Description"], &claims[1]["Provider"]["AuthenticationScheme"]), (&json!("OAuthSubject"), &json!("A machine"), &json!("Corporate")));
        // A grant counts at once; version 1 shows the same role.
        alice.get("/Agents").await.expect(200);
        let path = format!("/Security/Roles/{}", made["Id"]);
        let first = admin.get(&path).await.expect(200).json;
        assert_eq!(first["Permissions"], json!(["AgentManagement:Read"]));
        assert_eq!(first["Identities"].as_array().map(Vec::len), Some(2));
        assert_eq!(admin.request("GET", &path).version(2).send().await.expect(200).json, made);

        // What was read can be sent back, in the form it was read.
        let same = version_2(&admin, "PUT", "/Security/Roles", made.clone()).await.expect(200).json;
        assert_eq!(same, made);
        // Version 1 replaces what is system-wide and leaves the rest.
        let put = json!({ "Id": made["Id"], "Name": "Watchers", "Description": "", "Permissions": ["Reports:Read"] });
        admin.put("/Security/Roles", put).await.expect(200);
        let now = admin.request("GET", &path).version(2).send().await.expect(200).json;
        assert_eq!(now["Permissions"], json!([on_container, on_collection, "/reports/read/"]));
        assert_eq!(now["EmailAddress"], "watchers@chancery.example", "version 1 knows no address");
        // Absent lists stay, empty ones empty; an address that is null goes.
        let put = json!({ "Id": made["Id"], "Name": "Watchers", "Description": "x", "PermissionSetId": made["PermissionSetId"], "EmailAddress": null });
        let put = version_2(&admin, "PUT", "/Security/Roles", put).await.expect(200).json;
        assert_eq!((&put["Permissions"], &put["EmailAddress"], &put["Description"]), (&now["Permissions"], &Value::Null, &json!("x")));
        let put = with(with(put, "Permissions", json!([])), "Claims", json!([{ "Id": claims[1]["Id"] }]));
        let put = version_2(&admin, "PUT", "/Security/Roles", put).await.expect(200).json;
        assert_eq!(put["Permissions"], json!([]));
        assert_eq!(put["Claims"], json!([claims[1]]));
        alice.get("/Agents").await.expect(403);
        admin.delete(&path).await.expect(204);
        admin.request("GET", &path).version(2).send().await.expect(404);
    }

    async fn a_role_is_renamed_by_copying_its_answer(server: TestServer) {
        // As the scripts do: read, send as a new one with the old id and all members, delete the old one.
        let admin = server.admin();
        let made = version_2(&admin, "POST", "/Security/Roles", role("Old", &["/ssl/read/"], &[subject()])).await.expect(200).json;
        let copy = with(made.clone(), "Name", "New");
        let copy = version_2(&admin, "POST", "/Security/Roles", copy).await.expect(200).json;
        assert_ne!(copy["Id"], made["Id"]);
        assert_eq!((&copy["Claims"], &copy["Permissions"]), (&made["Claims"], &made["Permissions"]));
    }

    async fn the_list(server: TestServer) {
        let admin = server.admin();
        version_2(&admin, "POST", "/Security/Roles", role("Alpha", &[], &[subject(), account_claim("admin")])).await.expect(200);
        let list = admin.request("GET", "/Security/Roles").version(2).send().await.expect(200);
        let shown: Vec<(&str, i64)> = list.items().iter().map(|item| (item["Name"].as_str().unwrap(), item["ClaimsCount"].as_i64().unwrap())).collect();
        assert_eq!(shown, [("Administrator", 1), ("Alpha", 2)]);
        assert_eq!(list.total(), Some(2));
        let found = admin.request("GET", "/Security/Roles?pq.queryString=name%20-eq%20%22alpha%22").version(2).send().await.expect(200);
        assert_eq!(found.items().len(), 1);
    }

    async fn refused_requests_change_nothing(server: TestServer) {
        let admin = server.admin();
        let other = version_2(&admin, "POST", "/Security/Roles", role("Other", &["/ssl/read/"], &[])).await.expect(200).json;
        let before = (admin.get("/Security/Roles").await.expect(200).json, admin.get("/Security/Claims").await.expect(200).json);
        let claim = |kind: &str, value: &str, scheme: &str| json!({ "ClaimType": kind, "ClaimValue": value, "ProviderAuthenticationScheme": scheme, "Description": "" });
        // (the request, what the message names)
        let wrong = [
            (role("", &[], &[]), "Name"),
            (role("  oTHER\u{200b}", &[], &[]), "Other"),
            (role("New", &["/nothing/"], &[]), "/nothing/"),
            (role("New", &["Certificates:Read"], &[]), "Certificates:Read"),
            (role("New", &["/certificates/", "/certificates/import/"], &[]), "covers"),
            (role("New", &["/ssl/modify/", "/ssl/modify/"], &[]), "twice"),
            (role("New", &["/certificates/collections/read/77/"], &[]), "collection 77"),
            (role("New", &["/certificate_stores/read/78/"], &[]), "container 78"),
            (role("New", &["/pam/read/79/"], &[]), "PAM provider 79"),
            (with(role("New", &[], &[]), "PermissionSetId", "11111111-1111-4111-8111-111111111111"), "PermissionSetId"),
            (with(role("New", &[], &[]), "EmailAddress", "nowhere"), "EmailAddress"),
            (role("New", &[], &[claim("Nothing", "x", "Corporate")]), "ClaimType"),
            (role("New", &[], &[claim("7", "x", "Corporate")]), "ClaimType"),
            (role("New", &[], &[claim("4", " ", "Corporate")]), "ClaimValue"),
            (role("New", &[], &[claim("4", "x", "")]), "ProviderAuthenticationScheme"),
            (role("New", &[], &[claim("0", "nobody", "Chancery")]), "nobody"),
            (role("New", &[], &[claim("4", "admin", "chancery")]), "OAuthRole"),
            (role("New", &[], &[json!({ "Id": 987_654 })]), "987654"),
            (role("New", &[], &[json!({ "ClaimType": 4 })]), "Claims[0]"),
        ];
        for (body, named) in wrong {
            let refused = version_2(&admin, "POST", "/Security/Roles", body.clone()).await.expect(400);
            assert!(refused.text.contains(named), "{body}: {}", refused.text);
            if named == "Other" { continue }
            let refused = version_2(&admin, "PUT", "/Security/Roles", with(body.clone(), "Id", other["Id"].clone())).await.expect(400);
            assert!(refused.text.contains(named), "{body}: {}", refused.text);
        }
        let after = (admin.get("/Security/Roles").await.expect(200).json, admin.get("/Security/Claims").await.expect(200).json);
        assert_eq!(after, before, "no role and no claim");
        version_2(&admin, "PUT", "/Security/Roles", with(role("New", &[], &[]), "Id", 987_654)).await.expect(404);
    }

    async fn the_administrators_role_keeps_what_it_is(server: TestServer) {
        let admin = server.admin();
        let own = admin.request("GET", "/Security/Roles/1").version(2).send().await.expect(200).json;
        assert_eq!((&own["Immutable"], &own["Permissions"]), (&json!(true), &json!(["/"])));
        for (member, value) in [("Name", json!("Root")), ("Permissions", json!(["/ssl/"])), ("EmailAddress", json!("a@b"))] {
            let refused = version_2(&admin, "PUT", "/Security/Roles", with(own.clone(), member, value)).await.expect(400);
            assert!(refused.message().starts_with(member), "{}", refused.message());
        }
        // A claim of somebody else is no administrator who can certainly sign in.
        let handed = with(own.clone(), "Claims", json!([subject()]));
        version_2(&admin, "PUT", "/Security/Roles", handed).await.expect(400);
        let shared = with(own, "Claims", json!([account_claim("admin"), subject()]));
        version_2(&admin, "PUT", "/Security/Roles", shared).await.expect(200);
    }

    async fn a_name_in_another_form_is_the_same_name(server: TestServer) {
        let admin = server.admin();
        for (first, again) in [
            ("Caf\u{e9} Owners", "CAFE\u{301}  Owners"), ("Stra\u{df}e", "STRASSE"), ("\u{39f}\u{394}\u{39f}\u{3a3}", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}"),
            ("O\u{fb03}ce", "office"), ("Admins\u{ad}", "\u{ff21}\u{ff44}\u{ff4d}\u{ff49}\u{ff4e}\u{ff53}"),
        ] {
            let again = again.replace("  ", " ");
            let made = version_2(&admin, "POST", "/Security/Roles", role(first, &[], &[])).await.expect(200).json;
            version_2(&admin, "POST", "/Security/Roles", role(&again, &[], &[])).await.expect(400);
            admin.post("/Security/Roles", json!({ "Name": again, "Description": "" })).await.expect(400);
            admin.post("/Security/Roles/1/Copy", json!({ "Name": again, "Description": "" })).await.expect(400);
            let other = version_2(&admin, "POST", "/Security/Roles", role("Other", &[], &[])).await.expect(200).json;
            version_2(&admin, "PUT", "/Security/Roles", with(other.clone(), "Name", again.clone())).await.expect(400);
            admin.delete(&format!("/Security/Roles/{}", other["Id"])).await.expect(204);
            // It is the role's own, so it may take that spelling.
            version_2(&admin, "PUT", "/Security/Roles", with(made, "Name", again)).await.expect(200);
        }
        for unseen in ["\u{200b}", "\u{feff}\u{ad}"] {
            version_2(&admin, "POST", "/Security/Roles", role(unseen, &[], &[])).await.expect(400);
        }
    }
}
