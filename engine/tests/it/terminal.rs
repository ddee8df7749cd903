//! What commands show on a terminal or write into a pipe.

use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::json;
use thicket_testkit::{Config, TestEnv};

use crate::support::{BINARY, start, stderr, stdout};

/// Sets the title of a terminal, clears it, and turns the direction of the text round.
const HOSTILE: &str = "\u{1b}]0;PWNED\u{7}\u{1b}[2J\u{202e}gnp.exe\nfake line";

fn config() -> Config {
    TestEnv::config().small_detector()
}

/// Checks that a text can be shown on a terminal.
fn assert_harmless(what: &str, text: &str) {
    let found = text.chars().find(|&character| {
        character != '\n' && (character.is_control() || ('\u{202a}'..='\u{202e}').contains(&character))
    });
    assert_eq!(found, None, "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("fake")), "{what}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_from_outside_controls_the_terminal() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    publisher.publish("sensors/pump", json!({ "ts": HOSTILE, "a": 1 }).to_string()).await;
    publisher.publish("sensors/h/\u{202e}gnp.exe", "21.5").await;
    env.until_accounted(2).await;
    let hostile = HOSTILE.replace('\'', "''");
    env.execute(&format!(
        "INSERT INTO anomalies (sensor, started, peak_at, peak_score, peak_grade, readings, fields, contributions)
         SELECT id, '2026-01-01', '2026-01-01', 1, 1, 1, '{{value}}', '{{1}}' FROM sensors;
         INSERT INTO labels (sensor, started, label, note, author)
         SELECT id, '2026-01-01', 'false', '{hostile}', '{hostile}' FROM sensors"
    ))
    .await;
    for command in [
        &["deadletter", "list"][..],
        &["deadletter", "list", "--json"],
        &["deadletter", "show", "--since", "1d"],
        &["deadletter", "replay", "--since", "1d", "--dry-run"],
        &["anomalies", "list"],
        &["anomalies", "list", "--json"],
        &["status"],
        &["sensors", "show", "h/\u{202e}gnp.exe"],
        &["sensors", "show", HOSTILE],
        &["try", "sensors/pump", HOSTILE],
    ] {
        let output = env.thicket(command);
        assert_harmless(&format!("{command:?}"), &stdout(&output));
        assert_harmless(&format!("{command:?}"), &stderr(&output));
        if command.contains(&"--json") {
            let parsed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(parsed.to_string().contains('\u{202e}'), "the text is complete: {parsed}");
        }
    }
    assert_harmless("the log", &engine.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_gone_ends_no_command_and_is_no_error() {
    let env = start(config()).await;
    let file = env.path().join("pipe.toml");
    std::fs::write(&file, env.base().file(&env.addresses())).unwrap();
    for (command, code) in
        [(&["status"][..], 0), (&["status", "--partitions"], 0), (&["check"], 0), (&["presets", "list"], 0)]
    {
        let mut child = Command::new(BINARY)
            .arg("--config")
            .arg(&file)
            .args(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{command:?}: {errors}");
        assert!(!errors.contains("panic"), "{command:?}: {errors}");
    }
}
