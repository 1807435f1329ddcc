//! `/Audit` and `/Chancery/Audit`: reading, proofs, export.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::TestServer;

use super::audit_tampering::sql;
use transparency::{Checkpoint, ExportReader, Hash, Report, Verifier};

/// Some changes that leave records, of roles with this name and a number behind it.
pub(crate) async fn changes(server: &TestServer, name: &str, count: usize) {
    for number in 0..count {
        let role = json!({ "Name": format!("{name} {number}"), "Description": "For a test" });
        server
            .admin()
            .post("/Security/Roles", role)
            .await
            .expect(200);
    }
}

/// The records that a query finds, the oldest first, each with what it was before and after.
pub(crate) async fn found(server: &TestServer, query: &str) -> Vec<Value> {
    server.app().settle().await;
    let admin = server.admin();
    let query = query
        .replace(' ', "%20")
        .replace('"', "%22")
        .replace('\\', "%5C");
    let path = format!("/Audit?QueryString={query}&SortField=Id");
    let mut records = Vec::new();
    for entry in admin.get(&path).await.expect(200).items() {
        let path = format!("/Audit/{}", entry["Id"]);
        records.push(admin.get(&path).await.expect(200).json);
    }
    records
}

pub(crate) async fn signed(server: &TestServer) -> Checkpoint {
    app::audit::checkpoint(server.app()).await.unwrap();
    let answer = server
        .admin()
        .get("/Chancery/Audit/Checkpoint")
        .await
        .expect(200)
        .json;
    assert_eq!(answer["Suspended"], Value::Null);
    let verifier = Verifier::parse(answer["Verifier"].as_str().unwrap()).unwrap();
    let checkpoint = Checkpoint::open(answer["Checkpoint"].as_str().unwrap(), &verifier).unwrap();
    assert_eq!(answer["Size"], checkpoint.size);
    assert_eq!(answer["Origin"], checkpoint.origin);
    assert_eq!(
        answer["RootHash"],
        transparency::to_base64(&checkpoint.root)
    );
    checkpoint
}

pub(crate) async fn verifier(server: &TestServer) -> Verifier {
    let answer = server
        .admin()
        .get("/Chancery/Audit/Checkpoint")
        .await
        .expect(200)
        .json;
    Verifier::parse(answer["Verifier"].as_str().unwrap()).unwrap()
}

/// The check of an export, as `chancery audit verify` does it.
pub(crate) fn checked(
    verifier: Verifier,
    text: &str,
    earlier: Option<Checkpoint>,
) -> Result<Report, String> {
    let mut reader = ExportReader::new(verifier, earlier);
    text.lines().for_each(|line| reader.line(line.as_bytes()));
    reader.finish().map_err(|findings| {
        findings
            .iter()
            .map(|finding| format!("{finding}\n"))
            .collect()
    })
}

/// The audit records that a query names.
async fn queried(server: &TestServer, query: &str) -> testkit::Answer {
    let mut path = "/Audit?QueryString=".to_owned();
    for octet in query.bytes() {
        path += &format!("%{octet:02X}");
    }
    server.admin().get(&path).await.expect(200)
}

fn hash(text: &Value) -> Hash {
    transparency::from_base64(text.as_str().unwrap()).unwrap()
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(hash).collect()
}

testkit::both_databases! {
    async fn records_are_listed_found_and_shown(server: TestServer) {
        let admin = server.admin();
        changes(&server, "Audited", 3).await;
        let found = admin.get("/Audit?pq.queryString=Name%20-eq%20%22audited%201%22").await.expect(200);
        assert_eq!(found.total(), Some(1));
        let entry = found.items()[0].clone();
        assert_eq!(entry["User"], "admin");
        assert_eq!(entry["Operation"], 1);
        assert_eq!(entry["EntityType"], "Security role");
        assert_eq!(entry["AuditIdentifier"], "Audited 1");
        assert_eq!(entry["Timestamp"], "2026-11-21T12:00:00Z");
        let path = format!("/Audit/{}", entry["Id"]);
        let detail = admin.get(&path).await.expect(200).json;
        for (name, value) in entry.as_object().unwrap() {
            assert_eq!(&detail[name], value);
        }
        assert!(detail["After"].as_str().unwrap().contains("Audited 1"));
        assert_eq!(detail["LeafIndex"], Value::Null);
        signed(&server).await;
        assert!(admin.get(&path).await.expect(200).json["LeafIndex"].is_i64());
        admin.get("/Audit/987654").await.expect(404);
        admin.get("/Audit/x").await.expect(400);

        for (query, expected) in [
            ("ActingUser -eq \"ADMIN\" AND Operation -eq \"Created\" AND Name -startswith \"Audited\"", 3),
            ("Category -eq \"2106\" AND Level -eq 0 AND Name -contains \"audited\"", 3),
            ("EntityType -eq \"security role\" AND AuditIdentifier -eq \"Audited 2\"", 1),
            ("Timestamp -gt \"2100-01-01\"", 0),
        ] {
            let query = query.replace(' ', "%20").replace('"', "%22");
            let found = admin.get(&format!("/Audit?QueryString={query}")).await.expect(200);
            assert_eq!(found.total(), Some(expected), "{query}");
        }
        let page = admin.get("/Audit?SortField=Timestamp&SortAscending=1&ReturnLimit=2&PageReturned=1").await.expect(200);
        assert_eq!(page.items().len(), 2);
        admin.get("/Audit?SortField=Nothing").await.expect(400);
        admin.get("/Audit?QueryString=Nothing%20-eq%201").await.expect(400);
    }

    async fn related_records_are_about_the_same_thing_or_of_the_same_request(server: TestServer) {
        let admin = server.admin();
        let role = json!({ "Name": "Twice", "Description": "" });
        let made = admin.post("/Security/Roles", role).await.expect(200).json;
        changes(&server, "Other", 2).await;
        admin.delete(&format!("/Security/Roles/{}", made["Id"])).await.expect(204);
        let query = "Name%20-eq%20%22Twice%22%20AND%20Operation%20-eq%20%22Created%22";
        assert_eq!(admin.get(&format!("/Audit?QueryString={query}")).await.expect(200).total(), Some(1));
        let related = admin.get(&format!("/Audit/RelatedEntities?QueryString={query}&SortField=Id")).await.expect(200);
        let operations: Vec<_> = related.items().iter().map(|item| item["Operation"].clone()).collect();
        // The administrator's first request of the hour has a sign-in too.
        assert_eq!(operations, [101, 1, 3]);
        admin.get("/Audit/RelatedEntities?QueryString=Nothing%20-eq%201").await.expect(400);
        // Related to nothing is not related to everything.
        admin.get("/Audit/RelatedEntities").await.expect(400);
    }

    async fn names_are_found_in_every_spelling_on_both_databases(server: TestServer) {
        let admin = server.admin();
        for name in ["Straße", "İstanbul", "ÜBER"] {
            admin.post("/Security/Roles", json!({ "Name": name, "Description": "" })).await.expect(200);
        }
        for (query, expected) in [
            ("Name -eq \"STRASSE\"", 1),
            ("Name -contains \"TRAß\"", 1),
            ("Name -eq \"İSTANBUL\"", 1),
            ("Name -startswith \"üb\"", 1),
            ("Message -contains \"STRAßE\"", 1),
            ("Message -contains \"straße\"", 1),
            ("User -eq \"ADMIN\" AND Name -in (\"strasse\", \"über\")", 2),
        ] {
            let found = queried(&server, query).await;
            assert_eq!(found.total(), Some(expected), "{query}: {}", found.text);
        }
    }

    async fn what_was_tampered_with_is_not_pruned(server: TestServer) {
        let admin = server.admin();
        changes(&server, "Old", 6).await;
        signed(&server).await;
        server.clock.advance(2_558 * 24 * 60 * 60 * 1000);
        changes(&server, "Young", 1).await;
        signed(&server).await;
        for (attack, told) in [
            ("UPDATE audit_records SET actor = 'nobody' WHERE name = 'Old 1'", "its columns were changed"),
            ("DELETE FROM audit_records WHERE name = 'Old 2'", "its columns were changed"),
            ("DELETE FROM audit_records WHERE name IN ('Old 1', 'Old 2')", "it is missing"),
        ] {
            sql(&server, attack).await;
            let refused = app::audit::prune(server.app()).await.unwrap_err();
            assert!(refused.message().contains(told), "{refused}");
        }
        app::audit::prune(server.app()).await.unwrap_err();
        let kept = queried(&server, "Name -startswith \"Old\"").await;
        assert_eq!(kept.total(), Some(4));
        // Told once as long as it is the same.
        let told = queried(&server, "Message -contains \"nothing is pruned\"").await;
        assert_eq!(told.total(), Some(2), "{}", told.text);
        let found = admin.get("/Chancery/Audit/Verify").await.expect(200).json;
        assert_eq!((&found["Valid"], &found["Pruned"]), (&json!(false), &json!(0)), "{found}");
    }

    async fn forwarding_says_what_is_not_there(server: TestServer) {
        changes(&server, "Old", 3).await;
        signed(&server).await;
        server.clock.advance(2_558 * 24 * 60 * 60 * 1000);
        changes(&server, "Sent", 4).await;
        let size = signed(&server).await.size;
        let pruned = app::audit::prune(server.app()).await.unwrap().cast_unsigned();
        sql(&server, "DELETE FROM audit_records WHERE name = 'Sent 1'").await;
        sql(&server, "UPDATE audit_records SET message = 'changed' WHERE name = 'Sent 2'").await;
        let forwarder = app::audit::Forwarder::new(server.app().clone(), "file");
        let batch = forwarder.next().await.unwrap().unwrap();
        let lines: Vec<Value> = batch.records.iter().map(|record| serde_json::from_str(&record.line).unwrap()).collect();
        assert_eq!(lines.len() as u64, size);
        for (place, line) in (0_u64..).zip(&lines) {
            assert_eq!(line["leaf_index"], place);
            assert_eq!(line["pruned"].is_string(), place < pruned, "{line}");
        }
        let missing: Vec<_> = batch.records.iter().filter(|record| record.line.contains("\"missing\"")).collect();
        assert_eq!(missing.len(), 2);
        assert!(missing.iter().all(|record| record.level == 2));
        forwarder.sent(batch).await.unwrap();
        let told = queried(&server, "Level -eq 2").await;
        assert!(told.total() > Some(0));
    }

    async fn the_csv_has_the_documented_columns(server: TestServer) {
        let admin = server.admin();
        changes(&server, "=HYPERLINK(\"\"x\"\")", 1).await;
        let query = "/Audit/Download?pq.queryString=Name%20-contains%20%22hyperlink%22";
        let text = admin.get(query).await.expect(200).json.as_str().unwrap().to_owned();
        let mut lines = text.split("\r\n");
        assert_eq!(lines.next(), Some("Id,Timestamp,Message,Operation,Level,User,Category,Name,XMLMessage"));
        let line = lines.next().unwrap();
        assert!(line.contains(",2026-11-21T12:00:00Z,"), "{line}");
        assert!(line.contains("\"Created\",\"Information\",\"admin\",\"Security role\",\"'=HYPERLINK("), "{line}");
        assert!(line.contains("<AuditRecord><After>"), "{line}");
        let plain = admin.request("GET", query).header("accept", "text/csv").send().await.expect(200);
        assert_eq!(plain.text, text);
        admin.get("/Audit/Download?QueryString=Nothing%20-eq%201").await.expect(400);
    }

    async fn every_record_validates_before_and_after_its_checkpoint(server: TestServer) {
        let admin = server.admin();
        changes(&server, "Valid", 3).await;
        for _ in 0..2 {
            let all = admin.get("/Audit?ReturnLimit=1000").await.expect(200);
            assert!(all.items().len() > 5);
            for entry in all.items() {
                let path = format!("/Audit/{}/Validate", entry["Id"]);
                assert_eq!(admin.get(&path).await.expect(200).json, json!(true), "{entry}");
            }
            let verified = admin.get("/Chancery/Audit/Verify").await.expect(200).json;
            assert_eq!(verified["Valid"], true, "{verified}");
            signed(&server).await;
        }
        admin.get("/Audit/987654/Validate").await.expect(404);
    }

    async fn proofs_lead_to_the_signed_root(server: TestServer) {
        let admin = server.admin();
        let first = signed(&server).await;
        changes(&server, "Proven", 5).await;
        let second = signed(&server).await;
        assert!(second.size >= first.size + 5);
        let tile = admin.get("/Chancery/Audit/Tile?Level=0&Index=0").await.expect(200).json;
        let octets = STANDARD.decode(tile["Hashes"].as_str().unwrap()).unwrap();
        assert_eq!(tile["Width"], second.size);
        assert_eq!(octets.len() as u64, 32 * second.size);
        for index in 0..second.size {
            let proof = admin.get(&format!("/Chancery/Audit/InclusionProof?LeafIndex={index}")).await.expect(200).json;
            let leaf = hash(&proof["LeafHash"]);
            let at = usize::try_from(index).unwrap() * 32;
            assert_eq!(octets[at..at + 32], leaf);
            transparency::verify_inclusion(&leaf, index, second.size, &hashes(&proof["Proof"]), &second.root).unwrap();
        }
        let newest = admin.get("/Audit?SortField=Id&SortAscending=1&ReturnLimit=1").await.expect(200).items()[0].clone();
        let proof = admin.get(&format!("/Chancery/Audit/InclusionProof?Id={}", newest["Id"])).await.expect(200).json;
        assert_eq!(hex::encode(hash(&proof["LeafHash"])), newest["ImmutableIdentifier"].as_str().unwrap());
        let path = format!("/Chancery/Audit/ConsistencyProof?FirstSize={}", first.size);
        let proof = admin.get(&path).await.expect(200).json;
        assert_eq!(hash(&proof["FirstRootHash"]), first.root);
        transparency::verify_consistency(first.size, &first.root, second.size, &second.root, &hashes(&proof["Proof"])).unwrap();

        admin.get(&format!("/Chancery/Audit/InclusionProof?LeafIndex={}", second.size)).await.expect(404);
        admin.get("/Chancery/Audit/InclusionProof?Id=987654").await.expect(404);
        admin.get("/Chancery/Audit/InclusionProof?LeafIndex=-1").await.expect(404);
        admin.get("/Chancery/Audit/InclusionProof").await.expect(400);
        admin.get("/Chancery/Audit/Tile?Level=3").await.expect(404);
        admin.get("/Chancery/Audit/Tile?Index=9223372036854775807&Level=255").await.expect(404);
        admin.get("/Chancery/Audit/Tile?Level=x").await.expect(400);
        admin.get("/Chancery/Audit/ConsistencyProof").await.expect(400);
        admin.get("/Chancery/Audit/ConsistencyProof?FirstSize=5&SecondSize=4").await.expect(400);
        admin.get(&format!("{path}&SecondSize=100000")).await.expect(400);
    }

    async fn an_export_is_checked_without_the_server(server: TestServer) {
        let admin = server.admin();
        let key = verifier(&server).await;
        changes(&server, "Exported", 2).await;
        let earlier = signed(&server).await;
        // More than a tile of records.
        let cx = server.cx();
        for _ in 0..270 {
            app::sealing::record_backup(&cx).await.unwrap();
        }
        let text = admin.get("/Chancery/Audit/Export").await.expect(200).text;
        let report = checked(key.clone(), &text, Some(earlier.clone())).unwrap();
        assert!(report.size > 270);
        assert_eq!((report.pruned, report.restored), (0, vec![]));
        assert_eq!(report.size, signed(&server).await.size);
        let changed = text.replacen("A backup of", "No backup of", 1);
        assert!(checked(key.clone(), &changed, None).unwrap_err().contains("records 0 to 255"));
        let other = Checkpoint { root: [7; 32], ..earlier };
        assert!(checked(key, &text, Some(other)).unwrap_err().contains("earlier checkpoint"));
    }

    async fn reading_needs_the_permission(server: TestServer) {
        let reader = server.account(&["/auditing/read/"]).await;
        let id = reader.get("/Audit?ReturnLimit=1").await.expect(200).items()[0]["Id"].clone();
        signed(&server).await;
        let stranger = server.account(&["/certificates/collections/read/", "/security/read/"]).await;
        for path in [
            "/Audit", "/Audit/RelatedEntities?QueryString=Id%20-eq%201", "/Audit/Download", &format!("/Audit/{id}"), &format!("/Audit/{id}/Validate"),
            "/Chancery/Audit/Checkpoint", "/Chancery/Audit/Tile", "/Chancery/Audit/InclusionProof?LeafIndex=0",
            "/Chancery/Audit/ConsistencyProof?FirstSize=1", "/Chancery/Audit/Export", "/Chancery/Audit/Verify",
        ] {
            reader.get(path).await.expect(200);
            stranger.get(path).await.expect(403);
            server.anonymous().get(path).await.expect(401);
        }
    }

    async fn a_sign_in_has_one_record_an_hour_and_each_failure_and_refusal_one(server: TestServer) {
        let admin = server.admin();
        let alice = server.account(&["/security/read/"]).await;
        let count = async |query: &str| {
            server.app().settle().await;
            let query = query.replace(' ', "%20").replace('"', "%22");
            let found = admin.get(&format!("/Audit?QueryString=EntityType%20-eq%20%22Access%22%20AND%20{query}&SortField=Id")).await.expect(200);
            found.items().to_vec()
        };
        let signed_in = format!("Operation -eq \"Signed in\" AND Name -eq \"{}\"", alice.name());
        for _ in 0..3 {
            alice.get("/Security/Roles").await.expect(200);
        }
        assert_eq!(count(&signed_in).await.len(), 1);
        server.clock.advance(60 * 60 * 1000);
        alice.get("/Security/Roles").await.expect(200);
        assert_eq!(count(&signed_in).await.len(), 2);

        for _ in 0..2 {
            alice.post("/Security/Roles", json!({ "Name": "Refused", "Description": "" })).await.expect(403);
        }
        let refused = count("Operation -eq \"Rejected\"").await;
        assert_eq!(refused.len(), 2);
        assert_eq!(refused[0]["User"], alice.name());
        assert_eq!(refused[0]["AuditIdentifier"], "POST /KeyfactorAPI/Security/Roles");
        assert!(refused[0]["Message"].as_str().unwrap().contains("permission"), "{}", refused[0]);
        assert_eq!(refused[0]["Level"], 1);

        for (name, password) in [(alice.name(), "wrong wrong wrong"), ("nobody", "wrong wrong wrong"), ("nobody", "wrong wrong wrong")] {
            server.signed_in(name, password).get("/Security/Roles").await.expect(401);
        }
        // Who sends nothing has not tried.
        server.anonymous().get("/Security/Roles").await.expect(401);
        let failed = count("Operation -eq \"Sign-in failed\"").await;
        // They are written beside the answers, in any order.
        let mut names: Vec<_> = failed.iter().map(|entry| entry["AuditIdentifier"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, [alice.name(), "nobody", "nobody"]);
        assert!(!failed[0].to_string().contains("wrong wrong"));
        // More at once than are written beside answers.
        let burst = (0..150).map(|_| alice.get("/Audit"));
        futures::future::join_all(burst).await.into_iter().for_each(|answer| { answer.expect(403); });
        assert_eq!(count("Operation -eq \"Rejected\" AND Name -contains \"audit\"").await.len(), 50, "a page of them");
        assert_eq!(admin.get("/Chancery/Audit/Verify").await.expect(200).json["Valid"], true);
    }

    async fn old_bodies_are_pruned_and_proofs_stay(server: TestServer) {
        let admin = server.admin();
        changes(&server, "Old", 5).await;
        let earlier = signed(&server).await;
        assert_eq!(app::audit::prune(server.app()).await.unwrap(), 0);
        server.clock.advance(2_558 * 24 * 60 * 60 * 1000);
        changes(&server, "Young", 3).await;
        signed(&server).await;
        let end = app::audit::prune(server.app()).await.unwrap();
        // The administrator's first sign-in is old too, before or after that checkpoint.
        let old = earlier.size..=earlier.size + 1;
        assert!(old.contains(&end.cast_unsigned()), "{end} of {old:?}");
        assert_eq!(app::audit::prune(server.app()).await.unwrap(), end);
        assert_eq!(admin.get("/Audit?QueryString=Name%20-startswith%20%22Old%22").await.expect(200).total(), Some(0));
        assert_eq!(admin.get("/Audit?QueryString=Name%20-startswith%20%22Young%22").await.expect(200).total(), Some(3));
        let said = admin.get("/Audit?QueryString=EntityType%20-eq%20%22audit%20log%22").await.expect(200);
        assert_eq!(said.total(), Some(1), "{}", said.text);
        let last = signed(&server).await;
        let verified = admin.get("/Chancery/Audit/Verify").await.expect(200).json;
        assert_eq!((&verified["Valid"], &verified["Pruned"]), (&json!(true), &json!(end)), "{verified}");
        // The hash of a pruned record is still proven, and an export says why its body is not there.
        let proof = admin.get("/Chancery/Audit/InclusionProof?LeafIndex=0").await.expect(200).json;
        transparency::verify_inclusion(&hash(&proof["LeafHash"]), 0, last.size, &hashes(&proof["Proof"]), &last.root).unwrap();
        let text = admin.get("/Chancery/Audit/Export").await.expect(200).text;
        let key = verifier(&server).await;
        let report = checked(key.clone(), &text, Some(earlier)).unwrap();
        assert_eq!(report.pruned, end.cast_unsigned());
        // Without the record of the pruning, the same file shows bodies that are missing.
        let silent: Vec<String> = text.lines().map(|line| {
            let leaf = transparency::leaf_hash(line.as_bytes());
            if line.contains("pruned_before") { transparency::pruned_line(&leaf) } else { line.to_owned() }
        }).collect();
        assert!(checked(key, &silent.join("\n"), None).unwrap_err().contains("is missing"));
    }
}
