//! Redirects: none unless asked for, and never to another place.

use egress::{Client, Reason, Request};
use tokio::io::AsyncWriteExt as _;

use crate::server::{Names, Server, client, policy};

async fn redirecting(location: &'static str) -> Server {
    Server::fixed(format!(
        "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ))
    .await
}

#[tokio::test]
async fn a_redirect_is_an_answer_unless_following_was_asked_for() {
    let server = redirecting("/next").await;
    let answer = client(&["127.0.0.1"])
        .fetch(Request::get(server.url("/")))
        .await
        .unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(answer.headers["location"], "/next");
    // A POST is never repeated elsewhere.
    let post = Request::post(server.url("/"), "text/plain", b"secret".to_vec()).redirects(5);
    assert_eq!(
        client(&["127.0.0.1"]).fetch(post).await.unwrap().status,
        302
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn redirects_to_another_scheme_host_or_port_are_refused() {
    let other = Server::good().await;
    let elsewhere = [
        other.url("/"),
        format!("//127.0.0.1:{}/", other.port()),
        "https://127.0.0.1/".into(),
        "http://127.0.0.1/".into(),
        "http://127.0.0.2/".into(),
        "http://localhost/".into(),
        "http://169.254.169.254/latest/".into(),
        "http://[::1]/".into(),
        "//example.org/".into(),
        "file:///etc/passwd".into(),
        "gopher://127.0.0.1/".into(),
        "http://user@127.0.0.1/".into(),
        "http://".into(),
        "\\\\127.0.0.2\\".into(),
        "//127.0.0.2".into(),
        "http:\\\\127.0.0.2".into(),
    ];
    for location in elsewhere {
        let server = redirecting(location.clone().leak()).await;
        // Where everything is allowed.
        let client = client(&["0.0.0.0/0", "::/0"]);
        let error = client
            .fetch(Request::get(server.url("/")).redirects(5))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::Redirected, "{location}: {error}");
        assert_eq!((server.connections(), other.connections()), (1, 0));
    }
}

#[tokio::test]
async fn redirects_within_a_place_are_followed_as_often_as_asked() {
    let server = Server::new(|mut stream, head| async move {
        let answer = if head.starts_with("GET /3 ") {
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood".to_owned()
        } else {
            let count: u32 = head[5..6].parse().unwrap();
            format!(
                "HTTP/1.1 307 Away\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
                count + 1
            )
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
    let client = client(&["127.0.0.1"]);
    let answer = client
        .fetch(Request::get(server.url("/0")).redirects(3))
        .await
        .unwrap();
    assert_eq!(answer.body, b"good");
    assert_eq!(
        server.asked(),
        [
            "GET /0 HTTP/1.1",
            "GET /1 HTTP/1.1",
            "GET /2 HTTP/1.1",
            "GET /3 HTTP/1.1"
        ]
    );
    let error = client
        .fetch(Request::get(server.url("/0")).redirects(2))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::Redirected);
}

#[tokio::test]
async fn a_redirect_within_a_place_is_resolved_and_checked_again() {
    let server = redirecting("/again").await;
    let names = Names::new(&[("idp.example", &[&["127.0.0.1"], &["169.254.169.254"]])]);
    let client = Client::with_resolver(policy(&["idp.example"]), names.clone());
    let request = Request::get(format!("http://idp.example:{}/", server.port())).redirects(3);
    let error = client.fetch(request).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Refused, "{error}");
    assert_eq!((server.connections(), names.asked()), (1, 2));
}
