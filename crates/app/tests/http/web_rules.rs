//! `/web_rules`.
