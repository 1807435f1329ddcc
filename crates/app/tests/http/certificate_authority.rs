//! `/certificate_authority`.
