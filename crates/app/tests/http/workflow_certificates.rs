//! `/Workflow/Certificates`: requests that wait for a manager.

use db::tables::orchestrator_jobs;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use testkit::{Client, TestServer};

use crate::certificate_stores::{create, pem, pem_agent};
use crate::enrollment::{csr, enroll_csr, enroll_pfx};
use crate::metadata_fields::define;
use crate::owner::give;
use crate::scoped_stores::container;
use crate::templates::change;

/// A request that waits. Answers its id.
async fn waiting(client: &Client, name: &str) -> i64 {
    define(client, &[("Team", 1), ("Rank", 2)]).await;
    let body = json!({"CSR": csr(&format!("CN={name}"), &[name]), "Template": "WebServerApproval", "Metadata": {"Team": "Web", "Rank": 3}});
    let answer = enroll_csr(client, body).await.expect(200);
    let information = &answer.json["CertificateInformation"];
    assert_eq!(information["RequestDisposition"], "PENDING");
    assert_eq!(
        (
            information["KeyfactorID"].as_i64(),
            information["SerialNumber"].as_str()
        ),
        (Some(0), Some(""))
    );
    assert_eq!(information["Certificates"], json!([]));
    information["KeyfactorRequestId"].as_i64().unwrap()
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["KeyfactorRequestId"].as_i64())
        .collect()
}

testkit::both_databases! {
    async fn pending_requests_are_listed(server: TestServer) {
        let admin = server.admin();
        let first = waiting(&admin, "a.example").await;
        server.clock.advance(1000);
        let second = waiting(&admin, "b.example").await;
        let list = admin.get("/Workflow/Certificates/Pending?pagedQuery.returnLimit=1000").await.expect(200);
        assert_eq!(list.total(), Some(2));
        let item = &list.items()[0];
        assert_eq!(item["Id"], first);
        assert_eq!(item["CommonName"], "a.example");
        assert_eq!(item["DistinguishedName"], "CN=a.example");
        assert_eq!(item["SubmissionDate"], "2026-11-21T12:00:00Z");
        assert_eq!(item["CertificateAuthority"], "chancery.example\\Chancery-Issuing-CA");
        assert_eq!(item["Template"], "WebServerApproval");
        assert_eq!(item["Requester"], "admin");
        assert_eq!((item["State"].as_i64(), item["StateString"].as_str()), (Some(5), Some("Pending")));
        assert_eq!(item["Metadata"], json!({"Team": "Web", "Rank": "3"}));
        for (query, count) in [
            ("SubmissionDate%20-ge%20%222026-11-21T12:00:01Z%22%20AND%20Requester%20-eq%20%22ADMIN%22", 1),
            ("Template%20-eq%20%22webserverapproval%22", 2),
            ("Template%20-eq%20%22WebServer%22", 0),
            ("CertificateAuthority%20-contains%20%22issuing%22", 2),
            ("CommonName%20-startswith%20%22B.%22", 1),
        ] {
            let found = admin.get(&format!("/Workflow/Certificates/Pending?QueryString={query}")).await.expect(200);
            assert_eq!(found.items().len(), count, "{query}");
        }
        let last = admin.get("/Workflow/Certificates/Pending?SortField=SubmissionDate&SortAscending=1&ReturnLimit=1").await.expect(200);
        assert_eq!(last.items()[0]["Id"], second);
        assert!(admin.get("/Workflow/Certificates/ExternalValidation").await.expect(200).items().is_empty());
        assert!(admin.get("/Workflow/Certificates/Denied").await.expect(200).items().is_empty());
        admin.get("/Workflow/Certificates/Pending?SortField=Secret").await.expect(400);
        let stranger = server.account(&["/certificates/"]).await;
        for path in ["Pending", "Denied", "ExternalValidation", "1"] {
            let answer = stranger.get(&format!("/Workflow/Certificates/{path}")).await.expect(403);
            assert!(answer.message().contains("Alerts - Read"), "{}", answer.message());
        }
    }

    async fn one_is_read_in_any_state(server: TestServer) {
        let admin = server.admin();
        let id = waiting(&admin, "a.example").await;
        let one = admin.get(&format!("/Workflow/Certificates/{id}")).await.expect(200).json;
        assert_eq!(one["SANs"], json!(["a.example"]));
        assert_eq!(one["SubjectAltNames"], json!([{"Value": "a.example", "Type": "DNS"}]));
        assert_eq!((one["KeyLength"].as_str(), one["Curve"].as_str()), (Some("256"), Some("P-256")));
        assert_eq!(one["CertStores"], json!([]));
        assert!(one["DenialComment"].is_null());
        let deny = json!({"CertificateRequestIds": [id], "Comment": "Not this one"});
        admin.post("/Workflow/Certificates/Deny", deny).await.expect(200);
        let one = admin.get(&format!("/Workflow/Certificates/{id}")).await.expect(200).json;
        assert_eq!((one["State"].as_i64(), one["DenialComment"].as_str()), (Some(3), Some("Not this one")));
        let denied = admin.get("/Workflow/Certificates/Denied").await.expect(200);
        assert_eq!(denied.items()[0]["StateString"], "Denied");
        admin.get("/Workflow/Certificates/4711").await.expect(404);
    }

    async fn approval_issues_and_says_what_became_of_each(server: TestServer) {
        let admin = server.admin();
        let first = waiting(&admin, "a.example").await;
        let second = waiting(&admin, "b.example").await;
        admin.post("/Workflow/Certificates/Deny", json!({"CertificateRequestIds": [second]})).await.expect(200);
        let answer = admin.post("/Workflow/Certificates/Approve", json!([first, 4711, second, first])).await.expect(200).json;
        assert_eq!(ids(&answer["Successes"]), [first], "an id given twice is handled once");
        assert_eq!(ids(&answer["Failures"]), [4711, second]);
        assert_eq!(answer["Denials"], json!([]));
        let success = &answer["Successes"][0];
        assert_eq!(success["CAHost"], "chancery.example");
        assert_eq!(success["CALogicalName"], "Chancery-Issuing-CA");
        assert_eq!(success["CARequestId"], first.to_string());
        assert_eq!(success["Comment"], "");
        assert!(answer["Failures"][0]["CARowId"].is_null());
        assert_eq!(answer["Failures"][0]["Comment"], "There is no request 4711.");
        assert_eq!(answer["Failures"][1]["Comment"], "The request has been denied already.");

        let again = admin.post("/Workflow/Certificates/Approve", json!([first])).await.expect(200).json;
        assert_eq!(again["Failures"][0]["Comment"], "The request has been approved already.");
        let found = admin.get(&format!("/Certificates?QueryString=CertRequestId%20-eq%20{first}&includeMetadata=true")).await.expect(200);
        assert_eq!(found.items().len(), 1);
        assert_eq!(found.items()[0]["IssuedCN"], "a.example");
        assert_eq!(found.items()[0]["Metadata"]["Team"], "Web");
        assert!(admin.get("/Workflow/Certificates/Pending").await.expect(200).items().is_empty());
    }

    async fn an_approved_pfx_is_in_the_inventory_with_its_key(server: TestServer) {
        let admin = server.admin();
        let order = json!({"Subject": "CN=a.example", "Template": "WebServerApproval", "Password": "a password"});
        let answer = enroll_pfx(&admin, "PFX", order).await.expect(200);
        assert_eq!(answer.json["CertificateInformation"]["Pkcs12Blob"], "");
        let id = answer.json["CertificateInformation"]["KeyfactorRequestId"].as_i64().unwrap();
        let answer = admin.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200).json;
        assert_eq!(ids(&answer["Successes"]), [id]);
        let found = admin.get(&format!("/Certificates?QueryString=CertRequestId%20-eq%20{id}&includeHasPrivateKey=true")).await.expect(200);
        assert_eq!(found.items()[0]["HasPrivateKey"], true);
        let certificate = found.items()[0]["Id"].as_i64().unwrap();
        let renewed = admin.post("/Enrollment/Renew", json!({"CertificateId": certificate, "Template": "WebServer"})).await.expect(200);
        assert_eq!(renewed.json["RequestDisposition"], "ISSUED");
    }

    async fn metadata_has_to_fit_its_field_still_when_a_request_is_approved(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1), ("Rank", 2)]).await;
        let order = json!({"Subject": "CN=a.example", "Template": "WebServerApproval", "Password": "a password", "Metadata": {"Team": "Web", "Rank": 3}});
        let answer = enroll_pfx(&admin, "PFX", order).await.expect(200);
        let id = answer.json["CertificateInformation"]["KeyfactorRequestId"].as_i64().unwrap();
        let mut field = admin.get("/MetadataFields/Team").await.expect(200).json;
        field["Validation"] = json!("^[a-z]+$");
        field["Message"] = json!("a team is written small");
        admin.put("/MetadataFields", field.clone()).await.expect(200);
        let answer = admin.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200).json;
        assert!(answer["Failures"][0]["Comment"].as_str().unwrap().contains("Metadata.Team"), "{answer}");
        assert_eq!(admin.get(&format!("/Workflow/Certificates/{id}")).await.expect(200).json["State"], 5);
        let found = admin.get(&format!("/Certificates?QueryString=CertRequestId%20-eq%20{id}")).await.expect(200);
        assert_eq!(found.items().len(), 0);
        field["Validation"] = json!("");
        admin.put("/MetadataFields", field.clone()).await.expect(200);
        let answer = admin.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200).json;
        assert_eq!(ids(&answer["Successes"]), [id]);
        // A renewal keeps what its certificate has, as long as there is the field.
        field["Validation"] = json!("^[a-z]+$");
        admin.put("/MetadataFields", field).await.expect(200);
        let path = format!("/Certificates?QueryString=CertRequestId%20-eq%20{id}");
        let certificate = admin.get(&path).await.expect(200).items()[0]["Id"].clone();
        let renewed = admin.post("/Enrollment/Renew", json!({"CertificateId": certificate, "Template": "WebServerApproval"})).await.expect(200).json;
        let renewal = renewed["KeyfactorRequestId"].as_i64().unwrap();
        let rank = admin.get("/MetadataFields/Rank").await.expect(200).json["Id"].clone();
        admin.delete(&format!("/MetadataFields/{rank}?force=true")).await.expect(204);
        let answer = admin.post("/Workflow/Certificates/Approve", json!([renewal])).await.expect(200).json;
        assert_eq!(ids(&answer["Successes"]), [renewal]);
        let path = format!("/Certificates?QueryString=CertRequestId%20-eq%20{renewal}&includeMetadata=true");
        assert_eq!(admin.get(&path).await.expect(200).items()[0]["Metadata"], json!({"Team": "Web"}));
    }

    async fn two_managers_at_once_issue_one_certificate(server: TestServer) {
        let admin = server.admin();
        let id = waiting(&admin, "a.example").await;
        let path = "/Workflow/Certificates/Approve";
        let attempts = (0..8).map(|_| admin.post(path, json!([id])));
        let answers = futures::future::join_all(attempts).await;
        let (mut successes, mut failures) = (0, 0);
        for answer in answers {
            let json = answer.expect(200).json;
            successes += json["Successes"].as_array().unwrap().len();
            failures += json["Failures"].as_array().unwrap().len();
        }
        assert_eq!((successes, failures), (1, 7));
        let found = admin.get(&format!("/Certificates?QueryString=CertRequestId%20-eq%20{id}")).await.expect(200);
        assert_eq!(found.items().len(), 1);
    }

    async fn approve_and_deny_at_once_agree_on_one_of_them(server: TestServer) {
        let admin = server.admin();
        let id = waiting(&admin, "a.example").await;
        let (approved, denied) = futures::future::join(
            admin.post("/Workflow/Certificates/Approve", json!([id])),
            admin.post("/Workflow/Certificates/Deny", json!({"CertificateRequestIds": [id]})),
        ).await;
        let done = |answer: &Value| answer["Successes"].as_array().unwrap().len();
        let (approved, denied) = (done(&approved.expect(200).json), done(&denied.expect(200).json));
        assert_eq!(approved + denied, 1);
        let state = admin.get(&format!("/Workflow/Certificates/{id}")).await.expect(200).json["State"].as_i64();
        assert_eq!(state, Some(if approved == 1 { 1 } else { 3 }));
    }

    async fn who_may_not_decide(server: TestServer) {
        let admin = server.admin();
        let id = waiting(&admin, "a.example").await;
        let reader = server.account(&["/monitoring/alerts/read/"]).await;
        reader.post("/Workflow/Certificates/Approve", json!([id])).await.expect(403);
        reader.post("/Workflow/Certificates/Deny", json!({"CertificateRequestIds": [id]})).await.expect(403);

        server.role("Web team", &[]).await;
        change(&admin, "WebServerApproval", json!({"UseAllowedRequesters": true, "AllowedRequesters": ["Web team"]})).await;
        let manager = server.account(&["/certificates/requests/manage/"]).await;
        for (path, body) in [("Approve", json!([id])), ("Deny", json!({"CertificateRequestIds": [id], "Comment": "no"}))] {
            let answer = manager.post(&format!("/Workflow/Certificates/{path}"), body).await.expect(200).json;
            assert_eq!(ids(&answer["Denials"]), [id]);
            assert!(answer["Denials"][0]["Comment"].as_str().unwrap().contains("Web team"));
        }
        server.role("Web managers", &["/certificates/requests/manage/"]).await;
        change(&admin, "WebServerApproval", json!({"AllowedRequesters": ["web managers"]})).await;
        let manager = server.account_in_role("manager", "Web managers").await;
        let answer = manager.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200).json;
        assert_eq!(ids(&answer["Successes"]), [id]);
    }

    async fn a_request_that_the_authority_refuses_goes_on_waiting(server: TestServer) {
        let admin = server.admin();
        let id = waiting(&admin, "a.example").await;
        let start = server.clock.now();
        server.clock.advance(11 * 365 * 24 * 60 * 60 * 1000);
        let answer = admin.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200).json;
        assert!(answer["Failures"][0]["Comment"].as_str().unwrap().contains("expired"), "{answer}");
        server.clock.set(start);
        let answer = admin.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200).json;
        assert_eq!(ids(&answer["Successes"]), [id]);
    }

    /// What a request names is checked again when it is approved, with the rights that its requester has then.
    async fn an_approval_does_no_more_than_the_requester_may(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let stores = [create(&admin, pem(agent, "/1")).await, create(&admin, pem(agent, "/2")).await];
        let near = container(&server, "Near").await;
        let assigned = json!({ "KeystoreIds": [stores[0]], "CertStoreContainerId": near });
        admin.put("/CertificateStores/AssignContainer", assigned).await.expect(200);
        let web = server.role("Web", &[]).await;
        server.role("Enrollers", &["/certificates/enrollment/pfx/", &format!("/certificate_stores/schedule/{near}/")]).await;
        let everywhere = server.role("Everywhere", &["/certificate_stores/schedule/"]).await;
        let requester = server.account_in_role("requester", "Enrollers").await;
        give(&server, &requester, web).await;
        give(&server, &requester, everywhere).await;
        let wait = async |changes: Value| {
            let mut body = json!({"Subject": "CN=a.example", "Template": "WebServerApproval"});
            body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            let request = requester.request("POST", "/Enrollment/PFX").version(2).header("x-certificateformat", "STORE");
            request.json(body).send().await.expect(200).json["CertificateInformation"]["KeyfactorRequestId"].as_i64().unwrap()
        };
        let approver = server.account(&["/certificates/requests/manage/"]).await;
        let approve = async |id: i64| approver.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200).json;
        let certificate = async |id: i64| {
            let found = admin.get(&format!("/Certificates?QueryString=CertRequestId%20-eq%20{id}")).await.expect(200);
            found.items()[0].clone()
        };
        let to_both = json!({"Stores": [{"StoreId": stores[0]}, {"StoreId": stores[1]}]});
        let stored = [wait(to_both.clone()).await, wait(to_both).await];
        let owned = [wait(json!({"OwnerRoleId": web})).await, wait(json!({"OwnerRoleId": web})).await, wait(json!({"OwnerRoleId": web})).await];
        let unowned = [wait(json!({})).await, wait(json!({})).await];

        let jobs = || async { orchestrator_jobs::Entity::find().count(server.app().db().read()).await.unwrap() };
        assert_eq!(ids(&approve(stored[0]).await["Successes"]), [stored[0]]);
        assert_eq!(jobs().await, 2);
        admin.delete(&format!("/Security/Roles/{everywhere}")).await.expect(204);
        assert_eq!(ids(&approve(stored[1]).await["Successes"]), [stored[1]]);
        assert_eq!(jobs().await, 3);
        let history = admin.get(&format!("/Certificates/{}/History", certificate(stored[1]).await["Id"])).await.expect(200);
        let told = history.items().iter().any(|line| {
            let comment = line["Comment"].as_str().unwrap();
            comment.contains(&stores[1]) && comment.contains("requester may not schedule it any more")
        });
        assert!(told, "{}", history.text);

        assert_eq!(ids(&approve(owned[0]).await["Successes"]), [owned[0]]);
        assert_eq!(certificate(owned[0]).await["OwnerRoleName"], "Web");
        admin.put("/AppSetting/CertificateOwnerRole/Set", json!({"Value": "None"})).await.expect(200);
        let refused = approve(owned[1]).await;
        assert!(refused["Failures"][0]["Comment"].as_str().unwrap().contains("certificates have no owners here"), "{refused}");
        admin.put("/AppSetting/CertificateOwnerRole/Set", json!({"Value": "Required"})).await.expect(200);
        let refused = approve(unowned[0]).await;
        assert!(refused["Failures"][0]["Comment"].as_str().unwrap().contains("every certificate has to have an owner"), "{refused}");
        let mail = server.role("Mail", &[]).await;
        admin.put("/AppSetting/DefaultCertificateOwnerRoleId/Set", json!({"Value": mail.to_string()})).await.expect(200);
        assert_eq!(ids(&approve(unowned[0]).await["Successes"]), [unowned[0]]);
        assert_eq!(certificate(unowned[0]).await["OwnerRoleName"], "Mail");

        // The requester does not hold the role any more.
        let asleep = |enabled: bool| json!({ "Id": web, "Name": "Web", "Description": "", "Enabled": enabled });
        admin.put("/Security/Roles", asleep(false)).await.expect(200);
        let refused = approve(owned[1]).await;
        assert!(refused["Failures"][0]["Comment"].as_str().unwrap().contains("User requester"), "{refused}");
        admin.put("/Security/Roles", asleep(true)).await.expect(200);
        assert_eq!(ids(&approve(owned[1]).await["Successes"]), [owned[1]]);

        // A role that only a request names can be deleted. The request can be denied then, and nothing else.
        for id in [owned[0], owned[1]] {
            let path = format!("/Certificates/{}/Owner", certificate(id).await["Id"]);
            admin.put(&path, json!({"NewRoleId": mail})).await.expect(204);
        }
        admin.delete(&format!("/Security/Roles/{web}")).await.expect(204);
        let refused = approve(owned[2]).await;
        assert!(refused["Failures"][0]["Comment"].as_str().unwrap().contains("not there any more; the request can only be denied"), "{refused}");
        let denied = approver.post("/Workflow/Certificates/Deny", json!({"CertificateRequestIds": [owned[2]]})).await.expect(200).json;
        assert_eq!(ids(&denied["Successes"]), [owned[2]]);
    }

    async fn bodies_that_say_nothing(server: TestServer) {
        let admin = server.admin();
        let answer = admin.post("/Workflow/Certificates/Approve", json!([])).await.expect(200).json;
        assert_eq!(answer, json!({"Successes": [], "Failures": [], "Denials": []}));
        admin.post("/Workflow/Certificates/Approve", json!(null)).await.expect(400);
        admin.post("/Workflow/Certificates/Approve", json!(["x"])).await.expect(400);
        admin.post("/Workflow/Certificates/Deny", json!({"Comment": "which?"})).await.expect(400);
        let many: Vec<i64> = (1..=1001).collect();
        admin.post("/Workflow/Certificates/Approve", json!(many)).await.expect(400);
    }
}
