//! `POST /Certificates/Revoke`, `POST /Certificates/RevokeAll`, and the revocation lists at `/crl`.

use std::path::PathBuf;
use std::process::Command;

use db::tables;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use testkit::{Answer, Client, START, TestServer};

use crate::enrollment::{csr, enroll_csr};
use crate::owner::{certificate, collection, container, store_in};

const DAY: i64 = 86_400_000;
const REVOKE: &str = "/certificates/collections/revoke/";

/// Enrolls for a name. Answers the id and the chain in PEM, leaf first.
pub(crate) async fn enrolled(server: &TestServer, name: &str) -> (i64, Vec<String>) {
    let body = json!({ "CSR": csr(&format!("CN={name}"), &[name]), "Template": "WebServer", "IncludeChain": true });
    let answer = enroll_csr(&server.admin(), body).await.expect(200);
    let information = &answer.json["CertificateInformation"];
    let pems = information["Certificates"].as_array().unwrap();
    let pems = pems
        .iter()
        .map(|pem| pem.as_str().unwrap().to_owned())
        .collect();
    (information["KeyfactorID"].as_i64().unwrap(), pems)
}

pub(crate) async fn revoke(client: &Client, ids: &[i64], reason: i64) -> Answer {
    let body = json!({ "CertificateIds": ids, "Reason": reason, "Comment": "Because" });
    client.post("/Certificates/Revoke", body).await
}

pub(crate) fn parsed(pem: &str) -> pki::Certificate {
    pki::Certificate::from_der(&pki::pem::certificates(pem.as_bytes())[0]).unwrap()
}

/// The path of the list that a certificate names.
fn list_path(certificate: &pki::Certificate) -> String {
    let urls = certificate.crl_distribution_points();
    assert_eq!(urls.len(), 1);
    let path = urls[0].strip_prefix("https://chancery.example").unwrap();
    path.to_owned()
}

/// The list that a certificate names, as anybody reads it.
pub(crate) async fn list(server: &TestServer, pem: &str) -> pki::RevocationList {
    let path = list_path(&parsed(pem));
    let answer = server.anonymous().get(&path).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/pkix-crl"));
    pki::RevocationList::from_der(&answer.octets).unwrap()
}

fn number(list: &pki::RevocationList) -> u64 {
    u64::from_str_radix(list.number().unwrap(), 16).unwrap()
}

async fn shown(server: &TestServer, id: i64) -> Value {
    let path = format!("/Certificates/{id}");
    server.admin().get(&path).await.expect(200).json
}

pub(crate) async fn total(server: &TestServer, revoked: bool) -> u64 {
    let path = format!("/Certificates?IncludeRevoked={revoked}&IncludeExpired=true");
    server.admin().get(&path).await.total().unwrap()
}

/// Audit records about certificates with this operation, oldest first.
pub(crate) async fn records(
    server: &TestServer,
    operation: i32,
) -> Vec<tables::audit_records::Model> {
    tables::audit_records::Entity::find()
        .filter(tables::audit_records::Column::Category.eq(2001))
        .filter(tables::audit_records::Column::Operation.eq(operation))
        .order_by_asc(tables::audit_records::Column::Id)
        .all(server.app().db().read())
        .await
        .unwrap()
}

/// What OpenSSL says of a certificate (leaf first) with the list: whether it is good, and its words.
fn openssl(server: &TestServer, chain: &[String], list: &pki::RevocationList) -> (bool, String) {
    let file = |name: &str, content: &str| -> PathBuf {
        let path = server.folder().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let leaf = file("leaf.pem", &chain[0]);
    let issuing = file("issuing.pem", &chain[1]);
    let root = file("root.pem", &chain[2]);
    let crl = server.folder().join("list.crl");
    std::fs::write(&crl, list.der()).unwrap();
    let run = |arguments: &[&str], files: &[(&str, &PathBuf)], last: Option<&PathBuf>| {
        let mut command = Command::new("openssl");
        command.args(arguments);
        for (option, path) in files {
            command.arg(option).arg(path);
        }
        let output = command.args(last).output().expect("openssl runs");
        let words = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&words).into_owned(),
        )
    };
    let pem = server.folder().join("list.pem");
    let signed = run(
        &["crl", "-inform", "DER"],
        &[("-in", &crl), ("-CAfile", &issuing), ("-out", &pem)],
        None,
    );
    assert!(signed.0 && signed.1.contains("verify OK"), "{}", signed.1);
    let at = (START / 1000).to_string();
    run(
        &["verify", "-attime", &at, "-crl_check"],
        &[
            ("-CAfile", &root),
            ("-untrusted", &issuing),
            ("-CRLfile", &pem),
        ],
        Some(&leaf),
    )
}

testkit::both_databases! {
    async fn a_revocation_is_in_the_list_at_once(server: TestServer) {
        let (id, chain) = enrolled(&server, "revoked.example").await;
        let (other, other_chain) = enrolled(&server, "good.example").await;
        let (leaf, issuing) = (parsed(&chain[0]), parsed(&chain[1]));
        let first = list(&server, &chain[0]).await;
        first.verify_signed_by(&issuing).unwrap();
        assert_eq!((first.length(), first.this_update()), (0, START));
        assert!(openssl(&server, &chain, &first).0);
        let (good, all) = (total(&server, false).await, total(&server, true).await);

        // As a client writes it whose clock shows local time.
        let body = json!({
            "CertificateIds": [id], "Reason": 1, "Comment": " Lost laptop ", "EffectiveDate": "2026-11-21T13:58:00+02:00", "CollectionId": 0
        });
        let answer = server.admin().post("/Certificates/Revoke", body).await.expect(200);
        assert_eq!(answer.json, json!({ "RevokedIds": [id], "SuspendedCerts": [] }));

        let next = list(&server, &chain[0]).await;
        next.verify_signed_by(&issuing).unwrap();
        assert_eq!(number(&next), number(&first) + 1);
        let entry = next.entry(leaf.serial_content()).unwrap();
        assert_eq!((entry.at, entry.reason), (START - 120_000, Some(1)));
        let (is_good, words) = openssl(&server, &chain, &next);
        assert!(!is_good && words.contains("certificate revoked"), "{words}");
        assert!(openssl(&server, &other_chain, &next).0);

        let now = shown(&server, id).await;
        assert_eq!(now["CertState"], 2);
        assert_eq!(now["RevocationReason"], 1);
        assert_eq!(now["RevocationComment"], "Lost laptop");
        assert_eq!(now["RevocationEffDate"], "2026-11-21T11:58:00Z");
        assert_eq!(shown(&server, other).await["CertState"], 1);
        assert_eq!((total(&server, false).await, total(&server, true).await), (good - 1, all));
        let history = server.admin().get(&format!("/Certificates/{id}/History")).await.expect(200);
        let line = history.items().iter().find(|line| line["Action"] == "Revoked").unwrap();
        assert_eq!((line["Comment"].as_str(), line["Username"].as_str()), (Some("Lost laptop"), Some("admin")));
        let records = records(&server, 6).await;
        assert_eq!(records.len(), 1);
        let json = |text: &Option<String>| serde_json::from_str::<Value>(text.as_ref().unwrap()).unwrap();
        assert_eq!(json(&records[0].before)["CertState"], 1);
        assert_eq!(json(&records[0].after), json!({
            "CertState": 2, "RevocationEffDate": "2026-11-21T11:58:00Z", "RevocationReason": 1, "RevocationComment": "Lost laptop"
        }));

        // Again, and without a reason: it is so already. Another reason is put in its place, but hold is not.
        assert_eq!(revoke(&server.admin(), &[id], 1).await.expect(200).json["RevokedIds"], json!([id]));
        revoke(&server.admin(), &[id], 0).await.expect(200);
        assert_eq!(number(&list(&server, &chain[0]).await), number(&next));
        revoke(&server.admin(), &[id], 4).await.expect(200);
        let entry = list(&server, &chain[0]).await.entry(leaf.serial_content()).unwrap();
        assert_eq!((entry.at, entry.reason), (START - 120_000, Some(4)));
        for (reason, words) in [(6, "it is revoked for good"), (-1, "it is not on hold")] {
            let refused = revoke(&server.admin(), &[id], reason).await.expect(400);
            assert!(refused.reasons()[0].contains(words), "{}", refused.text);
        }
        assert_eq!(total(&server, false).await, good - 1);
    }

    async fn hold_is_taken_back(server: TestServer) {
        let (id, chain) = enrolled(&server, "held.example").await;
        let leaf = parsed(&chain[0]);
        let good = total(&server, false).await;
        for back in [-1, 7, 8] {
            revoke(&server.admin(), &[id], 6).await.expect(200);
            let held = list(&server, &chain[0]).await;
            assert_eq!(held.entry(leaf.serial_content()).unwrap().reason, Some(6));
            assert!(openssl(&server, &chain, &held).1.contains("certificate revoked"));
            assert_eq!((shown(&server, id).await["CertState"].as_i64(), total(&server, false).await), (Some(2), good - 1));
            revoke(&server.admin(), &[id], back).await.expect(200);
            let free = list(&server, &chain[0]).await;
            assert!(free.entry(leaf.serial_content()).is_none() && number(&free) > number(&held));
            assert!(openssl(&server, &chain, &free).0);
            let now = shown(&server, id).await;
            assert_eq!((now["CertState"].as_i64(), now["RevocationReason"].as_i64(), now["RevocationEffDate"].as_str()), (Some(1), None, None));
            assert_eq!(total(&server, false).await, good);
        }
        assert_eq!(records(&server, 14).await.len(), 3);
        // From hold to revoked for good: since the hold.
        revoke(&server.admin(), &[id], 6).await.expect(200);
        server.clock.advance(DAY);
        revoke(&server.admin(), &[id], 0).await.expect(200);
        let entry = list(&server, &chain[0]).await.entry(leaf.serial_content()).unwrap();
        assert_eq!((entry.at, entry.reason), (START, None));
        revoke(&server.admin(), &[id], -1).await.expect(400);
    }

    async fn what_cannot_be_revoked_changes_nothing(server: TestServer) {
        let (id, chain) = enrolled(&server, "kept.example").await;
        let foreign = certificate(&server, "CN=foreign.example").await;
        let before = number(&list(&server, &chain[0]).await);
        let admin = server.admin();
        let post = async |body: Value| admin.post("/Certificates/Revoke", body).await;
        let refused = revoke(&admin, &[id, foreign, 1], 0).await.expect(400);
        assert!(refused.message().contains("2 certificates cannot be revoked"), "{}", refused.text);
        assert!(refused.reasons()[0].contains("the certificate of an authority"), "{}", refused.text);
        assert!(refused.reasons()[1].contains(&format!("Certificate {foreign}: it was issued by none of this server's authorities")));
        let unknown = revoke(&admin, &[id, 4_000_000], 0).await.expect(404);
        assert!(unknown.message().contains("4000000"), "{}", unknown.text);
        for reason in [-2, 9, 42, i64::MAX] {
            assert!(revoke(&admin, &[id], reason).await.expect(400).message().contains("Reason"));
        }
        let of = |member: &str, value: Value| {
            let mut body = json!({ "CertificateIds": [id], "Reason": 1, "Comment": "" });
            body[member] = value;
            body
        };
        let many: Vec<i64> = (1..=100_000).collect();
        for (member, value) in [
            ("CertificateIds", json!(null)),
            ("CertificateIds", json!([])),
            ("CertificateIds", json!(many)),
            ("CertificateIds", json!("x")),
            ("CertificateIds", json!([1.5])),
            ("Comment", json!("x".repeat(4_001))),
            ("EffectiveDate", json!("yesterday")),
            ("EffectiveDate", json!("2026-13-40")),
            ("EffectiveDate", json!("%TODAY%")),
            ("EffectiveDate", json!("2026-11-23T00:00:00Z")),
            ("EffectiveDate", json!("9999-12-31T23:59:59Z")),
            ("Reason", json!("key")),
        ] {
            let refused = post(of(member, value)).await.expect(400);
            assert!(refused.message().contains(member), "{}", refused.text);
        }
        let early = post(of("EffectiveDate", json!("2020-01-01"))).await.expect(400);
        assert!(early.reasons()[0].contains("EffectiveDate is before the certificate begins"));
        assert_eq!(shown(&server, id).await["CertState"], 1);
        assert_eq!(number(&list(&server, &chain[0]).await), before);
        assert_eq!(records(&server, 6).await.len(), 0);
        // What clients send that set no date, and one whose clock is ahead.
        for date in ["0001-01-01T00:00:00Z", "2026-11-21T12:05:00Z"] {
            post(of("EffectiveDate", json!(date))).await.expect(200);
            assert_eq!(shown(&server, id).await["RevocationEffDate"], "2026-11-21T12:00:00Z");
        }
    }

    async fn rights_on_collections_and_containers(server: TestServer) {
        let (inside, _) = enrolled(&server, "inside.example").await;
        let (outside, _) = enrolled(&server, "outside.example").await;
        let through = collection(&server, "Inside", "IssuedCN -eq \"inside.example\"").await;
        let containers = [container(&server, "One").await, container(&server, "Two").await];
        store_in(&server, containers[0], "/etc/one.pem", inside).await;
        let by_collection = server.account(&[&format!("{REVOKE}{through}/")]).await;
        let by_container = server.account(&[&format!("/certificate_stores/revoke/{}/", containers[0])]).await;
        let nobody = server.account(&["/certificates/collections/read/"]).await;
        let body = |id: i64, member: &str, value: i64| {
            let mut body = json!({ "CertificateIds": [id], "Reason": 6, "Comment": "" });
            body[member] = json!(value);
            body
        };
        let path = "/Certificates/Revoke";
        nobody.post(path, body(inside, "CollectionId", through)).await.expect(403);
        for (client, member, value) in [(&by_collection, "CollectionId", through), (&by_container, "ContainerId", containers[0])] {
            client.post(path, body(inside, "Reason", 6)).await.expect(403);
            client.post(path, body(outside, member, value)).await.expect(403);
            client.post(path, body(4_000_000, member, value)).await.expect(403);
            client.post(path, body(inside, member, value)).await.expect(200);
            let mut free = body(inside, member, value);
            free["Reason"] = json!(-1);
            client.post(path, free).await.expect(200);
        }
        by_container.post(path, body(inside, "ContainerId", containers[1])).await.expect(403);
        assert_eq!(shown(&server, outside).await["CertState"], 1);
        // A query finds what is in the collection, and nothing without one.
        let all = json!({ "Query": "IssuedCN -contains \"side.example\"", "Reason": 4, "Comment": "Old" });
        by_collection.post("/Certificates/RevokeAll", all.clone()).await.expect(403);
        let answer = by_collection.post(&format!("/Certificates/RevokeAll?collectionId={through}"), all).await.expect(200);
        assert_eq!(answer.json["RevokedIds"], json!([inside]));
    }

    async fn what_a_query_finds_is_revoked(server: TestServer) {
        let mut ids = Vec::new();
        for name in ["a.query.example", "b.query.example"] {
            ids.push(enrolled(&server, name).await.0);
        }
        let path = "/Certificates/RevokeAll";
        let query = "IssuedCN -endswith \".query.example\"";
        for (query, status) in [("", 400), ("  ", 400), ("Nothing -eq 1", 400), ("IssuedCN -eq \"a", 400), ("IssuedCN -contains \"CA\"", 400)] {
            server.admin().post(path, json!({ "Query": query, "Reason": 1, "Comment": "" })).await.expect(status);
        }
        let good = total(&server, false).await;
        let answer = server.admin().post(path, json!({ "Query": query, "Reason": 5, "Comment": "Gone" })).await.expect(200);
        assert_eq!(answer.json["RevokedIds"], json!(ids));
        assert_eq!(total(&server, false).await, good - 2);
        assert_eq!(records(&server, 6).await.len(), 2);
        let again = server.admin().post(path, json!({ "Query": query, "Reason": 1, "Comment": "" })).await.expect(200);
        assert_eq!(again.json["RevokedIds"], json!([]));
        let again = json!({ "Query": query, "Reason": 1, "Comment": "", "IncludeRevoked": true });
        assert_eq!(server.admin().post(path, again).await.expect(200).json["RevokedIds"], json!(ids));
        server.account(&[]).await.post(path, json!({ "Query": query, "Reason": 1, "Comment": "" })).await.expect(403);
    }

    async fn two_at_the_same_moment(server: TestServer) {
        let mut all = Vec::new();
        for number in 0..6 {
            all.push(enrolled(&server, &format!("moment-{number}.example")).await);
        }
        let first = number(&list(&server, &all[0].1[0]).await);
        let admin = server.admin();
        // Each one, and all of them in another order.
        let ids: Vec<i64> = all.iter().rev().map(|(id, _)| *id).collect();
        let each = all.iter().map(|(id, _)| revoke(&admin, std::slice::from_ref(id), 1));
        let (each, whole) = futures::join!(futures::future::join_all(each), revoke(&admin, &ids, 1));
        for answer in each.into_iter().chain([whole]) {
            answer.expect(200);
        }
        let last = list(&server, &all[0].1[0]).await;
        assert_eq!(last.length(), 6);
        assert!((first + 1..=first + 6).contains(&number(&last)));
        assert_eq!(records(&server, 6).await.len(), 6);
    }

    async fn lists_are_public_and_renewed(server: TestServer) {
        let (id, chain) = enrolled(&server, "listed.example").await;
        let path = list_path(&parsed(&chain[0]));
        let anybody = server.anonymous();
        let answer = anybody.get(&path).await.expect(200);
        let tag = answer.header("etag").unwrap().to_owned();
        let held = anybody.request("GET", &path).header("if-none-match", &tag).send().await.expect(304);
        assert!(held.octets.is_empty());
        anybody.post(&path, json!({})).await.expect(405);
        anybody.get("/crl/00.crl").await.expect(404);
        anybody.get("/crl/").await.expect(404);
        // The issuing authority's certificate names the root's list.
        let root = list(&server, &chain[1]).await;
        root.verify_signed_by(&parsed(&chain[2])).unwrap();
        revoke(&server.admin(), &[id], 1).await.expect(200);
        let changed = anybody.request("GET", &path).header("if-none-match", &tag).send().await.expect(200);
        assert_ne!(changed.header("etag"), Some(tag.as_str()));

        let before = list(&server, &chain[0]).await;
        app::testing::renew_revocation_lists(server.app()).await.unwrap();
        assert_eq!(number(&list(&server, &chain[0]).await), number(&before));
        server.clock.advance(DAY);
        app::testing::renew_revocation_lists(server.app()).await.unwrap();
        let renewed = list(&server, &chain[0]).await;
        assert_eq!((number(&renewed), renewed.this_update(), renewed.length()), (number(&before) + 1, START + DAY, 1));
        assert!(before.next_update().unwrap() > renewed.this_update());
        // A certificate leaves the list when it has long expired.
        server.clock.set(parsed(&chain[0]).not_after() + 7 * DAY);
        app::testing::renew_revocation_lists(server.app()).await.unwrap();
        assert_eq!(list(&server, &chain[0]).await.length(), 1);
        server.clock.advance(2 * DAY);
        app::testing::renew_revocation_lists(server.app()).await.unwrap();
        assert_eq!(list(&server, &chain[0]).await.length(), 0);
    }
}
