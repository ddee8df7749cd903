//! CBOR (RFC 8949), without tags and texts in pieces.

use ciborium_ll::{Decoder, Header, simple};

use super::items::{Encoding, Item, Length, float, take, text};
use crate::payload::{Malformed, Token};

/// The byte that ends a container of unknown length.
const END: u8 = 0xff;

pub(super) struct Cbor;

impl Encoding for Cbor {
    #[inline]
    fn item<'p>(rest: &mut &'p [u8]) -> Result<Item<'p>, Malformed> {
        let header = Decoder::from(&mut *rest).pull().map_err(|_| Malformed)?;
        let length = |length: Option<usize>| length.map_or(Length::UntilEnd, |n| Length::Exact(n as u64));
        let token = match header {
            Header::Positive(value) => Token::Unsigned(value),
            Header::Negative(size) => Token::Signed(!i64::try_from(size).map_err(|_| Malformed)?),
            Header::Float(value) => return Ok(float(value)),
            Header::Simple(simple::FALSE) => Token::Bool(false),
            Header::Simple(simple::TRUE) => Token::Bool(true),
            Header::Simple(simple::NULL | simple::UNDEFINED) => Token::Null,
            Header::Text(Some(length)) => return text(rest, length),
            Header::Bytes(Some(length)) => take(rest, length).map(|_| Token::Null)?,
            Header::Map(members) => return Ok(Item::Map(length(members))),
            Header::Array(elements) => return Ok(Item::Array(length(elements))),
            // The end mark has no place here.
            Header::Break | Header::Text(None) | Header::Bytes(None) | Header::Simple(_) | Header::Tag(_) => {
                return Err(Malformed);
            }
        };
        Ok(Item::Scalar(token))
    }

    #[inline]
    fn is_end(rest: &[u8]) -> bool {
        rest.first() == Some(&END)
    }
}
