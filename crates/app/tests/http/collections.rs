//! `/CertificateCollections`, and what they are as scopes of rights.

use serde_json::{Value, json};
use testkit::{Client, TestServer};

use crate::certificate_stores::certificate;
use crate::owner::give_to;
use crate::scoped_stores::{collection, requested_by};

const PATH: &str = "/CertificateCollections";

async fn create(client: &Client, name: &str, query: &str) -> i64 {
    let wanted = json!({ "Name": name, "Query": query });
    let made = client.post(PATH, wanted).await.expect(200);
    made.json["Id"].as_i64().unwrap()
}

fn names(answer: &testkit::Answer) -> Vec<&str> {
    answer
        .items()
        .iter()
        .map(|item| item["Name"].as_str().unwrap())
        .collect()
}

testkit::both_databases! {
    async fn a_collection_is_created_read_replaced_and_deleted(server: TestServer) {
        let admin = server.admin();
        for thumbprint in ["AA", "BB"] {
            certificate(&server, thumbprint, true).await;
        }
        let made = admin.post(PATH, json!({
            "CopyFromId": 0, "Name": " Mine ", "Description": "Those of mine.", "Query": "Thumbprint -eq \"AA\" OR Thumbprint -eq \"BB\"",
            "DuplicationField": 1, "ShowOnDashboard": true, "Favorite": true,
        })).await.expect(200);
        let id = made.json["Id"].as_i64().unwrap();
        assert_eq!(made.json, json!({
            "Id": id, "Name": "Mine", "Description": "Those of mine.", "Automated": false,
            "Content": "Thumbprint -eq \"AA\" OR Thumbprint -eq \"BB\"", "Query": "Thumbprint -eq \"AA\" OR Thumbprint -eq \"BB\"",
            "DuplicationField": 1, "ShowOnDashboard": true, "Favorite": true, "EstimatedCertCount": 2, "LastEstimated": made.json["LastEstimated"],
        }));
        assert!(made.json["LastEstimated"].is_string());
        let read = admin.get(&format!("{PATH}/{id}")).await.expect(200);
        assert_eq!(read.json, json!({
            "Id": id, "Name": "Mine", "Description": "Those of mine.", "Automated": false,
            "Content": "Thumbprint -eq \"AA\" OR Thumbprint -eq \"BB\"", "DuplicationField": 1, "ShowOnDashboard": true, "Favorite": true,
        }));
        assert_eq!(admin.get(&format!("{PATH}/MINE")).await.expect(200).json, read.json);
        // What is left out stays; above all, the query does not become "everything".
        let put = admin.put(PATH, json!({"Id": id, "Name": "Ours"})).await.expect(200);
        assert_eq!((&put.json["Query"], &put.json["Favorite"], &put.json["EstimatedCertCount"]), (&made.json["Query"], &json!(true), &json!(2)));
        let put = admin.put(PATH, json!({"Id": id, "Name": "Ours", "Query": "CN -eq \"nobody\"", "Description": "", "DuplicationField": 4, "ShowOnDashboard": false, "Favorite": false})).await.expect(200);
        assert_eq!((&put.json["EstimatedCertCount"], &put.json["DuplicationField"], &put.json["Favorite"]), (&json!(0), &json!(4), &json!(false)));
        admin.delete(&format!("{PATH}/{id}")).await.expect(204);
        admin.get(&format!("{PATH}/{id}")).await.expect(404);
        admin.get(&format!("{PATH}/Ours")).await.expect(404);
        admin.delete(&format!("{PATH}/{id}")).await.expect(404);
        admin.put(PATH, json!({"Id": id, "Name": "Ours"})).await.expect(404);
        admin.delete(&format!("{PATH}/x")).await.expect(400);
    }

    async fn lists_have_their_order_search_and_totals(server: TestServer) {
        let admin = server.admin();
        let (b, a, c) = (create(&admin, "b", "CN -eq \"one\"").await, create(&admin, "A", "").await, create(&admin, "c", "").await);
        admin.put(&format!("{PATH}/{a}/Favorite"), json!({"ShowInNavigator": true})).await.expect(204);
        admin.put(&format!("{PATH}/{b}/Favorite"), json!({"ShowInNavigator": true})).await.expect(204);
        let listed = admin.get(&format!("{PATH}?ReturnLimit=2")).await.expect(200);
        assert_eq!((names(&listed), listed.total()), (vec!["A", "b"], Some(3)));
        let found = admin.get(&format!("{PATH}?queryString=Favorite%20-eq%20true&SortField=Name&SortAscending=1")).await.expect(200);
        assert_eq!((names(&found), found.total()), (vec!["b", "A"], Some(2)));
        let found = admin.get(&format!("{PATH}?queryString=Favorite%20-eq%20false")).await.expect(200);
        assert_eq!(names(&found), ["c"]);
        let found = admin.get(&format!("{PATH}?queryString=Query%20-contains%20%22one%22%20AND%20Name%20-eq%20%22B%22")).await.expect(200);
        assert_eq!(names(&found), ["b"]);
        let short = admin.get(&format!("{PATH}/CollectionList")).await.expect(200);
        assert_eq!(short.items()[1], json!({
            "Id": b, "Name": "b", "Content": "CN -eq \"one\"", "DuplicationField": "None", "Favorite": true, "ShowOnDashboard": false,
            "HasQueryPermissions": true, "Description": "",
        }));
        assert_eq!(names(&admin.get(&format!("{PATH}/NavItems")).await.expect(200)), ["b", "A"]);
        let order = admin.get(&format!("{PATH}/collectionordering")).await.expect(200);
        assert_eq!(order.json, json!([{"Id": b, "Name": "b", "Order": 1}, {"Id": a, "Name": "A", "Order": 2}, {"Id": c, "Name": "c", "Order": 3}]));
        // Favorites are each one's own.
        let other = server.account(&["/certificates/collections/read/"]).await;
        assert_eq!(other.get(&format!("{PATH}/NavItems")).await.expect(200).json, json!([]));
        assert_eq!(other.get(&format!("{PATH}/{a}")).await.expect(200).json["Favorite"], false);
        admin.put(&format!("{PATH}/{a}/Favorite"), json!({"ShowInNavigator": false})).await.expect(204);
        assert_eq!(names(&admin.get(&format!("{PATH}/NavItems")).await.expect(200)), ["b"]);
        admin.put(&format!("{PATH}/{a}/Favorite"), json!({})).await.expect(400);
        admin.put(&format!("{PATH}/99/Favorite"), json!({"ShowInNavigator": false})).await.expect(404);
        for path in ["", "/CollectionList"] {
            admin.get(&format!("{PATH}{path}?queryString=Nonsense%20-eq%201")).await.expect(400);
        }
    }

    async fn mistakes_are_named_with_their_position(server: TestServer) {
        let admin = server.admin();
        create(&admin, "Taken", "").await;
        for (wanted, words) in [
            (json!({"Name": "A", "Query": "CN -eq \"a\" AND Nonsense -eq \"b\""}), "at character 16"),
            (json!({"Name": "A", "Query": "CN -like \"a\""}), "at character 4"),
            (json!({"Name": "A", "Query": "KeySize -eq \"big\""}), "at character 1"),
            (json!({"Name": "A", "Query": "CN -eq \"a"}), "character"),
            (json!({"Name": "A", "Query": "(CN -eq \"a\""}), "character"),
            (json!({"Name": ""}), "Name: a value"),
            (json!({"Name": "x".repeat(257)}), "Name: longer"),
            (json!({"Name": "TAKEN"}), "already exists"),
            (json!({"Name": "A", "Query": "x".repeat(20_001)}), "Query: longer"),
            (json!({"Name": "A", "DuplicationField": 5}), "DuplicationField: 5"),
            (json!({"Name": "A", "CopyFromId": 99}), "CopyFromId: there is no"),
        ] {
            let answer = admin.post(PATH, wanted).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
            assert!(!answer.message().contains("QueryString"), "{}", answer.text);
        }
        assert_eq!(admin.get(PATH).await.expect(200).total(), Some(1));
        let id = create(&admin, "Good", "CN -eq \"a\"").await;
        let answer = admin.put(PATH, json!({"Id": id, "Name": "Good", "Query": "CN -eq"})).await.expect(400);
        assert!(answer.message().starts_with("Query: "), "{}", answer.text);
        assert_eq!(admin.get(&format!("{PATH}/{id}")).await.expect(200).json["Content"], "CN -eq \"a\"");
        admin.put(PATH, json!({"Name": "Good"})).await.expect(400);
        admin.put(PATH, json!({"Id": id, "Name": "taken"})).await.expect(400);
    }

    async fn every_search_field_of_certificates_can_be_saved_and_evaluated(server: TestServer) {
        let admin = server.admin();
        let id = create(&admin, "All fields", "").await;
        for field in [
            "Id", "CN", "DN", "IssuerDN", "OU", "SAN", "Thumbprint", "SerialNumber", "IssuedDate", "ExpirationDate", "ImportDate", "CertState",
            "RevocationDate", "KeySize", "KeyType", "KeyUsage", "Curve", "SigningAlgorithm", "IsCACertificate", "HasPrivateKey", "CertRequestId",
            "Requester", "CertificateAuthorityName", "TemplateShortName", "TemplateDisplayName", "OwnerRoleName", "CertStorePath", "CertStoreFQDN",
        ] {
            admin.put(PATH, json!({"Id": id, "Name": "All fields", "Query": format!("{field} -ne NULL")})).await.expect(200);
            admin.get(&format!("/Certificates?collectionId={id}")).await.expect(200);
        }
        admin.put(PATH, json!({"Id": id, "Name": "All fields", "Query": "ExpirationDate -lt \"%TODAY+30%\" AND NOT Requester -eq \"%ME%\""})).await.expect(200);
        admin.get(&format!("/Certificates?collectionId={id}")).await.expect(200);
        admin.get("/Certificates?collectionId=99").await.expect(400);
    }

    async fn counts_are_exact_when_taken(server: TestServer) {
        let admin = server.admin();
        let id = create(&admin, "One", "CN -eq \"one\"").await;
        let mine = create(&admin, "%ME%", "Requester -eq \"%ME%\"").await;
        let added = certificate(&server, "AA", true).await;
        requested_by(&server, added, admin.name()).await;
        let counts = async |client: &Client| {
            let answer = client.get(&format!("{PATH}/LastEstimated")).await.expect(200);
            let counts = answer.items().iter().map(|item| (item["Id"].as_i64().unwrap(), item["EstimatedCertCount"].as_i64().unwrap()));
            counts.collect::<Vec<_>>()
        };
        // The first is fresh and stays what it was; the second depends on who asks and is never kept.
        assert_eq!(counts(&admin).await, [(id, 0), (mine, 1)]);
        let other = server.account(&["/certificates/collections/read/"]).await;
        assert_eq!(counts(&other).await, [(id, 0), (mine, 0)]);
        server.clock.advance(15 * 60 * 1_000);
        let answer = admin.get(&format!("{PATH}/LastEstimated")).await.expect(200);
        assert_eq!(answer.items()[0], json!({"Id": id, "Name": "One", "EstimatedCertCount": 1, "LastEstimated": "2026-11-21T12:15:00Z"}));
        let scoped = server.account(&[&format!("/certificates/collections/read/{mine}/")]).await;
        assert_eq!(counts(&scoped).await, [(mine, 0)]);
    }

    async fn what_cannot_be_counted_keeps_nothing_else_from_it(server: TestServer) {
        for number in 0..10 {
            collection(&server, &format!("Mine {number}"), "Requester -eq \"%ME%\"").await;
            collection(&server, &format!("Gone {number}"), "NoSuchField -eq 1").await;
        }
        for number in 0..10 {
            collection(&server, &format!("Plain {number}"), "").await;
        }
        let counted = async || {
            let answer = server.admin().get(&format!("{PATH}/LastEstimated")).await.expect(200);
            let counted = answer.items().iter().filter(|item| !item["LastEstimated"].is_null());
            counted.map(|item| item["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        for round in 0..2 {
            let names = counted().await;
            for kind in ["Mine", "Plain"] {
                assert_eq!(names.iter().filter(|name| name.starts_with(kind)).count(), 10, "{round} {kind}");
            }
            server.clock.advance(15 * 60 * 1_000);
        }
        assert!(!counted().await.iter().any(|name| name.starts_with("Gone")));
    }

    async fn copies_take_query_and_permissions(server: TestServer) {
        let admin = server.admin();
        let inside = certificate(&server, "AA", true).await;
        let from = create(&admin, "Original", "Thumbprint -eq \"AA\"").await;
        let reader = server.account(&[&format!("/certificates/collections/read/{from}/"), "/certificates/enrollment/pfx/"]).await;
        let copied = admin.post(&format!("{PATH}/Copy"), json!({"CopyFromId": from, "Name": "Copy", "Description": "Again."})).await.expect(200);
        let copy = copied.json["Id"].as_i64().unwrap();
        assert_eq!((&copied.json["Query"], &copied.json["Description"]), (&json!("Thumbprint -eq \"AA\""), &json!("Again.")));
        let listed = reader.get(PATH).await.expect(200);
        assert_eq!((names(&listed), listed.total()), (vec!["Copy", "Original"], Some(2)));
        assert_eq!(reader.get(&format!("/Certificates?includeExpired=true&collectionId={copy}&QueryString=Id%20-eq%20{inside}&ReturnLimit=1&PageReturned=2")).await.expect(200).total(), Some(1));
        let created = admin.post(PATH, json!({"CopyFromId": from, "Name": "Created", "Query": "Thumbprint -eq \"BB\""})).await.expect(200);
        assert_eq!(created.json["Query"], "Thumbprint -eq \"BB\"");
        assert_eq!(reader.get(PATH).await.expect(200).total(), Some(3));
        admin.post(&format!("{PATH}/Copy"), json!({"Name": "No source"})).await.expect(400);
        admin.post(&format!("{PATH}/Copy"), json!({"CopyFromId": 99, "Name": "No source"})).await.expect(400);
    }

    async fn collections_are_reached_by_their_grants(server: TestServer) {
        let admin = server.admin();
        let (one, two) = (create(&admin, "One", "Thumbprint -eq \"AA\"").await, create(&admin, "Two", "").await);
        let reader = server.account(&[&format!("/certificates/collections/read/{one}/")]).await;
        for path in ["", "/CollectionList", "/CollectionOrdering", "/LastEstimated"] {
            assert_eq!(names(&reader.get(&format!("{PATH}{path}")).await.expect(200)), ["One"], "{path}");
        }
        reader.get(&format!("{PATH}/{one}")).await.expect(200);
        for other in [&two.to_string(), "Two", "99", "Nobody"] {
            reader.get(&format!("{PATH}/{other}")).await.expect(403);
        }
        reader.put(&format!("{PATH}/{one}/Favorite"), json!({"ShowInNavigator": true})).await.expect(204);
        reader.put(&format!("{PATH}/{two}/Favorite"), json!({"ShowInNavigator": true})).await.expect(403);
        reader.put(&format!("{PATH}/99/Favorite"), json!({"ShowInNavigator": true})).await.expect(403);
        reader.put(PATH, json!({"Id": one, "Name": "Mine"})).await.expect(403);
        reader.delete(&format!("{PATH}/{one}")).await.expect(403);
        reader.post(PATH, json!({"Name": "Mine"})).await.expect(403);

        let modifier = server.account(&[&format!("/certificates/collections/modify/{one}/")]).await;
        modifier.get(PATH).await.expect(403);
        modifier.put(PATH, json!({"Id": one, "Name": "Renamed", "Query": "CN -eq \"x\""})).await.expect(200);
        modifier.put(PATH, json!({"Id": two, "Name": "Renamed"})).await.expect(403);
        modifier.put(PATH, json!({"Id": 99, "Name": "Renamed"})).await.expect(403);
        modifier.post(PATH, json!({"Name": "Another"})).await.expect(403);
        modifier.post(&format!("{PATH}/Copy"), json!({"Name": "Another", "CopyFromId": one})).await.expect(403);
        modifier.delete(&format!("{PATH}/{two}")).await.expect(403);
        modifier.delete(&format!("{PATH}/{one}")).await.expect(204);
        // The grants went with it: a later collection begins without any.
        reader.get(PATH).await.expect(403);
    }

    async fn a_query_does_not_raise_the_rights_of_who_changes_it(server: TestServer) {
        let admin = server.admin();
        let id = create(&admin, "Few", "Thumbprint -eq \"AA\"").await;
        let [read, modify] = ["read", "modify"].map(|right| format!("/certificates/collections/{right}/{id}/"));
        let greedy = server.account(&[&read, &modify]).await;
        let answer = greedy.put(PATH, json!({"Id": id, "Name": "Few", "Query": ""})).await.expect(403);
        assert!(answer.message().contains("your own rights"), "{}", answer.text);
        assert_eq!(admin.get(&format!("{PATH}/{id}")).await.expect(200).json["Content"], "Thumbprint -eq \"AA\"");
        // Everything else he may change.
        greedy.put(PATH, json!({"Id": id, "Name": "A few", "Query": "Thumbprint -eq \"AA\""})).await.expect(200);
        // Nor by a copy that takes his grants along.
        let wide = server.account(&[&read, "/certificates/collections/modify/"]).await;
        wide.post(&format!("{PATH}/Copy"), json!({"CopyFromId": id, "Name": "All", "Query": ""})).await.expect(403);
        wide.post(PATH, json!({"CopyFromId": id, "Name": "All", "Query": ""})).await.expect(403);
        wide.post(PATH, json!({"CopyFromId": id, "Name": "Same"})).await.expect(200);
        wide.post(PATH, json!({"Name": "All", "Query": ""})).await.expect(200);
        assert_eq!(wide.get(PATH).await.expect(200).total(), Some(2));
        let blind = server.account(&["/certificates/collections/modify/"]).await;
        blind.post(&format!("{PATH}/Copy"), json!({"CopyFromId": id, "Name": "Unread"})).await.expect(403);
        let trusted = server.account(&["/certificates/collections/read/", &modify]).await;
        trusted.put(PATH, json!({"Id": id, "Name": "Few", "Query": ""})).await.expect(200);
    }

    /// The caller is known when the head of a request is there; what he holds when its body is.
    async fn rights_that_come_before_the_body_count(server: TestServer) {
        let admin = server.admin();
        let id = create(&admin, "Few", "Thumbprint -eq \"AA\"").await;
        let greedy = server.account(&[&format!("/certificates/collections/read/{id}/"), "/certificates/collections/modify/"]).await;
        let next = create(&admin, "Last", "").await + 1;
        let (copier, copy) = (greedy.clone(), json!({"CopyFromId": id, "Name": "Mine"}));
        let late = greedy.request("PUT", PATH).json(json!({"Id": next, "Name": "Mine", "Query": ""}));
        let answer = late.send_late(async move {
            let made = copier.post(&format!("{PATH}/Copy"), copy).await.expect(200);
            assert_eq!(made.json["Id"], next);
        }).await.expect(403);
        assert!(answer.message().contains("your own rights"), "{}", answer.text);
        assert_eq!(admin.get(&format!("{PATH}/{next}")).await.expect(200).json["Content"], "Thumbprint -eq \"AA\"");
        // What was given meanwhile counts as well, and so does what was taken.
        let modify = server.account(&["/certificates/collections/modify/"]).await;
        let role = server.role("Readers", &[&format!("/certificates/collections/read/{id}/")]).await;
        let (app, name) = (server.app().clone(), modify.name().to_owned());
        let late = modify.request("PUT", PATH).json(json!({"Id": id, "Name": "Few", "Query": ""}));
        late.send_late(async move { give_to(&app, &name, role).await }).await.expect(403);
    }

    async fn changes_at_the_same_moment_are_both_kept(server: TestServer) {
        let admin = server.admin();
        let id = create(&admin, "Both", "").await;
        for round in 0..12 {
            let text = round.to_string();
            let query = format!("CN -eq \"{round}\"");
            let (one, other) = futures::future::join(
                admin.put(PATH, json!({"Id": id, "Name": "Both", "Query": query})),
                admin.put(PATH, json!({"Id": id, "Name": "Both", "Description": text})),
            ).await;
            one.expect(200);
            other.expect(200);
            let read = admin.get(&format!("{PATH}/{id}")).await.expect(200).json;
            assert_eq!((&read["Content"], &read["Description"]), (&json!(query), &json!(text)), "{round}");
        }
    }

    async fn permissions_on_a_collection_are_set_from_its_side(server: TestServer) {
        let admin = server.admin();
        let id = create(&admin, "One", "").await;
        let role = server.role("Auditors", &[]).await;
        let auditor = server.account_in_role("auditor", "Auditors").await;
        let path = format!("{PATH}/{id}/Permissions");
        auditor.get(&format!("{PATH}/{id}")).await.expect(403);
        let grant = |permissions: Value| json!([{ "RoleId": role, "Permissions": permissions }]);
        admin.post(&path, grant(json!(["Read", "Certificates:EditMetadata", "/certificates/collections/revoke/"]))).await.expect(204);
        auditor.get(&format!("{PATH}/{id}")).await.expect(200);
        admin.post(&path, grant(json!(["Revoke"]))).await.expect(204);
        auditor.get(&format!("{PATH}/{id}")).await.expect(403);
        admin.post(&path, grant(json!(["Read"]))).await.expect(204);
        admin.post(&path, json!([])).await.expect(204);
        auditor.get(&format!("{PATH}/{id}")).await.expect(200);
        for (wanted, words) in [
            (grant(json!(["Schedule"])), "\"Schedule\" is none of Read"),
            (grant(json!(["/certificates/collections/read/99/"])), "is none of"),
            (json!([{ "RoleId": 99, "Permissions": ["Read"] }]), "no security role 99"),
            (json!([{ "RoleId": 1, "Permissions": [] }]), "cannot change"),
        ] {
            let answer = admin.post(&path, wanted).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        admin.post(&format!("{PATH}/99/Permissions"), grant(json!(["Read"]))).await.expect(404);
        auditor.post(&path, grant(json!(["Delete"]))).await.expect(403);
        // Who may change roles does not give himself what he does not hold.
        let own = server.role("Clerks", &["/security/modify/"]).await;
        let clerk = server.account_in_role("clerk", "Clerks").await;
        clerk.post(&path, json!([{ "RoleId": own, "Permissions": ["Delete"] }])).await.expect(403);
        clerk.post(&path, grant(json!(["Read", "Delete"]))).await.expect(403);
        admin.post(&path, grant(json!(["Read", "Delete"]))).await.expect(204);
        admin.post(&path, grant(json!([]))).await.expect(204);
        auditor.get(PATH).await.expect(403);
    }
}
