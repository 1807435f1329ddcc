//! `/Status`.

use testkit::TestServer;

testkit::both_databases! {
    async fn endpoints_lists_every_operation(server: TestServer) {
        let answer = server.admin().get("/Status/Endpoints").await.expect(200);
        let listed: Vec<&str> = answer.items().iter().filter_map(|line| line.as_str()).collect();
        for version in [1, 2] {
            for operation in testkit::contract(version).operations() {
                let line = format!("{} {}", operation.method, operation.path);
                assert!(listed.contains(&line.as_str()), "{line}");
            }
        }
        assert!(listed.is_sorted(), "{listed:?}");
    }

    async fn every_account_may_ask(server: TestServer) {
        let nobody = server.account(&[]).await;
        nobody.get("/Status/Endpoints").await.expect(200);
        nobody.get("/Status/HealthCheck").await.expect(204);
        server.anonymous().get("/Status/Endpoints").await.expect(401);
        server.anonymous().get("/Status/HealthCheck").await.expect(401);
    }
}
