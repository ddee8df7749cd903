//! A new writer of a log begins after everything that PostgreSQL has committed, whatever Redis has lost
//! and whatever the clock says.

use std::time::Duration;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::timing::until;
use thicket_testkit::{Samples, TestEnv, WrongClock};

use crate::support::start;

fn samples() -> Samples {
    Samples::new("mic-", 16, now_seconds() - 1_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_clock_is_behind_reads_what_it_appends_after_a_loss_of_redis() {
    let env = start(TestEnv::config().small_detector()).await;
    let clock = WrongClock::create(env.path()).unwrap();
    clock.set(-600).unwrap();
    let environment = clock.environment();
    let standby =
        env.launch(&env.base(), &environment.each_ref().map(|(name, value)| (*name, value.as_str())));
    standby.until_ready().await;
    let first = env.engine().await;
    let redis = env.redis().await;
    let holds = async || {
        let holds = first.metric("thicket_mqtt_connected").await > 0.5;
        if !holds {
            redis.drop_subscription_lease().await.unwrap();
            // The node that waits for the lease takes it sooner than the one that has lost it.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        holds
    };
    until("the node with the right clock holds the subscriptions", holds).await;
    let (samples, publisher) = (samples(), env.publisher());
    samples.deliver(&publisher, 0..10).await;
    env.until_accounted(samples.records(10)).await;

    first.kill();
    redis.delete_everything().await.unwrap();
    standby.until_metric("thicket_mqtt_connected", 1.0).await;
    samples.deliver(&publisher, 10..20).await;
    env.until_accounted(samples.records(20)).await;
    assert!(standby.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_the_committed_position_gets_a_later_generation() {
    let env = start(TestEnv::config().small_detector()).await;
    let first = env.engine().await;
    let second = env.engine().await;
    second.until_metric("thicket_partitions_owned", 2.0).await;
    let (samples, publisher) = (samples(), env.publisher());
    samples.deliver(&publisher, 0..10).await;
    env.until_accounted(samples.records(10)).await;
    // As if the second node had committed entries of a later generation, which Redis then lost.
    let raise = "UPDATE partitions SET generation = generation + 3600000 WHERE epoch = 2";
    env.execute(raise).await;
    second.kill();
    first.until_log_contains("the next entries get a new generation").await;
    samples.deliver(&publisher, 10..20).await;
    env.until_accounted(samples.records(20)).await;
    assert!(env.number("SELECT count(*) FROM log_losses").await > 0, "{}", first.log());
    assert!(first.terminate().await.success());
}
