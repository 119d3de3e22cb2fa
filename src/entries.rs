//! Entries of a map as bytes: many of them, sorted by key, and how two such sets differ.
//!
//! Keys and values lie in two flat buffers, as `BPF_MAP_UPDATE_BATCH` takes them, so that a million entries are two
//! allocations.

use crate::names::{Digest, hex};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Entries of one map, each key once, in the order of the keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    key_size: usize,
    value_size: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
}

/// Two entries with the same key: the places of both in the order in which they were given, the earlier one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate(pub usize, pub usize);

impl Entries {
    /// Makes an empty set for keys and values of these many bytes; a value is what user space reads and writes, for a
    /// per-CPU map that of all CPUs ([`crate::spec::MapSpec::user_value_size`]).
    pub fn new(key_size: usize, value_size: usize) -> Self {
        Self { key_size, value_size, keys: Vec::new(), values: Vec::new() }
    }

    /// Makes a set of keys and values in any order, one behind the other; the error is the first key in their order
    /// that is there twice.
    ///
    /// # Panics
    /// When the buffers are not as many whole keys as values, or keys have no bytes.
    pub fn of(key_size: usize, value_size: usize, keys: Vec<u8>, values: Vec<u8>) -> Result<Self, Duplicate> {
        assert!(key_size > 0 && keys.len().is_multiple_of(key_size), "whole keys");
        let count = keys.len() / key_size;
        assert_eq!(values.len(), count * value_size, "one value for each key");
        let given = Self { key_size, value_size, keys, values };
        if given.is_sorted() {
            return Ok(given);
        }
        let order = given.order();
        let twice = order.windows(2).filter(|pair| given.key(pair[0]) == given.key(pair[1]));
        if let Some(pair) = twice.min_by_key(|pair| pair[1]) {
            return Err(Duplicate(pair[0], pair[1]));
        }
        let mut sorted = Self::new(key_size, value_size);
        sorted.reserve(count);
        order.into_iter().for_each(|at| sorted.push(given.key(at), given.value(at)));
        Ok(sorted)
    }

    /// Makes a set of what may say the same more than once; the error is the first key in their order that is there with
    /// two values.
    ///
    /// # Panics
    /// As [`Entries::of`].
    pub fn agreeing(key_size: usize, value_size: usize, keys: Vec<u8>, values: Vec<u8>) -> Result<Self, Duplicate> {
        assert!(key_size > 0 && keys.len().is_multiple_of(key_size), "whole keys");
        assert_eq!(values.len(), keys.len() / key_size * value_size, "one value for each key");
        let given = Self { key_size, value_size, keys, values };
        if given.is_sorted() {
            return Ok(given);
        }
        let order = given.order();
        let same = |one: usize, other: usize| given.key(one) == given.key(other);
        let of_one_key = order.chunk_by(|one, other| same(*one, *other));
        // The places of one key are in the order in which they were given.
        let other = of_one_key.clone().filter_map(|places| {
            let first = *places.first()?;
            let other = places.iter().find(|place| given.value(**place) != given.value(first))?;
            Some(Duplicate(first, *other))
        });
        if let Some(contradiction) = other.min_by_key(|Duplicate(_, second)| *second) {
            return Err(contradiction);
        }
        let mut sorted = Self::new(key_size, value_size);
        sorted.reserve(order.len());
        of_one_key.filter_map(<[usize]>::first).for_each(|&at| sorted.push(given.key(at), given.value(at)));
        Ok(sorted)
    }

    /// Returns whether every key is larger than the one before it.
    fn is_sorted(&self) -> bool {
        (1..self.len()).all(|at| self.key(at - 1) < self.key(at))
    }

    /// Makes a set of what was read from a map that others write meanwhile: of a key that was read more than once, what
    /// came last counts.
    ///
    /// # Panics
    /// As [`Entries::of`].
    pub fn latest(key_size: usize, value_size: usize, keys: Vec<u8>, values: Vec<u8>) -> Self {
        assert!(key_size > 0 && keys.len().is_multiple_of(key_size), "whole keys");
        assert_eq!(values.len(), keys.len() / key_size * value_size, "one value for each key");
        let given = Self { key_size, value_size, keys, values };
        let order = given.order();
        let mut sorted = Self::new(key_size, value_size);
        sorted.reserve(order.len());
        for (place, &at) in order.iter().enumerate() {
            if order.get(place + 1).is_none_or(|&next| given.key(next) != given.key(at)) {
                sorted.push(given.key(at), given.value(at));
            }
        }
        sorted
    }

    /// Returns the places of the entries in the order of their keys, and of the same key in the order that they are in.
    /// Most keys differ in their first bytes, which are compared as one number: that takes half the time.
    fn order(&self) -> Vec<usize> {
        let start = |key: &[u8]| {
            let mut start = [0; 8];
            let len = key.len().min(8);
            start[..len].copy_from_slice(&key[..len]);
            u64::from_be_bytes(start)
        };
        let mut order: Vec<(u64, usize)> = (0..self.len()).map(|at| (start(self.key(at)), at)).collect();
        order.sort_unstable_by(|(one, at), (other, there)| {
            one.cmp(other).then_with(|| self.key(*at).cmp(self.key(*there))).then(at.cmp(there))
        });
        order.into_iter().map(|(_, at)| at).collect()
    }

    fn reserve(&mut self, count: usize) {
        self.keys.reserve_exact(count * self.key_size);
        self.values.reserve_exact(count * self.value_size);
    }

    /// Puts an entry behind all others, whose keys are smaller.
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
    }

    fn key(&self, at: usize) -> &[u8] {
        &self.keys[at * self.key_size..][..self.key_size]
    }

    fn value(&self, at: usize) -> &[u8] {
        &self.values[at * self.value_size..][..self.value_size]
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.keys.len() / self.key_size
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the bytes of a key.
    pub fn key_size(&self) -> usize {
        self.key_size
    }

    /// Returns the bytes of a value as user space has it.
    pub fn value_size(&self) -> usize {
        self.value_size
    }

    /// Returns all keys, one behind the other.
    pub fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// Returns all values, one behind the other.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            match self.key(middle).cmp(key) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Some(self.value(middle)),
                Ordering::Greater => to = middle,
            }
        }
        None
    }

    /// Returns keys with their values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        (0..self.len()).map(|at| (self.key(at), self.value(at)))
    }

    /// Returns the entries of both sets; where both have a key, with the other's value.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut both = Self::new(self.key_size, self.value_size);
        both.reserve(self.len() + other.len());
        self.merge(other, |pair| {
            if let (_, Some((key, value))) | (Some((key, value)), None) = pair {
                both.push(key, value);
            }
        });
        both
    }

    /// Returns whether keys and values have the same sizes, without which two sets cannot be compared.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.key_size, self.value_size) == (other.key_size, other.value_size)
    }

    /// Digests sizes, keys and values.
    pub fn digest(&self) -> Digest {
        let sizes = [self.key_size, self.value_size, self.len()].map(|size| (size as u64).to_le_bytes());
        Digest::of_parts([sizes.as_flattened(), &self.keys, &self.values])
    }

    /// Returns the entries that this set has or changes beyond `other`, in `self`'s values, and those of `other` that
    /// it does not have.
    fn merge<'a>(&'a self, other: &'a Self, mut each: impl FnMut(Pair<'a>)) {
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (Some((a, _)), Some((b, _))) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return,
            };
            let pair = match order {
                Ordering::Less => (left.next(), None),
                Ordering::Equal => (left.next(), right.next()),
                Ordering::Greater => (None, right.next()),
            };
            each(pair);
        }
    }
}

/// The entries of two sets under one key.
type Pair<'a> = (Option<(&'a [u8], &'a [u8])>, Option<(&'a [u8], &'a [u8])>);

/// Returns the ids of what is in the slots of a map of programs or maps, by their keys in hexadecimal digits.
pub fn slots_of(live: &Entries) -> BTreeMap<String, u32> {
    let slot = |(key, id): (&[u8], &[u8])| Some((hex(key), slot_id(id)?));
    live.iter().filter_map(slot).collect()
}

/// Reads the value of a slot as the kernel tells it.
pub fn slot_id(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

/// What has to be written and removed to come from one set of entries to another, and the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Entries whose keys are new.
    pub added: Entries,
    /// Entries whose values are other ones: as they will be.
    pub changed: Entries,
    /// The same entries as they are.
    pub before: Entries,
    /// Entries that go, as they are.
    pub removed: Entries,
    /// How many entries are as they should be.
    pub same: usize,
}

/// How many entries come, change and go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries that come.
    pub added: usize,
    /// Entries that change.
    pub changed: usize,
    /// Entries that go.
    pub removed: usize,
}

impl Counts {
    /// Returns how many entries that are.
    pub fn all(self) -> usize {
        self.added + self.changed + self.removed
    }
}

impl Changes {
    /// Makes those of a map that has nothing yet.
    pub fn first(wanted: &Entries) -> Self {
        Self::between(&Entries::new(wanted.key_size, wanted.value_size), wanted, |_| false)
    }

    /// Compares what a map holds with what it should hold. An entry that should not be there goes when `owned` says so
    /// of its key.
    pub fn between(live: &Entries, wanted: &Entries, owned: impl Fn(&[u8]) -> bool) -> Self {
        let empty = || Entries::new(wanted.key_size, wanted.value_size);
        let mut changes = Self { added: empty(), changed: empty(), before: empty(), removed: empty(), same: 0 };
        live.merge(wanted, |pair| match pair {
            (None, Some((key, value))) => changes.added.push(key, value),
            (Some((_, old)), Some((_, new))) if old == new => changes.same += 1,
            (Some((key, old)), Some((_, new))) => {
                changes.before.push(key, old);
                changes.changed.push(key, new);
            }
            (Some((key, value)), None) if owned(key) => changes.removed.push(key, value),
            (Some(_), None) | (None, None) => {}
        });
        changes
    }

    /// Returns whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// Leaves the values of keys that are there as they are, but for those that are to be written all the same: `anew`
    /// tells by key and value.
    #[must_use]
    pub fn of_keys(self, anew: impl Fn(&[u8], &[u8]) -> bool) -> Self {
        let empty = || Entries::new(self.changed.key_size, self.changed.value_size);
        let (mut before, mut changed) = (empty(), empty());
        for ((key, old), (_, new)) in
            self.before.iter().zip(self.changed.iter()).filter(|((key, old), _)| anew(key, old))
        {
            before.push(key, old);
            changed.push(key, new);
        }
        let same = self.same + self.changed.len() - changed.len();
        Self { before, changed, same, ..self }
    }

    /// Makes those of a map whose entries always exist: what would go becomes zero instead, unless it is.
    #[must_use]
    pub fn zeroing(self) -> Self {
        let mut gone = Entries::new(self.removed.key_size, self.removed.value_size);
        let set = self.removed.iter().filter(|(_, value)| value.iter().any(|byte| *byte != 0));
        set.for_each(|(key, value)| gone.push(key, value));
        let zero = Entries { values: vec![0; gone.values.len()], ..gone.clone() };
        Self {
            changed: self.changed.with(&zero),
            before: self.before.with(&gone),
            removed: Entries::new(gone.key_size, gone.value_size),
            ..self
        }
    }

    /// Returns the part of them that was done, by what the map holds now.
    #[must_use]
    pub fn done(&self, live: &Entries) -> Self {
        let empty = || Entries::new(live.key_size, live.value_size);
        let mut done = Self { added: empty(), changed: empty(), before: empty(), removed: empty(), same: self.same };
        let is_there = |(key, value): &(&[u8], &[u8])| live.get(key) == Some(*value);
        self.added.iter().filter(is_there).for_each(|(key, value)| done.added.push(key, value));
        for ((key, value), (_, before)) in self.changed.iter().zip(self.before.iter()) {
            if is_there(&(key, value)) {
                done.changed.push(key, value);
                done.before.push(key, before);
            }
        }
        let gone = self.removed.iter().filter(|(key, _)| live.get(key).is_none());
        gone.for_each(|(key, value)| done.removed.push(key, value));
        done
    }

    /// Returns how many there are of each.
    pub fn counts(&self) -> Counts {
        Counts { added: self.added.len(), changed: self.changed.len(), removed: self.removed.len() }
    }

    /// Digests all of them, with what they replace.
    pub fn digest(&self) -> Digest {
        let parts = [&self.added, &self.changed, &self.before, &self.removed].map(|part| part.digest().to_string());
        Digest::of(parts.concat().as_bytes())
    }

    /// Returns the way back.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { added: self.removed, changed: self.before, before: self.changed, removed: self.added, same: self.same }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Entries with keys and values of two bytes and one.
    fn entries(pairs: &[(u16, u8)]) -> Result<Entries, Duplicate> {
        let keys = pairs.iter().flat_map(|(key, _)| key.to_be_bytes()).collect();
        Entries::of(2, 1, keys, pairs.iter().map(|(_, value)| *value).collect())
    }

    fn pairs(entries: &Entries) -> Vec<(u16, u8)> {
        entries.iter().map(|(key, value)| (u16::from_be_bytes([key[0], key[1]]), value[0])).collect()
    }

    #[test]
    fn keys_are_sorted_and_found() {
        let set = entries(&[(3, 30), (1, 10), (2, 20)]).unwrap();
        assert_eq!(pairs(&set), [(1, 10), (2, 20), (3, 30)]);
        assert_eq!(
            [0u16, 1, 2, 3, 4].map(|key| set.get(&key.to_be_bytes()).map(|value| value[0])),
            [None, Some(10), Some(20), Some(30), None]
        );
        assert_eq!(entries(&[(1, 10), (2, 20), (3, 30)]).unwrap().digest(), set.digest());
        assert_ne!(entries(&[(1, 10), (2, 20), (3, 31)]).unwrap().digest(), set.digest());
    }

    #[test]
    fn long_keys_are_sorted_by_all_their_bytes() {
        let key = |end: u8| [&[7; 11][..], &[end]].concat();
        let set = Entries::of(12, 1, [key(2), vec![6; 12], key(1), vec![8; 12]].concat(), vec![0, 1, 2, 3]).unwrap();
        assert_eq!(set.values(), [1, 2, 0, 3]);
        let twice = [key(2), key(1), key(2)].concat();
        assert_eq!(Entries::of(12, 1, twice.clone(), vec![0; 3]), Err(Duplicate(0, 2)));
        assert_eq!(Entries::latest(12, 1, twice, vec![0, 1, 2]).values(), [1, 2]);
    }

    #[test]
    fn the_first_key_that_is_there_twice_is_told() {
        for (given, twice) in [
            (&[(1, 0), (1, 0)][..], Duplicate(0, 1)),
            (&[(9, 0), (1, 0), (9, 1), (1, 1)], Duplicate(0, 2)),
            (&[(1, 0), (1, 1), (1, 2)], Duplicate(0, 1)),
        ] {
            assert_eq!(entries(given), Err(twice), "{given:?}");
        }
    }

    #[test]
    fn what_is_said_twice_has_to_agree() {
        for (given, wanted) in [
            (&[(3, 30), (1, 10), (3, 30), (1, 10)][..], Ok(vec![(1, 10), (3, 30)])),
            (&[(1, 10), (2, 20)], Ok(vec![(1, 10), (2, 20)])),
            (&[(3, 30), (1, 10), (3, 30), (1, 11), (3, 31)], Err(Duplicate(1, 3))),
            (&[], Ok(vec![])),
        ] {
            let keys = given.iter().flat_map(|(key, _): &(u16, u8)| key.to_be_bytes()).collect();
            let made = Entries::agreeing(2, 1, keys, given.iter().map(|(_, value)| *value).collect());
            assert_eq!(made.map(|made| pairs(&made)), wanted, "{given:?}");
        }
    }

    #[test]
    fn what_was_read_last_counts() {
        let set = Entries::latest(1, 1, vec![3, 1, 3, 2, 1], vec![0, 1, 2, 3, 4]);
        assert_eq!((set.keys(), set.values()), (&[1, 2, 3][..], &[4, 3, 2][..]));
        assert!(Entries::latest(1, 1, vec![], vec![]).is_empty());
    }

    #[test]
    fn changes_are_told_apart() {
        let live = entries(&[(1, 1), (2, 2), (3, 3), (9, 9)]).unwrap();
        let wanted = entries(&[(0, 0), (2, 2), (3, 4)]).unwrap();
        let changes = Changes::between(&live, &wanted, |key| key[1] != 9);
        assert_eq!(pairs(&changes.added), [(0, 0)]);
        assert_eq!((pairs(&changes.before), pairs(&changes.changed)), (vec![(3, 3)], vec![(3, 4)]));
        assert_eq!(pairs(&changes.removed), [(1, 1)]);
        assert_eq!(changes.same, 1);
    }

    #[test]
    fn entries_of_arrays_become_zero() {
        let live = entries(&[(1, 1), (2, 2), (3, 0), (4, 4)]).unwrap();
        let changes = Changes::between(&live, &entries(&[(2, 5)]).unwrap(), |_| true).zeroing();
        assert_eq!(pairs(&changes.changed), [(1, 0), (2, 5), (4, 0)]);
        assert_eq!(pairs(&changes.before), [(1, 1), (2, 2), (4, 4)]);
        assert_eq!(changes.counts(), Counts { added: 0, changed: 3, removed: 0 });
        let back = changes.reversed();
        assert_eq!(
            (pairs(&back.changed), pairs(&back.before)),
            (vec![(1, 1), (2, 2), (4, 4)], vec![(1, 0), (2, 5), (4, 0)])
        );
    }

    #[test]
    fn what_was_done_is_seen() {
        let live = entries(&[(1, 1), (2, 2), (3, 3), (4, 4)]).unwrap();
        let changes = Changes::between(&live, &entries(&[(1, 5), (2, 6), (8, 8), (9, 9)]).unwrap(), |_| true);
        let now = entries(&[(1, 1), (2, 6), (4, 4), (9, 9)]).unwrap();
        let done = changes.done(&now);
        assert_eq!((pairs(&done.added), pairs(&done.removed)), (vec![(9, 9)], vec![(3, 3)]));
        assert_eq!((pairs(&done.changed), pairs(&done.before)), (vec![(2, 6)], vec![(2, 2)]));
        assert_eq!(changes.done(&live).counts(), Counts::default());
    }

    proptest! {
        #[test]
        fn changes_lead_there_and_back(
            live in prop::collection::btree_map(any::<u16>(), any::<u8>(), 0..40),
            wanted in prop::collection::btree_map(any::<u16>(), any::<u8>(), 0..40),
        ) {
            let set = |map: &BTreeMap<u16, u8>| entries(&map.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>()).unwrap();
            let apply = |map: &BTreeMap<u16, u8>, changes: &Changes| {
                let mut map = map.clone();
                pairs(&changes.removed).iter().for_each(|(key, _)| assert!(map.remove(key).is_some()));
                map.extend(pairs(&changes.added));
                map.extend(pairs(&changes.changed));
                map
            };
            let changes = Changes::between(&set(&live), &set(&wanted), |_| true);
            let there = apply(&live, &changes);
            prop_assert_eq!(&there, &wanted);
            prop_assert!(Changes::between(&set(&there), &set(&wanted), |_| true).is_empty());
            prop_assert_eq!(&apply(&there, &changes.reversed()), &live);
        }
    }
}
