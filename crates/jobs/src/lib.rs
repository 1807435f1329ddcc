//! The durable queue and scheduler: claim, lease, retry, dedupe, calendar. Knows no domain.
//!
//! A job is a row in a named queue. [`enqueue`] puts it there in the same transaction as the change that asks for it;
//! [`claim`] and [`claim_one`] hand the due ones out under a lease; [`finish`], [`retry`] and [`cancel`] end the lease. A worker that
//! dies keeps nothing: when the lease has run out, the next [`claim`] hands the job out again. Work is therefore done at
//! least once, and whoever does it must bear a second time.
//!
//! Times are epoch milliseconds, UTC, and are passed in.

mod claim;
mod error;
mod job;
mod queue;
mod schedule;

pub use claim::{claim, claim_one};
pub use error::Error;
pub use job::{Job, NewJob};
pub use queue::{
    Finished, cancel, claimed, due_within, earliest_due, earliest_due_in, enqueue, find, finish,
    renew, reschedule, retry,
};
pub use schedule::{
    DAY_MS, INTERVAL_MINUTES_MAX, INTERVAL_MINUTES_MIN, MonthDay, Schedule, ScheduleError,
    TimeOfDay, Weekdays,
};
