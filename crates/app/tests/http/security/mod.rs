//! `/Security`, `/PermissionSets`, `/Permissions` and `/Chancery/Accounts`.

mod accounts;
mod claims;
mod escalation;
mod identities;
mod joining;
mod permission_sets;
mod races;
mod records;
mod role_permissions;
mod roles;
mod roles_version_2;

use db::tables::certificate_collections;
use sea_orm::{ActiveModelTrait, ActiveValue};
use serde_json::{Value, json};
use testkit::{Answer, Client, TestServer};

/// Sends a request of version 2.
async fn version_2(client: &Client, method: &str, path: &str, body: Value) -> Answer {
    let request = client.request(method, path).version(2);
    request.json(body).send().await
}

/// A version 2 role in the set Global.
fn role(name: &str, permissions: &[&str], claims: &[Value]) -> Value {
    json!({
        "Name": name, "Description": "For a test", "PermissionSetId": "099c05f0-deba-4562-a5b1-f491e19c0749",
        "Permissions": permissions, "Claims": claims,
    })
}

/// The claim of a local account.
fn account_claim(name: &str) -> Value {
    json!({ "ClaimType": 0, "ClaimValue": name, "ProviderAuthenticationScheme": "Chancery", "Description": "" })
}

/// The value with another member.
fn with(mut value: Value, member: &str, content: impl Into<Value>) -> Value {
    value[member] = content.into();
    value
}

/// A new certificate collection. Answers its id.
async fn collection(server: &TestServer, name: &str) -> i64 {
    let row = certificate_collections::ActiveModel {
        id: ActiveValue::NotSet,
        name: ActiveValue::Set(name.to_owned()),
        name_fold: ActiveValue::Set(db::fold(name)),
        description: ActiveValue::Set(String::new()),
        query: ActiveValue::Set("IssuedCN -contains \"a\"".to_owned()),
        duplication_field: ActiveValue::Set(0),
        show_on_dashboard: ActiveValue::Set(false),
        position: ActiveValue::Set(0),
        last_count: ActiveValue::Set(None),
        last_counted_at: ActiveValue::Set(None),
        created_at: ActiveValue::Set(server.clock.now()),
    };
    let work = server.app().db().write("test.collection", move |tx| {
        Box::pin(async move { Ok::<_, db::Error>(row.insert(tx).await?.id) })
    });
    work.await.unwrap()
}

/// A new container of certificate stores. Answers its id.
async fn container(server: &TestServer, name: &str) -> i64 {
    let admin = server.admin();
    let made = admin.post("/CertificateStoreContainers", json!({ "Name": name }));
    made.await.expect(200).json["Id"].as_i64().unwrap()
}

/// The id of a role.
async fn role_id(server: &TestServer, name: &str) -> i64 {
    let query = format!(
        "/Security/Roles?QueryString=Name%20-eq%20%22{}%22",
        name.replace(' ', "%20")
    );
    let found = server.admin().get(&query).await.expect(200);
    found.items()[0]["Id"].as_i64().unwrap()
}

/// The role that a testkit account holds alone.
fn role_of(client: &Client) -> String {
    format!("Role {}", client.name().trim_start_matches("account"))
}
