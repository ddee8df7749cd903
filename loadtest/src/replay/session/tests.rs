use std::sync::{
    Mutex,
    atomic::{AtomicU64, AtomicUsize},
};

use rumqttc::mqttbytes::v4::{ConnAck, PubAck, Publish};
use tokio::net::TcpListener;

use super::{super::Replay, *};
use crate::{
    manifest::{Disposition, ManifestReader, Record},
    replay::Rate,
    scenario::{Reading, ScenarioOptions, tests::shared_library},
};

/// A broker for tests: confirms some messages of a connection, then cuts the connection.
struct FakeBroker {
    port: u16,
    /// All received messages in the order of arrival, with the number of their connection.
    received: Arc<Mutex<Vec<(usize, Publish)>>>,
}

impl FakeBroker {
    /// `confirms` returns the number of messages that are confirmed before a connection is cut.
    /// `None`: all messages are confirmed, and the connection is never cut.
    async fn start(confirms: impl Fn(usize) -> Option<usize> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::<Mutex<Vec<(usize, Publish)>>>::default();
        let broker = Self { port, received: Arc::clone(&received) };
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, connection, confirms(connection), &received).await;
            }
        });
        broker
    }

    fn options(&self, frames: u64) -> ReplayOptions {
        let url = format!("mqtt://127.0.0.1:{}", self.port);
        ReplayOptions { frames, live: false, ..ReplayOptions::new(url.parse().unwrap()) }
    }

    fn received(&self) -> Vec<(usize, Publish)> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    confirms: Option<usize>,
    received: &Mutex<Vec<(usize, Publish)>>,
) {
    let (mut inbox, mut out) = (BytesMut::new(), BytesMut::new());
    let mut confirmed = 0;
    loop {
        if matches!(stream.read_buf(&mut inbox).await, Ok(0) | Err(_)) {
            return;
        }
        while let Some(packet) = read_packet(&mut inbox).unwrap() {
            match packet {
                Packet::Connect(_) => {
                    ConnAck::new(ConnectReturnCode::Success, false).write(&mut out).unwrap();
                }
                Packet::Publish(publish) => {
                    if confirms.is_some_and(|confirms| confirmed >= confirms) {
                        let _ = stream.write_all(&out).await;
                        return;
                    }
                    PubAck::new(publish.pkid).write(&mut out).unwrap();
                    received.lock().unwrap().push((connection, publish));
                    confirmed += 1;
                }
                _ => {}
            }
        }
        if stream.write_all_buf(&mut out).await.is_err() {
            return;
        }
    }
}

fn new_scenario(sensors: u32) -> Arc<Scenario> {
    let options = ScenarioOptions { sensors, seed: 3, ..ScenarioOptions::default() };
    Arc::new(Scenario::new(shared_library(), options).unwrap())
}

/// Returns a stop signal that never becomes true.
fn never() -> watch::Receiver<bool> {
    watch::channel(false).1
}

fn payloads(scenario: &Scenario, frames: u64) -> Vec<Vec<u8>> {
    let readings: Vec<Reading> =
        scenario.readings(0).take(scenario.sensors().len() * frames as usize).collect();
    readings.iter().map(|reading| super::super::payload::encode(std::slice::from_ref(reading))).collect()
}

#[tokio::test]
async fn everything_is_published_once_and_in_order() {
    let (broker, scenario) = (FakeBroker::start(|_| None).await, new_scenario(4));
    let replay = Replay::new(Arc::clone(&scenario), broker.options(200)).unwrap();
    let progress = replay.progress();
    let summary = replay.run(never()).await.unwrap();
    assert_eq!(summary, Summary { published: 800, malformed: 0, events: 0, unconfirmed: 0 });
    assert_eq!((progress.published(), progress.sent(), progress.connects()), (800, 800, 1));
    assert_eq!(progress.event_time(), scenario.timestamp(*scenario.reporting_order().last().unwrap(), 199));
    let received: Vec<Vec<u8>> =
        broker.received().iter().map(|(_, publish)| publish.payload.to_vec()).collect();
    assert_eq!(received, payloads(&scenario, 200));
}

#[tokio::test]
async fn what_a_lost_connection_left_unconfirmed_is_sent_again_in_order() {
    // Connections are cut after 0, 37, 74, … confirmations.
    let (broker, scenario) = (FakeBroker::start(|n| (n < 6).then_some(n * 37)).await, new_scenario(3));
    let options = ReplayOptions { in_flight: 50, ..broker.options(300) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest");
    let options = ReplayOptions { manifest: Some(path.clone()), ..options };
    let replay = Replay::new(Arc::clone(&scenario), options).unwrap();
    let progress = replay.progress();
    let summary = replay.run(never()).await.unwrap();
    assert_eq!((summary.published, summary.unconfirmed), (900, 0));
    assert_eq!(progress.connects(), 7);

    // Without the repetitions of earlier messages, the received messages are the scenario in order.
    let expected = payloads(&scenario, 300);
    let mut next = 0;
    let mut again = 0;
    for (_, publish) in broker.received() {
        if next < expected.len() && publish.payload == expected[next] {
            next += 1;
        } else {
            assert!(publish.dup, "a message out of order that is no repetition");
            assert!(expected[..next].contains(&publish.payload.to_vec()));
            again += 1;
        }
    }
    assert_eq!(next, 900);
    assert!(again <= 6 * 50);

    let recorded: usize = ManifestReader::open(&path)
        .unwrap()
        .map(|record| match record.unwrap() {
            Record::Message { disposition: Disposition::Plain, readings, .. } => readings.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(recorded, 900);
}

#[tokio::test]
async fn a_replay_waits_for_those_who_store() {
    let (broker, scenario) = (FakeBroker::start(|_| None).await, new_scenario(2));
    let stored = Arc::new(AtomicU64::new(0));
    let asked = Arc::new(AtomicUsize::new(0));
    let max_lag = MaxLag {
        readings: 30,
        stored: {
            let (stored, asked) = (Arc::clone(&stored), Arc::clone(&asked));
            Arc::new(move || {
                asked.fetch_add(1, Relaxed);
                stored.load(Relaxed)
            })
        },
    };
    let options = ReplayOptions { max_lag: Some(max_lag), batch: 4, ..broker.options(100) };
    let replay = Replay::new(scenario, options).unwrap();
    let progress = replay.progress();
    let running = tokio::spawn(replay.run(never()));
    let mut held = 0;
    while progress.published() < 200 {
        // A replay without the bound would overrun it within this time.
        let before = asked.load(Relaxed);
        while asked.load(Relaxed) < before + 3 && progress.published() < 200 {
            time::sleep(Duration::from_millis(1)).await;
        }
        let sent = progress.sent();
        assert!(sent <= stored.load(Relaxed) + 30, "{sent} sent, {} stored", stored.load(Relaxed));
        held += usize::from(sent > stored.load(Relaxed) + 26);
        stored.fetch_add(7, Relaxed);
    }
    assert!(held > 3, "the bound was never reached");
    assert_eq!(running.await.unwrap().unwrap().published, 200);
}

#[tokio::test]
async fn a_message_larger_than_the_bound_still_goes() {
    let (broker, scenario) = (FakeBroker::start(|_| None).await, new_scenario(1));
    let progress = Arc::new(Mutex::new(None::<Arc<Progress>>));
    let stored = {
        let progress = Arc::clone(&progress);
        // Every confirmed reading counts as stored.
        move || progress.lock().unwrap().as_ref().map_or(0, |progress| progress.published())
    };
    let max_lag = MaxLag { readings: 3, stored: Arc::new(stored) };
    let options = ReplayOptions { max_lag: Some(max_lag), batch: 10, ..broker.options(100) };
    let replay = Replay::new(scenario, options).unwrap();
    *progress.lock().unwrap() = Some(replay.progress());
    assert_eq!(replay.run(never()).await.unwrap().published, 100);
}

#[tokio::test]
async fn a_stopped_replay_drains_and_says_what_stayed_unconfirmed() {
    // Confirms 10 messages, then reads and writes nothing more. The connection stays open.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut inbox, mut out) = (BytesMut::new(), BytesMut::new());
        ConnAck::new(ConnectReturnCode::Success, false).write(&mut out).unwrap();
        for id in 1..=10 {
            PubAck::new(id).write(&mut out).unwrap();
        }
        // Read the CONNECT packet and accept it; later confirm 10 messages.
        stream.read_buf(&mut inbox).await.unwrap();
        stream.write_all(&out[..4]).await.unwrap();
        while inbox.len() < 20_000 {
            stream.read_buf(&mut inbox).await.unwrap();
        }
        stream.write_all(&out[4..]).await.unwrap();
        std::future::pending::<()>().await;
    });
    let options = ReplayOptions {
        in_flight: 100,
        drain: Duration::from_millis(50),
        ..ReplayOptions::new(url.parse().unwrap())
    };
    let replay = Replay::new(new_scenario(1), options).unwrap();
    let progress = replay.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(replay.run(stopped));
    while progress.published() < 10 || progress.sent() < 110 {
        time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(true).unwrap();
    let summary = running.await.unwrap().unwrap();
    assert_eq!((summary.published, summary.unconfirmed), (10, 100));
}

#[tokio::test]
async fn a_live_replay_ends_when_stopped_with_nothing_unconfirmed() {
    let (broker, scenario) = (FakeBroker::start(|_| None).await, new_scenario(2));
    let options = ReplayOptions { live: true, rate: Rate::PerSecond(1e6), ..broker.options(10) };
    let replay = Replay::new(scenario, options).unwrap();
    let progress = replay.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(replay.run(stopped));
    // The scenario begins in the past of this clock, so live readings are due at once.
    while !progress.live() || progress.published() < 100 {
        time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(true).unwrap();
    let summary = running.await.unwrap().unwrap();
    assert_eq!(summary.unconfirmed, 0);
    assert_eq!(summary.published, progress.sent());
}

#[tokio::test]
async fn an_absent_broker_is_named_and_one_that_refuses_is_believed() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let options = ReplayOptions {
        connect_timeout: Duration::ZERO,
        ..ReplayOptions::new(format!("mqtt://u:secret@127.0.0.1:{unused}").parse().unwrap())
    };
    let error = Replay::new(new_scenario(1), options).unwrap().run(never()).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("mqtt://127.0.0.1:{unused}")) && error.contains("mosquitto -p"),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&[0x20, 2, 0, 5]).await.unwrap();
        std::future::pending::<()>().await;
    });
    let options = ReplayOptions::new(url.parse().unwrap());
    let error = Replay::new(new_scenario(1), options).unwrap().run(never()).await.unwrap_err();
    assert!(matches!(&error, ReplayError::Refused { reason, .. } if reason == "NotAuthorized"), "{error}");
}
