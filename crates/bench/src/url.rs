//! Texts in the query of a URL.

use std::fmt::Write;

/// With everything escaped that could mean something.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, octet| {
        if octet.is_ascii_alphanumeric() {
            out.push(char::from(octet));
        } else {
            // Writing to a string cannot fail.
            write!(out, "%{octet:02X}").unwrap_or_default();
        }
        out
    })
}
