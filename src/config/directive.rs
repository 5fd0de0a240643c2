//! The preprocessor's commands: `#define`, `#undef`, `#include` and the conditions (manual 5.1, point 8).

use super::lexer::{Fault, Tok, Token};
use super::limits::MAX_NESTING;
use super::ops;
use super::preprocess::{Condition, Macro, Mode, Parsed, Reader};
use super::source::Span;
use super::suggest::did_you_mean;
use super::value::{Data, Value};

impl Reader<'_> {
    /// Obeys one directive, whose `#` has been read, to the end of its line.
    pub(super) fn directive(&mut self) -> Parsed<()> {
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
        match self.open(&path, false, Some(value.at.span)) {
            Err(fault) if !fault.fatal => {
                self.error(value.at, fault.message);
                Ok(())
            }
            result => result,
        }
    }

    fn begin_condition(&mut self, at: Span) -> Parsed<()> {
        let holds = self.condition()?;
        self.open_condition(at, holds)
    }

    /// The expression of `#if` and `#elif`, to the end of the line.
    fn condition(&mut self) -> Parsed<bool> {
        self.mode = Mode::Condition;
        let value = self.expression()?;
        self.mode = Mode::Directive;
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
}

fn unknown_command(name: &str) -> String {
    const COMMANDS: [&str; 9] =
        ["define", "undef", "include", "if", "elif", "else", "endif", "ifdef", "ifndef"];
    let hint = match did_you_mean(name, COMMANDS) {
        Some(known) => format!("did you mean `#{known}`?"),
        None => "a comment begins with `//`".to_owned(),
    };
    format!("unknown preprocessor command `#{name}`; {hint}")
}
