//! An engine that a test has started ends with the test, also if the test is killed. Otherwise it
//! would take leases in the servers of a later test.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use thicket_testkit::timing::until;
use thicket_testkit::{EngineProcess, Launch};

use crate::support::BINARY;

/// No server listens there, so the engine waits for them.
const CONFIG: &str = "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[redis]\nurl = \"redis://127.0.0.1:1\"\n\
                      [postgres]\nurl = \"postgres://127.0.0.1:1/thicket\"\n";

#[tokio::test]
async fn an_engine_does_not_outlive_a_test_that_is_killed() {
    // This test starts itself as the owner, which prints the port of its engine and waits to be killed.
    const VARIABLE: &str = "THICKET_TEST_OWNER";
    if let Some(directory) = std::env::var_os(VARIABLE) {
        let directory = Path::new(&directory);
        let launch =
            Launch { binary: Path::new(BINARY), directory, name: "engine", config: CONFIG, environment: &[] };
        let engine = EngineProcess::start(&launch).unwrap();
        println!("port {}", engine.port());
        std::future::pending::<()>().await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "orphans::an_engine_does_not_outlive_a_test_that_is_killed", "--nocapture"])
        .env(VARIABLE, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let port = lines.map(Result::unwrap).find_map(|line| Some(line.split_once("port ")?.1.parse().unwrap()));
    let port: u16 = port.unwrap();
    until("the engine listens", async || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("the engine has ended", async || TcpStream::connect(("127.0.0.1", port)).is_err()).await;
}
