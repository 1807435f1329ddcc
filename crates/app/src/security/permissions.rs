//! The one table of permissions: what each is called on the wire, in both versions, what it implies and what it may be limited to.
//!
//! Sources: command-behaviour.md B.13 for the names of both kinds, A.0 for what is implied on stores, A.4 for the owner. Paths
//! of the public reference that have no version 1 name there have one of ours (docs/keyfactor-quirks.md), so that both
//! forms show the same grants.

/// What a grant of a permission may be limited to, by an id at the end of the path (`/certificate_stores/read/3/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// Nothing: it is granted for the whole system only.
    System,
    /// A certificate collection.
    Collection,
    /// A container of certificate stores (an application).
    Container,
    /// A PAM provider.
    PamProvider,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which.
    pub permission: Permission,
    /// The version 2 path. A grant covers every path that begins with it; `/` covers all.
    pub path: &'static str,
    /// The version 1 names, `Area:Permission`, the one that is shown first. Rows may share a name: it then stands for all.
    pub legacy: &'static [&'static str],
    /// As refusals name it; clients look for `Alerts - Read`.
    pub display: &'static str,
    /// What a grant may be limited to.
    pub per: Per,
    /// What holders of this hold too, on the same object.
    pub implies: &'static [Permission],
    description: &'static str,
}

impl Entry {
    /// For people.
    pub fn description(&self) -> &'static str {
        self.description.trim()
    }
}

macro_rules! permissions {
    ($(#[doc = $description:literal] $name:ident = $path:literal, [$($legacy:literal),+], $display:literal, $per:path, [$($implied:ident),*];)+) => {
        /// A permission. The table says what each is called on the wire and what it implies.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            $(#[doc = $description] $name,)+
        }

        /// Every permission, in the order of the variants.
        pub const TABLE: &[Entry] = &[
            $(Entry {
                permission: Permission::$name,
                path: $path,
                legacy: &[$($legacy),+],
                display: $display,
                per: $per,
                implies: &[$(Permission::$implied),*],
                description: $description,
            },)+
        ];
    };
}

permissions! {
    /// See agents and their jobs.
    AgentsRead = "/agents/management/read/", ["AgentManagement:Read"], "Agent Management - Read", Per::System, [];
    /// Approve, disapprove and reset agents; change their jobs.
    AgentsModify = "/agents/management/modify/", ["AgentManagement:Modify"], "Agent Management - Modify", Per::System, [AgentsRead];
    /// See the rules by which agents register themselves.
    AgentRegistrationRead = "/agents/auto_registration/read/", ["AgentAutoRegistration:Read"], "Agent Auto-Registration - Read", Per::System, [];
    /// Change the rules by which agents register themselves.
    AgentRegistrationModify = "/agents/auto_registration/modify/", ["AgentAutoRegistration:Modify"], "Agent Auto-Registration - Modify", Per::System, [AgentRegistrationRead];
    /// See the settings of enrollment on Macs.
    MacEnrollmentRead = "/agents/management/mac/auto-enrollment/management/read/", ["MacAutoEnrollManagement:Read"], "Mac Auto-Enroll Management - Read", Per::System, [];
    /// Change the settings of enrollment on Macs.
    MacEnrollmentModify = "/agents/management/mac/auto-enrollment/management/modify/", ["MacAutoEnrollManagement:Modify"], "Mac Auto-Enroll Management - Modify", Per::System, [MacEnrollmentRead];
    /// Kept for clients that ask for it; every account may call the interface.
    ApiRead = "/api/read/", ["API:Read"], "API - Read", Per::System, [];
    /// See the application settings.
    ApplicationSettingsRead = "/application_settings/read/", ["ApplicationSettings:Read"], "Application Settings - Read", Per::System, [];
    /// Change the application settings.
    ApplicationSettingsModify = "/application_settings/modify/", ["ApplicationSettings:Modify"], "Application Settings - Modify", Per::System, [ApplicationSettingsRead];
    /// See and prove the audit log.
    AuditingRead = "/auditing/read/", ["Auditing:Read"], "Auditing - Read", Per::System, [];
    /// See certificate authorities.
    AuthoritiesRead = "/certificate_authorities/read/", ["PkiManagement:Read"], "PKI Management - Read", Per::System, [];
    /// Change certificate authorities.
    AuthoritiesModify = "/certificate_authorities/modify/", ["PkiManagement:Modify"], "PKI Management - Modify", Per::System, [AuthoritiesRead];
    /// See certificate stores, types and containers.
    StoresRead = "/certificate_stores/read/", ["CertificateStoreManagement:Read"], "Certificate Store Management - Read", Per::Container, [];
    /// Schedule inventories, add and remove certificates.
    StoresSchedule = "/certificate_stores/schedule/", ["CertificateStoreManagement:Schedule"], "Certificate Store Management - Schedule", Per::Container, [StoresRead];
    /// Create, change and delete certificate stores, types and containers.
    StoresModify = "/certificate_stores/modify/", ["CertificateStoreManagement:Modify"], "Certificate Store Management - Modify", Per::Container, [StoresSchedule, StoresRead];
    /// Give certificates in the stores another owner.
    StoresChangeOwner = "/certificate_stores/change_owner/", ["CertificateStoreManagement:ChangeOwner"], "Certificate Store Management - Change Owner", Per::Container, [];
    /// Revoke certificates in the stores.
    StoresRevoke = "/certificate_stores/revoke/", ["CertificateStoreManagement:Revoke"], "Certificate Store Management - Revoke", Per::Container, [];
    /// Change the metadata of certificates in the stores.
    StoresMetadataModify = "/certificate_stores/metadata/modify/", ["CertificateStoreManagement:EditMetadata"], "Certificate Store Management - Edit Metadata", Per::Container, [];
    /// Download certificates in the stores with their private keys.
    StoresPrivateKeyRead = "/certificate_stores/private_key/read/", ["CertificateStoreManagement:Recover"], "Certificate Store Management - Recover", Per::Container, [];
    /// See templates.
    TemplatesRead = "/certificate_templates/read/", ["PkiManagement:Read"], "Certificate Templates - Read", Per::System, [];
    /// Change templates.
    TemplatesModify = "/certificate_templates/modify/", ["PkiManagement:Modify"], "Certificate Templates - Modify", Per::System, [TemplatesRead];
    /// See and download certificates.
    CertificatesRead = "/certificates/collections/read/", ["Certificates:Read"], "Certificates - Read", Per::Collection, [];
    /// Create, change and delete certificate collections.
    CollectionsModify = "/certificates/collections/modify/", ["CertificateCollections:Modify"], "Certificate Collections - Modify", Per::Collection, [];
    /// Delete certificates.
    CertificatesDelete = "/certificates/collections/delete/", ["Certificates:Delete"], "Certificates - Delete", Per::Collection, [];
    /// Revoke certificates.
    CertificatesRevoke = "/certificates/collections/revoke/", ["Certificates:Revoke"], "Certificates - Revoke", Per::Collection, [];
    /// Give a certificate another owner: from a role held to a role held.
    CertificatesChangeOwner = "/certificates/collections/change_owner/", ["Certificates:ChangeOwner"], "Certificates - Change Owner", Per::Collection, [];
    /// Change the metadata of certificates.
    CertificatesMetadataModify = "/certificates/collections/metadata/modify/", ["Certificates:EditMetadata"], "Certificates - Edit Metadata", Per::Collection, [];
    /// Download a certificate with its private key.
    CertificatesRecover = "/certificates/collections/private_key/read/", ["Certificates:Recover"], "Certificates - Recover", Per::Collection, [];
    /// Store private keys of certificates.
    CertificatesPrivateKeyImport = "/certificates/collections/private_key/import/", ["Certificates:ImportPrivateKey"], "Certificates - Import Private Key", Per::Collection, [];
    /// Give a certificate another owner among the roles of the permission sets one is in.
    CertificatesExpandedChangeOwner = "/certificates/expanded_change_owner/", ["Certificates:ExpandedChangeOwner"], "Certificates - Expanded Change Owner", Per::System, [];
    /// Enroll with a key made by the server.
    EnrollmentPfx = "/certificates/enrollment/pfx/", ["CertificateEnrollment:EnrollPFX"], "Certificate Enrollment - Enroll PFX", Per::System, [];
    /// Enroll with a request.
    EnrollmentCsr = "/certificates/enrollment/csr/", ["CertificateEnrollment:EnrollCSR"], "Certificate Enrollment - Enroll CSR", Per::System, [];
    /// Make certificate requests whose keys the server keeps.
    CsrGeneration = "/certificates/enrollment/csr_generation/", ["CertificateEnrollment:CsrGeneration"], "Certificate Enrollment - CSR Generation", Per::System, [];
    /// See and delete requests whose keys the server keeps.
    PendingCsr = "/certificates/enrollment/pending_csr/", ["CertificateEnrollment:PendingCsr"], "Certificate Enrollment - Pending CSR", Per::System, [];
    /// Import certificates.
    CertificatesImport = "/certificates/import/", ["Certificates:Import"], "Certificates - Import", Per::System, [];
    /// Approve and deny requests.
    RequestsManage = "/certificates/requests/manage/", ["WorkflowManagement:Participate", "WorkflowManagement:Manage"], "Certificate Requests - Manage", Per::System, [];
    /// See the dashboard.
    DashboardRead = "/dashboard/read/", ["Dashboard:Read"], "Dashboard - Read", Per::System, [];
    /// See the dashboard's risk header.
    DashboardRiskHeaderRead = "/dashboard/risk_header/read/", ["Dashboard:RiskHeader"], "Dashboard - Risk Header", Per::System, [];
    /// See identity providers.
    IdentityProvidersRead = "/identity_providers/read/", ["IdentityProviders:Read"], "Identity Providers - Read", Per::System, [];
    /// Change identity providers.
    IdentityProvidersModify = "/identity_providers/modify/", ["IdentityProviders:Modify"], "Identity Providers - Modify", Per::System, [IdentityProvidersRead];
    /// See metadata fields.
    MetadataTypesRead = "/metadata/types/read/", ["CertificateMetadataTypes:Read"], "Certificate Metadata Types - Read", Per::System, [];
    /// Change metadata fields.
    MetadataTypesModify = "/metadata/types/modify/", ["CertificateMetadataTypes:Modify"], "Certificate Metadata Types - Modify", Per::System, [MetadataTypesRead];
    /// See alerts and requests that wait for approval.
    AlertsRead = "/monitoring/alerts/read/", ["WorkflowManagement:Read", "Monitoring:Read"], "Alerts - Read", Per::System, [];
    /// Change alerts.
    AlertsModify = "/monitoring/alerts/modify/", ["WorkflowManagement:Modify", "Monitoring:Modify"], "Alerts - Modify", Per::System, [AlertsRead];
    /// Send alerts as a test.
    AlertsTest = "/monitoring/alerts/test/", ["WorkflowManagement:Test", "Monitoring:Test"], "Alerts - Test", Per::System, [];
    /// Schedule alerts.
    AlertsSchedule = "/monitoring/alerts/schedule/", ["WorkflowManagement:Schedule"], "Alerts - Schedule", Per::System, [];
    /// See event handlers.
    HandlersRead = "/monitoring/handlers/registration/read/", ["EventHandlerRegistration:Read"], "Event Handler Registration - Read", Per::System, [];
    /// Change event handlers.
    HandlersModify = "/monitoring/handlers/registration/modify/", ["EventHandlerRegistration:Modify"], "Event Handler Registration - Modify", Per::System, [HandlersRead];
    /// See and use PAM providers.
    PamRead = "/pam/read/", ["PrivilegedAccessManagement:Read"], "Privileged Access Management - Read", Per::PamProvider, [];
    /// Change PAM providers.
    PamModify = "/pam/modify/", ["PrivilegedAccessManagement:Modify"], "Privileged Access Management - Modify", Per::PamProvider, [PamRead];
    /// Open the portal.
    PortalRead = "/portal/read/", ["AdminPortal:Read"], "Management Portal - Read", Per::System, [];
    /// See and run reports.
    ReportsRead = "/reports/read/", ["Reports:Read"], "Reports - Read", Per::System, [];
    /// Change reports.
    ReportsModify = "/reports/modify/", ["Reports:Modify"], "Reports - Modify", Per::System, [ReportsRead];
    /// See scripts.
    ScriptsRead = "/scripts/read/", ["Scripts:Read"], "Scripts - Read", Per::System, [];
    /// Change scripts.
    ScriptsModify = "/scripts/modify/", ["Scripts:Modify"], "Scripts - Modify", Per::System, [ScriptsRead];
    /// See roles, claims, accounts and permission sets.
    SecurityRead = "/security/read/", ["SecuritySettings:Read"], "Security Settings - Read", Per::System, [];
    /// Change roles, claims, accounts and permission sets.
    SecurityModify = "/security/modify/", ["SecuritySettings:Modify"], "Security Settings - Modify", Per::System, [SecurityRead];
    /// Use SSH keys of one's own.
    SshUser = "/ssh/user/", ["SSH:User"], "SSH - User", Per::System, [];
    /// Administer SSH servers one owns.
    SshServerAdmin = "/ssh/server_admin/", ["SSH:ServerAdmin"], "SSH - Server Admin", Per::System, [SshUser];
    /// Administer all SSH servers.
    SshEnterpriseAdmin = "/ssh/enterprise_admin/", ["SSH:EnterpriseAdmin"], "SSH - Enterprise Admin", Per::System, [SshServerAdmin, SshUser];
    /// See networks that are scanned and what was found.
    SslRead = "/ssl/read/", ["SslManagement:Read"], "SSL Management - Read", Per::System, [];
    /// Change networks that are scanned.
    SslModify = "/ssl/modify/", ["SslManagement:Modify"], "SSL Management - Modify", Per::System, [SslRead];
    /// See the system settings.
    SystemSettingsRead = "/system_settings/read/", ["SystemSettings:Read"], "System Settings - Read", Per::System, [];
    /// Change the system settings.
    SystemSettingsModify = "/system_settings/modify/", ["SystemSettings:Modify"], "System Settings - Modify", Per::System, [SystemSettingsRead];
    /// See workflows.
    WorkflowDefinitionsRead = "/workflows/definitions/read/", ["WorkflowDefinitions:Read"], "Workflow Definitions - Read", Per::System, [];
    /// Change workflows.
    WorkflowDefinitionsModify = "/workflows/definitions/modify/", ["WorkflowDefinitions:Modify"], "Workflow Definitions - Modify", Per::System, [WorkflowDefinitionsRead];
    /// Stop, restart and signal running workflows.
    WorkflowInstancesManage = "/workflows/instances/manage/", ["WorkflowInstances:Manage"], "Workflow Instances - Manage", Per::System, [];
    /// See all running workflows.
    WorkflowInstancesRead = "/workflows/instances/read/", ["WorkflowInstances:ReadAll"], "Workflow Instances - Read All", Per::System, [];
    /// See running workflows one started.
    WorkflowInstancesReadMine = "/workflows/instances/read/mine/", ["WorkflowInstances:ReadMy"], "Workflow Instances - Read Mine", Per::System, [];
    /// See running workflows that wait for one.
    WorkflowInstancesReadPending = "/workflows/instances/read/pending/", ["WorkflowInstances:ReadAssignedToMe"], "Workflow Instances - Read Assigned", Per::System, [];
    /// Schedule the monitoring of revocation endpoints.
    AlertsScheduleRevocation = "/monitoring/alerts/schedule/revocation/", ["Monitoring:Schedule"], "Alerts - Schedule Revocation Monitoring", Per::System, [];
}

impl Permission {
    /// The permission's row.
    pub fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }

    /// The permission of this exact path.
    pub fn of_path(path: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.path == path)
            .map(|row| row.permission)
    }

    /// This permission and those whose holders hold it too.
    pub fn with_implying(self) -> impl Iterator<Item = &'static Entry> {
        let implying = TABLE.iter().filter(move |row| row.implies.contains(&self));
        std::iter::once(self.entry()).chain(implying)
    }
}

/// Something that a role grants: every permission whose path begins with `path`, for the whole system or for one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grant {
    /// `/certificate_stores/`, for example; lower case, with slashes at both ends. With an object it is a row's whole path.
    pub path: String,
    /// The collection, container or PAM provider, by what the path's row may be limited to.
    pub object_id: Option<i64>,
}

impl Grant {
    /// A grant for the whole system.
    pub fn system(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            object_id: None,
        }
    }

    /// What a path stands for: `/certificate_stores/`, `/certificate_stores/read/3/`, `/`. `None` when there is no such
    /// permission, or when it cannot be limited to an object.
    pub fn parse_path(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.starts_with('/') {
            return None;
        }
        let mut path = text.to_ascii_lowercase();
        if !path.ends_with('/') {
            path.push('/');
        }
        if TABLE.iter().any(|row| row.path.starts_with(&path)) {
            return Some(Self::system(path));
        }
        let (path, id) = path.trim_end_matches('/').rsplit_once('/')?;
        if !id.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        let object_id = id.parse().ok().filter(|id| *id > 0)?;
        let path = format!("{path}/");
        let row = TABLE.iter().find(|row| row.path == path)?;
        (row.per != Per::System).then_some(Self {
            path,
            object_id: Some(object_id),
        })
    }

    /// What a version 1 name (`Area:Permission`, in any case) or a version 2 path stands for; empty when there is no such
    /// permission.
    pub fn parse(text: &str) -> Vec<Self> {
        let name = text.trim();
        let named: Vec<Self> = TABLE
            .iter()
            .filter(|row| {
                row.legacy
                    .iter()
                    .any(|legacy| legacy.eq_ignore_ascii_case(name))
            })
            .map(|row| Self::system(row.path))
            .collect();
        if named.is_empty() {
            Self::parse_path(text).into_iter().collect()
        } else {
            named
        }
    }

    /// Whether everything that `other` grants is granted by this as well.
    pub fn covers(&self, other: &Self) -> bool {
        match self.object_id {
            None => other.path.starts_with(&self.path),
            Some(_) => self == other,
        }
    }

    /// What the grant is limited to.
    pub fn per(&self) -> Per {
        match self.object_id {
            None => Per::System,
            Some(_) => Permission::of_path(&self.path)
                .map_or(Per::System, |permission| permission.entry().per),
        }
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.object_id {
            None => f.write_str(&self.path),
            Some(id) => write!(f, "{}{id}/", self.path),
        }
    }
}

/// The version 1 names of what is granted for the whole system, each once, in the order of the table. A name that stands for
/// several rows is there when all of them are granted.
pub fn legacy_names(grants: &[Grant]) -> Vec<&'static str> {
    let granted = |row: &Entry| {
        grants
            .iter()
            .any(|grant| grant.object_id.is_none() && row.path.starts_with(grant.path.as_str()))
    };
    let mut names: Vec<&'static str> = Vec::new();
    for row in TABLE {
        let name = row.legacy[0];
        let whole = || {
            TABLE
                .iter()
                .filter(|other| other.legacy.contains(&name))
                .all(granted)
        };
        if !names.contains(&name) && whole() {
            names.push(name);
        }
    }
    names
}

/// The grants without those that another of them covers, sorted.
pub fn distinct(mut grants: Vec<Grant>) -> Vec<Grant> {
    grants.sort();
    grants.dedup();
    let all = grants.clone();
    grants.retain(|grant| {
        !all.iter()
            .any(|other| other != grant && other.covers(grant))
    });
    grants
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
            let twins = TABLE.iter().filter(|other| other.path == row.path).count();
            assert_eq!(twins, 1, "{row:?}");
            assert!(!row.description().is_empty());
            assert!(
                row.implies
                    .iter()
                    .all(|implied| implied.entry().per == row.per),
                "{row:?}"
            );
        }
    }

    #[test]
    fn both_kinds_of_name_lead_to_the_path() {
        assert_eq!(
            Grant::parse("certificates:read"),
            [Grant::system("/certificates/collections/read/")]
        );
        assert_eq!(
            Grant::parse("/certificate_stores"),
            [Grant::system("/certificate_stores/")]
        );
        assert_eq!(Grant::parse("/"), [Grant::system("/")]);
        assert!(Grant::parse("/nothing/").is_empty() && Grant::parse("Nothing:Read").is_empty());
        assert_eq!(Grant::parse("PkiManagement:Read").len(), 2);
        let stores = legacy_names(&[Grant::system("/certificate_stores/")]);
        assert_eq!(stores.len(), 7, "{stores:?}");
        assert!(legacy_names(&[Grant::system("/certificate_authorities/read/")]).is_empty());
    }

    #[test]
    fn objects_stand_at_the_end_of_a_whole_path() {
        let scoped = Grant {
            path: "/certificate_stores/read/".into(),
            object_id: Some(3),
        };
        assert_eq!(
            Grant::parse_path("/Certificate_Stores/Read/3"),
            Some(scoped.clone())
        );
        assert_eq!(scoped.to_string(), "/certificate_stores/read/3/");
        assert_eq!(scoped.per(), Per::Container);
        for bad in [
            "/certificate_stores/3/",
            "/security/read/3/",
            "/certificate_stores/read/0/",
            "/certificate_stores/read/-1/",
            "/certificate_stores/read/+1/",
            "//",
            "/certificate_stores/read/99999999999999999999/",
        ] {
            assert_eq!(Grant::parse_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_name_reads_back_as_itself_or_as_the_first_of_its_row() {
        for row in TABLE {
            let names = legacy_names(&Grant::parse(row.legacy[0]));
            assert!(names.contains(&row.legacy[0]), "{row:?}: {names:?}");
        }
    }

    #[test]
    fn what_is_covered_is_left_out() {
        let grants = [
            Grant::system("/certificates/"),
            Grant::system("/certificates/import/"),
            Grant {
                path: "/certificates/collections/read/".into(),
                object_id: Some(1),
            },
        ];
        assert_eq!(distinct(grants.to_vec()), [Grant::system("/certificates/")]);
    }
}
