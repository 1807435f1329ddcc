use std::sync::Arc;

use super::counts;
use super::*;
use crate::app::{App, Options};
use crate::cx::Clock;

const NOW: i64 = 1_795_262_400_000;
const DAY: i64 = 86_400_000;

async fn app(fresh: &db::testing::Fresh) -> Arc<App> {
    let keyring = secrets::KeyRing::generate().unwrap();
    let folder = std::env::temp_dir();
    let mut options = Options::new(fresh.address().to_owned(), folder, keyring);
    options.clock = Clock::Manual(Arc::new(NOW.into()));
    App::open(options).await.unwrap()
}

/// A root, and a certificate below it with its key.
fn pair() -> (pki::Certificate, pki::Certificate, pki::PrivateKey) {
    let name = pki::DistinguishedName::parse("CN=Root").unwrap();
    let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
    let serial = pki::Serial::from_random(&[1; 16]);
    let to = NOW + 900 * DAY;
    let root = pki::Issuer::self_signed_root(&name, key, NOW - DAY, to, &serial).unwrap();
    let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
    let subject = pki::Subject {
        name: pki::DistinguishedName::parse("CN=leaf.example").unwrap(),
        sans: vec![pki::SubjectAlternativeName::dns("leaf.example")],
        spki_der: key.spki_der(),
    };
    let profile = pki::CertificateProfile::default();
    let serial = pki::Serial::from_random(&[2; 16]);
    let leaf = root
        .prepare(subject, &profile, serial, NOW - DAY, NOW + DAY)
        .unwrap();
    let leaf = leaf.sign(&root).unwrap();
    (root.certificate().clone(), leaf, key)
}

#[tokio::test]
async fn a_known_certificate_keeps_its_id_and_gains_what_is_new() {
    let fresh = db::testing::sqlite().await;
    let app = app(&fresh).await;
    let cx = Cx::system(Arc::clone(&app), "test");
    let (root, leaf, key) = pair();
    let total = async || {
        counts::total(app.db().read(), true, true, NOW)
            .await
            .unwrap()
    };
    let before = total().await;
    let all = [&leaf, &root, &leaf].map(|one| Seen::new(one.der().to_vec()));
    let (seen, unreadable) = (cx.clone(), Seen::new(vec![0x30, 0]));
    let found = app
        .db()
        .write("test.seen", move |tx| {
            Box::pin(async move {
                let mut all: Vec<&Seen> = all.iter().collect();
                all.push(&unreadable);
                record_seen(tx, &seen, &all).await
            })
        })
        .await
        .unwrap();
    assert_eq!(found[3], None);
    let ids: Vec<i64> = found.into_iter().flatten().collect();
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(total().await, before + 2);

    let (row, found) = load(app.db().read(), ids[0]).await.unwrap().unwrap();
    assert_eq!((row.state, row.has_private_key), (0, false));
    assert_eq!(found, leaf);
    assert!(
        private_key(app.db().read(), &cx, ids[0])
            .await
            .unwrap()
            .is_none()
    );
    let (recording, certificate, stored) = (cx.clone(), leaf.clone(), key.clone());
    let again = app
        .db()
        .write("test.record", move |tx| {
            Box::pin(async move {
                let origin = Origin {
                    authority_id: Some(1),
                    private_key: Some(&stored),
                    ..Origin::default()
                };
                record(tx, &recording, &certificate, &origin).await
            })
        })
        .await
        .unwrap();
    assert_eq!(again, ids[0]);
    assert_eq!(total().await, before + 2);
    let (row, _) = load(app.db().read(), again).await.unwrap().unwrap();
    assert_eq!((row.state, row.has_private_key), (1, true));
    let opened = private_key(app.db().read(), &cx, again)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*opened.to_pkcs8_der(), *key.to_pkcs8_der());
    assert_eq!(
        chain(app.db().read(), &leaf).await.unwrap(),
        [leaf.clone(), root.clone()]
    );

    // A key is never stored with a certificate it is not for.
    let wrong = app
        .db()
        .write("test.wrong", move |tx| {
            Box::pin(async move {
                let origin = Origin {
                    private_key: Some(&key),
                    ..Origin::default()
                };
                record(tx, &cx, &root, &origin).await
            })
        })
        .await;
    assert!(wrong.is_err());
}

#[tokio::test]
async fn totals_are_exact_on_the_day_of_expiry() {
    let fresh = db::testing::sqlite().await;
    let app = app(&fresh).await;
    let cx = Cx::system(Arc::clone(&app), "test");
    let (_, leaf, _) = pair();
    let total = async |expired, now| {
        counts::total(app.db().read(), false, expired, now)
            .await
            .unwrap()
    };
    let before = total(false, NOW).await;
    app.db()
        .write("test.record", {
            let leaf = leaf.clone();
            move |tx| Box::pin(async move { record(tx, &cx, &leaf, &Origin::default()).await })
        })
        .await
        .unwrap();
    assert_eq!(total(false, NOW).await, before + 1);
    assert_eq!(total(false, leaf.not_after() - 1).await, before + 1);
    assert_eq!(total(false, leaf.not_after()).await, before);
    assert_eq!(total(false, leaf.not_after() + DAY).await, before);
    assert_eq!(total(true, leaf.not_after() + DAY).await, before + 1);
}

#[tokio::test]
async fn databases_from_before_counts_by_spans_are_counted_once() {
    let postgres = db::testing::postgres().await;
    for fresh in [Some(db::testing::sqlite().await), postgres]
        .into_iter()
        .flatten()
    {
        let app = app(&fresh).await;
        let cx = Cx::system(Arc::clone(&app), "test");
        let (root, leaf, _) = pair();
        let all = [&leaf, &root].map(|one| Seen::new(one.der().to_vec()));
        let written = app.db().write("test.seen", move |tx| {
            Box::pin(async move { record_seen(tx, &cx, &all.each_ref()).await })
        });
        written.await.unwrap();
        let expiring = async || {
            let now = NOW + DAY / 2;
            let found = counts::expiring(app.db().read(), &[0, 1, 7], now).await;
            let found = found.unwrap();
            (found.expired, found.valid, found.windows)
        };
        let counted = expiring().await;
        assert!(counted.1 > 1);
        assert_eq!(counted.2, [1, 1, 1]);
        let before = app.db().write("test.before", |tx| {
            Box::pin(async move {
                let spans = "DELETE FROM counters WHERE name LIKE '%spans'";
                tx.execute_unprepared(spans).await.map_err(Error::from)
            })
        });
        before.await.unwrap();
        // Without those that expire years ahead.
        assert_eq!(expiring().await.1, 1);
        for _ in 0..2 {
            counts::begin(&app).await.unwrap();
            assert_eq!(expiring().await, counted);
        }
    }
}
