//! Which addresses are refused, in every notation and behind every name.

use std::net::{IpAddr, Ipv4Addr};

use egress::{Client, Fault, HeaderValue, Policy, Reason, Request, header};

use crate::server::{Names, Server, client, policy};

/// Loopback, link-local and private targets in every notation that some reader takes for an address.
const NOT_PUBLIC: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7F.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0177.0x0.0.01/",
    "http://127.0.0.1./",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0.0.1/",
    "http://127\u{ff0e}0\u{3002}0.1/",
    "http://\u{2460}27.0.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://3232235777/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://169.254.43518/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "HTTPS://127.0.0.1/",
    "https://127.0.0.1:443/",
];

/// Addresses whose form alone is a trick.
const NO_ADDRESS: &[&str] = &[
    "",
    "/",
    "//127.0.0.1/",
    "127.0.0.1",
    "http:",
    "http://",
    "http:///127.0.0.1/",
    "http:/127.0.0.1/",
    "http:127.0.0.1",
    "http:\\\\127.0.0.1\\",
    "http://example.org\\@127.0.0.1/",
    "http://127.0.0.1\\.example.org/",
    "http://example.org@127.0.0.1/",
    "http://example.org:80@127.0.0.1/",
    "http://@127.0.0.1/",
    "http://user:password@example.org/",
    "http://127.0.0.1\t.example.org/",
    "http://127.0.0.1\n/",
    " http://127.0.0.1/",
    "http://127.0.0.1/\r\nHost: other",
    "http://exa mple.org/",
    "http://[::1/",
    "http://[::1%25lo]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.fe80]/",
    "http://256.0.0.1/",
    "http://1.2.3.4.5/",
    "http://0x1ffffffff/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:80:80/",
    "http://./",
    "http://../",
    "http://%00/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1/",
    "ldap://127.0.0.1/",
    "javascript:alert(1)",
    "data:text/plain,a",
    "unix:///var/run/docker.sock",
    "ws://127.0.0.1/",
];

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_in_every_notation() {
    let client = Client::new(Policy::default());
    for url in NOT_PUBLIC {
        let error = client.fetch(Request::get(*url)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Refused, "{url}: {error}");
        assert_eq!(error.fault(), Fault::Address);
        assert!(!error.may_retry());
        assert!(error.to_string().contains("egress_allow"), "{error}");
        let error = client.check(url, false).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Refused, "{url}: {error}");
    }
}

#[tokio::test]
async fn addresses_of_another_form_are_refused() {
    // Even where everything is allowed.
    let client = client(&["0.0.0.0/0", "::/0"]);
    for url in NO_ADDRESS {
        let error = client.fetch(Request::get(*url)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::BadAddress, "{url:?}: {error}");
    }
    let long = format!("http://127.0.0.1/{}", "a".repeat(9_000));
    let error = client.fetch(Request::get(long)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BadAddress);
    let error = client
        .fetch(Request::get("http://127.0.0.1/").https_only())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::BadAddress);
}

#[tokio::test]
async fn names_of_this_machine_are_refused_by_what_they_resolve_to() {
    // With the machine's own resolver: these need no network.
    let client = Client::new(Policy::default());
    for url in [
        "http://localhost/",
        "http://LOCALHOST:8080/",
        "https://localhost/",
    ] {
        let error = client.fetch(Request::get(url)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Refused, "{url}: {error}");
    }
}

#[tokio::test]
async fn one_bad_address_among_those_of_a_name_refuses_it() {
    let names = Names::new(&[
        ("private.example", &[&["10.0.0.1"]]),
        ("localhost.", &[&["127.0.0.1"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
        (
            "mixed.example",
            &[&["9.9.9.9", "2620:fe::fe", "192.168.0.1"]],
        ),
        ("ula.example", &[&["fd00::1"]]),
        ("nat64.example", &[&["64:ff9b::10.0.0.1"]]),
        ("zero.example", &[&["0.0.0.0"]]),
        ("nothing.example", &[&[]]),
    ]);
    let client = Client::with_resolver(Policy::default(), names);
    for name in [
        "private.example",
        "localhost.",
        "mapped.example",
        "metadata.example",
        "mixed.example",
        "ula.example",
        "nat64.example",
        "zero.example",
    ] {
        let error = client
            .fetch(Request::get(format!("https://{name}/")))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::Refused, "{name}: {error}");
        // Who asks learns the sort of address, not the address.
        assert!(!error.to_string().contains("10.0.0.1"), "{error}");
    }
    for name in ["nothing.example", "unknown.example"] {
        let error = client
            .fetch(Request::get(format!("https://{name}/")))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::UnknownName, "{error}");
        assert_eq!(error.fault(), Fault::Network);
        assert!(error.may_retry());
    }
}

#[tokio::test]
async fn a_name_that_changes_its_meaning_is_resolved_once_and_connected_to_as_checked() {
    let server = Server::good().await;
    // The first answer is allowed and the one a second look would get leads elsewhere: only the first is ever asked for.
    let names = Names::new(&[(
        "rebinding.example",
        &[&["127.0.0.1"], &["127.0.0.2"], &["169.254.169.254"]],
    )]);
    let client = Client::with_resolver(policy(&["127.0.0.1"]), names.clone());
    let url = format!("http://rebinding.example:{}/", server.port());
    let answer = client.fetch(Request::get(url.clone())).await.unwrap();
    assert_eq!(answer.body, b"good");
    assert_eq!(names.asked(), 1);
    assert!(
        server
            .head()
            .contains(&format!("host: rebinding.example:{}", server.port())),
        "{}",
        server.head()
    );

    // Each further request is checked anew.
    let error = client.fetch(Request::get(url)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Refused, "{error}");
    assert_eq!((names.asked(), server.connections()), (2, 1));
}

#[tokio::test]
async fn a_public_name_that_turns_private_is_refused_before_any_connection() {
    let server = Server::good().await;
    let names = Names::new(&[("turning.example", &[&["9.9.9.9"], &["127.0.0.1"]])]);
    let client = Client::with_resolver(Policy::default(), names.clone());
    let url = format!("http://turning.example:{}/", server.port());
    client.check(&url, false).await.unwrap();
    let error = client.fetch(Request::get(url)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Refused, "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn what_is_allowed_is_reached() {
    let server = Server::good().await;
    let port = server.port();
    let names = Names::new(&[("idp.example", &[&["127.0.0.1"]])]);
    for allow in [
        "127.0.0.0/8".to_owned(),
        format!("127.0.0.1:{port}"),
        "idp.example".into(),
        format!("*.example:{port}"),
    ] {
        let client = Client::with_resolver(policy(&[&allow]), names.clone());
        let answer = client
            .fetch(Request::get(format!("http://idp.example:{port}/")))
            .await;
        assert_eq!(answer.unwrap().body, b"good", "{allow}");
    }
    // By name is not by address, and one port is not another.
    for (allow, url) in [
        (
            "idp.example".to_owned(),
            format!("http://127.0.0.1:{port}/"),
        ),
        (
            format!("127.0.0.1:{}", port.wrapping_add(1).max(1)),
            format!("http://127.0.0.1:{port}/"),
        ),
        (
            "other.example".into(),
            format!("http://idp.example:{port}/"),
        ),
    ] {
        let client = Client::with_resolver(policy(&[&allow]), names.clone());
        let error = client.fetch(Request::get(url)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Refused, "{allow}: {error}");
    }
    // In every notation of an allowed address too: the check is of the address, not of the text.
    for host in ["2130706433", "0x7f.1", "127.1"] {
        let answer = client(&["127.0.0.1"])
            .fetch(Request::get(format!("http://{host}:{port}/")))
            .await;
        assert_eq!(answer.unwrap().body, b"good");
    }
}

#[tokio::test]
async fn public_hosts_are_not_asked_at_the_ports_of_other_services() {
    let names = Names::new(&[("public.example", &[&["9.9.9.9"]])]);
    let client = Client::with_resolver(Policy::default(), names);
    for port in [21, 22, 25, 53, 110, 389, 445, 587, 1023] {
        for host in ["public.example", "9.9.9.9"] {
            let url = format!("http://{host}:{port}/");
            let error = client.check(&url, false).await.unwrap_err();
            assert_eq!(error.reason(), Reason::Refused, "{url}");
        }
    }
    for port in [80, 443, 1024, 8443] {
        client
            .check(&format!("https://public.example:{port}/"), true)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_environment_names_no_proxy_and_callers_no_framing() {
    let server = Server::good().await;
    let client = client(&["127.0.0.1"]);
    for name in [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::ACCEPT_ENCODING,
    ] {
        let request = Request::get(server.url("/")).header(name, HeaderValue::from_static("1"));
        assert_eq!(
            client.fetch(request).await.unwrap_err().reason(),
            Reason::BadAddress
        );
    }
    assert_eq!(server.connections(), 0);
    let secret = HeaderValue::from_static("Bearer x");
    client
        .fetch(Request::get(server.url("/a?b=c#d")).header(header::AUTHORIZATION, secret))
        .await
        .unwrap();
    let head = server.head();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    for field in [
        "authorization: Bearer x",
        "accept-encoding: identity",
        "user-agent: chancery",
    ] {
        assert!(head.contains(field), "{head}");
    }
    assert!(
        !head.contains("referer") && !head.contains("cookie"),
        "{head}"
    );
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let closed = {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap()
    };
    assert_eq!(closed.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let error = client(&["127.0.0.1"])
        .fetch(Request::get(format!("http://{closed}/secret?token=secret")))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::Unreachable);
    assert!(error.may_retry());
    assert_eq!(
        error.to_string(),
        format!("Nobody answers at http://{closed}.")
    );
}
