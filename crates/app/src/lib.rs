//! The product: slices, web rules, security, audit.
