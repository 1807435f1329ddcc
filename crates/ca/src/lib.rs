//! Certificate authorities: the trait, its capabilities, one folder per connector.
