//! Claims, read.

use std::collections::HashMap;

use db::tables::{accounts, claims, identity_providers, role_claims, roles};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::{Uuid, uuid};

use super::wire::{About, ClaimOutput, ClaimQuery, ProviderOutput, RoleOfClaim};
use super::{ClaimType, LOCAL_PROVIDER};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::FieldKind::{Folded, Integer, Text};
use crate::web::list::{Field, field, page};
use crate::web::{List, Paging};

use claims::Column as C;

/// The id under which local accounts' provider is shown.
const LOCAL_PROVIDER_ID: Uuid = uuid!("6f4b7f0e-3a43-4f5c-9a0b-6368616e6365");

/// Names of the types, for queries.
const TYPES: &[(&str, i64)] = &[
    ("user", 0),
    ("group", 1),
    ("computer", 2),
    ("oauthoid", 3),
    ("oauthrole", 4),
    ("oauthsubject", 5),
    ("oauthclientid", 6),
];

/// The search reference of the list.
const FIELDS: &[Field] = &[
    field("Id", Integer(&[]), || Expr::col((claims::Entity, C::Id))),
    field("ClaimType", Integer(TYPES), || {
        Expr::col((claims::Entity, C::ClaimType))
    }),
    field("ClaimValue", Folded, || {
        Expr::col((claims::Entity, C::ValueFold))
    }),
    field("ProviderAuthenticationScheme", Folded, || {
        Expr::col((claims::Entity, C::ProviderFold))
    }),
    field("AuthenticationScheme", Folded, || {
        Expr::col((claims::Entity, C::ProviderFold))
    }),
    field("Description", Text, || {
        Expr::col((claims::Entity, C::Description))
    }),
];

/// Identity providers by their folded scheme.
#[derive(Debug)]
pub(crate) struct Providers(HashMap<String, ProviderOutput>);

impl Providers {
    /// Those there are.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn read(connection: &impl ConnectionTrait) -> Result<Self, Error> {
        let local = ProviderOutput {
            id: LOCAL_PROVIDER_ID,
            authentication_scheme: LOCAL_PROVIDER.to_owned(),
            display_name: "Local accounts".to_owned(),
        };
        let others = identity_providers::Entity::find().all(connection).await?;
        let others = others.into_iter().map(|row| {
            let shown = ProviderOutput {
                id: row.id,
                authentication_scheme: row.authentication_scheme,
                display_name: row.display_name,
            };
            (row.authentication_scheme_fold, shown)
        });
        let local = std::iter::once((db::fold(LOCAL_PROVIDER), local));
        Ok(Self(others.chain(local).collect()))
    }

    /// A claim as answers show it.
    pub(crate) fn output(&self, row: claims::Model) -> ClaimOutput {
        let known = self.0.get(&row.provider_fold).cloned();
        ClaimOutput {
            id: row.id,
            description: row.description,
            claim_type: type_name(row.claim_type).to_owned(),
            claim_value: row.value,
            provider: known.unwrap_or_else(|| ProviderOutput {
                id: Uuid::nil(),
                display_name: row.provider.clone(),
                authentication_scheme: row.provider,
            }),
        }
    }
}

/// The name of a stored type.
pub(super) fn type_name(number: i32) -> &'static str {
    ClaimType::of_number(i64::from(number)).map_or("Unknown", ClaimType::name)
}

/// A page of claims, by value unless told otherwise.
pub(super) async fn list(cx: &Cx, paging: &Paging) -> Result<List<ClaimOutput>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let (rows, total) = page(
        cx,
        claims::Entity::find(),
        paging,
        FIELDS,
        "ClaimValue",
        C::Id,
    )
    .await?;
    let providers = Providers::read(cx.db().read()).await?;
    Ok(List {
        items: rows.into_iter().map(|row| providers.output(row)).collect(),
        total,
    })
}

/// One claim.
pub(super) async fn one(cx: &Cx, id: i64) -> Result<ClaimOutput, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let row = claims::Entity::find_by_id(id).one(cx.db().read()).await?;
    let row = row.ok_or_else(|| Error::not_found("security claim", id))?;
    Ok(Providers::read(cx.db().read()).await?.output(row))
}

/// The roles that a claim holds.
pub(super) async fn roles(cx: &Cx, wanted: &ClaimQuery) -> Result<Vec<RoleOfClaim>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let about = About::read(
        "",
        &wanted.claim_type,
        &wanted.claim_value,
        &wanted.provider_authentication_scheme,
    )?;
    let connection = cx.db().read();
    let Some(claim) = find(connection, &about).await? else {
        return Ok(Vec::new());
    };
    let held = Query::select()
        .column(role_claims::Column::RoleId)
        .from(role_claims::Entity)
        .and_where(role_claims::Column::ClaimId.eq(claim.id))
        .to_owned();
    let held = roles::Entity::find()
        .filter(roles::Column::Id.in_subquery(held))
        .order_by_asc(roles::Column::NameFold)
        .all(connection)
        .await?;
    let held = held.into_iter().map(|role| RoleOfClaim {
        id: role.id,
        name: role.name,
        description: role.description,
        permission_set_id: role.permission_set_id,
    });
    Ok(held.collect())
}

/// The claim about this.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    about: &About,
) -> Result<Option<claims::Model>, Error> {
    Ok(claims::Entity::find()
        .filter(C::ValueFold.eq(db::fold(&about.value)))
        .filter(C::ClaimType.eq(about.kind as i32))
        .filter(C::ProviderFold.eq(db::fold(&about.provider)))
        .one(connection)
        .await?)
}

/// A claim that holds a role, and the account it stands for, if it does.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) claim: claims::Model,
    pub(crate) account: Option<accounts::Model>,
}

impl Holder {
    /// As version 1 names it.
    pub(crate) fn name(&self) -> &str {
        self.account
            .as_ref()
            .map_or(&self.claim.value, |account| &account.name)
    }

    /// The name of its type.
    pub(crate) fn kind(&self) -> &'static str {
        type_name(self.claim.claim_type)
    }

    /// Whether it can sign in, as far as is known here.
    pub(crate) fn valid(&self) -> bool {
        self.account
            .as_ref()
            .is_none_or(|account| !account.disabled)
    }
}

/// These claims, with the accounts they stand for.
///
/// # Errors
/// Those of the database.
pub(crate) async fn with_accounts(
    connection: &impl ConnectionTrait,
    rows: Vec<claims::Model>,
) -> Result<Vec<Holder>, Error> {
    let known = accounts::Entity::find()
        .filter(accounts::Column::ClaimId.is_in(rows.iter().map(|claim| claim.id)))
        .all(connection)
        .await?;
    let mut known: HashMap<i64, accounts::Model> = known
        .into_iter()
        .map(|account| (account.claim_id, account))
        .collect();
    let holders = rows.into_iter().map(|claim| Holder {
        account: known.remove(&claim.id),
        claim,
    });
    Ok(holders.collect())
}

/// Who holds each of these roles, by the ids of the claims.
///
/// # Errors
/// Those of the database.
pub(crate) async fn holders(
    connection: &impl ConnectionTrait,
    role_ids: &[i64],
) -> Result<HashMap<i64, Vec<Holder>>, Error> {
    let links = role_claims::Entity::find()
        .filter(role_claims::Column::RoleId.is_in(role_ids.iter().copied()))
        .order_by_asc(role_claims::Column::ClaimId)
        .all(connection)
        .await?;
    let mut ids: Vec<i64> = links.iter().map(|link| link.claim_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = claims::Entity::find()
        .filter(C::Id.is_in(ids))
        .all(connection)
        .await?;
    let known: HashMap<i64, Holder> = with_accounts(connection, rows)
        .await?
        .into_iter()
        .map(|holder| (holder.claim.id, holder))
        .collect();
    let mut holders: HashMap<i64, Vec<Holder>> = HashMap::new();
    for link in links {
        if let Some(holder) = known.get(&link.claim_id) {
            holders
                .entry(link.role_id)
                .or_default()
                .push(holder.clone());
        }
    }
    Ok(holders)
}
