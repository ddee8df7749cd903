//! Writes a scenario as CSV files, to develop and evaluate detection without a server.
//!
//! Each sensor has a file, such as `city_harbour_microphone-01.csv`, with the columns `ts`, the
//! fields of a reading, and `label`: the class of the event in the frame, or an empty cell.
//! `labels.csv` lists the events: `sensor,class,start,end,salience_db`.

use std::{fs::File, io, path::Path};

use csv::Writer;

use super::Scenario;
use crate::time;

/// Writes the first `frames` frames of every sensor, and the events that end within them. Calls
/// `on_sensor` with the index of each sensor. Returns the number of events.
pub fn write(
    scenario: &Scenario,
    folder: &Path,
    frames: u64,
    mut on_sensor: impl FnMut(usize),
) -> io::Result<u64> {
    std::fs::create_dir_all(folder)?;
    let mut labels = Writer::from_path(folder.join("labels.csv"))?;
    labels.write_record(["sensor", "class", "start", "end", "salience_db"])?;
    let mut count = 0;
    for (index, sensor) in scenario.sensors().iter().enumerate() {
        on_sensor(index);
        let path = folder.join(format!("{}.csv", sensor.name.replace('/', "_")));
        write_sensor(scenario, index, frames, Writer::from_path(path)?)?;
        for event in scenario.events(index).take_while(|event| event.last_frame < frames) {
            labels.write_record([
                &sensor.name,
                event.class.name(),
                &time::format(scenario.timestamp(index, event.first_frame)),
                &time::format(scenario.timestamp(index, event.last_frame)),
                &format!("{:.2}", event.salience_db),
            ])?;
            count += 1;
        }
    }
    labels.flush()?;
    Ok(count)
}

fn write_sensor(scenario: &Scenario, sensor: usize, frames: u64, mut out: Writer<File>) -> io::Result<()> {
    out.write_field("ts")?;
    for field in scenario.fields() {
        out.write_field(field)?;
    }
    out.write_record(["label"])?;
    for frame in 0..frames {
        let (reading, event) = scenario.observe(sensor, frame);
        out.write_field(time::format(reading.ts))?;
        for value in reading.values {
            out.write_field(value.to_string())?;
        }
        out.write_record([event.map_or("", |event| event.class.name())])?;
    }
    out.flush()
}
