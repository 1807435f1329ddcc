//! What every authority can be asked.

use std::fmt;

use crate::{Order, Result};

/// What a kind of authority can do. The product offers an operation only where the authority can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Issues for a key that the orderer holds.
    pub issues: bool,
    /// Answers an order at once, so that nobody has to come back for the certificate.
    pub answers_at_once: bool,
    /// Leaves it to the product to let a manager decide first.
    pub manager_approval_outside: bool,
}

/// A kind of authority.
#[derive(Debug)]
pub struct Connector {
    /// Short name, for logs and configuration.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// An authority that can be asked for certificates.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Which kind it is.
    fn connector(&self) -> &'static Connector;

    /// The authority's own certificate, the one that signed it, and so on up to the root.
    fn chain(&self) -> &[pki::Certificate];

    /// Issues a certificate.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] with the reasons when the order breaks a rule of certificates or of this authority;
    /// [`crate::Error::Malformed`] when it cannot be understood; [`crate::Error::Failed`] when the authority is at fault.
    fn issue(&self, order: Order) -> Result<pki::Certificate>;
}
