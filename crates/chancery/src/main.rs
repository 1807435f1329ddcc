//! The program `chancery`.

use std::process::ExitCode;

use chancery::{commands, console::Console};

fn main() -> ExitCode {
    let console = Console::standard();
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        console.error("chancery: another cryptography provider is installed already");
        return ExitCode::FAILURE;
    }
    commands::run(std::env::args_os(), &console)
}
