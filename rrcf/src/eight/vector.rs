//! Eight numbers: what can be done with them.

/// Numbers in an [`Eight`].
pub(crate) const LANES: usize = 8;

/// Some work that is worth a function of its own: see [`Eight::apart`].
pub(crate) trait Job {
    /// Does it. To be inlined, always.
    fn run(self);
}

/// Eight numbers. Comparisons give all ones or all zeros per lane.
pub(crate) trait Eight: Copy {
    /// Whether more than eight dimensions are worth code of their own.
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
    /// `yes` where the comparison held, `no` elsewhere.
    fn choose(held: Self, yes: Self, no: Self) -> Self;
    /// A bit per lane: whether the comparison held.
    fn mask(self) -> u32;
    /// The sum of all lanes: halves first, then quarters, then pairs.
    fn sum(self) -> f32;

    /// Does some work in a function of its own, compiled for the processors that these numbers are for.
    ///
    /// All inner loops are inlined into whoever chose the kind of numbers. Without some borders, that is one function of
    /// thousands of lines, in which nothing is left in a register.
    fn apart(job: impl Job);

    /// For every cut a bit: whether the point's value in the dimension of the same index is greater. Dimensions at or beyond eight give any
    /// bit.
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
