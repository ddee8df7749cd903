//! The tokens of a message, whatever its format. A walk reads its members from them.

use std::borrow::Cow;

/// The message is not well-formed, or the source leaves it to another reader.
#[derive(Debug)]
pub(crate) struct Malformed;

/// The beginning of a value. Scalars are whole; objects and arrays are only opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'t> {
    /// A number as it is written.
    Number(&'t str),
    /// A finite number of a binary format.
    Float(f64),
    /// A whole number of a binary format.
    Unsigned(u64),
    /// A whole number of a binary format.
    Signed(i64),
    /// A text with its quotes, as JSON has it.
    Quoted(&'t str),
    /// A text of a binary format.
    Text(&'t str),
    Bool(bool),
    Null,
    /// A word that JSON does not have.
    Bare(&'t str),
    Object,
    Array,
}

impl Token<'_> {
    /// Whether the token is a number of any format.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Number(_) | Self::Float(_) | Self::Unsigned(_) | Self::Signed(_))
    }
}

/// Reads one message from its start to its end.
pub(crate) trait Source<'t> {
    /// A place between two tokens.
    type Position: Copy;

    /// Returns the current place.
    fn position(&self) -> Self::Position;

    /// Continues at an earlier place.
    fn back_to(&mut self, position: Self::Position);

    /// Returns the text from an earlier place to here, for an error; empty if the format is binary.
    fn since(&self, position: Self::Position) -> &'t str;

    /// Reads up to the value of the next member of an object, and returns the member's name. `None`
    /// at the end of the object.
    fn name(&mut self, first: bool) -> Result<Option<Cow<'t, str>>, Malformed>;

    /// Returns whether another element of an array follows.
    fn element(&mut self, first: bool) -> Result<bool, Malformed>;

    /// Reads a scalar, or opens an object or an array.
    fn token(&mut self) -> Result<Token<'t>, Malformed>;

    /// Skips one whole value. `is_known` decides on bare words.
    fn skip(&mut self, is_known: impl Fn(&str) -> bool) -> Result<(), Malformed>;

    /// Checks that the message ends here.
    fn end(&mut self) -> Result<(), Malformed>;
}
