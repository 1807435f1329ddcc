//! The decision: which grant of which role allows what. The same code decides and explains.

use super::permissions::Permission;

/// A role that the caller holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRole {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The paths it grants system-wide.
    pub grants: Vec<String>,
}

/// Everything a caller was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    roles: Vec<HeldRole>,
}

/// Why something is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed<'g> {
    /// The role that decided.
    pub role: &'g str,
    /// Its grant.
    pub grant: &'g str,
    /// The permission the grant covers: the one asked for, or one that implies it.
    pub through: Permission,
}

impl Grants {
    /// The grants of these roles. Grants only add: there is nothing that takes away.
    pub fn new(roles: Vec<HeldRole>) -> Self {
        Self { roles }
    }

    /// The roles held.
    pub fn roles(&self) -> &[HeldRole] {
        &self.roles
    }

    /// Whether `permission` is granted system-wide.
    pub fn allow(&self, permission: Permission) -> bool {
        self.decide(permission).is_some()
    }

    /// The first role and grant that allow `permission`: directly, or through a permission that implies it.
    pub fn decide(&self, permission: Permission) -> Option<Allowed<'_>> {
        let implying = super::permissions::TABLE
            .iter()
            .filter(|row| row.implies.contains(&permission));
        let through = std::iter::once(permission.entry()).chain(implying);
        through.into_iter().find_map(|row| {
            self.roles.iter().find_map(|role| {
                let grant = role
                    .grants
                    .iter()
                    .find(|grant| row.path.starts_with(grant.as_str()))?;
                Some(Allowed {
                    role: &role.name,
                    grant,
                    through: row.permission,
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(paths: &[&str]) -> Grants {
        let grants = paths.iter().map(|path| (*path).to_owned()).collect();
        Grants::new(vec![HeldRole {
            id: 1,
            name: "Operators".into(),
            grants,
        }])
    }

    #[test]
    fn modify_implies_schedule_implies_read() {
        let all = grants(&["/certificate_stores/modify/"]);
        assert!(
            all.allow(Permission::StoresModify)
                && all.allow(Permission::StoresSchedule)
                && all.allow(Permission::StoresRead)
        );
        let some = grants(&["/certificate_stores/schedule/"]);
        assert!(
            !some.allow(Permission::StoresModify)
                && some.allow(Permission::StoresSchedule)
                && some.allow(Permission::StoresRead)
        );
        assert_eq!(
            some.decide(Permission::StoresRead).unwrap().through,
            Permission::StoresSchedule
        );
    }

    #[test]
    fn a_shorter_path_grants_what_is_below() {
        assert!(grants(&["/"]).allow(Permission::SecurityModify));
        assert!(grants(&["/certificates/"]).allow(Permission::RequestsManage));
        assert!(!grants(&["/certificates/"]).allow(Permission::StoresRead));
        assert!(!grants(&[]).allow(Permission::StoresRead));
    }
}
