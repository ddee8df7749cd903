use std::sync::LazyLock;

use super::*;
use crate::{
    audio::library::LoadOptions,
    sound_class::SoundClass,
    synth::{self, SynthOptions},
};

/// Returns a small data set, which is analysed once for all tests.
pub(crate) fn shared_library() -> Arc<Library> {
    static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let options = SynthOptions { seed: 1, clips_per_class: 4, sample_rate: 16_000 };
        synth::write(folder.path(), &options, |_| {}).unwrap();
        Arc::new(Library::load(folder.path(), &LoadOptions::default(), |_, _| {}).unwrap())
    });
    Arc::clone(&LIBRARY)
}

fn new_scenario(sensors: u32, seed: u64) -> Scenario {
    Scenario::new(shared_library(), ScenarioOptions { sensors, seed, ..ScenarioOptions::default() }).unwrap()
}

#[test]
fn a_reading_depends_on_nothing_but_seed_sensor_and_frame() {
    let (few, many) = (new_scenario(3, 7), new_scenario(40, 7));
    let in_order: Vec<Reading> = few.readings(0).take(3 * 50).collect();
    for reading in in_order.iter().rev() {
        assert_eq!(many.reading(reading.sensor, reading.frame), *reading);
    }
    let other_seed = new_scenario(3, 8);
    assert!(
        in_order
            .iter()
            .all(|reading| other_seed.reading(reading.sensor, reading.frame).values != reading.values)
    );

    let later = Scenario::new(
        shared_library(),
        ScenarioOptions {
            sensors: 3,
            seed: 7,
            start_micros: 1_800_000_000_000_000,
            ..ScenarioOptions::default()
        },
    )
    .unwrap();
    assert_eq!(later.reading(1, 5).values, few.reading(1, 5).values);
}

#[test]
fn the_readings_of_a_seed_are_pinned() {
    let mut bytes = Vec::new();
    for reading in new_scenario(4, 1).readings(600).take(4 * 1_200) {
        bytes.extend(reading.values.iter().flat_map(|value| value.to_bits().to_le_bytes()));
    }
    let hash = xxhash_rust::xxh3::xxh3_64(&bytes);
    assert_eq!(
        hash, 0x379a_3132_cb59_bf05,
        "{hash:#x}: the readings of a seed changed, which CHANGELOG.md has to say"
    );
}

#[test]
fn readings_come_in_the_order_of_their_timestamps() {
    let scenario = new_scenario(30, 1);
    let readings: Vec<Reading> = scenario.readings(10).take(30 * 5).collect();
    assert!(readings.windows(2).all(|pair| pair[0].ts <= pair[1].ts));
    for reading in &readings {
        let since_start = reading.ts - scenario.options().start_micros;
        assert_eq!(since_start / 1_000_000, reading.frame as i64);
        assert_eq!(reading.ts % 1_000, 0);
    }
}

#[test]
fn names_are_distinct_and_go_round_the_districts() {
    let scenario = new_scenario(150, 1);
    assert_eq!(scenario.sensors()[0].name, "city/harbour/microphone-01");
    assert_eq!(scenario.sensors()[13].name, "city/old-town/microphone-02");
    let names: std::collections::HashSet<&str> = scenario.sensors().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names.len(), 150);
}

#[test]
fn values_are_those_of_a_city() {
    let scenario = new_scenario(12, 3);
    for reading in scenario.readings(0).take(12 * 1_500) {
        for (field, value) in FIELDS.iter().zip(reading.values) {
            let plausible = match *field {
                "laeq_db" => 35.0..100.0,
                "peak_db" => 40.0..125.0,
                "centroid_hz" => 20.0..11_000.0,
                "flatness" | "zcr" => 0.0..1.0,
                _ => 0.0..110.0,
            };
            assert!(plausible.contains(&value), "{field} = {value} at {}/{}", reading.sensor, reading.frame);
        }
    }
}

#[test]
fn events_stand_above_the_bed_by_their_salience() {
    let scenario = new_scenario(40, 5);
    let laeq = |sensor, frame| scenario.reading(sensor, frame).values[10];
    let mut excess_error = 0.0;
    let mut events = 0;
    for sensor in 0..40 {
        for event in scenario.events(sensor).take(4) {
            let frames = event.first_frame..=event.last_frame;
            let loudest = frames.map(|frame| laeq(sensor, frame)).fold(f64::MIN, f64::max);
            let before: f64 =
                (event.first_frame - 40..event.first_frame).map(|frame| laeq(sensor, frame)).sum::<f64>()
                    / 40.0;
            assert!(loudest > before + 3.0, "{sensor}: {event:?}: {loudest}, before {before}");
            excess_error += loudest - before - event.salience_db;
            events += 1;
        }
    }
    // The loudest of several frames with scatter is slightly above the salience.
    let bias = excess_error / f64::from(events);
    assert!((0.0..4.5).contains(&bias), "{bias}");
}

#[test]
fn csv_has_a_row_per_frame_and_labels_agree() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = new_scenario(3, 9);
    let frames = 4_000;
    let events = csv_files::write(&scenario, folder.path(), frames, |_| {}).unwrap();
    let labels = std::fs::read_to_string(folder.path().join("labels.csv")).unwrap();
    assert_eq!(labels.lines().count() as u64, 1 + events);
    assert!(events > 0);
    for (index, sensor) in scenario.sensors().iter().enumerate() {
        let text =
            std::fs::read_to_string(folder.path().join(sensor.name.replace('/', "_") + ".csv")).unwrap();
        assert!(text.starts_with("ts,band_1000_db,"));
        let labelled = text.lines().skip(1).filter(|line| !line.ends_with(',')).count() as u64;
        let expected: u64 = scenario
            .events(index)
            .take_while(|event| event.first_frame < frames)
            .map(|event| event.last_frame.min(frames - 1) - event.first_frame + 1)
            .sum();
        assert_eq!(labelled, expected);
        assert_eq!(text.lines().count() as u64, 1 + frames);
        assert!(text.lines().all(|line| line.split(',').count() == 15));
    }
}

#[test]
fn all_event_classes_occur_and_none_before_the_quiet_time_is_over() {
    let scenario = new_scenario(30, 2);
    let mut classes = std::collections::BTreeSet::new();
    for sensor in 0..30 {
        for event in scenario.events(sensor).take(5) {
            assert!(event.first_frame >= 900);
            classes.insert(event.class);
        }
    }
    assert!(classes.iter().copied().eq(SoundClass::EVENTS), "{classes:?}");
}

#[test]
fn events_come_at_the_asked_rate_and_keep_apart() {
    let scenario = new_scenario(50, 4);
    let frames = 900 + 10 * 3_600;
    let mut count = 0;
    for sensor in 0..50 {
        let events: Vec<Event> =
            scenario.events(sensor).take_while(|event| event.last_frame < frames).collect();
        for pair in events.windows(2) {
            assert!(pair[1].first_frame > pair[0].last_frame + 30, "{pair:?}");
        }
        for event in &events {
            let length = event.last_frame - event.first_frame + 1;
            assert!((3..=40).contains(&length), "{event:?}");
            assert_eq!(scenario.event_at(sensor, event.first_frame), Some(*event));
            assert_eq!(scenario.event_at(sensor, event.last_frame), Some(*event));
            assert_eq!(scenario.event_at(sensor, event.last_frame + 1), None);
            assert!((8.0..20.0).contains(&event.salience_db));
        }
        count += events.len();
    }
    // 50 sensors × 10 hours × 4 per hour. Each slot has an event with probability one half:
    // standard deviation 32.
    assert!((1_850..=2_150).contains(&count), "{count}");
}

#[test]
fn a_scenario_without_events_has_none() {
    let options = ScenarioOptions { events_per_hour: 0.0, ..ScenarioOptions::default() };
    let scenario = Scenario::new(shared_library(), options).unwrap();
    assert_eq!(scenario.events(0).count(), 0);
    assert_eq!(scenario.event_at(0, 5_000), None);
}
