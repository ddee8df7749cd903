//! The image of Thicket, and the scripts that run in containers and before them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::file::{folder, read};

#[test]
fn the_image_is_built_from_every_crate() {
    let ignore = read("Dockerfile.dockerignore");
    let workspace = read("../Cargo.toml");
    let (_, members) = workspace.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members = members.split(',').map(|member| member.trim().trim_matches('"'));
    for member in members.filter(|member| !member.is_empty()) {
        // The build context contains a nested crate with its outer folder.
        let folder = member.split('/').next().unwrap();
        assert!(
            ignore.lines().any(|line| line == format!("!{folder}")),
            "{member} is not in the build context"
        );
    }
}

/// Cargo compiles what is newer than its last result. The script must make newer what has other
/// contents, whatever times the files of a checkout have.
#[test]
fn the_image_is_compiled_from_the_sources_that_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for folder in ["bin", "src/target/debug"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    // Instead of compiling, writes down what Cargo would find new, and fails if it is told to.
    let cargo = "#!/bin/sh\nfind . -path ./target -prune -o -type f -newermt 2001-01-01 -printf '%P\\n' | sort >../new\n\
                 touch target/debug/thicket target/debug/thicket-loadtest\nexit \"${FAILS:-0}\"\n";
    fs::write(root.join("bin/cargo"), cargo).unwrap();
    fs::set_permissions(root.join("bin/cargo"), PermissionsExt::from_mode(0o755)).unwrap();
    let source = |name: &str, text: &str| fs::write(root.join("src").join(name), text).unwrap();
    let new = |fails: &str| {
        let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(folder().join("build"));
        command.arg("dev").arg(root.join("out")).current_dir(root.join("src"));
        let status = command.env("PATH", path).env("FAILS", fails).status().unwrap();
        assert_eq!(status.success(), fails == "0");
        fs::read_to_string(root.join("new")).unwrap().replace('\n', " ")
    };
    source("a.rs", "1");
    source("b.rs", "1");
    assert_eq!(new("0"), "a.rs b.rs ", "the first build");
    assert_eq!(new("0"), "", "nothing has changed");
    source("b.rs", "2");
    assert_eq!(new("0"), "b.rs ");
    source("b.rs", "1");
    assert_eq!(new("1"), "b.rs ", "earlier contents, and a build that fails");
    source("b.rs", "2");
    assert_eq!(new("0"), "a.rs b.rs ", "the failed build may have compiled a part");
    assert!(root.join("out/thicket").exists());
}

#[test]
fn scripts_can_be_run() {
    for script in ["install-servers", "passwords", "build", "postgres/users.sh", "tests/docker/compose-test"]
    {
        let mode = fs::metadata(folder().join(Path::new(script))).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
    }
    let help = Command::new(folder().join("install-servers")).arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("redis-server"));
    let mistake = Command::new(folder().join("install-servers")).arg("mysql").output().unwrap();
    assert_eq!(mistake.status.code(), Some(1));
}
