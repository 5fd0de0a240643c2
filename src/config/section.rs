//! An object read through its schema: a property's value where it is given and right, its default where it is not.

use super::check;
use super::schema::{Fallback, Kind, Property, Scope};
use super::source::Origin;
use super::value::{Data, Object, Value};
use super::words;
use std::time::Duration;

/// An object of the document with the scope that it is of.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    object: &'a Object,
    scope: Scope,
    /// Where the object stands.
    pub at: Origin,
}

impl<'a> Section<'a> {
    /// The object of a scope, at a place.
    pub(super) fn new(object: &'a Object, scope: Scope, at: Origin) -> Self {
        Section { object, scope, at }
    }

    fn property(&self, name: &str) -> &'static Property {
        self.scope.find(name).expect("the schema names every property that the code reads")
    }

    /// Whether a property is given, rightly or not.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.any(name).is_some()
    }

    /// Whether a property is given and wrong, which has been reported.
    pub(super) fn is_wrong(&self, name: &str) -> bool {
        self.is_given(name) && self.value(name).is_none()
    }

    fn any(&self, name: &str) -> Option<&'a Value> {
        let aliases = self.property(name).aliases.iter();
        let given = std::iter::once(&name).chain(aliases).find_map(|name| self.object.get(name));
        given.filter(|value| value.data != Data::Null)
    }

    /// The value of a property, where it is given and right.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.any(name).filter(|value| is_right(&self.property(name).kind, &value.data))
    }

    /// Where a property's value stands; the whole object where it is not given.
    pub(super) fn at(&self, name: &str) -> Origin {
        self.any(name).map_or(self.at, |value| value.at)
    }

    /// A boolean property. One without a default is false.
    pub(super) fn bool(&self, name: &str) -> bool {
        self.bool_if_given(name).unwrap_or(self.property(name).default == Fallback::Bool(true))
    }

    /// A boolean property, where it is given.
    pub(super) fn bool_if_given(&self, name: &str) -> Option<bool> {
        self.value(name).and_then(|value| value.data.as_bool())
    }

    /// A number property. One without a default is 0.
    pub(super) fn number(&self, name: &str) -> f64 {
        let given = self.value(name).and_then(|value| value.data.as_number());
        given.unwrap_or(match self.property(name).default {
            Fallback::Number(value) => value,
            _ => 0.0,
        })
    }

    /// A number property that is whole and not negative.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.number(name) as u64
    }

    /// A port number property.
    pub(super) fn port(&self, name: &str) -> u16 {
        self.number(name) as u16
    }

    /// A number of seconds.
    pub(super) fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs_f64(self.number(name).max(0.0))
    }

    /// A string property, its default where it has one.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.text_if_given(name).or(match self.property(name).default {
            Fallback::Text(text) => Some(text),
            _ => None,
        })
    }

    /// A string property, where it is given.
    pub(super) fn text_if_given(&self, name: &str) -> Option<&'a str> {
        self.value(name).and_then(|value| value.data.as_str())
    }

    /// An owned string, where it is given.
    pub(super) fn string(&self, name: &str) -> Option<String> {
        self.text_if_given(name).map(str::to_owned)
    }

    /// The octets of a hexadecimal string.
    pub(super) fn hex(&self, name: &str) -> Option<Vec<u8>> {
        self.text(name).and_then(octets)
    }

    /// An object property, where it is given as an object.
    pub(super) fn section(&self, name: &str, scope: Scope) -> Option<Section<'a>> {
        let value = self.value(name)?;
        value.data.as_object().map(|object| Section::new(object, scope, value.at))
    }

    /// The elements of a property that holds one or an array of them.
    pub(super) fn items(&self, name: &str) -> &'a [Value] {
        match self.value(name) {
            Some(Value { data: Data::Array(items), .. }) => items,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }
}

/// The octets of a string of hexadecimal digits, `0x` in front or not.
pub(super) fn octets(text: &str) -> Option<Vec<u8>> {
    let digits = words::hex_digits(text).as_bytes();
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    let digit = |octet: u8| (octet as char).to_digit(16);
    pairs.map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

/// Whether a value is of the right form. The elements of an array count where they are scalars (`r`, `c`, `methods`);
/// elements that are objects are looked at one by one when they are read.
fn is_right(kind: &Kind, data: &Data) -> bool {
    match (kind, data) {
        (Kind::Any(kinds), _) => {
            kinds.iter().find(|kind| check::fits(kind, data)).is_some_and(|kind| is_right(kind, data))
        }
        (Kind::Object(_), _) => check::fits(kind, data),
        (Kind::List(item, least, most), Data::Array(items)) => {
            let whole = matches!(item, Kind::Int(..) | Kind::Text | Kind::Word(_) | Kind::Hex(_));
            (*least..=*most).contains(&items.len())
                && (!whole || items.iter().all(|value| is_right(item, &value.data)))
        }
        _ => check::holds(kind, data),
    }
}
