//! Removes gzip or zstd around a payload.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::payload::PayloadError;

const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Largest window of a zstd frame, in bytes. The decoder allocates the window before it reads the
/// data. RFC 8878 recommends that every decoder supports 8 MiB.
const MAX_WINDOW: u64 = 8 << 20;
/// Largest payload that MQTT allows, in bytes.
const LARGEST_PACKET: usize = 268_435_455;

/// Returns the name of a payload's compression.
pub(super) fn name(payload: &[u8]) -> Option<&'static str> {
    let is = |magic: &[u8]| payload.starts_with(magic);
    if is(&GZIP) { Some("gzip") } else { is(&ZSTD).then_some("zstd") }
}

/// Returns the payload without its compression. Data that expand beyond `limit` bytes are an error.
pub(super) fn unwrap(payload: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, PayloadError> {
    let limit = limit.min(LARGEST_PACKET);
    let mut expanded = Vec::new();
    if payload.starts_with(&GZIP) {
        read("gzip", MultiGzDecoder::new(payload), limit, &mut expanded)?;
    } else if payload.starts_with(&ZSTD) {
        read_frames(payload, limit, &mut expanded)?;
    } else {
        return Ok(Cow::Borrowed(payload));
    }
    if expanded.starts_with(&GZIP) || expanded.starts_with(&ZSTD) {
        return Err(PayloadError::UnknownFormat { looks_like: "data that were compressed twice".to_owned() });
    }
    Ok(Cow::Owned(expanded))
}

/// Reads zstd frames, one after the other (RFC 8878, section 3.1). The limit is that of all frames.
fn read_frames(mut payload: &[u8], limit: usize, expanded: &mut Vec<u8>) -> Result<(), PayloadError> {
    // Many small frames share the memory of one decoder.
    let mut decoder = FrameDecoder::new();
    while !payload.is_empty() {
        if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, skippable @ ..] = payload {
            payload = after_skippable(skippable)
                .ok_or_else(|| malformed("zstd", "a skippable frame is truncated"))?;
            continue;
        }
        if !payload.starts_with(&ZSTD) {
            let detail = "another frame or the end of the payload must follow a frame";
            return Err(malformed("zstd", detail));
        }
        check_window(payload)?;
        let frame = StreamingDecoder::new_with_decoder(&mut payload, &mut decoder)
            .map_err(|error| malformed("zstd", &error.to_string()))?;
        read("zstd", frame, limit, expanded)?;
    }
    Ok(())
}

/// Returns what follows a skippable frame, which stands without its magic number.
fn after_skippable(frame: &[u8]) -> Option<&[u8]> {
    let (size, rest) = frame.split_first_chunk()?;
    rest.get(usize::try_from(u32::from_le_bytes(*size)).ok()?..)
}

/// Appends data until they expand beyond the limit, which is an error.
fn read(
    format: &'static str,
    decoder: impl Read,
    limit: usize,
    expanded: &mut Vec<u8>,
) -> Result<(), PayloadError> {
    decoder
        .take((limit + 1 - expanded.len()) as u64)
        .read_to_end(expanded)
        .map_err(|error| malformed(format, &error.to_string()))?;
    if expanded.len() > limit {
        return Err(PayloadError::ExpandsTooFar { limit });
    }
    Ok(())
}

/// Checks the window that the header of a zstd frame asks for (RFC 8878, section 3.1.1.1).
fn check_window(frame: &[u8]) -> Result<(), PayloadError> {
    let truncated = || malformed("zstd", "the frame header is truncated");
    let descriptor = *frame.get(ZSTD.len()).ok_or_else(truncated)?;
    let rest = &frame[ZSTD.len() + 1..];
    let is_single_segment = descriptor & 0x20 != 0;
    let window = if is_single_segment {
        let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
        let size = rest.get(dictionary_bytes..dictionary_bytes + size_bytes).ok_or_else(truncated)?;
        let little_endian = size.iter().rev().fold(0, |number: u64, byte| (number << 8) | u64::from(*byte));
        if size_bytes == 2 { little_endian + 256 } else { little_endian }
    } else {
        let window = *rest.first().ok_or_else(truncated)?;
        let base = 1_u64 << (10 + (window >> 3));
        base + base / 8 * u64::from(window & 7)
    };
    if window > MAX_WINDOW {
        return Err(malformed("zstd", "the frame needs a window of more than 8 MiB"));
    }
    Ok(())
}

fn malformed(format: &'static str, detail: &str) -> PayloadError {
    PayloadError::Malformed { format, detail: detail.to_owned() }
}
