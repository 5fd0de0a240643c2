//! What `imsbox check` prints: the reference of all properties, and a configuration with every default written out.
//!
//! The effective configuration is a configuration itself: reading it gives the same result again.

use super::model::User;
use super::print;
use super::schema::{Fallback, Kind, Property, Scope, Status};
use super::value::{Data, Object, Value};
use super::{Loaded, check, words};
use std::fmt::Write;

/// Columns of the reference.
const WIDTH: usize = 110;

/// Column at which the remarks of the effective configuration stand.
const REMARK: usize = 52;

/// The reference of all properties, as text.
pub fn properties() -> String {
    let mut out = String::from(
        "The properties of an imsbox configuration. One is written `name: value,`; a name that begins with a digit needs \
         quotes.\nFile names are relative to the configuration file. \"Not built yet\" is taken and has no effect.\n",
    );
    for scope in Scope::ALL {
        let title = scope.title();
        let _ = write!(out, "\n{title}\n{}\n", "-".repeat(title.chars().count()));
        for property in scope.properties().iter().filter(|property| property.status != Status::Mme) {
            describe(&mut out, property);
        }
        let foreign = scope.properties().iter().filter(|property| property.status == Status::Mme);
        let names: Vec<&str> = foreign.map(|property| property.name).collect();
        if !names.is_empty() {
            out.push_str("  passed over, because they are the MME's\n");
            wrap(&mut out, &format!("{}.", names.join(", ")), 6);
        }
    }
    out
}

fn describe(out: &mut String, property: &Property) {
    let mut facts = words::kind(&property.kind, property.unit);
    match property.default {
        Fallback::Required => facts.push_str("; required"),
        Fallback::Nothing => {}
        Fallback::Members(_) => facts.push_str("; default: an object with every default"),
        Fallback::Said(text) => {
            let _ = write!(facts, "; default: {text}");
        }
        fallback => {
            let text = check::fallback_text(fallback).unwrap_or_default();
            let _ = write!(facts, "; default {text}");
        }
    }
    let _ = writeln!(out, "  {}", print::property_name(property.name));
    wrap(out, &facts, 6);
    let mut doc = property.doc.to_owned();
    let whose = if property.echo_built { " for users" } else { "" };
    match property.status {
        Status::Pending(feature) => {
            let _ = write!(doc, " Not built yet{whose}: {feature}.");
        }
        Status::Needless(why) => {
            let _ = write!(doc, " No effect: {why}.");
        }
        Status::Built | Status::Mme => {}
    }
    for (word, feature) in property.pending_values {
        let _ = write!(doc, " \"{word}\" is not built yet{whose} ({feature}).");
    }
    for alias in property.aliases {
        let _ = write!(doc, " Old spelling: {alias}.");
    }
    wrap(out, &doc, 6);
}

/// Breaks a text into lines with an indentation.
fn wrap(out: &mut String, text: &str, indent: usize) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            let _ = write!(out, "{:indent$}{word}", "");
            column = indent + length;
        } else {
            let _ = write!(out, " {word}");
            column += 1 + length;
        }
    }
    out.push('\n');
}

/// The configuration with every property: what is not in the file is marked. Empty where the file could not be read.
pub fn effective(loaded: &Loaded) -> String {
    let Some(Data::Object(object)) = loaded.document.as_ref().map(|document| &document.data) else {
        return String::new();
    };
    let users = loaded.config.as_ref().map_or(&[][..], |config| &config.users);
    let mut writer = Writer { out: String::new(), users: first_of_each(object, users) };
    writer.object(object, Scope::Global, 0, None);
    writer.out
}

/// For each entry of `ue_db`, the user that it stands for, or the first of them.
fn first_of_each<'a>(object: &Object, users: &'a [User]) -> Vec<&'a User> {
    let Some(Value { data: Data::Array(entries), .. }) = object.get("ue_db") else { return Vec::new() };
    let mut at = 0;
    let mut first = Vec::new();
    for entry in entries {
        let Some(user) = users.get(at) else { break };
        first.push(user);
        let count = entry.data.as_object().and_then(|object| object.get("count"));
        at += count.and_then(|value| value.data.as_number()).map_or(1, |count| count as usize);
    }
    first
}

struct Writer<'a> {
    out: String,
    users: Vec<&'a User>,
}

impl Writer<'_> {
    /// All properties of an object, those that are not given included; `user` is what an entry of `ue_db` became.
    fn object(&mut self, object: &Object, scope: Scope, depth: usize, user: Option<usize>) {
        for property in scope.properties() {
            let aliases = property.aliases.iter();
            let given = std::iter::once(&property.name).chain(aliases).find_map(|name| object.get(name));
            match given.filter(|value| value.data != Data::Null) {
                Some(value) => self.given(property, value, depth),
                None if property.status == Status::Mme => {}
                None => self.left_out(property, depth, user),
            }
        }
        for member in object.members().iter().filter(|member| scope.find(&member.name).is_none()) {
            let text =
                format!("{}: {},", print::property_name(&member.name), print::one_line(&member.value.data));
            self.line(depth, &text, "unknown");
        }
    }

    fn given(&mut self, property: &Property, value: &Value, depth: usize) {
        let name = print::property_name(property.name);
        let remark = status(property);
        if !is_nested(&value.data) {
            return self.line(depth, &format!("{name}: {},", print::one_line(&value.data)), remark);
        }
        self.line(depth, &format!("{name}: {}", opening(&value.data)), remark);
        self.inside(&value.data, &property.kind, depth, property.name == "ue_db");
    }

    /// What is between the brackets, and the closing one.
    fn inside(&mut self, data: &Data, kind: &Kind, depth: usize, users: bool) {
        match data {
            Data::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.element(item, kind, depth + 1, users.then_some(at));
                }
                self.line(depth, "],", "");
            }
            Data::Object(object) => {
                self.object_of(object, kind, depth + 1, None);
                self.line(depth, "},", "");
            }
            _ => {}
        }
    }

    fn element(&mut self, item: &Value, list: &Kind, depth: usize, user: Option<usize>) {
        match &item.data {
            Data::Object(object) => {
                self.line(depth, "{", "");
                self.object_of(object, list, depth + 1, user);
                self.line(depth, "},", "");
            }
            data => self.line(depth, &format!("{},", print::one_line(data)), ""),
        }
    }

    fn object_of(&mut self, object: &Object, kind: &Kind, depth: usize, user: Option<usize>) {
        match scope_of(kind) {
            Some(scope) => self.object(object, scope, depth, user),
            None => {
                for member in object.members() {
                    let name = print::property_name(&member.name);
                    self.line(depth, &format!("{name}: {},", print::one_line(&member.value.data)), "");
                }
            }
        }
    }

    /// A property that is not given: its default, or what it was derived to, or a comment that says what applies.
    fn left_out(&mut self, property: &Property, depth: usize, user: Option<usize>) {
        let name = print::property_name(property.name);
        let user = user.and_then(|at| self.users.get(at).copied());
        if let Some(text) = user.and_then(|user| derived(user, property.name)) {
            return self.line(depth, &format!("// {name}: {text},"), "derived");
        }
        match property.default {
            Fallback::Nothing | Fallback::Required => self.line(depth, &format!("// {name}"), "not set"),
            Fallback::Said(text) => self.line(depth, &format!("// {name}"), &format!("default: {text}")),
            Fallback::Members(scope) => {
                self.line(depth, &format!("{name}: {{"), "default");
                self.object(&Object::default(), scope, depth + 1, None);
                self.line(depth, "},", "");
            }
            fallback => {
                let text = check::fallback_text(fallback).unwrap_or_default();
                let remark = match status(property) {
                    "" => "default".to_owned(),
                    more => format!("default; {more}"),
                };
                self.line(depth, &format!("{name}: {text},"), &remark);
            }
        }
    }

    fn line(&mut self, depth: usize, text: &str, remark: &str) {
        let line = format!("{:indent$}{text}", "", indent = depth * 2);
        let _ = match remark {
            "" => writeln!(self.out, "{line}"),
            remark => writeln!(self.out, "{line:REMARK$} // {remark}"),
        };
    }
}

fn status(property: &Property) -> &'static str {
    match property.status {
        Status::Pending(_) if !property.echo_built => "not built yet",
        Status::Needless(_) => "no effect",
        Status::Mme => "the MME's",
        Status::Built | Status::Pending(_) => "",
    }
}

fn is_nested(data: &Data) -> bool {
    match data {
        Data::Object(object) => !object.members().is_empty(),
        Data::Array(items) => items.iter().any(|item| matches!(item.data, Data::Object(_))),
        _ => false,
    }
}

fn opening(data: &Data) -> &'static str {
    if matches!(data, Data::Array(_)) { "[" } else { "{" }
}

/// The scope of the objects that a kind may hold, directly or in an array.
fn scope_of(kind: &Kind) -> Option<Scope> {
    match kind {
        Kind::Object(scope) => Some(*scope),
        Kind::List(item, ..) => scope_of(item),
        Kind::Any(kinds) => kinds.iter().find_map(scope_of),
        _ => None,
    }
}

/// What a user's property was derived to, where it was.
fn derived(user: &User, name: &str) -> Option<String> {
    match name {
        "impi" => Some(print::quoted(&user.impi)),
        "domain" => Some(print::quoted(&user.domain)),
        "impu" => {
            let names: Vec<String> = user.impus.iter().map(|impu| print::quoted(&impu.uri)).collect();
            Some(format!("[{}]", names.join(", ")))
        }
        _ => None,
    }
}
