//! Text to tokens: names, numbers, strings, symbols and comments of the configuration language (manual 5.1).
//!
//! The preprocessor drives it: it sees `#` at the start of a line as a token, and asks for the end of the line as a
//! token while it reads a directive. Backquote strings are read in pieces, because expressions stand between them.

use super::source::Span;
use std::sync::Arc;

/// A token with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub tok: Tok,
    /// Where it stands.
    pub span: Span,
}

/// What a token can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Tok {
    /// A name, not quoted.
    Name(String),
    /// A number.
    Number(f64),
    /// A string in double or single quotes, without them, escapes resolved.
    Text(String),
    /// The opening quote of a backquote string; its pieces follow by [`Cursor::template_piece`].
    Backquote,
    /// A bracket, comma or operator.
    Symbol(&'static str),
    /// `#` as the first thing of a line.
    Hash,
    /// The end of the line, only inside a directive.
    EndOfLine,
    /// The end of the file.
    EndOfFile,
}

impl Tok {
    /// The token in words, for "found …".
    pub fn describe(&self) -> String {
        match self {
            Tok::Name(name) => format!("`{name}`"),
            Tok::Number(_) => "a number".to_owned(),
            Tok::Text(_) | Tok::Backquote => "a string".to_owned(),
            Tok::Symbol(symbol) => format!("`{symbol}`"),
            Tok::Hash => "`#`".to_owned(),
            Tok::EndOfLine => "the end of the line".to_owned(),
            Tok::EndOfFile => "the end of the file".to_owned(),
        }
    }
}

/// A mistake in the text after which the file cannot be read on.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Where it is.
    pub span: Span,
    /// What it is, in words.
    pub message: String,
    /// Whether the whole load must end: a limit over all files was passed.
    pub fatal: bool,
}

impl Fault {
    /// A mistake at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Fault { span, message: message.into(), fatal: false }
    }
}

/// How a piece of a backquote string ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceEnd {
    /// With the closing quote.
    Quote,
    /// With `${`: an expression and `}` follow.
    Expression,
}

/// The symbols, longest first.
const SYMBOLS: [&str; 22] = [
    "||", "&&", "==", "!=", "<=", ">=", "{", "}", "[", "]", "(", ")", ",", ":", "+", "-", "*", "/", "!", "<",
    ">", ";",
];

/// A reading position in one file.
#[derive(Clone, Debug)]
pub struct Cursor {
    text: Arc<str>,
    file: u32,
    at: usize,
    /// Nothing but blanks and comments since the last line break.
    line_start: bool,
    /// Escapes that stand for nothing, to be warned of: the span of each.
    pub odd_escapes: Vec<Span>,
}

impl Cursor {
    /// The start of a file. A byte order mark is passed over.
    pub fn new(file: u32, text: Arc<str>) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Cursor { text, file, at, line_start: true, odd_escapes: Vec::new() }
    }

    /// The span from `start` to the reading position.
    fn since(&self, start: usize) -> Span {
        Span { file: self.file, start: start as u32, end: self.at as u32 }
    }

    /// The empty span at the reading position.
    pub fn here(&self) -> Span {
        self.since(self.at)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek_char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The next token. With `in_line`, the end of the line is one.
    pub fn token(&mut self, in_line: bool) -> Result<Token, Fault> {
        if let Some(end) = self.skip_blanks(in_line)? {
            return Ok(end);
        }
        let start = self.at;
        let first_of_line = std::mem::replace(&mut self.line_start, false);
        let Some(first) = self.peek_char() else {
            let tok = if in_line { Tok::EndOfLine } else { Tok::EndOfFile };
            return Ok(Token { tok, span: self.since(start) });
        };
        let tok = match first {
            '#' if first_of_line => {
                self.at += 1;
                Tok::Hash
            }
            '"' | '\'' => Tok::Text(self.quoted(first)?),
            '`' => {
                self.at += 1;
                Tok::Backquote
            }
            '0'..='9' | '.' => Tok::Number(self.number()?),
            'a'..='z' | 'A'..='Z' | '_' | '$' => Tok::Name(self.name()),
            _ => Tok::Symbol(self.symbol(first)?),
        };
        Ok(Token { tok, span: self.since(start) })
    }

    /// Passes over blanks and comments; the answer is the end of the line where it counts.
    fn skip_blanks(&mut self, in_line: bool) -> Result<Option<Token>, Fault> {
        loop {
            let rest = self.rest().as_bytes();
            match rest.first() {
                Some(b'\n') => {
                    let start = self.at;
                    self.at += 1;
                    self.line_start = true;
                    if in_line {
                        let span = Span { file: self.file, start: start as u32, end: start as u32 };
                        return Ok(Some(Token { tok: Tok::EndOfLine, span }));
                    }
                }
                Some(b' ' | b'\t' | b'\r' | 0x0b | 0x0c) => self.at += 1,
                // A line that ends in a backslash goes on, as in C.
                Some(b'\\') if rest[1..].starts_with(b"\n") => self.at += 2,
                Some(b'\\') if rest[1..].starts_with(b"\r\n") => self.at += 3,
                Some(b'/') if rest[1..].first() == Some(&b'/') => {
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                Some(b'/') if rest[1..].first() == Some(&b'*') => self.block_comment()?,
                _ => return Ok(None),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), Fault> {
        let start = self.at;
        match self.text[self.at + 2..].find("*/") {
            Some(length) => {
                self.at += 2 + length + 2;
                Ok(())
            }
            None => {
                let span = Span { file: self.file, start: start as u32, end: start as u32 + 2 };
                self.at = self.text.len();
                Err(Fault::new(span, "this comment has no end: `*/` is missing"))
            }
        }
    }

    fn symbol(&mut self, first: char) -> Result<&'static str, Fault> {
        let start = self.at;
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
            self.at += symbol.len();
            return Ok(symbol);
        }
        self.at += first.len_utf8();
        let message = match first {
            '#' => "a preprocessor command must be the first thing on its line; a comment begins with `//`"
                .to_owned(),
            '=' => {
                "`=` alone has no meaning; write `:` between a name and its value, `==` to compare".to_owned()
            }
            _ => format!("unexpected character `{}`", first.escape_debug()),
        };
        Err(Fault::new(self.since(start), message))
    }

    /// A name may hold dots (`ecall.ack`), as long as a letter follows each.
    fn name(&mut self) -> String {
        let start = self.at;
        let octets = self.text.as_bytes();
        let is_part = |octet: Option<&u8>| {
            octet.is_some_and(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'$'))
        };
        while is_part(octets.get(self.at))
            || octets.get(self.at) == Some(&b'.') && is_part(octets.get(self.at + 1))
        {
            self.at += 1;
        }
        self.text[start..self.at].to_owned()
    }

    fn number(&mut self) -> Result<f64, Fault> {
        let start = self.at;
        let octets = self.text.as_bytes();
        while octets.get(self.at).is_some_and(|octet| {
            octet.is_ascii_alphanumeric()
                || matches!(octet, b'.' | b'_')
                || matches!(octet, b'+' | b'-') && in_exponent(&octets[start..self.at])
        }) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let value = match hex {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(|value| value as f64),
            None => Some(text).filter(|text| is_decimal(text)).and_then(|text| text.parse::<f64>().ok()),
        };
        match value {
            Some(value) if value.is_finite() => Ok(value),
            Some(_) => Err(Fault::new(self.since(start), "this number is too large")),
            None => Err(Fault::new(self.since(start), wrong_number(text))),
        }
    }

    /// A string in `quote`s; it may not go over the end of the line.
    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let before = self.at;
            let Some(character) = self.peek_char().filter(|&character| character != '\n') else {
                let span = self.since(start);
                let hint =
                    if quote == '\'' { "" } else { "; a string in backquotes may go over several lines" };
                return Err(Fault::new(span, format!("this string has no closing {quote}{hint}")));
            };
            self.at += character.len_utf8();
            match character {
                '\\' => self.escape(before, &mut out)?,
                _ if character == quote => return Ok(out),
                _ => out.push(character),
            }
        }
    }

    /// The next piece of a backquote string, up to its end or to `${`. `open` is the opening quote's place.
    pub fn template_piece(&mut self, open: Span) -> Result<(String, PieceEnd), Fault> {
        let mut out = String::new();
        loop {
            let before = self.at;
            let Some(character) = self.peek_char() else {
                return Err(Fault::new(open, "this string has no closing `"));
            };
            self.at += character.len_utf8();
            match character {
                '`' => return Ok((out, PieceEnd::Quote)),
                '$' if self.rest().starts_with('{') => {
                    self.at += 1;
                    return Ok((out, PieceEnd::Expression));
                }
                '\\' => self.escape(before, &mut out)?,
                '\r' if self.rest().starts_with('\n') => {}
                _ => out.push(character),
            }
        }
    }

    /// What follows a backslash at `start`. A backslash before the end of the line joins the lines.
    fn escape(&mut self, start: usize, out: &mut String) -> Result<(), Fault> {
        let Some(character) = self.peek_char() else { return Ok(()) };
        self.at += character.len_utf8();
        match character {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '0' => out.push('\0'),
            '"' | '\'' | '`' | '\\' | '/' | '$' | '{' => out.push(character),
            'x' => out.push(char::from(self.hex_digits(start, 2)? as u8)),
            'u' => out.push(self.unicode(start)?),
            '\n' => {}
            '\r' if self.rest().starts_with('\n') => self.at += 1,
            other => {
                self.odd_escapes.push(self.since(start));
                out.push(other);
            }
        }
        Ok(())
    }

    fn hex_digits(&mut self, start: usize, count: usize) -> Result<u32, Fault> {
        let digits =
            self.text.get(self.at..self.at + count).filter(|d| d.bytes().all(|o| o.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                self.at += count;
                Ok(value)
            }
            None => Err(Fault::new(self.since(start), format!("expected {count} hexadecimal digits here"))),
        }
    }

    /// `\uXXXX`, or a pair of them for what lies outside the basic plane (RFC 8259 7).
    fn unicode(&mut self, start: usize) -> Result<char, Fault> {
        let first = self.hex_digits(start, 4)?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            self.at += 2;
            let second = self.hex_digits(start, 4)?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            }
        }
        char::from_u32(code).ok_or_else(|| Fault::new(self.since(start), "half of a surrogate pair"))
    }

    /// Goes to the next `#` that begins a line, minding comments and strings; false at the end of the file.
    ///
    /// This is for text that a condition leaves out: what is odd in it is nobody's business, so an apostrophe in
    /// prose ends with its line and an open comment with the file.
    pub fn skip_to_hash(&mut self) -> bool {
        loop {
            if self.skip_blanks(false).is_err() {
                return false;
            }
            let first_of_line = std::mem::replace(&mut self.line_start, false);
            let Some(character) = self.peek_char() else { return false };
            match character {
                '#' if first_of_line => {
                    self.at += 1;
                    return true;
                }
                '"' | '\'' => self.skip_string(character),
                '`' => {
                    self.at += 1;
                    self.at += self.rest().find('`').map_or(0, |length| length + 1);
                }
                other => self.at += other.len_utf8(),
            }
        }
    }

    fn skip_string(&mut self, quote: char) {
        self.at += 1;
        while let Some(character) = self.peek_char().filter(|&character| character != '\n') {
            self.at += character.len_utf8();
            match character {
                '\\' if !self.rest().starts_with('\n') => {
                    self.at += self.peek_char().map_or(0, char::len_utf8)
                }
                _ if character == quote => return,
                _ => {}
            }
        }
    }

    /// Goes to the end of the line, comments minded, and past it.
    pub fn skip_line(&mut self) {
        while let Ok(Token { tok, .. }) = self.token(true) {
            if tok == Tok::EndOfLine {
                return;
            }
        }
        let rest = self.rest();
        self.at += rest.find('\n').map_or(rest.len(), |length| length + 1);
        self.line_start = true;
    }
}

/// Whether `text` so far ends in the `e` of a decimal exponent, so that a sign may follow.
fn in_exponent(text: &[u8]) -> bool {
    matches!(text.last(), Some(b'e' | b'E')) && !text.starts_with(b"0x") && !text.starts_with(b"0X")
}

/// Digits with at most one point and one exponent.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && whole.len() + fraction.len() > 0
        && digits(exponent)
        && !exponent.is_empty()
}

fn wrong_number(text: &str) -> String {
    if text.ends_with(['i', 'I', 'j']) && is_decimal(&text[..text.len() - 1]) {
        return format!("write the imaginary part as `{}*I`", &text[..text.len() - 1]);
    }
    if text.split('.').count() > 2 {
        return format!("`{text}` is not a number; an address needs quotes");
    }
    if text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_') && !text.starts_with("0x") {
        return format!("a name that starts with a digit needs quotes: \"{text}\"");
    }
    format!("`{text}` is not a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Tok>, Fault> {
        let mut cursor = Cursor::new(0, text.into());
        let mut out = Vec::new();
        loop {
            match cursor.token(false)?.tok {
                Tok::EndOfFile => return Ok(out),
                tok => out.push(tok),
            }
        }
    }

    fn fault(text: &str) -> (u32, u32, String) {
        let fault = all(text).expect_err(text);
        (fault.span.start, fault.span.end, fault.message)
    }

    #[test]
    fn numbers() {
        for (text, value) in
            [("13.4", 13.4), ("0x9001", 36865.0), ("1e3", 1000.0), ("2.5E-1", 0.25), (".5", 0.5), ("1.", 1.0)]
        {
            assert_eq!(all(text), Ok(vec![Tok::Number(value)]), "{text}");
        }
        for text in ["1.2.3", "0x", "0xg", "1e", "1e+", "100rel", "3I", "."] {
            assert!(all(text).is_err(), "{text}");
        }
        assert_eq!(fault("1e999").2, "this number is too large");
        assert_eq!(fault("100rel").2, "a name that starts with a digit needs quotes: \"100rel\"");
        assert_eq!(fault("3*I+2.5I").2, "write the imaginary part as `2.5*I`");
        assert_eq!(fault("127.0.0.1").2, "`127.0.0.1` is not a number; an address needs quotes");
    }

    #[test]
    fn strings_and_escapes() {
        for (text, value) in [
            (r#""a\"b""#, "a\"b"),
            (r"'^\\+33'", r"^\+33"),
            (r#"'say "x"'"#, r#"say "x""#),
            (r#""\u00e9\x41\n""#, "éA\n"),
            (r#""\ud83d\ude00""#, "😀"),
        ] {
            assert_eq!(all(text), Ok(vec![Tok::Text(value.to_owned())]), "{text}");
        }
        assert_eq!(fault("\"abc\nx").1, 4);
        assert_eq!(fault(r#""\u12""#).2, "expected 4 hexadecimal digits here");
        assert_eq!(fault(r#""\ud800""#).2, "half of a surrogate pair");
    }

    #[test]
    fn an_escape_without_meaning_is_kept_as_its_character_and_noted() {
        let mut cursor = Cursor::new(0, r#""\+33""#.into());
        assert_eq!(cursor.token(false).map(|token| token.tok), Ok(Tok::Text("+33".into())));
        assert_eq!(cursor.odd_escapes, vec![Span { file: 0, start: 1, end: 3 }]);
    }

    #[test]
    fn names_symbols_and_comments() {
        let name = |text: &str| Tok::Name(text.to_owned());
        assert_eq!(
            all("a /* x\n */ :b2 // c\n<=!=,ecall.ack"),
            Ok(vec![
                name("a"),
                Tok::Symbol(":"),
                name("b2"),
                Tok::Symbol("<="),
                Tok::Symbol("!="),
                Tok::Symbol(","),
                name("ecall.ack")
            ])
        );
        assert_eq!(fault("a /* b").2, "this comment has no end: `*/` is missing");
        assert!(fault("a # b").2.starts_with("a preprocessor command must be the first thing on its line"));
    }

    #[test]
    fn a_hash_counts_only_at_the_start_of_a_line() {
        assert_eq!(all(" /* c */ #x\n\t#"), Ok(vec![Tok::Hash, Tok::Name("x".into()), Tok::Hash]));
    }

    #[test]
    fn skipped_text_hides_hashes_in_comments_and_strings() {
        let text = "it's #a\n/*\n#b\n*/ \"#c\n x `\n#d\n` \n #e";
        let mut cursor = Cursor::new(0, text.into());
        assert!(cursor.skip_to_hash());
        assert_eq!(cursor.rest(), "e");
        assert!(!cursor.skip_to_hash());
    }
}
