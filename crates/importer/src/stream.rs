//! The certificates to the server, as one stream that goes on where it broke off.

use std::time::Duration;

use anyhow::bail;
use serde_json::Value;

use crate::api::{Api, Refusal};
use crate::checkpoint::Checkpoint;
use crate::{Certificates, Options};

const PATH: &str = "/Chancery/Certificates/Import";
/// How often a stream that broke off is sent on without having come further.
const TRIES: u32 = 5;
/// Before it is sent on.
const REST: Duration = Duration::from_secs(2);
/// How often one looks how far it has come.
const LOOK: Duration = Duration::from_secs(5);

/// Sends what the server has not got yet.
pub(crate) async fn send(
    checkpoint: &mut Checkpoint,
    server: &Api,
    options: &Options,
    tell: &(dyn Fn(String) + Sync),
) -> anyhow::Result<Certificates> {
    let (mut tries, mut last) = (0, 0);
    loop {
        let id = checkpoint.import_id().to_string();
        let path = format!("{PATH}/{id}");
        let from = match server.call("GET", &path, &[], None).await? {
            Err(Refusal { status: 404, .. }) => 0,
            Err(refusal) => bail!("GET {path}: {refusal}"),
            Ok(import) => match import["State"].as_str() {
                Some("Complete") => return Ok(counts(checkpoint, &import)),
                Some("Failed") => bail!("import {id}: {}", import["Reason"]),
                Some("Running") => {
                    tokio::time::sleep(REST).await;
                    continue;
                }
                _ => import["Octets"].as_u64().unwrap_or_default(),
            },
        };
        if from > last {
            (tries, last) = (0, from);
        }
        tries += 1;
        let (from_text, file) = (from.to_string(), checkpoint.spool());
        let mut query = vec![("id", id.as_str()), ("from", from_text.as_str())];
        if let Some(role) = &options.owner_role {
            query.push(("ownerRoleName", role));
        }
        let sending = server.send_file(PATH, &query, &file, from);
        let looking = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Ok(Ok(import)) = server.call("GET", &path, &[], None).await {
                    tell(format!(
                        "sent {} of {} certificates",
                        import["Certificates"],
                        checkpoint.certificates()
                    ));
                }
            }
        };
        let sent = tokio::select! {
            sent = sending => sent,
            () = looking => continue,
        };
        match sent {
            Ok(Ok(import)) => return Ok(counts(checkpoint, &import)),
            Ok(Err(Refusal {
                status: 409,
                message,
            })) if tries == 1 && message.contains("began with") => {
                // With another owner: what is there is known to the next.
                checkpoint.renew_import()?;
            }
            Ok(Err(refusal)) if tries >= TRIES || (400..429).contains(&refusal.status) => {
                bail!("POST {PATH}: {refusal}")
            }
            Ok(Err(refusal)) => tell(format!("the stream was refused: {refusal}")),
            Err(error) if tries >= TRIES => return Err(error),
            Err(error) => tell(format!("the stream broke off: {error:#}")),
        }
        tokio::time::sleep(REST).await;
    }
}

fn counts(checkpoint: &Checkpoint, import: &Value) -> Certificates {
    let count = |name: &str| import[name].as_u64().unwrap_or_default();
    Certificates {
        read: checkpoint.certificates(),
        new: count("New"),
        known: count("Known") + count("Updated"),
        failed: count("Failed"),
        differs: 0,
    }
}
