//! Octets that no honest client sends, over raw TLS: smuggling shapes, heads and streams without end, old TLS.

use std::process::{Command, Stdio};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{IpAddr, ServerName},
};
use tokio_rustls::{TlsConnector, client};

use super::*;

/// Connections that say nothing more end after this.
const QUIET: Duration = Duration::from_millis(250);
/// Nothing in these tests takes nearly so long.
const PATIENCE: Duration = Duration::from_secs(20);

const SHORT: Limits = Limits {
    headers: QUIET,
    request: Duration::from_secs(2),
    ..LIMITS
};

type Raw = client::TlsStream<TcpStream>;

async fn connect(folder: &Folder, server: &Running, protocol: &str) -> Raw {
    let mut roots = RootCertStore::empty();
    roots.add(folder.der("ca.pem")).unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(server.addresses[0]).await.unwrap();
    let name = ServerName::IpAddress(IpAddr::try_from("127.0.0.1").unwrap());
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

/// What comes until the server ends the connection, however it ends it.
async fn rest(stream: &mut Raw) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    let reading = async {
        while let Ok(count @ 1..) = stream.read(&mut part).await {
            answer.extend_from_slice(&part[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the server ends the connection");
    answer
}

/// Sends the octets over HTTP/1.1; answers what came back.
async fn exchange(folder: &Folder, server: &Running, octets: &[u8]) -> String {
    let mut stream = connect(folder, server, "http/1.1").await;
    // The server may be done with us before we are.
    let _ = stream.write_all(octets).await;
    let _ = stream.flush().await;
    String::from_utf8_lossy(&rest(&mut stream).await).into_owned()
}

fn answers(text: &str) -> Vec<&str> {
    text.split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect()
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// A POST with these fields and this body.
fn post(fields: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")
}

#[tokio::test]
async fn no_shape_hides_a_second_request() {
    let folder = Folder::new();
    let server = running(&folder, SHORT).await;
    let inside = SMUGGLED.len();
    // What the fields and the body are, and whether the first request may be answered as it stands.
    let mut shapes = vec![
        // Both lengths: the chunks count, and the connection ends.
        (
            post(
                "Content-Length: 6\r\nTransfer-Encoding: chunked",
                &format!("0\r\n\r\n{SMUGGLED}"),
            ),
            true,
        ),
        (
            post(
                "Transfer-Encoding: chunked\r\nContent-Length: 6",
                &format!("0\r\n\r\n{SMUGGLED}"),
            ),
            true,
        ),
        (
            post(
                &format!(
                    "Content-Length: {}\r\nTransfer-Encoding: chunked",
                    inside + 5
                ),
                &format!("0\r\n\r\n{SMUGGLED}"),
            ),
            true,
        ),
        (
            post(
                "Content-Length: 4\r\nTransfer-Encoding: chunked",
                &format!("{inside:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
            ),
            true,
        ),
        // A body that looks like a request, of a request whose handler does not read it.
        (
            format!("GET /who HTTP/1.1\r\nHost: a\r\nContent-Length: {inside}\r\n\r\n{SMUGGLED}"),
            true,
        ),
        (
            format!(
                "GET /who HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{inside:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"
            ),
            true,
        ),
        (
            post(
                &format!("Content-Length: {inside}\r\nContent-Length: {inside}"),
                SMUGGLED,
            ),
            true,
        ),
        (
            post(
                &format!("Content-Length: {inside}\r\nExpect: 100-continue"),
                SMUGGLED,
            ),
            true,
        ),
        // Chunk extensions are skipped up to their line's end, which is CR and LF.
        (
            post(
                "Transfer-Encoding: chunked",
                &format!("{inside:x};a=b\r\n{SMUGGLED}\r\n0\r\n\r\n"),
            ),
            true,
        ),
    ];
    let lengths = [
        "Content-Length: 0\r\nContent-Length: 38",
        "Content-Length: 38\r\nContent-Length: 0",
        "Content-Length: 0, 38",
        "Content-Length: 0,0",
        "Content-Length: 0\r\n 38",
        "Content-Length:\r\n 0",
        "Content-Length: +0",
        "Content-Length: -0",
        "Content-Length: 0x0",
        "Content-Length: 0 0",
        "Content-Length: 0;",
        "Content-Length: \"0\"",
        "Content-Length:",
        "Content-Length: 99999999999999999999999999",
        "Content-Length: 18446744073709551616",
        "Content-Length : 0",
        "Content-Length\t: 0",
        " Content-Length: 0",
        "Content\u{0}-Length: 0",
        "Content-Length: 0\u{0}",
        "Content-Length: 0\rX: y",
    ];
    shapes.extend(lengths.map(|fields| (post(fields, SMUGGLED), false)));
    let codings = [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunked\r\n ,identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\u{0}",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:",
        "X: y\rTransfer-Encoding: chunked",
        "Host: b\r\nTransfer-Encoding: chunked",
    ];
    shapes.extend(codings.map(|fields| (post(fields, &format!("0\r\n\r\n{SMUGGLED}")), false)));
    let sizes = [
        "0x0\r\n\r\n",
        "-0\r\n\r\n",
        "+0\r\n\r\n",
        "g\r\n\r\n",
        "\r\n\r\n",
        ";\r\n\r\n",
        "10000000000000000\r\n",
        "ffffffffffffffffff\r\n",
        "0\n\n",
        "0\r\r\n",
        "1;a\nb\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1 1\r\na\r\n0\r\n\r\n",
        "0\r\n bad trailer\r\n\r\n",
        "0\r\nX\r\n\r\n",
    ];
    shapes.extend(sizes.map(|body| {
        (
            post("Transfer-Encoding: chunked", &format!("{body}{SMUGGLED}")),
            false,
        )
    }));
    let heads = [
        "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
        "POST /echo HTTP/2.0\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.2\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1 \r\nHost: a\r\n\r\n",
        "POST /echo\r\nHost: a\r\n\r\n",
        "GET /echo\r\n\r\n",
        "POST  /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "PO ST /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "P\u{0}ST /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo\u{0} HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    shapes.extend(heads.map(|head| (format!("{head}{SMUGGLED}"), false)));

    for (shape, may_be_answered) in shapes {
        let answer = exchange(&folder, &server, shape.as_bytes()).await;
        let asked = std::mem::take(&mut *server.asked.lock().unwrap());
        assert!(
            !asked.iter().any(|target| target.contains("smuggled")),
            "{shape:?}: {asked:?}"
        );
        assert!(asked.len() <= 1, "{shape:?}: {asked:?}");
        let answers = answers(&answer);
        let finals: Vec<&str> = answers
            .iter()
            .copied()
            .filter(|status| *status != "100")
            .collect();
        if may_be_answered {
            assert_eq!(finals, ["200"], "{shape:?}: {answer}");
        } else {
            // Refused, or dropped without a word; never done.
            assert!(
                finals.len() <= 1
                    && finals
                        .iter()
                        .all(|status| *status == "400" || *status == "431"),
                "{shape:?}: {answer}"
            );
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn requests_that_are_clear_are_answered_one_after_the_other() {
    let folder = Folder::new();
    let server = running(&folder, SHORT).await;
    // So that the test above does not pass because nothing ever works.
    let text = post("Transfer-Encoding: Chunked", "2\r\nab\r\n0\r\n\r\n")
        + &post("Content-Length: 2", "cd")
        + SMUGGLED;
    let answer = exchange(&folder, &server, text.as_bytes()).await;
    assert_eq!(answers(&answer), ["200", "200", "404"], "{answer}");
    assert!(
        answer.contains("[ab]") && answer.contains("[cd]"),
        "{answer}"
    );
    server.stopped().await;
}

#[tokio::test]
async fn heads_without_measure_are_431_and_end_the_connection() {
    let folder = Folder::new();
    let server = running(&folder, LIMITS).await;
    let head = "GET /who HTTP/1.1\r\nHost: a\r\n";
    let large = format!("{head}X-Large: {}\r\n\r\n", "a".repeat(10 << 20));
    let many = format!("{head}{}\r\n", "X-Many: a\r\n".repeat(10_000));
    let lines = format!("{head}{}\r\n", "X-Many: a\r\n".repeat(101));
    for text in [large, many, lines] {
        let mut stream = connect(&folder, &server, "http/1.1").await;
        let (mut read, mut write) = tokio::io::split(&mut stream);
        let sending = async {
            let _ = write.write_all(text.as_bytes()).await;
            let _ = write.write_all(SMUGGLED.as_bytes()).await;
        };
        let mut answer = Vec::new();
        let reading = async {
            let _ = read.read_to_end(&mut answer).await;
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(sending, reading) })
            .await
            .expect("the server ends the connection");
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answers(&answer), ["431"], "{answer}");
    }
    let path = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    let answer = exchange(&folder, &server, path.as_bytes()).await;
    assert!(
        matches!(answers(&answer).as_slice(), ["414" | "431"]),
        "{answer}"
    );
    // Just below the limit is fine.
    let fits = format!(
        "{head}Connection: close\r\nX-Large: {}\r\n\r\n",
        "a".repeat(60_000)
    );
    assert_eq!(
        answers(&exchange(&folder, &server, fits.as_bytes()).await),
        ["200"]
    );
    assert_eq!(*server.asked.lock().unwrap(), ["/who"]);
    server.stopped().await;
}

#[tokio::test]
async fn heads_bodies_and_readers_that_take_for_ever_are_given_up() {
    let folder = Folder::new();
    let server = running(&folder, SHORT).await;
    // A head in drops: lively, and never done.
    let mut stream = connect(&folder, &server, "http/1.1").await;
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let dripping = async {
        let mut drops = tokio::time::interval(QUIET / 10);
        let _ = write.write_all(b"GET /who HTTP/1.1\r\n").await;
        while write.write_all(b"X: y\r\n").await.is_ok() && write.flush().await.is_ok() {
            drops.tick().await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = dripping => {}
        _ = read.read_to_end(&mut answer) => {}
        () = tokio::time::sleep(PATIENCE) => panic!("the server waits for ever"),
    }

    // A body that never comes.
    let text = exchange(
        &folder,
        &server,
        post("Content-Length: 10", "ab").as_bytes(),
    )
    .await;
    assert_eq!(answers(&text), ["503"], "{text}");
    assert!(
        text.to_ascii_lowercase().contains("connection: close"),
        "{text}"
    );

    server.stopped().await;

    // A client that does not take its answer, which is larger than what the systems hold for it. It has the only slot:
    // the next one is served once it is given up.
    let server = running(
        &folder,
        Limits {
            connections: 1,
            ..SHORT
        },
    )
    .await;
    let mut stream = connect(&folder, &server, "http/1.1").await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let answer = folder
        .client("ca", None)
        .get(server.url(0, "/who"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(rest(&mut stream).await.len() < 64 << 20);
    server.stopped().await;
}

#[tokio::test]
async fn an_address_has_its_share_of_the_connections() {
    let folder = Folder::new();
    let server = running(
        &folder,
        Limits {
            connections_per_address: 2,
            ..LIMITS
        },
    )
    .await;
    let mut first = connect(&folder, &server, "http/1.1").await;
    let _second = connect(&folder, &server, "http/1.1").await;
    // Closed before a word of TLS.
    let mut third = TcpStream::connect(server.addresses[1]).await.unwrap();
    assert_eq!(third.read(&mut [0]).await.unwrap_or(0), 0);
    first
        .write_all(b"GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(&mut first).await.starts_with(b"HTTP/1.1 200"));
    drop(first);
    // The place is free once the server has noticed.
    let client = folder.client("ca", None);
    let again = async {
        while client.get(server.url(0, "/who")).send().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again)
        .await
        .expect("the place becomes free");
    server.stopped().await;
}

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET path` with further fields, each as a literal that is not indexed (RFC 7541, 6.2.2).
fn block(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    // :method GET, :scheme https, and :authority from the static table.
    let mut block = vec![
        0x82,
        0x87,
        0x01,
        1,
        b'a',
        0x04,
        u8::try_from(path.len()).unwrap(),
    ];
    block.extend(path.as_bytes());
    for (name, value) in fields {
        block.extend([&[0, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat());
        block.extend([&[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat());
    }
    block
}

/// A connection over HTTP/2 that has said hello.
async fn connect_2(folder: &Folder, server: &Running) -> Raw {
    let mut stream = connect(folder, server, "h2").await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

type Frame = (u8, u32, Vec<u8>);

/// Kind, stream and payload of each frame until there are enough or the server ends the connection.
async fn frames(stream: &mut Raw, enough: impl Fn(&[Frame]) -> bool) -> Vec<Frame> {
    let (mut octets, mut part, mut found) = (Vec::new(), [0; 4096], Vec::new());
    let reading = async {
        while !enough(&found) {
            let Ok(count @ 1..) = stream.read(&mut part).await else {
                break;
            };
            octets.extend_from_slice(&part[..count]);
            while octets.len() >= 9 {
                let length = u32::from_be_bytes([0, octets[0], octets[1], octets[2]]) as usize;
                if octets.len() < 9 + length {
                    break;
                }
                let frame: Vec<u8> = octets.drain(..9 + length).collect();
                let id = u32::from_be_bytes(frame[5..9].try_into().unwrap());
                found.push((frame[3], id, frame[9..].to_vec()));
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the server answers or ends the connection");
    found
}

#[tokio::test]
async fn streams_opened_and_taken_back_in_haste_end_the_connection() {
    let folder = Folder::new();
    let server = running(&folder, LIMITS).await;
    let mut stream = connect_2(&folder, &server).await;
    let mut flood = Vec::new();
    for index in 0..2_000_u32 {
        flood.extend(frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            2 * index + 1,
            &block("/never", &[]),
        ));
        flood.extend(frame(RESET, 0, 2 * index + 1, &8_u32.to_be_bytes()));
    }
    let _ = stream.write_all(&flood).await;
    let frames = frames(&mut stream, |_| false).await;
    let (_, _, reason) = frames
        .iter()
        .find(|(kind, ..)| *kind == GO_AWAY)
        .expect("it is told to go");
    // ENHANCE_YOUR_CALM
    assert_eq!(reason[4..8], 11_u32.to_be_bytes(), "{frames:?}");
    assert!(server.asked.lock().unwrap().len() < 2_000);
    server.stopped().await;
}

#[tokio::test]
async fn heads_without_end_over_http_2_end_the_connection() {
    let folder = Folder::new();
    let server = running(&folder, LIMITS).await;
    let mut stream = connect_2(&folder, &server).await;
    let mut flood = frame(HEADERS, END_STREAM, 1, &block("/who", &[]));
    let field = block("/who", &[("x", &"a".repeat(100))])[block("/who", &[]).len()..].repeat(150);
    for _ in 0..700 {
        flood.extend(frame(CONTINUATION, 0, 1, &field));
    }
    assert!(flood.len() > 10 << 20);
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let mut answer = Vec::new();
    let both = async {
        tokio::join!(
            async {
                let _ = write.write_all(&flood).await;
            },
            async {
                let _ = read.read_to_end(&mut answer).await;
            }
        )
    };
    tokio::time::timeout(PATIENCE, both)
        .await
        .expect("the server ends the connection");
    assert!(server.asked.lock().unwrap().is_empty());

    // A head that ends and is too large: refused, and the server goes on.
    let large = "a".repeat(200_000);
    let client = folder.client("ca", None);
    let answer = client
        .get(server.url(0, "/who"))
        .header("x-large", large)
        .send()
        .await;
    assert!(
        answer.as_ref().is_ok_and(|answer| answer.status() == 431) || answer.is_err(),
        "{answer:?}"
    );
    let answer = folder
        .client("ca", None)
        .get(server.url(0, "/who"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    server.stopped().await;
}

#[tokio::test]
async fn streams_beyond_the_limit_and_fields_of_http_1_are_refused_over_http_2() {
    let folder = Folder::new();
    let server = running(&folder, LIMITS).await;
    let mut stream = connect_2(&folder, &server).await;
    let count = MAX_STREAMS + 20;
    for index in 0..count {
        stream
            .write_all(&frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                2 * index + 1,
                &block("/never", &[]),
            ))
            .await
            .unwrap();
    }
    stream.flush().await.unwrap();
    // REFUSED_STREAM
    let is_refusal = |(kind, _, payload): &Frame| *kind == RESET && *payload == 7_u32.to_be_bytes();
    let enough = |seen: &[Frame]| seen.iter().filter(|frame| is_refusal(frame)).count() >= 20;
    let seen = frames(&mut stream, enough).await;
    assert!(enough(&seen), "{seen:?}");
    assert!(server.asked.lock().unwrap().len() <= MAX_STREAMS as usize);
    drop(stream);
    server.stopped().await;

    let server = running(&folder, SHORT).await;
    for fields in [
        [("transfer-encoding", "chunked")],
        [("connection", "close")],
        [("X-Capitals", "a")],
        [("a b", "c")],
        [("x", "a\r\nb: c")],
        [("x", "a\0b")],
        [("content-length", "5")],
        [(":path", "/smuggled")],
        [(":evil", "/smuggled")],
    ] {
        let mut stream = connect_2(&folder, &server).await;
        let head = frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            1,
            &block("/who", &fields),
        );
        stream.write_all(&head).await.unwrap();
        stream.flush().await.unwrap();
        let seen = frames(&mut stream, |_| false).await;
        assert!(
            seen.iter()
                .any(|(kind, ..)| *kind == RESET || *kind == GO_AWAY),
            "{fields:?}: {seen:?}"
        );
        let asked = std::mem::take(&mut *server.asked.lock().unwrap());
        assert!(asked.is_empty(), "{fields:?}: {asked:?}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn only_tls_1_3_and_1_2_with_forward_secrecy_and_authenticated_encryption() {
    let folder = Folder::new();
    let server = running(&folder, LIMITS).await;
    let address = server.addresses[0].to_string();
    let openssl = move |arguments: Vec<String>| {
        let mut command = Command::new("openssl");
        command.args(arguments).stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().expect("openssl is installed"))
    };
    let handshake = |arguments: &[&str]| {
        let mut all: Vec<String> = ["s_client", "-connect", &address, "-brief"]
            .map(str::to_owned)
            .into();
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let done = openssl(all);
        async move { done.await.unwrap().status.success() }
    };
    assert!(handshake(&["-tls1_3"]).await);
    assert!(handshake(&["-tls1_2"]).await);
    for old in ["-tls1_1", "-tls1"] {
        assert!(
            !handshake(&[old, "-cipher", "ALL:@SECLEVEL=0"]).await,
            "{old}"
        );
    }
    let list = openssl(
        ["ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
            .map(str::to_owned)
            .into(),
    );
    let list = String::from_utf8(list.await.unwrap().stdout).unwrap();
    let (mut taken, mut tried) = (Vec::new(), 0);
    for name in list
        .trim()
        .split(':')
        .filter(|name| !name.starts_with("TLS_"))
    {
        tried += 1;
        let cipher = format!("{name}:@SECLEVEL=0");
        if handshake(&["-tls1_2", "-cipher", &cipher]).await {
            taken.push(name);
        }
    }
    taken.sort_unstable();
    // The server's key is an elliptic one; with an RSA key the same three of RSA.
    assert_eq!(
        taken,
        [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        ]
    );
    assert!(tried > 20, "{list}");
    server.stopped().await;
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_no_name_of_a_program() {
    let folder = Folder::new();
    let limits = Limits {
        request: Duration::from_millis(100),
        ..LIMITS
    };
    let server = running(&folder, limits).await;
    let client = folder.client("ca", None);
    for (path, status) in [("/who", 200), ("/nothing", 404), ("/never", 503)] {
        let answer = client.get(server.url(0, path)).send().await.unwrap();
        assert_eq!(answer.status(), status);
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000"),
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
        assert!(
            !answer.headers().contains_key("server")
                && !answer.headers().contains_key("x-powered-by")
        );
    }
    server.stopped().await;
}
