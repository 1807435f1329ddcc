//! What the operating system asks of the process while it runs.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Listens for signals from now on.
///
/// The first receiver turns true on SIGTERM or SIGINT (a second one ends the process at once, as a person expects
/// who is tired of waiting). The second counts SIGHUPs.
///
/// # Errors
/// The system refuses to tell us of signals.
pub fn listen() -> io::Result<(watch::Receiver<bool>, watch::Receiver<u64>)> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (end, ended) = watch::channel(false);
    let (hung_up, hangups) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => {}
                Some(()) = terminate.recv() => {}
                else => return,
            }
            if end.send_replace(true) {
                std::process::exit(130);
            }
            tracing::info!("asked to end: finishing what is under way");
        }
    });
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            hung_up.send_modify(|count| *count += 1);
        }
    });
    Ok((ended, hangups))
}
