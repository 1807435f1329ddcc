//! Reads one piece of the text after another. What a piece may be depends on where it stands (a `(`
//! opens a group before a field but belongs to a bare value after an operator), so the parser asks
//! for what it expects instead of getting a list of tokens.

use std::ops::Range;

/// A place in the query.
#[derive(Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    position: usize,
    /// Where the last quote of the text stands; see [`Lexer::quoted`].
    last_quote: Option<usize>,
}

/// Why a quoted or bare value cannot be read.
pub(crate) enum ValueError {
    /// The quote that opens has no partner.
    Unterminated(Range<usize>),
    /// A quote inside a bare value.
    QuoteInBare(Range<usize>),
}

/// A value as it stands in the text.
pub(crate) struct RawValue {
    pub(crate) text: String,
    pub(crate) is_quoted: bool,
    pub(crate) span: Range<usize>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            last_quote: text.rfind('"'),
        }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn advance(&mut self, bytes: usize) {
        self.position += bytes;
    }

    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    pub(crate) fn skip_blanks(&mut self) {
        self.position = self.text.len() - self.rest().trim_start().len();
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.position == self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over `character` if it comes next.
    pub(crate) fn eat(&mut self, character: char) -> bool {
        let found = self.rest().starts_with(character);
        if found {
            self.position += character.len_utf8();
        }
        found
    }

    /// What stands here up to a blank, parenthesis, quote or comma; may be empty. Does not move.
    pub(crate) fn word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(ends_word).unwrap_or(rest.len())]
    }

    /// Whether, after blanks, something like `-eq` comes next.
    pub(crate) fn is_before_operator(&self) -> bool {
        let mut ahead = self.rest().trim_start().chars();
        ahead.next() == Some('-') && ahead.next().is_some_and(|next| next.is_ascii_alphabetic())
    }

    /// What to show the reader of an error: the next word, or else the next character.
    pub(crate) fn next_span(&self) -> Range<usize> {
        let word = self.word().len();
        let length = if word > 0 {
            word
        } else {
            self.peek().map_or(0, char::len_utf8)
        };
        self.position..self.position + length
    }

    /// A quoted or bare value. Empty and not quoted when there is none. A comma ends a bare value
    /// in a list only, for names such as `CN=a,O=b` come bare too.
    pub(crate) fn value(&mut self, in_list: bool) -> Result<RawValue, ValueError> {
        if self.peek() == Some('"') {
            self.quoted()
        } else {
            self.bare(in_list)
        }
    }

    fn quoted(&mut self) -> Result<RawValue, ValueError> {
        let start = self.position;
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, character)) = characters.next() {
            match character {
                '"' => {
                    self.position = start + offset + 1;
                    text.truncate(text.trim_end().len());
                    return Ok(RawValue {
                        text,
                        is_quoted: true,
                        span: start..self.position,
                    });
                }
                // `"C:\certs\"` at the end of a query: the quote has to close, nothing else can.
                '\\' => match characters.peek() {
                    Some(&(next, '"')) if self.last_quote == Some(start + next) => text.push('\\'),
                    Some(&(_, escaped @ ('"' | '\\'))) => {
                        text.push(escaped);
                        characters.next();
                    }
                    _ => text.push('\\'),
                },
                other => text.push(other),
            }
        }
        Err(ValueError::Unterminated(start..self.text.len()))
    }

    fn bare(&mut self, in_list: bool) -> Result<RawValue, ValueError> {
        let start = self.position;
        let mut open_parentheses = 0_usize;
        let mut end = self.text.len();
        for (offset, character) in self.rest().char_indices() {
            match character {
                '(' => open_parentheses += 1,
                ')' if open_parentheses > 0 => open_parentheses -= 1,
                ',' if !in_list => {}
                '"' => {
                    let quote = start + offset;
                    return Err(ValueError::QuoteInBare(quote..quote + 1));
                }
                other if other.is_whitespace() || matches!(other, ')' | ',') => {
                    end = start + offset;
                    break;
                }
                _ => {}
            }
        }
        self.position = end;
        Ok(RawValue {
            text: self.text[start..end].to_owned(),
            is_quoted: false,
            span: start..end,
        })
    }
}

fn ends_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, '(' | ')' | '"' | ',')
}
