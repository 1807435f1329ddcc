//! `/Security/Claims`.

use serde_json::json;
use testkit::TestServer;

use super::{account_claim, role, version_2, with};

testkit::both_databases! {
    async fn a_claim_from_creation_to_deletion(server: TestServer) {
        let admin = server.admin();
        let asked = json!({ "ClaimType": 4, "ClaimValue": "pki-admins", "ProviderAuthenticationScheme": "Corporate", "Description": "From the directory" });
        let made = admin.post("/Security/Claims", &asked).await.expect(200).json;
        assert_eq!((&made["ClaimType"], &made["ClaimValue"], &made["Description"]), (&json!("OAuthRole"), &json!("pki-admins"), &json!("From the directory")));
        assert_eq!(made["Provider"]["AuthenticationScheme"], "Corporate");
        let path = format!("/Security/Claims/{}", made["Id"]);
        assert_eq!(admin.get(&path).await.expect(200).json, made);
        // Its type is part of what it is about; numbers come as text too.
        for (kind, name) in [(json!("OAuthSubject"), "OAuthSubject"), (json!("6"), "OAuthClientId"), (json!(1), "Group")] {
            let other = admin.post("/Security/Claims", with(asked.clone(), "ClaimType", kind)).await.expect(200).json;
            assert_eq!(other["ClaimType"], name);
        }
        let list = admin.get("/Security/Claims?QueryString=ClaimValue%20-eq%20%22PKI-ADMINS%22%20AND%20ClaimType%20-eq%20%22OAuthRole%22").await.expect(200);
        assert_eq!(list.json, json!([made]));
        assert_eq!(admin.get("/Security/Claims?ReturnLimit=2").await.expect(200).total(), Some(5), "with the administrator's");
        let update = admin.put("/Security/Claims", json!({ "Id": made["Id"], "Description": "Other" })).await.expect(200).json;
        assert_eq!(update, with(made.clone(), "Description", "Other"));

        let roles = |kind: &str| format!("/Security/Claims/Roles?ClaimType={kind}&ClaimValue=Pki-Admins&ProviderAuthenticationScheme=corporate");
        assert_eq!(admin.get(&roles("4")).await.expect(200).json, json!([]));
        assert_eq!(admin.get(&roles("OAuthOid")).await.expect(200).json, json!([]), "a claim that nobody made");
        let held = version_2(&admin, "POST", "/Security/Roles", role("Some", &[], std::slice::from_ref(&asked))).await.expect(200).json;
        assert_eq!(held["Claims"][0]["Id"], made["Id"], "found, not made again");
        let shown = admin.get(&roles("OAuthRole")).await.expect(200).json;
        assert_eq!(shown, json!([{ "Id": held["Id"], "Name": "Some", "Description": "For a test", "PermissionSetId": held["PermissionSetId"] }]));
        admin.get("/Security/Claims/Roles?ClaimType=9&ClaimValue=x&ProviderAuthenticationScheme=y").await.expect(400);
        admin.get("/Security/Claims/Roles?ClaimType=4").await.expect(400);

        admin.delete(&path).await.expect(204);
        admin.get(&path).await.expect(404);
        admin.delete(&path).await.expect(404);
        let role = admin.request("GET", &format!("/Security/Roles/{}", held["Id"])).version(2).send().await.expect(200).json;
        assert_eq!(role["Claims"], json!([]));
    }

    async fn refused_requests_change_nothing(server: TestServer) {
        let admin = server.admin();
        let asked = json!({ "ClaimType": 5, "ClaimValue": "Subject", "ProviderAuthenticationScheme": "Corporate", "Description": "" });
        admin.post("/Security/Claims", &asked).await.expect(200);
        let before = admin.get("/Security/Claims").await.expect(200).json;
        for (body, named) in [
            (asked.clone(), "already exists"),
            (with(asked.clone(), "ClaimValue", "\u{ff33}UBJECT"), "already exists"),
            (with(asked.clone(), "ClaimType", 7), "ClaimType"),
            (with(asked.clone(), "ClaimType", "Nothing"), "ClaimType"),
            (with(asked.clone(), "ClaimType", json!(null)), "ClaimType"),
            (with(asked.clone(), "ClaimValue", "\u{200b}"), "ClaimValue"),
            (with(asked.clone(), "ProviderAuthenticationScheme", ""), "ProviderAuthenticationScheme"),
            (with(asked.clone(), "Description", "x".repeat(2_000)), "Description"),
            (account_claim("somebody"), "somebody"),
            (with(account_claim("somebody"), "ClaimType", 5), "OAuthSubject"),
        ] {
            let refused = admin.post("/Security/Claims", &body).await.expect(400);
            assert!(refused.text.contains(named), "{body}: {}", refused.text);
        }
        let own = &before.as_array().unwrap().iter().find(|claim| claim["ClaimValue"] == "admin").unwrap()["Id"];
        let refused = admin.delete(&format!("/Security/Claims/{own}")).await.expect(400);
        assert!(refused.message().contains("local account"), "{}", refused.message());
        admin.put("/Security/Claims", json!({ "Id": 987_654, "Description": "" })).await.expect(404);
        admin.get("/Security/Claims/987654").await.expect(404);
        assert_eq!(admin.get("/Security/Claims").await.expect(200).json, before);
    }
}
