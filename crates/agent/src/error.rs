//! The one error type of this crate. No message holds a secret.

/// What can end a session, or keep an agent from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing or wrong.
    #[error("agent configuration, {setting}: {reason}")]
    Config {
        /// The setting's name.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The state folder cannot be used.
    #[error("agent state: {0}")]
    State(String),
    /// A file operation or journal failed.
    #[error(transparent)]
    Store(#[from] stores::Error),
    /// A key or certificate of the agent itself could not be made or read.
    #[error("agent identity: {0}")]
    Identity(#[from] pki::Error),
    /// The server was not reached, or answered with a status that is no success.
    #[error("{endpoint}: {reason}")]
    Transport {
        /// The path called.
        endpoint: String,
        /// Why it failed.
        reason: String,
    },
    /// The server's answer is not what the protocol says.
    #[error("{endpoint}: unexpected answer: {reason}")]
    Protocol {
        /// The path called.
        endpoint: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The server refused the session.
    #[error("the server refused the session: {message} ({code})")]
    Refused {
        /// The server's words.
        message: String,
        /// The server's code.
        code: String,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
