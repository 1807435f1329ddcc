//! `cargo xtask bench`: the workloads of `crates/bench` against the program as it is released, on both databases.

use crate::{cargo, packages, postgres, succeed, target};

use anyhow::Result;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    packages::install(&packages::ALL[..1])?;
    succeed(cargo().args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "chancery",
        "--bin",
        "chancery",
        "--package",
        "bench",
        "--bin",
        "bench",
    ]))?;
    // On disk and not in memory: the benchmarks count what is durable.
    let server = postgres::Server::start(&std::env::temp_dir(), true)?;
    let mut command = std::process::Command::new(target().join("release/bench"));
    command
        .arg("--binary")
        .arg(target().join("release/chancery"))
        .args(arguments);
    if !arguments.iter().any(|argument| argument == "--postgres") {
        command.args(["--postgres", &server.address()]);
    }
    let done = succeed(&mut command);
    drop(server);
    done
}
