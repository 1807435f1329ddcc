//! A real nginx with folders of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use crate::{
    process::{Process, run},
    until::until,
};

/// Below the range from which the system takes the ports of outgoing connections: a server that was killed finds its
/// port free again.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// A port on which nobody listens, and that no other test of this process is given.
pub(crate) fn free_port() -> u16 {
    free_ports(1)
}

/// The first of some ports in a row, of which the same is true.
pub(crate) fn free_ports(count: u16) -> u16 {
    let start = u16::try_from(std::process::id() % u32::from(PORTS)).expect("smaller than PORTS");
    for _ in 0..PORTS {
        let next = NEXT_PORT.fetch_add(count, Ordering::SeqCst);
        let first = FIRST_PORT + (start + next % PORTS) % PORTS;
        let mut ports = first..first + count;
        if ports.all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("every port from {FIRST_PORT} is in use");
}

/// Serves the site's files on one port, and another certificate on a second port.
pub(crate) struct Nginx {
    folder: PathBuf,
    /// Serves `tls/site.pem`.
    pub(crate) port: u16,
    /// Serves a certificate that no job brings.
    pub(crate) other_port: u16,
    process: Process,
}

impl Nginx {
    /// Starts it with placeholders, as an administrator would who has no certificate yet. With `separate_key` the site's
    /// private key is in `tls/site.key`, else in `tls/site.pem` with the certificate.
    pub(crate) async fn start(folder: &Path, separate_key: bool) -> Self {
        if Command::new("nginx").arg("-v").output().is_err() {
            panic!("nginx is not installed; `cargo xtask test` installs it");
        }
        for part in ["", "tls", "temporary"] {
            std::fs::create_dir_all(folder.join(part)).expect("folders can be made");
        }
        for name in ["site", "other"] {
            placeholder(&folder.join("tls"), name, separate_key || name == "other");
        }
        let (port, other_port) = (free_port(), free_port());
        let key = if separate_key { "site.key" } else { "site.pem" };
        let root = folder.display();
        let configuration = format!(
            "daemon off;\npid {root}/nginx.pid;\nerror_log stderr;\nworker_processes 1;\n\
             events {{ worker_connections 64; }}\n\
             http {{\n  access_log off;\n  client_body_temp_path {root}/temporary/body;\n  \
             proxy_temp_path {root}/temporary/proxy;\n  fastcgi_temp_path {root}/temporary/fastcgi;\n  \
             uwsgi_temp_path {root}/temporary/uwsgi;\n  scgi_temp_path {root}/temporary/scgi;\n  \
             server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {root}/tls/site.pem; \
             ssl_certificate_key {root}/tls/{key}; return 204; }}\n  \
             server {{ listen 127.0.0.1:{other_port} ssl; ssl_certificate {root}/tls/other.pem; \
             ssl_certificate_key {root}/tls/other.key; return 204; }}\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), configuration).expect("a file can be written");
        let log = folder.join("nginx.log");
        let process = Process::start("nginx", &mut nginx(folder), &log);
        let mut nginx = Self {
            folder: folder.to_owned(),
            port,
            other_port,
            process,
        };
        until("nginx listens", async || {
            assert!(
                nginx.process.ended().is_none(),
                "nginx ended:\n{}",
                nginx.process.printed()
            );
            std::net::TcpStream::connect(("127.0.0.1", other_port))
                .map_err(|error| error.to_string())
        })
        .await;
        nginx
    }

    /// The certificate of the site.
    pub(crate) fn site(&self) -> PathBuf {
        self.folder.join("tls/site.pem")
    }

    /// Where its private key is when it is apart.
    pub(crate) fn site_key(&self) -> PathBuf {
        self.folder.join("tls/site.key")
    }

    /// The folder of certificates and keys.
    pub(crate) fn tls(&self) -> PathBuf {
        self.folder.join("tls")
    }

    /// `nginx -t` for this configuration.
    pub(crate) fn test_command(&self) -> Vec<String> {
        words(nginx(&self.folder).arg("-t"))
    }

    /// `nginx -s reload` for this configuration.
    pub(crate) fn reload_command(&self) -> Vec<String> {
        words(nginx(&self.folder).args(["-s", "reload"]))
    }

    /// Whether an nginx that started now would find certificates and keys that belong together.
    pub(crate) fn finds_matching_pairs(&self) -> bool {
        let output = nginx(&self.folder)
            .arg("-t")
            .output()
            .expect("nginx can be started");
        output.status.success()
    }

    /// The thumbprint that OpenSSL is shown, whoever issued the certificate.
    pub(crate) fn served(&self) -> String {
        shown_on(self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers would outlive a killed master.
        let _ = nginx(&self.folder).args(["-s", "stop"]).output();
        self.process.end_by_itself();
    }
}

/// The upper-case SHA-1 of the certificate that OpenSSL is shown on a port.
pub(crate) fn shown_on(port: u16) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha1"
    );
    let line = run(Command::new("sh").args(["-c", &script]));
    let (_, thumbprint) = line.trim().split_once('=').expect("a fingerprint");
    thumbprint.replace(':', "")
}

fn nginx(folder: &Path) -> Command {
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .args(["-e", "stderr"]);
    command
}

fn words(command: &Command) -> Vec<String> {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_str().expect("our paths are text").to_owned())
        .collect()
}

fn placeholder(folder: &Path, name: &str, separate_key: bool) {
    let (certificate, key) = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}.key")),
    );
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-days",
            "30",
            "-subj",
            &format!("/CN=placeholder of {name}"),
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate));
    if !separate_key {
        let read = |path| std::fs::read_to_string(path).expect("OpenSSL has written it");
        let both = read(&certificate) + &read(&key);
        std::fs::write(&certificate, both).expect("a file can be written");
        std::fs::remove_file(&key).expect("a file can be removed");
    }
}
