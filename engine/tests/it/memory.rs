//! An engine in a cgroup that has no room for all detectors: it evicts detectors, the kernel does not
//! kill it, and no row changes.

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Engine, MemoryGroup, Samples, TestEnv};

use crate::support::{BINARY, start};

/// The memory of the engine's cgroup. The detectors get an eighth: the node needs the rest.
const LIMIT: u64 = 56 << 20;
/// The detectors of all groups of sensors need more than twice as much.
const GROUPS: [&str; 4] = ["a-", "b-", "c-", "d-"];
const SENSORS: usize = 150;
/// The groups send one after the other, and then all of them once more.
const BLOCKS: [std::ops::Range<i64>; 3] = [0..50, 50..95, 95..100];

fn config() -> Config {
    TestEnv::config().checkpoint_every(50)
}

/// Publishes all readings, a block once everything before is stored. `check` is called after a
/// block.
async fn run(env: &TestEnv, start: i64, check: impl Fn()) -> Engine {
    let engine = env.engine().await;
    let publisher = env.publisher();
    let mut stored = 0;
    let [first, second, last] = BLOCKS;
    let blocks = GROUPS.iter().flat_map(|&group| [(group, first.clone()), (group, second.clone())]);
    for (group, block) in blocks.chain(GROUPS.map(|group| (group, last.clone()))) {
        let samples = Samples::new(group, SENSORS, start);
        stored += samples.records(block.end - block.start);
        samples.deliver(&publisher, block).await;
        env.until_accounted(stored).await;
        check();
    }
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_that_do_not_fit_into_the_memory_of_the_cgroup_are_evicted_and_no_row_changes() {
    if let Some(obstacle) = MemoryGroup::obstacle() {
        thicket_testkit::skipped("an engine in a small cgroup", &obstacle);
        return;
    }
    let part = (LIMIT / 8) as f64;
    let begin = now_seconds() - 5_000;
    let env = start(config()).await;
    let engine = run(&env, begin, || {}).await;
    // The gauge is set once a second.
    engine.until_metric("thicket_detector_memory_bytes", 2.0 * part).await;
    assert!(engine.terminate().await.success());
    let expected = env.snapshot().await;

    let mut env = start(config()).await;
    let group = MemoryGroup::create(LIMIT).unwrap();
    let program = env.path().join("limited");
    group.wrap(BINARY, &program).unwrap();
    env.set_binary(program.to_str().unwrap());
    let engine = run(&env, begin, || assert_eq!(group.kills().unwrap(), 0)).await;
    let limit = engine.metric("thicket_detector_memory_limit_bytes").await;
    assert!((limit - part).abs() < 1.0, "{limit}");
    engine.until_metric_below("thicket_detector_memory_bytes", part + 1.0).await;
    assert!(engine.metric("thicket_detector_evictions_total").await > 0.5);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.terminate().await.success());
    println!("{:?} of {LIMIT} bytes used at most", group.peak());
    assert_eq!(group.kills().unwrap(), 0);
    env.snapshot().await.assert_same(&expected);
}
