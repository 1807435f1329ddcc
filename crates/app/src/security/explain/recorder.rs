//! What was decided during one operation, in order.

use std::sync::{Mutex, PoisonError};

use super::wire::{Decision, DecisionKind, ExplainedGrant};
use crate::security::ownership::Check;
use crate::security::{Grants, Permission, Reach, Target};

/// Grants that a decision shows at most.
const LOOKED_AT_MAX: usize = 50;
/// Decisions that are kept at most; a request about a thousand stores decides as often.
const DECISIONS_MAX: usize = 100;
/// Objects that are named at most.
const NAMED_MAX: usize = 20;

/// Gathers what is decided.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Recorded>);

/// What was gathered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    pub(super) decisions: Vec<Decision>,
    /// Whether there were more.
    pub(super) cut: bool,
}

impl Recorder {
    /// Decides, and keeps how.
    pub(crate) fn decide(&self, grants: &Grants, permission: Permission, target: Target) -> bool {
        let mut looked_at = Vec::new();
        let mut looked_at_count = 0;
        let mut decided_by = None;
        let allowed = grants.decide_with(permission, target, |look| {
            looked_at_count += 1;
            let shown = || ExplainedGrant {
                role_id: look.role.id,
                role: look.role.name.clone(),
                grant: look.grant.to_string(),
                looked_for: look.row.path,
                allows: look.allows,
            };
            if look.allows {
                decided_by = Some(shown());
            }
            if looked_at.len() < LOOKED_AT_MAX {
                looked_at.push(shown());
            }
        });
        let allowed = allowed.is_some();
        let path = permission.entry().path;
        let (object, missing) = match target {
            Target::System => ("system".to_owned(), path.to_owned()),
            Target::Collection(id) => (format!("collection {id}"), format!("{path}{id}/")),
            Target::Container(id) => (format!("container {id}"), format!("{path}{id}/")),
            Target::PamProvider(id) => (format!("PAM provider {id}"), format!("{path}{id}/")),
        };
        self.keep(Decision {
            kind: DecisionKind::Permission,
            permission: Some(path),
            object,
            allowed,
            decided_by,
            looked_at,
            looked_at_count,
            missing: (!allowed).then_some(missing),
        });
        allowed
    }

    /// Where a permission is held was asked.
    pub(crate) fn reach(&self, permission: Permission, reach: &Reach) {
        let object = match reach {
            Reach::All => "system".to_owned(),
            Reach::Objects(ids) if ids.is_empty() => "nothing".to_owned(),
            Reach::Objects(ids) => {
                let named: Vec<String> = ids.iter().take(NAMED_MAX).map(i64::to_string).collect();
                let more = if ids.len() > NAMED_MAX { ", …" } else { "" };
                format!("{}{more}", named.join(", "))
            }
        };
        let path = permission.entry().path;
        let allowed = object != "nothing";
        self.keep(Decision {
            permission: Some(path),
            missing: (!allowed).then(|| path.to_owned()),
            ..plain(DecisionKind::Reach, object, allowed)
        });
    }

    /// Whether certificates are in a place was asked; `missing` are those that are not.
    pub(crate) fn place(&self, place: &str, missing: &[i64]) {
        let named: Vec<String> = missing.iter().take(NAMED_MAX).map(i64::to_string).collect();
        self.keep(Decision {
            missing: (!missing.is_empty())
                .then(|| format!("certificate {} in {place}", named.join(", "))),
            ..plain(DecisionKind::Place, place.to_owned(), missing.is_empty())
        });
    }

    /// Whether a role is held was asked.
    pub(crate) fn role(&self, name: &str, held: bool) {
        self.keep(Decision {
            missing: (!held).then(|| format!("the security role {name:?}")),
            ..plain(DecisionKind::Role, name.to_owned(), held)
        });
    }

    /// What a way to change an owner asks.
    pub(crate) fn owner(&self, permission: Permission, checks: &[Check]) {
        for check in checks {
            self.keep(Decision {
                permission: Some(permission.entry().path),
                missing: (!check.met).then(|| check.asks.clone()),
                ..plain(DecisionKind::Owner, check.asks.clone(), check.met)
            });
        }
    }

    /// What was gathered so far.
    pub(crate) fn recorded(&self) -> Recorded {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The same question is kept once.
    fn keep(&self, decision: Decision) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.decisions.contains(&decision) {
            return;
        }
        if recorded.decisions.len() < DECISIONS_MAX {
            recorded.decisions.push(decision);
        } else {
            recorded.cut = true;
        }
    }
}

fn plain(kind: DecisionKind, object: String, allowed: bool) -> Decision {
    Decision {
        kind,
        permission: None,
        object,
        allowed,
        decided_by: None,
        looked_at: Vec::new(),
        looked_at_count: 0,
        missing: None,
    }
}
