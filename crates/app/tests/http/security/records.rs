//! Every kind of change of security is recorded with what was before and what is after.

use serde_json::{Value, json};
use testkit::TestServer;

use super::{role, version_2, with};
use crate::audit;

/// The records of a thing of this name: operation, before, after.
async fn records(server: &TestServer, kind: &str, name: &str) -> Vec<(i64, Value, Value)> {
    let query = format!("EntityType -eq \"{kind}\" AND Name -eq \"{name}\"");
    let records = audit::found(server, &query).await.into_iter();
    let read = |value: &Value| {
        let text = value.as_str();
        text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    };
    records
        .map(|entry| {
            assert_eq!(entry["User"], "admin");
            let operation = entry["Operation"].as_i64().unwrap();
            (operation, read(&entry["Before"]), read(&entry["After"]))
        })
        .collect()
}

/// Created, changed in one member, deleted if that can be: each record takes up where the one before left off.
fn check(records: &[(i64, Value, Value)], operations: &[i64], member: &str, values: &[Value; 2]) {
    let done: Vec<i64> = records.iter().map(|record| record.0).collect();
    assert_eq!(done, operations, "{records:?}");
    assert_eq!(records[0].1, Value::Null);
    for pair in records.windows(2) {
        assert_eq!(pair[0].2, pair[1].1, "{records:?}");
    }
    assert_eq!(
        (&records[1].1[member], &records[1].2[member]),
        (&values[0], &values[1]),
        "{records:?}"
    );
    if operations.len() > 2 {
        assert_eq!(records[2].2, Value::Null);
    }
}

testkit::both_databases! {
    async fn a_role(server: TestServer) {
        let admin = server.admin();
        let made = version_2(&admin, "POST", "/Security/Roles", role("Kept", &["/ssl/"], &[])).await.expect(200).json;
        let body = with(made.clone(), "Permissions", json!(["/ssl/read/"]));
        version_2(&admin, "PUT", "/Security/Roles", body).await.expect(200);
        admin.delete(&format!("/Security/Roles/{}", made["Id"])).await.expect(204);
        let found = records(&server, "Security role", "Kept").await;
        check(&found, &[1, 2, 3], "Permissions", &[json!(["/ssl/"]), json!(["/ssl/read/"])]);
    }

    async fn a_claim(server: TestServer) {
        let admin = server.admin();
        let body = json!({ "ClaimType": 5, "ClaimValue": "kept", "ProviderAuthenticationScheme": "idp", "Description": "old" });
        let made = admin.post("/Security/Claims", body).await.expect(200).json;
        admin.put("/Security/Claims", json!({ "Id": made["Id"], "Description": "new" })).await.expect(200);
        let found = records(&server, "Security claim", "kept").await;
        check(&found, &[1, 2], "Description", &[json!("old"), json!("new")]);
        admin.delete(&format!("/Security/Claims/{}", made["Id"])).await.expect(204);
        let found = records(&server, "Security claim", "kept").await;
        assert_eq!((found[2].0, &found[2].1["Description"], &found[2].1["Roles"]), (3, &json!("new"), &json!([])));
    }

    async fn an_identity(server: TestServer) {
        let admin = server.admin();
        let made = admin.post("/Security/Identities", json!({ "AccountName": "CORP\\kept" })).await.expect(200).json;
        admin.delete(&format!("/Security/Identities/{}", made["Id"])).await.expect(204);
        let found = records(&server, "Security claim", "CORP\\kept").await;
        let done: Vec<i64> = found.iter().map(|record| record.0).collect();
        assert_eq!(done, [1, 3]);
        assert_eq!(found[0].2["ClaimValue"], found[1].1["ClaimValue"]);
        // Of a local account the roles go and the account stays.
        let account = server.account(&["/ssl/"]).await;
        let id = admin.post("/Security/Identities", json!({ "AccountName": account.name() })).await.expect(200).json["Id"].clone();
        admin.delete(&format!("/Security/Identities/{id}")).await.expect(204);
        let found = records(&server, "Account", account.name()).await;
        assert_eq!(found, [(2, json!({ "Roles": ["Role 1"] }), json!({ "Roles": [] }))]);
    }

    async fn a_permission_set(server: TestServer) {
        let admin = server.admin();
        let made = admin.post("/PermissionSets", json!({ "Name": "Kept", "Permissions": ["/ssl/"] })).await.expect(200).json;
        admin.put("/PermissionSets", json!({ "Id": made["Id"], "Permissions": ["/ssl/", "/pam/"] })).await.expect(200);
        admin.delete(&format!("/PermissionSets/{}", made["Id"].as_str().unwrap())).await.expect(204);
        let found = records(&server, "Permission set", "Kept").await;
        check(&found, &[1, 2, 3], "Permissions", &[json!(["/ssl/"]), json!(["/pam/", "/ssl/"])]);
    }

    async fn an_account(server: TestServer) {
        let admin = server.admin();
        let body = json!({ "Name": "kept", "Password": "violet umbrella 42" });
        let made = admin.post("/Chancery/Accounts", body).await.expect(200).json;
        let path = format!("/Chancery/Accounts/{}", made["Id"]);
        admin.post(&format!("{path}/Disable"), json!({})).await.expect(204);
        admin.post(&format!("{path}/Password"), json!({ "Password": "another umbrella 42", "MustChangePassword": false })).await.expect(204);
        admin.delete(&path).await.expect(204);
        let found = records(&server, "Account", "kept").await;
        check(&found[..2], &[1, 2], "Disabled", &[json!(false), json!(true)]);
        check(&[found[0].clone(), found[2].clone()].map(|(operation, before, after)| if operation == 1 { (1, before, found[1].2.clone()) } else { (operation, before, after) }), &[1, 2], "MustChangePassword", &[json!(true), json!(false)]);
        assert_eq!((found[3].0, &found[3].1, &found[3].2), (3, &found[2].2, &Value::Null));
        assert!(!format!("{found:?}").contains("umbrella"));
    }

    async fn a_provider(server: TestServer) {
        let admin = server.admin();
        let parameters = json!({ "Authority": "https://127.0.0.1/x", "ClientId": "one", "ClientSecret": { "SecretValue": "hidden word" } });
        let body = json!({ "AuthenticationScheme": "kept", "DisplayName": "Old", "ProviderType": "Generic", "Parameters": parameters });
        let made = admin.post("/IdentityProviders", body).await.expect(200).json;
        let body = json!({ "AuthenticationScheme": "kept", "DisplayName": "New", "AuthenticationEnabled": false });
        admin.put(&format!("/IdentityProviders/{}", made["Id"].as_str().unwrap()), body).await.expect(200);
        let found = records(&server, "Identity provider", "kept").await;
        check(&found, &[1, 2], "DisplayName", &[json!("Old"), json!("New")]);
        assert_eq!((&found[1].1["AuthenticationEnabled"], &found[1].2["AuthenticationEnabled"]), (&json!(true), &json!(false)));
        assert!(!format!("{found:?}").contains("hidden word"));
    }
}
