//! The property that the fuzzers check: restoring any bytes fails with an error, or gives a forest
//! that is sound and works.
//!
//! The input of both targets is one byte that chooses the memory limit, then the snapshot.
//! libFuzzer and the driver in `mutate.rs` call the same functions. [`seeds`] are the inputs to
//! start with.

mod seeds;

use rrcf_rs::Forest;
use xxhash_rust::xxh3::xxh3_64;

pub use seeds::seeds;

const MAGIC: &[u8] = b"RRCF";
const NEWEST: u8 = 2;
const CHECKSUM: usize = 8;
/// Largest count of points in a snapshot that can be restored.
const MOST_POINTS: u64 = 1 << 63;
/// The vectors of a forest may have spare capacity that the limit does not count.
const SLACK: usize = 16 << 10;

/// Restores the bytes as they are.
pub fn restore(data: &[u8]) {
    if let Some((limit, snapshot)) = parts(data) {
        refuse_or_work(snapshot, limit);
    }
}

/// Restores the bytes after correcting their header and checksum, so that the rest of the decoder
/// reads them.
pub fn restore_sealed(data: &[u8]) {
    let mut sealed = data.to_vec();
    if seal(&mut sealed) {
        restore(&sealed);
    }
}

/// Splits an input into the memory limit, from 1 byte to 64 MiB, and the snapshot.
#[must_use]
pub fn parts(data: &[u8]) -> Option<(u64, &[u8])> {
    data.split_first().map(|(&limit, snapshot)| (1 << (limit % 27), snapshot))
}

/// Corrects the header and the checksum of an input. Returns `false` if the input is too short for
/// them.
pub fn seal(data: &mut [u8]) -> bool {
    let Some(end) = data.len().checked_sub(CHECKSUM).filter(|&end| end >= 1 + MAGIC.len() + 2) else {
        return false;
    };
    data[1..5].copy_from_slice(MAGIC);
    let format = if data[5] == 1 { 1 } else { NEWEST };
    data[5..7].copy_from_slice(&[format, 0]);
    let sum = xxh3_64(&data[1..end]);
    data[end..].copy_from_slice(&sum.to_le_bytes());
    true
}

/// Restores a snapshot. If that succeeds, calls all methods of the forest, and compares it with a
/// restored copy.
fn refuse_or_work(snapshot: &[u8], limit: u64) {
    let Ok(mut forest) = Forest::restore_within(snapshot, limit) else { return };
    assert!(forest.memory_usage() as u64 <= limit + SLACK as u64, "{} bytes", forest.memory_usage());
    let written = forest.snapshot();
    if snapshot[MAGIC.len()] == NEWEST {
        assert_eq!(written, snapshot, "one state, one snapshot");
    }
    let mut restored = Forest::restore_within(&written, u64::MAX).expect("a forest reads what it wrote");
    assert_eq!(restored.snapshot(), written);

    let dimensions = forest.dimensions();
    let width = dimensions * forest.shingle();
    let mut contributions = vec![0.0; width];
    for round in 0..4_u8 {
        let point = vec![[0.25, f32::MAX, -1e-40, f32::MIN][usize::from(round)]; dimensions];
        assert_eq!(forest.score(&point), restored.score(&point));
        let nearest = forest.neighbours(&point, 3).expect("the point has the right length");
        if let Some(nearest) = nearest.first() {
            assert!(
                forest.remove(&nearest.point).expect("the point has the right length"),
                "what is held can be taken out"
            );
            assert!(restored.remove(&nearest.point).expect("the point has the right length"));
        }
        let mut patchy = point.clone();
        patchy[dimensions - 1] = f32::NAN;
        forest.impute(&mut patchy).expect("a missing value is not an error");
        for point in [&patchy, &point, &point] {
            let score = forest.update_attributed(point, &mut contributions).expect("the point is finite");
            assert_eq!(restored.update(point).expect("the point is finite"), score);
            assert!(score.codisp.is_finite() && score.codisp >= 0.0, "{score:?}");
        }
        if round == 2 && forest.memory_usage() < 1 << 22 {
            let window = (forest.window() / 2 + 1).min(64);
            forest.resize(window).expect("a smaller window is within the limits");
            restored.resize(window).expect("a smaller window is within the limits");
        }
    }
    let written = forest.snapshot();
    assert_eq!(restored.snapshot(), written, "both went the same way");
    // Only a false count of points can be so high. The snapshot after the next point is refused.
    if forest.updates() > MOST_POINTS {
        return;
    }
    let again = Forest::restore_within(&written, u64::MAX).expect("a forest reads what it wrote");
    assert_eq!(again.snapshot(), written);
}
