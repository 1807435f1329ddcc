//! The accept loop: addresses in, requests out to the router. Ours rather than a crate's, because agents sign in
//! with client certificates, the certificate changes while connections are open, and a slow client must not hold
//! up the next one.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, StatusCode, Version, header},
    response::{IntoResponse as _, Response},
};
use futures::future::Either;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::ServiceExt as _;

use app::web::{PeerAddress, PeerCertificate, RequestProgress};

mod framing;
mod guarded;
mod per_address;

use self::guarded::Guarded;
use self::per_address::PerAddress;
use crate::tls::Tls;

/// How long the accept loop rests when the system refuses to accept (no file descriptors left, mostly).
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;
/// Streams that a client may open and take back before we have looked at them; more end the connection (rapid reset,
/// CVE-2023-44487).
const MAX_RESETS: usize = 20;
/// The least that the HTTP library takes as room for a request's head.
const LEAST_HEAD: usize = 8 * 1024;

/// What a client gets that speaks plain HTTP to us.
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n\
    Connection: close\r\n\r\nThis port speaks HTTPS. Use an https:// address";

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time on each address.
    pub connections: usize,
    /// Connections at a time from one IPv4 address or IPv6 network of 64 bits.
    pub connections_per_address: usize,
    /// Octets of a request's head.
    pub head: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request, for idling between two, and for taking the next part of an answer.
    pub headers: Duration,
    /// Time for a request from its head to the head of its answer, and from one step to the next for those that say how they come
    /// on.
    pub request: Duration,
    /// Time for requests under way once the end has come.
    pub grace: Duration,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// As configured.
    pub address: String,
    /// What the system says.
    pub source: io::Error,
}

/// Bound addresses. Clients that connect before [`Listener::serve`] wait in the system's queue.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl Listener {
    /// Binds every address (`host:port`; a name that means several addresses binds the first that works).
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub async fn bind(addresses: &[String]) -> Result<Self, BindError> {
        let mut listener = Self {
            sockets: Vec::new(),
            addresses: Vec::new(),
        };
        for address in addresses {
            let error = |source| BindError {
                address: address.clone(),
                source,
            };
            let socket = TcpListener::bind(address).await.map_err(error)?;
            listener.addresses.push(socket.local_addr().map_err(error)?);
            listener.sockets.push(socket);
        }
        Ok(listener)
    }

    /// The addresses as bound: a port 0 has become a real one.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `shutdown` turns true and the requests under way are done, or the grace is over. Every request
    /// carries [`PeerAddress`] and, when the client has shown a certificate, [`PeerCertificate`].
    pub async fn serve(
        self,
        tls: Arc<Tls>,
        router: Router,
        limits: Limits,
        shutdown: watch::Receiver<bool>,
    ) {
        let mut loops = JoinSet::new();
        let per_address = PerAddress::new(limits.connections_per_address);
        for socket in self.sockets {
            let (tls, router, shutdown) = (tls.clone(), router.clone(), shutdown.clone());
            loops.spawn(accept_loop(
                socket,
                Arc::new(Serving {
                    tls,
                    router,
                    limits,
                    per_address: per_address.clone(),
                }),
                shutdown,
            ));
        }
        while loops.join_next().await.is_some() {}
    }
}

struct Serving {
    tls: Arc<Tls>,
    router: Router,
    limits: Limits,
    per_address: PerAddress,
}

async fn accept_loop(
    socket: TcpListener,
    serving: Arc<Serving>,
    mut shutdown: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(serving.limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (slot, stream, address) = tokio::select! {
            _ = shutdown.wait_for(|end| *end) => break,
            accepted = accept(&socket, &slots) => accepted,
        };
        let Some(place) = serving.per_address.enter(address.ip()) else {
            metrics::counter!("chancery_connections_refused_total").increment(1);
            tracing::warn!(%address, "max_connections_per_address is reached, a connection was refused");
            continue;
        };
        let serving = serving.clone();
        let watcher = graceful.watcher();
        connections.spawn(async move {
            metrics::gauge!("chancery_connections").increment(1.0);
            connection(&serving, stream, address, watcher).await;
            metrics::gauge!("chancery_connections").decrement(1.0);
            drop((slot, place));
        });
    }
    drop(socket);
    if tokio::time::timeout(serving.limits.grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still under way at the end of the grace and were cut off");
    }
    // Dropping the set ends what is left.
}

/// The next connection, once there is a slot for it.
async fn accept(
    socket: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream, SocketAddr) {
    if slots.available_permits() == 0 {
        tracing::warn!("max_connections is reached, new connections wait");
    }
    // The semaphore is never closed, so there is always a slot in the end.
    let slot = slots.clone().acquire_owned().await.ok();
    loop {
        match socket.accept().await {
            Ok((stream, address)) => return (slot, stream, address),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Whether the error says something about the client only: it left before we took it.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn connection(serving: &Serving, stream: TcpStream, address: SocketAddr, watcher: Watcher) {
    let handshake = handshake(&serving.tls, stream);
    match tokio::time::timeout(serving.limits.handshake, handshake).await {
        Ok(Ok(Some(stream))) => http(serving, stream, address, watcher).await,
        Ok(Ok(None)) => {}
        Ok(Err(error)) => {
            // A scanner, a health probe or an agent with a certificate of somebody else: of interest, no fault.
            metrics::counter!("chancery_tls_handshake_failures_total").increment(1);
            tracing::debug!(%address, %error, "TLS handshake failed");
        }
        Err(_) => {
            metrics::counter!("chancery_tls_handshake_failures_total").increment(1);
            tracing::debug!(%address, "TLS handshake took too long");
        }
    }
}

/// Does the handshake; `None` if the client spoke plain HTTP and was told so.
async fn handshake(tls: &Tls, mut stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        // Closing on unread bytes would send a reset, and the client would never see the answer.
        let mut unread = (&mut stream).take(64 * 1024);
        tokio::io::copy(&mut unread, &mut tokio::io::sink()).await?;
        return Ok(None);
    }
    TlsAcceptor::from(tls.config())
        .accept(stream)
        .await
        .map(Some)
}

async fn http(
    serving: &Serving,
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
    watcher: Watcher,
) {
    let (_, session) = stream.get_ref();
    let certificate = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| PeerCertificate(leaf.to_vec()));
    let is_http2 = session.alpn_protocol() == Some(b"h2".as_slice());

    let limits = serving.limits;
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(PeerAddress(address));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let version = request.version();
        let progress = RequestProgress::default();
        request.extensions_mut().insert(progress.clone());
        let answer = match framing::refusal(&request) {
            Some(refusal) => Either::Left(async { Ok(refusal) }),
            None => Either::Right(serving.router.clone().oneshot(request.map(Body::new))),
        };
        async move {
            let mut response = match in_time(limits.request, &progress, answer).await {
                Some(Ok(response)) => response,
                Some(Err(never)) => match never {},
                None => took_too_long(version),
            };
            app::web::secure(response.headers_mut());
            Ok::<_, Infallible>(response)
        }
    });

    // ALPN has decided the version; without that knowledge the builder would wait for the first bytes for ever.
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = if is_http2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(limits.head.max(LEAST_HEAD))
        .header_read_timeout(limits.headers);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.headers)
        .keep_alive_timeout(limits.headers);
    let connection =
        builder.serve_connection(TokioIo::new(Guarded::new(stream, limits.headers)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%address, %error, "connection ended early");
    }
}

/// The answer, if there is one in time. A request that has come on in the meantime has as much time again.
async fn in_time<T>(
    limit: Duration,
    progress: &RequestProgress,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    let mut steps = 0;
    loop {
        if let Ok(answer) = tokio::time::timeout(limit, answer.as_mut()).await {
            return Some(answer);
        }
        if progress.steps() == steps {
            return None;
        }
        steps = progress.steps();
    }
}

fn took_too_long(version: Version) -> Response {
    tracing::warn!("a request took longer than request_timeout_seconds and was given up");
    // Without a body: the agents in the field glue the body of a failed try in front of the next answer.
    let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    if version < Version::HTTP_2 {
        // Its body may still be on the way; nothing after it can be told from it.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests;
