//! Mistakes on the command line and in files. They are named, and destroy no file. No server is
//! needed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{BINARY, json, stderr, stdout};

/// A directory with files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(folder.path(name), text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn thicket(&self, arguments: &[&str]) -> Output {
        Command::new(BINARY).current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    /// Runs a command that must end with this code, and returns what it says of it.
    fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.thicket(arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }
}

const READINGS: &str = "time,level\n2026-01-01T00:00:00Z,1\n2026-01-01T00:01:00Z,2\n";

#[test]
fn a_backtest_replaces_no_file_of_its_own_and_none_before_all_is_scored() {
    let folder =
        Folder::with(&[("new.toml", ""), ("mic.csv", READINGS), ("bad.csv", "time,level\nnoon,1\n")]);
    std::os::unix::fs::symlink(folder.path("mic.csv"), folder.path("link.csv")).unwrap();
    std::fs::hard_link(folder.path("new.toml"), folder.path("hard.toml")).unwrap();
    for out in ["mic.csv", "./mic.csv", "link.csv", "new.toml", "hard.toml"] {
        let text = folder.refused(2, &["backtest", "--with", "new.toml", "--csv", "mic.csv", "--out", out]);
        assert!(text.contains("--out") && text.contains(out), "{text}");
    }
    assert_eq!(folder.read("mic.csv"), READINGS);
    assert_eq!(folder.read("new.toml"), "");
    std::fs::write(folder.path("scores.csv"), "of yesterday").unwrap();
    folder.refused(1, &["backtest", "--with", "new.toml", "--csv", "bad.csv", "--out", "scores.csv"]);
    assert_eq!(folder.read("scores.csv"), "of yesterday");
    assert!(!Path::new(&folder.path("scores.csv.partial")).exists());
    let output =
        folder.thicket(&["backtest", "--with", "new.toml", "--csv", "mic.csv", "--out", "scores.csv"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(folder.read("scores.csv").lines().count(), 3);
    assert!(!Path::new(&folder.path("scores.csv.partial")).exists());
}

#[test]
fn a_file_of_readings_that_are_not_in_order_is_refused_and_leaves_no_scores() {
    let lines: Vec<String> = (0..60).rev().map(|i| format!("2026-01-01T00:00:{i:02}Z,1\n")).collect();
    let newest_first = format!("time,level\n{}", lines.concat());
    let folder = Folder::with(&[("new.toml", ""), ("mic.csv", &newest_first), ("good.csv", READINGS)]);
    let csv = ["backtest", "--with", "new.toml", "--csv", "mic.csv", "good.csv", "--out", "scores.csv"];
    let text = folder.refused(1, &csv);
    assert!(text.contains("59 of 60 readings are not newer") && text.contains("sort the lines"), "{text}");
    assert!(!folder.path("scores.csv").exists() && !folder.path("scores.csv.partial").exists());
}

#[test]
fn a_pipe_is_read_once() {
    let folder = Folder::with(&[("new.toml", "")]);
    let mut backtest = Command::new(BINARY)
        .current_dir(folder.path(""))
        .args(["backtest", "--with", "new.toml", "--json", "--csv", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    backtest.stdin.take().unwrap().write_all(READINGS.as_bytes()).unwrap();
    let output = backtest.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(json(&output)["totals"]["readings"], 2);
}

#[test]
fn every_problem_of_another_configuration_has_a_line_and_the_usage_is_wrong() {
    let bad = "[queue]\npartitons = 8\nlinger = \"soon\"\n";
    let folder = Folder::with(&[("bad.toml", bad), ("new.toml", ""), ("mic.csv", READINGS)]);
    let text = folder.refused(2, &["backtest", "--with", "bad.toml", "--csv", "mic.csv"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("thicket: --with: bad.toml:2: queue.partitons: unknown key"), "{text}");
    assert!(lines[1].starts_with("thicket: --with: bad.toml:3: queue.linger:"), "{text}");
    let text = folder.refused(2, &["backtest", "--with", "nowhere.toml", "--csv", "mic.csv"]);
    assert!(text.contains("nowhere.toml"), "{text}");
    let csv = ["backtest", "--with", "new.toml", "--csv", "mic.csv"];
    let text = folder.refused(2, &[&csv[..], &["--from", "1d", "--to", "2d"]].concat());
    assert!(text.contains("--from is after --to"), "{text}");
    let rows = ["backtest", "--with", "new.toml", "--from", "2199-01-01T00:00:00Z"];
    let text = folder.refused(2, &rows);
    assert!(text.contains("--from is in the future") && !text.contains("--to"), "{text}");
    for digits in ["zz", "abc"] {
        assert!(folder.refused(2, &["try", "sensors/a", "--hex", digits]).contains("hexadecimal"));
    }
}

#[test]
fn a_file_that_exists_is_named_before_the_broker_is_asked() {
    let folder = Folder::with(&[("own.toml", "# mine\n"), ("none.jsonl", "")]);
    // A file that does not exist would be named otherwise: the test sees what is checked first.
    let text = folder.refused(2, &["discover", "--file", "nowhere.jsonl", "--write", "own.toml"]);
    assert!(text.contains("own.toml exists"), "{text}");
    assert_eq!(folder.read("own.toml"), "# mine\n");
    let text = folder.refused(1, &["discover", "--file", "none.jsonl", "--write", "new.toml"]);
    assert!(text.contains("new.toml is not written"), "{text}");
    assert!(!folder.path("new.toml").exists());
}

#[test]
fn the_health_check_needs_nothing_of_a_file_but_the_address() {
    let folder = Folder::with(&[]);
    for text in [
        "[http]\nlisten = \"127.0.0.1:1\"\n[queue]\npartitons = 8\n",
        "[http]\nlisten = \"127.0.0.1:1\"\noperate_token_file = \"/nowhere\"\n",
        "[http]\nlisten = \"127.0.0.1:1\"\n[queue]\nlinger = = 5\n",
    ] {
        std::fs::write(folder.path("thicket.toml"), text).unwrap();
        let said = folder.refused(1, &["ready"]);
        assert!(said.contains("no engine answers at http.listen 127.0.0.1:1"), "{text}: {said}");
    }
    assert!(folder.refused(2, &["ready", "--config", "nowhere.toml"]).contains("nowhere.toml"));
}

#[test]
fn no_text_of_the_command_line_becomes_a_line_of_its_own() {
    let folder = Folder::with(&[("thicket.toml", "[mqtt]\nwords = { on = 1 }\n")]);
    let output = folder.thicket(&["try", "sensors/a\nfake line", "{\"a\":1}"]);
    let text = stdout(&output);
    assert!(!text.lines().any(|line| line.starts_with("fake")), "{text}");
    let output = folder.thicket(&["try", "sensors/a", "{\"x\\nfake line\":1,\"y\\nfake line\":\"q\"}"]);
    let text = stdout(&output);
    assert!(text.contains("fake line"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("fake")), "{text}");
}

#[test]
fn a_mistake_is_answered_with_what_was_meant() {
    let folder = Folder::with(&[]);
    let text = folder.refused(2, &["presets", "show", "tasmot"]);
    assert!(text.starts_with("thicket: there is no preset \"tasmot\"; did you mean tasmota?"), "{text}");
    let text = folder.refused(2, &["presets", "show", "qqq"]);
    assert!(text.contains("thicket presets list"), "{text}");
    for command in ["show", "replay", "drop"] {
        let text = folder.refused(2, &["deadletter", command]);
        assert!(text.contains("--reason") && text.contains("--topic") && text.contains("--since"), "{text}");
        assert!(!text.contains("--config"), "{text}");
    }
    let text = folder.refused(2, &["notify", "silence", "", "--for", "1h"]);
    assert!(text.contains("PATTERN"), "{text}");
    for port in ["--mqtt-port", "--redis-port", "--postgres-port", "--http-port"] {
        // --status: so that no deployment starts.
        let data = folder.path("data");
        let text = folder.refused(2, &["up", "--status", "--data", data.to_str().unwrap(), port, "0"]);
        assert!(text.contains(port), "{text}");
    }
    // Without a server: the command line itself is understood.
    let nowhere = "postgres://u@127.0.0.1:1/d";
    folder.refused(1, &["sensors", "forget", "a", "-y", "--postgres", nowhere]);
}

#[test]
fn a_deployment_of_up_that_is_down_is_started_by_up() {
    let text = "[postgres]\nurl = \"postgres://u@127.0.0.1:1/d\"\n[redis]\nurl = \"redis://127.0.0.1:1\"\n";
    let folder = Folder::with(&[("thicket.toml", text), ("ports.json", "{}"), ("up.lock", "")]);
    let config = folder.path("thicket.toml");
    let text = folder.refused(1, &["status", "--config", config.to_str().unwrap()]);
    let up = format!("thicket up --data {}", folder.path("").display().to_string().trim_end_matches('/'));
    assert!(text.contains(&up) && !text.contains("apt-get"), "{text}");
}

#[test]
fn a_plan_for_more_than_any_fleet_is_refused() {
    let folder = Folder::with(&[]);
    let plan = ["plan", "--sensors", "1000000000", "--fields", "64", "--json", "--rate"];
    let output = folder.thicket(&[&plan[..], &["1/s"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let text = folder.refused(2, &[&plan[..], &["1000000/s"]].concat());
    assert!(text.contains("1e15 readings a second are more than the 1e9 that can be planned"), "{text}");
}
