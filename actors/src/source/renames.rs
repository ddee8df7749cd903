//! Gives readings of renamed sensors the name that their sensor has in the log. Pure.

use std::collections::HashMap;

use thicket_schema::{DeadLetter, Item, PartitionId, Reason, Record, SensorName};
use thicket_store::postgres::Rename;

/// What a name in a message means, if it is not the first name of its sensor.
#[derive(Debug)]
enum Meaning {
    /// The present name of a sensor that has this name and partition in the log.
    Sensor(SensorName, PartitionId),
    /// The first name of a sensor that has this name now.
    Renamed(String),
}

/// The names of the sensors that were renamed.
#[derive(Debug, Default)]
pub(super) struct Renames {
    stored: Vec<Rename>,
    meanings: HashMap<SensorName, Meaning>,
}

impl Renames {
    pub(super) fn new(renames: Vec<Rename>) -> Self {
        // The database has only valid names.
        let valid = |name: &str| SensorName::new(name).ok();
        let before = renames
            .iter()
            .filter_map(|rename| Some((valid(&rename.first_name)?, Meaning::Renamed(rename.name.clone()))));
        let mut meanings: HashMap<_, _> = before.collect();
        // Another sensor may have been renamed to the first name of this one.
        meanings.extend(renames.iter().filter_map(|rename| {
            let sensor = Meaning::Sensor(valid(&rename.first_name)?, PartitionId(rename.partition as u16));
            Some((valid(&rename.name)?, sensor))
        }));
        Self { stored: renames, meanings }
    }

    /// Takes over the sensors that were renamed, in the order in which PostgreSQL returns them.
    pub(super) fn replace(&mut self, renames: Vec<Rename>) {
        if self.stored != renames {
            *self = Self::new(renames);
        }
    }

    /// Puts the first name of its sensor into a reading. A reading with the old name of a sensor
    /// becomes a dead letter.
    pub(super) fn apply(&self, partition: &mut PartitionId, record: &mut Record) {
        let Item::Reading(reading) = &mut record.item else { return };
        match self.meanings.get(&reading.sensor) {
            None => {}
            Some(Meaning::Sensor(first_name, of_sensor)) => {
                reading.sensor = first_name.clone();
                *partition = *of_sensor;
            }
            Some(Meaning::Renamed(name)) => {
                let detail = format!("the sensor was renamed to {name}; send it under that name");
                record.item =
                    Item::DeadLetter(DeadLetter::of_reading(reading, Reason::SensorRenamed, &detail));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{reading, record_of};

    /// Returns the name and partition in the log of a reading of the sensor `name`; `None` if it is
    /// a dead letter.
    fn applied(renames: &Renames, name: &str) -> Option<(String, u16)> {
        let (mut partition, mut record) = (PartitionId(0), record_of(reading(name, 1, 1.0)));
        renames.apply(&mut partition, &mut record);
        match record.item {
            Item::Reading(reading) => Some((reading.sensor.to_string(), partition.0)),
            Item::DeadLetter(letter) => {
                assert_eq!((letter.reason, letter.of_reading), (Reason::SensorRenamed, true));
                None
            }
            Item::Control(_) => panic!("a control"),
        }
    }

    #[test]
    fn a_new_name_means_the_first_and_an_old_one_is_refused_unless_another_sensor_has_it() {
        let rename = |first_name: &str, name: &str, partition| Rename {
            first_name: first_name.to_owned(),
            name: name.to_owned(),
            partition,
        };
        let at = |name: &str, partition| Some((name.to_owned(), partition));
        let renames = Renames::new(vec![rename("a", "b", 7)]);
        assert_eq!(applied(&renames, "b"), at("a", 7));
        assert_eq!(applied(&renames, "a"), None);
        assert_eq!(applied(&renames, "c"), at("c", 0));
        let swapped = Renames::new(vec![rename("a", "b", 7), rename("b", "a", 8)]);
        assert_eq!((applied(&swapped, "a"), applied(&swapped, "b")), (at("b", 8), at("a", 7)));
    }
}
