//! `chancery import`.

use std::io::{BufRead as _, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use importer::{Api, Credentials, Folder, Keyfactor, Lemur, OpenBao, Options, Source, StepCa};
use secrecy::SecretString;

use super::Failure;
use crate::console::Console;

/// Secrets come from files, from standard input and from here; never from the command line, which others see.
const PASSWORD: &str = "CHANCERY_IMPORT_PASSWORD";
const TOKEN: &str = "CHANCERY_IMPORT_TOKEN";
const FROM_PASSWORD: &str = "CHANCERY_IMPORT_FROM_PASSWORD";
const FROM_TOKEN: &str = "CHANCERY_IMPORT_FROM_TOKEN";
const DATABASE: &str = "CHANCERY_IMPORT_DATABASE";
const FILE_PASSWORD: &str = "CHANCERY_IMPORT_FILE_PASSWORD";

pub(super) fn command() -> Command {
    let source = |name: &'static str, about: &'static str| {
        let command = Command::new(name).about(about);
        command.args(target()).arg_required_else_help(true)
    };
    let path = |help: &'static str| {
        let path = Arg::new("path").value_name("PATH").required(true);
        path.value_parser(value_parser!(PathBuf)).help(help)
    };
    let url = |help: &'static str| Arg::new("url").value_name("URL").required(true).help(help);
    Command::new("import")
        .about("Bring over what another certificate manager knows")
        .after_help(
            "Passwords and tokens come from the environment (CHANCERY_IMPORT_…), from files or from standard input.\n\
             With --dry-run nothing is written to the server. What is interrupted goes on with the same --checkpoint.\n\
             All sources with examples: docs/import.md",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            source("folder", "A folder of files: PEM, DER, PKCS#7, PKCS#12, Java key stores")
                .arg(path("The folder, or one file"))
                .arg(file("passwords-file", "Passwords of the files, one a line; all are tried")),
        )
        .subcommand(
            source("roots", "A bundle of authorities' certificates in PEM")
                .arg(path("The file")),
        )
        .subcommand(
            source("command", "A Keyfactor Command server, through its API")
                .arg(url("Its address, for example https://command.example.org/KeyfactorAPI"))
                .arg(text("from-account", "The account there"))
                .arg(file("from-password-file", "Its password"))
                .arg(file("from-token-file", "A bearer token in place of the account"))
                .arg(file("from-ca-bundle", "The authorities to trust there, PEM")),
        )
        .subcommand(
            source("openbao", "A PKI mount of OpenBao or Vault")
                .arg(url("Its address, for example https://bao.example.org:8200"))
                .arg(text("mount", "The mount").default_value("pki"))
                .arg(file("from-token-file", "A token that may list and read certificates"))
                .arg(file("from-ca-bundle", "The authorities to trust there, PEM")),
        )
        .subcommand(
            source("lemur", "A Lemur database (PostgreSQL)")
                .arg(file("database-file", "A file with its address, postgres://…"))
                .arg(text("owner-field", "The metadata field that gets Lemur's owner"))
                .arg(text("name-field", "The metadata field that gets Lemur's name")),
        )
        .subcommand(
            source("step-ca", "A step-ca database, where it is PostgreSQL")
                .arg(file("database-file", "A file with its address, postgres://…")),
        )
}

fn text(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("TEXT").help(help)
}

fn file(name: &'static str, help: &'static str) -> Arg {
    let file = Arg::new(name).long(name).value_name("FILE").help(help);
    file.value_parser(value_parser!(PathBuf))
}

/// Where everything goes.
fn target() -> [Arg; 9] {
    [
        text("to", "The server, https://…")
            .required(true)
            .env("CHANCERY_IMPORT_TO"),
        text("account", "The account at the server").env("CHANCERY_IMPORT_ACCOUNT"),
        file("password-file", "Its password"),
        Arg::new("password-stdin")
            .long("password-stdin")
            .action(ArgAction::SetTrue)
            .help("Its password is the first line of standard input"),
        file("token-file", "A bearer token in place of the account"),
        file("ca-bundle", "The authorities to trust at the server, PEM"),
        file("checkpoint", "The folder that keeps how far it has come").required(true),
        Arg::new("dry-run")
            .long("dry-run")
            .action(ArgAction::SetTrue)
            .help("Read and compare, and write nothing to the server"),
        text("owner", "The role that owns new certificates"),
    ]
}

pub(super) fn run(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Failure::usage(anyhow::anyhow!("no source is named")));
    };
    let server = server(matches).map_err(Failure::usage)?;
    let options = Options {
        checkpoint: matches
            .get_one::<PathBuf>("checkpoint")
            .cloned()
            .unwrap_or_default(),
        dry_run: matches.get_flag("dry-run"),
        owner_role: matches.get_one::<String>("owner").cloned(),
    };
    let report = super::runtime()?.block_on(async {
        let source = source(name, matches).await?;
        let tell = |line: String| console.line(line);
        importer::run(source, &server, &options, &tell).await
    })?;
    console.text(report);
    Ok(())
}

fn server(matches: &ArgMatches) -> anyhow::Result<Api> {
    let credentials = match matches.get_one::<String>("account") {
        Some(account) => {
            let password = match matches.get_flag("password-stdin") {
                true => Some(first_line()?),
                false => secret(matches, "password-file", PASSWORD)?,
            };
            let password = password.with_context(|| {
                format!("--password-file, --password-stdin or {PASSWORD} has to give the password")
            })?;
            Credentials::Basic(account.clone(), password)
        }
        None => Credentials::Bearer(
            secret(matches, "token-file", TOKEN)?
                .with_context(|| format!("--account, or --token-file or {TOKEN}, is missing"))?,
        ),
    };
    let roots = matches
        .get_one::<PathBuf>("ca-bundle")
        .map(PathBuf::as_path);
    let to = matches.get_one::<String>("to").context("--to is missing")?;
    Api::new(&api_of(to), roots, credentials)
}

/// An address without a path is a server's; its API is below.
fn api_of(address: &str) -> String {
    let address = address.trim_end_matches('/');
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    match host.contains('/') {
        true => address.to_owned(),
        false => format!("{address}/KeyfactorAPI"),
    }
}

async fn source(name: &str, matches: &ArgMatches) -> anyhow::Result<Source> {
    let path = || {
        let path = matches.get_one::<PathBuf>("path");
        path.context("a path is missing")
    };
    let url = || {
        matches
            .get_one::<String>("url")
            .context("an address is missing")
    };
    let field = |name: &str| matches.get_one::<String>(name).cloned();
    Ok(match name {
        "folder" => Source::Folder(Folder::new(path()?, passwords(matches)?)?),
        "roots" => Source::Folder(Folder::new(path()?, Vec::new())?),
        "command" => {
            let credentials = match matches.get_one::<String>("from-account") {
                Some(account) => Credentials::Basic(
                    account.clone(),
                    needed(matches, "from-password-file", FROM_PASSWORD)?,
                ),
                None => Credentials::Bearer(needed(matches, "from-token-file", FROM_TOKEN)?),
            };
            let api = Api::new(&api_of(url()?), from_roots(matches), credentials)?;
            Source::Keyfactor(Keyfactor::new(api))
        }
        "openbao" => {
            let token = needed(matches, "from-token-file", FROM_TOKEN)?;
            let credentials = Credentials::Header("x-vault-token", token);
            let address = format!("{}/v1", url()?.trim_end_matches('/'));
            let api = Api::new(&address, from_roots(matches), credentials)?;
            let mount = matches
                .get_one::<String>("mount")
                .map_or("pki", |text| text);
            Source::OpenBao(OpenBao::new(api, mount))
        }
        "lemur" => {
            let database = needed(matches, "database-file", DATABASE)?;
            Source::Lemur(Lemur::new(&database, field("owner-field"), field("name-field")).await?)
        }
        "step-ca" => {
            Source::StepCa(StepCa::new(&needed(matches, "database-file", DATABASE)?).await?)
        }
        other => bail!("{other} is no source"),
    })
}

fn from_roots(matches: &ArgMatches) -> Option<&Path> {
    matches
        .get_one::<PathBuf>("from-ca-bundle")
        .map(PathBuf::as_path)
}

/// A secret out of a file, or else out of the environment.
fn secret(
    matches: &ArgMatches,
    argument: &str,
    variable: &str,
) -> anyhow::Result<Option<SecretString>> {
    if let Some(path) = matches.get_one::<PathBuf>(argument) {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        return Ok(Some(text.trim_end_matches(['\r', '\n']).into()));
    }
    Ok(std::env::var(variable)
        .ok()
        .filter(|text| !text.is_empty())
        .map(SecretString::from))
}

fn needed(matches: &ArgMatches, argument: &str, variable: &str) -> anyhow::Result<SecretString> {
    secret(matches, argument, variable)?
        .with_context(|| format!("--{argument} or {variable} is missing"))
}

fn first_line() -> anyhow::Result<SecretString> {
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        bail!("standard input holds no password");
    }
    Ok(line.into())
}

/// Passwords of files: a line each, or one from the environment.
fn passwords(matches: &ArgMatches) -> anyhow::Result<Vec<SecretString>> {
    let mut passwords = Vec::new();
    if let Some(path) = matches.get_one::<PathBuf>("passwords-file") {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let lines = text.lines().filter(|line| !line.is_empty());
        passwords.extend(lines.map(SecretString::from));
    }
    passwords.extend(std::env::var(FILE_PASSWORD).ok().map(SecretString::from));
    Ok(passwords)
}

#[cfg(test)]
mod tests {
    use super::api_of;

    #[test]
    fn an_address_without_a_path_is_a_servers() {
        assert_eq!(
            api_of("https://a.example"),
            "https://a.example/KeyfactorAPI"
        );
        assert_eq!(
            api_of("https://a.example:8443/"),
            "https://a.example:8443/KeyfactorAPI"
        );
        assert_eq!(
            api_of("https://a.example/Keyfactor/API"),
            "https://a.example/Keyfactor/API"
        );
    }
}
