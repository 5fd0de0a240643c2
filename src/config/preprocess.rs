//! The preprocessor (manual 5.1, point 8): files stacked by `#include`, conditions, and variables evaluated when defined.
//!
//! It works on tokens: the parser asks for the next one, and what a condition leaves out never reaches it. The commands
//! themselves are in `directive`.

use super::Files;
use super::diagnostic::{Diagnostics, Severity};
use super::lexer::{Cursor, Fault, Tok, Token};
use super::limits::*;
use super::source::{MacroUse, Origin, Sources, Span};
use super::value::{Data, Value};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The result of reading on.
pub type Parsed<T> = Result<T, Fault>;

/// Where the parser is, as far as the preprocessor must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// In the document: `#` begins a directive.
    Document,
    /// In a directive, which ends with its line.
    Directive,
    /// In the condition of a directive.
    Condition,
    /// Between `${` and `}`.
    Template,
}

/// One `#if` that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub at: Span,
    /// One of its branches has been taken.
    pub taken: bool,
    /// `#else` has been seen.
    pub last: bool,
}

/// One open file.
pub(super) struct Frame {
    pub cursor: Cursor,
    path: PathBuf,
    pub conditions: Vec<Condition>,
    /// The file is a document of its own (the main file, or one by `include`): its end is not passed over.
    root: bool,
}

/// A variable.
pub(super) struct Macro {
    /// Its value, evaluated where it was defined.
    pub value: Value,
    /// Where it was defined.
    pub at: Span,
}

/// What an `include` puts aside and takes up again.
pub(super) struct Suspended {
    frames: usize,
    peeked: Option<Token>,
    mode: Mode,
    skipping: usize,
    nesting: usize,
}

/// Reads the main file and all that it includes, as one stream of tokens.
pub(super) struct Reader<'f> {
    files: &'f dyn Files,
    pub(super) sources: Sources,
    pub(super) diagnostics: Diagnostics,
    pub(super) frames: Vec<Frame>,
    pub(super) macros: BTreeMap<String, Macro>,
    peeked: Option<Token>,
    pub(super) mode: Mode,
    /// Depth of operands that `&&` and `||` leave unevaluated.
    pub(super) skipping: usize,
    nesting: usize,
    expanded: usize,
    total_read: usize,
    /// A fault that ends the whole load has been reported.
    pub(super) fatal_said: bool,
}

impl<'f> Reader<'f> {
    /// A reader without a file yet.
    pub(super) fn new(files: &'f dyn Files) -> Self {
        Reader {
            files,
            sources: Sources::default(),
            diagnostics: Diagnostics::default(),
            frames: Vec::new(),
            macros: BTreeMap::new(),
            peeked: None,
            mode: Mode::Document,
            skipping: 0,
            nesting: 0,
            expanded: 0,
            total_read: 0,
            fatal_said: false,
        }
    }

    /// Opens a file on top of the others. An error is reported by the caller, at the place that asked for the file.
    pub(super) fn open(&mut self, path: &Path, root: bool, asked_at: Option<Span>) -> Parsed<()> {
        let path = normal(path);
        let octets = self.read(&path).map_err(|(message, fatal)| {
            let span = asked_at.unwrap_or_default();
            Fault { span, message, fatal }
        })?;
        let (text, bad) = decode(octets);
        let file = self.sources.add(path.clone(), text.clone(), asked_at);
        if let Some(at) = bad {
            let span = Span { file, start: at as u32, end: at as u32 + 1 };
            self.warn(span.into(), "this is not UTF-8 and is read as an unknown character");
        }
        self.frames.push(Frame { cursor: Cursor::new(file, text), path, conditions: Vec::new(), root });
        Ok(())
    }

    /// The octets of a file, or why they are not read and whether that ends the whole load.
    fn read(&mut self, path: &Path) -> Result<Vec<u8>, (String, bool)> {
        if let Some(first) = self.frames.iter().position(|frame| frame.path == path) {
            let chain: Vec<String> =
                self.frames[first..].iter().map(|frame| frame.path.display().to_string()).collect();
            return Err((
                format!("{} includes itself: {} -> {0}", path.display(), chain.join(" -> ")),
                false,
            ));
        }
        if self.frames.len() >= MAX_INCLUDE_DEPTH {
            return Err((format!("more than {MAX_INCLUDE_DEPTH} files include each other"), false));
        }
        if self.sources.len() >= MAX_FILES {
            return Err((format!("more than {MAX_FILES} files are included"), true));
        }
        let octets = self.files.read(path);
        let octets = octets.map_err(|why| (format!("cannot read {}: {why}", path.display()), false))?;
        self.total_read += octets.len();
        if self.total_read > MAX_TOTAL_SIZE {
            return Err((format!("all files together are larger than {} MiB", MAX_TOTAL_SIZE >> 20), true));
        }
        if octets.len() > MAX_FILE_SIZE {
            return Err((format!("{} is larger than {} MiB", path.display(), MAX_FILE_SIZE >> 20), false));
        }
        Ok(octets)
    }

    /// A path that stands at `at`, taken relative to the folder of that file.
    pub(super) fn relative(&self, path: &str, at: Span) -> PathBuf {
        self.sources.name(at.file).parent().unwrap_or(Path::new("")).join(path)
    }

    /// The next token, which stays next.
    pub(super) fn peek(&mut self) -> Parsed<&Token> {
        let token = match self.peeked.take() {
            Some(token) => token,
            None => self.fetch()?,
        };
        Ok(self.peeked.insert(token))
    }

    /// Whether the next token is this symbol.
    pub(super) fn next_is(&mut self, symbol: &'static str) -> Parsed<bool> {
        Ok(self.peek()?.tok == Tok::Symbol(symbol))
    }

    /// Takes the next token.
    pub(super) fn bump(&mut self) -> Parsed<Token> {
        match self.peeked.take() {
            Some(token) => Ok(token),
            None => self.fetch(),
        }
    }

    /// The cursor of the file now being read, for the pieces of a backquote string. Nothing may be peeked.
    pub(super) fn cursor(&mut self) -> Option<&mut Cursor> {
        debug_assert!(self.peeked.is_none());
        self.frames.last_mut().map(|frame| &mut frame.cursor)
    }

    fn fetch(&mut self) -> Parsed<Token> {
        loop {
            let in_line = matches!(self.mode, Mode::Directive | Mode::Condition);
            let Some(frame) = self.frames.last_mut() else {
                return Ok(Token { tok: Tok::EndOfFile, span: Span::default() });
            };
            let token = frame.cursor.token(in_line)?;
            self.report_escapes();
            match token.tok {
                Tok::Hash if self.mode == Mode::Document => self.directive()?,
                Tok::Hash => return Err(Fault::new(token.span, "a preprocessor command cannot stand here")),
                Tok::EndOfFile => match self.end_of_file(token.span)? {
                    true => return Ok(token),
                    false => continue,
                },
                _ => return Ok(token),
            }
        }
    }

    /// Closes a textually included file (false), or stays at the end of a document (true).
    fn end_of_file(&mut self, _at: Span) -> Parsed<bool> {
        let Some(frame) = self.frames.last() else { return Ok(true) };
        if let Some(open) = frame.conditions.last() {
            return Err(Fault::new(open.at, "this condition has no `#endif`"));
        }
        if frame.root || self.mode != Mode::Document {
            return Ok(true);
        }
        self.frames.pop();
        Ok(false)
    }

    /// Warns of escapes that mean nothing in the tokens just read.
    pub(super) fn report_escapes(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        for span in std::mem::take(&mut frame.cursor.odd_escapes) {
            let escape = self.sources.text(span);
            let message =
                format!("`{escape}` is no escape: the backslash is dropped; write `\\{escape}` to keep it");
            self.warn(span.into(), message);
        }
    }

    /// Whether a variable is defined.
    pub(super) fn is_defined(&self, name: &str) -> bool {
        self.macros.contains_key(name)
    }

    /// The names of all variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.macros.keys().map(String::as_str)
    }

    /// The value of a variable as if it stood at `used`, or none if it is not defined.
    pub(super) fn expand(&mut self, name: &str, used: Span) -> Parsed<Option<Value>> {
        let Some(found) = self.macros.get(name) else { return Ok(None) };
        let (cost, depth) = found.value.measure();
        let mut value = found.value.clone();
        let defined = found.at;
        if self.nesting + depth > MAX_NESTING {
            return Err(Fault::new(
                used,
                format!("`{name}` makes this nested more than {MAX_NESTING} levels deep"),
            ));
        }
        self.charge(cost, used)?;
        let via = self.sources.add_use(MacroUse { name: name.into(), used, defined, outer: None });
        let mut known = Vec::new();
        self.rebase(&mut value, via, &mut known);
        self.charge(known.len() * MAX_SHOWN_USES * VALUE_COST, used)?;
        value.at = Origin { span: used, via: Some(via) };
        Ok(Some(value))
    }

    /// Marks all that is inside an expanded value as reached through the use `via`.
    fn rebase(&mut self, value: &mut Value, via: u32, known: &mut Vec<(u32, u32)>) {
        value.at.via = Some(match value.at.via {
            None => via,
            Some(inner) => match known.iter().find(|(old, _)| *old == inner) {
                Some((_, new)) => *new,
                None => {
                    let new = self.rebased_use(inner, via);
                    known.push((inner, new));
                    new
                }
            },
        });
        match &mut value.data {
            Data::Array(items) => items.iter_mut().for_each(|item| self.rebase(item, via, known)),
            Data::Object(object) => {
                object.members_mut().iter_mut().for_each(|member| self.rebase(&mut member.value, via, known));
            }
            _ => {}
        }
    }

    /// The macro use `inner` with `via` put outside of all that it has outside already. A long chain stays as it is.
    fn rebased_use(&mut self, inner: u32, via: u32) -> u32 {
        let mut chain = Vec::new();
        let mut next = Some(inner);
        while let Some(macro_use) = next.and_then(|id| self.sources.macro_use(id)) {
            next = macro_use.outer;
            chain.push(macro_use.clone());
            if chain.len() >= MAX_SHOWN_USES {
                return inner;
            }
        }
        chain
            .into_iter()
            .rev()
            .fold(via, |outer, macro_use| self.sources.add_use(MacroUse { outer: Some(outer), ..macro_use }))
    }

    /// Counts what a new value takes.
    pub(super) fn charge(&mut self, cost: usize, at: Span) -> Parsed<()> {
        self.expanded = self.expanded.saturating_add(cost);
        if self.expanded > MAX_EXPANDED {
            let message = format!(
                "the configuration takes more than {} MiB after its variables are replaced",
                MAX_EXPANDED >> 20
            );
            return Err(Fault { span: at, message, fatal: true });
        }
        Ok(())
    }

    /// Goes one level deeper.
    pub(super) fn enter(&mut self, at: Span) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Fault::new(at, format!("nested more than {MAX_NESTING} levels deep")));
        }
        Ok(())
    }

    /// Goes one level up.
    pub(super) fn leave(&mut self) {
        self.nesting = self.nesting.saturating_sub(1);
    }

    /// Puts the present document aside, for a file by `include`.
    pub(super) fn suspend(&mut self) -> Suspended {
        Suspended {
            frames: self.frames.len(),
            peeked: self.peeked.take(),
            mode: self.mode,
            skipping: self.skipping,
            nesting: self.nesting,
        }
    }

    /// Goes back to the document that was put aside, wherever the included one ended.
    pub(super) fn resume(&mut self, suspended: Suspended) {
        self.frames.truncate(suspended.frames);
        self.peeked = suspended.peeked;
        self.mode = suspended.mode;
        self.skipping = suspended.skipping;
        self.nesting = suspended.nesting;
    }

    /// Reports an error after which reading goes on.
    pub(super) fn error(&mut self, at: Origin, message: impl Into<String>) {
        self.diagnostics.at(&self.sources, Severity::Error, at, message);
    }

    /// Reports a warning.
    pub(super) fn warn(&mut self, at: Origin, message: impl Into<String>) {
        self.diagnostics.at(&self.sources, Severity::Warning, at, message);
    }
}

/// A path without `.` and `a/..`, so that one file has one name. Symbolic links are not looked at.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let can_go_up = matches!(out.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if can_go_up => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The text of a file, and the place of the first octet that is not UTF-8.
fn decode(octets: Vec<u8>) -> (Arc<str>, Option<usize>) {
    match String::from_utf8(octets) {
        Ok(text) => (text.into(), None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            (String::from_utf8_lossy(error.as_bytes()).into(), Some(at))
        }
    }
}
