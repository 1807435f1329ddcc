//! Too much of anything: sign-ins, requests, nesting. And what every answer tells browsers.

use app::security::Rates;
use serde_json::Value;
use testkit::{PASSWORD, TestServer};

const GUESSER: &str = "192.0.2.1";

/// Every operation of version 1 as method, path with values, and its declaration.
fn operations() -> Vec<(String, String, Value)> {
    let document = serde_json::to_value(app::openapi(1)).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut filled = String::new();
        for segment in path.split('/').skip(1) {
            filled.push('/');
            filled += if segment.starts_with('{') {
                "1"
            } else {
                segment
            };
        }
        for (method, operation) in item.as_object().unwrap() {
            if operation.is_object() {
                found.push((method.to_uppercase(), filled.clone(), operation.clone()));
            }
        }
    }
    found
}

/// A server with small numbers. The limits are kept in memory: the database does not matter.
fn limited<F: Future<Output = ()>>(test: impl FnOnce(TestServer) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let server = TestServer::start_with(testkit::Database::Sqlite, |options| {
            options.rates = Rates {
                failed_sign_ins_per_minute: 30,
                failed_sign_ins_at_once: 5,
                anonymous_requests_per_second: 2,
                account_requests_per_second: 10,
                account_requests_at_once: 2,
            };
        });
        test(server.await).await;
    });
}

#[test]
fn guessing_passwords_from_one_address_ends_in_429() {
    limited(async |server| {
        // Names that do not exist: no lock of an account comes to help.
        let guess_from = |address: &str, index: u32| {
            let client = server.signed_in(&format!("nobody{index}"), "wrong password");
            client
                .request("GET", "/Status/Endpoints")
                .from_address(address)
                .send()
        };
        let guess = |index| guess_from(GUESSER, index);
        for index in 0..5 {
            guess(index).await.expect(401);
        }
        let refused = guess(0).await.expect(429);
        assert_eq!(refused.error_code(), "0xA011100D");
        assert_eq!(refused.header("retry-after"), Some("2"));
        assert!(!refused.message().is_empty());

        // Right ones wait as well at that address, since nobody can tell them before checking. Others do not.
        let account = server.account(&["/agents/"]).await;
        let from = |address: &str| {
            let request = account.request("GET", "/Status/Endpoints");
            request.from_address(address).send()
        };
        from(GUESSER).await.expect(429);
        from("192.0.2.2").await.expect(200);
        // A password verified a moment ago is remembered, wherever its holder is now.
        from(GUESSER).await.expect(200);
        guess(1).await.expect(429);

        // As Retry-After says, and no more than one.
        server.clock.advance(2_000);
        guess(2).await.expect(401);
        guess(3).await.expect(429);

        // An address of IPv6 is its network.
        for index in 0..5 {
            let address = format!("2001:db8:1:1::{index:x}");
            guess_from(&address, index).await.expect(401);
        }
        guess_from("2001:db8:1:1:ffff::", 1).await.expect(429);
        guess_from("2001:db8:1:2::1", 1).await.expect(401);
    });
}

#[test]
fn sign_ins_that_succeed_cost_nothing() {
    limited(async |server| {
        for _ in 0..6 {
            // Six accounts: none is remembered.
            let account = server.account(&["/agents/"]).await;
            let request = account.request("GET", "/Status/Endpoints");
            request.from_address(GUESSER).send().await.expect(200);
        }
    });
}

#[test]
fn those_who_are_forbidden_at_sign_in_are_told_to_wait() {
    limited(async |server| {
        let body = serde_json::json!({"Name": "due", "Password": PASSWORD});
        server
            .admin()
            .post("/Chancery/Accounts", body)
            .await
            .expect(200);
        let due = server.signed_in("due", PASSWORD);
        for round in 0..2 {
            for _ in 0..10 {
                let request = due.request("GET", "/Status/Endpoints");
                request.from_address(GUESSER).send().await.expect(403);
            }
            // The account's own limit is another one.
            server.clock.advance(if round == 0 { 1_000 } else { 0 });
        }
        for _ in 0..2 {
            let request = due.request("GET", "/Status/Endpoints");
            request.from_address(GUESSER).send().await.expect(403);
        }
        let records = async || {
            server.app().settle().await;
            let query = "/Audit?QueryString=Operation%20-eq%20%22Rejected%22";
            server.admin().get(query).await.expect(200)
        };
        let before = records().await;
        let request = due.request("GET", "/Status/Endpoints");
        request.from_address(GUESSER).send().await.expect(429);
        assert_eq!(records().await.total(), before.total());
        assert_eq!(before.total(), Some(22));
        assert!(before.items().iter().all(|entry| entry["User"] == "due"));
    });
}

#[test]
fn nobody_takes_the_sign_ins_of_other_addresses() {
    limited(async |server| {
        let idp = crate::stand_in::StandIn::start().await;
        idp.enter(&server, "idp").await;
        let begin = |address: &str| {
            let request = server.anonymous().request("GET", "/signin/idp");
            request.from_address(address).send()
        };
        for _ in 0..5 {
            begin(GUESSER).await.expect(303);
        }
        begin(GUESSER).await.expect(429);
        begin("192.0.2.2").await.expect(303);
        server.clock.advance(2_000);
        begin(GUESSER).await.expect(303);
        begin(GUESSER).await.expect(429);
    });
}

#[test]
fn two_of_a_provider_with_one_name_have_limits_of_their_own() {
    limited(async |server| {
        let idp = crate::stand_in::StandIn::start().await;
        idp.enter(&server, "idp").await;
        let ask = async |subject: &str| {
            let mut claims = idp.claims(&server);
            claims["sub"] = Value::from(subject);
            claims["preferred_username"] = "shared".into();
            let token = format!("Bearer {}", idp.token(&claims));
            let request = server.anonymous().request("GET", "/Security/My");
            request.header("authorization", &token).send().await.status
        };
        for _ in 0..20 {
            assert_eq!(ask("one").await, 200);
        }
        assert_eq!(ask("one").await, 429);
        assert_eq!(ask("two").await, 200);
    });
}

#[test]
fn challenges_are_free_for_scripts_and_not_for_floods() {
    limited(async |server| {
        // Scripts send no credentials first and answer the challenge, before every call (clients.md 2.3).
        let ask = || {
            let request = server.anonymous().request("GET", "/Status/Endpoints");
            request.from_address(GUESSER).send()
        };
        for _ in 0..20 {
            ask().await.expect(401);
        }
        let refused = ask().await.expect(429);
        assert_eq!(refused.error_code(), "0xA011100D");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let admin = server.admin().request("GET", "/Status/Endpoints");
        admin.from_address(GUESSER).send().await.expect(200);
        server.clock.advance(1_000);
        for _ in 0..2 {
            ask().await.expect(401);
        }
        ask().await.expect(429);
        // Agents are told the same, without a body.
        let stranger = server.new_agent("flood").anonymous();
        for index in 0..25 {
            let (status, body) = stranger.send("Session/Register", b"{}".to_vec()).await;
            let expected = if index < 20 { 401 } else { 429 };
            assert_eq!((status.as_u16(), body.len()), (expected, 0));
        }
    });
}

#[test]
fn agents_have_turns_as_accounts_do() {
    limited(async |server| {
        let mut agent = server.agent("flood").await;
        agent.register().await;
        let mut refused = 0;
        for _ in 0..25 {
            let (status, body) = agent.send("Session/Heartbeat", b"{}".to_vec()).await;
            if status.as_u16() == 429 {
                assert!(body.is_empty());
                refused += 1;
            }
        }
        assert!((1..25).contains(&refused), "{refused}");
        server.clock.advance(1_000);
        let (status, _) = agent.send("Session/Heartbeat", b"{}".to_vec()).await;
        assert_ne!(status.as_u16(), 429);
        // What an account asks here counts as its own.
        let account = server.account(&["/agents/"]).await;
        let named = server
            .new_agent("other")
            .signed_in(account.name(), PASSWORD);
        for _ in 0..20 {
            named.send("Session/Heartbeat", b"{}".to_vec()).await;
        }
        account.get("/Agents").await.expect(429);
    });
}

#[test]
fn bodies_in_memory_have_one_budget() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let server = TestServer::start_with(testkit::Database::Sqlite, |options| {
            options.bodies_in_memory = 4_000;
        });
        let server = server.await;
        let role = |name: &str, octets: usize| {
            let description = "x".repeat(octets);
            serde_json::json!({ "Name": name, "Description": description })
        };
        let admin = server.admin();
        let refused = admin
            .post("/Security/Roles", role("Large", 5_000))
            .await
            .expect(503);
        assert_eq!(refused.error_code(), "0xA011100C");
        let agent = server.new_agent("large").signed_in("admin", PASSWORD);
        let (status, body) = agent.send("Session/Register", vec![b' '; 5_000]).await;
        assert_eq!((status.as_u16(), body.len()), (503, 0));
        // What is answered gives its part back.
        for name in ["One", "Two", "Three", "Four", "Five"] {
            let made = admin.post("/Security/Roles", role(name, 1_000)).await;
            made.expect(200);
            let (status, _) = agent.send("Session/Heartbeat", vec![b' '; 3_000]).await;
            assert_ne!(status.as_u16(), 503);
        }
    });
}

testkit::both_databases! {
    async fn nesting_without_end_is_400_at_every_operation(server: TestServer) {
        let admin = server.admin();
        let arrays = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        let open = "[".repeat(100_000);
        let inside = format!("{{\"Name\": \"a\", \"Description\": {arrays}}}");
        let mut driven = 0;
        for (method, path, operation) in operations() {
            // What is no JSON has no nesting.
            if operation["requestBody"]["content"].get("application/json").is_none() {
                continue;
            }
            for body in [&arrays, &objects, &open, &inside] {
                let answer = admin.request(&method, &path).text_body(body.as_str()).send().await;
                assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text);
                assert!(answer.text.len() < 1_000, "{method} {path} says it all again");
            }
            driven += 1;
        }
        assert!(driven > 20);
        // JSON inside of text, which some members hold.
        let properties = serde_json::json!({
            "ContainerId": null, "ClientMachine": "a", "Storepath": "/a", "CertStoreType": 2, "AgentId": "11111111-2222-3333-4444-555555555555",
            "Properties": arrays,
        });
        admin.post("/CertificateStores", properties).await.expect(400);
        for path in ["Session/Register", "Session/Heartbeat", "AnyInventory/Update", "AnyManagement/Complete"] {
            let agent = server.new_agent("deep").signed_in(admin.name(), PASSWORD);
            let (status, _) = agent.send(path, arrays.clone().into_bytes()).await;
            assert_eq!(status, 400, "{path}");
        }
        admin.get("/Status/Endpoints").await.expect(200);
    }

    async fn nesting_without_end_in_queries_is_400(server: TestServer) {
        let admin = server.admin();
        let mut driven = 0;
        for (method, path, operation) in operations() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if !parameters.iter().any(|parameter| parameter["name"] == "QueryString") {
                continue;
            }
            for query in ["(".repeat(16_000), "%28".repeat(10_000), "NOT%20".repeat(4_000), "(NOT%20".repeat(3_000), "(".repeat(60_000)] {
                let answer = admin.request(&method, &format!("{path}?QueryString={query}")).send().await;
                assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text);
                if !path.contains("/1") {
                    assert_eq!(answer.error_code(), "0xA0111002", "{method} {path}: {}", answer.text);
                }
                assert!(answer.text.len() < 1_000, "{method} {path} says it all again: {}", answer.text);
            }
            driven += 1;
        }
        assert!(driven >= 5, "{driven}");
    }

    async fn every_answer_tells_browsers_to_keep_their_hands_off(server: TestServer) {
        for answer in [
            server.admin().get("/Status/Endpoints").await.expect(200),
            server.anonymous().get("/Status/Endpoints").await.expect(401),
            server.admin().get("/Nothing").await.expect(404),
            server.admin().get("/KeyfactorNothing").await.expect(404),
        ] {
            for (name, value) in [
                ("strict-transport-security", "max-age=31536000"),
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("cache-control", "no-store"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{}", answer.text);
            }
            assert_eq!(answer.header("server"), None);
        }
    }
}

#[test]
fn an_account_that_asks_without_pause_is_told_to_wait() {
    limited(async |server| {
        let admin = server.admin();
        let from = |index: u32| {
            let request = admin.request("GET", "/Status/Endpoints");
            request.from_address(&format!("192.0.2.{index}")).send()
        };
        for index in 0..20 {
            from(index).await.expect(200);
        }
        // By account, wherever it asks from; and only this account.
        let refused = from(99).await.expect(429);
        assert_eq!(refused.error_code(), "0xA011100D");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let other = server.account(&["/agents/"]).await;
        other.get("/Status/Endpoints").await.expect(200);
        server.clock.advance(100);
        from(1).await.expect(200);
        from(1).await.expect(429);
        server.clock.advance(10_000);
        // Two at once, and a third that has to wait.
        let get = || admin.get("/Security/Roles");
        let (first, second, third) = tokio::join!(get(), get(), get());
        let mut statuses = [first.status, second.status, third.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 429]);
        admin.get("/Security/Roles").await.expect(200);
    });
}
