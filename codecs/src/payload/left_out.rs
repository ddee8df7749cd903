//! What a message holds besides its fields, and why that is no field.

use std::fmt;

use thicket_schema::text::excerpt;

/// A part of a message that is not in its reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The path of the member, its names joined by points. For an element of an array, the path
    /// begins with its index, such as `[2].state`.
    pub path: String,
    /// Why it is not in the reading.
    pub reason: LeftOutReason,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.reason)
    }
}

/// Why a part of a message is not in its reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeftOutReason {
    /// A text that is neither a number nor a word with a value.
    #[error("is the text {0}{advice}", advice = if may_be_word(.0) { GIVES_VALUE } else { "" })]
    Text(String),
    /// A text that is a number if a comma is the decimal sign.
    #[error("is the text {0}; mqtt.decimal_comma = true reads its comma as the decimal sign")]
    DecimalComma(String),
    /// `null`, an empty text, NaN, an infinity, or a word for no value.
    #[error("has no value now")]
    Missing,
    /// A whole number that a 64-bit float cannot hold exactly, or a text of 16 or more digits.
    #[error("is a whole number of too many digits for a measurement")]
    Identifier,
    /// A number beyond the range of a 64-bit float.
    #[error("is a number beyond the range of a 64-bit float")]
    NotFinite,
    /// An object below the deepest level that is read.
    #[error("lies deeper than {0} levels")]
    TooDeep(usize),
    /// An array with elements that are not numbers.
    #[error("is an array of other elements than numbers")]
    ArrayOfOthers,
    /// An array of objects below the topmost level, with the member that tells them apart.
    #[error("is an array of objects; if each is a reading, name it in mqtt.root{}", naming(.0.as_deref()))]
    ArrayOfObjects(Option<String>),
    /// An array with more elements than are read.
    #[error("is an array of more than {0} numbers")]
    LongArray(usize),
    /// An object or array without members.
    #[error("is empty")]
    Empty,
    /// `include` does not name it.
    #[error("is not in mqtt.include")]
    NotIncluded,
    /// `exclude` names it.
    #[error("is in mqtt.exclude")]
    Excluded,
    /// It is not in the object that `root` names.
    #[error("lies outside of mqtt.root")]
    OutsideRoot,
    /// The object that `root` names is not in the message.
    #[error("is mqtt.root, and the message has no such object")]
    NoRoot,
    /// It is one field too many.
    #[error("is beyond the limit of {0} fields")]
    TooManyFields(usize),
    /// Its path cannot be the name of a field.
    #[error("cannot be stored under its path, which is too long, empty or has control characters")]
    BadName,
    /// It is under a timestamp key, but another key gave the time.
    #[error("is a time, and another key gave the time of the reading")]
    OtherTime,
    /// It is under a timestamp key and holds no time: no value, zero, or a time before the floor.
    #[error("holds no time")]
    NoTime,
    /// It is under a timestamp key and cannot be read.
    #[error("is no readable time: {0}")]
    BadTime(crate::timestamp::TimestampError),
    /// It stands beside the devices that the members of an object name.
    #[error("is no device: with mqtt.device_keys, objects and arrays are devices")]
    NoDevice,
    /// A value of a kind that is no measurement, such as a byte string or a table.
    #[error("is {0}, which is no measurement")]
    OtherKind(&'static str),
    /// A metric by which Sparkplug controls or describes a device.
    #[error("is a metric of Sparkplug itself")]
    OfSparkplug,
    /// A value that is none of its declared type.
    #[error("has a value that its datatype does not have")]
    WrongType,
}

/// Returns how to keep the objects of an array apart.
fn naming(member: Option<&str>) -> String {
    member.map_or_else(String::new, |member| {
        format!(", and add {{{}}}, which tells them apart, to mqtt.sensor", excerpt(member))
    })
}

/// How to read a word.
pub(super) const GIVES_VALUE: &str = "; mqtt.words gives a word its value";

/// Whether a text may be a word. Values that are separated or named, and JSON within a text, are none.
pub(super) fn may_be_word(text: &str) -> bool {
    !text.contains(['=', ',', '{'])
}
