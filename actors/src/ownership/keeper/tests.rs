use std::time::Duration;

use futures_util::FutureExt as _;
use thicket_schema::{EntryError, Position};
use thicket_store::redis::NodeName;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::messages::HandedOver;
use crate::ownership::live_nodes::View;
use crate::testing::{disconnected_postgres, disconnected_redis, metrics, record};

const P: PartitionId = PartitionId(1);

/// A keeper of two partitions, and the messages to its one shard.
fn new_keeper() -> (PartitionKeeper, UnboundedReceiver<Assign>, UnboundedReceiver<Revoke>) {
    let node = NodeName::of_this_process("node");
    let leases = Leases::new(disconnected_redis(), node, Duration::from_secs(3));
    let mut keeper = PartitionKeeper::new(
        2,
        leases,
        Renewal::default(),
        Keys::default(),
        disconnected_postgres(),
        metrics(),
    );
    let (assign, assigned) = record(|_| ());
    let (revoke, revoked) = record(|_| ());
    let (hand_over, _) = record(|_: &HandOver| None);
    keeper.shards = vec![ShardHandle { assign, revoke, hand_over }];
    let mut alone = View::default();
    alone.note([keeper.stores.leases.node().to_string()].into(), Instant::now());
    keeper.shares.update(&alone, Instant::now());
    (keeper, assigned, revoked)
}

fn claimed(epoch: i64) -> ClaimedPartition {
    ClaimedPartition {
        partition: P,
        epoch,
        position: Position::default(),
        detectors: None,
        quarantine: BTreeMap::new(),
        clean_shutdown: true,
        sensors: BTreeMap::new(),
    }
}

#[actix_rt::test]
async fn a_partition_whose_lease_is_acquired_is_claimed_once_and_assigned() {
    let (mut keeper, mut assigned, _) = new_keeper();
    let (won, returned) = keeper.sort_out(vec![(P, Ok(LeaseState::Acquired))]);
    assert_eq!((won, returned), (vec![P], Vec::new()));
    drop(keeper.on_claimed(&[P], Ok(vec![claimed(4)])));
    assert_eq!(assigned.recv().await.unwrap().0.epoch, 4);
    assert_eq!(keeper.stores.metrics.partitions_owned.get(), 1);
    let (won, _) = keeper.sort_out(vec![(P, Ok(LeaseState::Renewed))]);
    assert!(won.is_empty(), "this node owns it already");
}

#[actix_rt::test]
async fn a_partition_that_another_node_holds_is_revoked_once() {
    let (mut keeper, _, mut revoked) = new_keeper();
    keeper.owned.insert(P, 4);
    for _ in 0..2 {
        keeper.sort_out(vec![(P, Ok(LeaseState::HeldByOther))]);
    }
    assert_eq!(revoked.recv().await.unwrap().partition, P);
    tokio::task::yield_now().await;
    assert!(revoked.try_recv().is_err());
}

#[actix_rt::test]
async fn a_drain_while_leases_are_renewed_claims_no_partition_again() {
    let (mut keeper, mut assigned, _) = new_keeper();
    keeper.owned.insert(P, 4);
    drop(keeper.handle(Drain, &mut Context::new()));
    let (won, returned) = keeper.sort_out(vec![(P, Ok(LeaseState::Renewed))]);
    assert_eq!((won, returned), (Vec::new(), vec![P]), "its lease is released, not claimed");
    tokio::task::yield_now().await;
    assert!(assigned.try_recv().is_err());
}

#[actix_rt::test]
async fn a_drain_during_a_claim_assigns_no_partition() {
    let (mut keeper, mut assigned, _) = new_keeper();
    drop(keeper.handle(Drain, &mut Context::new()));
    drop(keeper.on_claimed(&[P], Ok(vec![claimed(5)])));
    tokio::task::yield_now().await;
    assert!(assigned.try_recv().is_err());
    assert!(keeper.owned.is_empty());
}

#[actix_rt::test]
async fn the_lease_of_a_partition_of_a_later_algorithm_is_not_acquired_again() {
    let (mut keeper, mut assigned, _) = new_keeper();
    drop(keeper.on_claimed(&[P], Ok(Vec::new())));
    assert!(!keeper.wanted(Instant::now()).contains(&P));
    assert!(assigned.try_recv().is_err());
}

#[actix_rt::test]
async fn a_partition_with_an_entry_of_a_later_build_is_left_and_tried_again_later() {
    let (mut keeper, _, _) = new_keeper();
    keeper.owned.insert(P, 4);
    let entry = Position { generation: 1, n: 2 };
    let refuse =
        |epoch| Refuse { partition: P, epoch, entry, cause: EntryError::UnknownKind(9), is_clean: true };
    drop(keeper.handle(refuse(3), &mut Context::new()));
    assert!(keeper.owned.contains_key(&P), "the entry was read under an earlier epoch");
    drop(keeper.handle(refuse(4), &mut Context::new()));
    assert!(!keeper.owned.contains_key(&P) && !keeper.wanted(Instant::now()).contains(&P));
    assert_eq!(keeper.stores.metrics.partitions_refused.get(), 1);

    let tried_again = Refusal::Entry { entry, until: Instant::now() };
    keeper.refused.add(P, tried_again);
    keeper.refused.end(&keeper.owned);
    keeper.count_refused();
    assert!(keeper.wanted(Instant::now()).contains(&P));
    drop(keeper.on_claimed(&[P], Ok(vec![claimed(5)])));
    keeper.refused.end(&keeper.owned);
    keeper.count_refused();
    assert_eq!(keeper.stores.metrics.partitions_refused.get(), 1, "the entry is not committed");
    keeper.refused.add(P, tried_again);
    keeper.refused.end(&keeper.owned);
    keeper.count_refused();
    assert_eq!(keeper.stores.metrics.partitions_refused.get(), 0, "nothing refuses the entry any more");

    drop(keeper.handle(refuse(5), &mut Context::new()));
    assert_eq!(keeper.stores.metrics.partitions_refused.get(), 1);
    drop(keeper.on_claimed(&[P], Ok(vec![ClaimedPartition { position: entry, ..claimed(6) }])));
    assert_eq!(keeper.stores.metrics.partitions_refused.get(), 0, "a later build has committed the entry");
}

#[actix_rt::test]
async fn a_drain_waits_for_the_running_round() {
    let (mut keeper, _, _) = new_keeper();
    keeper.busy = true;
    drop(keeper.handle(Drain, &mut Context::new()));
    assert_eq!(keeper.drained.len(), 1);
}

#[actix_rt::test]
async fn leases_are_kept_after_a_failed_claim_and_released_by_a_node_that_shuts_down() {
    let (mut keeper, _, _) = new_keeper();
    let failed = || Err(StoreError::FieldSet("a test".to_owned()));
    assert_eq!(keeper.on_claimed(&[P], failed()).now_or_never(), Some(()), "the claim is tried again");
    drop(keeper.handle(Drain, &mut Context::new()));
    let release = keeper.on_claimed(&[P], failed());
    assert_eq!(release.now_or_never(), None, "the release asks Redis, which does not answer here");
}

/// A claim fails. Returns whether the node leaves its share.
fn fails_at(keeper: &mut PartitionKeeper, now: Instant) -> bool {
    keeper.failing.note_failure(&keeper.stores, &keeper.shares, now)
}

#[actix_rt::test]
async fn nodes_whose_claims_fail_from_the_same_moment_leave_one_after_another_and_the_last_stays() {
    let (mut first, _, _) = new_keeper();
    let (mut second, _, _) = new_keeper();
    let (mut third, _, _) = new_keeper();
    let (ttl, now) = (first.stores.leases.ttl(), Instant::now());
    let nodes = |names: &[&str]| {
        let mut view = View::default();
        view.note(names.iter().map(|name| (*name).to_owned()).collect(), now);
        view
    };
    let all = nodes(&["a", "b", "c"]);
    for (keeper, name) in [(&mut first, "a"), (&mut second, "b"), (&mut third, "c")] {
        keeper.shares = Shares::new(name.to_owned(), 2, ttl);
        keeper.shares.update(&all, now);
        assert!(!fails_at(keeper, now));
    }
    assert!(fails_at(&mut first, now + ttl));
    let left = now + ttl + ttl / 2;
    for keeper in [&mut second, &mut third] {
        assert!(!fails_at(keeper, now + ttl));
        keeper.shares.update(&nodes(&["b", "c"]), left);
        assert!(!fails_at(keeper, now + 2 * ttl), "the time begins again");
    }
    assert!(fails_at(&mut second, left + ttl) && !fails_at(&mut third, left + ttl));
    third.shares.update(&nodes(&["c"]), left + ttl);
    assert!(!fails_at(&mut third, left + 9 * ttl));
}

#[actix_rt::test]
async fn a_node_whose_claims_fail_for_the_time_of_a_lease_leaves_its_share_until_others_have_taken_it() {
    let (mut keeper, _, _) = new_keeper();
    let ttl = keeper.stores.leases.ttl();
    keeper.stores.renewal.join();
    share_with_another(&mut keeper);
    let own = [P, PartitionId(0)].into_iter().find(|partition| keeper.shares.is_own(*partition)).unwrap();
    let failed = || Err(StoreError::FieldSet("a test".to_owned()));
    assert_eq!(keeper.on_claimed(&[own], failed()).now_or_never(), Some(()));
    assert!(keeper.wanted(Instant::now()).contains(&own), "the claim is tried again");

    let later = Instant::now() + ttl;
    assert!(fails_at(&mut keeper, later));
    assert!(keeper.stores.renewal.nodes().is_paused());
    assert_eq!(keeper.wanted(later), []);
    assert!(
        !keeper.failing.is_probe_due(&keeper.stores, later + 3 * ttl),
        "the others may not have taken its share"
    );
    assert!(keeper.failing.is_probe_due(&keeper.stores, later + 4 * ttl));

    keeper.stores.renewal.nodes().resume();
    assert!(!keeper.failing.is_probe_due(&keeper.stores, later + 4 * ttl), "it is not paused");
    assert!(!fails_at(&mut keeper, later + 5 * ttl), "the time begins again");
    assert!(fails_at(&mut keeper, later + 6 * ttl));
}

#[actix_rt::test]
async fn the_leases_of_a_share_that_is_left_are_released() {
    let (mut keeper, _, _) = new_keeper();
    let before = Instant::now().checked_sub(keeper.stores.leases.ttl()).unwrap();
    share_with_another_since(&mut keeper, before);
    assert!(!fails_at(&mut keeper, before));
    let release = keeper.on_claimed(&[P], Err(StoreError::FieldSet("a test".to_owned())));
    assert_eq!(release.now_or_never(), None, "the release asks Redis, which does not answer here");
}

#[actix_rt::test]
async fn a_node_without_others_keeps_its_share_while_its_claims_fail() {
    let (mut keeper, _, _) = new_keeper();
    let ttl = keeper.stores.leases.ttl();
    keeper.stores.renewal.join();
    let now = Instant::now();
    assert!(!fails_at(&mut keeper, now) && !fails_at(&mut keeper, now + 10 * ttl));
    assert!(!keeper.stores.renewal.nodes().is_paused());
    share_with_another(&mut keeper);
    assert!(fails_at(&mut keeper, now + 10 * ttl), "another node has joined");
}

#[actix_rt::test]
async fn a_claim_that_succeeds_ends_the_count_of_failures() {
    let (mut keeper, _, _) = new_keeper();
    share_with_another(&mut keeper);
    let (ttl, now) = (keeper.stores.leases.ttl(), Instant::now());
    assert!(!fails_at(&mut keeper, now));
    drop(keeper.on_claimed(&[P], Ok(vec![claimed(5)])));
    assert!(!fails_at(&mut keeper, now + ttl));
}

#[actix_rt::test]
async fn a_drain_releases_leases_whose_partitions_are_not_claimed_yet() {
    let (mut keeper, _, _) = new_keeper();
    // PostgreSQL has not answered the claim.
    keeper.stores.renewal.keep(keeper.stores.keys.lease(P));
    let stores = Rc::clone(&keeper.stores);
    assert_eq!(stores.held(2), [P]);
    let drain = keeper.handle(Drain, &mut Context::new());
    tokio::pin!(drain);
    while !stores.held(2).is_empty() {
        // It ends once Redis answers, which it does not here.
        let _ = tokio::time::timeout(Duration::from_millis(10), &mut drain).await;
    }
}

/// Another node has joined, whose name comes after that of this one, and the nodes have settled. Returns
/// the partition that it should own.
fn share_with_another(keeper: &mut PartitionKeeper) -> PartitionId {
    share_with_another_since(keeper, Instant::now())
}

fn share_with_another_since(keeper: &mut PartitionKeeper, now: Instant) -> PartitionId {
    let nodes = [keeper.stores.leases.node().to_string(), "other".to_owned()];
    let mut view = View::default();
    view.note(nodes.into(), now);
    keeper.shares.update(&view, now);
    let all = [PartitionId(0), PartitionId(1)];
    all.into_iter().find(|partition| !keeper.shares.is_own(*partition)).unwrap()
}

#[actix_rt::test]
async fn a_partition_that_a_shard_has_finished_with_is_released_and_not_taken_again() {
    let (mut keeper, _, _) = new_keeper();
    let partition = share_with_another(&mut keeper);
    let lease = keeper.stores.keys.lease(partition);
    keeper.owned.insert(partition, 4);
    keeper.stores.renewal.keep(lease.clone());
    keeper.finishing.insert(partition);
    drop(keeper.on_finished(partition, 4, None));
    assert!(!keeper.owned.contains_key(&partition) && keeper.finishing.is_empty(), "the shard has lost it");
    assert!(keeper.wanted(Instant::now()).contains(&partition), "it is claimed again");
    keeper.owned.insert(partition, 4);

    let finished = Some(HandedOver { is_clean: true });
    drop(keeper.on_finished(partition, 3, finished));
    assert!(keeper.owned.contains_key(&partition), "it was claimed again meanwhile");
    let release = keeper.on_finished(partition, 4, finished);
    assert!(!keeper.owned.contains_key(&partition) && keeper.releasing.contains(&partition));
    assert_eq!(keeper.stores.metrics.partitions_moved.get(), 1);
    let now = Instant::now();
    assert!(!keeper.wanted(now).contains(&partition), "its lease is being released");
    assert!(!keeper.watched(now).contains(&partition));
    let _ = tokio::time::timeout(Duration::from_millis(10), release).await;
    keeper.releasing.clear();
    keeper.stores.renewal.give_up(&lease);
    assert!(!keeper.wanted(now).contains(&partition) && keeper.watched(now).contains(&partition));
}

#[actix_rt::test]
async fn a_lease_that_is_held_without_its_partition_is_wanted_whatever_the_share() {
    let (mut keeper, _, _) = new_keeper();
    let partition = share_with_another(&mut keeper);
    keeper.stores.renewal.keep(keeper.stores.keys.lease(partition));
    assert!(keeper.wanted(Instant::now()).contains(&partition), "its shard has reopened it");
}

#[actix_rt::test]
async fn a_node_that_leaves_takes_no_partition() {
    let (mut keeper, _, _) = new_keeper();
    keeper.owned.insert(P, 4);
    keeper.stores.renewal.leave();
    assert_eq!(keeper.wanted(Instant::now()), [P], "a lost lease is still asked for");
}

#[actix_rt::test]
async fn a_drain_waits_until_a_partition_that_is_handed_over_is_released() {
    let (mut keeper, _, _) = new_keeper();
    keeper.releasing.insert(P);
    drop(keeper.handle(Drain, &mut Context::new()));
    keeper.notify_drained();
    assert_eq!(keeper.drained.len(), 1);
    keeper.releasing.clear();
    keeper.notify_drained();
    assert!(keeper.drained.is_empty());
}
