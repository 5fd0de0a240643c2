//! The files that were read, and where in them a value stands: spans, include chains and macro uses.
//!
//! A span is three numbers; line, column and text are worked out only when something is said about it.

use super::limits::SHOWN_LINE;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A piece of one file, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// The file, as an index of [`Sources`].
    pub file: u32,
    /// The first octet.
    pub start: u32,
    /// One past the last octet.
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `last`, where both are in one file; else `self`.
    pub fn to(self, last: Span) -> Span {
        if self.file == last.file && last.end > self.start { Span { end: last.end, ..self } } else { self }
    }
}

/// Where a value comes from: its span, and the macro use that brought it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Origin {
    /// The text of the value, or the name of the macro that stands for it.
    pub span: Span,
    /// The macro use, as an index of [`Sources`].
    pub via: Option<u32>,
}

impl From<Span> for Origin {
    fn from(span: Span) -> Self {
        Origin { span, via: None }
    }
}

/// One use of a `#define`d variable.
#[derive(Clone, Debug)]
pub struct MacroUse {
    /// The variable.
    pub name: Arc<str>,
    /// Where it was used.
    pub used: Span,
    /// Where it was defined.
    pub defined: Span,
    /// The use of the variable in whose definition this one stands.
    pub outer: Option<u32>,
}

#[derive(Clone, Debug)]
struct Source {
    name: PathBuf,
    text: Arc<str>,
    included_at: Option<Span>,
}

/// Every file that was read and every macro use, by number.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    uses: Vec<MacroUse>,
}

impl Sources {
    /// Adds a file; the answer is its number.
    pub fn add(&mut self, name: PathBuf, text: Arc<str>, included_at: Option<Span>) -> u32 {
        self.files.push(Source { name, text, included_at });
        self.files.len() as u32 - 1
    }

    /// Adds a macro use; the answer is its number.
    pub fn add_use(&mut self, macro_use: MacroUse) -> u32 {
        self.uses.push(macro_use);
        self.uses.len() as u32 - 1
    }

    /// How many files were read.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The macro use with this number.
    pub fn macro_use(&self, id: u32) -> Option<&MacroUse> {
        self.uses.get(id as usize)
    }

    /// The name of a file as it was opened.
    pub fn name(&self, file: u32) -> &Path {
        self.files.get(file as usize).map_or(Path::new("?"), |source| &source.name)
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &str {
        self.files
            .get(span.file as usize)
            .and_then(|source| source.text.get(span.start as usize..span.end as usize))
            .unwrap_or("")
    }

    /// Whether a span is the first thing on its line.
    pub fn begins_line(&self, span: Span) -> bool {
        let before = self.text(Span { start: 0, end: span.start, ..span });
        before.rsplit('\n').next().is_none_or(|line| line.trim().is_empty())
    }

    /// The place of a part of a string, where the string stands in the file as it is; else that of the whole.
    pub fn within(&self, whole: Origin, text: &str, part: Range<usize>) -> Origin {
        let written = self.text(whole.span);
        let inner = written.get(1..written.len().saturating_sub(1));
        if whole.via.is_some() || inner != Some(text) {
            return whole;
        }
        let at = |offset: usize| whole.span.start + 1 + offset as u32;
        Span { start: at(part.start), end: at(part.end), ..whole.span }.into()
    }

    /// The `include`s through which a file was reached, innermost first.
    pub fn include_chain(&self, file: u32) -> Vec<(String, usize)> {
        let mut chain = Vec::new();
        let mut at = self.files.get(file as usize).and_then(|source| source.included_at);
        while let Some(span) = at {
            chain.push((self.name(span.file).display().to_string(), self.line_of(span).0));
            at = self.files.get(span.file as usize).and_then(|source| source.included_at);
        }
        chain
    }

    /// The place of a span, with its source line.
    pub fn place(&self, span: Span) -> Place {
        let (line, line_start) = self.line_of(span);
        let text = self.files.get(span.file as usize).map_or("", |source| &source.text);
        let rest = &text[line_start..];
        let whole = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let whole = whole.strip_suffix('\r').unwrap_or(whole);
        let before = span.start as usize - line_start;
        let column = whole.get(..before).map_or(0, |part| part.chars().count());
        let marked = whole.get(before..(span.end as usize - line_start).min(whole.len()).max(before));
        let width = marked.map_or(1, |part| part.chars().count()).max(1);
        let (text, caret) = window(whole, column);
        Place {
            file: self.name(span.file).display().to_string(),
            line,
            column: column + 1,
            text,
            caret,
            width,
        }
    }

    fn line_of(&self, span: Span) -> (usize, usize) {
        let text = self.files.get(span.file as usize).map_or("", |source| &source.text);
        let before = text.get(..span.start as usize).unwrap_or("");
        let line = before.bytes().filter(|&octet| octet == b'\n').count() + 1;
        (line, before.rfind('\n').map_or(0, |at| at + 1))
    }
}

/// The part of a long line that is worth showing, and the place of the caret in it.
fn window(line: &str, column: usize) -> (String, usize) {
    if line.chars().count() <= SHOWN_LINE {
        return (line.to_owned(), column);
    }
    let first = column.saturating_sub(SHOWN_LINE / 2);
    let shown: String = line.chars().skip(first).take(SHOWN_LINE).collect();
    if first == 0 { (shown, column) } else { (format!("…{shown}"), column - first + 1) }
}

/// A line and column, with the line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The source line, or the part of it around the place.
    pub text: String,
    /// Characters of `text` before the place.
    pub caret: usize,
    /// Characters of the place, at least 1; may reach past `text`.
    pub width: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add("a.cfg".into(), text.into(), None);
        sources
    }

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let sources = sources("x: 1,\nü: \"é\",\n");
        let place = sources.place(Span { file: 0, start: 10, end: 14 });
        assert_eq!((place.line, place.column, place.width), (2, 4, 3));
        assert_eq!(place.text, "ü: \"é\",");
    }

    #[test]
    fn a_place_at_the_end_of_the_file_is_valid() {
        let place = sources("x: 1,\n").place(Span { file: 0, start: 6, end: 6 });
        assert_eq!((place.line, place.column, place.width, place.text.as_str()), (2, 1, 1, ""));
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let text = "a".repeat(5000);
        let place = sources(&text).place(Span { file: 0, start: 4000, end: 4001 });
        assert_eq!(place.column, 4001);
        assert!(place.text.chars().count() <= SHOWN_LINE + 1 && place.text.starts_with('…'));
    }
}
