//! Lists: a query over declared fields becomes one SQL condition, a sort field one column, a page number a window.
//! It is long because all kinds of fields and operators are read side by side.

use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr, Order, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use search::{Comparison, Expression, Operator, Value};

use super::query_string::Paging;
use crate::cx::Cx;
use crate::error::{Error, Kind};

/// Octets of a text that is looked for within others; SQLite refuses patterns of 50,000.
const PATTERN_MAX: usize = 32_768;

/// How a field is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldKind {
    /// Text that is stored folded (`db::fold`): compared without regard to case and form.
    Folded,
    /// Text that is compared as it stands, after upper-casing the value (hexadecimal numbers).
    UpperHex,
    /// Text as it is stored, compared without regard to the case of ASCII letters: so much do both databases fold alike.
    Text,
    /// A number, or one of the names (given in lower case).
    Integer(&'static [(&'static str, i64)]),
    /// True or false.
    Boolean,
    /// A GUID.
    Guid,
    /// Epoch milliseconds.
    Date,
}

impl FieldKind {
    /// The operators that values of this kind take: by this, queries are refused, and lists of fields are made.
    pub(crate) const fn operators(self) -> &'static [Operator] {
        use Operator as O;
        match self {
            Self::Folded | Self::UpperHex | Self::Text => &O::ALL,
            Self::Integer(_) | Self::Date => &[
                O::Equal,
                O::NotEqual,
                O::LessThan,
                O::LessOrEqual,
                O::GreaterThan,
                O::GreaterOrEqual,
                O::In,
                O::NotIn,
            ],
            Self::Boolean | Self::Guid => &[O::Equal, O::NotEqual, O::In, O::NotIn],
        }
    }

    /// What may stand for a value of the moment.
    pub(crate) const fn tokens(self) -> &'static [&'static str] {
        match self {
            Self::Folded | Self::Text => &["%ME%", "%ME-AN%"],
            Self::Date => &["%TODAY%", "%TODAY-n%", "%TODAY+n%"],
            Self::UpperHex | Self::Integer(_) | Self::Boolean | Self::Guid => &[],
        }
    }
}

/// A field that a query may name and a list may be sorted by. The list of a slice's fields is its search reference.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    /// As the reference names it; matched without regard to case.
    pub(crate) name: &'static str,
    /// Other names that clients have for it.
    pub(crate) aliases: &'static [&'static str],
    /// How its values compare.
    pub(crate) kind: FieldKind,
    /// Where it is.
    pub(crate) place: Place,
    /// Whether a list may be sorted by it.
    pub(crate) sortable: bool,
}

/// Where a field's values are.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// A column of the listed table, as an expression.
    Column(fn() -> SimpleExpr),
    /// Values in another table: given the condition on the value, a sub-select of the listed table's matching keys.
    /// The first function is the key, the second the value's expression, the third makes the sub-select of keys; the next says which
    /// of the other table's rows the caller may know of, if not all. Where a listed row may have several, the last is the column
    /// of the sub-select that names it.
    Elsewhere {
        key: fn() -> SimpleExpr,
        value: fn() -> SimpleExpr,
        keys: fn() -> SelectStatement,
        seen: fn(&Cx) -> Option<Condition>,
        own: Option<fn() -> SimpleExpr>,
    },
}

impl Field {
    /// The same, of which the caller knows only what `seen` leaves.
    pub(crate) fn seen(mut self, by: fn(&Cx) -> Option<Condition>) -> Self {
        if let Place::Elsewhere { seen, .. } = &mut self.place {
            *seen = by;
        }
        self
    }

    /// The same under more names.
    pub(crate) const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Whether a query means it by `name`.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let names = std::iter::once(&self.name).chain(self.aliases);
        names
            .into_iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// A field of the listed table that a list may be sorted by.
pub(crate) const fn field(
    name: &'static str,
    kind: FieldKind,
    column: fn() -> SimpleExpr,
) -> Field {
    Field {
        name,
        aliases: &[],
        kind,
        place: Place::Column(column),
        sortable: true,
    }
}

/// A field whose values are in another table.
pub(crate) const fn field_elsewhere(
    name: &'static str,
    kind: FieldKind,
    key: fn() -> SimpleExpr,
    value: fn() -> SimpleExpr,
    keys: fn() -> SelectStatement,
) -> Field {
    Field {
        name,
        aliases: &[],
        kind,
        place: Place::Elsewhere {
            key,
            value,
            keys,
            seen: |_| None,
            own: None,
        },
        sortable: false,
    }
}

/// A field of which a listed row may have several values in another table, whose rows name it by `own`.
pub(crate) const fn field_of_several(
    name: &'static str,
    kind: FieldKind,
    key: fn() -> SimpleExpr,
    value: fn() -> SimpleExpr,
    keys: fn() -> SelectStatement,
    own: fn() -> SimpleExpr,
) -> Field {
    let place = Place::Elsewhere {
        key,
        value,
        keys,
        seen: |_| None,
        own: Some(own),
    };
    Field {
        place,
        ..field_elsewhere(name, kind, key, value, keys)
    }
}

/// Rows by their ids, among which everything is that is looked for: conditions need not look elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Among(String);

impl Among {
    pub(crate) fn new(ids: &[i64]) -> Self {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        Self(ids.join(","))
    }

    /// That a column names one of them.
    pub(crate) fn holds(&self, dialect: db::Dialect, column: SimpleExpr) -> SimpleExpr {
        // One value however many there are: databases limit how many values a statement may have.
        let (condition, ids) = match dialect {
            db::Dialect::Sqlite => (
                "? IN (SELECT value FROM json_each(?))",
                format!("[{}]", self.0),
            ),
            // In a query of its own, which is evaluated once; otherwise the text would be taken apart for each row.
            db::Dialect::Postgres => (
                "$1 = ANY((SELECT CAST($2 AS BIGINT[]))::BIGINT[])",
                format!("{{{}}}", self.0),
            ),
        };
        Expr::cust_with_exprs(condition, [column, Expr::val(ids)])
    }
}

/// The condition of a query over these fields. `None` matches everything.
///
/// # Errors
/// 400 naming an unknown field, an operator that the field does not have, or a value of the wrong kind, with its position.
pub(crate) fn condition(
    cx: &Cx,
    query: Option<&Expression>,
    fields: &[Field],
) -> Result<Condition, Error> {
    condition_with(cx, query, fields, &|_, _| Ok(None), None)
}

/// What a comparison with a field stands for that is none of a list's own, or what it does not match when it is negated; `None` when
/// there is no such field either.
pub(crate) type Others<'a> = &'a dyn Fn(&Comparison, bool) -> Result<Option<Condition>, Error>;

/// [`condition`], with more fields than those that are the same everywhere; only right `among` these rows, if there are such.
///
/// # Errors
/// As there.
pub(crate) fn condition_with(
    cx: &Cx,
    query: Option<&Expression>,
    fields: &[Field],
    others: Others<'_>,
    among: Option<&Among>,
) -> Result<Condition, Error> {
    query.map_or_else(
        || Ok(Condition::all()),
        |query| expression(cx, query, fields, others, among, false),
    )
}

/// The condition of a part of a query or, when it is negated, of what it does not match. A condition may be neither true nor
/// false, so that the one is not simply the other's opposite: the negation goes down to the comparisons.
fn expression(
    cx: &Cx,
    node: &Expression,
    fields: &[Field],
    others: Others<'_>,
    among: Option<&Among>,
    negated: bool,
) -> Result<Condition, Error> {
    let parts = |parts: &[Expression], whole: Condition| {
        parts.iter().try_fold(whole, |whole, part| {
            Ok(whole.add(expression(cx, part, fields, others, among, negated)?))
        })
    };
    match (node, negated) {
        (Expression::And(terms), false) | (Expression::Or(terms), true) => {
            parts(terms, Condition::all())
        }
        (Expression::Or(terms), false) | (Expression::And(terms), true) => {
            parts(terms, Condition::any())
        }
        (Expression::Not(part), _) => expression(cx, part, fields, others, among, !negated),
        (Expression::Comparison(comparison), _) => {
            compared(cx, comparison, fields, others, among, negated)
        }
    }
}

fn compared(
    cx: &Cx,
    comparison: &Comparison,
    fields: &[Field],
    others: Others<'_>,
    among: Option<&Among>,
    negated: bool,
) -> Result<Condition, Error> {
    let found = named(fields, comparison);
    if found.is_none()
        && let Some(other) = others(comparison, negated)?
    {
        return Ok(other);
    }
    let field = found.ok_or_else(|| {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let message = format!(
            "{:?} is no field of this list; there are {}",
            comparison.field.text,
            names.join(", ")
        );
        bad(comparison, &message)
    })?;
    match field.place {
        Place::Column(column) => {
            let holds = compare(cx, comparison, field.kind, column())?;
            Ok(Condition::all().add(match negated {
                false => holds,
                true if answers_null(comparison) => holds.not(),
                true => column().is_null().or(holds.not()),
            }))
        }
        Place::Elsewhere {
            key,
            value,
            keys,
            seen,
            own,
        } => {
            let among = among.zip(own.map(|own| own()));
            let keys = seen_keys(cx, keys(), seen(cx), among);
            elsewhere(cx, comparison, field.kind, &key(), value(), keys, negated)
        }
    }
}

/// What a comparison, or its negation, matches, where that is said by rows that stand side by side in a list sorted by its field.
pub(crate) struct SideBySide {
    /// The field that the list has to be sorted by.
    pub(crate) field: &'static str,
    /// What rows match that stand side by side; those of each are meant.
    pub(crate) each: Vec<Comparison>,
    /// Whether all rows but those are meant.
    pub(crate) others: bool,
}

/// [`SideBySide`], where it can be said so.
pub(crate) fn side_by_side(
    comparison: &Comparison,
    negated: bool,
    fields: &[Field],
) -> Option<SideBySide> {
    use Operator as O;
    let field = named(fields, comparison).filter(|field| field.sortable)?;
    let is_ranged = match (comparison.operator, field.kind) {
        // Compared in another form than lists are sorted by.
        (_, FieldKind::Text) => false,
        (O::Equal | O::NotEqual | O::In | O::NotIn, _) => true,
        (O::StartsWith, kind) => matches!(kind, FieldKind::Folded),
        (O::LessThan | O::LessOrEqual | O::GreaterThan | O::GreaterOrEqual, kind) => {
            matches!(
                kind,
                FieldKind::Folded | FieldKind::Integer(_) | FieldKind::Date
            )
        }
        _ => false,
    };
    let (operator, opposite) = match comparison.operator {
        O::NotEqual | O::NotIn => (O::Equal, true),
        O::In => (O::Equal, false),
        other => (other, false),
    };
    let with = |value: Value| Comparison {
        operator,
        value,
        ..comparison.clone()
    };
    let each = match &comparison.value {
        Value::List(items) => items.iter().cloned().map(Value::Text).map(with).collect(),
        value => vec![with(value.clone())],
    };
    is_ranged.then_some(SideBySide {
        field: field.name,
        each,
        others: negated != opposite,
    })
}

/// A sub-select of keys, of what the caller may know, and among these.
fn seen_keys(
    cx: &Cx,
    mut keys: SelectStatement,
    seen: Option<Condition>,
    among: Option<(&Among, SimpleExpr)>,
) -> SelectStatement {
    if let Some((among, own)) = among {
        keys.and_where(among.holds(cx.db().dialect(), own));
    }
    if let Some(seen) = seen {
        keys.cond_where(seen);
    }
    keys
}

/// The select of the rows that a comparison with a field means of which a row may have several values, each named as often as it has
/// a value that matches. Nothing where the field is another one; nothing inside where those are meant that have none.
///
/// # Errors
/// 400 for an operator that the field does not have, and a value of the wrong kind.
pub(crate) fn keys_of_several(
    cx: &Cx,
    comparison: &Comparison,
    fields: &[Field],
    among: Option<&Among>,
) -> Result<Option<Option<SelectStatement>>, Error> {
    let Some(field) = named(fields, comparison) else {
        return Ok(None);
    };
    let Place::Elsewhere {
        value,
        keys,
        seen,
        own: Some(own),
        ..
    } = field.place
    else {
        return Ok(Some(None));
    };
    let keys = seen_keys(cx, keys(), seen(cx), among.map(|among| (among, own())));
    elsewhere_keys(cx, comparison, field.kind, value(), keys).map(Some)
}

/// Whether a comparison holds or does not hold also for a field without a value.
fn answers_null(comparison: &Comparison) -> bool {
    let operator = comparison.operator;
    matches!(comparison.value, Value::Null)
        || matches!(
            operator,
            Operator::NotEqual | Operator::NotContains | Operator::NotIn
        )
}

/// The field of a list that a comparison names.
pub(crate) fn named<'a>(fields: &'a [Field], comparison: &Comparison) -> Option<&'a Field> {
    fields
        .iter()
        .find(|field| field.is_called(&comparison.field.text))
}

/// The names in a query that none of a list's fields has.
pub(crate) fn not_named(query: &Expression, fields: &[Field], names: &mut Vec<String>) {
    match query {
        Expression::And(parts) | Expression::Or(parts) => {
            for part in parts {
                not_named(part, fields, names);
            }
        }
        Expression::Not(part) => not_named(part, fields, names),
        Expression::Comparison(comparison) => {
            if named(fields, comparison).is_none() {
                names.push(comparison.field.text.clone());
            }
        }
    }
}

/// A comparison with values in another table, where `keys` selects the listed table's `key` by `value`; what it does not match when
/// it is negated.
///
/// # Errors
/// 400 for an operator that the kind does not have, and a value of the wrong kind.
pub(crate) fn elsewhere(
    cx: &Cx,
    comparison: &Comparison,
    kind: FieldKind,
    key: &SimpleExpr,
    value: SimpleExpr,
    mut keys: SelectStatement,
    negated: bool,
) -> Result<Condition, Error> {
    let (positive, opposite) = as_positive(comparison);
    keys.and_where(compare(cx, &positive, kind, value)?);
    Ok(Condition::all().add(if negated != opposite {
        key.clone().is_null().or(key.clone().not_in_subquery(keys))
    } else {
        key.clone().in_subquery(keys)
    }))
}

/// The keys that a comparison with values in another table means, each as often as it has such a value; nothing where it means those
/// that have none.
///
/// # Errors
/// Those of [`elsewhere`].
pub(crate) fn elsewhere_keys(
    cx: &Cx,
    comparison: &Comparison,
    kind: FieldKind,
    value: SimpleExpr,
    mut keys: SelectStatement,
) -> Result<Option<SelectStatement>, Error> {
    let (positive, opposite) = as_positive(comparison);
    if opposite {
        return Ok(None);
    }
    keys.and_where(compare(cx, &positive, kind, value)?);
    Ok(Some(keys))
}

/// A comparison of values in another table, so that "not" means that none of them is, and not that one of them is not: the
/// comparison to look for, and whether it must not be found.
fn as_positive(comparison: &Comparison) -> (Comparison, bool) {
    let (operator, negated) = match (comparison.operator, &comparison.value) {
        (Operator::Equal, Value::Null) => (Operator::NotEqual, true),
        (Operator::NotEqual, Value::Null) => (Operator::NotEqual, false),
        (Operator::NotEqual, _) => (Operator::Equal, true),
        (Operator::NotContains, _) => (Operator::Contains, true),
        (Operator::NotIn, _) => (Operator::In, true),
        (other, _) => (other, false),
    };
    let positive = Comparison {
        operator,
        ..comparison.clone()
    };
    (positive, negated)
}

fn bad(comparison: &Comparison, message: &str) -> Error {
    Error::new(
        Kind::BadQuery,
        format!(
            "QueryString: {message}, at character {}.",
            comparison.character
        ),
    )
}

/// Refuses an operator that a field does not take.
fn check_operator(comparison: &Comparison, takes: &[Operator]) -> Result<(), Error> {
    if takes.contains(&comparison.operator) {
        return Ok(());
    }
    let takes: Vec<&str> = takes.iter().map(|operator| operator.token()).collect();
    let message = format!(
        "{} does not take {}; it takes {}",
        comparison.field.text,
        comparison.operator,
        takes.join(", ")
    );
    Err(bad(comparison, &message))
}

fn compare(
    cx: &Cx,
    comparison: &Comparison,
    kind: FieldKind,
    column: SimpleExpr,
) -> Result<SimpleExpr, Error> {
    let operator = comparison.operator;
    check_operator(comparison, kind.operators())?;
    let column = match kind {
        FieldKind::Text => ascii_lower(cx.db().dialect(), column),
        _ => column,
    };
    let text = match &comparison.value {
        Value::Null => {
            return Ok(match operator {
                Operator::Equal => column.is_null(),
                _ => column.is_not_null(),
            });
        }
        Value::List(items) => {
            let wanted: Result<Vec<SimpleExpr>, Error> = items
                .iter()
                .map(|item| Ok(Expr::val(scalar(cx, comparison, kind, item)?)))
                .collect();
            return Ok(match operator {
                Operator::In => column.is_in(wanted?),
                _ => column.clone().is_null().or(column.is_not_in(wanted?)),
            });
        }
        Value::Text(text) => text,
    };
    let like = |pattern: String| LikeExpr::new(pattern).escape('\\');
    let folded = |text: &str| match kind {
        FieldKind::Folded => db::fold(text),
        FieldKind::UpperHex => text.trim().to_uppercase(),
        _ => text.trim().to_ascii_lowercase(),
    };
    let textual = |text: &str| {
        let pattern = db::escape_like(&folded(text));
        match pattern.len() > PATTERN_MAX {
            true => Err(bad(
                comparison,
                "the text is too long to be looked for within others",
            )),
            false => Ok(pattern),
        }
    };
    Ok(match operator {
        Operator::Equal => column.eq(scalar(cx, comparison, kind, text)?),
        // A field without a value is different from every value.
        Operator::NotEqual => column
            .clone()
            .is_null()
            .or(column.ne(scalar(cx, comparison, kind, text)?)),
        Operator::LessThan => column.lt(scalar(cx, comparison, kind, text)?),
        Operator::LessOrEqual => column.lte(scalar(cx, comparison, kind, text)?),
        Operator::GreaterThan => column.gt(scalar(cx, comparison, kind, text)?),
        Operator::GreaterOrEqual => column.gte(scalar(cx, comparison, kind, text)?),
        Operator::Contains => contains(cx.db().dialect(), column, &textual(text)?, &folded(text)),
        Operator::NotContains => column.clone().is_null().or(contains(
            cx.db().dialect(),
            column,
            &textual(text)?,
            &folded(text),
        )
        .not()),
        Operator::StartsWith => starts_with(cx.db().dialect(), column, &folded(text)),
        Operator::EndsWith => column.like(like(format!("%{}", textual(text)?))),
        Operator::In | Operator::NotIn => {
            return Err(bad(comparison, "-in and -notin need a list in parentheses"));
        }
    })
}

/// A text with its ASCII letters in lower case. SQLite folds no others, and PostgreSQL none in this collation.
fn ascii_lower(dialect: db::Dialect, text: SimpleExpr) -> SimpleExpr {
    match dialect {
        db::Dialect::Sqlite => Func::lower(text).into(),
        db::Dialect::Postgres => Expr::cust_with_expr(r#"LOWER($1 COLLATE "C")"#, text),
    }
}

/// Texts that `text` is in, given as a pattern too: what SQLite compares by is as fast, PostgreSQL takes nearly twice as long for it.
fn contains(dialect: db::Dialect, column: SimpleExpr, pattern: &str, text: &str) -> SimpleExpr {
    match dialect {
        db::Dialect::Sqlite => column.like(LikeExpr::new(format!("%{pattern}%")).escape('\\')),
        db::Dialect::Postgres => {
            Expr::cust_with_exprs("STRPOS($1, $2) > 0", [column, Expr::val(text)])
        }
    }
}

/// Texts that begin with `prefix`, as the range they make up, since an index finds that.
fn starts_with(dialect: db::Dialect, column: SimpleExpr, prefix: &str) -> SimpleExpr {
    // Ranges of prefixes are ranges only where texts compare octet by octet.
    let bound = |text: String| match dialect {
        db::Dialect::Sqlite => Expr::val(text),
        db::Dialect::Postgres => Expr::cust_with_values(r#"$1 COLLATE "C""#, [text]),
    };
    if prefix.is_empty() {
        return column.is_not_null();
    }
    let begins = column.clone().gte(bound(prefix.to_owned()));
    match db::after_prefix(prefix) {
        Some(after) => begins.and(column.lt(bound(after))),
        None => begins,
    }
}

fn scalar(
    cx: &Cx,
    comparison: &Comparison,
    kind: FieldKind,
    text: &str,
) -> Result<sea_orm::Value, Error> {
    let text = text.trim();
    let caller = cx.caller_name();
    let text = match text.to_ascii_uppercase().as_str() {
        "%ME%" => caller.as_str(),
        // Without the domain.
        "%ME-AN%" => caller.rsplit('\\').next().unwrap_or_default(),
        _ => text,
    };
    Ok(match kind {
        FieldKind::Folded => db::fold(text).into(),
        FieldKind::UpperHex => text.to_uppercase().into(),
        FieldKind::Text => text.to_ascii_lowercase().into(),
        FieldKind::Integer(names) => {
            let named = names
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(text))
                .map(|(_, number)| *number);
            let number = named.or_else(|| text.parse().ok());
            number
                .ok_or_else(|| bad(comparison, &format!("{text:?} is not a number")))?
                .into()
        }
        FieldKind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => true.into(),
            "false" | "0" => false.into(),
            _ => {
                return Err(bad(
                    comparison,
                    &format!("{text:?} is neither true nor false"),
                ));
            }
        },
        FieldKind::Guid => uuid::Uuid::parse_str(text)
            .map_err(|_| bad(comparison, &format!("{text:?} is not a GUID")))?
            .into(),
        FieldKind::Date => {
            let at = search::dates::parse(text, cx.now());
            at.ok_or_else(|| bad(comparison, &format!("{text:?} is not a date")))?
                .into()
        }
    })
}

/// Orders a select by the caller's sort field, or by `default`, and then by `tie`, which is unique, so that pages neither
/// overlap nor leave gaps.
///
/// # Errors
/// 400 with the documented code when the field is none of the list's.
pub(crate) fn sorted<E: EntityTrait>(
    select: Select<E>,
    paging: &Paging,
    fields: &[Field],
    default: &str,
    tie: impl ColumnTrait,
) -> Result<Select<E>, Error> {
    ordered_by(select, paging, fields, default, tie, paging.descending())
}

/// The same from the other end.
///
/// # Errors
/// Those of [`sorted`].
pub(crate) fn sorted_backwards<E: EntityTrait>(
    select: Select<E>,
    paging: &Paging,
    fields: &[Field],
    default: &str,
    tie: impl ColumnTrait,
) -> Result<Select<E>, Error> {
    ordered_by(select, paging, fields, default, tie, !paging.descending())
}

fn ordered_by<E: EntityTrait>(
    select: Select<E>,
    paging: &Paging,
    fields: &[Field],
    default: &str,
    tie: impl ColumnTrait,
    descending: bool,
) -> Result<Select<E>, Error> {
    let wanted = paging.sort_field.as_deref().unwrap_or(default);
    let found = fields
        .iter()
        .find(|field| field.sortable && field.is_called(wanted));
    let (
        Some(Field {
            place: Place::Column(column),
            ..
        }),
        order,
    ) = (found, if descending { Order::Desc } else { Order::Asc })
    else {
        return Err(Error::new(
            Kind::BadSortField,
            format!("Invalid sort field: {wanted}."),
        ));
    };
    Ok(select
        .order_by(column(), order.clone())
        .order_by(tie, order))
}

/// A page of a list: the rows in the window, and how many there are in all. Sorts by the caller's field or `default`.
///
/// # Errors
/// 400 for a bad query, sort field or page; otherwise those of the database.
pub(crate) async fn page<E>(
    cx: &Cx,
    select: Select<E>,
    paging: &Paging,
    fields: &[Field],
    default: &str,
    tie: impl ColumnTrait,
) -> Result<(Vec<E::Model>, u64), Error>
where
    E: EntityTrait,
    E::Model: Send + Sync,
{
    page_in(cx.db().read(), cx, select, paging, fields, default, tie).await
}

/// The same as [`page`], read through a connection or snapshot of the caller's.
///
/// # Errors
/// Those of [`page`].
pub(crate) async fn page_in<E>(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    select: Select<E>,
    paging: &Paging,
    fields: &[Field],
    default: &str,
    tie: impl ColumnTrait,
) -> Result<(Vec<E::Model>, u64), Error>
where
    E: EntityTrait,
    E::Model: Send + Sync,
{
    let (skip, limit) = paging.window()?;
    let select = select.filter(condition(cx, paging.query()?.as_ref(), fields)?);
    // A field that is none is refused also when there is nothing to sort.
    let sorted = sorted(select.clone(), paging, fields, default, tie)?;
    let total = select.count(connection).await?;
    if skip >= total {
        return Ok((Vec::new(), total));
    }
    let rows = sorted.offset(skip).limit(limit).all(connection).await?;
    Ok((rows, total))
}
