//! An upgrade from the previous release, and the way back.

mod deployment;
mod previous;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Engine, Samples, TestEnv, log_lines, skipped};

use crate::support::{BINARY, undisturbed};
use previous::Previous;

const READINGS: i64 = 300;
const SENSORS: usize = 3;
/// The version of the algorithm that all partitions have.
const ALGORITHM: &str = "SELECT min(algorithm) FROM partitions";

fn config() -> Config {
    TestEnv::config().set("checkpoint.every", 50)
}

/// Two nodes of a deployment. They share the partitions.
struct Nodes {
    /// The node that holds the subscriptions.
    subscriber: Engine,
    other: Engine,
}

/// How a node ends.
enum End {
    Terminated,
    Killed,
}

impl Nodes {
    async fn start(env: &TestEnv) -> Self {
        Self { subscriber: env.engine().await, other: another(env).await }
    }

    /// Ends the node that holds the subscriptions. The other one takes them over, and a node of the
    /// current binary joins.
    async fn replace_subscriber(self, env: &TestEnv, end: End) -> Self {
        match end {
            End::Terminated => assert!(self.subscriber.terminate().await.success()),
            End::Killed => self.subscriber.kill(),
        }
        self.other.until_logged(log_lines::CONNECTED).await;
        Self { subscriber: self.other, other: another(env).await }
    }

    async fn terminate(self) {
        assert!(self.other.terminate().await.success());
        assert!(self.subscriber.terminate().await.success());
    }
}

async fn another(env: &TestEnv) -> Engine {
    let engine = env.launch(&config(), &[]);
    engine.until_logged(log_lines::SUBSCRIPTION_HELD).await;
    engine
}

/// Two nodes are replaced one by one, and one of them is killed. Then the nodes of the previous
/// release come back, as far as the versions of what is stored allow, and are replaced again.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_upgrade_from_the_previous_release_changes_no_row() {
    let previous = match tokio::task::spawn_blocking(Previous::get).await.unwrap() {
        Ok(previous) => previous,
        Err(why) => {
            skipped("the upgrade from the previous release", &why);
            return;
        }
    };
    let old = previous.binary.to_str().unwrap();
    let samples = Samples::new("city/mic-", SENSORS, now_seconds() - READINGS);
    // The tables are those of the previous release.
    let mut env = TestEnv::start(old, config()).await;
    let publisher = env.publisher();
    let mut nodes = Nodes::start(&env).await;
    samples.deliver(&publisher, 0..60).await;
    env.until_scored(samples.records(60)).await;
    let algorithm = env.number(ALGORITHM).await;

    // The old nodes go on while the tables are upgraded.
    env.set_binary(BINARY);
    assert!(env.thicket(&["migrate"]).status.success());
    samples.deliver(&publisher, 60..90).await;
    nodes = nodes.replace_subscriber(&env, End::Terminated).await;
    samples.deliver(&publisher, 90..150).await;
    nodes = nodes.replace_subscriber(&env, End::Killed).await;
    samples.deliver(&publisher, 150..180).await;
    env.until_scored(samples.records(180)).await;

    if previous.can_go_back() {
        env.set_binary(old);
        nodes = nodes.replace_subscriber(&env, End::Terminated).await;
        nodes = nodes.replace_subscriber(&env, End::Terminated).await;
        samples.deliver(&publisher, 180..220).await;
        env.set_binary(BINARY);
        nodes = nodes.replace_subscriber(&env, End::Terminated).await;
        nodes = nodes.replace_subscriber(&env, End::Terminated).await;
        samples.deliver(&publisher, 220..READINGS).await;
    } else {
        skipped("the way back", "the versions of what is stored have changed");
        samples.deliver(&publisher, 180..READINGS).await;
    }
    env.until_scored(samples.records(READINGS)).await;
    nodes.terminate().await;
    if env.number(ALGORITHM).await == algorithm {
        env.snapshot().await.assert_same(&undisturbed(config(), &samples, READINGS).await);
    } else {
        skipped("the comparison of rows", "the algorithm has changed");
    }
    #[cfg(feature = "faults")]
    an_older_engine_refuses_what_a_later_algorithm_has_scored(&mut env, old).await;
}

/// The later algorithm is that of a fail point.
#[cfg(feature = "faults")]
async fn an_older_engine_refuses_what_a_later_algorithm_has_scored(env: &mut TestEnv, old: &str) {
    let own = env.number(ALGORITHM).await;
    env.set_binary(BINARY);
    let later = env.launch(&config(), &[("THICKET_FAULTS", "later-algorithm")]);
    later.until_ready().await;
    env.until(ALGORITHM, own + 1).await;
    assert!(later.terminate().await.success());
    env.set_binary(old);
    let engine = env.launch(&config(), &[]);
    engine
        .until_log_contains(
            "a later version of the detection algorithm has scored this partition; run that version",
        )
        .await;
    assert!(engine.terminate().await.success());
}
