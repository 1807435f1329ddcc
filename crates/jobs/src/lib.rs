//! The durable queue and scheduler: claim, lease, retry, dedupe, calendar. Knows no domain.
