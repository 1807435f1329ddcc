//! The one table of permissions.

/// A permission. The table says what each is called on the wire and what it implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See agents and their jobs.
    AgentsRead,
    /// Approve, disapprove and reset agents; change their jobs.
    AgentsModify,
    /// See requests that wait for approval.
    AlertsRead,
    /// See certificate authorities.
    AuthoritiesRead,
    /// Change certificate authorities.
    AuthoritiesModify,
    /// See certificate stores, types and containers.
    StoresRead,
    /// Schedule inventories, add and remove certificates.
    StoresSchedule,
    /// Create, change and delete certificate stores, types and containers.
    StoresModify,
    /// See templates.
    TemplatesRead,
    /// Change templates.
    TemplatesModify,
    /// See and download certificates.
    CertificatesRead,
    /// Give a certificate another owner.
    CertificatesChangeOwner,
    /// Download a certificate with its private key.
    CertificatesRecover,
    /// Enroll with a key made by the server.
    EnrollmentPfx,
    /// Enroll with a request.
    EnrollmentCsr,
    /// Approve and deny requests.
    RequestsManage,
    /// See roles and accounts.
    SecurityRead,
    /// Change roles and accounts.
    SecurityModify,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which.
    pub permission: Permission,
    /// The version 2 path. A grant covers every path that begins with it; `/` covers all.
    pub path: &'static str,
    /// The version 1 name, `Area:Permission`.
    pub legacy: &'static str,
    /// As refusals name it; clients look for `Alerts - Read`.
    pub display: &'static str,
    /// What holders of this hold too.
    pub implies: &'static [Permission],
    /// For people.
    pub description: &'static str,
}

use Permission as P;

const fn entry(
    permission: Permission,
    path: &'static str,
    legacy: &'static str,
    display: &'static str,
    implies: &'static [Permission],
    description: &'static str,
) -> Entry {
    Entry {
        permission,
        path,
        legacy,
        display,
        implies,
        description,
    }
}

/// Every permission, in the order of the variants. Sources: command-behaviour.md B.13 for both kinds of name, A.0 for what
/// is implied on stores.
#[rustfmt::skip]
pub const TABLE: &[Entry] = &[
    entry(P::AgentsRead, "/agents/management/read/", "AgentManagement:Read", "Agent Management - Read", &[], "See agents and their jobs."),
    entry(P::AgentsModify, "/agents/management/modify/", "AgentManagement:Modify", "Agent Management - Modify", &[P::AgentsRead], "Approve, disapprove and reset agents; change their jobs."),
    entry(P::AlertsRead, "/monitoring/alerts/read/", "WorkflowManagement:Read", "Alerts - Read", &[], "See requests that wait for approval."),
    entry(P::AuthoritiesRead, "/certificate_authorities/read/", "PkiManagement:Read", "PKI Management - Read", &[], "See certificate authorities."),
    entry(P::AuthoritiesModify, "/certificate_authorities/modify/", "PkiManagement:Modify", "PKI Management - Modify", &[P::AuthoritiesRead], "Change certificate authorities."),
    entry(P::StoresRead, "/certificate_stores/read/", "CertificateStoreManagement:Read", "Certificate Store Management - Read", &[], "See certificate stores, types and containers."),
    entry(P::StoresSchedule, "/certificate_stores/schedule/", "CertificateStoreManagement:Schedule", "Certificate Store Management - Schedule", &[P::StoresRead], "Schedule inventories, add and remove certificates."),
    entry(P::StoresModify, "/certificate_stores/modify/", "CertificateStoreManagement:Modify", "Certificate Store Management - Modify", &[P::StoresSchedule, P::StoresRead], "Create, change and delete certificate stores, types and containers."),
    entry(P::TemplatesRead, "/certificate_templates/read/", "CertificateTemplates:Read", "Certificate Templates - Read", &[], "See templates."),
    entry(P::TemplatesModify, "/certificate_templates/modify/", "CertificateTemplates:Modify", "Certificate Templates - Modify", &[P::TemplatesRead], "Change templates."),
    entry(P::CertificatesRead, "/certificates/collections/read/", "Certificates:Read", "Certificates - Read", &[], "See and download certificates."),
    entry(P::CertificatesChangeOwner, "/certificates/collections/change_owner/", "Certificates:ChangeOwner", "Certificates - Change Owner", &[], "Give a certificate another owner."),
    entry(P::CertificatesRecover, "/certificates/collections/private_key/read/", "Certificates:Recover", "Certificates - Recover", &[], "Download a certificate with its private key."),
    entry(P::EnrollmentPfx, "/certificates/enrollment/pfx/", "CertificateEnrollment:EnrollPFX", "Certificate Enrollment - Enroll PFX", &[], "Enroll with a key made by the server."),
    entry(P::EnrollmentCsr, "/certificates/enrollment/csr/", "CertificateEnrollment:EnrollCSR", "Certificate Enrollment - Enroll CSR", &[], "Enroll with a request."),
    entry(P::RequestsManage, "/certificates/requests/manage/", "WorkflowManagement:Participate", "Certificate Requests - Manage", &[], "Approve and deny requests."),
    entry(P::SecurityRead, "/security/read/", "SecuritySettings:Read", "Security Settings - Read", &[], "See roles and accounts."),
    entry(P::SecurityModify, "/security/modify/", "SecuritySettings:Modify", "Security Settings - Modify", &[P::SecurityRead], "Change roles and accounts."),
];

impl Permission {
    /// The permission's row.
    pub fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }
}

/// The path that a version 1 name or a version 2 path grants, in its canonical form, or `None` when there is no such
/// permission. A path that is a beginning of one or more rows is a grant of them all.
pub fn grant_path(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(row) = TABLE
        .iter()
        .find(|row| row.legacy.eq_ignore_ascii_case(text))
    {
        return Some(row.path.to_owned());
    }
    if !text.starts_with('/') {
        return None;
    }
    let mut path = text.to_ascii_lowercase();
    if !path.ends_with('/') {
        path.push('/');
    }
    TABLE
        .iter()
        .any(|row| row.path.starts_with(&path))
        .then_some(path)
}

/// The version 1 names that a granted path stands for.
pub fn legacy_names(path: &str) -> Vec<&'static str> {
    TABLE
        .iter()
        .filter(|row| row.path.starts_with(path))
        .map(|row| row.legacy)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_variants_and_are_unique() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.permission as usize, index, "{row:?}");
            assert!(
                row.path.starts_with('/') && row.path.ends_with('/'),
                "{row:?}"
            );
            let twin = TABLE
                .iter()
                .filter(|other| other.path == row.path || other.legacy == row.legacy)
                .count();
            assert_eq!(twin, 1, "{row:?}");
        }
    }

    #[test]
    fn both_kinds_of_name_lead_to_the_path() {
        assert_eq!(
            grant_path("certificates:read").as_deref(),
            Some("/certificates/collections/read/")
        );
        assert_eq!(
            grant_path("/certificate_stores").as_deref(),
            Some("/certificate_stores/")
        );
        assert_eq!(grant_path("/"), Some("/".into()));
        assert_eq!(grant_path("/nothing/"), None);
        assert_eq!(grant_path("Nothing:Read"), None);
        assert_eq!(legacy_names("/certificate_stores/").len(), 3);
    }
}
