//! Dates as they stand in queries: the forms that clients send, and tokens relative to today.

use time::{Date, Month};

const MS_PER_DAY: i64 = 86_400_000;
const UNIX_EPOCH_JULIAN_DAY: i32 = 2_440_588;

/// A point in time in milliseconds since the Unix epoch, or `None` when the text is no date.
///
/// `now_ms` is the present, in the same unit; `%TODAY%` is the beginning of its UTC day.
///
/// Accepted, blanks around left out:
///
/// * ISO 8601: `2024-01-31`, `2024-01-31T10:00`, `2024-01-31T10:00:00.1234567Z` with up to nine
///   fraction digits (cut to milliseconds), a blank for the `T`, offsets `+02:00`, `+0200`, `+02`.
///   Without a zone it is UTC.
/// * `M/d/yyyy`, `M/d/yyyy h:mm`, `M/d/yyyy h:mm:ss PM`, UTC.
/// * `/Date(1706695200000)/` of PowerShell 5, with escaped slashes too.
/// * `%TODAY%`, `%TODAY-7%`, `%TODAY+30%` (days).
#[must_use]
pub fn parse(text: &str, now_ms: i64) -> Option<i64> {
    let text = text.trim();
    let mut scanner = Scanner { rest: text };
    let found = if text.starts_with('%') {
        today(&mut scanner, now_ms)
    } else if text.starts_with(['/', '\\']) {
        powershell(&mut scanner)
    } else if text.get(..5)?.contains('/') {
        american(&mut scanner)
    } else {
        iso(&mut scanner)
    };
    found.filter(|_| scanner.rest.is_empty())
}

fn today(scanner: &mut Scanner<'_>, now_ms: i64) -> Option<i64> {
    scanner.eat("%TODAY").then_some(())?;
    scanner.skip_blanks();
    let sign = scanner.sign();
    let days = match sign {
        Some(sign) => {
            scanner.skip_blanks();
            sign * scanner.number(1, 6)?
        }
        None => 0,
    };
    scanner.skip_blanks();
    scanner.eat("%").then_some(())?;
    (now_ms.div_euclid(MS_PER_DAY) + days).checked_mul(MS_PER_DAY)
}

fn powershell(scanner: &mut Scanner<'_>) -> Option<i64> {
    scanner.eat("\\");
    scanner.eat("/Date(").then_some(())?;
    let sign = scanner.sign().unwrap_or(1);
    let ms = sign * scanner.number(1, 17)?;
    // An offset may follow; the number counts from the UTC epoch all the same.
    if scanner.sign().is_some() {
        scanner.number(4, 4)?;
    }
    scanner.eat(")").then_some(())?;
    scanner.eat("\\");
    scanner.eat("/").then_some(ms)
}

fn american(scanner: &mut Scanner<'_>) -> Option<i64> {
    let month = scanner.number(1, 2)?;
    scanner.eat("/").then_some(())?;
    let day = scanner.number(1, 2)?;
    scanner.eat("/").then_some(())?;
    let date_ms = day_ms(scanner.number(4, 4)?, month, day)?;
    if scanner.rest.is_empty() {
        return Some(date_ms);
    }
    scanner.skip_blanks();
    let mut hour = scanner.number(1, 2)?;
    let time_ms = minutes_and_seconds_ms(scanner)?;
    scanner.skip_blanks();
    let is_afternoon = scanner.eat("PM");
    if is_afternoon || scanner.eat("AM") {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if is_afternoon { 12 } else { 0 };
    }
    Some(date_ms + hour_ms(hour)? + time_ms)
}

fn iso(scanner: &mut Scanner<'_>) -> Option<i64> {
    let year = scanner.number(4, 4)?;
    scanner.eat("-").then_some(())?;
    let month = scanner.number(2, 2)?;
    scanner.eat("-").then_some(())?;
    let date_ms = day_ms(year, month, scanner.number(2, 2)?)?;
    if scanner.rest.is_empty() {
        return Some(date_ms);
    }
    if !scanner.eat("T") {
        scanner
            .rest
            .starts_with(char::is_whitespace)
            .then_some(())?;
        scanner.skip_blanks();
    }
    let local_ms = date_ms + hour_ms(scanner.number(2, 2)?)? + minutes_and_seconds_ms(scanner)?;
    scanner.skip_blanks();
    Some(local_ms - offset_ms(scanner)?)
}

/// `:mm`, then `:ss` and a fraction if they are there.
fn minutes_and_seconds_ms(scanner: &mut Scanner<'_>) -> Option<i64> {
    scanner.eat(":").then_some(())?;
    let minute = scanner.number(2, 2).filter(|minute| *minute < 60)?;
    let mut ms = minute * 60_000;
    if scanner.eat(":") {
        ms += scanner.number(2, 2).filter(|second| *second < 60)? * 1_000;
        if scanner.eat(".") || scanner.eat(",") {
            let digits = scanner.digits(1, 9)?;
            // Three digits, whether there are fewer or more.
            ms += format!("{digits:0<3}")[..3].parse::<i64>().ok()?;
        }
    }
    Some(ms)
}

/// None of these is UTC.
fn offset_ms(scanner: &mut Scanner<'_>) -> Option<i64> {
    if scanner.rest.is_empty() || scanner.eat("Z") {
        return Some(0);
    }
    let sign = scanner.sign()?;
    let hours = scanner.number(2, 2).filter(|hours| *hours <= 18)?;
    let minutes = if scanner.eat(":") || !scanner.rest.is_empty() {
        scanner.number(2, 2).filter(|minutes| *minutes < 60)?
    } else {
        0
    };
    Some(sign * (hours * 60 + minutes) * 60_000)
}

fn hour_ms(hour: i64) -> Option<i64> {
    (hour < 24).then_some(hour * 3_600_000)
}

fn day_ms(year: i64, month: i64, day: i64) -> Option<i64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date =
        Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    Some(i64::from(date.to_julian_day() - UNIX_EPOCH_JULIAN_DAY) * MS_PER_DAY)
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Steps over the word, in any case, if it comes next.
    fn eat(&mut self, word: &str) -> bool {
        match self.rest.get(..word.len()) {
            Some(start) if start.eq_ignore_ascii_case(word) => {
                self.rest = &self.rest[word.len()..];
                true
            }
            _ => false,
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn sign(&mut self) -> Option<i64> {
        if self.eat("+") {
            Some(1)
        } else {
            self.eat("-").then_some(-1)
        }
    }

    /// All digits that come next, if there are `min` to `max` of them.
    fn digits(&mut self, min: usize, max: usize) -> Option<&'a str> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(min..=max).contains(&length) {
            // `+0200` is four digits without anything in between.
            return (min == max && length > max).then(|| self.take(max));
        }
        Some(self.take(length))
    }

    fn number(&mut self, min: usize, max: usize) -> Option<i64> {
        self.digits(min, max)?.parse().ok()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2024-01-31T10:00:00Z
    const TEN_O_CLOCK: i64 = 1_706_695_200_000;
    const MIDNIGHT: i64 = TEN_O_CLOCK - 10 * 3_600_000;

    #[test]
    fn dates() {
        for (text, expected) in [
            ("2024-01-31", Some(MIDNIGHT)),
            (" 2024-01-31T10:00:00Z ", Some(TEN_O_CLOCK)),
            ("2024-01-31t10:00:00z", Some(TEN_O_CLOCK)),
            ("2024-01-31T10:00", Some(TEN_O_CLOCK)),
            ("2024-01-31T10:00:00", Some(TEN_O_CLOCK)),
            ("2024-01-31 10:00:00Z", Some(TEN_O_CLOCK)),
            ("2024-01-31 10:00:00 +00:00", Some(TEN_O_CLOCK)),
            ("2024-01-31T12:00:00+02:00", Some(TEN_O_CLOCK)),
            ("2024-01-31T12:00:00+0200", Some(TEN_O_CLOCK)),
            ("2024-01-31T12:00:00+02", Some(TEN_O_CLOCK)),
            ("2024-01-31T04:30:00-05:30", Some(TEN_O_CLOCK)),
            ("2024-01-31T10:00:00.1Z", Some(TEN_O_CLOCK + 100)),
            ("2024-01-31T10:00:00.1239999Z", Some(TEN_O_CLOCK + 123)),
            (
                "2024-01-31T10:00:00.123456789+00:00",
                Some(TEN_O_CLOCK + 123),
            ),
            ("2024-01-31T10:00:00.1234567890Z", None),
            ("2024-01-31T10:00:00.Z", None),
            ("1/31/2024", Some(MIDNIGHT)),
            ("01/31/2024", Some(MIDNIGHT)),
            ("1/31/2024 10:00", Some(TEN_O_CLOCK)),
            ("1/31/2024 10:00:00 AM", Some(TEN_O_CLOCK)),
            ("1/31/2024 10:00:00 pm", Some(TEN_O_CLOCK + 12 * 3_600_000)),
            ("1/31/2024 12:00 AM", Some(MIDNIGHT)),
            ("1/31/2024 12:00 PM", Some(TEN_O_CLOCK + 2 * 3_600_000)),
            ("1/31/2024 13:00 PM", None),
            ("1/31/2024 0:00 AM", None),
            ("31/1/2024", None),
            ("1/31/24", None),
            ("/Date(1706695200000)/", Some(TEN_O_CLOCK)),
            ("\\/Date(1706695200000)\\/", Some(TEN_O_CLOCK)),
            ("/Date(1706695200000+0100)/", Some(TEN_O_CLOCK)),
            ("/Date(-1)/", Some(-1)),
            ("/Date()/", None),
            ("%TODAY%", Some(MIDNIGHT)),
            ("%today-7%", Some(MIDNIGHT - 7 * MS_PER_DAY)),
            ("%TODAY+30%", Some(MIDNIGHT + 30 * MS_PER_DAY)),
            ("%TODAY - 7 %", Some(MIDNIGHT - 7 * MS_PER_DAY)),
            ("%TODAY+%", None),
            ("%TODAY-1234567%", None),
            ("%TODAY", None),
            ("%ME%", None),
            ("2024-02-30", None),
            ("2024-13-01", None),
            ("2024-01-31T24:00:00Z", None),
            ("2024-01-31T10:60:00Z", None),
            ("2024-01-31T10", None),
            ("2024-01-31X", None),
            ("2024-01-31T10:00:00Zulu", None),
            ("2024-1-31", None),
            ("20240131", None),
            ("12024-01-31", None),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("", None),
            ("NULL", None),
        ] {
            assert_eq!(parse(text, TEN_O_CLOCK), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}", now in any::<i64>()) {
            let _ = parse(&text, now);
        }

        #[test]
        fn never_panics_near_dates(text in r"[-0-9/:TZ+ .%()DateODAYPM\\]{0,40}", now in any::<i64>()) {
            let _ = parse(&text, now);
        }
    }
}
