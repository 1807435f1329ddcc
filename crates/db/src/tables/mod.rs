//! One file a table. The rows as the rest of the product sees them; the schema itself is in the migrations.

pub mod accounts;
pub mod agent_sessions;
pub mod agents;
pub mod audit_records;
pub mod authorities;
pub mod certificate_contents;
pub mod certificate_history;
pub mod certificate_keys;
pub mod certificate_metadata;
pub mod certificate_names;
pub mod certificate_requests;
pub mod certificate_stores;
pub mod certificates;
pub mod counters;
pub mod job_history;
pub mod orchestrator_jobs;
pub mod queue_jobs;
pub mod role_accounts;
pub mod role_permissions;
pub mod roles;
pub mod settings;
pub mod store_containers;
pub mod store_entries;
pub mod store_entry_certificates;
pub mod store_types;
pub mod templates;
