//! What every enrollment has to settle before anything is signed: authority, template, names, owner.

use std::sync::Arc;

use db::tables::certificates;
use pki::{DistinguishedName, KeyInfo, SubjectAlternativeName};

use super::names::NAMES_MAX;
use crate::application_settings::{OwnerMode, OwnerPolicy};
use crate::authorities::{self, KnownAuthority, PURPOSE_ISSUING};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{role_by_id, role_by_name};
use crate::templates::{self, ENROLLMENT_CSR, Template};

/// The authority and template that a request names.
pub(super) struct Place {
    pub(super) authority: Arc<KnownAuthority>,
    pub(super) template: Arc<Template>,
}

/// Finds the authority and the template, and sees whether the caller may enroll there.
///
/// # Errors
/// 400 naming the member; 403 when the template is for the holders of other roles.
pub(super) async fn place(
    cx: &Cx,
    authority: Option<&str>,
    template: Option<&str>,
    pattern_id: Option<i64>,
    enrollment_type: i32,
) -> Result<Place, Error> {
    if let Some(id) = pattern_id.filter(|id| *id != 0) {
        return Err(Error::bad_request(format!(
            "EnrollmentPatternId: there is no enrollment pattern {id}; name a Template instead."
        )));
    }
    let Some(name) = given(template) else {
        return Err(Error::bad_request(
            "Template: name the template to enroll for.",
        ));
    };
    let template = templates::by_name(cx, name).await?;
    let template = template
        .ok_or_else(|| Error::bad_request(format!("Template: there is no template {name:?}.")))?;
    allowed(cx, &template, enrollment_type)?;
    let authority = find_authority(cx, authority).await?;
    Ok(Place {
        authority,
        template,
    })
}

/// Whether the caller may enroll for the template in this way.
pub(super) fn allowed(cx: &Cx, template: &Template, enrollment_type: i32) -> Result<(), Error> {
    let name = &template.row.common_name;
    if !template.allows(cx) {
        let roles = template.allowed_requesters.join(", ");
        return Err(Error::forbidden(format!(
            "Template {name} is for the holders of these roles only: {roles}."
        )));
    }
    if template.row.allowed_enrollment_types & enrollment_type == 0 {
        let way = if enrollment_type == ENROLLMENT_CSR {
            "CSR"
        } else {
            "PFX"
        };
        return Err(Error::bad_request(format!(
            "Template: {name} does not allow {way} enrollment."
        )));
    }
    Ok(())
}

/// The authority that clients name `host\logical`, by its logical name alone, or not at all.
pub(super) async fn find_authority(
    cx: &Cx,
    name: Option<&str>,
) -> Result<Arc<KnownAuthority>, Error> {
    let known = authorities::all(cx.app()).await?;
    let mut issuing = known
        .iter()
        .filter(|authority| authority.purpose == PURPOSE_ISSUING && authority.enabled);
    let Some(name) = given(name) else {
        return issuing
            .next()
            .cloned()
            .ok_or_else(|| Error::bad_request("CertificateAuthority: there is none that issues."));
    };
    // Clients that build their bodies by hand double the backslash once too often.
    let wanted = db::fold(&name.replace("\\\\", "\\"));
    let found = issuing.find(|authority| {
        if wanted.contains('\\') {
            authority.name_fold == wanted
        } else {
            db::fold(&authority.logical_name) == wanted
        }
    });
    found.cloned().ok_or_else(|| {
        Error::bad_request(format!(
            "CertificateAuthority: there is no authority {name:?} that issues."
        ))
    })
}

/// Text that is there and not blank.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The role that owns a new certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) role_id: Option<i64>,
    /// The request names it; else it follows from the certificate that is renewed, or from the policy.
    pub(crate) named: bool,
}

impl Owner {
    pub(super) fn unnamed(role_id: Option<i64>) -> Self {
        Self {
            role_id,
            named: false,
        }
    }
}

/// The role that shall own the new certificate: the one that is named, which takes the right to give it away, or that of the
/// certificate that is renewed, or the default.
///
/// # Errors
/// 400 when there is no such role, when id and name are two different ones, and for what the owner policy does not allow; 403
/// when the caller may not make it the owner.
pub(crate) async fn owner(
    cx: &Cx,
    id: Option<i64>,
    name: Option<&str>,
    renewed: Option<&certificates::Model>,
) -> Result<Owner, Error> {
    let current = renewed.and_then(|row| row.owner_role_id);
    let connection = cx.db().read();
    let by_id = match id.filter(|id| *id != 0) {
        None => None,
        Some(id) => {
            let role = role_by_id(connection, id).await?;
            Some(role.ok_or_else(|| {
                Error::bad_request(format!("OwnerRoleId: there is no role {id}."))
            })?)
        }
    };
    let by_name = match given(name) {
        None => None,
        Some(name) => {
            let role = role_by_name(connection, name).await?;
            Some(role.ok_or_else(|| {
                Error::bad_request(format!("OwnerRoleName: there is no role {name:?}."))
            })?)
        }
    };
    let (member, role) = match (by_id, by_name) {
        (Some(by_id), Some(by_name)) if by_id.id != by_name.id => {
            return Err(Error::bad_request(
                "OwnerRoleId and OwnerRoleName name different roles; give one of them.",
            ));
        }
        (Some(role), _) => ("OwnerRoleId", role),
        (None, Some(role)) => ("OwnerRoleName", role),
        (None, None) => return Ok(Owner::unnamed(kept_owner(cx, current).await?)),
    };
    if current == Some(role.id) {
        return Ok(Owner::unnamed(current));
    }
    cx.authorize_first_owner(&role)?;
    OwnerPolicy::load(connection).await?.usable(member, &role)?;
    Ok(Owner {
        role_id: Some(role.id),
        named: true,
    })
}

/// The owner of a certificate for which nobody names one: that of the certificate it follows, or the default.
///
/// # Errors
/// 400 when there has to be one.
pub(super) async fn kept_owner(cx: &Cx, current: Option<i64>) -> Result<Option<i64>, Error> {
    if current.is_some() {
        return Ok(current);
    }
    let (policy, default) = OwnerPolicy::with_default(cx).await?;
    if default.is_none() && policy.mode == OwnerMode::Required {
        return Err(Error::bad_request(format!(
            "OwnerRoleId: every certificate has to have an owner (application setting {}); name a security role.",
            OwnerPolicy::MODE_SETTING
        )));
    }
    Ok(default)
}

/// The names of the certificate: what is asked for, completed and checked by the template's rules.
///
/// # Errors
/// 400 with a reason for each rule that is broken.
pub(super) fn names(
    template: &Template,
    subject: DistinguishedName,
    names: Vec<SubjectAlternativeName>,
    key: &KeyInfo,
) -> Result<(DistinguishedName, Vec<SubjectAlternativeName>), Error> {
    let (subject, names) = template.complete(subject, names)?;
    if names.len() > NAMES_MAX {
        return Err(Error::bad_request(format!(
            "SANs: there are more than {NAMES_MAX} names."
        )));
    }
    if subject.is_empty() && names.is_empty() {
        return Err(Error::bad_request(
            "There is neither a subject nor a subject alternative name.",
        ));
    }
    template.check(&subject, &names, key)?;
    Ok((subject, names))
}
