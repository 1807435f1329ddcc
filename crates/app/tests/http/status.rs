//! `/Status`.

use testkit::TestServer;

/// `METHOD /path` of every operation that this filter lets through.
fn operations(filter: impl Fn(&testkit::Operation) -> bool) -> Vec<String> {
    let all = [1, 2]
        .into_iter()
        .flat_map(|version| testkit::contract(version).operations());
    let mut lines: Vec<String> = all
        .filter(|operation| filter(operation))
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

testkit::both_databases! {
    async fn endpoints_lists_what_the_caller_may_use(server: TestServer) {
        let all = server.admin().get("/Status/Endpoints").await.expect(200);
        assert_eq!(all.json, serde_json::json!(operations(|_| true)));

        let nobody = server.account(&[]).await.get("/Status/Endpoints").await.expect(200);
        let free = operations(|operation| operation.permissions.as_ref().is_some_and(Vec::is_empty));
        assert_eq!(nobody.json, serde_json::json!(free));
        assert!(free.contains(&"GET /Status/Endpoints".to_owned()), "{free:?}");

        let reader = server.account(&["/security/read/"]).await.get("/Status/Endpoints").await.expect(200);
        let lines: Vec<&str> = reader.items().iter().filter_map(|line| line.as_str()).collect();
        assert!(lines.contains(&"GET /Security/Roles") && !lines.contains(&"POST /Security/Roles"), "{lines:?}");
    }

    async fn every_account_may_ask(server: TestServer) {
        let nobody = server.account(&[]).await;
        nobody.get("/Status/HealthCheck").await.expect(204);
        server.anonymous().get("/Status/Endpoints").await.expect(401);
        server.anonymous().get("/Status/HealthCheck").await.expect(401);
    }
}
