//! The levels of a bucket's gaps in one word. They tell which inner node is above which.

const EACH: u64 = 0x1111_1111_1111_1111;
const EVEN: u64 = 0x0f0f_0f0f_0f0f_0f0f;
const BYTE: u64 = 0x0101_0101_0101_0101;

/// The levels of up to sixteen gaps, four bits each. The bits after the last gap are zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels(pub(crate) u64);

impl Levels {
    pub(crate) const NONE: Self = Self(0);

    #[inline(always)]
    fn level(self, gap: usize) -> usize {
        (self.0 >> (4 * gap) & 15) as usize
    }

    /// Returns the gap that divides a stretch of leaves. `level` is the level of the stretch's
    /// root.
    #[inline(always)]
    pub(crate) fn root_of(self, level: usize, first: usize, last: usize) -> usize {
        let differing = self.0 ^ (EACH * level as u64);
        let differing = differing | differing >> 2;
        let differing = differing | differing >> 1;
        let equal = !differing & EACH & (u64::MAX << (4 * first));
        check!(equal.trailing_zeros() / 4 < last as u32);
        equal.trailing_zeros() as usize / 4
    }

    /// Starts a descent from the root of `leaves` leaves. `sides` has one bit per gap: whether the
    /// way goes to the right of it.
    #[inline(always)]
    pub(crate) fn descent(self, leaves: usize, sides: u32) -> Descent {
        Descent { levels: self.0, level: 0, within: EACH & below(leaves - 1), sides }
    }

    /// Removes one of `leaves` leaves and the gap that is its parent. Returns that gap. There must
    /// be at least two leaves.
    #[inline(always)]
    pub(crate) fn close(&mut self, leaf: usize, leaves: usize) -> usize {
        check!(leaves >= 2 && leaf < leaves);
        let gaps = leaves - 1;
        let left_is_parent = leaf == gaps || (leaf > 0 && self.level(leaf - 1) > self.level(leaf));
        let parent = leaf - usize::from(left_is_parent);
        // The sibling of the leaf moves up by one level. Its gaps are the gaps next to the parent
        // that are deeper than the parent.
        let not_deeper = (!self.deeper_than(self.level(parent)) | !below(gaps)) & (EACH << 3);
        let begin = (64 - (not_deeper & below(parent)).leading_zeros() as usize) / 4;
        let end = (not_deeper & !below(leaf + 1)).trailing_zeros() as usize / 4;
        let (begin, end) = if left_is_parent { (begin, parent) } else { (leaf + 1, end) };
        let sibling = below(end) & !below(begin);
        let levels = self.0 - (EACH & sibling);
        self.0 = (levels & below(parent)) | (levels >> 4 & !below(parent));
        parent
    }

    /// Inserts a new leaf to the left or right of a stretch of leaves, and a gap above the root of
    /// the stretch. `level` is the level of that root. Returns the indices of the new gap and leaf.
    #[inline(always)]
    pub(crate) fn open(
        &mut self,
        (first, last): (usize, usize),
        level: usize,
        right: bool,
    ) -> (usize, usize) {
        let levels = self.0 + (EACH & below(last) & !below(first));
        let (gap, leaf) = if right { (last, last + 1) } else { (first, first) };
        self.0 = (levels & below(gap)) | ((levels & !below(gap)) << 4) | (level as u64) << (4 * gap);
        (gap, leaf)
    }

    /// Joins two subtrees that lie side by side under a new root, the gap between them, whose level
    /// is 0. `first` and `last` limit the leaves of both.
    #[inline(always)]
    pub(crate) fn nest(self, (first, last): (usize, usize), root: usize) -> Self {
        check!(self.level(root) == 0);
        Self(self.0 + (EACH & below(last) & !below(first) & !(15 << (4 * root))))
    }

    /// Returns the gaps `from..to`, which must be a subtree, by themselves and one level higher.
    pub(crate) fn part(self, from: usize, to: usize) -> Self {
        let part = below(to) & !below(from);
        let levels = (self.0 & part) - (EACH & part);
        Self(levels.checked_shr(4 * from as u32).unwrap_or(0))
    }

    /// Joins two subtrees, with the given numbers of gaps, under a new root between them.
    pub(crate) fn join(left: Self, left_gaps: usize, right: Self, right_gaps: usize) -> Self {
        let deeper = right.0 + (EACH & below(right_gaps));
        let left = left.0 + (EACH & below(left_gaps));
        Self(left | deeper.checked_shl(4 * (left_gaps as u32 + 1)).unwrap_or(0))
    }

    /// Returns the uppermost of each gap's four bits, set if the gap's level is greater than
    /// `level`.
    #[inline(always)]
    fn deeper_than(self, level: usize) -> u64 {
        let least = BYTE * (level as u64 + 1);
        let even = ((self.0 & EVEN) | BYTE << 7) - least;
        let odd = ((self.0 >> 4 & EVEN) | BYTE << 7) - least;
        (even & BYTE << 7) >> 4 | (odd & BYTE << 7)
    }
}

/// A descent through the gaps of a bucket.
pub(crate) struct Descent {
    levels: u64,
    /// The level of the next gap, repeated in every gap's four bits.
    level: u64,
    /// The lowest of each gap's four bits, set if the gap is in the current stretch.
    within: u64,
    sides: u32,
}

impl Descent {
    /// Returns the next gap, and whether the way goes to the right of it. Returns `None` at a leaf.
    #[inline(always)]
    pub(crate) fn step(&mut self) -> Option<(usize, bool)> {
        if self.within == 0 {
            return None;
        }
        let differing = self.levels ^ self.level;
        let differing = differing | differing >> 2;
        let differing = differing | differing >> 1;
        // Only the root of the stretch has this level.
        let root = self.within & !differing;
        check!(root.is_power_of_two());
        let gap = root.trailing_zeros() as usize / 4;
        let right = self.sides >> gap & 1 == 1;
        let (on_left, on_right) = (root.wrapping_sub(1), !(root ^ root.wrapping_sub(1)));
        self.within &= if right { on_right } else { on_left };
        self.level += EACH;
        Some((gap, right))
    }
}

/// Returns all bits of the gaps below `gap`.
#[inline(always)]
fn below(gap: usize) -> u64 {
    if gap >= 16 { u64::MAX } else { (1 << (4 * gap)) - 1 }
}
