//! The query language: lexer, grammar, syntax tree, canonical printer. No database.
