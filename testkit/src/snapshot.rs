//! The one definition of "the same rows": every column of the tables that follows from what was
//! published, bit for bit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::tables::Tables;

/// Maximum number of rows per table that a difference shows.
const SHOWN: usize = 3;

/// The table that gets another row if the broker repeats a message.
const DEAD_LETTERS: &str = "dead_letters";

/// The queries of the tables beside `readings`. The order of the rows does not depend on the run.
/// A row is its text and a hash of its binary form, because NaNs of different bits have the same
/// text.
///
/// Of `dead_letters`, these columns depend on the run and are left out: `generation`, `n` and
/// `item` (how readings were packed into entries), `received` (when they arrived) and `replayed`. So
/// do `since` and `behind_us` of `sensor_clocks`, and of `notifications` all columns of the sender, the
/// labels that people set and the rows of forgotten sensors, which the sender deletes.
const TABLES: [(&str, &str); 7] = [
    (
        "anomalies",
        "SELECT concat_ws(' ', s.name, a::text, encode(sha256(record_send(a)), 'hex')) AS text
         FROM anomalies a LEFT JOIN sensors s ON s.id = a.sensor ORDER BY s.name, a.started",
    ),
    (
        DEAD_LETTERS,
        "SELECT concat_ws(' ', topic, encode(payload, 'escape'),
                          to_jsonb(d) - '{generation,n,item,received,replayed}'::text[]) AS text
         FROM dead_letters d ORDER BY topic, reason, payload, detail",
    ),
    (
        "notifications",
        "SELECT concat_ws(' ', s.name, n.started, n.kind, n.item) AS text
         FROM notifications n JOIN sensors s ON s.id = n.sensor WHERE n.kind <> 'label'
         ORDER BY s.name, n.started, n.kind DESC",
    ),
    (
        "clock_changes",
        "SELECT concat_ws(' ', s.name, c::text) AS text
         FROM clock_changes c LEFT JOIN sensors s ON s.id = c.sensor ORDER BY s.name, c.era",
    ),
    (
        "sensor_clocks",
        "SELECT concat_ws(' ', s.name, c.late, c.last_late, c.ahead_of) AS text
         FROM sensor_clocks c LEFT JOIN sensors s ON s.id = c.sensor ORDER BY s.name",
    ),
    (
        "sensor_fields",
        "SELECT concat_ws(' ', s.name, f::text) AS text
         FROM sensor_fields f LEFT JOIN sensors s ON s.id = f.sensor ORDER BY s.name, f.field COLLATE \"C\"",
    ),
    (
        "sensors",
        "SELECT concat_ws(' ', s::text, encode(sha256(record_send(s)), 'hex')) AS text
         FROM sensors s ORDER BY s.name",
    ),
];

/// Everything in the tables that follows from what was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    rows: BTreeMap<&'static str, Vec<String>>,
}

impl Tables {
    /// Reads all rows of readings, anomalies, dead letters, sensors and their fields.
    pub async fn snapshot(&mut self) -> anyhow::Result<Snapshot> {
        let mut rows = BTreeMap::from([("readings", self.readings("true").await?)]);
        for (table, query) in TABLES {
            rows.insert(table, self.column(query).await?);
        }
        Ok(Snapshot { rows })
    }

    /// Reads the rows of the table `readings`, named `r`, that meet a condition, as a snapshot has
    /// them.
    pub async fn readings(&mut self, condition: &str) -> anyhow::Result<Vec<String>> {
        let query = format!(
            "SELECT concat_ws(' ', s.name, fs.names::text, r::text, encode(sha256(record_send(r)), 'hex')) AS text
             FROM readings r LEFT JOIN sensors s ON s.id = r.sensor LEFT JOIN field_sets fs ON fs.id = r.field_set
             WHERE {condition} ORDER BY s.name, r.ts"
        );
        self.column(&query).await
    }
}

impl Snapshot {
    /// Describes the differences from the snapshot of an undisturbed run: one text per table that
    /// differs.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let tables = expected.rows.iter().filter(|(table, rows)| self.rows[*table] != **rows);
        tables.map(|(table, rows)| difference(table, &self.rows[table], rows)).collect()
    }

    /// Panics if this snapshot differs from the snapshot of an undisturbed run.
    #[track_caller]
    pub fn assert_same(&self, expected: &Self) {
        let differences = self.differences(expected);
        assert!(
            differences.is_empty(),
            "the rows differ from an undisturbed run's:\n{}",
            differences.join("\n")
        );
    }

    /// Returns the snapshot with equal dead letters merged into one: a broker that was killed may
    /// deliver a message again as a new one.
    #[must_use]
    pub fn with_distinct_dead_letters(&self) -> Self {
        let mut rows = self.rows.clone();
        if let Some(dead_letters) = rows.get_mut(DEAD_LETTERS) {
            let distinct: BTreeSet<String> = dead_letters.drain(..).collect();
            dead_letters.extend(distinct);
        }
        Self { rows }
    }
}

/// Describes the rows that only one of the two lists has.
fn difference(table: &str, rows: &[String], expected: &[String]) -> String {
    let mut text = format!("{table}: {} rows, undisturbed {}", rows.len(), expected.len());
    for (sign, some, others) in [("-", expected, rows), ("+", rows, expected)] {
        let surplus = surplus(some, others);
        let _ = write!(text, "\n    {sign} {} rows", surplus.len());
        for row in surplus.iter().take(SHOWN) {
            let _ = write!(text, "\n      {sign} {row}");
        }
    }
    text
}

/// Returns the rows that `others` lacks. A row counts as often as it occurs.
fn surplus<'a>(rows: &'a [String], others: &[String]) -> Vec<&'a String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for row in others {
        *counts.entry(row).or_default() += 1;
    }
    let is_surplus = |row: &&String| match counts.get_mut(*row) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    rows.iter().filter(is_surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: &[&str]) -> Vec<String> {
        rows.iter().map(|row| (*row).to_owned()).collect()
    }

    fn snapshot(readings: &[&str], dead_letters: &[&str]) -> Snapshot {
        let rows = [("readings", texts(readings)), (DEAD_LETTERS, texts(dead_letters))];
        Snapshot { rows: BTreeMap::from(rows) }
    }

    #[test]
    fn a_difference_names_the_rows_on_both_sides() {
        let text = difference("readings", &texts(&["a", "c", "c"]), &texts(&["a", "b", "c"]));
        assert!(text.contains("- b") && text.contains("+ c") && !text.contains(" a"), "{text}");
    }

    #[test]
    fn snapshots_differ_by_table_and_repeated_dead_letters_can_be_ignored() {
        let expected = snapshot(&["a", "b"], &["x", "y"]);
        assert!(snapshot(&["a", "b"], &["x", "y"]).differences(&expected).is_empty());
        let repeated = snapshot(&["a", "b"], &["y", "x", "x"]);
        assert_eq!(repeated.differences(&expected).len(), 1);
        assert!(repeated.with_distinct_dead_letters().differences(&expected).is_empty());
        assert_eq!(snapshot(&["a"], &["x"]).differences(&expected).len(), 2);
    }
}
