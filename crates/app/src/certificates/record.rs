//! Into the inventory: the one way in which certificates come in, whoever brings them.

use db::tables::{
    certificate_contents, certificate_keys, certificate_names, certificates, revocations,
};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::counts::Counted;
use super::{counts, metadata, noted, stored};
use crate::authorities;
use crate::cx::Cx;
use crate::error::Error;
use crate::past;

/// `CertState`: found somewhere, and issued by none of our authorities.
pub(crate) const STATE_UNKNOWN: i32 = 0;
/// `CertState`: issued by one of our authorities and not revoked.
pub(crate) const STATE_ACTIVE: i32 = 1;
/// `CertState`: revoked.
pub(crate) const STATE_REVOKED: i32 = 2;

/// Where a certificate comes from, as far as it is known. What is `None` or empty leaves a known certificate as it is.
#[derive(Debug, Default)]
pub(crate) struct Origin<'a> {
    /// The authority that issued it.
    pub(crate) authority_id: Option<i64>,
    /// The template it was issued from.
    pub(crate) template_id: Option<i64>,
    /// The request it answers.
    pub(crate) request_id: Option<i64>,
    /// Who asked for it.
    pub(crate) requester: Option<&'a str>,
    /// The role that owns it.
    pub(crate) owner_role_id: Option<i64>,
    /// Name and value of each metadata field.
    pub(crate) metadata: &'a [(String, String)],
    /// Its private key, to be sealed and stored.
    pub(crate) private_key: Option<&'a pki::PrivateKey>,
    /// What to write into its history: action and comment.
    pub(crate) history: Option<(&'a str, String)>,
}

/// Records a certificate and what is known about it. One that is known already keeps its id; what `origin` knows is added.
/// Answers the certificate's id.
///
/// # Errors
/// A fault when the private key is another certificate's; those of the database.
pub(crate) async fn record(
    tx: &db::Tx,
    cx: &Cx,
    certificate: &pki::Certificate,
    origin: &Origin<'_>,
) -> Result<i64, Error> {
    let (id, counted) = write(tx, cx, certificate, origin).await?;
    noted::note(tx, [id]).await?;
    // Last: who waits for a count waits with everything else written, so that nobody waits in a circle.
    counts::change(tx, counted).await?;
    Ok(id)
}

/// All but the note and the count. Answers the id, and what to count.
async fn write(
    tx: &db::Tx,
    cx: &Cx,
    certificate: &pki::Certificate,
    origin: &Origin<'_>,
) -> Result<(i64, Vec<(Counted, i64)>), Error> {
    check_key(certificate, origin)?;
    let standing = Standing::of(tx, cx, certificate, origin).await?;
    let inserted = insert(tx, cx, certificate, origin, standing).await?;
    let (id, counted) = match inserted {
        Some(id) => (id, vec![(standing.counted(certificate), 1)]),
        None => complete(tx, cx, certificate, origin).await?,
    };
    if let Some(key) = origin.private_key {
        let row = key_row(cx, id, key)?;
        let again = OnConflict::column(certificate_keys::Column::CertificateId)
            .update_column(certificate_keys::Column::SealedKey)
            .to_owned();
        certificate_keys::Entity::insert(row)
            .on_conflict(again)
            .exec_without_returning(tx)
            .await?;
    }
    match inserted {
        Some(_) => metadata::enter_new(tx, id, origin.metadata).await?,
        None => metadata::enter(tx, cx, id, origin.metadata).await?,
    }
    if let Some((action, comment)) = &origin.history {
        stored::add_history(tx, cx, id, action, comment).await?;
    }
    Ok((id, counted))
}

/// By what those who record several certificates sort them: in one order for everybody, so that two that bring the same ones never
/// wait for each other in a circle. Those of an issuer follow each other, as they do in the indexes of what they have in common: a lot
/// touches fewer of their pages.
pub(super) fn turn<'a>(certificate: &'a pki::Certificate, sha256: &'a [u8]) -> (&'a str, &'a [u8]) {
    (certificate.issuer(), sha256)
}

/// Records several certificates as [`record`] does each. Answers their ids in the order given.
///
/// # Errors
/// Those of [`record`].
pub(super) async fn record_together(
    tx: &db::Tx,
    cx: &Cx,
    all: &[(&pki::Certificate, Origin<'_>)],
) -> Result<Vec<i64>, Error> {
    let digests: Vec<_> = all.iter().map(|(one, _)| one.sha256()).collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_unstable_by_key(|index| turn(all[*index].0, &digests[*index]));
    let (mut ids, mut counted) = (vec![0; all.len()], Vec::new());
    for index in order {
        let (certificate, origin) = &all[index];
        let (id, more) = write(tx, cx, certificate, origin).await?;
        counted.extend(more);
        ids[index] = id;
    }
    noted::note(tx, ids.iter().copied()).await?;
    counts::change(tx, counted).await?;
    Ok(ids)
}

/// A certificate that cannot be known yet, since it has just been issued.
pub(crate) struct New<'a> {
    /// In whose name it is recorded.
    pub(crate) cx: &'a Cx,
    /// Its id, taken from `db::reserve_ids`.
    pub(crate) id: i64,
    pub(crate) certificate: &'a pki::Certificate,
    pub(crate) origin: Origin<'a>,
}

/// Records many new certificates: as [`record`] does for each, in few statements. Answers what [`counts::change`] has to count of them,
/// last in the transaction.
///
/// # Errors
/// Those of [`record`], and of the database when one of them is known.
pub(crate) async fn record_new(tx: &db::Tx, all: &[New<'_>]) -> Result<Vec<(Counted, i64)>, Error> {
    for new in all {
        check_key(new.certificate, &new.origin)?;
    }
    let (mut standings, mut counted) = (Vec::with_capacity(all.len()), Vec::new());
    for new in all {
        let standing = Standing::of(tx, new.cx, new.certificate, &new.origin).await?;
        counted.push((standing.counted(new.certificate), 1));
        standings.push(standing);
    }
    let rows = all.iter().zip(standings).map(|(new, standing)| {
        let row = row_of(new.cx, new.certificate, &new.origin, standing);
        certificates::ActiveModel {
            id: ActiveValue::Set(new.id),
            ..row
        }
    });
    db::insert_all(tx, rows).await?;
    let contents = all.iter().map(|new| content_row(new.id, new.certificate));
    db::insert_all(tx, contents).await?;
    let names = all
        .iter()
        .flat_map(|new| name_rows(new.id, new.certificate));
    db::insert_all(tx, names).await?;
    let keys = all.iter().filter_map(|new| {
        let key = new.origin.private_key?;
        Some(key_row(new.cx, new.id, key))
    });
    db::insert_all(tx, keys.collect::<Result<Vec<_>, _>>()?).await?;
    for new in all {
        metadata::enter_new(tx, new.id, new.origin.metadata).await?;
    }
    let lines = all.iter().filter_map(|new| {
        let (action, comment) = new.origin.history.as_ref()?;
        Some(stored::history_row(new.cx, new.id, action, comment))
    });
    db::insert_all(tx, lines).await?;
    noted::note(tx, all.iter().map(|new| new.id)).await?;
    Ok(counted)
}

/// What our own authorities say of a certificate, whoever brings it: one that was deleted may come in again, and is as revoked as it
/// was.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    authority_id: Option<i64>,
    /// Since when and why.
    revoked: Option<(i64, i32)>,
}

impl Standing {
    async fn of(
        tx: &db::Tx,
        cx: &Cx,
        certificate: &pki::Certificate,
        origin: &Origin<'_>,
    ) -> Result<Self, Error> {
        if origin.authority_id.is_some() {
            // It has just been issued.
            return Ok(Self {
                authority_id: origin.authority_id,
                revoked: None,
            });
        }
        let Some(authority_id) = authorities::issuer_of(cx.app(), certificate) else {
            return Ok(Self::default());
        };
        let key = (authority_id, certificate.serial_hex().to_owned());
        let revoked = revocations::Entity::find_by_id(key).one(tx).await?;
        Ok(Self {
            authority_id: Some(authority_id),
            revoked: revoked.map(|row| (row.revoked_at, row.reason)),
        })
    }

    /// As what a new certificate is counted.
    fn counted(self, certificate: &pki::Certificate) -> Counted {
        Counted {
            not_after: storable(certificate.not_after()),
            state: self.state(),
            authority_id: self.authority_id,
            key_type: key_type(certificate.key().algorithm),
        }
    }

    fn state(self) -> i32 {
        match (self.authority_id, self.revoked) {
            (_, Some(_)) => STATE_REVOKED,
            (Some(_), None) => STATE_ACTIVE,
            (None, None) => STATE_UNKNOWN,
        }
    }
}

fn check_key(certificate: &pki::Certificate, origin: &Origin<'_>) -> Result<(), Error> {
    match origin.private_key {
        Some(key) if !key.matches(certificate) => Err(Error::internal(
            "a private key was to be stored with a certificate it is not for",
        )),
        _ => Ok(()),
    }
}

fn content_row(id: i64, certificate: &pki::Certificate) -> certificate_contents::ActiveModel {
    certificate_contents::ActiveModel {
        certificate_id: ActiveValue::Set(id),
        der: ActiveValue::Set(certificate.der().to_vec()),
    }
}

fn name_rows(
    id: i64,
    certificate: &pki::Certificate,
) -> impl Iterator<Item = certificate_names::ActiveModel> {
    let names = (0..).zip(certificate.subject_alternative_names());
    names.map(move |(position, name)| certificate_names::ActiveModel {
        certificate_id: ActiveValue::Set(id),
        position: ActiveValue::Set(position),
        kind: ActiveValue::Set(i32::from(name.kind.number())),
        value: ActiveValue::Set(name.value.clone()),
        value_fold: ActiveValue::Set(db::fold(&name.value)),
    })
}

fn key_row(
    cx: &Cx,
    id: i64,
    key: &pki::PrivateKey,
) -> Result<certificate_keys::ActiveModel, Error> {
    let sealed = cx
        .app()
        .keyring()
        .seal(&stored::key_purpose(id), &key.to_pkcs8_der())?;
    Ok(certificate_keys::ActiveModel {
        certificate_id: ActiveValue::Set(id),
        sealed_key: ActiveValue::Set(sealed.into_bytes()),
    })
}

/// The row, its content and its names; `None` when the certificate is known already.
async fn insert(
    tx: &db::Tx,
    cx: &Cx,
    certificate: &pki::Certificate,
    origin: &Origin<'_>,
    standing: Standing,
) -> Result<Option<i64>, Error> {
    let row = row_of(cx, certificate, origin, standing);
    use certificates::Column::{Sha256, Thumbprint};
    let known = OnConflict::columns([Thumbprint, Sha256])
        .do_nothing()
        .to_owned();
    let inserted = certificates::Entity::insert(row)
        .on_conflict(known)
        .exec(tx)
        .await;
    let id = match inserted {
        Ok(result) => result.last_insert_id,
        Err(sea_orm::DbErr::RecordNotInserted) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    certificate_contents::Entity::insert(content_row(id, certificate))
        .exec_without_returning(tx)
        .await?;
    db::insert_all(tx, name_rows(id, certificate)).await?;
    Ok(Some(id))
}

/// Adds to a known certificate what its row does not say yet. Answers its id, and what to count.
async fn complete(
    tx: &db::Tx,
    cx: &Cx,
    certificate: &pki::Certificate,
    origin: &Origin<'_>,
) -> Result<(i64, Vec<(Counted, i64)>), Error> {
    let known = certificates::Entity::find()
        .filter(certificates::Column::Thumbprint.eq(certificate.thumbprint()))
        .filter(certificates::Column::Sha256.eq(certificate.sha256().to_vec()))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or_else(|| Error::internal("a known certificate has no row"))?;
    let id = known.id;
    let before = Counted::from(&known);
    let mut after = before;
    let mut changed = certificates::ActiveModel {
        id: ActiveValue::Unchanged(id),
        ..Default::default()
    };
    if origin.authority_id.is_some() && origin.authority_id != known.authority_id {
        changed.authority_id = ActiveValue::Set(origin.authority_id);
        after.authority_id = origin.authority_id;
        if known.state == STATE_UNKNOWN {
            changed.state = ActiveValue::Set(STATE_ACTIVE);
            after.state = STATE_ACTIVE;
        }
    }
    if origin.template_id.is_some() && origin.template_id != known.template_id {
        changed.template_id = ActiveValue::Set(origin.template_id);
    }
    if origin.request_id.is_some() && origin.request_id != known.request_id {
        changed.request_id = ActiveValue::Set(origin.request_id);
    }
    if origin.requester.is_some() && origin.requester != known.requester.as_deref() {
        changed.requester = ActiveValue::Set(origin.requester.map(str::to_owned));
    }
    if origin.owner_role_id.is_some() && origin.owner_role_id != known.owner_role_id {
        changed.owner_role_id = ActiveValue::Set(origin.owner_role_id);
    }
    if origin.private_key.is_some() && !known.has_private_key {
        changed.has_private_key = ActiveValue::Set(true);
    }
    if changed.is_changed() {
        past::certificates_change(tx, cx, &[id]).await?;
        certificates::Entity::update(changed)
            .validate()?
            .exec(tx)
            .await?;
    }
    Ok((id, vec![(before, -1), (after, 1)]))
}

fn row_of(
    cx: &Cx,
    certificate: &pki::Certificate,
    origin: &Origin<'_>,
    standing: Standing,
) -> certificates::ActiveModel {
    let key = certificate.key();
    let text = |text: Option<&str>| ActiveValue::Set(text.map(str::to_owned));
    certificates::ActiveModel {
        id: ActiveValue::NotSet,
        sha256: ActiveValue::Set(certificate.sha256().to_vec()),
        thumbprint: ActiveValue::Set(certificate.thumbprint()),
        serial_number: ActiveValue::Set(certificate.serial_hex().to_owned()),
        subject: ActiveValue::Set(certificate.subject().to_owned()),
        subject_fold: ActiveValue::Set(db::fold(certificate.subject())),
        issuer: ActiveValue::Set(certificate.issuer().to_owned()),
        issuer_fold: ActiveValue::Set(db::fold(certificate.issuer())),
        common_name: text(certificate.common_name()),
        common_name_fold: ActiveValue::Set(certificate.common_name().map(db::fold)),
        organizational_unit: text(certificate.organizational_unit()),
        email: text(certificate.email()),
        not_before: ActiveValue::Set(storable(certificate.not_before())),
        not_after: ActiveValue::Set(storable(certificate.not_after())),
        imported_at: ActiveValue::Set(cx.now()),
        key_type: ActiveValue::Set(key_type(key.algorithm)),
        key_size: ActiveValue::Set(i32::try_from(key.size_bits).unwrap_or(0)),
        key_algorithm: ActiveValue::Set(key.algorithm_oid.clone()),
        curve: text(key.curve.as_deref()),
        signing_algorithm: ActiveValue::Set(certificate.signature_algorithm().to_owned()),
        key_usage: ActiveValue::Set(i32::from(certificate.key_usage())),
        is_authority: ActiveValue::Set(certificate.is_ca()),
        path_length: ActiveValue::Set(
            certificate
                .path_length()
                .and_then(|length| i32::try_from(length).ok()),
        ),
        state: ActiveValue::Set(standing.state()),
        revoked_at: ActiveValue::Set(standing.revoked.map(|(at, _)| at)),
        revocation_reason: ActiveValue::Set(standing.revoked.map(|(_, reason)| reason)),
        revocation_comment: ActiveValue::Set(None),
        authority_id: ActiveValue::Set(standing.authority_id),
        template_id: ActiveValue::Set(origin.template_id),
        request_id: ActiveValue::Set(origin.request_id),
        requester: text(origin.requester),
        owner_role_id: ActiveValue::Set(origin.owner_role_id),
        has_private_key: ActiveValue::Set(origin.private_key.is_some()),
    }
}

/// A certificate may say any year; the ends of what calendars hold are as good as what lies beyond.
pub(super) fn storable(at: i64) -> i64 {
    at.clamp(-62_135_596_800_000, 253_402_300_799_000)
}

/// What `key_type` holds: the contract's numbers up to 4, then ours for the algorithms that came after it.
pub(crate) fn key_type(algorithm: pki::KeyAlgorithm) -> i32 {
    use pki::KeyAlgorithm as A;
    match algorithm {
        A::Unknown => 0,
        A::Rsa => 1,
        A::Dsa => 2,
        A::Ecc => 3,
        A::Dh => 4,
        A::Ed25519 => 5,
        A::Ed448 => 6,
        A::MlDsa44 => 7,
        A::MlDsa65 => 8,
        A::MlDsa87 => 9,
        A::SlhDsa => 10,
    }
}
