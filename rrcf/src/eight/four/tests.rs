use proptest::prelude::*;

use super::{Four, Quotients, portable};

/// Returns the results of all operations of one implementation.
macro_rules! everything {
    ($four:ty, $quotients:ty, $a:expr, $b:expr, $best:expr) => {{
        let [a, b] = [$a, $b].map(<$four>::new);
        let [p, q] = $best.map(|number: [u32; 4]| <$four>::new(number));
        let numbers = [a.sign(), a.half(), a.add(b), a.sub(b), a.and(b), <$four>::choose(a.sign(), a, b)];
        let quotients = <$quotients>::zero().or_greater(p, q).or_greater(q, p);
        (numbers.map(<$four>::to_array), a.any_sign(), quotients.to_array().map(f64::to_bits))
    }};
}

proptest! {
    #[test]
    fn both_implementations_give_the_same_bits(
        a in prop::array::uniform4(any::<u32>()),
        b in prop::array::uniform4(any::<u32>()),
        positive in prop::array::uniform2(prop::array::uniform4(1_u32..1 << 31)),
    ) {
        let expected = everything!(portable::Four, portable::Quotients, a, b, positive);
        prop_assert_eq!(everything!(Four, Quotients, a, b, positive), expected);
    }
}
