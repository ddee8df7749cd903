//! After an owner that died: what is to be applied is written down first, and what it may have died of is gone through reading by reading.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use thicket_schema::{PartitionId, Position};

use super::caution::{PoisonSearch, DEATHS};
use super::desk::Desk;
use super::partition::{Partition, Readiness};
use super::cache::Unrecoverable;
use super::scoring::Outcome;
use super::work::{SensorBatch, LogRange};
use crate::messages::Assign;
use thicket_store::postgres::QuarantineReason;
use thicket_store::redis::{RedisError, Suspect};

const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Partitions whose range is gone through reading by reading: what is suspected, and the range, after the first place and up to the second.
pub(super) type Narrow = BTreeMap<PartitionId, (PoisonSearch, Position, Position)>;

impl Desk {
    /// Finds out what a partition's last owner may have died of; the partition is not read before.
    pub(super) async fn load_suspect(&self, assign: &Assign) {
        let &Assign { partition, epoch, position, .. } = assign;
        let caution = loop {
            match self.caution(partition, position).await {
                Ok(caution) => break caution,
                Err(error) => {
                    tracing::warn!(%error, %partition, "what the last owner did cannot be read; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        };
        let mut state = self.state.borrow_mut();
        if let Some(partition) =
            state.partitions.get_mut(&partition).filter(|now| now.progress.epoch == epoch)
        {
            partition.readiness = Readiness::Ready(caution);
        }
    }

    async fn caution(
        &self,
        partition: PartitionId,
        committed: Position,
    ) -> Result<Option<PoisonSearch>, RedisError> {
        let record = self.pool.peers.suspects.load(partition).await?;
        let newest = self.reader.newest(partition).await?;
        if let Some(record) = record {
            tracing::warn!(%partition, ?record, "the last owner died of, or during, this");
        }
        Ok(PoisonSearch::new(record, committed, newest))
    }

    /// Writes down the ranges of partitions that are treated with caution, and returns those that are to be gone through reading by
    /// reading: there each reading is written down when its turn comes.
    pub(super) async fn record_suspects(&self, ranges: &[LogRange]) -> Narrow {
        let mut narrow = Narrow::new();
        let mut records = Vec::new();
        for range in ranges {
            let caution = self.state.borrow().partitions.get(&range.partition).and_then(Partition::caution);
            match caution {
                Some(caution) if caution.is_one_by_one(range.first()) => {
                    narrow.insert(range.partition, (caution, range.from, range.to));
                }
                Some(_) => {
                    let suspect = Suspect::LogRange { after: range.from, to: range.to };
                    records.push(self.record(range.partition, suspect));
                }
                None => {}
            }
        }
        join_all(records).await;
        narrow
    }

    /// The verdicts on a job of which a process has died: reading by reading, and no other such reading on this node at the same time, so that
    /// what is written down is what it dies of.
    pub(super) async fn score_suspects(
        self: &Rc<Self>,
        job: &SensorBatch,
        (caution, after, to): (PoisonSearch, Position, Position),
    ) -> Outcome {
        let cached = self.cached(job.partition, &job.sensor).await?;
        let suspect_lock = self.pool.peers.suspect_lock.lock().await;
        let before = async |index: usize| -> Result<_, Unrecoverable> {
            let at = job.places[index];
            let deaths = caution.deaths(at);
            if deaths < DEATHS {
                self.record(job.partition, Suspect::Reading { at, to, deaths }).await;
                return Ok(None);
            }
            let poison = (QuarantineReason::Poison, format!("{deaths} processes died while they applied it"));
            self.decide(job, index, &poison).await?;
            Ok(Some(poison))
        };
        let result = self.score_one_by_one(&cached, job, before).await?;
        // The last reading is past: what kills the process from here on is not that.
        self.record(job.partition, Suspect::LogRange { after, to }).await;
        drop(suspect_lock);
        Ok((result, cached.config))
    }

    /// Does not go on before it is written down.
    async fn record(&self, partition: PartitionId, suspect: Suspect) {
        while let Err(error) = self.pool.peers.suspects.record(partition, suspect).await {
            tracing::warn!(%error, %partition, "redis does not take down what comes next; trying again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Ends the caution about a partition that is committed beyond what was suspected.
    pub(super) fn end_caution(self: &Rc<Self>, partition: PartitionId) {
        let desk = Rc::clone(self);
        actix_rt::spawn(async move {
            // A record that stays is of what is committed: nobody will heed it.
            if let Err(error) = desk.pool.peers.suspects.clear(partition).await {
                tracing::debug!(%error, %partition, "the record of what was suspected stays");
            }
        });
    }
}
