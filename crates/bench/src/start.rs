//! How long a server takes from its start to its first answer over HTTPS.

use std::time::Instant;

use crate::server::{Server, Setup};

/// Starts measured; the fastest counts, since everything else on the machine only adds.
const STARTS: usize = 7;

/// The fastest of several starts, in milliseconds.
pub(crate) async fn milliseconds(setup: &Setup) -> anyhow::Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..STARTS {
        let began = Instant::now();
        let server = Server::launch(setup).await?;
        fastest = fastest.min(began.elapsed().as_secs_f64() * 1e3);
        server.stop().await?;
    }
    Ok(fastest)
}
