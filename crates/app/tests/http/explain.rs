//! Explanations: with a request, without one, and the other way round. They never differ from the decision.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{Answer, Client, RequestBuilder, TestServer};

use crate::certificate_stores::{create, pem, pem_agent};
use crate::enrollment::{csr, put_into};
use crate::owner::{certificate, collection, container, give};
use crate::scoped_stores::requested_by;

const EXPLAIN: &str = "/Chancery/Security/Explain";
const WHO_CAN: &str = "/Chancery/Security/WhoCan";
const HEADER: &str = "x-chancery-explanation";

/// What the header of a success says.
fn header(answer: &Answer) -> Value {
    let text = answer.header(HEADER).expect("there is an explanation");
    assert!(text.is_ascii() && text.len() <= 8192);
    serde_json::from_str(text).expect("the explanation is JSON")
}

async fn explained(server: &TestServer, body: Value) -> Value {
    server.admin().post(EXPLAIN, body).await.expect(200).json
}

/// What cannot be seen by counting: numbers in no order, the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// Two collections, two containers, three certificates and three stores.
struct World {
    collections: [i64; 2],
    containers: [i64; 2],
    certificates: Vec<i64>,
    stores: Vec<String>,
}

impl World {
    async fn build(server: &TestServer) -> Self {
        let certificates = vec![
            certificate(server, "CN=one.example").await,
            certificate(server, "CN=two.example").await,
            certificate(server, "CN=three.test").await,
        ];
        let collections = [
            collection(server, "Examples", "IssuedCN -endswith \".example\"").await,
            collection(server, "Tests", "IssuedCN -endswith \".test\"").await,
        ];
        let containers = [
            container(server, "Near").await,
            container(server, "Far").await,
        ];
        let agent = pem_agent(server).await;
        let mut stores = Vec::new();
        for (index, place) in [containers[0], containers[1], 0].into_iter().enumerate() {
            let mut body = pem(agent, &format!("/store{index}.pem"));
            if place != 0 {
                body["ContainerId"] = json!(place);
            }
            let store = create(&server.admin(), body).await;
            put_into(server, &store, certificates[index]).await;
            stores.push(store);
        }
        Self {
            collections,
            containers,
            certificates,
            stores,
        }
    }

    fn grant(&self, dice: &mut Dice) -> String {
        const PATHS: [&str; 16] = [
            "/certificates/collections/read/#c",
            "/certificates/collections/change_owner/#c",
            "/certificate_stores/read/#k",
            "/certificate_stores/schedule/#k",
            "/certificate_stores/modify/#k",
            "/certificate_stores/change_owner/#k",
            "/certificates/expanded_change_owner/",
            "/security/read/",
            "/security/modify/",
            "/certificates/enrollment/csr/",
            "/certificate_templates/read/",
            "/agents/",
            "/certificates/collections/",
            "/certificate_stores/",
            "/application_settings/modify/",
            "/certificates/",
        ];
        let path = PATHS[dice.roll(PATHS.len())];
        let object = match dice.roll(4) {
            0 => String::new(),
            other => format!(
                "{}/",
                if path.ends_with('c') {
                    self.collections[other % 2]
                } else {
                    self.containers[other % 2]
                }
            ),
        };
        path.replace("#c", &object).replace("#k", &object)
    }
}

/// Something to try, and what explanations are asked about it.
struct Attempt<'c> {
    request: RequestBuilder,
    operation: &'static str,
    object: Value,
    _caller: &'c Client,
}

fn attempts<'c>(
    world: &World,
    caller: &'c Client,
    roles: &[i64],
    dice: &mut Dice,
) -> Vec<Attempt<'c>> {
    let certificate = world.certificates[dice.roll(3)];
    let store = &world.stores[dice.roll(3)];
    let collection = [0, world.collections[0], world.collections[1]][dice.roll(3)];
    let container = [0, world.containers[0], world.containers[1]][dice.roll(3)];
    let role = roles[dice.roll(roles.len())];
    let through = format!("collectionId={collection}");
    let both = format!("{through}&containerId={container}");
    let get = |path: String| caller.request("GET", &path);
    let reached = json!({ "CertificateId": certificate, "CollectionId": collection });
    let add = json!({
        "CertificateId": certificate, "CollectionId": collection, "ContainerId": container, "Schedule": { "Immediate": true },
        "CertificateStores": [{ "CertificateStoreId": store, "Overwrite": true }],
    });
    let enroll = json!({ "CSR": csr("CN=new.example", &["new.example"]), "Template": "WebServer", "OwnerRoleId": role });
    let list: Vec<(&'static str, RequestBuilder, Value)> = vec![
        ("GET /Certificates", get("/Certificates".into()), json!({})),
        (
            "GET /Certificates",
            get(format!("/Certificates?CollectionId={collection}")),
            json!({ "CollectionId": collection }),
        ),
        (
            "GET /Certificates/{id}",
            get(format!("/Certificates/{certificate}?{through}")),
            reached.clone(),
        ),
        (
            "GET /Certificates/7/History",
            get(format!("/Certificates/{certificate}/History?{through}")),
            reached.clone(),
        ),
        (
            "GET /Certificates/{id}/Security",
            get(format!("/Certificates/{certificate}/Security?{through}")),
            reached.clone(),
        ),
        (
            "post /KeyfactorAPI/certificates/download",
            caller
                .request("POST", &format!("/Certificates/Download?{through}"))
                .header("x-certificateformat", "PEM")
                .json(json!({ "CertID": certificate })),
            reached,
        ),
        (
            "PUT /Certificates/{id}/Owner",
            caller
                .request("PUT", &format!("/Certificates/{certificate}/Owner?{both}"))
                .json(json!({ "NewRoleId": role })),
            json!({ "CertificateId": certificate, "CollectionId": collection, "ContainerId": container, "OwnerRoleId": role }),
        ),
        (
            "PUT /Certificates/{id}/Owner",
            caller
                .request("PUT", &format!("/Certificates/{certificate}/Owner?{both}"))
                .json(json!({ "NewRoleId": null })),
            json!({ "CertificateId": certificate, "CollectionId": collection, "ContainerId": container }),
        ),
        (
            "GET /CertificateStores",
            get("/CertificateStores".into()),
            json!({}),
        ),
        (
            "GET /CertificateStores/{id}",
            get(format!("/CertificateStores/{store}")),
            json!({ "StoreId": store }),
        ),
        (
            "POST /CertificateStores/Schedule",
            caller
                .request("POST", "/CertificateStores/Schedule")
                .json(json!({ "StoreIds": [store], "Schedule": { "Off": true } })),
            json!({ "StoreId": store }),
        ),
        (
            "POST /CertificateStores/Certificates/Add",
            caller
                .request("POST", "/CertificateStores/Certificates/Add")
                .json(add),
            json!({ "CertificateId": certificate, "CollectionId": collection, "ContainerId": container, "StoreId": store }),
        ),
        (
            "GET /CertificateStoreContainers",
            get("/CertificateStoreContainers".into()),
            json!({}),
        ),
        (
            "GET /Applications/{id}",
            get(format!("/Applications/{}", container.max(1))),
            json!({ "ContainerId": container.max(1) }),
        ),
        (
            "GET /CertificateCollections",
            get("/CertificateCollections".into()),
            json!({}),
        ),
        (
            "GET /CertificateCollections/{id}",
            get(format!("/CertificateCollections/{}", collection.max(1))),
            json!({ "CollectionId": collection.max(1) }),
        ),
        (
            "GET /CertificateStoreTypes",
            get("/CertificateStoreTypes".into()),
            json!({ "ContainerId": container }),
        ),
        (
            "GET /Security/Roles",
            get("/Security/Roles".into()),
            json!({}),
        ),
        ("GET /Templates", get("/Templates".into()), json!({})),
        ("GET /Agents", get("/Agents".into()), json!({})),
        (
            "PUT /AppSetting",
            caller.request("PUT", "/AppSetting").json(json!([])),
            json!({}),
        ),
        (
            "POST /Enrollment/CSR",
            caller
                .request("POST", "/Enrollment/CSR")
                .header("x-certificateformat", "PEM")
                .json(enroll),
            json!({ "OwnerRoleId": role }),
        ),
    ];
    let attempt = |(operation, request, object)| Attempt {
        request,
        operation,
        object,
        _caller: caller,
    };
    list.into_iter().map(attempt).collect()
}

async fn random_world(server: &TestServer, seed: u64) {
    let world = World::build(server).await;
    let mut dice = Dice(seed);
    let mut roles = Vec::new();
    for number in 0..6 {
        let grants: BTreeSet<String> = (0..dice.roll(5)).map(|_| world.grant(&mut dice)).collect();
        let paths: Vec<&str> = grants.iter().map(String::as_str).collect();
        roles.push(server.role(&format!("Random {number}"), &paths).await);
    }
    let mut wrong = Vec::new();
    let (mut allowed, mut refused) = (0, 0);
    for number in 0..5 {
        let first = dice.roll(roles.len());
        let caller = server
            .account_in_role(&format!("random{number}"), &format!("Random {first}"))
            .await;
        for role in roles
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != first)
            .map(|(_, role)| *role)
        {
            if dice.roll(4) == 0 {
                give(server, &caller, role).await;
            }
        }
        for attempt in attempts(&world, &caller, &roles, &mut dice) {
            let question = json!({ "Operation": attempt.operation, "Object": attempt.object });
            let mut of_account = question.clone();
            of_account["Account"] = json!(caller.name());
            let said = explained(server, of_account).await;
            let who = server
                .admin()
                .post(WHO_CAN, question)
                .await
                .expect(200)
                .json;
            let named = who["Identities"]
                .as_array()
                .unwrap()
                .iter()
                .any(|identity| identity["Name"] == caller.name());
            let answer = attempt
                .request
                .header("x-chancery-explain", "true")
                .send()
                .await;
            let real = answer.status != 403;
            if real {
                allowed += 1;
            } else {
                refused += 1;
            }
            // What the request itself shows, to who may see it.
            let shown = match answer.header(HEADER) {
                Some(text) if text.contains("Refused") => real,
                Some(_) => header(&answer)["Allowed"] == true,
                None => answer.json["Explanation"]["Allowed"] == true,
            };
            if said["Allowed"] != real || named != real || shown != real || answer.status >= 500 {
                wrong.push(format!(
                    "{} {}: {}, explained as {}, {} WhoCan, {shown} in the answer: {}\n{}",
                    attempt.operation,
                    attempt.object,
                    answer.status,
                    said["Allowed"],
                    if named { "in" } else { "not in" },
                    answer.text,
                    said
                ));
            }
            if !real {
                assert!(!said["Missing"].as_array().unwrap().is_empty(), "{said}");
                assert!(said["Refusal"].is_string(), "{said}");
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        allowed > 10 && refused > 10,
        "{allowed} allowed, {refused} refused"
    );
}

testkit::both_databases! {
    /// What is found for one is used for another only where nothing about them differs.
    async fn who_can_tells_apart_whom_a_query_tells_apart(server: TestServer) {
        let id = certificate(&server, "CN=one.example").await;
        let (mine, all) = (collection(&server, "Mine", "Requester -eq \"%ME%\"").await, collection(&server, "All", "").await);
        server.role("Readers", &[&format!("/certificates/collections/read/{mine}/"), &format!("/certificates/collections/read/{all}/")]).await;
        for name in ["alice", "bob", "carol"] {
            server.account_in_role(name, "Readers").await;
        }
        requested_by(&server, id, "bob").await;
        let able = async |collection: i64| {
            let asked = json!({ "Operation": "GET /Certificates/{id}", "Object": { "CertificateId": id, "CollectionId": collection } });
            let answer = server.admin().post(WHO_CAN, asked).await.expect(200);
            let identities = answer.json["Identities"].as_array().unwrap().clone();
            identities.iter().map(|identity| identity["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(able(mine).await, ["admin", "bob"]);
        assert_eq!(able(all).await, ["admin", "alice", "bob", "carol"]);
        assert_eq!(able(0).await, ["admin"]);
    }

    async fn a_refusal_is_explained_in_its_body(server: TestServer) {
        let near = container(&server, "Near").await;
        let caller = server.account(&["/security/read/", &format!("/certificate_stores/read/{near}/")]).await;
        let request = caller.request("POST", "/CertificateStores/Schedule").header("X-Chancery-Explain", "true");
        let answer = request.json(json!({ "StoreIds": [], "Schedule": { "Immediate": true } })).send().await.expect(403);
        assert!(answer.message().contains("Certificate Store Management - Schedule"));
        let explanation = &answer.json["Explanation"];
        assert_eq!(explanation["Allowed"], false);
        assert_eq!(explanation["Operation"], "POST /CertificateStores/Schedule");
        assert_eq!(explanation["Identity"]["Name"], caller.name());
        assert_eq!(explanation["Refusal"], answer.message());
        assert_eq!(explanation["Missing"], json!(["/certificate_stores/schedule/"]));
        let role = &explanation["Roles"][0];
        assert_eq!(role["HeldThrough"][0]["ClaimValue"], caller.name());
        let decision = explanation["Decisions"].as_array().unwrap().iter().find(|decision| decision["Kind"] == "Permission").unwrap();
        assert_eq!((decision["Permission"].as_str(), decision["Object"].as_str()), (Some("/certificate_stores/schedule/"), Some("system")));
        // The grant on the container is none on the system, so it is not looked at; the other one is, for both permissions.
        let looked: Vec<(&str, &str)> = decision["LookedAt"].as_array().unwrap().iter().map(|look| (look["Grant"].as_str().unwrap(), look["LookedFor"].as_str().unwrap())).collect();
        assert_eq!(looked, [("/security/read/", "/certificate_stores/schedule/"), ("/security/read/", "/certificate_stores/modify/")]);
        assert_eq!(answer.header(HEADER), None);
    }

    async fn a_success_is_explained_in_a_header(server: TestServer) {
        let admin = server.admin();
        let ask = |client: &Client, path: &str| client.request("GET", path).header("x-chancery-explain", "1").send();
        let answer = ask(&admin, "/Security/Roles").await.expect(200);
        let explanation = header(&answer);
        assert_eq!((&explanation["Allowed"], &explanation["Cut"]), (&json!(true), &json!(false)));
        let decided = &explanation["Decisions"][0];
        assert_eq!((decided["DecidedBy"]["Role"].as_str(), decided["DecidedBy"]["Grant"].as_str()), (Some("Administrator"), Some("/")));
        // A name beyond ASCII, and a great many grants, still make a header.
        let grants: Vec<String> = (1..=300).map(|id| format!("/certificate_stores/read/{id}/")).chain(["/security/read/".into()]).collect();
        let paths: Vec<&str> = grants.iter().map(String::as_str).collect();
        server.role("Größe 🔑", &paths).await;
        let many = server.account_in_role("many", "Größe 🔑").await;
        let answer = ask(&many, "/CertificateStores").await.expect(200);
        let explanation = header(&answer);
        assert_eq!(explanation["Roles"][0]["Name"], "Größe 🔑");
        // A mistake in a request that is allowed is explained as well.
        let answer = ask(&admin, "/Certificates/x").await.expect(400);
        assert_eq!(answer.json["Explanation"]["Allowed"], true);
        assert_eq!(ask(&admin, "/Certificates/987654").await.expect(404).json["Explanation"]["Allowed"], true);
    }

    async fn who_may_not_see_it_gets_the_plain_answer(server: TestServer) {
        let caller = server.account(&["/certificate_stores/read/"]).await;
        for (path, status) in [("/CertificateStores", 200), ("/Templates", 403)] {
            let plain = caller.get(path).await.expect(status);
            let asked = caller.request("GET", path).header("x-chancery-explain", "true").send().await.expect(status);
            assert_eq!(asked.text, plain.text);
            assert_eq!(plain.header(HEADER), None);
            assert!(asked.header(HEADER).unwrap().contains("Security Settings - Read is needed"));
        }
        let unasked = server.admin().request("GET", "/Templates").header("x-chancery-explain", "false").send().await.expect(200);
        assert_eq!(unasked.header(HEADER), None);
        caller.post(EXPLAIN, json!({ "Account": "admin", "Operation": "GET /Templates" })).await.expect(403);
        caller.post(WHO_CAN, json!({ "Operation": "GET /Templates" })).await.expect(403);
    }

    async fn an_account_a_role_and_a_claim_are_explained(server: TestServer) {
        let world = World::build(&server).await;
        let path = format!("/certificate_stores/schedule/{}/", world.containers[0]);
        let role = server.role("Schedulers", &[&path]).await;
        server.account_in_role("field", "Schedulers").await;
        let operation = "POST /CertificateStores/Schedule";
        let store = json!({ "StoreId": world.stores[0] });
        let said = explained(&server, json!({ "Account": "FIELD", "Operation": operation, "Object": store })).await;
        assert_eq!((&said["Allowed"], &said["Needs"]), (&json!(true), &json!([["/certificate_stores/schedule/"]])));
        assert_eq!((said["Identity"]["Kind"].as_str(), said["Identity"]["Name"].as_str()), (Some("Account"), Some("field")));
        let decided = said["Decisions"].as_array().unwrap().iter().find(|decision| decision["Allowed"] == true).unwrap();
        assert_eq!(decided["DecidedBy"]["Grant"], path);
        assert_eq!(decided["Object"], format!("container {}", world.containers[0]));
        let id = &said["Identity"]["Id"];
        let claim = &said["Roles"][0]["HeldThrough"][0]["Id"];
        for (who, kind) in [
            (json!({ "AccountId": id }), "Account"), (json!({ "Role": "schedulers" }), "Role"), (json!({ "RoleId": role }), "Role"), (json!({ "ClaimId": claim }), "Claim"),
        ] {
            for (what, object, allowed) in [
                (operation, store.clone(), true),
                (operation, json!({ "StoreId": world.stores[1] }), false),
                (operation, json!({}), false),
                ("GET /CertificateStores", json!({}), true),
                ("/certificate_stores/schedule/", json!({ "ContainerId": world.containers[0] }), true),
                ("CertificateStoreManagement:Read", json!({ "ContainerId": world.containers[0] }), true),
                (path.as_str(), json!({}), true),
                ("CertificateStoreManagement:Modify", json!({ "ContainerId": world.containers[0] }), false),
            ] {
                let mut body = who.clone();
                body["Operation"] = json!(what);
                body["Object"] = object;
                let said = explained(&server, body.clone()).await;
                assert_eq!((&said["Allowed"], &said["Identity"]["Kind"]), (&json!(allowed), &json!(kind)), "{body}");
            }
        }
        let who = server.admin().post(WHO_CAN, json!({ "Operation": operation, "Object": store })).await.expect(200).json;
        let names = |member: &str| -> Vec<String> { who[member].as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap().to_owned()).collect() };
        assert_eq!((names("Roles"), names("Identities")), (vec!["Administrator".to_owned(), "Schedulers".into()], vec!["admin".to_owned(), "field".into()]));
        assert_eq!(who["IdentitiesCount"], 2);
        assert_eq!(who["Identities"][1]["Roles"], json!(["Schedulers"]));
        // Nothing was done.
        let store = server.admin().get(&format!("/CertificateStores/{}", world.stores[0])).await.expect(200).json;
        assert_eq!(store["CertStoreInventoryJobId"], Value::Null);
    }

    async fn wrong_questions_are_refused(server: TestServer) {
        let admin = server.admin();
        for (body, said) in [
            (json!({ "Account": "admin", "Operation": "POST /Nothing" }), "Operation"),
            (json!({ "Account": "admin", "Operation": "PATCH /Certificates" }), "Operation"),
            (json!({ "Account": "admin", "Operation": "" }), "Operation"),
            (json!({ "Account": "admin", "Operation": "/certificates/" }), "Operation"),
            (json!({ "Operation": "GET /Templates" }), "one of them has to be given"),
            (json!({ "Account": "admin", "Role": "Administrator", "Operation": "GET /Templates" }), "no other"),
            (json!({ "Account": "nobody", "Operation": "GET /Templates" }), "Account"),
            (json!({ "RoleId": 987_654, "Operation": "GET /Templates" }), "RoleId"),
            (json!({ "Account": "admin", "Operation": "GET /Templates", "Object": { "StoreId": "00000000-0000-0000-0000-000000000001" } }), "Object.StoreId"),
            (json!({ "Account": "admin", "Operation": "PUT /Certificates/1/Owner", "Object": { "OwnerRoleId": 987_654 } }), "Object.OwnerRoleId"),
        ] {
            let refused = admin.post(EXPLAIN, body.clone()).await.expect(400);
            assert!(refused.message().contains(said), "{body}: {}", refused.text);
        }
        admin.post(WHO_CAN, json!({ "Operation": "POST /Nothing" })).await.expect(400);
    }

    async fn explanations_agree_with_decisions(server: TestServer) {
        random_world(&server, 0x5eed).await;
    }

    async fn explanations_agree_with_decisions_elsewhere(server: TestServer) {
        random_world(&server, 0xfee1).await;
    }
}
