//! What the listener knows of the other side; every request carries it in its extensions.

use std::net::SocketAddr;

/// Where the connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// The DER of the leaf certificate that the client has proven to hold; only there when it showed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate(pub Vec<u8>);
