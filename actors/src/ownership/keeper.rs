//! The actor that takes, renews and gives back partitions, and tells the shards.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message, ResponseFuture,
    Supervised, WrapFuture as _,
};
use futures_util::future::join_all;
use thicket_schema::{Keys, PartitionId};

use super::epochs::{claim, leave};
use super::verdicts::{QuarantineEntry, decide};
use thicket_store::postgres::{PostgresPool, StoreError};
use thicket_store::faults;
use crate::messages::{Assign, Quarantine, Drain, Reopen, Revoke};
use crate::metrics::Metrics;
use thicket_store::redis::{LeaseState, Leases, RedisError};
use crate::shard::Shard;

/// How often it is asked whether a partition that is another node's has become free: a node that ends in order is followed within a second.
const LOOK: Duration = Duration::from_millis(250);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Engine → `PartitionKeeper`: the shards, once they have been started.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Join {
    /// In the order of their numbers; partition p belongs to shard p modulo their number.
    pub shards: Vec<Addr<Shard>>,
}

/// Holds the leases of this node's partitions.
pub struct PartitionKeeper {
    desk: Rc<Desk>,
    partitions: u16,
    shards: Vec<Addr<Shard>>,
    /// The epoch of each partition that is this node's.
    owned: BTreeMap<PartitionId, i64>,
    /// Those that a later version of the detection has scored, which this program does not know.
    refused: BTreeSet<PartitionId>,
    renewed: Instant,
    busy: bool,
    leaving: bool,
}

/// What a round needs besides the actor's state.
struct Desk {
    leases: Leases,
    keys: Keys,
    pool: PostgresPool,
    metrics: Metrics,
}

impl Desk {
    async fn release(&self, partitions: &[PartitionId]) {
        let releases = partitions.iter().map(|&partition| self.leases.release(self.keys.lease(partition)));
        for error in join_all(releases).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a partition's lease was not released");
        }
    }

    async fn decide(&self, decision: &QuarantineEntry) -> Result<bool, StoreError> {
        Ok(decide(&mut *self.pool.get().await?, decision).await?)
    }
}

type LeaseAnswers = Vec<(PartitionId, Result<LeaseState, RedisError>)>;

impl PartitionKeeper {
    /// A keeper of `partitions` partitions that waits for its shards.
    pub fn new(partitions: u16, leases: Leases, keys: Keys, pool: PostgresPool, metrics: Metrics) -> Self {
        let desk = Rc::new(Desk { leases, keys, pool, metrics });
        Self {
            desk,
            partitions,
            shards: Vec::new(),
            owned: BTreeMap::new(),
            refused: BTreeSet::new(),
            renewed: Instant::now(),
            busy: false,
            leaving: false,
        }
    }

    /// Renews what is held when that is due, tries for the rest, and claims what was won.
    fn round(&mut self, context: &mut Context<Self>) {
        if self.busy || self.leaving || self.shards.is_empty() {
            return;
        }
        self.busy = true;
        let desk = Rc::clone(&self.desk);
        let wanted = self.wanted();
        let ask = async move {
            faults::pass("renewal.before");
            let asked = wanted.iter().map(|&partition| desk.leases.acquire(desk.keys.lease(partition)));
            let answers: LeaseAnswers = wanted.iter().copied().zip(join_all(asked).await).collect();
            faults::pass("renewal.after");
            answers
        };
        let round = ask
            .into_actor(self)
            .then(|answers, this, _| {
                let won = this.sort_out(answers);
                let asked_for = won.clone();
                let desk = Rc::clone(&this.desk);
                let claim = async move {
                    if won.is_empty() {
                        return Ok(Vec::new());
                    }
                    faults::pass("takeover.before");
                    let claimed = claim(&desk.pool, &won).await;
                    faults::pass("takeover.after");
                    claimed
                };
                claim.into_actor(this).map(|claimed, _, _| (asked_for, claimed))
            })
            .map(|(asked_for, claimed), this, context| {
                this.busy = false;
                this.on_claimed(&asked_for, claimed, context);
            });
        context.spawn(round);
    }

    /// What is to be asked for now.
    fn wanted(&mut self) -> Vec<PartitionId> {
        let renew = self.renewed.elapsed() >= self.desk.leases.ttl() / 3;
        if renew {
            self.renewed = Instant::now();
        }
        let all = (0..self.partitions).map(PartitionId).filter(|partition| !self.refused.contains(partition));
        all.filter(|partition| renew || !self.owned.contains_key(partition)).collect()
    }

    /// Tells the shards what was lost and returns what was won and is not claimed yet.
    fn sort_out(&mut self, answers: LeaseAnswers) -> Vec<PartitionId> {
        let mut won = Vec::new();
        for (partition, answer) in answers {
            match answer {
                Ok(LeaseState::Acquired | LeaseState::Renewed) if !self.owned.contains_key(&partition) => {
                    won.push(partition);
                }
                Ok(LeaseState::Acquired | LeaseState::Renewed) => {}
                Ok(LeaseState::HeldByOther) => {
                    if self.owned.remove(&partition).is_some() {
                        tracing::warn!(%partition, "another node holds the partition's lease");
                        self.apply_label(partition, Revoke { partition });
                    }
                }
                // Whether the lease still stands is unknown; the epoch keeps a commit of a lost partition out.
                Err(error) => tracing::warn!(%error, %partition, "the partition's lease was not renewed"),
            }
        }
        won
    }

    fn on_claimed(
        &mut self,
        asked_for: &[PartitionId],
        claimed: Result<Vec<Assign>, StoreError>,
        context: &mut Context<Self>,
    ) {
        let assignments = match claimed {
            Ok(assignments) => assignments,
            Err(error) => {
                tracing::warn!(%error, "partitions cannot be claimed; trying again");
                return;
            }
        };
        for &partition in asked_for {
            if assignments.iter().all(|assignment| assignment.partition != partition) {
                tracing::error!(%partition, "a later version of the detection has scored this partition; run that version, or a newer one");
                self.refused.insert(partition);
                let desk = Rc::clone(&self.desk);
                let release = async move { desk.release(&[partition]).await };
                context.spawn(release.into_actor(self));
            }
        }
        for assignment in assignments {
            self.owned.insert(assignment.partition, assignment.epoch);
            self.apply_label(assignment.partition, assignment);
        }
        self.desk.metrics.partitions_owned.set(self.owned.len() as i64);
    }

    fn apply_label<M>(&self, partition: PartitionId, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        Shard: Handler<M>,
    {
        let shard = &self.shards[usize::from(partition.0) % self.shards.len()];
        // At most one assignment or revocation of each partition per round: bounded by the number of partitions.
        #[expect(clippy::disallowed_methods, reason = "bounded by the number of partitions")]
        shard.do_send(message);
    }
}

impl Actor for PartitionKeeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let interval = (self.desk.leases.ttl() / 3).max(Duration::from_millis(50));
        context.run_interval(interval.min(LOOK), Self::round);
        self.round(context);
    }
}

impl Supervised for PartitionKeeper {
    fn restarting(&mut self, _: &mut Context<Self>) {
        // Every partition is claimed anew, with a fresh epoch, and assigned again.
        self.owned.clear();
        self.busy = false;
    }
}

impl Handler<Join> for PartitionKeeper {
    type Result = ();

    fn handle(&mut self, Join { shards }: Join, context: &mut Context<Self>) {
        self.shards = shards;
        self.round(context);
    }
}

impl Handler<Reopen> for PartitionKeeper {
    type Result = ();

    fn handle(&mut self, Reopen { partition }: Reopen, _: &mut Context<Self>) {
        self.owned.remove(&partition);
    }
}

impl Handler<Quarantine> for PartitionKeeper {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, Quarantine(decision): Quarantine, _: &mut Context<Self>) -> Self::Result {
        let desk = Rc::clone(&self.desk);
        Box::pin(async move {
            loop {
                match desk.decide(&decision).await {
                    Ok(decided) => return decided,
                    Err(error) => {
                        tracing::warn!(%error, "the verdict on a reading is not durable yet; trying again");
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                }
            }
        })
    }
}

impl Handler<Drain> for PartitionKeeper {
    type Result = ResponseFuture<()>;

    /// Gives every lease back, so that another node need not wait for them to run out.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.leaving = true;
        let owned = std::mem::take(&mut self.owned);
        let desk = Rc::clone(&self.desk);
        Box::pin(async move {
            if let Err(error) = leave(&desk.pool, &owned).await {
                tracing::warn!(%error, "that the node ends in order is not noted; the next one will be careful");
            }
            desk.release(&owned.into_keys().collect::<Vec<_>>()).await;
            desk.metrics.partitions_owned.set(0);
        })
    }
}
