//! `/security_roles`.
