//! Text as it is found: two spellings of one name have one folded form.

use unicode_normalization::UnicodeNormalization;

/// The form in which text is stored beside itself to be found without regard to case, to Unicode form (composed, decomposed,
/// compatibility characters such as full-width letters and ligatures) and to characters that nobody sees, as the original's
/// database finds it. SQLite folds ASCII only and PostgreSQL nothing, so folding is done here, once, for both.
///
/// Look-alikes of other scripts stay different.
pub fn fold(text: &str) -> String {
    let text = text.trim();
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = once(text);
    // A mapping may give what another one changes again; two rounds do in practice, so that this ends soon.
    for _ in 0..4 {
        let again = once(&folded);
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

/// Upper and then lower case meets what lower case alone keeps apart: ß and SS, both forms of the small sigma.
fn once(text: &str) -> String {
    let seen: String = text.nfkc().filter(|letter| !is_unseen(*letter)).collect();
    // Letter by letter: the lower case of a word would end a sigma in its own way.
    let upper = seen.chars().flat_map(char::to_uppercase);
    let lower: String = upper.flat_map(char::to_lowercase).nfkc().collect();
    lower.trim().to_owned()
}

/// Unicode's default ignorable code points: joiners, soft hyphens, direction marks, variation selectors, tags.
fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one() {
        for (one, other) in [
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("οδοσ", "οδος"),
            ("Caf\u{e9}", "CAFE\u{301}"),
            ("\u{ff21}dmin", "admin"),
            ("o\u{fb03}ce", "OFFICE"),
            ("Ad\u{200b}min\u{ad}", "admin"),
            ("\u{a0}admin\u{3000}", "admin"),
            ("\u{2168}", "IX"),
            ("\u{1e9e}", "ß"),
            ("\u{17f}ecurity", "Security"),
            ("\u{212a}eys", "keys"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("аdmin"), fold("admin"), "a letter of another script");
        assert_eq!(fold("  A_b%C "), "a_b%c");
    }

    #[test]
    fn folding_again_changes_nothing() {
        let tried = ('\u{80}'..='\u{33ff}')
            .chain('\u{a640}'..='\u{abff}')
            .chain('\u{f900}'..='\u{11fff}')
            .chain('\u{1d000}'..='\u{1ffff}');
        for letter in tried {
            let folded = fold(&format!("a{letter}b"));
            assert_eq!(fold(&folded), folded, "{letter:?}");
        }
    }
}
