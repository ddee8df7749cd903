//! `thicket export` and `thicket import`: a deployment moves to other servers, and goes on there as
//! if it had never moved.

use std::path::Path;
use std::process::{Command, Output};

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Samples, TestEnv};

use crate::support::{BINARY, start, stderr, stdout, undisturbed};

const READINGS: i64 = 300;
const MOVED_AT: i64 = 180;

fn config() -> Config {
    // Some detectors have a checkpoint, some have rows after it.
    TestEnv::config().set("checkpoint.every", 50)
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

fn digest_of(said: &str) -> &str {
    said.lines().find_map(|line| line.strip_prefix("digest ")).expect("a digest")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_deployment_stores_the_rows_of_one_that_was_not_moved() {
    let samples = Samples::new("city/mic-", 3, now_seconds() - READINGS);
    let expected = undisturbed(config(), &samples, READINGS).await;

    let old = start(config()).await;
    let engine = old.engine().await;
    samples.deliver(&old.publisher(), 0..MOVED_AT).await;
    old.until_accounted(samples.records(MOVED_AT)).await;
    let file = old.path().join("moved.tar.gz");
    let name = file.to_str().unwrap();
    let refused = old.thicket(&["export", name]);
    assert!(stderr(&refused).contains("runs: stop it"), "{}{}", stdout(&refused), stderr(&refused));
    assert!(engine.terminate().await.success());
    let exported = succeeded(&old.thicket(&["export", name]));

    let new = start(config().set("redis.prefix", "moved")).await;
    // A damaged archive changes nothing.
    let damaged = new.path().join("damaged.tar.gz");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let refused = new.thicket(&["import", damaged.to_str().unwrap()]);
    assert!(stderr(&refused).contains("not complete"), "{}{}", stdout(&refused), stderr(&refused));
    let imported = succeeded(&new.thicket(&["import", name]));
    assert_eq!(digest_of(&imported), digest_of(&exported));
    let twice = new.thicket(&["import", name]);
    assert!(stderr(&twice).contains("rows already"), "{}{}", stdout(&twice), stderr(&twice));

    let engine = new.engine().await;
    samples.deliver(&new.publisher(), MOVED_AT..READINGS).await;
    new.until_accounted(samples.records(READINGS)).await;
    assert!(engine.terminate().await.success());
    new.snapshot().await.assert_same(&expected);
    succeeded(&new.thicket(&["reconcile"]));
}

fn thicket(arguments: &[&str], data: &Path) -> Output {
    Command::new(BINARY).args(arguments).arg("--data").arg(data).output().unwrap()
}

#[test]
fn a_deployment_of_thicket_up_moves_to_another_directory() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    let file = folder.path().join("moved.tar.gz");
    let name = file.to_str().unwrap();
    succeeded(&thicket(&["up", "--free-ports"], &old));
    let running = thicket(&["export", name], &old);
    succeeded(&thicket(&["down"], &old));
    assert!(stderr(&running).contains("thicket down"), "{}", stderr(&running));
    let config = old.join("thicket.toml");
    let text = std::fs::read_to_string(&config).unwrap() + "\n[detector]\nalarms_per_week = 3.0\n";
    std::fs::write(&config, text).unwrap();
    let exported = succeeded(&thicket(&["export", name], &old));
    let imported = succeeded(&thicket(&["import", name], &new));
    assert_eq!(digest_of(&imported), digest_of(&exported));
    let text = std::fs::read_to_string(new.join("thicket.toml")).unwrap();
    assert!(text.contains("alarms_per_week = 3.0"), "{text}");
    succeeded(&thicket(&["up", "--free-ports"], &new));
    succeeded(&thicket(&["down"], &new));
}
