//! Signals that take few values: constants with a blip, contacts, modes, set points.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue may panic")]

mod series;

use std::collections::BTreeMap;

use proptest::prelude::*;
use series::{HOUR, Noise, SECOND, Sensor, alarms, anomalous, test_config};
use thicket_detector::{Detection, Detector, DetectorConfig, Direction, Profile};

/// The most readings that the event of a blip may have.
const MOST: u32 = 6;

/// Returns the number of anomalous readings of each event, by its start, and whether all have ended.
fn events(detections: &[Detection]) -> (Vec<u32>, bool) {
    let mut events = BTreeMap::new();
    for event in detections.iter().filter_map(|detection| detection.event.as_ref()) {
        events.insert(event.started, (event.readings, event.ended.is_some()));
    }
    let have_ended = events.values().all(|(_, has_ended)| *has_ended);
    (events.into_values().map(|(readings, _)| readings).collect(), have_ended)
}

/// A small detector with the default threshold.
fn small() -> DetectorConfig {
    DetectorConfig { profile: Profile::Small, ..DetectorConfig::default() }
}

/// A constant of any sign and size.
fn constant() -> impl Strategy<Value = f64> {
    let listed = [0.0, 1.0, -1.0, 2.0, 20.0, 1e-9, -1e-9, 1e12, -4e9, 1e300];
    prop_oneof![prop::sample::select(listed.to_vec()), -1e3..1e3_f64, -1e9..1e9_f64]
}

/// A step, as a factor of the constant, or its size if the constant is 0.
fn step() -> impl Strategy<Value = f64> {
    let listed = [1e-9, 1e-4, 1e-2, 0.5, 1.0, -1.0, 10.0, -1e6];
    prop_oneof![prop::sample::select(listed.to_vec()), -5.0..5.0_f64]
}

fn stepped(constant: f64, step: f64) -> f64 {
    if constant == 0.0 { step } else { constant + step * constant }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_event_of_a_blip_is_the_blip(
        constant in constant(),
        step in step(),
        before in 257_usize..900,
        period in 2_usize..300,
        blips in 1_usize..6,
        every in prop::sample::select(vec![1, SECOND, 60 * SECOND, HOUR]),
        fields in 1_usize..4,
        smoothing in prop::sample::select(vec![0_u32, 16]),
    ) {
        let names = ["a", "b", "c"][..fields].join(" ");
        let mut sensor = Sensor::new(&DetectorConfig { smoothing, ..small() }, &names);
        sensor.every = every;
        let flat = vec![constant; fields];
        let mut detections = sensor.run(before, |_, _| flat.clone());
        prop_assert_eq!(anomalous(&detections), 0);
        for _ in 0..blips {
            let mut blip = flat.clone();
            blip[0] = stepped(constant, step);
            detections.push(sensor.read(&blip));
            detections.extend(sensor.run(period, |_, _| flat.clone()));
        }
        detections.extend(sensor.run(400, |_, _| flat.clone()));
        let (readings, have_ended) = events(&detections);
        // Blips that follow each other within five readings are one event.
        let most = if period <= 5 { blips } else { 1 };
        prop_assert!(readings.iter().all(|&readings| readings as usize <= most), "{:?}", readings);
        prop_assert!(have_ended && readings.len() <= blips);
    }

    #[test]
    fn the_event_of_a_blip_beside_noise_is_short(
        constant in constant(),
        step in step(),
        period in 60_usize..200,
        seed in 0_u64..1_000,
    ) {
        let mut sensor = Sensor::new(&small(), "noise state");
        sensor.noise = Noise::new(seed);
        let mut detections = sensor.run(700, |_, noise| vec![noise.normal(), constant]);
        let mut blips = Vec::new();
        for _ in 0..4 {
            let blip = [sensor.noise.normal(), stepped(constant, step)];
            detections.push(sensor.read(&blip));
            blips.push(sensor.now);
            detections.extend(sensor.run(period, |_, noise| vec![noise.normal(), constant]));
        }
        detections.extend(sensor.run(400, |_, noise| vec![noise.normal(), constant]));
        let of_blips = detections.iter().filter_map(|detection| detection.event.as_ref());
        for event in of_blips.filter(|event| blips.contains(&event.started)) {
            // Only the first change of a constant is a step. The noise beside a later one may be unusual
            // too.
            let most = if event.started == blips[0] { MOST } else { 2 * MOST };
            prop_assert!(event.readings <= most, "{:?}", event);
        }
    }

    #[test]
    fn a_greater_step_has_a_higher_grade(
        constant in constant(),
        before in 300_usize..1_000,
        mut steps in prop::collection::vec(0.002..1e3_f64, 2..5),
    ) {
        steps.sort_by(f64::total_cmp);
        steps.dedup();
        let mut sensor = Sensor::new(&small(), "a");
        sensor.run(before, |_, _| vec![constant]);
        let grade = |&step: &f64| {
            let mut detector = sensor.detector.clone();
            let blip = [stepped(constant, step)];
            detector.apply(sensor.now + sensor.every, &["a".to_owned()], &blip).unwrap().grade
        };
        let grades: Vec<_> = steps.iter().map(grade).collect();
        prop_assert!(grades.is_sorted_by(|a, b| a < b), "{:?} {:?}", steps, grades);
    }

    #[test]
    fn a_new_level_is_accepted_and_the_old_one_is_still_known(
        constant in constant(),
        step in prop_oneof![0.5..5.0_f64, -5.0..-0.5_f64],
        stays in 200_usize..600,
        fields in 1_usize..4,
    ) {
        let names = ["a", "b", "c"][..fields].join(" ");
        let mut sensor = Sensor::new(&small(), &names);
        let flat = vec![constant; fields];
        sensor.run(3_000, |_, _| flat.clone());
        let mut level = flat.clone();
        level[0] = stepped(constant, step);
        let shift = sensor.run(stays, |_, _| level.clone());
        prop_assert!(shift[0].anomaly, "{:?}", shift[0]);
        let (readings, have_ended) = events(&shift);
        prop_assert_eq!((readings, have_ended), (vec![121], true));
        let accepted = shift[120].event.as_ref().unwrap();
        prop_assert!(accepted.accepted && accepted.ended.is_some());
        let back = sensor.run(600, |_, _| flat.clone());
        let (readings, have_ended) = events(&back);
        prop_assert!(readings.len() <= 1 && readings.iter().all(|&readings| readings <= MOST), "{:?}", readings);
        prop_assert!(have_ended);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A contact, modes, a constant that is not scored, a field that becomes noisy, gaps, and a clock
    /// that goes back: at any reading, a restored detector continues bit for bit.
    #[test]
    fn a_restored_detector_knows_its_steps(cut in 0_i64..1_200, noisy: bool, seed in 0_u64..1_000) {
        let config = DetectorConfig { warm_up: 64, points: 64, trees: 3, alarms_per_week: 1_000.0, ..small() };
        let names = ["contact", "leak", "level", "mode"].map(str::to_owned);
        let mut undisturbed = Detector::new("s", &config);
        let mut detector = undisturbed.clone();
        let mut noise = Noise::new(seed);
        for i in 0..1_200_i64 {
            if i == cut {
                detector = Detector::restore("s", &config, &undisturbed.snapshot()).unwrap();
                prop_assert_eq!(detector.snapshot(), undisturbed.snapshot());
            }
            let back = if (700..800).contains(&i) { 500 } else { 0 };
            let ts = (60 * (i - back) + i / 400 * 10_000) * SECOND;
            let contact = f64::from(u8::from(noise.uniform() < 0.03));
            let leak = if i == 900 { 1.0 } else { 0.0 };
            let level = if noisy || i > 600 { noise.normal() } else { 3.0 };
            let mode = if i % 50 == 49 { f64::NAN } else { (i / 25 % 3) as f64 };
            let values = [contact, leak, level, mode];
            let (a, b) = (undisturbed.apply(ts, &names, &values), detector.apply(ts, &names, &values));
            // As text, NaN equals NaN.
            prop_assert_eq!(format!("{a:?}"), format!("{b:?}"));
        }
        prop_assert_eq!(detector.snapshot(), undisturbed.snapshot());
    }
}

#[test]
fn a_blip_of_a_constant_is_found_and_explained() {
    for (constant, blip) in [(2.0, 3.0), (0.0, 1.0), (1.0, 0.0), (20.0, 30.0), (-4e9, 1.0), (1e-9, 3e-9)] {
        let mut sensor = Sensor::new(&DetectorConfig::default(), "a");
        sensor.run(400, |_, _| vec![constant]);
        let found = sensor.read(&[blip]);
        assert!(found.anomaly && found.onset > 0.0, "{constant} {blip}: {found:?}");
        let cause = &found.causes[0];
        assert_eq!((cause.share, cause.expected, cause.actual), (1.0, constant, blip));
        assert_ne!(cause.direction, Direction::Within);
    }
}

#[test]
fn a_repeated_step_has_a_lower_grade() {
    let mut sensor = Sensor::new(&DetectorConfig::default(), "a");
    let mut grades = Vec::new();
    for blip in [3.0, 50.0, 3.0, 50.0] {
        sensor.run(400, |_, _| vec![2.0]);
        grades.push(sensor.read(&[blip]).grade.unwrap());
    }
    assert!(grades[2] < grades[0] && grades[3] < grades[1], "{grades:?}");
}

#[test]
fn a_blip_of_one_of_many_constants_is_found_and_named() {
    let names: Vec<String> = (0..40).map(|i| format!("f{i:02}")).collect();
    let mut sensor = Sensor::new(&small(), &names.join(" "));
    let flat: Vec<f64> = (0..40).map(f64::from).collect();
    sensor.run(1_000, |_, _| flat.clone());
    let mut blip = flat.clone();
    blip[17] = 30.0;
    let found = sensor.read(&blip);
    assert!(found.anomaly, "{found:?}");
    let main: Vec<&str> =
        found.causes.iter().filter(|cause| cause.share > 0.0).map(|cause| cause.field.as_str()).collect();
    assert_eq!(main, ["f17"]);
    assert_eq!(anomalous(&sensor.run(400, |_, _| flat.clone())), 0);
}

#[test]
fn a_leak_beside_a_temperature_is_found_although_it_never_changed() {
    let mut sensor = Sensor::new(&small(), "leak temperature");
    let dry = |_: i64, noise: &mut Noise| vec![0.0, 20.0 + noise.normal()];
    sensor.run(2_000, dry);
    let leak = sensor.read(&[1.0, 20.0]);
    assert!(leak.anomaly, "{leak:?}");
    let main = leak.causes.iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap();
    assert_eq!((main.field.as_str(), main.actual, main.expected), ("leak", 1.0, 0.0));
    let (readings, _) = events(&[vec![leak], sensor.run(30, dry)].concat());
    assert!(readings[0] <= MOST, "{readings:?}");
}

/// A contact at one reading a minute: opened once a day, at a time that varies, for some minutes.
fn contact(opened_at: &mut i64, minute: i64, noise: &mut Noise) -> f64 {
    if minute % 1_440 == 0 {
        *opened_at = minute + 480 + (240.0 * noise.uniform()) as i64;
    }
    let length = 3 + (minute / 1_440) % 5;
    f64::from(u8::from((*opened_at..*opened_at + length).contains(&minute)))
}

/// Returns a sensor with a contact that was opened daily for some times thirty days, and its alarms in
/// each thirty days.
fn sensor_with_contact(seed: u64, months: usize) -> (Sensor, Vec<usize>) {
    let mut sensor = Sensor::new(&small(), "contact");
    sensor.noise = Noise::new(seed);
    let mut opened_at = 0;
    let mut month = || {
        let minute = |at, noise: &mut Noise| vec![contact(&mut opened_at, at / (60 * SECOND), noise)];
        alarms(&sensor.run(30 * 1_440, minute))
    };
    let raised = (0..months).map(|_| month()).collect();
    (sensor, raised)
}

#[test]
fn a_contact_that_changes_daily_raises_few_alarms() {
    // One false alarm a week is allowed, which are four, and a new sensor has a credit of two. The first
    // openings are new to it and far from all that it knows, and cost five more: with twelve series of
    // noise, the mean of the first thirty days is 11.3, and that of the next ones 3 to 4.
    let raised: Vec<Vec<usize>> = (0..4).map(|seed| sensor_with_contact(seed, 2).1).collect();
    let sum = |month: usize| raised.iter().map(|raised| raised[month]).sum::<usize>();
    assert!(sum(0) <= 48 && sum(1) <= 20, "{raised:?} alarms in thirty days");
}

#[test]
fn a_contact_that_is_left_open_is_found() {
    let (mut sensor, _) = sensor_with_contact(7, 1);
    sensor.run(600, |_, _| vec![0.0]);
    let open = sensor.run(180, |_, _| vec![1.0]);
    let found = open.iter().position(|detection| detection.anomaly).unwrap();
    assert!((5..60).contains(&found), "after {found} minutes");
    let closed = sensor.run(30, |_, _| vec![0.0]);
    assert_eq!(anomalous(&closed), 0);
}

#[test]
fn a_missing_pulse_is_found_once_and_rest_is_not_an_anomaly() {
    let mut sensor = Sensor::new(&small(), "pump");
    let pulse = |at: i64, _: &mut Noise| vec![f64::from(u8::from(at / (60 * SECOND) % 60 < 5))];
    let calm = sensor.run(14 * 1_440, pulse);
    assert_eq!(anomalous(&calm[2_000..]), 0);
    let rest = sensor.run(200, |_, _| vec![0.0]);
    assert_eq!((alarms(&rest), anomalous(&rest)), (1, 1));
}

#[test]
fn a_wrong_order_of_usual_modes_is_found() {
    let mut sensor = Sensor::new(&small(), "mode");
    let mut minute = 0;
    let mut cycle = |_: i64, noise: &mut Noise| {
        minute += 1;
        let _ = noise.normal();
        vec![f64::from(minute / 10 % 3)]
    };
    let calm = sensor.run(12_000, &mut cycle);
    assert_eq!(anomalous(&calm), 0);
    // After 0 comes 1, always. Here 2 follows.
    sensor.run(9, |_, _| vec![0.0]);
    let wrong = sensor.read(&[2.0]);
    assert!(wrong.anomaly, "{wrong:?}");
}

#[test]
fn a_set_point_that_changes_daily_is_known_after_a_few_days() {
    let mut sensor = Sensor::new(&small(), "setpoint");
    let set = |at: i64, _: &mut Noise| {
        let hour = at / HOUR % 24;
        vec![if (6..22).contains(&hour) { 21.0 } else { 18.0 }]
    };
    let days = sensor.run(14 * 1_440, set);
    assert!(alarms(&days) <= 1, "{}", alarms(&days));
    assert_eq!(anomalous(&days[2 * 1_440..]), 0);
    let other = sensor.read(&[35.0]);
    assert!(other.anomaly, "{other:?}");
}

#[test]
fn a_battery_that_falls_by_steps_raises_few_alarms() {
    let config = DetectorConfig { fields: vec!["battery".to_owned()], ..small() };
    let mut sensor = Sensor::new(&config, "battery");
    let fall = sensor.run(20 * 1_440, |at, _| vec![100.0 - (at / (36 * HOUR)) as f64]);
    assert!(alarms(&fall) <= 1, "{}", alarms(&fall));
    // The first fall is a new level, which is accepted after two hours.
    assert!(anomalous(&fall) <= 121, "{}", anomalous(&fall));
}

#[test]
fn a_constant_that_becomes_noisy_is_one_event_and_is_then_learnt() {
    let mut sensor = Sensor::new(&test_config(), "flow");
    sensor.run(2_000, |_, _| vec![0.0]);
    let begins = sensor.settle(1_000, 50.0);
    assert!(begins[0].anomaly);
    assert!(alarms(&begins) <= 2, "{}", alarms(&begins));
    let runs = sensor.settle(2_000, 50.0);
    assert!(alarms(&runs) <= 3, "{}", alarms(&runs));
    assert!(sensor.read(&[100.0]).anomaly, "a spike is found");
}

#[test]
fn spikes_that_come_too_often_are_found_and_single_ones_are_not() {
    let mut sensor = Sensor::new(&small(), "spikes");
    sensor.every = 300 * SECOND;
    let mut minute = 0;
    let calm = sensor.run(3_000, |_, _| {
        minute += 1;
        vec![if minute % 100 == 0 || minute % 100 == 6 { 20.0 } else { 0.0 }]
    });
    assert!(anomalous(&calm[300..]) <= 2, "{}", anomalous(&calm[300..]));
    let dense = sensor.run(20, |_, _| {
        minute += 1;
        vec![if minute % 5 == 0 { 20.0 } else { 0.0 }]
    });
    assert!((1..=4).contains(&anomalous(&dense)), "{}", anomalous(&dense));
}
