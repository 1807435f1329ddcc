//! Sign-in with tokens of identity providers, and the attacks on it that have to fail.

use std::pin::pin;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::tables::{self, claims, role_claims};
use sea_orm::{ActiveModelTrait, ActiveValue};
use serde_json::{Value, json};
use testkit::{Answer, TestServer};

use crate::decisions::certificate;
use crate::stand_in::{Signer, StandIn, unsigned};

async fn call(server: &TestServer, token: &str) -> Answer {
    let request = server.anonymous().request("GET", "/CertificateStoreTypes");
    request
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await
}

/// Lets a claim hold a role. It is done beside the interface, whose own tests are elsewhere.
async fn hold(server: &TestServer, kind: i32, value: &str, provider: &str, role_id: i64) {
    let (value, provider) = (value.to_owned(), provider.to_owned());
    let work = server.app().db().write("test.hold", move |tx| {
        Box::pin(async move {
            let claim = claims::ActiveModel {
                id: ActiveValue::NotSet,
                claim_type: ActiveValue::Set(kind),
                value_fold: ActiveValue::Set(db::fold(&value)),
                value: ActiveValue::Set(value),
                provider_fold: ActiveValue::Set(db::fold(&provider)),
                provider: ActiveValue::Set(provider),
                description: ActiveValue::Set(String::new()),
                created_at: ActiveValue::Set(0),
            };
            let claim_id = claim.insert(tx).await.map_err(db::Error::from)?.id;
            let held = role_claims::ActiveModel {
                role_id: ActiveValue::Set(role_id),
                claim_id: ActiveValue::Set(claim_id),
            };
            held.insert(tx).await.map_err(db::Error::from)?;
            Ok::<_, db::Error>(())
        })
    });
    work.await.unwrap();
    touch(server).await;
}

/// Changes something about roles through the interface, so that what is remembered of grants is read again.
async fn touch(server: &TestServer) {
    let name = format!("Role {}", server.clock.now() + i64::from(rand_number()));
    let role = json!({"Name": name, "Description": "", "Permissions": []});
    server
        .admin()
        .post("/Security/Roles", role)
        .await
        .expect(200);
}

fn rand_number() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

testkit::both_databases! {
    async fn claims_of_a_token_hold_roles(server: TestServer) {
        let idp = StandIn::start().await;
        let id = idp.enter(&server, "idp").await;
        let role = server.role("Type readers", &["/certificate_stores/read/"]).await;
        let token = idp.token(&idp.claims(&server));
        // Known, and nothing is granted.
        call(&server, &token).await.expect(403);
        hold(&server, 4, "Operators", "idp", role).await;
        call(&server, &token).await.expect(403);
        hold(&server, 6, "machine", "another", role).await;
        call(&server, &token).await.expect(403);
        for (kind, value) in [(4, "readers"), (5, "machine-1"), (6, "machine")] {
            let one = server.role(&format!("Role of {value}"), &["/certificate_stores/read/"]).await;
            hold(&server, kind, value, "IDP", one).await;
            call(&server, &token).await.expect(200);
        }
        assert_eq!(idp.count("/keys"), 1, "keys are remembered");
        // A disabled provider counts at once, and again when it is enabled.
        let path = format!("/IdentityProviders/{id}");
        let change = |enabled: bool| json!({"AuthenticationScheme": "idp", "DisplayName": "idp", "AuthenticationEnabled": enabled});
        server.admin().put(&path, change(false)).await.expect(200);
        call(&server, &token).await.expect(401);
        server.admin().put(&path, change(true)).await.expect(200);
        call(&server, &token).await.expect(200);
        // A remembered token ends when it ends.
        server.clock.advance(3_600_000 + 31_000);
        call(&server, &token).await.expect(401);
    }

    async fn the_name_is_the_callers_in_refusals(server: TestServer) {
        let idp = StandIn::start().await;
        idp.enter(&server, "idp").await;
        let mut claims = idp.claims(&server);
        claims["preferred_username"] = json!("alice@example.org");
        let refused = call(&server, &idp.token(&claims)).await.expect(403);
        assert!(refused.message().contains("alice@example.org"), "{}", refused.message());
        let challenge = server.anonymous().get("/CertificateStoreTypes").await.expect(401);
        let challenges: Vec<_> = challenge.headers.get_all("www-authenticate").iter().map(|one| one.to_str().unwrap()).collect();
        assert!(challenges[0].starts_with("Basic ") && challenges[1].starts_with("Bearer "), "{challenges:?}");
    }

    async fn forged_and_foreign_tokens_are_refused(server: TestServer) {
        let (idp, other) = (StandIn::start().await, StandIn::start().await);
        idp.enter(&server, "idp").await;
        other.enter(&server, "other").await;
        let rsa = Signer::rsa();
        idp.answer("/keys", json!({"keys": [idp.key.jwk("first"), rsa.jwk("rsa")]}));
        let good = idp.claims(&server);
        let now = server.clock.now() / 1000;
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        // The rest differs from these in one thing each.
        call(&server, &idp.token(&good)).await.expect(403);
        call(&server, &rsa.sign("rsa", &good)).await.expect(403);
        call(&server, &idp.token(&with("aud", json!(["x", "certificates"])))).await.expect(403);

        let token = idp.token(&good);
        let hmac_of = |secret: &[u8], header: Value| {
            let message = unsigned(&header, &good);
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
        };
        let mut spoiled = token.clone().into_bytes();
        let last = spoiled.len() - 10;
        spoiled[last] = if spoiled[last] == b'A' { b'B' } else { b'A' };
        let (message, signature) = token.rsplit_once('.').unwrap();
        let other_claims = unsigned(&json!({"alg": "ES256", "kid": "first", "typ": "JWT"}), &with("sub", json!("admin")));
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64::engine::general_purpose::STANDARD.encode(rsa.public_der()));
        let many: Vec<String> = (0..501).map(|number| format!("role-{number}")).collect();
        let attacks = [
            ("alg none", format!("{}.", unsigned(&json!({"alg": "none", "kid": "first"}), &good))),
            ("alg none with a signature", format!("{}.{signature}", unsigned(&json!({"alg": "none", "kid": "first"}), &good))),
            ("alg None", format!("{}.", unsigned(&json!({"alg": "None"}), &good))),
            ("HS256 by the RSA key", hmac_of(&rsa.public_der(), json!({"alg": "HS256", "kid": "rsa"}))),
            ("HS256 by the RSA key as PEM", hmac_of(pem.as_bytes(), json!({"alg": "HS256", "kid": "rsa"}))),
            ("HS256 by the point", hmac_of(&idp.key.public_der(), json!({"alg": "HS256", "kid": "first"}))),
            ("HS256 without a key id", hmac_of(b"", json!({"alg": "HS256"}))),
            ("RS256 by the EC key's id", rsa.sign("first", &good)),
            ("a key in the header", {
                let thief = Signer::ec();
                let message = unsigned(&json!({"alg": "ES256", "jwk": thief.jwk("first"), "jku": "https://192.0.2.9/keys"}), &good);
                let signed = thief.sign("first", &good);
                format!("{message}.{}", signed.rsplit_once('.').unwrap().1)
            }),
            ("expired", idp.token(&with("exp", json!(now - 31)))),
            ("without an end", idp.token(&with("exp", Value::Null))),
            ("not yet valid", idp.token(&with("nbf", json!(now + 31)))),
            ("issued in the future", idp.token(&with("iat", json!(now + 31)))),
            ("other audience", idp.token(&with("aud", json!("chancery")))),
            ("no audience", idp.token(&with("aud", Value::Null))),
            ("empty audience", idp.token(&with("aud", json!([])))),
            ("unknown issuer", idp.token(&with("iss", json!("https://issuer.example")))),
            ("no issuer", idp.token(&with("iss", Value::Null))),
            ("two issuers", idp.token(&with("iss", json!([idp.issuer, other.issuer])))),
            ("unknown key", idp.key.sign("second", &good)),
            ("key of another provider", other.token(&good)),
            ("another provider's issuer", idp.token(&with("iss", json!(other.issuer)))),
            ("wrong signature", String::from_utf8(spoiled).unwrap()),
            ("other claims below the signature", format!("{other_claims}.{signature}")),
            ("no signature", format!("{message}.")),
            ("two parts", message.to_owned()),
            ("four parts", format!("{token}.x")),
            ("huge", idp.token(&with("groups", json!(["x".repeat(20_000)])))),
            ("too many roles", idp.token(&with("roles", json!(many)))),
            ("no subject", { let mut claims = good.clone(); claims["sub"] = json!(""); claims["client_id"] = Value::Null; idp.token(&claims) }),
            ("nothing", String::new()),
            ("no token", "a.b.c".to_owned()),
        ];
        for (what, token) in attacks {
            let answer = call(&server, &token).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text);
            assert!(what == "nothing" || answer.message() == "The token is not accepted.", "{what}: {}", answer.text);
        }
        // Two ways at once, and a good token in the place of a password.
        let twice = server.admin().request("GET", "/CertificateStoreTypes").header("authorization", &format!("Basic {token}"));
        twice.send().await.expect(401);
    }

    async fn keys_turn_over_and_the_provider_is_not_flooded(server: TestServer) {
        let idp = StandIn::start().await;
        let id = idp.enter(&server, "idp").await;
        let good = idp.claims(&server);
        call(&server, &idp.token(&good)).await.expect(403);
        let next = Signer::ec();
        let new = next.sign("second", &good);
        // The key is not published yet: it is asked for once, and not again for each token.
        server.clock.advance(30_000);
        for _ in 0..3 {
            call(&server, &new).await.expect(401);
        }
        assert_eq!(idp.count("/keys"), 2);
        idp.answer("/keys", json!({"keys": [idp.key.jwk("first"), next.jwk("second"), {"kty": "odd"}]}));
        call(&server, &new).await.expect(401);
        server.clock.advance(30_000);
        call(&server, &new).await.expect(403);
        assert_eq!(idp.count("/keys"), 3);
        // A provider that goes away does not lock anybody out before a day has passed.
        let kept = std::mem::take(&mut *idp.answers.lock().unwrap());
        let asked = idp.count("/.well-known/openid-configuration");
        server.clock.advance(61 * 60_000);
        let mut old = good.clone();
        old["exp"] = json!(server.clock.now() / 1000 + 2 * 24 * 3_600);
        let old = next.sign("second", &old);
        call(&server, &old).await.expect(403);
        assert_eq!(idp.count("/.well-known/openid-configuration"), asked + 1, "it was asked, and what was known did");
        server.clock.advance(23 * 3_600_000);
        call(&server, &old).await.expect(401);
        *idp.answers.lock().unwrap() = kept;
        server.clock.advance(30_000);
        call(&server, &old).await.expect(403);
        // A withdrawn key ends within the hour.
        idp.answer("/keys", json!({"keys": [idp.key.jwk("first")]}));
        server.clock.advance(61 * 60_000);
        let mut late = good.clone();
        late["exp"] = json!(server.clock.now() / 1000 + 60);
        call(&server, &next.sign("second", &late)).await.expect(401);
        call(&server, &idp.token(&late)).await.expect(403);
        let status = server.admin().get(&format!("/Chancery/IdentityProviders/{id}/Status")).await.expect(200).json;
        assert_eq!((&status["Usable"], &status["KeyIds"], &status["Trouble"]), (&json!(true), &json!(["first"]), &Value::Null));
        assert_eq!(status["RedirectAddress"], "https://chancery.example/signin/idp/callback");
    }

    async fn a_provider_that_hangs_keeps_nobody_waiting(server: TestServer) {
        // A provider that hangs is waited for three of these: who is answered within one has not waited for it, on a busy machine either.
        let turn = std::time::Duration::from_secs(2);
        let server = TestServer::start_with(server.database(), |options| options.egress.time = 3 * turn).await;
        let idp = StandIn::start().await;
        let id = idp.enter(&server, "idp").await;
        let long = |sub: &str| {
            let mut claims = idp.claims(&server);
            claims["sub"] = json!(sub);
            claims["exp"] = json!(server.clock.now() / 1000 + 100 * 3_600);
            idp.token(&claims)
        };
        call(&server, &long("first")).await.expect(403);
        server.clock.advance(61 * 60_000);
        let well_known = "/.well-known/openid-configuration";
        idp.hang(well_known);
        // The one who asks gives up; the others do not ask again, and the keys that are known do for them.
        let (one, two) = (long("one"), long("two"));
        tokio::time::timeout(turn / 2, call(&server, &one)).await.unwrap_err();
        for token in [&one, &two] {
            tokio::time::timeout(turn, call(&server, token)).await.unwrap().expect(403);
        }
        assert_eq!(idp.count(well_known), 2);
        // Also while it is being asked.
        server.clock.advance(30_000);
        let (three, four) = (long("three"), long("four"));
        // Whichever comes first asks and waits; the other does not.
        let (three, four) = (pin!(call(&server, &three)), pin!(call(&server, &four)));
        let first = tokio::time::timeout(turn, futures::future::select(three, four)).await;
        let (first, waiting) = first.unwrap().factor_first();
        first.expect(403);
        waiting.await.expect(403);
        assert_eq!(idp.count(well_known), 3);
        let status = server.admin().get(&format!("/Chancery/IdentityProviders/{id}/Status")).await.expect(200).json;
        assert_eq!(status["Usable"], false, "{status}");
    }

    async fn an_agent_is_a_local_account(server: TestServer) {
        let idp = StandIn::start().await;
        idp.enter(&server, "idp").await;
        let token = format!("Bearer {}", idp.token(&idp.claims(&server)));
        let register = async |authorization: &str| {
            let request = server.anonymous().request("POST", "/KeyfactorAgents/Session/Register");
            request.header("authorization", authorization).text_body("{").send().await.status
        };
        assert_eq!(register(&token).await, 401);
        let account = base64::engine::general_purpose::STANDARD.encode(format!("admin:{}", testkit::PASSWORD));
        assert_eq!(register(&format!("Basic {account}")).await, 400, "it is let in, and says nothing that can be understood");
        let failed = crate::audit::found(&server, "Operation -eq \"Sign-in failed\"").await;
        assert_eq!(failed[0]["AuditIdentifier"], "idp\\machine");
    }

    async fn without_an_audience_no_token_is_an_access_token(server: TestServer) {
        let idp = StandIn::start().await;
        let id = idp.enter(&server, "idp").await;
        let mut id_token = idp.claims(&server);
        id_token["aud"] = json!("chancery");
        let without = json!({"AuthenticationScheme": "idp", "DisplayName": "idp", "Parameters": {"Authority": idp.issuer, "ClientId": "chancery"}});
        server.admin().put(&format!("/IdentityProviders/{id}"), without).await.expect(200);
        for claims in [id_token, idp.claims(&server)] {
            call(&server, &idp.token(&claims)).await.expect(401);
        }
    }

    async fn a_name_of_a_provider_is_not_a_local_accounts(server: TestServer) {
        let idp = StandIn::start().await;
        idp.enter(&server, "idp").await;
        let local = server.account(&["/certificates/collections/read/"]).await;
        let der = certificate(&server, "named.example", 1).await;
        let work = server.app().db().write("test.requester", {
            let name = local.name().to_owned();
            move |tx| Box::pin(async move {
                let row = tables::certificates::ActiveModel {
                    id: ActiveValue::Unchanged(der),
                    requester: ActiveValue::Set(Some(name)),
                    ..Default::default()
                };
                row.update(tx).await?;
                Ok::<_, db::Error>(())
            })
        });
        work.await.unwrap();
        let role = server.role("Readers", &["/certificates/collections/read/"]).await;
        hold(&server, 5, "machine-1", "idp", role).await;
        let mut claims = idp.claims(&server);
        claims["preferred_username"] = json!(format!("{}\u{202e}\n", local.name()));
        let token = format!("Bearer {}", idp.token(&claims));
        let ask = async |path: &str| server.anonymous().request("GET", path).header("authorization", &token).send().await;
        let mine = "/Certificates?QueryString=RequesterName%20-eq%20%22%25ME%25%22";
        assert_eq!(local.get(mine).await.expect(200).items().len(), 1);
        assert!(!ask("/Certificates").await.expect(200).items().is_empty());
        assert_eq!(ask(mine).await.expect(200).items().len(), 0, "it is somebody else's");
        let refused = ask("/Agents").await.expect(403);
        let name = format!("idp\\{}", local.name());
        assert!(refused.message().starts_with(&format!("User {name} ")), "{}", refused.message());
        let records = crate::audit::found(&server, "Operation -eq \"Rejected\"").await;
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["User"], json!(name));
    }

    async fn what_is_wrong_with_a_provider_is_told_to_who_may_read_it(server: TestServer) {
        let idp = StandIn::start().await;
        let id = idp.enter(&server, "idp").await;
        let path = format!("/Chancery/IdentityProviders/{id}/Status");
        let reader = server.account(&["/identity_providers/read/"]).await;
        server.account(&[]).await.get(&path).await.expect(403);
        let well_known = "/.well-known/openid-configuration";
        let mut inside = idp.discovery();
        inside["jwks_uri"] = json!("http://127.0.0.2:80/keys");
        let mut plain = idp.discovery();
        plain["jwks_uri"] = json!("http://idp.example/keys");
        let mut metadata = idp.discovery();
        metadata["jwks_uri"] = json!("https://169.254.169.254/latest/meta-data");
        let mut foreign = idp.discovery();
        foreign["issuer"] = json!("https://issuer.example");
        for (discovery, keys, expected) in [
            (json!("text"), Value::Null, "discovery document cannot be read"),
            (foreign, Value::Null, "not of the authority"),
            (json!({"issuer": idp.issuer}), Value::Null, "no jwks_uri"),
            (inside, Value::Null, "egress_allow"),
            (metadata, Value::Null, "egress_allow"),
            (plain, Value::Null, "does not begin with https://"),
            (idp.discovery(), json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}), "holds no key"),
            (idp.discovery(), json!({"keys": "none"}), "key set cannot be read"),
        ] {
            idp.answer(well_known, discovery);
            idp.answer("/keys", keys);
            server.clock.advance(30_000);
            let token = idp.token(&idp.claims(&server));
            call(&server, &token).await.expect(401);
            let status = reader.get(&path).await.expect(200).json;
            assert_eq!(status["Usable"], false);
            let trouble = status["Trouble"].as_str().unwrap();
            assert!(trouble.contains(expected), "{expected}: {trouble}");
        }
    }
}
