use std::time::Duration;

use thicket_connect::TlsSettings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::mqtt::BrokerAddress;
use crate::testing::mqtt_options;

/// The shortest interval of pings that the library allows for both versions.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const PING: [u8; 2] = [0xc0, 0];

/// Accepts a connection, and answers no ping. Sends a message of QoS 0 every second if `is_busy`.
/// Returns after the third ping.
async fn peer(listener: TcpListener, version: Version, is_busy: bool) {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut packet = [0; 1_024];
    assert!(connection.read(&mut packet).await.unwrap() > 0);
    let accepted: &[u8] = match version {
        Version::V3 => &[0x20, 2, 0, 0],
        Version::V5 => &[0x20, 3, 0, 0, 0],
    };
    connection.write_all(accepted).await.unwrap();
    let mut pings = 0;
    while pings < 3 {
        tokio::select! {
            read = connection.read(&mut packet) => match read.unwrap() {
                0 => std::future::pending().await,
                bytes => pings += packet[..bytes].windows(2).filter(|part| *part == PING).count(),
            },
            () = tokio::time::sleep(Duration::from_secs(1)) => if is_busy {
                publish(&mut connection, version).await;
            },
        }
    }
}

async fn publish(connection: &mut TcpStream, version: Version) {
    let message: &[u8] = match version {
        Version::V3 => &[0x30, 4, 0, 1, b'a', b'1'],
        Version::V5 => &[0x30, 5, 0, 1, b'a', 0, b'1'],
    };
    connection.write_all(message).await.unwrap();
}

/// Returns whether a connection lives until its third ping, of which none is answered.
async fn lives(version: Version, is_busy: bool) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("mqtt://{}", listener.local_addr().unwrap());
    let address = BrokerAddress::new(&address, TlsSettings::default()).unwrap();
    let options = MqttOptions { address, keep_alive: KEEP_ALIVE, ..mqtt_options(8) };
    let (_client, mut event_loop) = connect(&options, version).unwrap();
    tokio::select! {
        () = peer(listener, version, is_busy) => true,
        () = async { while event_loop.poll().await.is_ok() {} } => false,
    }
}

#[tokio::test]
async fn messages_stand_for_the_answer_to_a_ping_and_a_silent_broker_is_left() {
    let (v3, v5) = (Version::V3, Version::V5);
    let lived = tokio::join!(lives(v3, true), lives(v5, true), lives(v3, false), lives(v5, false));
    assert_eq!(lived, (true, true, false, false));
}
