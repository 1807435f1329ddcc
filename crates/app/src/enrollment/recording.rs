//! Writing down what was issued: request, inventory, history of the certificate and of the one it follows, audit, deliveries.
//!
//! Enrollments that arrive while others are being written are written with one set of statements and one commit: that is what
//! an authority under load spends its time on. Each is acknowledged only when it is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use db::tables::certificate_requests;
use pki::{Certificate, PrivateKey};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};

use super::delivery;
use super::issue::Intent;
use crate::app::App;
use crate::audit::{self, Category, Entry, Operation};
use crate::certificates::{self, New, Origin};
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::metadata_fields;

/// Enrollments written together at most.
const LOT_MAX: usize = 64;
/// Lots under way at a time on PostgreSQL: while one waits for the disk, the next is made. SQLite has one writer, and a lot that
/// waits for it takes nobody in any more.
const LOTS_AT_ONCE: usize = 2;
/// Enrollments that wait at most; more are asked to come later.
const WAITING_MAX: usize = 1_024;

/// A signed certificate with everything that is to be written down about it.
pub(crate) struct Signed {
    pub(super) cx: Cx,
    /// The request, without its id.
    pub(super) row: certificate_requests::ActiveModel,
    pub(super) authority_id: i64,
    pub(super) template_id: i64,
    pub(super) certificate: Certificate,
    /// The private key, where it is to be stored.
    pub(super) key: Option<PrivateKey>,
    pub(super) intent: Intent,
}

/// Where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(super) request_id: i64,
    pub(super) certificate_id: i64,
}

/// The enrollments that wait to be written.
pub(crate) struct Recorder(Arc<db::Gather<Signed, Result<Numbers, Error>>>);

impl Recorder {
    /// Nobody waits yet.
    pub(crate) fn new(dialect: db::Dialect) -> Self {
        let at_once = match dialect {
            db::Dialect::Sqlite => 1,
            db::Dialect::Postgres => LOTS_AT_ONCE,
        };
        Self(Arc::new(db::Gather::new(LOT_MAX, at_once, WAITING_MAX)))
    }
}

/// Writes down what was issued, together with what others have just had issued.
///
/// # Errors
/// 503 when too many wait, or the database is away; otherwise its own. Nothing of this enrollment is recorded then.
pub(super) async fn write_down(cx: &Cx, signed: Signed) -> Result<Numbers, Error> {
    let app = Arc::clone(cx.app());
    let work = move |lot| write_lot(Arc::clone(&app), lot);
    let written = cx.app().enrollments.0.hand_in(signed, work).await;
    written.unwrap_or_else(|reason| match reason {
        db::NotDone::Busy => Err(Error::new(
            Kind::Unavailable,
            "Too many enrollments wait to be written; nothing was issued. Try again.",
        )),
        db::NotDone::Ended => Err(Error::internal(reason)),
    })
}

async fn write_lot(app: Arc<App>, lot: Vec<Signed>) -> Vec<Result<Numbers, Error>> {
    let lot = Arc::new(lot);
    // Whether it broke off in the middle, where one of them may be at fault for all.
    let broke_off = Arc::new(AtomicBool::new(false));
    let (all, midway) = (Arc::clone(&lot), Arc::clone(&broke_off));
    let written = app
        .db
        .write("enrollment.issue", move |tx| {
            Box::pin(async move {
                midway.store(true, Ordering::Relaxed);
                let numbers = record_lot(tx, &all).await?;
                midway.store(false, Ordering::Relaxed);
                Ok::<_, Error>(numbers)
            })
        })
        .await;
    let error = match written {
        Ok(numbers) => return numbers.into_iter().map(Ok).collect(),
        Err(error) => error,
    };
    if !broke_off.load(Ordering::Relaxed) || error.kind() == Kind::Unavailable {
        // It was never begun, and would not be for each alone; or the commit failed, and whether it was kept may be unknown, so
        // that trying again could write twice.
        return lot.iter().map(|_| Err(error.repeated())).collect();
    }
    // One of them cannot be written. Each alone, so that the others do not suffer for it.
    let mut results = Vec::with_capacity(lot.len());
    for index in 0..lot.len() {
        let lot = Arc::clone(&lot);
        let written = app.db.write("enrollment.issue", move |tx| {
            Box::pin(async move { record_one(tx, &lot[index]).await })
        });
        results.push(written.await);
    }
    results
}

async fn record_lot(tx: &db::Tx, lot: &[Signed]) -> Result<Vec<Numbers>, Error> {
    let given: Vec<_> = lot.iter().map(|signed| signed.intent.given()).collect();
    let metadata = metadata_fields::enrolled_in(tx, &given).await?;
    let tables = ["certificate_requests", "certificates"];
    let [requests, certificates] = db::reserve_ids(tx, tables, lot.len()).await?;
    let numbers: Vec<Numbers> = requests
        .into_iter()
        .zip(certificates)
        .map(|(request_id, certificate_id)| Numbers {
            request_id,
            certificate_id,
        })
        .collect();
    let both = || lot.iter().zip(&numbers);
    let rows = both().map(|(signed, numbers)| certificate_requests::ActiveModel {
        id: ActiveValue::Set(numbers.request_id),
        certificate_id: ActiveValue::Set(Some(numbers.certificate_id)),
        ..signed.row.clone()
    });
    db::insert_all(tx, rows).await?;
    let requesters: Vec<String> = lot.iter().map(|signed| signed.cx.caller_name()).collect();
    let parts: Vec<Recorded<'_>> = both()
        .zip(&requesters)
        .map(|((signed, numbers), requester)| signed.recorded(numbers.request_id, requester))
        .collect();
    let all: Vec<New<'_>> = both()
        .zip(parts.iter().zip(&metadata))
        .map(|((signed, numbers), (parts, metadata))| New {
            cx: &signed.cx,
            id: numbers.certificate_id,
            certificate: &signed.certificate,
            origin: parts.origin(&signed.intent, metadata),
        })
        .collect();
    let counted = certificates::record_new(tx, &all).await?;
    certificates::count(tx, counted).await?;
    for (signed, numbers) in both() {
        follow_up(tx, &signed.cx, numbers.certificate_id, &signed.intent).await?;
    }
    let entries = both().zip(&parts).map(|((signed, numbers), parts)| {
        let entry = parts.entry(numbers.certificate_id, &signed.intent);
        (&signed.cx, entry)
    });
    audit::record_all(tx, entries.collect()).await?;
    Ok(numbers)
}

async fn record_one(tx: &db::Tx, signed: &Signed) -> Result<Numbers, Error> {
    let request_id = certificate_requests::Entity::insert(signed.row.clone())
        .exec(tx)
        .await?
        .last_insert_id;
    let requester = signed.cx.caller_name();
    let parts = signed.recorded(request_id, &requester);
    let certificate_id = record(tx, &signed.cx, &parts, &signed.intent).await?;
    Ok(Numbers {
        request_id,
        certificate_id,
    })
}

impl Intent {
    /// What is to be checked of it.
    fn given(&self) -> (&[(String, String)], bool) {
        (&self.metadata, self.metadata_kept)
    }
}

impl Signed {
    fn recorded<'a>(&'a self, request_id: i64, requester: &'a str) -> Recorded<'a> {
        Recorded {
            request_id,
            authority_id: self.authority_id,
            template_id: self.template_id,
            requester,
            certificate: &self.certificate,
            key: self.key.as_ref(),
        }
    }
}

/// What is known of a certificate besides the intent.
pub(super) struct Recorded<'a> {
    pub(super) request_id: i64,
    pub(super) authority_id: i64,
    pub(super) template_id: i64,
    pub(super) requester: &'a str,
    pub(super) certificate: &'a Certificate,
    pub(super) key: Option<&'a PrivateKey>,
}

impl<'a> Recorded<'a> {
    fn origin(&self, intent: &Intent, metadata: &'a [(String, String)]) -> Origin<'a> {
        let request_id = self.request_id;
        let (action, comment) = match intent.renewal_of {
            None => ("Enrolled", format!("Enrolled with request {request_id}")),
            Some(old) => (
                "Renewed",
                format!("Renewal of certificate {old} with request {request_id}"),
            ),
        };
        Origin {
            authority_id: Some(self.authority_id),
            template_id: Some(self.template_id),
            request_id: Some(request_id),
            requester: Some(self.requester),
            owner_role_id: intent.owner_role_id,
            metadata,
            private_key: self.key,
            history: Some((action, comment)),
        }
    }

    fn entry(&self, certificate_id: i64, intent: &Intent) -> Entry {
        let operation = if intent.renewal_of.is_some() {
            Operation::Renewed
        } else {
            Operation::Created
        };
        let message = format!(
            "certificate {certificate_id} issued for request {}, serial {}",
            self.request_id,
            self.certificate.serial_hex()
        );
        Entry::new(
            operation,
            Category::Certificate,
            self.certificate.subject(),
            message,
        )
        .on_behalf_of(self.requester)
        .after(serde_json::json!({
            "CertificateId": certificate_id, "RequestId": self.request_id, "SignedWithKeyOfAuthority": self.authority_id,
            "SerialNumber": self.certificate.serial_hex(), "Thumbprint": self.certificate.thumbprint(),
        }))
    }
}

/// Everything that a new certificate leaves behind besides its request, which learns the certificate's id.
pub(super) async fn record(
    tx: &db::Tx,
    cx: &Cx,
    parts: &Recorded<'_>,
    intent: &Intent,
) -> Result<i64, Error> {
    let metadata = metadata_fields::enrolled_in(tx, &[intent.given()]).await?;
    let origin = parts.origin(intent, &metadata[0]);
    let certificate_id = certificates::record(tx, cx, parts.certificate, &origin).await?;
    certificate_requests::Entity::update_many()
        .col_expr(
            certificate_requests::Column::CertificateId,
            Expr::val(certificate_id),
        )
        .filter(certificate_requests::Column::Id.eq(parts.request_id))
        .exec(tx)
        .await?;
    follow_up(tx, cx, certificate_id, intent).await?;
    audit::record(tx, cx, parts.entry(certificate_id, intent)).await?;
    Ok(certificate_id)
}

/// The history of the certificate that this one follows, and the jobs that put it into stores.
async fn follow_up(
    tx: &db::Tx,
    cx: &Cx,
    certificate_id: i64,
    intent: &Intent,
) -> Result<(), Error> {
    if let Some(old) = intent.renewal_of {
        let comment = format!("Renewed by certificate {certificate_id}");
        certificates::add_history(tx, cx, old, "Renewed", &comment).await?;
    }
    delivery::schedule(tx, cx, certificate_id, &intent.stores).await
}
