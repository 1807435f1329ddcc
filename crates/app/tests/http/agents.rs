//! `/agents`.
