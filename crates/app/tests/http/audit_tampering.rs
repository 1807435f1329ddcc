//! What somebody with the database in hand may try: each is found, by the check of the database, by the sequencer, by the export.

use futures::StreamExt;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use testkit::TestServer;

use super::audit::{changes, checked, signed, verifier};

/// Everything of the log that is in the database.
const TABLES: [&str; 5] = [
    "audit_records",
    "audit_heads",
    "audit_tree",
    "audit_tiles",
    "audit_runs",
];

pub(crate) async fn sql(server: &TestServer, text: impl Into<String>) {
    let text = text.into();
    let db = server.app().db().clone();
    let done = db.write("test.sql", move |tx| {
        Box::pin(
            async move { Ok::<_, db::Error>(tx.execute_unprepared(&text).await?.rows_affected()) },
        )
    });
    done.await.unwrap();
}

async fn number(server: &TestServer, text: &str) -> i64 {
    let db = server.app().db();
    let statement = Statement::from_string(
        db.dialect().backend(),
        format!("SELECT CAST(({text}) AS BIGINT) AS n"),
    );
    db.read()
        .query_one_raw(statement)
        .await
        .unwrap()
        .unwrap()
        .try_get("", "n")
        .unwrap()
}

/// Copies of all tables, to be put back: what somebody with an older database has.
async fn save(server: &TestServer, name: &str) {
    for table in TABLES {
        sql(
            server,
            format!("CREATE TABLE {name}_{table} AS SELECT * FROM {table}"),
        )
        .await;
    }
}

async fn put_back(server: &TestServer, name: &str) {
    for table in TABLES {
        sql(server, format!("DELETE FROM {table}")).await;
        sql(
            server,
            format!("INSERT INTO {table} SELECT * FROM {name}_{table}"),
        )
        .await;
    }
}

async fn findings(server: &TestServer) -> Vec<String> {
    let found = server
        .admin()
        .get("/Chancery/Audit/Verify")
        .await
        .expect(200)
        .json;
    let findings: Vec<String> = found["Findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found["Valid"], findings.is_empty());
    findings
}

/// Twelve records that are signed and four that wait. Answers ids: first, middle, newest signed, a waiting one, the newest.
async fn scene(server: &TestServer) -> [i64; 5] {
    changes(server, "Signed", 8).await;
    signed(server).await;
    changes(server, "Waiting", 4).await;
    let at = async |place: &str| number(server, place).await;
    let newest = at("SELECT MAX(id) FROM audit_records").await;
    let signed = at("SELECT id FROM audit_records WHERE name = 'Signed 7'").await;
    assert_eq!(findings(server).await, Vec::<String>::new());
    [
        at("SELECT MIN(id) FROM audit_records").await,
        at("SELECT id FROM audit_records WHERE name = 'Signed 3'").await,
        signed,
        at("SELECT id FROM audit_records WHERE name = 'Waiting 1'").await,
        newest,
    ]
}

/// The ways to tamper with record `id`; `other` is one of its neighbours.
fn attacks(id: i64, other: i64) -> Vec<(&'static str, String)> {
    let columns = "actor_fold, on_behalf_of_fold, name_fold, chain, at, actor, on_behalf_of, address, operation, category, level, name, message, before, after, correlation_id, \
                   leaf_hash, mac";
    vec![
        ("delete", format!("DELETE FROM audit_records WHERE id = {id}")),
        ("change", format!("UPDATE audit_records SET actor = 'nobody' WHERE id = {id}")),
        ("change before", format!("UPDATE audit_records SET before = '{{}}' WHERE id = {id}")),
        ("break", format!("UPDATE audit_records SET after = 'no JSON' WHERE id = {id}")),
        ("change what it is found by", format!("UPDATE audit_records SET name_fold = 'another' WHERE id = {id}")),
        ("change the hash", format!("UPDATE audit_records SET leaf_hash = mac WHERE id = {id}")),
        (
            "put the content of another there",
            format!("UPDATE audit_records SET (message, leaf_hash, mac) =
                (SELECT o.message, o.leaf_hash, o.mac FROM audit_records o WHERE o.id = {other}) WHERE id = {id}"),
        ),
        (
            "reorder by ids",
            format!("UPDATE audit_records SET id = -1 WHERE id = {id}; UPDATE audit_records SET id = {id} WHERE id = {other};
                UPDATE audit_records SET id = {other} WHERE id = -1"),
        ),
        (
            "reorder by positions",
            format!("UPDATE audit_records SET position = (SELECT SUM(position) FROM audit_records WHERE id IN ({id}, {other})) - position
                WHERE id IN ({id}, {other})"),
        ),
        (
            "insert a copy",
            format!("INSERT INTO audit_records (id, position, {columns}) SELECT 100000, position, {columns} FROM audit_records WHERE id = {id}"),
        ),
        (
            "insert after the newest",
            format!("INSERT INTO audit_records (id, position, {columns})
                SELECT 100000, (SELECT MAX(position) + 1 FROM audit_records), {columns} FROM audit_records WHERE id = {id}"),
        ),
    ]
}

testkit::both_databases! {
    async fn every_attack_on_a_record_is_found(server: TestServer) {
        let targets = scene(&server).await;
        save(&server, "good").await;
        for (place, id) in targets.into_iter().enumerate() {
            let other = if place == 0 { id + 1 } else { id - 1 };
            for (name, attack) in attacks(id, other) {
                sql(&server, attack).await;
                let found = findings(&server).await;
                assert!(!found.is_empty(), "{name} of record {place}");
                // A record that is still there, and is another, does not validate.
                if name.starts_with("change") || name == "break" || name.starts_with("put") || name.starts_with("reorder") {
                    let valid = server.admin().get(&format!("/Audit/{id}/Validate")).await.expect(200).json;
                    assert_eq!(valid, json!(false), "{name} of record {place}");
                }
                put_back(&server, "good").await;
                assert_eq!(findings(&server).await, Vec::<String>::new(), "after {name} of record {place}");
            }
        }
    }

    async fn an_export_tells_of_every_attack_to_somebody_with_the_key(server: TestServer) {
        let targets = scene(&server).await;
        signed(&server).await;
        save(&server, "good").await;
        let key = verifier(&server).await;
        for (place, id) in targets.into_iter().enumerate() {
            let other = if place == 0 { id + 1 } else { id - 1 };
            for (name, attack) in attacks(id, other) {
                if name.starts_with("insert") || name == "change the hash" || name == "change what it is found by" {
                    // Not in an export: it shows what stands in the tree, as it was signed.
                    continue;
                }
                sql(&server, attack).await;
                let text = server.admin().get("/Chancery/Audit/Export").await.expect(200).text;
                assert!(checked(key.clone(), &text, None).is_err(), "{name} of record {place}");
                put_back(&server, "good").await;
            }
        }
        let text = server.admin().get("/Chancery/Audit/Export").await.expect(200).text;
        checked(key, &text, None).unwrap();
    }

    async fn what_was_tampered_with_before_a_checkpoint_is_signed_as_such(server: TestServer) {
        let [_, _, _, waiting, newest] = scene(&server).await;
        let admin = server.admin();
        let mut told = 0;
        for (name, attack) in attacks(waiting, newest) {
            changes(&server, &format!("Target of {name}"), 2).await;
            let id = async |at: i32| number(&server, &format!("SELECT MIN(id) FROM audit_records WHERE name = 'Target of {name} {at}'")).await;
            let ids = [id(0).await, id(1).await];
            let attack = attack.replace(&format!("= {waiting}"), &format!("= {}", ids[0])).replace(&format!("({waiting},"), &format!("({},", ids[0]));
            let attack = attack.replace(&format!("= {newest}"), &format!("= {}", ids[1])).replace(&format!(" {newest})"), &format!(" {})", ids[1]));
            let attack = attack.replace("100000", &format!("{}", 100_000 + told));
            sql(&server, attack).await;
            // Twice: what was put after the newest is met when the chain gets there.
            changes(&server, &format!("After {name}"), 1).await;
            signed(&server).await;
            let query = "/Audit?QueryString=Level%20-eq%202%20AND%20EntityType%20-eq%20%22audit%20log%22&SortField=Id&ReturnLimit=1000";
            let failures = admin.get(query).await.expect(200);
            let count = failures.total().unwrap_or_default();
            if !name.starts_with("reorder by ids") {
                assert!(count > told, "{name}: {}", failures.text);
            }
            for entry in failures.items() {
                assert_eq!(admin.get(&format!("/Audit/{}/Validate", entry["Id"])).await.expect(200).json, json!(true));
            }
            told = count;
        }
        assert!(!findings(&server).await.is_empty());
    }

    async fn heads_that_are_changed_are_found_even_when_a_record_follows(server: TestServer) {
        scene(&server).await;
        save(&server, "good").await;
        for attack in [
            "DELETE FROM audit_heads",
            "UPDATE audit_heads SET position = position + 1",
            "UPDATE audit_heads SET position = position - 1 WHERE position > 0",
            "UPDATE audit_heads SET mac = leaf_hash FROM audit_records r WHERE r.name = 'Waiting 3'",
            // The newest record, and the head as it was before it.
            "DELETE FROM audit_records WHERE name = 'Waiting 3'; UPDATE audit_heads SET position = position - 1 WHERE position > 0",
        ] {
            sql(&server, attack).await;
            assert!(!findings(&server).await.is_empty(), "{attack}");
            // The server's next record must not cover the traces.
            changes(&server, "Next", 1).await;
            assert!(!findings(&server).await.is_empty(), "{attack}, and a record after it");
            put_back(&server, "good").await;
            sql(&server, "DELETE FROM roles WHERE name LIKE 'Next%'").await;
        }
        sql(&server, "DELETE FROM audit_heads").await;
        changes(&server, "Next", 1).await;
        signed(&server).await;
        changes(&server, "Goes on", 1).await;
        signed(&server).await;
        let failures = server.admin().get("/Audit?QueryString=Level%20-eq%202").await.expect(200);
        assert!(failures.total() > Some(0));
    }

    async fn a_head_of_somebody_else_says_nothing(server: TestServer) {
        scene(&server).await;
        // A chain must not end because somebody claims that it is full.
        sql(&server, "UPDATE audit_heads SET position = 9223372036854775806").await;
        sql(&server, "INSERT INTO audit_records (id, position, chain, at, actor, operation, category, level, name, message, correlation_id, leaf_hash, mac)
            SELECT 100000, 9223372036854775807, chain, at, actor, operation, category, level, name, message, correlation_id, leaf_hash, mac
            FROM audit_records WHERE name = 'Waiting 1'").await;
        changes(&server, "After", 2).await;
        assert!(number(&server, "SELECT MAX(position) FROM audit_records WHERE name LIKE 'After%'").await < 1_000);
        signed(&server).await;
        changes(&server, "Signed again", 1).await;
        let size = signed(&server).await.size;
        assert_eq!(size, signed(&server).await.size);
        let index = number(&server, "SELECT id FROM audit_records WHERE name = 'Signed again 0'").await;
        server.admin().get(&format!("/Chancery/Audit/InclusionProof?Id={index}")).await.expect(200);
        // Heads that no record has used yet are missed as well.
        sql(&server, "DELETE FROM audit_records WHERE id = 100000").await;
        sql(&server, "DELETE FROM audit_heads WHERE chain = (SELECT MAX(chain) FROM audit_heads)").await;
        assert!(findings(&server).await.iter().any(|finding| finding.contains("head of chain")));
    }

    async fn a_check_that_finds_something_is_recorded_and_runs_alone(server: TestServer) {
        let [_, middle, ..] = scene(&server).await;
        sql(&server, format!("UPDATE audit_records SET actor = 'nobody' WHERE id = {middle}")).await;
        let told = async || number(&server, "SELECT COUNT(*) FROM audit_records WHERE message LIKE 'Tampering was found: % findings%'").await;
        assert_eq!(told().await, 0);
        findings(&server).await;
        assert_eq!(told().await, 1);
        findings(&server).await;
        assert_eq!(told().await, 1, "the same is told once");
        let admin = server.admin();
        let checks = (0..8).map(|_| admin.get("/Chancery/Audit/Verify"));
        let answers = futures::future::join_all(checks).await;
        assert!(answers.iter().any(|answer| answer.status == 200));
        assert!(answers.iter().any(|answer| answer.status == 429));
        assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
    }

    async fn what_blocks_the_log_does_not_clear_itself(server: TestServer) {
        changes(&server, "Kept", 2).await;
        signed(&server).await;
        let file = server.folder().join("audit-checkpoint");
        let good = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, good.replace("audit", "other")).unwrap();
        let (second, second_admin) = server.second().await;
        for _ in 0..2 {
            app::audit::checkpoint(&second).await.unwrap_err();
        }
        let told = second_admin.get("/Chancery/Audit/Checkpoint").await.expect(200).json;
        assert!(told["Suspended"].as_str().is_some_and(|reason| reason.contains("audit-checkpoint")), "{told}");
        assert!(!std::fs::read_to_string(&file).unwrap().starts_with(good.lines().next().unwrap()));
        let found = second_admin.get("/Chancery/Audit/Verify").await.expect(200).json;
        assert_eq!(found["Valid"], false);
        app::audit::go_on_after_restore(&app::Cx::system(second.clone(), "test")).await.unwrap();
        app::audit::checkpoint(&second).await.unwrap();
        second.close().await;
        // The first server learns of it from the checkpoint.
        assert_eq!(signed(&server).await.extensions.len(), 1);

        // New keys would begin a new log.
        for table in TABLES {
            sql(&server, format!("DELETE FROM {table}")).await;
        }
        sql(&server, "DELETE FROM audit_keys").await;
        let refused = server.open_again().await.unwrap_err();
        assert!(refused.to_string().contains("keys of the audit log"), "{refused}");
        assert_eq!(number(&server, "SELECT COUNT(*) FROM audit_keys").await, 0);
    }

    async fn what_no_checkpoint_covers_can_be_undone_with_its_head(server: TestServer) {
        // The limit that docs/audit.md states: heads put back to a moment since the newest checkpoint.
        scene(&server).await;
        save(&server, "moment").await;
        changes(&server, "Undone", 2).await;
        put_back(&server, "moment").await;
        assert_eq!(findings(&server).await, Vec::<String>::new());
        changes(&server, "Covered", 2).await;
        signed(&server).await;
        put_back(&server, "moment").await;
        assert!(!findings(&server).await.is_empty());
    }

    async fn tiles_runs_and_the_checkpoint_row_are_covered(server: TestServer) {
        signed(&server).await;
        save(&server, "old").await;
        scene(&server).await;
        save(&server, "good").await;
        let admin = server.admin();
        let id = number(&server, "SELECT id FROM audit_records WHERE name = 'Signed 3'").await;
        for attack in [
            "DELETE FROM audit_tree",
            "UPDATE audit_tree SET size = size - 1",
            "UPDATE audit_tree SET mac = (SELECT mac FROM audit_heads WHERE chain = 0)",
            "UPDATE audit_tree SET checkpoint = REPLACE(checkpoint, 'chancery.example', 'elsewhere')",
            "UPDATE audit_tree SET checkpoint = (SELECT checkpoint FROM old_audit_tree)",
            "UPDATE audit_tree SET positions = '0:3'",
            "UPDATE audit_tree SET pruned_before = size",
            "DELETE FROM audit_tree; INSERT INTO audit_tree SELECT * FROM old_audit_tree",
            "DELETE FROM audit_tiles",
            "DELETE FROM audit_tiles; INSERT INTO audit_tiles SELECT * FROM old_audit_tiles",
            "UPDATE audit_tiles SET hashes = (SELECT mac FROM audit_heads WHERE chain = 0)",
        ] {
            sql(&server, attack).await;
            assert!(!findings(&server).await.is_empty(), "{attack}");
            assert_eq!(admin.get(&format!("/Audit/{id}/Validate")).await.expect(200).json, json!(false), "{attack}");
            // Nothing is signed over it, and callers are told why.
            changes(&server, &format!("On {attack}"), 1).await;
            assert!(app::audit::checkpoint(server.app()).await.is_err(), "{attack}");
            let told = admin.get("/Chancery/Audit/Checkpoint").await;
            assert!(told.status == 409 || told.json["Suspended"].is_string(), "{attack}: {}", told.text);
            admin.get("/Chancery/Audit/Export").await.expect(409);
            put_back(&server, "good").await;
            app::audit::checkpoint(server.app()).await.unwrap();
            let again = admin.get("/Chancery/Audit/Checkpoint").await.expect(200).json;
            assert_eq!(again["Suspended"], Value::Null, "{attack}");
            for table in TABLES {
                sql(&server, format!("DROP TABLE good_{table}")).await;
            }
            save(&server, "good").await;
        }
        sql(&server, "DELETE FROM audit_runs").await;
        assert!(!findings(&server).await.is_empty());
        put_back(&server, "good").await;
        sql(&server, "UPDATE audit_runs SET first_position = first_position + 1").await;
        assert!(!findings(&server).await.is_empty());
    }

    async fn an_older_database_is_noticed_and_a_restore_goes_on_openly(server: TestServer) {
        let admin = server.admin();
        changes(&server, "Before", 3).await;
        let backup = signed(&server).await;
        save(&server, "backup").await;
        changes(&server, "Lost", 3).await;
        let lost = signed(&server).await;
        let key = verifier(&server).await;

        put_back(&server, "backup").await;
        // While the server runs.
        assert!(findings(&server).await.iter().any(|finding| finding.contains("older database")));
        let id = number(&server, "SELECT MIN(id) FROM audit_records").await;
        assert_eq!(admin.get(&format!("/Audit/{id}/Validate")).await.expect(200).json, json!(false));
        let refused = app::audit::checkpoint(server.app()).await.unwrap_err();
        assert!(refused.message().contains("older database"), "{refused}");
        // At a start.
        let (second, second_admin) = server.second().await;
        let told = second_admin.get("/Chancery/Audit/Checkpoint").await.expect(200).json;
        assert!(told["Suspended"].as_str().is_some_and(|reason| reason.contains("older database")), "{told}");
        assert!(app::audit::checkpoint(&second).await.is_err());
        second.close().await;
        // Work goes on, and is recorded.
        changes(&server, "Meanwhile", 1).await;
        assert_eq!(signed_size(&server).await, backup.size);

        app::audit::go_on_after_restore(&server.cx()).await.unwrap();
        let after = signed(&server).await;
        assert!(after.size > backup.size);
        assert_eq!(after.extensions, [format!("restored {} {}", backup.size, transparency::to_base64(&backup.root))]);
        assert_eq!(findings(&server).await, Vec::<String>::new());
        let told = admin.get("/Audit?QueryString=Operation%20-eq%20%22Imported%22%20AND%20EntityType%20-eq%20%22audit%20log%22").await.expect(200);
        assert_eq!(told.total(), Some(1));
        changes(&server, "Later", 20).await;
        assert_eq!(signed(&server).await.extensions.len(), 1);
        let text = admin.get("/Chancery/Audit/Export").await.expect(200).text;
        let report = checked(key.clone(), &text, Some(backup.clone())).unwrap();
        assert_eq!(report.restored, [backup.size]);
        // A checkpoint from the past that was lost does not fit, and the log itself says why.
        let refused = checked(key, &text, Some(lost)).unwrap_err();
        assert!(refused.contains(&format!("restored from a backup at {} records", backup.size)), "{refused}");
    }

    async fn going_on_takes_more_records_than_a_batch_and_other_servers_follow(server: TestServer) {
        let (second, second_admin) = server.second().await;
        changes(&server, "Before", 2).await;
        signed(&server).await;
        save(&server, "backup").await;
        changes(&server, "Lost", 5).await;
        signed(&server).await;
        app::audit::checkpoint(&second).await.unwrap();
        put_back(&server, "backup").await;
        app::audit::checkpoint(&second).await.unwrap_err();
        // More than the sequencer takes at once, on one chain.
        let writes = (0..4_200).map(|_| { let cx = server.cx(); async move { app::sealing::record_backup(&cx).await } });
        let mut writes = futures::stream::iter(writes).buffer_unordered(64);
        while let Some(written) = writes.next().await {
            written.unwrap();
        }
        let before = number(&server, "SELECT MAX(position) FROM audit_records").await;
        assert!(before > 0);
        app::audit::go_on_after_restore(&server.cx()).await.unwrap();
        assert_eq!(findings(&server).await, Vec::<String>::new());
        app::audit::checkpoint(&second).await.unwrap();
        let told = second_admin.get("/Chancery/Audit/Checkpoint").await.expect(200).json;
        assert_eq!(told["Suspended"], Value::Null);
        second.close().await;
    }

    async fn two_servers_extend_one_tree(server: TestServer) {
        let (second, second_admin) = server.second().await;
        // The sign-in has its record, once for both servers.
        server.admin().get("/Status/Endpoints").await.expect(200);
        let first = signed(&server).await;
        for round in 0..4 {
            changes(&server, &format!("First {round}"), 2).await;
            let role = json!({ "Name": format!("Second {round}"), "Description": "" });
            second_admin.post("/Security/Roles", role).await.expect(200);
            let (one, two) = tokio::join!(app::audit::checkpoint(server.app()), app::audit::checkpoint(&second));
            one.unwrap();
            two.unwrap();
        }
        let last = signed(&server).await;
        assert_eq!(last.size, first.size + 12);
        assert_eq!(findings(&server).await, Vec::<String>::new());
        second.close().await;
        let text = server.admin().get("/Chancery/Audit/Export").await.expect(200).text;
        checked(verifier(&server).await, &text, Some(first)).unwrap();
    }

    async fn records_written_at_once_are_all_in_the_tree(server: TestServer) {
        let admin = server.admin();
        admin.get("/Status/Endpoints").await.expect(200);
        let first = signed(&server).await;
        let posts = (0..40).map(|number| {
            let admin = admin.clone();
            async move {
                let role = json!({ "Name": format!("At once {number}"), "Description": "" });
                admin.post("/Security/Roles", role).await.expect(200);
                // Every second one is refused, and its transaction rolled back.
                admin.post("/Security/Roles", json!({ "Name": format!("AT ONCE {number}"), "Description": "" })).await.expect(400);
            }
        });
        futures::future::join_all(posts).await;
        assert_eq!(findings(&server).await, Vec::<String>::new());
        assert_eq!(signed(&server).await.size, first.size + 40);
        assert_eq!(findings(&server).await, Vec::<String>::new());
    }
}

async fn signed_size(server: &TestServer) -> u64 {
    let answer = server
        .admin()
        .get("/Chancery/Audit/Checkpoint")
        .await
        .expect(200)
        .json;
    answer["Size"].as_u64().unwrap()
}
