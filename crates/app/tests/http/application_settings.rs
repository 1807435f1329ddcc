//! `/AppSetting`.

use db::tables;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use testkit::TestServer;

testkit::both_databases! {
    async fn settings_are_read_and_changed(server: TestServer) {
        let admin = server.admin();
        let web = server.role("Web", &[]).await;
        let list = admin.get("/AppSetting").await.expect(200);
        let values: Vec<(&str, &str)> = list.items().iter().map(|item| (item["ShortName"].as_str().unwrap(), item["Value"].as_str().unwrap())).collect();
        assert_eq!(values, [("CertificateOwnerRole", "Optional"), ("DefaultCertificateOwnerRoleId", ""), ("DefaultCertificateOwnerRoleName", "")]);
        let one = admin.get("/AppSetting/1").await.expect(200).json;
        assert_eq!((one["DisplayName"].as_str(), one["ValueType"].as_str()), (Some("Certificate Owner Role"), Some("String")));
        let set = admin.put("/AppSetting/1/Set", json!({ "Value": " required " })).await.expect(200).json;
        assert_eq!((set["Id"].as_i64(), set["Value"].as_str()), (Some(1), Some("Required")));
        // Both members of the default are one role.
        let set = admin.put("/AppSetting/defaultCertificateOwnerRoleName/Set", json!({ "Value": "WEB" })).await.expect(200).json;
        assert_eq!(set["Value"], "Web");
        assert_eq!(admin.get("/AppSetting/2").await.expect(200).json["Value"], web.to_string());
        let both = json!([{ "Id": 2, "Value": "" }, { "Id": 1, "Value": "None" }, { "Id": 3, "Value": null }]);
        let all = admin.put("/AppSetting", both).await.expect(200);
        assert_eq!(all.items().iter().map(|item| item["Value"].as_str().unwrap()).collect::<Vec<_>>(), ["None", "", ""]);
        let audited = tables::audit_records::Entity::find().all(server.app().db().read()).await.unwrap();
        let last = audited.iter().rfind(|record| record.category == 2007).unwrap();
        assert!(last.before.as_deref().unwrap().contains("\"CertificateOwnerRole\":\"Required\""), "{last:?}");
        assert!(last.after.as_deref().unwrap().contains("\"CertificateOwnerRole\":\"None\""), "{last:?}");
        // What stays as it is leaves no record.
        admin.put("/AppSetting", json!([])).await.expect(200);
        admin.put("/AppSetting/1/Set", json!({ "Value": "NONE" })).await.expect(200);
        let again = tables::audit_records::Entity::find().all(server.app().db().read()).await.unwrap();
        assert_eq!(again.len(), audited.len());
    }

    async fn settings_at_the_same_moment_are_both_kept(server: TestServer) {
        let admin = server.admin();
        for (round, mode) in ["Required", "None", "Optional"].into_iter().cycle().take(12).enumerate() {
            let name = format!("Role {round}");
            server.role(&name, &[]).await;
            let (one, other) = futures::future::join(
                admin.put("/AppSetting/1/Set", json!({ "Value": mode })),
                admin.put("/AppSetting/3/Set", json!({ "Value": name })),
            ).await;
            one.expect(200);
            other.expect(200);
            let values = admin.get("/AppSetting").await.expect(200);
            let values: Vec<&Value> = values.items().iter().map(|item| &item["Value"]).collect();
            assert_eq!((values[0], values[2]), (&json!(mode), &json!(name)), "{round}");
        }
    }

    async fn wrong_settings_change_nothing(server: TestServer) {
        let admin = server.admin();
        server.role("Web", &[]).await;
        let other = server.role("Other", &[]).await;
        let before = admin.get("/AppSetting").await.expect(200).json;
        for (setting, value, said) in [
            ("1", json!("Sometimes"), "None, Optional or Required"),
            ("1", Value::Null, "None, Optional or Required"),
            ("2", json!("987654"), "no security role 987654"),
            ("2", json!("web"), "id of a role"),
            ("3", json!("Nobody"), "no security role Nobody"),
        ] {
            let refused = admin.put(&format!("/AppSetting/{setting}/Set"), json!({ "Value": value })).await.expect(400);
            assert!(refused.message().contains(said), "{}", refused.text);
        }
        for (body, said) in [
            (json!([{ "Id": 1, "Value": "Required" }, { "Id": 99, "Value": "x" }]), "[1].Id"),
            (json!([{ "Id": 1, "Value": "Required" }, { "Id": 1, "Value": "None" }]), "given twice"),
            (json!([{ "Id": 1, "Value": "Required" }, { "Id": 3, "Value": "Nobody" }]), "[1].Value"),
            (json!([{ "Id": 2, "Value": other.to_string() }, { "Id": 3, "Value": "Web" }]), "different roles"),
        ] {
            let refused = admin.put("/AppSetting", body).await.expect(400);
            assert!(refused.message().contains(said), "{}", refused.text);
        }
        assert_eq!(admin.get("/AppSetting").await.expect(200).json, before);
        for path in ["/AppSetting/99/Set", "/AppSetting/Nothing/Set"] {
            admin.put(path, json!({ "Value": "x" })).await.expect(404);
        }
        admin.get("/AppSetting/99").await.expect(404);
        let reader = server.account(&["/application_settings/read/"]).await;
        reader.get("/AppSetting").await.expect(200);
        reader.put("/AppSetting/1/Set", json!({ "Value": "None" })).await.expect(403);
        reader.put("/AppSetting", json!([])).await.expect(403);
        let other = server.account(&["/system_settings/modify/"]).await;
        other.get("/AppSetting").await.expect(403);
        other.get("/AppSetting/1").await.expect(403);
    }
}
