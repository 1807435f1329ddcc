//! `/templates`.
