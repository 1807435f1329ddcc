//! The authorities of a new installation: a root, one that issues below it, and one for agents.

use db::tables::authorities;
use pki::{DistinguishedName, Issuer, KeySpec, PrivateKey, Serial};
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait};

use super::memory::aad;
use super::{PURPOSE_AGENTS, PURPOSE_ISSUING, PURPOSE_ROOT, revocation_lists};
use crate::audit::{self, Category, Entry, Operation};
use crate::certificates::{self, Origin};
use crate::cx::Cx;
use crate::error::Error;

const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;
/// Authorities begin in the past: clocks of clients may be behind ours, and the certificates of agents, which begin a day
/// back (agent-protocol 1), cannot begin before their authority.
const BACKDATING_MS: i64 = 25 * 60 * 60 * 1000;
const ROOT_YEARS: i64 = 20;
const ISSUING_YEARS: i64 = 10;
const AGENTS_YEARS: i64 = 20;
const KEY_CERT_SIGN_AND_CRL_SIGN: u16 = 4 | 2;

/// The first authorities, made before the transaction that stores them: key generation takes time.
pub(crate) struct FirstAuthorities {
    host_name: String,
    root: (Issuer, PrivateKey),
    issuing: (Issuer, PrivateKey),
    agents: (Issuer, PrivateKey),
}

/// Makes keys and certificates.
///
/// # Errors
/// A fault of the cryptographic library.
pub(crate) fn prepare_first(cx: &Cx) -> Result<FirstAuthorities, Error> {
    let (begin, now) = (cx.now() - BACKDATING_MS, cx.now());
    // Installations have names of their own, so that their roots can stand side by side in one trust store.
    let installation = cx.guid().simple().to_string()[..8].to_uppercase();
    let root = root(
        cx,
        &format!("CN=Chancery Root CA,O=Chancery {installation}"),
        KeySpec::EcP384,
        begin,
        now + ROOT_YEARS * YEAR_MS,
    )?;
    let agents = self::root(
        cx,
        &format!("CN=Chancery Agents CA,O=Chancery {installation}"),
        KeySpec::EcP256,
        begin,
        now + AGENTS_YEARS * YEAR_MS,
    )?;
    let issuing = {
        let key = PrivateKey::generate(KeySpec::EcP256).map_err(Error::internal)?;
        let name = format!("CN=Chancery Issuing CA,O=Chancery {installation}");
        let subject = pki::Subject {
            name: DistinguishedName::parse(&name).map_err(Error::internal)?,
            sans: Vec::new(),
            spki_der: key.spki_der(),
        };
        let profile = pki::CertificateProfile {
            basic_constraints: Some((true, Some(0))),
            key_usage: KEY_CERT_SIGN_AND_CRL_SIGN,
            crl_distribution_points: revocation_lists::address(cx.app(), &root.0)
                .into_iter()
                .collect(),
            ..pki::CertificateProfile::default()
        };
        let linted = root
            .0
            .prepare(
                subject,
                &profile,
                serial(cx),
                begin,
                now + ISSUING_YEARS * YEAR_MS,
            )
            .map_err(Error::internal)?;
        let certificate = linted.sign(&root.0).map_err(Error::internal)?;
        (
            Issuer::new(certificate, key.clone()).map_err(Error::internal)?,
            key,
        )
    };
    Ok(FirstAuthorities {
        host_name: host_name(cx),
        root,
        issuing,
        agents,
    })
}

fn root(
    cx: &Cx,
    name: &str,
    spec: KeySpec,
    begin: i64,
    end: i64,
) -> Result<(Issuer, PrivateKey), Error> {
    let key = PrivateKey::generate(spec).map_err(Error::internal)?;
    let name = DistinguishedName::parse(name).map_err(Error::internal)?;
    let issuer = Issuer::self_signed_root(&name, key.clone(), begin, end, &serial(cx))
        .map_err(Error::internal)?;
    Ok((issuer, key))
}

fn serial(cx: &Cx) -> Serial {
    Serial::from_random(&cx.app().randomness.octets())
}

/// The host of the public URL: what stands before the backslash when clients name an authority.
fn host_name(cx: &Cx) -> String {
    let url = cx.app().options.public_url.as_deref().unwrap_or_default();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        "localhost".into()
    } else {
        host.to_lowercase()
    }
}

/// Stores the first authorities, keys sealed, and puts their certificates into the inventory, where chains are built from.
///
/// # Errors
/// Those of the database and of sealing.
pub(crate) async fn create_first(
    tx: &db::Tx,
    cx: &Cx,
    first: FirstAuthorities,
) -> Result<(), Error> {
    let FirstAuthorities {
        host_name,
        root,
        issuing,
        agents,
    } = first;
    let root_id = store(
        tx,
        cx,
        &host_name,
        "Chancery-Root-CA",
        PURPOSE_ROOT,
        None,
        &root,
    )
    .await?;
    store(
        tx,
        cx,
        &host_name,
        "Chancery-Issuing-CA",
        PURPOSE_ISSUING,
        Some(root_id),
        &issuing,
    )
    .await?;
    store(
        tx,
        cx,
        &host_name,
        "Chancery-Agents-CA",
        PURPOSE_AGENTS,
        None,
        &agents,
    )
    .await?;
    Ok(())
}

async fn store(
    tx: &db::Tx,
    cx: &Cx,
    host_name: &str,
    logical_name: &str,
    purpose: &str,
    parent_id: Option<i64>,
    (issuer, key): &(Issuer, PrivateKey),
) -> Result<i64, Error> {
    let row = authorities::ActiveModel {
        id: ActiveValue::NotSet,
        logical_name: ActiveValue::Set(logical_name.into()),
        host_name: ActiveValue::Set(host_name.into()),
        name_fold: ActiveValue::Set(db::fold(&format!("{host_name}\\{logical_name}"))),
        purpose: ActiveValue::Set(purpose.into()),
        parent_id: ActiveValue::Set(parent_id),
        certificate: ActiveValue::Set(issuer.certificate().der().to_vec()),
        sealed_key: ActiveValue::Set(None),
        configuration: ActiveValue::Set("{}".into()),
        enabled: ActiveValue::Set(true),
        created_at: ActiveValue::Set(cx.now()),
    };
    let row = row.insert(tx).await?;
    // The seal is bound to the row's id, which is known only now.
    let sealed = cx.app().keyring().seal(&aad(row.id), &key.to_pkcs8_der())?;
    let key = authorities::ActiveModel {
        id: ActiveValue::Unchanged(row.id),
        sealed_key: ActiveValue::Set(Some(sealed.into_bytes())),
        ..<authorities::ActiveModel as Default>::default()
    };
    authorities::Entity::update(key).exec(tx).await?;
    let origin = Origin {
        // A root signs itself.
        authority_id: parent_id.or(Some(row.id)),
        history: Some((
            "Created",
            format!("Certificate of the authority {host_name}\\{logical_name}"),
        )),
        ..Origin::default()
    };
    certificates::record(tx, cx, issuer.certificate(), &origin).await?;
    let message = format!("{purpose} authority created");
    audit::record(
        tx,
        cx,
        Entry::new(
            Operation::Created,
            Category::CertificateAuthority,
            logical_name,
            message,
        ),
    )
    .await?;
    Ok(row.id)
}
