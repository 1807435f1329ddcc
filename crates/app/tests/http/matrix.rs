//! The permission matrix: every operation of the OpenAPI documents, for nobody, for an account without a role, for rights on the
//! right object, on a wrong one, on none that is named, and for rights on the whole system. It is made from the documents'
//! `x-permissions`, from what the table of permissions says a right may be limited to, and from [`SCOPED`], which says how an
//! operation names its object. An operation that is not in that list must not be open to rights that are limited to objects.

use std::collections::{BTreeMap, BTreeSet};

use app::security::permissions::{Entry, Per, TABLE};
use db::tables;
use sea_orm::ActiveValue;
use serde_json::{Value, json};
use testkit::{Client, Operation, RequestBuilder, START, TestServer, contract, sample_request};
use uuid::Uuid;

use crate::decisions::{certificate, insert};

/// How an operation names the object that a right may be limited to. `{certificate}`, `{collection}`, `{container}` and
/// `{store}` stand for the ids of things that belong together.
struct Scoped {
    method: &'static str,
    path: &'static str,
    version: u8,
    /// The path and query with ids in place.
    request: &'static str,
    /// The body, as JSON.
    body: Option<&'static str>,
    /// What may be limited, of what the operation needs; rights that cannot be limited are given on the whole system.
    by: &'static [Per],
    /// It shows what may be seen, so that there is no wrong object to name.
    shows_some: bool,
    /// The right on stores that does in place of what the operation needs.
    instead: Option<&'static str>,
}

const COLLECTION: &[Per] = &[Per::Collection];
const CONTAINER: &[Per] = &[Per::Container];
const BOTH: &[Per] = &[Per::Collection, Per::Container];

const fn scoped(
    by: &'static [Per],
    method: &'static str,
    path: &'static str,
    request: &'static str,
    body: Option<&'static str>,
) -> Scoped {
    Scoped {
        method,
        path,
        version: 1,
        request,
        body,
        by,
        shows_some: false,
        instead: None,
    }
}

const fn list_by(by: &'static [Per], path: &'static str) -> Scoped {
    Scoped {
        shows_some: true,
        ..scoped(by, "GET", path, path, None)
    }
}

/// Deleting comes last, so that everything is there until then.
#[rustfmt::skip]
const SCOPED: &[Scoped] = &[
    scoped(COLLECTION, "GET", "/Certificates", "/Certificates?CollectionId={collection}", None),
    scoped(COLLECTION, "GET", "/Certificates/{id}", "/Certificates/{certificate}?collectionId={collection}", None),
    scoped(COLLECTION, "GET", "/Certificates/{id}/History", "/Certificates/{certificate}/History?collectionId={collection}", None),
    scoped(COLLECTION, "POST", "/Certificates/Download", "/Certificates/Download?collectionId={collection}", Some(r#"{"CertID":{certificate}}"#)),
    scoped(COLLECTION, "POST", "/Certificates/Recover", "/Certificates/Recover?collectionId={collection}", Some(r#"{"CertID":{certificate},"Password":"correct horse"}"#)),
    scoped(COLLECTION, "GET", "/Certificates/{id}/Validate", "/Certificates/{certificate}/Validate?collectionId={collection}", None),
    scoped(COLLECTION, "GET", "/Certificates/CSV", "/Certificates/CSV?CollectionId={collection}", None),
    scoped(COLLECTION, "PUT", "/Certificates/Metadata", "/Certificates/Metadata?collectionId={collection}", Some(r#"{"Id":{certificate},"Metadata":{}}"#)),
    scoped(COLLECTION, "PUT", "/Certificates/Metadata/All", "/Certificates/Metadata/All?collectionId={collection}", Some(r#"{"CertificateIds":[{certificate}],"Metadata":[{"MetadataName":"Team","Value":"","OverwriteExisting":true}]}"#)),
    Scoped { instead: Some("/certificate_stores/metadata/modify/"), ..scoped(CONTAINER, "PUT", "/Certificates/Metadata", "/Certificates/Metadata?ContainerId={container}", Some(r#"{"Id":{certificate},"Metadata":{}}"#)) },
    Scoped { instead: Some("/certificate_stores/metadata/modify/"), ..scoped(CONTAINER, "PUT", "/Certificates/Metadata/All", "/Certificates/Metadata/All?ContainerId={container}", Some(r#"{"CertificateIds":[{certificate}],"Metadata":[{"MetadataName":"Team","Value":"","OverwriteExisting":true}]}"#)) },
    scoped(COLLECTION, "GET", "/Certificates/Metadata/Compare", "/Certificates/Metadata/Compare?certificateId={certificate}&metadataFieldName=Team&collectionId={collection}", None),
    scoped(COLLECTION, "PUT", "/Certificates/{id}/Owner", "/Certificates/{certificate}/Owner?CollectionId={collection}", Some(r#"{"NewRoleId":null}"#)),
    Scoped { instead: Some("/certificate_stores/change_owner/"), ..scoped(CONTAINER, "PUT", "/Certificates/{id}/Owner", "/Certificates/{certificate}/Owner?ContainerId={container}", Some(r#"{"NewRoleId":null}"#)) },
    scoped(COLLECTION, "POST", "/Certificates/Revoke", "/Certificates/Revoke", Some(r#"{"CertificateIds":[{certificate}],"CollectionId":{collection},"Reason":-1}"#)),
    Scoped { instead: Some("/certificate_stores/revoke/"), ..scoped(CONTAINER, "POST", "/Certificates/Revoke", "/Certificates/Revoke", Some(r#"{"CertificateIds":[{certificate}],"ContainerId":{container},"Reason":-1}"#)) },
    scoped(COLLECTION, "POST", "/Certificates/RevokeAll", "/Certificates/RevokeAll?collectionId={collection}", Some(r#"{"Query":"IssuedCN -eq \"nothing\"","Reason":1}"#)),
    scoped(COLLECTION, "POST", "/Chancery/Certificates/Revocations", "/Chancery/Certificates/Revocations?CollectionId={collection}", Some(r#"{"Revocations":[{"CertificateId":{certificate},"Reason":-1}]}"#)),
    Scoped { instead: Some("/certificate_stores/revoke/"), ..scoped(CONTAINER, "POST", "/Chancery/Certificates/Revocations", "/Chancery/Certificates/Revocations?ContainerId={container}", Some(r#"{"Revocations":[{"CertificateId":{certificate},"Reason":-1}]}"#)) },
    scoped(COLLECTION, "GET", "/Certificates/Locations/{id}", "/Certificates/Locations/{certificate}?collectionId={collection}", None),
    scoped(COLLECTION, "DELETE", "/Certificates/PrivateKey", "/Certificates/PrivateKey?collectionId={collection}", Some("[{certificate}]")),
    scoped(COLLECTION, "DELETE", "/Certificates/PrivateKey/{id}", "/Certificates/PrivateKey/{certificate}?collectionId={collection}", None),
    scoped(COLLECTION, "DELETE", "/Certificates/Query", "/Certificates/Query?collectionId={collection}", Some(r#""IssuedCN -eq \"nothing\"""#)),
    scoped(COLLECTION, "DELETE", "/Certificates", "/Certificates?collectionId={collection}", Some("[]")),
    scoped(COLLECTION, "DELETE", "/Certificates/{id}", "/Certificates/{certificate}?collectionId={collection}", None),
    scoped(COLLECTION, "GET", "/Analytics/Certificates/Count/Collections", "/Analytics/Certificates/Count/Collections?CollectionIds={collection}", None),
    scoped(COLLECTION, "GET", "/Analytics/Certificates/Issuance", "/Analytics/Certificates/Issuance?TotalPeriods=4&collectionId={collection}", None),
    scoped(COLLECTION, "GET", "/Analytics/Certificates/Revocation", "/Analytics/Certificates/Revocation?TotalPeriods=4&collectionId={collection}", None),
    scoped(COLLECTION, "GET", "/Chancery/Certificates/Changes", "/Chancery/Certificates/Changes?from=2020-01-01&collectionId={collection}", None),
    list_by(CONTAINER, "/CertificateStores"),
    scoped(CONTAINER, "GET", "/CertificateStores/{id}", "/CertificateStores/{store}", None),
    scoped(COLLECTION, "POST", "/Enrollment/Renew", "/Enrollment/Renew?collectionId={collection}", Some(r#"{"CertificateId":{certificate}}"#)),
    list_by(COLLECTION, "/CertificateCollections"),
    list_by(COLLECTION, "/CertificateCollections/CollectionList"),
    list_by(COLLECTION, "/CertificateCollections/CollectionOrdering"),
    list_by(COLLECTION, "/CertificateCollections/LastEstimated"),
    list_by(COLLECTION, "/CertificateCollections/NavItems"),
    list_by(COLLECTION, "/Chancery/Search/Fields"),
    scoped(COLLECTION, "GET", "/Chancery/Search/Certificates", "/Chancery/Search/Certificates?text=example&collectionId={collection}", None),
    scoped(COLLECTION, "GET", "/CertificateCollections/{id}", "/CertificateCollections/{collection}", None),
    scoped(COLLECTION, "PUT", "/CertificateCollections/{id}/Favorite", "/CertificateCollections/{collection}/Favorite", None),
    scoped(COLLECTION, "PUT", "/CertificateCollections", "/CertificateCollections", Some(r#"{"Id":{collection},"Name":"Renamed {collection}","Description":"","Query":"IssuedCN -eq \"one.example\""}"#)),
    scoped(COLLECTION, "DELETE", "/CertificateCollections/{id}", "/CertificateCollections/{collection}", None),
    list_by(CONTAINER, "/Applications"),
    scoped(CONTAINER, "GET", "/Applications/{id}", "/Applications/{container}", None),
    scoped(CONTAINER, "PUT", "/Applications", "/Applications", Some(r#"{"Id":{container},"Name":"Renamed {container}"}"#)),
    scoped(CONTAINER, "DELETE", "/Applications/{id}", "/Applications/{container}", None),
    list_by(CONTAINER, "/CertificateStoreContainers"),
    scoped(CONTAINER, "GET", "/CertificateStoreContainers/{id}", "/CertificateStoreContainers/{container}", None),
    scoped(CONTAINER, "PUT", "/CertificateStoreContainers", "/CertificateStoreContainers", Some(r#"{"Id":{container},"Name":"Renamed {container}","CertStoreType":2}"#)),
    scoped(CONTAINER, "DELETE", "/CertificateStoreContainers/{id}", "/CertificateStoreContainers/{spare}", None),
    scoped(CONTAINER, "GET", "/CertificateStores/{id}/Inventory", "/CertificateStores/{store}/Inventory", None),
    scoped(CONTAINER, "POST", "/CertificateStores/Schedule", "/CertificateStores/Schedule", Some(r#"{"StoreIds":["{store}"],"Schedule":{"Off":true}}"#)),
    scoped(CONTAINER, "PUT", "/CertificateStores", "/CertificateStores", Some(r#"{"Id":"{store}","ContainerId":{container},"ClientMachine":"renamed","StorePath":"/etc/{container}.pem","CertStoreType":2,"AgentId":null,"Properties":"{}"}"#)),
    scoped(CONTAINER, "PUT", "/CertificateStores/AssignContainer", "/CertificateStores/AssignContainer", Some(r#"{"KeystoreIds":["{store}"],"CertStoreContainerId":{container}}"#)),
    scoped(BOTH, "POST", "/CertificateStores/Certificates/Add", "/CertificateStores/Certificates/Add", Some(r#"{"CertificateId":{certificate},"CollectionId":{collection},"CertificateStores":[{"CertificateStoreId":"{store}"}],"Schedule":{"Immediate":true}}"#)),
    scoped(BOTH, "POST", "/CertificateStores/Certificates/Remove", "/CertificateStores/Certificates/Remove", Some(r#"{"CollectionId":{collection},"CertificateStores":[{"CertificateStoreId":"{store}","Alias":"site"}],"Schedule":{"Immediate":true}}"#)),
];

/// Which of two things a request is about: those that collections are about, and those that containers are about.
#[derive(Clone, Copy)]
struct Numbers {
    by_collection: usize,
    by_container: usize,
}

const fn numbers(by_collection: usize, by_container: usize) -> Numbers {
    Numbers {
        by_collection,
        by_container,
    }
}

impl Scoped {
    /// Path and body without the collection through which they reach a certificate; none where they name none beside it.
    fn without_scope(&self) -> Option<(String, Option<String>)> {
        let path = self.request.split('?').next().unwrap_or_default();
        let named = r#""CollectionId":{collection}"#;
        let body = self
            .body
            .map(|body| body.replace(named, r#""CollectionId":0"#));
        let less = path != self.request || body.as_deref() != self.body;
        less.then(|| (path.to_owned(), body))
    }
}

/// Two of everything; what has the same number belongs together.
struct World {
    certificates: [i64; 2],
    collections: [i64; 2],
    containers: [i64; 2],
    /// Containers for whoever deletes second: applications are containers by another name.
    spares: [i64; 2],
    stores: [Uuid; 2],
}

impl World {
    async fn build(server: &TestServer) -> Self {
        let mut world = Self {
            certificates: [0; 2],
            collections: [0; 2],
            containers: [0; 2],
            spares: [0; 2],
            stores: [Uuid::nil(); 2],
        };
        for (index, name) in ["one.example", "two.example"].into_iter().enumerate() {
            world.certificates[index] =
                certificate(server, name, 1 + u8::try_from(index).unwrap()).await;
            let collection = tables::certificate_collections::ActiveModel {
                id: ActiveValue::NotSet,
                name: ActiveValue::Set(format!("Only {name}")),
                name_fold: ActiveValue::Set(format!("only {name}")),
                description: ActiveValue::Set(String::new()),
                query: ActiveValue::Set(format!("IssuedCN -eq \"{name}\"")),
                duplication_field: ActiveValue::Set(0),
                show_on_dashboard: ActiveValue::Set(false),
                position: ActiveValue::Set(0),
                last_count: ActiveValue::Set(None),
                last_counted_at: ActiveValue::Set(None),
                created_at: ActiveValue::Set(START),
            };
            world.collections[index] = insert(server, collection).await.id;
            for (kind, ids) in [
                ("Container", &mut world.containers),
                ("Spare", &mut world.spares),
            ] {
                let body = json!({ "Name": format!("{kind} of {name}"), "CertStoreType": 2 });
                let path = "/CertificateStoreContainers";
                let container = server.admin().post(path, body).await.expect(200);
                ids[index] = container.json["Id"].as_i64().unwrap();
            }
            let body = json!({
                "ContainerId": world.containers[index], "ClientMachine": name, "StorePath": "/etc/site.pem", "CertStoreType": 2,
                "AgentId": null, "Properties": "{}"
            });
            let store = server
                .admin()
                .post("/CertificateStores", body)
                .await
                .expect(200);
            world.stores[index] = store.json["Id"].as_str().unwrap().parse().unwrap();
            let entry = tables::store_entries::ActiveModel {
                id: ActiveValue::NotSet,
                store_id: ActiveValue::Set(world.stores[index]),
                alias: ActiveValue::Set("site".into()),
                alias_fold: ActiveValue::Set("site".into()),
                private_key: ActiveValue::Set(false),
                parameters: ActiveValue::Set("{}".into()),
            };
            let entry = insert(server, entry).await.id;
            let link = tables::store_entry_certificates::ActiveModel {
                since: ActiveValue::Set(None),
                entry_id: ActiveValue::Set(entry),
                chain_level: ActiveValue::Set(0),
                certificate_id: ActiveValue::Set(world.certificates[index]),
                store_id: ActiveValue::Set(world.stores[index]),
            };
            insert(server, link).await;
        }
        world
    }

    /// The text with the ids of the things with this number.
    fn filled(&self, text: &str, numbers: Numbers) -> String {
        let (one, other) = (numbers.by_collection, numbers.by_container);
        text.replace("{certificate}", &self.certificates[one].to_string())
            .replace("{collection}", &self.collections[one].to_string())
            .replace("{container}", &self.containers[other].to_string())
            .replace("{spare}", &self.spares[other].to_string())
            .replace("{store}", &self.stores[other].to_string())
    }

    /// The request, about the things with these numbers, through the collection or container with those numbers.
    fn request(
        &self,
        client: &Client,
        operation: &Operation,
        scoped: &Scoped,
        numbers: Numbers,
    ) -> RequestBuilder {
        let texts = (scoped.request.to_owned(), scoped.body.map(str::to_owned));
        self.request_of(client, operation, texts, numbers)
    }

    fn request_of(
        &self,
        client: &Client,
        operation: &Operation,
        (path, body): (String, Option<String>),
        numbers: Numbers,
    ) -> RequestBuilder {
        let template = sample_request(client, operation);
        let request = template
            .path(&self.filled(&path, numbers))
            .header("x-certificateformat", "PEM");
        match body {
            Some(body) => {
                let body = self.filled(&body, numbers);
                request.json(serde_json::from_str::<Value>(&body).unwrap())
            }
            None => request,
        }
    }

    /// The rows as grants on the things with the number 0, those that `by` does not limit on the whole system.
    fn limited(&self, rows: &[&Entry], by: &[Per]) -> Vec<String> {
        let grants = |row: &&Entry| match row.per {
            Per::Collection if by.contains(&row.per) => {
                vec![format!("{}{}/", row.path, self.collections[0])]
            }
            Per::Container if by.contains(&row.per) => [self.containers[0], self.spares[0]]
                .map(|id| format!("{}{id}/", row.path))
                .to_vec(),
            _ => vec![row.path.to_owned()],
        };
        rows.iter().flat_map(grants).collect()
    }
}

fn operations() -> impl Iterator<Item = &'static Operation> {
    [1, 2]
        .into_iter()
        .flat_map(|version| contract(version).operations())
}

fn rows(operation: &Operation) -> Vec<&'static Entry> {
    let needed = operation.permissions.iter().flatten();
    needed
        .map(|path| TABLE.iter().find(|row| row.path == path).unwrap())
        .collect()
}

/// One account for each set of grants.
#[derive(Default)]
struct Accounts(BTreeMap<Vec<String>, Client>);

impl Accounts {
    async fn with(&mut self, server: &TestServer, mut grants: Vec<String>) -> Client {
        grants.sort();
        grants.dedup();
        if let Some(client) = self.0.get(&grants) {
            return client.clone();
        }
        let paths: Vec<&str> = grants.iter().map(String::as_str).collect();
        let client = server.account(&paths).await;
        self.0.insert(grants, client.clone());
        client
    }
}

/// Cells of the matrix that are not as they have to be.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn check(&mut self, operation: &Operation, who: &str, allowed: bool, status: u16) {
        if allowed != (status != 403 && status != 401) || status >= 500 {
            let Operation {
                version,
                method,
                path,
                ..
            } = operation;
            self.0.push(format!(
                "{method} {path} (version {version}), {who}: {status}"
            ));
        }
    }
}

testkit::both_databases! {
    async fn every_operation_for_every_kind_of_caller(server: TestServer) {
        let world = World::build(&server).await;
        let (mut accounts, mut wrong) = (Accounts::default(), Wrong::default());
        let (nobody, nothing) = (server.anonymous(), server.account(&[]).await);
        let weak = server.account(&[]).await;
        let list = server.admin().get("/Chancery/Accounts?ReturnLimit=100").await.expect(200);
        let weak = list.items().iter().find(|account| account["Name"] == weak.name()).unwrap()["Id"].to_string();
        let (mut seen, mut unnamed) = (BTreeSet::new(), 0);
        // What deletes things comes last, and what rights are limited to after what they are about.
        let (mut deleting, others): (Vec<_>, Vec<_>) = operations().partition(|operation| operation.method == "DELETE");
        deleting.sort_by_key(|operation| (!operation.path.starts_with("/Certificates"), &operation.path));
        for operation in others.into_iter().chain(deleting) {
            let needed = rows(operation);
            wrong.check(operation, "nobody", false, sample_request(&nobody, operation).send().await.status);
            wrong.check(operation, "no role", needed.is_empty(), sample_request(&nothing, operation).send().await.status);
            let forms: Vec<&Scoped> = SCOPED
                .iter()
                .filter(|scoped| (scoped.method, scoped.path, scoped.version) == (operation.method.as_str(), operation.path.as_str(), operation.version))
                .collect();
            for scoped in &forms {
                seen.insert((scoped.method, scoped.path, scoped.version));
                let needed = match scoped.instead {
                    Some(path) => vec![TABLE.iter().find(|row| row.path == path).unwrap()],
                    None => needed.clone(),
                };
                assert!(needed.iter().any(|row| scoped.by.contains(&row.per)), "{} {} needs nothing that can be limited so", scoped.method, scoped.path);
                let limited = accounts.with(&server, world.limited(&needed, scoped.by)).await;
                let mut others = Vec::new();
                if !scoped.shows_some {
                    others.push(numbers(1, 1));
                }
                if scoped.by.len() > 1 {
                    others.extend([numbers(0, 1), numbers(1, 0)]);
                }
                for other in others {
                    let status = world.request(&limited, operation, scoped, other).send().await.status;
                    let which = (other.by_collection, other.by_container);
                    wrong.check(operation, &format!("rights on another object, {:?} {which:?}", scoped.by), false, status);
                }
                if let Some(texts) = scoped.without_scope() {
                    let status = world.request_of(&limited, operation, texts, numbers(0, 0)).send().await.status;
                    wrong.check(operation, "rights on an object that is not named", false, status);
                    unnamed += 1;
                }
                let status = world.request(&limited, operation, scoped, numbers(0, 0)).send().await.status;
                // It is there, and the request is right, so that the answer tells of the right alone.
                let shown = if status == 404 { 403 } else { status };
                wrong.check(operation, &format!("rights on the object, {:?}", scoped.by), true, shown);
            }
            // Rights on objects alone do not do where none is named that they are about.
            if needed.iter().any(|row| row.per != Per::System) && forms.is_empty() {
                let limited = accounts.with(&server, world.limited(&needed, &[Per::Collection, Per::Container])).await;
                wrong.check(operation, "rights on objects", false, sample_request(&limited, operation).send().await.status);
            }
            let whole = accounts.with(&server, world.limited(&needed, &[])).await;
            let mut request = sample_request(&whole, operation);
            if operation.path.starts_with("/Chancery/Accounts/{id}") {
                // The first account holds more than the caller, who therefore cannot open it.
                request = request.path(&operation.path.replace("{id}", &weak));
            }
            wrong.check(operation, "rights on the whole system", true, request.send().await.status);
        }
        let listed: BTreeSet<_> = SCOPED.iter().map(|scoped| (scoped.method, scoped.path, scoped.version)).collect();
        assert_eq!(seen, listed, "operations that do not exist");
        assert!(unnamed >= 8, "{unnamed}");
        assert!(wrong.0.is_empty(), "{} cells:\n{}", wrong.0.len(), wrong.0.join("\n"));
    }
}
