use std::{fs, path::Path};

use super::*;
use crate::{random::Key, sound_class::SoundClass};

fn sensor(index: u32) -> SensorRecord {
    SensorRecord {
        index,
        period_micros: 1_000_000,
        name: format!("city/harbour/microphone-{index:02}"),
        topic: format!("sensors/city/harbour/microphone-{index:02}"),
        fields: ["centroid_hz", "laeq_db"].map(str::to_owned).to_vec(),
    }
}

fn records() -> Vec<Record> {
    let mut random = Key::root(1, "manifest").stream();
    let mut records = vec![Record::Sensor(sensor(0)), Record::Sensor(sensor(7))];
    for n in 0..50 {
        let readings = (0..=n % 3)
            .map(|m| PublishedReading { ts: n * 1_000 + m, values: vec![random.gauss(), -0.0] })
            .collect();
        let disposition = [Disposition::Plain, Disposition::Duplicate, Disposition::Late][(n % 3) as usize];
        records.push(Record::Message { disposition, sensor: if n % 2 == 0 { 0 } else { 7 }, readings });
    }
    records.push(Record::Malformed { topic: "sensors/x".to_owned(), payload: b"\xff{".to_vec() });
    records.push(Record::Clock(1_795_341_600_000_000));
    records
}

fn write(path: &Path) {
    let mut writer = ManifestWriter::create(path).unwrap();
    for record in records() {
        match record {
            Record::Sensor(sensor) => writer.sensor(&sensor),
            Record::Message { disposition, sensor, readings } => {
                writer.message(disposition, sensor, readings.iter().map(|r| (r.ts, r.values.as_slice())))
            }
            Record::Malformed { topic, payload } => writer.malformed(&topic, &payload),
            Record::Clock(micros) => writer.clock(micros),
        }
        .unwrap();
    }
    writer.flush().unwrap();
}

fn event(start: i64) -> InjectedEvent {
    InjectedEvent {
        sensor: "city/harbour/microphone-01".to_owned(),
        class: SoundClass::Siren,
        start,
        end: start + 9_000_000,
        salience_db: 12.5,
    }
}

#[test]
fn a_manifest_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest");
    write(&path);
    let mut reader = ManifestReader::open(&path).unwrap();
    let read: Vec<Record> = reader.by_ref().map(Result::unwrap).collect();
    // The text distinguishes −0 from 0, == does not.
    assert_eq!(format!("{read:?}"), format!("{:?}", records()));
    assert!(!reader.torn());
}

#[test]
fn a_manifest_cut_anywhere_yields_its_whole_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest");
    write(&path);
    let whole = fs::read(&path).unwrap();
    let all = records();
    let mut longest = 0;
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let mut reader = ManifestReader::open(&path).unwrap();
        let read: Vec<Record> = reader.by_ref().map(Result::unwrap).collect();
        assert_eq!(read[..], all[..read.len()], "cut at {length}");
        assert!(read.len() >= longest);
        longest = read.len();
    }
    assert_eq!(longest, all.len());
}

#[test]
fn changed_bytes_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest");
    write(&path);
    let whole = fs::read(&path).unwrap();
    for position in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let outcome = ManifestReader::open(&path).and_then(|reader| {
            let mut reader = reader;
            let records: Result<Vec<Record>, _> = reader.by_ref().collect();
            records.map(|_| reader.torn())
        });
        // A length that is greater than the rest of the file looks like a torn end. All other
        // changes are errors.
        assert!(outcome.is_err() || outcome.is_ok_and(|torn| torn), "byte {position}");
    }
}

#[test]
fn a_manifest_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest");
    write(&path);
    assert!(matches!(ManifestWriter::create(&path), Err(ManifestError::Exists { .. })));
}

#[test]
fn another_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    fs::write(&path, "JFIF and so on and so forth").unwrap();
    assert!(matches!(ManifestReader::open(&path), Err(ManifestError::NotAManifest { .. })));
    assert!(matches!(ManifestReader::open(&folder.path().join("none")), Err(ManifestError::File { .. })));
}

#[test]
fn events_come_back_and_a_torn_last_line_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest");
    let mut writer = ManifestWriter::create(&path).unwrap();
    let written: Vec<InjectedEvent> = (0..3).map(|n| event(1_795_341_600_000_000 + n * 60_000_000)).collect();
    for event in &written {
        writer.event(event).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(events::read(&path).unwrap(), written);

    let text = fs::read_to_string(events::path_of(&path)).unwrap();
    fs::write(events::path_of(&path), &text[..text.len() - 20]).unwrap();
    assert_eq!(events::read(&path).unwrap(), written[..2]);

    fs::write(events::path_of(&path), "nonsense\n").unwrap();
    assert!(matches!(events::read(&path), Err(ManifestError::Damaged { .. })));
}
