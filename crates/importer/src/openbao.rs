//! A PKI mount of OpenBao or Vault: its list of serial numbers, and each certificate by its own.

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use crate::api::Api;
use crate::{Batch, Found, Revoked};

/// Certificates of a batch.
const AT_ONCE: usize = 200;
/// Certificates that are asked for at the same time.
const TOGETHER: usize = 8;

/// A PKI mount.
#[derive(Debug)]
pub struct OpenBao {
    api: Api,
    mount: String,
    /// In order, once they are known.
    serials: Option<Vec<String>>,
}

impl OpenBao {
    /// `api` is at the server's address with `/v1`, and sends the token as `X-Vault-Token`.
    pub fn new(api: Api, mount: &str) -> Self {
        Self {
            api,
            mount: mount.trim_matches('/').to_owned(),
            serials: None,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("OpenBao at {}, mount {}", self.api.base(), self.mount)
    }

    /// What a list under the mount has; none when it is empty, which is answered as if it were not there.
    async fn keys(&self, path: &str) -> anyhow::Result<Vec<String>> {
        let path = format!("/{}/{path}", self.mount);
        let answer = match self
            .api
            .call("GET", &path, &[("list", "true")], None)
            .await?
        {
            Err(refusal) if refusal.status == 404 => return Ok(Vec::new()),
            Err(refusal) => anyhow::bail!("LIST {path}: {refusal}"),
            Ok(answer) => answer,
        };
        let keys = answer["data"]["keys"]
            .as_array()
            .with_context(|| format!("LIST {path} answered no keys"))?;
        let keys = keys
            .iter()
            .filter_map(|key| key.as_str().map(str::to_owned));
        Ok(keys.collect())
    }

    pub(crate) async fn batch(&mut self, after: Option<&str>) -> anyhow::Result<Option<Batch>> {
        let known = match self.serials.take() {
            Some(known) => known,
            None => {
                let mut paths: Vec<String> = Vec::new();
                paths.extend(
                    self.keys("certs")
                        .await?
                        .into_iter()
                        .map(|key| format!("cert/{key}")),
                );
                paths.extend(
                    self.keys("issuers")
                        .await?
                        .into_iter()
                        .map(|key| format!("issuer/{key}")),
                );
                paths.sort();
                paths
            }
        };
        let serials = self.serials.insert(known);
        let from =
            serials.partition_point(|path| after.is_some_and(|after| path.as_str() <= after));
        let some = serials[from..serials.len().min(from + AT_ONCE)].to_vec();
        let Some(last) = some.last() else {
            return Ok(None);
        };
        let mut batch = Batch {
            cursor: last.clone(),
            ..Batch::default()
        };
        let this = &*self;
        let read: Vec<_> = stream::iter(some)
            .map(async |path| {
                let whole = format!("/{}/{path}", this.mount);
                let answer = this.api.call("GET", &whole, &[], None).await?;
                anyhow::Ok((path, answer))
            })
            .buffered(TOGETHER)
            .try_collect()
            .await?;
        for (path, answer) in read {
            match answer {
                Err(refusal) => batch.skip(&path, refusal),
                Ok(answer) => {
                    let data = &answer["data"];
                    let text = data["certificate"].as_str().unwrap_or_default();
                    let der = pki::pem::certificates(text.as_bytes()).into_iter().next();
                    match der {
                        None => batch.skip(&path, "it has no certificate"),
                        Some(der) => batch.found.push(Found {
                            revoked: revoked(data),
                            ..Found::plain(der, &path)
                        }),
                    }
                    for link in data["ca_chain"].as_array().into_iter().flatten() {
                        batch.add_pem(link.as_str().unwrap_or_default(), &path);
                    }
                }
            }
        }
        Ok(Some(batch))
    }
}

/// What is said of a certificate besides itself: seconds, 0 while it is good, and no reason.
fn revoked(data: &Value) -> Option<Revoked> {
    let at = data["revocation_time"].as_i64().filter(|at| *at > 0)?;
    Some(Revoked {
        at: Some(format!("/Date({})/", at.saturating_mul(1_000))),
        reason: 0,
        comment: None,
    })
}
