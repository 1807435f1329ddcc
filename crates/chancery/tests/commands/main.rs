//! The built program, command by command.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

mod admin;
mod quickstart;
mod support;
