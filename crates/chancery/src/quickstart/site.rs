//! The TLS site that gets the certificates: nginx where it is installed, otherwise a small one of our own that reads
//! the same files.

use std::{
    fs::{self, OpenOptions},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use axum::Router;
use pki::{Certificate, DistinguishedName, Issuer, KeySpec, PrivateKey, Serial};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

use super::{SiteChoice, client::wait_for};
use crate::{
    config::TlsFiles,
    data_dir,
    listener::{Limits, Listener},
    tls::Tls,
};

/// The name that the site's certificates are for. `.test` never is a real one (RFC 6761 section 6.2).
pub(super) const HOST: &str = "www.quickstart.test";
/// What the site says to who asks it.
const GREETING: &str = "Served with a certificate that Chancery deployed.\n";
/// How long nginx may take to start or to end.
const NGINX_PATIENCE: Duration = Duration::from_secs(20);
/// Where nginx may be without being on the path of an ordinary account.
const NGINX_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// How often our own site looks at its files.
const OWN_RELOAD: Duration = Duration::from_millis(50);
/// How long the placeholder is good for.
const PLACEHOLDER_LIFE_MS: i64 = 10 * 365 * 86_400_000;

/// A TLS site that runs.
pub(super) struct Site {
    pub(super) files: TlsFiles,
    pub(super) address: SocketAddr,
    /// What the site is, for people.
    pub(super) kind: &'static str,
    /// What the agent runs to test the files and to make the site read them; empty for our own site.
    pub(super) test_command: Vec<String>,
    pub(super) reload: Vec<String>,
    server: Running,
}

enum Running {
    Nginx {
        child: Child,
        command: Vec<String>,
    },
    Own {
        end: watch::Sender<bool>,
        tasks: Vec<JoinHandle<()>>,
    },
}

impl Site {
    /// Starts a site in `folder` on a free port, with a placeholder where there is no certificate yet.
    ///
    /// # Errors
    /// nginx was asked for and is not installed; what the system or nginx says.
    pub(super) async fn start(
        folder: &Path,
        choice: SiteChoice,
        now_ms: i64,
    ) -> anyhow::Result<Self> {
        data_dir::prepare(folder)?;
        let files = TlsFiles {
            certificate: folder.join("site.pem"),
            key: folder.join("site.key"),
        };
        ensure_usable(&files, now_ms)?;
        let nginx = match choice {
            SiteChoice::Own => None,
            SiteChoice::Auto => nginx_program(),
            SiteChoice::Nginx => Some(nginx_program().context("nginx is not installed")?),
        };
        match nginx {
            Some(program) => start_nginx(&program, folder, files).await,
            None => start_own(files).await,
        }
    }

    /// The address of the site, as a client connects to it.
    pub(super) fn url(&self) -> String {
        format!("https://{HOST}:{}", self.address.port())
    }

    /// Ends the site, and with it every process that was started for it.
    pub(super) async fn stop(self) {
        match self.server {
            Running::Own { end, tasks } => {
                end.send_replace(true);
                for task in tasks {
                    // A task that broke has ended too.
                    let _ = task.await;
                }
            }
            Running::Nginx { mut child, command } => {
                // Asked by its own command, so that the workers end with it.
                let asked = run(&command, &["-s", "stop"]).await;
                let ended = tokio::time::timeout(NGINX_PATIENCE, child.wait()).await;
                if asked.is_err() || ended.is_err() {
                    tracing::warn!("nginx did not end by itself");
                    if let Err(error) = child.kill().await {
                        tracing::error!(%error, "nginx cannot be ended");
                    }
                }
            }
        }
    }
}

/// The certificate that a TLS handshake with the site shows, verified up to `root_der` and for [`HOST`].
///
/// # Errors
/// No connection, or a certificate that a client would not believe.
pub(super) async fn served(address: SocketAddr, root_der: &[u8]) -> anyhow::Result<Certificate> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root_der.to_vec()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(ServerName::try_from(HOST)?, stream)
        .await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = chain.first().context("the site shows no certificate")?;
    Ok(Certificate::from_der(leaf)?)
}

/// Files that the site can start with: what is there when it fits together, otherwise a placeholder that signs itself.
fn ensure_usable(files: &TlsFiles, now_ms: i64) -> anyhow::Result<()> {
    if Tls::load(files.clone(), Arc::new(Vec::new)).is_ok() {
        return Ok(());
    }
    let key = PrivateKey::generate(KeySpec::EcP256)?;
    let key_pem = key.to_pkcs8_pem();
    let name = DistinguishedName::parse("CN=placeholder")?;
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).context("the system gives no randomness")?;
    let serial = Serial::from_random(&random);
    let end = now_ms + PLACEHOLDER_LIFE_MS;
    let issuer = Issuer::self_signed_root(&name, key, now_ms, end, &serial)?;
    let pem = pki::pem::encode("CERTIFICATE", issuer.certificate().der());
    data_dir::replace(&files.key, key_pem.as_bytes(), 0o600)?;
    data_dir::replace(&files.certificate, pem.as_bytes(), 0o644)?;
    Ok(())
}

fn nginx_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(NGINX_FOLDERS.map(PathBuf::from));
    folders
        .map(|folder| folder.join("nginx"))
        .find(|program| program.is_file())
}

async fn start_nginx(program: &Path, folder: &Path, files: TlsFiles) -> anyhow::Result<Site> {
    // Another process may take the port before nginx does; nginx then says so and the person repeats.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let configuration = folder.join("nginx.conf");
    let text = nginx_configuration(folder, &files, address);
    data_dir::replace(&configuration, text.as_bytes(), 0o600)?;
    let error_log = folder.join("error.log");
    let owned = |path: &Path| path.display().to_string();
    let command = vec![
        owned(program),
        "-p".into(),
        owned(folder),
        "-c".into(),
        owned(&configuration),
        "-e".into(),
        owned(&error_log),
    ];
    let with = |more: &[&str]| {
        let more = more.iter().map(|word| (*word).to_owned());
        command.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    run(&command, &["-t", "-q"])
        .await
        .context("nginx refuses its configuration")?;
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&error_log)?;
    let child = Command::new(program)
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    let mut site = Site {
        files,
        address,
        kind: "nginx",
        test_command: with(&["-t", "-q"]),
        reload: with(&["-s", "reload"]),
        server: Running::Nginx { child, command },
    };
    let started = wait_for("nginx answers", NGINX_PATIENCE, async || {
        if let Running::Nginx { child, .. } = &mut site.server
            && let Some(status) = child.try_wait()?
        {
            let log = fs::read_to_string(&error_log).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default();
            bail!("nginx ended with {status}: {last}");
        }
        Ok(TcpStream::connect(address).await.ok())
    });
    if let Err(error) = started.await {
        site.stop().await;
        return Err(error);
    }
    Ok(site)
}

fn nginx_configuration(folder: &Path, files: &TlsFiles, address: SocketAddr) -> String {
    let quoted = |path: &Path| format!("\"{}\"", path.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("    {name}_temp_path {};\n", quoted(&folder.join("tmp"))))
        .collect();
    format!(
        "# Written by chancery quickstart at every start.\n\
         daemon off;\n\
         worker_processes 1;\n\
         pid {pid};\n\
         events {{ worker_connections 64; }}\n\
         http {{\n\
         {temporary}    access_log off;\n    server {{\n        listen {address} ssl;\n        server_name {HOST};\n\
         \x20       ssl_certificate {certificate};\n        ssl_certificate_key {key};\n\
         \x20       location / {{ default_type text/plain; return 200 \"{greeting}\"; }}\n    }}\n}}\n",
        pid = quoted(&folder.join("nginx.pid")),
        certificate = quoted(&files.certificate),
        key = quoted(&files.key),
        greeting = GREETING.trim_end(),
    )
}

/// Runs a command to its end.
async fn run(command: &[String], more: &[&str]) -> anyhow::Result<()> {
    let [program, arguments @ ..] = command else {
        bail!("the command is empty");
    };
    let output = Command::new(program)
        .args(arguments)
        .args(more)
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(NGINX_PATIENCE, output).await??;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program}: {}: {}", output.status, said.trim());
    }
    Ok(())
}

async fn start_own(files: TlsFiles) -> anyhow::Result<Site> {
    let listener = Listener::bind(&["127.0.0.1:0".to_owned()]).await?;
    let address = listener.addresses()[0];
    let tls = Tls::load(files.clone(), Arc::new(Vec::new))?;
    let (end, shutdown) = watch::channel(false);
    let limits = Limits {
        connections: 64,
        connections_per_address: 64,
        head: 16 * 1024,
        handshake: Duration::from_secs(5),
        headers: Duration::from_secs(5),
        request: Duration::from_secs(5),
        grace: Duration::from_secs(1),
    };
    let router = Router::new().fallback(async || GREETING);
    let serving = listener.serve(tls.clone(), router, limits, shutdown.clone());
    let tasks = vec![
        tokio::spawn(serving),
        tokio::spawn(follow_files(tls, shutdown)),
    ];
    Ok(Site {
        files,
        address,
        kind: "a small site of our own",
        test_command: Vec::new(),
        reload: Vec::new(),
        server: Running::Own { end, tasks },
    })
}

async fn follow_files(tls: Arc<Tls>, mut shutdown: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(OWN_RELOAD) => {}
            _ = shutdown.wait_for(|end| *end) => return,
        }
        let reloading = tls.clone();
        // Between the swap of the two files they do not fit together; the next look finds that they do.
        match tokio::task::spawn_blocking(move || reloading.reload()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the site keeps its certificate"),
            Err(error) => tracing::error!(%error, "the site's reload broke off"),
        }
    }
}
