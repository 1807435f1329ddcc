//! `cargo xtask fuzz TARGET --seconds N`: one decoder of the `pki` crate under mutated inputs, at length.
//!
//! cargo-fuzz needs nightly Rust and a fetched engine; this runs on the pinned stable one and offline, as an ignored test of the crate. It
//! is built without optimization, so that overflows and broken assertions count as findings.

use anyhow::{Result, bail};

use crate::{cargo, succeed, target};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [name, rest @ ..] = arguments else {
        bail!("which target? An unknown name lists them");
    };
    let mut seconds = "60";
    let mut seed = std::time::UNIX_EPOCH.elapsed()?.as_nanos().to_string();
    seed.truncate(18);
    for pair in rest.chunks(2) {
        match pair {
            [flag, value] if flag == "--seconds" => seconds = value,
            [flag, value] if flag == "--seed" => seed.clone_from(value),
            other => bail!("there is no argument {}", other.join(" ")),
        }
    }
    crate::say(format!("{name} for {seconds} s, seed {seed}"))?;
    succeed(
        cargo()
            .args(["test", "--quiet", "--package", "pki", "--test", "pki", "--"])
            .args(["--ignored", "--exact", "fuzz::at_length", "--nocapture"])
            .env("PKI_FUZZ_TARGET", name)
            .env("PKI_FUZZ_SECONDS", seconds)
            .env("PKI_FUZZ_SEED", &seed)
            .env("PKI_FUZZ_FOLDER", target().join("fuzz")),
    )
}
