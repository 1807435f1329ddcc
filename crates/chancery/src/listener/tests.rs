//! Real sockets, real TLS, certificates made by openssl: an independent maker of what we read.

use std::{path::PathBuf, process::Command};

use axum::{
    Extension, middleware,
    routing::{get, post},
};
use reqwest::{Certificate, Client, Identity, Version};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::task::JoinHandle;

use super::*;
use crate::config::TlsFiles;

mod attacks;

/// A folder in which openssl makes certificates.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = Self(tempfile::tempdir().unwrap());
        folder.authority("ca");
        folder.leaf("server", "ca", "serverAuth");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn authority(&self, name: &str) {
        let subject = format!("/CN={name}");
        self.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &subject,
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
    }

    fn leaf(&self, name: &str, authority: &str, usage: &str) {
        let subject = format!("/CN={name}");
        self.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &subject,
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
            "-CA",
            &format!("{authority}.pem"),
            "-CAkey",
            &format!("{authority}.key"),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            &format!("extendedKeyUsage={usage}"),
            "-addext",
            "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost",
        ]);
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl")
            .args(arguments)
            .current_dir(self.0.path())
            .output();
        let done = done.expect("openssl is installed");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
        }
    }

    fn der(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&self.read(name)).unwrap()
    }

    fn client(&self, authority: &str, identity: Option<&str>) -> Client {
        let root = Certificate::from_pem(&self.read(&format!("{authority}.pem"))).unwrap();
        let mut client = Client::builder().tls_certs_only([root]);
        if let Some(name) = identity {
            let mut pem = self.read(&format!("{name}.pem"));
            pem.extend(self.read(&format!("{name}.key")));
            client = client.identity(Identity::from_pem(&pem).unwrap());
        }
        client.build().unwrap()
    }
}

struct Running {
    addresses: Vec<SocketAddr>,
    tls: Arc<Tls>,
    /// The targets of all requests that reached a handler.
    asked: Arc<std::sync::Mutex<Vec<String>>>,
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

const LIMITS: Limits = Limits {
    connections: 50,
    connections_per_address: 50,
    head: 64 * 1024,
    handshake: Duration::from_secs(10),
    headers: Duration::from_secs(10),
    request: Duration::from_secs(10),
    grace: Duration::from_secs(10),
};

async fn running(folder: &Folder, limits: Limits) -> Running {
    let authority = folder.der("ca.pem");
    let tls = Tls::load(folder.files(), Arc::new(move || vec![authority.clone()])).unwrap();
    running_with(tls, limits).await
}

async fn running_with(tls: Arc<Tls>, limits: Limits) -> Running {
    let asked: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let noted = asked.clone();
    let router = Router::new()
        .route(
            "/who",
            get(
                |Extension(PeerAddress(address)): Extension<PeerAddress>,
                 certificate: Option<Extension<PeerCertificate>>| async move {
                    let certificate = certificate.map_or(0, |Extension(c)| c.0.len());
                    format!("{} {certificate}", address.ip())
                },
            ),
        )
        .route("/never", get(std::future::pending::<()>))
        .route("/large", get(async || vec![b'a'; 64 << 20]))
        .route(
            "/echo",
            post(async |body: axum::body::Bytes| format!("[{}]", String::from_utf8_lossy(&body))),
        )
        .layer(middleware::from_fn(
            move |request: Request<Body>, next: middleware::Next| {
                noted.lock().unwrap().push(request.uri().to_string());
                next.run(request)
            },
        ));
    let listener = Listener::bind(&["127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()])
        .await
        .unwrap();
    let addresses = listener.addresses().to_vec();
    let (end, shutdown) = watch::channel(false);
    let task = tokio::spawn(listener.serve(tls.clone(), router, limits, shutdown));
    Running {
        addresses,
        tls,
        asked,
        end,
        task,
    }
}

impl Running {
    fn url(&self, which: usize, path: &str) -> String {
        format!("https://{}{path}", self.addresses[which])
    }

    async fn stopped(self) {
        self.end.send(true).unwrap();
        self.task.await.unwrap();
    }
}

async fn text(client: &Client, url: String) -> String {
    client.get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn every_address_answers_over_http_2_and_1() {
    let folder = Folder::new();
    let server = running(&folder, LIMITS).await;
    let client = folder.client("ca", None);
    for which in [0, 1] {
        let answer = client.get(server.url(which, "/who")).send().await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        assert_eq!(answer.text().await.unwrap(), "127.0.0.1 0");
    }
    let root = Certificate::from_pem(&folder.read("ca.pem")).unwrap();
    let old = Client::builder()
        .tls_certs_only([root])
        .http1_only()
        .tls_version_max(reqwest::tls::Version::TLS_1_2)
        .build()
        .unwrap();
    let answer = old.get(server.url(0, "/who")).send().await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_11);
    assert_eq!(answer.text().await.unwrap(), "127.0.0.1 0");
    server.stopped().await;
}

#[tokio::test]
async fn a_client_certificate_reaches_the_request_and_a_foreign_one_is_refused() {
    let folder = Folder::new();
    folder.leaf("agent", "ca", "clientAuth");
    folder.authority("other");
    folder.leaf("stranger", "other", "clientAuth");
    let server = running(&folder, LIMITS).await;

    let length = folder.der("agent.pem").len();
    let agent = folder.client("ca", Some("agent"));
    assert_eq!(
        text(&agent, server.url(0, "/who")).await,
        format!("127.0.0.1 {length}")
    );

    let stranger = folder.client("ca", Some("stranger"));
    assert!(stranger.get(server.url(0, "/who")).send().await.is_err());
    // Made by the right authority, but for another purpose.
    let server_certificate = folder.client("ca", Some("server"));
    assert!(
        server_certificate
            .get(server.url(0, "/who"))
            .send()
            .await
            .is_err()
    );
    server.stopped().await;
}

#[tokio::test]
async fn client_authorities_change_while_the_server_runs() {
    let folder = Folder::new();
    folder.authority("other");
    folder.leaf("agent", "other", "clientAuth");
    let known = Arc::new(std::sync::Mutex::new(Vec::new()));
    let authorities = known.clone();
    let tls = Tls::load(
        folder.files(),
        Arc::new(move || authorities.lock().unwrap().clone()),
    );
    let server = running_with(tls.unwrap(), LIMITS).await;

    // Without any authority nobody is asked for a certificate.
    let url = server.url(0, "/who");
    assert_eq!(
        text(&folder.client("ca", Some("agent")), url.clone()).await,
        "127.0.0.1 0"
    );
    known.lock().unwrap().push(folder.der("other.pem"));
    assert!(server.tls.reload().unwrap());
    let length = folder.der("agent.pem").len();
    let agent = folder.client("ca", Some("agent"));
    assert_eq!(text(&agent, url).await, format!("127.0.0.1 {length}"));
    server.stopped().await;
}

#[tokio::test]
async fn a_changed_certificate_is_taken_up_while_connections_are_open() {
    let folder = Folder::new();
    let server = running(&folder, LIMITS).await;
    let before = folder.client("ca", None);
    assert_eq!(text(&before, server.url(0, "/who")).await, "127.0.0.1 0");

    assert!(!server.tls.reload().unwrap(), "nothing has changed yet");
    let old_key = folder.read("server.key");
    folder.authority("new");
    folder.leaf("server", "new", "serverAuth");

    // Half written: the new certificate with the old key. The old pair stays in use, the complaint comes once.
    let new_key = folder.read("server.key");
    std::fs::write(folder.path("server.key"), old_key).unwrap();
    assert!(matches!(
        server.tls.reload(),
        Err(crate::tls::TlsError::Pair { .. })
    ));
    assert!(!server.tls.reload().unwrap());
    assert_eq!(
        text(&folder.client("ca", None), server.url(0, "/who")).await,
        "127.0.0.1 0"
    );

    std::fs::write(folder.path("server.key"), new_key).unwrap();
    assert!(server.tls.reload().unwrap());
    // The open connection lives on, a new one sees the new certificate only.
    assert_eq!(text(&before, server.url(0, "/who")).await, "127.0.0.1 0");
    assert_eq!(
        text(&folder.client("new", None), server.url(0, "/who")).await,
        "127.0.0.1 0"
    );
    assert!(
        folder
            .client("ca", None)
            .get(server.url(0, "/who"))
            .send()
            .await
            .is_err()
    );
    server.stopped().await;
}

#[test]
fn unusable_files_are_named() {
    let folder = Folder::new();
    let complaint = |certificate: &str, key: &str| {
        let files = TlsFiles {
            certificate: folder.path(certificate),
            key: folder.path(key),
        };
        let error = Tls::load(files, Arc::new(Vec::new))
            .err()
            .unwrap()
            .to_string();
        error.replace(&format!("{}/", folder.0.path().display()), "")
    };
    assert!(complaint("no.pem", "server.key").starts_with("cannot read no.pem: No such file"));
    assert!(
        complaint("server.key", "server.key").starts_with("server.key holds no usable PEM cert")
    );
    assert!(
        complaint("server.pem", "ca.pem").starts_with("ca.pem holds no usable unencrypted PEM")
    );
    assert!(complaint("server.pem", "ca.key").starts_with("server.pem and ca.key do not fit"));
}

#[tokio::test]
async fn plain_http_is_told_so_and_closed() {
    let folder = Folder::new();
    let server = running(&folder, LIMITS).await;
    let mut stream = TcpStream::connect(server.addresses[0]).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{answer}"
    );
    server.stopped().await;
}

#[tokio::test]
async fn a_silent_client_holds_nobody_up_and_is_dropped() {
    let folder = Folder::new();
    let limits = Limits {
        handshake: Duration::from_millis(300),
        ..LIMITS
    };
    let server = running(&folder, limits).await;
    let mut silent = TcpStream::connect(server.addresses[0]).await.unwrap();
    assert_eq!(
        text(&folder.client("ca", None), server.url(0, "/who")).await,
        "127.0.0.1 0"
    );
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    server.stopped().await;
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_slot() {
    let folder = Folder::new();
    let server = running(
        &folder,
        Limits {
            connections: 1,
            ..LIMITS
        },
    )
    .await;
    let first = folder.client("ca", None);
    assert_eq!(text(&first, server.url(0, "/who")).await, "127.0.0.1 0");
    let second = folder.client("ca", None);
    let waiting = tokio::spawn({
        let url = server.url(0, "/who");
        async move { text(&second, url).await }
    });
    // The other address counts on its own, and its answer shows that the waiting one had its time.
    assert_eq!(
        text(&folder.client("ca", None), server.url(1, "/who")).await,
        "127.0.0.1 0"
    );
    assert!(!waiting.is_finished());
    drop(first);
    assert_eq!(waiting.await.unwrap(), "127.0.0.1 0");
    server.stopped().await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up() {
    let folder = Folder::new();
    let server = running(
        &folder,
        Limits {
            request: Duration::from_millis(50),
            ..LIMITS
        },
    )
    .await;
    let answer = folder
        .client("ca", None)
        .get(server.url(0, "/never"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.text().await.unwrap(), "");
    server.stopped().await;
}

#[tokio::test]
async fn the_end_waits_for_requests_under_way_but_not_for_ever() {
    let folder = Folder::new();
    let limits = Limits {
        grace: Duration::from_millis(200),
        ..LIMITS
    };
    let server = running(&folder, limits).await;
    let client = folder.client("ca", None);
    assert_eq!(text(&client, server.url(0, "/who")).await, "127.0.0.1 0");
    let never = tokio::spawn(client.get(server.url(0, "/never")).send());
    let address = server.addresses[0];
    server.stopped().await;
    assert!(never.await.unwrap().is_err());
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the address is free again"
    );
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = Listener::bind(&["127.0.0.1:0".to_owned()]).await.unwrap();
    let address = taken.addresses()[0].to_string();
    let error = Listener::bind(std::slice::from_ref(&address))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {address}: Address already"))
    );
}

#[tokio::test]
async fn a_request_that_comes_on_has_time_anew() {
    let limit = Duration::from_millis(300);
    let steps = async |progress: app::web::RequestProgress, steps: bool| {
        let told = progress.clone();
        let answer = async move {
            for _ in 0..40 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if steps {
                    told.step();
                }
            }
            7
        };
        super::in_time(limit, &progress, answer).await
    };
    assert_eq!(steps(RequestProgress::default(), true).await, Some(7));
    assert_eq!(steps(RequestProgress::default(), false).await, None);
}
