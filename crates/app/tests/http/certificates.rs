//! `/Certificates`.

use base64::Engine;
use db::tables;
use sea_orm::{ActiveValue, EntityTrait};
use serde_json::{Value, json};
use testkit::{Answer, Client, START, TestServer};
use uuid::Uuid;

pub(crate) const DAY: i64 = 86_400_000;

/// An authority of the tests' own: what the server finds but has not issued.
pub(crate) struct Maker {
    issuer: pki::Issuer,
    key_pem: String,
    serial: u8,
}

/// What differs between the certificates of a test.
pub(crate) struct Wanted {
    pub(crate) subject: &'static str,
    pub(crate) sans: Vec<pki::SubjectAlternativeName>,
    pub(crate) key: pki::KeySpec,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) lists: Vec<String>,
    pub(crate) responders: Vec<String>,
}

impl Wanted {
    pub(crate) fn new(subject: &'static str) -> Self {
        let name = subject.trim_start_matches("CN=").split(',').next();
        Self {
            subject,
            sans: vec![pki::SubjectAlternativeName::dns(name.unwrap_or_default())],
            key: pki::KeySpec::EcP256,
            from: START - DAY,
            to: START + 90 * DAY,
            lists: vec!["http://crl.example/root.crl".into()],
            responders: Vec::new(),
        }
    }
}

impl Maker {
    pub(crate) fn new() -> Self {
        let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
        let key_pem = key.to_pkcs8_pem().to_string();
        let name = pki::DistinguishedName::parse("CN=Foreign Root,O=Elsewhere").unwrap();
        let serial = pki::Serial::from_random(&[7; 16]);
        let issuer = pki::Issuer::self_signed_root(
            &name,
            key,
            START - 4000 * DAY,
            START + 4000 * DAY,
            &serial,
        );
        Self {
            issuer: issuer.unwrap(),
            key_pem,
            serial: 0,
        }
    }

    pub(crate) fn issuer(&self) -> &pki::Issuer {
        &self.issuer
    }

    pub(crate) fn key_pem(&self) -> &str {
        &self.key_pem
    }

    pub(crate) fn root(&self) -> &pki::Certificate {
        self.issuer.certificate()
    }

    pub(crate) fn make(&mut self, wanted: &Wanted) -> (pki::Certificate, pki::PrivateKey) {
        self.serial += 1;
        let key = pki::PrivateKey::generate(wanted.key).unwrap();
        let subject = pki::Subject {
            name: pki::DistinguishedName::parse(wanted.subject).unwrap(),
            sans: wanted.sans.clone(),
            spki_der: key.spki_der(),
        };
        let profile = pki::CertificateProfile {
            key_usage: 128 | 32,
            extended_key_usages: vec!["1.3.6.1.5.5.7.3.1".into()],
            crl_distribution_points: wanted.lists.clone(),
            ocsp_urls: wanted.responders.clone(),
            ..pki::CertificateProfile::default()
        };
        let serial = pki::Serial::from_random(&[self.serial; 16]);
        let linted = self
            .issuer
            .prepare(subject, &profile, serial, wanted.from, wanted.to);
        (linted.unwrap().sign(&self.issuer).unwrap(), key)
    }

    /// Makes and records a certificate that nobody asked for. Answers its id.
    pub(crate) async fn record(&mut self, server: &TestServer, wanted: &Wanted) -> i64 {
        let (certificate, _) = self.make(wanted);
        record(server, &certificate, app::testing::Certificate::default()).await
    }
}

pub(crate) async fn record(
    server: &TestServer,
    certificate: &pki::Certificate,
    with: app::testing::Certificate,
) -> i64 {
    let der = certificate.der().to_vec();
    let given = app::testing::Certificate { der, ..with };
    app::testing::record(&server.cx(), given).await.unwrap()
}

pub(crate) fn encoded(query: &str) -> String {
    query
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

pub(crate) async fn find(client: &Client, query: &str) -> Answer {
    let path = format!(
        "/Certificates?QueryString={}&IncludeExpired=true&IncludeRevoked=true",
        encoded(query)
    );
    client.get(&path).await
}

pub(crate) async fn ids(client: &Client, query: &str) -> Vec<i64> {
    let answer = find(client, query).await.expect(200);
    assert_eq!(answer.total(), Some(answer.items().len() as u64), "{query}");
    answer
        .items()
        .iter()
        .filter_map(|item| item["Id"].as_i64())
        .collect()
}

/// A store with one entry that holds these certificates, leaf first. Answers the store's id.
pub(crate) async fn store_with(server: &TestServer, certificates: &[i64]) -> Uuid {
    let id = Uuid::from_u128(0x5706e);
    let certificates = certificates.to_vec();
    let store = tables::certificate_stores::ActiveModel {
        id: ActiveValue::Set(id),
        store_type_id: ActiveValue::Set(2),
        agent_id: ActiveValue::Set(None),
        container_id: ActiveValue::Set(None),
        client_machine: ActiveValue::Set("Web01.example".into()),
        client_machine_fold: ActiveValue::Set("web01.example".into()),
        store_path: ActiveValue::Set("/etc/TLS/site.pem".into()),
        store_path_fold: ActiveValue::Set("/etc/tls/site.pem".into()),
        approved: ActiveValue::Set(true),
        create_if_missing: ActiveValue::Set(false),
        properties: ActiveValue::Set("{}".into()),
        sealed_secrets: ActiveValue::Set(None),
        sealed_password: ActiveValue::Set(None),
        set_new_password_allowed: ActiveValue::Set(false),
        inventory_schedule: ActiveValue::Set(None),
        inventory_job_id: ActiveValue::Set(None),
        last_inventory_at: ActiveValue::Set(None),
        created_at: ActiveValue::Set(START),
    };
    let work = server.app().db().write("test.store", move |tx| {
        Box::pin(async move {
            tables::certificate_stores::Entity::insert(store)
                .exec_without_returning(tx)
                .await
                .map_err(db::Error::from)?;
            let entry = tables::store_entries::ActiveModel {
                id: ActiveValue::NotSet,
                store_id: ActiveValue::Set(id),
                alias: ActiveValue::Set("Site".into()),
                alias_fold: ActiveValue::Set("site".into()),
                private_key: ActiveValue::Set(true),
                parameters: ActiveValue::Set("{}".into()),
            };
            let entry = tables::store_entries::Entity::insert(entry)
                .exec(tx)
                .await
                .map_err(db::Error::from)?;
            for (level, certificate) in (0..).zip(certificates) {
                let link = tables::store_entry_certificates::ActiveModel {
                    since: ActiveValue::Set(None),
                    entry_id: ActiveValue::Set(entry.last_insert_id),
                    chain_level: ActiveValue::Set(level),
                    certificate_id: ActiveValue::Set(certificate),
                    store_id: ActiveValue::Set(id),
                };
                tables::store_entry_certificates::Entity::insert(link)
                    .exec_without_returning(tx)
                    .await
                    .map_err(db::Error::from)?;
            }
            Ok::<_, db::Error>(())
        })
    });
    work.await.unwrap();
    id
}

/// The authority that issues, by the answer of the list: its certificate has an issuer of another name.
pub(crate) async fn issuing_certificate(server: &TestServer) -> Value {
    let answer = server.admin().get("/Certificates").await.expect(200);
    let found = answer
        .items()
        .iter()
        .find(|item| item["IssuedDN"] != item["IssuerDN"]);
    found
        .cloned()
        .expect("the issuing authority's certificate is in the inventory")
}

async fn download(client: &Client, format: &str, body: Value) -> Answer {
    client
        .request("POST", "/Certificates/Download")
        .header("x-certificateformat", format)
        .json(body)
        .send()
        .await
}

fn content(answer: &Answer) -> Vec<u8> {
    let text = answer.json["Content"].as_str().unwrap();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

async fn owner(server: &TestServer, id: i64) -> (Value, Value) {
    let answer = server
        .admin()
        .get(&format!("/Certificates/{id}"))
        .await
        .expect(200);
    (
        answer.json["OwnerRoleId"].clone(),
        answer.json["OwnerRoleName"].clone(),
    )
}

pub(crate) async fn history(server: &TestServer, id: i64) -> Vec<Value> {
    let path = format!("/Certificates/{id}/History");
    server.admin().get(&path).await.expect(200).items().to_vec()
}

testkit::both_databases! {
    async fn an_object_has_every_member(server: TestServer) {
        let mut maker = Maker::new();
        let wanted = Wanted {
            sans: vec![
                pki::SubjectAlternativeName::dns("www.example"),
                pki::SubjectAlternativeName::new(pki::SanKind::Ip, "192.0.2.7"),
            ],
            ..Wanted::new("CN=www.example,OU=Web,O=Example")
        };
        let (certificate, key) = maker.make(&wanted);
        let owner = server.role("Web owners", &[]).await;
        let id = record(&server, &certificate, app::testing::Certificate {
            private_key: Some(key.to_pkcs8_der().to_vec()),
            authority_id: Some(1),
            template_id: Some(1),
            request_id: Some(4711),
            requester: Some("EXAMPLE\\alice".into()),
            owner_role_id: Some(owner),
            metadata: vec![("Cost centre".into(), "42".into())],
            ..Default::default()
        }).await;
        let store = store_with(&server, &[id]).await;
        let path = format!("/Certificates/{id}");
        let plain = server.admin().get(&path).await.expect(200).json;
        for (member, value) in [
            ("Id", json!(id)),
            ("Thumbprint", json!(certificate.thumbprint())),
            ("SerialNumber", json!(certificate.serial_hex())),
            ("IssuedDN", json!("CN=www.example,OU=Web,O=Example")),
            ("IssuedCN", json!("www.example")),
            ("IssuerDN", json!("CN=Foreign Root,O=Elsewhere")),
            ("ImportDate", json!("2026-11-21T12:00:00Z")),
            ("NotBefore", json!("2026-11-20T12:00:00Z")),
            ("NotAfter", json!("2027-02-19T12:00:00Z")),
            ("PrincipalId", Value::Null),
            ("OwnerRoleId", json!(owner)),
            ("OwnerRoleName", json!("Web owners")),
            ("TemplateId", json!(1)),
            ("CertState", json!(1)),
            ("CertStateString", json!("Active (1)")),
            ("KeySizeInBits", json!(256)),
            ("KeyType", json!(3)),
            ("KeyTypeString", json!("ECC")),
            ("KeyAlgorithm", json!("1.2.840.10045.2.1")),
            ("Curve", json!("P-256")),
            ("IssuedOU", json!("Web")),
            ("KeyUsage", json!(128)),
            ("CertificateAuthorityId", json!(1)),
            ("ArchivedKey", json!(true)),
            ("HasPrivateKey", json!(false)),
            ("KeyRecoverable", json!(true)),
            ("CertRequestId", json!(4711)),
            ("RequesterName", json!("EXAMPLE\\alice")),
            ("Metadata", json!({})),
            ("Locations", json!([])),
            ("LocationsCount", json!([])),
            ("SSLLocations", json!([])),
            ("IsCACertificate", json!(false)),
            ("PathLengthConstraint", Value::Null),
            ("Lifespan", json!(91)),
        ] {
            assert_eq!(plain[member], value, "{member}");
        }
        assert_eq!(plain["ExtendedKeyUsages"][0]["Oid"], "1.3.6.1.5.5.7.3.1");
        assert_eq!(plain["ExtendedKeyUsages"][0]["DisplayName"], "Server Authentication");
        assert_eq!(plain["CRLDistributionPoints"][0]["Url"], "http://crl.example/root.crl");
        assert_eq!(plain["SubjectAltNameElements"][0]["Value"], "www.example");
        assert_eq!(plain["SubjectAltNameElements"][0]["Type"], 2);
        assert_eq!(plain["SubjectAltNameElements"][1]["Value"], "192.0.2.7");
        assert_eq!(plain["SubjectAltNameElements"][1]["Type"], 7);
        assert_eq!(plain["DetailedKeyUsage"]["DigitalSignature"], true);
        assert_eq!(plain["DetailedKeyUsage"]["HexCode"], "0x80");
        let bytes = plain["ContentBytes"].as_str().unwrap();
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(bytes).unwrap(), certificate.der());

        let asked = "includeLocations=true&includeMetadata=true&includeHasPrivateKey=true";
        let alone = server.admin().get(&format!("{path}?{asked}")).await.expect(200).json;
        let query = encoded(&format!("Thumbprint -eq \"{}\"", certificate.thumbprint().to_lowercase()));
        let listed = server.admin().get(&format!("/Certificates?pq.queryString={query}&{asked}&verbose=2")).await.expect(200);
        assert_eq!(listed.total(), Some(1));
        for full in [&alone, &listed.items()[0]] {
            assert_eq!(full["HasPrivateKey"], true);
            assert_eq!(full["Metadata"], json!({ "Cost centre": "42" }));
            assert_eq!(full["Locations"], json!([{
                "StoreMachine": "Web01.example", "StorePath": "/etc/TLS/site.pem", "StoreType": 2,
                "Alias": "Site", "ChainLevel": 0, "CertStoreId": store.to_string(),
            }]));
            assert_eq!(full["LocationsCount"].as_array().map(Vec::len), Some(1));
            assert_eq!(full["LocationsCount"][0]["Count"], 1);
        }
    }

    async fn revoked_and_expired_are_left_out_unless_asked_for(server: TestServer) {
        let mut maker = Maker::new();
        let admin = server.admin();
        let first = admin.get("/Certificates").await.expect(200).total().unwrap();
        let valid = maker.record(&server, &Wanted::new("CN=valid.example")).await;
        let today = maker.record(&server, &Wanted { to: START + 60_000, ..Wanted::new("CN=today.example") }).await;
        let expired = maker.record(&server, &Wanted { from: START - 9 * DAY, to: START - DAY, ..Wanted::new("CN=expired.example") }).await;
        let shown = async |flags: &str| {
            let answer = admin.get(&format!("/Certificates?{flags}&SortField=Id")).await.expect(200);
            assert_eq!(answer.total(), Some(answer.items().len() as u64), "{flags}");
            let ids: Vec<i64> = answer.items().iter().filter_map(|item| item["Id"].as_i64()).collect();
            (answer.total().unwrap(), [valid, today, expired].map(|id| ids.contains(&id)))
        };
        assert_eq!(shown("").await, (first + 2, [true, true, false]));
        assert_eq!(shown("pq.includeExpired=true").await, (first + 3, [true, true, true]));
        assert_eq!(shown("IncludeRevoked=true").await, (first + 2, [true, true, false]));
        server.clock.advance(120_000);
        assert_eq!(shown("includeexpired=false").await, (first + 1, [true, false, false]));
        assert_eq!(shown("IncludeRevoked=true&IncludeExpired=true").await, (first + 3, [true, true, true]));
    }

    async fn pages_and_orders(server: TestServer) {
        let mut maker = Maker::new();
        for name in ["CN=b.example", "CN=A.example", "CN=c.example"] {
            maker.record(&server, &Wanted::new(name)).await;
        }
        let admin = server.admin();
        let names = async |rest: &str| -> Vec<String> {
            let query = encoded("IssuedCN -endswith \".EXAMPLE\"");
            let answer = admin.get(&format!("/Certificates?QueryString={query}&{rest}")).await.expect(200);
            assert_eq!(answer.total(), Some(3));
            answer.items().iter().filter_map(|item| Some(item["IssuedCN"].as_str()?.to_owned())).collect()
        };
        assert_eq!(names("").await, ["b.example", "A.example", "c.example"]);
        assert_eq!(names("SortField=issuedcn").await, ["A.example", "b.example", "c.example"]);
        assert_eq!(names("SortField=IssuedDN&SortAscending=1").await, ["c.example", "b.example", "A.example"]);
        assert_eq!(names("SortField=IssuedCN&ReturnLimit=2&PageReturned=2").await, ["c.example"]);
        assert!(names("PageReturned=9").await.is_empty());
        for by in ["Id", "NotBefore", "NotAfter", "ImportDate", "Thumbprint", "CertState", "KeySize"] {
            assert_eq!(names(&format!("SortField={by}")).await.len(), 3, "{by}");
        }
        let bad = admin.get("/Certificates?SortField=Nothing").await.expect(400);
        assert_eq!(bad.error_code(), "0xA011004A");
        assert_eq!(bad.message(), "Invalid sort field: Nothing.");
        admin.get("/Certificates?PageReturned=0").await.expect(400);
        admin.get("/Certificates?collectionId=0").await.expect(200);
        admin.get("/Certificates?collectionId=3").await.expect(400);
    }

    async fn every_field_can_be_asked_for(server: TestServer) {
        let mut maker = Maker::new();
        let wanted = Wanted {
            sans: vec![pki::SubjectAlternativeName::dns("Alias.example"), pki::SubjectAlternativeName::dns("two.example")],
            key: pki::KeySpec::EcP384,
            ..Wanted::new("CN=One.example,OU=Web,O=Example")
        };
        let (certificate, key) = maker.make(&wanted);
        let role = server.role("Field owners", &[]).await;
        let id = record(&server, &certificate, app::testing::Certificate {
            private_key: Some(key.to_pkcs8_der().to_vec()),
            authority_id: Some(2),
            template_id: Some(1),
            request_id: Some(9),
            requester: Some("Alice".into()),
            owner_role_id: Some(role),
            ..Default::default()
        }).await;
        let other = maker.record(&server, &Wanted::new("CN=plain.test")).await;
        store_with(&server, &[id]).await;
        let admin = server.admin();
        let whole = admin.get(&format!("/Certificates/{id}")).await.expect(200).json;
        let authority = whole["CertificateAuthorityName"].as_str().unwrap();
        let logical = authority.split('\\').next_back().unwrap();
        let template = whole["TemplateName"].as_str().unwrap();
        for query in [
            format!("Id -eq {id}"),
            format!("CertID -eq \"{id}\""),
            format!("Thumbprint -eq \"{}\"", certificate.thumbprint().to_lowercase()),
            format!("SerialNumber -eq {}", certificate.serial_hex()),
            "IssuedCN -eq \"one.EXAMPLE\"".into(),
            "CN -startswith \"One\"".into(),
            "DN -contains \"ou=web\"".into(),
            "IssuedDN -eq \"CN=One.example,OU=Web,O=Example\"".into(),
            "IssuedOU -eq \"web\"".into(),
            "OU -eq \"Web\"".into(),
            format!("IssuerDN -contains \"foreign\" AND Id -eq {id}"),
            "CertRequestId -eq 9".into(),
            "KeyfactorRequestId -eq 9".into(),
            format!("CA -eq \"{logical} \" AND NOT IsCACertificate -eq true"),
            format!("CA -eq \"{}\" AND IsCACertificate -eq \"false\"", authority.replace('\\', "\\\\")),
            format!("CertificateAuthorityName -contains \"{logical}\" AND IsCACertificate -eq false"),
            "CertificateAuthorityId -eq 2 AND IsCACertificate -eq false".into(),
            "OwnerRoleName -eq \"field OWNERS\"".into(),
            format!("OwnerRoleId -eq {role}"),
            format!("CertState -eq \"Active\" AND Id -eq {id}"),
            format!("CertState -eq 1 AND Id -eq {id}"),
            format!("NotBefore -lt \"%TODAY%\" AND Id -eq {id}"),
            format!("IssuedDate -le \"2026-11-20T12:00:00Z\" AND Id -eq {id}"),
            format!("NotAfter -gt \"2027-01-01\" AND Id -eq {id}"),
            format!("ExpirationDate -lt \"2028-01-01\" AND Id -eq {id}"),
            format!("ImportDate -ge \"%TODAY%\" AND Id -eq {id}"),
            format!("RevocationDate -eq NULL AND Id -eq {id}"),
            format!("RevocationEffDate -eq NULL AND Id -eq {id}"),
            format!("RevocationReason -eq NULL AND Id -eq {id}"),
            "KeySize -eq 384 AND IsCACertificate -eq false".into(),
            "KeySizeInBits -gt 300 AND IsCACertificate -eq false".into(),
            format!("KeyType -eq \"ECC\" AND Id -eq {id}"),
            format!("KeyType -eq 3 AND Id -eq {id}"),
            format!("KeyUsage -eq 128 AND Id -eq {id}"),
            "Curve -eq \"p-384\" AND IsCACertificate -eq false".into(),
            format!("SigningAlgorithm -contains \"ecdsa\" AND Id -eq {id}"),
            "SAN -contains \"ALIAS\"".into(),
            "SubjectAltName -eq \"two.example\"".into(),
            "TemplateShortName -eq \"webserver\"".into(),
            format!("TemplateDisplayName -eq \"{template}\""),
            "TemplateId -eq 1".into(),
            "Requester -eq \"alice\"".into(),
            "RequesterName -eq \"Alice\"".into(),
            "NetBIOSRequester -contains \"lic\"".into(),
            "HasPrivateKey -eq true".into(),
            "ArchivedKey -eq \"true\"".into(),
            "CertStorePath -contains \"/TLS/\"".into(),
            "CertStoreFQDN -eq \"web01.example\"".into(),
            format!("IssuedEmail -eq NULL AND Id -eq {id}"),
        ] {
            assert_eq!(ids(&admin, &query).await, [id], "{query}");
        }
        // A field of several values: "not" means none of them.
        for query in ["SAN -ne \"two.example\"", "OwnerRoleName -ne \"Field owners\"", "CertStoreFQDN -eq NULL", "SAN -notcontains \"alias\"", "TemplateShortName -eq NULL"] {
            let found = ids(&admin, query).await;
            assert!(!found.contains(&id) && found.contains(&other), "{query}: {found:?}");
        }
        let both = ids(&admin, &format!("Id -in (\"{id}\", \"{other}\")")).await;
        assert_eq!(both, [id, other]);
    }

    async fn refused_queries(server: TestServer) {
        let admin = server.admin();
        for query in ["Nothing -eq 1", "Id -eq \"x\"", "HasPrivateKey -gt true", "NotAfter -eq \"soon\"", "Id -eq", "KeySize -contains 2"] {
            let refused = find(&admin, query).await.expect(400);
            assert_eq!(refused.error_code(), "0xA0111002", "{query}");
        }
    }

    async fn one_refusals(server: TestServer) {
        let missing = server.admin().get("/Certificates/987654").await.expect(404);
        assert!(missing.message().contains("987654"));
        server.admin().get("/Certificates/x").await.expect(400);
        server.anonymous().get("/Certificates/1").await.expect(401);
        let other = server.account(&["/security/read/"]).await;
        for path in ["/Certificates", "/Certificates/1", "/Certificates/1/History"] {
            let refused = other.get(path).await.expect(403);
            assert!(refused.message().contains("does not have any of the required permissions: Certificates - Read"));
        }
        download(&other, "PEM", json!({ "CertID": 1 })).await.expect(403);
    }

    async fn history_is_paged(server: TestServer) {
        let id = issuing_certificate(&server).await["Id"].as_i64().unwrap();
        let role = server.role("Historians", &[]).await;
        let path = format!("/Certificates/{id}/Owner");
        for new in [json!(role), Value::Null, json!(role)] {
            server.clock.advance(1_000);
            server.admin().put(&path, json!({ "NewRoleId": new })).await.expect(204);
        }
        let path = format!("/Certificates/{id}/History");
        let page = server.admin().get(&format!("{path}?PageReturned=2&ReturnLimit=2&SortField=OperationStart")).await.expect(200);
        assert_eq!((page.total(), page.items().len()), (Some(4), 2));
        let newest = server.admin().get(&format!("{path}?ReturnLimit=1&SortField=Id&SortAscending=1&collectionId=0")).await.expect(200);
        let entry = &newest.items()[0];
        assert_eq!(entry["Username"], "admin");
        assert_eq!(entry["Action"], "Owner Changed");
        assert_eq!(entry["Comment"], "The owner was changed from none to Historians.");
        assert_eq!(entry["OperationStart"], "2026-11-21T12:00:03Z");
        for by in ["OperationEnd", "Username", "Comment", "Action"] {
            server.admin().get(&format!("{path}?SortField={by}")).await.expect(200);
        }
        let bad = server.admin().get(&format!("{path}?SortField=Nothing")).await.expect(400);
        assert_eq!(bad.error_code(), "0xA011004A");
        server.admin().get("/Certificates/987654/History").await.expect(404);
    }

    async fn downloads(server: TestServer) {
        let admin = server.admin();
        let issuing = issuing_certificate(&server).await;
        let (id, thumbprint) = (issuing["Id"].clone(), issuing["Thumbprint"].as_str().unwrap().to_owned());
        let der = base64::engine::general_purpose::STANDARD.decode(issuing["ContentBytes"].as_str().unwrap()).unwrap();
        let spaced = issuing["IssuerDN"].as_str().unwrap().replace(',', ", ").to_uppercase();
        for body in [
            json!({ "CertID": id }),
            json!({ "certid": id, "SerialNumber": "", "IssuerDN": null, "Thumbprint": "" }),
            json!({ "CertID": 0, "Thumbprint": thumbprint.to_lowercase() }),
            json!({ "SerialNumber": issuing["SerialNumber"], "IssuerDN": issuing["IssuerDN"] }),
            json!({ "SerialNumber": issuing["SerialNumber"], "IssuerDN": spaced }),
        ] {
            let answer = download(&admin, "der", body.clone()).await.expect(200);
            assert_eq!(content(&answer), der, "{body}");
        }
        let answer = download(&admin, "PEM", json!({ "CertID": id, "IncludeSubjectHeader": true })).await.expect(200);
        assert!(answer.header("x-certificatefile").unwrap().ends_with(".pem"));
        let text = String::from_utf8(content(&answer)).unwrap();
        assert!(text.starts_with(&format!("#{}\n-----BEGIN CERTIFICATE-----", issuing["IssuedDN"].as_str().unwrap())), "{text}");
        assert_eq!(pki::pem::certificates(text.as_bytes()), std::slice::from_ref(&der));
        let answer = download(&admin, "PEM", json!({ "CertID": id, "FileExtension": ".crt", "IncludeChain": false })).await.expect(200);
        assert!(answer.header("x-certificatefile").unwrap().ends_with(".crt"));
        for (order, leaf_at) in [(json!(null), 0), (json!("endentityfirst"), 0), (json!("ROOTFIRST"), 1)] {
            let body = json!({ "CertID": id, "IncludeChain": true, "ChainOrder": order });
            let pem = content(&download(&admin, "pem", body.clone()).await.expect(200));
            assert_eq!(pki::pem::certificates(&pem)[leaf_at], der);
            let envelope = content(&download(&admin, "P7B", body).await.expect(200));
            let printed = openssl(&["pkcs7", "-inform", "DER", "-print_certs"], &envelope);
            assert_eq!(pki::pem::certificates(&printed), pki::pem::certificates(&pem));
            assert_eq!(pki::pem::certificates(&printed).len(), 2);
        }
        let audited = tables::audit_records::Entity::find().all(server.app().db().read()).await.unwrap();
        assert!(audited.iter().any(|record| record.operation == 7 && record.category == 2001));
    }

    async fn download_refusals(server: TestServer) {
        let admin = server.admin();
        let id = issuing_certificate(&server).await["Id"].clone();
        let missing = admin.post("/Certificates/Download", json!({ "CertID": id })).await.expect(400);
        assert_eq!(missing.error_code(), "0xA0110007");
        for format in ["PFX", "JKS", "STORE", "x"] {
            let refused = download(&admin, format, json!({ "CertID": id })).await.expect(400);
            assert_eq!(refused.error_code(), "0xA0110008", "{format}");
        }
        for body in [
            json!({}),
            json!({ "SerialNumber": "01" }),
            json!({ "IssuerDN": "CN=a" }),
            json!({ "CertID": 0, "Thumbprint": " " }),
            json!({ "CertID": id, "ChainOrder": "Sideways" }),
            json!({ "CertID": id, "FileExtension": "../x" }),
        ] {
            download(&admin, "PEM", body.clone()).await.expect(400);
        }
        let refused = download(&admin, "DER", json!({ "CertID": id, "IncludeChain": true })).await.expect(400);
        assert!(refused.message().contains("IncludeChain"));
        for body in [
            json!({ "CertID": 987_654 }),
            json!({ "Thumbprint": "00" }),
            json!({ "SerialNumber": "00", "IssuerDN": "CN=a" }),
            // What does not fit together is no certificate.
            json!({ "CertID": id, "Thumbprint": "00" }),
        ] {
            download(&admin, "PEM", body.clone()).await.expect(404);
        }
    }

    async fn owner_rules(server: TestServer) {
        let id = issuing_certificate(&server).await["Id"].as_i64().unwrap();
        let web = server.role("Web", &[]).await;
        let mail = server.role("Mail", &[]).await;
        let path = format!("/Certificates/{id}/Owner");
        let admin = server.admin();
        let before = history(&server, id).await.len();
        let none = (Value::Null, Value::Null);
        let owned = |role: i64, name: &str| (json!(role), json!(name));
        // (body, the owner afterwards, entries that the history gains)
        for (body, expected, entries) in [
            (json!({ "NewRoleId": null }), none.clone(), 0),
            (json!({ "NewRoleId": web }), owned(web, "Web"), 1),
            (json!({ "newroleid": web.to_string() }), owned(web, "Web"), 0),
            (json!({ "NewRoleName": "mail" }), owned(mail, "Mail"), 1),
            (json!({ "NewRoleName": " WEB ", "NewRoleId": null }), owned(web, "Web"), 1),
            (json!({ "NewRoleName": "" }), none.clone(), 1),
            (json!({ "NewRoleId": mail, "NewRoleName": null, "Unknown": 1 }), owned(mail, "Mail"), 1),
            (json!({ "NewRoleName": null }), none.clone(), 1),
            (json!({ "NewRoleName": "Mail" }), owned(mail, "Mail"), 1),
            (json!({ "NewRoleName": "   " }), none.clone(), 1),
            (json!({ "NewRoleId": mail }), owned(mail, "Mail"), 1),
            (json!({ "NewRoleId": null, "NewRoleName": null }), none.clone(), 1),
        ] {
            let entries_before = history(&server, id).await.len();
            let answer = admin.put(&path, body.clone()).await.expect(204);
            assert!(answer.octets.is_empty());
            assert_eq!(owner(&server, id).await, expected, "{body}");
            assert_eq!(history(&server, id).await.len(), entries_before + entries, "{body}");
        }
        assert_eq!(history(&server, id).await.len(), before + 10);
        for body in [
            json!({}),
            json!({ "NewRoleId": web, "NewRoleName": "Web" }),
            json!({ "NewRoleId": 0 }),
            json!({ "NewRoleId": 987_654 }),
            json!({ "NewRoleName": "Nobody knows" }),
            json!({ "NewRoleId": "web" }),
            json!([]),
            Value::Null,
        ] {
            admin.put(&path, body.clone()).await.expect(400);
            assert_eq!(owner(&server, id).await, none, "{body}");
        }
        let unknown = admin.put(&path, json!({ "NewRoleName": "Nobody knows" })).await.expect(400);
        assert!(unknown.message().contains("NewRoleName") && unknown.message().contains("Nobody knows"));
        let unknown = admin.put(&path, json!({ "NewRoleId": 987_654 })).await.expect(400);
        assert!(unknown.message().contains("NewRoleId") && unknown.message().contains("987654"));
        assert_eq!(history(&server, id).await.len(), before + 10);
        admin.put(&format!("{path}?CollectionId=0&ContainerId=0"), json!({ "NewRoleId": web })).await.expect(204);
        admin.put(&format!("{path}?collectionId=5&containerId=7"), json!({ "NewRoleId": null })).await.expect(204);
        let audited = tables::audit_records::Entity::find().all(server.app().db().read()).await.unwrap();
        let last = audited.iter().rfind(|record| record.operation == 2 && record.category == 2001).unwrap();
        assert_eq!(last.actor, "admin");
        assert!(last.before.as_deref().unwrap().contains("\"OwnerRoleName\":\"Web\""), "{last:?}");
        assert!(last.after.as_deref().unwrap().contains("\"OwnerRoleName\":null"), "{last:?}");
    }

    async fn owner_refusals(server: TestServer) {
        let id = issuing_certificate(&server).await["Id"].as_i64().unwrap();
        let role = server.role("Sleepers", &[]).await;
        let path = format!("/Certificates/{id}/Owner");
        let admin = server.admin();
        admin.put("/Certificates/987654/Owner", json!({ "NewRoleId": role })).await.expect(404);
        let reader = server.account(&["/certificates/collections/read/"]).await;
        let refused = reader.put(&path, json!({ "NewRoleId": role })).await.expect(403);
        assert!(refused.message().contains("Certificates - Change Owner"));
        server.anonymous().put(&path, json!({ "NewRoleId": role })).await.expect(401);
        let disabled = json!({ "Id": role, "Name": "Sleepers", "Description": "", "Enabled": false });
        admin.put("/Security/Roles", disabled).await.expect(200);
        let refused = admin.put(&path, json!({ "NewRoleId": role })).await.expect(400);
        assert!(refused.message().contains("not enabled"));
        assert_eq!(owner(&server, id).await.0, Value::Null);
        let changer = server.account(&["/certificates/collections/change_owner/"]).await;
        let awake = server.role("Awake", &[]).await;
        changer.put(&path, json!({ "NewRoleId": awake })).await.expect(403);
    }
}

/// The output of openssl, an independent reader.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
