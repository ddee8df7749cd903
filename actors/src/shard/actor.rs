//! The actor of a shard: what it is told. Its work is in the files beside: `desk` reads and commits, `scoring` is between the two,
//! `housekeeping` is what else there is to do.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, ResponseFuture, Supervised,
    WrapFuture as _,
};
use tokio::sync::{Mutex, Notify, watch};

use super::desk::Desk;
use super::partition::Partition;
use super::cache::DetectorPool;
use crate::checkpoint::Checkpointer;
use crate::credit::CreditPool;
use crate::detector::DetectorConfigs;
use crate::messages::{Assign, Drain, Revoke};
use crate::metrics::Metrics;
use crate::ownership::PartitionKeeper;
use thicket_store::redis::{LogReader, Suspects};
use crate::supervision::ExitSignal;
use crate::writer::PostgresWriter;

/// Checkpoints on their way from one shard to the checkpointer.
const CHECKPOINT_KIB: u32 = 64 * 1_024;

/// How a shard works.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// Its number, from 0.
    pub number: u16,
    /// How sensors are configured where the log has not said so yet.
    pub detectors: Arc<DetectorConfigs>,
    /// Readings between two checkpoints of a sensor.
    pub checkpoint_every: u64,
    /// How long a detector stays in memory without a reading.
    pub evict_after: Duration,
    /// Most detectors in memory.
    pub max_resident: usize,
    /// Most readings between log and database.
    pub max_in_flight: u32,
}

/// Whom a shard talks to.
#[derive(Clone, Debug)]
pub struct ShardPeers {
    /// Writes its rows. Partition p goes to writer p modulo their number.
    pub writers: Vec<Addr<PostgresWriter>>,
    /// Saves and loads its detectors.
    pub checkpointer: Addr<Checkpointer>,
    /// Assigns its partitions.
    pub keeper: Addr<PartitionKeeper>,
    /// Told when the node must end.
    pub exit: ExitSignal,
    /// Where a shard writes down what it is about to apply, after an owner that died.
    pub suspects: Suspects,
    /// LeaseState by the one shard of the node that applies what may kill the process.
    pub suspect_lock: Arc<Mutex<()>>,
}

/// Reads a set of partitions and owns their detectors.
pub struct Shard {
    desk: Rc<Desk>,
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

impl Shard {
    /// A shard that waits for partitions.
    pub fn new(options: ShardOptions, peers: ShardPeers, reader: LogReader, metrics: Metrics) -> Self {
        let label = options.number.to_string();
        let credits = CreditPool::new(options.max_in_flight);
        let checkpoint_credits = CreditPool::new(CHECKPOINT_KIB);
        let pool = DetectorPool { options, peers, metrics, checkpoint_credits };
        let desk = Desk {
            label,
            reader,
            pool,
            credits,
            state: std::cell::RefCell::default(),
            commit_finished: Notify::new(),
        };
        Self { desk: Rc::new(desk), stop: watch::Sender::new(false), ended: watch::Sender::new(false) }
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let desk = Rc::clone(&self.desk);
        let stop = self.stop.subscribe();
        let run = async move { desk.run(stop).await };
        context.spawn(run.into_actor(self).map(|(), this, _| {
            this.ended.send_replace(true);
        }));
    }
}

impl Supervised for Shard {
    fn restarting(&mut self, _: &mut Context<Self>) {
        let state = self.desk.state.take();
        for partition in state.partitions.into_keys() {
            self.desk.reopen(partition);
        }
    }
}

impl Handler<Assign> for Shard {
    type Result = ();

    fn handle(&mut self, assign: Assign, context: &mut Context<Self>) {
        let Assign { partition, epoch, position, clean_shutdown, .. } = assign;
        let detectors = self.desk.parse_config_or_default(partition, assign.detectors.as_deref());
        tracing::debug!(%partition, epoch, %position, "partition assigned");
        let mut state = self.desk.state.borrow_mut();
        state.cache.drop_partition(partition);
        state.partitions.insert(partition, Partition::new(&assign, detectors));
        drop(state);
        let desk = Rc::clone(&self.desk);
        let look = async move {
            desk.check_tail(partition, position).await;
            if !clean_shutdown {
                desk.load_suspect(&assign).await;
            }
        };
        context.spawn(look.into_actor(self));
    }
}

impl Handler<Revoke> for Shard {
    type Result = ();

    fn handle(&mut self, Revoke { partition }: Revoke, _: &mut Context<Self>) {
        self.desk.close(partition);
    }
}

impl Handler<Drain> for Shard {
    type Result = ResponseFuture<()>;

    /// Reads no more, waits for the commits of what was read, and saves every detector.
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.stop.send_replace(true);
        let mut ended = self.ended.subscribe();
        Box::pin(async move { drop(ended.wait_for(|&ended| ended).await) })
    }
}
