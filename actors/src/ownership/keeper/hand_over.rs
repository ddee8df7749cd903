//! The hand-over of partitions that other nodes should own: Kafka's rebalance, one partition after
//! another. The shard finishes with the partition as at a shutdown; then the keeper records that, and
//! releases the lease.

use std::time::Instant;

use actix::{ActorFutureExt as _, AsyncContext as _, Context, WrapFuture as _};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use thicket_schema::PartitionId;
use thicket_store::faults;

use super::PartitionKeeper;
use super::stores::record_and_release;
use crate::messages::{HandOver, HandedOver};

impl PartitionKeeper {
    /// Begins to hand over the partitions that are due.
    pub(super) fn hand_over_due(&mut self, now: Instant, context: &mut Context<Self>) {
        let view = self.stores.renewal.nodes().view();
        self.shares.update(&view, now);
        let metrics = &self.stores.metrics;
        metrics.nodes.set(self.shares.nodes() as i64);
        metrics.partitions_assigned.set(self.shares.assigned() as i64);
        if self.stores.renewal.nodes().takes_none() {
            return;
        }
        let (renewal, keys) = (&self.stores.renewal, &self.stores.keys);
        let stays = |partition: &PartitionId| {
            self.finishing.contains(partition) || renewal.is_lost(&keys.lease(*partition))
        };
        let owned = self.owned.keys().copied().filter(|partition| !stays(partition));
        let moving = self.finishing.len() + self.releasing.len();
        for partition in self.shares.due(owned, moving, &view, now) {
            self.begin_hand_over(partition, context);
        }
    }

    fn begin_hand_over(&mut self, partition: PartitionId, context: &mut Context<Self>) {
        let Some(&epoch) = self.owned.get(&partition) else { return };
        let to = self.shares.owner(partition).unwrap_or_default();
        tracing::debug!(%partition, to, "another node should own the partition; handing it over");
        self.finishing.insert(partition);
        let shard = self.shard(partition).hand_over.clone();
        let finish = async move { shard.send(HandOver { partition, epoch }).await.ok().flatten() };
        let hand_over = finish
            .into_actor(self)
            .then(move |finished, this, _| this.on_finished(partition, epoch, finished).into_actor(this))
            .map(move |(), this, _| {
                if this.releasing.remove(&partition) && !this.owned.contains_key(&partition) {
                    this.shares.note_lease(partition, true, Instant::now());
                }
                this.notify_drained();
            });
        context.spawn(hand_over);
    }

    /// Gives a partition up that a shard has finished with. Does nothing if this node has lost the
    /// partition or shuts down meanwhile. If the shard does not have the partition, the next round
    /// claims it again: this node holds its lease.
    pub(super) fn on_finished(
        &mut self,
        partition: PartitionId,
        epoch: i64,
        finished: Option<HandedOver>,
    ) -> LocalBoxFuture<'static, ()> {
        self.finishing.remove(&partition);
        if self.owned.get(&partition) != Some(&epoch) {
            return std::future::ready(()).boxed_local();
        }
        self.owned.remove(&partition);
        let stores = std::rc::Rc::clone(&self.stores);
        stores.metrics.leases.lost(&stores.keys.lease(partition));
        let Some(HandedOver { is_clean }) = finished else { return std::future::ready(()).boxed_local() };
        self.releasing.insert(partition);
        stores.metrics.partitions_moved.inc();
        let clean = is_clean.then_some((partition, epoch)).into_iter().collect();
        async move {
            faults::pass("hand-over.before");
            record_and_release(&stores, &clean, &[partition]).await;
            faults::pass("hand-over.after");
        }
        .boxed_local()
    }
}
