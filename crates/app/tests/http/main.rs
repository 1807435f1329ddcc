//! The product at its HTTP edge, in process, on both databases. The modules mirror the URLs.

#![expect(clippy::unwrap_used, reason = "what is missing in a test fails it")]

mod agents;
mod analytics;
mod application_settings;
mod applications;
mod audit;
mod audit_tampering;
mod bearer;
mod certificate_authority;
mod certificate_files;
mod certificate_import;
mod certificate_metadata;
mod certificate_revocation;
mod certificate_security;
mod certificate_store_containers;
mod certificate_store_types;
mod certificate_stores;
mod certificates;
mod certificates_delete;
mod certificates_past;
mod certificates_revoke;
mod collections;
mod decisions;
mod enrollment;
mod explain;
mod identity_providers;
mod keyfactor_agents;
mod limits;
mod matrix;
mod metadata_fields;
mod oauth2;
mod orchestrator_jobs;
mod owner;
mod permissions;
mod scoped_stores;
mod search_model;
mod searching;
mod security;
mod sessions;
mod stand_in;
mod status;
mod store_inventories;
mod templates;
mod web_rules;
mod workflow_certificates;
