//! What can go wrong between the product and an authority, and whose fault it is.

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The authority will not issue this, now or later. The reasons are fit to be shown to whoever ordered.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    /// The order cannot be understood: a name that cannot be encoded, a key of an unknown kind.
    #[error("{0}")]
    Malformed(String),
    /// The authority is at fault. The same order may do later.
    #[error("{0}")]
    Failed(String),
}

impl From<pki::Error> for Error {
    fn from(error: pki::Error) -> Self {
        match error {
            pki::Error::Refused { findings } => {
                Self::Refused(findings.iter().map(ToString::to_string).collect())
            }
            pki::Error::Crypto(reason) => Self::Failed(reason),
            other => Self::Malformed(other.to_string()),
        }
    }
}
