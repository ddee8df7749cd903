use super::*;
use crate::noise::Noise;

const MINUTE: i64 = 60_000_000;

fn config() -> DetectorConfig {
    DetectorConfig { trees: 4, points: 64, ..DetectorConfig::default() }
}

/// Calibrates a model with the first 16 rows, and lets it learn all rows, each with `learn`.
fn model_of(rows: &[(i64, Vec<f64>)], mut learn: impl FnMut(usize, &Model)) -> Model {
    let config = config();
    let mut model = Model::calibrate(&rows[..16], &config, 7, None).unwrap();
    for (i, (ts, values)) in rows.iter().enumerate() {
        let rate = 1.0 / (i as f64).clamp(16.0, 10_000.0);
        let row = Row { ts: *ts, values, after_silence: false };
        model.score(row, &config, Learning { pace: LearningPace::Full, turn: true, rate }).unwrap();
        model.learn_pasts();
        learn(i, &model);
    }
    model
}

/// The usual and the greatest measures of the readings 1,000 to 1,200 of an autoregression, of which
/// some first values are implausible. One of the readings is at the wrong place.
fn greatest_after(garbage: &[(usize, f64)]) -> Vec<f64> {
    let (mut x, mut noise) = (0.0, Noise::new(3));
    let mut rows: Vec<(i64, Vec<f64>)> = (0..1_200)
        .map(|i| {
            x = 0.95 * x + noise.uniform() - 0.5;
            (i * MINUTE, vec![20.0 + x])
        })
        .collect();
    for &(at, value) in garbage {
        rows[at].1[0] = value;
    }
    rows[1_100].1[0] += 2.0;
    let mut greatest: Vec<f64> = Vec::new();
    model_of(&rows, |i, model| {
        greatest.resize(model.measures().len(), 0.0);
        if i >= 1_000 {
            for (greatest, &measure) in greatest.iter_mut().zip(model.measures()) {
                *greatest = greatest.max(measure);
            }
        }
    });
    greatest
}

#[test]
fn implausible_first_values_blind_neither_the_forecast_nor_the_course() {
    let usual = greatest_after(&[]);
    for garbage in
        [&[(0, 65_535.0)][..], &[(0, 4_294_967_295.0)], &[(1, 65_535.0)], &[(2, -1e9)], &[(0, 85.0)]]
    {
        let found = greatest_after(garbage);
        for (measure, (found, usual)) in found.iter().zip(&usual).enumerate() {
            assert!(*found > 0.5 * usual, "{garbage:?}, measure {measure}: {found}, usually {usual}");
        }
    }
}

#[test]
fn a_field_that_is_stuck_does_not_hold_the_scales_of_the_others() {
    let mut noise = Noise::new(5);
    let row = |i: i64| {
        let size = if i < 1_000 { 1.0 } else { 20.0 };
        let other = noise.uniform();
        (i * MINUTE, vec![size * noise.uniform(), if i < 900 { other } else { 0.5 }])
    };
    let rows: Vec<(i64, Vec<f64>)> = (0..4_000).map(row).collect();
    let (mut at_first, mut stuck) = (Vec::new(), 0);
    let model = model_of(&rows, |i, model| {
        stuck += usize::from(model.stuck == [false, true]);
        if i == 900 {
            at_first = model.scales.iter().map(Scale::spread).collect();
        }
    });
    assert!(stuck > 3_000, "{stuck}");
    let spreads: Vec<f64> = model.scales.iter().map(Scale::spread).collect();
    assert!(spreads[0] > 10.0 * at_first[0], "{spreads:?} {at_first:?}");
    assert!(spreads[1] > 0.5 * at_first[1], "the scale of the stuck field rests: {spreads:?} {at_first:?}");
}
