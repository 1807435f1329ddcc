//! The guarded client.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::address::AddressSort;
use crate::allow::Allow;
use crate::error::{Error, Reason};
use crate::request::{Request, Response};
use crate::resolve::{Pinned, Resolve, SystemResolver};
use crate::target::{Host, Target};
use crate::trust::Trust;

/// Addresses of a name that are tried at most.
const ADDRESSES_MAX: usize = 8;
/// Fields of an answer's head at most. Its size is bounded by the HTTP library at some 400 KiB.
const HEADERS_MAX: usize = 100;

/// What the client may do.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What may be reached beyond the public internet.
    pub allow: Allow,
    /// Time for a request as a whole: name, connection, TLS, answer, redirects.
    pub time: Duration,
    /// Time for the connection alone.
    pub connect_time: Duration,
    /// Octets of an answer's body at most.
    pub limit: usize,
}

impl Default for Policy {
    /// The public internet only; 10 seconds, 5 of them for connecting; 4 MiB.
    fn default() -> Self {
        Self {
            allow: Allow::default(),
            time: Duration::from_secs(10),
            connect_time: Duration::from_secs(5),
            limit: 4 * 1024 * 1024,
        }
    }
}

/// The way out. Cheap to clone; the machine's trust store is read at the first use of TLS.
#[derive(Clone)]
pub struct Client {
    policy: Arc<Policy>,
    resolver: Arc<dyn Resolve>,
    trust: Arc<Trust>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client under this policy.
    pub fn new(policy: Policy) -> Self {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// The same with another source of addresses. For tests.
    pub fn with_resolver(policy: Policy, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            policy: Arc::new(policy),
            resolver,
            trust: Arc::default(),
        }
    }

    /// A client that also believes the certificates of this PEM text, for private identity providers and the like.
    ///
    /// # Errors
    /// [`Reason::BadAddress`] if it holds none, or one that cannot be an anchor.
    pub fn trusting(&self, pem: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            trust: Arc::new(self.trust.with(pem)?),
            ..self.clone()
        })
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    /// [`Error`], which says whose fault it is and whether another try makes sense. An answer of any status is none.
    pub async fn fetch(&self, request: Request) -> Result<Response, Error> {
        let target = Target::parse(&request.url, request.https_only)?;
        let time = request
            .time
            .map_or(self.policy.time, |time| time.min(self.policy.time));
        match tokio::time::timeout(time, self.follow(target.clone(), &request)).await {
            Ok(answer) => answer,
            Err(_) => Err(too_slow(&target)),
        }
    }

    /// Looks at an address as [`Client::fetch`] would, without connecting: for whoever enters one, to be told at once.
    ///
    /// # Errors
    /// As [`Client::fetch`]. A name that cannot be resolved now is one too.
    pub async fn check(&self, url: &str, https_only: bool) -> Result<(), Error> {
        let target = Target::parse(url, https_only)?;
        match tokio::time::timeout(self.policy.time, self.admitted(&target)).await {
            Ok(addresses) => addresses.map(drop),
            Err(_) => Err(too_slow(&target)),
        }
    }

    async fn follow(&self, mut target: Target, request: &Request) -> Result<Response, Error> {
        let mut left = request.redirects;
        loop {
            let answer = self.once(&target, request).await?;
            let location = answer.headers.get(header::LOCATION).filter(|_| {
                request.redirects > 0
                    && matches!(request.method, Method::GET | Method::HEAD)
                    && matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308)
            });
            let Some(location) = location else {
                return Ok(answer);
            };
            if left == 0 {
                let message = format!("{target} redirects more often than is followed.");
                return Err(Error::new(Reason::Redirected, message));
            }
            left -= 1;
            let location = location.to_str().unwrap_or("\\");
            target = target.redirected(location, request.https_only)?;
        }
    }

    async fn once(&self, target: &Target, request: &Request) -> Result<Response, Error> {
        let addresses = self.admitted(target).await?;
        let client = self.connector(addresses.clone())?;
        let sent = client
            .request(request.method.clone(), target.url.clone())
            .headers(head(&request.headers)?)
            .body(request.body.clone())
            .send()
            .await;
        let answer = sent.map_err(|error| failed(target, &error))?;
        if answer
            .remote_addr()
            .is_some_and(|address| !addresses.contains(&address))
        {
            // Cannot happen while the library connects to what its resolver says; if it ever does, nothing is read.
            let message = format!("{target} was reached at an address that was not checked.");
            return Err(Error::new(Reason::Refused, message));
        }
        let limit = request
            .limit
            .map_or(self.policy.limit, |limit| limit.min(self.policy.limit));
        read(target, &request.method, answer, limit).await
    }

    /// The addresses to connect to, each checked.
    async fn admitted(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        let found = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let found = self.resolver.resolve(name).await.unwrap_or_default();
                if found.is_empty() {
                    let message = format!("The name of {target} cannot be resolved.");
                    return Err(Error::new(Reason::UnknownName, message));
                }
                found
            }
        };
        // One address that is not allowed spoils them all: which of them is used is not ours to choose.
        for address in &found {
            self.admit(target, *address)?;
        }
        let addresses = found.into_iter().take(ADDRESSES_MAX);
        Ok(addresses
            .map(|address| SocketAddr::new(address, target.port))
            .collect())
    }

    fn admit(&self, target: &Target, address: IpAddr) -> Result<(), Error> {
        if self.policy.allow.opens(target.name(), address, target.port) {
            return Ok(());
        }
        let what = match AddressSort::of(address) {
            Some(sort) if target.name().is_some() => format!("{target} resolves to {sort}"),
            Some(sort) => format!("{target} is {sort}"),
            None if target.usual_port() => return Ok(()),
            None => format!("The port of {target} is not one of HTTP"),
        };
        tracing::warn!(%target, %address, "a connection out was refused");
        let message = format!(
            "{what}; this server connects there only if its configuration (egress_allow) lists it."
        );
        Err(Error::new(Reason::Refused, message))
    }

    /// A client for one request. Nothing is kept open: the next request is checked anew.
    fn connector(&self, addresses: Vec<SocketAddr>) -> Result<reqwest::Client, Error> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.trust.config()?)
            .dns_resolver(Pinned(addresses))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .http1_max_headers(HEADERS_MAX)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .pool_max_idle_per_host(0)
            .connect_timeout(self.policy.connect_time)
            .build()
            .map_err(|error| Error::new(Reason::Tls, format!("No client could be made: {error}")))
    }
}

/// The caller's fields and ours.
fn head(given: &HeaderMap) -> Result<HeaderMap, Error> {
    const OURS: [http::HeaderName; 7] = [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
        header::ACCEPT_ENCODING,
    ];
    if let Some(name) = OURS.iter().find(|name| given.contains_key(*name)) {
        let message = format!("The field {name} is not the caller's to set.");
        return Err(Error::new(Reason::BadAddress, message));
    }
    let mut headers = given.clone();
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static("chancery"));
    Ok(headers)
}

async fn read(
    target: &Target,
    method: &Method,
    mut answer: reqwest::Response,
    limit: usize,
) -> Result<Response, Error> {
    let status: StatusCode = answer.status();
    let headers = answer.headers().clone();
    let packed = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if packed {
        let message = format!("{target} sent a packed answer, which was not asked for.");
        return Err(Error::new(Reason::BadAnswer, message));
    }
    let too_large = || {
        let message = format!("The answer of {target} is larger than {limit} octets.");
        Error::new(Reason::TooLarge, message)
    };
    let announced = answer.content_length().unwrap_or(0);
    if method != Method::HEAD && announced > limit as u64 {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(part) = answer
        .chunk()
        .await
        .map_err(|error| failed(target, &error))?
    {
        if body.len() + part.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&part);
    }
    Ok(Response {
        status,
        headers,
        body,
    })
}

fn too_slow(target: &Target) -> Error {
    let message = format!("{target} took longer than allowed.");
    Error::new(Reason::TooSlow, message)
}

/// What went wrong, told by the innermost cause that says something.
fn failed(target: &Target, error: &reqwest::Error) -> Error {
    if let Some(tls) = error.source().and_then(tls_error) {
        let message = format!("TLS with {target} failed: {tls}.");
        return Error::new(Reason::Tls, message);
    }
    if error.is_timeout() {
        return too_slow(target);
    }
    if error.is_connect() {
        let message = format!("Nobody answers at {target}.");
        return Error::new(Reason::Unreachable, message);
    }
    tracing::debug!(%target, ?error, "an answer could not be read");
    let message = format!("The answer of {target} broke off or is no HTTP.");
    Error::new(Reason::BadAnswer, message)
}

/// The failure of TLS among the causes. Errors of I/O hide what they carry from `source`.
fn tls_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = cause.downcast_ref() {
        return Some(tls);
    }
    let carried = cause
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    match carried {
        Some(carried) => tls_error(carried),
        None => cause.source().and_then(tls_error),
    }
}
