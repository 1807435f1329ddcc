//! `/enrollment`.
