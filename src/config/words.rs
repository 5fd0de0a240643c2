//! What was expected and what was found, in words.

use super::print;
use super::schema::{Kind, Unit};
use super::value::Data;
use std::fmt;

/// What a property expects instead of what it found; a number out of range is told the range.
pub(super) struct Expected<'a> {
    pub kind: &'a Kind,
    pub unit: Unit,
    pub found: &'a Data,
}

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(self.kind, self.unit, Some(self.found)))
    }
}

/// A kind in words, without a value in view.
pub(super) fn kind(kind: &Kind, unit: Unit) -> String {
    describe(kind, unit, None)
}

fn describe(kind: &Kind, unit: Unit, found: Option<&Data>) -> String {
    let number = found.and_then(Data::as_number);
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Int(..) if number.is_some_and(|value| value.fract() != 0.0) => of_unit("a whole number", unit),
        Kind::Int(least, most) => match (number, found) {
            (None, Some(_)) => of_unit("a number", unit),
            (_, None) => format!("{}, {least} to {most}", of_unit("whole number", unit)),
            _ => ranged(&of_unit("a number", unit), *least as f64, *most as f64),
        },
        Kind::Number(least, most) => match (number, found) {
            (None, Some(_)) => of_unit("a number", unit),
            (_, None) => {
                format!("{}, {} to {}", of_unit("number", unit), print::number(*least), print::number(*most))
            }
            _ => ranged(&of_unit("a number", unit), *least, *most),
        },
        Kind::Text if matches!(found, Some(Data::String(_))) => "a string of one line".to_owned(),
        Kind::Text | Kind::Lines => article("string", found),
        Kind::Word(words) => list_of(words.iter().map(|word| format!("\"{word}\""))),
        Kind::Pattern => article("POSIX extended regular expression", found),
        Kind::Hex(lengths) => {
            let lengths = list_of(lengths.iter().map(usize::to_string));
            article(&format!("string of {lengths} hexadecimal digits"), found)
        }
        Kind::Digits(least, most, _) if least == most => article(&format!("string of {least} digits"), found),
        Kind::Digits(least, most, _) => article(&format!("string of {least} to {most} digits"), found),
        Kind::Address(0) => article("IP address with an optional port", found),
        Kind::Address(_) => article("IP address with an optional port", found),
        Kind::File => article("file name", found),
        Kind::Identity => article("identity such as \"user\", \"sip:user\" or \"tel:+33…\"", found),
        Kind::Object(_) => article("object", found),
        Kind::List(item, least, most) if least == most => {
            format!("{} of {least}: {}", article("array", found), describe(item, unit, None))
        }
        Kind::List(..) if matches!(found, Some(Data::Array(items)) if items.is_empty()) => {
            "an array that is not empty".to_owned()
        }
        Kind::List(_, _, most) if matches!(found, Some(Data::Array(_))) => {
            format!("an array of at most {most}")
        }
        Kind::List(..) if found.is_some() => article("array", found),
        Kind::List(item, ..) => format!("array of {}", plural(item)),
        Kind::Any(kinds) => {
            let parts: Vec<String> = kinds.iter().map(|kind| describe(kind, unit, found)).collect();
            // A list of lists keeps its parts apart.
            if parts.iter().any(|part| part.contains(" or ")) {
                parts.join(", or ")
            } else {
                list_of(parts.into_iter())
            }
        }
        Kind::Null => "null".to_owned(),
        Kind::Free => "anything".to_owned(),
    }
}

/// With an article where a value is in view: "expected a string"; without in the reference: "string".
fn article(noun: &str, found: Option<&Data>) -> String {
    match found {
        None => noun.to_owned(),
        Some(_) if noun.starts_with(['a', 'e', 'i', 'o', 'I']) => format!("an {noun}"),
        Some(_) => format!("a {noun}"),
    }
}

/// What an array holds, in the reference.
fn plural(item: &Kind) -> &'static str {
    match item {
        Kind::Object(_) => "objects",
        Kind::Int(..) | Kind::Number(..) => "numbers",
        Kind::Free => "objects, not looked at",
        Kind::Any(_) => "these",
        _ => "strings",
    }
}

fn of_unit(noun: &str, unit: Unit) -> String {
    if unit == Unit::None { noun.to_owned() } else { format!("{noun} of {}", unit.name()) }
}

fn ranged(noun: &str, least: f64, most: f64) -> String {
    format!("{noun} from {} to {}", print::number(least), print::number(most))
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn list_of(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    let Some(last) = items.pop() else { return String::new() };
    if items.is_empty() { last } else { format!("{} or {last}", items.join(", ")) }
}

/// A value in words: itself where it is short, its kind where it is not.
pub(super) fn found(data: &Data) -> String {
    match data {
        Data::Array(items) if items.is_empty() => "an empty array".to_owned(),
        Data::Array(_) | Data::Object(_) | Data::Null | Data::Invalid => data.kind().to_owned(),
        _ => {
            let text = print::one_line(data);
            if text.chars().count() > 40 {
                format!("{}…", text.chars().take(40).collect::<String>())
            } else {
                text
            }
        }
    }
}

/// A string that should be nothing but digits of this radix, with what one would have to count or to look for.
pub(super) fn found_digits(text: &str, radix: u32) -> String {
    let found = found(&Data::String(text.to_owned()));
    let digits = if radix == 16 { hex_digits(text) } else { text.strip_prefix('+').unwrap_or(text) };
    match digits.chars().find(|character| !character.is_digit(radix)) {
        Some(odd) => format!("{found} (`{}` is no digit)", odd.escape_debug()),
        None => format!("{found} ({} digits)", digits.len()),
    }
}

/// The digits of a hexadecimal string, a leading `0x` left out.
pub(super) fn hex_digits(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

/// The first sentence of a doc, without its full stop, beginning small.
pub(super) fn first_sentence(doc: &str) -> String {
    let sentence = doc.split(". ").next().unwrap_or(doc).trim_end_matches('.');
    let mut letters = sentence.chars();
    let second_is_small = sentence.chars().nth(1).is_some_and(char::is_lowercase);
    match letters.next() {
        Some(first) if second_is_small => first.to_lowercase().chain(letters).collect(),
        _ => sentence.to_owned(),
    }
}
