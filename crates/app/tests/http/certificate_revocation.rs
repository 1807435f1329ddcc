//! What the addresses in certificates say of their revocation, asked by `GET /Certificates/{id}/Validate`: lists of an authority of
//! the tests' own, and OpenSSL as OCSP responder.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use serde_json::Value;
use testkit::{Client, TestServer};

use crate::certificates::{DAY, Maker, Wanted};

const HOUR: i64 = DAY / 24;

/// Files on a port of its own.
struct Site {
    address: String,
    files: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    asked: Arc<AtomicUsize>,
}

impl Site {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files = Arc::new(Mutex::new(HashMap::<String, Vec<u8>>::new()));
        let asked = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (Arc::clone(&files), Arc::clone(&asked));
        let router = Router::new().fallback(move |request: Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            let file = served.lock().unwrap().get(request.uri().path()).cloned();
            async move { file.ok_or(http::StatusCode::NOT_FOUND).into_response() }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            files,
            asked,
        }
    }

    fn put(&self, path: &str, content: Vec<u8>) -> String {
        self.files.lock().unwrap().insert(path.into(), content);
        format!("{}{path}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// `openssl ocsp`; its database stays as it was at its start.
struct Responder {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Responder {
    fn start(maker: &Maker, index: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let root = file(
            "root.pem",
            &pki::pem::bundle(std::slice::from_ref(maker.root()), false),
        );
        let key = file("key.pem", maker.key_pem());
        let mut process = Command::new("openssl")
            .args(["ocsp", "-port", "0", "-ndays", "2", "-index"])
            .arg(file("index.txt", index))
            .arg("-CA")
            .arg(&root)
            .arg("-rsigner")
            .arg(&root)
            .arg("-rkey")
            .arg(key)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // `ACCEPT 0.0.0.0:PORT PID=…` once it listens.
        let printed = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = printed
            .map_while(Result::ok)
            .find(|line| line.starts_with("ACCEPT"));
        let line = line.expect("the responder listens");
        let place = line.split_whitespace().nth(1).unwrap();
        let port = place.rsplit(':').next().unwrap();
        Self {
            process,
            address: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

async fn validate(client: &Client, id: i64) -> Value {
    client
        .get(&format!("/Certificates/{id}/Validate"))
        .await
        .expect(200)
        .json
}

/// Records the root too, so that the path ends at a known one.
async fn with_root(server: &TestServer, maker: &Maker) {
    let der = maker.root().der().to_vec();
    let root = app::testing::Certificate {
        der,
        ..app::testing::Certificate::default()
    };
    app::testing::record(&server.cx(), root).await.unwrap();
}

testkit::both_databases! {
    async fn lists_are_fetched_and_kept(server: TestServer) {
        let (admin, mut maker, site) = (server.admin(), Maker::new(), Site::start().await);
        let at = server.clock.now();
        let list = |number: u64, revoked: &[(String, i64, i32)]| {
            pki::CertificateRevocationList::build(maker.issuer(), number, at - HOUR, at + 10 * DAY, revoked).unwrap()
        };
        let address = site.put("/root.crl", list(1, &[]));
        let wanted = |subject| Wanted { lists: vec!["ldap:///CN=root".into(), address.clone()], ..Wanted::new(subject) };
        let (leaf, _) = maker.make(&wanted("CN=listed.example"));
        let serial = leaf.serial_hex().to_owned();
        let der = leaf.der().to_vec();
        let id = app::testing::record(&server.cx(), app::testing::Certificate { der, ..app::testing::Certificate::default() }).await.unwrap();

        // A path that ends nowhere sends nobody anywhere.
        assert_eq!(validate(&admin, id).await["Valid"], false);
        assert_eq!(site.asked(), 0);
        with_root(&server, &maker).await;
        for _ in 0..2 {
            let answer = validate(&admin, id).await;
            assert_eq!((&answer["Valid"], &answer["Results"]["RevocationStatusUnknown"]), (&true.into(), &"Passed".into()), "{answer}");
        }
        assert_eq!(site.asked(), 1, "the list is kept");

        // The next list is seen once the kept one is an hour old.
        site.put("/root.crl", pki::CertificateRevocationList::build(maker.issuer(), 2, at, at + 10 * DAY, &[(serial, at, 1)]).unwrap());
        assert_eq!(validate(&admin, id).await["Valid"], true);
        server.clock.advance(HOUR + 1);
        let answer = validate(&admin, id).await;
        assert_eq!(answer["Valid"], false);
        let text = answer["Results"]["Revoked"].as_str().unwrap();
        assert!(text.contains("listed.example") && text.contains("key compromise"), "{text}");
        assert_eq!(site.asked(), 2);
    }

    async fn lists_that_prove_nothing(server: TestServer) {
        let (admin, mut maker, site) = (server.admin(), Maker::new(), Site::start().await);
        with_root(&server, &maker).await;
        let at = server.clock.now();
        let other = Maker::new();
        let build = |issuer, from, to| pki::CertificateRevocationList::build(issuer, 1, from, to, &[]).unwrap();
        let cases = [
            ("/old.crl", Some(build(maker.issuer(), at - 9 * DAY, at - DAY)), "out of date"),
            ("/forged.crl", Some(build(other.issuer(), at - DAY, at + DAY)), "the revocation list: "),
            ("/garbage.crl", Some(b"<html>".to_vec()), ""),
            ("/missing.crl", None, "status 404"),
        ];
        for (path, content, reason) in cases {
            let address = match content {
                Some(content) => site.put(path, content),
                None => format!("{}{path}", site.address),
            };
            // Where the server may not go it does not go, and says so; nor does one address keep the next from being asked.
            let lists = vec!["http://169.254.169.254/latest/meta-data".into(), address];
            let id = maker.record(&server, &Wanted { lists, ..Wanted::new("CN=unproven.example") }).await;
            let answer = validate(&admin, id).await;
            assert_eq!(answer["Valid"], true, "{path} {answer}");
            let text = answer["Results"]["RevocationStatusUnknown"].as_str().unwrap();
            assert!(text.starts_with("Not checked: ") && text.contains(reason) && text.contains("egress_allow"), "{path} {text}");
        }
        let asked = site.asked();
        let id = maker.record(&server, &Wanted { lists: vec![format!("{}/missing.crl", site.address)], ..Wanted::new("CN=again.example") }).await;
        validate(&admin, id).await;
        assert_eq!(site.asked(), asked, "an address that gave nothing is left alone for a while");
    }

    async fn silent_responders_do_not_keep_lists_from_being_asked(server: TestServer) {
        let (admin, mut maker, site) = (server.admin(), Maker::new(), Site::start().await);
        with_root(&server, &maker).await;
        let at = server.clock.now();
        // Listens and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serial = pki::Serial::from_random(&[1; 16]).to_hex();
        let list = pki::CertificateRevocationList::build(maker.issuer(), 1, at - HOUR, at + DAY, &[(serial, at - HOUR, 1)]).unwrap();
        let lists = vec![site.put("/root.crl", list)];
        let responders = vec![format!("http://{}/", silent.local_addr().unwrap()); 3];
        let id = maker.record(&server, &Wanted { lists, responders, ..Wanted::new("CN=hanging.example") }).await;
        let answer = validate(&admin, id).await;
        assert_eq!(answer["Valid"], false, "{answer}");
        assert!(answer["Results"]["Revoked"].as_str().unwrap().contains("key compromise"), "{answer}");
    }

    async fn responders_are_asked_first(server: TestServer) {
        server.clock.set(now());
        let (admin, mut maker, site) = (server.admin(), Maker::new(), Site::start().await);
        with_root(&server, &maker).await;
        let known = |letter: &str, revoked: &str, serial: &str| format!("{letter}\t991231235959Z\t{revoked}\t{serial}\tunknown\t/CN=x\n");
        // The numbers that the maker gives, one after the other.
        let serial = |number: u8| pki::Serial::from_random(&[number; 16]).to_hex();
        let index = known("V", "", &serial(1)) + &known("R", "260102000000Z,keyCompromise", &serial(2));
        let responder = Responder::start(&maker, &index);
        let at = server.clock.now();
        let list = pki::CertificateRevocationList::build(maker.issuer(), 1, at - HOUR, at + DAY, &[]).unwrap();
        let lists = vec![site.put("/root.crl", list)];
        let mut ids = Vec::new();
        for subject in ["CN=good.example", "CN=revoked.example", "CN=unknown.example"] {
            let responders = vec![responder.address.clone()];
            ids.push(maker.record(&server, &Wanted { from: at - DAY, to: at + DAY, responders, lists: lists.clone(), ..Wanted::new(subject) }).await);
        }
        let good = validate(&admin, ids[0]).await;
        assert_eq!((&good["Valid"], &good["Results"]["RevocationStatusUnknown"]), (&true.into(), &"Passed".into()), "{good}");
        let revoked = validate(&admin, ids[1]).await;
        assert_eq!(revoked["Valid"], false);
        assert!(revoked["Results"]["Revoked"].as_str().unwrap().contains("OCSP"), "{revoked}");
        assert_eq!(site.asked(), 0, "who has an answer needs no list");
        // Whom the responder does not know the list still speaks for.
        let unknown = validate(&admin, ids[2]).await;
        assert_eq!((&unknown["Valid"], &unknown["Results"]["RevocationStatusUnknown"]), (&true.into(), &"Passed".into()), "{unknown}");
        assert_eq!(site.asked(), 1);
    }
}
