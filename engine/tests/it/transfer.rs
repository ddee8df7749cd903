//! `thicket export` and `thicket import`: a deployment moves to other servers, and goes on there as
//! if it had never moved.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use thicket_schema::PartitionId;
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Samples, TestEnv};

use crate::deployment::Deployment;
use crate::redis_rights::engine_rights;
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
    assert!(
        stderr(&refused).contains("damaged.tar.gz is damaged or not complete before byte"),
        "{}",
        stderr(&refused)
    );
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
    const ROWS: &str = "SELECT 'rows ' || count(*) FROM readings";
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = [Deployment::new(), Deployment::new()];
    let [old, new] = [from.data.clone(), to.data.clone()];
    let file = folder.path().join("moved.tar.gz");
    let name = file.to_str().unwrap();
    from.up();
    let publish = "seq 100 | mosquitto_pub -q 1 -t sensors/kitchen -l";
    assert!(from.shell(publish).status.success());
    from.until(ROWS, "rows 100");
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
    assert!(exported.contains("100 readings"), "{exported}");
    to.up();
    to.until(ROWS, "rows 100");
    assert!(to.shell(publish).status.success());
    to.until(ROWS, "rows 200");
    succeeded(&to.shell("thicket reconcile"));
}

/// An old deployment, which has ended, and the file of its export.
async fn exported(samples: &Samples) -> (TestEnv, PathBuf, String) {
    let old = start(config()).await;
    let engine = old.engine().await;
    samples.deliver(&old.publisher(), 0..MOVED_AT).await;
    old.until_accounted(samples.records(MOVED_AT)).await;
    assert!(engine.terminate().await.success());
    let file = old.path().join("moved.tar.gz");
    let said = succeeded(&old.thicket(&["export", file.to_str().unwrap()]));
    let digest = digest_of(&said).to_owned();
    (old, file, digest)
}

/// Runs a command of the deployment and kills it (SIGKILL) once a line of its standard error
/// contains `trigger`. Returns whether it was killed before it ended.
fn killed_at(env: &TestEnv, arguments: &[&str], trigger: &str) -> bool {
    let config = env.path().join("killed.toml");
    std::fs::write(&config, env.base().file(&env.addresses())).unwrap();
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(&config).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains(trigger)), "no line has {trigger}");
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_killed_leaves_no_file_of_its_name_and_is_repeated() {
    let samples = Samples::new("city/mic-", 3, now_seconds() - READINGS);
    let (old, file, digest) = exported(&samples).await;
    let again = old.path().join("again.tar.gz");
    let name = again.to_str().unwrap();
    let part = old.path().join("again.tar.gz.partial");
    let new = start(config().set("redis.prefix", "moved")).await;
    for trigger in ["exporting readings", "computing the digest"] {
        if killed_at(&old, &["export", name], trigger) {
            assert!(!again.exists(), "{trigger}");
            let refused = new.thicket(&["import", part.to_str().unwrap()]);
            assert!(stderr(&refused).contains("damaged or not complete"), "{trigger}: {}", stderr(&refused));
        } else {
            // After the last line, the export may end before it is killed.
            assert_eq!(trigger, "computing the digest");
            std::fs::remove_file(&again).unwrap();
        }
    }
    assert_eq!(digest_of(&succeeded(&old.thicket(&["export", name]))), digest);
    assert!(!part.exists());
    let refused = old.thicket(&["export", file.to_str().unwrap()]);
    assert!(stderr(&refused).contains("exists already; name a new file"), "{}", stderr(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_starts_no_engine_and_is_repeated() {
    let samples = Samples::new("city/mic-", 3, now_seconds() - READINGS);
    let (_old, file, digest) = exported(&samples).await;
    let name = file.to_str().unwrap();
    let new = start(config().set("redis.prefix", "moved")).await;
    let mut has_ended = false;
    for trigger in ["imported partitions", "imported readings", "keys of redis"] {
        // After the last line, the import may end before it is killed.
        has_ended = !killed_at(&new, &["import", name], trigger);
        if has_ended {
            assert_eq!(trigger, "keys of redis");
            break;
        }
        // An engine that starts would not end.
        let config = new.path().join("killed.toml");
        let mut run = Command::new("timeout");
        run.args(["60", BINARY, "run", "--config"]).arg(config).env("THICKET__HTTP__LISTEN", "127.0.0.1:0");
        let run = run.output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{trigger}: {}", stderr(&run));
        let said = format!("{}{}", stdout(&run), stderr(&run));
        assert!(said.contains("import"), "{trigger}: {said}");
    }
    if !has_ended {
        assert_eq!(digest_of(&succeeded(&new.thicket(&["import", name]))), digest);
    }
    let engine = new.engine().await;
    samples.deliver(&new.publisher(), MOVED_AT..READINGS).await;
    new.until_accounted(samples.records(READINGS)).await;
    assert!(engine.terminate().await.success());
    succeeded(&new.thicket(&["reconcile"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_with_a_changed_byte_is_refused_and_changes_nothing() {
    let samples = Samples::new("city/mic-", 3, now_seconds() - READINGS);
    let (_old, file, digest) = exported(&samples).await;
    let new = start(config().set("redis.prefix", "moved")).await;
    let bytes = std::fs::read(&file).unwrap();
    let damaged = new.path().join("damaged.tar.gz");
    let refuse = |bytes: &[u8], what: &str| {
        std::fs::write(&damaged, bytes).unwrap();
        let refused = new.thicket(&["import", damaged.to_str().unwrap()]);
        let said = stderr(&refused);
        assert!(said.contains("damaged.tar.gz is damaged or not complete before byte"), "{what}: {said}");
    };
    for tenth in 1..10 {
        let mut changed = bytes.clone();
        let at = bytes.len() * tenth / 10;
        changed[at] ^= 0x10;
        refuse(&changed, &format!("byte {at} of {}", bytes.len()));
    }
    refuse(b"no archive", "text");
    refuse(&bytes[..bytes.len() - 3], "three bytes are missing");
    assert_eq!(digest_of(&succeeded(&new.thicket(&["import", file.to_str().unwrap()]))), digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_refuses_servers_that_have_data_or_no_tables() {
    let samples = Samples::new("city/mic-", 3, now_seconds() - READINGS);
    let (_old, file, _) = exported(&samples).await;
    let name = file.to_str().unwrap();
    let new = start(config()).await;
    let redis = new.redis().await;
    redis.append_entry(PartitionId(0), "1-1", b"x").await.unwrap();
    let refused = new.thicket(&["import", name]);
    assert!(
        stderr(&refused).contains("redis has keys under the prefix thicket already"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(new.number("SELECT count(*) FROM readings").await, 0);
    redis.delete_everything().await.unwrap();
    new.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    let refused = new.thicket(&["import", name]);
    assert!(stderr(&refused).contains("run `thicket migrate` first"), "{}", stderr(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_names_the_right_that_its_user_of_redis_lacks_before_it_copies_a_row() {
    let samples = Samples::new("city/mic-", 3, now_seconds() - READINGS);
    let (_old, file, digest) = exported(&samples).await;
    let name = file.to_str().unwrap();
    let new = start(config()).await;
    let redis = new.redis().await;
    redis.create_user("engine", "secret", engine_rights()).await.unwrap();
    let all = new.addresses().redis;
    let (_, server) = all.rsplit_once('@').unwrap();
    let config = new.base().set("redis.url", format!("redis://engine:secret@{server}"));
    let refused = new.thicket_with(&["import", name], &config);
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("give the user of redis.url the right +restore"), "{said}");
    assert!(!said.contains("imported"), "{said}");
    // The mark of the import is gone: an engine may start.
    assert!(new.engine_with(&config).await.terminate().await.success());

    redis.delete_everything().await.unwrap();
    new.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    succeeded(&new.thicket(&["migrate"]));
    redis.create_user("engine", "secret", "+restore").await.unwrap();
    let imported = succeeded(&new.thicket_with(&["import", name], &config));
    assert_eq!(digest_of(&imported), digest);
}
