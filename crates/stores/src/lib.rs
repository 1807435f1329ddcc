//! Certificate store drivers: the trait, one folder per driver, the conformance suite.
