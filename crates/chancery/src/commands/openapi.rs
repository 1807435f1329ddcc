//! `chancery openapi`.

use anyhow::Context as _;
use clap::ArgMatches;

use super::Failure;
use crate::console::Console;

pub(super) fn run(matches: &ArgMatches, console: &Console) -> Result<(), Failure> {
    let second = matches
        .get_one::<String>("api-version")
        .is_some_and(|version| version == "2");
    let document = app::openapi(if second { 2 } else { 1 });
    let text = document
        .to_pretty_json()
        .context("the document cannot be written as JSON")?;
    console.line(text);
    Ok(())
}
