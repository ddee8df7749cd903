//! The field names of a reading. Readings with the same names share them.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::name_hash::name_hash;
use crate::text::excerpt;

/// Why names cannot be the fields of a reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldSetError {
    /// There are no names.
    #[error("a reading needs at least one field")]
    NoFields,
    /// A name is empty.
    #[error("a field's name is empty")]
    EmptyName,
    /// A name is longer than [`FieldSet::MAX_NAME_BYTES`].
    #[error("a field's name has {bytes} bytes, at most {} are allowed: {name}", FieldSet::MAX_NAME_BYTES)]
    NameTooLong {
        /// Length of the name in bytes.
        bytes: usize,
        /// The beginning of the name.
        name: String,
    },
    /// A name contains a control character.
    #[error("a field's name contains the control character {character:?}: {name:?}")]
    ControlCharacter {
        /// The first such character.
        character: char,
        /// The beginning of the name.
        name: String,
    },
    /// A name occurs twice.
    #[error("the field {name} occurs twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The names are not in ascending order of their bytes.
    #[error("field names are not sorted: {name} comes too late")]
    NotSorted {
        /// The first name that is out of place.
        name: String,
    },
}

/// A sorted set of field names. Each name is 1 to 64 bytes of UTF-8 without control characters.
/// Clones share the names.
#[derive(Clone, Debug)]
pub struct FieldSet(Arc<Names>);

#[derive(Debug)]
struct Names {
    id: i64,
    names: Box<[String]>,
}

impl FieldSet {
    /// Longest field name in bytes.
    pub const MAX_NAME_BYTES: usize = 64;

    /// Makes a set from names in ascending order of their bytes, without duplicates.
    pub fn new(names: Vec<String>) -> Result<Self, FieldSetError> {
        if names.is_empty() {
            return Err(FieldSetError::NoFields);
        }
        names.iter().try_for_each(|name| check_name(name))?;
        for (before, name) in names.iter().zip(&names[1..]) {
            match before.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Err(FieldSetError::Duplicate { name: name.clone() }),
                Ordering::Greater => return Err(FieldSetError::NotSorted { name: name.clone() }),
            }
        }
        let id = name_hash(names.join("\n").as_bytes());
        Ok(Self(Arc::new(Names { id, names: names.into_boxed_slice() })))
    }

    /// Makes a set from names in any order.
    pub fn from_unsorted(mut names: Vec<String>) -> Result<Self, FieldSetError> {
        names.sort_unstable();
        Self::new(names)
    }

    /// Returns the names in ascending order of their bytes.
    pub fn names(&self) -> &[String] {
        &self.0.names
    }

    /// Returns the key of the set in `PostgreSQL`: the first 8 bytes of the SHA-256 of the names
    /// joined by line feeds, as a signed big-endian integer.
    pub fn id(&self) -> i64 {
        self.0.id
    }

    /// Returns the number of fields, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "a set of fields is never empty")]
    pub fn len(&self) -> usize {
        self.0.names.len()
    }
}

impl PartialEq for FieldSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.id == other.0.id && self.0.names == other.0.names)
    }
}

impl Eq for FieldSet {}

impl Hash for FieldSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

fn check_name(name: &str) -> Result<(), FieldSetError> {
    if name.is_empty() {
        return Err(FieldSetError::EmptyName);
    }
    if name.len() > FieldSet::MAX_NAME_BYTES {
        return Err(FieldSetError::NameTooLong { bytes: name.len(), name: excerpt(name) });
    }
    match name.chars().find(|c| c.is_control()) {
        Some(character) => Err(FieldSetError::ControlCharacter { character, name: excerpt(name) }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
