//! What PostgreSQL holds at one moment.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use diesel::sql_types::Timestamptz;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use thicket_schema::Timestamp;

use super::ledger::{Ledger, ledgers};
use super::progress::Progress;
use super::rows::{Sensors, of_table, tables};
use crate::losses::{self, Loss};

/// Everything that is compared.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The moment.
    pub(super) at: DateTime<Utc>,
    pub(super) since: Option<Timestamp>,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) sensors: Sensors,
    pub(super) losses: Vec<Loss>,
}

/// The lock comes before the first query, and with it the snapshot: no day that the snapshot has can go while it is read.
const BEGIN: &str = "SET statement_timeout = 0;
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    LOCK TABLE readings IN ACCESS SHARE MODE";

impl Snapshot {
    /// Reads all of it, which may take long.
    pub(super) async fn take(
        postgres: &mut AsyncPgConnection,
        since: Option<Timestamp>,
    ) -> anyhow::Result<Self> {
        #[derive(QueryableByName)]
        struct Moment {
            #[diesel(sql_type = Timestamptz)]
            at: DateTime<Utc>,
        }
        postgres.batch_execute(BEGIN).await.context("the tables are missing: run `thicket migrate`")?;
        let moment: Moment = sql_query("SELECT clock_timestamp() AS at").get_result(postgres).await?;
        let ledgers = ledgers(postgres).await.context("the tables are out of date: run `thicket migrate`")?;
        let losses = losses::since(postgres, since).await?;
        let tables = tables(postgres, since).await?;
        let mut progress = Progress::new(&tables);
        let mut sensors = Sensors::new();
        for (index, table) in tables.iter().enumerate() {
            progress.begin(index, table);
            for rows in of_table(postgres, table, since).await? {
                sensors.entry(rows.sensor).and_modify(|before| before.append(&rows)).or_insert(rows);
            }
        }
        progress.finish();
        postgres.batch_execute("COMMIT").await?;
        Ok(Self { at: moment.at, since, ledgers, sensors, losses })
    }
}
