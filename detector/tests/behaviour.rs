//! Guarantees for a program that embeds a detector: determinism, snapshots, rejected readings, and
//! the effect of a changed configuration.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue may panic")]

mod series;

use proptest::prelude::*;
use series::{Noise, SECOND, Sensor, test_config};
use thicket_detector::{
    ClockContext, Detection, Detector, DetectorConfig, Explanation, MeasureExplanation, Rejected,
    RestoreError, ViewExplanation,
};

fn small() -> DetectorConfig {
    DetectorConfig { trees: 3, points: 64, warm_up: 50, ..test_config() }
}

fn split_names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Returns the timestamp and values of reading `i`: two fields, deterministic, with occasional
/// spikes, gaps and missing fields.
fn reading(i: i64) -> (i64, Vec<f64>) {
    let hash = |salt: i64| ((i + salt) * 7_919 % 1_009) as f64 / 1_009.0;
    let spike = if i % 97 > 90 { 30.0 } else { 0.0 };
    let pitch = if i % 61 == 60 { f64::NAN } else { 400.0 + 20.0 * hash(500) };
    ((i + i / 150 * 1_000) * SECOND, vec![50.0 + hash(1) + spike, pitch])
}

fn run(detector: &mut Detector, range: std::ops::Range<i64>) -> Vec<Detection> {
    let names = split_names("level pitch");
    let readings = range.map(reading);
    readings.map(|(ts, values)| detector.apply(ts, &names, &values).unwrap()).collect()
}

/// Returns detections as text for a comparison. NaN occurs in causes, and is not equal to itself.
fn text(detections: &[Detection]) -> String {
    format!("{detections:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_restored_detector_continues_bit_for_bit(
        cut in 0_i64..400,
        shingle in 1_usize..4,
        smoothing in prop::sample::select(vec![0_u32, 5, 16]),
        clock in prop::sample::select(vec![ClockContext::Off, ClockContext::Auto, ClockContext::On]),
        counter: bool,
    ) {
        let counters = if counter { split_names("level") } else { Vec::new() };
        let config = DetectorConfig { shingle, smoothing, clock, counters, alarms_per_week: 10_000.0, ..small() };
        let mut undisturbed = Detector::new("s", &config);
        run(&mut undisturbed, 0..cut);
        let mut restored = Detector::restore("s", &config, &undisturbed.snapshot()).unwrap();
        prop_assert_eq!(text(&run(&mut restored, cut..500)), text(&run(&mut undisturbed, cut..500)));
        prop_assert_eq!(restored.snapshot(), undisturbed.snapshot());
    }

    #[test]
    fn damaged_snapshots_are_errors(cut in 0_i64..200, at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut detector = Detector::new("s", &small());
        run(&mut detector, 0..cut);
        let mut bytes = detector.snapshot();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(Detector::restore("s", &small(), &bytes).is_err());
        prop_assert!(Detector::restore("s", &small(), &bytes[..at]).is_err());
    }

    #[test]
    fn no_series_makes_a_detector_panic_or_a_grade_leave_its_range(
        values in proptest::collection::vec(
            prop_oneof![any::<f64>().prop_filter("finite", |v| !v.is_infinite()), Just(0.0), Just(f64::NAN), -1.0..1.0],
            60..300,
        ),
        steps in proptest::collection::vec(prop_oneof![1_i64..1_000_000, Just(i64::from(u32::MAX) * 1_000)], 300),
    ) {
        let mut detector = Detector::new("s", &DetectorConfig { alarms_per_week: 100_000.0, ..small() });
        let mut now = 0;
        for (&value, &step) in values.iter().zip(&steps) {
            now += step;
            match detector.apply(now, &split_names("a b"), &[value, 1.0]) {
                Ok(detection) => {
                    prop_assert!(detection.grade.is_none_or(|grade| (0.0..1.0).contains(&grade)));
                    prop_assert!((0.0..=1.0).contains(&detection.confidence));
                    prop_assert!((0.0..1.0).contains(&detection.onset));
                    let shares: f64 = detection.causes.iter().map(|cause| cause.share).sum();
                    prop_assert!(detection.causes.is_empty() || shares < 1.0 + 1e-9);
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}

#[test]
fn an_infinite_value_is_rejected_and_changes_nothing() {
    let mut detector = Detector::new("s", &small());
    run(&mut detector, 0..100);
    let before = detector.snapshot();
    let rejected = detector.apply(100 * SECOND, &split_names("level pitch"), &[1.0, f64::INFINITY]);
    assert_eq!(rejected, Err(Rejected::NotFinite("pitch".to_owned())));
    assert_eq!(detector.snapshot(), before);
}

#[test]
fn another_shape_is_a_changed_configuration_and_another_threshold_is_not() {
    let mut detector = Detector::new("s", &small());
    run(&mut detector, 0..100);
    let wider = DetectorConfig { points: 128, ..small() };
    let changed = Detector::restore("s", &wider, &detector.snapshot());
    assert!(matches!(changed, Err(RestoreError::ConfigChanged { .. })));
    assert!(!detector.reconfigure(&wider));
    let stricter = DetectorConfig { alarms_per_week: 0.1, ..small() };
    assert_eq!(Detector::restore("s", &stricter, &detector.snapshot()).unwrap().seq(), 100);
    assert!(detector.reconfigure(&stricter));
}

#[test]
fn a_skipped_reading_moves_only_the_newest_timestamp() {
    let mut detector = Detector::new("s", &small());
    let mut other = Detector::new("s", &small());
    run(&mut detector, 0..100);
    run(&mut other, 0..100);
    detector.skip(99 * SECOND + 1);
    assert_eq!((detector.newest(), detector.seq()), (Some(99 * SECOND + 1), 100));
    let scores = |detections: Vec<Detection>| detections.iter().map(|d| d.score).collect::<Vec<_>>();
    assert_eq!(scores(run(&mut detector, 100..130)), scores(run(&mut other, 100..130)));
}

#[test]
fn a_resumed_detector_continues_counting_and_warms_up_again() {
    let mut detector = Detector::resume("s", &small(), 1_000, Some(-1));
    let detections = run(&mut detector, 0..60);
    assert_eq!(detections[0].seq, 1_001);
    assert!(detections[..50].iter().all(|detection| detection.grade.is_none()));
    assert!(detections[50..].iter().all(|detection| detection.grade.is_some()));
}

/// A power of two as a factor changes no bit of a score, because the units of coordinates are
/// powers of two.
#[test]
fn the_unit_of_a_field_changes_no_score() {
    let (mut plain, mut scaled) = (Detector::new("s", &small()), Detector::new("s", &small()));
    let names = split_names("level pitch");
    for i in 0..400 {
        let (ts, values) = reading(i);
        let in_other_units = [values[0] * 1_024.0, values[1] / 64.0];
        let (a, b) =
            (plain.apply(ts, &names, &values).unwrap(), scaled.apply(ts, &names, &in_other_units).unwrap());
        assert_eq!((a.score, a.grade, a.onset), (b.score, b.grade, b.onset));
    }
}

#[test]
fn a_rebuilt_detector_is_ready_at_once_and_continues_counting() {
    let readings: Vec<(i64, Vec<f64>)> = (0..400).map(reading).collect();
    let names = split_names("level pitch");
    let history = readings.iter().map(|(ts, values)| (*ts, names.as_slice(), values.as_slice()));
    let other = DetectorConfig { points: 96, smoothing: 0, ..small() };
    let mut rebuilt = Detector::rebuild("s", &other, 1_400, history);
    let (ts, values) = reading(400);
    let next = rebuilt.apply(ts, &names, &values).unwrap();
    assert_eq!(next.seq, 1_401);
    assert!(next.grade.is_some() && next.confidence > 0.8, "{next:?}");
}

#[test]
fn confidence_grows_with_the_past_and_falls_with_missing_fields() {
    let mut sensor = Sensor::new(&test_config(), "a b");
    let both = |_, noise: &mut Noise| vec![noise.normal(), noise.normal()];
    let young = sensor.run(201, both);
    assert!((0.45..0.55).contains(&young[200].confidence), "{}", young[200].confidence);
    let old = sensor.run(3_000, both);
    assert!(old[2_999].confidence > 0.95);
    assert!(sensor.read(&[0.0, f64::NAN]).confidence < 0.5);
}

/// Checks that the surprise follows from the measures. `weights` are those of the views.
fn has_the_surprise_of_its_views(explanation: &Explanation, weights: &[f64]) {
    let mean = |view: &ViewExplanation, of: fn(&MeasureExplanation) -> f64| {
        view.measures.iter().map(of).sum::<f64>() / view.measures.len() as f64
    };
    let own = |view: &ViewExplanation| mean(view, |measure| measure.present.rarity);
    let combined = |view: &ViewExplanation| {
        let short = mean(view, |measure| measure.means.unwrap().short.rarity);
        let long = mean(view, |measure| measure.means.unwrap().long.rarity);
        ((own(view).powi(4) + short.powi(4) + 2.0 * long.powi(4)) / 4.0).powf(0.25)
    };
    let views = &explanation.views;
    assert_eq!(views.len(), weights.len());
    let sum: f64 = views.iter().zip(weights).map(|(view, weight)| weight * combined(view)).sum();
    assert!((sum / weights.iter().sum::<f64>() - explanation.surprise).abs() < 1e-9);
    let strongest = views.iter().map(own).fold(0.0, f64::max);
    assert!((strongest - explanation.strongest_view).abs() < 1e-12);
}

#[test]
fn of_one_field_the_course_weighs_one_and_a_half_times_as_much() {
    let mut sensor = Sensor::new(&test_config(), "a");
    sensor.settle(1_000, 0.0);
    let now = sensor.now + sensor.every;
    let (_, explanation) = sensor.detector.explain(now, &split_names("a"), &[3.0]).unwrap();
    has_the_surprise_of_its_views(&explanation.unwrap(), &[1.0, 1.0, 1.5]);
}

/// Returns how rare the greatest error of the relations would be in the next reading.
fn rarity_of_relations(sensor: &Sensor, names: &str, values: &[f64]) -> f64 {
    let now = sensor.now + sensor.every;
    let (_, explanation) = sensor.detector.clone().explain(now, &split_names(names), values).unwrap();
    let views = explanation.unwrap().views;
    let relations = views.into_iter().find(|view| view.name == "relations").unwrap();
    relations.measures[0].present.rarity
}

#[test]
fn usual_values_that_do_not_belong_together_show_in_the_relations() {
    let mut sensor = Sensor::new(&test_config(), "current load");
    let mut load = 0.0;
    sensor.run(3_000, |_, noise| {
        load = 0.9 * load + 0.44 * noise.normal();
        vec![10.0 * load + noise.normal(), load]
    });
    let [together, apart] =
        [12.5, -12.5].map(|current| rarity_of_relations(&sensor, "current load", &[current, 1.2]));
    assert!(together < 1.0 && apart > 4.0, "{together} {apart}");
}

#[test]
fn a_field_that_most_readings_lack_makes_no_complete_reading_unusual() {
    let mut sensor = Sensor::new(&test_config(), "a current load");
    let mut load = 0.0;
    sensor.run(6_000, |i, noise| {
        load = 0.9 * load + 0.44 * noise.normal();
        let seldom = if i % 14 == 0 { noise.normal() } else { f64::NAN };
        vec![seldom, 10.0 * load + noise.normal(), load]
    });
    for seldom in [0.3, f64::NAN] {
        let [together, apart] = [12.5, -12.5]
            .map(|current| rarity_of_relations(&sensor, "a current load", &[seldom, current, 1.2]));
        assert!(together < 1.0 && apart > 3.5, "{together} {apart}");
    }
}

#[test]
fn every_step_of_a_detection_can_be_explained() {
    let mut sensor = Sensor::new(&test_config(), "a b");
    sensor.run(1_000, |_, noise| vec![noise.normal(), 100.0 + noise.normal()]);
    let mut other = sensor.detector.clone();
    let now = sensor.now + sensor.every;
    let (detection, explanation) = sensor.detector.explain(now, &split_names("a b"), &[0.0, 130.0]).unwrap();
    assert_eq!(detection, other.apply(now, &split_names("a b"), &[0.0, 130.0]).unwrap());
    assert_eq!(sensor.detector.snapshot(), other.snapshot(), "explaining is applying");
    let explanation = explanation.unwrap();
    let views: Vec<&str> = explanation.views.iter().map(|view| view.name).collect();
    assert_eq!(views, ["level", "field", "residuals", "lasting", "courses", "relations", "coincidence"]);
    let level = &explanation.views[0];
    assert!((level.contributions.iter().map(|(_, _, part)| part).sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(!level.neighbours.is_empty());
    // The level weighs three times as much as a view of residuals, the courses one and a half times as
    // much, and the relations half as much.
    has_the_surprise_of_its_views(&explanation, &[3.0, 1.0, 1.0, 1.0, 1.5, 0.5, 1.0]);
    let grade = explanation.rarity / (1.0 + explanation.rarity);
    assert!((grade - detection.grade.unwrap()).abs() < 1e-12);
    assert_eq!(explanation.causes, detection.causes);
}
