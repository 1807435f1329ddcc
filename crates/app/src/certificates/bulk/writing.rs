//! The lots of a stream as they come, each in a transaction of its own, in their order: one is on disk before the next. Two are written
//! side by side, since PostgreSQL gives a transaction one core and waits for what comes next of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use db::tables::imports::Model;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::lots::{self, Placed, Plan};
use super::progress::{COMPLETE, FAILED, HEARTBEAT_MS, INTERRUPTED, Reading};
use super::reading::{Ending, Lot};
use crate::audit::{self, Category, Entry, Level, Operation};
use crate::error::{Error, Kind};
use crate::web::RequestProgress;

/// How often writing a lot is tried.
const TRIES: u32 = 4;
/// Between two tries, times the number of tries.
const REST: Duration = Duration::from_millis(200);

/// Writes the lots as they come, and how it ended. Answers why the stream cannot be read on.
pub(super) async fn write(
    plan: Plan,
    mut row: Model,
    mut waiting: mpsc::Receiver<Lot>,
    reading: Reading,
    progress: Option<RequestProgress>,
) -> Result<Option<String>, Error> {
    let now = || plan.cx.now();
    let (mut begin, mut under_way) = (row.octets, VecDeque::new());
    while let Some(lot) = waiting.recv().await {
        let ending = lot.ending.clone();
        let is_silent = lot.found.is_empty() && lot.failures.is_empty() && ending.is_none();
        let is_due = under_way.is_empty() && now() - row.updated_at >= HEARTBEAT_MS;
        if !is_silent || is_due {
            let placed = Placed {
                import: row.id,
                run: row.run_id,
                begin,
                before: under_way.back().map(UnderWay::place),
                lot: Arc::new(lot),
            };
            begin = placed.lot.end.cast_signed();
            under_way.push_back(UnderWay::begin(&plan, placed).await);
        }
        // One beside the next, as long as they come and nobody else's wait for the same.
        let left = usize::from(!is_silent && ending.is_none() && reading.is_alone());
        while under_way.len() > left {
            let written = written(&plan, &mut under_way).await;
            if let Some(progress) = &progress {
                progress.step();
            }
            match written {
                Ok(now) => row = now,
                Err(error) => {
                    let reason = format!("A lot could not be written: {}", error.message());
                    // What could not be written before may not be now: who asks is told by the silence.
                    if let Err(error) = end(&plan, row, Ending::Interrupted(reason)).await {
                        tracing::error!(%error, import = %reading.id, "an import could not be ended");
                    }
                    return Err(error);
                }
            }
        }
        if let Some(ending) = ending {
            let told = match &ending {
                Ending::Complete => None,
                Ending::Interrupted(reason) | Ending::Failed(reason) => Some(reason.clone()),
            };
            end(&plan, row, ending).await?;
            return Ok(told);
        }
    }
    Err(Error::internal("the thread that reads a stream has ended"))
}

/// A lot that is being written.
struct UnderWay {
    placed: Placed,
    writing: JoinHandle<Result<Model, Error>>,
}

impl UnderWay {
    /// Begins a lot, and waits until it has its turn, so that the next comes after it.
    async fn begin(plan: &Plan, placed: Placed) -> Self {
        let (plan, its) = (plan.clone(), placed.clone());
        let db = plan.cx.db().clone();
        let (has_turn, begun) = oneshot::channel();
        let writing = tokio::spawn(async move {
            db.write_much("certificates.import_lot", move |tx| {
                Box::pin(plan.write(tx, its, has_turn))
            })
            .await
        });
        // One that could not begin says so at its end.
        begun.await.unwrap_or_default();
        Self { placed, writing }
    }

    /// The same once more, when nothing before it is being written.
    async fn alone(plan: &Plan, placed: Placed) -> Self {
        let before = None;
        Self::begin(plan, Placed { before, ..placed }).await
    }

    /// The lot, and where it begins.
    fn place(&self) -> (i64, Arc<Lot>) {
        (self.placed.begin, Arc::clone(&self.placed.lot))
    }

    async fn done(self) -> (Placed, Result<Model, Error>) {
        let written = self.writing.await.map_err(Error::internal);
        (self.placed, written.flatten())
    }
}

/// Waits for the first of these. One that another transaction has come before is written again: then its certificates are known. So are
/// those that follow it.
async fn written(plan: &Plan, under_way: &mut VecDeque<UnderWay>) -> Result<Model, Error> {
    let first = under_way.pop_front();
    let first = first.ok_or_else(|| Error::internal("no lot is under way"))?;
    let (placed, mut written) = first.done().await;
    let mut others = Vec::new();
    if written.is_err() {
        // None of them can be, and nothing goes on when this has ended.
        for other in under_way.drain(..) {
            others.push(other.done().await.0);
        }
    }
    for tries in 1..TRIES {
        match &written {
            Err(error) if matches!(error.kind(), Kind::Internal | Kind::Unavailable) => {
                tracing::warn!(%error, source = ?std::error::Error::source(error), "a lot of an import is written again");
            }
            _ => break,
        }
        tokio::time::sleep(REST * tries).await;
        let again = UnderWay::alone(plan, placed.clone()).await;
        written = again.done().await.1;
    }
    if written.is_ok() {
        for placed in others {
            under_way.push_back(UnderWay::alone(plan, placed).await);
        }
    }
    written
}

async fn end(plan: &Plan, row: Model, ending: Ending) -> Result<(), Error> {
    let cx = plan.cx.clone();
    let db = cx.db().clone();
    db.write("certificates.import_end", move |tx| {
        Box::pin(async move {
            let (state, operation, level, reason) = match ending {
                Ending::Complete => (COMPLETE, Operation::Completed, Level::Information, None),
                Ending::Interrupted(reason) => {
                    (INTERRUPTED, Operation::Failed, Level::Warning, Some(reason))
                }
                Ending::Failed(reason) => (FAILED, Operation::Failed, Level::Failure, Some(reason)),
            };
            let row = Model {
                state,
                reason,
                updated_at: cx.now(),
                ended_at: Some(cx.now()),
                ..row
            };
            lots::save(tx, &row).await?;
            let message = match &row.reason {
                None => format!("Import {} is complete.", row.id),
                Some(reason) => format!("Import {} ended early: {reason}", row.id),
            };
            let title = format!("Import {}", row.id);
            let entry = Entry::new(operation, Category::Certificate, title, message).level(level);
            let after = json!({
                "ImportId": row.id,
                "Octets": row.octets,
                "New": row.new_certificates,
                "Known": row.known_certificates,
                "Updated": row.updated_certificates,
                "Failed": row.failed_certificates,
            });
            audit::record(tx, &cx, entry.after(after)).await
        })
    })
    .await
}
