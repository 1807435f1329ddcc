//! Databases of others, in PostgreSQL. They are read only, row by row in the order of their keys.

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::{Batch, Found, Revoked};

/// Rows of a batch.
const AT_ONCE: i64 = 500;

/// Connects. Answers also where that is: the address without its account and password.
async fn connect(url: &SecretString) -> anyhow::Result<(PgConnection, String)> {
    // The error of a bad address would show the address, and with it the password.
    let away = |error| anyhow::anyhow!("the database cannot be reached: {error}");
    let options: PgConnectOptions = url.expose_secret().parse().map_err(away)?;
    let (host, port) = (options.get_host(), options.get_port());
    let name = options.get_database().unwrap_or_default();
    let place = format!("postgres://{host}:{port}/{name}");
    let mut connection = PgConnection::connect_with(&options).await.map_err(away)?;
    connection
        .execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        .await?;
    Ok((connection, place))
}

/// Lemur's database: the certificates that are not deleted, with their chains. Names, owners and descriptions come as metadata where
/// fields are named for them. Private keys are sealed with Lemur's own key and stay there.
#[derive(Debug)]
pub struct Lemur {
    connection: PgConnection,
    place: String,
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
        let (connection, place) = connect(url).await?;
        Ok(Self {
            connection,
            place,
            owner_field,
            name_field,
        })
    }

    pub(crate) fn name(&self) -> String {
        format!("Lemur's database at {}", self.place)
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
                    // Since when is written nowhere.
                    revoked: (text("status")? == "revoked").then(|| Revoked {
                        at: None,
                        reason: 0,
                        comment: Some("Lemur does not say since when".into()),
                    }),
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
        }
        Ok((!rows.is_empty()).then_some(batch))
    }
}

/// step-ca's database, where that is PostgreSQL: the table `x509_certs` has the DER of every certificate by its serial number, and
/// `revoked_x509_certs` what is known of those that are revoked, as JSON. Its own files (Badger, bbolt) cannot be read here.
#[derive(Debug)]
pub struct StepCa {
    connection: PgConnection,
    place: String,
}

impl StepCa {
    /// Connects.
    ///
    /// # Errors
    /// A database that cannot be reached.
    pub async fn new(url: &SecretString) -> anyhow::Result<Self> {
        let (connection, place) = connect(url).await?;
        Ok(Self { connection, place })
    }

    pub(crate) fn name(&self) -> String {
        format!("step-ca's database at {}", self.place)
    }

    pub(crate) async fn batch(&mut self, after: Option<&str>) -> anyhow::Result<Option<Batch>> {
        let after = hex::decode(after.unwrap_or_default()).context("the cursor is damaged")?;
        let rows = sqlx::query(
            "SELECT c.nkey, c.nvalue, r.nvalue AS revoked
             FROM x509_certs c LEFT JOIN revoked_x509_certs r ON r.nkey = c.nkey WHERE c.nkey > $1 ORDER BY c.nkey LIMIT $2",
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
            let revoked: Option<Vec<u8>> = row.try_get("revoked")?;
            batch.found.push(Found {
                revoked: revoked.map(|information| step_revoked(&information)),
                ..Found::plain(row.try_get("nvalue")?, place)
            });
        }
        Ok((!rows.is_empty()).then_some(batch))
    }
}

/// What stands in `revoked_x509_certs`. A certificate that is in there is revoked, whatever is said of it.
fn step_revoked(information: &[u8]) -> Revoked {
    let information: Value = serde_json::from_slice(information).unwrap_or_default();
    let text = |member: &str| {
        let text = information[member].as_str().map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Revoked {
        at: text("RevokedAt"),
        reason: information["ReasonCode"].as_i64().unwrap_or(0),
        comment: text("Reason"),
    }
}

#[cfg(test)]
mod tests;
