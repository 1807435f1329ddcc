//! What a query over certificates may name: B.7 of the reference, and the fields that clients use (`clients.md` 2.4).

use std::sync::LazyLock;

use db::tables::{
    authorities, certificate_names, certificate_stores, certificates, roles, store_entries,
    store_entry_certificates, templates,
};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr, UnionType};
use sea_orm::{ColumnTrait, Condition};
use search::Expression;

use super::wire;
use crate::cx::Cx;
use crate::security::{Permission, Reach};
use crate::web::list::FieldKind::{Boolean, Date, Folded, Guid, Integer, Text, UpperHex};
use crate::web::list::{Field, FieldKind, field, field_elsewhere, field_of_several};

use certificates::Column as C;

fn column(column: C) -> SimpleExpr {
    Expr::col((certificates::Entity, column))
}

pub(super) fn id() -> SimpleExpr {
    column(C::Id)
}

/// What does not depend on who asks.
const OWN: &[Field] = &[
    field("Id", Integer(&[]), id).also(&["CertId"]),
    field("Thumbprint", UpperHex, || column(C::Thumbprint)),
    field("SerialNumber", UpperHex, || column(C::SerialNumber)),
    field("CN", Folded, || column(C::CommonNameFold)).also(&["IssuedCN"]),
    field("DN", Folded, || column(C::SubjectFold)).also(&["IssuedDN"]),
    field("IssuerDN", Folded, || column(C::IssuerFold)),
    field("OU", Text, || column(C::OrganizationalUnit)).also(&["IssuedOU"]),
    field("IssuedEmail", Text, || column(C::Email)),
    field("NotBefore", Date, || column(C::NotBefore)).also(&["IssuedDate"]),
    field("NotAfter", Date, || column(C::NotAfter)).also(&["ExpirationDate"]),
    field("ImportDate", Date, || column(C::ImportedAt)),
    field("CertState", Integer(wire::STATES), || column(C::State)),
    field("RevocationDate", Date, || column(C::RevokedAt)).also(&["RevocationEffDate"]),
    field(
        "RevocationReason",
        Integer(wire::REVOCATION_REASONS),
        || column(C::RevocationReason),
    ),
    field("KeySize", Integer(&[]), || column(C::KeySize)).also(&["KeySizeInBits"]),
    field("KeyType", Integer(wire::KEY_TYPES), || column(C::KeyType)),
    field("KeyAlgorithm", Text, || column(C::KeyAlgorithm)),
    field("KeyUsage", Integer(&[]), || column(C::KeyUsage)),
    field("Curve", Text, || column(C::Curve)),
    field("SigningAlgorithm", Text, || column(C::SigningAlgorithm)),
    field("IsCACertificate", Boolean, || column(C::IsAuthority)),
    field("HasPrivateKey", Boolean, || column(C::HasPrivateKey)).also(&["ArchivedKey"]),
    field("CertRequestId", Integer(&[]), || column(C::RequestId)).also(&["KeyfactorRequestId"]),
    field("Requester", Text, || column(C::Requester)).also(&["RequesterName", "NetBIOSRequester"]),
    field("CertificateAuthorityId", Integer(&[]), || {
        column(C::AuthorityId)
    }),
    field_elsewhere(
        "CA",
        Folded,
        || column(C::AuthorityId),
        authority_name,
        authorities_by_name,
    )
    .also(&["CertificateAuthorityName"]),
    field("TemplateId", Integer(&[]), || column(C::TemplateId)),
    field_elsewhere(
        "TemplateShortName",
        Folded,
        || column(C::TemplateId),
        || Expr::col((templates::Entity, templates::Column::NameFold)),
        template_ids,
    ),
    field_elsewhere(
        "TemplateDisplayName",
        Text,
        || column(C::TemplateId),
        || Expr::col((templates::Entity, templates::Column::DisplayName)),
        template_ids,
    ),
    field("OwnerRoleId", Integer(&[]), || column(C::OwnerRoleId)),
    field_elsewhere(
        "OwnerRoleName",
        Folded,
        || column(C::OwnerRoleId),
        || Expr::col((roles::Entity, roles::Column::NameFold)),
        || {
            Query::select()
                .column((roles::Entity, roles::Column::Id))
                .from(roles::Entity)
                .to_owned()
        },
    ),
    field_of_several("SAN", Folded, id, alternative_name, named, || {
        Expr::col((
            certificate_names::Entity,
            certificate_names::Column::CertificateId,
        ))
    })
    .also(&["SubjectAltName"]),
];

/// The search reference of the list, for who asks: of stores, those that he may read.
pub(super) static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| with_stores(readable));

/// The same for queries that are saved. What a collection has does not depend on who looks at it, so that all stores count; who may
/// read some only cannot save such a query.
pub(super) static SAVED: LazyLock<Vec<Field>> = LazyLock::new(|| with_stores(|_| None));

/// Where certificates are.
const STORES: [Field; 4] = [
    in_store("CertStoreId", Guid, in_stores, || {
        Expr::col((certificate_stores::Entity, certificate_stores::Column::Id))
    }),
    in_store("CertStorePath", Folded, in_stores, || {
        Expr::col((
            certificate_stores::Entity,
            certificate_stores::Column::StorePathFold,
        ))
    }),
    in_store("CertStoreFQDN", Folded, in_stores, || {
        Expr::col((
            certificate_stores::Entity,
            certificate_stores::Column::ClientMachineFold,
        ))
    }),
    in_store("CertStoreAlias", Folded, in_entries, || {
        Expr::col((store_entries::Entity, store_entries::Column::AliasFold))
    }),
];

const fn in_store(
    name: &'static str,
    kind: FieldKind,
    places: fn() -> SelectStatement,
    value: fn() -> SimpleExpr,
) -> Field {
    field_of_several(name, kind, id, value, places, || {
        Expr::col((
            store_entry_certificates::Entity,
            store_entry_certificates::Column::CertificateId,
        ))
    })
}

/// Whether a query asks in which stores certificates are.
pub(super) fn asks_of_stores(query: &Expression) -> bool {
    query.comparisons().iter().any(|comparison| {
        STORES
            .iter()
            .any(|field| field.is_called(&comparison.field.text))
    })
}

fn with_stores(seen: fn(&Cx) -> Option<Condition>) -> Vec<Field> {
    let stores = STORES.map(|field| field.seen(seen));
    OWN.iter().copied().chain(stores).collect()
}

/// The stores that the caller may read, if not all.
pub(super) fn readable(cx: &Cx) -> Option<Condition> {
    match cx.reach(Permission::StoresRead) {
        Reach::All => None,
        Reach::Objects(ids) => {
            let reached = certificate_stores::Column::ContainerId.is_in(ids);
            Some(Condition::all().add(reached))
        }
    }
}

fn template_ids() -> SelectStatement {
    Query::select()
        .column((templates::Entity, templates::Column::Id))
        .from(templates::Entity)
        .to_owned()
}

fn alternative_name() -> SimpleExpr {
    Expr::col((
        certificate_names::Entity,
        certificate_names::Column::ValueFold,
    ))
}

fn named() -> SelectStatement {
    Query::select()
        .column((
            certificate_names::Entity,
            certificate_names::Column::CertificateId,
        ))
        .from(certificate_names::Entity)
        .to_owned()
}

/// The certificates of stores: of a store its index has them, and no place is looked at.
fn in_stores() -> SelectStatement {
    Query::select()
        .column((
            store_entry_certificates::Entity,
            store_entry_certificates::Column::CertificateId,
        ))
        .from(store_entry_certificates::Entity)
        .inner_join(
            certificate_stores::Entity,
            Expr::col((certificate_stores::Entity, certificate_stores::Column::Id)).equals((
                store_entry_certificates::Entity,
                store_entry_certificates::Column::StoreId,
            )),
        )
        .to_owned()
}

/// The same with what places are called.
fn in_entries() -> SelectStatement {
    in_stores()
        .inner_join(
            store_entries::Entity,
            Expr::col((store_entries::Entity, store_entries::Column::Id)).equals((
                store_entry_certificates::Entity,
                store_entry_certificates::Column::EntryId,
            )),
        )
        .to_owned()
}

/// Authorities are found by their logical name, and by `host\logical`.
fn authorities_by_name() -> SelectStatement {
    let whole = Query::select()
        .expr_as(Expr::col(authorities::Column::NameFold), "called")
        .column(authorities::Column::Id)
        .from(authorities::Entity)
        .to_owned();
    let both = Query::select()
        // The one of the two columns that is not stored folded.
        .expr_as(
            Func::lower(Expr::col(authorities::Column::LogicalName)),
            "called",
        )
        .column(authorities::Column::Id)
        .from(authorities::Entity)
        .union(UnionType::All, whole)
        .to_owned();
    Query::select()
        .column(("by_name", "id"))
        .from_subquery(both, "by_name")
        .to_owned()
}

fn authority_name() -> SimpleExpr {
    Expr::col(("by_name", "called"))
}
