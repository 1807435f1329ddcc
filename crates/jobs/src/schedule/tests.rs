//! The calendar, and the compact form.

use super::*;

/// Epoch milliseconds of `yyyy-MM-ddTHH:mm[:ss]`.
fn ms(text: &str) -> i64 {
    match Schedule::parse_compact(&format!("O_{text}")) {
        Ok(Schedule::ExactlyOnce { at }) => at,
        other => panic!("{text}: {other:?}"),
    }
}

fn next(schedule: &str, now: &str) -> String {
    let schedule = Schedule::parse_compact(schedule).unwrap();
    let at = schedule.next_after(ms(now)).expect("there is a next time");
    Schedule::ExactlyOnce { at }.compact()[2..].to_owned()
}

fn first(schedule: &str, now: &str) -> String {
    let at = Schedule::parse_compact(schedule)
        .unwrap()
        .first_due(ms(now));
    Schedule::ExactlyOnce { at }.compact()[2..].to_owned()
}

#[test]
fn known_moments() {
    assert_eq!(ms("1970-01-01T00:00"), 0);
    assert_eq!(ms("2030-01-02T03:04:05Z"), 1_893_553_445_000);
    assert_eq!(ms("2000-02-29T12:00"), 951_825_600_000);
    assert_eq!(ms("2030-01-02T03:04:05.25Z"), 1_893_553_445_250);
    assert_eq!(ms("1969-12-31T23:59:59"), -1_000);
}

#[test]
fn the_documented_forms() {
    let time = |hour, minute| TimeOfDay {
        hour,
        minute,
        second: 0,
    };
    let cases = [
        ("", Schedule::Immediate),
        ("I_15", Schedule::Interval { minutes: 15 }),
        ("I_525600", Schedule::Interval { minutes: 525_600 }),
        ("D_23:30", Schedule::Daily { time: time(23, 30) }),
        (
            "W_246_09:30",
            Schedule::Weekly {
                days: Weekdays::from_days([1, 3, 5]).unwrap(),
                time: time(9, 30),
            },
        ),
        (
            "W_1234567_00:00",
            Schedule::Weekly {
                days: Weekdays::ALL,
                time: time(0, 0),
            },
        ),
        (
            "M_15_08:00",
            Schedule::Monthly {
                day: MonthDay::Day(15),
                time: time(8, 0),
            },
        ),
        (
            "M_L_23:59",
            Schedule::Monthly {
                day: MonthDay::Last,
                time: time(23, 59),
            },
        ),
        (
            "O_2030-01-02T03:04",
            Schedule::ExactlyOnce {
                at: 1_893_553_440_000,
            },
        ),
        (
            "O_2030-01-02T03:04:05",
            Schedule::ExactlyOnce {
                at: 1_893_553_445_000,
            },
        ),
    ];
    for (text, schedule) in cases {
        assert_eq!(Schedule::parse_compact(text), Ok(schedule), "{text}");
        assert_eq!(schedule.compact(), text);
        assert_eq!(schedule.checked(), Ok(schedule));
    }
    assert_eq!(
        Schedule::parse_compact("D_9:05:07").unwrap().compact(),
        "D_09:05:07"
    );
    assert_eq!(
        Schedule::parse_compact("W_642_09:30").unwrap().compact(),
        "W_246_09:30"
    );
    assert_eq!(
        Schedule::parse_compact(" O_2030-01-02T03:04:05Z ")
            .unwrap()
            .compact(),
        "O_2030-01-02T03:04:05"
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    use ScheduleError as E;
    type Make = fn(String) -> ScheduleError;
    let cases: &[(&str, Make, &str)] = &[
        ("N_", E::Form, "N_"),
        ("x", E::Form, "x"),
        ("i_5", E::Form, "i_5"),
        ("W_09:30", E::Form, "W_09:30"),
        ("M_09:30", E::Form, "M_09:30"),
        ("I_0", E::Interval, "0"),
        ("I_", E::Interval, ""),
        ("I_-1", E::Interval, "-1"),
        ("I_525601", E::Interval, "525601"),
        ("I_99999999999", E::Interval, "99999999999"),
        ("D_24:00", E::Time, "24:00"),
        ("D_12:60", E::Time, "12:60"),
        ("D_12", E::Time, "12"),
        ("D_12:00:60", E::Time, "12:00:60"),
        ("D_12:00:00:00", E::Time, "12:00:00:00"),
        ("D_+1:00", E::Time, "+1:00"),
        ("D_", E::Time, ""),
        ("W_0_09:30", E::Weekdays, "0"),
        ("W_8_09:30", E::Weekdays, "8"),
        ("W__09:30", E::Weekdays, ""),
        ("W_MO_09:30", E::Weekdays, "MO"),
        ("M_0_08:00", E::MonthDay, "0"),
        ("M_32_08:00", E::MonthDay, "32"),
        ("M_l_08:00", E::MonthDay, "l"),
        ("M_300_08:00", E::MonthDay, "300"),
        ("O_2030-02-29T00:00", E::Moment, "2030-02-29T00:00"),
        ("O_2030-13-01T00:00", E::Moment, "2030-13-01T00:00"),
        ("O_2030-01-02", E::Moment, "2030-01-02"),
        (
            "O_2030-01-02T03:04+01:00",
            E::Moment,
            "2030-01-02T03:04+01:00",
        ),
        ("O_2030-01-02T03:04:05.", E::Moment, "2030-01-02T03:04:05."),
    ];
    for (text, error, place) in cases {
        assert_eq!(
            Schedule::parse_compact(text),
            Err(error((*place).to_owned())),
            "{text}"
        );
    }
    assert!(Weekdays::from_days([]).is_err());
    assert!(Weekdays::from_days([7]).is_err());
    let beyond = TimeOfDay {
        hour: 25,
        minute: 0,
        second: 0,
    };
    assert!(Schedule::Daily { time: beyond }.checked().is_err());
    assert!(Schedule::Interval { minutes: 0 }.checked().is_err());
}

#[test]
fn once() {
    let now = ms("2026-05-01T12:00");
    assert_eq!(Schedule::Immediate.first_due(now), now);
    assert_eq!(Schedule::Immediate.next_after(now), None);
    assert_eq!(Schedule::ExactlyOnce { at: now - 5 }.first_due(now), now);
    assert_eq!(
        Schedule::ExactlyOnce { at: now + 5 }.first_due(now),
        now + 5
    );
    assert_eq!(Schedule::ExactlyOnce { at: now + 5 }.next_after(now), None);
    assert!(!Schedule::Immediate.repeats());
    assert!(!Schedule::ExactlyOnce { at: 0 }.repeats());
}

#[test]
fn every_so_often() {
    assert_eq!(first("I_15", "2026-05-01T12:00"), "2026-05-01T12:00");
    assert_eq!(next("I_15", "2026-05-01T12:00"), "2026-05-01T12:15");
    assert_eq!(next("I_1440", "2028-02-28T12:00"), "2028-02-29T12:00");
    // Members out of their limits neither panic nor repeat without pause.
    assert_eq!(
        Schedule::Interval { minutes: 0 }.next_after(0),
        Some(60_000)
    );
    assert_eq!(
        Schedule::Interval { minutes: u32::MAX }.next_after(0),
        Some(365 * DAY_MS)
    );
    assert_eq!(Schedule::Interval { minutes: 1 }.next_after(i64::MAX), None);
}

#[test]
fn every_day() {
    assert_eq!(first("D_23:30", "2026-05-01T12:00"), "2026-05-01T23:30");
    assert_eq!(first("D_23:30", "2026-05-01T23:30"), "2026-05-01T23:30");
    assert_eq!(next("D_23:30", "2026-05-01T23:30"), "2026-05-02T23:30");
    assert_eq!(first("D_23:30", "2026-12-31T23:30:01"), "2027-01-01T23:30");
    assert_eq!(next("D_00:00", "2028-02-28T00:00"), "2028-02-29T00:00");
    assert_eq!(next("D_00:00", "2027-02-28T00:00"), "2027-03-01T00:00");
    assert_eq!(
        next("D_23:59:59", "1969-12-30T23:59:59"),
        "1969-12-31T23:59:59"
    );
}

#[test]
fn every_week() {
    // 3 May 2026 is a Sunday.
    assert_eq!(first("W_1_09:30", "2026-05-01T12:00"), "2026-05-03T09:30");
    assert_eq!(first("W_1_09:30", "2026-05-03T09:30"), "2026-05-03T09:30");
    assert_eq!(next("W_1_09:30", "2026-05-03T09:30"), "2026-05-10T09:30");
    assert_eq!(next("W_246_09:30", "2026-05-03T09:30"), "2026-05-04T09:30");
    assert_eq!(next("W_246_09:30", "2026-05-04T09:30"), "2026-05-06T09:30");
    assert_eq!(next("W_246_09:30", "2026-05-08T10:00"), "2026-05-11T09:30");
    assert_eq!(next("W_7_00:00", "2026-12-31T00:00"), "2027-01-02T00:00");
    assert_eq!(
        next("W_5_00:00", "1969-12-31T23:00"),
        "1970-01-01T00:00",
        "a Thursday"
    );
}

#[test]
fn every_month() {
    assert_eq!(first("M_15_08:00", "2026-05-15T08:00"), "2026-05-15T08:00");
    assert_eq!(next("M_15_08:00", "2026-05-15T08:00"), "2026-06-15T08:00");
    assert_eq!(next("M_15_08:00", "2026-12-15T08:00"), "2027-01-15T08:00");
    assert_eq!(next("M_1_00:00", "2026-01-31T23:59"), "2026-02-01T00:00");
    assert_eq!(next("M_31_08:00", "2026-01-31T08:00"), "2026-02-28T08:00");
    assert_eq!(next("M_31_08:00", "2026-02-28T08:00"), "2026-03-31T08:00");
    assert_eq!(next("M_31_08:00", "2026-03-31T08:00"), "2026-04-30T08:00");
    assert_eq!(next("M_30_08:00", "2028-01-30T08:00"), "2028-02-29T08:00");
}

#[test]
fn leap_years() {
    for (january, february) in [
        ("2026", "28"),
        ("2028", "29"),
        ("2000", "29"),
        ("2100", "28"),
        ("2400", "29"),
    ] {
        let expected = format!("{january}-02-{february}T23:59");
        assert_eq!(
            next("M_L_23:59", &format!("{january}-01-31T23:59")),
            expected
        );
        assert_eq!(
            next("M_29_23:59", &format!("{january}-01-29T23:59")),
            expected
        );
    }
    assert_eq!(next("M_29_00:00", "2027-02-28T00:00"), "2027-03-29T00:00");
}

#[test]
fn the_end_of_the_calendar() {
    let end = ms("9999-12-31T23:59:59");
    assert_eq!(
        Schedule::parse_compact("M_L_00:00")
            .unwrap()
            .next_after(end),
        None
    );
    for text in ["D_12:00", "W_3_12:00", "M_31_12:00"] {
        let schedule = Schedule::parse_compact(text).unwrap();
        for now in [i64::MIN, i64::MIN + 1, end, i64::MAX - 1, i64::MAX] {
            assert!(schedule.first_due(now) >= now);
            assert!(schedule.next_after(now).is_none_or(|next| next > now));
        }
    }
    assert_eq!(
        Schedule::ExactlyOnce { at: i64::MAX }.compact()[..12],
        *"O_9999-12-31"
    );
    assert_eq!(
        Schedule::ExactlyOnce { at: i64::MIN }.compact()[..6],
        *"O_0000"
    );
}
