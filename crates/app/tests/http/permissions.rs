//! `/permissions`.
