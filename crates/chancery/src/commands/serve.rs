//! `chancery serve`.

use anyhow::Context as _;
use clap::ArgMatches;

use super::Failure;
use crate::{
    config::{Config, Given},
    console::Console,
    logging, metrics,
    server::Server,
    signals,
};

pub(super) fn run(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    let given = Given::from_process(matches);
    let config = Config::read(&given).map_err(Failure::usage)?;
    logging::start(&config.log, config.log_format).map_err(Failure::usage)?;
    if !config.unknown_variables.is_empty() {
        let names = config.unknown_variables.join(", ");
        tracing::warn!(names, "environment variables that are no settings");
    }
    let runtime = super::runtime()?;
    Ok(runtime.block_on(serve(config, given.machine_name.as_deref(), console))?)
}

async fn serve(
    config: Config,
    machine_name: Option<&str>,
    console: &Console,
) -> anyhow::Result<()> {
    let (stop, hangups) = signals::listen().context("signals")?;
    let recorder = metrics::start()?;
    let server = Server::start(config, machine_name, hangups, Some(recorder)).await?;
    let addresses: Vec<_> = server.addresses().iter().map(ToString::to_string).collect();
    console.line(format_args!("Chancery listens on {}", addresses.join(", ")));
    console.line(format_args!("API reference: {}/docs", server.url()));
    server.run_until(stop).await
}
