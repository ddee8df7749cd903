use super::*;

#[test]
fn keys_are_as_operators_know_them() {
    let keys = Keys::default();
    let sensor = SensorName::new("site-1/microphone-7").unwrap();
    assert_eq!(keys.log(PartitionId(7)), "thicket:{p07}:log");
    assert_eq!(keys.writer(PartitionId(7)), "thicket:{p07}:writer");
    assert_eq!(keys.crash_suspect(PartitionId(7)), "thicket:{p07}:crash_suspect");
    assert_eq!(keys.lease(PartitionId(63)).0, "thicket:{p63}:lease");
    assert_eq!(keys.checkpoint(PartitionId(123), &sensor), "thicket:{p123}:checkpoint:site-1/microphone-7");
    assert_eq!(keys.checkpoints(PartitionId(7)), "thicket:{p07}:checkpoints");
    assert_eq!(keys.checkpoint_memory(PartitionId(7)), "thicket:{p07}:checkpoint_memory");
    assert_eq!(keys.nodes().0, "thicket:nodes");
    assert_eq!(keys.ingress_lease().0, "thicket:ingress:lease");
    assert_eq!(keys.ingress_epoch().0, "thicket:ingress:ingress_epoch");
    assert_eq!(keys.births("thicket-1"), "thicket:ingress:thicket-1:births");
}

#[test]
fn the_hash_tag_is_the_partitions_whatever_the_sensor_is_called() {
    let sensor = SensorName::new("{a}/b").unwrap();
    let key = Keys::new("other:1").unwrap().checkpoint(PartitionId(0), &sensor);
    assert_eq!(key, "other:1:{p00}:checkpoint:{a}/b");
    // Redis hashes the text between the first opening brace and the next closing one.
    assert_eq!(key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).unwrap().0, "p00");
}

#[test]
fn a_prefix_that_breaks_keys_is_refused() {
    for prefix in ["", "{a}", "a b", "a\n", "*"] {
        assert_eq!(Keys::new(prefix), Err(KeyPrefixError(prefix.to_owned())));
    }
}
