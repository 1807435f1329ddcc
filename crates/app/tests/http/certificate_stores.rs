//! `/certificate_stores`.
