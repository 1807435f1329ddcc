//! Who may give a certificate another owner (command-behaviour.md A.4). There are two ways, and either is enough: *Change
//! Owner* goes from a role that the caller holds to a role that the caller holds; *Expanded Change Owner* goes between roles of
//! permission sets in which a role of the caller grants it.

use db::tables::roles;

use super::decide::{Grants, Target};
use super::permissions::Permission;
use crate::cx::{Caller, Cx};
use crate::error::Error;

/// A change of an owner: from one role, or none, to another, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnerChange<'r> {
    /// The role that owns it now.
    pub(crate) current: Option<&'r roles::Model>,
    /// The role that shall own it.
    pub(crate) new: Option<&'r roles::Model>,
}

/// One thing that a way asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// What is asked, as it stands in a refusal.
    pub(crate) asks: String,
    /// Whether it is so.
    pub(crate) met: bool,
}

/// Both ways, looked at.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// What Change Owner asks besides the permission on the certificate.
    pub(crate) held: Vec<Check>,
    /// What Expanded Change Owner asks.
    pub(crate) expanded: Vec<Check>,
}

const NEW: &str = "the new owner";

impl OwnerChange<'_> {
    /// Looks at both ways with what a caller was granted. `with_names`: whether what is asked names the roles.
    pub(crate) fn ways(&self, grants: &Grants, with_names: bool) -> Ways {
        let mut held = Vec::new();
        let mut expanded = Vec::new();
        for (role, what) in [(self.current, "the current owner"), (self.new, NEW)] {
            let Some(role) = role else { continue };
            let (owner, called) = if with_names {
                let called = format!("{:?} ({what})", role.name);
                (called.clone(), called)
            } else {
                (format!("of {what}"), what.to_owned())
            };
            let holds = |held: &&super::HeldRole| held.id == role.id && held.enabled;
            held.push(Check {
                asks: format!("holding the security role {owner}"),
                met: grants.roles().iter().any(|role| holds(&role)),
            });
            expanded.push(in_set_of(
                grants,
                Permission::CertificatesExpandedChangeOwner,
                role,
                &called,
            ));
            if what == NEW {
                let permission = Permission::SecurityRead;
                expanded.push(in_set_of(grants, permission, role, &called));
            }
        }
        // Nothing becomes nothing: there is no set to look at.
        if expanded.is_empty() {
            let permission = Permission::CertificatesExpandedChangeOwner;
            expanded.push(Check {
                asks: permission.entry().display.to_owned(),
                met: grants.allow(permission, Target::System),
            });
        }
        Ways { held, expanded }
    }
}

/// Whether a role of the caller in the permission set of `role` grants the permission.
fn in_set_of(grants: &Grants, permission: Permission, role: &roles::Model, called: &str) -> Check {
    let inside = grants.roles().iter();
    let inside = inside.filter(|held| held.permission_set_id == role.permission_set_id);
    let inside = Grants::new(inside.cloned().collect());
    Check {
        asks: format!(
            "{} by a role in the permission set of {called}",
            permission.entry().display
        ),
        met: inside.allow(permission, Target::System),
    }
}

impl Ways {
    /// Whether Change Owner goes, for who has the permission on the certificate.
    pub(crate) fn held(&self) -> bool {
        self.held.iter().all(|check| check.met)
    }

    /// Whether Expanded Change Owner goes.
    pub(crate) fn expanded(&self) -> bool {
        self.expanded.iter().all(|check| check.met)
    }
}

impl Cx {
    /// Refuses callers for whom neither way goes. `permitted` is what the permission Change Owner on the certificate came to.
    ///
    /// # Errors
    /// 403, naming what each way lacks.
    pub(crate) fn authorize_owner(
        &self,
        change: &OwnerChange<'_>,
        permitted: Result<(), Error>,
    ) -> Result<(), Error> {
        let Caller::Identity(identity) = self.caller() else {
            return Ok(());
        };
        // Roles are named to who may read them.
        let reads = identity
            .grants
            .allow(Permission::SecurityRead, Target::System);
        let ways = change.ways(&identity.grants, reads || self.recorder().is_some());
        if let Some(recorder) = self.recorder() {
            recorder.owner(Permission::CertificatesChangeOwner, &ways.held);
            recorder.owner(Permission::CertificatesExpandedChangeOwner, &ways.expanded);
        }
        if permitted.is_ok() && ways.held() || ways.expanded() {
            return Ok(());
        }
        let first = match permitted {
            Err(error) => error.to_string(),
            Ok(()) => format!(
                "User {} cannot change the owner with Certificates - Change Owner, which takes {}",
                self.caller_name(),
                lacking(&ways.held)
            ),
        };
        Err(Error::forbidden(format!(
            "{}. Certificates - Expanded Change Owner would take {}.",
            first.trim_end_matches('.'),
            lacking(&ways.expanded)
        )))
    }

    /// Refuses callers who may not give a certificate that has no owner yet, since it is new, to this role.
    ///
    /// # Errors
    /// 403, naming what is lacking.
    pub(crate) fn authorize_first_owner(&self, role: &roles::Model) -> Result<(), Error> {
        let change = OwnerChange {
            current: None,
            new: Some(role),
        };
        self.authorize_owner(&change, Ok(()))
    }
}

fn lacking(checks: &[Check]) -> String {
    let lacking = checks.iter().filter(|check| !check.met);
    let lacking: Vec<&str> = lacking.map(|check| check.asks.as_str()).collect();
    lacking.join(" and ")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::{Grant, HeldRole};
    use super::*;

    fn role(id: i64, set: u128) -> roles::Model {
        roles::Model {
            id,
            permission_set_id: Uuid::from_u128(set),
            name: format!("role {id}"),
            name_fold: format!("role {id}"),
            description: String::new(),
            email_address: None,
            enabled: true,
            private: false,
            immutable: false,
            created_at: 0,
        }
    }

    fn holder(held: &[(i64, u128, &[&str])]) -> Grants {
        let held = held.iter().map(|(id, set, paths)| HeldRole {
            id: *id,
            name: format!("role {id}"),
            enabled: true,
            permission_set_id: Uuid::from_u128(*set),
            claim_ids: vec![1],
            grants: paths
                .iter()
                .map(|path| Grant::parse_path(path).unwrap())
                .collect(),
        });
        Grants::new(held.collect())
    }

    const EXPANDED: &str = "/certificates/expanded_change_owner/";

    #[test]
    fn held_roles_count_on_both_sides() {
        let (one, two) = (role(1, 1), role(2, 1));
        let ways = |current, new, held: &[(i64, u128, &[&str])]| {
            OwnerChange { current, new }
                .ways(&holder(held), true)
                .held()
        };
        assert!(ways(None, Some(&one), &[(1, 1, &[])]));
        assert!(!ways(None, Some(&one), &[(2, 1, &[])]));
        assert!(!ways(Some(&two), Some(&one), &[(1, 1, &[])]));
        assert!(!ways(Some(&one), Some(&two), &[(1, 1, &[])]));
        assert!(ways(Some(&one), Some(&two), &[(1, 1, &[]), (2, 1, &[])]));
        assert!(ways(Some(&one), None, &[(1, 1, &[])]) && !ways(Some(&one), None, &[]));
    }

    #[test]
    fn a_role_that_is_not_enabled_is_not_held() {
        let one = role(1, 1);
        let mut held = holder(&[(1, 1, &["/"])]).roles()[0].clone();
        held.enabled = false;
        let ways = OwnerChange {
            current: None,
            new: Some(&one),
        }
        .ways(&Grants::new(vec![held]), true);
        assert!(!ways.held() && !ways.expanded());
    }

    #[test]
    fn expanded_goes_by_permission_sets() {
        let (one, two, other) = (role(1, 1), role(2, 1), role(3, 2));
        let ways = |current, new, held: &[(i64, u128, &[&str])]| {
            OwnerChange { current, new }
                .ways(&holder(held), true)
                .expanded()
        };
        let both = [EXPANDED, "/security/read/"];
        assert!(ways(Some(&one), Some(&two), &[(9, 1, &both)]));
        // Two roles of the set do as well, and what implies reading.
        assert!(ways(
            Some(&one),
            Some(&two),
            &[(8, 1, &[EXPANDED]), (9, 1, &["/security/modify/"])]
        ));
        assert!(!ways(Some(&one), Some(&two), &[(9, 1, &[EXPANDED])]));
        assert!(!ways(Some(&one), Some(&two), &[(9, 2, &both)]));
        assert!(!ways(Some(&one), Some(&other), &[(9, 1, &both)]));
        assert!(!ways(Some(&other), Some(&one), &[(9, 1, &both)]));
        assert!(ways(
            Some(&other),
            Some(&one),
            &[(9, 1, &both), (8, 2, &[EXPANDED])]
        ));
        // Reading the roles is asked where the new owner is.
        assert!(ways(Some(&one), None, &[(9, 1, &[EXPANDED])]));
        assert!(!ways(
            None,
            Some(&one),
            &[(9, 1, &[EXPANDED]), (8, 2, &["/security/read/"])]
        ));
        assert!(ways(None, None, &[(9, 1, &[EXPANDED])]) && !ways(None, None, &[(9, 1, &[])]));
        assert!(ways(Some(&one), Some(&two), &[(9, 1, &["/"])]));
    }
}
