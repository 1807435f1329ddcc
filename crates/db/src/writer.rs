//! The one SQLite writer: gathers the closures that wait, runs each in a savepoint, commits them with one sync.
//!
//! The first needs no savepoint: what fails when nothing else is in the transaction is undone with it. That is where closures go that
//! write much, since a savepoint keeps a copy of every page that it touches, and each statement inside walks through all of them.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use crate::checkpoints::Checkpoints;
use crate::pool::sqlite_options;
use crate::{Durability, Error, Tx, WriteFuture, migrations};

/// Closures in one commit. Enough to spread one sync of a slow disk; few enough that the first does not wait long.
const BATCH_MAX: usize = 128;
/// Closures that may wait before callers are held back.
const QUEUE_MAX: usize = 4_096;

type Outcome = Result<(), Error>;
type Run = Box<
    dyn for<'t> FnOnce(&'t Tx) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 't>> + Send,
>;

struct Work {
    name: &'static str,
    /// It writes so much that it has to be the first.
    is_large: bool,
    run: Run,
    done: oneshot::Sender<Outcome>,
}

enum Message {
    Work(Work),
    Durability(oneshot::Sender<Result<Durability, Error>>),
    Stop(oneshot::Sender<()>),
}

/// A handle on the writer thread.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    queue: mpsc::Sender<Message>,
}

impl Writer {
    /// Starts the thread, which opens the file and migrates it before this answers.
    pub(crate) async fn start(path: PathBuf) -> Result<Self, Error> {
        let (queue, inbox) = mpsc::channel(QUEUE_MAX);
        let file = path.clone();
        let (ready, opened) = oneshot::channel();
        let checkpoints = Checkpoints::start(path.clone());
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                // The driver's own thread inherits the affinity: hops between two cores cost more than the statements.
                if let Some(core) =
                    core_affinity::get_core_ids().and_then(|cores| cores.last().copied())
                {
                    core_affinity::set_for_current(core);
                }
                match tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                {
                    Ok(runtime) => runtime.block_on(thread(path, inbox, ready, checkpoints)),
                    Err(source) => drop(ready.send(Err(Error::File { path, source }))),
                }
            })
            .map_err(|source| Error::File {
                path: "sqlite-writer".into(),
                source,
            })?;
        opened
            .await
            .map_err(|_| Error::WriterStopped("it ended while opening".into()))??;
        Ok(Self { path: file, queue })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) async fn write<T, E, F>(
        &self,
        name: &'static str,
        is_large: bool,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t> FnOnce(&'t Tx) -> WriteFuture<'t, T, E> + Send + 'static,
    {
        let slot: Arc<Mutex<Option<Result<T, E>>>> = Arc::default();
        let filled = Arc::clone(&slot);
        let run: Run = Box::new(move |tx| {
            let future = work(tx);
            Box::pin(async move {
                let result = future.await;
                let keep = result.is_ok();
                *filled
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
                keep
            })
        });
        let (done, outcome) = oneshot::channel();
        let stopped = || Error::WriterStopped(format!("while {name:?} waited"));
        let work = Work {
            name,
            is_large,
            run,
            done,
        };
        self.queue
            .send(Message::Work(work))
            .await
            .map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())??;
        let result = slot
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        result.unwrap_or_else(|| Err(stopped().into()))
    }

    pub(crate) async fn durability(&self) -> Result<Durability, Error> {
        let stopped = || Error::WriterStopped("while asked for its settings".into());
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Message::Durability(reply))
            .await
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    pub(crate) async fn stop(&self) {
        let (reply, stopped) = oneshot::channel();
        if self.queue.send(Message::Stop(reply)).await.is_ok() {
            // An error means that the thread has ended already, which is what was asked for.
            drop(stopped.await);
        }
    }
}

async fn connect(path: &Path) -> Result<DatabaseConnection, Error> {
    Ok(Database::connect(sqlite_options(path, 1, false)).await?)
}

async fn thread(
    path: PathBuf,
    mut inbox: mpsc::Receiver<Message>,
    ready: oneshot::Sender<Result<(), Error>>,
    mut checkpoints: Checkpoints,
) {
    let opened = async {
        let connection = connect(&path).await?;
        migrations::migrate_sqlite(&connection).await?;
        Ok(connection)
    };
    let mut connection = match opened.await {
        Ok(connection) => connection,
        Err(error) => return drop(ready.send(Err(error))),
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    let mut next = inbox.recv().await;
    while let Some(message) = next.take() {
        let mut batch = Vec::new();
        match message {
            Message::Work(work) => batch.push(work),
            Message::Durability(reply) => drop(reply.send(durability(&connection).await)),
            Message::Stop(reply) => {
                checkpoints.stop().await;
                if let Err(error) = connection.close().await {
                    tracing::warn!(%error, "closing the database");
                }
                // Nobody may be waiting for it any more.
                return reply.send(()).unwrap_or(());
            }
        }
        while !batch.is_empty() && batch.len() < BATCH_MAX {
            match inbox.try_recv() {
                Ok(Message::Work(work)) if !work.is_large => batch.push(work),
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        if !batch.is_empty() && !commit(&connection, &mut checkpoints, batch).await {
            // After a failed rollback the connection's state is unknown: later savepoints might commit on their own.
            tracing::error!("the SQLite connection is given up after a failed rollback");
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "closing the database");
            }
            match connect(&path).await {
                Ok(fresh) => {
                    connection = fresh;
                    checkpoints.reset();
                }
                Err(error) => {
                    return tracing::error!(%error, "the database could not be opened again");
                }
            }
        }
        if next.is_none() {
            next = inbox.recv().await;
        }
    }
}

/// Runs a batch and answers everyone. False when the connection must not be used again.
async fn commit(
    connection: &DatabaseConnection,
    checkpoints: &mut Checkpoints,
    batch: Vec<Work>,
) -> bool {
    let is_large = batch.iter().any(|work| work.is_large);
    let begun = async {
        checkpoints.before(connection, is_large).await?;
        begin(connection).await
    };
    let mut outer = match begun.await {
        Ok(outer) => Some(outer),
        Err(error) => {
            let text = error.to_string();
            for work in batch {
                drop(work.done.send(Err(Error::WriterStopped(text.clone()))));
            }
            return true;
        }
    };
    let mut kept = Vec::new();
    let mut refused = Vec::new();
    let mut broken = None;
    let mut waiting = batch.into_iter();
    for work in waiting.by_ref() {
        if work.done.is_closed() {
            // The caller has gone before anything was done for it.
            continue;
        }
        let is_first = kept.is_empty();
        match run(connection, &mut outer, is_first, work.name, work.run).await {
            Ok(Verdict::Keep) => kept.push((work.name, work.done)),
            Ok(Verdict::RolledBack) => refused.push(work.done),
            Ok(Verdict::Panicked) => drop(work.done.send(Err(Error::Panicked(work.name)))),
            Err(error) => {
                broken = Some(error.to_string());
                drop(work.done.send(Err(error)));
                break;
            }
        }
    }
    if let Some(reason) = broken {
        let rest = waiting
            .map(|work| work.done)
            .chain(kept.into_iter().map(|(_, done)| done))
            .chain(refused);
        for done in rest {
            drop(done.send(Err(Error::WriterStopped(reason.clone()))));
        }
        if let Some(outer) = outer {
            drop(outer.rollback().await);
        }
        return false;
    }
    #[cfg(feature = "killpoints")]
    for (name, _) in &kept {
        crate::killpoints::reached(name, crate::killpoints::Moment::BeforeCommit);
    }
    let committed = match outer {
        Some(outer) => outer.commit().await.map_err(|error| error.to_string()),
        None => Err("there is no transaction".to_owned()),
    };
    #[cfg(feature = "killpoints")]
    for (name, _) in &kept {
        crate::killpoints::reached(name, crate::killpoints::Moment::AfterCommit);
    }
    checkpoints.after(is_large);
    for (_, done) in kept {
        drop(done.send(committed.clone().map_err(Error::WriterStopped)));
    }
    for done in refused {
        drop(done.send(Ok(())));
    }
    committed.is_ok()
}

enum Verdict {
    Keep,
    RolledBack,
    Panicked,
}

async fn begin(connection: &DatabaseConnection) -> Result<Tx, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    connection.begin_with_options(options).await
}

/// Runs a closure in the transaction, of which nothing is left when it is not to be kept: the first is undone with the transaction,
/// in whose place another is begun.
async fn run(
    connection: &DatabaseConnection,
    outer: &mut Option<Tx>,
    is_first: bool,
    name: &'static str,
    run: Run,
) -> Result<Verdict, Error> {
    let stopped = || Error::WriterStopped("there is no transaction".into());
    let inner = match is_first {
        true => outer.take().ok_or_else(stopped)?,
        false => outer.as_ref().ok_or_else(stopped)?.begin().await?,
    };
    let ran: Result<bool, Box<dyn Any + Send>> = AssertUnwindSafe(async { run(&inner).await })
        .catch_unwind()
        .await;
    let verdict = match ran {
        Ok(true) => Verdict::Keep,
        Ok(false) => Verdict::RolledBack,
        Err(_) => {
            tracing::error!(name, "a write panicked and was rolled back");
            Verdict::Panicked
        }
    };
    match (&verdict, is_first) {
        (Verdict::Keep, true) => *outer = Some(inner),
        (Verdict::Keep, false) => inner.commit().await?,
        (_, true) => {
            inner.rollback().await?;
            *outer = Some(begin(connection).await?);
        }
        (_, false) => inner.rollback().await?,
    }
    Ok(verdict)
}

async fn durability(connection: &DatabaseConnection) -> Result<Durability, Error> {
    let mut settings = Vec::new();
    for name in ["synchronous", "journal_mode"] {
        let statement = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        let value = match connection.query_one_raw(statement).await? {
            Some(row) => match row.try_get_by_index::<i64>(0) {
                Ok(number) => number.to_string(),
                Err(_) => row.try_get_by_index::<String>(0)?,
            },
            None => String::new(),
        };
        settings.push((name.to_owned(), value));
    }
    // 2 is FULL and 3 is EXTRA.
    let full = matches!(settings[0].1.as_str(), "2" | "3");
    Ok(Durability {
        database: "sqlite",
        settings,
        full,
    })
}
