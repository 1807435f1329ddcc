//! `chancery audit`: exporting the audit log, checking an export without a server, and going on after a restore.

use std::path::PathBuf;

use app::audit::{Export, go_on_after_restore};
use clap::{Arg, ArgMatches, Command, value_parser};

use super::Failure;
use super::admin::{context, open_existing};
use crate::{
    config::{Config, Given},
    console::Console,
    logging, settings,
};

mod verify;
mod write;

pub(super) fn command() -> Command {
    let file = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .value_name(value)
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    Command::new("audit")
        .about("Export the audit log, and check an export without a server")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("verify")
                .about("Check an export with nothing but the public key")
                .after_help(
                    "Ends with 0 when every record is the one that was signed, and with 1 after saying what is not.\n\
                     How to get key and checkpoint, and what is proven: docs/audit.md",
                )
                .arg(file("file", "FILE", "The export").required(true))
                .arg(
                    Arg::new("key")
                        .long("key")
                        .value_name("KEY|FILE")
                        .required(true)
                        .help("The public key, `name+hash+key`, or a file that holds it: audit-key.pub in the data folder"),
                )
                .arg(
                    file(
                        "checkpoint",
                        "FILE",
                        "An earlier checkpoint that was kept elsewhere: the log must begin with its records",
                    )
                    .long("checkpoint"),
                ),
        )
        .subcommand(
            Command::new("export")
                .about("Write the whole audit log to a file, from the database directly")
                .arg(
                    file("to", "FILE", "The file to write; must not exist")
                        .long("to")
                        .required(true),
                )
                .args(settings::storage_arguments()),
        )
        .subcommand(
            Command::new("continue")
                .about("Say that an older database was put back on purpose, and go on from it")
                .after_help(
                    "Writes a record, and a line into every checkpoint from now on. Not needed after `chancery admin restore`.",
                )
                .args(settings::storage_arguments()),
        )
}

pub(super) fn run(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    let (name, matches) = matches
        .subcommand()
        .ok_or_else(|| Failure::usage(anyhow::anyhow!("no such command")))?;
    if name == "verify" {
        return verify::run(matches, console);
    }
    let config = Config::read(&Given::from_process(matches)).map_err(Failure::usage)?;
    let filter = if config.log == "info" {
        "warn"
    } else {
        &config.log
    };
    logging::start(filter, config.log_format).map_err(Failure::usage)?;
    let runtime = super::runtime()?;
    Ok(runtime.block_on(async {
        let app = open_existing(&config).await?;
        let cx = context(&app);
        let done = match matches.try_get_one::<PathBuf>("to").ok().flatten() {
            Some(to) => export(&cx, to, console).await,
            None => go_on(&cx, console).await,
        };
        app.close().await;
        done
    })?)
}

async fn export(cx: &app::Cx, to: &std::path::Path, console: &Console) -> anyhow::Result<()> {
    let mut export = Export::begin(cx).await?;
    let size = export.size();
    write::new_file(&mut export, to).await?;
    console.line(format_args!("Exported {size} records to {}.", to.display()));
    Ok(())
}

async fn go_on(cx: &app::Cx, console: &Console) -> anyhow::Result<()> {
    let note = go_on_after_restore(cx).await?;
    console.line("The audit log goes on from this database, and says so:");
    console.text(note);
    Ok(())
}
