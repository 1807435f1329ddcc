//! Times as they stand in signed structures (RFC 5280 §4.1.2.5), read with more tolerance than the profile asks for.

use crate::ber::{Element, GENERALIZED_TIME, UTC_TIME};

/// 9999-12-31T23:59:59Z, RFC 5280's "no well-defined expiration date", in milliseconds since the Unix epoch.
pub(crate) const NO_END: i64 = 253_402_300_799_000;

/// Milliseconds since the Unix epoch; none if it is no time. Seconds may be missing, fractions and offsets are understood, a missing
/// zone is taken for UTC. Two-digit years from 50 are those of the twentieth century.
pub(crate) fn milliseconds(element: &Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content).ok()?.trim();
    if !text.is_ascii() {
        return None;
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let short: i64 = text.get(..2)?.parse().ok()?;
            (
                if short >= 50 { 1900 } else { 2000 } + short,
                &text[2..digits.max(2)],
            )
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, &text[4..digits.max(4)]),
        _ => return None,
    };
    if rest.len() < 6 || rest.len() > 10 || rest.len() % 2 == 1 {
        return None;
    }
    let part = |at: usize| {
        rest.get(at..at + 2)
            .map_or(Some(0), |two| two.parse::<i64>().ok())
    };
    let (month, day) = (part(0)?, part(2)?);
    let (hour, minute, second) = (part(4)?, part(6)?, part(8)?);
    let length = days_of_month(year, month)?;
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let after = &text[digits..];
    let fraction = after.strip_prefix(['.', ',']).map_or(0, |rest| {
        1 + rest.bytes().take_while(u8::is_ascii_digit).count()
    });
    let offset = zone(&after[fraction..])?;
    let days = days_since_epoch(year, month, day);
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60;
    Some(seconds * 1000)
}

/// Minutes east of Greenwich.
fn zone(text: &str) -> Option<i64> {
    if text.is_empty() || text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    if rest.len() != 4 || !rest.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = rest[..2].parse().ok()?;
    let minutes: i64 = rest[2..].parse().ok()?;
    Some(sign * (hours * 60 + minutes))
}

fn days_of_month(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    })
}

/// Days from 1970-01-01 in the Gregorian calendar: years start in March, so that leap days come last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_forms() {
        let at = |tag, text: &str| {
            milliseconds(&Element {
                tag,
                content: text.as_bytes(),
                whole: &[],
            })
        };
        assert_eq!(at(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(at(UTC_TIME, "7001010000Z"), Some(0));
        assert_eq!(at(UTC_TIME, "700101010000+0100"), Some(0));
        assert_eq!(at(UTC_TIME, "491231235959Z"), Some(2_524_607_999_000));
        assert_eq!(
            at(GENERALIZED_TIME, "20500101000000Z"),
            Some(2_524_608_000_000)
        );
        assert_eq!(
            at(GENERALIZED_TIME, "20240229120000.5Z"),
            Some(1_709_208_000_000)
        );
        assert_eq!(at(GENERALIZED_TIME, "99991231235959Z"), Some(NO_END));
        assert_eq!(
            at(GENERALIZED_TIME, "00010101000000Z"),
            Some(-62_135_596_800_000)
        );
        for wrong in [
            "",
            "7",
            "700230000000Z",
            "701301000000Z",
            "700101250000Z",
            "70010100000xZ",
            "700101000000Q",
            "ä0101",
        ] {
            assert_eq!(at(UTC_TIME, wrong), None, "{wrong}");
        }
        assert_eq!(at(GENERALIZED_TIME, "120231231235959Z"), None);
    }
}
