//! `/Certificates`: files that come in and go out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use db::tables;
use pki::pkcs12::Encryption;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use testkit::{Answer, Client, Outcome, START, TestServer};

use crate::certificate_stores::{create, pem, pem_agent};
use crate::certificates::{DAY, Maker, Wanted, history, issuing_certificate, openssl};
use crate::enrollment::enroll_pfx;
use crate::metadata_fields::define;

const PASSWORD: &str = "correct horse";

async fn import(client: &Client, body: Value) -> Answer {
    client.post("/Certificates/Import", body).await
}

/// What a refused import must not change.
async fn state(server: &TestServer) -> [u64; 5] {
    let db = server.app().db().read();
    [
        tables::certificates::Entity::find()
            .count(db)
            .await
            .unwrap(),
        tables::certificate_keys::Entity::find()
            .count(db)
            .await
            .unwrap(),
        tables::certificate_metadata::Entity::find()
            .count(db)
            .await
            .unwrap(),
        tables::certificate_history::Entity::find()
            .count(db)
            .await
            .unwrap(),
        tables::orchestrator_jobs::Entity::find()
            .count(db)
            .await
            .unwrap(),
    ]
}

fn text(certificate: &pki::Certificate) -> String {
    pki::pem::encode("CERTIFICATE", certificate.der())
}

fn pfx(key: &pki::PrivateKey, chain: &[pki::Certificate], password: &str) -> String {
    let written = pki::pkcs12::to_pkcs12(key, chain, "name", password, Encryption::Modern);
    STANDARD.encode(written.unwrap())
}

/// A DER element of this tag.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], length.as_slice(), content].concat()
}

/// A PKCS#7 envelope with this in it, where certificates or the content belong.
fn envelope(inner: &[u8], as_certificates: bool) -> Vec<u8> {
    let data = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01,
    ];
    let signed = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
    ];
    let (content, certificates) = match as_certificates {
        true => (element(0x30, &data), element(0xa0, inner)),
        false => (
            element(0x30, &[signed.as_slice(), &element(0xa0, inner)].concat()),
            Vec::new(),
        ),
    };
    let version = [0x02, 0x01, 0x01];
    let empty = element(0x31, &[]);
    let whole = [version.as_slice(), &empty, &content, &certificates, &empty].concat();
    element(
        0x30,
        &[signed.as_slice(), &element(0xa0, &element(0x30, &whole))].concat(),
    )
}

/// A certificate that begins in the 99th month of a year: strict readers refuse it.
fn odd(certificate: &pki::Certificate) -> Vec<u8> {
    let mut der = certificate.der().to_vec();
    let time = [0x17, 0x0d];
    let at = der.windows(2).position(|window| window == time).unwrap();
    der[at + 4..at + 6].copy_from_slice(b"99");
    assert!(pki::Certificate::from_der(&der).is_err());
    assert!(!pki::Certificate::read(&der).unwrap().warnings.is_empty());
    der
}

/// The certificate with this thumbprint, by the list.
async fn found(server: &TestServer, thumbprint: &Value) -> Value {
    let thumbprint = thumbprint.as_str().unwrap();
    let path = format!(
        "/Certificates?QueryString=Thumbprint%20-eq%20%22{thumbprint}%22&IncludeExpired=true&IncludeMetadata=true&IncludeHasPrivateKey=true"
    );
    let answer = server.admin().get(&path).await.expect(200);
    assert_eq!(answer.total(), Some(1), "{thumbprint}");
    answer.items()[0].clone()
}

async fn recover(client: &Client, format: &str, body: Value) -> Answer {
    let request = client.request("POST", "/Certificates/Recover");
    request
        .header("x-certificateformat", format)
        .json(body)
        .send()
        .await
}

async fn validate(client: &Client, id: &Value) -> Value {
    client
        .get(&format!("/Certificates/{id}/Validate"))
        .await
        .expect(200)
        .json
}

fn octets(answer: &Answer) -> Vec<u8> {
    STANDARD
        .decode(answer.json["PFX"].as_str().unwrap())
        .unwrap()
}

/// Runs a tool on a file. Answers what it printed.
fn run(tool: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(tool)
        .args(arguments)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{tool} {arguments:?}: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

testkit::both_databases! {
    async fn metadata_has_to_fit_its_field_when_it_is_written(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Site", 1)]).await;
        let mut maker = Maker::new();
        let certificate = text(&maker.make(&Wanted::new("CN=late.example")).0);
        let body = json!({ "Certificate": certificate, "Metadata": { "Site": "Bonn" } });
        // A change of the field is under way while the import comes: the import sees the field as it was, and writes after it.
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = tokio::sync::oneshot::channel::<()>();
        let change = server.app().db().write("test", |tx| Box::pin(async move {
            use tables::metadata_fields::{Column, Entity};
            Entity::update_many().col_expr(Column::Validation, Expr::value("^[a-z]+$")).filter(Column::Name.eq("Site")).exec(tx).await.map_err(db::Error::from)?;
            begun.send(()).unwrap();
            ends.await.unwrap();
            Ok::<_, db::Error>(())
        }));
        let others = async {
            begins.await.unwrap();
            let imported = import(&admin, body);
            let meanwhile = async {
                for _ in 0..20 {
                    server.admin().get("/MetadataFields").await.expect(200);
                }
                end.send(()).unwrap();
            };
            futures::future::join(imported, meanwhile).await.0
        };
        let (changed, imported) = futures::future::join(change, others).await;
        changed.unwrap();
        let refused = imported.expect(400);
        assert!(refused.message().contains("Metadata.Site"), "{}", refused.message());
        let found = admin.get("/Certificates?QueryString=CN%20-eq%20%22late.example%22").await.expect(200);
        assert_eq!(found.total(), Some(0));
    }

    async fn every_form_is_imported(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let root = maker.root().clone();
        let mut make = |subject: &'static str| maker.make(&Wanted::new(subject));
        let (one, _) = make("CN=pem.example");
        let (two, _) = make("CN=bare.example");
        let (three, _) = make("CN=der.example");
        let (four, _) = make("CN=p7b.example");
        let (five, key) = make("CN=pfx.example");
        let bundle = pki::pkcs7::certificates_to_pkcs7_der(&[four.clone(), root.clone()]).unwrap();
        let bare: String = text(&two).lines().filter(|line| !line.starts_with("---")).collect();
        for (leaf, file, password, has_key) in [
            (&one, text(&one), None, false),
            (&two, bare, Some(""), false),
            (&three, STANDARD.encode(three.der()), None, false),
            (&four, STANDARD.encode(bundle), None, false),
            (&five, pfx(&key, &[five.clone(), root.clone()], PASSWORD), Some(PASSWORD), true),
        ] {
            let body = json!({ "Certificate": file, "Password": password, "StoreIds": null, "Schedule": null, "Metadata": {} });
            let answer = import(&admin, body.clone()).await.expect(200);
            assert_eq!(answer.json, json!({ "ImportStatus": 1, "JobStatus": 3, "InvalidKeystores": [], "Thumbprint": leaf.thumbprint() }));
            let shown = found(&server, &answer.json["Thumbprint"]).await;
            assert_eq!(shown["ContentBytes"], STANDARD.encode(leaf.der()));
            assert_eq!(shown["HasPrivateKey"], has_key);
            let id = shown["Id"].as_i64().unwrap();
            assert_eq!(history(&server, id).await[0]["Action"], "Imported");
            let before = state(&server).await;
            assert_eq!(import(&admin, body).await.expect(200).json["ImportStatus"], 0);
            assert_eq!(state(&server).await, before, "what is known already is not written again");
        }
        let audited = tables::audit_records::Entity::find().all(server.app().db().read()).await.unwrap();
        // Five certificates, and the root once.
        assert_eq!(audited.iter().filter(|record| record.operation == 13 && record.category == 2001).count(), 6);
        assert!(audited.iter().all(|record| !record.after.as_deref().unwrap_or_default().contains(PASSWORD)));
    }

    async fn several_certificates_metadata_and_owner(server: TestServer) {
        crate::metadata_fields::define(&server.admin(), &[("Team", 1), ("Number", 2), ("Stage", 4)]).await;
        let (admin, mut maker) = (server.admin(), Maker::new());
        let role = server.role("Importers", &[]).await;
        let (one, key) = maker.make(&Wanted::new("CN=one.example"));
        let (two, _) = maker.make(&Wanted::new("CN=two.example"));
        let root = maker.root().clone();
        let file = format!("{}{}{}", text(&root), text(&one), text(&two));
        let answer = import(&admin, json!({ "Certificate": file, "Metadata": { "Team": "Web", "Number": 3 }, "OwnerRoleName": "importers" })).await.expect(200);
        assert_eq!(answer.json["Thumbprint"], one.thumbprint());
        for leaf in [&one, &two] {
            let shown = found(&server, &json!(leaf.thumbprint())).await;
            assert_eq!(shown["Metadata"], json!({ "Team": "Web", "Number": "3" }));
            assert_eq!(shown["OwnerRoleId"], role);
        }
        // What is there only as an issuer has neither.
        let shown = found(&server, &json!(root.thumbprint())).await;
        assert_eq!((&shown["Metadata"], &shown["OwnerRoleId"]), (&json!({}), &Value::Null));

        // Later the key comes, and other metadata takes the place of all there was.
        let body = json!({ "Certificate": pfx(&key, std::slice::from_ref(&one), PASSWORD), "Password": PASSWORD, "Metadata": { "Stage": true } });
        assert_eq!(import(&admin, body).await.expect(200).json["ImportStatus"], 2);
        let shown = found(&server, &json!(one.thumbprint())).await;
        assert_eq!(shown["Metadata"], json!({ "Stage": "true" }));
        assert_eq!((&shown["HasPrivateKey"], &shown["OwnerRoleId"]), (&json!(true), &json!(role)));

        // An import gives a known certificate no other owner.
        server.role("Others", &[]).await;
        let refused = import(&admin, json!({ "Certificate": text(&one), "OwnerRoleName": "Others" })).await.expect(400);
        assert!(refused.message().contains("OwnerRoleId") && refused.message().contains("entry 1"), "{}", refused.message());
        assert_eq!(found(&server, &json!(one.thumbprint())).await["OwnerRoleId"], role);
    }

    async fn an_import_can_go_into_stores(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let agent = pem_agent(&server).await;
        let (first, second) = (create(&admin, pem(agent, "/1")).await, create(&admin, pem(agent, "/2")).await);
        let (leaf, key) = maker.make(&Wanted::new("CN=store.example"));
        let file = pfx(&key, &[leaf.clone(), maker.root().clone()], PASSWORD);
        let body = |stores: Value| json!({
            "Certificate": file, "Password": PASSWORD, "StoreIds": stores, "Schedule": "2026-01-01T00:00:00Z",
            "StoreTypes": [{ "StoreTypeId": 2, "Alias": leaf.thumbprint(), "Overwrite": true, "Properties": [] }],
        });
        // One store that cannot have it, and nothing is imported.
        let before = state(&server).await;
        let unknown = "00000000-0000-0000-0000-000000000001";
        let refused = import(&admin, body(json!([first, unknown]))).await.expect(400);
        assert!(refused.reasons()[0].starts_with("StoreIds[1]") && refused.reasons()[0].contains(unknown), "{}", refused.text);
        assert_eq!(state(&server).await, before);
        let importer = ["/certificates/import/", "/certificates/collections/private_key/import/"];
        import(&server.account(&importer).await, body(json!([first]))).await.expect(403);
        assert_eq!(state(&server).await, before);

        let answer = import(&admin, body(json!([first, second]))).await.expect(200);
        assert_eq!(answer.json["JobStatus"], 1);
        let jobs = tables::orchestrator_jobs::Entity::find().all(server.app().db().read()).await.unwrap();
        assert_eq!(jobs.len(), 2);
        assert!(jobs.iter().all(|job| job.include_private_key && job.overwrite));

        // Whoever may not read a certificate cannot put it, with its stored key, into a store of his.
        let body = json!({ "Certificate": text(&leaf), "StoreIds": [first] });
        let scheduler = server.account(&["/certificates/import/", "/certificate_stores/schedule/"]).await;
        import(&scheduler, body.clone()).await.expect(403);
        // Two certificates: nobody knows which one is meant.
        let (other, _) = maker.make(&Wanted::new("CN=other.example"));
        let two = format!("{}{}", text(&leaf), text(&other));
        let refused = import(&admin, json!({ "Certificate": two, "StoreIds": [first] })).await.expect(400);
        assert!(refused.message().starts_with("StoreIds"), "{}", refused.message());
        assert_eq!(tables::orchestrator_jobs::Entity::find().count(server.app().db().read()).await.unwrap(), 2);
        import(&admin, body).await.expect(200);
    }

    async fn bad_files_are_refused_and_change_nothing(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let (leaf, key) = maker.make(&Wanted::new("CN=bad.example"));
        let (other, other_key) = maker.make(&Wanted::new("CN=other.example"));
        let (der, pem) = (leaf.der(), text(&leaf));
        let file = pfx(&key, std::slice::from_ref(&leaf), PASSWORD);
        let truncated = STANDARD.encode(&der[..der.len() - 7]);
        let garbage = STANDARD.encode([der, b"garbage".as_slice()].concat());
        let mut bomb = der.to_vec();
        for _ in 0..8 {
            bomb = STANDARD.encode(bomb).into_bytes();
        }
        let half = format!("{}{}", text(&other), &pem[..pem.len() / 2]);
        let before = state(&server).await;
        for (file, password, place) in [
            (Value::Null, Value::Null, "Certificate"),
            (json!("  "), Value::Null, "Certificate"),
            (json!("certainly no certificate!"), Value::Null, "Certificate"),
            (json!(truncated), Value::Null, "Certificate: "),
            (json!(garbage), Value::Null, "Certificate: "),
            (json!(half), Value::Null, "entry 2"),
            (json!(String::from_utf8(bomb).unwrap()), Value::Null, "envelopes"),
            (json!(file), json!("wrong"), "Password: "),
            (json!(file), Value::Null, "Password: "),
            (json!(file), json!(""), "Password: "),
            (json!(format!("{}{}", text(&other), *key.to_pkcs8_pem())), Value::Null, "entry 2"),
            (json!(*other_key.to_pkcs8_pem()), Value::Null, "no certificate"),
        ] {
            let answer = import(&admin, json!({ "Certificate": file, "Password": password })).await.expect(400);
            assert!(answer.message().contains(place), "{place}: {}", answer.message());
            let analyzed = admin.post("/Certificates/Analyze", json!({ "Certificate": file, "Password": password })).await;
            assert!(analyzed.status == 400 || place.contains("entry 2") || place == "no certificate", "{}", analyzed.text);
        }
        for (member, value) in [
            ("OwnerRoleName", json!("Nobody knows")),
            ("OwnerRoleId", json!(987_654)),
            ("StoreIds", json!(["no guid"])),
            ("Schedule", json!("yesterday")),
            ("Metadata", json!({ "Team": [1] })),
        ] {
            let answer = import(&admin, json!({ "Certificate": pem, member: value })).await.expect(400);
            assert!(answer.message().contains(member), "{member}: {}", answer.message());
        }
        let large = "A".repeat(50_000_000);
        import(&admin, json!({ "Certificate": large })).await.expect(413);
        server.anonymous().post("/Certificates/Import", json!({ "Certificate": pem })).await.expect(401);
        let importer = server.account(&["/certificates/import/"]).await;
        for (file, extra) in [
            (json!(file), json!({})),
            (json!(pem), json!({ "Team": "Web" })),
        ] {
            let body = json!({ "Certificate": file, "Password": PASSWORD, "Metadata": extra });
            import(&importer, body).await.expect(403);
        }
        import(&server.account(&["/certificates/collections/"]).await, json!({ "Certificate": pem })).await.expect(403);
        assert_eq!(state(&server).await, before);
        import(&importer, json!({ "Certificate": pem })).await.expect(200);
    }

    async fn envelopes_of_every_bad_form_change_nothing(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let (leaf, key) = maker.make(&Wanted::new("CN=envelope.example"));
        let good = envelope(leaf.der(), true);
        let file = STANDARD.decode(pfx(&key, std::slice::from_ref(&leaf), PASSWORD)).unwrap();
        let nested = |count: usize, as_certificates: bool| (0..count).fold(leaf.der().to_vec(), |inner, _| envelope(&inner, as_certificates));
        let pem = |label: &str, der: &[u8]| pki::pem::encode(label, der).into_bytes();
        let before = state(&server).await;
        for (name, octets) in [
            ("truncated", good[..good.len() - 9].to_vec()),
            ("garbage behind", [good.as_slice(), b"garbage"].concat()),
            ("garbage behind PEM that is cut", [pem("PKCS7", &good[..good.len() - 9]), b"garbage".to_vec()].concat()),
            ("PKCS#12, truncated", file[..file.len() - 9].to_vec()),
            ("PKCS#12, garbage behind", [file.as_slice(), b"garbage"].concat()),
            ("envelopes in certificates", nested(500, true)),
            ("envelopes in contents", nested(500, false)),
            ("envelopes in PEM", pem("PKCS7", &nested(500, true))),
            ("sequences without end", [0x30, 0x80].repeat(1_000_000)),
            ("sequences in sequences", (0..5_000).fold(Vec::new(), |inner, _| element(0x30, &inner))),
            ("an envelope that claims more than there is", [&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], good.as_slice()].concat()),
            ("certificates that claim more than there is", envelope(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], true)),
        ] {
            let body = json!({ "Certificate": STANDARD.encode(&octets), "Password": PASSWORD });
            let answer = import(&admin, body.clone()).await.expect(400);
            assert!(answer.message().starts_with("Certificate: "), "{name}: {}", answer.message());
            assert!(answer.text.len() < 1_000, "{name} says it all again");
            admin.post("/Certificates/Analyze", body).await.expect(400);
            assert_eq!(state(&server).await, before, "{name}");
        }
        import(&admin, json!({ "Certificate": STANDARD.encode(&good) })).await.expect(200);
    }

    async fn odd_certificates_are_kept(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let (leaf, _) = maker.make(&Wanted::new("CN=odd.example"));
        let der = odd(&leaf);
        let answer = import(&admin, json!({ "Certificate": STANDARD.encode(&der) })).await.expect(200);
        let shown = found(&server, &answer.json["Thumbprint"]).await;
        assert_eq!((&shown["IssuedCN"], &shown["ContentBytes"]), (&json!("odd.example"), &json!(STANDARD.encode(&der))));
        let id = shown["Id"].as_i64().unwrap();
        let told = history(&server, id).await;
        assert!(told[0]["Comment"].as_str().unwrap().contains("It is odd: "), "{told:?}");
        assert_eq!(validate(&admin, &shown["Id"]).await["Valid"], false);
        for format in ["DER", "PEM", "P7B"] {
            let request = admin.request("POST", "/Certificates/Download").header("x-certificateformat", format);
            request.json(json!({ "CertID": id, "IncludeChain": format != "DER" })).send().await.expect(200);
        }
        let analyzed = admin.post("/Certificates/Analyze", json!({ "Certificate": STANDARD.encode(&der) })).await.expect(200);
        assert!(!analyzed.items()[0]["Warnings"].as_array().unwrap().is_empty());

        // And what an agent finds.
        let mut agent = server.agent("agent1").await;
        let store = create(&admin, pem(agent.id(), "/1")).await;
        admin.post("/CertificateStores/Schedule", json!({ "StoreIds": [store], "Schedule": { "Immediate": true } })).await.expect(204);
        let der = odd(&maker.make(&Wanted::new("CN=found.example")).0);
        let item = json!({ "Alias": "a", "ItemStatus": 1, "Certificates": [STANDARD.encode(&der)], "PrivateKeyEntry": false });
        let mut items = Some(vec![serde_json::from_value(item).unwrap()]);
        assert_eq!(agent.run_all(|_, _| Outcome::Inventory(items.take().unwrap_or_default())).await, 1);
        let inventory = admin.get(&format!("/CertificateStores/{store}/Inventory")).await.expect(200);
        assert_eq!(inventory.items()[0]["Certificates"][0]["IssuedDN"], "CN=found.example");
    }

    async fn a_file_is_analyzed_and_not_kept(server: TestServer) {
        let mut maker = Maker::new();
        let (leaf, key) = maker.make(&Wanted::new("CN=analyzed.example"));
        let before = state(&server).await;
        // No role is needed.
        let anybody = server.account(&[]).await;
        let body = json!({ "Certificate": pfx(&key, &[leaf.clone(), maker.root().clone()], PASSWORD), "Password": PASSWORD });
        let answer = anybody.post("/Certificates/Analyze", body).await.expect(200);
        assert_eq!(answer.items()[0], json!({
            "IssuedDN": "CN=analyzed.example", "IssuerDN": maker.root().subject(), "Thumbprint": leaf.thumbprint(),
            "NotBefore": "2026-11-20T12:00:00Z", "NotAfter": answer.items()[0]["NotAfter"], "Metadata": {}, "IsEndEntity": true, "Warnings": [],
        }));
        assert_eq!(answer.items()[1]["IsEndEntity"], false);
        let bad = anybody.post("/Certificates/Analyze", json!({ "Certificate": "?" })).await.expect(400);
        assert!(bad.message().starts_with("Certificate: "));
        server.anonymous().post("/Certificates/Analyze", json!({})).await.expect(401);
        assert_eq!(state(&server).await, before);
    }

    async fn certificates_are_validated(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let body = json!({ "Subject": "CN=own.example", "Template": "WebServer", "Password": PASSWORD });
        let own = enroll_pfx(&admin, "PFX", body).await.expect(200).json["CertificateInformation"]["KeyfactorId"].clone();
        let answer = validate(&admin, &own).await;
        assert_eq!(answer["Valid"], true, "{answer}");
        let results = answer["Results"].as_object().unwrap();
        assert!(results.len() > 8 && results.values().all(|text| text == "Passed" ), "{answer}");

        // Without its root a certificate is not valid, with it it is. Its authority says nothing of revocation.
        let (leaf, _) = maker.make(&Wanted::new("CN=foreign.example"));
        import(&admin, json!({ "Certificate": text(&leaf) })).await.expect(200);
        let foreign = found(&server, &json!(leaf.thumbprint())).await["Id"].clone();
        let answer = validate(&admin, &foreign).await;
        assert_eq!(answer["Valid"], false);
        assert!(answer["Results"]["PartialChain"].as_str().unwrap().starts_with("Failed: "), "{answer}");
        import(&admin, json!({ "Certificate": text(maker.root()) })).await.expect(200);
        let answer = validate(&admin, &foreign).await;
        assert_eq!(answer["Valid"], true, "{answer}");
        assert!(answer["Results"]["RevocationStatusUnknown"].as_str().unwrap().starts_with("Not checked: "), "{answer}");
        let root = found(&server, &json!(maker.root().thumbprint())).await["Id"].clone();
        assert_eq!(validate(&admin, &root).await["Valid"], true);

        let old = Wanted { to: START - 1000, from: START - 10 * DAY, ..Wanted::new("CN=old.example") };
        let (old, _) = maker.make(&old);
        import(&admin, json!({ "Certificate": text(&old) })).await.expect(200);
        let old = found(&server, &json!(old.thumbprint())).await["Id"].clone();
        let answer = validate(&admin, &old).await;
        assert_eq!(answer["Valid"], false);
        assert!(answer["Results"]["NotTimeValid"].as_str().unwrap().starts_with("Failed: CN=old.example: "), "{answer}");

        // What was revoked here is revoked.
        let id = own.as_i64().unwrap();
        let work = server.app().db().write("test.revoke", move |tx| {
            Box::pin(async move {
                use tables::certificates::{Column, Entity};
                let update = Entity::update_many().col_expr(Column::State, Expr::val(2)).filter(Column::Id.eq(id));
                update.exec(tx).await.map_err(db::Error::from)
            })
        });
        work.await.unwrap();
        let answer = validate(&admin, &own).await;
        assert_eq!(answer["Valid"], false);
        assert!(answer["Results"]["Revoked"].as_str().unwrap().contains("it is revoked"), "{answer}");
    }

    async fn validation_refusals(server: TestServer) {
        let id = issuing_certificate(&server).await["Id"].clone();
        let path = format!("/Certificates/{id}/Validate");
        server.account(&["/certificates/import/"]).await.get(&path).await.expect(403);
        server.anonymous().get(&path).await.expect(401);
        server.admin().get("/Certificates/987654/Validate").await.expect(404);
        server.admin().get("/Certificates/9223372036854775808/Validate").await.expect(400);
        server.admin().get("/Certificates/x/Validate").await.expect(400);
    }

    async fn keys_are_recovered_in_every_form(server: TestServer) {
        let admin = server.admin();
        let body = json!({ "Subject": "CN=key.example", "Template": "WebServer", "Password": PASSWORD });
        let id = enroll_pfx(&admin, "STORE", body).await.expect(200).json["CertificateInformation"]["KeyfactorId"].clone();
        let der = STANDARD.decode(admin.get(&format!("/Certificates/{id}")).await.expect(200).json["ContentBytes"].as_str().unwrap()).unwrap();
        let leaf = pki::Certificate::from_der(&der).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let body = |change: Value| {
            let mut body = json!({ "CertID": id, "Password": PASSWORD, "IncludeChain": true });
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            body
        };
        for legacy in [false, true] {
            let answer = recover(&admin, "pfx", body(json!({ "UseLegacyEncryption": legacy }))).await.expect(200);
            assert_eq!(answer.json["FileName"], "key.example.pfx");
            let opened = pki::pkcs12::from_pkcs12(&octets(&answer), PASSWORD).unwrap();
            assert_eq!((opened.certificates.len(), &opened.certificates[0]), (3, &der));
            assert_eq!(opened.friendly_name.as_deref(), Some("key.example"));
            assert!(opened.key.unwrap().matches(&leaf));
            std::fs::write(file("a.pfx"), octets(&answer)).unwrap();
            run("openssl", &["pkcs12", "-in", &file("a.pfx"), "-passin", "pass:correct horse", "-nodes"]);
        }
        let pem = recover(&admin, "PEM", body(json!({ "ChainOrder": "RootFirst", "FileExtension": "txt", "IncludeSubjectHeader": true }))).await.expect(200);
        assert_eq!(pem.json["FileName"], "key.example.txt");
        std::fs::write(file("a.pem"), octets(&pem)).unwrap();
        let key = run("openssl", &["pkcs8", "-in", &file("a.pem"), "-passin", "pass:correct horse"]);
        assert!(pki::PrivateKey::from_pem(&key).unwrap().matches(&leaf));
        assert_eq!(pki::pem::certificates(&octets(&pem))[2], der);
        assert!(String::from_utf8(octets(&pem)).unwrap().contains("#CN=key.example\n"));

        let jks = recover(&admin, "JKS", body(json!({ "FriendlyName": "Server" }))).await.expect(200);
        std::fs::write(file("a.jks"), octets(&jks)).unwrap();
        let listed = run("keytool", &["-list", "-keystore", &file("a.jks"), "-storepass", PASSWORD]);
        assert!(listed.contains("server, ") && listed.contains("PrivateKeyEntry"), "{listed}");

        let zip = recover(&admin, "zip", body(json!({ "IncludeChain": false }))).await.expect(200);
        std::fs::write(file("a.zip"), octets(&zip)).unwrap();
        run("python3", &["-m", "zipfile", "-e", &file("a.zip"), &file("opened")]);
        let key = run("openssl", &["pkcs8", "-in", &file("opened/key.example.key"), "-passin", "pass:correct horse"]);
        assert!(pki::PrivateKey::from_pem(&key).unwrap().matches(&leaf));
        assert_eq!(pki::pem::certificates(&std::fs::read(file("opened/key.example.pem")).unwrap()), [der]);

        let audited = tables::audit_records::Entity::find().all(server.app().db().read()).await.unwrap();
        assert_eq!(audited.iter().filter(|record| record.operation == 17 && record.category == 2001).count(), 5);
        let told = history(&server, id.as_i64().unwrap()).await;
        assert_eq!(told.iter().filter(|line| line["Action"] == "Downloaded with Private Key").count(), 5);
    }

    async fn recovery_refusals(server: TestServer) {
        let admin = server.admin();
        let body = json!({ "Subject": "CN=key.example", "Template": "WebServer", "Password": PASSWORD });
        let id = enroll_pfx(&admin, "STORE", body).await.expect(200).json["CertificateInformation"]["KeyfactorId"].clone();
        let missing = admin.post("/Certificates/Recover", json!({ "CertID": id, "Password": PASSWORD })).await.expect(400);
        assert_eq!(missing.error_code(), "0xA0110007");
        for format in ["STORE", "DER", "x"] {
            let refused = recover(&admin, format, json!({ "CertID": id, "Password": PASSWORD })).await.expect(400);
            assert_eq!(refused.error_code(), "0xA0110008");
        }
        for (change, place) in [
            (json!({ "Password": "short" }), "Password"),
            (json!({ "Password": null }), "Password"),
            (json!({ "Password": "\u{1F40E} beyond the plane" }), "Password"),
            (json!({ "ChainOrder": "Sideways" }), "ChainOrder"),
            (json!({ "FileExtension": "../x" }), "FileExtension"),
            (json!({ "CertID": 0 }), "CertID"),
        ] {
            let mut body = json!({ "CertID": id, "Password": PASSWORD });
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let refused = recover(&admin, "PFX", body).await.expect(400);
            assert!(refused.message().contains(place), "{place}: {}", refused.message());
        }
        let keyless = issuing_certificate(&server).await["Id"].clone();
        let refused = recover(&admin, "PFX", json!({ "CertID": keyless, "Password": PASSWORD })).await.expect(400);
        assert_eq!(refused.error_code(), "0xA0110002");
        recover(&admin, "PFX", json!({ "CertID": 987_654, "Password": PASSWORD })).await.expect(404);
        let body = json!({ "CertID": id, "Password": PASSWORD });
        // Reading a certificate is not reading its key, and importing keys is not either.
        let reader = server.account(&["/certificates/collections/read/", "/certificates/collections/private_key/import/"]).await;
        recover(&reader, "PFX", body.clone()).await.expect(403);
        recover(&server.anonymous(), "PFX", body).await.expect(401);
        let audited = tables::audit_records::Entity::find().all(server.app().db().read()).await.unwrap();
        assert!(audited.iter().all(|record| record.operation != 17));
    }

    async fn certificates_as_a_table(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let old = Wanted { from: START - 10 * DAY, to: START - DAY, ..Wanted::new("CN=old.example") };
        let named = |subject: &'static str| Wanted { subject, ..Wanted::new("CN=table.example") };
        for wanted in [named("CN==cmd|' /C calc'!A0"), named("CN=\"b, c\",O=Say \\\"hi\\\""), old] {
            maker.record(&server, &wanted).await;
        }
        let plain = admin.request("GET", "/Certificates/CSV?SortName=IssuedCN&SortOrder=0").header("accept", "text/csv").send().await.expect(200);
        assert_eq!(plain.header("content-type"), Some("text/csv; charset=utf-8"));
        let lines: Vec<&str> = plain.text.split("\r\n").collect();
        assert!(lines[0].starts_with("Id,Thumbprint,SerialNumber,IssuedCN"));
        // The head, and an end after the last line.
        assert_eq!(lines.len() as u64, plain.total().unwrap() + 2);
        assert!(plain.text.contains(",\"'=cmd|' /C calc'!A0\","), "{}", plain.text);
        assert!(!plain.text.contains("old.example"));
        let whole = admin.get("/Certificates/CSV?IncludeExpired=true&SortName=IssuedCN&SortOrder=1").await.expect(200);
        assert_eq!(whole.total(), plain.total().map(|total| total + 1));
        assert!(whole.json.as_str().unwrap().contains("\"old.example\""));
        let one = admin.get("/Certificates/CSV?Query=IssuedCN%20-eq%20%22old.example%22&IncludeExpired=true").await.expect(200);
        assert_eq!(one.json.as_str().unwrap().lines().count(), 2);
        let none = admin.get("/Certificates/CSV?Query=IssuedCN%20-eq%20%22nothing%22").await.expect(200);
        assert_eq!((none.total(), none.json.as_str().unwrap().lines().count()), (Some(0), 1));
        let list = admin.get("/Certificates").await.expect(200);
        assert_eq!(list.total(), plain.total());

        let bad = admin.get("/Certificates/CSV?SortName=Nothing").await.expect(400);
        assert_eq!(bad.error_code(), "0xA011004A");
        let bad = admin.get("/Certificates/CSV?Query=Nothing%20-eq%201").await.expect(400);
        assert_eq!(bad.error_code(), "0xA0111002");
        admin.get("/Certificates/CSV?SortOrder=9").await.expect(400);
        admin.get("/Certificates/CSV?CollectionId=9223372036854775808").await.expect(400);
        server.account(&["/certificates/import/"]).await.get("/Certificates/CSV").await.expect(403);
        server.anonymous().get("/Certificates/CSV").await.expect(401);
    }

    async fn the_other_order_and_unknown_numbers_of_downloads(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let (leaf, _) = maker.make(&Wanted::new("CN=chain.example"));
        import(&admin, json!({ "Certificate": format!("{}{}", text(&leaf), text(maker.root())) })).await.expect(200);
        let download = async |body: Value| admin.request("POST", "/Certificates/Download").header("x-certificateformat", "P7B").json(body).send().await;
        for (order, first) in [("EndEntityFirst", &leaf), ("rootfirst", maker.root())] {
            let answer = download(json!({ "Thumbprint": leaf.thumbprint(), "IncludeChain": true, "ChainOrder": order })).await.expect(200);
            let envelope = STANDARD.decode(answer.json["Content"].as_str().unwrap()).unwrap();
            let printed = openssl(&["pkcs7", "-inform", "DER", "-print_certs"], &envelope);
            assert_eq!(pki::pem::certificates(&printed)[0], first.der());
        }
        download(json!({ "CertID": 9_223_372_036_854_775_808_u64 })).await.expect(400);
        admin.get("/Certificates?PageReturned=9223372036854775808").await.expect(400);
    }
}
