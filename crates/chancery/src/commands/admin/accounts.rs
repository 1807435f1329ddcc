//! Creating accounts and resetting passwords.

use std::io::{BufRead as _, stdin};

use anyhow::{Context as _, bail};
use app::security::accounts;
use clap::ArgMatches;

use super::{context, open, open_existing};
use crate::{config::Config, console::Console};

pub(super) async fn create(
    config: &Config,
    matches: &ArgMatches,
    console: &Console,
) -> anyhow::Result<()> {
    let name = name(matches)?;
    let roles: Vec<String> = matches
        .get_many("role")
        .map(|roles| roles.cloned().collect())
        .unwrap_or_default();
    let password = Password::of(matches)?;
    let app = open(config).await?;
    let created = accounts::create(&context(&app), name, password.text.clone(), &roles).await;
    app.close().await;
    created?;
    console.line(format_args!("The account {name} was created."));
    if roles.is_empty() {
        console.line("It holds no role, so it may sign in and nothing else.");
    }
    password.show(console);
    Ok(())
}

pub(super) async fn reset_password(
    config: &Config,
    matches: &ArgMatches,
    console: &Console,
) -> anyhow::Result<()> {
    let name = name(matches)?;
    let password = Password::of(matches)?;
    let app = open_existing(config).await?;
    let reset = accounts::reset_password(&context(&app), name, password.text.clone()).await;
    app.close().await;
    reset?;
    console.line(format_args!("The account {name} has a new password."));
    password.show(console);
    Ok(())
}

fn name(matches: &ArgMatches) -> anyhow::Result<&str> {
    let name = matches.get_one::<String>("name");
    name.map(String::as_str).context("NAME is missing")
}

/// A password that a person gave, or one that is made up and shown once.
struct Password {
    text: String,
    made_up: bool,
}

impl Password {
    fn of(matches: &ArgMatches) -> anyhow::Result<Self> {
        if !matches.get_flag("password-stdin") {
            return Ok(Self {
                text: accounts::random_password(),
                made_up: true,
            });
        }
        let mut text = String::new();
        stdin()
            .lock()
            .read_line(&mut text)
            .context("standard input")?;
        let end = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(end);
        if text.is_empty() {
            bail!("standard input holds no password");
        }
        Ok(Self {
            text,
            made_up: false,
        })
    }

    fn show(&self, console: &Console) {
        if self.made_up {
            console.line(format_args!("Password, shown this once: {}", self.text));
        }
    }
}
