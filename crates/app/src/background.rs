//! Work that no request waits for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::App;

/// How often overdue things are looked for.
const TICK: Duration = Duration::from_secs(5);

/// Runs until `shutdown` turns true. Every step can be repeated, and two servers may do it at once.
pub(crate) async fn run(app: &Arc<App>, shutdown: watch::Receiver<bool>) {
    tokio::join!(
        sweep(app, shutdown.clone()),
        crate::certificates::index_names(app, shutdown.clone()),
        crate::certificates::prepare_lists(app, shutdown.clone()),
        crate::audit::run(app, shutdown)
    );
}

async fn sweep(app: &Arc<App>, mut shutdown: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // An error means that nobody can say stop any more.
            changed = shutdown.changed() => if changed.is_err() || *shutdown.borrow() { return },
        }
        if *shutdown.borrow() {
            return;
        }
        if let Err(error) = crate::security::doors::sweep(app).await {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "background: sessions");
        }
        if let Err(error) = crate::certificates::sweep_changes(app).await {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "background: changes of certificates");
        }
        if let Err(error) = crate::authorities::renew(app).await {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "background: revocation lists");
        }
        if let Err(error) = crate::agents::sweep(app).await {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "background: agents");
        }
    }
}
