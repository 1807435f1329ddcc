//! `/Permissions`: the strings of version 2, as requests give them and as they are listed.

use std::collections::BTreeSet;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::permissions::{Grant, Per, Permission, TABLE};
use crate::cx::Cx;
use crate::error::Error;
use crate::web::Json;

/// `/Permissions`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list))
}

/// Every permission, as version 2 roles and permission sets name it. `#` stands for the id of a collection, an application or
/// a PAM provider. A string that another one begins with grants that one as well; `/` grants everything.
#[utoipa::path(
    get, path = "/Permissions", tag = "Permissions",
    responses((status = 200, body = Vec<String>, description = "All of them")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn list(cx: Cx) -> Result<Json<Vec<String>>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let mut strings = vec!["/".to_owned()];
    for row in TABLE {
        strings.push(row.path.to_owned());
        if row.per != Per::System {
            strings.push(format!("{}#/", row.path));
        }
    }
    strings.sort();
    Ok(Json(strings))
}

/// Strings of version 2 as a request gave them.
#[derive(Debug)]
pub(super) struct Given {
    /// Each once, sorted.
    pub(super) grants: Vec<Grant>,
    overlapping: Vec<String>,
}

impl Given {
    /// The grants, when none of them is given twice or covered by another: the reference refuses such sets.
    ///
    /// # Errors
    /// 400 naming each pair.
    pub(super) fn without_overlap(self, member: &str) -> Result<Vec<Grant>, Error> {
        refuse(member, "some of them overlap", self.overlapping)?;
        Ok(self.grants)
    }
}

/// Permissions in a list of a request at most.
const GIVEN_MAX: usize = 1_000;

/// Refuses lists that no role needs.
///
/// # Errors
/// 400.
pub(super) fn check_number(member: &str, given: usize) -> Result<(), Error> {
    if given > GIVEN_MAX {
        return Err(Error::bad_request(format!(
            "{member}: {given} are more than the {GIVEN_MAX} that are possible."
        )));
    }
    Ok(())
}

/// Reads strings of version 2.
///
/// # Errors
/// 400 naming those that are no permission, and for too many.
pub(super) fn read(member: &str, given: &[String]) -> Result<Given, Error> {
    check_number(member, given.len())?;
    let (mut grants, mut unknown, mut overlapping) = (BTreeSet::new(), Vec::new(), Vec::new());
    for text in given {
        match Grant::parse_path(text) {
            None => unknown.push(format!("{member}: there is no permission {text:?}.")),
            Some(grant) if grants.contains(&grant) => {
                overlapping.push(format!("{member}: {grant} is given twice."));
            }
            Some(grant) => {
                grants.insert(grant);
            }
        }
    }
    refuse(member, "some of them do not exist", unknown)?;
    for narrow in &grants {
        let above = narrow.path.match_indices('/');
        let above = above.map(|(at, _)| Grant::system(&narrow.path[..=at]));
        for wide in above.filter(|wide| wide != narrow && grants.contains(wide)) {
            overlapping.push(format!(
                "{member}: {wide} covers {narrow}; give one of them."
            ));
        }
    }
    Ok(Given {
        grants: grants.into_iter().collect(),
        overlapping,
    })
}

/// Refuses with one reason, or with several.
pub(super) fn refuse(member: &str, summary: &str, reasons: Vec<String>) -> Result<(), Error> {
    match reasons.as_slice() {
        [] => Ok(()),
        [one] => Err(Error::bad_request(one.clone())),
        _ => Err(Error::bad_parts(format!("{member}: {summary}."), reasons)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(strings: &[&str]) -> Result<Vec<Grant>, Error> {
        let strings: Vec<String> = strings.iter().map(|text| (*text).to_owned()).collect();
        read("Permissions", &strings)?.without_overlap("Permissions")
    }

    #[test]
    fn overlapping_and_unknown_strings_are_named() {
        let fine = given(&["/security/read/", "/certificates/import", "/pam/read/2/"]).unwrap();
        assert_eq!(fine.len(), 3);
        for (strings, named) in [
            (&["/certificates/", "/certificates/import/"][..], "covers"),
            (&["/", "/pam/read/2/"], "covers"),
            (&["/pam/read/", "/pam/read/2/"], "covers"),
            (&["/pam/read/", "/PAM/read"], "twice"),
            (&["Certificates:Read"], "no permission"),
            (&["/nothing/"], "no permission"),
            (&["/security/read/3/"], "no permission"),
        ] {
            let refused = given(strings).unwrap_err();
            assert!(
                refused.to_string().contains(named),
                "{strings:?}: {refused}"
            );
        }
        let refused = given(&["/", "/security/", "/ssl/"]).unwrap_err();
        assert_eq!(refused.failed().len(), 2);
    }
}
