//! `/Agents`.

use serde_json::{Value, json};
use testkit::TestServer;

const READ: &str = "/agents/management/read/";
const MODIFY: &str = "/agents/management/modify/";

testkit::both_databases! {
    async fn list_get_and_query(server: TestServer) {
        let (first, second) = (server.agent("web1").await, server.agent("db-7").await);
        let mut third = server.new_agent("WEB3");
        third.chancery = false;
        third.register_as(None).await;
        let client = server.account(&[READ]).await;
        let all = client.get("/Agents").await.expect(200);
        assert_eq!(all.total(), Some(3));
        let ids: Vec<&str> = all.items().iter().filter_map(|agent| agent["AgentId"].as_str()).collect();
        assert!(ids.is_sorted(), "{ids:?}");

        let one = client.get(&format!("/Agents/{}", first.id())).await.expect(200);
        assert_eq!(one.json["ClientMachine"], "web1");
        assert_eq!(one.json["Capabilities"], json!(["CertStores.PEM.Inventory", "CertStores.PEM.Management"]));
        assert_eq!(one.json["AuthCertificateReenrollment"], "None");
        assert_eq!(one.json["Blueprint"], Value::Null);
        assert_eq!(one.json["LastSeen"], "2026-11-21T12:00:00Z");
        let missing = client.get("/Agents/00000000-0000-0000-0000-000000000009").await.expect(404);
        assert_eq!(missing.error_code(), "0xA0111006");
        drop(client.get("/Agents/nonsense").await.expect(400));

        let id = second.id();
        for (query, expected) in [
            (format!("AgentId -eq \"{id}\""), vec!["db-7"]),
            ("ClientMachine -eq \"web3\"".into(), vec!["WEB3"]),
            ("ClientMachine -contains \"EB\" AND Status -eq 2".into(), vec!["web1"]),
            ("Status -eq \"New\"".into(), vec!["WEB3"]),
            ("Platform -eq 5 AND Capabilities -contains \"pem.management\"".into(), vec!["WEB3", "db-7", "web1"]),
            ("Identity -eq \"ADMIN\" AND Version -startswith \"1.\"".into(), vec!["WEB3", "db-7", "web1"]),
            ("LastSeen -lt \"2020-01-01\"".into(), vec![]),
        ] {
            let path = format!("/Agents?pq.queryString={}&sortField=ClientMachine", query.replace(' ', "%20").replace('"', "%22"));
            let answer = client.get(&path).await.expect(200);
            let mut names: Vec<&str> = answer.items().iter().filter_map(|agent| agent["ClientMachine"].as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, expected, "{query}");
        }
        let page = client.get("/Agents?pageReturned=2&returnLimit=2&sortField=clientmachine").await.expect(200);
        assert_eq!((page.items().len(), page.total()), (1, Some(3)));
        assert_eq!(page.items()[0]["ClientMachine"], "WEB3");
    }

    async fn approval_is_all_or_nothing(server: TestServer) {
        let mut agent = server.new_agent("web1");
        agent.register_with_request().await;
        let client = server.account(&[MODIFY]).await;
        let id = client.get("/Agents").await.expect(200).items()[0]["AgentId"].clone();
        let unknown = "00000000-0000-0000-0000-000000000009";
        for path in ["/Agents/Approve", "/Agents/Disapprove", "/Agents/Reset"] {
            let refused = client.post(path, json!([id, unknown, "x"])).await.expect(400);
            assert_eq!(refused.reasons(), [format!("There is no agent {unknown}."), "\"x\" is not a GUID.".into()]);
            drop(client.post(path, json!([])).await.expect(400));
            assert_eq!(client.get("/Agents").await.expect(200).items()[0]["Status"], 1, "{path}");
        }
        drop(client.post("/Agents/Approve", json!([id, id])).await.expect(204));
        drop(client.post("/Agents/Approve", json!([id])).await.expect(204));
        assert_eq!(client.get("/Agents").await.expect(200).items()[0]["Status"], 2);
        drop(client.post("/Agents/Disapprove", json!([id])).await.expect(204));
        assert_eq!(client.get("/Agents").await.expect(200).items()[0]["Status"], 3);
        drop(client.post("/Agents/Reset", json!([id])).await.expect(204));
        assert_eq!(client.get("/Agents").await.expect(200).items()[0]["Status"], 1);
        drop(client.post(&format!("/Agents/{unknown}/Reset"), Value::Null).await.expect(404));
    }

    async fn approval_by_name(server: TestServer) {
        let mut agent = server.new_agent("web1");
        assert!(app::approve_by_name(&server.cx(), "web1").await.is_err());
        agent.register_with_request().await;
        assert_eq!(app::approve_by_name(&server.cx(), " WEB1 ").await.expect("it has registered"), 1);
        assert_eq!(app::approve_by_name(&server.cx(), "web1").await.expect("it has registered"), 0);
        agent.register_with_request().await;
        assert!(agent.token.is_some());
    }

    async fn permissions(server: TestServer) {
        let id = server.agent("web1").await.id();
        let (nobody, reader) = (server.account(&["/certificate_stores/"]).await, server.account(&[READ]).await);
        for path in ["/Agents".to_owned(), format!("/Agents/{id}")] {
            assert!(nobody.get(&path).await.expect(403).message().contains("Agent Management - Read"));
            drop(reader.get(&path).await.expect(200));
        }
        for path in ["/Agents/Approve", "/Agents/Disapprove", "/Agents/Reset"] {
            drop(reader.post(path, json!([id])).await.expect(403));
        }
        drop(reader.post(&format!("/Agents/{id}/Reset"), Value::Null).await.expect(403));
        assert_eq!(reader.get("/Agents").await.expect(200).items()[0]["Status"], 2);
    }
}
