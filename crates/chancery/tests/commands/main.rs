//! The built program, command by command.

mod admin;
mod quickstart;
mod support;
