//! The decision: which grant of which role allows what. The same code decides and explains.

use uuid::Uuid;

use super::permissions::{Entry, Grant, Per, Permission, TABLE};

/// A role that the caller holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRole {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// A role that is not enabled grants nothing.
    pub enabled: bool,
    /// The set its permissions are in.
    pub permission_set_id: Uuid,
    /// The claims of the caller that hold it.
    pub claim_ids: Vec<i64>,
    /// What it grants.
    pub grants: Vec<Grant>,
}

/// What a permission is needed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The whole system.
    System,
    /// A certificate collection, or what is in it.
    Collection(i64),
    /// A container of certificate stores, or what is in it.
    Container(i64),
    /// A PAM provider.
    PamProvider(i64),
}

impl Target {
    /// Whether a grant that is limited to an object is about this.
    fn is_object_of(self, grant: &Grant) -> bool {
        let (per, id) = match self {
            Self::System => return false,
            Self::Collection(id) => (Per::Collection, id),
            Self::Container(id) => (Per::Container, id),
            Self::PamProvider(id) => (Per::PamProvider, id),
        };
        grant.object_id == Some(id) && grant.per() == per
    }
}

/// Where a permission is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everywhere.
    All,
    /// On these objects of the permission's kind, in ascending order; none for who does not hold it at all.
    Objects(Vec<i64>),
}

/// Why something is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed<'g> {
    /// The role that decided.
    pub role: &'g str,
    /// Its grant.
    pub grant: &'g Grant,
    /// The permission the grant covers: the one asked for, or one that implies it.
    pub through: Permission,
}

/// A grant that was looked at on the way to a decision.
#[derive(Clone, Copy, Debug)]
pub struct Look<'g> {
    /// The role.
    pub role: &'g HeldRole,
    /// What it grants.
    pub grant: &'g Grant,
    /// The permission that was looked for: the one asked for, or one that implies it.
    pub row: &'static Entry,
    /// Whether this grant allows it.
    pub allows: bool,
}

/// Everything a caller was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    roles: Vec<HeldRole>,
    /// By permission, so that a decision costs no search.
    reach: Vec<Reach>,
}

impl Grants {
    /// The grants of these roles. Grants only add: there is nothing that takes away.
    pub fn new(roles: Vec<HeldRole>) -> Self {
        let reach = TABLE
            .iter()
            .map(|row| reach(&roles, row.permission))
            .collect();
        Self { roles, reach }
    }

    /// The roles held.
    pub fn roles(&self) -> &[HeldRole] {
        &self.roles
    }

    /// Where `permission` is held, directly or through one that implies it.
    pub fn reach(&self, permission: Permission) -> &Reach {
        const NOWHERE: &Reach = &Reach::Objects(Vec::new());
        self.reach.get(permission as usize).unwrap_or(NOWHERE)
    }

    /// Whether `permission` is granted on `target`; what is granted system-wide is granted on everything.
    pub fn allow(&self, permission: Permission, target: Target) -> bool {
        self.decide(permission, target).is_some()
    }

    /// The first role and grant that allow `permission` on `target`: directly, or through a permission that implies it, and
    /// system-wide before the object.
    pub fn decide(&self, permission: Permission, target: Target) -> Option<Allowed<'_>> {
        self.decide_with(permission, target, |_| {})
    }

    /// [`Grants::decide`], telling of every grant it looks at, in order.
    pub fn decide_with<'g>(
        &'g self,
        permission: Permission,
        target: Target,
        mut look: impl FnMut(Look<'g>),
    ) -> Option<Allowed<'g>> {
        for on_object in [false, true] {
            for row in permission.with_implying() {
                for role in self.roles.iter().filter(|role| role.enabled) {
                    for grant in &role.grants {
                        if grant.object_id.is_some() != on_object {
                            continue;
                        }
                        let allows = row.path.starts_with(grant.path.as_str())
                            && (!on_object || target.is_object_of(grant));
                        look(Look {
                            role,
                            grant,
                            row,
                            allows,
                        });
                        if allows {
                            return Some(Allowed {
                                role: &role.name,
                                grant,
                                through: row.permission,
                            });
                        }
                    }
                }
            }
            if target == Target::System {
                break;
            }
        }
        None
    }

    /// Whether everything that `grant` gives is held.
    pub fn hold(&self, grant: &Grant) -> bool {
        self.roles
            .iter()
            .filter(|role| role.enabled)
            .flat_map(|role| &role.grants)
            .any(|held| held.covers(grant))
            || self.hold_every_part(grant)
    }

    /// Whether each permission below the grant's path is held, if not by one grant.
    fn hold_every_part(&self, grant: &Grant) -> bool {
        TABLE
            .iter()
            .filter(|row| row.path.starts_with(grant.path.as_str()))
            .all(|row| match (self.reach(row.permission), grant.object_id) {
                (Reach::All, _) => true,
                (Reach::Objects(ids), Some(id)) => ids.binary_search(&id).is_ok(),
                (Reach::Objects(_), None) => false,
            })
    }
}

fn reach(roles: &[HeldRole], permission: Permission) -> Reach {
    let mut objects = Vec::new();
    for row in permission.with_implying() {
        for role in roles.iter().filter(|role| role.enabled) {
            for grant in &role.grants {
                match grant.object_id {
                    None if row.path.starts_with(grant.path.as_str()) => return Reach::All,
                    Some(id) if row.path == grant.path => objects.push(id),
                    _ => {}
                }
            }
        }
    }
    objects.sort_unstable();
    objects.dedup();
    Reach::Objects(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(paths: &[&str]) -> Grants {
        let grants = paths
            .iter()
            .map(|path| Grant::parse_path(path).unwrap())
            .collect();
        Grants::new(vec![HeldRole {
            id: 1,
            name: "Operators".into(),
            enabled: true,
            permission_set_id: Uuid::nil(),
            claim_ids: vec![1],
            grants,
        }])
    }

    fn allow(grants: &Grants, permission: Permission) -> bool {
        let allowed = grants.allow(permission, Target::System);
        assert_eq!(allowed, *grants.reach(permission) == Reach::All);
        allowed
    }

    #[test]
    fn modify_implies_schedule_implies_read() {
        let all = grants(&["/certificate_stores/modify/"]);
        assert!(
            allow(&all, Permission::StoresModify)
                && allow(&all, Permission::StoresSchedule)
                && allow(&all, Permission::StoresRead)
        );
        let some = grants(&["/certificate_stores/schedule/"]);
        assert!(
            !allow(&some, Permission::StoresModify)
                && allow(&some, Permission::StoresSchedule)
                && allow(&some, Permission::StoresRead)
        );
        let decided = some.decide(Permission::StoresRead, Target::Container(9));
        assert_eq!(decided.unwrap().through, Permission::StoresSchedule);
    }

    #[test]
    fn a_shorter_path_grants_what_is_below() {
        assert!(allow(&grants(&["/"]), Permission::SecurityModify));
        assert!(allow(
            &grants(&["/certificates/"]),
            Permission::RequestsManage
        ));
        assert!(!allow(&grants(&["/certificates/"]), Permission::StoresRead));
        assert!(!allow(&grants(&[]), Permission::StoresRead));
    }

    #[test]
    fn an_object_grants_itself_alone() {
        let some = grants(&[
            "/certificate_stores/schedule/3/",
            "/certificate_stores/read/2/",
            "/certificates/collections/read/2/",
        ]);
        assert!(some.allow(Permission::StoresRead, Target::Container(3)));
        assert!(some.allow(Permission::StoresRead, Target::Container(2)));
        assert!(!some.allow(Permission::StoresSchedule, Target::Container(2)));
        assert!(!some.allow(Permission::StoresRead, Target::Collection(2)));
        assert!(some.allow(Permission::CertificatesRead, Target::Collection(2)));
        assert!(!some.allow(Permission::CertificatesRead, Target::Container(2)));
        assert!(!allow(&some, Permission::StoresRead));
        assert_eq!(
            *some.reach(Permission::StoresRead),
            Reach::Objects(vec![2, 3])
        );
    }

    #[test]
    fn a_disabled_role_grants_nothing() {
        let mut role = grants(&["/"]).roles()[0].clone();
        role.enabled = false;
        assert!(!allow(&Grants::new(vec![role]), Permission::StoresRead));
    }

    #[test]
    fn what_is_held_covers_what_is_below_it() {
        let some = grants(&[
            "/certificate_stores/",
            "/security/read/",
            "/security/modify/",
        ]);
        assert!(some.hold(&Grant::parse_path("/certificate_stores/read/3/").unwrap()));
        assert!(some.hold(&Grant::system("/security/")));
        assert!(!some.hold(&Grant::system("/")));
    }
}
