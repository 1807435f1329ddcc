//! What can go wrong in this crate.

use std::fmt;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation of this crate failed. The texts name the place and are fit to be shown to the caller; they never carry key
/// material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes or the text do not have the form they should have.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// What was being read, for example `certificate`.
        what: &'static str,
        /// Where and why reading stopped.
        reason: String,
    },
    /// The algorithm is known to nobody here, or only by name.
    #[error("unsupported algorithm: {0}")]
    UnsupportedAlgorithm(String),
    /// The signature does not match the content and the key.
    #[error("the signature does not verify")]
    BadSignature,
    /// The password does not open it, or it was altered; the two cannot be told apart.
    #[error("the password is wrong, or the content is damaged")]
    WrongPassword,
    /// The lints found reasons not to sign (RFC 5280); all of them, not only the first.
    #[error("refused: {}", join(findings))]
    Refused {
        /// The reasons, in the order of the table of lints; never empty.
        findings: Vec<Finding>,
    },
    /// The cryptographic library refused an operation.
    #[error("cryptographic operation failed: {0}")]
    Crypto(String),
}

/// One reason not to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the lint, for example `validity_order`; stable.
    pub lint: &'static str,
    /// What is wrong, in words.
    pub reason: String,
}

impl Error {
    /// A [`Error::Malformed`] with any printable reason.
    pub fn malformed(what: &'static str, reason: impl fmt::Display) -> Self {
        Error::Malformed {
            what,
            reason: reason.to_string(),
        }
    }

    /// A [`Error::Crypto`] with any printable reason.
    pub fn crypto(reason: impl fmt::Display) -> Self {
        Error::Crypto(reason.to_string())
    }

    /// A [`Error::Refused`] with a single finding.
    pub(crate) fn refused(lint: &'static str, reason: impl Into<String>) -> Self {
        Error::Refused {
            findings: vec![Finding {
                lint,
                reason: reason.into(),
            }],
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.reason, self.lint)
    }
}

fn join(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
