//! Octets of request bodies that are in memory, of all callers together: a body is read before its operation decides whether the
//! caller may, so that many callers at once must not fill the memory with what is refused in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::BoxError;
use axum::body::Body;
use futures::StreamExt;

use crate::error::{Error, Kind};

/// What all bodies together may have.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// What one body has of it, as far as it has come; given back when dropped.
#[derive(Debug)]
pub(crate) struct BodyShare {
    limit: usize,
    used: Arc<AtomicUsize>,
    taken: AtomicUsize,
    refused: AtomicBool,
}

#[derive(Debug, thiserror::Error)]
#[error("too many octets of request bodies are in memory")]
struct Spent;

impl BodyBudget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: Arc::default(),
        }
    }

    /// The body, counted while it is read. It ends with an error when the budget is spent. Keep the share until the answer is
    /// ready.
    pub(crate) fn count(&self, body: Body) -> (Body, Arc<BodyShare>) {
        let share = Arc::new(BodyShare {
            limit: self.limit,
            used: Arc::clone(&self.used),
            taken: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
        });
        let counting = Arc::clone(&share);
        let octets = body.into_data_stream().map(move |part| {
            let part = part.map_err(BoxError::from)?;
            counting.take(part.len())?;
            Ok::<_, BoxError>(part)
        });
        (Body::from_stream(octets), share)
    }
}

impl BodyShare {
    fn take(&self, octets: usize) -> Result<(), Spent> {
        let before = self.used.fetch_add(octets, Ordering::Relaxed);
        if before.saturating_add(octets) > self.limit {
            self.used.fetch_sub(octets, Ordering::Relaxed);
            self.refused.store(true, Ordering::Relaxed);
            return Err(Spent);
        }
        self.taken.fetch_add(octets, Ordering::Relaxed);
        Ok(())
    }

    /// # Errors
    /// 503 when the body was refused.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.refused.load(Ordering::Relaxed) {
            metrics::counter!("chancery_rate_limited_total", "limit" => "bodies_in_memory")
                .increment(1);
            return Err(Error::new(
                Kind::Unavailable,
                "The server has as many large requests as it can hold. Try again.",
            ));
        }
        Ok(())
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        let taken = *self.taken.get_mut();
        self.used.fetch_sub(taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_share_a_budget_and_give_it_back() {
        let budget = BodyBudget::new(10);
        let (first, share) = budget.count(Body::from("1234567"));
        let read = axum::body::to_bytes(first, 100).await.unwrap();
        assert_eq!(read.len(), 7);
        share.check().unwrap();
        let (second, refused) = budget.count(Body::from("12345"));
        axum::body::to_bytes(second, 100).await.unwrap_err();
        assert_eq!(refused.check().unwrap_err().kind(), Kind::Unavailable);
        drop((share, refused));
        let (third, share) = budget.count(Body::from("1234567890"));
        axum::body::to_bytes(third, 100).await.unwrap();
        share.check().unwrap();
    }
}
