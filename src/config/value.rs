//! The values of a configuration document, each with the place it comes from.

use super::limits::VALUE_COST;
use super::source::Origin;
use std::collections::BTreeMap;

/// A value and where it comes from. Equality looks at the value only.
#[derive(Clone, Debug)]
pub struct Value {
    /// The value itself.
    pub data: Data,
    /// Where it comes from.
    pub at: Origin,
}

/// What a value can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit floating point number; always finite.
    Number(f64),
    /// A complex number whose imaginary part is not zero; both parts finite.
    Complex(f64, f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
    /// Stands where an error has already been reported, so that it is reported once.
    Invalid,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl Value {
    /// A value at a place.
    pub fn new(data: Data, at: impl Into<Origin>) -> Self {
        Value { data, at: at.into() }
    }

    /// What it costs against [`super::limits::MAX_EXPANDED`], and how deep it is nested (a scalar is 0).
    pub fn measure(&self) -> (usize, usize) {
        let inner = |values: &mut dyn Iterator<Item = &Value>| {
            values.map(Value::measure).fold((0, 0), |(cost, depth): (usize, usize), (c, d)| {
                (cost.saturating_add(c), depth.max(d + 1))
            })
        };
        let (cost, depth) = match &self.data {
            Data::String(text) => (text.len(), 0),
            Data::Array(items) => inner(&mut items.iter()),
            Data::Object(object) => inner(&mut object.members().iter().map(|member| &member.value)),
            _ => (0, 0),
        };
        (cost.saturating_add(VALUE_COST), depth)
    }
}

impl Data {
    /// The kind of value, with its article: `a string`.
    pub fn kind(&self) -> &'static str {
        match self {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Complex(..) => "a complex number",
            Data::String(_) => "a string",
            Data::Array(_) => "an array",
            Data::Object(_) => "an object",
            Data::Invalid => "an invalid value",
        }
    }

    /// The boolean, where this is one or one of its synonyms 0 and 1.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Data::Bool(value) => Some(value),
            Data::Number(0.0) => Some(false),
            Data::Number(1.0) => Some(true),
            _ => None,
        }
    }

    /// The string, where this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, where this is one.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Data::Number(value) => Some(value),
            _ => None,
        }
    }

    /// The object, where this is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Data::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// A property of an object.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Where the name stands, at the last time it was given.
    pub at: Origin,
    /// Its value.
    pub value: Value,
}

/// An object: members in the order in which their names first appeared, each name once.
#[derive(Clone, Debug, Default)]
pub struct Object {
    members: Vec<Member>,
    /// Name to index, kept only for objects of more than [`INDEXED`] members: small ones are searched.
    index: BTreeMap<String, usize>,
}

/// Objects up to this many members are searched one by one.
const INDEXED: usize = 32;

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.members.len() == other.members.len()
            && self.members.iter().all(|member| other.get(&member.name) == Some(&member.value))
    }
}

impl Object {
    /// The members, in order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The members, in order, to change their values.
    pub fn members_mut(&mut self) -> &mut [Member] {
        &mut self.members
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).map(|at| &self.members[at].value)
    }

    /// The member of a name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.position(name).map(|at| &self.members[at])
    }

    /// Adds a member, or merges it into the one of the same name (manual 5.1, point 6).
    pub fn put(&mut self, member: Member) {
        match self.position(&member.name) {
            Some(at) => {
                let old = &mut self.members[at];
                old.at = member.at;
                old.value.merge(member.value);
            }
            None => self.push(member),
        }
    }

    /// Gives up the members.
    pub fn into_members(self) -> Vec<Member> {
        self.members
    }

    fn push(&mut self, member: Member) {
        let at = self.members.len();
        if at == INDEXED {
            self.index = self.members.iter().enumerate().map(|(at, m)| (m.name.clone(), at)).collect();
        }
        if at >= INDEXED {
            self.index.insert(member.name.clone(), at);
        }
        self.members.push(member);
    }

    fn position(&self, name: &str) -> Option<usize> {
        if self.members.len() > INDEXED {
            self.index.get(name).copied()
        } else {
            self.members.iter().position(|member| member.name == name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_objects_find_their_members_like_small_ones() {
        let mut object = Object::default();
        for number in 0..200 {
            let value = Value::new(Data::Number(f64::from(number)), Origin::default());
            object.put(Member { name: format!("p{number}"), at: Origin::default(), value });
            assert_eq!(object.members().len(), number as usize + 1);
            for known in 0..=number {
                let found = object.get(&format!("p{known}")).map(|value| value.data.clone());
                assert_eq!(found, Some(Data::Number(f64::from(known))));
            }
            assert!(object.get("q").is_none());
        }
    }

    #[test]
    fn measure_counts_depth_and_octets() {
        let text = Value::new(Data::String("abc".into()), Origin::default());
        assert_eq!(text.measure(), (VALUE_COST + 3, 0));
        let list = Value::new(Data::Array(vec![text.clone(), text]), Origin::default());
        assert_eq!(list.measure(), (3 * VALUE_COST + 6, 1));
    }
}
