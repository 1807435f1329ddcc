//! Rights on certificate stores that are limited to containers, alone and with rights on certificates that are limited to
//! collections.

use db::tables;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use testkit::{Client, TestServer};
use uuid::Uuid;

use crate::certificate_stores::{certificate, create, insert, pem, pem_agent};

const STORES: &str = "/CertificateStores";
const ADD: &str = "/CertificateStores/Certificates/Add";
const REMOVE: &str = "/CertificateStores/Certificates/Remove";
const SCHEDULE: &str = "/CertificateStores/Schedule";

/// A container of this name.
pub(crate) async fn container(server: &TestServer, name: &str) -> i64 {
    let made = server
        .admin()
        .post("/CertificateStoreContainers", json!({ "Name": name }))
        .await
        .expect(200);
    made.json["Id"].as_i64().expect("a container has an id")
}

/// A collection of this query.
pub(crate) async fn collection(server: &TestServer, name: &str, query: &str) -> i64 {
    use tables::certificate_collections::{ActiveModel, Column, Entity};
    let row = ActiveModel {
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
    insert::<Entity>(server, row).await;
    let found = Entity::find()
        .filter(Column::NameFold.eq(db::fold(name)))
        .one(server.app().db().read())
        .await;
    found.unwrap().unwrap().id
}

/// A store of this path in a container; 0 for none.
pub(crate) async fn store(server: &TestServer, agent: Uuid, path: &str, container: i64) -> String {
    let mut store = pem(agent, path);
    store["ContainerId"] = json!(container);
    create(&server.admin(), store).await
}

/// Puts a certificate into a store, as if an inventory had found it.
pub(crate) async fn put(server: &TestServer, store: &str, alias: &str, certificate_id: i64) {
    let store_id = Uuid::parse_str(store).unwrap();
    let row = tables::store_entries::ActiveModel {
        id: ActiveValue::NotSet,
        store_id: ActiveValue::Set(store_id),
        alias: ActiveValue::Set(alias.into()),
        alias_fold: ActiveValue::Set(db::fold(alias)),
        private_key: ActiveValue::Set(true),
        parameters: ActiveValue::Set("{}".into()),
    };
    insert::<tables::store_entries::Entity>(server, row).await;
    let entry = tables::store_entries::Entity::find()
        .filter(tables::store_entries::Column::StoreId.eq(store_id))
        .filter(tables::store_entries::Column::Alias.eq(alias))
        .one(server.app().db().read())
        .await;
    let row = tables::store_entry_certificates::ActiveModel {
        since: ActiveValue::Set(None),
        entry_id: ActiveValue::Set(entry.unwrap().unwrap().id),
        chain_level: ActiveValue::Set(0),
        certificate_id: ActiveValue::Set(certificate_id),
        store_id: ActiveValue::Set(store_id),
    };
    insert::<tables::store_entry_certificates::Entity>(server, row).await;
}

/// Gives a certificate another requester.
pub(crate) async fn requested_by(server: &TestServer, certificate_id: i64, name: &str) {
    use tables::certificates::{Column, Entity};
    let name = name.to_owned();
    let work = server.app().db().write("test.requester", move |tx| {
        Box::pin(async move {
            Entity::update_many()
                .col_expr(Column::Requester, Expr::val(name))
                .filter(Column::Id.eq(certificate_id))
                .exec(tx)
                .await?;
            // As whoever changes certificates has to.
            let changed = tables::certificate_changes::ActiveModel {
                first_id: ActiveValue::Set(certificate_id),
                last_id: ActiveValue::Set(certificate_id),
                ..Default::default()
            };
            tables::certificate_changes::Entity::insert(changed)
                .exec_without_returning(tx)
                .await
                .map_err(db::Error::from)
        })
    });
    work.await.unwrap();
}

async fn jobs(server: &TestServer) -> u64 {
    tables::orchestrator_jobs::Entity::find()
        .count(server.app().db().read())
        .await
        .unwrap()
}

/// Two containers with a store each, and a store without one.
struct Place {
    agent: Uuid,
    containers: [i64; 2],
    stores: [String; 2],
    loose: String,
}

impl Place {
    async fn new(server: &TestServer) -> Self {
        let agent = pem_agent(server).await;
        let containers = [
            container(server, "First").await,
            container(server, "Second").await,
        ];
        Self {
            agent,
            stores: [
                store(server, agent, "/first", containers[0]).await,
                store(server, agent, "/second", containers[1]).await,
            ],
            loose: store(server, agent, "/loose", 0).await,
            containers,
        }
    }

    /// An account with this right on the first container.
    async fn account(&self, server: &TestServer, right: &str) -> Client {
        let path = format!("/certificate_stores/{right}/{}/", self.containers[0]);
        server.account(&[&path]).await
    }
}

testkit::both_databases! {
    async fn stores_of_a_container_are_read_and_no_others(server: TestServer) {
        let place = Place::new(&server).await;
        let id = certificate(&server, "AA", true).await;
        put(&server, &place.stores[0], "one", id).await;
        for right in ["read", "schedule", "modify"] {
            let reader = place.account(&server, right).await;
            let listed = reader.get(STORES).await.expect(200);
            assert_eq!(listed.total(), Some(1));
            assert_eq!(listed.items()[0]["Id"], json!(place.stores[0]));
            let inventory = reader.get(&format!("{STORES}/{}/Inventory", place.stores[0])).await.expect(200);
            assert_eq!(inventory.items()[0]["Name"], "one");
            for other in [&place.stores[1], &place.loose] {
                reader.get(&format!("{STORES}/{other}")).await.expect(403);
                reader.get(&format!("{STORES}/{other}/Inventory")).await.expect(403);
            }
            let found = reader.get(&format!("{STORES}?QueryString=StorePath%20-eq%20%22/second%22")).await.expect(200);
            assert_eq!((found.total(), found.items().len()), (Some(0), 0));
        }
        // Grants only add: what is granted system-wide stays so beside a grant on a container.
        let all = server.account(&["/certificate_stores/read/", &format!("/certificate_stores/modify/{}/", place.containers[0])]).await;
        assert_eq!(all.get(STORES).await.expect(200).total(), Some(3));
        all.delete(&format!("{STORES}/{}", place.loose)).await.expect(403);
        all.delete(&format!("{STORES}/{}", place.stores[0])).await.expect(204);
    }

    async fn stores_are_changed_within_a_container(server: TestServer) {
        let place = Place::new(&server).await;
        let [first, second] = place.containers;
        let modifier = place.account(&server, "modify").await;
        let mut wanted = pem(place.agent, "/new");
        modifier.post(STORES, &wanted).await.expect(403);
        for container in [0, second, 99] {
            wanted["ContainerId"] = json!(container);
            modifier.post(STORES, &wanted).await.expect(403);
        }
        wanted["ContainerId"] = json!(first);
        let made = create(&modifier, wanted.clone()).await;

        wanted["Id"] = json!(made);
        wanted["StorePath"] = json!("/newer");
        modifier.put(STORES, &wanted).await.expect(200);
        // Neither out of the container nor into it.
        wanted["ContainerId"] = json!(second);
        modifier.put(STORES, &wanted).await.expect(403);
        for other in [&place.stores[1], &place.loose] {
            let mut taken = pem(place.agent, "/taken");
            taken["Id"] = json!(other);
            taken["ContainerId"] = json!(first);
            modifier.put(STORES, &taken).await.expect(403);
            modifier.delete(&format!("{STORES}/{other}")).await.expect(403);
        }
        let refused = modifier.delete_with(STORES, json!([made, place.stores[1]])).await.expect(403);
        assert!(refused.message().contains(&place.stores[1]) && !refused.message().contains(&made), "{}", refused.text);
        let left = server.admin().get(STORES).await.expect(200);
        assert_eq!(left.total(), Some(4), "nothing was deleted");
        let kept = left.items().iter().find(|store| store["Id"] == json!(place.stores[1])).unwrap();
        assert_eq!((&kept["Storepath"], &kept["ContainerId"]), (&json!("/second"), &json!(second)));
        modifier.delete_with(STORES, json!([made, "00000000-0000-4000-8000-00000000beef"])).await.expect(204);
        // Less than modify is not enough.
        let scheduler = place.account(&server, "schedule").await;
        scheduler.delete(&format!("{STORES}/{}", place.stores[0])).await.expect(403);
        // Who may modify both containers may move.
        let both = server.account(&[&format!("/certificate_stores/modify/{first}/"), &format!("/certificate_stores/modify/{second}/")]).await;
        let mut moved = pem(place.agent, "/first");
        moved["Id"] = json!(place.stores[0]);
        moved["ContainerId"] = json!(second);
        assert_eq!(both.put(STORES, &moved).await.expect(200).json["ContainerId"], json!(second));
        modifier.get(&format!("{STORES}/{}", place.stores[0])).await.expect(403);
    }

    async fn inventories_are_scheduled_within_a_container(server: TestServer) {
        let place = Place::new(&server).await;
        let scheduler = place.account(&server, "schedule").await;
        let body = |stores: &[&String]| json!({ "StoreIds": stores, "Schedule": { "Interval": { "Minutes": 5 } } });
        for other in [&place.stores[1], &place.loose] {
            let refused = scheduler.post(SCHEDULE, body(&[&place.stores[0], other])).await.expect(403);
            assert!(refused.message().contains(other) && !refused.message().contains(&place.stores[0]), "{}", refused.text);
        }
        assert_eq!(jobs(&server).await, 0, "nothing was scheduled");
        scheduler.post(SCHEDULE, body(&[&place.stores[0]])).await.expect(204);
        assert_eq!(jobs(&server).await, 1);
        place.account(&server, "read").await.post(SCHEDULE, body(&[&place.stores[0]])).await.expect(403);
    }

    async fn a_certificate_by_collection_goes_into_a_store_by_container(server: TestServer) {
        let place = Place::new(&server).await;
        let [first, second] = place.containers;
        let (inside, outside) = (certificate(&server, "AA", true).await, certificate(&server, "BB", true).await);
        let mine = collection(&server, "Mine", "Thumbprint -eq \"AA\"").await;
        let others = collection(&server, "Others", "Thumbprint -eq \"BB\"").await;
        let body = |certificate: i64, stores: &[&String], collection: i64, container: i64| {
            let stores: Vec<Value> = stores.iter().map(|store| json!({ "CertificateStoreId": store, "IncludePrivateKey": true })).collect();
            json!({ "CertificateId": certificate, "CertificateStores": stores, "Schedule": { "Immediate": true }, "CollectionId": collection, "ContainerId": container })
        };
        let mixed = server.account(&[&format!("/certificates/collections/read/{mine}/"), &format!("/certificate_stores/schedule/{first}/")]).await;
        let [store, other] = &place.stores;

        let refused = mixed.post(ADD, body(inside, &[store], 0, 0)).await.expect(403);
        assert!(refused.message().contains(&format!("CollectionId {mine} (Mine)")), "{}", refused.text);
        // The collection counts, and the container that is named beside it does not help.
        mixed.post(ADD, body(inside, &[store], others, first)).await.expect(403);
        mixed.post(ADD, body(inside, &[store], 0, first)).await.expect(403);
        mixed.post(ADD, body(outside, &[store], mine, 0)).await.expect(403);
        mixed.post(ADD, body(9_999, &[store], mine, 0)).await.expect(403);
        let refused = mixed.post(ADD, body(inside, &[store, other, &place.loose], mine, 0)).await.expect(403);
        assert!(refused.message().contains(other) && refused.message().contains(&place.loose) && !refused.message().contains(store), "{}", refused.text);
        assert_eq!(jobs(&server).await, 0, "nothing was scheduled");
        let made = mixed.post(ADD, body(inside, &[store], mine, 0)).await.expect(200);
        assert_eq!(made.items().len(), 1);
        // A container beside the collection counts as none, whichever it is.
        mixed.post(ADD, body(inside, &[store], mine, second)).await.expect(200);

        let by_container = server.account(&["/certificates/collections/read/", &format!("/certificate_stores/schedule/{first}/"), &format!("/certificate_stores/read/{second}/")]).await;
        by_container.post(ADD, body(inside, &[store], 0, first)).await.expect(200);
        by_container.post(ADD, body(inside, &[store], 0, 0)).await.expect(200);
        // The container of another store: neither the store nor the caller is helped by it.
        let refused = by_container.post(ADD, body(inside, &[other], 0, first)).await.expect(403);
        assert!(refused.message().contains(&format!("through container {first}")), "{}", refused.text);
        by_container.post(ADD, body(inside, &[store], 0, second)).await.expect(403);
        let before = jobs(&server).await;
        by_container.post(ADD, body(inside, &[store, other], 0, 0)).await.expect(403);
        assert_eq!(jobs(&server).await, before);

        // Rights on the whole system count whatever is named.
        let all = server.account(&["/certificates/collections/read/", "/certificate_stores/schedule/"]).await;
        all.post(ADD, body(inside, &[store, other, &place.loose], 9_999, 9_999)).await.expect(200);
        let by_collection = server.account(&[&format!("/certificates/collections/read/{mine}/"), "/certificate_stores/schedule/"]).await;
        by_collection.post(ADD, body(inside, &[&place.loose], mine, 0)).await.expect(200);
    }

    async fn entries_are_removed_by_collection_and_container(server: TestServer) {
        let place = Place::new(&server).await;
        let (inside, outside) = (certificate(&server, "AA", true).await, certificate(&server, "BB", true).await);
        let mine = collection(&server, "Mine", "Thumbprint -eq \"AA\"").await;
        for store in &place.stores {
            put(&server, store, "One", inside).await;
            put(&server, store, "Two", outside).await;
        }
        let mixed = server.account(&[&format!("/certificates/collections/read/{mine}/"), &format!("/certificate_stores/schedule/{}/", place.containers[0])]).await;
        let body = |store: &String, alias: &str, collection: i64| json!({
            "CertificateStores": [{ "CertificateStoreId": store, "Alias": alias }], "Schedule": { "Immediate": true }, "CollectionId": collection,
        });
        let [store, other] = &place.stores;
        mixed.post(REMOVE, body(store, "one", 0)).await.expect(403);
        mixed.post(REMOVE, body(store, "two", mine)).await.expect(403);
        mixed.post(REMOVE, body(other, "one", mine)).await.expect(403);
        let refused = mixed.post(REMOVE, body(store, "unheard of", mine)).await.expect(403);
        assert!(refused.message().contains("unheard of"), "{}", refused.text);
        assert_eq!(jobs(&server).await, 0, "nothing was scheduled");
        mixed.post(REMOVE, body(store, "ONE", mine)).await.expect(200);
    }

    async fn owners_are_changed_through_what_holds_the_certificate(server: TestServer) {
        let place = Place::new(&server).await;
        let (inside, outside) = (certificate(&server, "AA", true).await, certificate(&server, "BB", true).await);
        put(&server, &place.stores[0], "one", inside).await;
        put(&server, &place.stores[1], "two", outside).await;
        let mine = collection(&server, "Mine", "Thumbprint -eq \"AA\"").await;
        let everything = collection(&server, "Everything", "").await;
        let clear = json!({ "NewRoleId": null });
        let path = |certificate: i64, query: &str| format!("/Certificates/{certificate}/Owner?{query}");

        let by_collection = server.account(&[&format!("/certificates/collections/change_owner/{mine}/")]).await;
        by_collection.put(&path(inside, &format!("collectionId={mine}")), &clear).await.expect(204);
        // A collection that does not contain the certificate, and one on which there is no right.
        by_collection.put(&path(outside, &format!("collectionId={mine}")), &clear).await.expect(403);
        by_collection.put(&path(inside, &format!("collectionId={everything}")), &clear).await.expect(403);
        by_collection.put(&path(inside, ""), &clear).await.expect(403);
        by_collection.put(&path(inside, "collectionId=0"), &clear).await.expect(403);

        let first = place.containers[0];
        let by_container = server.account(&[&format!("/certificate_stores/change_owner/{first}/")]).await;
        by_container.put(&path(inside, &format!("containerId={first}")), &clear).await.expect(204);
        // The container of another store, and a right on another container.
        by_container.put(&path(outside, &format!("containerId={first}")), &clear).await.expect(403);
        by_container.put(&path(outside, &format!("containerId={}", place.containers[1])), &clear).await.expect(403);
        // The collection wins over the container that would have allowed it; 0 is none.
        by_container.put(&path(inside, &format!("collectionId={mine}&containerId={first}")), &clear).await.expect(403);
        by_container.put(&path(inside, &format!("collectionId=0&containerId={first}")), &clear).await.expect(204);
    }

    async fn certificates_leave_a_collection_at_once(server: TestServer) {
        // One of the server's own: it is there to be read.
        let id = server.admin().get("/Certificates").await.expect(200).items()[0]["Id"].as_i64().unwrap();
        let collection_id = collection(&server, "Of %ME%", "Requester -eq \"%ME%\"").await;
        let right = format!("/certificates/collections/read/{collection_id}/");
        let (one, two) = (server.account(&[&right]).await, server.account(&[&right]).await);
        let path = format!("/Certificates/{id}?collectionId={collection_id}");
        let list = format!("/Certificates?collectionId={collection_id}&includeExpired=true");
        one.get(&path).await.expect(403);
        requested_by(&server, id, one.name()).await;
        one.get(&path).await.expect(200);
        assert_eq!(one.get(&list).await.expect(200).total(), Some(1));
        // The same collection holds other certificates for another caller.
        two.get(&path).await.expect(403);
        assert_eq!(two.get(&list).await.expect(200).total(), Some(0));
        requested_by(&server, id, two.name()).await;
        one.get(&path).await.expect(403);
        assert_eq!(one.get(&list).await.expect(200).total(), Some(0));
        two.get(&path).await.expect(200);
        let refused = one.get("/Certificates").await.expect(403);
        assert!(refused.message().contains(&format!("CollectionId {collection_id} (Of %ME%)")), "{}", refused.text);
    }

    /// Where certificates are is told, and can be asked, of stores that the caller may read.
    async fn places_of_certificates_are_those_of_readable_stores(server: TestServer) {
        let place = Place::new(&server).await;
        let mine = collection(&server, "Mine", "CertStorePath -eq \"/second\"").await;
        let agent = crate::enrollment::csr("CN=a.example", &["a.example"]);
        let body = json!({ "CSR": agent, "Template": "WebServer" });
        let made = crate::enrollment::enroll_csr(&server.admin(), body).await.expect(200);
        let id = made.json["CertificateInformation"]["KeyfactorID"].as_i64().unwrap();
        for store in place.stores.iter().chain([&place.loose]) {
            put(&server, store, "site", id).await;
        }
        let read = format!("/certificates/collections/read/{mine}/");
        let near = server.account(&[&read, &format!("/certificate_stores/read/{}/", place.containers[0])]).await;
        let blind = server.account(&[&read]).await;
        let whole = server.account(&[&read, "/certificate_stores/read/"]).await;
        for (caller, paths) in [(&near, vec!["/first"]), (&blind, vec![]), (&whole, vec!["/first", "/second", "/loose"])] {
            let one = format!("/Certificates/{id}?includeLocations=true&collectionId={mine}");
            let one = caller.get(&one).await.expect(200).json;
            // The collection has it for all of them: its query was saved by who may read all stores.
            let list = format!("/Certificates?includeLocations=true&collectionId={mine}");
            let list = caller.get(&list).await.expect(200);
            assert_eq!(list.total(), Some(1));
            for shown in [&one, &list.items()[0]] {
                let locations: Vec<&str> = shown["Locations"].as_array().unwrap().iter().map(|location| location["StorePath"].as_str().unwrap()).collect();
                assert_eq!(locations, paths);
                let counted = if paths.is_empty() { json!([]) } else { json!([{ "Type": "PEM File", "Count": paths.len() }]) };
                assert_eq!(shown["LocationsCount"].as_array().unwrap().len(), counted.as_array().unwrap().len());
                if !paths.is_empty() {
                    assert_eq!(shown["LocationsCount"][0]["Count"], paths.len());
                }
            }
            for (query, found) in [
                ("CertStorePath -eq \"/first\"", paths.contains(&"/first")),
                ("CertStorePath -eq \"/second\"", paths.contains(&"/second")),
                ("CertStorePath -contains \"loose\"", paths.contains(&"/loose")),
                ("NOT CertStorePath -eq \"/second\"", !paths.contains(&"/second")),
                ("CertStorePath -ne \"/second\"", !paths.contains(&"/second")),
                ("CertStorePath -ne NULL", !paths.is_empty()),
                ("CertStorePath -eq NULL", paths.is_empty()),
                ("CertStoreFQDN -eq \"web1\"", !paths.is_empty()),
            ] {
                let asked = query.replace(' ', "%20").replace('"', "%22");
                let answer = caller.get(&format!("/Certificates?collectionId={mine}&QueryString={asked}")).await.expect(200);
                assert_eq!(answer.total(), Some(u64::from(found)), "{query} {paths:?}");
            }
        }
    }

    async fn who_saves_a_query_about_stores_may_read_them(server: TestServer) {
        let admin = server.admin();
        let path = "/CertificateCollections";
        let about = "CN -eq \"a\" OR NOT certstorepath -eq \"/first\"";
        let id = admin.post(path, json!({ "Name": "Placed", "Query": about })).await.expect(200).json["Id"].clone();
        let rights = ["/certificates/collections/read/", "/certificates/collections/modify/"];
        let caller = server.account(&[rights[0], rights[1], "/certificate_stores/read/1/"]).await;
        for body in [json!({ "Name": "A", "Query": about }), json!({ "Name": "A", "CopyFromId": id, "Query": "CertStoreFQDN -eq NULL" })] {
            let refused = caller.post(path, body).await.expect(403);
            assert!(refused.message().contains("in which certificate stores") && refused.message().contains("Certificate Store Management - Read"), "{}", refused.text);
        }
        caller.put(path, json!({ "Id": id, "Name": "Placed", "Query": "CertStorePath -eq \"/second\"" })).await.expect(403);
        // What stands already may stay, and anything else may be asked.
        caller.put(path, json!({ "Id": id, "Name": "Renamed", "Query": about })).await.expect(200);
        caller.post(path, json!({ "Name": "Copied", "CopyFromId": id })).await.expect(200);
        caller.put(path, json!({ "Id": id, "Name": "Renamed", "Query": "CN -eq \"CertStorePath\"" })).await.expect(200);
        let reader = server.account(&[rights[0], rights[1], "/certificate_stores/read/"]).await;
        reader.post(path, json!({ "Name": "A", "Query": about })).await.expect(200);
    }

    async fn what_follows_a_certificate_may_read_it(server: TestServer) {
        let (inside, outside) = (certificate(&server, "AA", false).await, certificate(&server, "BB", false).await);
        let mine = collection(&server, "Mine", "Thumbprint -eq \"AA\"").await;
        let enroll = ["/certificates/enrollment/pfx/", "/certificates/enrollment/csr/"];
        let blind = server.account(&enroll).await;
        let limited = server.account(&[enroll[0], enroll[1], &format!("/certificates/collections/read/{mine}/")]).await;
        let requests = || async { tables::certificate_requests::Entity::find().count(server.app().db().read()).await.unwrap() };
        let before = requests().await;
        let orders = |caller: &Client, query: String, id: i64| {
            let csr = crate::enrollment::csr("CN=a.example", &["a.example"]);
            let by_csr = json!({ "CSR": csr, "Template": "WebServer", "RenewalCertificateId": id });
            let by_pfx = json!({ "Subject": "CN=a.example", "Template": "WebServer", "Password": "a password", "RenewalCertificateId": id });
            [("CSR", "PEM", 1, by_csr), ("PFX", "PFX", 1, by_pfx.clone()), ("PFX", "PFX", 2, by_pfx)].map(|(way, format, version, body)| {
                let request = caller.request("POST", &format!("/Enrollment/{way}{query}")).version(version);
                request.header("x-certificateformat", format).json(body)
            })
        };
        let through = format!("?collectionId={mine}");
        for (caller, query, id) in [
            (&blind, String::new(), inside), (&blind, String::new(), 9_999), (&blind, through.clone(), inside),
            (&limited, String::new(), inside), (&limited, through.clone(), outside), (&limited, through.clone(), 9_999),
        ] {
            for order in orders(caller, query, id) {
                order.send().await.expect(403);
            }
        }
        assert_eq!(requests().await, before);
        for order in orders(&limited, through, inside) {
            order.send().await.expect(200);
        }
    }

    /// Who may read some certificates only is answered the same for the others and for those that do not exist.
    async fn no_name_of_a_certificate_tells_whether_it_exists(server: TestServer) {
        let inside = certificate(&server, "AA", true).await;
        let outside = certificate(&server, "BB", true).await;
        let mine = collection(&server, "Mine", "Thumbprint -eq \"AA\"").await;
        let caller = server.account(&[&format!("/certificates/collections/read/{mine}/"), "/certificates/enrollment/pfx/"]).await;
        for query in [String::new(), format!("?collectionId={mine}"), "?collectionId=99".to_owned()] {
            let ask = async |path: &str, body: Value| {
                let request = caller.request("POST", &format!("{path}{query}")).header("x-certificateformat", "PEM");
                request.json(body).send().await.expect(403).message().to_owned()
            };
            let unknown = ask("/Certificates/Download", json!({ "Thumbprint": "CC" })).await;
            for body in [json!({ "Thumbprint": "BB" }), json!({ "CertID": outside }), json!({ "CertID": 9_999 }), json!({ "CertID": inside, "Thumbprint": "BB" })] {
                assert_eq!(ask("/Certificates/Download", body.clone()).await, unknown, "{query} {body}");
            }
            let unknown = ask("/Enrollment/Renew", json!({ "Thumbprint": "CC" })).await;
            for body in [
                json!({ "Thumbprint": "BB" }), json!({ "CertificateId": outside }), json!({ "CertificateId": 9_999 }),
                json!({ "CertificateId": inside, "Thumbprint": "BB" }), json!({ "CertificateId": inside, "Thumbprint": "CC" }),
            ] {
                assert_eq!(ask("/Enrollment/Renew", body.clone()).await, unknown, "{query} {body}");
            }
        }
    }

    async fn a_store_that_is_there_is_named_to_who_may_read_it(server: TestServer) {
        let place = Place::new(&server).await;
        let caller = place.account(&server, "modify").await;
        let twin = |path: &str| {
            let mut body = pem(place.agent, path);
            body["ContainerId"] = json!(place.containers[0]);
            body
        };
        for (path, id, named) in [("/first", &place.stores[0], true), ("/second", &place.stores[1], false), ("/loose", &place.loose, false)] {
            let refused = caller.post(STORES, twin(path)).await.expect(400);
            assert!(refused.message().contains("already exists"), "{}", refused.text);
            assert_eq!(refused.text.contains(id.as_str()), named, "{}", refused.text);
            assert!(server.admin().post(STORES, twin(path)).await.expect(400).text.contains(id.as_str()));
        }
    }

    /// A store that is replaced while it moves stays where it was moved to.
    async fn a_replaced_store_does_not_come_back(server: TestServer) {
        let place = Place::new(&server).await;
        let admin = server.admin();
        let store = &place.stores[0];
        for round in 0..12 {
            let to = place.containers[(round + 1) % 2];
            let mut body = pem(place.agent, "/first");
            body["Id"] = json!(store);
            body["CreateIfMissing"] = json!(false);
            let (moved, replaced) = futures::future::join(
                admin.put(&format!("{STORES}/AssignContainer"), json!({ "KeystoreIds": [store], "CertStoreContainerId": to })),
                admin.put(STORES, body),
            ).await;
            moved.expect(200);
            replaced.expect(200);
            assert_eq!(admin.get(&format!("{STORES}/{store}")).await.expect(200).json["ContainerId"], to, "{round}");
        }
    }

    async fn renewals_reach_certificates_through_collections(server: TestServer) {
        let (inside, outside) = (certificate(&server, "AA", false).await, certificate(&server, "BB", false).await);
        let mine = collection(&server, "Mine", "Thumbprint -eq \"AA\"").await;
        let caller = server.account(&[&format!("/certificates/collections/read/{mine}/"), "/certificates/enrollment/pfx/", "/certificates/enrollment/csr/"]).await;
        let renew = |id: i64| json!({ "CertificateId": id });
        let through = format!("/Enrollment/Renew?collectionId={mine}");
        caller.post("/Enrollment/Renew", renew(inside)).await.expect(403);
        caller.post(&through, renew(outside)).await.expect(403);
        caller.post(&through, renew(9_999)).await.expect(403);
        caller.post(&through, json!({ "Thumbprint": "CC" })).await.expect(403);
        // Allowed: what is refused now is that there is no certificate to read behind the row, or no key.
        let answer = caller.post(&through, renew(inside)).await;
        assert_ne!(answer.status, 403, "{}", answer.text);
    }
}
