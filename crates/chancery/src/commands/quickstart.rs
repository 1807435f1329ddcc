//! `chancery quickstart`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::Failure;
use crate::{
    console::Console,
    quickstart::{self, Options, SiteChoice},
    signals,
};

pub(super) fn command() -> Command {
    Command::new("quickstart")
        .about("Show the main job end to end on this machine, with nothing configured")
        .after_help(
            "Makes a data folder, authorities, an administrator; starts server and agent; then enrolls a certificate,\n\
             deploys it to a TLS site, proves that it is served, renews and replaces it, and removes one again.",
        )
        .arg(
            Arg::new("data-dir")
                .long("data-dir")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .default_value("chancery-quickstart")
                .help("The folder for everything; made when missing, used again when it is a quickstart's"),
        )
        .arg(
            Arg::new("database")
                .long("database")
                .value_name("URL")
                .help("sqlite:PATH or postgres://…; an SQLite file in the data folder when not given"),
        )
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .help("Where the server listens; 127.0.0.1:8443, or a free port when that one is taken"),
        )
        .arg(
            Arg::new("site")
                .long("site")
                .value_name("auto|nginx|own")
                .value_parser(["auto", "nginx", "own"])
                .default_value("auto")
                .help("The TLS site that gets the certificate: nginx where it is installed, or a small one of ours"),
        )
        .arg(
            Arg::new("exit")
                .long("exit")
                .action(ArgAction::SetTrue)
                .help("End after the proof, with status 0 or 1, instead of staying up"),
        )
}

pub(super) fn run(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let options = Options {
        data_dir: matches
            .get_one::<PathBuf>("data-dir")
            .cloned()
            .unwrap_or_else(|| "chancery-quickstart".into()),
        database: text("database"),
        listen: text("listen"),
        site: match text("site").as_deref() {
            Some("nginx") => SiteChoice::Nginx,
            Some("own") => SiteChoice::Own,
            _ => SiteChoice::Auto,
        },
        exit: matches.get_flag("exit"),
    };
    let runtime = super::runtime()?;
    Ok(runtime.block_on(async {
        let (stop, hangups) = signals::listen().context("signals")?;
        quickstart::run(options, console, stop, hangups).await
    })?)
}
