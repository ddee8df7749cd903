//! Several engines share the partitions: each owns its part, the others take over when one ends, and
//! no row differs.

use thicket_testkit::samples::now_seconds;
use thicket_testkit::timing::until;
use thicket_testkit::{Config, Engine, Samples, TestEnv};

use crate::support::{json, start, undisturbed};

const SENSORS: usize = 12;
const OWNED: &str = "thicket_partitions_owned";

fn config() -> Config {
    TestEnv::config().small_detector()
}

/// Waits until two engines own two partitions each, of four.
async fn until_shared(one: &Engine, other: &Engine) {
    for engine in [one, other] {
        engine.until_metric(OWNED, 2.0).await;
    }
    for engine in [one, other] {
        engine.until_metric_below(OWNED, 2.5).await;
        engine.until_metric("thicket_nodes", 2.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_share_the_partitions_and_one_takes_all_when_the_other_dies() {
    let env = start(config()).await;
    let first = env.engine().await;
    let samples = Samples::new("mic-", SENSORS, now_seconds() - 1_000);
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..60).await;
    env.until_scored(samples.records(60)).await;

    let second = env.engine().await;
    until_shared(&first, &second).await;
    assert!(first.metric("thicket_partitions_moved_total").await > 1.5);
    samples.deliver(&publisher, 60..120).await;
    env.until_scored(samples.records(120)).await;
    // The second engine has scored its sensors.
    second.until_metric("thicket_readings_stored_total", 1.0).await;
    assert_eq!(env.number("SELECT count(*) FROM partitions WHERE NOT clean_shutdown").await, 4);
    let status = json(&env.thicket(&["status", "--json"]));
    let nodes = status["nodes"].as_array().unwrap();
    assert!(nodes.len() == 2 && nodes.iter().all(|node| node["partitions"] == 2), "{nodes:?}");

    first.kill();
    samples.publish(&publisher, 120..180).await;
    second.until_metric(OWNED, 4.0).await;
    publisher.settle().await;
    env.until_scored(samples.records(180)).await;

    let first = env.engine().await;
    until_shared(&first, &second).await;
    samples.deliver(&publisher, 180..240).await;
    env.until_scored(samples.records(240)).await;
    assert!(first.terminate().await.success());
    second.until_metric(OWNED, 4.0).await;
    samples.deliver(&publisher, 240..300).await;
    env.until_scored(samples.records(300)).await;
    for metric in ["thicket_restore_mismatches_total", "thicket_commits_fenced_total"] {
        assert!(second.metric(metric).await < 0.5, "{metric}\n{}", second.log());
    }
    assert!(second.terminate().await.success());
    assert_eq!(env.unaccounted().await, 0);
    env.snapshot().await.assert_same(&undisturbed(config(), &samples, 300).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_a_share_stands_by() {
    let env = start(config().partitions(1)).await;
    let first = env.engine().await;
    let engines = [first, env.launch(&env.base(), &[]), env.launch(&env.base(), &[])];
    for engine in &engines {
        engine.until_metric("thicket_nodes", 3.0).await;
    }
    let publisher = env.publisher();
    publisher.publish("sensors/a", "1").await;
    env.until_accounted(1).await;
    // One owns the partition, and one holds the subscriptions, so one does neither.
    let standby = async || {
        for engine in &engines {
            let answer = engine.get("/readyz").await;
            if answer.status == 200 && answer.body.starts_with("standby") {
                return engine.metric_where("thicket_role", ("role", "standby")).await > 0.5;
            }
        }
        false
    };
    until("an engine stands by", standby).await;
    for engine in engines {
        assert!(engine.terminate().await.success());
    }
}
