//! The log: to standard error, as text or as JSON. What must not be read is not logged in the first place: secrets
//! are types that print nothing, and SQL statements, which may carry values, stay below the default level.

use std::{io::IsTerminal as _, os::unix::fs::OpenOptionsExt as _};

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt::MakeWriter};

use crate::config::LogFormat;

/// What libraries say at `info` is of no use to who runs the server; SQL at `debug` holds values.
const QUIET: &str = "sqlx=warn,sea_orm=warn,sea_orm_migration=warn,hyper=warn,rustls=warn,h2=warn";

/// Why the log cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not understood.
    #[error("log: `{filter}` is not a filter such as info or info,chancery=debug: {source}")]
    Filter {
        /// As configured.
        filter: String,
        /// What the parser says.
        source: ParseError,
    },
    /// Somebody has started a log in this process already.
    #[error("the log runs already")]
    Running,
}

/// Starts the log of the process.
///
/// # Errors
/// A filter that is not understood, or a log that runs already.
pub fn start(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let colours = std::io::stderr().is_terminal();
    let subscriber = subscriber(filter, format, colours, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Running)
}

/// Starts the log of the process in a file, behind what it holds already; the terminal is for something else.
///
/// # Errors
/// As [`start`], and a file that cannot be opened.
pub fn start_in_file(filter: &str, file: &std::path::Path) -> anyhow::Result<()> {
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot open the log {}", file.display()))?;
    let subscriber = subscriber(filter, LogFormat::Text, false, std::sync::Arc::new(opened))?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Running)?;
    Ok(())
}

fn subscriber<W>(
    filter: &str,
    format: LogFormat,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // What is given stands behind and wins, so that `sqlx=debug` is possible for who asks for it.
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{filter}"))
        .map_err(|source| LogError::Filter {
            filter: filter.to_owned(),
            source,
        })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(builder.with_ansi(colours).with_target(false).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::Page;

    fn logged(filter: &str, format: LogFormat) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(filter, format, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(certificate = 7, "enrolled");
            tracing::debug!("detail");
            tracing::info!(target: "sqlx::query", "SELECT 1");
        });
        page.text()
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged("info", LogFormat::Json);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "enrolled");
        assert_eq!(line["certificate"], 7);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn libraries_are_quiet_unless_asked_for() {
        assert!(!logged("trace", LogFormat::Text).contains("SELECT"));
        assert!(logged("info,sqlx=info", LogFormat::Text).contains("SELECT 1"));
        assert!(logged("debug", LogFormat::Text).contains("detail"));
    }

    #[test]
    fn a_bad_filter_is_named() {
        let Err(error) = subscriber("a=loud", LogFormat::Text, false, std::io::sink) else {
            panic!("taken")
        };
        assert!(
            error
                .to_string()
                .starts_with("log: `a=loud` is not a filter"),
            "{error}"
        );
    }
}
