use proptest::prelude::*;

use super::bits::rank;
use super::format::{CHECKSUM, checksum, index_bytes};
use crate::tree::tests::{check_forest, samplings, values, windows};
use crate::{Error, Forest, Sampling};

/// A forest that has received `points` points, some of them equal.
fn grown(dimensions: usize, trees: usize, window: usize, shingle: usize, points: usize) -> Forest {
    let builder = Forest::builder(dimensions).trees(trees).window(window).shingle(shingle);
    let mut forest = builder.seed(5).build().unwrap();
    for n in 0..points {
        let point: Vec<f32> = (0..dimensions).map(|d| ((n * n + 7 * d) % 23) as f32 * 0.3).collect();
        forest.update(&point).unwrap();
    }
    forest
}

/// Corrects the checksum, as an attacker would.
fn seal(snapshot: &mut [u8]) {
    let end = snapshot.len() - CHECKSUM;
    let sum = checksum(&snapshot[..end]);
    snapshot[end..].copy_from_slice(&sum.to_le_bytes());
}

/// Checks that any bytes give an error, or a forest that is sound, writes the same bytes and works.
fn refuse_or_work(snapshot: &[u8]) {
    let Ok(mut forest) = Forest::restore_within(snapshot, 1 << 24) else { return };
    check_forest(&forest);
    if snapshot[4] > 1 {
        assert_eq!(forest.snapshot(), snapshot);
    }
    let point = vec![0.25; forest.dimensions()];
    for _ in 0..3 {
        forest.update(&point).unwrap();
    }
    check_forest(&forest);
}

#[test]
fn every_truncation_is_an_error() {
    let snapshot = grown(2, 3, 20, 2, 100).snapshot();
    for length in 0..snapshot.len() {
        assert!(matches!(Forest::restore(&snapshot[..length]), Err(Error::DamagedSnapshot(_))), "{length}");
        if length >= 4 + 2 + CHECKSUM {
            let mut sealed = snapshot[..length].to_vec();
            seal(&mut sealed);
            assert!(Forest::restore(&sealed).is_err(), "{length}");
        }
    }
    let mut longer = snapshot;
    longer.extend([0; 9]);
    seal(&mut longer);
    assert!(Forest::restore(&longer).is_err());
}

#[test]
fn every_flipped_bit_is_an_error() {
    let snapshot = grown(2, 3, 20, 2, 100).snapshot();
    for bit in 0..snapshot.len() * 8 {
        let mut flipped = snapshot.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Forest::restore(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn a_changed_byte_behind_a_right_checksum_is_refused_or_harmless() {
    let forests =
        [(1, 2, 12, 1, 40), (2, 2, 9, 3, 40), (1, 1, 300, 2, 600), (1, 2, 8, 4, 2), (3, 1, 1, 1, 3)];
    for (dimensions, trees, window, shingle, points) in forests {
        let snapshot = grown(dimensions, trees, window, shingle, points).snapshot();
        for at in 0..snapshot.len() - CHECKSUM {
            for change in [0x01, 0x02, 0x10, 0x80, 0xff] {
                let mut changed = snapshot.clone();
                changed[at] ^= change;
                seal(&mut changed);
                refuse_or_work(&changed);
            }
        }
    }
}

#[test]
fn sizes_that_lie_are_refused_before_anything_is_allocated() {
    let snapshot = grown(2, 3, 20, 2, 100).snapshot();
    let huge = [0, 1, 0xffff, 0x1_0000, 0xf_ffff, 0x10_0000, 0x100_0000, 0x7fff_ffff, u32::MAX];
    for field in [6, 10, 14, 18, 22, 26, 30] {
        for other in [6, 10, 14, 18, 22, 26, 30] {
            for size in huge {
                let mut lying = snapshot.clone();
                lying[field..field + 4].copy_from_slice(&size.to_le_bytes());
                lying[other..other + 4].copy_from_slice(&size.to_le_bytes());
                seal(&mut lying);
                refuse_or_work(&lying);
            }
        }
    }
}

/// Found by fuzzing: the next shingle was read from points that did not exist.
#[test]
fn points_taken_in_of_which_none_are_left_are_refused() {
    let mut snapshot = grown(1, 1, 1, 3, 0).snapshot();
    snapshot[22] = 100;
    seal(&mut snapshot);
    let missing = Error::DamagedSnapshot("the newest points are missing");
    assert_eq!(Forest::restore(&snapshot).unwrap_err(), missing);
}

/// Found by fuzzing: a point at 0.0 goes to the left of such a cut, and the distance of the cut
/// from that point could not be written.
#[test]
fn a_cut_at_negative_zero_is_refused() {
    let mut forest = Forest::builder(1).trees(1).window(2).build().unwrap();
    forest.update(&[-1.0]).unwrap();
    forest.update(&[1.0]).unwrap();
    let mut snapshot = forest.snapshot();
    // The tree has three branches and two names of one bit each, then the cut.
    let tree = snapshot.len() - CHECKSUM - 5;
    let head = snapshot[tree] & 0x1f;
    for (cut, sound) in [(-0.0, false), (0.0, true)] {
        let bits = u64::from(rank(cut) - rank(-1.0)) << 5 | u64::from(head);
        snapshot[tree..tree + 5].copy_from_slice(&bits.to_le_bytes()[..5]);
        seal(&mut snapshot);
        assert_eq!(Forest::restore(&snapshot).is_ok(), sound, "{cut:?}");
        refuse_or_work(&snapshot);
    }
}

#[test]
fn a_changed_sample_behind_a_right_checksum_is_refused_or_harmless() {
    for sampling in [Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.05 }] {
        let builder = Forest::builder(2).trees(2).window(12).shingle(2).sampling(sampling);
        let mut forest = builder.build().unwrap();
        for n in 0..60_u16 {
            forest.update(&[f32::from(n * n % 7), f32::from(n % 3)]).unwrap();
        }
        let snapshot = forest.snapshot();
        for at in 0..snapshot.len() - CHECKSUM {
            for change in [0x01, 0x02, 0x10, 0x80, 0xff] {
                let mut changed = snapshot.clone();
                changed[at] ^= change;
                seal(&mut changed);
                refuse_or_work(&changed);
            }
        }
    }
}

#[test]
fn a_changed_byte_of_format_1_is_refused_or_harmless() {
    let snapshot = bytes_of(include_str!("format-1.hex"));
    for at in 0..snapshot.len() - CHECKSUM {
        for change in 1..=255 {
            let mut changed = snapshot.clone();
            changed[at] ^= change;
            seal(&mut changed);
            refuse_or_work(&changed);
        }
    }
}

#[test]
fn a_newer_format_is_told_apart_from_damage() {
    let mut snapshot = grown(1, 2, 5, 1, 9).snapshot();
    snapshot[4] = 3;
    assert_eq!(Forest::restore(&snapshot).unwrap_err(), Error::NewerSnapshot { found: 3, newest: 2 });
    snapshot[4] = 0;
    assert!(matches!(Forest::restore(&snapshot), Err(Error::DamagedSnapshot(_))));
}

#[test]
fn a_forest_larger_than_allowed_is_refused() {
    let forest = grown(1, 3, 200, 500, 800);
    let snapshot = forest.snapshot();
    let needed = Forest::restore(&snapshot).unwrap().memory_usage() as u64;
    assert!(needed > 20 * snapshot.len() as u64, "long shingles take far more memory than bytes");
    Forest::restore_within(&snapshot, needed + 8_192).unwrap();
    let short = needed - needed / 20;
    let refused = Forest::restore_within(&snapshot, short).unwrap_err();
    assert!(matches!(refused, Error::TooMuchMemory { limit, .. } if limit == short), "{refused}");
}

/// Found by fuzzing: the marks of removed points take one bit per point of the announced window.
#[test]
fn the_memory_of_a_window_that_is_only_claimed_counts() {
    let mut forest = grown(1, 1, 20, 1, 10);
    forest.remove(&[0.3]).unwrap();
    let mut snapshot = forest.snapshot();
    snapshot[14..18].copy_from_slice(&(1_u32 << 24).to_le_bytes());
    seal(&mut snapshot);
    let refused = Forest::restore_within(&snapshot, 1 << 20).unwrap_err();
    assert!(matches!(refused, Error::TooMuchMemory { needed, .. } if needed >= 1 << 21), "{refused}");
    Forest::restore_within(&snapshot, 1 << 22).unwrap();
}

#[test]
fn the_restored_forest_takes_no_more_memory() {
    for points in [1, 30, 255, 256, 1_000] {
        let forest = grown(3, 5, 256, 2, points);
        let restored = Forest::restore(&forest.snapshot()).unwrap();
        let (before, after) = (forest.memory_usage(), restored.memory_usage());
        assert!(after <= before + 64, "{after} bytes after {before}, {points} points");
    }
}

#[test]
fn a_hundred_trees_fit_120_kilobytes() {
    let mut forest = Forest::builder(1).trees(100).window(256).shingle(8).build().unwrap();
    for n in 0..600_u16 {
        forest.update(&[f32::from(n) * f32::from(n)]).unwrap();
    }
    let bytes = forest.snapshot().len();
    assert!(bytes < 120_000, "{bytes} bytes");
}

#[test]
fn an_index_takes_as_few_bytes_as_it_can() {
    assert_eq!([0, 1, 256, 257, 65_536, 65_537].map(index_bytes), [1, 1, 1, 2, 2, 4]);
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.trim().as_bytes().chunks(2);
    digits.map(|hex| u8::from_str_radix(str::from_utf8(hex).unwrap(), 16).unwrap()).collect()
}

/// A stored snapshot of format 1, which later versions must read.
#[test]
fn the_first_format_stays_readable() {
    let forest = Forest::restore(&bytes_of(include_str!("format-1.hex"))).unwrap();
    check_forest(&forest);
    assert_eq!((forest.dimensions(), forest.shingle(), forest.window(), forest.trees()), (2, 2, 6, 2));
    assert_eq!(forest.updates(), 50);
    assert_eq!(forest.snapshot(), Forest::restore(&forest.snapshot()).unwrap().snapshot());
}

/// The same forest in format 2.
#[test]
fn the_second_format_stays_readable_and_the_cuts_stay_the_same() {
    let bytes = bytes_of(include_str!("format-2.hex"));
    let forest = Forest::restore(&bytes).unwrap();
    check_forest(&forest);
    assert_eq!(forest.snapshot(), bytes);
    let again = grown(2, 2, 6, 2, 50).snapshot();
    assert_eq!(again, bytes, "same seed, same points, same cuts: on every platform");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_restored_forest_continues_bit_for_bit(
        values in values(),
        dimensions in 1_usize..4,
        shingle in 1_usize..4,
        window in windows(),
        sampling in samplings(),
        stop in any::<prop::sample::Index>(),
        seed: u64,
    ) {
        let builder = Forest::builder(dimensions).trees(3).window(window).shingle(shingle).seed(seed).sampling(sampling);
        let mut unbroken = builder.build().unwrap();
        let weights: Vec<f32> = (0..dimensions).map(|d| 1.0 / (d + 1) as f32).collect();
        let points: Vec<&[f32]> = values.chunks_exact(dimensions).collect();
        let (before, after) = points.split_at(if points.is_empty() { 0 } else { stop.index(points.len()) });
        for (n, point) in before.iter().enumerate() {
            if n == before.len() / 2 {
                unbroken.set_weights(&weights).unwrap();
            }
            unbroken.update(point).unwrap();
            if n % 5 == 4 && shingle == 1 {
                unbroken.remove(before[n / 2]).unwrap();
            }
        }
        if before.len() % 3 == 2 {
            unbroken.resize(window + 5).unwrap();
        }
        let mut restored = Forest::restore(&unbroken.snapshot()).unwrap();
        check_forest(&restored);
        prop_assert_eq!(restored.snapshot(), unbroken.snapshot());
        let mut contributions = [vec![0.0; dimensions * shingle], vec![0.0; dimensions * shingle]];
        for point in after {
            let one = unbroken.update_attributed(point, &mut contributions[0]).unwrap();
            let other = restored.update_attributed(point, &mut contributions[1]).unwrap();
            prop_assert_eq!(one.codisp.to_bits(), other.codisp.to_bits());
            prop_assert_eq!(one, other);
            prop_assert_eq!(&contributions[0], &contributions[1]);
        }
        prop_assert_eq!(restored.snapshot(), unbroken.snapshot());
        check_forest(&restored);
    }

    #[test]
    fn bytes_that_were_never_a_snapshot_are_refused_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut snapshot = grown(2, 2, 10, 2, 60).snapshot();
        let end = snapshot.len() - CHECKSUM;
        for (at, byte) in changes {
            snapshot[at.index(end)] = byte;
        }
        seal(&mut snapshot);
        refuse_or_work(&snapshot);
    }
}
