//! The forests of `krcflib` that are measured, in their fastest configuration.
//!
//! This is: no thread pool, cached bounding boxes for all nodes, internal shingling, no rotation,
//! and the smallest of the four sets of index types that holds the size. The library's
//! `build_default` chooses in the same way but hides the type. A forest of hidden type can be
//! neither cloned nor serialised, so [`PeerForest`] names the types.

use rcflib::rcf::{AugmentedRCF, RCFBuilder, RCFLarge, RCFMedium, RCFOptionsBuilder, RCFSmall, RCFTiny};
use serde::{Deserialize, Serialize};

use crate::contest::{Contestant, Mode, Size};

/// A forest of krcflib with the index types it was built with.
#[derive(Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of krcflib")]
pub enum PeerForest {
    Tiny(Box<RCFTiny<u64, u64>>),
    Small(Box<RCFSmall<u64, u64>>),
    Medium(Box<RCFMedium<u64, u64>>),
    Large(Box<RCFLarge<u64, u64>>),
}

/// Builds an empty forest.
pub fn build(size: Size, mode: Mode, seed: u64) -> PeerForest {
    let mut builder = RCFBuilder::new(size.fields, size.shingle);
    builder
        .number_of_trees(size.trees)
        .tree_capacity(size.window)
        .time_decay(time_decay(mode, size.window))
        .random_seed(seed)
        .bounding_box_cache_fraction(1.0)
        .internal_shingling(true)
        .internal_rotation(false)
        .parallel_enabled(false);
    let tiny = || builder.build_tiny_simple().map(|forest| PeerForest::Tiny(Box::new(forest)));
    let small = || builder.build_small_simple().map(|forest| PeerForest::Small(Box::new(forest)));
    let medium = || builder.build_medium_simple().map(|forest| PeerForest::Medium(Box::new(forest)));
    let large = || builder.build_large_simple().map(|forest| PeerForest::Large(Box::new(forest)));
    tiny().or_else(|_| small()).or_else(|_| medium()).or_else(|_| large()).expect("sizes that krcflib takes")
}

fn time_decay(mode: Mode, window: usize) -> f64 {
    match mode {
        Mode::Fifo => 1.0,
        Mode::Decay => 0.1 / window as f64,
    }
}

impl PeerForest {
    /// Returns the bytes that the forest reports to occupy.
    pub fn memory_usage(&self) -> usize {
        match self {
            Self::Tiny(forest) => forest.size(),
            Self::Small(forest) => forest.size(),
            Self::Medium(forest) => forest.size(),
            Self::Large(forest) => forest.size(),
        }
    }

    /// Returns the state in the postcard format, the smallest format that keeps every bit.
    pub fn snapshot(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("every field can be serialised")
    }

    /// Restores a forest from a snapshot.
    pub fn restore(snapshot: &[u8]) -> Self {
        postcard::from_bytes(snapshot).expect("a snapshot of this process")
    }

    fn forest(&mut self) -> &mut dyn AugmentedRCF<u64, u64> {
        match self {
            Self::Tiny(forest) => forest.as_mut(),
            Self::Small(forest) => forest.as_mut(),
            Self::Medium(forest) => forest.as_mut(),
            Self::Large(forest) => forest.as_mut(),
        }
    }
}

impl Contestant for PeerForest {
    fn step(&mut self, point: &[f32]) -> f64 {
        let forest = self.forest();
        let score = forest.score(point).expect("a finite point of the right length");
        forest.update(point, 0).expect("a finite point of the right length");
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::warm;
    use crate::series::{Kind, Series};

    #[test]
    fn index_types_are_the_smallest_that_hold_the_size() {
        let size = Size { fields: 1, shingle: 1, trees: 40, window: 256 };
        assert!(matches!(build(size, Mode::Fifo, 1), PeerForest::Tiny(_)));
        assert!(matches!(build(Size::MAIN, Mode::Fifo, 1), PeerForest::Small(_)));
        assert!(matches!(build(Size { window: 1_024, ..size }, Mode::Fifo, 1), PeerForest::Medium(_)));
    }

    #[test]
    fn a_restored_forest_continues_as_the_original() {
        let mut series = Series::new(Kind::Cont, 1, 1);
        let mut forest = build(Size { trees: 5, window: 32, ..Size::MAIN }, Mode::Decay, 1);
        warm(&mut [&mut forest], &mut series, 200);
        let mut restored = PeerForest::restore(&forest.snapshot());
        for point in series.take(100) {
            assert_eq!(forest.step(&point).to_bits(), restored.step(&point).to_bits());
        }
    }
}
