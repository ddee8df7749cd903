//! What the engine tells systemd.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};
use std::time::Duration;

use thicket_testkit::{TestEnv, broker_login};

use crate::support::{BINARY, start};

/// Waits for a message, and returns all messages up to it.
fn until(socket: &UnixDatagram, wanted: &str) -> String {
    let mut all = String::new();
    let mut buffer = [0; 1_024];
    loop {
        let length = match socket.recv(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            received => received.unwrap_or_else(|error| panic!("no {wanted}: {error}\n{all}")),
        };
        all.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        all.push('\n');
        if all.lines().any(|line| line == wanted) {
            return all;
        }
    }
}

/// An engine that is killed when dropped.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        // It has ended if the test has passed.
        let _ = self.0.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_when_the_engine_is_ready_lives_and_stops() {
    let env = start(TestEnv::config()).await;
    let path = env.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let addresses = env.addresses();
    let (user, password) = broker_login();
    // systemd also names the process whose signs of life it waits for.
    let engine = Command::new("sh")
        .args(["-c", "WATCHDOG_PID=$$ exec \"$0\" run", BINARY])
        .env("THICKET__MQTT__URL", &addresses.mqtt)
        .env("THICKET__REDIS__URL", &addresses.redis)
        .env("THICKET__POSTGRES__URL", &addresses.postgres)
        .env("THICKET__MQTT__USERNAME", user)
        .env("THICKET__MQTT__PASSWORD", password)
        .env("THICKET__HTTP__LISTEN", "127.0.0.1:0")
        .env("THICKET__QUEUE__PARTITIONS", "4")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .spawn()
        .unwrap();
    let mut engine = Engine(engine);
    let said = until(&socket, "READY=1");
    assert!(said.contains("STATUS=waiting for postgresql and redis"), "{said}");
    until(&socket, "WATCHDOG=1");
    let killed = Command::new("kill").args(["-TERM", &engine.0.id().to_string()]).status().unwrap();
    assert!(killed.success());
    until(&socket, "STOPPING=1");
    let status = loop {
        if let Some(status) = engine.0.try_wait().unwrap() {
            break status;
        }
        // The engine waits for a reader, as with systemd. Its last signs of life are read here.
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let _ = socket.recv(&mut [0; 1_024]);
    };
    assert!(status.success());
}
