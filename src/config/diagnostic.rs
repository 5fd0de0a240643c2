//! What is said about a configuration: the message, the place with a caret, the include chain and the macros on the way.

use super::limits::MAX_DIAGNOSTICS;
use super::source::{Origin, Place, Sources};
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// Something is probably not meant so.
    Warning,
    /// Worth knowing.
    Info,
}

/// One thing said about a configuration. Its `Display` is the printed form, without a final newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in words.
    pub message: String,
    /// Where it is, unless it is about the configuration as a whole.
    pub place: Option<Place>,
    /// Further places: where a macro is defined or used, where the other of two is.
    pub notes: Vec<(String, Place)>,
    /// The files that include the place's file, innermost first, each with its line.
    pub included_from: Vec<(String, usize)>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
            Severity::Info => "info: ",
        };
        let Some(place) = &self.place else {
            return write!(f, "{kind}{}", self.message);
        };
        write!(f, "{}:{}:{}: {kind}{}", place.file, place.line, place.column, self.message)?;
        if self.severity == Severity::Info {
            return Ok(());
        }
        write_line(f, place)?;
        for (text, place) in &self.notes {
            write!(f, "\n  {}:{}:{}: {text}", place.file, place.line, place.column)?;
            write_line(f, place)?;
        }
        for (file, line) in &self.included_from {
            write!(f, "\n  included from {file}:{line}")?;
        }
        Ok(())
    }
}

/// The source line and a line of carets under the place. Tabs are kept, so that the carets stand below what they mean.
fn write_line(f: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
    let line = format!("{:>5} | {}", place.line, place.text);
    write!(f, "\n{}\n      | ", line.trim_end())?;
    for character in place.text.chars().take(place.caret) {
        f.write_str(if character == '\t' { "\t" } else { " " })?;
    }
    let room = place.text.chars().count().saturating_sub(place.caret).max(1);
    f.write_str(&"^".repeat(place.width.min(room)))
}

/// Collects diagnostics, up to a limit, and counts the rest.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// Each with its place in reading order: file and octet; what is about no place comes first.
    list: Vec<(Option<(u32, u32)>, Diagnostic)>,
    dropped: usize,
    errors: usize,
}

impl Diagnostics {
    /// Says something about the configuration as a whole.
    pub fn say(&mut self, severity: Severity, message: impl Into<String>) {
        let (place, notes, included_from) = (None, Vec::new(), Vec::new());
        let diagnostic = Diagnostic { severity, message: message.into(), place, notes, included_from };
        if self.admit(severity) {
            self.list.push((None, diagnostic));
        }
    }

    /// Says something about one place, with the macros and includes that lead there.
    pub fn at(&mut self, sources: &Sources, severity: Severity, at: Origin, message: impl Into<String>) {
        self.at_with(sources, severity, at, message, &[]);
    }

    /// Says something about one place and names further ones.
    pub fn at_with(
        &mut self,
        sources: &Sources,
        severity: Severity,
        at: Origin,
        message: impl Into<String>,
        further: &[(String, Origin)],
    ) {
        if !self.admit(severity) {
            return;
        }
        let mut notes = macro_notes(sources, at);
        notes.extend(further.iter().map(|(text, origin)| (text.clone(), sources.place(origin.span))));
        let diagnostic = Diagnostic {
            severity,
            message: message.into(),
            place: Some(sources.place(at.span)),
            notes,
            included_from: sources.include_chain(at.span.file),
        };
        self.list.push((Some((at.span.file, at.span.start)), diagnostic));
    }

    /// How many errors there were, kept or not.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Whether further ones are only counted, so that a costly message need not be made.
    pub fn is_full(&self) -> bool {
        self.list.len() >= MAX_DIAGNOSTICS
    }

    /// All that was kept, errors first, in reading order; a last line counts what was dropped.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|(at, diagnostic)| (diagnostic.severity, *at));
        let mut list: Vec<Diagnostic> = self.list.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        if self.dropped > 0 {
            let message = format!("{} more messages are not shown", self.dropped);
            let (place, notes, included_from) = (None, Vec::new(), Vec::new());
            list.push(Diagnostic { severity: Severity::Info, message, place, notes, included_from });
        }
        list
    }

    /// Counts one that is about to be made; whether there is room for it.
    fn admit(&mut self, severity: Severity) -> bool {
        self.errors += usize::from(severity == Severity::Error);
        let room = !self.is_full();
        self.dropped += usize::from(!room);
        room
    }
}

/// "`X` is defined here" for a macro's own use; "through `X`, used here" for what is inside its definition.
fn macro_notes(sources: &Sources, at: Origin) -> Vec<(String, Place)> {
    let mut notes = Vec::new();
    let mut via = at.via;
    let mut seen = at.span;
    while let Some(macro_use) = via.and_then(|id| sources.macro_use(id)) {
        let (text, span) = if macro_use.used == seen {
            (format!("`{}` is defined here", macro_use.name), macro_use.defined)
        } else {
            (format!("reached through `{}`, used here", macro_use.name), macro_use.used)
        };
        notes.push((text, sources.place(span)));
        seen = macro_use.used;
        via = macro_use.outer;
    }
    notes
}
