use super::*;

fn calm(i: u32) -> [f64; FOREST_MEASURES] {
    [f64::from(i * 7_919 % 97) / 50.0; FOREST_MEASURES]
}

fn after_calm() -> MeasureHistories {
    let mut histories = MeasureHistories::new(&OF_LEVEL);
    for i in 0..2_000 {
        observe_all(&mut histories, calm(i));
        histories.learn(&calm(i));
    }
    histories
}

fn observe_all(histories: &mut MeasureHistories, values: [f64; FOREST_MEASURES]) -> Surprise {
    histories.observe(&OF_LEVEL, &values, &values, LearningPace::Full, 20.0)
}

fn observe(histories: &mut MeasureHistories, value: f64) -> f64 {
    observe_all(histories, [value; FOREST_MEASURES]).mean
}

#[test]
fn a_greater_measure_is_more_surprising() {
    let surprises: Vec<f64> =
        [1.0, 1.9, 3.0, 6.0].iter().map(|&value| observe(&mut after_calm(), value)).collect();
    assert!(surprises.is_sorted_by(|a, b| a < b), "{surprises:?}");
}

#[test]
fn a_small_excess_again_and_again_is_surprising() {
    let mut histories = after_calm();
    let first = observe(&mut histories, 1.85);
    let mut last = first;
    for _ in 0..30 {
        last = observe(&mut histories, 1.85);
    }
    assert!(last > 2.0 * first, "{first} became {last}");
}

#[test]
fn a_few_unusual_readings_are_rare_in_the_short_mean_first_and_many_in_the_long_one() {
    let mut histories = MeasureHistories::new(&OF_LEVEL);
    let mut noise = crate::noise::Noise::new(3);
    for _ in 0..5_000 {
        let calm = [2.0 * noise.uniform(); FOREST_MEASURES];
        observe_all(&mut histories, calm);
        histories.learn(&calm);
    }
    let mut rarities_after = |readings: u32| {
        for _ in 0..readings {
            observe(&mut histories, 1.9);
        }
        let means = histories.rarities[0].means.unwrap();
        [means.short.rarity, means.long.rarity]
    };
    let [short, long] = rarities_after(4);
    assert!(short > long + 0.5, "{short} {long}");
    let [short, long] = rarities_after(30);
    assert!(long > short + 0.5, "{short} {long}");
}

#[test]
fn the_onset_comes_from_the_reading_and_the_long_mean() {
    let mut histories = after_calm();
    for _ in 0..3 {
        observe_all(&mut histories, [1.8, 1.7, 1.6]);
    }
    let surprise = observe_all(&mut histories, [1.8, 1.7, 1.6]);
    let mean = |of: fn(MovingMeans) -> RatedValue| {
        mean_of(histories.rarities.iter().map(|measure| of(measure.means.unwrap()).rarity))
    };
    let own = mean_of(histories.rarities.iter().map(|measure| measure.present.rarity));
    let [short, long] = [mean(|means| means.short), mean(|means| means.long)];
    assert!((surprise.onset - f64::midpoint(own, long)).abs() < 1e-12);
    assert!((surprise.mean - combine(own, short, long)).abs() < 1e-12);
    assert!((surprise.onset - surprise.mean).abs() > 0.01, "{surprise:?}");
}

#[test]
fn of_a_reading_and_its_means_the_greatest_counts_most() {
    assert!((combine(2.0, 2.0, 2.0) - 2.0).abs() < 1e-12);
    let [own, short, long] = [combine(3.0, 0.5, 0.5), combine(0.5, 3.0, 0.5), combine(0.5, 0.5, 3.0)];
    assert_eq!(own, short);
    assert!(own > 2.0 && long > own && long < 3.0, "{own} {long}");
}

#[test]
fn a_learnt_value_surprises_less() {
    let mut histories = after_calm();
    let first = observe(&mut histories, 5.0);
    for _ in 0..500 {
        observe(&mut histories, 5.0);
        histories.learn(&[5.0; FOREST_MEASURES]);
    }
    let last = observe(&mut histories, 5.0);
    assert!(last < 0.4 * first, "{first} became {last}");
}

#[test]
fn during_caution_the_pasts_learn_other_measures_than_those_that_count() {
    let (mut cautious, mut other) = (after_calm(), after_calm());
    for i in 0..200 {
        let unrest = [3.0; FOREST_MEASURES];
        let seen = cautious.observe(&OF_LEVEL, &unrest, &calm(i), LearningPace::Cautious, 20.0);
        assert!(seen.mean > 2.0, "{}", seen.mean);
        cautious.learn(&calm(i));
        observe_all(&mut other, calm(i));
        other.learn(&calm(i));
    }
    let next = observe_all(&mut cautious, calm(7));
    assert_eq!(next.mean, observe_all(&mut other, calm(7)).mean);
    assert!(cautious.histories == other.histories);
}

#[test]
fn an_anomaly_goes_on_from_the_means_that_count() {
    let mut histories = after_calm();
    for _ in 0..50 {
        let unrest = [3.0; FOREST_MEASURES];
        histories.observe(&OF_LEVEL, &unrest, &calm(7), LearningPace::Cautious, 20.0);
    }
    let unrest = [3.0; FOREST_MEASURES];
    histories.observe(&OF_LEVEL, &unrest, &unrest, LearningPace::Slow, 20.0);
    observe(&mut histories, 3.0);
    let means = histories.rarities[0].means.unwrap();
    assert!(means.short.value > 2.7 && means.long.value > 2.7, "{means:?}");
}
