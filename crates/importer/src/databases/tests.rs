use db::testing::empty_postgres;

use super::*;

fn root(name: &str) -> pki::Certificate {
    let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
    let name = pki::DistinguishedName::parse(name).unwrap();
    let serial = pki::Serial::from_random(&[7; 16]);
    let root = pki::Issuer::self_signed_root(&name, key, 0, 86_400_000_000, &serial);
    root.unwrap().certificate().clone()
}

fn pem(certificate: &pki::Certificate) -> String {
    pki::pem::encode("CERTIFICATE", certificate.der())
}

#[tokio::test]
async fn lemur_gives_certificates_with_their_chains() {
    let Some(database) = empty_postgres().await else {
        return;
    };
    let url = SecretString::from(database.address());
    let mut writer = PgConnection::connect(url.expose_secret()).await.unwrap();
    // The columns of Lemur's model that are read, with its types.
    let schema = "CREATE TABLE certificates (id SERIAL PRIMARY KEY, owner VARCHAR(128) NOT NULL, name VARCHAR(256) UNIQUE,
        description VARCHAR(1024), body TEXT NOT NULL, chain TEXT, private_key BYTEA, status VARCHAR(128), deleted BOOLEAN)";
    writer.execute(schema).await.unwrap();
    let (leaf, issuer) = (root("CN=leaf"), root("CN=issuer"));
    for (name, body, chain, deleted) in [
        ("first", pem(&leaf), Some(pem(&issuer)), Some(false)),
        ("gone", pem(&leaf), None, Some(true)),
        ("broken", "nothing".to_owned(), None, None),
    ] {
        sqlx::query("INSERT INTO certificates (owner, name, body, chain, private_key, status, deleted) VALUES ('team@example.org', $1, $2, $3, '\\x00', 'revoked', $4)")
            .bind(name)
            .bind(body)
            .bind(chain)
            .bind(deleted)
            .execute(&mut writer)
            .await
            .unwrap();
    }
    let mut lemur = Lemur::new(&url, Some("Contact".into()), None)
        .await
        .unwrap();
    let batch = lemur.batch(None).await.unwrap().unwrap();
    let found: Vec<&[u8]> = batch
        .found
        .iter()
        .map(|found| found.der.as_slice())
        .collect();
    assert_eq!(found, [leaf.der(), issuer.der()]);
    assert_eq!(batch.found[0].metadata["Contact"], "team@example.org");
    let revoked = batch.found[0].revoked.as_ref().unwrap();
    assert_eq!((&revoked.at, revoked.reason), (&None, 0));
    assert!(batch.found[1].metadata.is_empty() && batch.found[1].revoked.is_none());
    let reasons: Vec<&str> = batch
        .skipped
        .iter()
        .map(|one| one.reason.as_str())
        .collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.contains(&"its body is no certificate"));
    assert_eq!(batch.cursor, "3");
    assert!(lemur.batch(Some("3")).await.unwrap().is_none());
    assert!(
        lemur
            .connection
            .execute("DELETE FROM certificates")
            .await
            .is_err(),
        "it only reads"
    );
}

#[tokio::test]
async fn step_ca_gives_certificates_by_serial_number() {
    let Some(database) = empty_postgres().await else {
        return;
    };
    let url = SecretString::from(database.address());
    let mut writer = PgConnection::connect(url.expose_secret()).await.unwrap();
    for table in ["x509_certs", "revoked_x509_certs"] {
        let schema = format!(
            "CREATE TABLE \"{table}\" (nkey BYTEA CHECK (octet_length(nkey) <= 255), nvalue BYTEA, PRIMARY KEY (nkey))"
        );
        writer.execute(sqlx::AssertSqlSafe(schema)).await.unwrap();
    }
    let all: Vec<pki::Certificate> = (0..3)
        .map(|index| root(&format!("CN=host{index}")))
        .collect();
    for (index, certificate) in all.iter().enumerate() {
        sqlx::query("INSERT INTO x509_certs VALUES ($1, $2)")
            .bind(format!("10{index}").into_bytes())
            .bind(certificate.der())
            .execute(&mut writer)
            .await
            .unwrap();
    }
    // As step-ca writes it, and what nobody can read.
    let information = r#"{"Serial":"101","ProvisionerID":"p","ReasonCode":4,"Reason":"newer one",
        "RevokedAt":"2026-02-03T04:05:06.123456789Z","TokenID":"","MTLS":false,"ACME":false}"#;
    for (key, information) in [("101", information), ("102", "none")] {
        sqlx::query("INSERT INTO revoked_x509_certs VALUES ($1, $2)")
            .bind(key.as_bytes())
            .bind(information.as_bytes())
            .execute(&mut writer)
            .await
            .unwrap();
    }
    let mut source = StepCa::new(&url).await.unwrap();
    let batch = source.batch(None).await.unwrap().unwrap();
    let found: Vec<&[u8]> = batch
        .found
        .iter()
        .map(|found| found.der.as_slice())
        .collect();
    assert_eq!(
        found,
        all.iter().map(pki::Certificate::der).collect::<Vec<_>>()
    );
    assert_eq!(batch.found[2].place, "serial number 102");
    assert!(batch.skipped.is_empty() && batch.found[0].revoked.is_none());
    let known = Revoked {
        at: Some("2026-02-03T04:05:06.123456789Z".into()),
        reason: 4,
        comment: Some("newer one".into()),
    };
    assert_eq!(batch.found[1].revoked.as_ref(), Some(&known));
    let unknown = batch.found[2].revoked.as_ref().unwrap();
    assert_eq!((&unknown.at, unknown.reason), (&None, 0));
    assert!(source.batch(Some(&batch.cursor)).await.unwrap().is_none());
    let rest = source
        .batch(Some(&hex::encode("100")))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest.found.len(), 2);
}
