//! The preprocessor (manual 5.1, point 8): files stacked by `#include`, conditions, and variables evaluated when defined.
//!
//! It works on tokens: the parser asks for the next one, and what a condition leaves out never reaches it.

use super::diagnostic::{Diagnostics, Severity};
use super::lexer::{Cursor, Fault, Tok, Token};
use super::limits::*;
use super::source::{MacroUse, Origin, Sources, Span};
use super::suggest::did_you_mean;
use super::value::{Data, Value};
use super::{Files, ops};
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
    /// Between `${` and `}`.
    Template,
}

/// One `#if` that is open.
#[derive(Clone, Copy, Debug)]
struct Condition {
    at: Span,
    /// One of its branches has been taken.
    taken: bool,
    /// `#else` has been seen.
    last: bool,
}

/// One open file.
struct Frame {
    cursor: Cursor,
    path: PathBuf,
    conditions: Vec<Condition>,
    /// The file is a document of its own (the main file, or one by `include`): its end is not passed over.
    root: bool,
}

struct Macro {
    value: Value,
    at: Span,
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
    frames: Vec<Frame>,
    macros: BTreeMap<String, Macro>,
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
    pub(super) fn open(&mut self, path: &Path, root: bool, asked_at: Option<Span>) -> Result<(), String> {
        let path = normal(path);
        if let Some(first) = self.frames.iter().position(|frame| frame.path == path) {
            let chain: Vec<String> =
                self.frames[first..].iter().map(|frame| frame.path.display().to_string()).collect();
            return Err(format!("{} includes itself: {} -> {0}", path.display(), chain.join(" -> ")));
        }
        if self.frames.len() >= MAX_INCLUDE_DEPTH {
            return Err(format!("more than {MAX_INCLUDE_DEPTH} files include each other"));
        }
        let octets =
            self.files.read(&path).map_err(|why| format!("cannot read {}: {why}", path.display()))?;
        if octets.len() > MAX_FILE_SIZE {
            return Err(format!("{} is larger than {} MiB", path.display(), MAX_FILE_SIZE >> 20));
        }
        self.total_read += octets.len();
        if self.total_read > MAX_TOTAL_SIZE {
            return Err(format!("all files together are larger than {} MiB", MAX_TOTAL_SIZE >> 20));
        }
        let (text, bad) = decode(octets);
        let file = self.sources.add(path.clone(), text.clone(), asked_at);
        if let Some(at) = bad {
            let span = Span { file, start: at as u32, end: at as u32 + 1 };
            self.warn(span.into(), "this is not UTF-8 and is read as an unknown character");
        }
        self.frames.push(Frame { cursor: Cursor::new(file, text), path, conditions: Vec::new(), root });
        Ok(())
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
            let in_line = self.mode == Mode::Directive;
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

    fn directive(&mut self) -> Parsed<()> {
        self.mode = Mode::Directive;
        let result = self.directive_line();
        self.mode = Mode::Document;
        result
    }

    fn directive_line(&mut self) -> Parsed<()> {
        let token = self.bump()?;
        let name = match token.tok {
            Tok::Name(name) => name,
            Tok::EndOfLine => return Ok(()),
            other => {
                let message = format!("expected a preprocessor command, found {}", other.describe());
                return Err(Fault::new(token.span, message));
            }
        };
        match name.as_str() {
            "define" => self.define(),
            "undef" => {
                let (name, _) = self.variable_name("undef")?;
                self.macros.remove(&name);
                self.end_of_directive()
            }
            "include" => self.textual_include(),
            "if" => self.begin_condition(token.span),
            "ifdef" | "ifndef" => {
                let (variable, _) = self.variable_name(&name)?;
                self.end_of_directive()?;
                let defined = self.macros.contains_key(&variable);
                self.open_condition(token.span, defined == (name == "ifdef"))
            }
            "elif" | "else" | "endif" => self.next_branch(&name, token.span),
            _ => Err(Fault::new(token.span, unknown_command(&name))),
        }
    }

    /// `#define var expr`; without an expression the variable is true.
    fn define(&mut self) -> Parsed<()> {
        let (name, at) = self.variable_name("define")?;
        if matches!(name.as_str(), "true" | "false" | "null" | "I" | "defined" | "include") {
            return Err(Fault::new(at, format!("`{name}` has a meaning of its own and cannot be defined")));
        }
        let value = match self.peek()?.tok {
            Tok::EndOfLine => Value::new(Data::Bool(true), at),
            _ => self.expression()?,
        };
        self.end_of_directive()?;
        self.macros.insert(name, Macro { value, at });
        Ok(())
    }

    fn variable_name(&mut self, command: &str) -> Parsed<(String, Span)> {
        let token = self.bump()?;
        match token.tok {
            Tok::Name(name) => Ok((name, token.span)),
            other => {
                let message = format!("expected a variable after `#{command}`, found {}", other.describe());
                Err(Fault::new(token.span, message))
            }
        }
    }

    fn end_of_directive(&mut self) -> Parsed<()> {
        let token = self.bump()?;
        match token.tok {
            Tok::EndOfLine => Ok(()),
            other => {
                let message = format!("expected the end of the line, found {}", other.describe());
                Err(Fault::new(token.span, message))
            }
        }
    }

    fn textual_include(&mut self) -> Parsed<()> {
        let value = self.expression()?;
        self.end_of_directive()?;
        let path = match &value.data {
            Data::String(path) => self.relative(path, value.at.span),
            Data::Invalid => return Ok(()),
            other => {
                let message = format!("expected the name of a file, found {}", other.kind());
                self.error(value.at, message);
                return Ok(());
            }
        };
        if let Err(message) = self.open(&path, false, Some(value.at.span)) {
            self.error(value.at, message);
        }
        Ok(())
    }

    fn begin_condition(&mut self, at: Span) -> Parsed<()> {
        let holds = self.condition()?;
        self.open_condition(at, holds)
    }

    /// The expression of `#if` and `#elif`, to the end of the line.
    fn condition(&mut self) -> Parsed<bool> {
        let value = self.expression()?;
        self.end_of_directive()?;
        match ops::truth(&value.data) {
            Some(holds) => Ok(holds),
            None => {
                if value.data != Data::Invalid {
                    self.error(value.at, format!("expected true or false, found {}", value.data.kind()));
                }
                Ok(false)
            }
        }
    }

    fn open_condition(&mut self, at: Span, holds: bool) -> Parsed<()> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        if frame.conditions.len() >= MAX_NESTING {
            return Err(Fault::new(at, format!("more than {MAX_NESTING} conditions in each other")));
        }
        frame.conditions.push(Condition { at, taken: holds, last: false });
        if holds { Ok(()) } else { self.skip_branch() }
    }

    /// `#elif`, `#else` or `#endif` at the end of a branch that was read.
    fn next_branch(&mut self, name: &str, at: Span) -> Parsed<()> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let Some(condition) = frame.conditions.last_mut() else {
            return Err(Fault::new(at, format!("`#{name}` without `#if`")));
        };
        if name != "endif" && condition.last {
            return Err(Fault::new(at, format!("`#{name}` after `#else`")));
        }
        // Old C style writes the variable after #else and #endif; the rest of the line is not looked at.
        frame.cursor.skip_line();
        if name == "endif" {
            frame.conditions.pop();
            return Ok(());
        }
        condition.last = name == "else";
        self.skip_branch()
    }

    /// Passes over text until a branch holds or the condition ends.
    fn skip_branch(&mut self) -> Parsed<()> {
        let mut inner = 0_usize;
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(()) };
            let Some(condition) = frame.conditions.last_mut() else { return Ok(()) };
            if !frame.cursor.skip_to_hash() {
                return Err(Fault::new(condition.at, "this condition has no `#endif`"));
            }
            let Ok(Token { tok: Tok::Name(name), span }) = frame.cursor.token(true) else { continue };
            match name.as_str() {
                "if" | "ifdef" | "ifndef" => inner += 1,
                "endif" if inner > 0 => inner -= 1,
                "endif" => {
                    frame.cursor.skip_line();
                    frame.conditions.pop();
                    return Ok(());
                }
                "elif" | "else" if inner == 0 => {
                    if condition.last {
                        return Err(Fault::new(span, format!("`#{name}` after `#else`")));
                    }
                    condition.last = name == "else";
                    if self.branch_holds(&name)? {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether this `#elif` or `#else` is the branch to read. An `#elif` after a branch that was read is not evaluated.
    fn branch_holds(&mut self, name: &str) -> Parsed<bool> {
        let taken = self.condition_mut().is_none_or(|condition| condition.taken);
        if (taken || name == "else")
            && let Some(frame) = self.frames.last_mut()
        {
            frame.cursor.skip_line();
        }
        let holds = !taken && (name == "else" || self.condition()?);
        if let Some(condition) = self.condition_mut() {
            condition.taken |= holds;
        }
        Ok(holds)
    }

    fn condition_mut(&mut self) -> Option<&mut Condition> {
        self.frames.last_mut().and_then(|frame| frame.conditions.last_mut())
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

fn unknown_command(name: &str) -> String {
    const COMMANDS: [&str; 9] =
        ["define", "undef", "include", "if", "elif", "else", "endif", "ifdef", "ifndef"];
    let hint =
        did_you_mean(name, COMMANDS).map_or(String::new(), |known| format!("; did you mean `#{known}`?"));
    format!("unknown preprocessor command `#{name}`{hint}")
}
