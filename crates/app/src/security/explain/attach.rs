//! The explanation of a request, in its answer: a member of the body of refusals, a header of what succeeds.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use db::tables::claims;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::recorder::Recorder;
use super::wire::{ExplainedClaim, ExplainedIdentity, ExplainedRole, Explanation};
use crate::app::App;
use crate::cx::Identity;
use crate::error::Error;
use crate::security::claims::ClaimType;
use crate::security::{HeldRole, Permission, Reach};

/// The header that asks.
const ASKING: &str = "x-chancery-explain";
/// The header that answers.
const ANSWERING: HeaderName = HeaderName::from_static("x-chancery-explanation");
/// Octets of the answering header at most.
const HEADER_MAX: usize = 8 * 1024;
/// What who may not see explanations is told.
const REFUSED: &str = r#"{"Refused":"Security Settings - Read is needed to see explanations."}"#;

/// Whether a request asks to be explained.
#[derive(Debug)]
pub(crate) enum Wish {
    /// No.
    None,
    /// Yes, by somebody who may not see how the server decides.
    Refused,
    /// Yes.
    Granted(Arc<Recorder>),
}

impl Wish {
    /// What is to be filled.
    pub(crate) fn recorder(&self) -> Option<Arc<Recorder>> {
        match self {
            Self::Granted(recorder) => Some(Arc::clone(recorder)),
            Self::None | Self::Refused => None,
        }
    }
}

/// Whether these headers ask for an explanation that this caller may see.
pub(crate) fn wish(headers: &HeaderMap, identity: &Identity) -> Wish {
    let asked = headers.get(ASKING).and_then(|value| value.to_str().ok());
    if !asked
        .is_some_and(|text| matches!(text.trim(), "1") || text.trim().eq_ignore_ascii_case("true"))
    {
        return Wish::None;
    }
    match identity.grants.reach(Permission::SecurityRead) {
        Reach::All => Wish::Granted(Arc::default()),
        Reach::Objects(_) => Wish::Refused,
    }
}

/// Puts the explanation into the answer. An explanation that cannot be made is left out: the answer stands.
pub(crate) async fn attach(
    app: &App,
    identity: &Identity,
    operation: String,
    wish: &Wish,
    mut response: Response,
) -> Response {
    let recorder = match wish {
        Wish::None => return response,
        Wish::Refused => {
            let refused = HeaderValue::from_static(REFUSED);
            response.headers_mut().insert(ANSWERING, refused);
            return response;
        }
        Wish::Granted(recorder) => recorder,
    };
    let error = response.extensions().get::<Arc<Error>>().cloned();
    let kind = match identity.account_id {
        Some(_) => "Account",
        None => "Claim",
    };
    let shown = ExplainedIdentity {
        kind: kind.into(),
        id: identity.account_id,
        name: identity.name.clone(),
        enabled: true,
    };
    let allowed = response.status() != StatusCode::FORBIDDEN;
    let refusal = error.as_ref().filter(|_| !allowed).map(ToString::to_string);
    let made = explanation(
        app,
        shown,
        operation,
        identity.grants.roles(),
        recorder,
        refusal,
    )
    .await;
    let explanation = match made {
        Ok(explanation) => explanation,
        Err(error) => {
            tracing::warn!(%error, "a request could not be explained");
            return response;
        }
    };
    match error {
        Some(error) => {
            let mut body = error.body();
            body.explanation = Some(Box::new(explanation));
            if let Ok(octets) = serde_json::to_vec(&body) {
                response.headers_mut().remove(header::CONTENT_LENGTH);
                *response.body_mut() = Body::from(octets);
            }
        }
        None => {
            if let Ok(value) = HeaderValue::from_str(&compact(explanation)) {
                response.headers_mut().insert(ANSWERING, value);
            }
        }
    }
    response
}

/// What was recorded, with the roles and what they are held through.
///
/// # Errors
/// Those of the database.
pub(super) async fn explanation(
    app: &App,
    identity: ExplainedIdentity,
    operation: String,
    held: &[HeldRole],
    recorder: &Recorder,
    refusal: Option<String>,
) -> Result<Explanation, Error> {
    let recorded = recorder.recorded();
    let allowed = refusal.is_none();
    let mut missing: Vec<String> = Vec::new();
    for decision in recorded.decisions.iter().filter(|_| !allowed) {
        missing.extend(decision.missing.clone());
    }
    missing.sort();
    missing.dedup();
    Ok(Explanation {
        identity,
        operation,
        needs: Vec::new(),
        allowed,
        refusal,
        missing,
        roles: roles(app, held).await?,
        decisions: recorded.decisions,
        cut: recorded.cut,
    })
}

async fn roles(app: &App, held: &[HeldRole]) -> Result<Vec<ExplainedRole>, Error> {
    let ids: Vec<i64> = held
        .iter()
        .flat_map(|role| role.claim_ids.clone())
        .collect();
    let known = match ids.is_empty() {
        true => Vec::new(),
        false => {
            let found = claims::Entity::find().filter(claims::Column::Id.is_in(ids));
            found.all(app.db.read()).await?
        }
    };
    let held = held.iter().map(|role| ExplainedRole {
        id: role.id,
        name: role.name.clone(),
        enabled: role.enabled,
        permission_set_id: role.permission_set_id,
        held_through: known
            .iter()
            .filter(|claim| role.claim_ids.contains(&claim.id))
            .map(claim)
            .collect(),
    });
    Ok(held.collect())
}

/// A claim as explanations show it.
pub(super) fn claim(row: &claims::Model) -> ExplainedClaim {
    let kind = ClaimType::of_number(i64::from(row.claim_type));
    ExplainedClaim {
        id: row.id,
        claim_type: kind.map_or("Unknown", ClaimType::name).to_owned(),
        claim_value: row.value.clone(),
        provider: row.provider.clone(),
    }
}

/// As one line of ASCII that a header holds: the grants looked at go first, then decisions from the end, then roles.
fn compact(mut explanation: Explanation) -> String {
    loop {
        let text = ascii(&explanation);
        if text.len() <= HEADER_MAX {
            return text;
        }
        explanation.cut = true;
        let looked = |explanation: &mut Explanation| {
            let mut any = false;
            for decision in &mut explanation.decisions {
                any |= !decision.looked_at.is_empty();
                decision.looked_at.clear();
            }
            any
        };
        if looked(&mut explanation) {
            continue;
        }
        let half = explanation.decisions.len() / 2;
        if !explanation.decisions.is_empty() {
            explanation.decisions.truncate(half);
        } else if !explanation.roles.is_empty() {
            let half = explanation.roles.len() / 2;
            explanation.roles.truncate(half);
        } else {
            return r#"{"Cut":true}"#.to_owned();
        }
    }
}

fn ascii(explanation: &Explanation) -> String {
    let text = serde_json::to_string(explanation).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{Grants, Permission, Target};

    fn explained(roles: usize, decisions: i64) -> Explanation {
        let recorder = Recorder::default();
        let grants = Grants::new(Vec::new());
        for id in 0..decisions {
            recorder.decide(&grants, Permission::StoresRead, Target::Container(id));
        }
        let recorded = recorder.recorded();
        let role = ExplainedRole {
            id: 1,
            name: "Röle 🔑".into(),
            enabled: true,
            permission_set_id: uuid::Uuid::nil(),
            held_through: Vec::new(),
        };
        Explanation {
            identity: ExplainedIdentity {
                kind: "Account".into(),
                id: Some(1),
                name: "admin".into(),
                enabled: true,
            },
            operation: "GET /".into(),
            needs: Vec::new(),
            allowed: true,
            refusal: None,
            missing: Vec::new(),
            roles: vec![role; roles],
            decisions: recorded.decisions,
            cut: recorded.cut,
        }
    }

    #[test]
    fn a_header_is_short_ascii_that_is_still_json() {
        for (roles, decisions, cut) in [
            (1, 1, false),
            (1, 60, true),
            (500, 60, true),
            (1, 1000, true),
        ] {
            let text = compact(explained(roles, decisions));
            assert!(text.len() <= HEADER_MAX && text.is_ascii());
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["Cut"], cut, "{roles} {decisions}");
            if roles == 1 {
                assert_eq!(value["Roles"][0]["Name"], "Röle 🔑");
            }
        }
    }
}
