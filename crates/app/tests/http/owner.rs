//! `PUT /Certificates/{id}/Owner` and the owners of new certificates: who may give them away, and what the owner policy says.

use db::tables;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter,
};
use serde_json::{Value, json};
use testkit::{Client, TestServer};
use uuid::Uuid;

use crate::certificate_stores::{create, pem, pem_agent};
use crate::certificates::{Maker, Wanted};
use crate::enrollment::{csr, enroll_csr, enroll_pfx, put_into};

const CHANGE: &str = "/certificates/collections/change_owner/";
const EXPANDED: &str = "/certificates/expanded_change_owner/";

/// A certificate in the inventory that nobody owns.
pub(crate) async fn certificate(server: &TestServer, subject: &'static str) -> i64 {
    Maker::new().record(server, &Wanted::new(subject)).await
}

/// Gives an account that has not signed in yet one more role.
pub(crate) async fn give(server: &TestServer, account: &Client, role_id: i64) {
    give_to(server.app(), account.name(), role_id).await;
}

pub(crate) async fn give_to(app: &app::App, account: &str, role_id: i64) {
    let found = tables::accounts::Entity::find()
        .filter(tables::accounts::Column::NameFold.eq(db::fold(account)))
        .one(app.db().read())
        .await;
    let row = tables::role_claims::ActiveModel {
        role_id: ActiveValue::Set(role_id),
        claim_id: ActiveValue::Set(found.unwrap().unwrap().claim_id),
    };
    insert_into(app, row).await;
}

pub(crate) async fn insert<A>(server: &TestServer, row: A)
where
    A: ActiveModelTrait + Send + 'static,
{
    insert_into(server.app(), row).await;
}

async fn insert_into<A>(app: &app::App, row: A)
where
    A: ActiveModelTrait + Send + 'static,
{
    let work = app.db().write("test.insert", move |tx| {
        Box::pin(async move {
            let done = A::Entity::insert(row).exec_without_returning(tx).await;
            done.map_err(db::Error::from)
        })
    });
    work.await.unwrap();
}

/// A role in a permission set of its own.
pub(crate) async fn role_elsewhere(
    server: &TestServer,
    name: &str,
    permissions: &[&str],
    set: u128,
) -> i64 {
    let id = server.role(name, permissions).await;
    let set_id = Uuid::from_u128(set);
    let work = server.app().db().write("test.set", move |tx| {
        Box::pin(async move {
            let known = tables::permission_sets::Entity::find_by_id(set_id)
                .one(tx)
                .await;
            if known.map_err(db::Error::from)?.is_none() {
                let row = tables::permission_sets::ActiveModel {
                    id: ActiveValue::Set(set_id),
                    name: ActiveValue::Set(format!("Set {set}")),
                    name_fold: ActiveValue::Set(format!("set {set}")),
                    created_at: ActiveValue::Set(0),
                };
                let inserted = tables::permission_sets::Entity::insert(row)
                    .exec_without_returning(tx)
                    .await;
                inserted.map_err(db::Error::from)?;
            }
            let moved = tables::roles::Entity::update_many()
                .col_expr(tables::roles::Column::PermissionSetId, Expr::val(set_id))
                .filter(tables::roles::Column::Id.eq(id))
                .exec(tx)
                .await;
            moved.map_err(db::Error::from)?;
            Ok::<_, db::Error>(())
        })
    });
    work.await.unwrap();
    id
}

pub(crate) async fn collection(server: &TestServer, name: &str, query: &str) -> i64 {
    use tables::certificate_collections as table;
    let row = table::ActiveModel {
        id: ActiveValue::NotSet,
        name: ActiveValue::Set(name.into()),
        name_fold: ActiveValue::Set(db::fold(name)),
        description: ActiveValue::Set(String::new()),
        query: ActiveValue::Set(query.into()),
        duplication_field: ActiveValue::Set(0),
        show_on_dashboard: ActiveValue::Set(false),
        position: ActiveValue::Set(0),
        last_count: ActiveValue::Set(None),
        last_counted_at: ActiveValue::Set(None),
        created_at: ActiveValue::Set(0),
    };
    insert(server, row).await;
    let found = table::Entity::find().filter(table::Column::NameFold.eq(db::fold(name)));
    found
        .one(server.app().db().read())
        .await
        .unwrap()
        .unwrap()
        .id
}

pub(crate) async fn container(server: &TestServer, name: &str) -> i64 {
    let made = server
        .admin()
        .post("/CertificateStoreContainers", json!({ "Name": name }))
        .await
        .expect(200);
    made.json["Id"].as_i64().unwrap()
}

/// A store in a container, with this certificate inside.
pub(crate) async fn store_in(
    server: &TestServer,
    container: i64,
    path: &str,
    certificate: i64,
) -> String {
    let agent = pem_agent(server).await;
    let mut body = pem(agent, path);
    body["ContainerId"] = json!(container);
    let store = create(&server.admin(), body).await;
    put_into(server, &store, certificate).await;
    store
}

async fn owner(server: &TestServer, id: i64) -> Value {
    let answer = server
        .admin()
        .get(&format!("/Certificates/{id}"))
        .await
        .expect(200);
    answer.json["OwnerRoleName"].clone()
}

/// Records of changes: sign-ins and refusals have their own category.
async fn records(server: &TestServer) -> u64 {
    use sea_orm::{ColumnTrait, QueryFilter};
    let changes = tables::audit_records::Entity::find()
        .filter(tables::audit_records::Column::Category.ne(2114));
    changes.count(server.app().db().read()).await.unwrap()
}

async fn set(server: &TestServer, setting: &str, value: &str) {
    let path = format!("/AppSetting/{setting}/Set");
    server
        .admin()
        .put(&path, json!({ "Value": value }))
        .await
        .expect(200);
}

testkit::both_databases! {
    async fn change_owner_goes_between_roles_held(server: TestServer) {
        let id = certificate(&server, "CN=held.example").await;
        let path = format!("/Certificates/{id}/Owner");
        let web = server.role("Web", &[]).await;
        let mail = server.role("Mail", &[]).await;
        let other = server.role("Other", &[]).await;
        let caller = server.account(&[CHANGE, "/security/read/"]).await;
        give(&server, &caller, web).await;
        give(&server, &caller, mail).await;
        let to = |role: i64| json!({ "NewRoleId": role });
        let refused = caller.put(&path, to(other)).await.expect(403);
        assert!(refused.message().contains("holding the security role \"Other\" (the new owner)"), "{}", refused.text);
        caller.put(&path, to(web)).await.expect(204);
        caller.put(&path, json!({ "NewRoleName": "MAIL" })).await.expect(204);
        caller.put(&path, to(other)).await.expect(403);
        assert_eq!(owner(&server, id).await, "Mail");
        caller.put(&path, json!({ "NewRoleId": null })).await.expect(204);
        server.admin().put(&path, to(other)).await.expect(204);
        let before = records(&server).await;
        for body in [to(web), to(other), json!({ "NewRoleName": "" })] {
            let refused = caller.put(&path, body.clone()).await.expect(403);
            assert!(refused.message().contains("holding the security role \"Other\" (the current owner)"), "{body}: {}", refused.text);
        }
        assert_eq!(owner(&server, id).await, "Other");
        assert_eq!(records(&server).await, before);
        // Holding the roles without the permission is not enough.
        let holder = server.account(&["/certificates/collections/read/"]).await;
        give(&server, &holder, other).await;
        give(&server, &holder, web).await;
        let refused = holder.put(&path, to(web)).await.expect(403);
        assert!(refused.message().contains("does not have any of the required permissions: Certificates - Change Owner"));
    }

    async fn a_role_that_is_not_enabled_is_not_held(server: TestServer) {
        let id = certificate(&server, "CN=asleep.example").await;
        let path = format!("/Certificates/{id}/Owner");
        let (web, mail) = (server.role("Web", &[]).await, server.role("Mail", &[]).await);
        let caller = server.account(&[CHANGE]).await;
        give(&server, &caller, web).await;
        give(&server, &caller, mail).await;
        caller.put(&path, json!({ "NewRoleId": web })).await.expect(204);
        let asleep = json!({ "Id": web, "Name": "Web", "Description": "", "Enabled": false });
        server.admin().put("/Security/Roles", asleep).await.expect(200);
        caller.put(&path, json!({ "NewRoleId": mail })).await.expect(403);
        // It stays the owner, and who may otherwise takes the certificate from it.
        server.admin().put(&path, json!({ "NewRoleId": web })).await.expect(204);
        assert_eq!(owner(&server, id).await, "Web");
        server.admin().put(&path, json!({ "NewRoleId": mail })).await.expect(204);
    }

    async fn expanded_change_owner_goes_by_permission_sets(server: TestServer) {
        let id = certificate(&server, "CN=expanded.example").await;
        let path = format!("/Certificates/{id}/Owner");
        let (web, mail) = (server.role("Web", &[]).await, server.role("Mail", &[]).await);
        let away = role_elsewhere(&server, "Away", &[], 2).await;
        let away_too = role_elsewhere(&server, "Away too", &[], 2).await;
        let to = |role: i64| json!({ "NewRoleId": role });
        let caller = server.account(&[EXPANDED, "/security/read/"]).await;
        caller.put(&path, to(web)).await.expect(204);
        caller.put(&path, to(mail)).await.expect(204);
        let refused = caller.put(&path, to(away)).await.expect(403);
        assert!(refused.message().contains("in the permission set of \"Away\" (the new owner)"), "{}", refused.text);
        assert_eq!(owner(&server, id).await, "Mail");
        // Without reading roles there, owners can be taken away but not given.
        let blind = server.account(&[EXPANDED]).await;
        let refused = blind.put(&path, to(web)).await.expect(403);
        assert!(refused.message().contains("Security Settings - Read by a role in the permission set of the new owner"), "{}", refused.text);
        blind.put(&path, json!({ "NewRoleId": null })).await.expect(204);
        // A role in each of the two sets.
        let both = server.account(&[EXPANDED, "/security/read/"]).await;
        let there = role_elsewhere(&server, "There", &[EXPANDED, "/security/read/"], 2).await;
        give(&server, &both, there).await;
        both.put(&path, to(web)).await.expect(204);
        both.put(&path, to(away)).await.expect(204);
        caller.put(&path, to(web)).await.expect(403);
        both.put(&path, to(web)).await.expect(204);
        // In the other set alone: neither from here nor to here.
        role_elsewhere(&server, "Elsewhere", &[EXPANDED, "/security/read/"], 2).await;
        let stranger = server.account_in_role("stranger", "Elsewhere").await;
        stranger.put(&path, to(away)).await.expect(403);
        server.admin().put(&path, json!({ "NewRoleId": null })).await.expect(204);
        stranger.put(&path, to(web)).await.expect(403);
        stranger.put(&path, to(away)).await.expect(204);
        stranger.put(&path, to(away_too)).await.expect(204);
        // The administrator's role is in the first set: what is in the other takes a role there.
        server.admin().put(&path, to(web)).await.expect(403);
        assert_eq!(owner(&server, id).await, "Away too");
    }

    async fn collections_and_containers_scope_the_permission(server: TestServer) {
        let inside = certificate(&server, "CN=inside.example").await;
        let outside = certificate(&server, "CN=outside.test").await;
        let some = collection(&server, "Examples", "IssuedCN -endswith \".example\"").await;
        let (near, far) = (container(&server, "Near").await, container(&server, "Far").await);
        store_in(&server, near, "/a.pem", inside).await;
        let web = server.role("Web", &[]).await;
        let to = json!({ "NewRoleId": web });
        let path = |id: i64, query: String| format!("/Certificates/{id}/Owner?{query}");
        let by_collection = server.account(&[&format!("{CHANGE}{some}/")]).await;
        let by_container = server.account(&[&format!("/certificate_stores/change_owner/{near}/"), &format!("/certificate_stores/change_owner/{far}/")]).await;
        let on_stores = server.account(&["/certificate_stores/change_owner/"]).await;
        for caller in [&by_collection, &by_container, &on_stores] {
            give(&server, caller, web).await;
        }
        let (collection_id, container_id) = (format!("collectionId={some}"), format!("containerId={near}"));
        // (caller, certificate, query, status)
        for (number, (caller, id, query, status)) in [
            (&by_collection, inside, String::new(), 403),
            (&by_collection, inside, collection_id.clone(), 204),
            (&by_collection, inside, format!("{collection_id}&{container_id}"), 204),
            (&by_collection, inside, container_id.clone(), 403),
            // The attack: through a collection that does not contain the certificate.
            (&by_collection, outside, collection_id.clone(), 403),
            (&by_collection, 987_654, collection_id.clone(), 403),
            (&by_container, inside, container_id.clone(), 204),
            (&by_container, inside, String::new(), 403),
            // Of another store's container, and of a container beside a collection that gives nothing.
            (&by_container, inside, format!("containerId={far}"), 403),
            (&by_container, inside, format!("{collection_id}&{container_id}"), 403),
            (&by_container, outside, container_id.clone(), 403),
            (&on_stores, inside, String::new(), 204),
            (&on_stores, outside, String::new(), 403),
        ].into_iter().enumerate() {
            let answer = caller.put(&path(id, query.clone()), to.clone()).await;
            assert_eq!(answer.status, status, "{number}: {query}: {}", answer.text);
            if id != 987_654 {
                assert_eq!(owner(&server, id).await, if status == 204 { json!("Web") } else { Value::Null }, "{number}");
                server.admin().put(&path(id, String::new()), json!({ "NewRoleId": null })).await.expect(204);
            }
        }
        // Whom a collection lets in is still held to the roles.
        let roleless = server.account(&[&format!("{CHANGE}{some}/")]).await;
        roleless.put(&path(inside, collection_id), to).await.expect(403);
    }

    async fn what_does_not_exist_is_told_to_who_may_know(server: TestServer) {
        let web = server.role("Web", &[]).await;
        let path = "/Certificates/987654/Owner";
        let to = json!({ "NewRoleId": web });
        let holder = server.account(&[CHANGE]).await;
        give(&server, &holder, web).await;
        holder.put(path, to.clone()).await.expect(404);
        server.admin().put(path, to.clone()).await.expect(404);
        server.account(&[CHANGE]).await.put(path, to.clone()).await.expect(403);
        server.account(&["/certificates/collections/read/"]).await.put(path, to.clone()).await.expect(403);
        server.account(&["/certificate_stores/change_owner/"]).await.put(path, to).await.expect(403);
    }

    async fn the_policy_is_kept_when_an_owner_changes(server: TestServer) {
        let admin = server.admin();
        let id = certificate(&server, "CN=policy.example").await;
        let path = format!("/Certificates/{id}/Owner");
        let (web, mail) = (server.role("Web", &[]).await, server.role("Mail", &[]).await);
        admin.put(&path, json!({ "NewRoleId": web })).await.expect(204);
        set(&server, "CertificateOwnerRole", "Required").await;
        for body in [json!({ "NewRoleId": null }), json!({ "NewRoleName": " " })] {
            let refused = admin.put(&path, body).await.expect(400);
            assert!(refused.message().contains("NewRoleId: every certificate has to have an owner"), "{}", refused.text);
        }
        admin.put(&path, json!({ "NewRoleId": mail })).await.expect(204);
        set(&server, "certificateownerrole", "none").await;
        let refused = admin.put(&path, json!({ "NewRoleName": "Web" })).await.expect(400);
        assert!(refused.message().contains("NewRoleName: certificates have no owners here"), "{}", refused.text);
        // What is there stays, or goes.
        admin.put(&path, json!({ "NewRoleId": mail })).await.expect(204);
        admin.put(&path, json!({ "NewRoleId": null })).await.expect(204);
        assert_eq!(owner(&server, id).await, Value::Null);
        // The policy is no way to learn more than one may know.
        server.account(&[CHANGE]).await.put(&path, json!({ "NewRoleId": web })).await.expect(403);
    }

    async fn an_owner_at_enrollment_takes_the_right_to_give_it(server: TestServer) {
        let web = server.role("Web", &[]).await;
        let mail = server.role("Mail", &[]).await;
        let caller = server.account(&["/certificates/enrollment/csr/", "/certificates/enrollment/pfx/"]).await;
        give(&server, &caller, web).await;
        let by_csr = |owner: Value| {
            let mut body = json!({ "CSR": csr("CN=owned.example", &["owned.example"]), "Template": "WebServer" });
            body["OwnerRoleId"] = owner;
            body
        };
        let by_pfx = |owner: &str| json!({ "Subject": "CN=owned.example", "SANs": { "dns": ["owned.example"] }, "Template": "WebServer", "Password": "a password", "OwnerRoleName": owner });
        let before = (records(&server).await, server.admin().get("/Certificates").await.total());
        let requests = || async { tables::certificate_requests::Entity::find().count(server.app().db().read()).await.unwrap() };
        let waiting = requests().await;
        let refused = enroll_csr(&caller, by_csr(json!(mail))).await.expect(403);
        // Who may not read roles does not learn their names by their ids.
        assert!(refused.message().contains("holding the security role of the new owner") && !refused.message().contains("Mail"), "{}", refused.text);
        let reading = server.account(&["/certificates/enrollment/csr/", "/security/read/"]).await;
        let refused = enroll_csr(&reading, by_csr(json!(mail))).await.expect(403);
        assert!(refused.message().contains("holding the security role \"Mail\" (the new owner)"), "{}", refused.text);
        enroll_pfx(&caller, "PFX", by_pfx("mail")).await.expect(403);
        let second = caller.request("POST", "/Enrollment/PFX").version(2).header("x-certificateformat", "PFX");
        second.json(by_pfx("MAIL")).send().await.expect(403);
        assert_eq!((records(&server).await, server.admin().get("/Certificates").await.total()), before);
        assert_eq!(requests().await, waiting);
        let made = enroll_csr(&caller, by_csr(json!(web))).await.expect(200);
        let id = made.json["CertificateInformation"]["KeyfactorID"].as_i64().unwrap();
        assert_eq!(owner(&server, id).await, "Web");
        let made = enroll_pfx(&caller, "PFX", by_pfx("web")).await.expect(200);
        let id = made.json["CertificateInformation"]["KeyfactorId"].as_i64().unwrap();
        assert_eq!(owner(&server, id).await, "Web");
        // Expanded Change Owner gives what is not held.
        let expanded = server.account(&["/certificates/enrollment/csr/", EXPANDED, "/security/read/"]).await;
        enroll_csr(&expanded, by_csr(json!(mail))).await.expect(200);
        // Not enabled, not an owner.
        let asleep = json!({ "Id": web, "Name": "Web", "Description": "", "Enabled": false });
        server.admin().put("/Security/Roles", asleep).await.expect(200);
        let refused = enroll_csr(&server.admin(), by_csr(json!(web))).await.expect(400);
        assert!(refused.message().contains("OwnerRoleId") && refused.message().contains("not enabled"), "{}", refused.text);
    }

    async fn the_policy_gives_new_certificates_their_owner(server: TestServer) {
        let admin = server.admin();
        let web = server.role("Web", &[]).await;
        let enroll = || async {
            let body = json!({ "CSR": csr("CN=new.example", &["new.example"]), "Template": "WebServer", "PrivateKey": null });
            enroll_csr(&admin, body).await
        };
        let made = |subject| Maker::new().make(&Wanted::new(subject)).0;
        let found = |certificate: pki::Certificate| {
            let cx = server.cx();
            async move { app::testing::found(&cx, certificate.der()).await.unwrap() }
        };
        let optional = made("CN=optional.example");
        let id = |answer: testkit::Answer| answer.expect(200).json["CertificateInformation"]["KeyfactorID"].as_i64().unwrap();
        let ownerless = id(enroll().await);
        assert_eq!(owner(&server, ownerless).await, Value::Null);
        assert_eq!(owner(&server, found(optional.clone()).await).await, Value::Null);
        set(&server, "CertificateOwnerRole", "Required").await;
        let refused = enroll().await.expect(400);
        assert!(refused.message().contains("OwnerRoleId: every certificate has to have an owner"), "{}", refused.text);
        // Nobody can be asked when a certificate is found.
        assert_eq!(owner(&server, found(made("CN=required.example")).await).await, Value::Null);
        set(&server, "DefaultCertificateOwnerRoleName", "web").await;
        assert_eq!(owner(&server, id(enroll().await)).await, "Web");
        assert_eq!(owner(&server, found(made("CN=default.example")).await).await, "Web");
        // What is known keeps what it has.
        let known = found(optional.clone()).await;
        assert_eq!(owner(&server, known).await, Value::Null);
        set(&server, "CertificateOwnerRole", "None").await;
        assert_eq!(owner(&server, id(enroll().await)).await, Value::Null);
        assert_eq!(owner(&server, found(made("CN=none.example")).await).await, Value::Null);
        let given = json!({ "CSR": csr("CN=new.example", &["new.example"]), "Template": "WebServer", "OwnerRoleName": "Web" });
        let refused = enroll_csr(&admin, given).await.expect(400);
        assert!(refused.message().contains("OwnerRoleName: certificates have no owners here"), "{}", refused.text);
        set(&server, "CertificateOwnerRole", "Optional").await;
        assert_eq!(owner(&server, id(enroll().await)).await, "Web");
        // The role that owns what comes cannot be deleted.
        let refused = admin.delete(&format!("/Security/Roles/{web}")).await.expect(400);
        assert!(!refused.message().is_empty());
        let spare = server.role("Spare", &[]).await;
        set(&server, "DefaultCertificateOwnerRoleId", &spare.to_string()).await;
        let refused = admin.delete(&format!("/Security/Roles/{spare}")).await.expect(400);
        assert!(refused.message().contains("DefaultCertificateOwnerRoleName"), "{}", refused.text);
        let asleep = json!({ "Id": spare, "Name": "Spare", "Description": "", "Enabled": false });
        admin.put("/Security/Roles", asleep).await.expect(200);
        assert_eq!(owner(&server, id(enroll().await)).await, Value::Null);
    }

    async fn renewal_keeps_the_owner(server: TestServer) {
        let admin = server.admin();
        let web = server.role("Web", &[]).await;
        let body = json!({ "Subject": "CN=renewed.example", "SANs": { "dns": ["renewed.example"] }, "Template": "WebServer", "Password": "a password" });
        let made = enroll_pfx(&admin, "PFX", body).await.expect(200);
        let id = made.json["CertificateInformation"]["KeyfactorId"].as_i64().unwrap();
        let renewer = server.account(&["/certificates/collections/read/", "/certificates/enrollment/pfx/"]).await;
        let renew = || renewer.post("/Enrollment/Renew", json!({ "CertificateId": id }));
        set(&server, "CertificateOwnerRole", "Required").await;
        let refused = renew().await.expect(400);
        assert!(refused.message().contains("OwnerRoleId"), "{}", refused.text);
        admin.put(&format!("/Certificates/{id}/Owner"), json!({ "NewRoleId": web })).await.expect(204);
        // The renewer does not hold the role, and gives nothing away: the owner stays what it was.
        let renewed = renew().await.expect(200);
        assert_eq!(owner(&server, renewed.json["KeyfactorId"].as_i64().unwrap()).await, "Web");
    }

    async fn an_enrollment_that_follows_a_certificate_keeps_its_owner(server: TestServer) {
        let id = certificate(&server, "CN=followed.example").await;
        let (web, mail) = (server.role("Web", &[]).await, server.role("Mail", &[]).await);
        server.admin().put(&format!("/Certificates/{id}/Owner"), json!({ "NewRoleId": web })).await.expect(204);
        set(&server, "DefaultCertificateOwnerRoleName", "Mail").await;
        let caller = server.account(&["/certificates/collections/read/", "/certificates/enrollment/csr/", "/certificates/enrollment/pfx/"]).await;
        let by_csr = |changes: Value| {
            let mut body = json!({ "CSR": csr("CN=new.example", &["new.example"]), "Template": "WebServer", "RenewalCertificateId": id });
            body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            body
        };
        for changes in [json!({}), json!({ "OwnerRoleId": web })] {
            let made = enroll_csr(&caller, by_csr(changes)).await.expect(200);
            let new = made.json["CertificateInformation"]["KeyfactorID"].as_i64().unwrap();
            assert_eq!(owner(&server, new).await, "Web");
        }
        let body = json!({ "Subject": "CN=new.example", "Template": "WebServer", "Password": "a password", "RenewalCertificateId": id });
        let made = enroll_pfx(&caller, "PFX", body).await.expect(200);
        let new = made.json["CertificateInformation"]["KeyfactorId"].as_i64().unwrap();
        assert_eq!(owner(&server, new).await, "Web");
        enroll_csr(&caller, by_csr(json!({ "OwnerRoleId": mail }))).await.expect(403);
    }

    /// Owning a certificate gives no right on it: no format and no name for it leads past the permission.
    async fn no_export_passes_the_check_by_owning(server: TestServer) {
        let id = certificate(&server, "CN=kept.example").await;
        let web = server.role("Web", &[]).await;
        let other = collection(&server, "Others", "IssuedCN -endswith \".test\"").await;
        server.admin().put(&format!("/Certificates/{id}/Owner"), json!({ "NewRoleId": web })).await.expect(204);
        let shown = server.admin().get(&format!("/Certificates/{id}")).await.expect(200).json;
        let owning = server.account_in_role("owning", "Web").await;
        let elsewhere = server.account(&[&format!("/certificates/collections/read/{other}/")]).await;
        let by_key = server.account(&["/certificates/collections/private_key/read/"]).await;
        for caller in [&owning, &elsewhere, &by_key] {
            for format in ["DER", "PEM", "P7B", "pem"] {
                for body in [
                    json!({ "CertID": id }),
                    json!({ "Thumbprint": shown["Thumbprint"] }),
                    json!({ "SerialNumber": shown["SerialNumber"], "IssuerDN": shown["IssuerDN"] }),
                    json!({ "CertID": 987_654 }),
                ] {
                    for query in [String::new(), format!("?collectionId={other}")] {
                        let request = caller.request("POST", format!("/Certificates/Download{query}").as_str());
                        let answer = request.header("x-certificateformat", format).json(&body).send().await;
                        answer.expect(403);
                    }
                }
            }
            caller.get(&format!("/Certificates/{id}")).await.expect(403);
        }
    }
}
