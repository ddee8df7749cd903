use proptest::prelude::*;

use super::{Bucket, CAPACITY, Opening, Step};

/// The same subtree, with links.
#[derive(Clone, Debug, PartialEq)]
enum Model {
    Leaf(u32),
    Node(Box<(Model, (u16, f32), Model)>),
}

impl Model {
    fn node(left: Self, cut: (u16, f32), right: Self) -> Self {
        Self::Node(Box::new((left, cut, right)))
    }

    fn of(bucket: &Bucket) -> Self {
        let steps: Vec<Step> = bucket.walk().collect();
        let mut steps = steps.iter();
        let model = Self::build(bucket, &mut steps);
        assert!(steps.next().is_none(), "one root");
        model
    }

    fn build(bucket: &Bucket, steps: &mut std::slice::Iter<'_, Step>) -> Self {
        match *steps.next().unwrap() {
            Step::Leaf(leaf) => Self::Leaf(bucket.slots[leaf]),
            Step::Gap { gap, first, last } => {
                assert!(first <= gap && gap < last);
                let left = Self::build(bucket, steps);
                let right = Self::build(bucket, steps);
                Self::node(left, (bucket.dimensions[gap], bucket.cuts[gap]), right)
            }
        }
    }

    /// Puts a leaf beside the subtree that `turns` lead to.
    fn insert(self, turns: &[bool], right: bool, cut: (u16, f32), slot: u32) -> Self {
        match (turns, self) {
            ([turn, rest @ ..], Self::Node(node)) => {
                let (one, kept, other) = *node;
                if *turn {
                    Self::node(one, kept, other.insert(rest, right, cut, slot))
                } else {
                    Self::node(one.insert(rest, right, cut, slot), kept, other)
                }
            }
            (_, here) if right => Self::node(here, cut, Self::Leaf(slot)),
            (_, here) => Self::node(Self::Leaf(slot), cut, here),
        }
    }

    fn remove(self, slot: u32) -> Option<Self> {
        match self {
            Self::Leaf(own) => (own != slot).then_some(Self::Leaf(own)),
            Self::Node(node) => {
                let (left, cut, right) = *node;
                match (left.remove(slot), right.remove(slot)) {
                    (Some(left), Some(right)) => Some(Self::node(left, cut, right)),
                    (left, right) => left.or(right),
                }
            }
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Node(node) => 1 + node.0.depth().max(node.2.depth()),
        }
    }
}

/// Returns the stretch of leaves that the turns lead to, and its level.
fn follow(bucket: &Bucket, turns: &[bool]) -> (usize, usize, usize) {
    let (mut first, mut last, mut level) = (0, bucket.len - 1, 0);
    for &turn in turns {
        if first == last {
            break;
        }
        let gap = bucket.levels.root_of(level, first, last);
        if turn {
            first = gap + 1;
        } else {
            last = gap;
        }
        level += 1;
    }
    (first, last, level)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_bucket_is_the_subtree_it_stands_for(
        changes in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<bool>(), 0..16), any::<bool>(), any::<prop::sample::Index>()),
            1..120,
        ),
    ) {
        let mut bucket = Bucket::EMPTY;
        bucket.len = 1;
        bucket.slots[0] = 1_000;
        let mut model = Model::Leaf(1_000);
        for (n, (grow, turns, right, index)) in changes.into_iter().enumerate() {
            let slot = n as u32;
            if bucket.len == 1 || (grow && bucket.len <= CAPACITY) {
                let (first, last, level) = follow(&bucket, &turns);
                let cut = (slot as u16, slot as f32);
                let opening =
                    Opening { stretch: (first, last), level, right, cut: (slot as usize, slot as f32), slot };
                bucket.insert(&opening);
                model = model.insert(&turns, right, cut, slot);
            } else {
                let leaf = index.index(bucket.len);
                let gone = bucket.slots[leaf];
                bucket.remove(leaf);
                model = model.remove(gone).unwrap();
                prop_assert!(!bucket.slots[..bucket.len].contains(&gone));
            }
            prop_assert_eq!(&Model::of(&bucket), &model);
            prop_assert!(model.depth() <= CAPACITY);
            if bucket.len >= 2 {
                let (left, cut, right) = bucket.split();
                prop_assert_eq!(&Model::node(Model::of(&left), cut, Model::of(&right)), &model);
                if bucket.len <= CAPACITY {
                    prop_assert_eq!(&Model::of(&Bucket::join(&left, cut, &right)), &model);
                }
            }
        }
    }
}
