use proptest::prelude::*;
use thicket_schema::SensorName;

use super::*;

const SECOND: i64 = MICROS_OF_SECOND;
const AFTER: u32 = 4;

fn reading(ts: i64, fields: &str, value: f64) -> Reading {
    let fields = FieldSet::new(fields.split(' ').map(str::to_owned).collect()).unwrap();
    let values = vec![value; fields.names().len()];
    Reading { sensor: SensorName::new("s").unwrap(), ts: Timestamp(ts), stamped: false, fields, values }
}

/// A row as the database holds it.
#[derive(Clone, Debug)]
struct Row {
    place: Place,
    written: i64,
    reading: Reading,
    late: bool,
}

/// The stored rows of a sensor, and a time order over them.
#[derive(Default)]
struct Sensor {
    order: TimeOrder,
    rows: Vec<Row>,
}

impl Sensor {
    fn near(&self, reading: &Reading) -> Occupied {
        let mut near = Occupied::default();
        let range = reading.ts.0..=reading.ts.0 + MAX_AT_ONE_TIME;
        for row in self.rows.iter().filter(|row| range.contains(&row.place.ts.0)) {
            near.insert(row.place, &row.reading.fields, &row.reading.values);
        }
        near
    }

    fn take(&mut self, reading: &Reading) -> Step {
        let mut step = self.order.decide(reading, AFTER, None);
        if step == Step::Unknown {
            assert!(self.order.unknown_times(std::slice::from_ref(reading)).contains(&reading.ts));
            step = self.order.decide(reading, AFTER, Some(&self.near(reading)));
        }
        let (place, late) = match step {
            Step::Next { place, .. } => (place, false),
            Step::Late(place) => (place, true),
            _ => return step,
        };
        self.order.store(step, reading);
        assert!(self.rows.iter().all(|row| row.place.ts != place.ts), "two rows at {}", place.ts);
        self.rows.push(Row { place, written: reading.ts.0, reading: reading.clone(), late });
        step
    }

    /// Restores the order from the rows and the stored clock state, as after a crash.
    fn restore(&mut self) {
        let state = self.order.state();
        let in_time = || self.rows.iter().filter(|row| !row.late);
        let era = in_time().map(|row| row.place.era).max().unwrap_or(0);
        let facts = TimeFacts {
            era,
            newest: in_time().filter(|row| row.place.era == era).map(|row| row.place.ts).max(),
            highest: self.rows.iter().map(|row| row.place.ts).max(),
            state: (state.late > 0 || state.ahead_of.is_some()).then_some(state),
        };
        self.order = TimeOrder::restore(&facts, None);
        assert_eq!(self.order.state(), state);
    }
}

/// The rules, written down naively: the model knows all rows and the written time of each.
#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    era: i32,
    row_of_late: Vec<i64>,
}

impl Model {
    fn take(&mut self, reading: &Reading) -> Step {
        let written = reading.ts.0;
        let is_same =
            |row: &&Row| row.reading.fields == reading.fields && row.reading.values == reading.values;
        let together: Vec<&Row> = self.rows.iter().filter(|row| row.written == written).collect();
        if together.iter().any(is_same) {
            return Step::Duplicate;
        }
        let names = reading.fields.names();
        let is_joined =
            together.iter().all(|row| names.iter().all(|n| !row.reading.fields.names().contains(n)));
        if written % SECOND != 0 && !is_joined {
            return Step::Conflict;
        }
        let ts = (written..=written + MAX_AT_ONE_TIME)
            .find(|ts| self.rows.iter().all(|row| row.place.ts.0 != *ts))
            .unwrap();
        let newest = self.rows.iter().filter(|row| !row.late && row.place.era == self.era);
        let is_next = newest.map(|row| row.place.ts.0).max().is_none_or(|newest| ts > newest);
        let begins = !is_next
            && self.row_of_late.len() >= AFTER as usize
            && self.row_of_late.last().is_some_and(|&last| ts > last);
        self.era += i32::from(begins);
        let place = Place { ts: Timestamp(ts), shifted: ts != written, era: self.era };
        let late = !is_next && !begins;
        if !late || self.row_of_late.last().is_some_and(|&last| ts <= last) {
            self.row_of_late.clear();
        }
        if late {
            self.row_of_late.push(ts);
        }
        self.rows.push(Row { place, written, reading: reading.clone(), late });
        if late { Step::Late(place) } else { Step::Next { place, begins } }
    }
}

fn next(ts: i64, shifted: bool, era: i32, begins: bool) -> Step {
    Step::Next { place: Place { ts: Timestamp(ts), shifted, era }, begins }
}

#[test]
fn readings_of_one_written_second_are_kept_in_order() {
    let mut sensor = Sensor::default();
    for i in 0..5 {
        assert_eq!(sensor.take(&reading(SECOND, "a", i as f64)), next(SECOND + i, i > 0, 0, false));
    }
    assert_eq!(sensor.take(&reading(SECOND, "a", 3.0)), Step::Duplicate);
    assert_eq!(sensor.take(&reading(2 * SECOND, "a", 3.0)), next(2 * SECOND, false, 0, false));
    assert_eq!(sensor.take(&reading(SECOND, "a", 3.0)), Step::Duplicate, "also after a newer reading");
    let late = Place { ts: Timestamp(SECOND + 5), shifted: true, era: 0 };
    assert_eq!(sensor.take(&reading(SECOND, "a", 9.0)), Step::Late(late));
}

#[test]
fn other_fields_at_a_fine_time_are_joined_and_other_values_of_the_same_are_a_conflict() {
    let mut sensor = Sensor::default();
    let time = SECOND + 500_000;
    assert_eq!(sensor.take(&reading(time, "a b", 1.0)), next(time, false, 0, false));
    assert_eq!(sensor.take(&reading(time, "c", 1.0)), next(time + 1, true, 0, false));
    assert_eq!(sensor.take(&reading(time, "c d", 1.0)), Step::Conflict);
    assert_eq!(sensor.take(&reading(time, "b", 2.0)), Step::Conflict);
    assert_eq!(sensor.take(&reading(time, "d", 2.0)), next(time + 2, true, 0, false));
}

#[test]
fn the_number_of_readings_with_one_written_time_is_bounded() {
    let mut sensor = Sensor::default();
    for i in 0..MAX_AT_ONE_TIME {
        assert!(matches!(sensor.take(&reading(SECOND, "a", i as f64)), Step::Next { .. }));
    }
    assert_eq!(sensor.take(&reading(SECOND, "a", -1.0)), Step::Conflict);
    assert!(sensor.order.recent.0.len() <= MAX_AT_ONE_TIME as usize);
}

#[test]
fn a_row_of_late_readings_in_order_begins_the_time_again_and_a_reading_in_time_ends_the_row() {
    let mut sensor = Sensor::default();
    sensor.take(&reading(100 * SECOND, "a", 0.0));
    for i in 1..=3 {
        assert!(matches!(sensor.take(&reading(i * SECOND, "a", 0.0)), Step::Late(_)));
    }
    sensor.take(&reading(101 * SECOND, "a", 0.0));
    for i in 4..=7 {
        assert!(matches!(sensor.take(&reading(i * SECOND, "a", 0.0)), Step::Late(_)), "{i}");
    }
    assert_eq!(sensor.take(&reading(7 * SECOND, "a", 0.0)), Step::Duplicate, "a duplicate changes nothing");
    assert_eq!(sensor.order.state().late, 4);
    assert_eq!(sensor.take(&reading(8 * SECOND, "a", 0.0)), next(8 * SECOND, false, 1, true));
    let state = sensor.order.state();
    assert_eq!((state.late, state.ahead_of), (0, Some(Timestamp(101 * SECOND))));
    assert_eq!(sensor.take(&reading(100 * SECOND, "a", 5.0)), next(100 * SECOND + 1, true, 1, false));
    assert_eq!(sensor.take(&reading(200 * SECOND, "a", 5.0)), next(200 * SECOND, false, 1, false));
    assert_eq!(sensor.order.state().ahead_of, None, "the clock is right again");
}

#[test]
fn late_readings_out_of_order_never_begin_the_time_again() {
    let mut sensor = Sensor::default();
    sensor.take(&reading(100 * SECOND, "a", 0.0));
    for i in (1..50).rev() {
        assert!(matches!(sensor.take(&reading(i * SECOND, "a", 0.0)), Step::Late(_)));
    }
}

proptest! {
    /// Restores at any point and the rows near a reading give every decision that full knowledge of
    /// all rows gives.
    #[test]
    fn an_order_that_is_restored_at_any_point_decides_as_one_that_knows_all_rows(
        readings in proptest::collection::vec(
            (0_i64..12, any::<bool>(), 0_usize..3, 0_u8..3, 0_u8..5, 0_u8..4), 1..120),
    ) {
        let (mut sensor, mut model) = (Sensor::default(), Model::default());
        let mut clock = 0;
        for (step, is_fine, fields, value, jump, restores) in readings {
            // Mostly forward, sometimes far back.
            clock = if jump == 0 { step } else { clock + step % 3 };
            let ts = clock * SECOND + if is_fine { SECOND / 2 } else { 0 };
            let reading = reading(ts, ["a", "b", "a b"][fields], f64::from(value));
            if restores == 0 {
                sensor.restore();
            }
            prop_assert_eq!(sensor.take(&reading), model.take(&reading));
        }
    }
}

#[test]
fn a_reading_with_its_arrival_time_far_behind_begins_the_time_again_at_once() {
    let stamped = |ts, value| Reading { stamped: true, ..reading(ts, "a", value) };
    let mut sensor = Sensor::default();
    let minute = 60 * SECOND;
    sensor.take(&stamped(100 * minute, 1.0));
    let late = Place { ts: Timestamp(99 * minute), shifted: false, era: 0 };
    assert_eq!(sensor.take(&stamped(99 * minute, 2.0)), Step::Late(late), "only a minute behind");
    sensor.restore();
    assert_eq!(sensor.take(&stamped(40 * minute, 3.0)), next(40 * minute, false, 1, true));
    sensor.restore();
    assert_eq!(sensor.take(&stamped(41 * minute, 4.0)), next(41 * minute, false, 1, false));
    assert!(matches!(sensor.take(&reading(2 * minute, "a", 5.0)), Step::Late(_)), "its own time is judged");
}

#[test]
fn the_number_of_remembered_readings_is_bounded_if_late_readings_fill_a_gap() {
    let mut sensor = Sensor::default();
    for ts in [0, 3_600 * SECOND] {
        sensor.take(&reading(ts, "x", 1.0));
    }
    let late: Vec<Reading> =
        (0..MAX_RECENT as i64 + 100).rev().map(|i| reading((i + 1) * SECOND, "x", 2.0)).collect();
    for reading in &late {
        assert!(matches!(sensor.take(reading), Step::Late(_)));
        assert!(sensor.order.recent.0.len() <= MAX_RECENT);
    }
    // What is forgotten is looked up in the database.
    for reading in &late {
        assert_eq!(sensor.take(reading), Step::Duplicate);
    }
}
