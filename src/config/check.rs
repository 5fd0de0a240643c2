//! Checks a document against the schema: unknown properties, kinds, ranges, old spellings, and what is not built yet.
//!
//! What is wrong is reported with its place, all of it at once. What needs more than one property to judge is left to
//! `build`.

use super::diagnostic::{Diagnostics, Severity};
use super::print;
use super::schema::{Fallback, Kind, Property, Scope, Status};
use super::source::{Origin, Sources};
use super::suggest::did_you_mean;
use super::value::{Data, Member, Object, Value};
use super::words::{self, Expected};
use std::collections::BTreeMap;

/// Checks the whole document. `complete` is false after a mistake in the syntax: what is missing is then not reported.
pub(super) fn check(document: &Object, complete: bool, sources: &Sources, diagnostics: &mut Diagnostics) {
    let mut checker = Checker { sources, diagnostics, complete, pending: BTreeMap::new(), muted: 0 };
    checker.object(document, Scope::Global, Origin::default());
    checker.report_pending();
}

struct Checker<'a> {
    sources: &'a Sources,
    diagnostics: &'a mut Diagnostics,
    complete: bool,
    /// Features that are asked for and not built yet: where first, and the properties that ask.
    pending: BTreeMap<&'static str, (Origin, Vec<String>)>,
    /// Inside a property of a feature that is reported as a whole.
    muted: usize,
}

impl Checker<'_> {
    fn say(&mut self, severity: Severity, at: Origin, message: String) {
        self.diagnostics.at(self.sources, severity, at, message);
    }

    fn object(&mut self, object: &Object, scope: Scope, at: Origin) {
        for member in object.members() {
            match scope.find(&member.name) {
                Some(property) => self.member(member, property, object),
                None => self.unknown(member, scope),
            }
        }
        if !self.complete {
            return;
        }
        for property in scope.properties().iter().filter(|property| property.default == Fallback::Required) {
            let given = object.get(property.name).is_some_and(|value| value.data != Data::Null);
            if !given {
                self.missing(property, scope, at);
            }
        }
    }

    fn missing(&mut self, property: &Property, scope: Scope, at: Origin) {
        let message = format!("`{}` is missing: {}", property.name, words::first_sentence(property.doc));
        match scope {
            Scope::Global => self.diagnostics.say(Severity::Error, message),
            _ => self.say(Severity::Error, at, message),
        }
    }

    fn unknown(&mut self, member: &Member, scope: Scope) {
        let names = scope.properties().iter().map(|property| property.name);
        let hint = match did_you_mean(&member.name, names) {
            Some(known) => format!("; did you mean `{known}`?"),
            None => elsewhere(&member.name, scope),
        };
        self.say(Severity::Warning, member.at, format!("unknown property `{}`{hint}", member.name));
    }

    fn member(&mut self, member: &Member, property: &'static Property, object: &Object) {
        if member.name != property.name {
            self.old_spelling(member, property, object);
        }
        if member.value.data == Data::Null {
            return;
        }
        let muted = match property.status {
            Status::Mme => return,
            Status::Needless(why) => {
                self.say(Severity::Info, member.at, format!("`{}` has no effect: {why}", property.name));
                true
            }
            Status::Pending(feature) => {
                // What is off anyway waits for nothing.
                let asks = !matches!(&member.value.data, Data::Bool(false) | Data::Number(0.0))
                    && !matches!(&member.value.data, Data::String(text) if text.is_empty());
                if asks {
                    self.pending(feature, member.at, format!("`{}`", property.name));
                }
                true
            }
            Status::Built => false,
        };
        self.muted += usize::from(muted);
        self.value(&member.value, property, &property.kind);
        self.muted -= usize::from(muted);
        let held = member.value.data.as_str();
        if let Some((word, feature)) = property.pending_values.iter().find(|(word, _)| held == Some(*word)) {
            self.pending(feature, member.at, format!("`{}: \"{word}\"`", property.name));
        }
    }

    fn old_spelling(&mut self, member: &Member, property: &Property, object: &Object) {
        let message = format!("`{}` is the old spelling of `{}`", member.name, property.name);
        match object.member(property.name) {
            Some(_) => {
                self.say(Severity::Warning, member.at, format!("{message}, which is also given and counts"))
            }
            None => self.say(Severity::Info, member.at, message),
        }
    }

    fn pending(&mut self, feature: &'static str, at: Origin, what: String) {
        if self.muted == 0 {
            let (_, list) = self.pending.entry(feature).or_insert_with(|| (at, Vec::new()));
            if !list.contains(&what) {
                list.push(what);
            }
        }
    }

    fn report_pending(&mut self) {
        let mut pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        pending.sort_by_key(|(_, (at, _))| (at.span.file, at.span.start));
        for (feature, (at, list)) in pending {
            let verb = if list.len() == 1 { "has" } else { "have" };
            let message = format!("{feature}: not built yet, so {} {verb} no effect", list.join(", "));
            self.say(Severity::Info, at, message);
        }
    }

    fn value(&mut self, value: &Value, property: &Property, kind: &Kind) {
        if value.data == Data::Invalid {
            return;
        }
        match (kind, &value.data) {
            (Kind::Any(kinds), data) => match kinds.iter().find(|kind| fits(kind, data)) {
                Some(kind) => self.value(value, property, kind),
                None => self.mismatch(value, property, kind),
            },
            (Kind::Object(scope), Data::Object(object)) => self.object(object, *scope, value.at),
            (Kind::List(item, least, most), Data::Array(items)) => {
                if items.len() < *least || items.len() > *most {
                    self.mismatch(value, property, kind);
                }
                for element in items {
                    self.value(element, property, item);
                }
            }
            (_, data) if holds(kind, data) => {}
            _ => self.mismatch(value, property, kind),
        }
    }

    fn mismatch(&mut self, value: &Value, property: &Property, kind: &Kind) {
        let expected = Expected { kind, unit: property.unit, found: &value.data };
        self.say(
            Severity::Error,
            value.at,
            format!("expected {expected}, found {}", words::found(&value.data)),
        );
    }
}

/// Where an unknown property would be known.
fn elsewhere(name: &str, scope: Scope) -> String {
    let other = Scope::ALL.into_iter().find(|other| *other != scope && other.find(name).is_some());
    other.map_or(String::new(), |other| match other {
        Scope::Global => "; it belongs to the top level".to_owned(),
        other => format!("; it belongs to {}", other.title().split(':').next().unwrap_or_default()),
    })
}

/// Whether a value is of the form that a kind has, its range aside. This picks the one of several kinds that is meant.
pub(super) fn fits(kind: &Kind, data: &Data) -> bool {
    match kind {
        Kind::Bool => data.as_bool().is_some(),
        Kind::Int(..) | Kind::Number(..) => matches!(data, Data::Number(_)),
        Kind::Text
        | Kind::Word(_)
        | Kind::Hex(_)
        | Kind::Digits(..)
        | Kind::Address(_)
        | Kind::File
        | Kind::Identity => matches!(data, Data::String(_)),
        Kind::Object(_) => matches!(data, Data::Object(_)),
        Kind::List(..) => matches!(data, Data::Array(_)),
        Kind::Any(kinds) => kinds.iter().any(|kind| fits(kind, data)),
        Kind::Null => matches!(data, Data::Null),
        Kind::Free => true,
    }
}

/// Whether a scalar is what a kind allows, range and all.
pub(super) fn holds(kind: &Kind, data: &Data) -> bool {
    match (kind, data) {
        (Kind::Bool, data) => data.as_bool().is_some(),
        (Kind::Int(least, most), Data::Number(value)) => {
            value.fract() == 0.0 && (*least as f64..=*most as f64).contains(value)
        }
        (Kind::Number(least, most), Data::Number(value)) => (*least..=*most).contains(value),
        (Kind::Text, Data::String(text)) => !text.contains(['\r', '\n', '\0']),
        (Kind::File, Data::String(text)) => !text.is_empty() && !text.contains('\0'),
        (Kind::Word(words), Data::String(text)) => words.contains(&text.as_str()),
        (Kind::Hex(lengths), Data::String(text)) => {
            let digits = words::hex_digits(text);
            lengths.contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_hexdigit())
        }
        (Kind::Digits(least, most, plus), Data::String(text)) => {
            let digits = if *plus { text.strip_prefix('+').unwrap_or(text) } else { text };
            (*least..=*most).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit())
        }
        (Kind::Address(port), Data::String(text)) => super::address::parse(text, *port).is_some(),
        (Kind::Identity, Data::String(text)) => super::identity::is_identity(text),
        (Kind::Null, Data::Null) | (Kind::Free, _) => true,
        _ => false,
    }
}

/// A default in the notation of the configuration.
pub(super) fn fallback_text(fallback: Fallback) -> Option<String> {
    match fallback {
        Fallback::Bool(value) => Some(value.to_string()),
        Fallback::Number(value) => Some(print::number(value)),
        Fallback::Text(text) => Some(print::quoted(text)),
        Fallback::Nothing | Fallback::Required | Fallback::Said(_) | Fallback::Members(_) => None,
    }
}
