//! `/Chancery/Certificates/Import`: certificates as a stream.

use db::tables;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use testkit::{Answer, Client, TestServer};

use crate::certificates::{Maker, Wanted, history};
use crate::metadata_fields::define;

const PATH: &str = "/Chancery/Certificates/Import";
const PEM: &str = "application/x-pem-file";
const DER: &str = "application/octet-stream";
const ID: &str = "0f3c8a52-6a0a-4b6e-9a58-6f1d6f3c5f01";

async fn import(client: &Client, query: &str, media: &str, stream: impl Into<Vec<u8>>) -> Answer {
    let request = client.request("POST", &format!("{PATH}{query}"));
    request
        .text_body(stream)
        .header("content-type", media)
        .send()
        .await
}

fn pem(certificates: &[pki::Certificate]) -> String {
    pki::pem::bundle(certificates, true)
}

fn several(maker: &mut Maker, count: usize) -> Vec<pki::Certificate> {
    let wanted = Wanted::new("CN=streamed.example");
    (0..count).map(|_| maker.make(&wanted).0).collect()
}

/// Copies of a certificate that differ in the octets of their signature.
fn copies(maker: &mut Maker, numbers: impl IntoIterator<Item = u32>) -> Vec<Vec<u8>> {
    let der = several(maker, 1)[0].der().to_vec();
    let copy = |number: u32| [&der[..der.len() - 4], &number.to_be_bytes()].concat();
    numbers.into_iter().map(copy).collect()
}

/// How many of the names of these tests there are.
async fn total(server: &TestServer) -> u64 {
    let path = "/Certificates?QueryString=CN%20-eq%20%22streamed.example%22";
    server.admin().get(path).await.expect(200).total().unwrap()
}

#[track_caller]
fn counts(answer: &Value, expected: [u64; 4]) {
    let names = ["New", "Known", "Updated", "Failed"];
    let found = names.map(|name| answer[name].as_u64().unwrap());
    assert_eq!(found, expected, "{answer}");
    assert_eq!(answer["Certificates"], expected.iter().sum::<u64>());
}

async fn found(server: &TestServer) -> Vec<Value> {
    let path = "/Certificates?QueryString=CN%20-eq%20%22streamed.example%22&IncludeMetadata=true&SortField=Id";
    let answer = server.admin().get(path).await.expect(200);
    answer.items().to_vec()
}

/// Lets a role have exactly these permissions.
async fn grant(admin: Client, role: i64, permissions: Value) {
    let path = format!("/Security/Roles/{role}");
    let mut body = admin
        .request("GET", &path)
        .version(2)
        .send()
        .await
        .expect(200)
        .json;
    body["Permissions"] = permissions;
    let request = admin.request("PUT", "/Security/Roles").version(2);
    request.json(body).send().await.expect(200);
}

async fn records(server: &TestServer) -> u64 {
    let rows = tables::audit_records::Entity::find();
    rows.count(server.app().db().read()).await.unwrap()
}

testkit::both_databases! {
    async fn a_stream_of_pem_is_recorded_once(server: TestServer) {
        let mut maker = Maker::new();
        let all = several(&mut maker, 5);
        let admin = server.admin();
        let total = async || server.admin().get("/Certificates").await.expect(200).total().unwrap();
        let (before, audited) = (total().await, records(&server).await);
        let mut text = pem(&all[..3]);
        text += "-----BEGIN CERTIFICATE-----\nMAMCAQc=\n-----END CERTIFICATE-----\nsomething else\n";
        text += &pki::pem::encode("X509 CRL", &[0x30, 0]);
        text += &pem(&all[2..]);
        let answer = import(&admin, &format!("?id={ID}"), PEM, text.clone()).await.expect(200);
        counts(&answer.json, [5, 1, 0, 2]);
        assert_eq!(answer.json["Id"], ID);
        assert_eq!(answer.json["State"], "Complete");
        assert_eq!(answer.json["Octets"], text.len());
        assert_eq!(answer.json["Format"], "PEM");
        assert_eq!(answer.json["Failures"][1]["Octet"], text.find("-----BEGIN X509 CRL").unwrap());
        assert!(answer.json["Failures"][1]["Reason"].as_str().unwrap().contains("X509 CRL is no certificate"));
        assert_eq!(total().await, before + 5, "the kept count");
        // A beginning, one lot, an end.
        assert_eq!(records(&server).await, audited + 3);

        let rows = found(&server).await;
        assert_eq!(rows.len(), 5);
        let lines = history(&server, rows[0]["Id"].as_i64().unwrap()).await;
        assert_eq!((lines.len(), &lines[0]["Action"]), (1, &json!("Imported")));
        assert!(lines[0]["Comment"].as_str().unwrap().contains(ID));

        // The same again, in the other form: nothing is new, nothing is written.
        let der: Vec<u8> = all.iter().flat_map(|one| one.der().to_vec()).collect();
        let audited = records(&server).await;
        let again = import(&admin, "", DER, der).await.expect(200);
        counts(&again.json, [0, 5, 0, 0]);
        assert_eq!(again.json["Format"], "DER");
        assert_eq!(records(&server).await, audited + 2);
        assert_eq!(history(&server, rows[0]["Id"].as_i64().unwrap()).await.len(), 1);
        import(&admin, &format!("?id={ID}"), PEM, text).await.expect(409);

        let one = admin.get(&format!("{PATH}/{ID}")).await.expect(200);
        assert_eq!(one.json, answer.json);
        let listed = admin.get(&format!("{PATH}?SortField=StartedAt&SortAscending=1")).await.expect(200);
        assert_eq!(listed.total(), Some(2));
        assert!(listed.items().contains(&one.json));
    }

    async fn what_breaks_off_goes_on_where_it_was(server: TestServer) {
        let mut maker = Maker::new();
        let all = several(&mut maker, 6);
        let text = pem(&all).into_bytes();
        let admin = server.admin();
        let cut = text.len() / 2;
        let first = text[..cut].to_vec();
        let parts = futures::stream::iter([Ok(first), Err(std::io::Error::other("cable"))]);
        let request = admin.request("POST", &format!("{PATH}?id={ID}")).header("content-type", PEM);
        let broken = request.send_parts(parts).await.expect(400);
        assert!(broken.message().contains("The body ended"), "{}", broken.message());
        let left = admin.get(&format!("{PATH}/{ID}")).await.expect(200).json;
        assert_eq!(left["State"], "Interrupted");
        let durable = usize::try_from(left["Octets"].as_u64().unwrap()).unwrap();
        let whole = left["New"].as_u64().unwrap();
        assert!(durable < cut && (2..4).contains(&whole), "{left}");

        let wrong = import(&admin, &format!("?id={ID}"), PEM, text.clone()).await.expect(409);
        assert!(wrong.message().contains(&format!("stands at octet {durable}")), "{}", wrong.message());
        let other = server.account(&["/certificates/import/"]).await;
        let resume = format!("?id={ID}&from={durable}");
        import(&other, &resume, PEM, &text[durable..]).await.expect(409);
        import(&admin, &resume, DER, all[0].der()).await.expect(409);
        let rest = import(&admin, &resume, PEM, &text[durable..]).await.expect(200);
        counts(&rest.json, [6, 0, 0, 0]);
        assert_eq!((&rest.json["Runs"], &rest.json["State"]), (&json!(2), &json!("Complete")));
        assert_eq!(rest.json["Octets"], text.len());
        import(&admin, "?id=7a0c3c0e-9a3e-4d7e-8a9e-111111111111&from=5", PEM, &text[..]).await.expect(409);
    }

    async fn who_loses_the_right_is_stopped_where_the_stream_stands(server: TestServer) {
        let mut maker = Maker::new();
        let all = several(&mut maker, 4);
        let admin = server.admin();
        define(&admin, &[("Site", 1)]).await;
        let rights = ["/certificates/import/", "/certificates/collections/metadata/modify/"];
        let role = server.role("Importers", &rights).await;
        let importer = server.account_in_role("importer", "Importers").await;
        let query = format!("?id={ID}&metadata=%7B%22site%22%3A%22Bonn%22%7D");
        let broken = futures::stream::iter([Ok(pem(&all[..2]).into_bytes()), Err(std::io::Error::other("cable"))]);
        let request = importer.request("POST", &format!("{PATH}{query}")).header("content-type", PEM);
        request.send_parts(broken).await.expect(400);
        let stands = admin.get(&format!("{PATH}/{ID}")).await.expect(200).json;
        counts(&stands, [2, 0, 0, 0]);
        let resume = format!("{PATH}{query}&from={}", stands["Octets"]);
        // Each of the two rights goes while the rest of the stream is still to come.
        for left in [&rights[..1], &rights[1..]] {
            let request = importer.request("POST", &resume).text_body(pem(&all[2..])).header("content-type", PEM);
            let refused = request.send_late(grant(admin.clone(), role, json!(left))).await.expect(403);
            assert!(refused.message().contains("does not have any of the required permissions"), "{}", refused.message());
            let stopped = server.admin().get(&format!("{PATH}/{ID}")).await.expect(200).json;
            counts(&stopped, [2, 0, 0, 0]);
            assert_eq!((&stopped["State"], &stopped["Octets"]), (&json!("Interrupted"), &stands["Octets"]));
            grant(admin.clone(), role, json!(rights)).await;
        }
        assert_eq!(found(&server).await.len(), 2);
        let request = importer.request("POST", &resume).text_body(pem(&all[2..])).header("content-type", PEM);
        counts(&request.send().await.expect(200).json, [4, 0, 0, 0]);
    }

    async fn what_is_too_long_is_passed_over_also_when_the_stream_breaks_off_inside(server: TestServer) {
        let mut maker = Maker::new();
        let all = several(&mut maker, 2);
        let admin = server.admin();
        // A header that announces 5 MB, and some of them.
        let length = 5_000_000_usize;
        let huge = [&[0x30, 0x83, 0x4c, 0x4b, 0x40][..], &vec![7; length]].concat();
        let stream = [all[0].der(), &huge, all[1].der()].concat();
        let cut = all[0].der().len() + 1_000_000;
        let parts = futures::stream::iter([Ok(stream[..cut].to_vec()), Err(std::io::Error::other("cable"))]);
        let request = admin.request("POST", &format!("{PATH}?id={ID}")).header("content-type", DER);
        request.send_parts(parts).await.expect(400);
        let stands = admin.get(&format!("{PATH}/{ID}")).await.expect(200).json;
        counts(&stands, [1, 0, 0, 1]);
        let behind = all[0].der().len() + huge.len();
        assert_eq!((&stands["Octets"], &stands["State"]), (&json!(behind), &json!("Interrupted")));
        let rest = import(&admin, &format!("?id={ID}&from={behind}"), DER, &stream[behind..]).await.expect(200);
        counts(&rest.json, [2, 0, 0, 1]);
    }

    async fn what_a_server_has_left_behind_is_interrupted(server: TestServer) {
        let mut maker = Maker::new();
        let admin = server.admin();
        let broken = import(&admin, &format!("?id={ID}"), DER, [maker.make(&Wanted::new("CN=streamed.example")).0.der(), b"--"].concat()).await.expect(400);
        assert!(broken.message().contains("no DER certificate begins here"), "{}", broken.message());
        let failed = admin.get(&format!("{PATH}/{ID}")).await.expect(200).json;
        assert_eq!((&failed["State"], &failed["New"]), (&json!("Failed"), &json!(1)));
        // As it stands when the server ends in the middle.
        server.app().db().write("test", |tx| Box::pin(async {
            use tables::imports::{Column, Entity};
            Entity::update_many().col_expr(Column::State, Expr::value(0)).col_expr(Column::Reason, Expr::value(Option::<String>::None)).exec(tx).await.map_err(db::Error::from)?;
            Ok::<_, db::Error>(())
        })).await.unwrap();
        if server.database() == testkit::Database::Postgres {
            // It may be another server's.
            let seen = admin.get(&format!("{PATH}/{ID}")).await.expect(200).json;
            assert_eq!(seen["State"], "Running");
            let resume = format!("?id={ID}&from={}", seen["Octets"]);
            import(&admin, &resume, DER, maker.root().der()).await.expect(409);
            server.clock.advance(61_000);
        }
        let seen = admin.get(&format!("{PATH}/{ID}")).await.expect(200).json;
        assert_eq!(seen["State"], "Interrupted");
        assert!(seen["Reason"].as_str().unwrap().contains("server"), "{seen}");
        let resume = format!("?id={ID}&from={}", seen["Octets"]);
        let done = import(&admin, &resume, DER, maker.root().der()).await.expect(200);
        counts(&done.json, [2, 0, 0, 0]);
    }

    async fn owner_and_metadata_are_for_the_whole_stream(server: TestServer) {
        let mut maker = Maker::new();
        let all = several(&mut maker, 3);
        let admin = server.admin();
        define(&admin, &[("Site", 1)]).await;
        let role = server.role("Owners", &[]).await;
        import(&admin, "", PEM, pem(&all[..1])).await.expect(200);
        let said = format!("?metadata=%7B%22site%22%3A%22Bonn%22%7D&ownerRoleId={role}");
        let answer = import(&admin, &said, PEM, pem(&all)).await.expect(200);
        counts(&answer.json, [2, 0, 1, 0]);
        let rows = found(&server).await;
        for row in &rows {
            assert_eq!(row["Metadata"]["Site"], "Bonn", "{row}");
        }
        // One that is known keeps its owner.
        let owners: Vec<bool> = rows.iter().map(|row| row["OwnerRoleId"] == role).collect();
        assert_eq!(owners, [false, true, true]);
        let again = import(&admin, &said, PEM, pem(&all)).await.expect(200);
        counts(&again.json, [0, 3, 0, 0]);

        let unknown = import(&admin, "?metadata=%7B%22nothing%22%3A1%7D", PEM, pem(&all)).await.expect(400);
        assert!(unknown.message().contains("nothing") || unknown.reasons().concat().contains("nothing"));
        import(&admin, "?metadata=x", PEM, pem(&all)).await.expect(400);
        import(&admin, "?ownerRoleId=999999", PEM, pem(&all)).await.expect(400);
        let importer = server.account(&["/certificates/import/"]).await;
        import(&importer, "", PEM, pem(&all)).await.expect(200);
        import(&importer, "?metadata=%7B%22site%22%3A%22Bonn%22%7D", PEM, pem(&all)).await.expect(403);
        import(&importer, &format!("?ownerRoleId={role}"), PEM, pem(&all)).await.expect(403);
        let reader = server.account(&["/certificates/collections/read/"]).await;
        import(&reader, "", PEM, pem(&all)).await.expect(403);
        reader.get(PATH).await.expect(403);
        reader.get(&format!("{PATH}/{ID}")).await.expect(403);
        admin.get(&format!("{PATH}/{ID}")).await.expect(404);
        import(&admin, "", "application/json", "[]").await.expect(415);
    }

    async fn more_than_a_lot_and_more_than_a_body_may_have(server: TestServer) {
        let copies = copies(&mut Maker::new(), 0..5_200);
        let text = "x".repeat(16_000);
        let blocks = copies.into_iter().map(move |copy| Ok(format!("{}{text}\n", pki::pem::encode("CERTIFICATE", &copy)).into_bytes()));
        let admin = server.admin();
        let request = admin.request("POST", PATH).header("content-type", PEM);
        // 85 MB: more than any other body may have.
        let answer = request.send_parts(futures::stream::iter(blocks)).await.expect(200);
        counts(&answer.json, [5_200, 0, 0, 0]);
        assert_eq!(total(&server).await, 5_200);
    }

    async fn the_same_certificates_in_neighbouring_lots(server: TestServer) {
        // Lots have 500 here.
        let copies = copies(&mut Maker::new(), (0..2_100).map(|number| number % 700));
        let answer = import(&server.admin(), "", DER, copies.concat()).await.expect(200);
        counts(&answer.json, [700, 1_400, 0, 0]);
        assert_eq!(total(&server).await, 700);
        let all = server.admin().get("/Chancery/Certificates/Counts").await.expect(200).json["Total"].clone();
        let listed = server.admin().get("/Certificates?IncludeExpired=true&IncludeRevoked=true").await.expect(200).total();
        assert_eq!(all, json!(listed), "the kept counts");
    }

    async fn a_lot_that_fails_is_written_again_and_so_is_what_follows_it(server: TestServer) {
        // SQLite has nothing that is not undone with a lot, so that none can fail only once: there they are just several, in their order.
        if server.database() == testkit::Database::Postgres {
            // A sequence counts on when all else is undone: this fails once, in the second lot of 500 (7 statements each).
            server.app().db().write("test", |tx| Box::pin(async {
                for sql in [
                    "CREATE SEQUENCE contents_written",
                    "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                     IF nextval('contents_written') = 10 THEN RAISE EXCEPTION 'the disk is full for a moment'; END IF; RETURN NULL; END $$",
                    "CREATE TRIGGER fail_once BEFORE INSERT ON certificate_contents FOR EACH STATEMENT EXECUTE FUNCTION fail_once()",
                ] {
                    tx.execute_unprepared(sql).await?;
                }
                Ok::<_, db::Error>(())
            })).await.unwrap();
        }
        let copies = copies(&mut Maker::new(), 0..2_100);
        let answer = import(&server.admin(), "", DER, copies.concat()).await.expect(200);
        counts(&answer.json, [2_100, 0, 0, 0]);
        assert_eq!(answer.json["Octets"], copies.concat().len());
        assert_eq!(total(&server).await, 2_100);
        if server.database() == testkit::Database::Postgres {
            let written: i64 = {
                let sql = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, "SELECT last_value FROM contents_written");
                let row = server.app().db().read().query_one_raw(sql).await.unwrap().unwrap();
                row.try_get("", "last_value").unwrap()
            };
            // 31 are enough for all of them.
            assert!(written > 31, "it failed, and was written again: {written}");
        }
    }

    async fn two_imports_of_one_account_at_a_time(server: TestServer) {
        let admin = server.admin();
        let (open, gate) = tokio::sync::watch::channel(false);
        let late = |id: &str| {
            let mut gate = gate.clone();
            let request = admin.request("POST", &format!("{PATH}?id={id}")).text_body("none").header("content-type", PEM);
            request.send_late(async move { gate.wait_for(|open| *open).await.unwrap(); })
        };
        let second = "0f3c8a52-6a0a-4b6e-9a58-6f1d6f3c5f02";
        let three = async {
            while admin.get(&format!("{PATH}/{ID}")).await.status == 404 || admin.get(&format!("{PATH}/{second}")).await.status == 404 {}
            assert_eq!(admin.get(&format!("{PATH}/{ID}")).await.json["State"], "Running");
            import(&admin, &format!("?id={ID}"), PEM, "").await.expect(409);
            import(&admin, "", PEM, "").await.expect(429);
            let other = server.account(&["/certificates/import/"]).await;
            import(&other, "", PEM, "").await.expect(200);
            open.send(true).unwrap();
        };
        let (first, other, ()) = tokio::join!(late(ID), late(second), three);
        counts(&first.expect(200).json, [0, 0, 0, 0]);
        other.expect(200);
        import(&admin, "", PEM, "").await.expect(200);
        let rows = tables::imports::Entity::find().filter(tables::imports::Column::State.eq(1));
        assert_eq!(rows.count(server.app().db().read()).await.unwrap(), 4);
    }
}
