//! When a job runs: the calendar. All times are UTC.

mod compact;
mod parts;

use time::{Date, Month};

pub use compact::ScheduleError;
pub use parts::{MonthDay, TimeOfDay, Weekdays};

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;
/// The shortest interval, in minutes.
pub const INTERVAL_MINUTES_MIN: u32 = 1;
/// The longest interval, in minutes: 365 days.
pub const INTERVAL_MINUTES_MAX: u32 = 525_600;

/// The Julian day on which the epoch began.
const EPOCH_JULIAN_DAY: i64 = 2_440_588;
/// The epoch began on a Thursday; Sunday is 0.
const EPOCH_WEEKDAY: i64 = 4;

/// When a job runs (agent protocol, schedule strings; Command's `KeyfactorSchedule`). `Off` is the absence of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// Now, once.
    Immediate,
    /// Now, and so many minutes after each time it is finished.
    Interval {
        /// [`INTERVAL_MINUTES_MIN`] to [`INTERVAL_MINUTES_MAX`]; what lies outside is taken for the nearer of the two.
        minutes: u32,
    },
    /// Every day.
    Daily {
        /// At this time.
        time: TimeOfDay,
    },
    /// On some days of every week.
    Weekly {
        /// On these days.
        days: Weekdays,
        /// At this time.
        time: TimeOfDay,
    },
    /// Every month.
    Monthly {
        /// On this day; on the month's last when it has no such day.
        day: MonthDay,
        /// At this time.
        time: TimeOfDay,
    },
    /// Once, at this time or, when that has passed, now.
    ExactlyOnce {
        /// Epoch milliseconds.
        at: i64,
    },
}

impl Schedule {
    /// Whether there is a next time after each.
    pub fn repeats(&self) -> bool {
        !matches!(self, Self::Immediate | Self::ExactlyOnce { .. })
    }

    /// When a job that gets this schedule at `now` runs first, epoch milliseconds, never before `now`. A time of day that
    /// is just now counts.
    pub fn first_due(&self, now: i64) -> i64 {
        match self {
            Self::Immediate | Self::Interval { .. } => now,
            Self::ExactlyOnce { at } => now.max(*at),
            // Only a time beyond the calendar has no successor, and then it is never due.
            _ => self.at_or_after(now).unwrap_or(i64::MAX),
        }
    }

    /// When a job that is finished at `now` runs again, epoch milliseconds, always after `now`. `None` when it does not
    /// repeat, and beyond the year 9999.
    pub fn next_after(&self, now: i64) -> Option<i64> {
        match self {
            Self::Immediate | Self::ExactlyOnce { .. } => None,
            Self::Interval { minutes } => {
                let minutes = (*minutes).clamp(INTERVAL_MINUTES_MIN, INTERVAL_MINUTES_MAX);
                now.checked_add(i64::from(minutes) * 60_000)
            }
            _ => self.at_or_after(now.checked_add(1)?),
        }
    }

    /// The first time of a calendar schedule at or after `moment`.
    fn at_or_after(&self, moment: i64) -> Option<i64> {
        let today = moment.div_euclid(DAY_MS);
        let at = |day: i64, time: &TimeOfDay| {
            let at = day.checked_mul(DAY_MS)?.checked_add(time.milliseconds())?;
            (at >= moment).then_some(at)
        };
        match self {
            Self::Immediate | Self::Interval { .. } | Self::ExactlyOnce { .. } => None,
            Self::Daily { time } => at(today, time).or_else(|| at(today + 1, time)),
            Self::Weekly { days, time } => (today..=today + 7)
                .filter(|day| {
                    days.days()
                        .any(|of| i64::from(of) == (day + EPOCH_WEEKDAY).rem_euclid(7))
                })
                .find_map(|day| at(day, time)),
            Self::Monthly { day, time } => {
                let julian = i32::try_from(today.checked_add(EPOCH_JULIAN_DAY)?).ok()?;
                let date = Date::from_julian_day(julian).ok()?;
                let this = (date.year(), date.month());
                let next = match this {
                    (year, Month::December) => (year + 1, Month::January),
                    (year, month) => (year, month.next()),
                };
                [this, next].into_iter().find_map(|(year, month)| {
                    let day = day.in_month(month.length(year));
                    let date = Date::from_calendar_date(year, month, day).ok()?;
                    at(i64::from(date.to_julian_day()) - EPOCH_JULIAN_DAY, time)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
