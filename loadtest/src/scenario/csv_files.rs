//! The scenario as CSV files, one per sensor, to tune and judge detection without a server.
//!
//! `city_harbour_microphone-01.csv` has the columns `ts`, the fields of a reading, and `label`, which holds the class of
//! the event heard at that moment or nothing. `labels.csv` lists the events: `sensor,class,start,end,salience_db`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::Scenario;
use crate::time;

/// Writes the first `frames` frames of every sensor, and the events that lie in them whole. Returns the number of events.
pub fn write(
    scenario: &Scenario,
    folder: &Path,
    frames: u64,
    mut on_sensor: impl FnMut(usize),
) -> io::Result<u64> {
    std::fs::create_dir_all(folder)?;
    let mut labels = BufWriter::new(File::create(folder.join("labels.csv"))?);
    writeln!(labels, "sensor,class,start,end,salience_db")?;
    let mut count = 0;
    for (index, sensor) in scenario.sensors().iter().enumerate() {
        on_sensor(index);
        let path = folder.join(format!("{}.csv", sensor.name.replace('/', "_")));
        let mut out = BufWriter::new(File::create(path)?);
        write_sensor(scenario, index, frames, &mut out)?;
        out.flush()?;
        for event in scenario.events(index).take_while(|event| event.last_frame < frames) {
            let start = time::format(scenario.timestamp(index, event.first_frame));
            let end = time::format(scenario.timestamp(index, event.last_frame));
            writeln!(labels, "{},{},{start},{end},{:.2}", sensor.name, event.class, event.salience_db)?;
            count += 1;
        }
    }
    labels.flush()?;
    Ok(count)
}

fn write_sensor(scenario: &Scenario, sensor: usize, frames: u64, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "ts,{},label", scenario.fields().join(","))?;
    for frame in 0..frames {
        let reading = scenario.reading(sensor, frame);
        write!(out, "{}", time::format(reading.ts))?;
        for value in reading.values {
            write!(out, ",{value}")?;
        }
        match scenario.event_at(sensor, frame) {
            Some(event) => writeln!(out, ",{}", event.class)?,
            None => writeln!(out, ",")?,
        }
    }
    Ok(())
}
