//! The report about the fields of a sensor: which are scored, and why the others are not.

use serde::{Deserialize, Serialize};

/// What becomes of each field of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldReport {
    /// One element per field, sorted by name.
    pub standings: Vec<FieldStanding>,
    /// How often a reading had a field beyond the number of names that a detector keeps, rounded
    /// down to a power of two. Such a field is stored, but has no standing.
    pub untracked: u64,
}

/// What becomes of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldStanding {
    /// Name of the field.
    pub name: String,
    /// Whether the field is scored, and if not, why.
    pub standing: Standing,
    /// What is remarkable about a scored field.
    pub remark: Option<Remark>,
}

/// What is remarkable about a scored field. Nothing depends on it: a stepwise field is judged by its
/// steps whether or not the report says so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Remark {
    /// It has never changed so far.
    Constant,
    /// It takes few values and stays at each.
    Stepwise,
    /// It never fell and nearly always grew in the readings that decided the fields: it belongs into
    /// `counters`.
    Counts,
    /// It was equal to another field, or an affine function of it, in the readings that decided the
    /// fields.
    Repeats {
        /// Name of the other field.
        field: String,
    },
}

impl Remark {
    /// Returns the name of the remark: `constant`, `stepwise`, `counts` or `repeats`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Stepwise => "stepwise",
            Self::Counts => "counts",
            Self::Repeats { .. } => "repeats",
        }
    }

    /// Returns the name of the field that the field repeats, or an empty text.
    pub fn repeated(&self) -> &str {
        match self {
            Self::Repeats { field } => field,
            _ => "",
        }
    }
}

/// Whether a field is scored. Every field is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It is part of the point.
    Scored,
    /// A pattern of `exclude` matches its name.
    Excluded {
        /// The pattern.
        pattern: String,
    },
    /// The setting `fields` does not list it.
    NotListed,
    /// It did not change in the readings that decided the fields. A step of it is still judged.
    Constant,
    /// It was in too few of the readings that decided the fields.
    Rare,
    /// The sensor has more fields than a point may have.
    Limit,
}

impl Standing {
    /// Returns the name of the standing: `scored`, `excluded`, `not_listed`, `constant`, `rare` or
    /// `limit`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scored => "scored",
            Self::Excluded { .. } => "excluded",
            Self::NotListed => "not_listed",
            Self::Constant => "constant",
            Self::Rare => "rare",
            Self::Limit => "limit",
        }
    }

    /// Returns the pattern that excludes the field, or an empty text.
    pub fn pattern(&self) -> &str {
        match self {
            Self::Excluded { pattern } => pattern,
            _ => "",
        }
    }
}

impl FieldReport {
    /// Returns the names of the scored fields, sorted.
    pub fn scored(&self) -> impl Iterator<Item = &str> {
        let is_scored = |field: &&FieldStanding| field.standing == Standing::Scored;
        self.standings.iter().filter(is_scored).map(|field| field.name.as_str())
    }
}
