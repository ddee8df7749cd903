//! Endurance: does detection fade over years, and does memory grow? A long synthetic series with a
//! daily and a weekly season, a level that drifts by many times its noise, and anomalies of three
//! kinds, evenly spread.

use std::io::Write;

use thicket_detector::{Detector, DetectorConfig};

use crate::noise::Noise;

/// Seconds between two readings.
const INTERVAL: i64 = 300;
/// Mean number of readings between two anomalies.
const SPACING: u64 = 10_000;
/// Parts into which the series is divided for the report.
const PARTS: u64 = 5;
/// Number of kinds of anomalies: spikes, shifted levels and unrest.
const KINDS: usize = 3;
/// In seconds.
const DAY: f64 = 86_400.0;

/// One part of the series.
#[derive(Clone, Copy, Default)]
struct Part {
    anomalies: [u32; KINDS],
    found: [u32; KINDS],
    false_alarms: u32,
    memory: usize,
}

/// Runs the series, prints the results of each part, and returns the figures as JSON.
pub(crate) fn report(readings: u64, out: &mut impl Write) -> anyhow::Result<serde_json::Value> {
    let mut parts = [Part::default(); PARTS as usize];
    let mut noise = Noise::new(11);
    let mut detector = Detector::new("endurance", &DetectorConfig::default());
    let names = ["value".to_owned()];
    let (mut last_event, mut since_anomaly, mut kind) = (None, u64::MAX, 0_u64);
    let mut caught = true;
    for n in 0..readings {
        let part = &mut parts[(n * PARTS / readings) as usize];
        if n > SPACING && noise.uniform() < 1.0 / SPACING as f64 && since_anomaly > 200 {
            (since_anomaly, kind, caught) = (0, kind + 1, false);
            part.anomalies[(kind % 3) as usize] += 1;
        }
        let ts = n as i64 * INTERVAL;
        let value = ordinary(ts as f64, &mut noise) + anomaly(kind, since_anomaly, &mut noise);
        let detection = detector.apply(ts * 1_000_000, &names, &[value])?;
        if let Some(event) = detection.event
            && last_event != Some(event.started)
        {
            last_event = Some(event.started);
            if since_anomaly <= 60 {
                part.found[(kind % 3) as usize] += u32::from(!std::mem::replace(&mut caught, true));
            } else {
                part.false_alarms += 1;
            }
        }
        since_anomaly = since_anomaly.saturating_add(1);
        part.memory = detector.memory_usage();
    }
    writeln!(out, "endurance, {readings} readings, one each {INTERVAL} s, medium profile")?;
    let weeks = (readings / PARTS) as f64 * INTERVAL as f64 / (7.0 * DAY);
    let mut shares = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        let Part { anomalies, found, false_alarms, memory } = *part;
        let a_week = f64::from(false_alarms) / weeks;
        let kinds = ["spikes", "levels", "unrest"].iter().zip(found).zip(anomalies);
        let kinds: Vec<String> =
            kinds.map(|((kind, found), anomalies)| format!("{found:2} of {anomalies:2} {kind}")).collect();
        writeln!(
            out,
            "  part {number}: found {}; {a_week:.2} false alarms a week, {} KB",
            kinds.join(", "),
            memory / 1_000
        )?;
        shares.push(f64::from(found.iter().sum::<u32>()) / f64::from(anomalies.iter().sum::<u32>().max(1)));
    }
    writeln!(out)?;
    Ok(serde_json::json!({
        "found_in_first_part": shares[0],
        "found_in_last_part": shares[PARTS as usize - 1],
        "memory_bytes_after_first_part": parts[0].memory,
        "memory_bytes_in_the_end": parts[PARTS as usize - 1].memory,
    }))
}

/// Returns a value without anomaly: seasons, drift and noise of standard deviation 1.
fn ordinary(seconds: f64, noise: &mut Noise) -> f64 {
    let angle = |period: f64| core::f64::consts::TAU * seconds / period;
    let day = 10.0 * libm::sin(angle(DAY));
    let week = 4.0 * libm::sin(angle(7.0 * DAY));
    let drift = 30.0 * libm::sin(angle(400.0 * DAY));
    100.0 + day + week + drift + noise.normal()
}

/// Returns what an anomaly adds to the value, `since` readings after its beginning: a spike of one
/// reading, a shifted level for 40 readings, or unrest for 40 readings.
fn anomaly(kind: u64, since: u64, noise: &mut Noise) -> f64 {
    match kind % 3 {
        0 if since == 0 => 12.0,
        1 if since < 40 => 8.0,
        2 if since < 40 => 5.0 * noise.normal(),
        _ => 0.0,
    }
}
