//! What a source knows about certificates besides themselves: metadata, owners and revocations, where the server's are others.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use crate::Revoked;
use crate::api::{Api, Refusal};
use crate::checkpoint::{Attributes, Checkpoint};
use crate::report::{Report, Skipped};

/// Certificates that are asked for at once.
const AT_ONCE: usize = 40;
/// The state of certificates that are revoked or on hold.
const REVOKED: i64 = 2;
/// The reason of those on hold.
const HOLD: i64 = 6;
/// The reason of those of which none is known that the API has.
const UNKNOWN: i64 = 999;

/// The server's certificates with these thumbprints.
async fn found(server: &Api, thumbprints: &[String]) -> anyhow::Result<HashMap<String, Value>> {
    let query: Vec<String> = thumbprints
        .iter()
        .map(|thumbprint| format!("Thumbprint -eq \"{thumbprint}\""))
        .collect();
    let query = query.join(" OR ");
    let asked = [
        ("QueryString", query.as_str()),
        ("IncludeRevoked", "true"),
        ("IncludeExpired", "true"),
        ("IncludeMetadata", "true"),
    ];
    let rows = server.page("/Certificates", 1, &asked).await?;
    let rows = rows.into_iter().filter_map(|row| {
        let thumbprint = row["Thumbprint"].as_str()?.to_owned();
        Some((thumbprint, row))
    });
    Ok(rows.collect())
}

/// For a dry run: what is new and what differs.
pub(crate) async fn compare(
    checkpoint: &Checkpoint,
    server: &Api,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut thumbprints = Vec::new();
    checkpoint.each(|der| {
        if let Ok(reading) = pki::Certificate::read(&der) {
            thumbprints.push(reading.certificate.thumbprint());
        }
    })?;
    report.certificates.read = checkpoint.certificates();
    let all = thumbprints.len();
    thumbprints.sort_unstable();
    thumbprints.dedup();
    let mut there = 0;
    for some in thumbprints.chunks(AT_ONCE) {
        there += found(server, some).await?.len();
    }
    report.certificates.new = (thumbprints.len() - there) as u64;
    report.certificates.known = (all - thumbprints.len() + there) as u64;
    let mut from = 0;
    loop {
        let (some, end) = checkpoint.attributes(from, AT_ONCE)?;
        if some.is_empty() {
            return Ok(());
        }
        let wanted: Vec<String> = some.iter().map(|one| one.thumbprint.clone()).collect();
        let rows = found(server, &wanted).await?;
        for one in &some {
            let differs = match rows.get(&one.thumbprint) {
                Some(row) => {
                    !other_metadata(one, row).is_empty()
                        || other_owner(one, row)
                        || other_revocation(one, row).is_some()
                }
                None => true,
            };
            report.certificates.differs += u64::from(differs);
        }
        from = end;
    }
}

/// Brings over what the server does not have. What it refuses is noted.
pub(crate) async fn bring(
    checkpoint: &mut Checkpoint,
    server: &Api,
    tell: &(dyn Fn(String) + Sync),
) -> anyhow::Result<()> {
    loop {
        let (some, end) = checkpoint.attributes(checkpoint.attributes_done(), AT_ONCE)?;
        if some.is_empty() {
            return Ok(());
        }
        let wanted: Vec<String> = some.iter().map(|one| one.thumbprint.clone()).collect();
        let rows = found(server, &wanted).await?;
        let (mut differs, mut refused) = (0, Vec::new());
        let mut revoked = BTreeMap::new();
        let mut skip = |one: &Attributes, reason: String| {
            let place = one.place.clone();
            refused.push(Skipped { place, reason });
        };
        for one in &some {
            let Some(row) = rows.get(&one.thumbprint) else {
                let reason = "the server does not show it, so it got no metadata";
                skip(one, reason.into());
                continue;
            };
            let metadata = other_metadata(one, row);
            let owner = other_owner(one, row);
            let revocation = other_revocation(one, row);
            differs += u64::from(owner || !metadata.is_empty() || revocation.is_some());
            if !metadata.is_empty() {
                let body = json!({ "Id": row["Id"], "Metadata": metadata });
                let put = server.call("PUT", "/Certificates/Metadata", &[], Some(&body));
                if let Err(refusal) = put.await? {
                    skip(one, format!("metadata: {refusal}"));
                }
            }
            if owner {
                let path = format!("/Certificates/{}/Owner", row["Id"]);
                let body = json!({ "NewRoleName": one.owner });
                if let Err(refusal) = server.call("PUT", &path, &[], Some(&body)).await? {
                    skip(one, format!("owner: {refusal}"));
                }
            }
            if let Some(revocation) = revocation {
                // A certificate that the source has twice is told of once.
                revoked.insert(row["Id"].to_string(), (one, revocation));
            }
        }
        let revoked: Vec<_> = revoked.into_values().collect();
        for (one, refusal) in revoke(server, &revoked).await? {
            skip(one, format!("that it is revoked: {refusal}"));
        }
        checkpoint.set_attributes_done(end, differs, &refused)?;
        tell(format!(
            "metadata, owners and revocations of {} certificates",
            checkpoint.differs()
        ));
    }
}

/// Records revocations, all at once; where the server refuses that, one by one. Answers what it refused.
async fn revoke<'a>(
    server: &Api,
    revoked: &[(&'a Attributes, Value)],
) -> anyhow::Result<Vec<(&'a Attributes, Refusal)>> {
    let post = async |some: &[(&'a Attributes, Value)]| {
        let all: Vec<&Value> = some.iter().map(|(_, revocation)| revocation).collect();
        let body = json!({ "Revocations": all });
        let path = "/Chancery/Certificates/Revocations";
        server.call("POST", path, &[], Some(&body)).await
    };
    let mut refused = Vec::new();
    if revoked.is_empty() || post(revoked).await?.is_ok() {
        return Ok(refused);
    }
    for each in revoked {
        if let Err(refusal) = post(std::slice::from_ref(each)).await? {
            refused.push((each.0, refusal));
        }
    }
    Ok(refused)
}

/// What to record of a certificate's revocation, if the server does not have it. Who gives no reason takes none back.
fn other_revocation(one: &Attributes, row: &Value) -> Option<Value> {
    let Revoked {
        at,
        reason,
        comment,
    } = one.revoked.as_ref()?;
    // The API has no other reasons, and takes 7 and 8 for the end of a hold.
    let reason = match reason {
        0..=6 => *reason,
        _ => UNKNOWN,
    };
    let there = (row["CertState"] == REVOKED).then(|| row["RevocationReason"].as_i64());
    let is_there = there.is_some_and(|there| {
        let says_less = matches!(reason, 0 | UNKNOWN) && there != Some(HOLD);
        says_less || there == Some(reason)
    });
    let revocation = json!({
        "CertificateId": row["Id"],
        "Reason": reason,
        "EffectiveDate": at,
        "Comment": comment,
    });
    (!is_there).then_some(revocation)
}

/// The values that the server has not.
fn other_metadata(one: &Attributes, row: &Value) -> Map<String, Value> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let there = row["Metadata"].as_object();
    let is_there = |name: &str, value: &Value| {
        there.into_iter().flatten().any(|(other, known)| {
            other.eq_ignore_ascii_case(name) && text(known).trim() == text(value).trim()
        })
    };
    let others = one
        .metadata
        .iter()
        .filter(|(name, value)| !text(value).trim().is_empty() && !is_there(name, value));
    others
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn other_owner(one: &Attributes, row: &Value) -> bool {
    let there = row["OwnerRoleName"].as_str().unwrap_or_default();
    one.owner
        .as_deref()
        .is_some_and(|owner| !owner.eq_ignore_ascii_case(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked(reason: i64) -> Attributes {
        Attributes {
            thumbprint: "00".into(),
            place: "a test".into(),
            owner: None,
            metadata: Map::new(),
            revoked: Some(Revoked {
                at: None,
                reason,
                comment: None,
            }),
        }
    }

    #[test]
    fn a_revocation_is_told_where_it_says_something_new() {
        let good = json!({ "Id": 5, "CertState": 1 });
        // What the API does not have is told without its reason: 8 would take from hold.
        for (reason, told) in [(1, 1), (6, 6), (-1, 999), (8, 999), (9, 999), (10, 999)] {
            let new = other_revocation(&revoked(reason), &good).unwrap();
            assert_eq!(
                (&new["CertificateId"], &new["Reason"]),
                (&json!(5), &json!(told))
            );
        }
        for (there, told, is_new) in [
            (1, 1, false),
            (1, 0, false),
            (1, 9, false),
            (1, 4, true),
            (6, 6, false),
            (6, 0, true),
            (6, 1, true),
        ] {
            let row = json!({ "Id": 5, "CertState": 2, "RevocationReason": there });
            let new = other_revocation(&revoked(told), &row);
            assert_eq!(new.is_some(), is_new, "{told} where {there} is recorded");
        }
        let plain = Attributes {
            revoked: None,
            ..revoked(0)
        };
        assert!(other_revocation(&plain, &good).is_none());
    }
}
