//! Reads numbers from the front of a slice of bytes.

use alloc::vec::Vec;

use crate::error::Error;

pub(super) const CUT_SHORT: &str = "it is cut short";

/// Returns the error of a damaged snapshot.
pub(super) fn damaged<T>(reason: &'static str) -> Result<T, Error> {
    Err(Error::DamagedSnapshot(reason))
}

/// Takes numbers from the front of a slice of bytes.
pub(super) struct Reader<'a> {
    pub(super) left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (bytes, left) = self.left.split_at_checked(count).ok_or(Error::DamagedSnapshot(CUT_SHORT))?;
        self.left = left;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, left) = self.left.split_first_chunk().ok_or(Error::DamagedSnapshot(CUT_SHORT))?;
        self.left = left;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64, Error> {
        self.array().map(f64::from_le_bytes)
    }

    pub(super) fn floats(&mut self, count: usize) -> Result<Vec<f32>, Error> {
        let bytes = self.bytes(count.saturating_mul(4))?;
        Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    /// Returns `count` numbers of `size` bytes each, at most four.
    pub(super) fn indices(
        &mut self,
        count: usize,
        size: usize,
    ) -> Result<impl Iterator<Item = u32> + use<'a>, Error> {
        let bytes = self.bytes(count * size)?;
        Ok(bytes.chunks_exact(size).map(|index| {
            let mut wide = [0; 4];
            wide[..index.len()].copy_from_slice(index);
            u32::from_le_bytes(wide)
        }))
    }
}
