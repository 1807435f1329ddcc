//! The query language: lexer, grammar, syntax tree, canonical printer; and [`grams`], an index for "contains". No database.
//!
//! `IssuedCN -contains "example.com" AND (CertState -eq 1 OR NOT KeyType -in ("RSA","ECC"))`
//!
//! # Grammar
//!
//! ```text
//! query       = [ expression ] ;
//! expression  = conjunction , { "OR" , conjunction } ;
//! conjunction = term , { "AND" , term } ;
//! term        = "NOT" , term | "(" , expression , ")" | comparison ;
//! comparison  = field , operator , value
//!             | field , ( "-eq" | "-ne" ) , "NULL"
//!             | field , ( "-in" | "-notin" ) , "(" , value , { "," , value } , ")" ;
//! operator    = "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge"
//!             | "-contains" | "-notcontains" | "-startswith" | "-endswith" ;
//! field       = one or more characters other than blanks, parentheses, quotes and commas,
//!               not beginning with "-" ;
//! value       = quoted | bare ;
//! quoted      = '"' , { any character | '\"' | '\\' } , '"' ;
//! bare        = one or more characters other than blanks and quotes, parentheses in pairs ;
//! ```
//!
//! `AND` binds tighter than `OR`, `NOT` tighter than both. Words, operators and `NULL` are accepted
//! in any case. Blanks separate, and may be missing where the grammar is clear without them.
//!
//! # What real clients rely on
//!
//! * No blank before a connective: `(A -eq "x")AND B -eq "y"`; directly after a closing quote or
//!   parenthesis not even one behind it: `A -eq "x"ANDB -eq "y"`.
//! * In quotes only `\"` and `\\` are escapes; any other backslash stands for itself, so that
//!   `"DOMAIN\user"` is what it looks like. `\"` ends the value if no other quote follows:
//!   `StorePath -eq "C:\certs\"`.
//! * Blanks at the end of a value do not count: `CA -eq "NAME "` looks for `NAME`.
//! * Numbers, booleans and tokens such as `%TODAY-7%` come quoted or bare, and stay text here: what
//!   they mean depends on the field, which this crate does not know ([`dates`] reads dates).
//! * A field may be called like a connective when an operator follows it.
//!
//! Printing an [`Expression`] gives its canonical text, which parses to the same expression.

pub mod dates;
mod expression;
pub mod grams;
mod lexer;
mod limits;
mod parser;

pub use expression::{Comparison, Expression, Name, Operator, Value};
pub use limits::{MAX_DEPTH, MAX_LIST, MAX_QUERY_CHARACTERS, MAX_TERMS};
pub use parser::{ParseError, parse};
