//! Our own token endpoint: `/oauth2/token`, what it publishes, and what becomes of its tokens.

use app::security::{accounts, token_keys};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sea_orm::ActiveValue;
use serde_json::{Value, json};
use testkit::{Answer, PASSWORD, TestServer};

const FORM: &str = "grant_type=client_credentials";

async fn ask(server: &TestServer, authorization: &str, form: &str) -> Answer {
    let request = server
        .anonymous()
        .request("POST", "/oauth2/token")
        .form(form);
    request.header("authorization", authorization).send().await
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

async fn token_of(server: &TestServer, name: &str) -> String {
    let answer = ask(server, &basic(name, PASSWORD), FORM)
        .await
        .expect(200)
        .json;
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn call(server: &TestServer, token: &str) -> Answer {
    let request = server.anonymous().request("GET", "/CertificateStoreTypes");
    request
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

testkit::both_databases! {
    async fn a_machine_gets_a_token_and_uses_it(server: TestServer) {
        server.role("Readers", &["/certificate_stores/read/"]).await;
        server.account_in_role("machine", "Readers").await;
        let spaced = PASSWORD.replace(' ', "+");
        let escaped = PASSWORD.replace(' ', "%20");
        for (authorization, form) in [
            (basic("machine", PASSWORD), FORM.to_owned()),
            (basic("machine", &spaced), FORM.to_owned()),
            (basic("machine", &escaped), format!("{FORM}&client_id=machine&scope=openid")),
            (String::new(), format!("{FORM}&client_id=machine&client_secret={spaced}")),
            (String::new(), format!("client_secret={escaped}&scope=chancery+openid&{FORM}&client_id=MACHINE&audience=https%3A%2F%2Fchancery.example")),
        ] {
            let answer = ask(&server, &authorization, &form).await.expect(200);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!((&answer.json["token_type"], &answer.json["expires_in"]), (&json!("Bearer"), &json!(3600)));
            call(&server, answer.json["access_token"].as_str().unwrap()).await.expect(200);
        }
        let token = token_of(&server, "machine").await;
        assert_eq!(part(&token, 1)["iss"], "https://chancery.example");
        let request = server.anonymous().request("GET", "/Agents").header("authorization", &format!("Bearer {token}"));
        assert!(request.send().await.expect(403).message().contains("machine"));
        server.clock.advance(3_600_000 + 29_000);
        call(&server, &token).await.expect(200);
        server.clock.advance(1_000);
        call(&server, &token).await.expect(401);
    }

    async fn refusals_are_those_of_the_standard(server: TestServer) {
        server.account(&[]).await;
        let good = basic("account1", PASSWORD);
        for (authorization, form, status, error) in [
            (good.as_str(), "", 400, "invalid_request"),
            (&good, "grant_type=", 400, "invalid_request"),
            (&good, "grant_type=password&username=a&password=b", 400, "unsupported_grant_type"),
            (&good, "grant_type=authorization_code&code=x", 400, "unsupported_grant_type"),
            (&good, "grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request"),
            (&good, "grant_type=client_credentials&scope=everything", 400, "invalid_scope"),
            (&good, "grant_type=client_credentials&audience=other", 400, "invalid_target"),
            (&good, "grant_type=client_credentials&resource=https%3A%2F%2Fother.example", 400, "invalid_target"),
            (&good, "grant_type=client_credentials&client_id=account1&client_secret=x", 400, "invalid_request"),
            (&good, "grant_type=client_credentials&client_id=somebody", 400, "invalid_request"),
            (&good, "grant_type=%zz", 400, "invalid_request"),
            ("", FORM, 401, "invalid_client"),
            ("", "grant_type=client_credentials&client_id=account1", 401, "invalid_client"),
            ("", "grant_type=client_credentials&client_id=account1&client_secret=wrong", 401, "invalid_client"),
            ("", "grant_type=client_credentials&client_id=nobody&client_secret=wrong", 401, "invalid_client"),
            ("Bearer x.y.z", FORM, 401, "invalid_client"),
            ("Basic %%%", FORM, 401, "invalid_client"),
            (&basic("account1", "wrong"), FORM, 401, "invalid_client"),
            (&basic("nobody", PASSWORD), FORM, 401, "invalid_client"),
        ] {
            let answer = ask(&server, authorization, form).await;
            assert_eq!((answer.status, &answer.json["error"]), (status, &json!(error)), "{authorization} {form}: {}", answer.text);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Basic")), status == 401);
        }
        let anonymous = server.anonymous();
        let json = anonymous.request("POST", "/oauth2/token").json(json!({"grant_type": "client_credentials"}));
        assert_eq!(json.send().await.expect(400).json["error"], "invalid_request");
        anonymous.request("POST", "/oauth2/token").form("a".repeat(70_000)).send().await.expect(413);
        anonymous.get("/oauth2/token").await.expect(405);
        anonymous.post("/oauth2/jwks", json!({})).await.expect(405);
        anonymous.get("/oauth2/other").await.expect(404);
        anonymous.get("/.well-known/acme").await.expect(404);
    }

    async fn what_happens_to_the_account_happens_to_its_tokens(server: TestServer) {
        server.role("Readers", &["/certificate_stores/read/"]).await;
        server.account_in_role("machine", "Readers").await;
        let cx = server.cx();
        let token = token_of(&server, "machine").await;
        call(&server, &token).await.expect(200);
        accounts::set_disabled(&cx, "machine", true).await.unwrap();
        call(&server, &token).await.expect(401);
        ask(&server, &basic("machine", PASSWORD), FORM).await.expect(401);
        accounts::set_disabled(&cx, "machine", false).await.unwrap();
        call(&server, &token).await.expect(200);
        // The clock stands still: it is not the time of the change that counts.
        accounts::reset_password(&cx, "machine", "another horse battery".into()).await.unwrap();
        accounts::reset_password(&cx, "machine", PASSWORD.into()).await.unwrap();
        call(&server, &token).await.expect(401);
        let token = token_of(&server, "machine").await;
        call(&server, &token).await.expect(200);
        for _ in 0..5 {
            ask(&server, &basic("machine", "a wrong password"), FORM).await.expect(401);
        }
        let locked = ask(&server, &basic("machine", PASSWORD), FORM).await.expect(401);
        assert_eq!(locked.json["error"], "invalid_client");
        assert!(locked.json["error_description"].as_str().unwrap().contains("locked"));
        server.clock.advance(31_000);
        token_of(&server, "machine").await;
    }

    async fn keys_are_published_and_change(server: TestServer) {
        let anonymous = server.anonymous();
        for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
            let metadata = anonymous.get(path).await.expect(200).json;
            assert_eq!(metadata["token_endpoint"], "https://chancery.example/oauth2/token");
            assert_eq!(metadata["jwks_uri"], "https://chancery.example/oauth2/jwks");
        }
        server.account(&["/certificate_stores/read/"]).await;
        let first = token_of(&server, "account1").await;
        let keys = async || anonymous.get("/oauth2/jwks").await.expect(200).json["keys"].as_array().unwrap().clone();
        assert_eq!(keys().await.len(), 1);
        assert_eq!(keys().await[0]["kid"], part(&first, 0)["kid"]);
        assert_eq!(part(&first, 0)["typ"], "at+jwt");
        server.clock.advance(1);
        token_keys::rotate(&server.cx(), false).await.unwrap();
        let second = token_of(&server, "account1").await;
        assert_ne!(part(&first, 0)["kid"], part(&second, 0)["kid"]);
        assert_eq!(keys().await.len(), 2);
        call(&server, &first).await.expect(200);
        call(&server, &second).await.expect(200);
        token_keys::rotate(&server.cx(), true).await.unwrap();
        call(&server, &first).await.expect(401);
        call(&server, &second).await.expect(401);
        assert_eq!(keys().await.len(), 1);
        // By itself after 90 days.
        server.clock.advance(90 * 24 * 3_600_000);
        let third = token_of(&server, "account1").await;
        call(&server, &third).await.expect(200);
        assert_eq!(keys().await.len(), 2);
        assert_eq!(keys().await[0]["kid"], part(&third, 0)["kid"]);
    }

    async fn a_withdrawn_key_ends_on_every_server_at_once(server: TestServer) {
        server.account(&["/certificate_stores/read/"]).await;
        let (_app, other) = server.second().await;
        let token = token_of(&server, "account1").await;
        let ask = async || {
            let request = other.anonymous().request("GET", "/CertificateStoreTypes");
            request.header("authorization", &format!("Bearer {token}")).send().await
        };
        ask().await.expect(200);
        token_keys::rotate(&server.cx(), true).await.unwrap();
        ask().await.expect(401);
    }

    async fn tokens_and_refusals_leave_records(server: TestServer) {
        server.account(&[]).await;
        let token = token_of(&server, "account1").await;
        let issued = crate::audit::found(&server, "EntityType -eq \"Access\" AND Operation -eq \"Created\"").await;
        assert_eq!(issued.len(), 1);
        assert_eq!(issued[0]["AuditIdentifier"], "account1");
        assert!(issued[0]["After"].as_str().unwrap().contains(part(&token, 1)["jti"].as_str().unwrap()));
        ask(&server, "", &format!("{FORM}&client_id=nobody&client_secret=wrong")).await.expect(401);
        ask(&server, &basic("account1", "a wrong password"), FORM).await.expect(401);
        let failed = crate::audit::found(&server, "Operation -eq \"Sign-in failed\"").await;
        let mut names: Vec<&str> = failed.iter().map(|entry| entry["AuditIdentifier"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["account1", "nobody"]);
    }

    async fn forged_tokens_of_our_own_are_refused(server: TestServer) {
        use crate::stand_in::{Signer, unsigned};
        server.account(&["/certificate_stores/read/"]).await;
        let token = token_of(&server, "account1").await;
        let (header, claims) = (part(&token, 0), part(&token, 1));
        let signature = token.rsplit_once('.').unwrap().1;
        let thief = Signer::ec();
        // A key of ours that the test has the private half of: what is signed with it fails for what it says alone.
        let known = Signer::ec();
        let known_id = uuid::Uuid::from_u128(7);
        let row = db::tables::token_keys::ActiveModel {
            id: ActiveValue::Set(known_id),
            sealed_key: ActiveValue::Set(Vec::new()),
            public_key: ActiveValue::Set(known.point()),
            created_at: ActiveValue::Set(0),
        };
        crate::decisions::insert(&server, row).await;
        // So that the keys are read again.
        server.admin().post("/Security/Roles", json!({"Name": "Any", "Description": ""})).await.expect(200);
        let known_id = known_id.to_string();
        call(&server, &known.sign(&known_id, &claims)).await.expect(200);
        let now = server.clock.now() / 1000;
        for (what, member, value) in [
            ("another audience", "aud", json!("https://other.example")),
            ("no audience", "aud", Value::Null),
            ("another issuer", "iss", json!("https://other.example")),
            ("expired", "exp", json!(now - 31)),
            ("no end", "exp", Value::Null),
            ("not yet valid", "nbf", json!(now + 31)),
            ("no account", "account", Value::Null),
            ("an account that is not there", "account", json!(4711)),
            ("another password", "credential", json!("x")),
            ("no password", "credential", Value::Null),
        ] {
            let mut changed = claims.clone();
            changed[member] = value;
            let answer = call(&server, &known.sign(&known_id, &changed)).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        }
        let mut administrator = claims.clone();
        administrator["account"] = json!(1);
        for forged in [
            format!("{}.{signature}", unsigned(&header, &administrator)),
            format!("{}.", unsigned(&json!({"alg": "none"}), &claims)),
            thief.sign(header["kid"].as_str().unwrap(), &claims),
            thief.sign("00000000-0000-0000-0000-000000000000", &claims),
            format!("{}.{signature}", unsigned(&json!({"alg": "RS256", "kid": header["kid"]}), &claims)),
            format!("{}.{signature}", unsigned(&json!({"alg": "ES256"}), &claims)),
        ] {
            call(&server, &forged).await.expect(401);
        }
        call(&server, &token).await.expect(200);
    }
}
