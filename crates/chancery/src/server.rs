//! The whole server in one value: application, listener, background work, certificate, metrics. `chancery serve`
//! runs one until it is told to end; the quickstart runs one beside an agent.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use app::{App, StartError};
use metrics_exporter_prometheus::PrometheusHandle;
use rustls::pki_types::CertificateDer;
use secrecy::ExposeSecret as _;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    audit_forward::{self, Receiver, Syslog},
    config::Config,
    data_dir, docs, key_reload,
    listener::{Limits, Listener},
    metrics,
    own_certificate::OwnCertificate,
    tls::{ClientAuthorities, Tls},
};

/// A server that runs.
pub struct Server {
    app: Arc<App>,
    addresses: Vec<SocketAddr>,
    url: String,
    end: watch::Sender<bool>,
    tasks: JoinSet<&'static str>,
}

impl Server {
    /// Starts a server. When this returns, its addresses answer.
    ///
    /// `machine_name` is for the server's own certificate; `hangups` counts requests to reload the certificate at
    /// once; `metrics` is the recorder of the process, if there is one.
    ///
    /// # Errors
    /// Names the setting, file or address that is at fault.
    pub async fn start(
        config: Config,
        machine_name: Option<&str>,
        hangups: watch::Receiver<u64>,
        metrics: Option<PrometheusHandle>,
    ) -> anyhow::Result<Self> {
        data_dir::prepare(&config.data_dir)?;
        // Before the database: an address in use is the commonest mistake and the cheapest to find.
        let listener = Listener::bind(&config.listen).await.context("listen")?;
        let addresses = listener.addresses().to_vec();
        let url = match &config.public_url {
            Some(url) => url.clone(),
            None => default_url(addresses[0]),
        };
        let metrics_socket = match &config.metrics_listen {
            Some(address) => Some(metrics::bind(address).await.context("metrics_listen")?),
            None => None,
        };

        let app = open(&config, Some(&url)).await?;
        let (end, shutdown) = watch::channel(false);
        let mut tasks = JoinSet::new();

        let files = match &config.tls {
            Some(files) => files.clone(),
            None => {
                let names = config.certificate_names(machine_name);
                let own = OwnCertificate::new(&config.data_dir, &names);
                own.ensure(&app, now_ms()).await?;
                let files = own.files().clone();
                let keep = own.keep(app.clone(), now_ms, shutdown.clone());
                spawn(&mut tasks, "renewal of the server's certificate", keep);
                files
            }
        };
        let tls = Tls::load(files, client_authorities(&app)).context("TLS")?;
        spawn(
            &mut tasks,
            "reload of the certificate",
            tls.clone().watch(hangups, shutdown.clone()),
        );

        spawn(
            &mut tasks,
            "reload of the sealing keys",
            key_reload::watch(
                app.clone(),
                config.sealing_key_file.clone(),
                shutdown.clone(),
            ),
        );

        let router = app.router().merge(docs::router(app::openapi));
        let serving = listener.serve(tls, router, limits(&config), shutdown.clone());
        spawn(&mut tasks, "listener", serving);
        for receiver in audit_receivers(&config, machine_name)? {
            let forwarding = audit_forward::run(app.clone(), receiver, shutdown.clone());
            spawn(&mut tasks, "forwarding of the audit log", forwarding);
        }
        let background = {
            let (app, shutdown) = (app.clone(), shutdown.clone());
            async move { app.run_background(shutdown).await }
        };
        spawn(&mut tasks, "background work", background);
        if let Some(handle) = metrics {
            spawn(
                &mut tasks,
                "metrics",
                metrics::upkeep(handle.clone(), shutdown.clone()),
            );
            if let Some(socket) = metrics_socket {
                spawn(
                    &mut tasks,
                    "metrics page",
                    metrics::serve(socket, handle, shutdown),
                );
            }
        }
        Ok(Self {
            app,
            addresses,
            url,
            end,
            tasks,
        })
    }

    /// The application, for what the command line does without HTTP.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The addresses as bound.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How clients reach the server: the public URL, or the first address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs until `stop` turns true, then ends in good order.
    ///
    /// # Errors
    /// A part of the server ended by itself, which it never should.
    pub async fn run_until(mut self, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let broken = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => None,
            ended = self.tasks.join_next() => ended,
        };
        self.stop().await;
        match broken {
            None => Ok(()),
            Some(Ok(part)) => bail!("the {part} ended by itself"),
            Some(Err(error)) => bail!("a part of the server broke: {error}"),
        }
    }

    /// Ends: no new connections, requests under way finish, background work leaves its leases, the database closes.
    pub async fn stop(mut self) {
        self.end.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.app.close().await;
    }
}

fn spawn(
    tasks: &mut JoinSet<&'static str>,
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) {
    tasks.spawn(async move {
        work.await;
        name
    });
}

/// Opens the application, with a fresh sealing key where there is none.
///
/// # Errors
/// Names the folder or file, and says when the key of an existing database is missing.
pub(crate) async fn open(config: &Config, url: Option<&str>) -> anyhow::Result<Arc<App>> {
    let file = &config.sealing_key_file;
    let missing = !file.exists();
    let keyring = data_dir::key_ring(file)?;
    match App::open(options(config, keyring, url)).await {
        Ok(app) => Ok(app),
        Err(error @ StartError::SealingKey(_)) if missing => {
            // It was made a moment ago and nothing was sealed with it; it would stand in the right one's place.
            let _ = std::fs::remove_file(file);
            let file = file.display();
            Err(error).with_context(|| {
                format!("sealing_key_file: {file} is missing, and the database was set up before")
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// What the configuration says to the application; `url` is how clients reach it.
pub(crate) fn options(
    config: &Config,
    keyring: secrets::KeyRing,
    url: Option<&str>,
) -> app::Options {
    app::Options {
        public_url: url.map(str::to_owned),
        api_bases: config.api_base.clone(),
        agents_prefix: config.agents_prefix.clone(),
        body_limit: config.max_body_bytes,
        agent_body_limit: config.max_agent_body_bytes,
        rates: config.rates,
        egress: egress::Policy {
            allow: config.egress_allow.clone(),
            time: config.egress_timeout,
            ..egress::Policy::default()
        },
        page_memory: config.page_memory,
        audit_retention_days: config.audit_retention_days,
        ..app::Options::new(
            config.database_url.expose_secret().to_owned(),
            config.data_dir.clone(),
            keyring,
        )
    }
}

pub(crate) fn limits(config: &Config) -> Limits {
    Limits {
        connections: config.max_connections,
        connections_per_address: config.max_connections_per_address,
        head: config.max_header_bytes,
        handshake: config.handshake_timeout,
        headers: config.header_timeout,
        request: config.request_timeout,
        grace: config.shutdown_grace,
    }
}

/// Where audit records are forwarded to.
fn audit_receivers(config: &Config, machine_name: Option<&str>) -> anyhow::Result<Vec<Receiver>> {
    let mut receivers: Vec<Receiver> = config
        .audit_file
        .clone()
        .map(Receiver::File)
        .into_iter()
        .collect();
    if let Some((address, trusted)) = &config.audit_syslog {
        let syslog = Syslog::new(address, trusted, machine_name).context("audit_syslog")?;
        receivers.push(Receiver::Syslog(Box::new(syslog)));
    }
    Ok(receivers)
}

fn client_authorities(app: &Arc<App>) -> ClientAuthorities {
    let app = Arc::downgrade(app);
    Arc::new(move || {
        let authorities = app
            .upgrade()
            .map(|app| app.agent_authorities())
            .unwrap_or_default();
        authorities.into_iter().map(CertificateDer::from).collect()
    })
}

/// `https://` and the first address; an address that means "all of this machine" becomes localhost.
fn default_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("https://localhost:{}", address.port())
    } else {
        format!("https://{address}")
    }
}

/// The time of the machine, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
