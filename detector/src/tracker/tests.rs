use super::*;
use crate::window::WindowRow;

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn observe(tracker: &mut Tracker, ts: i64, name: &str, value: f64, fields: &str) -> Observed {
    let config = DetectorConfig::default();
    tracker.observe(ts, (&names(name), &[value]), &names(fields), &config, 32)
}

#[test]
fn a_window_keeps_the_values_of_fields_that_may_be_scored() {
    let mut tracker = Tracker::new(32);
    let config = DetectorConfig::default();
    let values = [90.0, 20.0, f64::NAN];
    let observed = tracker.observe(1, (&names("battery t u"), &values), &[], &config, 32);
    assert_eq!(observed, Observed { kept: true, reports: true });
    let row = WindowRow { ts: 1, after_silence: false, values: vec![f64::NAN, 20.0] };
    let rows = tracker.window().unwrap().rows(&names("battery t"));
    assert_eq!(format!("{rows:?}"), format!("{:?}", [row]));
    assert!(tracker.window().unwrap().rows(&names("battery")).is_empty());
}

#[test]
fn a_reading_with_excluded_fields_only_is_not_kept_and_reported_once() {
    let mut tracker = Tracker::new(32);
    assert_eq!(observe(&mut tracker, 1, "rssi", -60.0, ""), Observed { kept: false, reports: true });
    assert_eq!(observe(&mut tracker, 2, "rssi", -61.0, ""), Observed::default());
}

#[test]
fn a_rare_field_is_not_scored() {
    let mut tracker = Tracker::new(32);
    for i in 0..32 {
        let name = if i % 16 == 0 { "boot" } else { "t" };
        observe(&mut tracker, i, name, i as f64, "");
    }
    assert!(tracker.is_full());
    assert_eq!(tracker.decide(&names("boot t"), &DetectorConfig::default()), Some(names("t")));
    let report = tracker.report(&names("t"), &DetectorConfig::default());
    assert_eq!(
        report.standings[0],
        FieldStanding { name: "boot".to_owned(), standing: Standing::Rare, remark: None }
    );
}

#[test]
fn the_pause_between_windows_without_a_new_field_doubles() {
    let mut tracker = Tracker::new(32);
    let config = DetectorConfig::default();
    for i in 0..32 {
        observe(&mut tracker, i, "t", i as f64, "");
    }
    assert_eq!(tracker.decide(&[], &config), Some(names("t")));
    tracker.close();
    let mut gaps = Vec::new();
    let mut gap = 0;
    for i in 32..3_000 {
        observe(&mut tracker, i, &format!("device-{i}"), 1.0, "t");
        gap += i64::from(!tracker.is_watching());
        if tracker.is_full() {
            assert_eq!(tracker.decide(&names("t"), &config), None);
            tracker.close();
            gaps.push(std::mem::take(&mut gap));
        }
    }
    assert_eq!(gaps[..5], [0, 32, 64, 128, 256]);
}

#[test]
fn the_number_of_kept_names_is_bounded_and_the_rest_is_counted() {
    let mut tracker = Tracker::new(64);
    for i in 0..1_000 {
        observe(&mut tracker, i, &format!("rssi_{i}"), 1.0, "");
    }
    let report = tracker.report(&[], &DetectorConfig::default());
    assert_eq!((report.standings.len(), report.untracked), (MAX_LEFT_OUT, 512));
}
