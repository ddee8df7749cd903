//! The actor that takes, renews and releases partitions, and tells the shards.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, Recipient, ResponseFuture,
    Supervised, WrapFuture as _,
};
use futures_util::future::{LocalBoxFuture, join_all, ready};
use thicket_schema::{Keys, PartitionId};
use thicket_store::faults;
use thicket_store::postgres::{
    ClaimedPartition, PostgresPool, QuarantineEntry, StoreError, claim, mark_clean_shutdown, quarantine,
};
use thicket_store::redis::{LeaseState, Leases, RedisError};
use thicket_store::retry::until_ok;
use tokio::sync::oneshot;

use crate::messages::{Assign, Drain, Quarantine, Reopen, Revoke};
use crate::metrics::Metrics;
use crate::supervision::release;

/// How often the keeper asks for the leases of other nodes: after a node that shuts down cleanly, the next one takes over within
/// a second.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A shard, as the keeper talks to it.
#[derive(Clone, Debug)]
pub struct ShardHandle {
    /// Gives it a partition.
    pub assign: Recipient<Assign>,
    /// Takes a partition from it.
    pub revoke: Recipient<Revoke>,
}

/// Engine → `PartitionKeeper`: the shards, once they have been started.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Join {
    /// In the order of their numbers; partition p belongs to shard p modulo their number.
    pub shards: Vec<ShardHandle>,
}

/// Holds the leases of this node's partitions.
pub struct PartitionKeeper {
    stores: Rc<KeeperStores>,
    partitions: u16,
    shards: Vec<ShardHandle>,
    /// The epoch of each partition that this node owns.
    owned: BTreeMap<PartitionId, i64>,
    /// Partitions that a later version of the detection algorithm has scored.
    refused: BTreeSet<PartitionId>,
    renewed: Instant,
    busy: bool,
    leaving: bool,
    /// Drains that wait for the end of a round.
    drained: Vec<oneshot::Sender<()>>,
}

/// The stores of the keeper.
struct KeeperStores {
    leases: Leases,
    keys: Keys,
    pool: PostgresPool,
    metrics: Metrics,
}

impl KeeperStores {
    async fn release(&self, partitions: &[PartitionId]) {
        let releases = partitions.iter().map(|&partition| self.leases.release(self.keys.lease(partition)));
        for error in join_all(releases).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a partition's lease was not released");
        }
    }

    async fn quarantine(&self, entry: &QuarantineEntry) -> Result<bool, StoreError> {
        Ok(quarantine(&mut *self.pool.get().await?, entry).await?)
    }
}

type LeaseAnswers = Vec<(PartitionId, Result<LeaseState, RedisError>)>;

impl PartitionKeeper {
    /// Creates a keeper of `partitions` partitions that waits for its shards.
    pub fn new(partitions: u16, leases: Leases, keys: Keys, pool: PostgresPool, metrics: Metrics) -> Self {
        let stores = Rc::new(KeeperStores { leases, keys, pool, metrics });
        Self {
            stores,
            partitions,
            shards: Vec::new(),
            owned: BTreeMap::new(),
            refused: BTreeSet::new(),
            renewed: Instant::now(),
            busy: false,
            leaving: false,
            drained: Vec::new(),
        }
    }

    /// Renews the leases when that is due, asks for the others, and claims the partitions that were won.
    fn round(&mut self, context: &mut Context<Self>) {
        if self.busy || self.leaving || self.shards.is_empty() {
            return;
        }
        self.busy = true;
        let stores = Rc::clone(&self.stores);
        let wanted = self.wanted();
        let ask = async move {
            faults::pass("renewal.before");
            let acquires =
                wanted.iter().map(|&partition| stores.leases.acquire(stores.keys.lease(partition)));
            let answers: LeaseAnswers = wanted.iter().copied().zip(join_all(acquires).await).collect();
            faults::pass("renewal.after");
            answers
        };
        let round = ask
            .into_actor(self)
            .then(|answers, this, _| {
                let (won, returned) = this.sort_out(answers);
                let asked_for = won.clone();
                let stores = Rc::clone(&this.stores);
                let claim = async move {
                    stores.release(&returned).await;
                    if won.is_empty() {
                        return Ok(Vec::new());
                    }
                    faults::pass("takeover.before");
                    let claimed = claim(&stores.pool, &won).await;
                    faults::pass("takeover.after");
                    claimed
                };
                claim.into_actor(this).map(|claimed, _, _| (asked_for, claimed))
            })
            .then(|(asked_for, claimed), this, _| this.on_claimed(&asked_for, claimed).into_actor(this))
            .map(|(), this, _| {
                this.busy = false;
                release(this.drained.drain(..));
            });
        context.spawn(round);
    }

    /// The partitions whose leases to ask for now.
    fn wanted(&mut self) -> Vec<PartitionId> {
        let renew = self.renewed.elapsed() >= self.stores.leases.ttl() / 3;
        if renew {
            self.renewed = Instant::now();
        }
        let all = (0..self.partitions).map(PartitionId).filter(|partition| !self.refused.contains(partition));
        all.filter(|partition| renew || !self.owned.contains_key(partition)).collect()
    }

    /// Revokes the partitions that were lost. Returns those that were won and are not claimed yet, and those whose
    /// lease is to be released: a node that drains wins nothing.
    fn sort_out(&mut self, answers: LeaseAnswers) -> (Vec<PartitionId>, Vec<PartitionId>) {
        let mut held = Vec::new();
        for (partition, answer) in answers {
            match answer {
                Ok(LeaseState::Acquired | LeaseState::Renewed) if !self.owned.contains_key(&partition) => {
                    held.push(partition);
                }
                Ok(LeaseState::Acquired | LeaseState::Renewed) => {}
                Ok(LeaseState::HeldByOther) => {
                    if self.owned.remove(&partition).is_some() {
                        tracing::warn!(%partition, "another node holds the partition's lease");
                        send_bounded(&self.shard(partition).revoke, Revoke { partition });
                    }
                }
                // It is unknown whether the lease still stands. The epoch fences a commit of a lost partition.
                Err(error) => tracing::warn!(%error, %partition, "the partition's lease was not renewed"),
            }
        }
        if self.leaving { (Vec::new(), held) } else { (held, Vec::new()) }
    }

    fn on_claimed(
        &mut self,
        asked_for: &[PartitionId],
        claimed: Result<Vec<ClaimedPartition>, StoreError>,
    ) -> LocalBoxFuture<'static, ()> {
        let stores = Rc::clone(&self.stores);
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "cannot claim partitions; retrying");
                return Box::pin(ready(()));
            }
        };
        if self.leaving {
            // The drain began during the claim. No shard has read these partitions, so they leave as they came.
            let claims =
                claimed.iter().map(|claimed| (claimed.partition, claimed.clean_shutdown, claimed.epoch));
            let clean = claims.filter(|&(_, clean, _)| clean).map(|(id, _, epoch)| (id, epoch)).collect();
            let all = asked_for.to_vec();
            return Box::pin(async move { leave(&stores, &clean, &all).await });
        }
        let is_refused = |id: &PartitionId| claimed.iter().all(|claimed| claimed.partition != *id);
        let refused: Vec<PartitionId> = asked_for.iter().copied().filter(is_refused).collect();
        for partition in &refused {
            tracing::error!(%partition, "a later version of the detection algorithm has scored this partition; run that version, or a newer one");
        }
        self.refused.extend(&refused);
        for claimed in claimed {
            self.owned.insert(claimed.partition, claimed.epoch);
            let assign = &self.shard(claimed.partition).assign;
            send_bounded(assign, Assign(Arc::new(claimed)));
        }
        self.stores.metrics.partitions_owned.set(self.owned.len() as i64);
        Box::pin(async move { stores.release(&refused).await })
    }

    fn shard(&self, partition: PartitionId) -> &ShardHandle {
        &self.shards[usize::from(partition.0) % self.shards.len()]
    }
}

/// Sends an assignment or a revocation: at most one of each partition per round.
fn send_bounded<M: Message<Result = ()> + Send + 'static>(shard: &Recipient<M>, message: M) {
    #[expect(clippy::disallowed_methods, reason = "bounded by the number of partitions")]
    shard.do_send(message);
}

/// Marks partitions as cleanly shut down and releases leases, so that another node need not wait for them to expire.
async fn leave(stores: &KeeperStores, clean: &BTreeMap<PartitionId, i64>, leases: &[PartitionId]) {
    if let Err(error) = mark_clean_shutdown(&stores.pool, clean).await {
        tracing::warn!(%error, "the clean shutdown was not recorded; the next owner will search for a poison reading");
    }
    stores.release(leases).await;
    stores.metrics.partitions_owned.set(0);
}

impl Actor for PartitionKeeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let interval = (self.stores.leases.ttl() / 3).max(Duration::from_millis(50));
        context.run_interval(interval.min(POLL_INTERVAL), Self::round);
        self.round(context);
    }
}

impl Supervised for PartitionKeeper {
    fn restarting(&mut self, _: &mut Context<Self>) {
        // Every partition is claimed again, under a new epoch, and assigned again.
        self.owned.clear();
        self.busy = false;
        self.drained.clear();
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

    fn handle(&mut self, Quarantine(entry): Quarantine, _: &mut Context<Self>) -> Self::Result {
        let stores = Rc::clone(&self.stores);
        Box::pin(async move {
            let warn =
                |error: &StoreError| tracing::warn!(%error, "the reading is not quarantined yet; retrying");
            until_ok(async || stores.quarantine(&entry).await, warn).await
        })
    }
}

impl Handler<Drain> for PartitionKeeper {
    type Result = ResponseFuture<()>;

    /// Releases every lease. A round that is under way takes no partition again.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.leaving = true;
        let owned = std::mem::take(&mut self.owned);
        let stores = Rc::clone(&self.stores);
        let (sender, round_ended) = oneshot::channel();
        if self.busy {
            self.drained.push(sender);
        }
        Box::pin(async move {
            let leases: Vec<PartitionId> = owned.keys().copied().collect();
            leave(&stores, &owned, &leases).await;
            // An error says that no round is under way.
            let _ = round_ended.await;
        })
    }
}

#[cfg(test)]
mod tests;
