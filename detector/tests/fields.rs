//! Which fields of a sensor are scored, and that every reading is applied, scored or not.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test may panic, and compares exact bits")]

use proptest::prelude::*;
use thicket_detector::{Detection, Detector, DetectorConfig, Remark, Standing};

mod series;

use series::{Noise, SECOND, alarms, anomalous, test_config};

/// A detector whose readings have other fields each time.
#[derive(Clone)]
struct Device {
    detector: Detector,
    now: i64,
}

impl Device {
    fn new(config: &DetectorConfig) -> Self {
        config.validate().unwrap();
        Self { detector: Detector::new("site/device", config), now: 0 }
    }

    /// Applies a reading a minute after the last one.
    fn read(&mut self, fields: &[(&str, f64)]) -> Detection {
        self.now += 60 * SECOND;
        let mut fields = fields.to_vec();
        fields.sort_by_key(|field| field.0);
        let names: Vec<String> = fields.iter().map(|field| field.0.to_owned()).collect();
        let values: Vec<f64> = fields.iter().map(|field| field.1).collect();
        self.detector.apply(self.now, &names, &values).unwrap()
    }

    fn standing(&mut self, name: &str) -> Option<String> {
        let report = self.detector.take_fields_report()?;
        let field = report.standings.into_iter().find(|field| field.name == name)?;
        Some(match field.standing {
            Standing::Excluded { pattern } => format!("excluded by {pattern}"),
            other => other.name().to_owned(),
        })
    }
}

fn config() -> DetectorConfig {
    DetectorConfig { warm_up: 64, points: 64, trees: 4, ..test_config() }
}

#[test]
fn a_first_message_of_battery_and_link_quality_does_not_fix_the_fields() {
    let mut device = Device::new(&DetectorConfig::default());
    let first = device.read(&[("battery", 100.0), ("linkquality", 42.0)]);
    assert!(first.marks.unscored && first.seq == 1 && first.grade.is_none());
    let mut noise = Noise::new(5);
    for i in 0..400 {
        let temperature = if i == 391 { 51.0 } else { 21.0 + 0.2 * noise.normal() };
        let link = f64::from(40 + i % 5);
        let detection = device.read(&[("temperature", temperature), ("linkquality", link)]);
        assert!(i > 391 || detection.anomaly == (i == 391), "{i}: {detection:?}");
        assert!(!detection.marks.unscored && !detection.marks.imputed, "{i}");
    }
    assert_eq!(device.detector.fields(), ["temperature"]);
    assert_eq!(device.detector.seq(), 401);
}

#[test]
fn a_flat_temperature_is_scored_after_an_odd_first_message() {
    let mut device = Device::new(&DetectorConfig::default());
    device.read(&[("battery", 100.0), ("linkquality", 42.0)]);
    for i in 0..400 {
        let temperature = if i == 391 { 51.0 } else { 21.0 };
        let detection = device.read(&[("temperature", temperature), ("linkquality", 43.0)]);
        assert!(i > 391 || detection.anomaly == (i == 391), "{i}: {detection:?}");
    }
}

#[test]
fn housekeeping_numbers_are_stored_but_not_scored_and_the_report_says_why() {
    let mut device = Device::new(&config());
    let mut noise = Noise::new(3);
    for i in 0..100 {
        device.read(&[
            ("id", f64::from(40_117 + i)),
            ("deviceId", 7_205.0),
            ("temp", 24.0 + noise.normal()),
            ("ph", 7.0 + 0.1 * noise.normal()),
            ("date_time", f64::from(1_795_629_662 + i)),
            ("uptime", f64::from(90_000 + i)),
            ("bytes", 1_000.0),
        ]);
    }
    assert_eq!(device.detector.fields(), ["bytes", "ph", "temp"]);
    let report = device.detector.take_fields_report().unwrap();
    let of = |name: &str| report.standings.iter().find(|field| field.name == name).unwrap().standing.clone();
    let standings = ["id", "deviceId", "temp", "bytes", "uptime"]
        .map(|name| format!("{} {}", of(name).name(), of(name).pattern()));
    assert_eq!(standings, ["excluded id", "excluded *_id", "scored ", "scored ", "excluded uptime"]);
    let bytes = report.standings.iter().find(|field| field.name == "bytes").unwrap();
    assert_eq!(bytes.remark, Some(Remark::Constant));
    assert_eq!(device.detector.take_fields_report(), None, "a report is taken once");
}

#[test]
fn fields_that_count_repeat_another_or_take_few_values_are_named() {
    let mut device = Device::new(&DetectorConfig { counters: vec!["packets".to_owned()], ..config() });
    let mut noise = Noise::new(29);
    let mut sent = 0.0;
    for i in 0..100 {
        let celsius = 20.0 + noise.normal();
        sent += 50.0 + 10.0 * noise.uniform();
        device.read(&[
            ("celsius", celsius),
            ("fahrenheit", 32.0 + 1.8 * celsius),
            ("heating", f64::from(i / 20 % 2)),
            ("packets", 3.0 * sent + noise.uniform()),
            ("sent", sent),
        ]);
    }
    let report = device.detector.take_fields_report().unwrap();
    let remark = |field: &thicket_detector::FieldStanding| {
        let remark = field.remark.as_ref().map_or("", |remark| remark.name());
        format!("{} {} {remark}", field.name, field.standing.name())
    };
    let remarks: Vec<String> = report.standings.iter().map(remark).collect();
    assert_eq!(
        remarks,
        [
            "celsius scored ",
            "fahrenheit scored repeats",
            "heating scored stepwise",
            "packets scored ",
            "sent scored counts"
        ]
    );
}

#[test]
fn a_named_field_is_scored_whatever_its_name_and_others_are_not() {
    let config = DetectorConfig { fields: vec!["battery".to_owned()], ..config() };
    let mut device = Device::new(&config);
    for i in 0..100 {
        let detection = device.read(&[("battery", 80.0), ("temperature", f64::from(i % 7))]);
        assert!(!detection.marks.unscored);
    }
    assert!(device.read(&[("temperature", 3.0)]).marks.unscored);
    assert_eq!(device.detector.fields(), ["battery"]);
    assert_eq!(device.standing("temperature").as_deref(), Some("not_listed"));
}

#[test]
fn a_named_counter_is_scored_although_a_pattern_excludes_it() {
    let config = DetectorConfig { counters: vec!["boot_count".to_owned()], ..config() };
    let mut device = Device::new(&config);
    for i in 0..100 {
        device.read(&[("boot_count", f64::from(i / 20)), ("temperature", f64::from(i % 7))]);
    }
    assert_eq!(device.detector.fields(), ["boot_count", "temperature"]);
}

#[test]
fn a_sensor_with_excluded_fields_only_is_stored_unscored() {
    let mut device = Device::new(&config());
    assert!((0..200).all(|i| device.read(&[("battery", f64::from(i % 9))]).marks.unscored));
    assert_eq!(device.standing("battery").as_deref(), Some("excluded by battery"));
    assert_eq!(device.detector.seq(), 200);
}

#[test]
fn a_door_that_never_moves_is_still_watched() {
    let mut device = Device::new(&config());
    for _ in 0..500 {
        assert!(!device.read(&[("contact", 1.0)]).anomaly);
    }
    assert_eq!(device.detector.fields(), ["contact"]);
    assert!(device.read(&[("contact", 0.0)]).anomaly);
}

#[test]
fn a_field_that_comes_later_joins_and_its_spike_is_found() {
    let mut device = Device::new(&config());
    let mut noise = Noise::new(11);
    for _ in 0..200 {
        device.read(&[("temperature", 20.0 + noise.normal())]);
    }
    device.detector.take_fields_report();
    let mut joined_after = None;
    for i in 0..400 {
        device.read(&[("temperature", 20.0 + noise.normal()), ("humidity", 50.0 + noise.normal())]);
        if device.detector.fields().len() == 2 && joined_after.is_none() {
            joined_after = Some(i + 1);
        }
    }
    assert_eq!(joined_after, Some(64), "after as many readings as the warm-up has");
    assert_eq!(device.standing("humidity").as_deref(), Some("scored"));
    let spike = device.read(&[("temperature", 20.0), ("humidity", 90.0)]);
    assert!(spike.anomaly, "{spike:?}");
    assert_eq!(spike.causes.iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap().field, "humidity");
}

#[test]
fn a_late_constant_joins_when_it_is_restless_and_its_first_step_is_seen() {
    for (moves, joins) in [(false, false), (true, true)] {
        let mut device = Device::new(&config());
        let mut noise = Noise::new(13);
        let mut read = |device: &mut Device, relay: Option<f64>| {
            let mut fields = vec![("temperature", 20.0 + noise.normal())];
            fields.extend(relay.map(|relay| ("relay", relay)));
            device.read(&fields)
        };
        (0..200).for_each(|_| drop(read(&mut device, None)));
        (0..400).for_each(|_| drop(read(&mut device, Some(0.0))));
        assert_eq!(device.detector.fields(), ["temperature"]);
        let step = read(&mut device, Some(1.0));
        assert!(step.causes.iter().any(|cause| cause.field == "relay"), "{step:?}");
        (0..400).for_each(|i| drop(read(&mut device, Some(f64::from(u8::from(!moves || i % 10 < 5))))));
        assert_eq!(device.detector.fields().len(), 1 + usize::from(joins), "{moves}");
    }
}

/// The forest, the forecasts and the tails of a field stay as they are when another field joins.
#[test]
fn a_field_that_joins_costs_no_memory_of_the_others() {
    let mut device = Device::new(&config());
    let mut noise = Noise::new(29);
    let mut read = |device: &mut Device, a: f64, late: bool| {
        let mut fields = vec![("a", a + noise.normal()), ("b", noise.normal())];
        fields.extend(late.then(|| ("c", noise.normal())));
        device.read(&fields)
    };
    // The second level of a quarter of all readings does not come while the field joins.
    (0..4_000).for_each(|i| drop(read(&mut device, if i / 50 % 4 == 3 { 60.0 } else { 0.0 }, false)));
    (0..150).for_each(|_| drop(read(&mut device, 0.0, true)));
    assert_eq!(device.detector.fields(), ["a", "b", "c"]);
    let level = read(&mut device, 60.0, true);
    assert!(level.grade.is_some() && level.confidence > 0.97, "the past is as long as before: {level:?}");
    // Here it is 17; it is 44 if the forest loses its points when the field joins.
    assert!(level.score < 25.0, "the forest has seen this level: {}", level.score);
    assert!(read(&mut device, 600.0, true).score > 30.0);
}

#[test]
fn a_device_that_renames_its_fields_is_scored_by_the_new_names() {
    let mut device = Device::new(&config());
    let mut noise = Noise::new(17);
    for _ in 0..200 {
        device.read(&[("t", 20.0 + noise.normal())]);
    }
    let renamed: Vec<Detection> =
        (0..64).map(|_| device.read(&[("temperature", 20.0 + noise.normal())])).collect();
    assert!(renamed.iter().all(|detection| detection.marks.unscored));
    let after: Vec<Detection> =
        (0..200).map(|_| device.read(&[("temperature", 20.0 + noise.normal())])).collect();
    assert!(after.iter().all(|detection| !detection.marks.unscored && !detection.marks.imputed));
    assert_eq!(device.detector.fields(), ["temperature"]);
}

#[test]
fn an_anomaly_delays_the_decision() {
    let mut device = Device::new(&config());
    let mut noise = Noise::new(19);
    for _ in 0..300 {
        device.read(&[("temperature", 20.0 + noise.normal())]);
    }
    let level = |device: &mut Device, level: f64, noise: &mut Noise| {
        device.read(&[("temperature", level + noise.normal()), ("humidity", 50.0 + noise.normal())])
    };
    let during: Vec<Detection> = (0..70).map(|_| level(&mut device, 60.0, &mut noise)).collect();
    assert!(anomalous(&during) > 60);
    assert_eq!(device.detector.fields(), ["temperature"], "its readings must not become normal at once");
    let after: Vec<Detection> = (0..70).map(|_| level(&mut device, 20.0, &mut noise)).collect();
    assert!(
        after.iter().any(|detection| detection.event.as_ref().is_some_and(|event| event.ended.is_some()))
    );
    assert_eq!(device.detector.fields(), ["humidity", "temperature"]);
}

/// A scanner with a field per device that it sees.
#[test]
fn ever_new_names_do_not_let_the_state_grow() {
    for with_temperature in [false, true] {
        let mut device = Device::new(&DetectorConfig { warm_up: 256, ..config() });
        let (mut most, mut scored) = (0, 0);
        for i in 0..20_000 {
            let name = format!("device_{i:08}");
            let mut fields = vec![(name.as_str(), 1.0)];
            fields.extend(with_temperature.then_some(("temperature", f64::from(i * 7_919 % 101))));
            let detection = device.read(&fields);
            scored += usize::from(!detection.marks.unscored);
            if i % 100 == 0 {
                most = most.max(device.detector.snapshot().len());
            }
        }
        assert!(most < 150_000, "{most}");
        assert!(!with_temperature || scored == 20_000, "{scored}");
        if with_temperature {
            assert_eq!(device.detector.fields(), ["temperature"]);
        }
    }
}

#[test]
fn of_too_many_fields_the_most_frequent_are_scored_and_no_reading_is_rejected() {
    let mut device = Device::new(&DetectorConfig { smoothing: 0, trees: 1, points: 32, ..config() });
    let names: Vec<String> = (0..600).map(|i| format!("f{i:03}")).collect();
    for i in 0..70 {
        let fields: Vec<(&str, f64)> =
            names.iter().zip(0_i32..).map(|(name, n)| (name.as_str(), f64::from((i * n) % 17))).collect();
        assert!(!device.read(&fields).marks.unscored);
    }
    assert_eq!(device.detector.fields().len(), 256);
    let report = device.detector.take_fields_report().unwrap();
    assert!(report.standings.iter().any(|field| field.standing == Standing::Limit));
    assert!(report.untracked > 0);
}

#[test]
fn values_that_come_by_turns_raise_as_many_alarms_as_values_that_come_together() {
    let mut counts = [0, 0];
    for seed in 0..12 {
        let mut noise = Noise::new(seed);
        counts[0] += alarms(&turns(&mut Device::new(&test_config()), &mut noise, 3_000, 2));
        let mut device = Device::new(&test_config());
        let together: Vec<Detection> = (0..3_000)
            .map(|_| {
                let (temperature, humidity) = (20.0 + 0.5 * noise.normal(), 55.0 + 2.0 * noise.normal());
                device.read(&[("temperature", temperature), ("humidity", humidity)])
            })
            .collect();
        counts[1] += alarms(&together);
    }
    assert!(2 * counts[0] <= 3 * counts[1], "{counts:?}");
}

/// Temperature and humidity come by turns, one field per message.
fn turns(device: &mut Device, noise: &mut Noise, readings: usize, period: usize) -> Vec<Detection> {
    (0..readings)
        .map(|i| {
            if i % period == 0 {
                device.read(&[("temperature", 20.0 + 0.5 * noise.normal())])
            } else {
                device.read(&[("humidity", 55.0 + 2.0 * noise.normal())])
            }
        })
        .collect()
}

/// A device with many registers that sends one per message.
#[test]
fn many_values_that_come_by_turns_are_all_scored() {
    let mut device = Device::new(&DetectorConfig { warm_up: 256, points: 64, trees: 2, ..test_config() });
    let mut noise = Noise::new(23);
    let names: Vec<String> = (0..30).map(|i| format!("register_{i:02}")).collect();
    for i in 0..400 {
        let detection = device.read(&[(&names[i % 30], noise.normal())]);
        assert!(i < 256 || !detection.marks.unscored, "{i}");
    }
    assert_eq!(device.detector.fields(), names);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn values_that_come_by_turns_are_parts_of_one_sensor(seed in 0_u64..10_000, period in 2_usize..4) {
        let mut device = Device::new(&test_config());
        let mut noise = Noise::new(seed);
        let calm = turns(&mut device, &mut noise, 3_000, period);
        prop_assert!(calm.iter().all(|detection| !detection.marks.unscored));
        prop_assert_eq!(device.detector.fields(), ["humidity", "temperature"]);
        // Measured over 60 seeds: 3.8 alarms if both values come together, 3.6 if they come by turns,
        // 9 at most.
        prop_assert!(alarms(&calm) <= 14, "{} alarms in two days", alarms(&calm));
        let mut other = Device { detector: device.detector.clone(), now: device.now };
        let hot = device.read(&[("temperature", 35.0)]);
        prop_assert!(hot.anomaly, "{:?}", hot);
        let wet = other.read(&[("humidity", 95.0)]);
        prop_assert!(wet.anomaly, "{:?}", wet);
    }

    /// Battery, temperature, a late field, and a renamed one: at any reading, a restored detector
    /// continues bit for bit.
    #[test]
    fn a_restored_detector_decides_its_fields_alike(cut in 0_usize..500, seed in 0_u64..1_000) {
        let mut undisturbed = Device::new(&config());
        let mut device = Device::new(&config());
        let mut noise = Noise::new(seed);
        for i in 0..500 {
            if i == cut {
                let bytes = device.detector.snapshot();
                device.detector = Detector::restore("site/device", &config(), &bytes).unwrap();
                prop_assert_eq!(device.detector.snapshot(), bytes);
            }
            let mut fields = vec![("battery", 90.0), ("temperature", noise.normal()), ("relay", 0.0)];
            if i % 20 == 0 {
                fields.truncate(1);
            }
            if i >= 150 {
                fields.push(("humidity", noise.normal()));
            }
            if i >= 300 {
                fields.retain(|field| field.0 != "temperature");
                fields.push(("temp", noise.normal()));
            }
            let (a, b) = (undisturbed.read(&fields), device.read(&fields));
            // As text, NaN equals NaN.
            prop_assert_eq!(format!("{a:?}"), format!("{b:?}"));
            let (a, b) = (undisturbed.detector.take_fields_report(), device.detector.take_fields_report());
            prop_assert_eq!(a, b);
        }
        prop_assert_eq!(undisturbed.detector.fields(), ["humidity", "relay", "temp"]);
        prop_assert_eq!(undisturbed.detector.snapshot(), device.detector.snapshot());
    }
}

/// The rate changes, so that the time of day would count for a new detector, and then a field joins.
#[test]
fn a_field_joins_after_the_rate_has_changed() {
    for (first, then) in [(5, 60), (60, 5)] {
        let settings = DetectorConfig { warm_up: 64, ..DetectorConfig::default() };
        let mut detector = Detector::new("s", &settings);
        let (mut noise, mut now) = (Noise::new(3), 0);
        let names = ["a", "b", "c"].map(str::to_owned);
        for i in 0..2_200 {
            now += SECOND * if i < 1_500 { first } else { then };
            let values = [noise.normal(), noise.normal(), noise.normal()];
            let known = if i < 2_000 { 2 } else { 3 };
            let detection = detector.apply(now, &names[..known], &values[..known]).unwrap();
            assert!(i < 2_000 || detection.confidence > 0.6, "{i}: {detection:?}");
        }
        assert_eq!(detector.fields(), names);
        assert!(Detector::restore("s", &settings, &detector.snapshot()).is_ok());
    }
}

/// The readings of a window are unscored, and its decision begins the detector again.
#[test]
fn a_restored_detector_begins_again_alike_whatever_the_watched_fields_said() {
    let settings = DetectorConfig { alarms_per_week: 0.1, ..config() };
    let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for leak_at in (880..900).step_by(3) {
        let mut undisturbed = Detector::new("s", &settings);
        let mut restored = undisturbed.clone();
        let (mut noise, mut now) = (Noise::new(5), 0);
        for i in 0..1_100 {
            now += 60 * SECOND;
            let leak = f64::from(u8::from(i > 500 && i % 150 == 20 || i >= leak_at));
            let value = noise.normal();
            if i == 930 {
                restored = Detector::restore("s", &settings, &undisturbed.snapshot()).unwrap();
            }
            let (names, values) = match i {
                ..200 => (names("a"), vec![value]),
                200..900 => (names("a leak"), vec![value, leak]),
                _ => (names("b"), vec![value]),
            };
            let (a, b) = (undisturbed.apply(now, &names, &values), restored.apply(now, &names, &values));
            assert_eq!(format!("{a:?}"), format!("{b:?}"), "{leak_at} {i}");
        }
        assert!(undisturbed.fields().contains(&"b".to_owned()));
        assert_eq!(undisturbed.snapshot(), restored.snapshot());
    }
}

#[test]
fn a_watched_field_keeps_its_past_when_another_field_joins() {
    let grade = |joins: bool| {
        let mut device = Device::new(&config());
        let mut noise = Noise::new(3);
        let mut last = None;
        for i in 0..6_251 {
            let mut fields = vec![("a", noise.normal()), ("b", noise.normal())];
            let late = noise.normal();
            fields.extend((joins && i > 6_000).then_some(("c", late)));
            fields.extend((i > 200).then(|| ("leak", f64::from(u8::from(i == 6_250)))));
            last = Some(device.read(&fields));
        }
        assert_eq!(device.detector.fields().len(), if joins { 3 } else { 2 });
        last.unwrap().grade.unwrap()
    };
    let (alone, joined) = (grade(false), grade(true));
    assert!((alone - joined).abs() < 0.01, "{alone} {joined}");
}
