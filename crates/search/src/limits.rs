//! How large a query may be. Each limit is itself still allowed.

/// Longest query, in characters.
pub const MAX_QUERY_CHARACTERS: usize = 16_384;

/// Deepest nesting of parentheses and `NOT` together.
pub const MAX_DEPTH: usize = 64;

/// Most comparisons in a query.
pub const MAX_TERMS: usize = 500;

/// Most values in one list of `-in` or `-notin`.
pub const MAX_LIST: usize = 1_000;
