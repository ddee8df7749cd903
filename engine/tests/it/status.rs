//! `thicket status`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use thicket_testkit::TestEnv;

use crate::support::{BINARY, json, start, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_what_there_is() {
    let env = start(TestEnv::config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    for i in 0..20 {
        publisher.publish(&format!("sensors/{}", i % 4), "1").await;
    }
    publisher.publish("sensors/0", "nonsense").await;
    env.until_accounted(21).await;
    // An entry without a record, such as the configuration, may be committed after all records.
    let mut status = json(&env.thicket(&["status", "--json"]));
    for _ in 0..100 {
        if status["totals"]["lag_entries"] == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        status = json(&env.thicket(&["status", "--json"]));
    }
    assert_eq!(status["partitions"].as_array().unwrap().len(), 4);
    assert_eq!(status["totals"]["delivered"], 21);
    assert_eq!(status["totals"]["scored"], 20);
    assert_eq!(status["totals"]["lag_entries"], 0);
    assert_eq!((&status["totals"]["in_flight"], &status["totals"]["stored"]), (&0.into(), &20.into()));
    assert_eq!(status["sensors"], 4);
    assert_eq!(status["dead_letters"]["malformed_json"], 1);
    assert!(stdout(&env.thicket(&["status"])).contains("21 delivered"));
}

/// Runs `status` with this address as that of the engine. The engine answers once the command has
/// printed what the stores report. Returns the whole output.
fn with_a_slow_engine(config: &std::path::Path, listener: &TcpListener) -> String {
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(config).arg("status").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    let mut read_line = |text: &mut String| output.read_line(text).unwrap() > 0;
    let (mut engine, _) = listener.accept().unwrap();
    while !text.contains("\nclocks ") && read_line(&mut text) {}
    let metrics = "# TYPE thicket_detectors gauge\nthicket_detectors 7\n";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", metrics.len());
    // The command may have given the engine up.
    let _ = engine.write_all((head + metrics).as_bytes());
    let _ = engine.read(&mut [0; 1_000]);
    while read_line(&mut text) {}
    assert!(child.wait().unwrap().success());
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_the_stores_report_before_the_engine_answers() {
    let env = start(TestEnv::config()).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = env.path().join("status.toml");
    let address = listener.local_addr().unwrap().to_string();
    std::fs::write(&config, env.base().set("http.listen", address).file(&env.addresses())).unwrap();
    // On a busy machine, the command may give the engine up before the test answers for it.
    let mut texts = (0..10).map(|_| with_a_slow_engine(&config, &listener));
    let text = texts.find(|text| text.contains("\ndetectors    7 in memory"));
    let text = text.expect("the command waits for the engine before it prints");
    assert!(text.starts_with("partitions   0 of 0 owned"), "{text}");

    drop(listener);
    let text = stdout(&env.thicket_with(&["status"], &env.base().set("http.listen", "127.0.0.1:1")));
    let line = |start: &str| text.lines().position(|line| line.starts_with(start)).unwrap();
    assert!(line("clocks ") < line("detectors    unknown: no engine"), "{text}");
}
