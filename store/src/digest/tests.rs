use thicket_schema::Timestamp;

use super::*;

const TS: i64 = 1_795_341_600_000_000;

fn row() -> ReadingRow {
    ReadingRow {
        sensor: 0,
        ts: Timestamp(TS),
        seq: Some(7),
        field_set: 1,
        values: vec![52.31, 0.08],
        score: Some(3.5),
        grade: None,
        flags: 1,
        config: None,
        confidence: None,
        onset: None,
        era: 0,
    }
}

fn event() -> AnomalyRow {
    AnomalyRow {
        sensor: 0,
        started: Timestamp(TS),
        ended: None,
        peak_at: Timestamp(TS + 5),
        peak_score: 9.25,
        peak_grade: 0.99,
        readings: 4,
        fields: names(),
        contributions: vec![0.75, 0.25],
        accepted: false,
        actual: Vec::new(),
        expected: Vec::new(),
        low: Vec::new(),
        high: Vec::new(),
        counters: Vec::new(),
        repeated: Vec::new(),
        away: Vec::new(),
    }
}

fn sensor_row() -> SensorRow {
    SensorRow {
        id: 0,
        name: "site-1/a".to_owned(),
        partition: 0,
        fields: names(),
        first_seen: Timestamp(TS),
        untracked: 0,
        field_sets: Vec::new(),
        first_name: None,
    }
}

fn names() -> Vec<String> {
    ["laeq_db", "zcr"].map(str::to_owned).to_vec()
}

fn hash_of(add: impl FnOnce(&mut RowHasher)) -> String {
    let mut hasher = RowHasher::new();
    add(&mut hasher);
    hasher.finish()
}

/// Asserts that all hashes differ.
fn assert_distinct(hashes: &[String]) {
    for (n, hash) in hashes.iter().enumerate() {
        assert!(!hashes[n + 1..].contains(hash), "change {n} has no effect");
    }
}

#[test]
fn every_column_of_a_reading_counts() {
    let changes: [fn(&mut ReadingRow); 11] = [
        |_| {},
        |row| row.ts = Timestamp(TS + 1),
        |row| row.seq = None,
        |row| row.seq = Some(8),
        |row| row.values[1] = f64::from_bits(row.values[1].to_bits() ^ 1),
        |row| row.values.swap(0, 1),
        |row| row.score = Some(-3.5),
        |row| row.score = None,
        |row| row.grade = Some(0.0),
        |row| row.grade = Some(-0.0),
        |row| row.flags = 3,
    ];
    let mut hashes: Vec<String> = changes
        .iter()
        .map(|change| {
            let mut changed = row();
            change(&mut changed);
            hash_of(|hasher| add_reading(hasher, "site-1/a", &names(), &changed))
        })
        .collect();
    hashes.push(hash_of(|hasher| add_reading(hasher, "site-1/b", &names(), &row())));
    hashes.push(hash_of(|hasher| {
        add_reading(hasher, "site-1/a", &["laeq_d".to_owned(), "bzcr".to_owned()], &row());
    }));
    assert_distinct(&hashes);
}

#[test]
fn every_column_of_an_anomaly_counts() {
    let changes: [fn(&mut AnomalyRow); 9] = [
        |_| {},
        |row| row.started = Timestamp(TS - 1),
        |row| row.ended = Some(Timestamp(TS)),
        |row| row.peak_at = Timestamp(TS + 6),
        |row| row.peak_score = 9.5,
        |row| row.peak_grade = 0.98,
        |row| row.readings = 5,
        |row| row.fields.reverse(),
        |row| row.contributions.reverse(),
    ];
    let hashes: Vec<String> = changes
        .iter()
        .map(|change| {
            let mut changed = event();
            change(&mut changed);
            hash_of(|hasher| add_anomaly(hasher, "site-1/a", &changed))
        })
        .collect();
    assert_distinct(&hashes);
}

#[test]
fn every_column_of_a_dead_letter_counts() {
    let row = |topic: &str, reason: &str, payload: &[u8], payload_bytes| DeadLetterRow {
        partition: 0,
        generation: 1,
        n: 1,
        item: 0,
        received: Timestamp(TS),
        reason: reason.to_owned(),
        detail: String::new(),
        topic: topic.to_owned(),
        payload: payload.to_vec(),
        payload_bytes,
        content: 0,
        of_reading: false,
        replayed: None,
    };
    let rows = [
        row("sensors/a", "malformed_json", b"{", 1),
        row("sensors/b", "malformed_json", b"{", 1),
        row("sensors/a", "empty", b"{", 1),
        row("sensors/a", "malformed_json", b"}", 1),
        row("sensors/a", "malformed_json", b"{", 2),
        row("sensors/am", "alformed_json", b"{", 1),
    ];
    let hashes: Vec<String> = rows.iter().map(|row| hash_of(|hasher| add_dead_letter(hasher, row))).collect();
    assert_distinct(&hashes);
}

#[test]
fn every_column_of_a_sensor_counts() {
    let changes: [fn(&mut SensorRow); 3] = [|_| {}, |row| row.name.push('b'), |row| row.fields.reverse()];
    let hashes: Vec<String> = changes
        .iter()
        .map(|change| {
            let mut changed = sensor_row();
            change(&mut changed);
            hash_of(|hasher| add_sensor(hasher, &changed))
        })
        .collect();
    assert_distinct(&hashes);
}

#[test]
fn the_format_is_pinned() {
    let hash = hash_of(|hasher| {
        add_reading(hasher, "site-1/a", &names(), &row());
        add_anomaly(hasher, "site-1/a", &event());
    });
    assert_eq!(hash, "9cf9a0ac07912bf0e9190a83a7dc3904c0310dbbd6f88718d1c905a68957bea8");
}
