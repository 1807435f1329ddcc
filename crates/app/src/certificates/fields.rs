//! What a query over certificates may name: B.7 of the reference, and the fields that clients use (`clients.md` 2.4).

use std::sync::LazyLock;

use db::tables::{
    authorities, certificate_names, certificate_stores, certificates, roles,
    store_entry_certificates, templates,
};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr, UnionType};
use sea_orm::{ColumnTrait, Condition};
use search::Expression;

use super::wire;
use crate::cx::Cx;
use crate::security::{Permission, Reach};
use crate::web::list::FieldKind::{Boolean, Date, Folded, Integer, Text, UpperHex};
use crate::web::list::{Field, Place, field, field_elsewhere};

use certificates::Column as C;

fn column(column: C) -> SimpleExpr {
    Expr::col((certificates::Entity, column))
}

pub(super) fn id() -> SimpleExpr {
    column(C::Id)
}

/// What does not depend on who asks. Aliases stand behind the name they repeat.
const OWN: &[Field] = &[
    field("Id", Integer(&[]), id),
    field("CertId", Integer(&[]), id),
    field("Thumbprint", UpperHex, || column(C::Thumbprint)),
    field("SerialNumber", UpperHex, || column(C::SerialNumber)),
    field("CN", Folded, || column(C::CommonNameFold)),
    field("IssuedCN", Folded, || column(C::CommonNameFold)),
    field("DN", Folded, || column(C::SubjectFold)),
    field("IssuedDN", Folded, || column(C::SubjectFold)),
    field("IssuerDN", Folded, || column(C::IssuerFold)),
    field("OU", Text, || column(C::OrganizationalUnit)),
    field("IssuedOU", Text, || column(C::OrganizationalUnit)),
    field("IssuedEmail", Text, || column(C::Email)),
    field("NotBefore", Date, || column(C::NotBefore)),
    field("IssuedDate", Date, || column(C::NotBefore)),
    field("NotAfter", Date, || column(C::NotAfter)),
    field("ExpirationDate", Date, || column(C::NotAfter)),
    field("ImportDate", Date, || column(C::ImportedAt)),
    field("CertState", Integer(wire::STATES), || column(C::State)),
    field("RevocationDate", Date, || column(C::RevokedAt)),
    field("RevocationEffDate", Date, || column(C::RevokedAt)),
    field("RevocationReason", Integer(&[]), || {
        column(C::RevocationReason)
    }),
    field("KeySize", Integer(&[]), || column(C::KeySize)),
    field("KeySizeInBits", Integer(&[]), || column(C::KeySize)),
    field("KeyType", Integer(wire::KEY_TYPES), || column(C::KeyType)),
    field("KeyUsage", Integer(&[]), || column(C::KeyUsage)),
    field("Curve", Text, || column(C::Curve)),
    field("SigningAlgorithm", Text, || column(C::SigningAlgorithm)),
    field("IsCACertificate", Boolean, || column(C::IsAuthority)),
    field("HasPrivateKey", Boolean, || column(C::HasPrivateKey)),
    field("ArchivedKey", Boolean, || column(C::HasPrivateKey)),
    field("CertRequestId", Integer(&[]), || column(C::RequestId)),
    field("KeyfactorRequestId", Integer(&[]), || column(C::RequestId)),
    field("Requester", Text, || column(C::Requester)),
    field("RequesterName", Text, || column(C::Requester)),
    field("NetBIOSRequester", Text, || column(C::Requester)),
    field("CertificateAuthorityId", Integer(&[]), || {
        column(C::AuthorityId)
    }),
    field_elsewhere(
        "CA",
        Folded,
        || column(C::AuthorityId),
        authority_name,
        authorities_by_name,
    ),
    field_elsewhere(
        "CertificateAuthorityName",
        Folded,
        || column(C::AuthorityId),
        authority_name,
        authorities_by_name,
    ),
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
    field_elsewhere("SAN", Folded, id, alternative_name, named),
    field_elsewhere("SubjectAltName", Folded, id, alternative_name, named),
];

/// The search reference of the list, for who asks: of stores, those that he may read.
pub(super) static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| with_stores(readable));

/// The same for queries that are saved. What a collection has does not depend on who looks at it, so that all stores count; who may
/// read some only cannot save such a query.
pub(super) static SAVED: LazyLock<Vec<Field>> = LazyLock::new(|| with_stores(|_| None));

/// A field's name, and the expression of its value.
type Named = (&'static str, fn() -> SimpleExpr);

const STORES: [Named; 2] = [
    ("CertStorePath", || {
        Expr::col((
            certificate_stores::Entity,
            certificate_stores::Column::StorePathFold,
        ))
    }),
    ("CertStoreFQDN", || {
        Expr::col((
            certificate_stores::Entity,
            certificate_stores::Column::ClientMachineFold,
        ))
    }),
];

/// Whether a query asks in which stores certificates are.
pub(super) fn asks_of_stores(query: &Expression) -> bool {
    match query {
        Expression::And(parts) | Expression::Or(parts) => parts.iter().any(asks_of_stores),
        Expression::Not(part) => asks_of_stores(part),
        Expression::Comparison(comparison) => STORES
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(&comparison.field.text)),
    }
}

fn with_stores(seen: fn(&Cx) -> Option<Condition>) -> Vec<Field> {
    let stores = STORES.map(|(name, value)| Field {
        name,
        kind: Folded,
        place: Place::Elsewhere {
            key: id,
            value,
            keys: in_stores,
            seen,
        },
        sortable: false,
    });
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
