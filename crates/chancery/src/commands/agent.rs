//! `chancery agent`.

use std::path::PathBuf;

use ::agent::{Agent, AgentConfig, Turn};
use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::Failure;
use crate::{config::LogFormat, console::Console, logging, signals};

pub(super) fn command() -> Command {
    Command::new("agent")
        .about("Run the agent beside the servers whose certificates it manages")
        .after_help(
            "The agent only ever connects outward. What it may touch, run and connect to stands in its own\n\
             configuration; a server cannot widen it. SIGTERM lets the job under way finish.\n\
             All settings with examples: docs/agent.md",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .required(true)
                .env("CHANCERY_AGENT_CONFIG")
                .value_parser(value_parser!(PathBuf))
                .help("The TOML file with the agent's configuration"),
        )
        .arg(
            Arg::new("log")
                .long("log")
                .value_name("TEXT")
                .env("CHANCERY_LOG")
                .default_value("info")
                .help("What to log: error, warn, info, debug or trace, also per part"),
        )
        .arg(
            Arg::new("log_format")
                .long("log-format")
                .value_name("text|json")
                .env("CHANCERY_LOG_FORMAT")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("How a log line looks"),
        )
        .arg(
            Arg::new("once")
                .long("once")
                .action(ArgAction::SetTrue)
                .help("Do what is due, then end: for cron and timers"),
        )
}

pub(super) fn run(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    let filter = matches.get_one::<String>("log").map_or("info", |text| text);
    let format = match matches.get_one::<String>("log_format") {
        Some(word) if word == "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let file = matches
        .get_one::<PathBuf>("config")
        .ok_or_else(|| Failure::usage(anyhow::anyhow!("--config is missing")))?;
    let config = AgentConfig::load(file).map_err(Failure::usage)?;
    logging::start(filter, format).map_err(Failure::usage)?;
    let server = config.server_url.clone();
    let agent = Agent::new(config).map_err(|error| match error {
        ::agent::Error::Config { .. } => Failure::usage(error),
        error => anyhow::Error::from(error).into(),
    })?;
    let runtime = super::runtime()?;
    let once = matches.get_flag("once");
    Ok(runtime.block_on(async {
        if once {
            return until_idle(&agent).await;
        }
        let (stop, _) = signals::listen().context("signals")?;
        console.line(format_args!("The agent works for {server}"));
        agent.run(stop).await?;
        Ok(())
    })?)
}

/// Sessions until there is nothing to do.
async fn until_idle(agent: &Agent) -> anyhow::Result<()> {
    // A signal ends the process at once; the journal makes that safe.
    loop {
        match agent.run_once().await? {
            Turn::Worked => {}
            Turn::Idle { .. } => return Ok(()),
            Turn::Pending { message } => anyhow::bail!("not approved yet: {message}"),
        }
    }
}
