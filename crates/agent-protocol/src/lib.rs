//! The wire types of `/KeyfactorAgents`, shared by server and agent. No behaviour.
//!
//! Member names are the public protocol's, in PascalCase, exactly. Reading is tolerant: unknown members are ignored,
//! missing or null ones take the documented default, an enumeration value we do not know reads as `Unknown`.
//! (Matching names without regard to case is the work of the server's lenient reader, before these types.)
//!
//! What the old protocol cannot say stands in optional members called `Chancery`. Agents and servers that do not know
//! them ignore them; nothing may depend on their presence. Each one is documented at its type.
//!
//! Secrets travel in clear inside TLS in this protocol. Every member that can hold one is [`Redacted`], so that no
//! `Debug` output and no log line can show it.

mod enumerations;
mod inventory;
mod job;
mod management;
mod paths;
mod reading;
mod redacted;
mod result;
mod session;

pub use enumerations::{
    AgentPlatform, CompleteStatus, InventoryItemStatus, OperationType, ResultStatus,
};
pub use inventory::{
    InventoryConfigureResponse, InventoryItem, InventoryJob, InventorySubmitRequest,
    InventorySubmitResponse, KnownInventoryItem,
};
pub use job::{CompletionExtra, JobCompleteRequest, JobCompleteResponse, JobConfigureRequest};
pub use management::{ManagementConfigureResponse, ManagementExtra, ManagementJob};
pub use paths::{capability, job_type, path, property};
pub use redacted::Redacted;
pub use result::{MESSAGE_MAX_CHARACTERS, OperationError, OperationResult, code};
pub use session::{
    HeartbeatRequest, HeartbeatResponse, RegistrationExtra, Session, SessionExtra, SessionJob,
    SessionRegisterRequest, SessionRegisterResponse,
};
pub use uuid::Uuid;
