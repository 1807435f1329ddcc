//! Changes of security that meet: of requests under way, and on several servers of one database.

use std::sync::Arc;

use app::security::{Grant, Grants, HeldRole, accounts, permission_sets};
use app::{Caller, Cx, Identity};
use db::tables;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use testkit::{Client, PASSWORD, TestServer};
use uuid::Uuid;

use super::{role_id, role_of};

/// The context of a request that began when its caller held these permissions.
async fn begun(server: &TestServer, client: &Client, permissions: &[&str]) -> Cx {
    let account = tables::accounts::Entity::find()
        .filter(tables::accounts::Column::Name.eq(client.name()))
        .one(server.app().db().read())
        .await
        .unwrap()
        .unwrap();
    let role = HeldRole {
        id: role_id(server, &role_of(client)).await,
        name: role_of(client),
        enabled: true,
        permission_set_id: permission_sets::GLOBAL,
        claim_ids: vec![account.claim_id],
        grants: permissions
            .iter()
            .map(|path| Grant::parse_path(path).unwrap())
            .collect(),
    };
    let identity = Identity {
        account_id: Some(account.id),
        name: account.name,
        claim_ids: vec![account.claim_id],
        grants: Arc::new(Grants::new(vec![role])),
        ..Identity::default()
    };
    Cx::new(
        Arc::clone(server.app()),
        Caller::Identity(Arc::new(identity)),
        Uuid::nil(),
        None,
    )
}

async fn create(cx: &Cx, name: &str, roles: &[&str]) -> Result<i64, String> {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    let made = accounts::create(cx, name, PASSWORD.into(), &roles).await;
    made.map_err(|error| error.to_string())
}

async fn account(server: &TestServer, name: &str) -> Value {
    let query = format!("/Chancery/Accounts?QueryString=Name%20-eq%20%22{name}%22");
    server.admin().get(&query).await.expect(200).items()[0].clone()
}

testkit::both_databases! {
    async fn what_counts_is_what_is_granted_when_the_change_is_made(server: TestServer) {
        let admin = server.admin();
        server.role("Tls", &["/ssl/read/"]).await;
        let keeper = server.account(&["/security/", "/ssl/"]).await;
        let path = format!("/Security/Roles/{}/Permissions/Global", role_id(&server, &role_of(&keeper)).await);
        let under_way = begun(&server, &keeper, &["/security/", "/ssl/"]).await;
        create(&under_way, "first", &["Tls"]).await.unwrap();
        // It could give this when its request began.
        admin.put(&path, json!([{ "Area": "SecuritySettings", "Permission": "Modify" }])).await.expect(200);
        assert!(create(&under_way, "second", &["Tls"]).await.unwrap_err().contains("cannot give"));
        create(&under_way, "second", &[]).await.unwrap();
        admin.put(&path, json!([])).await.expect(200);
        assert!(create(&under_way, "third", &[]).await.unwrap_err().contains("does not have any"));
        admin.put(&path, json!([{ "Area": "SecuritySettings", "Permission": "Modify" }])).await.expect(200);
        create(&under_way, "third", &[]).await.unwrap();
        let id = account(&server, keeper.name()).await["Id"].clone();
        admin.post(&format!("/Chancery/Accounts/{id}/Disable"), json!({})).await.expect(204);
        assert!(create(&under_way, "fourth", &[]).await.unwrap_err().contains("any more"));
    }

    async fn what_is_taken_on_one_server_is_taken_on_the_other(server: TestServer) {
        let admin = server.admin();
        let (_app, other) = server.second().await;
        let keeper = server.account(&["/security/", "/agents/"]).await;
        let there = other.signed_in(keeper.name(), PASSWORD);
        there.get("/Agents").await.expect(200);
        let path = format!("/Security/Roles/{}/Permissions/Global", role_id(&server, &role_of(&keeper)).await);
        admin.put(&path, json!([{ "Area": "SecuritySettings", "Permission": "Modify" }])).await.expect(200);
        there.get("/Agents").await.expect(403);
        there.get("/Security/Roles").await.expect(200);
        let id = account(&server, keeper.name()).await["Id"].clone();
        admin.post(&format!("/Chancery/Accounts/{id}/Disable"), json!({})).await.expect(204);
        // Though the other server remembers the password.
        there.get("/Security/Roles").await.expect(401);
        other.post(&format!("/Chancery/Accounts/{id}/Enable"), json!({})).await.expect(204);
        keeper.get("/Security/Roles").await.expect(200);
    }

    async fn two_servers_do_not_remove_the_last_two_administrators(server: TestServer) {
        let deputy = server.account(&["/"]).await;
        let (_app, other) = server.second().await;
        let (own, theirs) = (account(&server, "admin").await["Id"].clone(), account(&server, deputy.name()).await["Id"].clone());
        other.get("/Security/Roles").await.expect(200);
        deputy.get("/Security/Roles").await.expect(200);
        let (first, second) = (format!("/Chancery/Accounts/{own}/Disable"), format!("/Chancery/Accounts/{theirs}/Disable"));
        let (one, two) = futures::join!(deputy.post(&first, json!({})), other.post(&second, json!({})));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert!(matches!(statuses, [204, 400 | 401]), "{statuses:?}");
    }
}
