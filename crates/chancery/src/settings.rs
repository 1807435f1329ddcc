//! Every setting of `chancery serve`, declared once. The flags, the environment variables, the keys of the TOML
//! file, `--help` and `docs/configuration.md` all come from [`SETTINGS`].

use std::fmt::Write as _;

/// What a setting's text has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Free text.
    Text,
    /// A file or a folder. In the TOML file a relative one counts from the folder of that file.
    Path,
    /// Text that must not be seen; a companion setting `…_file` names a file that holds it.
    Secret,
    /// One value or several; commas separate them on the command line and in the environment.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from 1 up.
    Number,
}

/// A setting: its name is the TOML key; `CHANCERY_` and the name in capitals is the environment variable; the name
/// with dashes is the flag.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Snake case; a number's unit comes last.
    pub name: &'static str,
    /// The form of its value.
    pub kind: Kind,
    /// What stands when nobody says anything, as a person reads it.
    pub default: &'static str,
    /// One or two sentences, in Markdown that also reads well as plain text.
    pub help: &'static str,
}

/// The variable and flag that name the TOML file itself.
pub const CONFIG_FILE_VARIABLE: &str = "CHANCERY_CONFIG";

/// All settings, in the order of the reference page.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "data_dir",
        kind: Kind::Path,
        default: "chancery-data",
        help: "The folder for what the server keeps: the SQLite database, its own TLS certificate, the sealing \
               key. Made at the first start, readable by its owner only.",
    },
    Setting {
        name: "database",
        kind: Kind::Secret,
        default: "the SQLite file chancery.db in data_dir",
        help: "The database: `sqlite:///path/to/file.db` or `postgres://user:password@host/name`.",
    },
    Setting {
        name: "sealing_key_file",
        kind: Kind::Path,
        default: "sealing.key in data_dir",
        help: "The key under which private keys and secrets are sealed in the database. Made at the first start \
               when it is missing. Keep a copy apart from the backups: neither is of use without the other.",
    },
    Setting {
        name: "listen",
        kind: Kind::List,
        default: "127.0.0.1:8443",
        help: "The addresses to listen on, `host:port`. `[::]:8443` takes IPv4 as well. Some clients can reach \
               nothing but port 443.",
    },
    Setting {
        name: "public_url",
        kind: Kind::Text,
        default: "https:// and the first listening address",
        help: "The address under which clients and agents reach this server, such as \
               `https://chancery.example.org`.",
    },
    Setting {
        name: "server_names",
        kind: Kind::List,
        default: "localhost, 127.0.0.1, ::1, the machine's name and the host of public_url",
        help: "The DNS names and IP addresses in the certificate that the server issues to itself when \
               tls_certificate is not set.",
    },
    Setting {
        name: "tls_certificate",
        kind: Kind::Path,
        default: "a certificate from the built-in CA",
        help: "A PEM file with the server's certificate, then its chain. A changed file is taken up within \
               seconds, or at once on SIGHUP, without a restart. Needs tls_key.",
    },
    Setting {
        name: "tls_key",
        kind: Kind::Path,
        default: "a key of the server's own",
        help: "A PEM file with the private key of tls_certificate, unencrypted.",
    },
    Setting {
        name: "api_base",
        kind: Kind::List,
        default: "/KeyfactorAPI, /Keyfactor/API",
        help: "The paths under which the API answers, in any case.",
    },
    Setting {
        name: "agents_prefix",
        kind: Kind::Text,
        default: "/KeyfactorAgents",
        help: "The path under which the agent protocol answers, in any case; some installations used \
               `/Keyfactor/Agents`.",
    },
    Setting {
        name: "log",
        kind: Kind::Text,
        default: "info",
        help: "What to log: `error`, `warn`, `info`, `debug` or `trace`, also per part, as in \
               `info,chancery=debug`.",
    },
    Setting {
        name: "log_format",
        kind: Kind::Choice(&["text", "json"]),
        default: "text",
        help: "How a log line looks: `text` for people, `json` for machines.",
    },
    Setting {
        name: "metrics_listen",
        kind: Kind::Text,
        default: "off",
        help: "An address for Prometheus metrics at `/metrics`, plain HTTP without sign-in: keep it private.",
    },
    Setting {
        name: "page_memory_mb",
        kind: Kind::Number,
        default: "256",
        help: "Memory, in millions of octets, that pages of certificates are taken from, so that any page of any query is fast. 256 are \
               enough to have everything ready for a million certificates with names of usual length, 3,000 for ten; with less, what \
               is asked for is kept as long as it fits.",
    },
    Setting {
        name: "audit_retention_days",
        kind: Kind::Number,
        default: "2557",
        help: "How long the bodies of audit records are kept: seven years unless told. Their hashes stay, so that \
               proofs stay what they were.",
    },
    Setting {
        name: "audit_file",
        kind: Kind::Path,
        default: "no file",
        help: "A file to which audit records are forwarded as lines of JSON. It may be moved away at any time.",
    },
    Setting {
        name: "audit_syslog",
        kind: Kind::Text,
        default: "off",
        help: "A syslog server, `host:port`, to which audit records are forwarded over TLS (RFC 5424, RFC 5425). \
               Needs audit_syslog_ca.",
    },
    Setting {
        name: "audit_syslog_ca",
        kind: Kind::Path,
        default: "none",
        help: "A PEM file with the certificates to one of which the syslog server's certificate has to lead.",
    },
    Setting {
        name: "max_body_bytes",
        kind: Kind::Number,
        default: "16777216",
        help: "The largest request body of the API; a larger one is answered with 413.",
    },
    Setting {
        name: "max_agent_body_bytes",
        kind: Kind::Number,
        default: "67108864",
        help: "The largest request body of the agent protocol: an inventory of a full store is large.",
    },
    Setting {
        name: "max_connections",
        kind: Kind::Number,
        default: "4096",
        help: "The most connections at a time on each listening address; further ones wait.",
    },
    Setting {
        name: "max_connections_per_address",
        kind: Kind::Number,
        default: "1024",
        help: "The most connections at a time from one IPv4 address or IPv6 network of 64 bits; further ones are \
               closed. Raise it to max_connections when all clients come through one proxy.",
    },
    Setting {
        name: "max_header_bytes",
        kind: Kind::Number,
        default: "65536",
        help: "The largest head of a request (its first line and all header fields), at least 8192; a larger one is \
               answered with 431 and ends the connection.",
    },
    Setting {
        name: "handshake_timeout_seconds",
        kind: Kind::Number,
        default: "10",
        help: "How long a client may take for the TLS handshake.",
    },
    Setting {
        name: "header_timeout_seconds",
        kind: Kind::Number,
        default: "60",
        help: "How long a client may take to send the head of a request or to take the next part of an answer; also \
               how long an HTTP/1.1 connection may idle.",
    },
    Setting {
        name: "request_timeout_seconds",
        kind: Kind::Number,
        default: "120",
        help: "How long a request may take as a whole; after that it is answered with 503. A stream of certificates may take \
               so long from lot to lot.",
    },
    Setting {
        name: "failed_sign_ins_per_minute",
        kind: Kind::Number,
        default: "30",
        help: "How many sign-ins of one address may fail in a minute, after the first failed_sign_ins_at_once; further \
               ones are answered with 429. Sign-ins that succeed do not count.",
    },
    Setting {
        name: "failed_sign_ins_at_once",
        kind: Kind::Number,
        default: "200",
        help: "How many sign-ins of one address may fail or be under way before failed_sign_ins_per_minute begins to \
               count.",
    },
    Setting {
        name: "anonymous_requests_per_second",
        kind: Kind::Number,
        default: "100",
        help: "How many requests of one address may be refused in a second because nobody is signed in, or go to where one signs in, and ten \
               times as many at once; further ones are answered with 429.",
    },
    Setting {
        name: "account_requests_per_second",
        kind: Kind::Number,
        default: "10000",
        help: "How many requests one account may make in a second, and twice as many at once; further ones are \
               answered with 429.",
    },
    Setting {
        name: "account_requests_at_once",
        kind: Kind::Number,
        default: "512",
        help: "How many requests of one account may be under way at the same time; further ones are answered with \
               429.",
    },
    Setting {
        name: "egress_allow",
        kind: Kind::List,
        default: "the public internet only",
        help: "Private hosts and networks this server may connect to (identity providers, CRL and OCSP addresses, \
               webhooks, certificate authorities): `10.20.0.0/16`, `fd00::/8`, `idp.example.org`, \
               `*.corp.example`, each also with a port, as in `10.20.3.4:8443` or `[fd00::/8]:443`. A name never \
               opens link-local addresses.",
    },
    Setting {
        name: "egress_timeout_seconds",
        kind: Kind::Number,
        default: "10",
        help: "How long a request of this server to another may take as a whole.",
    },
    Setting {
        name: "shutdown_grace_seconds",
        kind: Kind::Number,
        default: "20",
        help: "How long requests under way may go on after SIGTERM or SIGINT.",
    },
];

impl Setting {
    /// The environment variable: `CHANCERY_DATA_DIR`.
    pub fn variable(&self) -> String {
        format!("CHANCERY_{}", self.name.to_uppercase())
    }

    /// The flag without its dashes: `data-dir`.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether `…_file` names a file with the value.
    pub fn has_file_companion(&self) -> bool {
        self.kind == Kind::Secret
    }

    fn value_name(&self) -> String {
        match self.kind {
            Kind::Text | Kind::Secret => "TEXT".into(),
            Kind::Path => "PATH".into(),
            Kind::List => "A,B,…".into(),
            Kind::Choice(words) => words.join("|"),
            Kind::Number => "NUMBER".into(),
        }
    }
}

/// The setting of this name, or the secret setting whose `…_file` companion it is (then `true`).
pub fn named(name: &str) -> Option<(&'static Setting, bool)> {
    let exactly = |name: &str| SETTINGS.iter().find(|setting| setting.name == name);
    exactly(name).map(|setting| (setting, false)).or_else(|| {
        let setting = exactly(name.strip_suffix("_file")?)?;
        setting.has_file_companion().then_some((setting, true))
    })
}

/// The flags of `chancery serve`.
pub fn arguments() -> Vec<clap::Arg> {
    let mut arguments = vec![
        clap::Arg::new("config")
            .long("config")
            .value_name("PATH")
            .help(format!(
                "A TOML file with settings [environment: {CONFIG_FILE_VARIABLE}]"
            )),
    ];
    for setting in SETTINGS {
        let text = format!(
            "{} [environment: {}] [default: {}]",
            setting.help.replace('`', ""),
            setting.variable(),
            setting.default
        );
        let argument = clap::Arg::new(setting.name)
            .long(setting.flag())
            .value_name(setting.value_name());
        arguments.push(match setting.kind {
            Kind::List => argument.help(text).action(clap::ArgAction::Append),
            _ => argument.help(text),
        });
        if setting.has_file_companion() {
            arguments.push(
                clap::Arg::new(format!("{}_file", setting.name))
                    .long(format!("{}-file", setting.flag()))
                    .value_name("PATH")
                    .help(format!(
                        "A file that holds the value of --{}, so that it shows neither in the list of processes \
                         nor in the environment [environment: {}_FILE]",
                        setting.flag(),
                        setting.variable()
                    )),
            );
        }
    }
    arguments
}

/// The flags that say where data, database and sealing keys are, for commands that work on them without a server.
pub fn storage_arguments() -> Vec<clap::Arg> {
    const STORAGE: [&str; 5] = [
        "config",
        "data_dir",
        "database",
        "database_file",
        "sealing_key_file",
    ];
    let wanted = |argument: &clap::Arg| STORAGE.contains(&argument.get_id().as_str());
    arguments().into_iter().filter(wanted).collect()
}

/// The text of `docs/configuration.md`.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Configuration of `chancery serve`\n\
         \n\
         <!-- Written from crates/chancery/src/settings.rs: UPDATE_DOCS=1 cargo test -p chancery reference_page -->\n\
         \n\
         Nothing has to be configured. What is set comes from, each stronger than the one before:\n\
         \n\
         1. a TOML file, named by `--config` or `CHANCERY_CONFIG`;\n\
         2. environment variables; an empty one counts as not set;\n\
         3. flags.\n\
         \n\
         The same name serves in all three: `data_dir` in the file, `CHANCERY_DATA_DIR` in the environment,\n\
         `--data-dir` as a flag. A list is an array in the file; in a variable or a flag commas separate its\n\
         members, and the flag may be repeated. A relative path in the file counts from the folder of that file,\n\
         elsewhere from the working directory. A key that does not exist is an error that names the line.\n\
         \n\
         ```toml\n\
         data_dir = \"/var/lib/chancery\"\n\
         listen = [\"[::]:443\", \"[::]:8443\"]\n\
         public_url = \"https://chancery.example.org\"\n\
         database_file = \"/run/secrets/chancery-database\"\n\
         ```\n\
         \n\
         Changes of the settings take effect at the next start; only the TLS certificate is reloaded.\n",
    );
    for setting in SETTINGS {
        let form = match setting.kind {
            Kind::Text => "text".into(),
            Kind::Path => "path".into(),
            Kind::Secret => "text, secret".into(),
            Kind::List => "list".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Number => "whole number from 1 up".into(),
        };
        let _ = write!(
            page,
            "\n## `{}`\n\n{}\n\n- Environment: `{}`; flag: `--{}`\n- Form: {form}\n- Default: {}\n",
            setting.name,
            setting.help,
            setting.variable(),
            setting.flag(),
            setting.default
        );
        if setting.has_file_companion() {
            let _ = writeln!(
                page,
                "- Or a file that holds it: `{0}_file`, `{1}_FILE`, `--{2}-file`",
                setting.name,
                setting.variable(),
                setting.flag()
            );
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_page_is_the_one_in_docs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, reference_page()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == reference_page(),
            "docs/configuration.md is out of date: UPDATE_DOCS=1 cargo test -p chancery reference_page"
        );
    }

    #[test]
    fn every_name_is_plain_and_occurs_once() {
        for (place, setting) in SETTINGS.iter().enumerate() {
            assert!(
                setting
                    .name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_')
            );
            assert!(
                !SETTINGS[..place]
                    .iter()
                    .any(|other| other.name == setting.name)
            );
            assert!(setting.name != "config", "taken by the file itself");
            assert!(!setting.help.is_empty() && !setting.default.is_empty());
        }
    }

    #[test]
    fn secrets_have_a_file_companion_and_nothing_else_has() {
        assert!(
            matches!(named("database_file"), Some((setting, true)) if setting.name == "database")
        );
        assert!(matches!(named("sealing_key_file"), Some((_, false))));
        assert!(named("listen_file").is_none());
        assert!(named("nonsense").is_none());
    }
}
