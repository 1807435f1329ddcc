//! `/orchestrator_jobs`.
