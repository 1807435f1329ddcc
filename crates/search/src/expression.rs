//! The syntax tree and its canonical text.

use std::fmt::{self, Display, Formatter, Write as _};
use std::ops::Range;

/// A query. From [`crate::parse`], `And` and `Or` hold at least two terms, none of their own kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// All of the terms hold.
    And(Vec<Expression>),
    /// At least one of the terms holds.
    Or(Vec<Expression>),
    /// The term does not hold.
    Not(Box<Expression>),
    /// A field compared with a value.
    Comparison(Comparison),
}

/// `Field -operator value`. Equality leaves out where it stands in the text.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The field on the left.
    pub field: Name,
    /// How to compare.
    pub operator: Operator,
    /// The value on the right: `List` exactly for `In` and `NotIn`, `Null` only for `Equal` and
    /// `NotEqual`.
    pub value: Value,
    /// Where the comparison stands in the query, in bytes.
    pub span: Range<usize>,
    /// At which character of the query it begins, from one, for messages.
    pub character: usize,
}

/// A field name as written. Equality leaves out where it stands; case is for the reader to ignore.
#[derive(Debug, Clone)]
pub struct Name {
    /// As written.
    pub text: String,
    /// Where it stands in the query, in bytes.
    pub span: Range<usize>,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `-eq`
    Equal,
    /// `-ne`
    NotEqual,
    /// `-lt`
    LessThan,
    /// `-le`
    LessOrEqual,
    /// `-gt`
    GreaterThan,
    /// `-ge`
    GreaterOrEqual,
    /// `-contains`
    Contains,
    /// `-notcontains`
    NotContains,
    /// `-startswith`
    StartsWith,
    /// `-endswith`
    EndsWith,
    /// `-in`
    In,
    /// `-notin`
    NotIn,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The bare word `NULL`: the field has no value.
    Null,
    /// Raw text without blanks at its end, whether it came quoted or bare.
    Text(String),
    /// The values of a list, at least one.
    List(Vec<String>),
}

impl Expression {
    /// Every comparison, in the order of the text.
    #[must_use]
    pub fn comparisons(&self) -> Vec<&Comparison> {
        fn collect<'a>(expression: &'a Expression, into: &mut Vec<&'a Comparison>) {
            match expression {
                Expression::And(terms) | Expression::Or(terms) => {
                    terms.iter().for_each(|term| collect(term, into));
                }
                Expression::Not(term) => collect(term, into),
                Expression::Comparison(comparison) => into.push(comparison),
            }
        }
        let mut found = Vec::new();
        collect(self, &mut found);
        found
    }
}

impl Operator {
    /// All operators, in the order in which they are offered.
    pub const ALL: [Self; 12] = [
        Self::Equal,
        Self::NotEqual,
        Self::LessThan,
        Self::LessOrEqual,
        Self::GreaterThan,
        Self::GreaterOrEqual,
        Self::Contains,
        Self::NotContains,
        Self::StartsWith,
        Self::EndsWith,
        Self::In,
        Self::NotIn,
    ];

    /// As written in a query, in lower case, e.g. `-eq`.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Equal => "-eq",
            Self::NotEqual => "-ne",
            Self::LessThan => "-lt",
            Self::LessOrEqual => "-le",
            Self::GreaterThan => "-gt",
            Self::GreaterOrEqual => "-ge",
            Self::Contains => "-contains",
            Self::NotContains => "-notcontains",
            Self::StartsWith => "-startswith",
            Self::EndsWith => "-endswith",
            Self::In => "-in",
            Self::NotIn => "-notin",
        }
    }

    /// The operator of a token in any case.
    pub(crate) fn from_token(token: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.token().eq_ignore_ascii_case(token))
    }

    /// Whether the value is a list.
    #[must_use]
    pub const fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }

    /// Whether the value may be `NULL`.
    #[must_use]
    pub const fn takes_null(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Name {}

impl PartialEq for Comparison {
    fn eq(&self, other: &Self) -> bool {
        self.field == other.field && self.operator == other.operator && self.value == other.value
    }
}

impl Eq for Comparison {}

/// The canonical text: every text quoted, connectives in capitals, a group in parentheses wherever
/// it stands inside another.
impl Display for Expression {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(terms) => join(formatter, terms, " AND "),
            Self::Or(terms) => join(formatter, terms, " OR "),
            Self::Not(term) => {
                formatter.write_str("NOT ")?;
                term.fmt_inside(formatter)
            }
            Self::Comparison(comparison) => comparison.fmt(formatter),
        }
    }
}

impl Expression {
    fn fmt_inside(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(_) | Self::Or(_) => write!(formatter, "({self})"),
            Self::Not(_) | Self::Comparison(_) => self.fmt(formatter),
        }
    }
}

fn join(formatter: &mut Formatter<'_>, terms: &[Expression], connective: &str) -> fmt::Result {
    for (position, term) in terms.iter().enumerate() {
        if position > 0 {
            formatter.write_str(connective)?;
        }
        term.fmt_inside(formatter)?;
    }
    Ok(())
}

impl Display for Comparison {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.field, self.operator, self.value)
    }
}

impl Display for Name {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Display for Operator {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.token())
    }
}

impl Display for Value {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("NULL"),
            Self::Text(text) => quote(formatter, text),
            Self::List(texts) => {
                for (position, text) in texts.iter().enumerate() {
                    formatter.write_str(if position == 0 { "(" } else { ", " })?;
                    quote(formatter, text)?;
                }
                formatter.write_char(')')
            }
        }
    }
}

fn quote(formatter: &mut Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            formatter.write_char('\\')?;
        }
        formatter.write_char(character)?;
    }
    formatter.write_char('"')
}
