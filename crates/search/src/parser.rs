//! Recursive descent over the grammar of the crate's documentation. The depth is counted, so the
//! stack cannot overflow whatever comes in.

use std::ops::Range;

use crate::expression::{Comparison, Expression, Name, Operator, Value};
use crate::lexer::{Lexer, RawValue, ValueError};
use crate::limits::{MAX_DEPTH, MAX_LIST, MAX_QUERY_CHARACTERS, MAX_TERMS};

/// Why a text is not a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// For the reader; says at which character, counted from one.
    pub message: String,
    /// The part that is wrong, in bytes of the query; empty at its end.
    pub span: Range<usize>,
}

/// Reads a query. `None` when there is nothing but blanks, which asks for everything.
pub fn parse(text: &str) -> Result<Option<Expression>, ParseError> {
    if let Some((offset, _)) = text.char_indices().nth(MAX_QUERY_CHARACTERS) {
        return Err(ParseError {
            message: format!("the query is longer than {MAX_QUERY_CHARACTERS} characters"),
            span: offset..text.len(),
        });
    }
    let mut parser = Parser {
        text,
        lexer: Lexer::new(text),
        terms: 0,
    };
    parser.lexer.skip_blanks();
    if parser.lexer.is_at_end() {
        return Ok(None);
    }
    let expression = parser.expression(0)?;
    parser.lexer.skip_blanks();
    if parser.lexer.is_at_end() {
        return Ok(Some(expression));
    }
    let expected = match parser.lexer.peek() {
        Some(')') => "there is no opening parenthesis for this one",
        _ => "expected AND or OR; a value with blanks goes in double quotes",
    };
    Err(parser.unexpected(expected))
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// Comparisons so far.
    terms: usize,
}

impl Parser<'_> {
    fn expression(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let mut terms = vec![self.conjunction(depth)?];
        while self.connective("OR") {
            terms.push(self.conjunction(depth)?);
        }
        Ok(join(terms, Expression::Or, |term| match term {
            Expression::Or(inner) => Ok(inner),
            other => Err(other),
        }))
    }

    fn conjunction(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let mut terms = vec![self.term(depth)?];
        while self.connective("AND") {
            terms.push(self.term(depth)?);
        }
        Ok(join(terms, Expression::And, |term| match term {
            Expression::And(inner) => Ok(inner),
            other => Err(other),
        }))
    }

    fn term(&mut self, depth: usize) -> Result<Expression, ParseError> {
        self.lexer.skip_blanks();
        let start = self.lexer.position();
        if self.lexer.peek() == Some('(') {
            self.check_depth(depth)?;
            self.lexer.eat('(');
            let inner = self.expression(depth + 1)?;
            self.lexer.skip_blanks();
            if !self.lexer.eat(')') {
                let opened = self.character(start);
                return Err(self.unexpected(&format!(
                    "expected AND, OR, or the parenthesis that closes the one at character {opened}"
                )));
            }
            return Ok(inner);
        }
        if self.is_not() {
            self.check_depth(depth)?;
            self.lexer.advance("NOT".len());
            return Ok(Expression::Not(Box::new(self.term(depth + 1)?)));
        }
        self.comparison().map(Expression::Comparison)
    }

    fn comparison(&mut self) -> Result<Comparison, ParseError> {
        let field = self.field()?;
        let operator = self.operator(&field)?;
        self.terms += 1;
        if self.terms > MAX_TERMS {
            let message = format!("the query has more than {MAX_TERMS} comparisons");
            return Err(self.error(&message, field.span));
        }
        self.lexer.skip_blanks();
        let value = if operator.takes_list() {
            self.list(operator)?
        } else {
            self.value(operator)?
        };
        let span = field.span.start..self.lexer.position();
        let character = self.character(span.start);
        Ok(Comparison {
            field,
            operator,
            value,
            span,
            character,
        })
    }

    fn field(&mut self) -> Result<Name, ParseError> {
        let text = self.lexer.word();
        if text.is_empty() || text.starts_with('-') {
            return Err(self.unexpected("expected a field name"));
        }
        let span = self.lexer.next_span();
        self.lexer.advance(text.len());
        Ok(Name {
            text: text.to_owned(),
            span,
        })
    }

    fn operator(&mut self, field: &Name) -> Result<Operator, ParseError> {
        self.lexer.skip_blanks();
        let token = self.lexer.word();
        if let Some(operator) = Operator::from_token(token) {
            self.lexer.advance(token.len());
            return Ok(operator);
        }
        let known = Operator::ALL.map(Operator::token).join(" ");
        Err(self.unexpected(&format!(
            "expected an operator after {} ({known})",
            field.text
        )))
    }

    fn value(&mut self, operator: Operator) -> Result<Value, ParseError> {
        if self.lexer.peek() == Some('(') {
            return Err(self.unexpected(&format!(
                "{operator} takes one value; a list goes with -in or -notin, and a value that begins with a \
                 parenthesis goes in double quotes"
            )));
        }
        let raw = self.raw_value(false)?;
        if !is_null(&raw) {
            return Ok(Value::Text(raw.text));
        }
        if !operator.takes_null() {
            let message =
                "NULL goes with -eq and -ne only; the text \"NULL\" goes in double quotes";
            return Err(self.error(message, raw.span));
        }
        Ok(Value::Null)
    }

    fn list(&mut self, operator: Operator) -> Result<Value, ParseError> {
        if !self.lexer.eat('(') {
            return Err(self.unexpected(&format!("{operator} takes a list in parentheses")));
        }
        let mut texts = Vec::new();
        loop {
            self.lexer.skip_blanks();
            let raw = self.raw_value(true)?;
            if is_null(&raw) {
                let message =
                    "NULL cannot stand in a list; the text \"NULL\" goes in double quotes";
                return Err(self.error(message, raw.span));
            }
            if texts.len() == MAX_LIST {
                let message = format!("the list has more than {MAX_LIST} values");
                return Err(self.error(&message, raw.span));
            }
            texts.push(raw.text);
            self.lexer.skip_blanks();
            if self.lexer.eat(')') {
                return Ok(Value::List(texts));
            }
            if !self.lexer.eat(',') {
                return Err(self.unexpected("expected a comma or the end of the list"));
            }
        }
    }

    fn raw_value(&mut self, in_list: bool) -> Result<RawValue, ParseError> {
        if self.lexer.peek() == Some('\'') {
            return Err(self.unexpected("text goes in double quotes"));
        }
        match self.lexer.value(in_list) {
            Ok(raw) if raw.text.is_empty() && !raw.is_quoted => {
                Err(self.unexpected("expected a value"))
            }
            Ok(raw) => Ok(raw),
            Err(ValueError::Unterminated(span)) => {
                Err(self.error("the quote has no closing quote", span))
            }
            Err(ValueError::QuoteInBare(span)) => Err(self.error(
                "a value with quotes goes in double quotes, the quotes as \\\"",
                span,
            )),
        }
    }

    /// Steps over the connective if it comes next; stays where it was if not, since whether blanks
    /// came before matters to the one who asks next.
    fn connective(&mut self, connective: &str) -> bool {
        let before = self.lexer.position();
        let mut ahead = self.lexer.clone();
        ahead.skip_blanks();
        let word = ahead.word();
        // A word right behind a closing quote or parenthesis can only be a connective, so there it
        // may even run into the next field; elsewhere that would turn a typing error into a query.
        let follows_directly =
            ahead.position() == before && self.text[..before].ends_with(['"', ')']);
        let found = word.eq_ignore_ascii_case(connective)
            || follows_directly
                && word
                    .get(..connective.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(connective));
        if found {
            ahead.advance(connective.len());
            self.lexer = ahead;
        }
        found
    }

    /// Whether `NOT` comes next, and not a field of that name.
    fn is_not(&self) -> bool {
        if !self.lexer.word().eq_ignore_ascii_case("NOT") {
            return false;
        }
        let mut ahead = self.lexer.clone();
        ahead.advance("NOT".len());
        !ahead.is_before_operator()
    }

    fn check_depth(&self, depth: usize) -> Result<(), ParseError> {
        if depth < MAX_DEPTH {
            return Ok(());
        }
        let message = format!("parentheses and NOT are nested more than {MAX_DEPTH} deep");
        Err(self.error(&message, self.lexer.next_span()))
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        let span = self.lexer.next_span();
        let message = if span.is_empty() {
            format!("{expected}; the query ends here")
        } else {
            // Long enough to recognise, short enough for a message.
            let found: String = self.text[span.clone()].chars().take(40).collect();
            format!("{expected}; found {found}")
        };
        self.error(&message, span)
    }

    fn error(&self, message: &str, span: Range<usize>) -> ParseError {
        let message = format!("at character {}: {message}", self.character(span.start));
        ParseError { message, span }
    }

    fn character(&self, offset: usize) -> usize {
        self.text[..offset].chars().count() + 1
    }
}

fn is_null(raw: &RawValue) -> bool {
    !raw.is_quoted && raw.text.eq_ignore_ascii_case("NULL")
}

/// One expression of several terms, at least one. Groups of the same kind are opened up:
/// `(a AND b) AND c` is `a AND b AND c`.
fn join(
    mut terms: Vec<Expression>,
    wrap: fn(Vec<Expression>) -> Expression,
    open: fn(Expression) -> Result<Vec<Expression>, Expression>,
) -> Expression {
    if terms.len() == 1 {
        return terms.remove(0);
    }
    let mut flat = Vec::with_capacity(terms.len());
    for term in terms {
        match open(term) {
            Ok(inner) => flat.extend(inner),
            Err(term) => flat.push(term),
        }
    }
    wrap(flat)
}

#[cfg(test)]
mod tests;
