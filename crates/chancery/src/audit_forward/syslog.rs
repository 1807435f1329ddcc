//! Syslog messages (RFC 5424) over TLS (RFC 5425), each behind the count of its octets.

use std::{
    fmt::Write as _,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use app::audit::Forwarded;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, WriteHalf},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The facility "log audit" (RFC 5424 section 6.2.1).
const FACILITY: u8 = 13;
/// How long connecting and sending may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Why a syslog server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SyslogError {
    /// The address has no host that a certificate could name.
    #[error("`{0}` is not an address such as logs.example.org:6514")]
    Address(String),
    /// The file with trusted certificates.
    #[error("{path}: {problem}")]
    Trust {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A syslog server, connected to when there is something to send.
pub struct Syslog {
    address: String,
    server: ServerName<'static>,
    connector: TlsConnector,
    host: String,
    connection: Option<Connection>,
}

impl std::fmt::Debug for Syslog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Syslog({})", self.address)
    }
}

impl Syslog {
    /// The server at `host:port`, whose certificate leads to one of those in the PEM file `trusted`. `host` is the name of this
    /// machine in the messages.
    ///
    /// # Errors
    /// [`SyslogError`] names what to mend.
    pub fn new(address: &str, trusted: &Path, host: Option<&str>) -> Result<Self, SyslogError> {
        let bad = || SyslogError::Address(address.to_owned());
        let (name, port) = address.rsplit_once(':').ok_or_else(bad)?;
        port.parse::<u16>().map_err(|_| bad())?;
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let server = ServerName::try_from(name.to_owned()).map_err(|_| bad())?;
        let wrong = |problem: String| SyslogError::Trust {
            path: trusted.display().to_string(),
            problem,
        };
        let mut roots = RootCertStore::empty();
        let pem = std::fs::read(trusted).map_err(|error| wrong(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("it holds no PEM certificate".into()));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let printable =
            |host: &&str| !host.is_empty() && host.bytes().all(|octet| octet.is_ascii_graphic());
        Ok(Self {
            address: address.to_owned(),
            server,
            connector: TlsConnector::from(Arc::new(config)),
            host: host.filter(printable).unwrap_or("-").to_owned(),
            connection: None,
        })
    }

    /// Sends the records over the connection there is, or a new one.
    pub(super) async fn send(&mut self, records: &[Forwarded]) -> io::Result<()> {
        let mut text = String::new();
        for record in records {
            let message = self.message(record);
            // Writing to a String cannot fail.
            let _ = write!(text, "{} {message}", message.len());
        }
        let sent = tokio::time::timeout(LIMIT, self.write(text.as_bytes())).await;
        let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if sent.is_err() {
            self.connection = None;
        }
        sent
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut connection = match self.connection.take().filter(Connection::is_open) {
            Some(connection) => connection,
            None => {
                let socket = TcpStream::connect(&self.address).await?;
                let stream = self.connector.connect(self.server.clone(), socket).await?;
                Connection::new(stream)
            }
        };
        connection.sender.write_all(octets).await?;
        connection.sender.flush().await?;
        self.connection = Some(connection);
        Ok(())
    }

    fn message(&self, record: &Forwarded) -> String {
        let severity = match record.level {
            2 => 3,
            1 => 4,
            _ => 6,
        };
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(record.at) * 1_000_000)
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok());
        format!(
            "<{}>1 {} {} chancery {} audit - {}",
            FACILITY * 8 + severity,
            at.as_deref().unwrap_or("-"),
            self.host,
            std::process::id(),
            record.line
        )
    }
}

/// A connection for sending. Syslog has no answers; what comes all the same is read and dropped, to notice the end.
struct Connection {
    sender: WriteHalf<TlsStream<TcpStream>>,
    open: Arc<AtomicBool>,
    reading: JoinHandle<()>,
}

impl Connection {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        let (mut receiver, sender) = tokio::io::split(stream);
        let open = Arc::new(AtomicBool::new(true));
        let closed = Arc::clone(&open);
        let reading = tokio::spawn(async move {
            let mut octets = [0; 256];
            while matches!(receiver.read(&mut octets).await, Ok(count) if count > 0) {}
            closed.store(false, Ordering::SeqCst);
        });
        Self {
            sender,
            open,
            reading,
        }
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
