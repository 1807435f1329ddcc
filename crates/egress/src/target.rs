//! Reading an address: one strict form, so that nobody on the way reads it differently.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::error::{Error, Reason};

/// Octets of an address at most.
const URL_MAX: usize = 8 * 1024;
/// The ports below 1024 that a public host is asked at. The others belong to mail, shells and files: a request there is
/// an attempt to speak something else than HTTP.
const LOW_PORTS: &[u16] = &[80, 443];

/// An address whose form is right.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) host: Host,
    pub(crate) port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    Name(String),
}

impl Target {
    pub(crate) fn parse(text: &str, https_only: bool) -> Result<Self, Error> {
        let bad = |what: &str| Error::new(Reason::BadAddress, format!("The address {what}."));
        if text.len() > URL_MAX {
            return Err(bad("is longer than 8 KiB"));
        }
        // The URL standard drops some of these and reads others as something else; other readers do not.
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.contains(odd) {
            return Err(bad("holds a space, a control character or a backslash"));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| bad("does not begin with https:// or http://"))?;
        let secure = scheme.eq_ignore_ascii_case("https");
        if !secure && !scheme.eq_ignore_ascii_case("http") {
            return Err(bad("does not begin with https:// or http://"));
        }
        if https_only && !secure {
            return Err(bad("has to begin with https://"));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(bad("names no host"));
        }
        if authority.contains('@') {
            return Err(bad("holds a user's name or password"));
        }
        let mut url = Url::parse(text).map_err(|error| bad(&format!("cannot be read: {error}")))?;
        url.set_fragment(None);
        let port = url.port_or_known_default().filter(|port| *port != 0);
        let port = port.ok_or_else(|| bad("has the port 0"))?;
        // Numbers in every base and length have become plain addresses here, as they would for the connection.
        let name = url.host_str().unwrap_or_default();
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let host = match bare.unwrap_or(name).parse() {
            Ok(address) => Host::Address(address),
            Err(_) if name.trim_end_matches('.').is_empty() => return Err(bad("names no host")),
            Err(_) => Host::Name(name.to_owned()),
        };
        Ok(Self { url, host, port })
    }

    /// Whether the port is one that public hosts are asked at.
    pub(crate) fn usual_port(&self) -> bool {
        self.port >= 1024 || LOW_PORTS.contains(&self.port)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Address(_) => None,
            Host::Name(name) => Some(name),
        }
    }

    /// Where a redirect points to, if that is the same scheme, host and port.
    pub(crate) fn redirected(&self, location: &str, https_only: bool) -> Result<Self, Error> {
        let elsewhere = || {
            let message = format!("{self} redirects to another place, which is not followed.");
            Error::new(Reason::Redirected, message)
        };
        let next = self.url.join(location).map_err(|_| elsewhere())?;
        let next = Self::parse(next.as_str(), https_only).map_err(|_| elsewhere())?;
        let same = next.url.scheme() == self.url.scheme()
            && next.host == self.host
            && next.port == self.port;
        if same { Ok(next) } else { Err(elsewhere()) }
    }
}

/// Scheme, host and port: what may stand in messages.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "{}://{host}:{}", self.url.scheme(), self.port)
    }
}
