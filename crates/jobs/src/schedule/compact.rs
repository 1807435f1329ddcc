//! The compact form in which schedules are kept and sent to agents: `I_15`, `D_09:30`, `W_246_09:30`, `M_L_23:59`,
//! `O_2030-01-02T03:04`. Seconds follow when they are not zero.

use std::fmt::Write;

use time::{Date, Month};

use super::{EPOCH_JULIAN_DAY, MonthDay, Schedule, TimeOfDay, Weekdays};
use crate::{DAY_MS, INTERVAL_MINUTES_MAX, INTERVAL_MINUTES_MIN};

/// What is wrong with a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It has no known form.
    #[error(
        "schedule {0:?}: expected I_<minutes>, D_<time>, W_<days>_<time>, M_<day>_<time> or O_<date>T<time>"
    )]
    Form(String),
    /// The interval cannot be used.
    #[error(
        "schedule interval {0:?}: expected minutes from {INTERVAL_MINUTES_MIN} to {INTERVAL_MINUTES_MAX}"
    )]
    Interval(String),
    /// The time of day cannot be used.
    #[error("schedule time {0:?}: expected HH:mm or HH:mm:ss")]
    Time(String),
    /// The days of the week cannot be used.
    #[error("schedule weekdays {0:?}: expected one or more days of the week")]
    Weekdays(String),
    /// The day of the month cannot be used.
    #[error("schedule day of month {0:?}: expected 1 to 31 or L")]
    MonthDay(String),
    /// The moment cannot be used.
    #[error("schedule moment {0:?}: expected yyyy-MM-ddTHH:mm")]
    Moment(String),
}

impl Schedule {
    /// Reads the compact form. Nothing at all means [`Schedule::Immediate`].
    ///
    /// # Errors
    /// Which part cannot be used, and what was expected.
    pub fn parse_compact(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::Immediate);
        }
        let form = || ScheduleError::Form(text.to_owned());
        let (letter, rest) = text.split_once('_').ok_or_else(form)?;
        match letter {
            "I" => {
                let minutes =
                    number(rest, 1..=6).ok_or_else(|| ScheduleError::Interval(rest.to_owned()))?;
                Self::Interval { minutes }.checked()
            }
            "D" => Ok(Self::Daily {
                time: time_of_day(rest)?,
            }),
            "W" => {
                let (digits, time) = rest.split_once('_').ok_or_else(form)?;
                // 1 is Sunday here and 0 everywhere else.
                let day = |digit: char| match digit.to_digit(10) {
                    Some(day @ 1..=7) => u8::try_from(day - 1).ok(),
                    _ => None,
                };
                let wrong = || ScheduleError::Weekdays(digits.to_owned());
                let days: Vec<u8> = digits
                    .chars()
                    .map(day)
                    .collect::<Option<_>>()
                    .ok_or_else(wrong)?;
                let days = Weekdays::from_days(days).map_err(|_| wrong())?;
                Ok(Self::Weekly {
                    days,
                    time: time_of_day(time)?,
                })
            }
            "M" => {
                let (day, time) = rest.split_once('_').ok_or_else(form)?;
                let wrong = || ScheduleError::MonthDay(day.to_owned());
                let day = match day {
                    "L" => MonthDay::Last,
                    day => MonthDay::Day(number(day, 1..=2).ok_or_else(wrong)?),
                };
                Self::Monthly {
                    day,
                    time: time_of_day(time)?,
                }
                .checked()
            }
            "O" => {
                let at = moment(rest).ok_or_else(|| ScheduleError::Moment(rest.to_owned()))?;
                Ok(Self::ExactlyOnce { at })
            }
            _ => Err(form()),
        }
    }

    /// Writes the compact form; [`Schedule::parse_compact`] reads back the same.
    pub fn compact(&self) -> String {
        match self {
            Self::Immediate => String::new(),
            Self::Interval { minutes } => format!("I_{minutes}"),
            Self::Daily { time } => format!("D_{}", clock(*time)),
            Self::Weekly { days, time } => {
                let digits: String = days.days().map(|day| char::from(b'1' + day)).collect();
                format!("W_{digits}_{}", clock(*time))
            }
            Self::Monthly {
                day: MonthDay::Last,
                time,
            } => format!("M_L_{}", clock(*time)),
            Self::Monthly {
                day: MonthDay::Day(day),
                time,
            } => format!("M_{day}_{}", clock(*time)),
            Self::ExactlyOnce { at } => {
                let day = at.div_euclid(DAY_MS).saturating_add(EPOCH_JULIAN_DAY);
                // What lies beyond the calendar is far in the past or the future; its ends are, too.
                let end = if *at < 0 { Date::MIN } else { Date::MAX };
                let date = i32::try_from(day)
                    .ok()
                    .and_then(|day| Date::from_julian_day(day).ok());
                let date = date
                    .filter(|date| (0..=9_999).contains(&date.year()))
                    .unwrap_or(end);
                let mut text = format!(
                    "O_{:04}-{:02}-{:02}T{}",
                    date.year().clamp(0, 9_999),
                    u8::from(date.month()),
                    date.day(),
                    clock(TimeOfDay::of(*at))
                );
                let milliseconds = at.rem_euclid(1_000);
                if milliseconds != 0 {
                    if TimeOfDay::of(*at).second == 0 {
                        text.push_str(":00");
                    }
                    write!(text, ".{milliseconds:03}").expect("writing to a string does not fail");
                }
                text
            }
        }
    }

    /// The same schedule, when all its members are within their limits; for those that were not read from text.
    ///
    /// # Errors
    /// Which member is not.
    pub fn checked(self) -> Result<Self, ScheduleError> {
        match self {
            Self::Interval { minutes }
                if !(INTERVAL_MINUTES_MIN..=INTERVAL_MINUTES_MAX).contains(&minutes) =>
            {
                Err(ScheduleError::Interval(minutes.to_string()))
            }
            Self::Monthly {
                day: MonthDay::Day(day),
                ..
            } if !(1..=31).contains(&day) => Err(ScheduleError::MonthDay(day.to_string())),
            Self::Daily { time } | Self::Weekly { time, .. } | Self::Monthly { time, .. }
                if time.hour > 23 || time.minute > 59 || time.second > 59 =>
            {
                Err(ScheduleError::Time(clock(time)))
            }
            checked => Ok(checked),
        }
    }
}

fn clock(time: TimeOfDay) -> String {
    let TimeOfDay {
        hour,
        minute,
        second,
    } = time;
    match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

/// A number of that many ASCII digits and nothing else.
fn number<T: std::str::FromStr>(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<T> {
    let plain = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn time_of_day(text: &str) -> Result<TimeOfDay, ScheduleError> {
    let wrong = || ScheduleError::Time(text.to_owned());
    let mut parts = text.split(':');
    let mut part = || {
        parts
            .next()
            .map(|part| number(part, 1..=2).ok_or_else(wrong))
    };
    let hour: u8 = part().ok_or_else(wrong)??;
    let minute: u8 = part().ok_or_else(wrong)??;
    let second: u8 = part().transpose()?.unwrap_or(0);
    if part().is_some() || hour > 23 || minute > 59 || second > 59 {
        return Err(wrong());
    }
    Ok(TimeOfDay {
        hour,
        minute,
        second,
    })
}

/// `yyyy-MM-ddTHH:mm[:ss[.fff]][Z]`, in epoch milliseconds.
fn moment(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z').unwrap_or(text).split_once('T')?;
    let mut parts = date.split('-');
    let year: i32 = number(parts.next()?, 4..=4)?;
    let month: u8 = number(parts.next()?, 2..=2)?;
    let day: u8 = number(parts.next()?, 2..=2)?;
    if parts.next().is_some() {
        return None;
    }
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    let (clock, milliseconds) = match time.split_once('.') {
        None => (time, 0),
        Some((clock, fraction)) => {
            let _: u64 = number(fraction, 1..=9)?;
            let thousandths: String = fraction.chars().chain("00".chars()).take(3).collect();
            (clock, thousandths.parse().ok()?)
        }
    };
    let midnight = (i64::from(date.to_julian_day()) - EPOCH_JULIAN_DAY) * DAY_MS;
    Some(midnight + time_of_day(clock).ok()?.milliseconds() + milliseconds)
}
