//! `/status`.
