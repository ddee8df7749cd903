use super::*;

#[test]
fn fields_that_often_change_make_a_rare_step_less_rare() {
    let observe = |steps: &mut Steps, ts: i64, values: &[f64]| {
        steps.observe(StepRow { ts: ts * 1_000_000, values, after_silence: false }, true);
        steps.rarity()
    };
    let rarity = |moving: bool| {
        let mut steps = Steps::new(11);
        for i in 0..1_000 {
            let mut values = vec![if moving { (i / 30 % 2) as f64 } else { 0.0 }; 11];
            values[0] = 5.0;
            observe(&mut steps, i, &values);
        }
        assert!(steps.are_all_stepwise());
        let mut values = vec![0.0; 11];
        values[0] = 9.0;
        observe(&mut steps, 1_000, &values)
    };
    assert!(
        (rarity(false) - rarity(true) - 1.0).abs() < 0.1,
        "ten fields move: {} {}",
        rarity(false),
        rarity(true)
    );
}

#[test]
fn a_missing_value_is_not_judged() {
    let mut steps = Steps::new(2);
    for ts in 0..100 {
        steps.observe(StepRow { ts, values: &[1.0, f64::NAN], after_silence: false }, true);
        assert_eq!(steps.rarity(), 0.0);
    }
    assert!(!steps.are_all_stepwise());
}
