//! Identities beyond passwords, with an OpenID provider that others wrote (`open_id_provider.mjs` configures it): machines with
//! tokens of it and of our own, people's browsers with its forms, and the published Python client with both.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use reqwest::{Client, Method, StatusCode, Url, header, redirect};
use serde_json::json;

use crate::{
    api::{ACCOUNT, Api, text},
    database::{self, Database, Kind, on_both_databases},
    handshake::trusting,
    nginx::free_port,
    process::{Process, run},
    python_client,
    server::{Orders, Server},
    until::until,
};

/// The provider, in a version that runs on the Node of Debian 12 and later.
const PROVIDER: &str = "oidc-provider@8.8.1";
/// What its tokens are for.
const RESOURCE: &str = "https://certificates.example.org";

on_both_databases! {
    async fn machines_and_browsers_sign_in(kind: Kind) {
        let Some(database) = Database::fresh(kind).await else { return };
        let folder = database::folder();
        let server = reaching_this_machine(&folder.path().join("server"), database).await;
        let provider = Provider::start(&server, &folder.path().join("provider.log")).await;
        let api = Api::new(&server.url(), &server.roots());
        let entered = provider.enter(&api).await;
        let client = client(&server);

        // A machine: known, and it may do nothing until its claim holds a role.
        let token = provider.machine_token(&client).await;
        let refused = call(&client, &server, &token).await;
        assert_eq!(refused.0, StatusCode::FORBIDDEN, "{}", refused.1);
        assert!(refused.1.contains(r"User real\\machine "), "{}", refused.1);
        hold(&client, &server, "Machines", 6, "machine").await;
        assert_eq!(call(&client, &server, &token).await.0, StatusCode::OK);
        let status = api.get(&format!("/Chancery/IdentityProviders/{entered}/Status"), &[]).await;
        assert_eq!(status["Usable"], true, "{status}");

        // Our own token, and that of somebody who changed it.
        let own = own_token(&client, &server).await;
        assert_eq!(call(&client, &server, &own).await.0, StatusCode::OK);
        let (head, signature) = token.rsplit_once('.').unwrap();
        let turned: String = signature.chars().rev().collect();
        assert_eq!(call(&client, &server, &format!("{head}.{turned}")).await.0, StatusCode::UNAUTHORIZED);

        // A person, through the provider's own forms.
        let mut browser = Browser { client: client.clone(), cookies: HashMap::new() };
        let landed = browser.sign_in(&format!("{}/signin/real", server.url()), "alice").await;
        assert_eq!(landed.as_str(), format!("{}/docs/", server.url()));
        let page = format!("{}/KeyfactorAPI/CertificateStoreTypes", server.url());
        let refused = browser.send(Method::GET, &page, None).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let refused = refused.text().await.unwrap();
        assert!(refused.contains(r"User real\\alice@example.org "), "{refused}");
        hold(&client, &server, "People", 0, "Alice@example.org").await;
        assert_eq!(browser.send(Method::GET, &page, None).await.status(), StatusCode::OK);
        let out = browser.send(Method::POST, &format!("{}/signout", server.url()), None).await;
        assert_eq!(out.status(), StatusCode::NO_CONTENT);
        assert_eq!(browser.send(Method::GET, &page, None).await.status(), StatusCode::UNAUTHORIZED);
    }

    async fn the_python_client_gets_its_own_tokens(kind: Kind) {
        let Some(database) = Database::fresh(kind).await else { return };
        let folder = database::folder();
        let server = reaching_this_machine(&folder.path().join("server"), database).await;
        let provider = Provider::start(&server, &folder.path().join("provider.log")).await;
        provider.enter(&Api::new(&server.url(), &server.roots())).await;
        hold(&client(&server), &server, "Machines", 6, "machine").await;
        let python = python_client::client(&folder.path().join("python"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/story/python_tokens.py");
        for (token_url, id, secret) in [
            (format!("{}/oauth2/token", server.url()), ACCOUNT.0, ACCOUNT.1),
            (format!("{}/token", provider.issuer), "machine", "secret-of-the-machine"),
        ] {
            let mut command = Command::new(&python);
            command
                .arg(&script)
                .arg(server.url())
                .arg(server.roots_file())
                .args([&token_url, id, secret])
                .env("REQUESTS_CA_BUNDLE", server.roots_file());
            let printed = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
            assert!(printed.contains("all with tokens"), "{printed}");
        }
    }
}

/// A server that may connect to providers on this machine.
async fn reaching_this_machine(folder: &Path, database: Database) -> Server {
    let mut server = Server::first(folder, database).await;
    let orders: Orders = vec![("CHANCERY_EGRESS_ALLOW", "127.0.0.1".into())];
    server.restart(&orders).await;
    server
}

fn client(server: &Server) -> Client {
    Client::builder()
        .tls_backend_preconfigured(trusting(&server.roots()))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client can be built")
}

async fn call(client: &Client, server: &Server, token: &str) -> (StatusCode, String) {
    let url = format!("{}/KeyfactorAPI/CertificateStoreTypes", server.url());
    let answer = client.get(url).bearer_auth(token).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn own_token(client: &Client, server: &Server) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        ACCOUNT.0,
        ACCOUNT.1.replace(' ', "+")
    );
    token(client, &format!("{}/oauth2/token", server.url()), form).await
}

async fn token(client: &Client, url: &str, form: String) -> String {
    let request = client
        .post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = request.body(form).send().await.unwrap();
    let (status, said) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{said}");
    text(&serde_json::from_str(&said).unwrap(), "access_token")
}

/// Makes a role that a claim of the provider holds, and that may read store types, agents and the like.
async fn hold(client: &Client, server: &Server, role: &str, kind: i32, value: &str) {
    let body = json!({
        "Name": role, "Description": "Of a test", "PermissionSetId": "099c05f0-deba-4562-a5b1-f491e19c0749",
        "Permissions": ["/certificate_stores/read/", "/agents/management/read/", "/certificates/collections/read/", "/security/read/"],
        "Claims": [{"ClaimType": kind, "ClaimValue": value, "ProviderAuthenticationScheme": "real", "Description": "Of a test"}],
    });
    let request = client
        .post(format!("{}/KeyfactorAPI/Security/Roles", server.url()))
        .basic_auth(ACCOUNT.0, Some(ACCOUNT.1))
        .header("x-keyfactor-api-version", "2")
        .header(header::CONTENT_TYPE, "application/json");
    let answer = request.body(body.to_string()).send().await.unwrap();
    let (status, said) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{said}");
}

/// The provider as a process.
struct Provider {
    issuer: String,
    _process: Process,
}

impl Provider {
    async fn start(server: &Server, log: &Path) -> Self {
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/story/open_id_provider.mjs");
        let mut command = Command::new("node");
        command
            .arg(script)
            .arg(port.to_string())
            .arg(format!("{}/signin/real/callback", server.url()))
            .arg(RESOURCE)
            .arg(installed());
        let mut process = Process::start("provider", &mut command, log);
        until("the provider listens", async || {
            let printed = process.printed();
            if let Some(status) = process.ended() {
                panic!("the provider ended at its start: {status}\n{printed}");
            }
            match printed.contains("the provider listens") {
                true => Ok(()),
                false => Err(printed),
            }
        })
        .await;
        Self {
            issuer: format!("http://127.0.0.1:{port}"),
            _process: process,
        }
    }

    /// Enters it at the server. Answers its id.
    async fn enter(&self, api: &Api) -> String {
        let given = json!({
            "AuthenticationScheme": "real", "DisplayName": "A real provider", "ProviderType": "Generic",
            "Parameters": {
                "Authority": self.issuer, "Audience": RESOURCE, "ClientId": "chancery",
                "ClientSecret": {"SecretValue": "secret of the browser client"},
            },
        });
        text(&api.post("/IdentityProviders", given).await, "Id")
    }

    /// A token that names its resource (RFC 8707).
    async fn machine_token(&self, client: &Client) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id=machine&client_secret=secret-of-the-machine&scope=certificates&resource={RESOURCE}"
        );
        token(client, &format!("{}/token", self.issuer), form).await
    }
}

/// Where the provider is installed; once for all tests of a run.
fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PROVIDER);
        let manifest = folder.join("node_modules/oidc-provider/package.json");
        if !manifest.is_file() {
            std::fs::create_dir_all(&folder).expect("a folder can be made");
            let mut command = Command::new("npm");
            command
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
                .arg("--prefix")
                .arg(&folder)
                .arg(PROVIDER);
            run(&mut command);
        }
        folder
    })
}

/// A browser that follows redirects, keeps cookies for each host and port, and fills in two forms.
struct Browser {
    client: Client,
    cookies: HashMap<(String, String), String>,
}

impl Browser {
    async fn send(&mut self, method: Method, url: &str, form: Option<&str>) -> reqwest::Response {
        let at = Url::parse(url).unwrap();
        let place = format!("{:?}:{:?}", at.host_str(), at.port());
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((known, _), _)| *known == place)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let mut request = self
            .client
            .request(method, at)
            .header("x-keyfactor-requested-with", "APIClient")
            .header(header::COOKIE, cookies.join("; "));
        if let Some(form) = form {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.to_owned());
        }
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let key = (place.clone(), name.to_owned());
            match value {
                "" => self.cookies.remove(&key),
                value => self.cookies.insert(key, value.to_owned()),
            };
        }
        answer
    }

    /// Goes where it is sent, and fills in what it is asked, until it is back at a page of the documents.
    async fn sign_in(&mut self, address: &str, name: &str) -> Url {
        let mut at = Url::parse(address).unwrap();
        let mut form: Option<String> = None;
        for _ in 0..20 {
            if at.path() == "/docs/" {
                return at;
            }
            let method = if form.is_some() {
                Method::POST
            } else {
                Method::GET
            };
            let answer = self.send(method, at.as_str(), form.take().as_deref()).await;
            let status = answer.status();
            let location = answer.headers().get(header::LOCATION).cloned();
            let page = answer.text().await.unwrap();
            if let Some(location) = location {
                at = at.join(location.to_str().unwrap()).unwrap();
                continue;
            }
            assert_eq!(status, StatusCode::OK, "{at}: {page}");
            let (_, action) = page
                .split_once("action=\"")
                .unwrap_or_else(|| panic!("{at}: no form in {page}"));
            at = at.join(action.split('"').next().unwrap()).unwrap();
            form = Some(match page.contains("value=\"login\"") {
                true => format!("prompt=login&login={name}&password=anything"),
                false => "prompt=consent".to_owned(),
            });
        }
        panic!("the sign-in does not end; it is at {at}");
    }
}
