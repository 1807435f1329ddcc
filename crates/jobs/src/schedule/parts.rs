//! What schedules are made of.

use crate::ScheduleError;

/// A time of day, UTC. Members beyond a day's end are taken for its last second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl TimeOfDay {
    /// The time of day of a moment in epoch milliseconds; what is less than a second is dropped.
    pub fn of(moment: i64) -> Self {
        let seconds = moment.rem_euclid(crate::DAY_MS) / 1_000;
        let part = |value: i64| u8::try_from(value).expect("a part of a day is below 60");
        Self {
            hour: part(seconds / 3_600),
            minute: part(seconds / 60 % 60),
            second: part(seconds % 60),
        }
    }

    /// Milliseconds since the day began.
    pub fn milliseconds(self) -> i64 {
        let seconds =
            (i64::from(self.hour) * 60 + i64::from(self.minute)) * 60 + i64::from(self.second);
        seconds.min(86_399) * 1_000
    }
}

/// One or more days of the week. Sunday is 0, Saturday 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Weekdays(u8);

impl Weekdays {
    /// All seven.
    pub const ALL: Self = Self(0b111_1111);

    /// These days.
    ///
    /// # Errors
    /// When there are none, or one is above 6.
    pub fn from_days(days: impl IntoIterator<Item = u8>) -> Result<Self, ScheduleError> {
        let mut set = 0;
        for day in days {
            if day > 6 {
                return Err(ScheduleError::Weekdays(day.to_string()));
            }
            set |= 1 << day;
        }
        if set == 0 {
            Err(ScheduleError::Weekdays(String::new()))
        } else {
            Ok(Self(set))
        }
    }

    /// The days, from Sunday on.
    pub fn days(self) -> impl Iterator<Item = u8> {
        (0..7).filter(move |day| self.0 & (1 << day) != 0)
    }

    /// Whether the day is among them.
    pub fn contains(self, day: u8) -> bool {
        day < 7 && self.0 & (1 << day) != 0
    }
}

/// A day of every month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MonthDay {
    /// 1 to 31, or the month's last when it has no such day.
    Day(u8),
    /// The last.
    Last,
}

impl MonthDay {
    /// Which day of a month of `length` days.
    pub(crate) fn in_month(self, length: u8) -> u8 {
        match self {
            Self::Day(day) => day.clamp(1, length),
            Self::Last => length,
        }
    }
}
