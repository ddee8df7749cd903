use super::*;

const TTL: Duration = Duration::from_secs(3);

fn nodes(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Views in which `names` have been alive for this long.
fn view(names: &[&str], since: Instant, now: Instant) -> View {
    let mut view = View::default();
    view.note(nodes(names), since);
    view.note(nodes(names), now);
    view
}

fn all() -> impl Iterator<Item = PartitionId> {
    (0..64).map(PartitionId)
}

fn shares(names: &[&str], now: Instant) -> Shares {
    let mut shares = Shares::new("a".to_owned(), 64, TTL);
    shares.update(&view(names, now, now), now);
    shares
}

#[test]
fn a_node_takes_its_share_alone_and_nothing_before_a_node_is_known() {
    let now = Instant::now();
    let unknown = shares(&[], now);
    assert!(!all().any(|partition| unknown.may_take(partition, now)));
    assert_eq!((unknown.nodes(), unknown.assigned()), (0, 0));
    let alone = shares(&["a"], now);
    assert!(all().all(|partition| alone.may_take(partition, now)));
    let shared = shares(&["a", "b"], now);
    assert_eq!(all().filter(|partition| shared.may_take(*partition, now)).count(), 32);
    assert_eq!((shared.nodes(), shared.assigned()), (2, 32));
}

#[test]
fn few_partitions_are_handed_over_at_a_time_once_the_nodes_have_settled() {
    let start = Instant::now();
    let now = start + TTL;
    let mut shares = shares(&["a", "b"], start);
    let settled = view(&["a", "b"], start, now);
    assert_eq!(shares.due(all(), 0, &view(&["a", "b"], now, now), now), []);
    let due = shares.due(all(), 0, &settled, now);
    assert_eq!(due.len(), MOVES);
    assert!(due.iter().all(|partition| !shares.is_own(*partition)));
    assert_eq!(shares.due(all(), 3, &settled, now).len(), 1);
    for partition in &due {
        shares.note_lease(*partition, true, now);
    }
    assert_eq!(shares.due(all(), 0, &settled, now), [], "the other node has not taken them");
    shares.note_lease(due[0], false, now);
    assert_eq!(shares.due(all(), 0, &settled, now).len(), 1);
}

#[test]
fn a_partition_that_its_node_does_not_take_is_taken_and_stays() {
    let start = Instant::now();
    let now = start + 3 * TTL;
    let mut shares = shares(&["a", "b"], start);
    let settled = view(&["a", "b"], start, now);
    let abandoned = all().find(|partition| !shares.is_own(*partition)).unwrap();
    shares.note_lease(abandoned, true, start);
    shares.note_lease(abandoned, true, now);
    assert!(!shares.may_take(abandoned, start + 2 * TTL) && shares.may_take(abandoned, now));
    assert_eq!(shares.note_taken(abandoned, now).as_deref(), Some("b"));
    assert_eq!(shares.due(all(), 0, &settled, now), [], "the other node takes no partition");

    let later = now + IDLE_FOR;
    let settled = view(&["a", "b"], start, later);
    shares.update(&settled, later);
    assert_eq!(shares.due(all(), 0, &settled, later).len(), MOVES, "it is tried again");
}

#[test]
fn a_node_that_is_replaced_gets_its_share() {
    let start = Instant::now();
    let mut shares = shares(&["a", "b"], start);
    let abandoned = all().find(|partition| !shares.is_own(*partition)).unwrap();
    shares.note_lease(abandoned, true, start);
    assert_eq!(shares.note_taken(abandoned, start).as_deref(), Some("b"));
    shares.note_lease(abandoned, true, start);
    assert_eq!(shares.note_taken(abandoned, start), None, "it is named once");
    let now = start + TTL;
    let settled = view(&["a", "c"], start, now);
    shares.update(&settled, now);
    assert_eq!(shares.due(all(), 0, &settled, now).len(), MOVES);
}
