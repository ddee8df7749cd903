use super::*;

const MINUTE: i64 = 60_000_000;

/// Returns the value of a reading.
type Series = fn(i32) -> f64;

fn run(field: &mut FieldSteps, ts: &mut i64, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut observe = |value| {
        *ts += MINUTE;
        field.observe(StepReading { ts: *ts, value, after_silence: false }, true).rarity()
    };
    values.into_iter().map(&mut observe).collect()
}

#[test]
fn a_constant_a_contact_and_modes_are_stepwise_and_noise_is_not() {
    let hash = |i: i32| f64::from(i * 7_919 % 1_009);
    let series: [(&str, Series, bool); 7] = [
        ("constant", |_| 4.0, true),
        ("contact", |i| f64::from(i % 2), true),
        ("modes", |i| f64::from(i / 20 % 4), true),
        ("rare steps", |i| f64::from(i / 200), true),
        ("noise", |i| f64::from(i * 7_919 % 1_009), false),
        ("quantised noise", |i| f64::from(i * 7_919 % 1_009 / 100), false),
        ("a ramp", f64::from, false),
    ];
    for (name, value, is_stepwise) in series {
        let (mut field, mut ts) = (FieldSteps::default(), 0);
        run(&mut field, &mut ts, (0..2_000).map(value));
        assert_eq!(field.is_stepwise(), is_stepwise, "{name}");
        assert!(field.memory_usage() <= 2_048, "{name}");
    }
    let (mut field, mut ts) = (FieldSteps::default(), 0);
    run(&mut field, &mut ts, std::iter::repeat_n(0.0, 100));
    run(&mut field, &mut ts, (0..200).map(hash));
    assert!(!field.is_stepwise(), "a constant that becomes noisy");
}

#[test]
fn a_reading_at_the_usual_value_is_never_rare() {
    let (mut field, mut ts) = (FieldSteps::default(), 0);
    let rarities = run(&mut field, &mut ts, (0..5_000).map(|i| f64::from(u8::from(i % 1_000 == 999))));
    let usual = rarities.iter().enumerate().filter(|(i, _)| i % 1_000 != 999);
    assert!(usual.clone().all(|(_, &rarity)| rarity < 0.5), "{:?}", usual.max_by(|a, b| a.1.total_cmp(b.1)));
    assert!(rarities[999] >= 5.0 && rarities[1_999] < 3.5, "{} {}", rarities[999], rarities[1_999]);
}

#[test]
fn a_tiny_change_is_no_step() {
    let (mut field, mut ts) = (FieldSteps::default(), 0);
    run(&mut field, &mut ts, std::iter::repeat_n(21.5, 1_000));
    assert!(run(&mut field, &mut ts, [21.500_01])[0] < 0.01);
    assert!(run(&mut field, &mut ts, [35.0])[0] > 4.5, "a tiny change does not make a great one less rare");
}

#[test]
fn nothing_is_rare_about_a_stay_that_a_silence_interrupts() {
    let (mut field, mut ts) = (FieldSteps::default(), 0);
    for _ in 0..100 {
        run(&mut field, &mut ts, std::iter::repeat_n(0.0, 20));
        run(&mut field, &mut ts, [1.0, 1.0]);
    }
    let mut after = field.clone();
    assert!(run(&mut field, &mut ts, std::iter::repeat_n(1.0, 60)).last() > Some(&3.5));
    ts += 1_000 * MINUTE;
    let first = after.observe(StepReading { ts, value: 1.0, after_silence: true }, true);
    assert_eq!(first.stay, 0.0);
    assert!(run(&mut after, &mut ts, [1.0, 1.0]).iter().all(|&rarity| rarity < 1.0));
}
