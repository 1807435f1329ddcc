//! `/Certificates/Metadata`, and what certificates are found by it.

use serde_json::{Value, json};
use testkit::{Answer, Client, TestServer};

use crate::audit::found;
use crate::certificate_stores::pem_agent;
use crate::decisions;
use crate::metadata_fields::define;
use crate::scoped_stores::{collection, container, put, store};

const PATH: &str = "/Certificates/Metadata";
const ALL: &str = "/Certificates/Metadata/All";

/// A certificate whose common name ends with `.metadata`.
async fn certificate(server: &TestServer, name: &str) -> i64 {
    decisions::certificate(server, &format!("{name}.metadata"), 1).await
}

async fn give(client: &Client, id: i64, metadata: Value) -> Answer {
    let body = json!({ "id": id, "metadata": metadata });
    client.put(PATH, body).await
}

async fn metadata(client: &Client, id: i64) -> Value {
    let path = format!("/Certificates/{id}?includeMetadata=true");
    client.get(&path).await.expect(200).json["Metadata"].clone()
}

async fn history(client: &Client, id: i64) -> Vec<Value> {
    let path = format!("/Certificates/{id}/History?SortField=Id");
    let mut lines = client.get(&path).await.expect(200).items().to_vec();
    lines.retain(|line| line["Action"] == "Metadata Changed");
    lines
}

/// The ids that a query finds.
async fn ids(client: &Client, query: &str) -> Vec<i64> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/Certificates?IncludeExpired=true&SortField=Id&QueryString={query}");
    let listed = client.get(&path).await.expect(200);
    let items = listed.items().iter();
    items.map(|item| item["Id"].as_i64().unwrap()).collect()
}

testkit::both_databases! {
    async fn fields_that_are_not_named_stay(server: TestServer) {
        let admin = server.admin();
        let id = certificate(&server, "AA").await;
        define(&admin, &[("Team", 1), ("Rank", 2), ("Live", 4), ("Due", 3)]).await;
        give(&admin, id, json!({"team": "Web", "Rank": 3, "Live": true})).await.expect(204);
        let body = json!({"CertificateId": id, "CollectionId": 0, "Metadata": {"RANK": "4", "Due": "1/31/2026 10:00:00 AM"}});
        admin.put(PATH, body).await.expect(204);
        let all = json!({"Team": "Web", "Rank": "4", "Live": "true", "Due": "1/31/2026 10:00:00 AM"});
        assert_eq!(metadata(&admin, id).await, all);
        let lines = history(&admin, id).await;
        assert_eq!(lines.len(), 2);
        let comment = lines[1]["Comment"].as_str().unwrap();
        for change in ["Due was changed from none to \"1/31/2026 10:00:00 AM\".", "Rank was changed from \"3\" to \"4\"."] {
            assert!(comment.contains(change), "{comment}");
        }
        let records = found(&server, "Category -eq 2001 AND Operation -eq 2").await;
        let texts = [&records[1]["Before"], &records[1]["After"]].map(|value| value.to_string().replace('\\', ""));
        assert!(texts[0].contains("\"Rank\":\"3\"") && texts[1].contains("\"Rank\":\"4\""), "{texts:?}");

        // What is so already is no change.
        give(&admin, id, all.clone()).await.expect(204);
        give(&admin, id, json!({})).await.expect(204);
        assert_eq!(history(&admin, id).await.len(), 2);
        // A blank value and null clear; clearing what is not there is no change either.
        give(&admin, id, json!({"Team": "", "Rank": null})).await.expect(204);
        give(&admin, id, json!({"Team": " "})).await.expect(204);
        assert_eq!(metadata(&admin, id).await, json!({"Live": "true", "Due": "1/31/2026 10:00:00 AM"}));
        assert_eq!(history(&admin, id).await.len(), 3);

        for (body, status, words) in [
            (json!({"Id": 4711, "Metadata": {"Team": "Web"}}), 404, "certificate 4711"),
            (json!({"Metadata": {"Team": "Web"}}), 400, "Id: a value"),
            (json!({"Id": id}), 400, "Metadata: a value"),
            (json!({"Id": id, "CertificateId": id + 1, "Metadata": {}}), 400, "two different"),
            (json!({"Id": id, "Metadata": {"Team": "Web", "Nothing": "x"}}), 400, "Metadata.Nothing: there is no"),
            (json!({"Id": id, "Metadata": {"Team": "Web", "Rank": "high"}}), 400, "Metadata.Rank: \"high\" is not an integer"),
            (json!({"Id": id, "Metadata": {"Team": "Web", "Due": "31.1.2026"}}), 400, "Metadata.Due: \"31.1.2026\" is not a date"),
            (json!({"Id": id, "Metadata": {"Team": ["Web"]}}), 400, "Metadata.Team: the value has to be text"),
            (json!({"Id": id, "Metadata": {"Team": "Web", "TEAM": "Mail"}}), 400, "Metadata.Team: the field is given twice"),
            (json!({"Id": id, "Metadata": {"Team": "x".repeat(65_537)}}), 400, "Metadata.Team: longer"),
        ] {
            let answer = admin.put(PATH, body).await.expect(status);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        assert_eq!(metadata(&admin, id).await, json!({"Live": "true", "Due": "1/31/2026 10:00:00 AM"}));
    }

    async fn many_at_once_by_ids_or_by_a_query(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1), ("Rank", 2)]).await;
        let (one, two, three) = (certificate(&server, "AA").await, certificate(&server, "BB").await, certificate(&server, "CC").await);
        give(&admin, one, json!({"Team": "Web"})).await.expect(204);
        let values = json!([{"MetadataName": "TEAM", "Value": "Mail", "OverwriteExisting": false}, {"MetadataName": "Rank", "Value": "1"}]);
        admin.put(ALL, json!({"CertificateIds": [one, two, two], "Query": "", "Metadata": values})).await.expect(204);
        assert_eq!(metadata(&admin, one).await, json!({"Team": "Web", "Rank": "1"}));
        assert_eq!(metadata(&admin, two).await, json!({"Team": "Mail", "Rank": "1"}));
        assert_eq!(metadata(&admin, three).await, json!({}));
        let values = json!([{"MetadataName": "Team", "Value": "Ops", "OverwriteExisting": true}]);
        admin.put(ALL, json!({"CertificateIds": null, "Query": "Rank -eq 1", "Metadata": values})).await.expect(204);
        assert_eq!(metadata(&admin, one).await["Team"], "Ops");
        assert_eq!(metadata(&admin, two).await["Team"], "Ops");
        assert_eq!(metadata(&admin, three).await, json!({}));
        assert_eq!(history(&admin, two).await.len(), 2);
        assert_eq!(found(&server, "Category -eq 2001 AND Operation -eq 2").await.len(), 5);
        // Blank clears where it may overwrite.
        let clear = |overwrite: bool| json!({"Query": "CN -in (\"AA.metadata\", \"CC.metadata\")", "Metadata": [{"MetadataName": "Team", "Value": null, "OverwriteExisting": overwrite}]});
        admin.put(ALL, clear(false)).await.expect(204);
        assert_eq!(metadata(&admin, one).await["Team"], "Ops");
        admin.put(ALL, clear(true)).await.expect(204);
        assert_eq!(metadata(&admin, one).await, json!({"Rank": "1"}));

        let team = json!([{"MetadataName": "Team", "Value": "Nobody", "OverwriteExisting": true}]);
        let thousands: Vec<i64> = (1..=100_000).map(|id| one + id * 7).collect();
        for (body, status, words) in [
            (json!({"Metadata": team}), 400, "one of the two has to be given"),
            (json!({"Query": " ", "CertificateIds": [], "Metadata": team}), 400, "one of the two has to be given"),
            (json!({"Query": "CN -eq \"one\"", "CertificateIds": [one], "Metadata": team}), 400, "only one of the two"),
            (json!({"Query": "Nothing -eq 1", "Metadata": team}), 400, "at character 1"),
            (json!({"CertificateIds": [one], "Metadata": []}), 400, "Metadata: a value"),
            (json!({"CertificateIds": [one], "Metadata": [{"Value": "x"}]}), 400, "Metadata.: there is no"),
            (json!({"CertificateIds": [one], "Metadata": [{"MetadataName": "Rank", "Value": "x"}]}), 400, "Metadata.Rank"),
            (json!({"CertificateIds": [one], "Metadata": [{"MetadataName": "Team", "Value": "x".repeat(65_537)}]}), 400, "longer than"),
            (json!({"CertificateIds": [one, 4711, two, 4712], "Metadata": team}), 404, "certificate 4711, 4712"),
            (json!({"CertificateIds": thousands, "Metadata": team}), 404, "There is no certificate"),
            (json!({"CertificateIds": (0..100_001).collect::<Vec<_>>(), "Metadata": team}), 400, "more than 100000 certificates"),
        ] {
            let answer = admin.put(ALL, body).await.expect(status);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        assert_eq!(ids(&admin, "Team -eq \"Nobody\"").await, Vec::<i64>::new());
    }

    async fn more_than_one_transaction_holds(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1)]).await;
        for number in 0..260 {
            certificate(&server, &format!("{number:04X}")).await;
        }
        let values = json!([{"MetadataName": "Team", "Value": "Web"}]);
        admin.put(ALL, json!({"Query": "CN -endswith \".metadata\"", "Metadata": values})).await.expect(204);
        let listed = admin.get("/Certificates?IncludeExpired=true&QueryString=Team%20-eq%20web").await.expect(200);
        assert_eq!(listed.total(), Some(260));
    }

    async fn comparing_goes_by_the_type(server: TestServer) {
        let admin = server.admin();
        let id = certificate(&server, "AA").await;
        define(&admin, &[("Team", 1), ("Rank", 2), ("Live", 4), ("Due", 3), ("None", 1)]).await;
        give(&admin, id, json!({"Team": "Web", "Rank": "07", "Live": "True", "Due": "2026-01-31"})).await.expect(204);
        let compare = async |field: &str, value: &str| admin.get(&format!("{PATH}/Compare?certificateId={id}&metadataFieldName={field}&value={value}")).await;
        for (field, value, wanted) in [
            ("Team", "Web", true), ("TEAM", "web", false), ("Team", "", false), ("Rank", "7", true), ("Rank", "8", false),
            ("Live", "1", true), ("Due", "1/31/2026", true), ("Due", "2026-02-01", false), ("None", "", true), ("None", "x", false),
        ] {
            assert_eq!(compare(field, value).await.expect(200).json, wanted, "{field} {value}");
        }
        assert_eq!(admin.get(&format!("{PATH}/Compare?certificateId={id}&metadataFieldName=None")).await.expect(200).json, true);
        compare("Nothing", "x").await.expect(400);
        admin.get(&format!("{PATH}/Compare?certificateId={id}&value=x")).await.expect(400);
        admin.get(&format!("{PATH}/Compare?metadataFieldName=Team&value=x")).await.expect(400);
        admin.get(&format!("{PATH}/Compare?certificateId=4711&metadataFieldName=Team&value=x")).await.expect(404);
    }

    async fn certificates_are_found_by_it(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1), ("Rank", 2), ("Live", 4), ("Due", 3), ("Note", 6), ("Cost-Centre", 1), ("CN", 1)]).await;
        let mut made = Vec::new();
        for (name, values) in [
            ("AA", json!({"Team": "Straße", "Rank": "9", "Live": "True", "Due": "1/31/2026 10:00:00 AM", "Cost-Centre": "R&D 50%", "CN": "mine"})),
            ("BB", json!({"Team": "Web", "Rank": "10", "Live": "false", "Due": "2026-03-01", "Note": format!("{} needle {}", "hay".repeat(300), "stack".repeat(100))})),
            ("CC", json!({"Team": "web-ops", "Rank": "-3", "Live": "0"})),
            ("DD", json!({})),
        ] {
            let id = certificate(&server, name).await;
            give(&admin, id, values).await.expect(204);
            made.push(id);
        }
        let long = format!("{} needle {}", "HAY".repeat(300), "stack".repeat(100));
        for (query, wanted) in [
            ("Team -eq \"STRASSE\"", vec![0]),
            ("team -startswith web", vec![1, 2]),
            ("Team -endswith OPS", vec![2]),
            ("Team -contains \"a\"", vec![0]),
            ("Team -ne \"web\"", vec![0, 2, 3]),
            ("Team -notcontains \"web\"", vec![0, 3]),
            ("Team -in (\"WEB\", \"web-ops\")", vec![1, 2]),
            ("Team -notin (\"WEB\", \"web-ops\")", vec![0, 3]),
            ("Team -eq NULL", vec![3]),
            ("Team -ne NULL", vec![0, 1, 2]),
            ("Rank -gt 9", vec![1]),
            ("Rank -ge 9", vec![0, 1]),
            ("Rank -lt 0", vec![2]),
            ("Rank -ne 9", vec![1, 2, 3]),
            ("Rank -in (9, 10)", vec![0, 1]),
            ("Rank -startswith 1", vec![1]),
            ("Rank -eq NULL", vec![3]),
            ("Live -eq true", vec![0]),
            ("Live -eq false", vec![1, 2]),
            ("Due -gt \"2026-01-31\"", vec![0, 1]),
            ("Due -le \"2026-01-31T10:00:00Z\"", vec![0]),
            ("Due -lt \"%TODAY%\"", vec![0, 1]),
            ("Note -contains needle", vec![1]),
            ("Note -startswith hayhay", vec![1]),
            ("Note -endswith stackstack", vec![1]),
            (&format!("Note -eq \"{long}\""), vec![1]),
            (&format!("Note -startswith \"{} N\"", "hay".repeat(300)), vec![1]),
            ("Cost-Centre -contains \"50%\"", vec![0]),
            ("NOT (Rank -gt 9) AND Team -ne NULL", vec![0, 2]),
            // What a certificate says of itself comes first.
            ("CN -eq mine", vec![]),
        ] {
            let wanted: Vec<i64> = wanted.into_iter().map(|index: usize| made[index]).collect();
            let found: Vec<i64> = ids(&admin, &format!("CN -endswith \".metadata\" AND ({query})")).await;
            assert_eq!(found, wanted, "{query}");
        }
        for (query, words) in [
            ("Nothing%20-eq%201", "no field of this list"),
            ("Rank%20-eq%20high", "not a number"),
            ("Due%20-gt%20soon", "not a date"),
            ("Live%20-eq%20maybe", "not a number"),
            ("CN%20-eq%20a%20AND%20Team%20-gt%20NULL", "at character"),
        ] {
            let answer = admin.get(&format!("/Certificates?QueryString={query}")).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        // Collections too, as long as there is such a field.
        let wanted = json!({"Name": "High", "Query": "Rank -gt 9"});
        let high = admin.post("/CertificateCollections", wanted).await.expect(200).json;
        assert_eq!(high["EstimatedCertCount"], 1);
        let inside = format!("/Certificates?IncludeExpired=true&CollectionId={}", high["Id"]);
        assert_eq!(admin.get(&inside).await.expect(200).total(), Some(1));
        admin.post("/CertificateCollections", json!({"Name": "None", "Query": "Nothing -gt 9"})).await.expect(400);
        let rank = admin.get("/MetadataFields/Rank").await.expect(200).json["Id"].clone();
        admin.delete(&format!("/MetadataFields/{rank}?force=true")).await.expect(204);
        admin.get(&inside).await.expect(400);
    }

    async fn rights_on_a_collection_and_on_a_container(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1)]).await;
        let (one, two) = (certificate(&server, "AA").await, certificate(&server, "BB").await);
        let first = collection(&server, "First", "CN -eq \"AA.metadata\"").await;
        let web = container(&server, "Web").await;
        let agent = pem_agent(&server).await;
        let store = store(&server, agent, "/etc/web.pem", web).await;
        put(&server, &store, "site", two).await;
        let by_collection = server.account(&[&format!("/certificates/collections/metadata/modify/{first}/"), &format!("/certificates/collections/read/{first}/")]).await;
        let by_container = server.account(&[&format!("/certificate_stores/metadata/modify/{web}/")]).await;
        let by_stores = server.account(&["/certificate_stores/metadata/modify/"]).await;
        let reader = server.account(&["/certificates/collections/read/"]).await;
        let (in_collection, in_container) = (format!("CollectionId={first}"), format!("ContainerId={web}"));
        for (client, through, reached) in [
            (&admin, "", vec![one, two]),
            (&by_collection, in_collection.as_str(), vec![one]),
            (&by_collection, "", vec![]),
            (&by_collection, in_container.as_str(), vec![]),
            (&by_container, in_container.as_str(), vec![two]),
            (&by_container, in_collection.as_str(), vec![]),
            (&by_container, "", vec![]),
            (&by_stores, "", vec![two]),
            (&by_stores, in_container.as_str(), vec![two]),
            (&reader, "", vec![]),
            (&reader, in_collection.as_str(), vec![]),
        ] {
            let value = |what: &str| format!("{what} {} {through}", client.name());
            for id in [one, two, 4711] {
                let allowed = reached.contains(&id);
                let status = if allowed { 204 } else if client.name() == "admin" { 404 } else { 403 };
                let single = json!({"Id": id, "Metadata": {"Team": value("one")}});
                client.put(&format!("{PATH}?{through}"), single).await.expect(status);
                assert_eq!(ids(&admin, &format!("Id -eq {id} AND Team -eq \"{}\"", value("one"))).await, if allowed { vec![id] } else { vec![] });
                let several = json!({"CertificateIds": [id], "Metadata": [{"MetadataName": "Team", "Value": value("ids"), "OverwriteExisting": true}]});
                client.put(&format!("{ALL}?{through}"), several).await.expect(status);
                assert_eq!(ids(&admin, &format!("Id -eq {id} AND Team -eq \"{}\"", value("ids"))).await, if allowed { vec![id] } else { vec![] });
            }
            // A query finds what the caller may change, and nothing else.
            let query = json!({"Query": "CN -endswith \".metadata\"", "Metadata": [{"MetadataName": "Team", "Value": value("query"), "OverwriteExisting": true}]});
            client.put(&format!("{ALL}?{through}"), query).await.expect(if reached.is_empty() { 403 } else { 204 });
            assert_eq!(ids(&admin, &format!("Team -eq \"{}\"", value("query"))).await, reached);
        }
        // One that is not reached refuses all.
        let both = json!({"CertificateIds": [one, two], "Metadata": [{"MetadataName": "Team", "Value": "both", "OverwriteExisting": true}]});
        by_collection.put(&format!("{ALL}?{in_collection}"), both).await.expect(403);
        assert_eq!(ids(&admin, "Team -eq both").await, Vec::<i64>::new());
        // Clients name the collection in the body too.
        by_collection.put(PATH, json!({"Id": one, "CollectionId": first, "Metadata": {"Team": "body"}})).await.expect(204);
        by_collection.put(PATH, json!({"Id": two, "CollectionId": first, "Metadata": {"Team": "body"}})).await.expect(403);
        let compare = |id: i64, through: &str| format!("{PATH}/Compare?certificateId={id}&metadataFieldName=Team&value=body&{through}");
        assert_eq!(by_collection.get(&compare(one, &in_collection)).await.expect(200).json, true);
        by_collection.get(&compare(two, &in_collection)).await.expect(403);
        by_collection.get(&compare(one, "")).await.expect(403);
        by_stores.get(&compare(two, "")).await.expect(403);
        assert_eq!(reader.get(&compare(one, "")).await.expect(200).json, true);
        // Definitions are another matter.
        reader.get("/MetadataFields").await.expect(403);
        server.account(&["/metadata/types/read/"]).await.post("/MetadataFields", json!({"Name": "X", "Description": "", "DataType": 1})).await.expect(403);
        server.account(&["/metadata/types/modify/"]).await.get("/MetadataFields").await.expect(200);
    }
}
