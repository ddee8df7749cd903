//! Which node should own which partition. Every node computes this from the live nodes alone.
//! Leases and epochs decide who owns a partition, so two nodes that know different live nodes do
//! no harm.

use std::collections::BTreeSet;

use thicket_schema::PartitionId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Returns the node that should own each partition, by partition number; empty without nodes.
///
/// This is rendezvous hashing with a bounded load: each node gets `partitions / nodes` partitions,
/// rounded down or up. The pairs of a node and a partition are taken in the order of their hashes,
/// the largest first, as far as the node has room (Thaler and Ravishankar, *Using name-based
/// mappings to increase hit rates*, 1998; Mirrokni, Thorup and Zadimoghaddam, *Consistent hashing
/// with bounded loads*, 2018). Most partitions therefore keep their node when a node joins or
/// leaves.
pub fn share(partitions: u16, nodes: &BTreeSet<String>) -> Vec<&str> {
    let Some(least) = usize::from(partitions).checked_div(nodes.len()) else { return Vec::new() };
    let mut one_more = usize::from(partitions) % nodes.len();
    let names: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let mut pairs: Vec<(u64, usize, PartitionId)> = Vec::with_capacity(names.len() * usize::from(partitions));
    for (node, name) in names.iter().enumerate() {
        pairs.extend((0..partitions).map(|number| (weight(name, number), node, PartitionId(number))));
    }
    pairs.sort_unstable_by(|a, b| b.cmp(a));
    let mut owners = vec![None; usize::from(partitions)];
    let mut loads = vec![0; names.len()];
    for (_, node, PartitionId(number)) in pairs {
        let owner = &mut owners[usize::from(number)];
        let has_room = loads[node] < least || (loads[node] == least && one_more > 0);
        if owner.is_some() || !has_room {
            continue;
        }
        if loads[node] == least {
            one_more -= 1;
        }
        loads[node] += 1;
        *owner = Some(names[node]);
    }
    debug_assert!(owners.iter().all(Option::is_some), "the loads add up to all partitions");
    owners.into_iter().flatten().collect()
}

/// The preference of a node for a partition.
fn weight(node: &str, partition: u16) -> u64 {
    xxh3_64_with_seed(node.as_bytes(), u64::from(partition))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set("[a-z0-9/-]{1,40}", 1..9)
    }

    /// The greatest number of other partitions that move in the test below.
    const MOST_OTHERS: usize = 12;

    fn moves(before: &[&str], after: &[&str]) -> usize {
        before.iter().zip(after).filter(|(before, after)| before != after).count()
    }

    #[test]
    fn without_nodes_no_partition_has_an_owner() {
        assert!(share(64, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn a_share_is_the_same_in_every_build() {
        let nodes = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(share(8, &nodes).concat(), "aabbbcca");
    }

    proptest! {
        #[test]
        fn every_partition_has_an_owner_and_the_loads_differ_by_one_at_most(
            partitions in 1..300_u16,
            nodes in nodes(),
        ) {
            let owners = share(partitions, &nodes);
            prop_assert_eq!(owners.len(), usize::from(partitions));
            let load = |node: &String| owners.iter().filter(|owner| **owner == node).count();
            let loads: Vec<usize> = nodes.iter().map(load).collect();
            prop_assert_eq!(loads.iter().sum::<usize>(), usize::from(partitions));
            let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", loads);
        }
    }

    /// The newcomer's share must move. Of the others, a few move for the balance.
    #[test]
    fn few_partitions_move_when_a_node_joins_or_leaves() {
        const PARTITIONS: u16 = 64;
        for (deployment, count) in
            (0..100).flat_map(|deployment| (1..9).map(move |count| (deployment, count)))
        {
            let nodes: BTreeSet<String> =
                (0..count).map(|node| format!("host-{deployment}/{node}")).collect();
            let before = share(PARTITIONS, &nodes);
            let more: BTreeSet<String> = nodes.iter().cloned().chain(["newcomer".to_owned()]).collect();
            let after = share(PARTITIONS, &more);
            let to_newcomer = after.iter().filter(|owner| **owner == "newcomer").count();
            let others = moves(&before, &after) - to_newcomer;
            assert!(others <= if count == 1 { 0 } else { MOST_OTHERS }, "{others} of {nodes:?}");
        }
    }
}
