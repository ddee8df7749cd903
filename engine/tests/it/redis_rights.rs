//! The rights in Redis that the composition gives the engine are enough for all that it does.

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Samples, TestEnv};

use crate::support::{start, stderr, undisturbed};

const SENSORS: usize = 4;
/// Starts Redis with users in the composition.
const USERS: &str = include_str!("../../../compose/redis/with-users");
const MANUAL: &str = include_str!("../../../docs/operating.md");
/// How the line of the engine begins.
const ENGINE: &str = "user engine on #$hash ";

/// The rights of the engine's user in the composition.
pub(crate) fn engine_rights() -> &'static str {
    USERS.lines().find_map(|line| line.strip_prefix(ENGINE)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_composition_are_enough_for_all_that_the_engine_does() {
    let rights = engine_rights();
    assert!(MANUAL.contains(rights), "docs/operating.md does not have the same rights: {rights}");
    let config = TestEnv::config().small_detector().checkpoint_every(50);
    let samples = Samples::new("mic-", SENSORS, now_seconds() - 1_000);
    let expected = undisturbed(config.clone(), &samples, 300).await;

    let env = start(config).await;
    let redis = env.redis().await;
    redis.create_user("engine", "secret", rights).await.unwrap();
    let all = env.addresses().redis;
    let (_, server) = all.rsplit_once('@').unwrap();
    let config = env.base().set("redis.url", format!("redis://engine:secret@{server}"));
    let publisher = env.publisher();

    // Leases, heartbeats, the log, checkpoints, a hand-over, a takeover and restores.
    let first = env.engine_with(&config).await;
    samples.deliver(&publisher, 0..100).await;
    env.until_scored(samples.records(100)).await;
    let second = env.engine_with(&config).await;
    second.until_metric("thicket_partitions_owned", 1.0).await;
    samples.deliver(&publisher, 100..200).await;
    env.until_scored(samples.records(200)).await;
    first.kill();
    samples.deliver(&publisher, 200..250).await;
    env.until_scored(samples.records(250)).await;
    assert!(second.terminate().await.success());
    let third = env.engine_with(&config).await;
    samples.deliver(&publisher, 250..300).await;
    env.until_scored(samples.records(300)).await;
    assert!(third.metric("thicket_detector_restores_total").await > 0.5);
    env.snapshot().await.assert_same(&expected);

    for command in [&["status"][..], &["check"], &["reconcile"], &["sensors", "list"]] {
        let output = env.thicket_with(command, &config);
        assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    }
    assert!(third.terminate().await.success());
    let forget = ["sensors", "forget", samples.sensor(0).as_str(), "--yes"].map(str::to_owned);
    let output = env.thicket_with(&forget.each_ref().map(String::as_str), &config);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(redis.refused().await.unwrap(), [] as [&str; 0]);
}
