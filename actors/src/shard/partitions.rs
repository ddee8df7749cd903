//! The partitions of a shard, and how far each is read and committed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

use thicket_protocol::progress::Progress;
use thicket_schema::{PartitionId, Position, SensorId, SensorName};
use thicket_store::postgres::ClaimedPartition;
use tokio::sync::Notify;

use super::poison_search::PoisonSearch;
use crate::detector::DetectorConfigs;

/// The state of one partition.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// Its read position, its committed position and its epoch.
    pub(super) progress: Progress,
    /// The configuration of its sensors at the read position.
    pub(super) detectors: Arc<DetectorConfigs>,
    /// The claim, with the readings that are quarantined.
    pub(super) claimed: Arc<ClaimedPartition>,
    pub(super) readiness: Readiness,
    /// Whether another node should own it: it is not read any more.
    pub(super) is_leaving: bool,
    /// The names of its sensors by id: those with rows, and those that have begun since the claim.
    pub(super) known: Rc<RefCell<BTreeMap<SensorId, Arc<str>>>>,
}

/// What is known of a sensor before its detector begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Familiarity {
    /// It may have rows.
    Known,
    /// It has neither rows nor a checkpoint.
    New,
    /// Its id is that of another sensor, which has this name.
    Taken(Arc<str>),
}

/// Whether a partition may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Not yet. The last owner did not shut down cleanly, and it is not known yet which entries are
    /// suspected.
    Examining,
    /// Yes. There is a search if entries are suspected.
    Ready(Option<PoisonSearch>),
}

impl Partition {
    /// Creates the state of a partition that was just claimed.
    pub(super) fn new(claimed: Arc<ClaimedPartition>, detectors: Arc<DetectorConfigs>) -> Self {
        let readiness = if claimed.clean_shutdown { Readiness::Ready(None) } else { Readiness::Examining };
        let progress = Progress::new(claimed.epoch, claimed.position);
        let known = Rc::new(RefCell::new(claimed.sensors.clone()));
        Self { progress, detectors, claimed, readiness, is_leaving: false, known }
    }

    /// Returns what is known of a sensor, and remembers it.
    pub(super) fn familiarity(&self, sensor: &SensorName) -> Familiarity {
        match self.known.borrow_mut().entry(sensor.id()) {
            Entry::Vacant(vacant) => {
                vacant.insert(sensor.as_str().into());
                Familiarity::New
            }
            Entry::Occupied(name) if &**name.get() == sensor.as_str() => Familiarity::Known,
            Entry::Occupied(name) => Familiarity::Taken(Arc::clone(name.get())),
        }
    }

    /// Forgets a sensor whose rows and checkpoint are deleted.
    pub(super) fn forget(&self, sensor: SensorId) {
        self.known.borrow_mut().remove(&sensor);
    }

    /// Whether no entry is suspected of having crashed an earlier owner.
    pub(super) fn is_clean(&self) -> bool {
        self.readiness == Readiness::Ready(None)
    }

    /// Returns the search for a poison reading, if there is one.
    pub(super) const fn search(&self) -> Option<PoisonSearch> {
        match self.readiness {
            Readiness::Ready(search) => search,
            Readiness::Examining => None,
        }
    }
}

/// All partitions of a shard. No borrow is held across an await.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    by_id: RefCell<BTreeMap<PartitionId, Partition>>,
    /// Notified after each commit, whatever its outcome.
    commit_finished: Notify,
}

impl Partitions {
    pub(super) fn insert(&self, id: PartitionId, partition: Partition) {
        self.by_id.borrow_mut().insert(id, partition);
    }

    pub(super) fn remove(&self, id: PartitionId) {
        self.by_id.borrow_mut().remove(&id);
    }

    pub(super) fn ids(&self) -> Vec<PartitionId> {
        self.by_id.borrow().keys().copied().collect()
    }

    /// Returns the partitions that are searched for a poison reading.
    pub(super) fn searched(&self) -> Vec<PartitionId> {
        let by_id = self.by_id.borrow();
        by_id.iter().filter(|(_, partition)| partition.search().is_some()).map(|(&id, _)| id).collect()
    }

    /// Calls `read` with a partition. Returns `None` if the shard does not have it.
    pub(super) fn get<T>(&self, id: PartitionId, read: impl FnOnce(&Partition) -> T) -> Option<T> {
        self.by_id.borrow().get(&id).map(read)
    }

    /// Calls `change` with a partition. Returns `None` if the shard does not have it under this
    /// epoch.
    pub(super) fn change<T>(
        &self,
        id: PartitionId,
        epoch: i64,
        change: impl FnOnce(&mut Partition) -> T,
    ) -> Option<T> {
        let mut by_id = self.by_id.borrow_mut();
        by_id.get_mut(&id).filter(|partition| partition.progress.epoch == epoch).map(change)
    }

    /// Whether the shard has the partition under this epoch.
    pub(super) fn is_current(&self, id: PartitionId, epoch: i64) -> bool {
        self.get(id, |partition| partition.progress.epoch == epoch).unwrap_or(false)
    }

    /// Returns the partitions that may be read, each with its progress.
    pub(super) fn readable(&self) -> Vec<(PartitionId, Progress)> {
        let by_id = self.by_id.borrow();
        let is_readable =
            |partition: &Partition| partition.readiness != Readiness::Examining && !partition.is_leaving;
        let ready = by_id.iter().filter(|(_, partition)| is_readable(partition));
        ready.map(|(&id, partition)| (id, partition.progress)).collect()
    }

    /// Returns the committed position of each partition.
    pub(super) fn committed(&self) -> Vec<(PartitionId, Position)> {
        let by_id = self.by_id.borrow();
        by_id.iter().map(|(&id, partition)| (id, partition.progress.committed)).collect()
    }

    /// Advances the read position of a partition. Returns false if the shard does not have the
    /// partition under this epoch.
    pub(super) fn advance_read(&self, id: PartitionId, epoch: i64, to: Position) -> bool {
        let mut by_id = self.by_id.borrow_mut();
        by_id.get_mut(&id).is_some_and(|partition| partition.progress.advance_read(epoch, to))
    }

    /// Records a commit up to `to`. Returns false if the shard does not have the partition under
    /// this epoch.
    pub(super) fn on_committed(&self, id: PartitionId, epoch: i64, to: Position) -> bool {
        let mut by_id = self.by_id.borrow_mut();
        let Some(partition) = by_id.get_mut(&id) else { return false };
        partition.progress.on_committed(epoch, to)
    }

    /// Ends the search for a poison reading if all suspected entries are committed. Returns whether
    /// it ended.
    pub(super) fn end_search(&self, id: PartitionId, committed: Position) -> bool {
        let mut by_id = self.by_id.borrow_mut();
        let over = by_id
            .get_mut(&id)
            .filter(|partition| partition.search().is_some_and(|search| search.is_over(committed)));
        over.map(|partition| partition.readiness = Readiness::Ready(None)).is_some()
    }

    /// Wakes all tasks that wait for commits.
    pub(super) fn notify_commit_finished(&self) {
        self.commit_finished.notify_waiters();
    }

    /// Waits until no commit of the partition is in flight.
    pub(super) async fn wait_for_commits(&self, id: PartitionId) {
        loop {
            let finished = self.commit_finished.notified();
            if self.get(id, |partition| partition.progress.in_flight).unwrap_or(0) == 0 {
                return;
            }
            finished.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: PartitionId = PartitionId(3);

    fn at(n: u64) -> Position {
        Position { generation: 7, n }
    }

    fn sensor(name: &str) -> SensorName {
        SensorName::new(name).unwrap()
    }

    fn new_partitions(clean_shutdown: bool) -> Partitions {
        let claimed = ClaimedPartition {
            partition: P,
            epoch: 5,
            position: at(2),
            detectors: None,
            quarantine: BTreeMap::new(),
            clean_shutdown,
            sensors: BTreeMap::from([(sensor("a").id(), "a".into()), (sensor("b").id(), "victim".into())]),
        };
        let detectors =
            Arc::new(DetectorConfigs::new(thicket_detector::DetectorConfig::default(), Vec::new()));
        let partitions = Partitions::default();
        partitions.insert(P, Partition::new(Arc::new(claimed), detectors));
        partitions
    }

    #[test]
    fn a_partition_whose_owner_crashed_is_not_read_before_it_is_examined() {
        let partitions = new_partitions(false);
        assert_eq!(partitions.readable(), []);
        partitions.change(P, 4, |partition| partition.readiness = Readiness::Ready(None));
        assert_eq!(partitions.readable(), [], "a change under another epoch has no effect");
        partitions.change(P, 5, |partition| partition.readiness = Readiness::Ready(None));
        assert_eq!(partitions.readable(), [(P, Progress::new(5, at(2)))]);
    }

    #[test]
    fn a_partition_that_is_handed_over_is_not_read() {
        let partitions = new_partitions(true);
        partitions.change(P, 5, |partition| partition.is_leaving = true);
        assert_eq!(partitions.readable(), []);
    }

    #[test]
    fn a_sensor_with_the_id_of_another_one_is_noticed() {
        let partitions = new_partitions(true);
        let familiarity = |name: &str| partitions.get(P, |partition| partition.familiarity(&sensor(name)));
        assert_eq!(familiarity("a"), Some(Familiarity::Known));
        assert_eq!(familiarity("b"), Some(Familiarity::Taken("victim".into())));
        assert_eq!(familiarity("c"), Some(Familiarity::New));
        assert_eq!(familiarity("c"), Some(Familiarity::Known), "it may have rows by now");
        partitions.get(P, |partition| partition.forget(sensor("b").id()));
        assert_eq!(familiarity("b"), Some(Familiarity::New), "the id of a forgotten sensor is free");
    }

    #[tokio::test]
    async fn commits_are_waited_for_one_after_the_other() {
        let partitions = new_partitions(true);
        assert!(partitions.advance_read(P, 5, at(4)) && partitions.advance_read(P, 5, at(6)));
        assert!(!partitions.advance_read(P, 4, at(8)));
        let wait = partitions.wait_for_commits(P);
        let commit = async {
            for to in [4, 6] {
                tokio::task::yield_now().await;
                assert!(partitions.on_committed(P, 5, at(to)));
                partitions.notify_commit_finished();
            }
        };
        tokio::join!(wait, commit);
        assert_eq!(partitions.committed(), [(P, at(6))]);
    }

    #[test]
    fn a_search_ends_once_all_suspected_entries_are_committed() {
        let partitions = new_partitions(false);
        let search = PoisonSearch::new(None, at(2), Some(at(6)));
        partitions.change(P, 5, |partition| partition.readiness = Readiness::Ready(search));
        let is_clean = || partitions.get(P, Partition::is_clean);
        assert!(!partitions.end_search(P, at(5)));
        assert_eq!(is_clean(), Some(false));
        assert!(partitions.end_search(P, at(6)));
        assert_eq!(is_clean(), Some(true));
        assert!(!partitions.end_search(P, at(6)), "it has ended before");
    }
}
