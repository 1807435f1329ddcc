//! Kill points: tests end the process just before or just after a chosen commit, instead of hoping to hit a moment.
//!
//! Only in builds with the feature `killpoints`. `CHANCERY_COMMIT_LOG=FILE` writes a line `NUMBER MOMENT NAME` for each
//! moment reached. `CHANCERY_KILL_AT_COMMIT=NUMBER` aborts at that one, counted from 1; `CHANCERY_KILL_AT_COMMIT=MOMENT
//! NAME TIME` aborts when that write comes to that moment for that time, so that a choice made from the log of one run
//! means the same in another, whatever else the server does in between. Moments before the file named by
//! `CHANCERY_KILL_ARMED` exists are not counted: a test chooses where the story begins.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

static REACHED: Mutex<Option<Reached>> = Mutex::new(None);

/// On which side of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// All statements ran; nothing is kept yet.
    BeforeCommit,
    /// The change is on disk; nobody was told yet.
    AfterCommit,
}

#[derive(Default)]
struct Reached {
    count: u64,
    of_each: HashMap<(String, Moment), u64>,
}

/// Counts a moment, and aborts when it is the chosen one.
pub fn reached(name: &str, moment: Moment) {
    if let Some(armed) = std::env::var_os("CHANCERY_KILL_ARMED")
        && !std::path::Path::new(&armed).exists()
    {
        return;
    }
    let (count, time) = {
        let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = reached.get_or_insert_default();
        reached.count += 1;
        let time = reached
            .of_each
            .entry((name.to_owned(), moment))
            .or_default();
        *time += 1;
        (reached.count, *time)
    };
    if let Some(path) = std::env::var_os("CHANCERY_COMMIT_LOG")
        && let Ok(mut file) = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
        && writeln!(file, "{count} {moment:?} {name}").is_err()
    {
        std::process::abort();
    }
    if let Ok(chosen) = std::env::var("CHANCERY_KILL_AT_COMMIT")
        && is_chosen(&chosen, count, &format!("{moment:?} {name} {time}"))
    {
        std::process::abort();
    }
}

fn is_chosen(chosen: &str, count: u64, this: &str) -> bool {
    chosen.parse() == Ok(count) || chosen == this
}

#[cfg(test)]
mod tests {
    use super::is_chosen;

    #[test]
    fn a_moment_is_chosen_by_its_number_or_by_its_name() {
        assert!(is_chosen("7", 7, "AfterCommit jobs.done 2"));
        assert!(is_chosen(
            "AfterCommit jobs.done 2",
            7,
            "AfterCommit jobs.done 2"
        ));
        for other in [
            "",
            "70",
            "AfterCommit jobs.done 1",
            "BeforeCommit jobs.done 2",
        ] {
            assert!(!is_chosen(other, 7, "AfterCommit jobs.done 2"), "{other}");
        }
    }
}
