//! Schedules on the wire: an object of which one member counts, or the compact text (command-behaviour.md A.0).

use jobs::{MonthDay, Schedule};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Date;
use super::lenient;
use crate::error::Error;

/// A schedule as it is answered: exactly one member is there.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = KeyfactorSchedule)]
pub(crate) struct ScheduleOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    off: Option<bool>,
    /// At once.
    #[serde(skip_serializing_if = "Option::is_none")]
    immediate: Option<bool>,
    /// Every so many minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<IntervalOutput>,
    /// Every day.
    #[serde(skip_serializing_if = "Option::is_none")]
    daily: Option<TimeOutput>,
    /// On some days of the week.
    #[serde(skip_serializing_if = "Option::is_none")]
    weekly: Option<WeeklyOutput>,
    /// On one day of the month.
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly: Option<MonthlyOutput>,
    /// Once.
    #[serde(skip_serializing_if = "Option::is_none")]
    exactly_once: Option<TimeOutput>,
    /// The compact text; declared by the contract, never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// Declared by the contract, never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_empty: Option<bool>,
}

/// Every so many minutes.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IntervalOutput {
    minutes: u32,
}

/// A time; of a repeating schedule only the time of day counts, and its date is today's.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TimeOutput {
    time: Date,
}

/// Some days of the week, by their English names.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WeeklyOutput {
    days: Vec<&'static str>,
    time: Date,
}

/// A day of the month; in shorter months their last one.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MonthlyOutput {
    day: u8,
    time: Date,
}

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl ScheduleOutput {
    /// The schedule as it is shown on the day of `now`: real servers rebase the date of repeating ones to today.
    pub(crate) fn new(schedule: &Schedule, now: i64) -> Self {
        let today = |time: &jobs::TimeOfDay| {
            Date(now.div_euclid(jobs::DAY_MS) * jobs::DAY_MS + time.milliseconds())
        };
        let mut out = Self::default();
        match schedule {
            Schedule::Immediate => out.immediate = Some(true),
            Schedule::Interval { minutes } => {
                out.interval = Some(IntervalOutput { minutes: *minutes });
            }
            Schedule::Daily { time } => out.daily = Some(TimeOutput { time: today(time) }),
            Schedule::Weekly { days, time } => {
                let days = days
                    .days()
                    .filter_map(|day| WEEKDAYS.get(usize::from(day)).copied())
                    .collect();
                out.weekly = Some(WeeklyOutput {
                    days,
                    time: today(time),
                });
            }
            Schedule::Monthly { day, time } => {
                let day = match day {
                    MonthDay::Last => 31,
                    MonthDay::Day(day) => *day,
                };
                out.monthly = Some(MonthlyOutput {
                    day,
                    time: today(time),
                });
            }
            Schedule::ExactlyOnce { at } => out.exactly_once = Some(TimeOutput { time: Date(*at) }),
        }
        out
    }

    /// The schedule of a stored compact text; `None` stays `None`, and so does text that is none of ours.
    pub(crate) fn of_compact(compact: Option<&str>, now: i64) -> Option<Self> {
        let schedule = Schedule::parse_compact(compact?).ok()?;
        Some(Self::new(&schedule, now))
    }
}

/// A schedule as it is given, before it is checked: an object, a compact text, or nothing.
#[derive(Clone, Debug, Default, ToSchema)]
#[schema(as = KeyfactorScheduleRequest)]
#[schema(value_type = KeyfactorScheduleObject)]
pub(crate) struct ScheduleInput(Value);

/// The object form of a schedule in requests; exactly one member counts.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KeyfactorScheduleObject {
    /// Takes the schedule away.
    #[schema(value_type = Option<bool>)]
    #[expect(dead_code, reason = "counts by being there, whatever its value")]
    off: Option<Value>,
    /// At once.
    immediate: Option<bool>,
    /// Every so many minutes.
    interval: Option<IntervalInput>,
    /// Every day at this time.
    daily: Option<TimeInput>,
    /// On these days, by name or number (0 is Sunday).
    weekly: Option<WeeklyInput>,
    /// On this day of the month.
    monthly: Option<MonthlyInput>,
    /// Once, at this time.
    exactly_once: Option<TimeInput>,
    /// The compact text.
    schedule: Option<String>,
    /// Says nothing that the other members do not.
    #[expect(dead_code, reason = "declared by the contract, read and ignored")]
    is_empty: Option<bool>,
}

/// Every so many minutes.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IntervalInput {
    minutes: u32,
}

/// A time of day, or a moment.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TimeInput {
    time: Date,
}

/// Some days of the week.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WeeklyInput {
    days: Vec<String>,
    time: Date,
}

/// A day of the month.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MonthlyInput {
    #[schema(value_type = i32)]
    day: String,
    time: Date,
}

impl<'de> Deserialize<'de> for ScheduleInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

/// What a given schedule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing: no value, `null`, or an empty object.
    Nothing,
    /// `Off`.
    Off,
    /// A schedule.
    Schedule(Schedule),
}

impl Given {
    /// The schedule, when there is one; `Off` and nothing are none.
    pub(crate) fn schedule(self) -> Option<Schedule> {
        match self {
            Self::Schedule(schedule) => Some(schedule),
            Self::Nothing | Self::Off => None,
        }
    }
}

impl ScheduleInput {
    /// Checks what was given.
    ///
    /// # Errors
    /// 400 when more than one member is set or one cannot be read; `place` names the member that holds the schedule.
    pub(crate) fn check(&self, place: &str) -> Result<Given, Error> {
        match &self.0 {
            Value::Null => Ok(Given::Nothing),
            Value::String(text) if text.trim().eq_ignore_ascii_case("off") => Ok(Given::Off),
            Value::String(text) => compact(text, place),
            Value::Object(map) if map.values().all(Value::is_null) && !has_off(map) => {
                Ok(Given::Nothing)
            }
            Value::Object(map) => {
                let off = has_off(map);
                let object: KeyfactorScheduleObject =
                    lenient::from_value(Value::Object(map.clone()))
                        .map_err(|reason| Error::bad_request(format!("{place}.{reason}.")))?;
                checked(object, off, place)
            }
            _ => Err(Error::bad_request(format!(
                "{place}: expected an object or a text."
            ))),
        }
    }
}

/// `Off` counts with any value, `null` included: the reference documents no type for it. `false` alone means not off.
fn has_off(map: &Map<String, Value>) -> bool {
    map.iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("off") && *value != Value::Bool(false))
}

fn compact(text: &str, place: &str) -> Result<Given, Error> {
    let schedule = Schedule::parse_compact(text)
        .map_err(|error| Error::bad_request(format!("{place}: {error}.")))?;
    Ok(Given::Schedule(schedule))
}

fn checked(object: KeyfactorScheduleObject, off: bool, place: &str) -> Result<Given, Error> {
    let mut given = Vec::new();
    if off {
        given.push(("Off", Given::Off));
    }
    if object.immediate == Some(true) {
        given.push(("Immediate", Given::Schedule(Schedule::Immediate)));
    }
    // The compact text is the one reader of every form, so that both forms have the same rules.
    let clock = |time: Date| {
        let of_day = time.0.rem_euclid(jobs::DAY_MS) / 1_000;
        format!(
            "{:02}:{:02}:{:02}",
            of_day / 3_600,
            of_day / 60 % 60,
            of_day % 60
        )
    };
    if let Some(interval) = object.interval {
        given.push((
            "Interval",
            compact(
                &format!("I_{}", interval.minutes),
                &format!("{place}.Interval"),
            )?,
        ));
    }
    if let Some(daily) = object.daily {
        given.push((
            "Daily",
            compact(
                &format!("D_{}", clock(daily.time)),
                &format!("{place}.Daily"),
            )?,
        ));
    }
    if let Some(weekly) = object.weekly {
        let mut digits = String::new();
        for day in &weekly.days {
            let by_name = WEEKDAYS
                .iter()
                .position(|name| name.eq_ignore_ascii_case(day.trim()));
            let number = by_name.or_else(|| day.trim().parse().ok().filter(|number| *number < 7));
            let number = number.ok_or_else(|| {
                Error::bad_request(format!("{place}.Weekly.Days: {day:?} is no day."))
            })?;
            digits.push_str(&(number + 1).to_string());
        }
        given.push((
            "Weekly",
            compact(
                &format!("W_{digits}_{}", clock(weekly.time)),
                &format!("{place}.Weekly"),
            )?,
        ));
    }
    if let Some(monthly) = object.monthly {
        let text = format!("M_{}_{}", monthly.day, clock(monthly.time));
        given.push(("Monthly", compact(&text, &format!("{place}.Monthly"))?));
    }
    if let Some(once) = object.exactly_once {
        given.push((
            "ExactlyOnce",
            Given::Schedule(Schedule::ExactlyOnce { at: once.time.0 }),
        ));
    }
    // The text says the same as the object in what exported schedules hold, so it counts only where it stands alone.
    if let Some(text) = object
        .schedule
        .filter(|text| given.is_empty() && !text.trim().is_empty())
    {
        given.push(("Schedule", compact(&text, &format!("{place}.Schedule"))?));
    }
    match given.as_slice() {
        [] => Ok(Given::Nothing),
        [(_, one)] => Ok(*one),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            Err(Error::bad_request(format!(
                "{place}: only one of {} can be given.",
                names.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Given, String> {
        let value = lenient::parse(json.as_bytes()).unwrap();
        let input: ScheduleInput = lenient::from_value(value).unwrap();
        input.check("Schedule").map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_and_its_compact_twin() {
        for (object, compact) in [
            (r#"{"Immediate":true}"#, r#""""#),
            (r#"{"interval":{"minutes":"15"}}"#, r#""I_15""#),
            (
                r#"{"Daily":{"Time":"2023-11-25T23:30:00Z"}}"#,
                r#""D_23:30""#,
            ),
            (
                r#"{"Weekly":{"Days":["Monday",4],"Time":"2023-11-25T09:30:00Z"}}"#,
                r#""W_25_09:30""#,
            ),
            (
                r#"{"Monthly":{"Day":31,"Time":"2023-11-25T08:00:00Z"}}"#,
                r#""M_31_08:00""#,
            ),
            (
                r#"{"ExactlyOnce":{"Time":"2030-01-02T03:04:00Z"}}"#,
                r#""O_2030-01-02T03:04""#,
            ),
        ] {
            assert_eq!(check(object).unwrap(), check(compact).unwrap(), "{object}");
        }
    }

    #[test]
    fn off_nothing_and_mistakes() {
        assert_eq!(check(r#"{"Off":null}"#), Ok(Given::Off));
        assert_eq!(check(r#"{"Off":true}"#), Ok(Given::Off));
        assert_eq!(check("{}"), Ok(Given::Nothing));
        assert_eq!(check("null"), Ok(Given::Nothing));
        assert!(
            check(r#"{"Immediate":true,"Interval":{"Minutes":5}}"#)
                .unwrap_err()
                .contains("Immediate, Interval")
        );
        assert!(
            check(r#"{"Interval":{"Minutes":0}}"#)
                .unwrap_err()
                .contains("Schedule.Interval")
        );
        assert!(
            check(r#"{"Interval":{"Minutes":"x"}}"#)
                .unwrap_err()
                .contains("Interval.Minutes")
        );
        assert!(check("7").is_err());
    }
}
