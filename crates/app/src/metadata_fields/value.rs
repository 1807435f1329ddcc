//! Values and their fields: what fits, what is the same, and the number a value stands for.

use db::tables::metadata_fields::Model;

/// `DataType` of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 1, 6 and 8: any text.
    Text,
    /// 2: an integer of 64 bits.
    Integer,
    /// 3: a date, with a time or without.
    Date,
    /// 4: true or false.
    Boolean,
    /// 5: one of the field's options.
    Choice,
    /// 7: e-mail addresses.
    Email,
}

/// The kind with this number; a number that is none is a text.
pub(crate) fn kind(data_type: i32) -> Kind {
    match data_type {
        2 => Kind::Integer,
        3 => Kind::Date,
        4 => Kind::Boolean,
        5 => Kind::Choice,
        7 => Kind::Email,
        _ => Kind::Text,
    }
}

/// Whether a value is none: setting it clears the field.
pub(crate) fn is_blank(value: &str) -> bool {
    value.trim().is_empty()
}

/// The options of a choice.
pub(crate) fn options(field: &Model) -> impl Iterator<Item = &str> {
    let options = field.options.as_deref().unwrap_or_default();
    options
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty())
}

/// The field's expression, ready to be applied; `None` when it has none.
///
/// # Errors
/// What is wrong with the expression.
pub(super) fn expression(field: &Model) -> Result<Option<regex::Regex>, String> {
    let Some(text) = field.validation.as_deref().filter(|text| !is_blank(text)) else {
        return Ok(None);
    };
    let cased = if field.case_sensitive {
        text.to_owned()
    } else {
        format!("(?i){text}")
    };
    crate::templates::compile(&cased).map(Some)
}

/// Whether a value fits its field. A blank one always does.
///
/// # Errors
/// What the value is not, to be put behind the field's name.
pub(super) fn fits(field: &Model, value: &str) -> Result<(), String> {
    if is_blank(value) {
        return Ok(());
    }
    let shown: String = value.chars().take(100).collect();
    match kind(field.data_type) {
        Kind::Integer if integer(value).is_none() => Err(format!("{shown:?} is not an integer")),
        Kind::Date if date(value).is_none() => Err(format!("{shown:?} is not a date")),
        Kind::Boolean if boolean(value).is_none() => {
            Err(format!("{shown:?} is neither true nor false"))
        }
        Kind::Choice
            if !options(field).any(|option| {
                let value = value.trim();
                value == option || !field.case_sensitive && db::fold(value) == db::fold(option)
            }) =>
        {
            let options: Vec<&str> = options(field).take(50).collect();
            Err(format!("{shown:?} is none of {}", options.join(", ")))
        }
        Kind::Email if !value.split([';', ',']).all(is_address) => Err(format!(
            "{shown:?} is not an e-mail address, nor several with semicolons between them"
        )),
        _ => Ok(()),
    }?;
    match expression(field)? {
        Some(expression) if !expression.is_match(value) => {
            let message = field.message.as_deref().map(str::trim).unwrap_or_default();
            Err(match message {
                "" => format!("{shown:?} does not match {}", expression.as_str()),
                message => message.trim_end_matches('.').to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// Whether two values of a field are the same: as numbers, dates and truths, otherwise letter by letter.
pub(crate) fn same(field: &Model, one: &str, other: &str) -> bool {
    if is_blank(one) || is_blank(other) {
        return is_blank(one) && is_blank(other);
    }
    let read = match kind(field.data_type) {
        Kind::Integer => integer,
        Kind::Date => date,
        Kind::Boolean => |value: &str| boolean(value).map(i64::from),
        _ => |_: &str| None,
    };
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The number that a value is found by: integers as they are, dates in epoch milliseconds, true and false as 1 and 0.
pub(crate) fn number(value: &str) -> Option<i64> {
    integer(value)
        .or_else(|| boolean(value).map(i64::from))
        .or_else(|| date(value))
}

fn integer(value: &str) -> Option<i64> {
    value.trim().parse().ok()
}

fn boolean(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// The forms of queries without those that move with the day.
fn date(value: &str) -> Option<i64> {
    let value = value.trim();
    search::dates::parse(value, 0).filter(|_| !value.starts_with('%'))
}

/// What a mail server could be asked for: one `@`, something before it, and names with dots behind it.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.trim().rsplit_once('@') else {
        return false;
    };
    let label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    (1..=64).contains(&local.len())
        && !local.contains(|letter: char| letter.is_whitespace() || "@<>()[]\\\"".contains(letter))
        && domain.len() <= 255
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(data_type: i32) -> Model {
        Model {
            id: 1,
            name: "Field".into(),
            name_fold: "field".into(),
            description: String::new(),
            data_type,
            hint: None,
            validation: None,
            enrollment: 0,
            message: None,
            options: Some("Red, Green,,Blue ".into()),
            default_value: None,
            allow_api: true,
            explicit_update: false,
            display_order: 1,
            case_sensitive: true,
        }
    }

    #[test]
    fn every_type_takes_its_own() {
        for (data_type, good, bad) in [
            (1, vec!["anything", "-1", "a\nb"], vec![]),
            (
                2,
                vec!["0", "-7", " 42 ", "9223372036854775807"],
                vec!["1.5", "x", "9223372036854775808", "0x10"],
            ),
            (
                3,
                vec![
                    "2026-01-31",
                    "1/31/2026 10:00:00 AM",
                    "2026-01-31T10:00:00Z",
                ],
                vec!["31.1.2026", "%TODAY%", "2026-02-30", "soon"],
            ),
            (4, vec!["true", "False", "1", "0"], vec!["yes", "2"]),
            (5, vec!["Red", " Blue "], vec!["red", "Red,Green", "Yellow"]),
            (6, vec!["long"], vec![]),
            (
                7,
                vec!["a@b.example", "a@b.example; c@d.example", "a+b@host"],
                vec![
                    "a",
                    "a@",
                    "@b",
                    "a@b..c",
                    "a b@c.example",
                    "a@b.example;",
                    "a@b@c.example",
                ],
            ),
            (8, vec!["whatever"], vec![]),
        ] {
            let field = field(data_type);
            for value in good.iter().chain(&["", "  "]) {
                assert_eq!(fits(&field, value), Ok(()), "{data_type} {value:?}");
            }
            for value in bad {
                assert!(fits(&field, value).is_err(), "{data_type} {value:?}");
            }
        }
    }

    #[test]
    fn expressions_and_options_regard_case_when_told() {
        let mut field = field(5);
        field.case_sensitive = false;
        assert_eq!(fits(&field, "RED"), Ok(()));
        field.data_type = 1;
        field.validation = Some("^[a-z]+$".into());
        assert_eq!(fits(&field, "ABC"), Ok(()));
        field.case_sensitive = true;
        assert_eq!(
            fits(&field, "ABC").unwrap_err(),
            "\"ABC\" does not match ^[a-z]+$"
        );
        field.message = Some("Small letters only.".into());
        assert_eq!(fits(&field, "ABC").unwrap_err(), "Small letters only");
        assert_eq!(fits(&field, " "), Ok(()));
    }

    #[test]
    fn the_same_is_what_means_the_same() {
        for (data_type, one, other, wanted) in [
            (1, "a", "a", true),
            (1, "a", "A", false),
            (1, "", " ", true),
            (1, "a", "", false),
            (2, "07", "7", true),
            (2, "7", "8", false),
            (3, "2026-01-31", "1/31/2026", true),
            (3, "2026-01-31", "2026-01-31T00:00:01Z", false),
            (4, "True", "1", true),
            (4, "true", "false", false),
            // Written before the type was.
            (2, "x", "x", true),
        ] {
            assert_eq!(
                same(&field(data_type), one, other),
                wanted,
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn values_are_found_by_numbers() {
        for (value, wanted) in [
            ("7", Some(7)),
            ("true", Some(1)),
            ("FALSE", Some(0)),
            ("1970-01-02", Some(86_400_000)),
            ("%TODAY%", None),
            ("text", None),
        ] {
            assert_eq!(number(value), wanted, "{value:?}");
        }
    }
}
