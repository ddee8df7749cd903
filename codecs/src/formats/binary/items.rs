//! The items of a binary payload as tokens.

use std::borrow::Cow;
use std::marker::PhantomData;

use crate::payload::{Malformed, Source, Token};

/// Most levels of arrays and maps within each other. `transcode` reads more.
const MAX_DEPTH: usize = 16;

/// Elements or members that follow.
#[derive(Clone, Copy)]
pub(super) enum Length {
    /// Exactly this number of them.
    Exact(u64),
    /// All up to the mark that ends the container.
    UntilEnd,
}

/// An item.
#[derive(Clone, Copy)]
pub(super) enum Item<'p> {
    Scalar(Token<'p>),
    Map(Length),
    Array(Length),
}

/// A binary format.
pub(super) trait Encoding {
    /// Reads the item at the start of `rest`, and removes it from there. The elements of a container
    /// stay in `rest`.
    fn item<'p>(rest: &mut &'p [u8]) -> Result<Item<'p>, Malformed>;

    /// Whether `rest` begins with the mark that ends a container. The mark is one byte.
    fn is_end(rest: &[u8]) -> bool;
}

/// An open container.
#[derive(Clone, Copy)]
struct Level {
    is_map: bool,
    left: Length,
}

/// Reads the items of one payload.
pub(super) struct Items<'p, E> {
    rest: &'p [u8],
    /// The open containers; only the first `depth` count.
    levels: [Level; MAX_DEPTH],
    depth: usize,
    encoding: PhantomData<E>,
}

/// A place between two items of a payload.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    rest: &'p [u8],
    depth: usize,
}

impl<'p, E: Encoding> Items<'p, E> {
    pub(super) fn new(payload: &'p [u8]) -> Self {
        let levels = [Level { is_map: false, left: Length::Exact(0) }; MAX_DEPTH];
        Self { rest: payload, levels, depth: 0, encoding: PhantomData }
    }

    fn open(&mut self, is_map: bool, left: Length) -> Result<(), Malformed> {
        *self.levels.get_mut(self.depth).ok_or(Malformed)? = Level { is_map, left };
        self.depth += 1;
        Ok(())
    }

    fn token_of(&mut self, item: Item<'p>) -> Result<Token<'p>, Malformed> {
        match item {
            Item::Scalar(token) => Ok(token),
            Item::Map(length) => self.open(true, length).map(|()| Token::Object),
            Item::Array(length) => self.open(false, length).map(|()| Token::Array),
        }
    }

    /// Returns whether another member or element of the innermost container follows. Closes the
    /// container if not.
    fn has_more(&mut self) -> Result<bool, Malformed> {
        let innermost = self.depth.checked_sub(1).ok_or(Malformed)?;
        match &mut self.levels[innermost].left {
            Length::Exact(0) => {}
            Length::Exact(left) => {
                *left -= 1;
                return Ok(true);
            }
            Length::UntilEnd => {
                if !E::is_end(self.rest) {
                    return Ok(true);
                }
                take(&mut self.rest, 1)?;
            }
        }
        self.depth = innermost;
        Ok(false)
    }

    fn next_name(&mut self) -> Result<Option<&'p str>, Malformed> {
        if !self.has_more()? {
            return Ok(None);
        }
        match E::item(&mut self.rest)? {
            Item::Scalar(Token::Text(name)) => Ok(Some(name)),
            _ => Err(Malformed),
        }
    }
}

impl<'p, E: Encoding> Source<'p> for Items<'p, E> {
    type Position = Place<'p>;

    fn position(&self) -> Place<'p> {
        Place { rest: self.rest, depth: self.depth }
    }

    fn back_to(&mut self, Place { rest, depth }: Place<'p>) {
        (self.rest, self.depth) = (rest, depth);
    }

    fn since(&self, _: Place<'p>) -> &'p str {
        ""
    }

    fn name(&mut self, _: bool) -> Result<Option<Cow<'p, str>>, Malformed> {
        Ok(self.next_name()?.map(Cow::Borrowed))
    }

    fn element(&mut self, _: bool) -> Result<bool, Malformed> {
        self.has_more()
    }

    fn token(&mut self) -> Result<Token<'p>, Malformed> {
        let item = E::item(&mut self.rest)?;
        self.token_of(item)
    }

    fn skip(&mut self, _: impl Fn(&str) -> bool) -> Result<(), Malformed> {
        let outside = self.depth;
        self.token()?;
        while self.depth > outside {
            let more = if self.levels[self.depth - 1].is_map {
                self.next_name()?.is_some()
            } else {
                self.has_more()?
            };
            if more {
                self.token()?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Removes and returns bytes from the start of `rest`.
pub(super) fn take<'p>(rest: &mut &'p [u8], length: usize) -> Result<&'p [u8], Malformed> {
    rest.split_off(..length).ok_or(Malformed)
}

/// Removes and returns a text from the start of `rest`.
pub(super) fn text<'p>(rest: &mut &'p [u8], length: usize) -> Result<Item<'p>, Malformed> {
    let text = std::str::from_utf8(take(rest, length)?).map_err(|_| Malformed)?;
    Ok(Item::Scalar(Token::Text(text)))
}

/// Returns a number as an item; NaN and infinities are no value.
pub(super) fn float<'p>(value: f64) -> Item<'p> {
    Item::Scalar(if value.is_finite() { Token::Float(value) } else { Token::Null })
}
