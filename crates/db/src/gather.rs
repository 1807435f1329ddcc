//! Work that arrives while earlier work of its kind is being done is done together.
//!
//! Where many callers each write rows of the same shape, statements that write the rows of all of them cost little more than
//! those of one. Nobody waits for company: a caller who comes alone is served alone and at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Callers whose items are taken together.
#[derive(Debug)]
pub struct Gather<T, R> {
    lot_max: usize,
    at_once: usize,
    state: Mutex<State<T, R>>,
}

#[derive(Debug)]
struct State<T, R> {
    waiting: VecDeque<(T, oneshot::Sender<R>)>,
    running: usize,
}

impl<T: Send + 'static, R: Send + 'static> Gather<T, R> {
    /// Lots of up to `lot_max` items, of which up to `at_once` are worked on at the same time.
    pub fn new(lot_max: usize, at_once: usize) -> Self {
        Self {
            lot_max: lot_max.max(1),
            at_once: at_once.max(1),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                running: 0,
            }),
        }
    }

    /// Hands in an item and waits for what `work` answers for it. `work` is given a lot, first come first, and answers one
    /// result for each item in the same order. It goes on when callers go away, so that nobody's leaving undoes what others
    /// wait for. Lots have powers of two as their sizes, so that statements made for them come in few forms.
    ///
    /// `None` when `work` panicked or answered too little.
    pub async fn hand_in<F, Fut>(self: &Arc<Self>, item: T, work: F) -> Option<R>
    where
        F: Fn(Vec<T>) -> Fut + Send + 'static,
        Fut: Future<Output = Vec<R>> + Send,
    {
        let (answer, answered) = oneshot::channel();
        let lead = {
            let mut state = self.state();
            state.waiting.push_back((item, answer));
            let lead = state.running < self.at_once;
            state.running += usize::from(lead);
            lead
        };
        if lead {
            let turn = Turn(Arc::clone(self));
            tokio::spawn(async move {
                while let Some((items, answers)) = turn.next() {
                    let results = work(items).await;
                    for (answer, result) in answers.into_iter().zip(results) {
                        // An error says that nobody waits for it any more.
                        drop(answer.send(result));
                    }
                }
            });
        }
        answered.await.ok()
    }

    fn state(&self) -> MutexGuard<'_, State<T, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work on lots; given back when it goes away, also by a panic.
struct Turn<T: Send + 'static, R: Send + 'static>(Arc<Gather<T, R>>);

type Lot<T, R> = (Vec<T>, Vec<oneshot::Sender<R>>);

impl<T: Send + 'static, R: Send + 'static> Turn<T, R> {
    /// The next lot. `None` ends the turn: under the same lock under which items are handed in, so that none is left lying.
    fn next(&self) -> Option<Lot<T, R>> {
        let mut state = self.0.state();
        let count = state.waiting.len().min(self.0.lot_max);
        if count == 0 {
            return None;
        }
        let count = 1 << count.ilog2();
        Some(state.waiting.drain(..count).unzip())
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
        let gather = Arc::new(Gather::new(8, 1));
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
        let wanted: Vec<_> = (0..40).map(|number| Some(number * 2)).collect();
        assert_eq!(answers, wanted);
        assert!(lots.load(Ordering::SeqCst) < 40);
    }

    #[tokio::test]
    async fn a_panic_ends_its_lot_and_not_the_next() {
        let gather = Arc::new(Gather::new(4, 1));
        let work = |items: Vec<bool>| async move {
            assert!(!items[0], "asked to");
            items
        };
        assert_eq!(gather.hand_in(true, work).await, None);
        assert_eq!(gather.hand_in(false, work).await, Some(false));
    }
}
