//! Databases of others, in PostgreSQL. They are read only, row by row in the order of their keys.

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::{Batch, Found};

/// Rows of a batch.
const AT_ONCE: i64 = 500;

async fn connect(url: &SecretString) -> anyhow::Result<PgConnection> {
    // The error of a bad address would show the address, and with it the password.
    let mut connection = PgConnection::connect(url.expose_secret())
        .await
        .map_err(|error| anyhow::anyhow!("the database cannot be reached: {error}"))?;
    connection
        .execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        .await?;
    Ok(connection)
}

/// Lemur's database: the certificates that are not deleted, with their chains. Names, owners and descriptions come as metadata where
/// fields are named for them. Private keys are sealed with Lemur's own key and stay there.
#[derive(Debug)]
pub struct Lemur {
    connection: PgConnection,
    owner_field: Option<String>,
    name_field: Option<String>,
}

impl Lemur {
    /// Connects. The two fields, if given, are metadata fields of the server that get Lemur's `owner` (an e-mail address) and `name`.
    ///
    /// # Errors
    /// A database that cannot be reached.
    pub async fn new(
        url: &SecretString,
        owner_field: Option<String>,
        name_field: Option<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            connection: connect(url).await?,
            owner_field,
            name_field,
        })
    }

    pub(crate) async fn batch(&mut self, after: Option<&str>) -> anyhow::Result<Option<Batch>> {
        let after: i64 = after
            .unwrap_or("0")
            .parse()
            .context("the cursor is damaged")?;
        let rows = sqlx::query(
            "SELECT id::bigint AS id, name, owner, body, chain, status, private_key IS NOT NULL AS has_key
             FROM certificates WHERE id > $1 AND deleted IS NOT TRUE ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(AT_ONCE)
        .fetch_all(&mut self.connection)
        .await
        .context("Lemur's table certificates")?;
        let mut batch = Batch::default();
        for row in &rows {
            let id: i64 = row.try_get("id")?;
            batch.cursor = id.to_string();
            let text = |column: &str| -> anyhow::Result<String> {
                let text: Option<String> = row.try_get(column)?;
                Ok(text.unwrap_or_default())
            };
            let name = text("name")?;
            let place = format!("certificate {id} ({name})");
            let mut metadata = Map::new();
            for (field, value) in [
                (&self.owner_field, text("owner")?),
                (&self.name_field, name),
            ] {
                if let (Some(field), false) = (field, value.is_empty()) {
                    metadata.insert(field.clone(), Value::String(value));
                }
            }
            match pki::pem::certificates(text("body")?.as_bytes())
                .into_iter()
                .next()
            {
                None => batch.skip(&place, "its body is no certificate"),
                Some(der) => batch.found.push(Found {
                    metadata,
                    ..Found::plain(der, &place)
                }),
            }
            batch.add_pem(&text("chain")?, &place);
            if row.try_get("has_key")? {
                batch.skip(
                    &place,
                    "its private key stays there: Lemur's own key seals it",
                );
            }
            if text("status")? == "revoked" {
                batch.skip(&place, "it is revoked there; the certificate comes over, that it is revoked is known by its authority's list");
            }
        }
        Ok((!rows.is_empty()).then_some(batch))
    }
}

/// step-ca's database, where that is PostgreSQL: the table `x509_certs` has the DER of every certificate by its serial number. Its own
/// files (Badger, bbolt) cannot be read here.
#[derive(Debug)]
pub struct StepCa {
    connection: PgConnection,
}

impl StepCa {
    /// Connects.
    ///
    /// # Errors
    /// A database that cannot be reached.
    pub async fn new(url: &SecretString) -> anyhow::Result<Self> {
        Ok(Self {
            connection: connect(url).await?,
        })
    }

    pub(crate) async fn batch(&mut self, after: Option<&str>) -> anyhow::Result<Option<Batch>> {
        let after = hex::decode(after.unwrap_or_default()).context("the cursor is damaged")?;
        let rows = sqlx::query(
            "SELECT c.nkey, c.nvalue, EXISTS (SELECT 1 FROM revoked_x509_certs r WHERE r.nkey = c.nkey) AS revoked
             FROM x509_certs c WHERE c.nkey > $1 ORDER BY c.nkey LIMIT $2",
        )
        .bind(after)
        .bind(AT_ONCE)
        .fetch_all(&mut self.connection)
        .await
        .context("step-ca's tables x509_certs and revoked_x509_certs")?;
        let mut batch = Batch::default();
        for row in &rows {
            let key: Vec<u8> = row.try_get("nkey")?;
            batch.cursor = hex::encode(&key);
            let place = format!("serial number {}", String::from_utf8_lossy(&key));
            if row.try_get("revoked")? {
                batch.skip(&place, "it is revoked there; the certificate comes over, that it is revoked is known by its authority's list");
            }
            batch
                .found
                .push(Found::plain(row.try_get("nvalue")?, place));
        }
        Ok((!rows.is_empty()).then_some(batch))
    }
}

#[cfg(test)]
mod tests;
