use proptest::prelude::*;

use super::{Eight, LANES, Portable};

fn lanes() -> impl Strategy<Value = [f32; LANES]> {
    let value = prop_oneof![
        -1e3_f32..1e3,
        Just(0.0),
        Just(f32::MAX),
        Just(f32::MIN),
        Just(f32::INFINITY),
        Just(f32::NEG_INFINITY),
        (0_u32..9).prop_map(f32::from_bits),
        (0_u32..9).prop_map(|ulps| f32::from_bits(1.7e9_f32.to_bits() + ulps)),
    ];
    prop::array::uniform8(value)
}

#[allow(clippy::many_single_char_names, reason = "the vectors have no better names")]
/// Returns the results of all operations on three vectors, as bits, and the sides of sixteen cuts.
fn everything<V: Eight>(
    a: &[f32; LANES],
    b: &[f32; LANES],
    c: &[f32; LANES],
    dimensions: &[u8; 16],
) -> Vec<u32> {
    let (x, y, z) = (V::load(a), V::load(b), V::load(c));
    let cuts: [[u8; 4]; 16] =
        std::array::from_fn(|i| if i < LANES { b[i] } else { c[i - LANES] }.to_le_bytes());
    let mut bits: Vec<u32> = [
        x.min(y),
        x.max(y),
        x.sub(y),
        x.add(y),
        x.mul(y),
        z.mul(x.sub(y).max(y.sub(z)).max(V::splat(0.0))),
        V::choose(x.less(y).or(z.less(y)), x, z),
        x.and(y.less(z)),
    ]
    .iter()
    .flat_map(|vector| vector.to_array())
    // The bits of a NaN may differ.
    .map(|lane| if lane.is_nan() { u32::MAX } else { lane.to_bits() })
    .collect();
    bits.extend([x.less(y), x.at_most(y), x.differs(y)].map(Eight::mask));
    bits.push(x.max(y).min(V::splat(1e4)).max(V::splat(-1e4)).sum().to_bits());
    bits.push(x.sides(dimensions, &cuts));
    bits
}

proptest! {
    #[test]
    fn all_implementations_give_the_same_bits(
        a in lanes(),
        b in lanes(),
        c in lanes(),
        dimensions in prop::array::uniform16(0_u8..8),
    ) {
        let expected = everything::<Portable>(&a, &b, &c, &dimensions);
        prop_assert_eq!(expected.len(), 8 * LANES + 5);
        prop_assert_eq!(&everything::<super::Baseline>(&a, &b, &c, &dimensions), &expected);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            prop_assert_eq!(&everything::<super::Avx2>(&a, &b, &c, &dimensions), &expected);
        }
    }
}

/// A process reads the switch only once, so the test starts a process of its own.
#[cfg(feature = "__plain-lanes")]
#[test]
fn a_crash_test_can_hide_the_wide_registers() {
    if std::env::var_os("RRCF_LANES").is_some() {
        assert!(!super::wide_registers());
        return;
    }
    let program = std::env::current_exe().unwrap();
    let test = ["--exact", "eight::tests::a_crash_test_can_hide_the_wide_registers"];
    let output = std::process::Command::new(program).args(test).env("RRCF_LANES", "plain").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
