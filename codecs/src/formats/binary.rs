//! Reads CBOR and `MessagePack` objects where they lie, without JSON text in between. It gives up on
//! rare items (tags, extensions, integers as keys, texts in pieces) and on errors:
//! [`transcode`](super::transcode) then starts again from the beginning.

use crate::payload::Source;

mod cbor;
mod items;
mod messagepack;

/// Returns the items of a payload that is a CBOR map.
pub(super) fn cbor(payload: &[u8]) -> Option<impl Source<'_>> {
    matches!(payload.first(), Some(0xa0..=0xbf)).then(|| items::Items::<cbor::Cbor>::new(payload))
}

/// Returns the items of a payload that is a `MessagePack` map.
pub(super) fn messagepack(payload: &[u8]) -> Option<impl Source<'_>> {
    let is_map = matches!(payload.first(), Some(0x80..=0x8f | 0xde | 0xdf));
    is_map.then(|| items::Items::<messagepack::MessagePack>::new(payload))
}
