//! `/CertificateAuthority`.

use testkit::TestServer;

testkit::both_databases! {
    async fn the_authorities_that_ship_are_listed(server: TestServer) {
        let answer = server.admin().get("/CertificateAuthority").await.expect(200);
        assert_eq!(answer.total(), Some(3));
        let names: Vec<&str> = answer.items().iter().filter_map(|item| item["LogicalName"].as_str()).collect();
        assert_eq!(names, ["Chancery-Root-CA", "Chancery-Issuing-CA", "Chancery-Agents-CA"]);
        let issuing = &answer.items()[1];
        assert_eq!(issuing["HostName"], "chancery.example");
        assert_eq!(issuing["AllowedEnrollmentTypes"], 3);
        assert!(issuing["LastScan"].is_null() && issuing["AuthCertificate"].is_null());
        assert_eq!(issuing["Properties"], "{}");
        assert_eq!(answer.items()[0]["AllowedEnrollmentTypes"], 0, "the root enrolls nobody");
    }

    async fn the_list_is_queried_and_paged(server: TestServer) {
        let admin = server.admin();
        let one = admin.get("/CertificateAuthority?pq.queryString=LogicalName%20-eq%20%22chancery-issuing-ca%22").await.expect(200);
        assert_eq!(one.items().len(), 1);
        let tenant = admin.get("/CertificateAuthority?QueryString=ConfigurationTenant%20-eq%20%22chancery%22").await.expect(200);
        assert_eq!(tenant.items().len(), 3);
        let agent = "Agent%20-eq%20%22a5b0f7a8-6f0e-4b7c-9a9e-6c3b1d2e4f50%22";
        let none = admin.get(&format!("/CertificateAuthority?QueryString={agent}")).await.expect(200);
        assert!(none.items().is_empty());
        let page = admin.get("/CertificateAuthority?ReturnLimit=2&PageReturned=2&SortField=Id&SortAscending=1").await.expect(200);
        assert_eq!(page.items()[0]["LogicalName"], "Chancery-Root-CA");
        assert!(admin.get("/CertificateAuthority?PageReturned=9").await.expect(200).items().is_empty());
        assert_eq!(admin.get("/CertificateAuthority?SortField=Agent").await.expect(400).error_code(), "0xA011004A");
        assert_eq!(admin.get("/CertificateAuthority?QueryString=Nothing%20-eq%201").await.expect(400).error_code(), "0xA0111002");
    }

    async fn one_is_read_by_its_id(server: TestServer) {
        let admin = server.admin();
        let list = admin.get("/CertificateAuthority").await.expect(200);
        let id = list.items()[1]["Id"].as_i64().unwrap();
        assert_eq!(admin.get(&format!("/CertificateAuthority/{id}")).await.expect(200).json, list.items()[1]);
        assert_eq!(admin.get("/CertificateAuthority/4711").await.expect(404).error_code(), "0xA0111006");
        admin.get("/CertificateAuthority/one").await.expect(400);
        server.account(&["/certificate_templates/read/"]).await.get("/CertificateAuthority").await.expect(403);
        server.account(&["/certificate_authorities/modify/"]).await.get("/CertificateAuthority").await.expect(200);
    }

    async fn anchors_and_the_listener_s_certificate_are_there(server: TestServer) {
        let anchors = server.app().trust_anchors().await.unwrap();
        let root = pki::Certificate::from_der(&anchors[0]).unwrap();
        let agents = server.app().agent_authorities();
        assert_eq!((anchors.len(), agents.len()), (1, 1));
        let agents = pki::Certificate::from_der(&agents[0]).unwrap();
        assert!(agents.is_ca() && agents.is_self_issued() && agents.subject() != root.subject());

        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
        let names = [pki::SubjectAlternativeName::dns("chancery.example"), pki::SubjectAlternativeName::new(pki::SanKind::Ip, "::1")];
        let chain = server.app().issue_server_certificate(&names, &key).await.unwrap();
        assert_eq!(chain.len(), 3);
        assert_eq!(chain[0].subject_alternative_names(), names);
        assert_eq!(chain[0].extended_key_usages(), ["1.3.6.1.5.5.7.3.1"]);
        assert!(key.matches(&chain[0]));
        chain[0].verify_signed_by(&chain[1]).unwrap();
        chain[1].verify_signed_by(&chain[2]).unwrap();
        assert_eq!(chain[2], root);
    }
}
