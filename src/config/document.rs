//! Documents: members of objects, `include`, and the top level with its optional braces (manual 5.1, points 4 to 7).

use super::lexer::{Fault, Tok};
use super::limits::VALUE_COST;
use super::preprocess::{Mode, Parsed, Reader};
use super::source::{Origin, Span};
use super::value::{Data, Member, Object, Value};
use super::{Diagnostic, Files, Severity, diagnostic::Diagnostics, source::Sources};
use std::path::Path;

/// What reading gave.
pub(super) struct Read {
    /// The document; after a mistake in the syntax, what stands before it. None if the main file could not be read.
    pub document: Option<Value>,
    /// Whether all text was read: there was no mistake in the syntax and every included file was there.
    pub complete: bool,
    /// The files.
    pub sources: Sources,
    /// What was said.
    pub diagnostics: Diagnostics,
}

/// Reads a file and all that it includes.
pub(super) fn read(path: &Path, files: &dyn Files) -> Read {
    let mut reader = Reader::new(files);
    let document = match reader.open(path, true, None) {
        Ok(()) => {
            let mut object = Object::default();
            let at = Span { file: 0, start: 0, end: 0 };
            if let Err(fault) = reader.document(&mut object) {
                reader.report(fault);
            }
            Some(Value::new(Data::Object(object), at))
        }
        Err(fault) => {
            reader.diagnostics.say(Severity::Error, fault.message);
            None
        }
    };
    let complete = reader.diagnostics.errors() == 0;
    Read { document, complete, sources: reader.sources, diagnostics: reader.diagnostics }
}

impl Reader<'_> {
    /// One document: an object with or without braces, to the end of the file. Members read before a fault are kept.
    fn document(&mut self, into: &mut Object) -> Parsed<()> {
        if self.next_is("[")? {
            let message =
                "this file holds an array: a configuration is an object, and arrays cannot be included";
            return Err(Fault::new(self.bump()?.span, message));
        }
        if !self.next_is("{")? {
            return self.members(into, None).map(drop);
        }
        let open = self.bump()?.span;
        self.enter(open)?;
        self.members(into, Some(open))?;
        self.leave();
        if self.next_is(",")? {
            self.bump()?;
        }
        let token = self.bump()?;
        match token.tok {
            Tok::EndOfFile => Ok(()),
            other => Err(Fault::new(
                token.span,
                format!("expected the end of the file, found {}", other.describe()),
            )),
        }
    }

    /// Members up to the `}` that closes `open`, or up to the end of the file where there is none. The answer is the place
    /// of the end.
    pub(super) fn members(&mut self, into: &mut Object, open: Option<Span>) -> Parsed<Span> {
        loop {
            if self.ends(open)? {
                return Ok(self.bump()?.span);
            }
            self.member(into)?;
            if !self.ends(open)? {
                self.separator(if open.is_some() { "}" } else { "" })?;
            }
        }
    }

    fn ends(&mut self, open: Option<Span>) -> Parsed<bool> {
        match (open, &self.peek()?.tok) {
            (Some(open), Tok::EndOfFile) => Err(Fault::new(open, "this `{` is never closed")),
            (Some(_), tok) => Ok(*tok == Tok::Symbol("}")),
            (None, tok) => Ok(*tok == Tok::EndOfFile),
        }
    }

    fn member(&mut self, into: &mut Object) -> Parsed<()> {
        let token = self.bump()?;
        let (name, at) = match token.tok {
            Tok::Name(name) if name == "include" && !self.next_is(":")? => return self.include(into),
            Tok::Name(name) => self.property_name(name, token.span)?,
            Tok::Text(name) => (name, token.span.into()),
            other => {
                let message = format!("expected the name of a property, found {}", other.describe());
                return Err(Fault::new(token.span, message));
            }
        };
        if !self.next_is(":")? {
            let found = self.bump()?;
            let message = format!("expected `:` after `{name}`, found {}", found.tok.describe());
            return Err(Fault::new(found.span, message));
        }
        self.bump()?;
        self.charge(VALUE_COST / 2 + name.len(), token.span)?;
        let value = self.expression()?;
        into.put(Member { name, at, value });
        Ok(())
    }

    /// The name of a property, a variable replaced by the string that it holds ("every occurrence", manual 5.1 point 8).
    fn property_name(&mut self, name: String, span: Span) -> Parsed<(String, Origin)> {
        let Some(value) = self.expand(&name, span)? else { return Ok((name, span.into())) };
        match value.data {
            Data::String(text) => Ok((text, value.at)),
            other => {
                let message = format!(
                    "`{name}` is also a variable, but {} is no property name: the name itself is taken",
                    other.kind()
                );
                self.warn(span.into(), message);
                Ok((name, span.into()))
            }
        }
    }

    /// `include "file",`: the members of that document are merged into the object where it stands.
    fn include(&mut self, into: &mut Object) -> Parsed<()> {
        let value = self.expression()?;
        let path = match &value.data {
            Data::String(path) => self.relative(path, value.at.span),
            Data::Invalid => return Ok(()),
            other => {
                let message = format!("expected the name of a file after `include`, found {}", other.kind());
                return Err(Fault::new(value.at.span, message));
            }
        };
        let suspended = self.suspend();
        self.mode = Mode::Document;
        let mut object = Object::default();
        let fatal = match self.open(&path, true, Some(value.at.span)) {
            Err(fault) if !fault.fatal => {
                self.error(value.at, fault.message);
                None
            }
            Err(fault) => self.report(fault),
            Ok(()) => self.document(&mut object).err().and_then(|fault| self.report(fault)),
        };
        self.resume(suspended);
        into.merge(object);
        fatal.map_or(Ok(()), Err)
    }

    /// Reports a fault; one that must end the whole load is handed back.
    fn report(&mut self, fault: Fault) -> Option<Fault> {
        if fault.fatal && self.fatal_said {
            return Some(fault);
        }
        self.fatal_said |= fault.fatal;
        self.error(fault.span.into(), fault.message.clone());
        fault.fatal.then_some(fault)
    }
}

impl Diagnostic {
    /// Whether it makes the configuration unusable.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
