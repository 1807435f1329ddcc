//! Prometheus metrics: the recorder of the process and the page that shows it, on an address of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{Router, http::header, routing::get};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, sync::watch};

use crate::listener::BindError;

/// Buckets of every `…_seconds` histogram: from a fast read to what the request timeout allows.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];

/// How often collected values are folded together, which bounds the memory they take between two readings.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The recorder cannot be made.
    #[error("metrics: {0}")]
    Build(#[from] BuildError),
    /// Another recorder runs in this process.
    #[error("metrics are collected already")]
    Running,
}

/// Starts to collect for the whole process, and notes version and start time.
///
/// # Errors
/// A recorder runs already.
pub fn start() -> Result<PrometheusHandle, MetricsError> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Running)?;
    describe();
    Ok(handle)
}

fn describe() {
    metrics::describe_gauge!(
        "process_start_time_seconds",
        "When the process started, seconds since 1970"
    );
    metrics::describe_gauge!("process_resident_memory_bytes", "Memory in use");
    metrics::describe_gauge!("chancery_build_info", "1, with the version as a label");
    metrics::describe_gauge!("chancery_connections", "Open client connections");
    metrics::describe_counter!(
        "chancery_tls_handshake_failures_total",
        "Connections that ended before TLS was agreed on"
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    metrics::gauge!("process_start_time_seconds").set(now.as_secs_f64());
    metrics::gauge!("chancery_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Binds the address of the metrics.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let error = |source| BindError {
        address: address.to_owned(),
        source,
    };
    TcpListener::bind(address).await.map_err(error)
}

/// Shows the metrics at `/metrics` until `shutdown` turns true.
pub async fn serve(
    socket: TcpListener,
    handle: PrometheusHandle,
    mut shutdown: watch::Receiver<bool>,
) {
    let router = router(handle);
    let end = async move {
        let _ = shutdown.wait_for(|end| *end).await;
    };
    if let Err(error) = axum::serve(socket, router)
        .with_graceful_shutdown(end)
        .await
    {
        tracing::error!(%error, "metrics are no longer served");
    }
}

/// Folds values together from time to time until `shutdown` turns true; needed whether or not somebody reads them.
pub async fn upkeep(handle: PrometheusHandle, mut shutdown: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP) => handle.run_upkeep(),
            _ = shutdown.wait_for(|end| *end) => return,
        }
    }
}

fn router(handle: PrometheusHandle) -> Router {
    let page = move || {
        let handle = handle.clone();
        async move {
            if let Some(bytes) = resident_bytes() {
                metrics::gauge!("process_resident_memory_bytes").set(bytes);
            }
            (
                [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
                handle.render(),
            )
        }
    };
    Router::new().route("/metrics", get(page))
}

/// What Linux says about this process; other systems leave the metric out.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn the_page_shows_what_was_collected() {
        let handle = start().unwrap();
        metrics::histogram!("chancery_test_seconds").record(0.3);
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = router(handle).oneshot(request).await.unwrap();
        assert_eq!(
            answer.headers()["content-type"],
            "text/plain; version=0.0.4"
        );
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        for expected in [
            "process_start_time_seconds ",
            "process_resident_memory_bytes ",
            "chancery_build_info{version=\"",
            "chancery_test_seconds_bucket{le=\"0.5\"} 1",
        ] {
            assert!(text.contains(expected), "no {expected} in\n{text}");
        }
        assert!(matches!(start(), Err(MetricsError::Running)));
    }
}
