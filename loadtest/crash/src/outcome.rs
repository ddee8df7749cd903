//! What a run came to, and how it differs from the undisturbed one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use thicket_loadtest::digest::{Digest, digest};

use crate::tables::{Move, Rows, Tables};
use crate::traffic::Expected;

/// Rows of each table that are shown where they differ.
const SHOWN: usize = 3;

/// Everything that stands in the tables at the end of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// As `thicket-loadtest digest` says it.
    pub(crate) digest: Digest,
    /// Row by row, to say what differs.
    pub(crate) rows: Rows,
    /// Outcomes in the ledger.
    pub(crate) delivered: u64,
    /// What is wrong with it whatever the undisturbed run gives.
    pub(crate) complaints: Vec<String>,
}

impl Outcome {
    pub(crate) async fn read(url: &str) -> anyhow::Result<Self> {
        let mut tables = Tables::open(url).await?;
        let mut complaints = tables.imbalances().await?;
        complaints.extend(trespasses(&tables.moves().await?));
        Ok(Self {
            digest: digest(url).await?,
            rows: tables.rows().await?,
            delivered: tables.number("SELECT sum(delivered) FROM ledger").await? as u64,
            complaints,
        })
    }

    /// How an undisturbed run differs from what follows from the messages alone.
    pub(crate) fn contradictions(&self, expected: &Expected, exact: bool) -> Vec<String> {
        let mut found = self.complaints.clone();
        let mut compare = |what: &str, stored: u64, published: u64| {
            if stored != published {
                found.push(format!("{what}: {stored}, published were {published}"));
            }
        };
        compare("readings", self.digest.readings.rows, expected.scored + expected.late);
        compare("dead letters", self.digest.dead_letters.rows, expected.letters);
        if exact {
            compare("records in the ledger", self.delivered, expected.records);
        } else if self.delivered < expected.records {
            compare("records in the ledger, at least", self.delivered, expected.records);
        }
        found
    }

    /// How it differs from an undisturbed run; empty if it does not.
    pub(crate) fn differences(&self, undisturbed: &Self, letters_may_repeat: bool) -> Vec<String> {
        let mut found = self.complaints.clone();
        let mut tables_differ = false;
        for (table, expected) in &undisturbed.rows {
            let (rows, expected): (Vec<String>, Vec<String>) =
                if letters_may_repeat && *table == "dead_letters" {
                    (distinct(&self.rows[table]), distinct(expected))
                } else {
                    (self.rows[table].clone(), expected.clone())
                };
            if rows != expected {
                tables_differ = true;
                found.push(difference(table, &rows, &expected));
            }
        }
        let digests = |outcome: &Self| {
            let Digest { readings, anomalies, dead_letters, sensors, .. } = outcome.digest.clone();
            (readings, anomalies, (!letters_may_repeat).then_some(dead_letters), sensors)
        };
        if !tables_differ && digests(self) != digests(undisturbed) {
            found.push("the digest differs, although all rows are alike".to_owned());
        }
        found
    }
}

fn distinct(rows: &[String]) -> Vec<String> {
    rows.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn difference(table: &str, rows: &[String], expected: &[String]) -> String {
    let mut text = format!("{table}: {} rows, undisturbed {}", rows.len(), expected.len());
    for (sign, some, others) in [("-", expected, rows), ("+", rows, expected)] {
        let all = beyond(some, others);
        let _ = write!(text, "\n    {sign} {} rows", all.len());
        for row in all.iter().take(SHOWN) {
            let _ = write!(text, "\n      {sign} {row}");
        }
    }
    text
}

/// The rows that the others lack, or have fewer of.
fn beyond<'a>(rows: &'a [String], others: &[String]) -> Vec<&'a String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for row in others {
        *counts.entry(row).or_default() += 1;
    }
    let is_alone = |row: &&String| match counts.get_mut(*row) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    rows.iter().filter(is_alone).collect()
}

/// Moves of a partition by another node than the one that its epoch was made by.
fn trespasses(moves: &[Move]) -> Vec<String> {
    let mut owners = BTreeMap::new();
    let mut found = Vec::new();
    for Move { partition, epoch, node } in moves {
        match owners.get(partition) {
            Some((current, owner)) if current == epoch && owner != node => found.push(format!(
                "partition {partition} was moved by node {node} in epoch {epoch}, which is node {owner}'s"
            )),
            Some((current, _)) if current > epoch => {
                found.push(format!("partition {partition} went back to epoch {epoch}"));
            }
            _ => drop(owners.insert(*partition, (*epoch, node.clone()))),
        }
    }
    found.truncate(SHOWN);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(epoch: i64, node: &str) -> Move {
        Move { partition: 1, epoch, node: node.to_owned() }
    }

    #[test]
    fn only_the_node_that_raised_the_epoch_may_move_the_partition() {
        assert!(trespasses(&[moved(1, "a"), moved(1, "a"), moved(2, "b"), moved(2, "b")]).is_empty());
        assert!(trespasses(&[moved(1, "a"), moved(2, "b"), moved(3, "a"), moved(3, "a")]).is_empty());
        assert_eq!(trespasses(&[moved(1, "a"), moved(2, "b"), moved(2, "a")]).len(), 1);
        assert_eq!(trespasses(&[moved(2, "a"), moved(1, "a")]).len(), 1);
    }

    #[test]
    fn a_difference_names_the_rows_on_both_sides() {
        let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
        let text = difference("readings", &rows(&["a", "c", "c"]), &rows(&["a", "b", "c"]));
        assert!(text.contains("- b") && text.contains("+ c") && !text.contains(" a"), "{text}");
    }
}
