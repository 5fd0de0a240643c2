//! Capped arenas whose ids are typed and generational: a stale id finds nothing.

use slab::Slab;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// Names one `T` in an [`Arena`]. Copy; survives the entry, after which it finds `None`.
pub struct Id<T> {
    slot: u32,
    generation: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The slot number, small and reused: good for display and for tokens, not an identity.
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// Slot and generation in one number; unique in one run until the generation wraps.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The id that [`Id::to_bits`] gave.
    pub fn from_bits(bits: u64) -> Self {
        Id { slot: bits as u32, generation: (bits >> 32) as u32, kind: PhantomData }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_bits().cmp(&other.to_bits())
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bits().hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.slot, self.generation)
    }
}

/// The arena's cap was reached; the value comes back to the caller.
#[derive(Debug)]
pub struct Full<T>(pub T);

/// A slab of at most `cap` entries with generational ids.
#[derive(Debug)]
pub struct Arena<T> {
    entries: Slab<(u32, T)>,
    next_generation: u32,
    cap: usize,
}

impl<T> Arena<T> {
    /// An empty arena that refuses the entry after the `cap`-th. Allocates as it grows.
    pub fn with_cap(cap: usize) -> Self {
        Arena { entries: Slab::new(), next_generation: 1, cap }
    }

    /// Stores a value, or gives it back when the arena is full.
    pub fn insert(&mut self, value: T) -> Result<Id<T>, Full<T>> {
        if self.entries.len() >= self.cap {
            return Err(Full(value));
        }
        let generation = self.next_generation;
        self.next_generation = self.next_generation.wrapping_add(1).max(1);
        let slot = self.entries.insert((generation, value));
        let slot = u32::try_from(slot).expect("caps are far below 2^32");
        Ok(Id { slot, generation, kind: PhantomData })
    }

    /// The entry, unless the id is stale.
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.entries.get(id.slot as usize).filter(|(g, _)| *g == id.generation).map(|(_, v)| v)
    }

    /// The entry, mutable, unless the id is stale.
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        self.entries.get_mut(id.slot as usize).filter(|(g, _)| *g == id.generation).map(|(_, v)| v)
    }

    /// Removes and returns the entry, unless the id is stale.
    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        self.get(id)?;
        Some(self.entries.remove(id.slot as usize).1)
    }

    /// The id of the entry in this slot, if there is one.
    pub fn id_at(&self, slot: u32) -> Option<Id<T>> {
        let (generation, _) = self.entries.get(slot as usize)?;
        Some(Id { slot, generation: *generation, kind: PhantomData })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the next insert would be refused.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.cap
    }

    /// All entries in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.entries.iter().map(|(slot, (generation, v))| {
            (Id { slot: slot as u32, generation: *generation, kind: PhantomData }, v)
        })
    }

    /// All entries in slot order, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<T>, &mut T)> {
        self.entries.iter_mut().map(|(slot, (generation, v))| {
            (Id { slot: slot as u32, generation: *generation, kind: PhantomData }, v)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_id_finds_nothing_after_slot_reuse() {
        let mut a = Arena::with_cap(2);
        let one = a.insert("one").unwrap();
        assert_eq!(a.remove(one), Some("one"));
        let two = a.insert("two").unwrap();
        assert_eq!(one.slot(), two.slot());
        assert_eq!(a.get(one), None);
        assert_eq!(a.get(two), Some(&"two"));
        assert_eq!(Id::from_bits(two.to_bits()), two);
        assert_eq!((a.id_at(two.slot()), a.id_at(7)), (Some(two), None));
    }

    #[test]
    fn cap_gives_the_value_back() {
        let mut a = Arena::with_cap(1);
        a.insert(1).unwrap();
        assert!(a.is_full());
        assert_eq!(a.insert(2).unwrap_err().0, 2);
    }
}
