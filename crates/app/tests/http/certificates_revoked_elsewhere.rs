//! `POST /Chancery/Certificates/Revocations`: what authorities elsewhere have revoked.

use serde_json::{Value, json};
use testkit::{START, TestServer};

use crate::certificates::{Maker, Wanted};
use crate::certificates_revoke::{enrolled, list, records, total};
use crate::owner::{certificate, collection, container, store_in};

const PATH: &str = "/Chancery/Certificates/Revocations";
const READ: &str = "/certificates/collections/read/";
const REVOKE: &str = "/certificates/collections/revoke/";

async fn shown(server: &TestServer, id: i64) -> Value {
    let path = format!("/Certificates/{id}");
    server.admin().get(&path).await.expect(200).json
}

/// State, reason, since when, and why.
fn status(shown: &Value) -> Value {
    let members = [
        "CertState",
        "RevocationReason",
        "RevocationEffDate",
        "RevocationComment",
    ];
    members.map(|member| shown[member].clone()).to_vec().into()
}

/// Certificates of each state, as the dashboard counts them.
async fn counted(server: &TestServer, state: i64) -> i64 {
    let path = "/Chancery/Certificates/Counts";
    let counts = server.admin().get(path).await.expect(200).json;
    let states = counts["States"].as_array().unwrap();
    let of_state = states.iter().find(|one| one["CertState"] == state);
    of_state.map_or(0, |one| one["Count"].as_i64().unwrap())
}

testkit::both_databases! {
    async fn what_an_issuer_says_is_recorded(server: TestServer) {
        let mut maker = Maker::new();
        let mut ids = Vec::new();
        for subject in ["CN=lost.example", "CN=held.example", "CN=good.example"] {
            ids.push(maker.record(&server, &Wanted::new(subject)).await);
        }
        let before = (total(&server, false).await, total(&server, true).await);
        let (unknown, revoked) = (counted(&server, 0).await, counted(&server, 2).await);
        let (_, chain) = enrolled(&server, "ours.example").await;
        let published = list(&server, &chain[0]).await;
        let found = async |query: &str| {
            let path = format!("/Certificates?IncludeRevoked=true&QueryString={query}");
            server.admin().get(&path).await.expect(200).items().len()
        };
        let query = "CertState%20-eq%202%20AND%20IssuedCN%20-endswith%20%22.example%22";
        assert_eq!(found(query).await, 0);

        let told = json!({ "Revocations": [
            { "CertificateId": ids[1], "Reason": 6 },
            { "CertificateId": ids[0], "Reason": 1, "Comment": " Lost ", "EffectiveDate": "2026-11-21T13:58:00+02:00" },
        ] });
        let answer = server.admin().post(PATH, told.clone()).await.expect(200);
        assert_eq!(answer.json, json!({ "RecordedIds": [ids[0], ids[1]] }));
        assert_eq!(status(&shown(&server, ids[0]).await), json!([2, 1, "2026-11-21T11:58:00Z", "Lost"]));
        assert_eq!(status(&shown(&server, ids[1]).await), json!([2, 6, "2026-11-21T12:00:00Z", null]));
        assert_eq!(shown(&server, ids[2]).await["CertState"], 0);
        assert_eq!((total(&server, false).await, total(&server, true).await), (before.0 - 1, before.1 + 1));
        assert_eq!((counted(&server, 0).await, counted(&server, 2).await), (unknown - 2, revoked + 2));
        assert_eq!(found(query).await, 2, "a list that was shown before says so too");
        let history = server.admin().get(&format!("/Certificates/{}/History", ids[0])).await.expect(200);
        let line = history.items().iter().find(|line| line["Action"] == "Revoked by its issuer").unwrap();
        assert_eq!((line["Comment"].as_str(), line["Username"].as_str()), (Some("Lost"), Some("admin")));
        assert_eq!(records(&server, 6).await.len(), 2);
        let validity = server.admin().get(&format!("/Certificates/{}/Validate", ids[0])).await.expect(200).json;
        assert_eq!(validity["Valid"], false, "{validity}");
        // The lists here have nothing to say of it.
        let now = list(&server, &chain[0]).await;
        assert_eq!((now.number(), now.length()), (published.number(), 0));

        // Again, nothing is new; what it was before is known.
        assert_eq!(server.admin().post(PATH, told).await.expect(200).json, json!({ "RecordedIds": [] }));
        assert_eq!(records(&server, 6).await.len(), 2);
        let past = format!("/Certificates/{}?asOf=/Date({})/", ids[0], START - 1);
        server.admin().get(&past).await.expect(404);
        server.clock.advance(60_000);
        let free = json!({ "Revocations": [{ "CertificateId": ids[1], "Reason": -1 }] });
        server.admin().post(PATH, free.clone()).await.expect(200);
        assert_eq!(status(&shown(&server, ids[1]).await), json!([0, null, null, null]));
        assert_eq!((counted(&server, 0).await, counted(&server, 2).await), (unknown - 1, revoked + 1));
        let past = format!("/Certificates/{}?asOf=/Date({})/", ids[1], START);
        assert_eq!(server.admin().get(&past).await.expect(200).json["CertState"], 2);
        let refused = server.admin().post(PATH, free).await.expect(400);
        assert!(refused.reasons()[0].contains("it is not on hold"), "{}", refused.text);
    }

    async fn what_cannot_be_recorded_changes_nothing(server: TestServer) {
        let foreign = certificate(&server, "CN=foreign.example").await;
        let (own, _) = enrolled(&server, "own.example").await;
        let admin = server.admin();
        let of = |revocations: Value| json!({ "Revocations": revocations });
        let good = json!({ "CertificateId": foreign, "Reason": 1 });
        // Certificate 1 is the one of an authority here.
        let refused = admin.post(PATH, of(json!([good, { "CertificateId": own }, { "CertificateId": 1 }]))).await.expect(400);
        assert!(refused.message().contains("2 certificates cannot be recorded"), "{}", refused.text);
        for (reason, id) in refused.reasons().iter().zip([1, own]) {
            let said = format!("Certificate {id}: it belongs to this server's authorities");
            assert!(reason.starts_with(&said), "{}", refused.text);
        }
        let unknown = admin.post(PATH, of(json!([good, { "CertificateId": 4_000_000 }]))).await.expect(404);
        assert!(unknown.message().contains("4000000"), "{}", unknown.text);
        let many: Vec<Value> = (1..=10_001).map(|id| json!({ "CertificateId": id })).collect();
        for (revocations, place) in [
            (json!(null), "Revocations"),
            (json!([]), "Revocations"),
            (json!(many), "Revocations"),
            (json!("x"), "Revocations"),
            (json!([good, { "Reason": 1 }]), "Revocations[1].CertificateId"),
            (json!([good, good]), "Revocations[1].CertificateId"),
            (json!([{ "CertificateId": foreign, "Reason": 9 }]), "Revocations[0].Reason"),
            (json!([{ "CertificateId": foreign, "Comment": "x".repeat(4_001) }]), "Revocations[0].Comment"),
            (json!([{ "CertificateId": foreign, "EffectiveDate": "2026-11-23T00:00:00Z" }]), "Revocations[0].EffectiveDate"),
            (json!([{ "CertificateId": foreign, "EffectiveDate": "yesterday" }]), "Revocations[0].EffectiveDate"),
        ] {
            let refused = admin.post(PATH, of(revocations)).await.expect(400);
            assert!(refused.message().contains(place), "{place}: {}", refused.text);
        }
        let early = json!([{ "CertificateId": foreign, "EffectiveDate": "2020-01-01" }]);
        let early = admin.post(PATH, of(early)).await.expect(400);
        assert!(early.reasons()[0].contains("EffectiveDate is before the certificate begins"), "{}", early.text);
        assert_eq!(shown(&server, foreign).await["CertState"], 0);
        assert_eq!(shown(&server, own).await["CertState"], 1);
        assert_eq!(records(&server, 6).await.len(), 0);
    }

    async fn collections_and_containers_open_what_is_in_them(server: TestServer) {
        let inside = certificate(&server, "CN=inside.example").await;
        let outside = certificate(&server, "CN=outside.example").await;
        let through = collection(&server, "Inside", "IssuedCN -eq \"inside.example\"").await;
        let some = server.account(&[&format!("{REVOKE}{through}/")]).await;
        let reader = server.account(&[READ]).await;
        let of = |id: i64| json!({ "Revocations": [{ "CertificateId": id, "Reason": 4 }] });
        let path = format!("{PATH}?CollectionId={through}");
        reader.post(&path, of(inside)).await.expect(403);
        for id in [outside, 4_000_000] {
            some.post(&path, of(id)).await.expect(403);
        }
        some.post(PATH, of(inside)).await.expect(403);
        some.post(&path, json!({ "Revocations": [{ "Reason": 4 }] })).await.expect(403);
        assert_eq!(some.post(&path, of(inside)).await.expect(200).json["RecordedIds"], json!([inside]));

        let stored = certificate(&server, "CN=stored.example").await;
        let containers = [container(&server, "One").await, container(&server, "Two").await];
        store_in(&server, containers[0], "/etc/one.pem", stored).await;
        let of_container = server.account(&[&format!("/certificate_stores/revoke/{}/", containers[0])]).await;
        let of_stores = server.account(&["/certificate_stores/revoke/"]).await;
        let path = |at: usize| format!("{PATH}?ContainerId={}", containers[at]);
        for (client, path, id) in [(&of_container, path(0), outside), (&of_container, path(1), stored), (&of_stores, PATH.to_owned(), outside)] {
            client.post(&path, of(id)).await.expect(403);
        }
        of_container.post(PATH, of(stored)).await.expect(403);
        assert_eq!(of_container.post(&path(0), of(stored)).await.expect(200).json["RecordedIds"], json!([stored]));
        assert_eq!(of_stores.post(PATH, of(stored)).await.expect(200).json["RecordedIds"], json!([]));
        assert_eq!(shown(&server, outside).await["CertState"], 0);
    }
}
