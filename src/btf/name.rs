//! The name of a type: a piece of text that all names of one object share.
//!
//! An object has thousands of names and one table of strings, so a name is a place in that table, and keeps it alive.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A table of strings. The pointer to it is a thin one: there is one in every name.
pub(super) type Table = Arc<Box<str>>;

/// A name as BTF has them; empty means anonymous. It is a `str` in all but its memory, and cheap to clone.
#[derive(Clone, Default)]
pub struct Name {
    /// None for the empty name.
    table: Option<Table>,
    at: u32,
    len: u32,
}

impl Name {
    /// Takes `len` bytes at `at` of a table; the empty name when they are not there or cut a character.
    pub(super) fn within(table: &Table, at: u32, len: usize) -> Self {
        let start = at as usize;
        match (table.get(start..start.saturating_add(len)), u32::try_from(len)) {
            (Some(text), Ok(len)) if !text.is_empty() => Self { table: Some(Arc::clone(table)), at, len },
            _ => Self::default(),
        }
    }

    /// Returns where the name stands in that table; none when it is a piece of another one.
    pub(super) fn place_in(&self, table: &Table) -> Option<u32> {
        self.table.as_ref().filter(|own| Arc::ptr_eq(own, table)).map(|_| self.at)
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        let start = self.at as usize;
        self.table.as_ref().and_then(|table| table.get(start..start + self.len as usize)).unwrap_or_default()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Name {
    /// Copies the text.
    fn from(text: &str) -> Self {
        Self::within(&Arc::new(text.into()), 0, text.len())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_pieces_of_a_table() {
        let table: Table = Arc::new("\0int\0é\0".into());
        for (at, len, text, place) in [
            (1, 3, "int", Some(1)),
            (2, 2, "nt", Some(2)),
            (5, 2, "é", Some(5)),
            (1, 0, "", None),
            (6, 1, "", None),
            (1, 99, "", None),
            (u32::MAX, usize::MAX, "", None),
        ] {
            let name = Name::within(&table, at, len);
            assert_eq!((name.as_str(), name.place_in(&table)), (text, place));
            assert_eq!((&name, Name::from(text).place_in(&table)), (&Name::from(text), None));
        }
    }
}
