//! The one way out to the network, for addresses that somebody else had a say in: identity providers, CRL and OCSP
//! addresses found in certificates, webhooks, certificate authorities.
//!
//! A server inside a network is worth a lot to whoever can tell it where to connect to (server-side request forgery). So
//! [`Client::fetch`]
//!
//! - refuses targets that are not public addresses of the internet ([`AddressSort`]), written down or resolved, unless
//!   [`Allow`] lists them;
//! - resolves a name once and connects to exactly what it checked, so that a name which changes its meaning between check
//!   and connection gains nothing;
//! - takes `http` and `https` only, no names and passwords inside addresses, no proxy from the environment;
//! - reads an answer up to a limit, within one span of time for everything, and never unpacks it;
//! - follows no redirect unless told, and then only to the same scheme, host and port, checked again like the first.
//!
//! It knows nothing of what it fetches.

mod address;
mod allow;
mod client;
mod error;
mod request;
mod resolve;
mod target;
mod trust;

pub use address::AddressSort;
pub use allow::{Allow, AllowError};
pub use client::{Client, Policy};
pub use error::{Error, Fault, Reason};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use request::{Request, Response};
pub use resolve::{Resolve, Resolved, SystemResolver};
