//! `/CertificateStoreTypes`.

use serde_json::{Value, json};
use testkit::TestServer;

use crate::certificate_stores::{agent, create};

/// The published definitions; they stand beside a checkout, not in it.
fn published() -> Option<Vec<Value>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/store-types.json"
    );
    let text = std::fs::read_to_string(path).or_else(|_| {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../../shared/data/store-types.json"
        );
        std::fs::read_to_string(path)
    });
    serde_json::from_str(&text.ok()?).expect("the definitions are a list")
}

testkit::both_databases! {
    async fn pem_is_built_in(server: TestServer) {
        let admin = server.admin();
        let pem = admin.get("/CertificateStoreTypes/2").await.expect(200);
        assert_eq!(pem.json["ShortName"], "PEM");
        assert_eq!(pem.json["CustomAliasAllowed"], "Forbidden");
        assert_eq!(pem.json["PrivateKeyAllowed"], "Optional");
        assert_eq!(pem.json["InventoryJobType"], "a809ce1f-1eea-4738-a38e-15708c89c981");
        assert_eq!(pem.json["ManagementJobType"], "1d411b36-ae72-433f-9f3f-8593e836a1af");
        assert_eq!(pem.json["InventoryEndpoint"], "/AnyInventory/Update");
        let named = admin.get("/CertificateStoreTypes/Name/pem").await.expect(200);
        assert_eq!(named.json, json!([pem.json]));
        admin.get("/CertificateStoreTypes/Name/Nothing").await.expect(404);
        admin.get("/CertificateStoreTypes/1").await.expect(404);
        admin.get("/CertificateStoreTypes/x").await.expect(400);
        let refused = admin.delete("/CertificateStoreTypes/2").await.expect(400);
        assert!(refused.message().contains("built in"), "{}", refused.text);
        let refused = admin.put("/CertificateStoreTypes", &pem.json).await.expect(400);
        assert!(refused.message().contains("built in"), "{}", refused.text);
    }

    async fn a_type_is_created_replaced_and_deleted(server: TestServer) {
        let admin = server.admin();
        let wanted = json!({
            "Name": "Keystore", "ShortName": "KS", "LocalStore": false, "SupportedOperations": {"Add": true, "Discovery": true},
            "Properties": [{"Name": "Mode", "Type": 2, "DefaultValue": "a,b", "Required": false, "StoreTypeId": 7, "Id": 9,
                "ValidationOptions": {"OnCreation": 1}}],
            "EntryParameters": [{"Name": "Site", "Type": "string", "RequiredWhen": {"OnAdd": true}, "Options": "",
                "ValidationOptions": {"OnODKG": 0}}],
            "PasswordOptions": {"EntrySupported": true, "StoreRequired": false, "Style": 1},
            "PrivateKeyAllowed": 2, "CustomAliasAllowed": "optional", "CertificateFormat": 1, "ServerRegistration": 5,
            "InventoryJobTypeId": "00000000-0000-0000-0000-000000000000", "Unknown": [1],
        });
        let made = admin.post("/CertificateStoreTypes", &wanted).await.expect(200);
        assert_eq!(made.json["StoreType"], 102);
        assert_eq!(made.json["Capability"], "KS");
        assert_eq!(made.json["PrivateKeyAllowed"], "Required");
        assert_eq!(made.json["CustomAliasAllowed"], "Optional");
        assert_eq!(made.json["CertificateFormat"], 1);
        assert_eq!(made.json["ServerRegistration"], 5);
        assert_eq!(made.json["PasswordOptions"]["Style"], "Custom");
        assert_eq!(made.json["Properties"][0]["Type"], "MultipleChoice");
        assert_eq!(made.json["Properties"][0]["StoreTypeId"], 102);
        assert_eq!(made.json["Properties"][0]["DisplayName"], "Mode");
        assert_eq!(made.json["Properties"][0]["ValidationOptions"]["OnCreation"], 1);
        assert_eq!(made.json["EntryParameters"][0]["RequiredWhen"]["OnAdd"], true);
        for there in ["InventoryJobType", "ManagementJobType", "DiscoveryJobType"] {
            assert!(made.json[there].is_string(), "{there}");
        }
        assert_eq!(made.json.get("EnrollmentJobType"), None);

        let mut change = made.json.clone();
        change["Name"] = json!("Key Store");
        change["SupportedOperations"] = json!({"Add": true, "Enrollment": true});
        let put = admin.put("/CertificateStoreTypes", &change).await.expect(200);
        assert_eq!(put.json["Name"], "Key Store");
        assert_eq!(put.json["InventoryJobType"], made.json["InventoryJobType"]);
        assert!(put.json["EnrollmentJobType"].is_string());
        assert_eq!(put.json.get("DiscoveryJobType"), None);
        let listed = admin.get("/CertificateStoreTypes?cstquery.queryString=ShortName%20-eq%20%22ks%22").await.expect(200);
        assert_eq!(listed.json, json!([put.json]));
        admin.delete("/CertificateStoreTypes/102").await.expect(204);
        admin.delete("/CertificateStoreTypes/102").await.expect(404);
        admin.put("/CertificateStoreTypes", &change).await.expect(404);
        change["StoreType"] = Value::Null;
        admin.put("/CertificateStoreTypes", &change).await.expect(400);
    }

    async fn mistakes_of_a_type_are_named(server: TestServer) {
        let admin = server.admin();
        for (wanted, words) in [
            (json!({"ShortName": "A"}), "Name: a value"),
            (json!({"Name": "A", "ShortName": " "}), "ShortName: a value"),
            (json!({"Name": "A", "ShortName": "A", "PrivateKeyAllowed": "Sometimes"}), "PrivateKeyAllowed"),
            (json!({"Name": "A", "ShortName": "A", "Properties": [{"Name": "x"}, {"Name": "X"}]}), "Properties[1].Name"),
            (json!({"Name": "A", "ShortName": "A", "Properties": [{"Name": ""}]}), "Properties[0].Name"),
            (json!({"Name": "A", "ShortName": "A", "Properties": [{"Name": "x", "Type": 9}]}), "Properties[0].Type"),
            (json!({"Name": "A", "ShortName": "A", "Properties": [{"Name": "x", "DependsOn": "y"}]}), "Properties[0].DependsOn"),
            (json!({"Name": "A", "ShortName": "A", "Properties": [{"Name": "x", "Type": "Bool", "DefaultValue": "so"}]}), "DefaultValue"),
            (json!({"Name": "A", "ShortName": "A", "EntryParameters": [{"Name": "x"}, {"Name": "x"}]}), "EntryParameters[1].Name"),
            (json!({"Name": "A", "ShortName": "A", "StorePathType": "Round"}), "StorePathType"),
            (json!({"Name": "A", "ShortName": "A", "InventoryJobTypeId": "x"}), "InventoryJobTypeId"),
            (json!({"Name": "A", "ShortName": "A", "InventoryJobTypeId": "a809ce1f-1eea-4738-a38e-15708c89c981"}), "another certificate store type"),
        ] {
            let answer = admin.post("/CertificateStoreTypes", wanted).await.expect(400);
            assert!(answer.message().contains(words), "{words:?} in {}", answer.text);
        }
        for (name, short_name) in [("pem file", "Other"), ("Other", "pem")] {
            let answer = admin.post("/CertificateStoreTypes", json!({"Name": name, "ShortName": short_name})).await.expect(400);
            let message = answer.message();
            assert!(message.contains(name) && message.contains(short_name) && message.ends_with("already exists."), "{message}");
        }
        assert_eq!(admin.get("/CertificateStoreTypes").await.expect(200).total(), Some(1));
    }

    async fn a_type_in_use_keeps_what_its_stores_rely_on(server: TestServer) {
        let admin = server.admin();
        let made = admin.post("/CertificateStoreTypes", json!({
            "Name": "Keystore", "ShortName": "KS", "SupportedOperations": {"Add": true}, "Properties": [{"Name": "Mode", "Type": "String"}],
        })).await.expect(200);
        let agent = agent(&server, "agent", &["KS.Inventory"]).await;
        let mut capability = made.json.clone();
        capability["Capability"] = json!("Other");
        let refused = admin.put("/CertificateStoreTypes", capability).await.expect(400);
        assert!(refused.message().contains("approved agent"), "{}", refused.text);
        let store = create(&admin, json!({"ClientMachine": "a", "StorePath": "/", "CertStoreType": 102, "AgentId": agent})).await;
        for (member, value) in [
            ("Properties", json!([])),
            ("SupportedOperations", json!({"Remove": true})),
            ("PrivateKeyAllowed", json!("Required")),
            ("CustomAliasAllowed", json!("Required")),
            ("PasswordOptions", json!({"StoreRequired": true})),
        ] {
            let mut change = made.json.clone();
            change[member] = value;
            let refused = admin.put("/CertificateStoreTypes", change).await.expect(400);
            assert!(refused.message().contains(member), "{}", refused.text);
        }
        let mut change = made.json.clone();
        change["Name"] = json!("Renamed");
        change["ShortName"] = json!("KS2");
        change["SupportedOperations"]["Remove"] = json!(true);
        change["SupportedOperations"]["Discovery"] = json!(true);
        let put = admin.put("/CertificateStoreTypes", change).await.expect(200);
        assert_eq!((&put.json["ShortName"], &put.json["Capability"]), (&json!("KS2"), &json!("KS")));
        assert!(put.json["DiscoveryJobType"].is_string());

        let refused = admin.delete("/CertificateStoreTypes/102").await.expect(409);
        assert!(refused.message().contains("in use by 1 certificate stores"), "{}", refused.text);
        let free = admin.post("/CertificateStoreTypes", json!({"Name": "Free", "ShortName": "Free"})).await.expect(200);
        let refused = admin.delete_with("/CertificateStoreTypes", json!([103, 102, 2, 99])).await.expect(400);
        assert_eq!(refused.reasons().len(), 3, "{}", refused.text);
        admin.get("/CertificateStoreTypes/103").await.expect(200);
        admin.delete(&format!("/CertificateStores/{store}")).await.expect(204);
        admin.delete_with("/CertificateStoreTypes", json!([free.json["StoreType"], 102])).await.expect(204);
        assert_eq!(admin.get("/CertificateStoreTypes").await.expect(200).total(), Some(1));
    }

    async fn every_published_definition_can_be_imported_and_sent_back(server: TestServer) {
        let Some(definitions) = published() else { return };
        let admin = server.admin();
        assert_eq!(definitions.len(), 56);
        for definition in &definitions {
            let made = admin.post("/CertificateStoreTypes", definition).await.expect(200);
            for same in ["Name", "ShortName", "Capability", "PrivateKeyAllowed", "CustomAliasAllowed", "ServerRequired"] {
                assert_eq!(made.json[same], definition[same], "{same} of {}", definition["Name"]);
            }
            let count = |of: &Value| of.as_array().map_or(0, Vec::len);
            assert_eq!(count(&made.json["Properties"]), count(&definition["Properties"]));
            assert_eq!(count(&made.json["EntryParameters"]), count(&definition["EntryParameters"]));
            let again = admin.put("/CertificateStoreTypes", &made.json).await.expect(200);
            assert_eq!(again.json, made.json);
        }
        let page = admin.get("/CertificateStoreTypes?ReturnLimit=10&PageReturned=6&SortField=ShortName").await.expect(200);
        assert_eq!((page.items().len(), page.total()), (7, Some(57)));
        let answer = admin.post("/CertificateStoreTypes", &definitions[0]).await.expect(400);
        assert!(answer.message().ends_with("already exists."), "{}", answer.text);
    }

    async fn types_need_permissions(server: TestServer) {
        let nobody = server.account(&[]).await;
        for path in ["/CertificateStoreTypes", "/CertificateStoreTypes/2", "/CertificateStoreTypes/Name/PEM"] {
            nobody.get(path).await.expect(403);
        }
        let reader = server.account(&["/certificate_stores/read/"]).await;
        reader.get("/CertificateStoreTypes").await.expect(200);
        let wanted = json!({"Name": "A", "ShortName": "A"});
        reader.post("/CertificateStoreTypes", &wanted).await.expect(403);
        reader.put("/CertificateStoreTypes", &wanted).await.expect(403);
        reader.delete("/CertificateStoreTypes/2").await.expect(403);
        reader.delete_with("/CertificateStoreTypes", json!([2])).await.expect(403);
    }
}
