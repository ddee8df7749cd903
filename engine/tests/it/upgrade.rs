//! An upgrade from the previous release. It builds the binary of the newest tag, or takes the one
//! that `THICKET_PREVIOUS` names. Without a tag there is no release to upgrade from.

use std::path::{Path, PathBuf};
use std::process::Command;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Samples, TestEnv};

use crate::support::{BINARY, undisturbed};

const READINGS: i64 = 300;
const UPGRADED_AT: i64 = 150;

fn config() -> Config {
    TestEnv::config().set("checkpoint.every", 50)
}

/// Returns the binary of the previous release, `None` if there is none.
fn previous() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("THICKET_PREVIOUS") {
        return Some(given.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let tags = git(&["tag", "--list", "v*", "--sort=-v:refname"])?;
    let tag = tags.lines().next()?;
    let target = root.join("target/previous").join(tag);
    let binary = target.join("debug/thicket");
    if !binary.exists() {
        let sources = target.join("sources");
        let _ = std::fs::remove_dir_all(&sources);
        git(&["worktree", "prune"])?;
        git(&["worktree", "add", "--detach", sources.to_str()?, tag])?;
        let built = Command::new("cargo")
            .args(["build", "--quiet", "--locked", "-p", "thicket", "--target-dir"])
            .arg(&target)
            .current_dir(&sources)
            .status()
            .unwrap();
        git(&["worktree", "remove", "--force", sources.to_str()?])?;
        assert!(built.success(), "{tag} cannot be built");
    }
    Some(binary)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_from_the_previous_release_changes_no_row() {
    let Some(previous) = tokio::task::spawn_blocking(previous).await.unwrap() else {
        eprintln!("skipped: there is no tag v* and no THICKET_PREVIOUS, so no release to upgrade from");
        return;
    };
    let samples = Samples::new("city/mic-", 3, now_seconds() - READINGS);
    // The tables are those of the previous release; `migrate` brings them up to date.
    let mut env = TestEnv::start(previous.to_str().unwrap(), config()).await;
    let old = env.engine().await;
    samples.deliver(&env.publisher(), 0..UPGRADED_AT).await;
    env.until_accounted(samples.records(UPGRADED_AT)).await;

    // The old node goes on while the tables are upgraded and a new node starts.
    env.set_binary(BINARY);
    assert!(env.thicket(&["migrate"]).status.success());
    let new = env.launch(&config(), &[]);
    samples.deliver(&env.publisher(), UPGRADED_AT..UPGRADED_AT + 50).await;
    assert!(old.terminate().await.success());
    samples.deliver(&env.publisher(), UPGRADED_AT + 50..READINGS).await;
    env.until_accounted(samples.records(READINGS)).await;
    assert!(new.terminate().await.success());
    let found = env.snapshot().await;
    if !is_same_algorithm(&previous) {
        eprintln!("the algorithm has changed: only the number of rows is compared");
        return;
    }
    found.assert_same(&undisturbed(config(), &samples, READINGS).await);
}

/// Whether both releases compute the same scores: the version of the algorithm is the same.
fn is_same_algorithm(previous: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let Some(tag) = previous.ancestors().nth(2).and_then(Path::file_name) else { return false };
    let file = format!("{}:detector/src/config.rs", tag.to_string_lossy());
    let shown = Command::new("git").arg("-C").arg(&root).args(["show", &file]).output().unwrap();
    let version =
        |text: &str| text.lines().find(|line| line.starts_with("pub const ALGORITHM")).map(str::to_owned);
    let now = std::fs::read_to_string(root.join("detector/src/config.rs")).unwrap();
    version(&String::from_utf8_lossy(&shown.stdout)) == version(&now)
}
