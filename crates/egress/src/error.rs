//! What can go wrong on the way out, whose fault it is, and whether it is worth another try.

use std::fmt;

/// Why nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The address cannot be used: no URL, another scheme, a user's name in it, a header that is not the caller's.
    BadAddress,
    /// The address, or an address its name resolves to, is not allowed.
    Refused,
    /// The name cannot be resolved.
    UnknownName,
    /// Nobody answers there.
    Unreachable,
    /// The other side's certificate or its TLS is not acceptable.
    Tls,
    /// It took longer than allowed.
    TooSlow,
    /// The answer is larger than allowed.
    TooLarge,
    /// A redirect that is not followed: to another place, or one too many.
    Redirected,
    /// The answer is no HTTP, broke off, or is packed although nobody asked for that.
    BadAnswer,
}

/// Who has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever entered the address, or the operator who may allow it.
    Address,
    /// Whoever runs the other side.
    OtherSide,
    /// The way there: names, routes, an outage.
    Network,
}

/// A fetch that gave no answer. Its text names scheme, host and port, never path, query or a resolved address: those
/// may be secret, and the text may be shown to whoever entered the address.
#[derive(Debug)]
pub struct Error {
    reason: Reason,
    message: String,
}

impl Error {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Who has to do something about it.
    pub fn fault(&self) -> Fault {
        match self.reason {
            Reason::BadAddress | Reason::Refused => Fault::Address,
            Reason::UnknownName | Reason::Unreachable | Reason::TooSlow => Fault::Network,
            Reason::Tls | Reason::TooLarge | Reason::Redirected | Reason::BadAnswer => {
                Fault::OtherSide
            }
        }
    }

    /// Whether the same request may do later without anybody changing an entry.
    pub fn may_retry(&self) -> bool {
        match self.reason {
            Reason::UnknownName | Reason::Unreachable | Reason::TooSlow | Reason::BadAnswer => true,
            Reason::BadAddress
            | Reason::Refused
            | Reason::Tls
            | Reason::TooLarge
            | Reason::Redirected => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
