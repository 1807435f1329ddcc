//! `/Enrollment`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::{Answer, Client, TestServer};

use crate::certificate_stores::{create, pem, pem_agent};
use crate::metadata_fields::define;
use crate::templates::change;

/// A request for a new P-256 key, as PEM.
pub(crate) fn csr(subject: &str, dns: &[&str]) -> String {
    let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
    csr_for(&key, subject, dns)
}

fn csr_for(key: &pki::PrivateKey, subject: &str, dns: &[&str]) -> String {
    let names: Vec<_> = dns
        .iter()
        .map(|name| pki::SubjectAlternativeName::dns(*name))
        .collect();
    pki::CertificateRequest::create(&subject.parse().unwrap(), &names, key)
        .unwrap()
        .to_pem()
}

pub(crate) async fn enroll_csr(client: &Client, body: Value) -> Answer {
    client
        .request("POST", "/Enrollment/CSR")
        .header("x-certificateformat", "PEM")
        .json(body)
        .send()
        .await
}

pub(crate) async fn enroll_pfx(client: &Client, format: &str, body: Value) -> Answer {
    client
        .request("POST", "/Enrollment/PFX")
        .header("x-certificateformat", format)
        .json(body)
        .send()
        .await
}

fn certificate(text: &Value) -> pki::Certificate {
    let ders = pki::pem::certificates(text.as_str().unwrap().as_bytes());
    pki::Certificate::from_der(&ders[0]).unwrap()
}

fn names(certificate: &pki::Certificate) -> Vec<(u16, &str)> {
    let names = certificate.subject_alternative_names();
    names
        .iter()
        .map(|name| (name.kind.number(), name.value.as_str()))
        .collect()
}

fn blob(answer: &Answer) -> Vec<u8> {
    STANDARD
        .decode(
            answer.json["CertificateInformation"]["Pkcs12Blob"]
                .as_str()
                .unwrap(),
        )
        .unwrap()
}

fn openssl(arguments: &[&str]) -> String {
    let output = std::process::Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl runs");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

async fn enroll_into_stores(client: &Client, body: Value) -> Answer {
    let request = client.request("POST", "/Enrollment/PFX").version(2);
    request
        .header("x-certificateformat", "STORE")
        .json(body)
        .send()
        .await
}

/// The audit records of an operation, oldest first.
pub(crate) async fn records_of(
    server: &TestServer,
    operation: i32,
) -> Vec<db::tables::audit_records::Model> {
    use db::tables::audit_records::{Column, Entity};
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
    let found = Entity::find()
        .filter(Column::Operation.eq(operation))
        .order_by_asc(Column::Id);
    found.all(server.app().db().read()).await.unwrap()
}

/// The jobs of agents, oldest first.
async fn jobs(server: &TestServer) -> Vec<db::tables::orchestrator_jobs::Model> {
    use sea_orm::{EntityTrait, QueryOrder};
    let all = db::tables::orchestrator_jobs::Entity::find()
        .order_by_asc(db::tables::orchestrator_jobs::Column::RequestedAt)
        .all(server.app().db().read());
    all.await.unwrap()
}

/// Makes a store hold a certificate.
pub(crate) async fn put_into(server: &TestServer, store: &str, certificate: i64) {
    use db::tables::{store_entries, store_entry_certificates};
    use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, NotSet};
    let store_id = uuid::Uuid::parse_str(store).unwrap();
    let work = server.app().db().write("test.entry", move |tx| {
        Box::pin(async move {
            let entry = store_entries::ActiveModel {
                id: NotSet,
                store_id: Set(store_id),
                alias: Set("held".into()),
                alias_fold: Set("held".into()),
                private_key: Set(true),
                parameters: Set("{}".into()),
            };
            let entry = entry.insert(tx).await.map_err(db::Error::from)?;
            let held = store_entry_certificates::ActiveModel {
                since: Set(None),
                entry_id: Set(entry.id),
                chain_level: Set(0),
                certificate_id: Set(certificate),
                store_id: Set(store_id),
            };
            store_entry_certificates::Entity::insert(held)
                .exec_without_returning(tx)
                .await
                .map_err(db::Error::from)?;
            Ok::<_, db::Error>(())
        })
    });
    work.await.unwrap();
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

testkit::both_databases! {
    async fn what_every_enrollment_goes_by_counts_from_its_change_on(server: TestServer) {
        let admin = server.admin();
        let enroll = async |status: u16| {
            let body = json!({"CSR": csr("CN=rules.example", &["rules.example"]), "Template": "WebServer"});
            enroll_csr(&admin, body).await.expect(status).json
        };
        enroll(200).await;
        change(&admin, "WebServer", json!({"AllowedEnrollmentTypes": 1})).await;
        enroll(400).await;
        change(&admin, "WebServer", json!({"AllowedEnrollmentTypes": 3})).await;
        enroll(200).await;
        let field = |enrollment: i64, default: &str| json!({
            "Name": "Team", "Description": "", "DataType": 1, "Enrollment": enrollment, "DefaultValue": default
        });
        let made = admin.post("/MetadataFields", field(1, "")).await.expect(200).json;
        enroll(400).await;
        let mut with_default = field(1, "Harbour");
        with_default["Id"] = made["Id"].clone();
        admin.put("/MetadataFields", with_default).await.expect(200);
        assert_eq!(enroll(200).await["Metadata"], json!({"Team": "Harbour"}));
        admin.delete(&format!("/MetadataFields/{}?force=true", made["Id"])).await.expect(204);
        assert_eq!(enroll(200).await["Metadata"], json!({}));
    }

    async fn enrollments_at_the_same_moment_are_each_recorded_once(server: TestServer) {
        let client = server.admin();
        define(&server.admin(), &[("Number", 2)]).await;
        let before = client.get("/Certificates?IncludeExpired=true").await.total().unwrap();
        let each = (0..21).map(|number| {
            let name = format!("same-moment-{number}.example");
            let body = json!({
                "CSR": csr(&format!("CN={name}"), &[&name]), "Template": "WebServer", "Metadata": {"Number": number}
            });
            enroll_csr(&client, body)
        });
        let answers = futures::future::join_all(each).await;
        let mut ids = std::collections::BTreeSet::new();
        for (number, answer) in answers.into_iter().enumerate() {
            let answer = answer.expect(200);
            let information = &answer.json["CertificateInformation"];
            let id = information["KeyfactorID"].as_i64().unwrap();
            assert!(ids.insert(id));
            let path = format!("/Certificates/{id}?includeMetadata=true");
            let shown = client.get(&path).await.expect(200);
            assert_eq!(shown.json["IssuedCN"], format!("same-moment-{number}.example"));
            assert_eq!(shown.json["CertRequestId"], information["KeyfactorRequestId"]);
            assert_eq!(shown.json["Metadata"]["Number"], number.to_string());
            let history = client.get(&format!("/Certificates/{id}/History")).await;
            assert_eq!(history.expect(200).json.as_array().unwrap().len(), 1);
        }
        let after = client.get("/Certificates?IncludeExpired=true").await;
        assert_eq!(after.total(), Some(before + 21));
        let query = "CN%20-startswith%20%22SAME-moment-1%22";
        let found = client.get(&format!("/Certificates?QueryString={query}")).await;
        assert_eq!(found.total(), Some(11));
    }

    async fn a_request_becomes_a_chain_from_leaf_to_root(server: TestServer) {
        define(&server.admin(), &[("Team", 1), ("Rank", 2), ("Live", 4), ("Note", 6)]).await;
        let body = json!({
            "CSR": csr("CN=a.example,O=Example", &["a.example", "b.example"]),
            "Template": "webserver",
            "CertificateAuthority": "chancery.example\\Chancery-Issuing-CA",
            "IncludeChain": true,
            "SANs": {},
            "Metadata": {"Team": "Web", "Rank": 3, "Live": true, "Note": null},
            "Timestamp": "2026-11-21T12:00:00.123456789+02:00",
            "EnrollmentPatternId": null,
        });
        let answer = enroll_csr(&server.admin(), body).await.expect(200);
        let information = &answer.json["CertificateInformation"];
        assert_eq!((information["RequestDisposition"].as_str(), answer.json["Metadata"].clone()), (Some("ISSUED"), json!({"Team": "Web", "Rank": "3", "Live": "true"})));
        let texts = information["Certificates"].as_array().unwrap();
        assert_eq!(texts.len(), 3);
        assert!(texts[0].as_str().unwrap().starts_with("#CN=a.example,O=Example\n-----BEGIN CERTIFICATE-----\n"));
        let chain: Vec<pki::Certificate> = texts.iter().map(certificate).collect();
        chain[0].verify_signed_by(&chain[1]).unwrap();
        chain[1].verify_signed_by(&chain[2]).unwrap();
        assert!(chain[2].is_self_issued());
        assert_eq!(names(&chain[0]), [(2, "a.example"), (2, "b.example")]);
        assert_eq!(chain[0].extended_key_usages(), ["1.3.6.1.5.5.7.3.1"]);
        assert_eq!(chain[0].not_after(), server.clock.now() + 90 * DAY_MS - 1000);
        assert_eq!(information["SerialNumber"], chain[0].serial_hex());
        assert_eq!(information["Thumbprint"], chain[0].thumbprint());
        assert_eq!(information["IssuerDN"], chain[0].issuer());
        let id = information["KeyfactorID"].as_i64().unwrap();
        let shown = server.admin().get(&format!("/Certificates/{id}?includeMetadata=true")).await.expect(200).json;
        assert_eq!(shown["Thumbprint"], chain[0].thumbprint());
        assert_eq!(shown["Metadata"]["Rank"], "3");
        assert_eq!(shown["CertRequestId"], information["KeyfactorRequestId"]);
        let request = information["KeyfactorRequestId"].as_i64().unwrap();
        let request = server.admin().get(&format!("/Workflow/Certificates/{request}")).await.expect(200).json;
        assert_eq!(request["State"], 1);
    }

    async fn openssl_accepts_the_chain(server: TestServer) {
        let body = json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer", "IncludeChain": true});
        let answer = enroll_csr(&server.admin(), body).await.expect(200);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let texts = answer.json["CertificateInformation"]["Certificates"].as_array().unwrap();
        for (name, text) in ["leaf", "issuing", "root"].iter().zip(texts) {
            std::fs::write(path(name), text.as_str().unwrap()).unwrap();
        }
        let (leaf, issuing, root) = (path("leaf"), path("issuing"), path("root"));
        let at = (server.clock.now() / 1000).to_string();
        openssl(&["verify", "-attime", &at, "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "a.example", "-CAfile", &root, "-untrusted", &issuing, &leaf]);
    }

    async fn names_beside_the_request_add_and_replace(server: TestServer) {
        let body = json!({
            "CSR": csr("CN=a.example", &["a.example"]),
            "Template": "WebServer",
            "saNs": {"DNS": ["b.example", "B.example"], "ip": ["10.0.0.1"], "ip6": ["2001:DB8::1"], "rfc822": ["w@a.example"], "uri": null, "ms_ntprincipalname": ["w@a"]},
        });
        let answer = enroll_csr(&server.admin(), body).await.expect(200);
        let leaf = certificate(&answer.json["CertificateInformation"]["Certificates"][0]);
        let mut found = names(&leaf);
        found.sort_unstable();
        assert_eq!(found, [(1, "w@a.example"), (2, "b.example"), (7, "10.0.0.1"), (7, "2001:db8::1"), (100, "w@a")]);
        assert_eq!(answer.json["CertificateInformation"]["Certificates"].as_array().unwrap().len(), 1, "no chain unless asked for");
    }

    async fn server_names_come_from_the_common_name_when_there_are_none(server: TestServer) {
        let admin = server.admin();
        for (subject, expected) in [("CN=a.example", vec![(2, "a.example")]), ("CN=10.1.2.3", vec![(7, "10.1.2.3")]), ("CN=A server,O=X", vec![])] {
            let answer = enroll_csr(&admin, json!({"CSR": csr(subject, &[]), "Template": "WebServer"})).await.expect(200);
            assert_eq!(names(&certificate(&answer.json["CertificateInformation"]["Certificates"][0])), expected);
        }
    }

    async fn forms_of_requests_and_answers(server: TestServer) {
        let admin = server.admin();
        let pem = csr("CN=a.example", &[]);
        let der = pki::CertificateRequest::from_pem_or_der(pem.as_bytes()).unwrap().der().to_vec();
        let raw = format!("{{\"CSR\": \"{pem}\", \"Template\": \"WebServer\"}} trailing");
        let send = |format: &'static str, text: String| {
            admin.request("POST", "/Enrollment/CSR").header("x-certificateformat", format).text_body(text).send()
        };
        send("pem", raw).await.expect(200);
        let base64 = json!({"CSR": STANDARD.encode(&der), "Template": "WebServer", "IncludeChain": true}).to_string();
        let answer = send("DER", base64.clone()).await.expect(200);
        let leaf = STANDARD.decode(answer.json["CertificateInformation"]["Certificates"][0].as_str().unwrap()).unwrap();
        pki::Certificate::from_der(&leaf).unwrap();
        let answer = send("P7B", base64.clone()).await.expect(200);
        let bundle = STANDARD.decode(answer.json["CertificateInformation"]["Certificates"][0].as_str().unwrap()).unwrap();
        assert_eq!(pki::pkcs7::certificates_from_pkcs7(&bundle).unwrap().len(), 3);
        assert_eq!(send("", base64.clone()).await.expect(400).error_code(), "0xA0110007");
        assert_eq!(send("JKS", base64).await.expect(400).error_code(), "0xA0110008");
        let plain = json!({"CSR": pem, "Template": "WebServer", "IncludeSubjectHeader": false});
        let answer = enroll_csr(&admin, plain).await.expect(200);
        assert!(answer.json["CertificateInformation"]["Certificates"][0].as_str().unwrap().starts_with("-----BEGIN"));
    }

    async fn bad_requests_are_refused_and_leave_nothing(server: TestServer) {
        let admin = server.admin();
        let before = admin.get("/Certificates?includeExpired=true").await.expect(200).total();
        let good = csr("CN=a.example", &[]);
        let weak = {
            let output = std::process::Command::new("openssl")
                .args(["req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=weak.example"])
                .output()
                .expect("openssl runs");
            String::from_utf8(output.stdout).unwrap()
        };
        let broken = good.replace("\nMI", "\nMJ");
        for (body, place) in [
            (json!({"Template": "WebServer"}), "CSR"),
            (json!({"CSR": null, "Template": "WebServer"}), "CSR"),
            (json!({"CSR": "", "Template": "WebServer"}), "CSR"),
            (json!({"CSR": "not a request", "Template": "WebServer"}), "CSR"),
            (json!({"CSR": broken, "Template": "WebServer"}), "CSR"),
            (json!({"CSR": "A".repeat(70_000), "Template": "WebServer"}), "CSR"),
            (json!({"CSR": weak, "Template": "WebServer"}), "1024"),
            (json!({"CSR": good}), "Template"),
            (json!({"CSR": good, "Template": "Nothing"}), "Template"),
            (json!({"CSR": good, "EnrollmentPatternId": 5}), "EnrollmentPatternId"),
            (json!({"CSR": good, "Template": "WebServer", "CertificateAuthority": "other\\CA"}), "CertificateAuthority"),
            (json!({"CSR": good, "Template": "WebServer", "CertificateAuthority": "Chancery-Root-CA"}), "CertificateAuthority"),
            (json!({"CSR": good, "Template": "WebServer", "CertificateAuthority": "Chancery-Agents-CA"}), "CertificateAuthority"),
            (json!({"CSR": good, "Template": "WebServer", "SANs": {"dnsname": ["a"]}}), "SANs"),
            (json!({"CSR": good, "Template": "WebServer", "SANs": {"ip4": ["::1"]}}), "SANs.ip4"),
            (json!({"CSR": good, "Template": "WebServer", "SANs": {"dns": ["a b"]}}), "a b"),
            (json!({"CSR": good, "Template": "WebServer", "Metadata": {"Team": ["Web"]}}), "Metadata.Team"),
            (json!({"CSR": good, "Template": "WebServer", "OwnerRoleId": 4711}), "OwnerRoleId"),
            (json!({"CSR": good, "Template": "WebServer", "OwnerRoleName": "Nobody"}), "OwnerRoleName"),
            (json!({"CSR": good, "Template": "WebServer", "RenewalCertificateId": 0}), "RenewalCertificateId"),
            (json!({"CSR": good, "Template": "WebServer", "RenewalCertificateId": 4711}), "RenewalCertificateId"),
            (json!({"CSR": good, "Template": "WebServer", "PrivateKey": "no key"}), "PrivateKey"),
            (json!({"CSR": csr("", &[]), "Template": "ClientServer"}), "subject"),
        ] {
            let answer = enroll_csr(&admin, body.clone()).await.expect(400);
            assert!(answer.message().contains(place), "{place}: {}", answer.message());
        }
        assert_eq!(admin.get("/Certificates?includeExpired=true").await.expect(200).total(), before);
        assert!(admin.get("/Workflow/Certificates/Pending").await.expect(200).items().is_empty());
        server.account(&["/certificates/enrollment/pfx/"]).await.request("POST", "/Enrollment/CSR").json(json!({"CSR": good, "Template": "WebServer"})).send().await.expect(403);
        let huge = "x".repeat(17 * 1024 * 1024);
        let answer = admin.request("POST", "/Enrollment/CSR").header("x-certificateformat", "PEM").text_body(huge).send().await;
        let _ = answer.expect(413);
    }

    async fn the_authority_is_named_in_any_of_three_ways(server: TestServer) {
        let admin = server.admin();
        for name in [json!(null), json!(""), json!("chancery-issuing-ca"), json!("CHANCERY.example\\Chancery-Issuing-CA"), json!("chancery.example\\\\Chancery-Issuing-CA")] {
            enroll_csr(&admin, json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer", "CertificateAuthority": name})).await.expect(200);
        }
    }

    async fn an_owner_and_a_key_are_kept(server: TestServer) {
        let admin = server.admin();
        let role = server.role("Web team", &[]).await;
        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
        let pem = key.to_pkcs8_pem();
        let body = json!({"CSR": csr_for(&key, "CN=a.example", &[]), "Template": "WebServer", "OwnerRoleName": "web TEAM", "OwnerRoleId": role, "PrivateKey": *pem});
        let answer = enroll_csr(&admin, body).await.expect(200);
        let id = answer.json["CertificateInformation"]["KeyfactorID"].as_i64().unwrap();
        let shown = admin.get(&format!("/Certificates/{id}?includeHasPrivateKey=true")).await.expect(200).json;
        assert_eq!(shown["OwnerRoleId"], role);
        assert_eq!(shown["HasPrivateKey"], true);
        let other = json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer", "PrivateKey": *pem});
        let answer = enroll_csr(&admin, other).await.expect(400);
        assert!(answer.message().contains("PrivateKey"));
        let two = json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer", "OwnerRoleName": "Administrator", "OwnerRoleId": role});
        enroll_csr(&admin, two).await.expect(400);
    }

    async fn the_rules_of_the_template_hold(server: TestServer) {
        let admin = server.admin();
        change(&admin, "WebServer", json!({
            "TemplateRegexes": [{"SubjectPart": "CN", "Regex": "\\.example$", "Error": "Names end in .example"}, {"SubjectPart": "DNS", "Regex": "^[a-z.*]+$"}],
            "TemplateDefaults": [{"SubjectPart": "O", "Value": "Example"}, {"SubjectPart": "C", "Value": "DE"}],
            "TemplatePolicy": {"AllowWildcards": false, "RFCEnforcement": true, "KeyInfo": {"ECDSA": {"curves": ["1.2.840.10045.3.1.7"]}, "RSA": {"bit_lengths": [3072]}}},
        })).await;
        let answer = enroll_csr(&admin, json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer"})).await.expect(200);
        let leaf = certificate(&answer.json["CertificateInformation"]["Certificates"][0]);
        assert_eq!(leaf.subject(), "CN=a.example,O=Example,C=DE");
        for (subject, dns, reason) in [
            ("CN=a.test", "a.test", "Names end in .example"),
            ("O=Example", "a.example", "Names end in .example"),
            ("CN=*.example", "a.example", "wildcard"),
            ("CN=a.example", "*.example", "wildcard"),
            ("CN=a.example", "a1.example", "DNS"),
        ] {
            let answer = enroll_csr(&admin, json!({"CSR": csr(subject, &[dns]), "Template": "WebServer"})).await.expect(400);
            assert!(answer.reasons().iter().any(|text| text.contains(reason)), "{subject} {dns}: {}", answer.text);
        }
        let ip = json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer", "SANs": {"ip": ["10.0.0.1"]}});
        assert!(enroll_csr(&admin, ip).await.expect(400).message().contains("DNS"));
        let p384 = csr_for(&pki::PrivateKey::generate(pki::KeySpec::EcP384).unwrap(), "CN=a.example", &[]);
        assert!(enroll_csr(&admin, json!({"CSR": p384, "Template": "WebServer"})).await.expect(400).message().contains("P-384"));
        let ed25519 = csr_for(&pki::PrivateKey::generate(pki::KeySpec::Ed25519).unwrap(), "CN=a.example", &[]);
        assert!(enroll_csr(&admin, json!({"CSR": ed25519, "Template": "WebServer"})).await.expect(400).message().contains("Ed25519"));
        enroll_csr(&admin, json!({"CSR": ed25519, "Template": "ClientServer"})).await.expect(200);
        let rsa = json!({"Subject": "CN=a.example", "Template": "WebServer", "KeyType": "RSA", "KeyLength": 2048, "Password": "a password"});
        assert!(enroll_pfx(&admin, "PFX", rsa).await.expect(400).message().contains("3072"));
    }

    async fn templates_say_who_may_enroll_and_how(server: TestServer) {
        let admin = server.admin();
        server.role("Web team", &["/certificates/enrollment/csr/"]).await;
        change(&admin, "WebServer", json!({"UseAllowedRequesters": true, "AllowedRequesters": ["Web team"], "AllowedEnrollmentTypes": 2})).await;
        let body = json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer"});
        let refused = server.account(&["/certificates/"]).await;
        assert!(enroll_csr(&refused, body.clone()).await.expect(403).message().contains("Web team"));
        let member = server.account_in_role("member", "Web team").await;
        enroll_csr(&member, body.clone()).await.expect(200);
        enroll_pfx(&member, "PFX", json!({"Subject": "CN=a.example", "Template": "WebServer"})).await.expect(403);
        change(&admin, "WebServer", json!({"UseAllowedRequesters": false})).await;
        let answer = enroll_pfx(&admin, "PFX", json!({"Subject": "CN=a.example", "Template": "WebServer"})).await.expect(400);
        assert!(answer.message().contains("PFX"));
        change(&admin, "WebServer", json!({"AllowedEnrollmentTypes": 1})).await;
        assert!(enroll_csr(&admin, body).await.expect(400).message().contains("CSR"));
    }

    async fn a_pfx_opens_with_openssl(server: TestServer) {
        let admin = server.admin();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pfx").display().to_string();
        for (legacy, key) in [(false, json!({})), (true, json!({"KeyType": "RSA", "KeyLength": 2048})), (false, json!({"KeyType": "Ed25519"})), (false, json!({"Curve": "P-384"}))] {
            let mut body = json!({
                "Subject": "CN=a.example,O=Example", "SANs": {"dns": ["b.example"]}, "Template": "WebServer", "IncludeChain": true,
                "Password": "pass word 1", "UseLegacyEncryption": legacy, "CustomFriendlyName": "The web", "RenewalCertificateId": null,
                "PopulateMissingValuesFromAD": false, "KeyLength": 0, "Metadata": null,
            });
            for (member, value) in key.as_object().unwrap() {
                body[member] = value.clone();
            }
            let answer = enroll_pfx(&admin, "PFX", body).await.expect(200);
            assert_eq!(answer.header("x-certificatefile"), Some("a.example.pfx"));
            assert_eq!(answer.header("x-privatekeystatus"), Some("Saved"));
            let information = &answer.json["CertificateInformation"];
            assert!(information["Password"].is_null(), "a password that was given does not come back");
            assert_eq!(information["KeyStatus"], 1);
            std::fs::write(&file, blob(&answer)).unwrap();
            let text = openssl(&["pkcs12", "-in", &file, "-passin", "pass:pass word 1", "-nodes"]);
            assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 3);
            assert!(text.contains("friendlyName: The web"));
            let opened = pki::pkcs12::from_pkcs12(&blob(&answer), "pass word 1").unwrap();
            let leaf = pki::Certificate::from_der(&opened.certificates[0]).unwrap();
            assert!(opened.key.unwrap().matches(&leaf));
            assert_eq!(leaf.serial_hex(), information["SerialNumber"]);
            assert_eq!(names(&leaf), [(2, "b.example")]);
        }
    }

    /// Before a key leaves the server it is written down that it does, by whom and whose.
    async fn keys_that_are_given_away_are_recorded(server: TestServer) {
        let enroller = server.account(&["/certificates/enrollment/pfx/", "/certificates/enrollment/csr/"]).await;
        let body = json!({"Subject": "CN=a.example", "Template": "WebServer", "Password": "a password"});
        let mut expected = Vec::new();
        for format in ["PFX", "PEM", "STORE"] {
            let made = enroll_pfx(&enroller, format, body.clone()).await.expect(200);
            if format != "STORE" {
                let id = &made.json["CertificateInformation"]["KeyfactorId"];
                expected.push(format!("The private key of certificate {id} was given to who enrolled it."));
            }
        }
        // None is given away where none is made, and none where the container cannot be made.
        enroll_csr(&enroller, json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer"})).await.expect(200);
        enroll_pfx(&enroller, "PFX", json!({"Subject": "CN=a.example", "Template": "WebServerApproval"})).await.expect(200);
        let given = records_of(&server, 17).await;
        assert_eq!(given.iter().map(|record| record.message.clone()).collect::<Vec<_>>(), expected);
        for record in given {
            assert_eq!((record.actor.as_str(), record.category, record.name.as_str()), (enroller.name(), 2001, "CN=a.example"));
            assert!(!format!("{record:?}").contains("PRIVATE KEY"));
        }
    }

    /// What is signed at an approval is signed by who approves, for who asked.
    async fn a_record_says_for_whom(server: TestServer) {
        let requester = server.account(&["/certificates/enrollment/csr/"]).await;
        let body = json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServerApproval"});
        let id = enroll_csr(&requester, body).await.expect(200).json["CertificateInformation"]["KeyfactorRequestId"].clone();
        let approver = server.account(&["/certificates/requests/manage/"]).await;
        approver.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200);
        let made = records_of(&server, 1).await;
        let signed = made.iter().rfind(|record| record.message.contains(&format!("issued for request {id}"))).unwrap();
        assert_eq!((signed.actor.as_str(), signed.on_behalf_of.as_deref()), (approver.name(), Some(requester.name())));
        let approved = records_of(&server, 4).await;
        assert_eq!(approved.last().unwrap().actor, approver.name());
    }

    async fn a_password_is_made_when_none_is_given(server: TestServer) {
        let answer = enroll_pfx(&server.admin(), "PFX", json!({"SANs": {"dns": ["a.example"]}, "Template": "WebServer"})).await.expect(200);
        let password = answer.json["CertificateInformation"]["Password"].as_str().unwrap();
        assert!(password.len() >= 20);
        let opened = pki::pkcs12::from_pkcs12(&blob(&answer), password).unwrap();
        assert_eq!(opened.certificates.len(), 1, "no chain unless asked for");
    }

    async fn a_pem_has_the_encrypted_key(server: TestServer) {
        let body = json!({"Subject": "CN=a.example", "Template": "WebServer", "Password": "a password", "IncludeChain": true, "ChainOrder": "RootFirst"});
        let answer = enroll_pfx(&server.admin(), "PEM", body).await.expect(200);
        assert_eq!(answer.header("x-certificatefile"), Some("a.example.pem"));
        let text = String::from_utf8(blob(&answer)).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pem").display().to_string();
        std::fs::write(&file, &text).unwrap();
        let key = pki::PrivateKey::from_pem(&openssl(&["pkcs8", "-in", &file, "-passin", "pass:a password"])).unwrap();
        let ders = pki::pem::certificates(text.as_bytes());
        assert_eq!(ders.len(), 3);
        assert!(key.matches(&pki::Certificate::from_der(&ders[2]).unwrap()));
    }

    async fn keys_stay_as_the_template_says(server: TestServer) {
        let admin = server.admin();
        change(&admin, "WebServer", json!({"KeyRetention": "None"})).await;
        let body = json!({"Subject": "CN=a.example", "Template": "WebServer", "Password": "a password"});
        for (format, kept) in [("PFX", false), ("STORE", true)] {
            let answer = enroll_pfx(&admin, format, body.clone()).await.expect(200);
            assert_eq!(answer.header("x-privatekeystatus"), Some(if kept { "Saved" } else { "NoRetention" }));
            assert_eq!(answer.json["CertificateInformation"]["Pkcs12Blob"] == "", kept);
            let id = answer.json["CertificateInformation"]["KeyfactorId"].as_i64().unwrap();
            let shown = admin.get(&format!("/Certificates/{id}?includeHasPrivateKey=true")).await.expect(200).json;
            assert_eq!(shown["HasPrivateKey"], kept);
        }
    }

    async fn bad_orders_are_refused(server: TestServer) {
        let admin = server.admin();
        for (changes, place) in [
            (json!({"Password": "short"}), "Password"),
            (json!({"Subject": "a.example"}), "Subject"),
            (json!({"Subject": null}), "subject"),
            (json!({"KeyType": "RSA", "KeyLength": 1024}), "KeyLength"),
            (json!({"KeyType": "ML-DSA-65"}), "KeyType"),
            (json!({"KeyType": "ECC", "Curve": "secp256k1"}), "Curve"),
            (json!({"ChainOrder": "Sideways"}), "ChainOrder"),
            (json!({"RenewalCertificateId": 0}), "RenewalCertificateId"),
            (json!({"Template": ""}), "Template"),
        ] {
            let mut body = json!({"Subject": "CN=a.example", "Template": "ClientServer", "Password": "a password"});
            for (member, value) in changes.as_object().unwrap() {
                body[member] = value.clone();
            }
            let answer = enroll_pfx(&admin, "PFX", body).await.expect(400);
            assert!(answer.message().contains(place), "{place}: {}", answer.message());
        }
        let body = json!({"Subject": "CN=a.example", "Template": "WebServer"});
        assert_eq!(enroll_pfx(&admin, "JKS", body.clone()).await.expect(400).error_code(), "0xA0110008");
        assert_eq!(enroll_pfx(&admin, "Zip", body.clone()).await.expect(400).error_code(), "0xA0110008");
        assert_eq!(admin.post("/Enrollment/PFX", body.clone()).await.expect(400).error_code(), "0xA0110007");
        enroll_pfx(&server.account(&["/certificates/enrollment/csr/"]).await, "PFX", body).await.expect(403);
    }

    async fn version_2_answers_stores_too(server: TestServer) {
        let admin = server.admin();
        let send = |body: Value| admin.request("POST", "/Enrollment/PFX").version(2).header("x-certificateformat", "STORE").json(body).send();
        let body = json!({
            "Subject": "CN=a.example", "Template": "WebServer", "CustomFriendlyName": "a", "Stores": [], "InstallIntoExistingCertificateStores": false,
            "ChainOrder": "EndEntityFirst", "KeyType": "RSA", "KeyLength": 2048, "Password": "a password", "JobTime": null, "Timestamp": "2026-11-21T12:00:00Z",
        });
        let answer = send(body).await.expect(200);
        assert_eq!(answer.json["SuccessfulStores"], json!([]));
        let information = &answer.json["CertificateInformation"];
        assert_eq!((information["RequestDisposition"].as_str(), information["ChainFailedToBuild"].as_bool()), (Some("ISSUED"), Some(false)));
        assert!(information["KeyfactorId"].as_i64().unwrap() > 0);
        let answer = send(json!({"Subject": "CN=a.example", "Template": "WebServer", "AlternativeKeyType": "ML-DSA-65"})).await.expect(400);
        assert!(answer.message().contains("AlternativeKeyType"));
        let stranger = server.account(&["/certificates/enrollment/csr/"]).await;
        stranger.request("POST", "/Enrollment/PFX").version(2).header("x-certificateformat", "PFX").json(json!({})).send().await.expect(403);
    }

    async fn renewal_keeps_everything_but_the_key(server: TestServer) {
        let admin = server.admin();
        let role = server.role("Web team", &[]).await;
        define(&server.admin(), &[("Team", 1)]).await;
        let body = json!({"Subject": "CN=a.example,O=Example", "SANs": {"dns": ["a.example", "b.example"]}, "Template": "WebServerRSA", "Metadata": {"Team": "Web"}, "OwnerRoleId": role, "Password": "a password"});
        let first = enroll_pfx(&admin, "PFX", body).await.expect(200).json["CertificateInformation"].clone();
        let id = first["KeyfactorId"].as_i64().unwrap();
        server.clock.advance(DAY_MS);
        let renewed = admin.post("/Enrollment/Renew", json!({"CertificateId": id, "Timestamp": "2026-11-22 12:00:00Z"})).await.expect(200).json;
        assert_eq!(renewed["RequestDisposition"], "ISSUED");
        assert_ne!(renewed["Thumbprint"], first["Thumbprint"]);
        assert_eq!(renewed["IssuerDN"], first["IssuerDN"]);
        let new = renewed["KeyfactorId"].as_i64().unwrap();
        let read = |id: i64| {
            let admin = admin.clone();
            async move { admin.get(&format!("/Certificates/{id}?includeMetadata=true&includeHasPrivateKey=true")).await.expect(200).json }
        };
        let (old, new_shown) = (read(id).await, read(new).await);
        for member in ["IssuedDN", "OwnerRoleId", "TemplateId", "Metadata", "HasPrivateKey", "KeyType", "KeySizeInBits"] {
            assert_eq!(old[member], new_shown[member], "{member}");
        }
        assert_ne!(old["SerialNumber"], new_shown["SerialNumber"]);
        for (id, action) in [(id, "Renewed by certificate"), (new, "Renewal of certificate")] {
            let history = admin.get(&format!("/Certificates/{id}/History")).await.expect(200);
            assert!(history.items().iter().any(|line| line["Comment"].as_str().is_some_and(|text| text.starts_with(action))), "{}", history.text);
        }
        let thumbprint = renewed["Thumbprint"].as_str().unwrap().to_lowercase();
        admin.post("/Enrollment/Renew", json!({"Thumbprint": thumbprint})).await.expect(200);
        let both = json!({"CertificateId": id, "Thumbprint": thumbprint});
        admin.post("/Enrollment/Renew", both).await.expect(400);
    }

    async fn renewals_that_are_refused(server: TestServer) {
        let admin = server.admin();
        let answer = enroll_csr(&admin, json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer"})).await.expect(200);
        let id = answer.json["CertificateInformation"]["KeyfactorID"].as_i64().unwrap();
        let refused = admin.post("/Enrollment/Renew", json!({"CertificateId": id})).await.expect(400);
        assert_eq!(refused.error_code(), "0xA0110002");
        assert!(refused.message().contains("private key"));
        admin.post("/Enrollment/Renew", json!({})).await.expect(400);
        admin.post("/Enrollment/Renew", json!({"CertificateId": 4711})).await.expect(404);
        admin.post("/Enrollment/Renew", json!({"Thumbprint": "00"})).await.expect(404);
        let enroller = server.account(&["/certificates/enrollment/pfx/"]).await;
        enroller.post("/Enrollment/Renew", json!({"CertificateId": id})).await.expect(403);
        let reader = server.account(&["/certificates/collections/read/"]).await;
        reader.post("/Enrollment/Renew", json!({"CertificateId": id})).await.expect(403);
    }

    async fn a_new_request_may_follow_an_old_certificate(server: TestServer) {
        let admin = server.admin();
        let answer = enroll_csr(&admin, json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer"})).await.expect(200);
        let id = answer.json["CertificateInformation"]["KeyfactorID"].as_i64().unwrap();
        let body = json!({"CSR": csr("CN=a.example", &[]), "Template": "WebServer", "RenewalCertificateId": id});
        enroll_csr(&admin, body).await.expect(200);
        let history = admin.get(&format!("/Certificates/{id}/History")).await.expect(200);
        assert!(history.items().iter().any(|line| line["Comment"].as_str().unwrap().starts_with("Renewed by")), "{}", history.text);
    }

    async fn a_certificate_goes_into_its_stores_at_once(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let (first, second) = (create(&admin, pem(agent, "/1")).await, create(&admin, pem(agent, "/2")).await);
        let body = json!({
            "Subject": "CN=a.example", "Template": "WebServer", "JobTime": "2026-11-21T13:00:00Z",
            "Stores": [{"StoreId": first, "Alias": null, "Overwrite": true, "Properties": null}, {"StoreId": second}],
        });
        let answer = enroll_into_stores(&admin, body).await.expect(200);
        assert_eq!(answer.json["SuccessfulStores"], json!([first, second]));
        let certificate = answer.json["CertificateInformation"]["KeyfactorId"].as_i64();
        let made = jobs(&server).await;
        assert_eq!(made.len(), 2);
        assert!(made.iter().all(|job| job.certificate_id == certificate && job.include_private_key && job.schedule.is_some()));
        assert!(made.iter().any(|job| job.overwrite));

        let before = admin.get("/Certificates").await.expect(200).total();
        let body = json!({
            "Subject": "CN=a.example", "Template": "WebServer",
            "Stores": [{"StoreId": first}, {"StoreId": "00000000-0000-4000-8000-00000000beef"}],
        });
        let refused = enroll_into_stores(&admin, body.clone()).await.expect(400);
        assert!(refused.reasons()[0].contains("Stores[1]"), "{}", refused.text);
        assert_eq!(admin.get("/Certificates").await.expect(200).total(), before, "a bad store leaves no certificate");
        assert_eq!(jobs(&server).await.len(), 2);
        let enroller = server.account(&["/certificates/enrollment/pfx/"]).await;
        enroll_into_stores(&enroller, body).await.expect(403);
    }

    async fn a_successor_goes_where_its_predecessor_is(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let (held, named) = (create(&admin, pem(agent, "/1")).await, create(&admin, pem(agent, "/2")).await);
        let order = json!({"Subject": "CN=a.example", "Template": "WebServer"});
        let old = enroll_into_stores(&admin, order.clone()).await.expect(200).json["CertificateInformation"]["KeyfactorId"].as_i64().unwrap();
        put_into(&server, &held, old).await;
        let mut body = order.clone();
        body["InstallIntoExistingCertificateStores"] = json!(true);
        assert!(enroll_into_stores(&admin, body.clone()).await.expect(400).message().contains("RenewalCertificateId"));
        body["RenewalCertificateId"] = json!(old);
        body["Stores"] = json!([{"StoreId": named}]);
        let answer = enroll_into_stores(&admin, body).await.expect(200);
        assert_eq!(answer.json["SuccessfulStores"], json!([named, held]));
        let made = jobs(&server).await;
        assert_eq!(made.len(), 2);
        assert!(made.iter().any(|job| job.overwrite), "what is held is replaced");
    }

    async fn stores_of_a_request_that_waits_are_served_after_approval(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let store = create(&admin, pem(agent, "/1")).await;
        let body = json!({"Subject": "CN=a.example", "Template": "WebServerApproval", "Stores": [{"StoreId": store}]});
        let answer = enroll_into_stores(&admin, body).await.expect(200);
        assert_eq!(answer.json["SuccessfulStores"], json!([]));
        assert!(jobs(&server).await.is_empty());
        let id = answer.json["CertificateInformation"]["KeyfactorRequestId"].as_i64().unwrap();
        let shown = admin.get(&format!("/Workflow/Certificates/{id}")).await.expect(200).json;
        assert_eq!(shown["CertStores"], json!([{"EntryName": null, "ClientMachine": "web1", "StorePath": "/1"}]));
        let approver = server.account(&["/certificates/requests/manage/"]).await;
        let answer = approver.post("/Workflow/Certificates/Approve", json!([id])).await.expect(200).json;
        assert_eq!(answer["Successes"].as_array().unwrap().len(), 1, "{answer}");
        assert_eq!(jobs(&server).await.len(), 1);
    }
}
