//! Values as text: plain JSON for other programs, and the configuration language for people.

use super::value::{Data, Object, Value};
use std::fmt::Write;

/// Which of the two notations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notation {
    Json,
    Config,
}

/// The document as indented JSON. A complex number becomes `{"re":…,"im":…}`; what had an error becomes `null`.
pub fn to_json(document: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, &document.data, Notation::Json, Some(0));
    out
}

/// A value in the configuration language, on one line.
pub fn one_line(data: &Data) -> String {
    let mut out = String::new();
    write_value(&mut out, data, Notation::Config, None);
    out
}

/// A value in the configuration language, indented; reading it back gives an equal value.
pub fn to_config(document: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, &document.data, Notation::Config, Some(0));
    out
}

/// A property name as it must be written: quoted unless it is a plain word.
pub fn property_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
    if plain { name.to_owned() } else { quoted(name) }
}

/// A number in its shortest form that reads back to the same number.
pub fn number(value: f64) -> String {
    if value != 0.0 && !(1e-7..1e21).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

/// A string with its quotes and escapes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn write_value(out: &mut String, data: &Data, notation: Notation, indent: Option<usize>) {
    match data {
        Data::Null | Data::Invalid => out.push_str("null"),
        Data::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Data::Number(value) => out.push_str(&number(*value)),
        Data::Complex(re, im) => out.push_str(&complex(*re, *im, notation)),
        Data::String(text) => out.push_str(&quoted(text)),
        Data::Array(items) => {
            let write =
                |out: &mut String, at: usize, indent| write_value(out, &items[at].data, notation, indent);
            write_list(out, ('[', ']'), items.len(), indent, write);
        }
        Data::Object(object) => write_object(out, object, notation, indent),
    }
}

fn write_object(out: &mut String, object: &Object, notation: Notation, indent: Option<usize>) {
    let write = |out: &mut String, at: usize, indent| {
        let member = &object.members()[at];
        match notation {
            Notation::Json => out.push_str(&quoted(&member.name)),
            Notation::Config => out.push_str(&property_name(&member.name)),
        }
        out.push_str(": ");
        write_value(out, &member.value.data, notation, indent);
    };
    write_list(out, ('{', '}'), object.members().len(), indent, write);
}

/// Brackets, commas and line breaks around `count` elements.
fn write_list(
    out: &mut String,
    brackets: (char, char),
    count: usize,
    indent: Option<usize>,
    write: impl Fn(&mut String, usize, Option<usize>),
) {
    out.push(brackets.0);
    for at in 0..count {
        match indent {
            Some(depth) => {
                out.push('\n');
                out.push_str(&"  ".repeat(depth + 1));
            }
            None if at > 0 => out.push(' '),
            None => {}
        }
        write(out, at, indent.map(|depth| depth + 1));
        if at + 1 < count {
            out.push(',');
        }
    }
    if let (Some(depth), true) = (indent, count > 0) {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(brackets.1);
}

fn complex(re: f64, im: f64, notation: Notation) -> String {
    match notation {
        Notation::Json => format!("{{\"re\": {}, \"im\": {}}}", number(re), number(im)),
        Notation::Config if im < 0.0 => format!("{}-{}*I", number(re), number(-im)),
        Notation::Config => format!("{}+{}*I", number(re), number(im)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_read_back() {
        for (value, text) in [(1.0, "1"), (13.4, "13.4"), (-0.5, "-0.5"), (1e300, "1e300"), (2e-9, "2e-9")] {
            assert_eq!(number(value), text);
            assert_eq!(text.parse::<f64>(), Ok(value));
        }
    }

    #[test]
    fn names_are_quoted_when_they_must_be() {
        assert_eq!(property_name("dialog_timeout"), "dialog_timeout");
        assert_eq!(property_name("100rel"), "\"100rel\"");
        assert_eq!(property_name("ecall.ack"), "\"ecall.ack\"");
        assert_eq!(property_name(""), "\"\"");
    }
}
