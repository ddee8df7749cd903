//! A Redis and a database of two deployments: a wrong address, or a new database.

use thicket_schema::Keys;
use thicket_store::redis::{disconnect, mark_deployment, marked_deployment, try_connect_redis};
use thicket_testkit::samples::now_seconds;
use thicket_testkit::timing::until;
use thicket_testkit::{Config, Samples, Tables, TestEnv};

use crate::support::{start, stderr, stdout};

/// Starts an engine that must end by itself. Returns its log.
async fn refused(env: &TestEnv, config: &Config) -> String {
    let mut engine = env.launch(config, &[]);
    until("the engine ends", async || engine.ended().is_some_and(|status| !status.success())).await;
    engine.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_engine_and_no_command_uses_the_redis_of_another_deployment() {
    let env = start(TestEnv::config().small_detector()).await;
    let samples = Samples::new("mic-", 2, now_seconds() - 1_000);
    let engine = env.engine().await;
    samples.deliver(&env.publisher(), 0..10).await;
    env.until_accounted(samples.records(10)).await;

    env.execute("CREATE DATABASE other").await;
    let other = env.base().set("postgres.url", env.servers.postgres.url_of("other"));
    assert!(env.thicket_with(&["migrate"], &other).status.success());
    let is_named =
        |text: &str| text.contains("redis belongs to the deployment") && text.contains("postgres.url");
    assert!(is_named(&refused(&env, &other).await));
    for command in [&["status"][..], &["check"], &["reconcile"]] {
        let output = env.thicket_with(command, &other);
        assert!(!output.status.success(), "{command:?}");
        assert!(is_named(&(stdout(&output) + &stderr(&output))), "{command:?}: {}", stderr(&output));
        assert!(env.thicket(command).status.success(), "{command:?}");
    }
    let mut tables = Tables::open(&env.servers.postgres.url_of("other")).await.unwrap();
    let rows = tables.number("SELECT count(*) FROM deployment").await.unwrap();
    assert_eq!(rows, 0, "nothing is written into the other database");

    // The commands that the error names: the key is deleted, and the database goes on with the log.
    assert!(engine.terminate().await.success());
    env.redis().await.delete_everything().await.unwrap();
    let check = stdout(&env.thicket(&["check"]));
    assert!(check.contains("warn  deployment: redis does not have the name"), "{check}");
    assert!(env.engine_with(&other).await.terminate().await.success());
    assert!(is_named(&refused(&env, &env.base()).await), "now it belongs to the other one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_has_lost_its_data_is_marked_again_while_the_engine_runs() {
    let env = start(TestEnv::config()).await;
    let engine = env.engine().await;
    let redis = try_connect_redis(&env.servers.redis.url()).await.unwrap();
    let keys = Keys::default();
    let name = marked_deployment(&redis, &keys).await.unwrap();
    assert!(name.is_some());
    env.redis().await.delete_everything().await.unwrap();
    engine.until_metric("thicket_mqtt_connects_total", 2.0).await;
    assert_eq!(marked_deployment(&redis, &keys).await.unwrap(), name);
    assert_eq!(mark_deployment(&redis, &keys, "another").await.unwrap(), name.unwrap());
    disconnect(&redis).await;
    assert!(engine.terminate().await.success());
}
