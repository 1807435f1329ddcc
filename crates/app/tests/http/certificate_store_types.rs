//! `/certificate_store_types`.
