//! Roles that come with more than their permissions, and doors of those who hold more: nobody opens them to get in.

use serde_json::{Value, json};
use testkit::{PASSWORD, TestServer};

use super::{account_claim, collection, container, role, role_id, role_of, version_2, with};
use crate::decisions::certificate;
use crate::templates;

async fn account(server: &TestServer, name: &str) -> Value {
    let query = format!("/Chancery/Accounts?QueryString=Name%20-eq%20%22{name}%22");
    server.admin().get(&query).await.expect(200).items()[0].clone()
}

testkit::both_databases! {
    async fn a_role_that_templates_name_or_that_owns_certificates_is_given_by_its_holders(server: TestServer) {
        let admin = server.admin();
        let mallory = server.account(&["/security/"]).await;
        let (enrollers, owners, plain) = (server.role("Enrollers", &[]).await, server.role("Owners", &[]).await, server.role("Plain", &[]).await);
        templates::change(&admin, "WebServer", json!({ "UseAllowedRequesters": true, "AllowedRequesters": ["Enrollers"] })).await;
        let id = certificate(&server, "owned.example", 1).await;
        admin.put(&format!("/Certificates/{id}/Owner"), json!({ "NewRoleId": owners })).await.expect(204);
        let own = account(&server, mallory.name()).await;
        let refused = |answer: testkit::Answer, what: &str| {
            let answer = answer.expect(403);
            assert!(answer.message().contains("cannot give"), "{what}: {}", answer.message());
        };
        for (id, name) in [(enrollers, "Enrollers"), (owners, "Owners")] {
            let body = json!({ "Id": id, "Name": name, "Description": "", "Claims": [account_claim(mallory.name())] });
            refused(version_2(&mallory, "PUT", "/Security/Roles", body).await, name);
            refused(mallory.put(&format!("/Security/Roles/{id}/Identities"), json!({ "Ids": [own["ClaimId"]] })).await, name);
            refused(mallory.post("/Chancery/Accounts", json!({ "Name": "door", "Password": "violet umbrella 42", "Roles": [name] })).await, name);
            // Nor by the account of somebody who holds it.
            let holder = server.account_in_role(&format!("holder{id}"), name).await;
            let holder = account(&server, holder.name()).await["Id"].clone();
            refused(mallory.post(&format!("/Chancery/Accounts/{holder}/Password"), json!({ "Password": "violet umbrella 42" })).await, name);
        }
        mallory.put(&format!("/Security/Roles/{plain}/Identities"), json!({ "Ids": [own["ClaimId"]] })).await.expect(200);
        // The name is what counts for templates: once it is free, it is not for everybody.
        admin.put("/Security/Roles", json!({ "Id": enrollers, "Name": "Once", "Description": "" })).await.expect(200);
        refused(mallory.post("/Security/Roles", json!({ "Name": "enrollers", "Description": "" })).await, "created");
        refused(mallory.put("/Security/Roles", json!({ "Id": plain, "Name": "ENROLLERS", "Description": "" })).await, "renamed");
        refused(mallory.post(&format!("/Security/Roles/{plain}/Copy"), json!({ "Name": "Enrollers" })).await, "copied");
        mallory.put("/Security/Roles", json!({ "Id": plain, "Name": "Other", "Description": "" })).await.expect(200);
        admin.put("/Security/Roles", json!({ "Id": enrollers, "Name": "Enrollers", "Description": "" })).await.expect(200);
        // Who holds such a role gives it.
        admin.put(&format!("/Security/Roles/{enrollers}/Identities"), json!({ "Ids": [own["ClaimId"]] })).await.expect(200);
        mallory.post("/Chancery/Accounts", json!({ "Name": "another", "Password": "violet umbrella 42", "Roles": ["Enrollers"] })).await.expect(200);
        // Not while it is disabled: then nobody holds it.
        admin.put("/Security/Roles", json!({ "Id": enrollers, "Name": "Enrollers", "Description": "", "Enabled": false })).await.expect(200);
        refused(mallory.put("/Security/Roles", json!({ "Id": enrollers, "Name": "Enrollers", "Description": "", "Enabled": true })).await, "enabled");
    }

    async fn a_disabled_role_lets_nobody_enroll(server: TestServer) {
        let admin = server.admin();
        let client = server.account(&["/certificates/enrollment/"]).await;
        server.role("Enrollers", &[]).await;
        templates::change(&admin, "WebServer", json!({ "UseAllowedRequesters": true, "AllowedRequesters": ["Enrollers"] })).await;
        let enroll = async || {
            let body = json!({ "Subject": "CN=a.example", "SANs": { "dns": ["a.example"] }, "Template": "WebServer", "Password": "violet umbrella 42", "IncludeChain": true });
            let request = client.request("POST", "/Enrollment/PFX").header("x-certificateformat", "PFX");
            request.json(body).send().await
        };
        enroll().await.expect(403);
        let enrollers = role_id(&server, "Enrollers").await;
        let claim = account(&server, client.name()).await["ClaimId"].clone();
        admin.put(&format!("/Security/Roles/{enrollers}/Identities"), json!({ "Ids": [claim] })).await.expect(200);
        enroll().await.expect(200);
        admin.put("/Security/Roles", json!({ "Id": enrollers, "Name": "Enrollers", "Description": "", "Enabled": false })).await.expect(200);
        enroll().await.expect(403);
    }

    async fn a_refused_reset_tells_nothing_of_the_password(server: TestServer) {
        let mallory = server.account(&["/security/"]).await;
        let strong = server.account(&["/ssl/"]).await;
        let id = account(&server, strong.name()).await["Id"].clone();
        let reset = async |password: &str| mallory.post(&format!("/Chancery/Accounts/{id}/Password"), json!({ "Password": password })).await;
        let answers = [reset(PASSWORD).await, reset("violet umbrella 42").await, reset("short").await];
        for answer in answers {
            assert!(answer.expect(403).message().contains("cannot give"));
        }
        strong.get("/Security/My").await.expect(200);
    }

    async fn a_stronger_account_is_not_let_in_again(server: TestServer) {
        let mallory = server.account(&["/security/"]).await;
        let strong = server.account(&["/ssl/"]).await;
        let path = format!("/Chancery/Accounts/{}", account(&server, strong.name()).await["Id"]);
        mallory.post(&format!("{path}/Disable"), json!({})).await.expect(204);
        mallory.post(&format!("{path}/Enable"), json!({})).await.expect(403);
        strong.get("/Security/My").await.expect(401);
        server.admin().post(&format!("{path}/Enable"), json!({})).await.expect(204);
        strong.get("/Security/My").await.expect(200);
    }

    async fn from_the_side_of_the_object_nobody_gives_more_either(server: TestServer) {
        let (front, list) = (container(&server, "Front").await, collection(&server, "Few").await);
        let mallory = server.account(&["/security/", &format!("/certificate_stores/read/{front}/"), &format!("/certificates/collections/read/{list}/")]).await;
        let own = role_id(&server, &role_of(&mallory)).await;
        let refused = |answer: testkit::Answer, what: &str| {
            let answer = answer.expect(403);
            assert!(answer.message().contains("cannot give"), "{what}: {}", answer.message());
        };
        let on_container = async |permission: &str| mallory.post(&format!("/Security/Containers/{front}/Roles"), json!([{ "SecurityRoleId": own, "Permissions": [permission] }])).await;
        let on_collection = async |permission: &str| mallory.post(&format!("/CertificateCollections/{list}/Permissions"), json!([{ "RoleId": own, "Permissions": [permission] }])).await;
        for permission in ["Schedule", "Modify", "Revoke"] {
            refused(on_container(permission).await, permission);
        }
        for permission in ["EditMetadata", "Delete"] {
            refused(on_collection(permission).await, permission);
        }
        on_container("Read").await.expect(200);
        on_collection("Read").await.expect(204);
        // The families of the role's side.
        let base = format!("/Security/Roles/{own}/Permissions");
        for method in ["POST", "PUT"] {
            let send = async |family: &str, body: Value| mallory.request(method, &format!("{base}/{family}")).json(body).send().await;
            refused(send("Collections", json!([{ "CollectionId": list, "Permission": "Delete" }])).await, "collections");
            refused(send("Global", json!([{ "Area": "PrivilegedAccessManagement", "Permission": "Modify" }])).await, "PAM");
        }
        let kept = mallory.get("/Security/My").await.expect(200).json;
        assert!(!kept.to_string().contains("PrivilegedAccessManagement"), "{kept}");
    }

    async fn who_administers_from_a_smaller_set_changes_nothing(server: TestServer) {
        let admin = server.admin();
        let (front, list) = (container(&server, "Front").await, collection(&server, "Few").await);
        let set = admin.post("/PermissionSets", json!({ "Name": "All", "Permissions": ["/"] })).await.expect(200).json["Id"].clone();
        let keeper = server.account(&["/"]).await;
        let id = role_id(&server, &role_of(&keeper)).await;
        let moved = json!({ "Id": id, "Name": role_of(&keeper), "Description": "", "PermissionSetId": set });
        version_2(&admin, "PUT", "/Security/Roles", moved.clone()).await.expect(200);
        let refused = |answer: testkit::Answer, what: &str| {
            let answer = answer.expect(403);
            assert!(answer.message().contains("Global"), "{what}: {}", answer.message());
        };
        keeper.get("/Security/Roles").await.expect(200);
        refused(version_2(&keeper, "POST", "/Security/Roles", role("New", &[], &[])).await, "a role");
        refused(keeper.post(&format!("/Security/Containers/{front}/Roles"), json!([{ "SecurityRoleId": id, "Permissions": ["Read"] }])).await, "a container");
        refused(keeper.post(&format!("/CertificateCollections/{list}/Permissions"), json!([{ "RoleId": id, "Permissions": ["Read"] }])).await, "a collection");
        refused(keeper.put(&format!("/Security/Roles/{id}/Permissions/Containers"), json!([{ "ContainerId": front, "Permission": "Read" }])).await, "containers");
        let provider = json!({ "AuthenticationScheme": "idp", "DisplayName": "idp", "ProviderType": "Generic", "Parameters": { "Authority": "https://127.0.0.1/x", "ClientId": "c" } });
        refused(keeper.post("/IdentityProviders", provider).await, "a provider");
        // So it is no administrator who would remain.
        let own = account(&server, "admin").await["Id"].clone();
        let last = admin.post(&format!("/Chancery/Accounts/{own}/Disable"), json!({})).await.expect(400);
        assert!(last.message().contains("no administrator"), "{}", last.message());
        let back = with(moved, "PermissionSetId", "099c05f0-deba-4562-a5b1-f491e19c0749");
        version_2(&admin, "PUT", "/Security/Roles", back).await.expect(200);
        admin.post(&format!("/Chancery/Accounts/{own}/Disable"), json!({})).await.expect(204);
    }
}
