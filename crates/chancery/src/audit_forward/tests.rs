//! A server's audit log, a file, and a TLS listener that takes syslog messages apart.

use std::path::Path;

use app::{Cx, Options, PasswordCost};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use secrets::KeyRing;
use tokio::{io::AsyncReadExt as _, net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use super::*;

async fn application(folder: &Path) -> Arc<App> {
    let url = format!("sqlite:{}", folder.join("test.db").display());
    let ring = KeyRing::generate().unwrap();
    App::open(Options {
        password_cost: PasswordCost::Small,
        ..Options::new(url, folder.into(), ring)
    })
    .await
    .unwrap()
}

async fn records(app: &Arc<App>, count: usize) -> u64 {
    let cx = Cx::system(Arc::clone(app), "test");
    for _ in 0..count {
        app::sealing::record_backup(&cx).await.unwrap();
    }
    let note = app::audit::checkpoint(app).await.unwrap();
    note.lines().nth(1).unwrap().parse().unwrap()
}

/// An authority (`ca.pem`) and the listener's certificate below it: a server's certificate is none of an authority.
fn openssl(folder: &Path) {
    let make = |words: &str| {
        let words =
            format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 {words}");
        let done = std::process::Command::new("openssl")
            .args(words.split(' '))
            .current_dir(folder)
            .output();
        let done = done.expect("openssl is installed");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
    };
    make(
        "-subj /CN=ca -keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
    );
    make(
        "-subj /CN=logs -keyout key.pem -out certificate.pem -CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE \
         -addext extendedKeyUsage=serverAuth -addext subjectAltName=DNS:localhost",
    );
}

/// The next message; a test that gets none fails instead of waiting for ever.
async fn next(received: &mut mpsc::Receiver<String>) -> String {
    let next = tokio::time::timeout(Duration::from_secs(60), received.recv());
    next.await
        .expect("a message comes")
        .expect("the listener runs")
}

/// Takes connections; ends each after so many messages without having read on, as a server that goes away does.
async fn listener(
    folder: &Path,
    messages_each: usize,
) -> (String, mpsc::Receiver<String>, JoinHandle<()>) {
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("localhost:{}", socket.local_addr().unwrap().port());
    let (sender, received) = mpsc::channel(10_000);
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            for _ in 0..messages_each {
                let Some(message) = message(&mut stream).await else {
                    break;
                };
                sender.send(message).await.unwrap();
            }
        }
    });
    (address, received, task)
}

/// `MSG-LEN SP SYSLOG-MSG` (RFC 5425 section 4.3).
async fn message(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<String> {
    let mut length = 0_usize;
    loop {
        match stream.read_u8().await.ok()? {
            b' ' => break,
            digit => length = length * 10 + usize::from(digit.checked_sub(b'0').unwrap()),
        }
    }
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets).await.ok()?;
    Some(String::from_utf8(octets).unwrap())
}

/// The place in the tree, and the line.
fn parsed(message: &str) -> (u64, serde_json::Value) {
    let parts: Vec<&str> = message.splitn(8, ' ').collect();
    assert!(parts[0] == "<110>1" || parts[0] == "<107>1", "{message}");
    assert!(
        time::OffsetDateTime::parse(parts[1], &time::format_description::well_known::Rfc3339)
            .is_ok(),
        "{message}"
    );
    assert_eq!(
        (parts[2], parts[3], parts[5], parts[6]),
        ("machine", "chancery", "audit", "-")
    );
    let line: serde_json::Value = serde_json::from_str(parts[7]).unwrap();
    (line["leaf_index"].as_u64().unwrap(), line)
}

#[tokio::test(flavor = "multi_thread")]
async fn records_arrive_over_tls_in_order_and_after_a_break_from_where_it_was() {
    let place = tempfile::tempdir().unwrap();
    openssl(place.path());
    let app = application(place.path()).await;
    let size = records(&app, 20).await;
    let (address, mut received, task) = listener(place.path(), usize::MAX).await;
    let trusted = place.path().join("ca.pem");
    let syslog = || {
        Receiver::Syslog(Box::new(
            Syslog::new(&address, &trusted, Some("machine")).unwrap(),
        ))
    };
    let (end, shutdown) = watch::channel(false);
    let forwarding = tokio::spawn(run(app.clone(), syslog(), shutdown));
    for wanted in 0..size {
        let (leaf, line) = parsed(&next(&mut received).await);
        assert_eq!(leaf, wanted);
        assert!(line["message"].is_string() && line["correlation_id"].is_string());
    }
    end.send(true).unwrap();
    forwarding.await.unwrap();
    // Another run, of another server perhaps, goes on from there.
    let more = records(&app, 3).await;
    let (end, shutdown) = watch::channel(false);
    let forwarding = tokio::spawn(run(app.clone(), syslog(), shutdown));
    for wanted in size..more {
        assert_eq!(parsed(&next(&mut received).await).0, wanted);
    }
    end.send(true).unwrap();
    forwarding.await.unwrap();
    task.abort();
    app.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_believed_gets_nothing_and_nothing_is_lost() {
    let place = tempfile::tempdir().unwrap();
    openssl(place.path());
    let other = place.path().join("other");
    std::fs::create_dir(&other).unwrap();
    openssl(&other);
    let app = application(place.path()).await;
    let size = records(&app, 2).await;
    let (address, mut received, task) = listener(place.path(), usize::MAX).await;
    let forwarder = Forwarder::new(app.clone(), "syslog");
    let mut wrong = Receiver::Syslog(Box::new(
        Syslog::new(&address, &other.join("ca.pem"), None).unwrap(),
    ));
    assert!(step(&forwarder, &mut wrong).await.is_err());
    let mut right = Receiver::Syslog(Box::new(
        Syslog::new(&address, &place.path().join("ca.pem"), Some("machine")).unwrap(),
    ));
    assert!(step(&forwarder, &mut right).await.unwrap());
    assert!(!step(&forwarder, &mut right).await.unwrap());
    for wanted in 0..size {
        assert_eq!(parsed(&next(&mut received).await).0, wanted);
    }
    // As long as one server holds it, another sends nothing.
    let more = records(&app, 1).await;
    let second = Forwarder::new(app.clone(), "syslog");
    assert!(second.next().await.unwrap().is_none());
    forwarder.leave().await.unwrap();
    assert!(step(&second, &mut right).await.unwrap());
    assert_eq!(parsed(&next(&mut received).await).0, more - 1);
    task.abort();
    app.close().await;

    for (address, trusted) in [
        ("logs", "ca.pem"),
        ("a b:6514", "ca.pem"),
        ("logs:1", "key.pem"),
        ("logs:1", "none"),
    ] {
        assert!(
            Syslog::new(address, &place.path().join(trusted), None).is_err(),
            "{address} {trusted}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_written_to_a_file_that_may_be_moved_away() {
    let place = tempfile::tempdir().unwrap();
    let app = application(place.path()).await;
    let file = place.path().join("audit.jsonl");
    let forwarder = Forwarder::new(app.clone(), "file");
    let mut receiver = Receiver::File(file.clone());
    // More than one batch.
    let size = records(&app, 300).await;
    while step(&forwarder, &mut receiver).await.unwrap() {}
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count() as u64, size);
    for (wanted, line) in text.lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["leaf_index"], wanted);
    }
    std::fs::rename(&file, place.path().join("audit.jsonl.1")).unwrap();
    records(&app, 1).await;
    assert!(step(&forwarder, &mut receiver).await.unwrap());
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    app.close().await;
}
