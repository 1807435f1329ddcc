//! The composition: command line, configuration, listener, log and metrics. No business rule stands here.

pub mod audit_forward;
pub mod commands;
pub mod config;
pub mod console;
pub mod data_dir;
pub mod docs;
pub mod key_reload;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod own_certificate;
pub mod quickstart;
pub mod server;
pub mod settings;
pub mod signals;
pub mod tls;
