//! Tables for spreadsheets.

/// A field of RFC 4180. What a spreadsheet would take for a formula gets an apostrophe in front, as OWASP advises: names come from
/// outside.
pub(crate) fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_are_no_formulas() {
        assert_eq!(quoted("a \"b\", c\n"), "\"a \"\"b\"\", c\n\"");
        for formula in ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1"] {
            assert_eq!(quoted(formula), format!("\"'{formula}\""));
        }
    }
}
