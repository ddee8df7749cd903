//! Which members of an object are fields, and how their texts and times are read.

use std::collections::BTreeMap;

use thicket_schema::Timestamp;

use crate::timestamp::LocalZone;

/// What becomes of a reading whose time is written in a form that is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadTime {
    /// The reading is refused with [`BadTimestamp`](super::PayloadError::BadTimestamp).
    #[default]
    Refuse,
    /// The reading has no time, so that the caller stamps it with its arrival.
    Arrival,
}

/// How lines of separated values are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvRules {
    /// The names of the columns. A column with an empty name is not read.
    pub columns: Vec<String>,
    /// The ASCII character between two cells.
    pub separator: u8,
}

impl Default for CsvRules {
    fn default() -> Self {
        Self { columns: Vec::new(), separator: b',' }
    }
}

/// The rules for the members of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct PayloadRules {
    /// Path of the object that holds the fields; empty for the whole message. Names of fields are
    /// relative to it. If there is an array, each of its objects is a reading; an object without a
    /// time has that of the message. With `?` at its end, the whole message counts if it has no such
    /// member.
    pub root: String,
    /// Paths, from the top of the message or of the element of an array, of the members whose texts
    /// are returned as [`labels`](super::Measurement::labels).
    pub labels: Vec<String>,
    /// Whether the members of the object at `root` are devices: each object is a message of one
    /// device, each array holds such messages. The name of the member is the name of the device. A
    /// message without a time has the one that stands beside the devices, or at the top. If there
    /// is no object at `root`, the topmost members are the devices, and each of their messages has
    /// the root.
    pub device_keys: bool,
    /// Patterns of the fields to read; empty for all. `*` stands for any characters, `?` for one. A
    /// pattern that matches an object counts for everything in it.
    pub include: Vec<String>,
    /// Patterns of the fields to leave out. They win over `include`.
    pub exclude: Vec<String>,
    /// Words with their values, in addition to [`WORDS`](super::WORDS). NaN means that the word
    /// stands for no value.
    pub words: BTreeMap<String, f64>,
    /// Whether numbers in texts may have a decimal comma, as in `1.234,5`.
    pub decimal_comma: bool,
    /// Whether a number in a text may be followed by one of the [`UNITS`](super::UNITS). The unit is
    /// dropped.
    pub units: bool,
    /// How lines of separated values are read.
    pub csv: CsvRules,
    /// The zone of times without an offset; `None` refuses such times.
    pub time_zone: Option<LocalZone>,
    /// Times before this one are no times: the device has not set its clock.
    pub time_floor: Timestamp,
    /// What becomes of a reading whose time cannot be read.
    pub on_bad_time: OnBadTime,
}

impl Default for PayloadRules {
    fn default() -> Self {
        Self {
            root: String::new(),
            labels: Vec::new(),
            device_keys: false,
            include: Vec::new(),
            exclude: Vec::new(),
            words: BTreeMap::new(),
            decimal_comma: false,
            units: true,
            csv: CsvRules::default(),
            time_zone: None,
            time_floor: Self::DEFAULT_TIME_FLOOR,
            on_bad_time: OnBadTime::default(),
        }
    }
}

impl PayloadRules {
    /// The first moment of the year 2020 in UTC.
    pub const DEFAULT_TIME_FLOOR: Timestamp = Timestamp(1_577_836_800_000_000);
}
