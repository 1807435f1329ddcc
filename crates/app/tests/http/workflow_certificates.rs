//! `/workflow_certificates`.
