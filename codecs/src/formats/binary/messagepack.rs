//! `MessagePack`, without extensions.

use rmp::Marker;

use super::items::{Encoding, Item, Length, float, take, text};
use crate::payload::{Malformed, Token};

pub(super) struct MessagePack;

impl Encoding for MessagePack {
    #[inline]
    fn item<'p>(rest: &mut &'p [u8]) -> Result<Item<'p>, Malformed> {
        let marker = Marker::from_u8(u8::from_be_bytes(bytes(rest)?));
        let token = match marker {
            Marker::FixPos(value) => Token::Unsigned(value.into()),
            Marker::FixNeg(value) => Token::Signed(value.into()),
            Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => Token::Unsigned(unsigned(marker, rest)?),
            Marker::I8 => Token::Signed(i8::from_be_bytes(bytes(rest)?).into()),
            Marker::I16 => Token::Signed(i16::from_be_bytes(bytes(rest)?).into()),
            Marker::I32 => Token::Signed(i32::from_be_bytes(bytes(rest)?).into()),
            Marker::I64 => Token::Signed(i64::from_be_bytes(bytes(rest)?)),
            Marker::F32 => return Ok(float(f32::from_be_bytes(bytes(rest)?).into())),
            Marker::F64 => return Ok(float(f64::from_be_bytes(bytes(rest)?))),
            Marker::Null => Token::Null,
            Marker::True => Token::Bool(true),
            Marker::False => Token::Bool(false),
            Marker::FixStr(length) => return text(rest, length.into()),
            Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = unsigned(marker, rest)? as usize;
                return text(rest, length);
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = unsigned(marker, rest)? as usize;
                take(rest, length).map(|_| Token::Null)?
            }
            Marker::FixMap(members) => return Ok(Item::Map(Length::Exact(members.into()))),
            Marker::Map16 | Marker::Map32 => return Ok(Item::Map(Length::Exact(unsigned(marker, rest)?))),
            Marker::FixArray(elements) => return Ok(Item::Array(Length::Exact(elements.into()))),
            Marker::Array16 | Marker::Array32 => {
                return Ok(Item::Array(Length::Exact(unsigned(marker, rest)?)));
            }
            _ => return Err(Malformed),
        };
        Ok(Item::Scalar(token))
    }

    fn is_end(_: &[u8]) -> bool {
        false
    }
}

/// Removes and returns the unsigned integer, or the length, that follows a marker.
fn unsigned(marker: Marker, rest: &mut &[u8]) -> Result<u64, Malformed> {
    match marker {
        Marker::U8 | Marker::Str8 | Marker::Bin8 => Ok(u8::from_be_bytes(bytes(rest)?).into()),
        Marker::U64 => Ok(u64::from_be_bytes(bytes(rest)?)),
        Marker::U32 | Marker::Str32 | Marker::Bin32 | Marker::Map32 | Marker::Array32 => {
            Ok(u32::from_be_bytes(bytes(rest)?).into())
        }
        _ => Ok(u16::from_be_bytes(bytes(rest)?).into()),
    }
}

fn bytes<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (bytes, after) = rest.split_first_chunk().ok_or(Malformed)?;
    *rest = after;
    Ok(*bytes)
}
