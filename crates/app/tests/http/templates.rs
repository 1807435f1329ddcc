//! `/Templates`.

use serde_json::{Value, json};
use testkit::{Client, TestServer};

/// A template as it is read.
pub(crate) async fn template(client: &Client, name: &str) -> Value {
    let list = client
        .get(&format!(
            "/Templates?QueryString=CommonName%20-eq%20%22{name}%22"
        ))
        .await
        .expect(200);
    let id = list.items()[0]["Id"].as_i64().unwrap();
    client
        .get(&format!("/Templates/{id}"))
        .await
        .expect(200)
        .json
}

/// Reads a template, changes it and writes it back, as clients do.
pub(crate) async fn change(client: &Client, name: &str, changes: Value) -> Value {
    let mut body = template(client, name).await;
    for (member, value) in changes.as_object().unwrap() {
        body[member] = value.clone();
    }
    client.put("/Templates", body).await.expect(200).json
}

testkit::both_databases! {
    async fn the_templates_that_ship_are_listed(server: TestServer) {
        let answer = server.admin().get("/Templates").await.expect(200);
        let names: Vec<&str> = answer.items().iter().filter_map(|item| item["CommonName"].as_str()).collect();
        assert_eq!(names, ["ClientServer", "WebServer", "WebServerApproval", "WebServerRSA"]);
        assert_eq!(answer.total(), Some(4));
        let web = &answer.items()[1];
        assert_eq!((web["KeyType"].as_str(), web["KeySize"].as_str()), (Some("ECC"), Some("256")));
        assert_eq!(web["KeyRetention"], "Indefinite");
        assert_eq!(web["AllowedEnrollmentTypes"], 7);
        assert_eq!(web["ExtendedKeyUsages"][0]["Oid"], "1.3.6.1.5.5.7.3.1");
        assert_eq!(web["RequiresApproval"], false);
        assert_eq!(answer.items()[2]["RequiresApproval"], true);
        let approval = server.admin().get("/Templates?QueryString=RequiresApproval%20-eq%20true").await.expect(200);
        assert_eq!(approval.items().len(), 1);
    }

    async fn one_is_read_by_its_id(server: TestServer) {
        let admin = server.admin();
        let web = template(&admin, "WebServer").await;
        assert_eq!(web["Curve"], "1.2.840.10045.3.1.7");
        assert_eq!(web["KeyAlgorithms"]["KeyInfo"]["RSA"]["bit_lengths"], json!([2048, 3072, 4096]));
        assert!(web["TemplatePolicy"]["AllowWildcards"].is_null());
        admin.get("/Templates/4711").await.expect(404);
        admin.get("/Templates/x").await.expect(400);
        server.account(&["/certificates/"]).await.get("/Templates").await.expect(403);
        server.account(&["/certificates/"]).await.get("/Templates/1").await.expect(403);
    }

    async fn put_replaces_everything_that_can_be_set(server: TestServer) {
        let admin = server.admin();
        let changed = change(&admin, "WebServer", json!({
            "FriendlyName": "The web",
            "RequiresApproval": true,
            "KeyRetention": 2,
            "KeyRetentionDays": "30",
            "AllowedEnrollmentTypes": 2,
            "UseAllowedRequesters": true,
            "AllowedRequesters": ["administrator"],
            "TemplateRegexes": [{"SubjectPart": "cn", "Regex": "\\.example$", "Error": "Only .example"}],
            "TemplateDefaults": [{"SubjectPart": "O", "Value": "Example"}],
            "TemplatePolicy": {"AllowWildcards": false, "RFCEnforcement": true, "RSAValidKeySizes": [3072], "ECCValidCurves": []},
        })).await;
        assert_eq!(changed, template(&admin, "WebServer").await);
        assert_eq!(changed["KeyRetention"], "AfterExpiration");
        assert_eq!(changed["KeyRetentionDays"], 30);
        assert_eq!(changed["RFCEnforcement"], true);
        assert_eq!(changed["TemplateRegexes"][0]["TemplateId"], changed["Id"]);
        assert_eq!(changed["TemplatePolicy"]["TemplateId"], changed["Id"]);
        assert_eq!(changed["AllowedRequesters"], json!(["administrator"]));

        let cleared = admin.put("/Templates", json!({"Id": changed["Id"], "KeyType": "RSA", "KeySize": 4096})).await.expect(200).json;
        assert_eq!((cleared["KeyType"].as_str(), cleared["KeySize"].as_str()), (Some("RSA"), Some("4096")));
        assert!(cleared["FriendlyName"].is_null() && cleared["Curve"].is_null());
        assert_eq!(cleared["RequiresApproval"], false);
        assert_eq!(cleared["AllowedEnrollmentTypes"], 0);
        assert_eq!(cleared["KeyRetention"], "None");
        assert_eq!(cleared["TemplateRegexes"], json!([]));
        assert_eq!(cleared["KeyUsage"], changed["KeyUsage"], "what is the authority's stays");
    }

    async fn put_refuses_and_changes_nothing(server: TestServer) {
        let admin = server.admin();
        let before = template(&admin, "WebServer").await;
        for (changes, place) in [
            (json!({"KeyRetention": 7}), "KeyRetention"),
            (json!({"KeyRetention": "FromIssuance"}), "KeyRetentionDays"),
            (json!({"AllowedEnrollmentTypes": 8}), "AllowedEnrollmentTypes"),
            (json!({"AllowedRequesters": ["Nobody"]}), "AllowedRequesters"),
            (json!({"TemplateRegexes": [{"SubjectPart": "XX", "Regex": "a"}]}), "TemplateRegexes[0].SubjectPart"),
            (json!({"TemplateRegexes": [{"SubjectPart": "CN", "Regex": "(a"}]}), "TemplateRegexes[0].Regex"),
            (json!({"TemplateDefaults": [{"SubjectPart": null, "Value": "a"}]}), "TemplateDefaults[0].SubjectPart"),
            (json!({"KeySize": "1024", "KeyType": "RSA"}), "KeySize"),
            (json!({"KeyUsage": 4}), "KeyUsage"),
        ] {
            let mut body = before.clone();
            for (member, value) in changes.as_object().unwrap() {
                body[member] = value.clone();
            }
            let answer = admin.put("/Templates", body).await.expect(400);
            assert!(answer.message().contains(place), "{place}: {}", answer.message());
        }
        assert_eq!(template(&admin, "WebServer").await, before);
        admin.put("/Templates", json!({"Id": 4711})).await.expect(404);
        admin.put("/Templates", json!({"KeySize": "2048"})).await.expect(400);
        let reader = server.account(&["/certificate_templates/read/"]).await;
        reader.put("/Templates", before).await.expect(403);
    }
}
