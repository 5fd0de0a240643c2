//! Expressions: operators, brackets, variables, backquote strings, arrays and objects, evaluated as they are read.

use super::lexer::{Fault, PieceEnd, Tok, Token};
use super::limits::VALUE_COST;
use super::ops;
use super::preprocess::{Mode, Parsed, Reader};
use super::source::Span;
use super::suggest::did_you_mean;
use super::value::{Data, Object, Value};

impl Reader<'_> {
    /// Reads one expression and evaluates it. An error of evaluation is reported and leaves [`Data::Invalid`].
    pub(super) fn expression(&mut self) -> Parsed<Value> {
        self.operation(1)
    }

    /// Operators that bind at least as tightly as `least`, from the left.
    fn operation(&mut self, least: u8) -> Parsed<Value> {
        let mut left = self.signed()?;
        loop {
            let Tok::Symbol(symbol) = self.peek()?.tok else { return Ok(left) };
            let Some(binding) = ops::binding(symbol).filter(|binding| *binding >= least) else {
                return Ok(left);
            };
            let operator = self.bump()?.span;
            let decided = match symbol {
                "&&" => ops::truth(&left.data) == Some(false),
                "||" => ops::truth(&left.data) == Some(true),
                _ => false,
            };
            self.skipping += usize::from(decided);
            let right = self.operation(binding + 1)?;
            self.skipping -= usize::from(decided);
            left = if decided { Value::new(Data::Bool(symbol == "||"), left.at) } else { left };
            if !decided {
                left = self.apply(symbol, operator, left, right)?;
            }
        }
    }

    fn apply(&mut self, symbol: &str, operator: Span, left: Value, right: Value) -> Parsed<Value> {
        let at = left.at.span.to(right.at.span);
        match ops::binary(symbol, left.data, right.data) {
            Ok(data) => {
                if let Data::String(text) = &data {
                    self.charge(text.len(), operator)?;
                }
                Ok(Value::new(data, at))
            }
            Err(message) => Ok(self.invalid(operator, message)),
        }
    }

    /// Signs before a value.
    fn signed(&mut self) -> Parsed<Value> {
        let Tok::Symbol(symbol @ ("-" | "+" | "!")) = self.peek()?.tok else { return self.primary() };
        let operator = self.bump()?.span;
        self.enter(operator)?;
        let operand = self.signed()?;
        self.leave();
        let at = operator.to(operand.at.span);
        match ops::unary(symbol, operand.data) {
            Ok(data) => Ok(Value::new(data, at)),
            Err(message) => Ok(self.invalid(operator, message)),
        }
    }

    fn primary(&mut self) -> Parsed<Value> {
        let token = self.bump()?;
        self.charge(VALUE_COST, token.span)?;
        match token.tok {
            Tok::Number(value) => Ok(Value::new(Data::Number(value), token.span)),
            Tok::Text(text) => {
                self.charge(text.len(), token.span)?;
                Ok(Value::new(Data::String(text), token.span))
            }
            Tok::Backquote => self.template(token.span),
            Tok::Name(name) => self.named(&name, token.span),
            Tok::Symbol("(") => self.bracketed(token.span),
            Tok::Symbol("[") => self.array(token.span),
            Tok::Symbol("{") => self.object(token.span),
            other => {
                let message = format!("expected a value, found {}", other.describe());
                Err(Fault::new(token.span, message))
            }
        }
    }

    fn bracketed(&mut self, open: Span) -> Parsed<Value> {
        self.enter(open)?;
        let mut value = self.expression()?;
        self.leave();
        let close = self.expect(")")?;
        value.at.span = open.to(close);
        value.at.via = None;
        Ok(value)
    }

    fn array(&mut self, open: Span) -> Parsed<Value> {
        self.enter(open)?;
        let mut items = Vec::new();
        while !self.array_ends(open)? {
            items.push(self.element()?);
            if !self.array_ends(open)? {
                self.separator("]")?;
            }
        }
        let close = self.bump()?.span;
        self.leave();
        Ok(Value::new(Data::Array(items), open.to(close)))
    }

    fn array_ends(&mut self, open: Span) -> Parsed<bool> {
        match self.peek()?.tok {
            Tok::EndOfFile => Err(Fault::new(open, "this `[` is never closed")),
            ref tok => Ok(*tok == Tok::Symbol("]")),
        }
    }

    /// One element of an array; `include` is not possible there (manual 5.1, point 7).
    fn element(&mut self) -> Parsed<Value> {
        let token = self.peek()?;
        if token.tok == Tok::Name("include".to_owned()) && !self.is_defined("include") {
            let span = self.bump()?.span;
            let message = "`include` is not possible in an array; `#include` on a line of its own is";
            return Err(Fault::new(span, message));
        }
        self.expression()
    }

    fn object(&mut self, open: Span) -> Parsed<Value> {
        self.enter(open)?;
        let mut object = Object::default();
        let close = self.members(&mut object, Some(open))?;
        self.leave();
        Ok(Value::new(Data::Object(object), open.to(close)))
    }

    /// A name as a value: a word of the language, `defined`, or a variable.
    fn named(&mut self, name: &str, span: Span) -> Parsed<Value> {
        if self.skipping > 0 && name != "defined" {
            return Ok(Value::new(Data::Invalid, span));
        }
        if let Some(value) = self.expand(name, span)? {
            return Ok(value);
        }
        let data = match name {
            "true" => Data::Bool(true),
            "false" => Data::Bool(false),
            "null" => Data::Null,
            "I" => Data::Complex(0.0, 1.0),
            "defined" => return self.defined(span),
            _ if self.mode == Mode::Condition => {
                // C takes an unknown name as 0 in a condition; files may lean on that.
                self.warn(
                    span.into(),
                    format!("`{name}` is not defined and taken as false{}", self.meant(name)),
                );
                Data::Bool(false)
            }
            _ => {
                let message = format!("`{name}` is not defined; a string needs quotes{}", self.meant(name));
                return Ok(self.invalid(span, message));
            }
        };
        Ok(Value::new(data, span))
    }

    fn meant(&self, name: &str) -> String {
        if self.diagnostics.is_full() {
            return String::new();
        }
        let known = self.variables().chain(["true", "false", "null"]);
        did_you_mean(name, known).map_or(String::new(), |known| format!("; did you mean `{known}`?"))
    }

    /// `defined(var)` or `defined var`.
    fn defined(&mut self, span: Span) -> Parsed<Value> {
        let bracket = self.next_is("(")?;
        if bracket {
            self.bump()?;
        }
        let Token { tok, span: mut end } = self.bump()?;
        let Tok::Name(name) = tok else {
            return Err(Fault::new(
                end,
                format!("expected a variable in `defined()`, found {}", tok.describe()),
            ));
        };
        if bracket {
            end = self.expect(")")?;
        }
        Ok(Value::new(Data::Bool(self.is_defined(&name)), span.to(end)))
    }

    /// A backquote string: pieces of text with `${expr}` between them (manual 5.1, point 9).
    fn template(&mut self, open: Span) -> Parsed<Value> {
        self.enter(open)?;
        let mode = std::mem::replace(&mut self.mode, Mode::Template);
        let mut out = String::new();
        let value = loop {
            let Some(cursor) = self.cursor() else { break Value::new(Data::Invalid, open) };
            let (piece, end) = cursor.template_piece(open)?;
            let close = cursor.here();
            self.report_escapes();
            self.charge(piece.len(), open)?;
            out.push_str(&piece);
            if end == PieceEnd::Quote {
                break Value::new(Data::String(out), open.to(close));
            }
            let value = self.expression()?;
            match ops::text_of(&value.data) {
                Some(text) => {
                    self.charge(text.len(), open)?;
                    out.push_str(&text);
                }
                None if value.data == Data::Invalid => {}
                None => {
                    let message = format!("{} cannot stand in a string", value.data.kind());
                    self.error(value.at, message);
                }
            }
            self.expect("}")?;
        };
        self.mode = mode;
        self.leave();
        Ok(value)
    }

    /// Takes this symbol, which must be next.
    pub(super) fn expect(&mut self, symbol: &'static str) -> Parsed<Span> {
        let token = self.bump()?;
        if token.tok == Tok::Symbol(symbol) {
            return Ok(token.span);
        }
        Err(Fault::new(token.span, format!("expected `{symbol}`, found {}", token.tok.describe())))
    }

    /// Takes the comma between two elements, where `close` would also have been right. One that was forgotten is
    /// reported, and reading goes on where the next element is plainly there.
    pub(super) fn separator(&mut self, close: &str) -> Parsed<()> {
        let Token { tok, span } = self.peek()?.clone();
        if tok == Tok::Symbol(",") {
            return self.bump().map(drop);
        }
        let or = if close.is_empty() { String::new() } else { format!(" or `{close}`") };
        let message = format!("expected `,`{or}, found {}", tok.describe());
        let goes_on = match tok {
            Tok::Name(_) => self.sources.begins_line(span),
            Tok::Text(_) => close == "]" || self.sources.begins_line(span),
            Tok::Number(_) | Tok::Backquote | Tok::Symbol("{" | "[") => close == "]",
            _ => false,
        };
        if !goes_on {
            return Err(Fault::new(span, message));
        }
        self.error(span.into(), message);
        Ok(())
    }

    /// Reports an error of evaluation, unless the value is not needed.
    fn invalid(&mut self, at: Span, message: String) -> Value {
        if self.skipping == 0 {
            self.error(at.into(), message);
        }
        Value::new(Data::Invalid, at)
    }
}
