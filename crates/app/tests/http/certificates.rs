//! `/certificates`.
