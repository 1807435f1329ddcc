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

/// A field that a query may name and a list may be sorted by. The list of a slice's fields is its search reference.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    /// As the reference names it; matched without regard to case.
    pub(crate) name: &'static str,
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
    /// The first function is the key, the second the value's expression, the third makes the sub-select of keys; the last says which
    /// of the other table's rows the caller may know of, if not all.
    Elsewhere {
        key: fn() -> SimpleExpr,
        value: fn() -> SimpleExpr,
        keys: fn() -> SelectStatement,
        seen: fn(&Cx) -> Option<Condition>,
    },
}

/// A field of the listed table that a list may be sorted by.
pub(crate) const fn field(
    name: &'static str,
    kind: FieldKind,
    column: fn() -> SimpleExpr,
) -> Field {
    Field {
        name,
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
        kind,
        place: Place::Elsewhere {
            key,
            value,
            keys,
            seen: |_| None,
        },
        sortable: false,
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
    condition_with(cx, query, fields, &|_| Ok(None))
}

/// What a comparison with a field stands for that is none of a list's own; `None` when there is no such field either.
pub(crate) type Others<'a> = &'a dyn Fn(&Comparison) -> Result<Option<Condition>, Error>;

/// [`condition`], with more fields than those that are the same everywhere.
///
/// # Errors
/// As there.
pub(crate) fn condition_with(
    cx: &Cx,
    query: Option<&Expression>,
    fields: &[Field],
    others: Others<'_>,
) -> Result<Condition, Error> {
    query.map_or_else(
        || Ok(Condition::all()),
        |query| expression(cx, query, fields, others),
    )
}

fn expression(
    cx: &Cx,
    node: &Expression,
    fields: &[Field],
    others: Others<'_>,
) -> Result<Condition, Error> {
    Ok(match node {
        Expression::And(parts) => parts.iter().try_fold(Condition::all(), |all, part| {
            Ok::<_, Error>(all.add(expression(cx, part, fields, others)?))
        })?,
        Expression::Or(parts) => parts.iter().try_fold(Condition::any(), |any, part| {
            Ok::<_, Error>(any.add(expression(cx, part, fields, others)?))
        })?,
        Expression::Not(part) => expression(cx, part, fields, others)?.not(),
        Expression::Comparison(comparison) => {
            let found = named(fields, comparison);
            if found.is_none()
                && let Some(other) = others(comparison)?
            {
                return Ok(other);
            }
            let field = found.ok_or_else(|| {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                bad(
                    comparison,
                    &format!(
                        "{:?} is no field of this list; there are {}",
                        comparison.field.text,
                        names.join(", ")
                    ),
                )
            })?;
            match field.place {
                Place::Column(column) => {
                    Condition::all().add(compare(cx, comparison, field.kind, column())?)
                }
                Place::Elsewhere {
                    key,
                    value,
                    keys,
                    seen,
                } => {
                    let mut keys = keys();
                    if let Some(seen) = seen(cx) {
                        keys.cond_where(seen);
                    }
                    elsewhere(cx, comparison, field.kind, &key(), value(), keys)?
                }
            }
        }
    })
}

/// The field of a list that a comparison names.
fn named<'a>(fields: &'a [Field], comparison: &Comparison) -> Option<&'a Field> {
    fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(&comparison.field.text))
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

/// A comparison with values in another table, where `keys` selects the listed table's `key` by `value`.
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
) -> Result<Condition, Error> {
    let (positive, negated) = as_positive(comparison);
    keys.and_where(compare(cx, &positive, kind, value)?);
    Ok(Condition::all().add(if negated {
        key.clone().is_null().or(key.clone().not_in_subquery(keys))
    } else {
        key.clone().in_subquery(keys)
    }))
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
            comparison.span.start + 1
        ),
    )
}

fn compare(
    cx: &Cx,
    comparison: &Comparison,
    kind: FieldKind,
    column: SimpleExpr,
) -> Result<SimpleExpr, Error> {
    let operator = comparison.operator;
    let column = match kind {
        FieldKind::Text => ascii_lower(cx.db().dialect(), column),
        _ => column,
    };
    let text = match &comparison.value {
        Value::Null => {
            return match operator {
                Operator::Equal => Ok(column.is_null()),
                Operator::NotEqual => Ok(column.is_not_null()),
                _ => Err(bad(
                    comparison,
                    "NULL can only be compared with -eq and -ne",
                )),
            };
        }
        Value::List(items) => {
            let wanted: Result<Vec<SimpleExpr>, Error> = items
                .iter()
                .map(|item| Ok(Expr::val(scalar(cx, comparison, kind, item)?)))
                .collect();
            return match operator {
                Operator::In => Ok(column.is_in(wanted?)),
                Operator::NotIn => Ok(column.clone().is_null().or(column.is_not_in(wanted?))),
                _ => Err(bad(
                    comparison,
                    "a list can only be compared with -in and -notin",
                )),
            };
        }
        Value::Text(text) => text,
    };
    let like = |pattern: String| LikeExpr::new(pattern).escape('\\');
    let folded = |text: &str| match kind {
        FieldKind::Folded => Ok(db::fold(text)),
        FieldKind::UpperHex => Ok(text.trim().to_uppercase()),
        FieldKind::Text => Ok(text.trim().to_ascii_lowercase()),
        _ => Err(bad(comparison, "this operator is for text fields only")),
    };
    let textual = |text: &str| folded(text).map(|text| db::escape_like(&text));
    Ok(match operator {
        Operator::Equal => column.eq(scalar(cx, comparison, kind, text)?),
        // A field without a value is different from every value.
        Operator::NotEqual => column
            .clone()
            .is_null()
            .or(column.ne(scalar(cx, comparison, kind, text)?)),
        Operator::LessThan => column.lt(ordered(cx, comparison, kind, text)?),
        Operator::LessOrEqual => column.lte(ordered(cx, comparison, kind, text)?),
        Operator::GreaterThan => column.gt(ordered(cx, comparison, kind, text)?),
        Operator::GreaterOrEqual => column.gte(ordered(cx, comparison, kind, text)?),
        Operator::Contains => column.like(like(format!("%{}%", textual(text)?))),
        Operator::NotContains => column
            .clone()
            .is_null()
            .or(column.not_like(like(format!("%{}%", textual(text)?)))),
        Operator::StartsWith => starts_with(cx.db().dialect(), column, &folded(text)?),
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

fn ordered(
    cx: &Cx,
    comparison: &Comparison,
    kind: FieldKind,
    text: &str,
) -> Result<sea_orm::Value, Error> {
    match kind {
        FieldKind::Boolean | FieldKind::Guid => Err(bad(comparison, "this field has no order")),
        _ => scalar(cx, comparison, kind, text),
    }
}

fn scalar(
    cx: &Cx,
    comparison: &Comparison,
    kind: FieldKind,
    text: &str,
) -> Result<sea_orm::Value, Error> {
    let text = text.trim();
    let account = cx.caller_name();
    let text = match text.to_ascii_uppercase().as_str() {
        "%ME%" | "%ME-AN%" => account.as_str(),
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
        .find(|field| field.sortable && field.name.eq_ignore_ascii_case(wanted));
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
    let total = select.clone().count(connection).await?;
    if skip >= total {
        return Ok((Vec::new(), total));
    }
    let rows = sorted(select, paging, fields, default, tie)?
        .offset(skip)
        .limit(limit)
        .all(connection)
        .await?;
    Ok((rows, total))
}
