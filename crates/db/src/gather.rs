//! Work that arrives while earlier work of its kind is being done is done together.
//!
//! Where many callers each write rows of the same shape, statements that write the rows of all of them cost little more than
//! those of one. Nobody waits for company: a caller who comes alone is served alone and at once.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use tokio::sync::oneshot;

/// Callers whose items are taken together.
#[derive(Debug)]
pub struct Gather<T, R> {
    lot_max: usize,
    at_once: usize,
    waiting_max: usize,
    state: Mutex<State<T, R>>,
}

/// Why an item has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// As many wait as may; nothing was done for it.
    #[error("too many wait already")]
    Busy,
    /// The work on its lot panicked, or answered too little.
    #[error("the work ended early")]
    Ended,
}

#[derive(Debug)]
struct State<T, R> {
    waiting: VecDeque<(T, oneshot::Sender<R>)>,
    running: usize,
}

impl<T: Send + 'static, R: Send + 'static> Gather<T, R> {
    /// Lots of up to `lot_max` items, of which up to `at_once` are worked on at the same time, while up to `waiting_max` items
    /// wait.
    pub fn new(lot_max: usize, at_once: usize, waiting_max: usize) -> Self {
        Self {
            lot_max: lot_max.max(1),
            at_once: at_once.max(1),
            waiting_max: waiting_max.max(1),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                running: 0,
            }),
        }
    }

    /// Hands in an item and waits for what `work` answers for it. `work` is given a lot, first come first, and answers one
    /// result for each item in the same order. Once begun it goes on when callers go away, so that nobody's leaving undoes what
    /// others wait for; for a caller who has gone before, nothing is done. Lots have powers of two as their sizes, so that
    /// statements made for them come in few forms.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn hand_in<F, Fut>(self: &Arc<Self>, item: T, work: F) -> Result<R, NotDone>
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<R>> + Send,
    {
        let (answer, answered) = oneshot::channel();
        let lead = {
            let mut state = self.state();
            if state.waiting.len() >= self.waiting_max {
                state.waiting.retain(|(_, answer)| !answer.is_closed());
            }
            if state.waiting.len() >= self.waiting_max {
                return Err(NotDone::Busy);
            }
            state.waiting.push_back((item, answer));
            let lead = state.running < self.at_once;
            state.running += usize::from(lead);
            lead
        };
        if lead {
            let turn = Turn(Arc::clone(self));
            tokio::spawn(async move {
                while let Some((items, answers)) = turn.next() {
                    let done = AssertUnwindSafe(async { work(items).await }).catch_unwind();
                    let Ok(results) = done.await else {
                        // Whose answers are dropped here is told so; those who wait have their turn.
                        tracing::error!(items = answers.len(), "work on a lot panicked");
                        continue;
                    };
                    for (answer, result) in answers.into_iter().zip(results) {
                        // An error says that nobody waits for it any more.
                        drop(answer.send(result));
                    }
                }
            });
        }
        answered.await.map_err(|_| NotDone::Ended)
    }

    fn state(&self) -> MutexGuard<'_, State<T, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work on lots; given back when it goes away, also by a panic.
struct Turn<T: Send + 'static, R: Send + 'static>(Arc<Gather<T, R>>);

type Lot<T, R> = (Vec<T>, Vec<oneshot::Sender<R>>);

impl<T: Send + 'static, R: Send + 'static> Turn<T, R> {
    /// The next lot, of items that somebody still waits for. `None` ends the turn: under the same lock under which items are
    /// handed in, so that none is left lying.
    fn next(&self) -> Option<Lot<T, R>> {
        let mut state = self.0.state();
        let mut lot = Vec::new();
        while lot.len() < self.0.lot_max {
            match state.waiting.pop_front() {
                Some((_, answer)) if answer.is_closed() => {}
                Some(waits) => lot.push(waits),
                None => break,
            }
        }
        let count = 1 << lot.len().checked_ilog2()?;
        for waits in lot.drain(count..).rev() {
            state.waiting.push_front(waits);
        }
        Some(lot.into_iter().unzip())
    }
}

impl<T: Send + 'static, R: Send + 'static> Drop for Turn<T, R> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_waits_is_done_together_and_everybody_has_his_own_answer() {
        let gather = Arc::new(Gather::new(8, 1, 64));
        let lots = Arc::new(AtomicUsize::new(0));
        let each = (0..40_usize).map(|number| {
            let (gather, lots) = (Arc::clone(&gather), Arc::clone(&lots));
            async move {
                let work = move |items: Vec<usize>| {
                    let lots = Arc::clone(&lots);
                    async move {
                        assert!(items.len() <= 8 && items.len().is_power_of_two());
                        lots.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        items.into_iter().map(|item| item * 2).collect()
                    }
                };
                gather.hand_in(number, work).await
            }
        });
        let answers = futures::future::join_all(each).await;
        let wanted: Vec<_> = (0..40).map(|number| Ok(number * 2)).collect();
        assert_eq!(answers, wanted);
        assert!(lots.load(Ordering::SeqCst) < 40);
    }

    #[tokio::test]
    async fn a_panic_ends_its_lot_and_not_the_next() {
        let gather = Arc::new(Gather::new(1, 1, 64));
        let work = |items: Vec<bool>| async move {
            tokio::task::yield_now().await;
            assert!(!items[0], "asked to");
            items
        };
        // The second waits while the first panics, and nobody comes after it.
        let (first, second) =
            futures::join!(gather.hand_in(true, work), gather.hand_in(false, work));
        assert_eq!((first, second), (Err(NotDone::Ended), Ok(false)));
        assert_eq!(gather.hand_in(false, work).await, Ok(false));
    }

    #[tokio::test]
    async fn nothing_is_done_for_those_who_went_and_no_more_wait_than_may() {
        let gather = Arc::new(Gather::new(4, 1, 2));
        let done = Arc::new(AtomicUsize::new(0));
        let go_on = Arc::new(tokio::sync::Notify::new());
        let hand_in = |number: usize| {
            let (gather, done, go_on) =
                (Arc::clone(&gather), Arc::clone(&done), Arc::clone(&go_on));
            async move {
                let work = move |items: Vec<usize>| {
                    let (done, go_on) = (Arc::clone(&done), Arc::clone(&go_on));
                    async move {
                        go_on.notified().await;
                        done.fetch_add(items.iter().sum(), Ordering::SeqCst);
                        items
                    }
                };
                gather.hand_in(number, work).await
            }
        };
        let mut first = Box::pin(hand_in(1));
        assert!(futures::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
        let (mut second, mut third) = (Box::pin(hand_in(10)), Box::pin(hand_in(100)));
        assert!(futures::poll!(&mut second).is_pending());
        assert!(futures::poll!(&mut third).is_pending());
        assert_eq!(hand_in(1_000).await, Err(NotDone::Busy));
        drop(second);
        // His place is free.
        let mut fourth = Box::pin(hand_in(10_000));
        assert!(futures::poll!(&mut fourth).is_pending());
        drop(fourth);
        go_on.notify_one();
        assert_eq!(first.await, Ok(1));
        go_on.notify_one();
        assert_eq!(third.await, Ok(100));
        assert_eq!(done.load(Ordering::SeqCst), 101);
    }
}
