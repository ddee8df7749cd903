//! The stored result of a run, and its differences from the undisturbed run.

use std::collections::BTreeSet;

use thicket_loadtest::digest::{Digest, digest};
use thicket_testkit::{Snapshot, Tables};

use crate::traffic::Expected;

/// What a receiver was told: route, sensor, begin of the anomaly, kind.
pub(crate) type Told = (String, String, String, String);

/// Differences of one kind that a complaint names.
const FEW: usize = 3;

/// Everything that the tables hold at the end of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// As `thicket-loadtest digest` prints it.
    pub(crate) digest: Digest,
    /// Row by row, to name what differs.
    pub(crate) snapshot: Snapshot,
    /// The number of outcomes in the ledger.
    pub(crate) delivered: u64,
    /// What the receivers of notifications were told: route, sensor, begin of the anomaly, kind.
    /// `None` if the case has no receivers.
    pub(crate) told: Option<BTreeSet<Told>>,
    /// Errors that are visible without the undisturbed run.
    pub(crate) complaints: Vec<String>,
}

impl Outcome {
    pub(crate) async fn read(url: &str) -> anyhow::Result<Self> {
        let mut tables = Tables::open(url).await?;
        let mut complaints = tables.imbalances().await?;
        complaints.extend(tables.trespasses().await?);
        Ok(Self {
            digest: digest(url).await?,
            snapshot: tables.snapshot().await?,
            delivered: tables.ledger_sum("delivered").await?.cast_unsigned(),
            told: None,
            complaints,
        })
    }

    /// Describes how an undisturbed run differs from the outcome that the messages alone determine.
    pub(crate) fn contradictions(&self, expected: &Expected) -> Vec<String> {
        let mut found = self.complaints.clone();
        let mut compare = |what: &str, stored: u64, published: u64| {
            if stored != published {
                found.push(format!("{what}: {stored} stored, {published} published"));
            }
        };
        compare("readings", self.digest.readings.rows, expected.scored + expected.late);
        compare("dead letters", self.digest.dead_letters.rows, expected.dead_letters);
        compare("records in the ledger", self.delivered, expected.records);
        found
    }

    /// Describes the differences from an undisturbed run. Empty if there are none.
    pub(crate) fn differences(&self, undisturbed: &Self, dead_letters_may_repeat: bool) -> Vec<String> {
        let mut found = self.complaints.clone();
        let comparable = |outcome: &Self| {
            if dead_letters_may_repeat {
                outcome.snapshot.with_distinct_dead_letters()
            } else {
                outcome.snapshot.clone()
            }
        };
        let differences = comparable(self).differences(&comparable(undisturbed));
        let digests = |outcome: &Self| {
            let Digest { readings, anomalies, dead_letters, sensors, .. } = outcome.digest.clone();
            (readings, anomalies, (!dead_letters_may_repeat).then_some(dead_letters), sensors)
        };
        if differences.is_empty() && digests(self) != digests(undisturbed) {
            found.push("the digest differs, although all rows are the same".to_owned());
        }
        found.extend(differences);
        if let (Some(told), Some(expected)) = (&self.told, &undisturbed.told) {
            found.extend(expected.difference(told).take(FEW).map(|lost| format!("not told: {lost:?}")));
            found.extend(told.difference(expected).take(FEW).map(|more| format!("told too much: {more:?}")));
        }
        found
    }
}
