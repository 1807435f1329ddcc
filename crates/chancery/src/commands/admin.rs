//! `chancery admin`: what the owner of the machine does with data folder and database directly, without a server and
//! without signing in.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use app::{App, Cx, security::token_keys};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use secrecy::ExposeSecret as _;
use secrets::KeyRing;

use super::Failure;
use crate::{
    config::{Config, Given},
    console::Console,
    data_dir, logging, server, settings,
};

mod accounts;
mod backup;
mod restore;
mod sealing_key;

/// Who did it, as audit records show it.
const REASON: &str = "command line";

pub(super) fn command() -> Command {
    let name = || {
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("The account's name")
    };
    let from_stdin = || {
        Arg::new("password-stdin")
            .long("password-stdin")
            .action(ArgAction::SetTrue)
            .help(
                "Read the password from the first line of standard input instead of making one up",
            )
    };
    let path = |flag: &'static str, help: &'static str| {
        Arg::new(flag)
            .long(flag)
            .value_name("FILE")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    let with_storage = |command: Command| command.args(settings::storage_arguments());
    Command::new("admin")
        .about("Accounts, sealing keys, backup and restore, on the data folder and the database directly")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_storage(
            Command::new("create-account")
                .about("Create a local account")
                .arg(name())
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_name("ROLE")
                        .action(ArgAction::Append)
                        .help("A role that the account holds, such as Administrator; may be repeated"),
                )
                .arg(from_stdin()),
        ))
        .subcommand(with_storage(
            Command::new("reset-password")
                .about("Give an account a new password and unlock it")
                .arg(name())
                .arg(from_stdin()),
        ))
        .subcommand(with_storage(
            Command::new("rotate-sealing-key")
                .about("Add a new sealing key and bring every sealed value under it")
                .after_help(
                    "May be broken off anywhere and repeated. Servers on this machine take up the new key by\n\
                     themselves. Backups made before still need the old key: keep a copy of it with them.",
                )
                .arg(
                    Arg::new("retire-old")
                        .long("retire-old")
                        .action(ArgAction::SetTrue)
                        .help("Instead: forget the old keys, once no value needs them any more"),
                )
                .arg(
                    Arg::new("wait-seconds")
                        .long("wait-seconds")
                        .value_name("NUMBER")
                        .value_parser(value_parser!(u64))
                        .default_value("3")
                        .help("How long running servers have to read the new key before it is used"),
                ),
        ))
        .subcommand(with_storage(
            Command::new("rotate-token-key")
                .about("Make a new key that signs access tokens; without this one is made every 90 days")
                .after_help("Tokens that the old keys signed stay good until they end, an hour at most.")
                .arg(
                    Arg::new("withdraw-old")
                        .long("withdraw-old")
                        .action(ArgAction::SetTrue)
                        .help(
                            "Also end every access token that was issued so far",
                        ),
                ),
        ))
        .subcommand(with_storage(
            Command::new("backup")
                .about("Copy an SQLite database while it is in use; the sealing key is never part of it")
                .after_help("PostgreSQL is backed up with pg_dump: docs/backup.md")
                .arg(path("to", "The file to write; must not exist")),
        ))
        .subcommand(with_storage(
            Command::new("restore")
                .about("Set up an empty data folder from a backup and the separately kept sealing key")
                .after_help("PostgreSQL is restored with pg_restore: docs/backup.md")
                .arg(path("from", "The backup"))
                .arg(path("sealing-key", "The sealing key file that belongs to it")),
        ))
}

pub(super) fn run(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Failure::usage(anyhow::anyhow!("no such command")));
    };
    let config = Config::read(&Given::from_process(matches)).map_err(Failure::usage)?;
    // The server's usual level tells a person at a terminal too much.
    let filter = if config.log == "info" {
        "warn"
    } else {
        &config.log
    };
    logging::start(filter, config.log_format).map_err(Failure::usage)?;
    let runtime = super::runtime()?;
    Ok(runtime.block_on(async {
        match name {
            "create-account" => accounts::create(&config, matches, console).await,
            "reset-password" => accounts::reset_password(&config, matches, console).await,
            "rotate-sealing-key" => sealing_key::run(&config, matches, console).await,
            "rotate-token-key" => rotate_token_key(&config, matches, console).await,
            "backup" => backup::run(&config, file(matches, "to")?, console).await,
            "restore" => {
                let key = file(matches, "sealing-key")?;
                restore::run(&config, file(matches, "from")?, key, console).await
            }
            _ => bail!("no such command"),
        }
    })?)
}

async fn rotate_token_key(
    config: &Config,
    matches: &ArgMatches,
    console: &Console,
) -> anyhow::Result<()> {
    let app = open_existing(config).await?;
    let withdraw = matches.get_flag("withdraw-old");
    let done = token_keys::rotate(&context(&app), withdraw).await;
    app.close().await;
    done?;
    console.line(format_args!("A new key signs access tokens."));
    if withdraw {
        console.line(format_args!("The tokens issued so far have ended."));
    }
    Ok(())
}

fn file<'a>(matches: &'a ArgMatches, name: &str) -> anyhow::Result<&'a PathBuf> {
    matches
        .get_one(name)
        .with_context(|| format!("--{name} is missing"))
}

/// The file of an SQLite database; none on PostgreSQL.
fn sqlite_file(config: &Config) -> Option<PathBuf> {
    let url = config.database_url.expose_secret();
    url.strip_prefix("sqlite:").map(PathBuf::from)
}

/// Opens what the configuration names, and sets up a new installation where there is none.
async fn open(config: &Config) -> anyhow::Result<Arc<App>> {
    data_dir::prepare(&config.data_dir)?;
    server::open(config, config.public_url.as_deref()).await
}

/// Opens an installation that is there already; makes nothing.
pub(super) async fn open_existing(config: &Config) -> anyhow::Result<Arc<App>> {
    if let Some(file) = sqlite_file(config)
        && !file.exists()
    {
        bail!("there is no database {}", file.display());
    }
    let file = &config.sealing_key_file;
    let keyring =
        KeyRing::load(file).with_context(|| format!("sealing_key_file: {}", file.display()))?;
    let options = server::options(config, keyring, config.public_url.as_deref());
    Ok(App::open_existing(options).await?)
}

pub(super) fn context(app: &Arc<App>) -> Cx {
    Cx::system(Arc::clone(app), REASON)
}
