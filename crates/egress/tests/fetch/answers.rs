//! Answers that try to cost more than they should.

use std::time::Duration;

use egress::{Client, Fault, Policy, Reason, Request};
use tokio::io::AsyncWriteExt as _;

use crate::server::{Server, client, policy};

const LIMIT: usize = 10_000;

#[tokio::test]
async fn an_answer_up_to_the_limit_is_read_and_one_octet_more_is_not() {
    for (size, fits) in [(LIMIT, true), (LIMIT + 1, false)] {
        let body = "a".repeat(size);
        let announced = Server::fixed(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{body}"
        ))
        .await;
        let until_closed = Server::fixed(format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}"
        ))
        .await;
        let chunked = Server::fixed(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        ))
        .await;
        for server in [announced, until_closed, chunked] {
            let request = Request::get(server.url("/")).limit(LIMIT);
            match client(&["127.0.0.1"]).fetch(request).await {
                Ok(answer) => assert!(fits && answer.body.len() == size),
                Err(error) => {
                    assert!(!fits, "{error}");
                    assert_eq!(error.reason(), Reason::TooLarge);
                    assert_eq!(error.fault(), Fault::OtherSide);
                    assert!(!error.may_retry());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_request_cannot_raise_the_limits_of_the_policy() {
    let server = Server::fixed(format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(LIMIT))).await;
    let small = Client::new(Policy {
        limit: 100,
        ..policy(&["127.0.0.1"])
    });
    let error = small
        .fetch(Request::get(server.url("/")).limit(LIMIT * 2))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::TooLarge);

    let silent = Server::new(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
        Ok(())
    })
    .await;
    let quick = Client::new(Policy {
        time: Duration::from_millis(100),
        ..policy(&["127.0.0.1"])
    });
    let error = quick
        .fetch(Request::get(silent.url("/")).time(Duration::from_secs(3600)))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::TooSlow);
    assert!(error.may_retry());
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_the_limit() {
    let server = Server::new(|mut stream, _| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            .await?;
        // Ends when the client closes.
        loop {
            stream.write_all(&[b'a'; 8192]).await?;
        }
    })
    .await;
    let error = client(&["127.0.0.1"])
        .fetch(Request::get(server.url("/")).limit(LIMIT))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::TooLarge);
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let line = Server::new(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ").await?;
        loop {
            stream.write_all(&[b'a'; 8192]).await?;
        }
    })
    .await;
    let lines = Server::new(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        loop {
            stream.write_all(b"X-Many: a\r\n").await?;
        }
    })
    .await;
    let hints = Server::new(|mut stream, _| async move {
        loop {
            stream
                .write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                .await?;
        }
    })
    .await;
    for server in [line, lines] {
        let error = client(&["127.0.0.1"])
            .fetch(Request::get(server.url("/")))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::BadAnswer, "{error}");
    }
    let request = Request::get(hints.url("/")).time(Duration::from_millis(300));
    let error = client(&["127.0.0.1"]).fetch(request).await.unwrap_err();
    assert!(
        matches!(error.reason(), Reason::TooSlow | Reason::BadAnswer),
        "{error}"
    );
}

#[tokio::test]
async fn a_drip_is_given_up_at_the_end_of_the_time_however_lively_it_is() {
    let server = Server::new(|mut stream, _| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            .await?;
        let mut drops = tokio::time::interval(Duration::from_millis(5));
        loop {
            drops.tick().await;
            stream.write_all(b"a").await?;
        }
    })
    .await;
    let begin = std::time::Instant::now();
    let request = Request::get(server.url("/")).time(Duration::from_millis(200));
    let error = client(&["127.0.0.1"]).fetch(request).await.unwrap_err();
    assert_eq!(error.reason(), Reason::TooSlow);
    assert_eq!(error.fault(), Fault::Network);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn packed_answers_are_neither_unpacked_nor_taken() {
    // The head of a gzip stream of zeros; it is not looked at.
    for packing in ["gzip", "br", "deflate", "zstd", "gzip, gzip"] {
        let server = Server::fixed(format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {packing}\r\nContent-Length: 4\r\n\r\n\x1f\x08\x08\x00"
        ))
        .await;
        let error = client(&["127.0.0.1"])
            .fetch(Request::get(server.url("/")))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::BadAnswer, "{packing}: {error}");
    }
    // Packed data as such (a file.gz) stays packed: what it takes is what was sent.
    let server = Server::fixed(b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00".to_vec()).await;
    let answer = client(&["127.0.0.1"])
        .fetch(Request::get(server.url("/")))
        .await
        .unwrap();
    assert_eq!(
        (answer.body.as_slice(), answer.media().as_str()),
        (b"\x1f\x8b\x08\x00".as_slice(), "application/gzip")
    );
}

#[tokio::test]
async fn what_is_no_http_or_breaks_off_is_said_so() {
    for bytes in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "220 mail.example ESMTP\r\n",
        "-ERR unknown command\r\n",
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let server = Server::fixed(bytes).await;
        let error = client(&["127.0.0.1"])
            .fetch(Request::get(server.url("/")))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::BadAnswer, "{bytes:?}: {error}");
        assert_eq!(server.connections(), 1, "tried once");
    }
}

#[tokio::test]
async fn any_status_is_an_answer_and_a_post_carries_its_body() {
    let server = Server::fixed("HTTP/1.1 418 Teapot\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}").await;
    let request = Request::post(
        server.url("/token"),
        "application/x-www-form-urlencoded",
        b"a=b".to_vec(),
    );
    let answer = client(&["127.0.0.1"]).fetch(request).await.unwrap();
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.media().as_str(),
            answer.body.as_slice()
        ),
        (418, "application/json", b"{}".as_slice())
    );
    assert!(
        server.head().contains("content-length: 3\r\n"),
        "{}",
        server.head()
    );
    assert!(
        server
            .head()
            .contains("content-type: application/x-www-form-urlencoded\r\n")
    );
}
