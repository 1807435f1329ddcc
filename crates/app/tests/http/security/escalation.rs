//! Attacks on roles that must fail: giving what one does not hold, by every way there is, and leaving no administrator.

use serde_json::{Value, json};
use testkit::TestServer;

use super::{account_claim, container, role, role_id, role_of, version_2, with};

testkit::both_databases! {
    async fn nobody_gives_what_they_do_not_hold(server: TestServer) {
        let admin = server.admin();
        let mallory = server.account(&["/security/", "/reports/read/"]).await;
        let own = role_id(&server, &role_of(&mallory)).await;
        let mine = admin.request("GET", &format!("/Security/Roles/{own}")).version(2).send().await.expect(200).json;
        let (ssl, front) = (server.role("Tls", &["/ssl/"]).await, container(&server, "Front").await);
        let strong = admin.request("GET", &format!("/Security/Roles/{ssl}")).version(2).send().await.expect(200).json;
        let identity = admin.post("/Security/Identities", json!({ "AccountName": mallory.name() })).await.expect(200).json["Id"].clone();
        let before = (admin.get("/Security/Roles").await.expect(200).json, mallory.get("/Security/My").await.expect(200).json);
        let refused = |answer: testkit::Answer, what: &str| {
            let answer = answer.expect(403);
            assert!(answer.message().contains("cannot give"), "{what}: {}", answer.message());
        };
        // The own role, raised.
        for permissions in [json!(["/"]), json!(["/security/", "/ssl/read/"]), json!(["/security/", "/reports/"]), json!(["/security/", "/certificate_stores/read/1/"])] {
            let permissions = json!(permissions.to_string().replace("/1/", &format!("/{front}/")).parse::<Value>().unwrap());
            refused(version_2(&mallory, "PUT", "/Security/Roles", with(mine.clone(), "Permissions", permissions)).await, "replaced");
        }
        let put = json!({ "Id": own, "Name": mine["Name"], "Description": "", "Permissions": ["SslManagement:Read"] });
        refused(mallory.put("/Security/Roles", put).await, "replaced, version 1");
        let base = format!("/Security/Roles/{own}/Permissions");
        for method in ["POST", "PUT"] {
            let send = async |family: &str, body: Value| mallory.request(method, &format!("{base}/{family}")).json(body).send().await;
            refused(send("Global", json!([{ "Area": "SslManagement", "Permission": "Read" }])).await, "global");
            refused(send("Containers", json!([{ "ContainerId": front, "Permission": "Read" }])).await, "containers");
        }
        // A new role, a copy, a role that others hold.
        refused(version_2(&mallory, "POST", "/Security/Roles", role("New", &["/ssl/read/"], &[])).await, "created");
        refused(mallory.post("/Security/Roles", json!({ "Name": "New", "Description": "", "Permissions": ["SslManagement:Read"] })).await, "created, version 1");
        refused(mallory.post(&format!("/Security/Roles/{ssl}/Copy"), json!({ "Name": "New" })).await, "copied");
        refused(mallory.post("/Security/Roles/1/Copy", json!({ "Name": "New" })).await, "the administrators' copied");
        refused(version_2(&mallory, "PUT", "/Security/Roles", with(strong.clone(), "Claims", json!([account_claim(mallory.name())]))).await, "given to oneself");
        let foreign = json!([{ "ClaimType": 5, "ClaimValue": "me", "ProviderAuthenticationScheme": "Corporate", "Description": "" }]);
        refused(version_2(&mallory, "PUT", "/Security/Roles", with(strong.clone(), "Claims", foreign.clone())).await, "given to a claim");
        refused(mallory.put("/Security/Roles", json!({ "Id": ssl, "Name": "Tls", "Description": "", "Identities": [{ "AccountName": mallory.name() }] })).await, "given to oneself, version 1");
        refused(mallory.put(&format!("/Security/Roles/{ssl}/Identities"), json!({ "Ids": [identity] })).await, "identities");
        refused(mallory.put("/Security/Roles/1/Identities", json!({ "Ids": [identity] })).await, "the administrators' identities");
        // A role switched on, or moved to another set.
        admin.put("/Security/Roles", json!({ "Id": ssl, "Name": "Tls", "Description": "", "Enabled": false })).await.expect(200);
        refused(mallory.put("/Security/Roles", json!({ "Id": ssl, "Name": "Tls", "Description": "", "Enabled": true })).await, "enabled");
        admin.put("/Security/Roles", json!({ "Id": ssl, "Name": "Tls", "Description": strong["Description"], "Enabled": true })).await.expect(200);
        let set = admin.post("/PermissionSets", json!({ "Name": "Ssl", "Permissions": ["/ssl/"] })).await.expect(200).json;
        refused(version_2(&mallory, "PUT", "/Security/Roles", with(strong, "PermissionSetId", set["Id"].clone())).await, "moved");
        // Accounts.
        refused(mallory.post("/Chancery/Accounts", json!({ "Name": "door", "Password": "violet umbrella 42", "Roles": ["Tls"] })).await, "an account");
        let account = admin.get("/Chancery/Accounts?QueryString=Name%20-eq%20%22admin%22").await.expect(200).items()[0]["Id"].clone();
        refused(mallory.post(&format!("/Chancery/Accounts/{account}/Password"), json!({ "Password": "violet umbrella 42" })).await, "a password");

        let after = (admin.get("/Security/Roles").await.expect(200).json, mallory.get("/Security/My").await.expect(200).json);
        assert_eq!(after, before, "nothing was changed");
        let claims = admin.get("/Security/Claims?QueryString=ClaimValue%20-eq%20%22me%22").await.expect(200).json;
        assert_eq!(claims, json!([]), "nor a claim made");
        // What is held can be given, whole and in part.
        version_2(&mallory, "POST", "/Security/Roles", role("Part", &["/security/read/", "/reports/read/"], &[account_claim(mallory.name())])).await.expect(200);
        // And taken from others.
        mallory.put(&format!("/Security/Roles/{ssl}/Permissions/Global"), json!([])).await.expect(200);
    }

    async fn who_holds_a_right_on_an_object_gives_it_there_alone(server: TestServer) {
        let (front, back) = (container(&server, "Front").await, container(&server, "Back").await);
        let keeper = server.account(&["/security/", &format!("/certificate_stores/schedule/{front}/")]).await;
        let id = server.role("Some", &[]).await;
        let path = format!("/Security/Roles/{id}/Permissions/Containers");
        keeper.post(&path, json!([{ "ContainerId": front, "Permission": "Schedule" }])).await.expect(200);
        keeper.post(&path, json!([{ "ContainerId": front, "Permission": "Read" }])).await.expect(200);
        keeper.post(&path, json!([{ "ContainerId": front, "Permission": "Modify" }])).await.expect(403);
        keeper.post(&path, json!([{ "ContainerId": back, "Permission": "Read" }])).await.expect(403);
        keeper.post(&format!("/Security/Roles/{id}/Permissions/Global"), json!([{ "Area": "CertificateStoreManagement", "Permission": "Read" }])).await.expect(403);
    }

    async fn the_last_administrator_stays(server: TestServer) {
        let admin = server.admin();
        let deputy = server.account(&["/"]).await;
        let of = async |name: &str| admin.get(&format!("/Chancery/Accounts?QueryString=Name%20-eq%20%22{name}%22")).await.expect(200).items()[0].clone();
        let (own, other) = (of("admin").await, of(deputy.name()).await);
        let account = |account: &Value, what: &str| format!("/Chancery/Accounts/{}{what}", account["Id"]);
        // With two of them either may go, one after the other may not.
        deputy.post(&account(&own, "/Disable"), json!({})).await.expect(204);
        let role = role_id_by(&deputy, &role_of(&deputy)).await;
        let body = json!({ "Id": role, "Name": role_of(&deputy), "Description": "" });
        let refusals = [
            deputy.post(&account(&other, "/Disable"), json!({})).await,
            deputy.delete(&format!("/Security/Identities/{}", other["ClaimId"])).await,
            deputy.delete(&format!("/Security/Roles/{role}")).await,
            deputy.put(&format!("/Security/Roles/{role}/Identities"), json!({ "Ids": [] })).await,
            deputy.put(&format!("/Security/Roles/{role}/Identities"), json!({ "Ids": [own["ClaimId"]] })).await,
            deputy.put(&format!("/Security/Roles/{role}/Permissions/Global"), json!([])).await,
            deputy.put("/Security/Roles", with(body.clone(), "Enabled", false)).await,
            deputy.put("/Security/Roles", with(body.clone(), "Identities", json!([]))).await,
            deputy.put("/Security/Roles", with(body, "Permissions", json!(["SecuritySettings:Modify"]))).await,
        ];
        for refused in refusals {
            let refused = refused.expect(400);
            assert!(refused.message().contains("no administrator"), "{}", refused.message());
        }
        deputy.delete(&account(&other, "")).await.expect(400);
        deputy.post(&account(&own, "/Enable"), json!({})).await.expect(204);
        admin.delete(&account(&other, "")).await.expect(204);
        admin.delete(&account(&own, "")).await.expect(400);
        admin.post(&account(&own, "/Disable"), json!({})).await.expect(400);
        admin.get("/Security/Roles").await.expect(200);
    }

    async fn two_administrators_cannot_remove_each_other_at_once(server: TestServer) {
        let (admin, deputy) = (server.admin(), server.account(&["/"]).await);
        let list = admin.get("/Chancery/Accounts").await.expect(200);
        let id = |name: &str| list.items().iter().find(|account| account["Name"] == name).unwrap()["Id"].clone();
        let (first, second) = (format!("/Chancery/Accounts/{}/Disable", id("admin")), format!("/Chancery/Accounts/{}/Disable", id(deputy.name())));
        let (one, other) = futures::join!(deputy.post(&first, json!({})), admin.post(&second, json!({})));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert!(matches!(statuses, [204, 400 | 401]), "{statuses:?}");
    }
}

async fn role_id_by(client: &testkit::Client, name: &str) -> Value {
    let query = format!(
        "/Security/Roles?QueryString=Name%20-eq%20%22{}%22",
        name.replace(' ', "%20")
    );
    client.get(&query).await.expect(200).items()[0]["Id"].clone()
}
