//! What a role shall be, whichever interface says it: what is not said stays.

use std::collections::HashSet;

use uuid::Uuid;

use super::wire::IdentityInput;
use crate::error::Error;
use crate::security::claims::WantedClaim;
use crate::security::permission_strings::Given;
use crate::security::permissions::{Grant, Per, distinct, legacy_names};
use crate::web::Maybe;

/// A role as it shall be.
#[derive(Debug, Default)]
pub(in crate::security) struct Draft {
    pub(in crate::security) name: Option<String>,
    pub(in crate::security) description: Option<String>,
    pub(in crate::security) email_address: Maybe<String>,
    pub(in crate::security) enabled: Option<bool>,
    pub(in crate::security) private: Option<bool>,
    /// All zeros is none.
    pub(in crate::security) permission_set_id: Option<Uuid>,
    pub(in crate::security) permissions: Permissions,
    pub(in crate::security) holders: Holders,
}

/// What a role shall grant.
#[derive(Debug, Default)]
pub(in crate::security) enum Permissions {
    /// What it grants now.
    #[default]
    Stay,
    /// As version 1 says it: this for the whole system; grants on objects only add.
    Version1 {
        grants: Vec<Grant>,
        /// All by names of version 1, `Area:Permission`.
        named: bool,
    },
    /// As version 2 says it: exactly this.
    Version2(Given),
    /// This too.
    Add(Vec<Grant>),
    /// Of the grants of one kind exactly this; the others stay.
    Only(Per, Vec<Grant>),
}

/// Who shall hold a role.
#[derive(Debug, Default)]
pub(in crate::security) enum Holders {
    /// Who holds it now.
    #[default]
    Stay,
    /// Local accounts and claims, by name.
    Names(Vec<IdentityInput>),
    /// Claims, by what they are about.
    Claims(Vec<WantedClaim>),
    /// Claims, by id.
    Ids(Vec<i64>),
}

impl Permissions {
    /// What the role shall grant that grants `before` now.
    ///
    /// # Errors
    /// 400 when strings of version 2 overlap. Those that are there already may.
    pub(super) fn apply(self, before: &[Grant]) -> Result<Vec<Grant>, Error> {
        let system: Vec<Grant> = of_kind(before, Per::System).cloned().collect();
        let objects = || {
            before
                .iter()
                .filter(|grant| grant.per() != Per::System)
                .cloned()
        };
        let after = match self {
            Self::Stay => return Ok(before.to_vec()),
            Self::Version1 { grants, named } => {
                let (given_system, given_objects): (Vec<Grant>, Vec<Grant>) = grants
                    .into_iter()
                    .partition(|grant| grant.per() == Per::System);
                // A client that sends back what it read changes nothing, though the names say less than the strings.
                let same = named
                    && !given_system.is_empty()
                    && legacy_names(&given_system) == legacy_names(&system)
                    && !legacy_names(&system).is_empty();
                let system = if same { system } else { distinct(given_system) };
                system
                    .into_iter()
                    .chain(objects())
                    .chain(given_objects)
                    .collect()
            }
            Self::Version2(given) => {
                if same_set(&given.grants, before) {
                    return Ok(before.to_vec());
                }
                given.without_overlap("Permissions")?
            }
            Self::Add(more) => {
                let (more_system, more_objects): (Vec<Grant>, Vec<Grant>) = more
                    .into_iter()
                    .partition(|grant| grant.per() == Per::System);
                let system = distinct(system.into_iter().chain(more_system).collect());
                system
                    .into_iter()
                    .chain(objects())
                    .chain(more_objects)
                    .collect()
            }
            Self::Only(Per::System, only) => distinct(only).into_iter().chain(objects()).collect(),
            Self::Only(per, only) => before
                .iter()
                .filter(|grant| grant.per() != per)
                .cloned()
                .chain(only)
                .collect(),
        };
        let mut after: Vec<Grant> = after;
        after.sort();
        after.dedup();
        Ok(after)
    }
}

/// Grants of one kind.
pub(in crate::security) fn of_kind(grants: &[Grant], per: Per) -> impl Iterator<Item = &Grant> {
    grants.iter().filter(move |grant| grant.per() == per)
}

fn same_set(one: &[Grant], other: &[Grant]) -> bool {
    let one: HashSet<&Grant> = one.iter().collect();
    one == other.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::permission_strings::read;

    fn grants(paths: &[&str]) -> Vec<Grant> {
        paths.iter().flat_map(|path| Grant::parse(path)).collect()
    }

    fn texts(result: Result<Vec<Grant>, Error>) -> Vec<String> {
        result.unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn version_1_replaces_what_is_system_wide() {
        let before = grants(&["/certificates/import/", "/certificate_stores/read/3/"]);
        let version_1 = |given: &[&str]| Permissions::Version1 {
            grants: grants(given),
            named: given.iter().all(|text| text.contains(':')),
        };
        let apply = |given: &[&str]| texts(version_1(given).apply(&before));
        assert_eq!(
            apply(&[
                "Certificates:Read",
                "/certificates/",
                "/certificates/import/"
            ]),
            ["/certificate_stores/read/3/", "/certificates/"]
        );
        assert_eq!(apply(&[]), ["/certificate_stores/read/3/"]);
        assert_eq!(
            apply(&["Certificates:Import", "/certificate_stores/read/4/"]),
            [
                "/certificate_stores/read/3/",
                "/certificate_stores/read/4/",
                "/certificates/import/"
            ]
        );
        let wide = grants(&["/certificate_authorities/read/", "/ssl/"]);
        let echo = legacy_names(&wide);
        assert_eq!(
            version_1(&echo).apply(&wide).unwrap(),
            wide,
            "what was read and sent back"
        );
        let narrow = [
            "/certificate_authorities/read/",
            "/ssl/read/",
            "/ssl/modify/",
        ];
        assert_eq!(legacy_names(&grants(&narrow)), echo, "the names say less");
        assert_eq!(
            texts(version_1(&narrow).apply(&wide)),
            [
                "/certificate_authorities/read/",
                "/ssl/modify/",
                "/ssl/read/"
            ],
            "strings mean what they say"
        );
    }

    #[test]
    fn version_2_replaces_everything_and_refuses_what_overlaps() {
        let before = grants(&["/certificates/", "/certificates/collections/read/3/"]);
        let apply = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
            Permissions::Version2(read("Permissions", &given).unwrap()).apply(&before)
        };
        assert_eq!(texts(apply(&["/ssl/"])), ["/ssl/"]);
        assert_eq!(
            apply(&["/certificates/collections/read/3/", "/certificates/"]).unwrap(),
            before,
            "what was read and sent back"
        );
        assert!(apply(&["/certificates/", "/certificates/import/"]).is_err());
    }

    #[test]
    fn one_kind_at_a_time() {
        let before = grants(&["/ssl/read/", "/pam/read/2/", "/certificate_stores/read/3/"]);
        let only = Permissions::Only(Per::Container, grants(&["/certificate_stores/modify/4/"]));
        assert_eq!(
            texts(only.apply(&before)),
            [
                "/certificate_stores/modify/4/",
                "/pam/read/2/",
                "/ssl/read/"
            ]
        );
        let only = Permissions::Only(Per::System, grants(&["/ssl/", "/ssl/read/"]));
        assert_eq!(
            texts(only.apply(&before)),
            ["/certificate_stores/read/3/", "/pam/read/2/", "/ssl/"]
        );
        let more = Permissions::Add(grants(&["/ssl/", "/certificate_stores/read/3/"]));
        assert_eq!(
            texts(more.apply(&before)),
            ["/certificate_stores/read/3/", "/pam/read/2/", "/ssl/"]
        );
    }
}
