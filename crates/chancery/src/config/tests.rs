use std::path::Path;

use secrecy::ExposeSecret as _;

use super::*;
use crate::settings::SETTINGS;

#[derive(Default)]
struct Case {
    given: Given,
    folder: Option<tempfile::TempDir>,
}

impl Case {
    fn file(mut self, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chancery.toml");
        std::fs::write(&path, text).unwrap();
        self.given
            .environment
            .insert("CHANCERY_CONFIG".into(), path.display().to_string());
        self.folder = Some(folder);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.given.environment.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, name: &str, values: &[&str]) -> Self {
        let values = values.iter().map(ToString::to_string).collect();
        self.given.flags.insert(name.into(), values);
        self
    }

    fn read(&self) -> Config {
        Config::read(&self.given).unwrap()
    }

    fn error(&self) -> String {
        let text = Config::read(&self.given).unwrap_err().to_string();
        let folder = self
            .folder
            .as_ref()
            .map(|folder| folder.path().display().to_string() + "/");
        folder.map_or(text.clone(), |folder| text.replace(&folder, ""))
    }
}

#[test]
fn nothing_has_to_be_configured() {
    let config = Case::default().read();
    assert_eq!(config.data_dir, Path::new("chancery-data"));
    assert_eq!(
        config.database_url.expose_secret(),
        "sqlite:chancery-data/chancery.db"
    );
    assert_eq!(
        config.sealing_key_file,
        Path::new("chancery-data/sealing.key")
    );
    assert_eq!(config.listen, ["127.0.0.1:8443"]);
    assert_eq!(config.api_base, ["/KeyfactorAPI", "/Keyfactor/API"]);
    assert_eq!(config.agents_prefix, "/KeyfactorAgents");
    assert_eq!(config.request_timeout, Duration::from_secs(120));
    assert_eq!(config.log_format, LogFormat::Text);
    assert!(config.tls.is_none() && config.public_url.is_none() && config.metrics_listen.is_none());
}

#[test]
fn the_documented_defaults_are_the_real_ones() {
    let by_default = format!("{:?}", Case::default().read());
    let mut spelled_out = Case::default();
    for setting in SETTINGS {
        let default = setting.default;
        if !default.contains(' ') || setting.name == "api_base" {
            spelled_out = spelled_out.flag(setting.name, &[default]);
        }
    }
    assert_eq!(format!("{:?}", spelled_out.read()), by_default);
}

#[test]
fn flags_are_stronger_than_variables_and_those_than_the_file() {
    let case = Case::default().file("log = 'error'\nmax_connections = 7\nlisten = ['a:1', 'b:2']");
    assert_eq!(case.read().log, "error");
    assert_eq!(case.read().listen, ["a:1", "b:2"]);
    let case = case
        .variable("CHANCERY_LOG", "warn")
        .variable("CHANCERY_LISTEN", "c:3, [::]:4");
    assert_eq!(case.read().log, "warn");
    assert_eq!(case.read().listen, ["c:3", "[::]:4"]);
    let case = case
        .flag("log", &["debug"])
        .flag("listen", &["d:5", "e:6,f:7"]);
    assert_eq!(case.read().log, "debug");
    assert_eq!(case.read().listen, ["d:5", "e:6", "f:7"]);
    assert_eq!(case.read().max_connections, 7);
    assert_eq!(
        case.variable("CHANCERY_MAX_CONNECTIONS", "")
            .read()
            .max_connections,
        7
    );
}

#[test]
fn a_path_in_the_file_counts_from_its_folder() {
    let case =
        Case::default().file("data_dir = 'data'\ntls_certificate = '/etc/a.pem'\ntls_key = 'k'");
    let folder = case.folder.as_ref().unwrap().path();
    assert_eq!(case.read().data_dir, folder.join("data"));
    let tls = TlsFiles {
        certificate: "/etc/a.pem".into(),
        key: folder.join("k"),
    };
    assert_eq!(case.read().tls, Some(tls));
    assert_eq!(
        Case::default().flag("data_dir", &["data"]).read().data_dir,
        Path::new("data")
    );
}

#[test]
fn a_secret_may_stand_in_a_file_of_its_own_and_is_never_printed() {
    let case = Case::default().file("database_file = 'url'");
    let path = case.folder.as_ref().unwrap().path().join("url");
    std::fs::write(&path, "postgres://u:hunter2@h/d\n").unwrap();
    assert_eq!(
        case.read().database_url.expose_secret(),
        "postgres://u:hunter2@h/d"
    );
    assert!(!format!("{:?}", case.read()).contains("hunter2"));

    let path = path.display().to_string();
    let other = Case::default().variable("CHANCERY_DATABASE_FILE", &path);
    assert_eq!(
        other.read().database_url.expose_secret(),
        "postgres://u:hunter2@h/d"
    );
    let stronger = other.flag("database", &["sqlite:///x.db"]);
    assert_eq!(stronger.read().database_url.expose_secret(), "sqlite:/x.db");

    let both = Case::default()
        .flag("database_file", &[&path])
        .flag("database", &["sqlite:///x"]);
    assert_eq!(
        both.error(),
        "--database-file: database is set as well; one is enough"
    );
    let wrong = Case::default().variable("CHANCERY_DATABASE", "mysql://u:hunter2@h/d");
    assert_eq!(
        wrong.error(),
        "environment variable CHANCERY_DATABASE: a database is named by sqlite://… or postgres://…"
    );
}

#[test]
fn every_complaint_names_the_place() {
    let in_file: &[(&str, &str)] = &[
        (
            "log = 'info'\n\nlissten = 'a:1'",
            "chancery.toml, line 3: there is no setting `lissten`; did you mean `listen`?",
        ),
        (
            "[tls]\nkey = 'k'",
            "chancery.toml, line 1: there is no setting `tls`; did you mean `tls_key`?",
        ),
        (
            "qqq = 1",
            "chancery.toml, line 1: there is no setting `qqq`",
        ),
        (
            "log = 1",
            "chancery.toml, line 1, log: must be a string, not integer",
        ),
        (
            "# c\nmax_connections = '5'",
            "chancery.toml, line 2, max_connections: must be a decimal integer, not string",
        ),
        (
            "listen = ['a:1', 2]",
            "chancery.toml, line 1, listen: every member must be a string",
        ),
        (
            "listen = []",
            "chancery.toml, line 1, listen: needs at least one member",
        ),
        (
            "tls_key = 'k'",
            "chancery.toml, line 1, tls_key: needs tls_certificate as well",
        ),
    ];
    for (text, message) in in_file {
        assert_eq!(&Case::default().file(text).error(), message);
    }
    let flags: &[(&str, &str, &str)] = &[
        (
            "listen",
            "8443",
            "--listen: `8443` is not an address such as 127.0.0.1:8443 or [::]:8443",
        ),
        (
            "listen",
            "::1:8443",
            "--listen: `::1:8443` is not an address such as 127.0.0.1:8443 or [::]:8443",
        ),
        (
            "listen",
            "h:70000",
            "--listen: `h:70000` is not an address such as 127.0.0.1:8443 or [::]:8443",
        ),
        (
            "log_format",
            "xml",
            "--log-format: `xml` is none of text, json",
        ),
        (
            "max_body_bytes",
            "0",
            "--max-body-bytes: `0` is not a whole number from 1 up",
        ),
        (
            "request_timeout_seconds",
            "1m",
            "--request-timeout-seconds: `1m` is not a whole number from 1 up",
        ),
        (
            "public_url",
            "host",
            "--public-url: `host` is not a URL such as https://chancery.example.org",
        ),
        (
            "api_base",
            "api",
            "--api-base: `api` is not a path such as /KeyfactorAPI",
        ),
        (
            "agents_prefix",
            "/keyfactorapi/",
            "--agents-prefix: /keyfactorapi is also a member of api_base",
        ),
        (
            "tls_certificate",
            "c",
            "--tls-certificate: needs tls_key as well",
        ),
    ];
    for (name, value, message) in flags {
        assert_eq!(&Case::default().flag(name, &[value]).error(), message);
    }
    let broken = Case::default().file("log = ").error();
    assert!(
        broken.starts_with("chancery.toml: TOML parse error at line 1, column 7"),
        "{broken}"
    );
    let missing = Case::default().flag("config", &["/nowhere/c.toml"]).error();
    assert!(
        missing.starts_with("--config: cannot read /nowhere/c.toml: No such file"),
        "{missing}"
    );
}

#[test]
fn unknown_variables_are_told_but_stop_nothing() {
    let config = Case::default()
        .variable("CHANCERY_PORT", "tcp://10.0.0.1:80")
        .variable("PATH", "/bin");
    assert_eq!(config.read().unknown_variables, ["CHANCERY_PORT"]);
}

#[test]
fn the_servers_own_certificate_covers_the_names_it_is_reached_by() {
    let config = Case::default()
        .flag("listen", &["[::]:443", "0.0.0.0:8443", "10.1.2.3:8443"])
        .flag("public_url", &["https://pki.example.org:8443/"])
        .read();
    assert_eq!(
        config.public_url.as_deref(),
        Some("https://pki.example.org:8443")
    );
    assert_eq!(
        config.certificate_names(Some("box")),
        [
            "localhost",
            "127.0.0.1",
            "::1",
            "box",
            "pki.example.org",
            "10.1.2.3"
        ]
    );
    let given = Case::default()
        .flag("server_names", &["a.example,b.example"])
        .read();
    assert_eq!(
        given.certificate_names(Some("box")),
        ["a.example", "b.example"]
    );
}
