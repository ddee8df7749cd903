//! The trait of vectors of eight numbers.

/// Numbers in an [`Eight`].
pub(crate) const LANES: usize = 8;

/// Work that runs in a function of its own: see [`Eight::apart`].
pub(crate) trait Job {
    /// Does the work. Every implementation must be `#[inline(always)]`.
    fn run(self);
}

/// Eight numbers. Comparisons return all ones or all zeros in each lane.
pub(crate) trait Eight: Copy {
    /// Whether points of more than eight dimensions have specialised code.
    const WIDE: bool = false;

    fn splat(value: f32) -> Self;
    fn load(lanes: &[f32; LANES]) -> Self;
    fn store(self, lanes: &mut [f32; LANES]);
    fn min(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn less(self, other: Self) -> Self;
    fn at_most(self, other: Self) -> Self;
    fn differs(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    /// Returns `yes` in the lanes where the comparison held, and `no` in the others.
    fn choose(held: Self, yes: Self, no: Self) -> Self;
    /// Returns one bit per lane: whether the comparison held.
    fn mask(self) -> u32;
    /// Returns the sum of all lanes: adds halves first, then quarters, then pairs.
    fn sum(self) -> f32;

    /// Does some work in a separate function, compiled for the processors that have these vectors.
    ///
    /// All inner loops are inlined into the function that chose the vectors. Without such borders,
    /// that would be one function of thousands of lines, which keeps nothing in registers.
    fn apart(job: impl Job);

    /// Returns one bit per cut: whether the point's value in the cut's dimension is greater than
    /// the cut. The bit is arbitrary for dimensions of eight or more.
    #[inline(always)]
    fn sides<const C: usize>(self, dimensions: &[u8; C], cuts: &[[u8; 4]; C]) -> u32 {
        let point = self.to_array();
        let mut sides = 0;
        for i in 0..C {
            let value = point[usize::from(dimensions[i]) % LANES];
            sides |= u32::from(value > f32::from_le_bytes(cuts[i])) << i;
        }
        sides
    }

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        lanes
    }
}
