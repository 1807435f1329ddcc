//! Queries that name metadata fields. What a certificate says of itself comes first; every other name is a metadata field's.

use db::tables::certificate_metadata::{Column, Entity};
use db::tables::metadata_fields::Model;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr};
use sea_orm::{Condition, ConnectionTrait};
use search::{Comparison, Expression, Operator, Value};

use super::super::fields::id;
use super::values::KEY_MAX;
use crate::cx::Cx;
use crate::error::Error;
use crate::metadata_fields::{Kind, kind, named};
use crate::web::list::{
    Among, Field, FieldKind, condition_with, elsewhere, elsewhere_keys, keys_of_several, not_named,
};

/// The condition of a query over certificates, by these fields and by metadata, `among` these if there are such. `None` matches
/// everything.
///
/// # Errors
/// 400 with the position of the mistake.
pub(in crate::certificates) async fn condition(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    query: Option<&Expression>,
    fields: &[Field],
    among: Option<&Among>,
) -> Result<Condition, Error> {
    let mut names = Vec::new();
    if let Some(query) = query {
        not_named(query, fields, &mut names);
    }
    names.sort_unstable();
    names.dedup();
    let known = named(connection, names.iter()).await?;
    let others = |comparison: &Comparison, negated| {
        let fold = db::fold(&comparison.field.text);
        let field = known.iter().find(|field| field.name_fold == fold);
        field
            .map(|field| compared(cx, field, comparison, among, negated))
            .transpose()
    };
    let condition = condition_with(cx, query, fields, &others, among)?;
    Ok(match among {
        Some(among) => Condition::all()
            .add(among.holds(cx.db().dialect(), id()))
            .add(condition),
        None => condition,
    })
}

/// The select of the certificates that a comparison means by rows of another table that name them, perhaps several times, as
/// `certificate_id`; nothing where it is about something else, or means those that are not named.
///
/// # Errors
/// 400 with the position of the mistake.
pub(in crate::certificates) async fn keys(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    comparison: &Comparison,
    fields: &[Field],
    among: Option<&Among>,
) -> Result<Option<SelectStatement>, Error> {
    if let Some(keys) = keys_of_several(cx, comparison, fields, among)? {
        return Ok(keys);
    }
    let fold = db::fold(&comparison.field.text);
    let field = named(connection, [&fold].into_iter()).await?.pop();
    let Some(field) = field else { return Ok(None) };
    let (kind, value, keys) = parts(cx, &field, comparison, among);
    elsewhere_keys(cx, comparison, kind, value, keys)
}

/// How values of a field compare by an operator: as what they are or, for the operators of texts, as text.
pub(crate) fn compared_as(field: &Model, operator: Operator) -> FieldKind {
    let kind = match kind(field.data_type) {
        Kind::Integer => FieldKind::Integer(&[]),
        Kind::Date => FieldKind::Date,
        Kind::Boolean => FieldKind::Integer(&[("true", 1), ("false", 0)]),
        _ => FieldKind::Folded,
    };
    if kind.operators().contains(&operator) {
        kind
    } else {
        FieldKind::Folded
    }
}

fn compared(
    cx: &Cx,
    field: &Model,
    comparison: &Comparison,
    among: Option<&Among>,
    negated: bool,
) -> Result<Condition, Error> {
    let (kind, value, keys) = parts(cx, field, comparison, among);
    elsewhere(cx, comparison, kind, &id(), value, keys, negated)
}

/// How a field's values compare, where they are, and the select of the certificates that have one.
fn parts(
    cx: &Cx,
    field: &Model,
    comparison: &Comparison,
    among: Option<&Among>,
) -> (FieldKind, SimpleExpr, SelectStatement) {
    let kind = compared_as(field, comparison.operator);
    let value = match kind {
        // Every value is there, be it a number or not.
        FieldKind::Folded => text(comparison),
        _ if matches!(comparison.value, Value::Null) => column(Column::ValueKey),
        _ => column(Column::Number),
    };
    let mut keys = Query::select()
        .column((Entity, Column::CertificateId))
        .from(Entity)
        .and_where(column(Column::NameFold).eq(&field.name_fold))
        .to_owned();
    if let Some(among) = among {
        keys.and_where(among.holds(cx.db().dialect(), column(Column::CertificateId)));
    }
    (kind, value, keys)
}

/// Where a text is looked for: the index has its beginning, which does for all but what stands further behind.
fn text(comparison: &Comparison) -> SimpleExpr {
    let is_long = |text: &str| db::fold(text).chars().count() >= KEY_MAX;
    let is_long = match &comparison.value {
        Value::Null => false,
        Value::Text(text) => is_long(text),
        Value::List(items) => items.iter().any(|item| is_long(item)),
    };
    let anywhere = matches!(
        comparison.operator,
        Operator::Contains | Operator::NotContains | Operator::EndsWith
    );
    if is_long || anywhere {
        Func::coalesce([column(Column::ValueLong), column(Column::ValueKey)]).into()
    } else {
        column(Column::ValueKey)
    }
}

fn column(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}
