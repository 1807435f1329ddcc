//! `/MetadataFields`, and what enrollments make of them.

use serde_json::{Value, json};
use testkit::{Client, TestServer};

use crate::audit::found;
use crate::decisions::certificate;
use crate::enrollment::{csr, enroll_csr, enroll_pfx};

const PATH: &str = "/MetadataFields";

/// Fields of these names and types, those that are not there yet.
pub(crate) async fn define(client: &Client, fields: &[(&str, i64)]) {
    for (name, data_type) in fields {
        let field = json!({ "Name": name, "Description": "", "DataType": data_type });
        let answer = client.post(PATH, field).await;
        if answer.status != 200 {
            let message = answer.expect(400).message().to_owned();
            assert!(message.contains("already exists"), "{message}");
        }
    }
}

async fn create(client: &Client, field: Value) -> i64 {
    let made = client.post(PATH, field).await.expect(200);
    made.json["Id"].as_i64().unwrap()
}

/// Gives a certificate a value.
async fn give(client: &Client, certificate: i64, name: &str, value: &str) {
    let body = json!({ "Id": certificate, "Metadata": { name: value } });
    client.put("/Certificates/Metadata", body).await.expect(204);
}

async fn metadata(client: &Client, certificate: i64) -> Value {
    let path = format!("/Certificates/{certificate}?includeMetadata=true");
    client.get(&path).await.expect(200).json["Metadata"].clone()
}

testkit::both_databases! {
    async fn a_field_is_created_read_replaced_and_deleted(server: TestServer) {
        let admin = server.admin();
        // As one client sends it: with an id of zero, and without what is null.
        let made = admin.post(PATH, json!({
            "Id": 0, "Name": "Cost-Centre_1", "Description": "Who pays.", "DataType": "5", "Hint": "A colour", "Validation": "^[A-Z]",
            "Enrollment": 1, "Message": "A colour begins with a capital letter.", "Options": "Red,Green", "DefaultValue": "Red",
            "AllowAPI": false, "ExplicitUpdate": true, "DisplayOrder": 7, "CaseSensitive": false,
        })).await.expect(200);
        let id = made.json["Id"].as_i64().unwrap();
        let wanted = json!({
            "Id": id, "Name": "Cost-Centre_1", "Description": "Who pays.", "DataType": 5, "Hint": "A colour", "Validation": "^[A-Z]",
            "Enrollment": 1, "Message": "A colour begins with a capital letter.", "Options": "Red,Green", "DefaultValue": "Red",
            "AllowAPI": false, "ExplicitUpdate": true, "DisplayOrder": 7, "CaseSensitive": false,
        });
        assert_eq!(made.json, wanted);
        for which in [id.to_string().as_str(), "COST-CENTRE_1", "cost-centre_1/"] {
            assert_eq!(admin.get(&format!("{PATH}/{which}")).await.expect(200).json, wanted);
        }
        assert_eq!(admin.get(&format!("{PATH}/{id}/InUse")).await.expect(200).json, false);
        let last = admin.post(PATH, json!({"Name": "Last", "Description": "", "DataType": 1})).await.expect(200).json;
        assert_eq!(last, json!({
            "Id": last["Id"], "Name": "Last", "Description": "", "DataType": 1, "Hint": null, "Validation": null, "Enrollment": 0,
            "Message": null, "Options": null, "DefaultValue": null, "AllowAPI": true, "ExplicitUpdate": false, "DisplayOrder": 8,
            "CaseSensitive": true,
        }));
        define(&admin, &[("Eight", 8)]).await;
        admin.post(PATH, json!({"Name": "First", "Description": "", "DataType": 1, "DisplayOrder": -1})).await.expect(200);
        let list = admin.get(&format!("/{PATH}")).await.expect(200);
        let names: Vec<&Value> = list.items().iter().map(|field| &field["Name"]).collect();
        assert_eq!((names, list.total()), (vec!["First", "Cost-Centre_1", "Last", "Eight"].into_iter().map(Value::from).collect::<Vec<_>>().iter().collect(), Some(4)));
        let some = admin.get(&format!("{PATH}?queryString=DataType%20-eq%20MultipleChoice&SortField=Name&SortAscending=1")).await.expect(200);
        assert_eq!((some.items().len(), &some.items()[0]["Id"]), (1, &json!(id)));
        admin.get(&format!("{PATH}?queryString=Nothing%20-eq%201")).await.expect(400);

        // What is left out is cleared, but for the order.
        let put = admin.put(PATH, json!({"Id": id, "Name": "Renamed", "Description": "New.", "DataType": 2})).await.expect(200).json;
        assert_eq!(put, json!({
            "Id": id, "Name": "Renamed", "Description": "New.", "DataType": 2, "Hint": null, "Validation": null, "Enrollment": 0,
            "Message": null, "Options": null, "DefaultValue": null, "AllowAPI": true, "ExplicitUpdate": false, "DisplayOrder": 7,
            "CaseSensitive": true,
        }));
        admin.delete(&format!("{PATH}/{id}")).await.expect(204);
        for path in [format!("{PATH}/{id}"), format!("{PATH}/Renamed"), format!("{PATH}/{id}/InUse")] {
            admin.get(&path).await.expect(404);
        }
        admin.delete(&format!("{PATH}/{id}")).await.expect(404);
        admin.put(PATH, json!({"Id": id, "Name": "Renamed", "Description": "", "DataType": 2})).await.expect(404);
        let records = found(&server, "Category -eq 2117 AND Name -eq \"Renamed\"").await;
        let what: Vec<(&Value, bool, bool)> = records.iter().map(|record| (&record["Operation"], record["Before"].is_null(), record["After"].is_null())).collect();
        assert_eq!(what, [(&json!(2), false, false), (&json!(3), false, true)]);
        assert!(records[0]["Before"].to_string().contains("Cost-Centre_1"));
    }

    async fn mistakes_are_named(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Taken", 1)]).await;
        let with = |member: &str, value: Value| {
            let mut field = json!({"Name": "Good", "Description": "", "DataType": 1});
            field[member] = value;
            field
        };
        for (field, words) in [
            (with("Name", Value::Null), "Name: a value"),
            (with("Name", json!("  ")), "Name: a value"),
            (with("Name", json!("two words")), "without spaces"),
            (with("Name", json!("-eq")), "not begin with -"),
            (with("Name", json!("a\"b")), "letters, digits"),
            (with("Name", json!("a(b")), "letters, digits"),
            (with("Name", json!("x".repeat(101))), "Name: longer than 100"),
            (with("Name", json!("TAKEN")), "\"Taken\" already exists"),
            (with("DataType", Value::Null), "DataType: a value"),
            (with("DataType", json!(0)), "DataType: 0"),
            (with("DataType", json!(9)), "DataType: 9"),
            (with("DataType", json!(i64::MAX)), "DataType: 9223372036854775807"),
            (with("Enrollment", json!(3)), "Enrollment: 3"),
            (with("DisplayOrder", json!(3_000_000_000_i64)), "DisplayOrder: 3000000000"),
            (with("Validation", json!("(")), "Validation: "),
            (with("Validation", json!("(?=a)")), "Validation: "),
            (with("Validation", json!("(a{1000}){1000}")), "Validation: "),
            (with("Validation", json!("a".repeat(4_001))), "Validation: longer"),
            (with("Description", json!("a".repeat(4_001))), "Description: longer"),
            (with("Options", json!("a".repeat(20_001))), "Options: longer"),
            (json!({"Name": "Good", "Description": "", "DataType": 5, "Options": " , "}), "Options: a choice needs"),
            (json!({"Name": "Good", "Description": "", "DataType": 5, "Options": "a,b", "DefaultValue": "c"}), "DefaultValue: \"c\" is none of a, b"),
            (json!({"Name": "Good", "Description": "", "DataType": 2, "DefaultValue": "many"}), "DefaultValue: "),
        ] {
            let answer = admin.post(PATH, &field).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
            let mut put = field.clone();
            put["Id"] = json!(4711);
            assert!([400, 404].contains(&admin.put(PATH, put).await.status));
        }
        let field = admin.get(&format!("{PATH}/Taken")).await.expect(200).json;
        let other = create(&admin, json!({"Name": "Other", "Description": "", "DataType": 1})).await;
        admin.put(PATH, json!({"Name": "Other", "Description": "", "DataType": 1})).await.expect(400);
        admin.put(PATH, json!({"Id": other, "Name": "taken", "Description": "", "DataType": 1})).await.expect(400);
        admin.put(PATH, json!({"Id": other, "Name": "Other", "Description": "", "DataType": 1, "Validation": "["})).await.expect(400);
        admin.get(&format!("{PATH}/9223372036854775808")).await.expect(404);
        admin.get(&format!("{PATH}/x/InUse")).await.expect(400);
        assert_eq!(admin.get(&format!("{PATH}/Taken")).await.expect(200).json, field);
        assert_eq!(admin.get(PATH).await.expect(200).total(), Some(2));
    }

    async fn what_certificates_have_values_of_stays(server: TestServer) {
        let admin = server.admin();
        let one = certificate(&server, "one.example", 1).await;
        define(&admin, &[("Team", 1), ("Rank", 2)]).await;
        let ids = admin.get(PATH).await.expect(200);
        let ids: Vec<i64> = ids.items().iter().map(|field| field["Id"].as_i64().unwrap()).collect();
        give(&admin, one, "team", "Web").await;
        let in_use = format!("{PATH}/{}/InUse", ids[0]);
        assert_eq!(admin.get(&in_use).await.expect(200).json, true);
        let put = |name: &str, data_type: i64| json!({"Id": ids[0], "Name": name, "Description": "New", "DataType": data_type});
        for (wanted, words) in [(put("Group", 1), "Name: certificates have values"), (put("Team", 2), "DataType: certificates have values")] {
            let answer = admin.put(PATH, wanted).await.expect(400);
            assert!(answer.message().contains(words), "{}", answer.text);
        }
        // Another case is the same name, which stays as certificates show it.
        let answer = admin.put(PATH, put("TEAM", 1)).await.expect(200);
        assert_eq!((&answer.json["Name"], &answer.json["Description"]), (&json!("Team"), &json!("New")));

        let refused = admin.delete(&format!("{PATH}/{}", ids[0])).await.expect(409);
        assert!(refused.message().contains("Team"), "{}", refused.text);
        let refused = admin.delete_with(PATH, json!([ids[1], ids[0], 4711])).await.expect(400);
        assert_eq!(refused.reasons().len(), 2, "{}", refused.text);
        assert_eq!(admin.get(PATH).await.expect(200).total(), Some(2));
        admin.delete_with(PATH, json!((0..1_001).collect::<Vec<_>>())).await.expect(400);
        admin.delete_with(PATH, json!([4711])).await.expect(404);
        assert_eq!(metadata(&admin, one).await, json!({"Team": "Web"}));

        admin.delete_with(&format!("{PATH}?force=true"), json!([ids[1], ids[0], ids[0]])).await.expect(204);
        assert_eq!(metadata(&admin, one).await, json!({}));
        let records = found(&server, "Category -eq 2117 AND Operation -eq 3").await;
        assert_eq!(records.len(), 2);
        assert!(records.iter().any(|record| record["Before"].to_string().replace('\\', "").contains("\"CertificatesWithValues\":1")), "{records:?}");
        // A field of the same name starts without values.
        define(&admin, &[("Team", 2)]).await;
        assert_eq!(metadata(&admin, one).await, json!({}));
        admin.delete_with(PATH, json!([])).await.expect(204);
    }

    async fn enrollments_give_what_the_fields_ask(server: TestServer) {
        let admin = server.admin();
        let body = |metadata: Value| json!({"CSR": csr("CN=a.example", &["a.example"]), "Template": "WebServer", "Metadata": metadata});
        let refused = enroll_csr(&admin, body(json!({"Team": "Web", "Tier": "1"}))).await.expect(400);
        assert_eq!(refused.reasons().len(), 2, "{}", refused.text);
        let refused = enroll_csr(&admin, body(json!({"Team": "Web"}))).await.expect(400);
        assert!(refused.message().contains("Metadata.Team: there is no metadata field"), "{}", refused.text);
        for field in [
            json!({"Name": "Team", "Description": "", "DataType": 5, "Options": "Web,Mail", "Enrollment": 1}),
            json!({"Name": "Rank", "Description": "", "DataType": 2, "Enrollment": 1, "DefaultValue": "9"}),
            json!({"Name": "Source", "Description": "", "DataType": 1, "Enrollment": 2, "DefaultValue": "Chancery"}),
            json!({"Name": "Note", "Description": "", "DataType": 6, "DefaultValue": "Only offered"}),
            json!({"Name": "Contact", "Description": "", "DataType": 7, "Validation": "@example\\.com$", "Message": "Ours only."}),
        ] {
            create(&admin, field).await;
        }
        for (metadata, words) in [
            (json!({}), "Metadata.Team: a value is required"),
            (json!({"Team": " "}), "Metadata.Team: a value is required"),
            (json!({"Team": "Ops"}), "Metadata.Team: \"Ops\" is none of Web, Mail"),
            (json!({"Team": "Web", "TEAM": "Mail"}), "Metadata.Team: the field is given twice"),
            (json!({"Team": "Web", "Rank": 1.5}), "Metadata.Rank: \"1.5\" is not an integer"),
            (json!({"Team": "Web", "Contact": "a@other.example"}), "Metadata.Contact: Ours only."),
            (json!({"Team": "Web", "Note": "x".repeat(65_537)}), "Metadata.Note: longer"),
        ] {
            let answer = enroll_csr(&admin, body(metadata)).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        let many: serde_json::Map<String, Value> = (0..201).map(|number| (format!("F{number}"), json!(1))).collect();
        enroll_csr(&admin, body(Value::Object(many))).await.expect(400);
        let answer = enroll_csr(&admin, body(json!({"team": "Web", "Note": null}))).await.expect(200);
        let wanted = json!({"Team": "Web", "Rank": "9", "Source": "Chancery"});
        assert_eq!(answer.json["Metadata"], wanted);
        assert_eq!(metadata(&admin, answer.json["CertificateInformation"]["KeyfactorID"].as_i64().unwrap()).await, wanted);
        let order = json!({"Subject": "CN=b.example", "Template": "WebServerRSA", "Password": "a password", "Metadata": {"Team": "Mail", "Rank": 1, "Contact": "a@example.com"}});
        let answer = enroll_pfx(&admin, "PFX", order).await.expect(200);
        assert_eq!(answer.json["Metadata"], json!({"Team": "Mail", "Rank": "1", "Contact": "a@example.com", "Source": "Chancery"}));
    }
}
