//! Typical behaviour of real sensors, with one series each and the expected flags.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue may panic")]
#![allow(clippy::float_cmp, reason = "tests compare exact bits")]

mod series;

use series::{DAY, HOUR, Noise, SECOND, Sensor, alarms, anomalous, test_config};
use thicket_detector::{ClockContext, Detection, DetectorConfig, Direction};

#[test]
fn a_flat_signal_and_its_first_tiny_change_raise_no_alarm() {
    let mut sensor = Sensor::new(&test_config(), "a");
    let flat = sensor.run(1_000, |_, _| vec![21.5]);
    assert_eq!(anomalous(&flat), 0);
    let tiny = sensor.read(&[21.500_01]);
    assert!(!tiny.anomaly && tiny.grade < Some(0.5), "{tiny:?}");
    assert!(sensor.read(&[35.0]).anomaly, "a real change is found");
}

#[test]
fn a_quantised_signal_raises_few_alarms() {
    let raised = [0, 1, 2, 3].map(|seed| {
        let mut sensor = Sensor::new(&test_config(), "a");
        sensor.noise = Noise::new(seed);
        let steps = sensor.run(3_000, |_, noise| vec![20.0 + (2.0 * noise.normal()).round() * 0.5]);
        assert!(sensor.read(&[32.0]).anomaly);
        alarms(&steps)
    });
    // With 16 series of noise, the mean is 1.6.
    assert!(raised.iter().sum::<usize>() <= 3 * raised.len(), "{raised:?} alarms in two days");
}

#[test]
fn a_counter_that_resets_is_no_anomaly_and_a_burst_of_counts_is_one() {
    let counted = DetectorConfig { counters: vec!["bytes".to_owned()], ..test_config() };
    let mut sensor = Sensor::new(&counted, "bytes");
    let mut bytes = 1e9;
    let mut count = |noise: &mut Noise, times: f64| {
        bytes += times * (6_000.0 + 600.0 * noise.normal());
        vec![bytes]
    };
    sensor.run(1_500, |_, noise| count(noise, 1.0));
    let burst = count(&mut sensor.noise, 10.0);
    assert!(sensor.read(&burst).anomaly);
    sensor.run(300, |_, noise| count(noise, 1.0));
    bytes = 0.0;
    let reset = sensor.run(3, |_, noise| {
        bytes += 6_000.0 + 600.0 * noise.normal();
        vec![bytes]
    });
    assert_eq!(anomalous(&reset), 0, "{reset:?}");
}

#[test]
fn a_reading_after_a_long_silence_is_marked_and_scored_without_the_old_means() {
    let mut sensor = Sensor::new(&test_config(), "a");
    sensor.settle(1_000, 20.0);
    sensor.now += 10 * HOUR;
    let first = sensor.read(&[20.3]);
    assert!(first.marks.after_silence && !first.anomaly, "{first:?}");
    let next = sensor.read(&[19.8]);
    assert!(!next.marks.after_silence && !next.anomaly);
}

#[test]
fn a_missing_field_is_imputed_and_marked() {
    let mut sensor = Sensor::new(&test_config(), "load power");
    sensor.run(2_000, |_, noise| {
        let load = 50.0 + 10.0 * noise.normal();
        vec![load, 4.0 * load + noise.normal()]
    });
    let without = sensor.read(&[55.0, f64::NAN]);
    assert!(without.marks.imputed && !without.anomaly, "{without:?}");
    assert!(without.confidence < 0.55);
    let names = ["load".to_owned()];
    let absent = sensor.detector.apply(sensor.now + 1, &names, &[120.0]).unwrap();
    assert!(
        absent.marks.imputed && absent.anomaly,
        "an anomaly of the other field is still found: {absent:?}"
    );
    let power = absent.causes.iter().find(|cause| cause.field == "power").unwrap();
    assert!(power.actual.is_nan() && power.share == 0.0, "an imputed field has no share: {power:?}");
}

#[test]
fn a_stuck_sensor_is_marked_once_it_repeats_itself_too_often() {
    let mut sensor = Sensor::new(&test_config(), "a");
    let moving = sensor.settle(1_000, 20.0);
    assert!(moving.iter().all(|detection| !detection.marks.stuck));
    let stuck = sensor.run(30, |_, _| vec![20.25]);
    assert!(!stuck[5].marks.stuck && stuck[29].marks.stuck);
    assert!(sensor.settle(1, 20.0).iter().all(|detection| !detection.marks.stuck));
}

#[test]
fn a_signal_that_often_rests_is_not_stuck() {
    let mut sensor = Sensor::new(&test_config(), "a");
    let mut value = 0.0;
    let resting = sensor.run(4_000, |_, noise| {
        if noise.uniform() < 0.1 {
            value = (noise.normal() * 4.0).round();
        }
        vec![value]
    });
    let marked = resting.iter().skip(500).filter(|detection| detection.marks.stuck).count();
    assert_eq!(marked, 0);
}

#[test]
fn small_differences_on_a_huge_offset_are_detected() {
    let mut sensor = Sensor::new(&test_config(), "a");
    sensor.run(1_500, |_, noise| vec![1e9 + 0.01 * noise.normal()]);
    let detection = sensor.read(&[1e9 + 0.3]);
    assert!(detection.anomaly, "{detection:?}");
    let cause = &detection.causes[0];
    assert!(cause.low > 1e9 - 0.1 && cause.high < 1e9 + 0.1, "{cause:?}");
}

#[test]
fn bursts_and_another_rate_of_readings_raise_no_alarm() {
    let mut sensor = Sensor::new(&test_config(), "a");
    sensor.settle(1_000, 20.0);
    sensor.every = 1;
    let burst = sensor.settle(100, 20.0);
    sensor.every = 600 * SECOND;
    let slower = sensor.settle(500, 20.0);
    let silences = slower.iter().filter(|detection| detection.marks.after_silence).count();
    assert!(silences < 150, "another rate soon stops being a silence: {silences}");
    // The readings span half a week, and the setting is seven alarms per week.
    assert!(alarms(&burst) + alarms(&slower) <= 8, "{} {}", alarms(&burst), alarms(&slower));
}

/// Returns a value that is high at night and low by day.
fn by_night(at: i64, noise: &mut Noise) -> Vec<f64> {
    let by_day = (8..20).contains(&(at / HOUR % 24));
    vec![if by_day { 10.0 } else { 30.0 } + noise.normal()]
}

#[test]
fn a_level_that_is_usual_at_night_is_an_anomaly_by_day() {
    let mut sensor = Sensor::new(&DetectorConfig { points: 512, trees: 10, ..test_config() }, "a");
    sensor.every = 300 * SECOND;
    let days = sensor.run(12 * 288, by_night);
    assert!(anomalous(&days[1_500..]) < 30, "{}", anomalous(&days[1_500..]));
    sensor.run(150, by_night);
    assert_eq!(sensor.now / HOUR % 24, 12);
    let noon = sensor.run(12, |_, noise| vec![30.0 + noise.normal()]);
    assert!(anomalous(&noon) > 0, "{noon:?}");
    let cause = noon.iter().find_map(|detection| detection.causes.first()).unwrap();
    assert_eq!(cause.direction, Direction::High);
    assert!(cause.expected < 15.0, "the band is that of the hour: {cause:?}");
}

#[test]
fn the_clock_waits_for_two_days_and_can_be_turned_off() {
    let at_noon = |clock| {
        let mut sensor = Sensor::new(&DetectorConfig { clock, ..test_config() }, "a");
        sensor.every = 300 * SECOND;
        sensor.run(10 * 288, by_night);
        sensor.now = sensor.now / DAY * DAY + 12 * HOUR;
        let names = ["a".to_owned()];
        let (_, explanation) = sensor.detector.explain(sensor.now + 1, &names, &[30.0]).unwrap();
        let level = explanation.unwrap().views.remove(0);
        level
            .contributions
            .iter()
            .filter(|(name, _, _)| name == "time of day")
            .map(|(_, _, part)| part)
            .sum::<f64>()
    };
    assert_eq!(at_noon(ClockContext::Off), 0.0);
    assert!(at_noon(ClockContext::Auto) > 0.1);
    assert!(at_noon(ClockContext::On) > 0.1);
}

#[test]
fn a_single_outlier_and_a_change_of_level_are_detected_and_explained() {
    let mut sensor = Sensor::new(&test_config(), "level pitch");
    let calm = |_, noise: &mut Noise| vec![45.0 + noise.normal(), 400.0 + 20.0 * noise.normal()];
    sensor.run(2_000, calm);
    let spike = sensor.read(&[71.0, 405.0]);
    assert!(spike.anomaly && spike.onset > 0.0, "{spike:?}");
    let [level, pitch] = &spike.causes[..] else { panic!("two fields, two causes") };
    assert!(level.share > 0.8 && (level.share + pitch.share - 1.0).abs() < 1e-9, "{level:?}");
    assert_eq!((level.direction, pitch.direction), (Direction::High, Direction::Within));
    assert!((42.0..44.5).contains(&level.low) && (45.5..48.0).contains(&level.high), "{level:?}");
    let event = spike.event.unwrap();
    assert_eq!((event.started, event.ended, event.readings), (sensor.now, None, 1));
    let after = sensor.run(60, calm);
    let ended =
        after.iter().find_map(|detection| detection.event.as_ref().filter(|event| event.ended.is_some()));
    let ended = ended.unwrap();
    assert_eq!(
        (ended.peak_at, ended.peak_score),
        (event.peak_at, event.peak_score),
        "the spike stays the peak"
    );
    let lasted = (ended.ended.unwrap() - ended.started) / sensor.every;
    assert!(lasted <= 15, "a single outlier is soon over: {lasted} readings");
    sensor.run(500, calm);
    let shifted = sensor.run(40, |_, noise| vec![45.0 - 8.0 + noise.normal(), 400.0 + 20.0 * noise.normal()]);
    let cause = shifted.iter().find_map(|detection| detection.causes.first()).unwrap();
    assert_eq!((cause.field.as_str(), cause.direction), ("level", Direction::Low));
}

#[test]
fn a_field_that_is_off_among_many_is_found_and_named_first() {
    const SENSORS: usize = 6;
    for (fields, deviations) in [(13, 8.0), (64, 12.0)] {
        let names: Vec<String> = (0..fields).map(|i| format!("f{i:02}")).collect();
        let usual = |_: i64, noise: &mut Noise| (0..fields).map(|_| noise.normal()).collect::<Vec<f64>>();
        let mut detected = 0;
        for i in 0..SENSORS {
            let field = i * fields / SENSORS;
            let mut sensor = Sensor::new(&test_config(), &names.join(" "));
            sensor.noise = Noise::new(i as u64);
            sensor.run(5_000, usual);
            let mut values = usual(0, &mut sensor.noise);
            values[field] = deviations;
            let found = sensor.read(&values);
            if found.anomaly {
                detected += 1;
                let first = found.causes.iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap();
                assert_eq!(first.field, names[field], "{found:?}");
            }
        }
        assert!(detected >= SENSORS - 1, "{detected} of {SENSORS} with {fields} fields");
    }
}

#[test]
fn after_a_silence_a_reading_is_as_likely_to_alarm_as_any_other() {
    const DAYS: i64 = 60;
    const SHIFT: usize = 480;
    let config = DetectorConfig { alarms_per_week: 70.0, ..test_config() };
    let mut sensor = Sensor::new(&config, "a");
    let (mut level, mut all, mut first) = (0.0, 0, 0);
    for day in 0..DAYS {
        // The machine is off for sixteen hours, and its level wanders meanwhile.
        sensor.now = day * DAY;
        level = 0.3 * level + 0.95 * sensor.noise.normal();
        let shift = sensor.run(SHIFT, |_, noise| {
            level = 0.95 * level + 0.31 * noise.normal();
            vec![level]
        });
        if day >= 10 {
            let begins = |found: &&Detection| found.event.as_ref().is_some_and(|event| event.is_new);
            all += shift.iter().filter(begins).count();
            first += shift.iter().take(1).filter(begins).count();
        }
    }
    assert!(all >= 100, "{all} alarms");
    // By chance, one alarm in 480 would be that of a first reading.
    assert!(first <= 3, "{first} of {all} alarms are those of the first reading after a silence");
}
