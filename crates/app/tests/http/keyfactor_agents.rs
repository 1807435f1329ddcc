//! `/KeyfactorAgents`: sessions, enrollment, rotation, and what is refused how.

use agent_protocol::{
    AgentPlatform, HeartbeatRequest, JobCompleteRequest, JobConfigureRequest, Redacted,
    ResultStatus, SessionRegisterRequest, SessionRegisterResponse, path,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use db::tables::agents;
use pki::{Certificate, CertificateRequest, DistinguishedName, KeySpec, PrivateKey};
use sea_orm::{ActiveModelTrait, ActiveValue};
use serde_json::{Value, json};
use testkit::{PASSWORD, TestAgent, TestServer};

const DAY_MS: i64 = 86_400_000;

fn csr(name: &str) -> String {
    let key = PrivateKey::generate(KeySpec::EcP256).expect("a key can be made");
    let subject = DistinguishedName::parse(&format!("CN={name}")).expect("the name fits");
    BASE64.encode(
        CertificateRequest::create(&subject, &[], &key)
            .expect("a request")
            .der(),
    )
}

fn code(response: &SessionRegisterResponse) -> &str {
    response
        .result
        .error
        .as_ref()
        .and_then(|error| error.code_text())
        .unwrap_or_default()
}

fn thumbprint(agent: &TestAgent) -> String {
    let der = agent
        .certificate
        .as_ref()
        .expect("the agent has a certificate");
    Certificate::from_der(der).expect("it is one").thumbprint()
}

async fn listed(server: &TestServer, name: &str) -> Value {
    let answer = server
        .admin()
        .get(&format!(
            "/Agents?queryString=ClientMachine%20-eq%20%22{name}%22"
        ))
        .await
        .expect(200);
    answer.items().first().cloned().unwrap_or_default()
}

async fn ask_to_renew(server: &TestServer, agent: &TestAgent, how: i32) {
    let id = agent.id();
    let work = server.app().db().write("test.renew", move |tx| {
        Box::pin(async move {
            let row = agents::ActiveModel {
                id: ActiveValue::Unchanged(id),
                authentication_reenrollment: ActiveValue::Set(how),
                ..Default::default()
            };
            row.update(tx).await.map_err(db::Error::from).map(drop)
        })
    });
    work.await.expect("the agent can be changed");
}

testkit::both_databases! {
    async fn enrollment_waits_for_approval(server: TestServer) {
        let mut agent = server.new_agent("web1");
        let request = SessionRegisterRequest {
            agent_platform: AgentPlatform::Native,
            agent_version: 563_031_557_799_936,
            client_machine: "web1".into(),
            csr: Some(csr("web1")),
            ..Default::default()
        };
        // As it came: the C agent is stuck for ever when it is given an id without a certificate.
        let answer = agent.call(path::SESSION_REGISTER, &request).await;
        assert_eq!(answer["Session"]["Token"], Value::Null);
        assert_eq!(answer["Session"]["AgentId"], Value::Null);
        assert_eq!(answer["Session"]["Certificate"], Value::Null);
        assert_eq!(answer["Result"]["Status"], 3);
        assert_eq!(answer["Result"]["Error"]["CodeString"], "PENDING");

        let row = listed(&server, "web1").await;
        assert_eq!((&row["Status"], &row["Version"], &row["AgentPlatform"]), (&json!(1), &json!("2.19.0.0"), &json!(5)));
        assert_eq!((&row["Username"], &row["Thumbprint"]), (&json!("admin"), &Value::Null));

        agent.approve(&server.admin()).await;
        // A fresh key, as the C agent does it: the pending record is found by name and account.
        let response = agent.register_with_request().await;
        assert_eq!(response.result.status, ResultStatus::Success);
        let session = response.session.expect("a session");
        assert!(session.token.expect("a token").expose().len() <= 36);
        assert_eq!(session.agent_id.as_deref(), row["AgentId"].as_str());
        assert_eq!(listed(&server, "web1").await["Status"], 2);

        let certificate = Certificate::from_der(agent.certificate.as_ref().expect("a certificate")).expect("one DER certificate");
        assert_eq!(certificate.common_name(), Some("web1"));
        assert_eq!(certificate.not_before(), server.clock.now() - DAY_MS);
        assert_eq!(certificate.extended_key_usages(), ["1.3.6.1.5.5.7.3.2"]);
        assert_eq!(server.admin().get("/Agents").await.expect(200).items().len(), 1);
    }

    async fn the_same_request_gets_the_same_certificate(server: TestServer) {
        let mut agent = server.new_agent("web1");
        let request = csr("web1");
        agent.register_as(Some(request.clone())).await;
        agent.approve(&server.admin()).await;
        let first = agent.register_as(Some(request.clone())).await.session.expect("a session");
        agent.certificate = None;
        let second = agent.register_as(Some(request)).await.session.expect("a session");
        assert!(first.certificate.is_some());
        assert_eq!(first.certificate, second.certificate);
        assert_eq!(first.token, second.token);
        // An answer that was lost: nobody has used the certificate yet, so a new key gets a new one.
        agent.certificate = None;
        let third = agent.register_with_request().await.session.expect("a session");
        assert!(third.certificate.is_some() && third.certificate != first.certificate);
    }

    async fn the_certificate_alone_opens_a_session(server: TestServer) {
        let mut agent = server.agent("web1").await.anonymous();
        agent.register().await;
        assert!(agent.token.is_some());
        let row = listed(&server, "web1").await;
        assert_eq!(row["LastThumbprintUsed"], thumbprint(&agent));
        assert_eq!(row["Thumbprint"], thumbprint(&agent));
        let token = agent.token.clone();
        agent.register().await;
        assert_eq!(agent.token, token, "a running session goes on");
    }

    async fn an_account_does_not_open_an_agent_that_has_a_certificate(server: TestServer) {
        let mut agent = server.agent("web1").await;
        agent.register().await;
        let mut thief = server.new_agent("web1");
        let response = thief.register_with_request().await;
        assert_eq!(response.result.status, ResultStatus::Error);
        assert_eq!((&thief.token, &thief.certificate), (&None, &None));
        let response = thief.register_as(None).await;
        assert_eq!((response.result.status, &thief.token), (ResultStatus::Error, &None));
        let said = &listed(&server, "web1").await["LastErrorMessage"];
        assert!(said.as_str().is_some_and(|text| text.contains("present")), "{said}");
        agent.register().await;
        assert!(agent.token.is_some(), "the agent itself goes on");
        // Another account's agent of the same name is another agent.
        let client = server.account(&[]).await;
        let mut other = server.new_agent("web1").signed_in(client.name(), PASSWORD);
        assert_eq!(code(&other.register_with_request().await), "PENDING");
        assert_eq!(server.admin().get("/Agents").await.expect(200).items().len(), 2);
    }

    async fn who_is_nobody_gets_an_empty_401(server: TestServer) {
        for agent in [
            server.new_agent("web1").anonymous(),
            server.new_agent("web1").signed_in("admin", "wrong"),
            server.new_agent("web1").signed_in("nobody", PASSWORD),
        ] {
            let (status, body) = agent.send(path::SESSION_REGISTER, b"{}".to_vec()).await;
            assert_eq!((status.as_u16(), body.len()), (401, 0));
        }
        let mut stranger = server.new_agent("web1").anonymous();
        stranger.certificate = Some(b"of another authority".to_vec());
        let response = stranger.register_as(None).await;
        assert_eq!(response.result.status, ResultStatus::Error);
        assert!(server.admin().get("/Agents").await.expect(200).items().is_empty());
    }

    async fn what_is_not_understood_gets_an_empty_body(server: TestServer) {
        let agent = server.agent("web1").await;
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let bodies: [&[u8]; 7] = [b"", b"{", b"[]", b"null", b"\"x\"", b"\xff\xfe{}", deep.as_bytes()];
        for call in [
            path::SESSION_REGISTER,
            path::SESSION_HEARTBEAT,
            path::INVENTORY_CONFIGURE,
            path::INVENTORY_UPDATE,
            path::INVENTORY_COMPLETE,
            path::MANAGEMENT_CONFIGURE,
            path::MANAGEMENT_COMPLETE,
        ] {
            for body in bodies {
                let (status, answer) = agent.send(call, body.to_vec()).await;
                assert_eq!((status.as_u16(), answer.len()), (400, 0), "{call}: {}", String::from_utf8_lossy(body));
            }
        }
        for call in ["Session", "Session/Register/x", "AnyDiscovery/Configure", ""] {
            let (status, answer) = agent.send(call, b"{}".to_vec()).await;
            assert_eq!((status.as_u16(), answer.len()), (404, 0), "{call}");
        }
    }

    async fn bad_values_are_refused_in_the_protocols_words(server: TestServer) {
        let agent = server.new_agent("web1");
        for (body, word) in [
            (json!({}), "ClientMachine"),
            (json!({ "ClientMachine": "x".repeat(201) }), "ClientMachine"),
            (json!({ "ClientMachine": "web1", "CSR": "%%%" }), "CSR"),
            (json!({ "ClientMachine": "web1", "CSR": "AAAA" }), "CSR"),
            (json!({ "ClientMachine": "web1", "CSR": "A".repeat(20_000) }), "CSR"),
        ] {
            let answer = agent.call(path::SESSION_REGISTER, &body).await;
            assert_eq!(answer["Result"]["Status"], 3, "{body}");
            let message = answer["Result"]["Error"]["Message"].as_str().unwrap_or_default();
            assert!(message.contains(word) && message.len() <= 500, "{message}");
        }
    }

    async fn names_and_paths_in_any_case(server: TestServer) {
        let agent = server.agent("web1").await;
        let body = json!({ "clientmachine": "web1", "AGENTPLATFORM": 5, "capabilities": null, "clientParameters": null });
        let answer = agent.call("session//REGISTER/", &body).await;
        assert_eq!(answer["Result"]["Status"], 1, "{answer}");
    }

    async fn unknown_tokens_are_answered(server: TestServer) {
        let (mut mine, mut other) = (server.agent("web1").await, server.agent("web2").await);
        mine.register().await;
        other.register().await;
        let tokens = [
            String::new(),
            "x".repeat(5_000),
            "00000000-0000-0000-0000-000000000001".into(),
            other.token.clone().expect("a token"),
        ];
        for token in tokens {
            let token = Redacted::new(token);
            let configure = JobConfigureRequest { session_token: token.clone(), job_id: uuid::Uuid::nil() };
            let complete = JobCompleteRequest { session_token: token.clone(), ..Default::default() };
            for answer in [
                mine.call(path::INVENTORY_CONFIGURE, &configure).await,
                mine.call(path::INVENTORY_UPDATE, &configure).await,
                mine.call(path::MANAGEMENT_CONFIGURE, &configure).await,
                mine.call(path::INVENTORY_COMPLETE, &complete).await,
                mine.call(path::MANAGEMENT_COMPLETE, &complete).await,
            ] {
                assert_eq!(answer["Result"]["Status"], 3, "{answer}");
            }
            let heartbeat = HeartbeatRequest { session_token: token, ..Default::default() };
            let answer = mine.call(path::SESSION_HEARTBEAT, &heartbeat).await;
            assert_eq!((&answer["Result"]["Status"], &answer["SessionValid"]), (&json!(1), &json!(false)));
        }
    }

    async fn sessions_end(server: TestServer) {
        let mut agent = server.agent("web1").await;
        agent.register().await;
        let heartbeat = |agent: &TestAgent| HeartbeatRequest {
            session_token: Redacted::new(agent.token.clone().expect("a token")),
            ..Default::default()
        };
        let answer = agent.call(path::SESSION_HEARTBEAT, &heartbeat(&agent)).await;
        assert_eq!((&answer["SessionValid"], &answer["HeartbeatInterval"]), (&json!(true), &json!(5)));
        server.clock.advance(8 * 60 * 60 * 1000);
        let answer = agent.call(path::SESSION_HEARTBEAT, &heartbeat(&agent)).await;
        assert_eq!(answer["SessionValid"], false);
        let old = agent.token.clone();
        agent.register().await;
        assert!(agent.token.is_some() && agent.token != old);
    }

    async fn a_disapproved_agent_does_not_work(server: TestServer) {
        let mut agent = server.agent("web1").await;
        agent.register().await;
        server.admin().post("/Agents/Disapprove", json!([agent.id()])).await.expect(204);
        let heartbeat = HeartbeatRequest {
            session_token: Redacted::new(agent.token.clone().expect("a token")),
            ..Default::default()
        };
        assert_eq!(agent.call(path::SESSION_HEARTBEAT, &heartbeat).await["SessionValid"], false);
        let response = agent.register_as(None).await;
        assert_eq!((response.result.status, &agent.token), (ResultStatus::Error, &None));
        server.admin().post("/Agents/Approve", json!([agent.id()])).await.expect(204);
        agent.register().await;
        assert!(agent.token.is_some());
    }

    async fn rotation_accepts_both_certificates_until_the_new_one_is_seen(server: TestServer) {
        let mut agent = server.agent("web1").await.anonymous();
        agent.register().await;
        let old = agent.certificate.clone();
        // Without being asked to: some agents renew on their own.
        let response = agent.register_with_request().await;
        assert_eq!(response.result.status, ResultStatus::Success);
        let new = agent.certificate.clone();
        assert_ne!(old, new);
        let row = listed(&server, "web1").await;
        assert_eq!(row["Thumbprint"], thumbprint(&agent));
        // The agent died before it had saved the new one.
        agent.certificate = old.clone();
        assert_eq!(row["LegacyThumbprint"], thumbprint(&agent));
        agent.register().await;
        assert!(agent.token.is_some());
        agent.certificate = new;
        agent.register().await;
        assert!(agent.token.is_some());
        assert_eq!(listed(&server, "web1").await["LegacyThumbprint"], Value::Null);
        agent.certificate = old;
        let response = agent.register_as(None).await;
        assert_eq!((response.result.status, &agent.token), (ResultStatus::Error, &None));
    }

    async fn an_agent_is_asked_to_renew(server: TestServer) {
        let mut agent = server.agent("web1").await.anonymous();
        for (how, wanted) in [(1, "A0100007"), (2, "A0100008")] {
            ask_to_renew(&server, &agent, how).await;
            let response = agent.register_as(None).await;
            assert_eq!((response.result.status, code(&response)), (ResultStatus::Warning, wanted));
            assert_eq!(agent.token, None);
            let before = thumbprint(&agent);
            agent.register_with_request().await;
            assert!(agent.token.is_some());
            assert_ne!(thumbprint(&agent), before);
            assert_eq!(listed(&server, "web1").await["AuthCertificateReenrollment"], "None");
        }
        // Near the end of the certificate by itself.
        server.clock.advance(310 * DAY_MS);
        let response = agent.register_as(None).await;
        assert_eq!(code(&response), "A0100007");
    }

    async fn an_expired_agent_has_to_be_approved_again(server: TestServer) {
        let mut agent = server.agent("web1").await;
        agent.register().await;
        server.clock.advance(366 * DAY_MS);
        let mut again = server.new_agent("web1");
        assert_eq!(code(&again.register_with_request().await), "PENDING");
        assert_eq!(listed(&server, "web1").await["Status"], 1);
        again.enroll(&server.admin()).await;
        assert_eq!(again.id(), agent.id());
    }

    async fn a_reset_agent_starts_over(server: TestServer) {
        let mut agent = server.agent("web1").await;
        agent.register().await;
        let id = agent.id();
        server.admin().request("POST", &format!("/Agents/{id}/Reset")).text_body("null").send().await.expect(204);
        let row = listed(&server, "web1").await;
        assert_eq!((&row["Status"], &row["Thumbprint"]), (&json!(1), &Value::Null));
        // It still has its certificate, which is nobody's now.
        assert_eq!(code(&agent.register_as(None).await), "PENDING");
        agent.approve(&server.admin()).await;
        let response = agent.register_as(None).await;
        assert_eq!((response.result.status, code(&response)), (ResultStatus::Warning, "A0100008"));
        agent.register_with_request().await;
        agent.register().await;
        assert!(agent.token.is_some());
        assert_eq!(agent.id(), id);
    }

    async fn an_agent_without_a_certificate(server: TestServer) {
        let mut agent = server.new_agent("web1");
        assert_eq!(code(&agent.register_as(None).await), "PENDING");
        agent.approve(&server.admin()).await;
        agent.register().await;
        assert!(agent.token.is_some() && agent.id.is_some() && agent.certificate.is_none());
    }
}
