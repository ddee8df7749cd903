//! Which images `tests/docker/make-standins` pulls or makes, without a Docker engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::file::folder;

/// Answers in the place of `docker`: every image is of the kind `KIND`, a pull prints `ANSWER` and
/// exits with `STATUS`. Writes down every other command.
const DOCKER: &str = r#"#!/bin/sh
case "$1 $2" in
  "image inspect") [ -n "$KIND" ] && echo "$KIND" ;;
  "pull --quiet") echo "pull $3" >>"$CALLS"; echo "$ANSWER" >&2; exit "$STATUS" ;;
  *) echo "$*" >>"$CALLS" ;;
esac
"#;

/// Runs the script on a machine whose images are of a kind. Returns whether it succeeded, and the
/// commands that it gave to `docker`.
fn commands(kind: &str, answer: &str) -> (bool, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let (docker, calls) = (directory.path().join("docker"), directory.path().join("calls"));
    fs::write(&docker, DOCKER).unwrap();
    fs::set_permissions(&docker, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let status = if answer.is_empty() { "0" } else { "1" };
    let run = Command::new(folder().join("tests/docker/make-standins"))
        .envs([("PATH", &*path), ("KIND", kind), ("ANSWER", answer), ("STATUS", status)])
        .env("CALLS", &calls)
        .output()
        .unwrap();
    let calls = fs::read_to_string(&calls).unwrap_or_default();
    (run.status.success(), calls.lines().map(str::to_owned).collect())
}

#[test]
fn genuine_images_are_kept_and_stand_ins_are_replaced_if_the_registry_answers() {
    assert_eq!(commands("genuine", ""), (true, Vec::new()));
    let (succeeded, pulled) = commands("standin", "");
    assert!(succeeded);
    let names: Vec<&str> = pulled.iter().filter_map(|call| call.strip_prefix("pull ")).collect();
    assert_eq!(names.len(), pulled.len(), "{pulled:?}");
    for image in ["debian:", "rust:", "postgres:", "grafana/grafana:"] {
        assert!(names.iter().any(|name| name.starts_with(image)), "{image}: {names:?}");
    }
    // Without an answer, the stand-ins that are there are used.
    let (succeeded, calls) = commands("standin", "dial tcp: lookup registry-1.docker.io: no such host");
    assert!(succeeded);
    assert_eq!(calls.len(), 1, "{calls:?}");
    // A refusal is an answer: no stand-in takes the name of an image that could be pulled.
    let (succeeded, calls) = commands("", "toomanyrequests: You have reached your pull rate limit");
    assert!(!succeeded);
    assert_eq!(calls.len(), 1, "{calls:?}");
}
