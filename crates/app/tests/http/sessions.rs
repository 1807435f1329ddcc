//! Browsers: sign-in at a provider or with a local account, sessions, and the attacks on both that have to fail.

use app::security::accounts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::{Answer, Client, PASSWORD, RequestBuilder, TestServer};

use crate::audit;
use crate::stand_in::StandIn;

const GUARD: (&str, &str) = ("x-keyfactor-requested-with", "APIClient");

/// A browser: it keeps cookies.
struct Browser<'s> {
    server: &'s TestServer,
    cookies: Vec<(String, String)>,
}

impl<'s> Browser<'s> {
    fn new(server: &'s TestServer) -> Self {
        Self {
            server,
            cookies: Vec::new(),
        }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.request_to(&self.server.anonymous(), method, path)
    }

    /// The same to a server that may be another one on the same database.
    fn request_to(&self, server: &Client, method: &str, path: &str) -> RequestBuilder {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        server
            .request(method, path)
            .header("cookie", &cookies.join("; "))
            .header("user-agent", "A browser")
    }

    async fn go(&mut self, path: &str) -> Answer {
        let answer = self.request("GET", path).send().await;
        self.keep(&answer);
        answer
    }

    /// As a script of ours does.
    async fn call(&self, method: &str, path: &str) -> Answer {
        self.request(method, path)
            .header(GUARD.0, GUARD.1)
            .send()
            .await
    }

    fn keep(&mut self, answer: &Answer) {
        for value in answer.headers.get_all("set-cookie") {
            let text = value.to_str().unwrap();
            for expected in ["; Path=/;", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(text.contains(expected), "{text}");
            }
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            assert!(name.starts_with("__Host-"));
            self.cookies.retain(|(known, _)| known != name);
            if !text.contains("Max-Age=0") {
                self.cookies.push((name.into(), value.into()));
            }
        }
    }

    async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        let body = json!({"Name": name, "Password": password});
        let answer = self
            .request("POST", "/signin/local")
            .json(body)
            .header(GUARD.0, GUARD.1)
            .send()
            .await;
        self.keep(&answer);
        answer
    }
}

/// The pairs of the query of an address.
fn query(address: &str) -> Value {
    let pairs = address.split_once('?').unwrap().1.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        let value = value
            .replace("%3A", ":")
            .replace("%2F", "/")
            .replace("%20", " ");
        (name.to_owned(), Value::from(value))
    });
    Value::Object(pairs.collect())
}

/// Lets the provider answer the next code with an ID token of these claims.
fn will_answer(idp: &StandIn, server: &TestServer, asked: &Value, change: impl FnOnce(&mut Value)) {
    let mut claims = idp.claims(server);
    claims["aud"] = json!("chancery");
    claims["nonce"] = asked["nonce"].clone();
    claims["sub"] = json!("alice");
    claims["preferred_username"] = json!("alice@example.org");
    change(&mut claims);
    idp.answer(
        "/token",
        json!({"id_token": idp.token(&claims), "access_token": "opaque", "token_type": "Bearer"}),
    );
}

testkit::both_databases! {
    async fn a_browser_signs_in_at_a_provider(server: TestServer) {
        let idp = StandIn::start().await;
        let id = idp.enter(&server, "idp").await;
        let offered = server.anonymous().get("/signin").await.expect(200).json;
        assert_eq!(offered, json!([{"AuthenticationScheme": "idp", "DisplayName": "idp", "Address": "/signin/idp"}]));
        let mut browser = Browser::new(&server);
        let sent = browser.go("/signin/IDP?return_to=/docs/%3Fx").await.expect(303);
        let to = sent.header("location").unwrap();
        assert!(to.starts_with(&format!("{}/authorize?", idp.issuer)), "{to}");
        let asked = query(to);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], "chancery");
        assert_eq!(asked["redirect_uri"], "https://chancery.example/signin/idp/callback");
        assert_eq!(asked["code_challenge_method"], "S256");
        will_answer(&idp, &server, &asked, |_| {});
        let state = asked["state"].as_str().unwrap();
        let back = browser.go(&format!("/signin/idp/callback?code=c1&state={state}&iss={}", idp.issuer)).await.expect(303);
        assert_eq!(back.header("location"), Some("/docs/?x"));
        let exchanged = idp.asked.lock().unwrap().iter().find(|asked| asked.0 == "/token").unwrap().1.clone();
        for expected in ["grant_type=authorization_code", "code=c1", "redirect_uri=https%3A%2F%2Fchancery.example%2Fsignin%2Fidp%2Fcallback", "code_verifier="] {
            assert!(exchanged.contains(expected), "{exchanged}");
        }
        // What was shown before is the hash of what is shown now (RFC 7636, S256).
        let verifier = exchanged.split('&').find_map(|pair| pair.strip_prefix("code_verifier=")).unwrap();
        assert!(verifier.len() >= 43, "{verifier}");
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        assert_eq!(asked["code_challenge"], URL_SAFE_NO_PAD.encode(hash));
        assert_eq!(browser.cookies.len(), 1, "{:?}", browser.cookies);
        // Signed in, and nothing is granted.
        let refused = browser.call("GET", "/CertificateStoreTypes").await.expect(403);
        assert!(refused.message().contains("alice@example.org"), "{}", refused.message());
        let own = browser.call("GET", "/Chancery/Sessions").await.expect(200);
        assert_eq!(own.items().len(), 1);
        let session = &own.items()[0];
        assert_eq!((&session["Name"], &session["Provider"], &session["Current"]), (&json!("alice@example.org"), &json!("idp"), &json!(true)));
        assert_eq!(session["UserAgent"], "A browser");
        // The provider is disabled: the session counts no more, and again afterwards.
        let path = format!("/IdentityProviders/{id}");
        let change = |enabled: bool| json!({"AuthenticationScheme": "idp", "DisplayName": "idp", "AuthenticationEnabled": enabled});
        server.admin().put(&path, change(false)).await.expect(200);
        browser.call("GET", "/Chancery/Sessions").await.expect(401);
        Browser::new(&server).go("/signin/idp").await.expect(404);
        server.admin().put(&path, change(true)).await.expect(200);
        browser.call("GET", "/Chancery/Sessions").await.expect(200);
    }

    async fn a_browser_that_comes_back_otherwise_is_refused(server: TestServer) {
        let (idp, other) = (StandIn::start().await, StandIn::start().await);
        idp.enter(&server, "idp").await;
        other.enter(&server, "other").await;
        let begin = async |browser: &mut Browser<'_>, scheme: &str| {
            let sent = browser.go(&format!("/signin/{scheme}")).await.expect(303);
            query(sent.header("location").unwrap())
        };
        let callback = |asked: &Value| format!("/signin/idp/callback?code=c1&state={}", asked["state"].as_str().unwrap());

        // A state that was used is over.
        let mut browser = Browser::new(&server);
        let asked = begin(&mut browser, "idp").await;
        let kept = browser.cookies.clone();
        will_answer(&idp, &server, &asked, |_| {});
        browser.go(&callback(&asked)).await.expect(303);
        browser.cookies = kept;
        let replayed = browser.go(&callback(&asked)).await.expect(401);
        assert_eq!(replayed.message(), "The sign-in did not succeed. Begin it again.");

        // What the ID token says wrong.
        let now = server.clock.now() / 1000;
        type Change = Box<dyn Fn(&mut Value)>;
        let issuer = other.issuer.clone();
        let wrong: Vec<(&str, Change)> = vec![
            ("another nonce", Box::new(|claims| claims["nonce"] = json!("x"))),
            ("no nonce", Box::new(|claims| claims["nonce"] = Value::Null)),
            ("another audience", Box::new(|claims| claims["aud"] = json!("certificates"))),
            ("another client", Box::new(|claims| claims["azp"] = json!("other"))),
            ("expired", Box::new(move |claims| claims["exp"] = json!(now - 60))),
            ("another issuer", Box::new(move |claims| claims["iss"] = json!(issuer))),
            ("nobody", Box::new(|claims| { claims["sub"] = json!(""); claims["client_id"] = Value::Null; })),
        ];
        for (what, change) in wrong {
            let mut browser = Browser::new(&server);
            let asked = begin(&mut browser, "idp").await;
            will_answer(&idp, &server, &asked, change);
            let answer = browser.go(&callback(&asked)).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text);
            assert!(answer.headers.get("set-cookie").is_none(), "{what}");
        }

        // A code that was meant for another browser's attempt: the verifier and the nonce are the browser's own.
        let (mut alice, mut mallory) = (Browser::new(&server), Browser::new(&server));
        let (of_alice, of_mallory) = (begin(&mut alice, "idp").await, begin(&mut mallory, "idp").await);
        will_answer(&idp, &server, &of_mallory, |_| {});
        alice.go(&callback(&of_mallory)).await.expect(401);
        alice.go(&callback(&of_alice)).await.expect(401);
        // Of another provider, of none, without a state, without the cookie, with an error, of another issuer, too late.
        let asked = begin(&mut alice, "other").await;
        alice.go(&callback(&asked)).await.expect(401);
        alice.go("/signin/nobody/callback?code=c1&state=x").await.expect(404);
        alice.go("/signin/idp/callback?code=c1").await.expect(401);
        alice.go("/signin/idp/callback?code=c1&state=x&state=y").await.expect(401);
        let asked = begin(&mut alice, "idp").await;
        will_answer(&idp, &server, &asked, |_| {});
        Browser::new(&server).go(&callback(&asked)).await.expect(401);
        let asked = begin(&mut alice, "idp").await;
        alice.go(&format!("/signin/idp/callback?error=access_denied&state={}", asked["state"].as_str().unwrap())).await.expect(401);
        let asked = begin(&mut alice, "idp").await;
        will_answer(&idp, &server, &asked, |_| {});
        alice.go(&format!("{}&iss={}", callback(&asked), other.issuer)).await.expect(401);
        let asked = begin(&mut alice, "idp").await;
        will_answer(&idp, &server, &asked, |_| {});
        server.clock.advance(10 * 60_000);
        alice.go(&callback(&asked)).await.expect(401);
        // Nobody is sent elsewhere afterwards.
        for elsewhere in ["https://evil.example", "//evil.example", "/%5Cevil.example", "javascript:alert(1)", "/%0d%0aSet-Cookie:x"] {
            alice.go(&format!("/signin/idp?return_to={elsewhere}")).await.expect(400);
        }
    }

    async fn a_cookie_without_the_guard_is_recorded_for_who_it_is(server: TestServer) {
        let idp = StandIn::start().await;
        idp.enter(&server, "idp").await;
        let account = server.account(&["/certificate_stores/read/"]).await;
        let mut made_up = Browser::new(&server);
        made_up.cookies.push(("__Host-chancery".into(), "x".repeat(43)));
        made_up.request("GET", "/CertificateStoreTypes").send().await.expect(401);
        made_up.call("GET", "/CertificateStoreTypes").await.expect(401);
        let mut local = Browser::new(&server);
        local.sign_in(account.name(), PASSWORD).await.expect(204);
        local.request("GET", "/CertificateStoreTypes").send().await.expect(403);
        let mut person = Browser::new(&server);
        let sent = person.go("/signin/idp").await.expect(303);
        let asked = query(sent.header("location").unwrap());
        will_answer(&idp, &server, &asked, |_| {});
        person.go(&format!("/signin/idp/callback?code=c&state={}", asked["state"].as_str().unwrap())).await.expect(303);
        person.request("GET", "/CertificateStoreTypes").send().await.expect(403);
        let refused = audit::found(&server, "Operation -eq \"Rejected\"").await;
        let mut names: Vec<&str> = refused.iter().map(|entry| entry["User"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, [account.name(), "idp\\alice@example.org"]);
        assert!(audit::found(&server, "Operation -eq \"Sign-in failed\"").await.is_empty(), "a cookie of nobody is nobody's");
    }

    async fn failures_of_browsers_leave_records(server: TestServer) {
        let idp = StandIn::start().await;
        idp.enter(&server, "idp").await;
        let account = server.account(&[]).await;
        let mut browser = Browser::new(&server);
        browser.sign_in(account.name(), "a wrong password").await.expect(401);
        browser.sign_in("nobody", PASSWORD).await.expect(401);
        browser.go("/signin/idp/callback?code=c&state=x").await.expect(401);
        let failed = audit::found(&server, "Operation -eq \"Sign-in failed\"").await;
        let mut names: Vec<&str> = failed.iter().map(|entry| entry["AuditIdentifier"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a browser from idp", account.name(), "nobody"]);
    }

    async fn browsers_wait_for_a_provider_in_small_numbers(server: TestServer) {
        let server = TestServer::start_with(server.database(), |options| options.egress.time = std::time::Duration::from_secs(2)).await;
        let idp = StandIn::start().await;
        idp.enter(&server, "idp").await;
        let mut browsers = Vec::new();
        for _ in 0..17 {
            let mut browser = Browser::new(&server);
            let sent = browser.go("/signin/idp").await.expect(303);
            let state = query(sent.header("location").unwrap())["state"].as_str().unwrap().to_owned();
            browsers.push((browser, state));
        }
        idp.hang("/token");
        let back = browsers.iter_mut().map(async |(browser, state)| browser.go(&format!("/signin/idp/callback?code=c&state={state}")).await.status);
        let mut statuses = futures::future::join_all(back).await;
        statuses.sort_unstable();
        assert_eq!(statuses.pop(), Some(503));
        assert_eq!(statuses, [401; 16]);
    }

    async fn what_a_provider_published_outlives_its_discovery_document(server: TestServer) {
        let idp = StandIn::start().await;
        let id = idp.enter(&server, "idp").await;
        let keys = format!("{}/keys", idp.issuer);
        let parameters = json!({"Authority": idp.issuer, "ClientId": "chancery", "Audience": "certificates", "JSONWebKeySetUri": keys});
        let body = json!({"AuthenticationScheme": "idp", "DisplayName": "idp", "Parameters": parameters});
        server.admin().put(&format!("/IdentityProviders/{id}"), body).await.expect(200);
        Browser::new(&server).go("/signin/idp").await.expect(303);
        idp.answers.lock().unwrap().remove("/.well-known/openid-configuration");
        server.clock.advance(61 * 60_000);
        Browser::new(&server).go("/signin/idp").await.expect(303);
        assert_eq!(idp.count("/keys"), 2);
    }

    async fn a_discovery_document_cannot_send_this_server_inside(server: TestServer) {
        let idp = StandIn::start().await;
        idp.enter(&server, "idp").await;
        for address in ["http://127.0.0.2:80/token", "https://169.254.169.254/token", "https://10.0.0.1/token", "http://idp.example/token", "file:///etc/passwd"] {
            for place in ["token_endpoint", "userinfo_endpoint"] {
                server.clock.advance(61 * 60_000);
                let mut discovery = idp.discovery();
                discovery[place] = json!(address);
                idp.answer("/.well-known/openid-configuration", discovery);
                let mut browser = Browser::new(&server);
                let sent = browser.go("/signin/idp").await.expect(303);
                let asked = query(sent.header("location").unwrap());
                will_answer(&idp, &server, &asked, |_| {});
                browser.go(&format!("/signin/idp/callback?code=c&state={}", asked["state"].as_str().unwrap())).await.expect(401);
            }
        }
        server.clock.advance(61 * 60_000);
        let mut discovery = idp.discovery();
        discovery["authorization_endpoint"] = json!("javascript:alert(1)");
        idp.answer("/.well-known/openid-configuration", discovery);
        Browser::new(&server).go("/signin/idp").await.expect(503);
    }

    async fn a_session_of_a_local_account(server: TestServer) {
        let account = server.account(&["/certificate_stores/read/"]).await;
        let mut browser = Browser::new(&server);
        browser.sign_in(account.name(), "a wrong password").await.expect(401);
        let unguarded = json!({"Name": account.name(), "Password": PASSWORD});
        server.anonymous().post("/signin/local", unguarded).await.expect(403);
        server.anonymous().request("POST", "/signin/local").header(GUARD.0, GUARD.1).json(json!([1])).send().await.expect(400);
        browser.sign_in(account.name(), PASSWORD).await.expect(204);
        browser.call("GET", "/CertificateStoreTypes").await.expect(200);
        browser.call("GET", "/Agents").await.expect(403);
        // A page of somebody else can have the browser send its cookie, but not the header.
        browser.request("GET", "/CertificateStoreTypes").send().await.expect(403);
        browser.request("POST", "/signout").send().await.expect(403);
        // Whoever says who he is in the header is that.
        let both = browser.request("GET", "/CertificateStoreTypes").header("authorization", "Basic eDp5");
        both.send().await.expect(401);
        let twice = browser.request("GET", "/CertificateStoreTypes").header(GUARD.0, GUARD.1);
        let cookie = format!("{0}={1}; {0}=x", browser.cookies[0].0, browser.cookies[0].1);
        twice.header("cookie", &cookie).send().await.expect(401);
        // Another sign-in takes the place of the first.
        let before = browser.cookies.clone();
        browser.sign_in(account.name(), PASSWORD).await.expect(204);
        assert_ne!(browser.cookies, before);
        let mut old = Browser::new(&server);
        old.cookies = before;
        old.call("GET", "/CertificateStoreTypes").await.expect(401);
        let answer = browser.call("POST", "/signout").await.expect(204);
        let kept = browser.cookies.clone();
        browser.keep(&answer);
        assert!(browser.cookies.is_empty());
        browser.cookies = kept;
        browser.call("GET", "/CertificateStoreTypes").await.expect(401);
        browser.call("POST", "/signout").await.expect(204);
    }

    async fn sessions_end_by_themselves_and_with_their_account(server: TestServer) {
        let account = server.account(&["/certificate_stores/read/"]).await;
        let minute = 60_000;
        let mut browser = Browser::new(&server);
        browser.sign_in(account.name(), PASSWORD).await.expect(204);
        // Used every so often it lives for twelve hours.
        for _ in 0..24 {
            server.clock.advance(29 * minute);
            browser.call("GET", "/CertificateStoreTypes").await.expect(200);
        }
        server.clock.advance(29 * minute);
        browser.call("GET", "/CertificateStoreTypes").await.expect(401);
        browser.sign_in(account.name(), PASSWORD).await.expect(204);
        server.clock.advance(30 * minute);
        browser.call("GET", "/CertificateStoreTypes").await.expect(401);
        browser.sign_in(account.name(), PASSWORD).await.expect(204);
        let cx = server.cx();
        accounts::set_disabled(&cx, account.name(), true).await.unwrap();
        browser.call("GET", "/CertificateStoreTypes").await.expect(401);
        accounts::set_disabled(&cx, account.name(), false).await.unwrap();
        browser.call("GET", "/CertificateStoreTypes").await.expect(200);
        accounts::reset_password(&cx, account.name(), "another horse battery".into()).await.unwrap();
        browser.call("GET", "/CertificateStoreTypes").await.expect(401);
    }

    async fn a_session_that_ends_on_one_server_ends_on_the_other(server: TestServer) {
        let account = server.account(&["/certificate_stores/read/"]).await;
        let (_app, other) = server.second().await;
        let mut browser = Browser::new(&server);
        browser.sign_in(account.name(), PASSWORD).await.expect(204);
        let there = async || {
            let request = browser.request_to(&other.anonymous(), "GET", "/CertificateStoreTypes");
            request.header(GUARD.0, GUARD.1).send().await
        };
        // Twice, so that the other one has it in memory if it keeps any of it.
        there().await.expect(200);
        there().await.expect(200);
        browser.call("POST", "/signout").await.expect(204);
        there().await.expect(401);
    }

    async fn sessions_are_seen_and_ended_by_those_who_may(server: TestServer) {
        let (alice, bob) = (server.account(&[]).await, server.account(&[]).await);
        let (mut first, mut second, mut others) = (Browser::new(&server), Browser::new(&server), Browser::new(&server));
        first.sign_in(alice.name(), PASSWORD).await.expect(204);
        server.clock.advance(1);
        second.sign_in(alice.name(), PASSWORD).await.expect(204);
        others.sign_in(bob.name(), PASSWORD).await.expect(204);
        let own = first.call("GET", "/Chancery/Sessions").await.expect(200);
        assert_eq!((own.items().len(), own.total()), (2, Some(2)));
        let current: Vec<&Value> = own.items().iter().map(|session| &session["Current"]).collect();
        assert_eq!(current, [&json!(true), &json!(false)]);
        // The same account by its password sees them too; others' sessions are nobody's business.
        assert_eq!(alice.get("/Chancery/Sessions").await.expect(200).items().len(), 2);
        alice.get("/Chancery/Sessions?All=true").await.expect(403);
        let all = server.admin().get("/Chancery/Sessions?All=true").await.expect(200);
        assert_eq!(all.items().len(), 3);
        assert!(server.admin().get("/Chancery/Sessions").await.expect(200).items().is_empty());
        let path = |session: &Value| format!("/Chancery/Sessions/{}", session["Id"].as_str().unwrap());
        let of_bob = all.items().iter().find(|session| session["Name"] == bob.name()).unwrap();
        first.call("DELETE", &path(of_bob)).await.expect(404);
        first.call("DELETE", &path(&own.items()[1])).await.expect(204);
        second.call("GET", "/Chancery/Sessions").await.expect(401);
        others.call("GET", "/Chancery/Sessions").await.expect(200);
        server.admin().delete(&path(of_bob)).await.expect(204);
        others.call("GET", "/Chancery/Sessions").await.expect(401);
        first.call("GET", "/Chancery/Sessions").await.expect(200);
    }
}
