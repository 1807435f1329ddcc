//! The rules of the wire that every operation has, driven through roles and status.

use base64::Engine;
use serde_json::{Value, json};
use testkit::{Client, PASSWORD, TestServer};

/// Creates a role and answers its id.
async fn role(client: &Client, name: &str) -> i64 {
    let body = json!({ "Name": name, "Description": "A role.", "Enabled": true, "Private": false, "Permissions": [] });
    let answer = client.post("/Security/Roles", body).await.expect(200);
    answer.json["Id"].as_i64().unwrap()
}

fn basic(text: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(text)
    )
}

/// The names of the roles of a list.
fn names(answer: &testkit::Answer) -> Vec<&str> {
    answer
        .items()
        .iter()
        .filter_map(|role| role["Name"].as_str())
        .collect()
}

testkit::both_databases! {
    async fn text_is_found_alike_on_both_databases(server: TestServer) {
        let admin = server.admin();
        for (number, description) in ["Große STRASSE", "İzmir ß", "Office"].into_iter().enumerate() {
            let role = serde_json::json!({ "Name": format!("Text {number}"), "Description": description });
            admin.post("/Security/Roles", role).await.expect(200);
        }
        for (query, expected) in [
            ("Description -eq \"große strasse\"", 1),
            ("Description -contains \"STRASSE\"", 1),
            ("Description -contains \"oße s\"", 1),
            ("Description -startswith \"İZMIR\"", 1),
            ("Description -endswith \"ß\"", 1),
            ("Description -eq \"OFFICE\"", 1),
            ("Description -in (\"office\", \"İzmir ß\")", 2),
            // Other letters have a case here, in what is stored folded they have none.
            ("Description -contains \"GROSSE\"", 0),
            ("Name -startswith \"TEXT \" AND Description -ne \"OFFICE\"", 2),
        ] {
            let encoded: String = query.bytes().map(|octet| format!("%{octet:02X}")).collect();
            let found = admin.get(&format!("/Security/Roles?QueryString={encoded}")).await.expect(200);
            assert_eq!(found.total(), Some(expected), "{query}: {}", found.text);
        }
    }

    async fn paths_in_every_spelling(server: TestServer) {
        let admin = server.admin();
        for path in [
            "/KeyfactorAPI/Status/Endpoints",
            "/Keyfactor/API/Status/Endpoints",
            "/keyfactorapi/status/endpoints",
            "/KEYFACTOR/api/STATUS/EndPoints",
            "/KeyfactorAPI//Status/Endpoints",
            "/KeyfactorAPI/Status//Endpoints/",
            "/Keyfactor//API///Status/Endpoints//",
        ] {
            let answer = admin.get(path).await.expect(200);
            assert!(answer.json.is_array(), "{path}");
        }
        let id = role(&admin, "One").await;
        let answer = admin.get(&format!("/SECURITY/roles//{id}/")).await.expect(200);
        assert_eq!(answer.json["Name"], "One");
    }

    async fn unknown_paths_are_404_and_unknown_methods_405(server: TestServer) {
        let admin = server.admin();
        for path in ["/Nothing", "/Status", "/Status/Endpoints/More", "/", ""] {
            let answer = admin.get(path).await.expect(404);
            assert_eq!(answer.error_code(), "0xA0111006", "{path}");
            assert!(!answer.message().is_empty());
        }
        for path in ["/Keyfactor", "/KeyfactorAPINothing/Status/Endpoints"] {
            admin.get(path).await.expect(404);
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "NONSENSE"] {
            let answer = admin.request(method, "/Status/Endpoints").send().await.expect(405);
            assert_eq!(answer.error_code(), "0xA0111007", "{method}");
        }
    }

    async fn nobody_learns_which_paths_exist(server: TestServer) {
        server.anonymous().get("/Nothing").await.expect(401);
        server.anonymous().request("DELETE", "/Status/Endpoints").send().await.expect(401);
    }

    async fn methods_in_any_case(server: TestServer) {
        let admin = server.admin();
        admin.request("get", "/Status/Endpoints").send().await.expect(200);
        let id = role(&admin, "One").await;
        let body = json!({ "Id": id, "Name": "Two", "Description": "Changed.", "Enabled": true, "Private": false });
        // go-client's literal.
        let answer = admin.request("Put", "/Security/Roles").json(body).send().await.expect(200);
        assert_eq!(answer.json["Name"], "Two");
    }

    async fn every_answer_has_the_headers(server: TestServer) {
        let admin = server.admin();
        let answers = [
            admin.get("/Status/Endpoints").await.expect(200),
            admin.get("/Status/HealthCheck").await.expect(204),
            admin.get("/Security/Roles/999999").await.expect(404),
            admin.get("/Nothing").await.expect(404),
            admin.get("/elsewhere").await.expect(404),
            admin.post("/Security/Roles", json!(7)).await.expect(400),
            server.anonymous().get("/Status/Endpoints").await.expect(401),
            server.account(&[]).await.get("/Security/Roles").await.expect(403),
        ];
        let mut ids = Vec::new();
        for answer in &answers {
            let version = answer.header("x-keyfactor-product-version").unwrap();
            // The auth library reads the number before the first dot.
            assert_eq!(version.split('.').next(), Some("25"), "{version}");
            let id = answer.header("x-keyfactor-correlation-id").unwrap();
            assert_eq!(id.len(), 36, "{id}");
            ids.push(id);
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            if answer.status != 204 {
                assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
            }
        }
        assert_eq!(answers[0].header("api-supported-versions"), Some("1.0"));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), answers.len(), "each request has an id of its own");
    }

    async fn a_correlation_id_of_the_caller_is_kept_when_it_is_a_guid(server: TestServer) {
        let given = "0a1b2c3d-0000-4000-8000-00000000abcd";
        let admin = server.admin();
        let request = admin.request("GET", "/Status/Endpoints").header("X-Keyfactor-Correlation-Id", given);
        assert_eq!(request.send().await.expect(200).header("x-keyfactor-correlation-id"), Some(given));
        let request = admin.request("GET", "/Status/Endpoints").header("X-Keyfactor-Correlation-Id", "not one");
        assert_ne!(request.send().await.expect(200).header("x-keyfactor-correlation-id"), Some("not one"));
    }

    async fn versions(server: TestServer) {
        let admin = server.admin();
        let ask = |version: &'static str| admin.request("GET", "/Agents").header("x-keyfactor-api-version", version);
        for version in ["", "1", "1.0", " 1 "] {
            ask(version).send().await.expect(200);
        }
        for version in ["2", "2.0"] {
            let answer = ask(version).send().await.expect(400);
            assert_eq!(answer.error_code(), "0xA0111003");
            assert!(answer.message().contains("1.0"), "{}", answer.message());
            assert_eq!(answer.header("api-supported-versions"), Some("1.0"), "where the refusal sends callers");
        }
        for version in ["3", "0", "1.1", "x", "-1", "2.00"] {
            let answer = ask(version).send().await.expect(400);
            assert_eq!(answer.error_code(), "0xA0111003", "{version}");
            assert_eq!(answer.header("api-supported-versions"), Some("1.0"), "{version}");
        }
    }

    async fn operations_of_two_versions(server: TestServer) {
        let admin = server.admin();
        for version in ["1", "1.0", "2", "2.0"] {
            let request = admin.request("POST", "/Enrollment/PFX").header("x-keyfactor-api-version", version);
            let answer = request.header("x-certificateformat", "PFX").json(json!({})).send().await.expect(400);
            assert_eq!(answer.header("api-supported-versions"), Some("1.0, 2"), "{version}");
        }
    }

    async fn sign_in_in_every_form(server: TestServer) {
        server.account_in_role("jo", "Administrator").await;
        for name in ["jo", "JO", "EXAMPLE\\jo", "example\\Jo", "jo@example.com", "Jo@EXAMPLE"] {
            server.signed_in(name, PASSWORD).get("/Status/Endpoints").await.expect(200);
            server.signed_in(name, "another password").get("/Status/Endpoints").await.expect(401);
            // One success clears the failures, so that the account is not locked by this test.
            server.signed_in(name, PASSWORD).get("/Status/Endpoints").await.expect(200);
        }
        for name in ["", "jo2", "j", "EXAMPLE\\", "@example.com", "jo\\", "jo\0"] {
            server.signed_in(name, PASSWORD).get("/Status/Endpoints").await.expect(401);
        }
    }

    async fn without_credentials_the_answer_is_a_challenge(server: TestServer) {
        let anonymous = server.anonymous();
        for header in ["", "Basic", "Basic !", &basic("nocolon"), "Bearer abc", &basic(&format!("admin:{}", "x".repeat(5_000)))] {
            let request = anonymous.request("GET", "/Status/Endpoints").header("Authorization", header);
            let answer = request.send().await.expect(401);
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Basic realm="), "{challenge}");
            assert_eq!(answer.error_code(), "0xA0111004", "{header:.20}");
        }
        let request = anonymous.request("GET", "/Status/Endpoints").header("authorization", &basic(&format!("admin:{PASSWORD}")).replace("Basic", "bAsIc"));
        request.send().await.expect(200);
    }

    async fn wrong_passwords_lock_an_account_for_a_while(server: TestServer) {
        let jo = server.account_in_role("jo", "Administrator").await;
        let wrong = server.signed_in("jo", "another password");
        for _ in 0..5 {
            wrong.get("/Status/Endpoints").await.expect(401);
        }
        let locked = jo.get("/Status/Endpoints").await.expect(401);
        // Nothing tells whether there is such an account.
        let unknown = server.signed_in("nobody", PASSWORD).get("/Status/Endpoints").await.expect(401);
        assert_eq!(locked.text, unknown.text);
        server.account_in_role("gone", "Administrator").await;
        app::security::accounts::set_disabled(&server.cx(), "gone", true).await.unwrap();
        for password in [PASSWORD, "another password"] {
            let disabled = server.signed_in("gone", password).get("/Status/Endpoints").await.expect(401);
            assert_eq!(disabled.text, unknown.text);
        }
        server.admin().get("/Status/Endpoints").await.expect(200);
        server.clock.advance(29_999);
        jo.get("/Status/Endpoints").await.expect(401);
        server.clock.advance(2);
        jo.get("/Status/Endpoints").await.expect(200);
        wrong.get("/Status/Endpoints").await.expect(401);
        jo.get("/Status/Endpoints").await.expect(200);
    }

    async fn lists_page_under_every_prefix(server: TestServer) {
        let admin = server.admin();
        for name in ["Page A", "Page B", "Page C"] {
            role(&admin, name).await;
        }
        let filter = "Name%20-startswith%20%22Page%22";
        for query in [
            format!("QueryString={filter}&ReturnLimit=2&PageReturned=1&SortField=Name"),
            format!("pq.queryString={filter}&pq.returnLimit=2&pq.sortField=Name"),
            format!("certificateStoreQuery.queryString={filter}&pageReturned=1&certificateStoreQuery.returnLimit=2&sortfield=NAME"),
            format!("&&PAGEDQUERY.QUERYSTRING={}&returnlimit=2%20&query.sortField=Name&", filter.replace("%20", "+")),
        ] {
            let answer = admin.get(&format!("/Security/Roles?{query}")).await.expect(200);
            assert_eq!(names(&answer), ["Page A", "Page B"], "{query}");
            assert_eq!(answer.total(), Some(3), "{query}");
        }
        let answer = admin.get(&format!("/Security/Roles?QueryString={filter}&ReturnLimit=2&PageReturned=2&SortField=Name")).await.expect(200);
        assert_eq!(names(&answer), ["Page C"]);
        let answer = admin.get(&format!("/Security/Roles?QueryString={filter}&SortField=Name&SortAscending=1")).await.expect(200);
        assert_eq!(names(&answer), ["Page C", "Page B", "Page A"], "1 is descending");
    }

    async fn a_page_past_the_end_is_empty_and_keeps_the_total(server: TestServer) {
        let admin = server.admin();
        let all = admin.get("/Security/Roles?queryString=").await.expect(200);
        assert_eq!(all.total(), Some(all.items().len() as u64));
        for page in ["2", "1000", "900000000000000"] {
            let answer = admin.get(&format!("/Security/Roles?pq.pageReturned={page}&pq.returnLimit=1000")).await.expect(200);
            assert_eq!(answer.text, "[]", "{page}");
            assert_eq!(answer.total(), all.total(), "{page}");
        }
        for wrong in ["PageReturned=0", "PageReturned=-1", "ReturnLimit=0", "PageReturned=x", "PageReturned=9223372036854775807"] {
            assert_eq!(admin.get(&format!("/Security/Roles?{wrong}")).await.expect(400).error_code(), "0xA011000B", "{wrong}");
        }
    }

    async fn queries_and_sort_fields_that_cannot_be_read(server: TestServer) {
        let admin = server.admin();
        for query in ["Name", "Name -eq", "(Name -eq \"a\"", "Nothing -eq \"a\"", "Name -nothing \"a\"", "Name -eq \"a", "AND"] {
            let query = query.replace(' ', "%20").replace('"', "%22");
            let answer = admin.get(&format!("/Security/Roles?QueryString={query}")).await.expect(400);
            assert_eq!(answer.error_code(), "0xA0111002", "{query}");
        }
        let answer = admin.get("/Security/Roles?SortField=Nothing").await.expect(400);
        assert_eq!(answer.error_code(), "0xA011004A");
        admin.get("/Security/Roles?QueryString=%ZZ").await.expect(400);
    }

    async fn bodies_of_get_are_ignored(server: TestServer) {
        let admin = server.admin();
        for body in ["null", "{", ""] {
            admin.request("GET", "/Security/Roles").text_body(body).send().await.expect(200);
        }
        admin.request("GET", "/Security/Roles").text_body("x").header("content-type", "text/plain").send().await.expect(200);
        // go-client sends `null` with every DELETE too.
        let id = role(&admin, "One").await;
        admin.delete_with(&format!("/Security/Roles/{id}"), Value::Null).await.expect(204);
    }

    async fn bodies_are_read_leniently(server: TestServer) {
        let admin = server.admin();
        let text = "\u{feff}{\"NAME\": \"Jo\", \"description\": \"one\r\n\ttwo\", \"enabled\": \"true\", \"Private\": \"False\",
            \"permissions\": null, \"Nothing\": {\"a\": [1, {}]}} and more";
        let answer = admin.request("POST", "/Security/Roles").text_body(text).send().await.expect(200);
        assert_eq!(answer.json["Name"], "Jo");
        assert_eq!(answer.json["Description"], "one\r\n\ttwo");
        assert_eq!(answer.json["Enabled"], true);
        assert_eq!(answer.json["Private"], false);
        let id = answer.json["Id"].as_i64().unwrap();
        let changed = json!({ "id": id.to_string(), "name": "Jo", "description": 7, "enabled": false, "private": false });
        let answer = admin.put("/Security/Roles", changed).await.expect(200);
        assert_eq!(answer.json["Description"], "7");
        assert_eq!(answer.json["Enabled"], false);
    }

    async fn bodies_that_cannot_be_read_are_refused_with_the_place(server: TestServer) {
        let admin = server.admin();
        let before = admin.get("/Security/Roles").await.expect(200).total();
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        for (text, place) in [
            ("{\"Name\": \"a\", \"Description\": }", "line 1"),
            ("{, \"ip\": []}", "line 1"),
            ("{\"Name\": {\"a\": 1}, \"Description\": \"b\"}", "Name"),
            ("{\"Name\": \"a\", \"Description\": \"b\", \"Enabled\": \"perhaps\"}", "Enabled"),
            ("7", ""),
            ("[]", ""),
            (deep.as_str(), "nested"),
            (r#"{"Name": "a\u0000b", "Description": "c"}"#, "U+0000"),
        ] {
            let answer = admin.request("POST", "/Security/Roles").text_body(text).send().await.expect(400);
            assert_eq!(answer.error_code(), "0xA0111001", "{text}: {}", answer.text);
            assert!(answer.message().contains(place), "{text}: {}", answer.text);
        }
        let answer = admin.request("POST", "/Security/Roles").text_body(b"{\"Name\": \"\xff\"}".to_vec()).send().await.expect(400);
        assert!(answer.message().contains("UTF-8"), "{}", answer.text);
        assert_eq!(admin.get("/Security/Roles").await.expect(200).total(), before, "a refused body changes nothing");
    }

    async fn bodies_over_the_limit_are_413(server: TestServer) {
        const LIMIT: usize = 16 * 1024 * 1024;
        let admin = server.admin();
        let frame = r#"{"Name":"","Description":"b"}"#.len();
        let body = |size: usize| format!(r#"{{"Name":"{}","Description":"b"}}"#, "a".repeat(size - frame));
        let answer = admin.request("POST", "/Security/Roles").text_body(body(LIMIT)).send().await.expect(400);
        assert_eq!(answer.error_code(), "0xA011000B", "as large as allowed, and read: {}", answer.message());
        let answer = admin.request("POST", "/Security/Roles").text_body(body(LIMIT + 1)).send().await.expect(413);
        assert_eq!(answer.error_code(), "0xA0111009");
    }

    async fn bodies_of_other_media_are_415(server: TestServer) {
        let admin = server.admin();
        let send = |media: &'static str, name: &'static str| {
            let body = json!({ "Name": name, "Description": "b" });
            admin.request("POST", "/Security/Roles").json(body).header("content-type", media).send()
        };
        for (media, name) in [
            ("application/json", "a"),
            ("application/json; charset=utf-8", "b"),
            ("text/json", "c"),
            ("application/json-patch+json", "d"),
            ("application/vnd.example+json", "e"),
            ("APPLICATION/JSON", "f"),
            ("", "g"),
        ] {
            send(media, name).await.expect(200);
        }
        for media in ["text/plain", "application/xml", "multipart/form-data", "application/x-www-form-urlencoded", "json"] {
            assert_eq!(send(media, "z").await.expect(415).error_code(), "0xA011100A", "{media}");
        }
    }

    async fn refusals_name_the_missing_permission(server: TestServer) {
        let answer = server.account(&["/agents/"]).await.get("/Security/Roles").await.expect(403);
        assert_eq!(answer.error_code(), "0xA0111005");
        assert_eq!(
            answer.message(),
            "User account1 does not have any of the required permissions: Security Settings - Read"
        );
    }
}
