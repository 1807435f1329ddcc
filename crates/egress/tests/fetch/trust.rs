//! TLS: strangers are not believed, added anchors are, names have to fit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use egress::{Client, Fault, Reason, Request};
use pki::{
    CertificateProfile, DistinguishedName, Issuer, KeySpec, PrivateKey, Serial, Subject,
    SubjectAlternativeName,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::{Names, client, policy};

const DAY: i64 = 86_400_000;

struct Site {
    address: SocketAddr,
    root_pem: String,
}

/// A TLS server for `idp.example` with a certificate of its own root.
async fn site() -> Site {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let now = i64::try_from(now).unwrap();
    let name = DistinguishedName::parse("CN=Private Root").unwrap();
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let serial = |octet| Serial::from_random(&[octet; 16]);
    let root = Issuer::self_signed_root(&name, key, now - DAY, now + 2 * DAY, &serial(1)).unwrap();
    let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
    let subject = Subject {
        name: DistinguishedName::parse("CN=idp.example").unwrap(),
        sans: vec![SubjectAlternativeName::dns("idp.example")],
        spki_der: key.spki_der(),
    };
    let profile = CertificateProfile {
        key_usage: 128,
        ..CertificateProfile::default()
    };
    let leaf = root
        .prepare(subject, &profile, serial(2), now - DAY, now + DAY)
        .unwrap()
        .sign(&root)
        .unwrap();

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf.der().to_vec())],
            PrivateKeyDer::try_from(key.to_pkcs8_der().to_vec()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await?;
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
                    .await?;
                stream.shutdown().await
            });
        }
    });
    Site {
        address,
        root_pem: pki::pem::encode("CERTIFICATE", root.certificate().der()),
    }
}

#[tokio::test]
async fn a_private_authority_is_believed_once_it_is_added_and_only_for_its_names() {
    let site = site().await;
    let names = Names::new(&[
        ("idp.example", &[&["127.0.0.1"]]),
        ("other.example", &[&["127.0.0.1"]]),
    ]);
    let client = Client::with_resolver(policy(&["127.0.0.1"]), names);
    let url = |host: &str| format!("https://{host}:{}/", site.address.port());

    let error = client
        .fetch(Request::get(url("idp.example")))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::Tls, "{error}");
    assert_eq!(error.fault(), Fault::OtherSide);
    assert!(!error.may_retry());

    let trusting = client.trusting(site.root_pem.as_bytes()).unwrap();
    for _ in 0..2 {
        let answer = trusting
            .fetch(Request::get(url("idp.example")).https_only())
            .await
            .unwrap();
        assert_eq!(answer.body, b"good");
    }
    for host in ["other.example", "127.0.0.1"] {
        let error = trusting.fetch(Request::get(url(host))).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Tls, "{host}: {error}");
    }
    // The client it came from has learnt nothing.
    assert!(
        client
            .fetch(Request::get(url("idp.example")))
            .await
            .is_err()
    );
}

#[test]
fn anchors_that_are_none_are_refused_when_they_are_given() {
    let client = client(&[]);
    for pem in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    ] {
        let error = client.trusting(pem.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), Reason::BadAddress, "{error}");
    }
}
