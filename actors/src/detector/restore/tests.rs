use std::collections::BTreeMap;
use std::sync::Arc;

use thicket_detector::{Detection, DetectorConfig, Label};
use thicket_schema::{Checkpoint, FieldSet, Timestamp};
use thicket_store::postgres::DetectorReset;

use super::*;

const READINGS: i64 = 700;

fn settings() -> DetectorConfig {
    DetectorConfig { trees: 4, points: 64, warm_up: 50, ..DetectorConfig::default() }
}

fn small_config() -> NamedConfig {
    settings().into()
}

fn sensor() -> SensorName {
    SensorName::new("site-1/mic-7").unwrap()
}

fn fields() -> FieldSet {
    FieldSet::new(vec!["a".to_owned(), "b".to_owned()]).unwrap()
}

fn values(i: i64) -> Vec<f64> {
    vec![((i * 7919) % 101) as f64 / 10.0, ((i * 104_729) % 97) as f64]
}

fn run(detector: &mut Detector, range: std::ops::Range<i64>) -> Vec<Detection> {
    range.map(|i| detector.apply(i, fields().names(), &values(i)).unwrap()).collect()
}

fn rows(detections: &[Detection], first: i64, config: &NamedConfig) -> Vec<StoredReading> {
    let row = |(i, detection): (usize, &Detection)| StoredReading {
        ts: Timestamp(first + i as i64),
        seq: Some(detection.seq),
        config: Some(config.identity),
        era: 0,
        late: false,
        score: Some(detection.score),
        fields: fields(),
        values: values(first + i as i64),
    };
    detections.iter().enumerate().map(row).collect()
}

fn checkpoint(detector: &Detector, config: &NamedConfig) -> Checkpoint {
    Checkpoint {
        sensor: sensor().as_str().to_owned(),
        seq: detector.seq(),
        newest: detector.newest().map(Timestamp),
        era: 0,
        config: config.fingerprint,
        state: detector.snapshot(),
    }
}

#[test]
fn a_checkpoint_and_the_rows_after_it_restore_the_undisturbed_detector() {
    let config = small_config();
    let mut undisturbed = Detector::new(sensor().as_str(), &config.config);
    run(&mut undisturbed, 0..400);
    let saved = checkpoint(&undisturbed, &config);
    let after = run(&mut undisturbed, 400..READINGS);

    let history =
        History { checkpoint: Some(saved), replay: rows(&after, 400, &config), ..History::default() };
    let (restored, found) = restore(&RestoreFacts { sensor: &sensor(), config: &config, history: &history });
    assert_eq!(found, Restored { seq: READINGS as u64, replayed: 300, mismatches: 0, unusable: false });
    assert_eq!(restored.snapshot(), undisturbed.snapshot());
}

#[test]
fn rows_alone_restore_the_undisturbed_detector() {
    let config = small_config();
    let mut undisturbed = Detector::new(sensor().as_str(), &config.config);
    let all = run(&mut undisturbed, 0..READINGS);
    let history = History { checkpoint: None, replay: rows(&all, 0, &config), ..History::default() };
    let (restored, _) = restore(&RestoreFacts { sensor: &sensor(), config: &config, history: &history });
    assert_eq!(restored.snapshot(), undisturbed.snapshot());
}

#[test]
fn a_stored_score_that_is_not_reproduced_is_counted() {
    let config = small_config();
    let all = run(&mut Detector::new(sensor().as_str(), &config.config), 0..100);
    let mut stored = rows(&all, 0, &config);
    stored[60].score = stored[60].score.map(|score| score + 1e-9);
    let history = History { checkpoint: None, replay: stored, ..History::default() };
    let (_, found) = restore(&RestoreFacts { sensor: &sensor(), config: &config, history: &history });
    assert_eq!(found.mismatches, 1);
}

/// The detector learns from the rows of the old shape and replays the rows of the new shape.
#[test]
fn a_detector_of_another_shape_is_warm_and_keeps_seq() {
    let (old, new) = (small_config(), NamedConfig::from(DetectorConfig { points: 128, ..settings() }));
    let before = run(&mut Detector::new(sensor().as_str(), &old.config), 0..100);
    let stored_before = rows(&before, 0, &old);
    let at_once = History { rebuild_from: stored_before.clone(), ..History::default() };
    let (mut undisturbed, found) =
        restore(&RestoreFacts { sensor: &sensor(), config: &new, history: &at_once });
    assert_eq!(found, Restored { seq: 100, replayed: 100, mismatches: 0, unusable: false });
    let after = run(&mut undisturbed, 100..200);
    assert_eq!(after[0].seq, 101);
    assert!(after[0].grade.is_some(), "it is warm");

    let history =
        History { rebuild_from: stored_before, replay: rows(&after, 100, &new), ..History::default() };
    let (restored, found) = restore(&RestoreFacts { sensor: &sensor(), config: &new, history: &history });
    assert_eq!(found, Restored { seq: 200, replayed: 200, mismatches: 0, unusable: false });
    assert_eq!(restored.snapshot(), undisturbed.snapshot());
}

/// The threshold decides what the detector learns during an anomaly. So each row is replayed with
/// the threshold that it was scored with.
#[test]
fn rows_are_replayed_with_the_settings_that_they_were_scored_with() {
    let lenient = NamedConfig::from(DetectorConfig { alarms_per_week: 1e5, ..settings() });
    let strict = NamedConfig::from(DetectorConfig { alarms_per_week: 1e-3, ..settings() });
    let mut undisturbed = Detector::new(sensor().as_str(), &lenient.config);
    let mut stored = rows(&run(&mut undisturbed, 0..400), 0, &lenient);
    assert!(undisturbed.reconfigure(&strict.config));
    stored.extend(rows(&run(&mut undisturbed, 400..READINGS), 400, &strict));
    let named = [&lenient, &strict].map(|config| (config.identity, Arc::new(config.clone())));
    let history = History { replay: stored, configs: BTreeMap::from(named), ..History::default() };
    let (restored, found) = restore(&RestoreFacts { sensor: &sensor(), config: &strict, history: &history });
    assert_eq!(found.mismatches, 0);
    assert_eq!(restored.snapshot(), undisturbed.snapshot());
}

/// A sensor keeps its first warm-up, also if its detector is rebuilt from rows alone.
#[test]
fn a_detector_begins_with_the_settings_of_its_first_row() {
    let longer = NamedConfig::from(DetectorConfig { warm_up: 300, ..settings() });
    let mut undisturbed = Detector::new(sensor().as_str(), &small_config().config);
    let mut stored = rows(&run(&mut undisturbed, 0..200), 0, &small_config());
    assert!(undisturbed.reconfigure(&longer.config));
    stored.extend(rows(&run(&mut undisturbed, 200..400), 200, &longer));
    let named = [&small_config(), &longer].map(|config| (config.identity, Arc::new(config.clone())));
    let history = History { replay: stored, configs: BTreeMap::from(named), ..History::default() };
    let (restored, _) = restore(&RestoreFacts { sensor: &sensor(), config: &longer, history: &history });
    assert_eq!(restored.snapshot(), undisturbed.snapshot());
}

#[test]
fn settings_that_change_before_the_first_row_are_those_of_the_first_row() {
    let longer = NamedConfig::from(DetectorConfig { warm_up: 300, ..settings() });
    let mut undisturbed = Detector::new(sensor().as_str(), &small_config().config);
    assert!(undisturbed.reconfigure(&longer.config));
    let stored = rows(&run(&mut undisturbed, 0..200), 0, &longer);
    let configs = BTreeMap::from([(longer.identity, Arc::new(longer.clone()))]);
    let history = History { replay: stored, configs, ..History::default() };
    let (restored, _) = restore(&RestoreFacts { sensor: &sensor(), config: &longer, history: &history });
    assert_eq!(restored.snapshot(), undisturbed.snapshot());
}

#[test]
fn a_damaged_checkpoint_is_not_used() {
    let config = small_config();
    let mut detector = Detector::new(sensor().as_str(), &config.config);
    run(&mut detector, 0..100);
    let mut saved = checkpoint(&detector, &config);
    let middle = saved.state.len() / 2;
    saved.state[middle] ^= 0x40;
    let history = History { checkpoint: Some(saved), replay: Vec::new(), ..History::default() };
    let (restored, _) = restore(&RestoreFacts { sensor: &sensor(), config: &config, history: &history });
    assert_eq!(
        (restored.seq(), restored.newest()),
        (100, Some(99)),
        "the restored detector keeps seq and newest without the forest"
    );
}

#[test]
fn a_poison_row_moves_only_the_newest_timestamp() {
    let config = small_config();
    let poison = StoredReading {
        ts: Timestamp(5),
        seq: None,
        config: None,
        era: 0,
        late: false,
        score: None,
        fields: fields(),
        values: values(5),
    };
    let history = History { checkpoint: None, replay: vec![poison], ..History::default() };
    let (restored, _) = restore(&RestoreFacts { sensor: &sensor(), config: &config, history: &history });
    assert_eq!((restored.seq(), restored.newest()), (0, Some(5)));
}

/// A device that sends a battery first, another field from reading 150 on, and its fields under
/// other names from reading 300 on.
fn device_reading(i: i64) -> (FieldSet, Vec<f64>) {
    let mut fields = vec![("battery", 90.0)];
    if i % 20 != 0 {
        fields.push((if i < 300 { "temp" } else { "temperature" }, values(i)[0]));
    }
    if i >= 150 {
        fields.push(("wind", values(i)[1]));
    }
    let names = fields.iter().map(|field| field.0.to_owned()).collect();
    (FieldSet::new(names).unwrap(), fields.iter().map(|field| field.1).collect())
}

/// The clock of the device goes back once, while the fields are being decided.
fn run_device(detector: &mut Detector, range: std::ops::Range<i64>) -> Vec<StoredReading> {
    let row = |i: i64| {
        let (fields, values) = device_reading(i);
        let (ts, era) = if i < 170 { (i, 0) } else { (i - 100, 1) };
        let detection = detector.apply(ts, fields.names(), &values).unwrap();
        StoredReading {
            ts: Timestamp(ts),
            seq: Some(detection.seq),
            config: Some(small_config().identity),
            era,
            late: false,
            score: (!detection.marks.unscored).then_some(detection.score),
            fields,
            values,
        }
    };
    range.map(row).collect()
}

/// Checkpoints before, in and after each window in which the fields are decided.
#[test]
fn a_detector_whose_fields_change_is_restored_from_any_checkpoint() {
    let config = small_config();
    let mut undisturbed = Detector::new(sensor().as_str(), &config.config);
    let all = run_device(&mut undisturbed, 0..READINGS);
    assert_eq!(undisturbed.fields(), ["temperature", "wind"]);
    assert!(all.iter().any(|row| row.score.is_none()));
    let mut detector = Detector::new(sensor().as_str(), &config.config);
    for cut in (0..READINGS).step_by(7) {
        let saved = (cut > 0).then(|| checkpoint(&detector, &config));
        let history =
            History { checkpoint: saved, replay: all[cut as usize..].to_vec(), ..History::default() };
        let (mut restored, found) =
            restore(&RestoreFacts { sensor: &sensor(), config: &config, history: &history });
        assert_eq!((found.seq, found.mismatches), (READINGS as u64, 0), "{cut}");
        assert_eq!(restored.snapshot(), undisturbed.snapshot(), "{cut}");
        assert_eq!(restored.take_fields_report(), None, "it is stored already");
        run_device(&mut detector, cut..(cut + 7).min(READINGS));
    }
}

/// With another list of names, the rows that were unscored are learnt.
#[test]
fn a_detector_of_another_shape_learns_unscored_rows_too_and_reports_its_fields() {
    let config = small_config();
    let old = NamedConfig::from(DetectorConfig { fields: vec!["other".to_owned()], ..settings() });
    let mut detector = Detector::new(sensor().as_str(), &old.config);
    let mut stored = run_device(&mut detector, 0..140);
    assert!(stored.iter().all(|row| row.score.is_none()));
    for row in &mut stored {
        row.config = Some(old.identity);
    }
    let history = History { rebuild_from: stored, ..History::default() };
    let (mut restored, found) =
        restore(&RestoreFacts { sensor: &sensor(), config: &config, history: &history });
    assert_eq!((found.seq, restored.fields()), (140, ["temp".to_owned()].as_slice()));
    let report = restored.take_fields_report().expect("the next commit stores it");
    assert_eq!(report.scored().collect::<Vec<_>>(), ["temp"]);
}

/// Replays pages of rows.
fn restore_in_pages(config: &NamedConfig, mut history: History, page: usize) -> (Detector, Restored) {
    let all = std::mem::take(&mut history.replay);
    let mut pages = all.chunks(page);
    history.replay = pages.next().unwrap_or_default().to_vec();
    let mut restoration = Restoration::begin(&RestoreFacts { sensor: &sensor(), config, history: &history });
    restoration.replay(&history.replay, &history.configs);
    for rows in pages {
        restoration.replay(rows, &history.configs);
    }
    restoration.finish(config)
}

/// Labels at the end of a page, two at the same reading, and one whose number shows that earlier
/// labels are gone.
#[test]
fn labels_are_applied_once_and_in_order_whatever_the_pages_and_the_checkpoint() {
    let config = NamedConfig::from(DetectorConfig { alarms_per_week: 1e5, ..settings() });
    let mut undisturbed = Detector::new(sensor().as_str(), &config.config);
    let mut labels: Vec<AppliedLabel> = Vec::new();
    let (mut all, mut saved) = (Vec::new(), Vec::new());
    let mut started = None;
    for i in 0..300 {
        let value = if (100..104).contains(&(i % 200)) { 900.0 } else { values(i)[0] };
        let detection = undisturbed.apply(i, fields().names(), &[value, values(i)[1]]).unwrap();
        started = detection.event.as_ref().map(|event| event.started).or(started);
        let mut row = rows(std::slice::from_ref(&detection), i, &config);
        row[0].values[0] = value;
        all.append(&mut row);
        let said: &[Label] = match i {
            102 => &[Label::True],
            199 => &[Label::False, Label::True],
            _ => &[],
        };
        for &label in said {
            let number = labels.last().map_or(7, |last| last.number + 1);
            undisturbed.label_again(started.unwrap(), label, number);
            let (seq, started) = (undisturbed.seq(), Timestamp(started.unwrap()));
            labels.push(AppliedLabel { sensor: sensor().id(), seq, number, started, label });
            saved.push(checkpoint(&undisturbed, &config));
        }
    }
    assert_eq!(undisturbed.labels(), 9);
    let configs = || BTreeMap::from([(config.identity, Arc::new(config.clone()))]);
    for page in [1, 103, 200, 10_000] {
        for checkpoint in std::iter::once(None).chain(saved.iter().cloned().map(Some)) {
            let from = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.seq as usize);
            let (replay, labels) = (all[from..].to_vec(), labels.clone());
            let history = History { checkpoint, replay, labels, configs: configs(), ..History::default() };
            let (detector, found) = restore_in_pages(&config, history, page);
            assert_eq!((found.seq, found.mismatches), (300, 0), "pages of {page} after {from}");
            assert_eq!(detector.snapshot(), undisturbed.snapshot(), "pages of {page} after {from}");
        }
    }
}

/// Labels that were applied at the seq of a reset belong to the detector before it. The detector
/// that began there counts its own labels from 1.
#[test]
fn labels_from_before_a_reset_are_not_applied_to_the_detector_after_it() {
    const RESET: u64 = 50;
    let config = small_config();
    let mut undisturbed =
        Detector::resume(sensor().as_str(), &config.config, RESET, Some(RESET.cast_signed()));
    let label = |seq, number, started| AppliedLabel {
        sensor: sensor().id(),
        seq,
        number,
        started: Timestamp(started),
        label: Label::False,
    };
    let mut labels = vec![label(RESET, 1, 10), label(RESET, 2, 20)];
    let mut all = Vec::new();
    for i in 60..READINGS {
        let value = if (500..505).contains(&i) { vec![500.0, -500.0] } else { values(i) };
        let detection = undisturbed.apply(i, fields().names(), &value).unwrap();
        let row = rows(std::slice::from_ref(&detection), i, &config).remove(0);
        all.push(StoredReading { values: value, ..row });
        if let Some(event) = detection.event.filter(|_| i == 502)
            && undisturbed.label(event.started, Label::False) == Some(1)
        {
            labels.push(label(undisturbed.seq(), 1, event.started));
        }
    }
    assert_eq!(undisturbed.labels(), 1);
    let reset = DetectorReset { request: 1, seq: RESET, era: 0, newest: Timestamp(RESET.cast_signed()) };
    let configs = BTreeMap::from([(config.identity, Arc::new(config.clone()))]);
    let history = History { replay: all, labels, configs, reset: Some(reset), ..History::default() };
    let (restored, found) = restore(&RestoreFacts { sensor: &sensor(), config: &config, history: &history });
    assert_eq!((found.mismatches, restored.labels()), (0, 1));
    assert_eq!(restored.snapshot(), undisturbed.snapshot());
}

/// With a change of the settings.
#[test]
fn the_result_does_not_depend_on_where_a_page_ends() {
    let (first, second) =
        (small_config(), NamedConfig::from(DetectorConfig { alarms_per_week: 1e5, ..settings() }));
    let mut undisturbed = Detector::new(sensor().as_str(), &first.config);
    let mut stored = run_device(&mut undisturbed, 0..400);
    undisturbed.reconfigure(&second.config);
    let mut after = run_device(&mut undisturbed, 400..READINGS);
    for row in &mut after {
        row.config = Some(second.identity);
    }
    stored.extend(after);
    let expected = undisturbed.snapshot();
    for page in [1, 7, 150, 170, 399, 400, 401, 10_000] {
        let configs = [&first, &second].map(|config| (config.identity, Arc::new(config.clone())));
        let history =
            History { replay: stored.clone(), configs: BTreeMap::from(configs), ..History::default() };
        let (detector, found) = restore_in_pages(&second, history, page);
        let whole = Restored { seq: READINGS as u64, replayed: READINGS as u64, ..Restored::default() };
        assert_eq!(found, whole, "pages of {page}");
        assert_eq!(detector.snapshot(), expected, "pages of {page}");
    }
}
