//! The actor that acquires and releases the leases of partitions, claims the partitions, assigns
//! them to shards, and hands over those that other nodes should own.

mod failing;
mod hand_over;
mod refusals;
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, Recipient, ResponseFuture,
    Supervised, WrapFuture as _,
};
use futures_util::future::{LocalBoxFuture, join_all};
use thicket_schema::{Keys, PartitionId};
use thicket_store::complaints;
use thicket_store::faults;
use thicket_store::postgres::{ClaimedPartition, PostgresPool, StoreError, claim};
use thicket_store::redis::{LeaseState, Leases, RedisError};
use thicket_store::retry::until_ok;
use tokio::sync::oneshot;

use self::failing::{FailingClaims, probe};
use self::refusals::{Refusal, Refusals};
use self::stores::{KeeperStores, leave, record_and_release};
use super::renewal::Renewal;
use super::shares::Shares;
use crate::messages::{Assign, Drain, HandOver, Quarantine, Refuse, Reopen, Revoke};
use crate::metrics::Metrics;
use crate::supervision::notify_drained;

/// Time between two rounds of the keeper. It is short so that another node takes over within a
/// second after a clean shutdown.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The addresses of a shard.
#[derive(Clone, Debug)]
pub struct ShardHandle {
    /// Assigns a partition to it.
    pub assign: Recipient<Assign>,
    /// Revokes a partition from it.
    pub revoke: Recipient<Revoke>,
    /// Lets it finish with a partition that another node should own.
    pub hand_over: Recipient<HandOver>,
}

/// Engine → `PartitionKeeper`: the shards. Sent once, after they have been started.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Join {
    /// The shards in the order of their numbers. Partition p belongs to shard p modulo the number
    /// of shards.
    pub shards: Vec<ShardHandle>,
}

/// Holds the leases of this node's partitions.
pub struct PartitionKeeper {
    stores: Rc<KeeperStores>,
    partitions: u16,
    shards: Vec<ShardHandle>,
    /// The epoch of each partition that this node owns.
    owned: BTreeMap<PartitionId, i64>,
    /// Partitions that only a later build can process.
    refused: Refusals,
    /// Which partitions this node should own.
    shares: Shares,
    /// Owned partitions that a shard finishes with, because another node should own them.
    finishing: BTreeSet<PartitionId>,
    /// Partitions that a shard has finished with, and whose leases are not released yet.
    releasing: BTreeSet<PartitionId>,
    /// The claims that PostgreSQL does not let this node make.
    failing: FailingClaims,
    /// Whether a round is running.
    busy: bool,
    /// Whether the node shuts down.
    leaving: bool,
    /// `Drain` messages that wait for the end of a round.
    drained: Vec<oneshot::Sender<()>>,
}

type LeaseAnswers = Vec<(PartitionId, Result<LeaseState, RedisError>)>;
type LeaseHolders = Vec<(PartitionId, Option<String>)>;

impl PartitionKeeper {
    /// Creates a keeper of `partitions` partitions. It waits for [`Join`].
    pub fn new(
        partitions: u16,
        leases: Leases,
        renewal: Renewal,
        keys: Keys,
        pool: PostgresPool,
        metrics: Metrics,
    ) -> Self {
        metrics.leases.set_ttl(leases.ttl());
        let shares = Shares::new(leases.node().to_string(), partitions, leases.ttl());
        let stores = Rc::new(KeeperStores { leases, renewal, keys, pool, metrics });
        Self {
            stores,
            partitions,
            shards: Vec::new(),
            owned: BTreeMap::new(),
            refused: Refusals::default(),
            shares,
            finishing: BTreeSet::new(),
            releasing: BTreeSet::new(),
            failing: FailingClaims::default(),
            busy: false,
            leaving: false,
            drained: Vec::new(),
        }
    }

    /// Runs one round: begins to hand over partitions that other nodes should own, tries to acquire
    /// the leases that this node should hold and does not, and claims the partitions whose leases
    /// were acquired.
    fn round(&mut self, context: &mut Context<Self>) {
        if self.busy || self.leaving || self.shards.is_empty() {
            return;
        }
        self.busy = true;
        self.refused.end(&self.owned);
        self.count_refused();
        let now = Instant::now();
        self.hand_over_due(now, context);
        let stores = Rc::clone(&self.stores);
        let (wanted, watched, is_probe_due) =
            (self.wanted(now), self.watched(now), self.failing.is_probe_due(&self.stores, now));
        let ask = async move {
            if is_probe_due {
                probe(&stores).await;
            }
            faults::pass("renewal.before");
            let acquires =
                wanted.iter().map(|&partition| stores.leases.acquire(stores.keys.lease(partition)));
            let watch = stores.leases.holders(watched.iter().map(|&partition| stores.keys.lease(partition)));
            let (answers, holders) = tokio::join!(join_all(acquires), watch);
            faults::pass("renewal.after");
            let answers: LeaseAnswers = wanted.iter().copied().zip(answers).collect();
            let holders: Option<LeaseHolders> =
                holders.ok().map(|holders| watched.into_iter().zip(holders).collect());
            (answers, holders)
        };
        let round = ask
            .into_actor(self)
            .then(|(answers, holders), this, _| {
                // Without an answer, nothing is known of these leases.
                match holders {
                    Some(holders) => {
                        for (partition, holder) in holders {
                            this.shares.note_lease(partition, holder.is_none(), Instant::now());
                        }
                    }
                    None => this.shares.forget_free(),
                }
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
                this.notify_drained();
            });
        context.spawn(round);
    }

    /// Answers the `Drain` messages once no lease is asked for and none is released.
    fn notify_drained(&mut self) {
        if !self.busy && self.releasing.is_empty() {
            notify_drained(self.drained.drain(..));
        }
    }

    fn count_refused(&self) {
        self.stores.metrics.partitions_refused.set(self.refused.len() as i64);
    }

    /// Returns the partitions whose leases to acquire now: those that it should own and does not,
    /// those whose leases it holds without owning them, and those whose leases were lost.
    fn wanted(&self, now: Instant) -> Vec<PartitionId> {
        let KeeperStores { renewal, keys, .. } = &*self.stores;
        let is_wanted = |partition: &PartitionId| {
            let is_lost = renewal.is_lost(&keys.lease(*partition));
            if self.owned.contains_key(partition) {
                return is_lost;
            }
            let may_take = !renewal.nodes().takes_none() && self.shares.may_take(*partition, now);
            let is_hindered = self.refused.contains(*partition, now) || self.releasing.contains(partition);
            (!is_lost || may_take) && !is_hindered
        };
        (0..self.partitions).map(PartitionId).filter(is_wanted).collect()
    }

    /// Returns the partitions that other nodes should own, and that this node could take if they
    /// do not.
    fn watched(&self, now: Instant) -> Vec<PartitionId> {
        let is_watched = |partition: &PartitionId| {
            let is_known = self.shares.owner(*partition).is_some() && !self.shares.is_own(*partition);
            let is_here = self.owned.contains_key(partition) || self.releasing.contains(partition);
            is_known && !is_here && !self.refused.contains(*partition, now)
        };
        (0..self.partitions).map(PartitionId).filter(is_watched).collect()
    }

    /// Revokes the partitions whose leases are lost. Returns the partitions to claim, and the
    /// partitions whose leases to release. A node that shuts down claims no partition.
    fn sort_out(&mut self, answers: LeaseAnswers) -> (Vec<PartitionId>, Vec<PartitionId>) {
        let mut held = Vec::new();
        for (partition, answer) in answers {
            let lease = self.stores.keys.lease(partition);
            match &answer {
                Ok(LeaseState::Acquired | LeaseState::Renewed) => self.stores.renewal.keep(lease.clone()),
                Ok(LeaseState::HeldByOther) => {
                    self.stores.renewal.give_up(&lease);
                    self.stores.metrics.leases.lost(&lease);
                }
                Err(_) => {}
            }
            match answer {
                Ok(LeaseState::Acquired | LeaseState::Renewed) if !self.owned.contains_key(&partition) => {
                    held.push(partition);
                }
                Ok(LeaseState::Acquired | LeaseState::Renewed) => {
                    self.stores.metrics.leases.acquired(lease);
                }
                Ok(LeaseState::HeldByOther) => {
                    if self.owned.remove(&partition).is_some() {
                        tracing::warn!(%partition, "another node holds the lease of the partition");
                        send_bounded(&self.shard(partition).revoke, Revoke { partition });
                    }
                }
                // This node may still hold the lease. If not, the epoch fences its commits.
                Err(error) => {
                    if let Some(repeated) = complaints::due("acquire a lease", &error) {
                        tracing::warn!(%error, %partition, repeated, "cannot acquire the lease of the partition; retrying");
                    }
                }
            }
        }
        if self.leaving { (Vec::new(), held) } else { (held, Vec::new()) }
    }

    /// Assigns claimed partitions to their shards. Returns a future that releases the leases that
    /// this node must not keep.
    fn on_claimed(
        &mut self,
        asked_for: &[PartitionId],
        claimed: Result<Vec<ClaimedPartition>, StoreError>,
    ) -> LocalBoxFuture<'static, ()> {
        let stores = Rc::clone(&self.stores);
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                if let Some(repeated) = complaints::due("claim partitions", &error) {
                    tracing::warn!(%error, repeated, "cannot claim partitions; retrying");
                }
                // A node that shuts down tries no more. One that fails for long releases the leases that
                // it has won.
                let leaves_share = self.failing.note_failure(&stores, &self.shares, Instant::now());
                let leases = if self.leaving || leaves_share { asked_for.to_vec() } else { Vec::new() };
                return Box::pin(async move { stores.release(&leases).await });
            }
        };
        self.failing.note_success();
        if self.leaving {
            // The shutdown began during the claim. No shard has read these partitions, so the
            // record of the last shutdown stays as it was.
            let claims =
                claimed.iter().map(|claimed| (claimed.partition, claimed.clean_shutdown, claimed.epoch));
            let clean = claims.filter(|&(_, clean, _)| clean).map(|(id, _, epoch)| (id, epoch)).collect();
            let all = asked_for.to_vec();
            return Box::pin(async move { leave(&stores, &clean, &all).await });
        }
        let is_refused = |id: &PartitionId| claimed.iter().all(|claimed| claimed.partition != *id);
        let refused: Vec<PartitionId> = asked_for.iter().copied().filter(is_refused).collect();
        for partition in &refused {
            self.refused.add(*partition, Refusal::Algorithm);
            tracing::error!(%partition, "a later version of the detection algorithm has scored this partition; run that version, or a newer one");
        }
        for claimed in claimed {
            if let Some(node) = self.shares.note_taken(claimed.partition, Instant::now()) {
                tracing::warn!(partition = %claimed.partition, node, "another node does not take a partition that it should own; this node takes it, and gives that node no more partitions for a while");
            }
            self.refused.note_claimed(claimed.partition, claimed.position);
            self.owned.insert(claimed.partition, claimed.epoch);
            self.stores.metrics.leases.acquired(self.stores.keys.lease(claimed.partition));
            let assign = &self.shard(claimed.partition).assign;
            send_bounded(assign, Assign(Arc::new(claimed)));
        }
        self.count_refused();
        self.stores.metrics.refresh();
        Box::pin(async move { stores.release(&refused).await })
    }

    fn shard(&self, partition: PartitionId) -> &ShardHandle {
        &self.shards[usize::from(partition.0) % self.shards.len()]
    }
}

/// Sends an assignment or a revocation: at most one per partition and round. A hand-over waits for
/// its answer instead, and few are in progress.
fn send_bounded<M: Message<Result = ()> + Send + 'static>(shard: &Recipient<M>, message: M) {
    #[expect(clippy::disallowed_methods, reason = "bounded by the number of partitions")]
    shard.do_send(message);
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
        // The next round claims every partition again whose lease this node holds, under a new epoch,
        // and assigns it again.
        self.owned.clear();
        self.finishing.clear();
        self.releasing.clear();
        self.stores.metrics.leases.clear();
        self.busy = false;
        self.drained.clear();
    }
}

impl Handler<Join> for PartitionKeeper {
    type Result = ();

    fn handle(&mut self, Join { shards }: Join, context: &mut Context<Self>) {
        self.shards = shards;
        self.stores.renewal.join();
        let nodes = Arc::clone(self.stores.renewal.nodes());
        let known = async move { nodes.known().await };
        context.spawn(known.into_actor(self).map(|(), this, context| this.round(context)));
    }
}

impl Handler<Reopen> for PartitionKeeper {
    type Result = ();

    fn handle(&mut self, Reopen { partition }: Reopen, _: &mut Context<Self>) {
        self.owned.remove(&partition);
        self.stores.metrics.leases.lost(&self.stores.keys.lease(partition));
    }
}

impl Handler<Refuse> for PartitionKeeper {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, refused: Refuse, _: &mut Context<Self>) -> Self::Result {
        let Refuse { partition, epoch, entry, cause, is_clean } = refused;
        if self.owned.get(&partition) != Some(&epoch) {
            return Box::pin(std::future::ready(()));
        }
        self.owned.remove(&partition);
        let is_new = self.refused.add(partition, Refusal::of_entry(entry));
        self.count_refused();
        self.stores.metrics.leases.lost(&self.stores.keys.lease(partition));
        if is_new {
            tracing::error!(%partition, %entry, error = %cause, "a newer build has written the next entry of this partition; this node leaves the partition to a node of that build");
        }
        let stores = Rc::clone(&self.stores);
        // Everything before the entry is committed.
        let clean = is_clean.then_some((partition, epoch)).into_iter().collect();
        Box::pin(async move { record_and_release(&stores, &clean, &[partition]).await })
    }
}

impl Handler<Quarantine> for PartitionKeeper {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, Quarantine(entry): Quarantine, _: &mut Context<Self>) -> Self::Result {
        let stores = Rc::clone(&self.stores);
        Box::pin(async move {
            let warn = |error: &StoreError| {
                if let Some(repeated) = complaints::due("quarantine a reading", error) {
                    tracing::warn!(%error, repeated, "cannot quarantine the reading; retrying");
                }
            };
            until_ok(async || stores.quarantine(&entry).await, warn).await
        })
    }
}

impl Handler<Drain> for PartitionKeeper {
    type Result = ResponseFuture<()>;

    /// Releases every lease, also of partitions that were not claimed yet. A round that is running
    /// claims no partition again, and no partition is handed over any more.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.leaving = true;
        let owned = std::mem::take(&mut self.owned);
        let (stores, partitions) = (Rc::clone(&self.stores), self.partitions);
        let (sender, round_ended) = oneshot::channel();
        if self.busy || !self.releasing.is_empty() {
            self.drained.push(sender);
        }
        Box::pin(async move {
            let leases: Vec<PartitionId> = owned.keys().copied().collect();
            leave(&stores, &owned, &leases).await;
            // An error means that no round is running and no lease is being released.
            let _ = round_ended.await;
            let rest = stores.held(partitions);
            stores.release(&rest).await;
        })
    }
}

#[cfg(test)]
mod tests;
