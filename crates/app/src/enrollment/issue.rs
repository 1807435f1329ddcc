//! From a settled request to a certificate: at once, or after a manager has approved it.

use std::sync::Arc;

use ca::Authority;
use db::tables::certificate_requests;
use pki::{Certificate, DistinguishedName, PrivateKey, Subject, SubjectAlternativeName};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::delivery::{self, StoreWish};
use super::names::kind_numbered;
use super::plan::{self, Owner};
use super::recording::{self, Recorded, Signed};
use super::{STATE_ISSUED, STATE_PENDING};
use crate::application_settings::OwnerPolicy;
use crate::audit::{self, Category, Entry, Operation};
use crate::authorities::{self, KnownAuthority};
use crate::certificates;
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::security::explain::as_subject;
use crate::security::{population, role_by_id};
use crate::templates::Template;

/// What issuing needs beside key, authority and template. Stored with the request as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Intent {
    pub(crate) subject: String,
    /// The kind's number and the value.
    pub(crate) names: Vec<(u16, String)>,
    pub(crate) metadata: Vec<(String, String)>,
    /// It is that of the certificate that this one follows, and not given.
    pub(crate) metadata_kept: bool,
    pub(crate) owner_role_id: Option<i64>,
    /// The request named the owner.
    pub(crate) owner_named: bool,
    /// The certificate that this one follows.
    pub(crate) renewal_of: Option<i64>,
    /// Stores to put the certificate into.
    pub(crate) stores: Vec<StoreWish>,
    /// The claims of the requester, for requests that wait: what they grant counts again at the approval.
    pub(crate) requester_claims: Vec<i64>,
}

/// A request with everything settled.
pub(super) struct Settled {
    pub(super) authority: Arc<KnownAuthority>,
    pub(super) template: Arc<Template>,
    pub(super) subject: DistinguishedName,
    pub(super) names: Vec<SubjectAlternativeName>,
    /// PKCS#10.
    pub(super) request_der: Vec<u8>,
    pub(super) spki_der: Vec<u8>,
    /// The private key, where it is to be stored.
    pub(super) stored_key: Option<PrivateKey>,
    /// The same, or one that is stored only as long as the request waits.
    pub(super) waiting_key: Option<PrivateKey>,
    pub(super) metadata: Vec<(String, String)>,
    /// See [`Intent::metadata_kept`].
    pub(super) metadata_kept: bool,
    pub(super) owner: Owner,
    pub(super) renewal_of: Option<i64>,
    pub(super) stores: Vec<StoreWish>,
}

/// What became of a request.
pub(super) struct Outcome {
    pub(super) request_id: i64,
    /// None as long as it waits.
    pub(super) issued: Option<Issued>,
}

/// A certificate that is in the inventory.
pub(super) struct Issued {
    pub(super) certificate_id: i64,
    /// Leaf first.
    pub(super) chain: Vec<Certificate>,
}

impl Issued {
    pub(super) fn certificate(&self) -> &Certificate {
        &self.chain[0]
    }
}

/// Issues, or lets the request wait where the template asks for approval. One write.
///
/// # Errors
/// Those of the authority and of the database; nothing is recorded then.
pub(super) async fn carry_out(cx: &Cx, settled: Settled) -> Result<Outcome, Error> {
    let intent = Intent {
        subject: settled.subject.to_string(),
        names: settled
            .names
            .iter()
            .map(|name| (name.kind.number(), name.value.clone()))
            .collect(),
        metadata: settled.metadata,
        metadata_kept: settled.metadata_kept,
        owner_role_id: settled.owner.role_id,
        owner_named: settled.owner.named,
        renewal_of: settled.renewal_of,
        stores: settled.stores,
        requester_claims: if settled.template.row.requires_approval {
            cx.claim_ids().to_vec()
        } else {
            Vec::new()
        },
    };
    let mut row = certificate_requests::ActiveModel {
        id: ActiveValue::NotSet,
        authority_id: ActiveValue::Set(settled.authority.id),
        template_id: ActiveValue::Set(settled.template.row.id),
        requester: ActiveValue::Set(cx.caller_name()),
        state: ActiveValue::Set(STATE_PENDING),
        common_name: ActiveValue::Set(settled.subject.common_name().map(str::to_owned)),
        subject: ActiveValue::Set(intent.subject.clone()),
        request: ActiveValue::Set(settled.request_der),
        sealed_key: ActiveValue::Set(None),
        enrollment: ActiveValue::Set(serde_json::to_string(&intent)?),
        submitted_at: ActiveValue::Set(cx.now()),
        decided_at: ActiveValue::Set(None),
        decided_by: ActiveValue::Set(None),
        denial_comment: ActiveValue::Set(None),
        certificate_id: ActiveValue::Set(None),
    };
    if settled.template.row.requires_approval {
        let request_id = wait(
            cx,
            row,
            settled.waiting_key,
            settled.template.row.common_name.clone(),
        )
        .await?;
        return Ok(Outcome {
            request_id,
            issued: None,
        });
    }
    let subject = Subject {
        name: settled.subject,
        sans: settled.names,
        spki_der: settled.spki_der,
    };
    let certificate = sign(cx, &settled.authority, &settled.template, subject)?;
    row.state = ActiveValue::Set(STATE_ISSUED);
    row.decided_at = ActiveValue::Set(Some(cx.now()));
    let signed = Signed {
        cx: cx.clone(),
        row,
        authority_id: settled.authority.id,
        template_id: settled.template.row.id,
        certificate: certificate.clone(),
        key: settled.stored_key,
        intent,
    };
    let numbers = recording::write_down(cx, signed).await?;
    let mut chain = vec![certificate];
    chain.extend_from_slice(settled.authority.connector.chain());
    Ok(Outcome {
        request_id: numbers.request_id,
        issued: Some(Issued {
            certificate_id: numbers.certificate_id,
            chain,
        }),
    })
}

fn sign(
    cx: &Cx,
    authority: &KnownAuthority,
    template: &Template,
    subject: Subject,
) -> Result<Certificate, Error> {
    let order = authorities::order(cx, subject, template.profile());
    authority
        .connector
        .issue(order)
        .map_err(authorities::refusal)
}

async fn wait(
    cx: &Cx,
    row: certificate_requests::ActiveModel,
    key: Option<PrivateKey>,
    template: String,
) -> Result<i64, Error> {
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("enrollment.wait", move |tx| {
            Box::pin(async move {
                let name = match &row.subject {
                    ActiveValue::Set(subject) => subject.clone(),
                    _ => String::new(),
                };
                let request_id = certificate_requests::Entity::insert(row)
                    .exec(tx)
                    .await?
                    .last_insert_id;
                if let Some(key) = key {
                    // The seal is bound to the row's id, which is known only now.
                    let sealed = cx
                        .app()
                        .keyring()
                        .seal(&aad(request_id), &key.to_pkcs8_der())?;
                    certificate_requests::Entity::update_many()
                        .col_expr(
                            certificate_requests::Column::SealedKey,
                            Expr::val(sealed.into_bytes()),
                        )
                        .filter(certificate_requests::Column::Id.eq(request_id))
                        .exec(tx)
                        .await?;
                }
                let message =
                    format!("request {request_id} for template {template} waits for approval");
                audit::record(
                    tx,
                    &cx,
                    Entry::new(
                        Operation::Created,
                        Category::CertificateRequest,
                        name,
                        message,
                    ),
                )
                .await?;
                Ok::<_, Error>(request_id)
            })
        })
        .await
}

/// What binds the sealed key of a waiting request to its place.
fn aad(request_id: i64) -> String {
    crate::sealing::REQUEST_KEY.purpose(request_id)
}

/// What was allowed when the request was made has to be allowed still, with the rights that the requester has now. Answers what is
/// to be done, and the stores of the request that the requester may not schedule any more.
///
/// # Errors
/// 409 when the role that was named is gone; 400 for what the owner policy does not allow; 403 when the requester may not make
/// the role the owner.
async fn checked_again(
    cx: &Cx,
    row: &certificate_requests::Model,
    mut intent: Intent,
) -> Result<(Intent, Vec<Uuid>), Error> {
    let connection = cx.db().read();
    let grants = population::of_claims(connection, &intent.requester_claims).await?;
    let requester = as_subject(cx, &row.requester, grants);
    if intent.owner_named {
        let role = role_by_id(connection, intent.owner_role_id.unwrap_or_default()).await?;
        let role = role.ok_or_else(|| {
            Error::conflict(
                "The security role that was to own the certificate is not there any more; the request can only be denied.",
            )
        })?;
        requester.authorize_first_owner(&role)?;
        let policy = OwnerPolicy::load(connection).await?;
        policy.usable("OwnerRoleId", &role)?;
    } else {
        let renewed = match intent.renewal_of {
            Some(id) => {
                let found = db::tables::certificates::Entity::find_by_id(id);
                found.one(connection).await?
            }
            None => None,
        };
        let current = renewed.and_then(|row| row.owner_role_id);
        intent.owner_role_id = plan::kept_owner(cx, current).await?;
    }
    let refused = delivery::refused(&requester, &intent.stores).await?;
    intent
        .stores
        .retain(|wish| !refused.contains(&wish.store_id));
    Ok((intent, refused))
}

/// Issues what a waiting request asks for. Of several who approve at once, one issues; the others learn who was first.
///
/// # Errors
/// 409 when the request does not wait any more, and when its owner is gone; 400 and 403 when it cannot have its owner any more; 400
/// when it cannot have its metadata any more; those of the authority. All of them leave it waiting. Those of the database.
pub(crate) async fn approve(
    cx: &Cx,
    row: certificate_requests::Model,
    template: &Template,
) -> Result<i64, Error> {
    let intent: Intent = serde_json::from_str(&row.enrollment)?;
    let (intent, refused) = checked_again(cx, &row, intent).await?;
    let known = authorities::all(cx.app()).await?;
    let authority = known
        .iter()
        .find(|authority| authority.id == row.authority_id && authority.enabled);
    let authority = authority.ok_or_else(|| {
        Error::new(
            Kind::AuthorityRefused,
            "The certificate authority is not there any more.",
        )
    })?;
    let request =
        pki::CertificateRequest::from_pem_or_der(&row.request).map_err(Error::internal)?;
    let subject = Subject {
        name: DistinguishedName::parse(&intent.subject).map_err(Error::internal)?,
        sans: intent
            .names
            .iter()
            .map(|(kind, value)| SubjectAlternativeName::new(kind_numbered(*kind), value))
            .collect(),
        spki_der: request.spki_der().to_vec(),
    };
    let key = match row.sealed_key {
        None => None,
        Some(sealed) => {
            let opened = cx
                .app()
                .keyring()
                .open(&aad(row.id), &secrets::Sealed::from_bytes(sealed)?)?;
            Some(PrivateKey::from_pkcs8_der(opened.expose()).map_err(Error::internal)?)
        }
    };
    let certificate = sign(cx, authority, template, subject)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("enrollment.approve", move |tx| {
            Box::pin(async move {
                super::decided(tx, &cx, row.id, STATE_ISSUED, None).await?;
                let parts = Recorded {
                    request_id: row.id,
                    authority_id: row.authority_id,
                    template_id: row.template_id,
                    requester: &row.requester,
                    certificate: &certificate,
                    key: key.as_ref(),
                };
                let certificate_id = recording::record(tx, &cx, &parts, &intent).await?;
                for store_id in refused {
                    let reason = format!(
                        "Certificate store {store_id}: {} may not schedule it any more.",
                        row.requester
                    );
                    certificates::add_history(
                        tx,
                        &cx,
                        certificate_id,
                        "Deployment Failed",
                        &reason,
                    )
                    .await?;
                }
                let message = format!("request {} approved", row.id);
                audit::record(
                    tx,
                    &cx,
                    Entry::new(
                        Operation::Approved,
                        Category::CertificateRequest,
                        row.subject,
                        message,
                    ),
                )
                .await?;
                Ok::<_, Error>(certificate_id)
            })
        })
        .await
}
