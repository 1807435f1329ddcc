//! Any schedule, not only those that somebody thought of.

use jobs::{
    DAY_MS, INTERVAL_MINUTES_MAX, INTERVAL_MINUTES_MIN, MonthDay, Schedule, TimeOfDay, Weekdays,
};
use proptest::prelude::*;

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let time = || {
        (0u8..24, 0u8..60, 0u8..60).prop_map(|(hour, minute, second)| TimeOfDay {
            hour,
            minute,
            second,
        })
    };
    let day = prop_oneof![(1u8..=31).prop_map(MonthDay::Day), Just(MonthDay::Last)];
    let days = proptest::collection::vec(0u8..7, 1..9)
        .prop_map(|days| Weekdays::from_days(days).expect("one day at least"));
    prop_oneof![
        Just(Schedule::Immediate),
        (INTERVAL_MINUTES_MIN..=INTERVAL_MINUTES_MAX)
            .prop_map(|minutes| Schedule::Interval { minutes }),
        time().prop_map(|time| Schedule::Daily { time }),
        (days, time()).prop_map(|(days, time)| Schedule::Weekly { days, time }),
        (day, time()).prop_map(|(day, time)| Schedule::Monthly { day, time }),
        any_moment().prop_map(|at| Schedule::ExactlyOnce { at }),
    ]
}

/// Years 0 to 9999.
fn any_moment() -> std::ops::Range<i64> {
    -62_167_219_200_000..253_402_300_800_000
}

proptest! {
    // No file beside the tests: a failure prints what it failed on.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compact_reads_back(schedule in any_schedule()) {
        prop_assert_eq!(Schedule::parse_compact(&schedule.compact()), Ok(schedule));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,24}|[IDWMO]_[0-9L_:T.Z-]{0,24}") {
        if let Ok(schedule) = Schedule::parse_compact(&text) {
            prop_assert_eq!(Schedule::parse_compact(&schedule.compact()), Ok(schedule));
        }
    }

    #[test]
    fn the_next_time_is_the_first_one_after(schedule in any_schedule(), now in any_moment()) {
        let first = schedule.first_due(now);
        prop_assert!(first >= now);
        let Some(next) = schedule.next_after(now) else { return Ok(()) };
        prop_assert!(next > now);
        match schedule {
            Schedule::Daily { time } => {
                prop_assert!(next - now <= DAY_MS);
                prop_assert_eq!(TimeOfDay::of(next), time);
            }
            Schedule::Weekly { days, time } => {
                prop_assert!(next - now <= 7 * DAY_MS);
                prop_assert_eq!(TimeOfDay::of(next), time);
                let weekday = (next.div_euclid(DAY_MS) + 4).rem_euclid(7);
                prop_assert!(days.contains(u8::try_from(weekday).unwrap()));
            }
            Schedule::Monthly { time, .. } => {
                // From the 28th of February on the 28th to the 31st of March.
                prop_assert!(next - now <= 31 * DAY_MS);
                prop_assert_eq!(TimeOfDay::of(next), time);
            }
            _ => {}
        }
        if first > now {
            prop_assert_eq!(first, next);
        }
    }
}
