//! Waiting for something to become true, by looking, with a deadline.

use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something to see.
///
/// # Panics
/// With the last thing seen, when there is nothing in time.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(instead) if begin.elapsed() > DEADLINE => {
                panic!("{what}: not within {DEADLINE:?}; last seen: {instead}")
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
