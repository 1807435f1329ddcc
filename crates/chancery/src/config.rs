//! The configuration of `chancery serve`: flags over environment over TOML file over defaults, read into one typed
//! value. Every complaint names the place that has to be changed.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;

mod layers;

use self::layers::{Layers, suggestion};
use crate::settings;

/// What `chancery serve` runs with.
#[derive(Debug)]
pub struct Config {
    /// The folder for everything the server keeps.
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`; may hold a password.
    pub database_url: SecretString,
    /// Where the sealing key is kept.
    pub sealing_key_file: PathBuf,
    /// `host:port`, at least one.
    pub listen: Vec<String>,
    /// `https://…` without a slash at its end, when given.
    pub public_url: Option<String>,
    /// Names and addresses for the server's own certificate, when given.
    pub server_names: Option<Vec<String>>,
    /// A given certificate; `None` means the built-in CA issues one.
    pub tls: Option<TlsFiles>,
    /// Base paths of the API, each with a slash before and none behind.
    pub api_base: Vec<String>,
    /// Base path of the agent protocol, in the same form.
    pub agents_prefix: String,
    /// The filter of the log.
    pub log: String,
    /// The form of the log.
    pub log_format: LogFormat,
    /// `host:port` for the metrics, when given.
    pub metrics_listen: Option<String>,
    /// Octets that pages of certificates are taken from.
    pub page_memory: usize,
    /// How many days bodies of audit records are kept.
    pub audit_retention_days: u32,
    /// Where audit records are forwarded to as lines of JSON, when given.
    pub audit_file: Option<PathBuf>,
    /// The syslog server for audit records, `host:port`, and the file with the certificates it is believed by, when given.
    pub audit_syslog: Option<(String, PathBuf)>,
    /// The largest request body of the API.
    pub max_body_bytes: usize,
    /// The largest request body of the agent protocol.
    pub max_agent_body_bytes: usize,
    /// Connections at a time on each address.
    pub max_connections: usize,
    /// Connections at a time from one address.
    pub max_connections_per_address: usize,
    /// The largest head of a request.
    pub max_header_bytes: usize,
    /// Limit of a TLS handshake.
    pub handshake_timeout: Duration,
    /// Limit of reading a request's head.
    pub header_timeout: Duration,
    /// Limit of a request as a whole.
    pub request_timeout: Duration,
    /// How often one caller may ask.
    pub rates: app::security::Rates,
    /// What this server may connect to beyond the public internet.
    pub egress_allow: egress::Allow,
    /// Limit of a request to another server.
    pub egress_timeout: Duration,
    /// What requests under way get at the end.
    pub shutdown_grace: Duration,
    /// Variables `CHANCERY_…` that mean nothing to us; worth a warning, not an error, because container platforms
    /// invent such variables for a service called chancery.
    pub unknown_variables: Vec<String>,
}

/// A certificate with its chain, and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The leaf, then the chain.
    pub certificate: PathBuf,
    /// The private key, unencrypted.
    pub key: PathBuf,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named cannot be read.
    #[error("{origin}: cannot read {}: {source}", path.display())]
    Unreadable {
        /// Who named the file.
        origin: Origin,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The TOML file is no TOML; the message holds line and column.
    #[error("{}: {message}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
    /// The TOML file holds a key that does not exist.
    #[error("{}, line {line}: there is no setting `{key}`{}", path.display(), suggestion(key))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key as written.
        key: String,
    },
    /// A value that does not fit its setting. The value itself is not repeated where it could be a secret.
    #[error("{origin}: {problem}")]
    Invalid {
        /// Where the value comes from.
        origin: Origin,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// Where a value comes from, so that a complaint can say where to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, with its dashes.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A line of the TOML file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// Nobody said anything.
    Default(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File { path, line, key } => write!(f, "{}, line {line}, {key}", path.display()),
            Self::Default(name) => write!(f, "{name}"),
        }
    }
}

/// What a person gave us, before anything is checked.
#[derive(Debug, Default)]
pub struct Given {
    /// By setting name (or `…_file`), from the command line; `config` names the TOML file.
    pub flags: BTreeMap<String, Vec<String>>,
    /// The whole environment of the process.
    pub environment: BTreeMap<String, String>,
    /// The name of this machine, for the defaults of the server's own certificate.
    pub machine_name: Option<String>,
}

impl Given {
    /// Takes the flags of `chancery serve`, or of a command that knows some of them, as clap parsed them, and this process's environment.
    pub fn from_process(matches: &clap::ArgMatches) -> Self {
        let flags = settings::arguments()
            .iter()
            .filter_map(|argument| {
                let name = argument.get_id().as_str();
                // A command that takes some of the flags does not know the others.
                let given = matches.try_get_many::<String>(name).ok().flatten()?;
                let values = given.cloned().collect();
                Some((name.to_owned(), values))
            })
            .collect();
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let machine_name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty());
        Self {
            flags,
            environment,
            machine_name,
        }
    }
}

impl Config {
    /// Reads the TOML file if one is named, lays environment and flags over it and checks every value.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the first place to mend.
    pub fn read(given: &Given) -> Result<Self, ConfigError> {
        let layers = Layers::collect(given)?;

        let data_dir = layers
            .path("data_dir")?
            .unwrap_or_else(|| "chancery-data".into());
        let database_url = match layers.text("database")? {
            Some((url, origin)) => {
                checked_database(&url).map_err(|problem| invalid(origin, problem))?
            }
            None => format!("sqlite:{}", data_dir.join("chancery.db").display()),
        };
        let public_url = layers
            .text("public_url")?
            .map(checked_public_url)
            .transpose()?;
        let server_names = layers.list("server_names")?.map(|(names, _)| names);
        let (listen, _) = layers.checked_list("listen", "127.0.0.1:8443", checked_address)?;
        let (api_base, _) =
            layers.checked_list("api_base", "/KeyfactorAPI,/Keyfactor/API", checked_base)?;
        let agents_prefix = match layers.text("agents_prefix")? {
            Some((path, origin)) => {
                let path = checked_base(&path).map_err(|p| invalid(origin.clone(), &p))?;
                if api_base.iter().any(|api| api.eq_ignore_ascii_case(&path)) {
                    return Err(invalid(
                        origin,
                        &format!("{path} is also a member of api_base"),
                    ));
                }
                path
            }
            None => "/KeyfactorAgents".into(),
        };

        let certificate = layers.text("tls_certificate")?;
        let key = layers.text("tls_key")?;
        let tls = match (certificate, key) {
            (Some((certificate, _)), Some((key, _))) => Some(TlsFiles {
                certificate: certificate.into(),
                key: key.into(),
            }),
            (None, None) => None,
            (Some((_, origin)), None) => return Err(invalid(origin, "needs tls_key as well")),
            (None, Some((_, origin))) => {
                return Err(invalid(origin, "needs tls_certificate as well"));
            }
        };
        let metrics_listen = match layers.text("metrics_listen")? {
            Some((text, _)) if text == "off" => None,
            Some((text, origin)) => Some(checked_address(&text).map_err(|p| invalid(origin, &p))?),
            None => None,
        };
        let egress_allow = match layers.list("egress_allow")? {
            Some((members, origin)) => {
                egress::Allow::parse(members).map_err(|p| invalid(origin, &p.to_string()))?
            }
            None => egress::Allow::default(),
        };
        let log_format = match layers.text("log_format")? {
            Some((word, _)) if word == "json" => LogFormat::Json,
            _ => LogFormat::Text,
        };

        Ok(Self {
            sealing_key_file: layers
                .path("sealing_key_file")?
                .unwrap_or_else(|| data_dir.join("sealing.key")),
            data_dir,
            database_url: database_url.into(),
            listen,
            public_url,
            server_names,
            tls,
            api_base,
            agents_prefix,
            log: layers
                .text("log")?
                .map_or_else(|| "info".into(), |(filter, _)| filter),
            log_format,
            metrics_listen,
            page_memory: layers
                .number::<usize>("page_memory_mb")?
                .saturating_mul(1_000_000),
            audit_retention_days: layers.number("audit_retention_days")?,
            audit_file: layers.path("audit_file")?,
            audit_syslog: audit_syslog(&layers)?,
            max_body_bytes: layers.number("max_body_bytes")?,
            max_agent_body_bytes: layers.number("max_agent_body_bytes")?,
            max_connections: layers.number("max_connections")?,
            max_connections_per_address: layers.number("max_connections_per_address")?,
            max_header_bytes: layers.number("max_header_bytes")?,
            handshake_timeout: layers.seconds("handshake_timeout_seconds")?,
            header_timeout: layers.seconds("header_timeout_seconds")?,
            request_timeout: layers.seconds("request_timeout_seconds")?,
            rates: app::security::Rates {
                failed_sign_ins_per_minute: layers.number("failed_sign_ins_per_minute")?,
                failed_sign_ins_at_once: layers.number("failed_sign_ins_at_once")?,
                anonymous_requests_per_second: layers.number("anonymous_requests_per_second")?,
                account_requests_per_second: layers.number("account_requests_per_second")?,
                account_requests_at_once: layers.number("account_requests_at_once")?,
            },
            egress_allow,
            egress_timeout: layers.seconds("egress_timeout_seconds")?,
            shutdown_grace: layers.seconds("shutdown_grace_seconds")?,
            unknown_variables: layers.unknown_variables,
        })
    }

    /// The names and addresses for the server's own certificate: those given, else this machine's.
    pub fn certificate_names(&self, machine_name: Option<&str>) -> Vec<String> {
        if let Some(names) = &self.server_names {
            return names.clone();
        }
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        let from_listen = self.listen.iter().filter_map(|address| host_of(address));
        let from_url = self
            .public_url
            .as_deref()
            .and_then(|url| host_of(url.split_once("://")?.1));
        for name in machine_name.into_iter().chain(from_url).chain(from_listen) {
            let unspecified = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
            if !unspecified && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.to_owned());
            }
        }
        names
    }
}

/// The syslog server and whom it is believed by: both or none.
fn audit_syslog(layers: &Layers) -> Result<Option<(String, PathBuf)>, ConfigError> {
    let server = layers.text("audit_syslog")?;
    let trusted = layers.path("audit_syslog_ca")?;
    match (server.filter(|(text, _)| text != "off"), trusted) {
        (None, _) => Ok(None),
        (Some((_, origin)), None) => Err(invalid(origin, "needs audit_syslog_ca as well")),
        (Some((address, origin)), Some(trusted)) => {
            let address = checked_address(&address).map_err(|problem| invalid(origin, &problem))?;
            Ok(Some((address, trusted)))
        }
    }
}

/// The database in the form that the `db` crate takes. A complaint never repeats the text: it may hold a password.
fn checked_database(url: &str) -> Result<String, &'static str> {
    if ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return Ok(url.to_owned());
    }
    match url
        .strip_prefix("sqlite:")
        .map(|path| path.strip_prefix("//").unwrap_or(path))
    {
        Some(path) if !path.is_empty() => Ok(format!("sqlite:{path}")),
        _ => Err("a database is named by sqlite://… or postgres://…"),
    }
}

fn checked_public_url((url, origin): (String, Origin)) -> Result<String, ConfigError> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['?', '#', '@', ' ']) => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        _ => Err(invalid(
            origin,
            &format!("`{url}` is not a URL such as https://chancery.example.org"),
        )),
    }
}

fn checked_address(address: &str) -> Result<String, String> {
    let port = address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    match (host_of(address), port) {
        (Some(host), Some(_)) if !host.is_empty() => Ok(address.to_owned()),
        _ => Err(format!(
            "`{address}` is not an address such as 127.0.0.1:8443 or [::]:8443"
        )),
    }
}

fn checked_base(path: &str) -> Result<String, String> {
    let path = path.trim_end_matches('/');
    if path.starts_with('/') && path.len() > 1 && !path.contains(['?', '#', ' ', '{', '}', '*']) {
        Ok(path.to_owned())
    } else {
        Err(format!("`{path}` is not a path such as /KeyfactorAPI"))
    }
}

/// The host of `host:port/path`, brackets of an IPv6 address taken off.
fn host_of(address: &str) -> Option<&str> {
    let authority = address.split('/').next()?;
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map(|(host, _)| host);
    }
    match authority.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => None,
        Some((host, _)) => Some(host),
        None => Some(authority),
    }
}

fn invalid(origin: Origin, problem: &str) -> ConfigError {
    ConfigError::Invalid {
        origin,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests;
