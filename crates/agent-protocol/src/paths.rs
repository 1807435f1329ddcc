//! Names that both sides know: endpoint paths, job type GUIDs, capabilities.

/// Endpoint paths, relative to the virtual directory (`/KeyfactorAgents/`), POST only. Job paths are data that the server
/// sends with each job; these are the ones it sends.
pub mod path {
    /// The usual virtual directory. The C agent takes it, with a slash, out of paths it is given.
    pub const VIRTUAL_DIRECTORY: &str = "KeyfactorAgents";
    /// Register a session.
    pub const SESSION_REGISTER: &str = "Session/Register";
    /// Keep a session.
    pub const SESSION_HEARTBEAT: &str = "Session/Heartbeat";
    /// Fetch an inventory job.
    pub const INVENTORY_CONFIGURE: &str = "AnyInventory/Configure";
    /// Send an inventory.
    pub const INVENTORY_UPDATE: &str = "AnyInventory/Update";
    /// Finish an inventory job.
    pub const INVENTORY_COMPLETE: &str = "AnyInventory/Complete";
    /// Fetch a management job.
    pub const MANAGEMENT_CONFIGURE: &str = "AnyManagement/Configure";
    /// Finish a management job.
    pub const MANAGEMENT_COMPLETE: &str = "AnyManagement/Complete";
}

/// Job type GUIDs of the built-in PEM store type, known to existing agents (agent-protocol reference, section 6).
pub mod job_type {
    use uuid::{Uuid, uuid};

    /// Inventory of a PEM store.
    pub const PEM_INVENTORY: Uuid = uuid!("a809ce1f-1eea-4738-a38e-15708c89c981");
    /// Add to or remove from a PEM store.
    pub const PEM_MANAGEMENT: Uuid = uuid!("1d411b36-ae72-433f-9f3f-8593e836a1af");
    /// Find PEM stores.
    pub const PEM_DISCOVERY: Uuid = uuid!("e98151de-53ad-4b99-b52a-f37118ec0c5c");
    /// Make a key on the device and enroll.
    pub const PEM_REENROLLMENT: Uuid = uuid!("aa015d10-cffc-41f7-a9a4-c9615f6f3bdf");
    /// Fetch the agent's log.
    pub const FETCH_LOGS: Uuid = uuid!("0d8cf0c8-56ca-4b8a-b16a-c062018e170d");
}

/// Capabilities that an agent registers.
pub mod capability {
    /// Inventory of PEM stores.
    pub const PEM_INVENTORY: &str = "CertStores.PEM.Inventory";
    /// Add to and remove from PEM stores.
    pub const PEM_MANAGEMENT: &str = "CertStores.PEM.Management";
    /// Find PEM stores.
    pub const PEM_DISCOVERY: &str = "CertStores.PEM.Discovery";
    /// Make keys on the device.
    pub const PEM_REENROLLMENT: &str = "CertStores.PEM.Reenrollment";
    /// Fetch the agent's log.
    pub const FETCH_LOGS: &str = "Custom.FetchLogs";
}

/// Names of PEM store properties, members of the JSON object in `Properties`. Values are text, booleans too.
pub mod property {
    /// Path of a separate private key file; absent or empty = the key stands in the store file. Never sent to a C
    /// agent (agent-protocol reference, section 8).
    pub const PRIVATE_KEY_PATH: &str = "PrivateKeyPath";
    /// Name of the deployment profile, out of the agent's own configuration; absent or empty = none.
    pub const PROFILE: &str = "Profile";
    /// `true` = the store holds many certificates and no key.
    pub const IS_TRUST_STORE: &str = "IsTrustStore";
    /// `false` = only the leaf is written, without its chain. Absent = with chain.
    pub const INCLUDES_CHAIN: &str = "IncludesChain";
}
