//! Raw reads and writes of the bytes of a bucket's record, without checks of bounds.
//!
//! Only [`shape`](super::shape), [`edit`](super::edit) and [`view`](super::view) use them. They know
//! which bytes a record has.

#![allow(
    unsafe_code,
    reason = "the bounds hold by construction, and checking them costs a tenth of an update"
)]

use super::bucket::CAPACITY;

/// Reads bytes: an array of them, or an array of arrays.
///
/// # Safety
///
/// `record` must have at least `at + size_of::<T>()` bytes.
#[inline(always)]
pub(super) unsafe fn read<T: Bytes>(record: &[u8], at: usize) -> T {
    check!(at + size_of::<T>() <= record.len());
    // SAFETY: the caller promises that the bytes are within `record`. `T` is `Bytes`: any bytes are
    // a value of it, and its alignment is 1.
    unsafe { record.as_ptr().add(at).cast::<T>().read() }
}

/// Writes bytes: an array of them, or an array of arrays.
///
/// # Safety
///
/// `record` must have at least `at + size_of::<T>()` bytes.
#[inline(always)]
pub(super) unsafe fn write<T: Bytes>(record: &mut [u8], at: usize, bytes: T) {
    check!(at + size_of::<T>() <= record.len());
    // SAFETY: the caller promises that the bytes are within `record`, which is borrowed for writing.
    // The alignment of `T` is 1, because it is `Bytes`.
    unsafe { record.as_mut_ptr().add(at).cast::<T>().write(bytes) }
}

/// Types that consist of bytes only.
///
/// # Safety
///
/// Any `size_of::<Self>()` bytes must be a value of the type, and its alignment must be 1.
pub(super) unsafe trait Bytes: Copy {}
// SAFETY: an array of bytes is bytes without padding, and any byte is a `u8`.
unsafe impl<const N: usize> Bytes for [u8; N] {}
// SAFETY: as above; an array of arrays has no padding either.
unsafe impl<const N: usize, const C: usize> Bytes for [[u8; N]; C] {}

/// Writes a number of 1, 2 or 4 bytes.
///
/// # Safety
///
/// `bytes` must be 1, 2 or 4, and `record` must have at least `at + bytes` bytes.
#[inline(always)]
pub(super) unsafe fn put(record: &mut [u8], at: usize, value: u32, bytes: usize) {
    check!(matches!(bytes, 1 | 2 | 4));
    // SAFETY: the caller promises that `bytes` bytes are there, and each arm writes that many.
    unsafe {
        match bytes {
            1 => write(record, at, [value as u8]),
            2 => write(record, at, (value as u16).to_le_bytes()),
            _ => write(record, at, value.to_le_bytes()),
        }
    }
}

/// All zeros and then all ones. A slice of it is a mask of the bytes from some byte on.
static FROM: [u8; 2 * MOST] = {
    let mut from = [0; 2 * MOST];
    let mut i = MOST;
    while i < 2 * MOST {
        from[i] = 0xff;
        i += 1;
    }
    from
};

/// Bytes of the largest array in a record.
const MOST: usize = 4 * CAPACITY;

/// Returns `kept` with the bytes `from..to` replaced by those of `moved`.
///
/// # Safety
///
/// None of `from`, `to` and `BYTES` may exceed [`MOST`].
#[inline(always)]
unsafe fn merge<const BYTES: usize>(
    kept: [u8; BYTES],
    moved: [u8; BYTES],
    from: usize,
    to: usize,
) -> [u8; BYTES] {
    check!(from <= MOST && to <= MOST && BYTES <= MOST);
    // SAFETY: both reads begin at most at `MOST`, because neither `from` nor `to` exceeds it. They
    // end at most `BYTES` later, and `FROM` has twice `MOST` bytes.
    let (from, behind): ([u8; BYTES], [u8; BYTES]) =
        unsafe { (read(&FROM, MOST - from), read(&FROM, MOST - to)) };
    let mut merged = kept;
    for i in 0..BYTES {
        let mask = from[i] & !behind[i];
        merged[i] = (kept[i] & !mask) | (moved[i] & mask);
    }
    merged
}

/// Moves the elements of `N` bytes from `at` on up by one place, in an array of `len` elements and
/// at most `BYTES` bytes. Drops the last element.
///
/// # Safety
///
/// `record` must have at least `start + BYTES` bytes, and `start` must be at least `N`. `at` must
/// not exceed `len`, nor `N * len` exceed `BYTES`, nor `BYTES` exceed [`MOST`].
#[inline(always)]
pub(super) unsafe fn open<const N: usize, const BYTES: usize>(
    record: &mut [u8],
    start: usize,
    at: usize,
    len: usize,
) {
    check!(start >= N && at <= len && N * len <= BYTES);
    // SAFETY: the caller promises the `BYTES` bytes from `start` on and `N` bytes before them, which
    // is all that is read and written. `N * at` and `N * len` are at most `BYTES`, so at most `MOST`.
    unsafe {
        let (kept, moved) = (read::<[u8; BYTES]>(record, start), read::<[u8; BYTES]>(record, start - N));
        write(record, start, merge(kept, moved, N * at, N * len));
    }
}

/// Moves the elements of `N` bytes after `at` down by one place, over the element at `at`, in an
/// array of `len` elements and at most `BYTES` bytes.
///
/// # Safety
///
/// `record` must have at least `start + BYTES + N` bytes. `at` must not exceed `len`, nor `N * len`
/// exceed `BYTES`, nor `BYTES` exceed [`MOST`].
#[inline(always)]
pub(super) unsafe fn close<const N: usize, const BYTES: usize>(
    record: &mut [u8],
    start: usize,
    at: usize,
    len: usize,
) {
    check!(at <= len && N * len <= BYTES);
    // SAFETY: the caller promises the `BYTES + N` bytes from `start` on, which is all that is read
    // and written. `N * at` and `N * len` are at most `BYTES`, so at most `MOST`.
    unsafe {
        let (kept, moved) = (read::<[u8; BYTES]>(record, start), read::<[u8; BYTES]>(record, start + N));
        write(record, start, merge(kept, moved, N * at, N * len));
    }
}

/// Returns the first bytes of an array.
#[inline(always)]
pub(super) fn head<const N: usize, const M: usize>(bytes: [u8; M]) -> [u8; N] {
    let mut head = [0; N];
    head.copy_from_slice(&bytes[..N]);
    head
}
