//! Merging of duplicate properties and of included files: recursive over objects and arrays, the later text wins.
//!
//! Manual 5.1 points 6 and 7, and the newer rule for arrays: they merge element by element, the result is as long as the
//! longer one.

use super::value::{Data, Object, Value};

impl Value {
    /// Merges a later value into this one.
    pub fn merge(&mut self, later: Value) {
        match (&mut self.data, later.data) {
            (Data::Object(old), Data::Object(new)) => old.merge(new),
            (Data::Array(old), Data::Array(new)) => {
                let mut new = new.into_iter();
                for (old, new) in old.iter_mut().zip(&mut new) {
                    old.merge(new);
                }
                old.extend(new);
            }
            (data, new) => *data = new,
        }
        self.at = later.at;
    }
}

impl Object {
    /// Merges the members of a later object into this one.
    pub fn merge(&mut self, later: Object) {
        for member in later.into_members() {
            self.put(member);
        }
    }
}
