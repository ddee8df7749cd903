//! The memory that Redis needs for a checkpoint.

use thicket_schema::SensorName;

/// Memory of a checkpoint beside the block of its state and the names of its sensor: the hash, its
/// entry in the key space, and the entry in the index.
const OVERHEAD: u64 = 450;
/// The allocator of Redis (jemalloc) has four sizes of blocks between two powers of two.
const SIZES_PER_DOUBLING: u64 = 4;
/// Smallest distance between two sizes of blocks.
const QUANTUM: u64 = 16;

/// Returns the memory in bytes that Redis needs for a checkpoint of `bytes` bytes.
pub fn memory_of(bytes: usize, sensor: &SensorName) -> u64 {
    let needed = bytes as u64 + 10;
    let doubling = needed.next_power_of_two() / 2;
    let step = (doubling / SIZES_PER_DOUBLING).max(QUANTUM);
    needed.next_multiple_of(step) + 2 * sensor.as_str().len() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_block_of_the_allocator_and_what_is_beside_it() {
        let sensor = SensorName::new("site-1/microphone-7").unwrap();
        let beside = OVERHEAD + 2 * 19;
        for (bytes, block) in
            [(500, 512), (3_000, 3_072), (13_000, 14_336), (67_000, 81_920), (163_000, 163_840)]
        {
            assert_eq!(memory_of(bytes, &sensor), block + beside, "{bytes}");
        }
    }
}
