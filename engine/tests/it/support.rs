//! Shared by several of the engine's tests: the binary under test, and an undisturbed run.

use std::ops::Range;
use std::process::Output;
use std::time::Duration;

use thicket_testkit::{Config, Publisher, Samples, Snapshot, TestEnv};
use tokio::task::JoinHandle;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_thicket");

/// Starts private servers for the binary under test.
pub(crate) async fn start(config: Config) -> TestEnv {
    TestEnv::start(BINARY, config).await
}

/// Returns the rows that an undisturbed engine stores if each sensor has this many readings.
pub(crate) async fn undisturbed(config: Config, samples: &Samples, readings: i64) -> Snapshot {
    let env = start(config).await;
    let engine = env.engine().await;
    samples.deliver(&env.publisher(), 0..readings).await;
    env.until_accounted(samples.records(readings)).await;
    assert!(engine.terminate().await.success());
    env.snapshot().await
}

/// Publishes readings, 15 ms apart, while the test goes on.
pub(crate) fn publish_slowly(
    publisher: Publisher,
    samples: Samples,
    readings: Range<i64>,
) -> JoinHandle<Publisher> {
    tokio::spawn(async move {
        for i in readings {
            samples.publish(&publisher, i..i + 1).await;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        publisher
    })
}

/// Returns the standard output of a command.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the standard error of a command.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the standard output of a command, as JSON.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    let parsed = serde_json::from_slice(&output.stdout);
    parsed.unwrap_or_else(|_| panic!("not JSON: {}{}", stdout(output), stderr(output)))
}
