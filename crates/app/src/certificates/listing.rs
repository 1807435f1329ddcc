//! Reading certificates: one narrow query for the page, then one for each kind of thing that belongs to its rows.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use db::tables::{
    authorities, certificate_contents, certificate_metadata, certificate_stores, certificates,
    roles, store_entries, store_entry_certificates, store_types, templates,
};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::as_of::AsOf;
use super::fields::{FIELDS, readable};
use super::pages::Asked;
use super::record::STATE_REVOKED;
use super::wire::{
    self, CertificateOutput, DetailedKeyUsage, Location, LocationCount, SingleCertificateOutput,
};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};
use crate::web::{Date, List, Paging};

/// Connections that read the contents of a page, and how many each reads at least: where they are not in memory they come from all over
/// the disk, one after another. Such pages of 50 take three quarters of the time, others no longer than by one statement.
const AT_ONCE: usize = 3;
const TOGETHER: usize = 17;

/// Which certificates a list has, besides its query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(crate) struct Shown {
    /// Revoked certificates too.
    pub(super) include_revoked: Option<bool>,
    /// Expired certificates too.
    pub(super) include_expired: Option<bool>,
}

/// What an answer has of each certificate.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct Details {
    /// Fill in `Locations` and `LocationsCount`, with the stores that the caller may read.
    pub(super) include_locations: Option<bool>,
    /// Fill in `Metadata`.
    pub(super) include_metadata: Option<bool>,
    /// Fill in `HasPrivateKey`.
    pub(super) include_has_private_key: Option<bool>,
    /// A certificate collection; 0 for none.
    pub(super) collection_id: Option<i64>,
    /// Accepted; every level answers everything.
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) verbose: Option<i64>,
}

impl Details {
    pub(super) fn through(&self) -> Through {
        Through::new(self.collection_id, None)
    }
}

/// A page of certificates.
///
/// # Errors
/// 403 without the permission, on the collection or on everything; 400 for an unknown collection, a bad query, sort
/// field or page.
pub(super) async fn list(
    cx: &Cx,
    paging: &Paging,
    shown: &Shown,
    details: &Details,
    as_of: &AsOf,
) -> Result<List<CertificateOutput>, Error> {
    let through = details.through();
    cx.authorize_certificate_list(Permission::CertificatesRead, through)
        .await?;
    let cx = &*as_of.of(cx)?;
    let asked = asked(cx, paging, through, shown).await?;
    let (total, page) = asked.page().await?;
    Ok(List {
        items: those(cx, &page, details).await?,
        total,
    })
}

/// These certificates, in this order. One that is not there any more is left out.
pub(super) async fn those(
    cx: &Cx,
    ids: &[i64],
    details: &Details,
) -> Result<Vec<CertificateOutput>, Error> {
    let found = outputs(cx, ids, details).await?.into_iter();
    let mut found: HashMap<i64, CertificateOutput> = found
        .map(|single| (single.certificate.id, single.certificate))
        .collect();
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// The list that is asked for.
///
/// # Errors
/// 400 for an unknown collection and a bad query.
pub(super) async fn asked(
    cx: &Cx,
    paging: &Paging,
    through: Through,
    shown: &Shown,
) -> Result<Asked, Error> {
    let query = paging.query()?;
    let (revoked, expired) = (
        shown.include_revoked.unwrap_or(false),
        shown.include_expired.unwrap_or(false),
    );
    Ok(Asked {
        cx: cx.clone(),
        query,
        through,
        revoked,
        expired,
        paging: paging.clone(),
    })
}

/// The certificates that a query means, of those that are shown.
pub(super) async fn wanted(
    cx: &Cx,
    query: Option<&search::Expression>,
    through: Through,
    shown: &Shown,
) -> Result<Condition, Error> {
    let (revoked, expired) = (
        shown.include_revoked == Some(true),
        shown.include_expired == Some(true),
    );
    let connection = cx.db().read();
    meant(
        cx,
        connection,
        query,
        through,
        self::shown(revoked, expired, cx.now()),
    )
    .await
}

/// The same as of the moment that the connection sees; `shown` is what lists show.
pub(super) async fn meant(
    cx: &Cx,
    connection: &impl ConnectionTrait,
    query: Option<&search::Expression>,
    through: Through,
    shown: Condition,
) -> Result<Condition, Error> {
    let mut meant = super::narrowed(connection, cx, query, &FIELDS).await?;
    if let Through::Collection(id) = through {
        let inside = crate::collections::condition(connection, cx, id).await?;
        meant = Condition::all().add(meant).add(inside);
    }
    Ok(Condition::all().add(meant).add(shown))
}

/// What lists show, revoked and expired ones too or not.
pub(super) fn shown(revoked: bool, expired: bool, now: i64) -> Condition {
    let state = certificates::Column::State.ne(STATE_REVOKED);
    Condition::all()
        .add_option((!revoked).then_some(state))
        .add_option((!expired).then(|| not_expired(now)))
}

/// What every list asks and most certificates are. Written so that no database takes an index for it: the other conditions
/// choose far better.
fn not_expired(now: i64) -> SimpleExpr {
    Expr::col((certificates::Entity, certificates::Column::NotAfter))
        .add(0)
        .gt(now)
}

/// One certificate, whatever its state.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id.
pub(super) async fn one(
    cx: &Cx,
    id: i64,
    details: &Details,
    as_of: &AsOf,
) -> Result<SingleCertificateOutput, Error> {
    cx.authorize_somewhere(Permission::CertificatesRead)?;
    let cx = &*as_of.of(cx)?;
    cx.authorize_certificate(Permission::CertificatesRead, id, details.through())
        .await?;
    let found = outputs(cx, &[id], details).await?.pop();
    found.ok_or_else(|| Error::not_found("certificate", id))
}

/// What belongs to the certificates of a page, each read with one query.
#[derive(Default)]
struct Belongings {
    contents: HashMap<i64, Vec<u8>>,
    authorities: HashMap<i64, String>,
    templates: HashMap<i64, String>,
    roles: HashMap<i64, String>,
    metadata: HashMap<i64, BTreeMap<String, String>>,
    locations: HashMap<i64, Vec<(String, Location)>>,
}

/// Those of these certificates that are there, in any order.
async fn outputs(
    cx: &Cx,
    ids: &[i64],
    details: &Details,
) -> Result<Vec<SingleCertificateOutput>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = certificates::Entity::find()
        .filter(certificates::Column::Id.is_in(ids.iter().copied()))
        .all(cx.db().read());
    // At the same time: in a large inventory each of them may have to come from the disk.
    let (rows, with) = tokio::join!(rows, Belongings::read(cx, ids, details));
    let (rows, mut with) = (rows?, with?);
    with.read_names(cx, &rows).await?;
    // What was deleted meanwhile is not there any more.
    let there: Vec<_> = rows
        .into_iter()
        .filter(|row| with.contents.contains_key(&row.id))
        .collect();
    there
        .into_iter()
        .map(|row| {
            Ok(SingleCertificateOutput {
                is_ca_certificate: row.is_authority,
                path_length_constraint: row.path_length,
                certificate: output(row, &mut with, details)?,
            })
        })
        .collect()
}

fn distinct(ids: impl Iterator<Item = Option<i64>>) -> Vec<i64> {
    let mut ids: Vec<i64> = ids.flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl Belongings {
    async fn read(cx: &Cx, ids: &[i64], details: &Details) -> Result<Self, Error> {
        let connection = cx.db().read();
        let each = Ord::max(TOGETHER, ids.len().div_ceil(AT_ONCE));
        let contents = ids.chunks(each).map(|ids| {
            certificate_contents::Entity::find()
                .filter(certificate_contents::Column::CertificateId.is_in(ids.iter().copied()))
                .all(connection)
        });
        let contents = futures::future::try_join_all(contents).await?;
        let mut found = Self {
            contents: contents
                .into_iter()
                .flatten()
                .map(|content| (content.certificate_id, content.der))
                .collect(),
            ..Self::default()
        };
        if details.include_metadata == Some(true) {
            let values = certificate_metadata::Entity::find()
                .filter(certificate_metadata::Column::CertificateId.is_in(ids.iter().copied()))
                .all(connection)
                .await?;
            for value in values {
                found
                    .metadata
                    .entry(value.certificate_id)
                    .or_default()
                    .insert(value.name, value.value);
            }
        }
        if details.include_locations == Some(true) {
            found.locations = locations(cx, ids).await?;
        }
        Ok(found)
    }

    /// The names of what rows refer to.
    async fn read_names(&mut self, cx: &Cx, rows: &[certificates::Model]) -> Result<(), Error> {
        let connection = cx.db().read();
        let wanted = distinct(rows.iter().map(|row| row.authority_id));
        if !wanted.is_empty() {
            let some: Vec<(i64, String, String)> = authorities::Entity::find()
                .select_only()
                .columns([
                    authorities::Column::Id,
                    authorities::Column::HostName,
                    authorities::Column::LogicalName,
                ])
                .filter(authorities::Column::Id.is_in(wanted))
                .into_tuple()
                .all(connection)
                .await?;
            self.authorities = some
                .into_iter()
                .map(|(id, host, name)| (id, format!("{host}\\{name}")))
                .collect();
        }
        let wanted = distinct(rows.iter().map(|row| row.template_id));
        if !wanted.is_empty() {
            let some: Vec<(i64, String)> = templates::Entity::find()
                .select_only()
                .columns([templates::Column::Id, templates::Column::DisplayName])
                .filter(templates::Column::Id.is_in(wanted))
                .into_tuple()
                .all(connection)
                .await?;
            self.templates = some.into_iter().collect();
        }
        let wanted = distinct(rows.iter().map(|row| row.owner_role_id));
        if !wanted.is_empty() {
            let some: Vec<(i64, String)> = roles::Entity::find()
                .select_only()
                .columns([roles::Column::Id, roles::Column::Name])
                .filter(roles::Column::Id.is_in(wanted))
                .into_tuple()
                .all(connection)
                .await?;
            self.roles = some.into_iter().collect();
        }
        Ok(())
    }
}

/// Where these certificates are, in stores that the caller may read, each place with the name of its store's type.
pub(super) async fn locations(
    cx: &Cx,
    ids: &[i64],
) -> Result<HashMap<i64, Vec<(String, Location)>>, Error> {
    use certificate_stores::Column as Store;
    use store_entry_certificates::Column as Link;
    type Row = (i64, i32, String, Uuid, String, String, i64, String);
    let entry = store_entry_certificates::Entity::belongs_to(store_entries::Entity)
        .from(Link::EntryId)
        .to(store_entries::Column::Id)
        .into();
    let store = store_entry_certificates::Entity::belongs_to(certificate_stores::Entity)
        .from(Link::StoreId)
        .to(Store::Id)
        .into();
    let store_type = certificate_stores::Entity::belongs_to(store_types::Entity)
        .from(Store::StoreTypeId)
        .to(store_types::Column::Id)
        .into();
    let readable = readable(cx).unwrap_or_else(Condition::all);
    let rows: Vec<Row> = store_entry_certificates::Entity::find()
        .select_only()
        .columns([Link::CertificateId, Link::ChainLevel])
        .column(store_entries::Column::Alias)
        .columns([
            Store::Id,
            Store::ClientMachine,
            Store::StorePath,
            Store::StoreTypeId,
        ])
        .column(store_types::Column::Name)
        .join(JoinType::InnerJoin, entry)
        .join(JoinType::InnerJoin, store)
        .join(JoinType::InnerJoin, store_type)
        .filter(Link::CertificateId.is_in(ids.iter().copied()))
        .filter(readable)
        .order_by_asc(Link::EntryId)
        .order_by_asc(Link::ChainLevel)
        .into_tuple()
        .all(cx.db().read())
        .await?;
    let mut found: HashMap<i64, Vec<(String, Location)>> = HashMap::new();
    for (id, chain_level, alias, cert_store_id, store_machine, store_path, store_type, type_name) in
        rows
    {
        let location = Location {
            store_machine,
            store_path,
            store_type,
            alias,
            chain_level,
            cert_store_id,
        };
        found.entry(id).or_default().push((type_name, location));
    }
    Ok(found)
}

fn output(
    row: certificates::Model,
    with: &mut Belongings,
    details: &Details,
) -> Result<CertificateOutput, Error> {
    let content = with
        .contents
        .remove(&row.id)
        .ok_or_else(|| Error::internal("a certificate has no content"))?;
    let certificate = super::stored::read(&content)?;
    let places = with.locations.remove(&row.id).unwrap_or_default();
    let mut locations_count: Vec<LocationCount> = Vec::new();
    for (name, _) in &places {
        match locations_count
            .iter_mut()
            .find(|count| count.r#type == *name)
        {
            Some(count) => count.count += 1,
            None => locations_count.push(LocationCount {
                r#type: name.clone(),
                count: 1,
            }),
        }
    }
    Ok(CertificateOutput {
        id: row.id,
        thumbprint: row.thumbprint,
        serial_number: row.serial_number,
        issued_dn: row.subject,
        issued_cn: row.common_name,
        import_date: Date(row.imported_at),
        not_before: Date(row.not_before),
        not_after: Date(row.not_after),
        issuer_dn: row.issuer,
        principal_id: None,
        owner_role_id: row.owner_role_id,
        owner_role_name: row
            .owner_role_id
            .and_then(|id| with.roles.get(&id).cloned()),
        template_id: row.template_id,
        cert_state: row.state,
        key_size_in_bits: row.key_size,
        key_type: wire::key_type_number(row.key_type),
        key_algorithm: row.key_algorithm,
        alt_key_algorithm: None,
        alt_key_size_in_bits: 0,
        alt_key_type: 0,
        requester_id: None,
        issued_ou: row.organizational_unit,
        issued_email: row.email,
        key_usage: row.key_usage,
        signing_algorithm: row.signing_algorithm,
        alt_signing_algorithm: None,
        cert_state_string: wire::state_text(row.state),
        key_type_string: wire::key_type_text(row.key_type),
        alt_key_type_string: None,
        revocation_eff_date: row.revoked_at.map(Date),
        revocation_reason: row.revocation_reason,
        revocation_comment: row.revocation_comment,
        certificate_authority_id: row.authority_id,
        certificate_authority_name: row
            .authority_id
            .and_then(|id| with.authorities.get(&id).cloned()),
        template_name: row
            .template_id
            .and_then(|id| with.templates.get(&id).cloned()),
        archived_key: row.has_private_key,
        has_private_key: row.has_private_key && details.include_has_private_key == Some(true),
        has_alt_private_key: false,
        principal_name: None,
        cert_request_id: row.request_id,
        requester_name: row.requester,
        extended_key_usages: wire::extended_key_usages(&certificate),
        subject_alt_name_elements: wire::subject_alt_names(&certificate),
        crl_distribution_points: wire::crl_distribution_points(&certificate),
        content_bytes: base64::engine::general_purpose::STANDARD.encode(content),
        locations_count,
        ssl_locations: Vec::new(),
        locations: places.into_iter().map(|(_, location)| location).collect(),
        metadata: with.metadata.remove(&row.id).unwrap_or_default(),
        ca_row_index: None,
        ca_record_id: None,
        detailed_key_usage: DetailedKeyUsage::of(row.key_usage),
        key_recoverable: row.has_private_key,
        curve: row.curve,
        enrollment_pattern_id: None,
        lifespan: (row.not_after - row.not_before) / jobs::DAY_MS,
    })
}
