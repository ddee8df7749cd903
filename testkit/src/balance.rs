//! What the ledger and the tables must agree on.

use thicket_schema::Flag;

use crate::tables::Tables;

impl Tables {
    /// Describes each disagreement between the ledger and the tables. Empty if everything balances.
    pub async fn imbalances(&mut self) -> anyhow::Result<Vec<String>> {
        let poison = format!("flags & {} <> 0", Flag::Poison.bit());
        let unscored = format!("flags & {} <> 0 AND seq IS NOT NULL AND score IS NULL", Flag::Unscored.bit());
        let differences = [
            ("records without an outcome", "SELECT sum(abs(unaccounted)) FROM ledger".to_owned()),
            (
                "scored, unscored and poison readings in the ledger that have no row",
                format!(
                    "SELECT sum(scored + unscored + poison)
                          - (SELECT count(*) FROM readings WHERE seq IS NOT NULL OR {poison}) FROM ledger"
                ),
            ),
            (
                "unscored readings in the ledger that have no row",
                format!(
                    "SELECT sum(unscored) - (SELECT count(*) FROM readings WHERE {unscored}) FROM ledger"
                ),
            ),
            (
                "late readings in the ledger that have no row",
                format!(
                    "SELECT sum(late)
                          - (SELECT count(*) FROM readings WHERE seq IS NULL AND NOT ({poison})) FROM ledger"
                ),
            ),
            (
                "dead letters in the ledger that have no row",
                "SELECT sum(dead_letters) - (SELECT count(*) FROM dead_letters) FROM ledger".to_owned(),
            ),
            (
                "sensors whose rows are not numbered without a gap",
                "SELECT count(*) FROM (SELECT sensor FROM readings WHERE seq IS NOT NULL GROUP BY sensor
                                       HAVING min(seq) <> 1 OR max(seq) <> count(*)) AS broken"
                    .to_owned(),
            ),
            ("ranges of the log that were lost", "SELECT count(*) FROM log_losses".to_owned()),
        ];
        let mut found = Vec::new();
        for (what, query) in differences {
            match self.number(&query).await? {
                0 => {}
                number => found.push(format!("{what}: {number}")),
            }
        }
        Ok(found)
    }

    /// Returns the number of sensors whose scored readings are numbered from 1 without a gap.
    pub async fn gapless_sensors(&mut self) -> anyhow::Result<i64> {
        let query = "SELECT count(*) FROM (SELECT 1 FROM scores GROUP BY sensor
             HAVING min(seq) = 1 AND max(seq) = count(*)) gapless";
        self.number(query).await
    }
}
