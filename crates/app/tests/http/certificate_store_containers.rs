//! `/certificate_store_containers`.
