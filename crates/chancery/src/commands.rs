//! The command line: what there is, what it is called, how it ends.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};

use crate::{console::Console, settings};

mod admin;
mod agent;
mod audit;
mod import;
mod openapi;
mod quickstart;
mod serve;

/// Ended well.
const SUCCESS: u8 = 0;
/// Could not do, or not go on with, what was asked for.
const FAILURE: u8 = 1;
/// The command line or the configuration has to be mended first; also clap's own code.
const USAGE: u8 = 2;

/// Why a command did not end well.
#[derive(Debug)]
struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: USAGE,
            error: error.into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            code: FAILURE,
            error,
        }
    }
}

/// Runs the command that the arguments name; the first argument is the program itself.
///
/// The process ends with 0 (well), 1 (failed) or 2 (the command line or the configuration is wrong).
pub fn run(arguments: impl IntoIterator<Item = OsString>, console: &Console) -> ExitCode {
    ExitCode::from(match command().try_get_matches_from(arguments) {
        Ok(matches) => match dispatch(&matches, console) {
            Ok(()) => SUCCESS,
            Err(Failure { code, error }) => {
                console.error(format_args!("chancery: {error:#}"));
                code
            }
        },
        Err(error) if error.use_stderr() => {
            console.error(error.render().to_string().trim_end());
            USAGE
        }
        Err(help) => {
            console.text(help.render());
            SUCCESS
        }
    })
}

/// The threads on which everything runs.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads of the program")
}

fn command() -> Command {
    Command::new("chancery")
        .about("Certificate lifecycle server: enroll, deploy, prove, renew, remove")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("serve")
                .about("Run the server: API, agent endpoint and background work")
                .after_help(
                    "Flags are stronger than environment variables, and those than the TOML file.\n\
                     All of it with examples: docs/configuration.md",
                )
                .args(settings::arguments()),
        )
        .subcommand(agent::command())
        .subcommand(quickstart::command())
        .subcommand(admin::command())
        .subcommand(audit::command())
        .subcommand(import::command())
        .subcommand(
            Command::new("openapi")
                .about("Print the OpenAPI document of the KeyfactorAPI")
                .arg(
                    Arg::new("api-version")
                        .long("api-version")
                        .value_name("1|2")
                        .value_parser(["1", "2"])
                        .default_value("1")
                        .help("The version of the API to describe"),
                ),
        )
}

fn dispatch(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches, console),
        Some(("agent", matches)) => agent::run(matches, console),
        Some(("quickstart", matches)) => quickstart::run(matches, console),
        Some(("admin", matches)) => admin::run(matches, console),
        Some(("audit", matches)) => audit::run(matches, console),
        Some(("import", matches)) => import::run(matches, console),
        Some(("openapi", matches)) => openapi::run(matches, console),
        _ => Err(Failure::usage(anyhow::anyhow!("no such command"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::Page;

    fn ran(arguments: &[&str]) -> (ExitCode, String, String) {
        let (out, err) = (Page::default(), Page::default());
        let console = Console::new(out.clone(), err.clone());
        let arguments = std::iter::once("chancery").chain(arguments.iter().copied());
        let code = run(arguments.map(OsString::from), &console);
        (code, out.text(), err.text())
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn help_names_every_setting_in_each_of_its_forms() {
        let (code, out, err) = ran(&["serve", "--help"]);
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
        for setting in settings::SETTINGS {
            assert!(
                out.contains(&format!("--{} ", setting.flag())),
                "{}",
                setting.name
            );
            assert!(out.contains(&setting.variable()), "{}", setting.name);
        }
    }

    #[test]
    fn mistakes_are_told_and_end_with_2() {
        for (arguments, told) in [
            (&["serve", "--lissten", "x"][..], "--lissten"),
            (
                &["serve", "--listen", "8443"],
                "chancery: --listen: `8443` is not an address",
            ),
            (
                &["serve", "--log", "a=loud"],
                "chancery: log: `a=loud` is not a filter",
            ),
            (
                &["openapi", "--api-version", "3"],
                "[possible values: 1, 2]",
            ),
            (&["serf"], "serf"),
            (&["agent"], "--config"),
            (
                &["agent", "--config", "/nonexistent/agent.toml"],
                "/nonexistent/agent.toml",
            ),
            (&["admin"], "create-account"),
            (&["audit"], "verify"),
            (&["audit", "verify", "x"], "--key"),
            (
                &["admin", "backup", "--to", "x", "--listen", "y"],
                "--listen",
            ),
            (
                &["quickstart", "--site", "iis"],
                "[possible values: auto, nginx, own]",
            ),
        ] {
            let (code, out, err) = ran(arguments);
            assert_eq!(code, ExitCode::from(USAGE), "{arguments:?}");
            assert_eq!(out, "");
            assert!(err.contains(told), "{err}");
        }
    }

    #[test]
    fn both_openapi_documents_are_printed() {
        for version in ["1", "2"] {
            let (code, out, _) = ran(&["openapi", "--api-version", version]);
            assert_eq!(code, ExitCode::SUCCESS);
            let document: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert!(document["openapi"].as_str().unwrap().starts_with("3."));
            assert!(
                document["paths"]
                    .as_object()
                    .is_some_and(|paths| !paths.is_empty())
            );
        }
    }
}
