//! `replay` against a real Mosquitto: a subscriber receives what the manifest records.

use std::{collections::HashMap, path::Path, time::Duration};

use crate::support::{new_scenario, run};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use thicket_codecs::PayloadDecoder;
use thicket_compose::Mosquitto;
use thicket_loadtest::{
    manifest::{ManifestReader, Record},
    replay::{Faults, Replay, ReplayOptions},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Per topic, the readings in order of arrival: event time in µs and the bits of the values. And
/// the malformed messages: topic and payload.
type Received = (HashMap<String, Vec<(i64, Vec<u64>)>>, Vec<(String, Vec<u8>)>);

async fn mosquitto(folder: &Path) -> Mosquitto {
    let directory = folder.join("mosquitto");
    tokio::task::spawn_blocking(move || Mosquitto::start(&directory)).await.unwrap().unwrap()
}

/// Subscribes to all sensors. Returns, once the broker has confirmed the subscription, the channel
/// of received messages.
async fn subscribe(port: u16) -> mpsc::UnboundedReceiver<(String, Vec<u8>)> {
    let mut options = MqttOptions::new("listener", "127.0.0.1", port);
    options.set_inflight(1_000);
    options.set_credentials(thicket_compose::USER, thicket_compose::password().unwrap());
    let (client, mut events) = AsyncClient::new(options, 100);
    client.subscribe("sensors/#", QoS::AtLeastOnce).await.unwrap();
    let (send, receive) = mpsc::unbounded_channel();
    let (ready, subscribed) = oneshot::channel();
    tokio::spawn(async move {
        let _client = client;
        let mut ready = Some(ready);
        while let Ok(event) = events.poll().await {
            match event {
                Event::Incoming(Packet::SubAck(_)) => {
                    ready.take().map(|ready| ready.send(()));
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    let _ = send.send((publish.topic, publish.payload.to_vec()));
                }
                _ => {}
            }
        }
    });
    subscribed.await.unwrap();
    receive
}

/// Receives `count` messages and groups them.
async fn receive(messages: &mut mpsc::UnboundedReceiver<(String, Vec<u8>)>, count: u64) -> Received {
    let decoder = PayloadDecoder::default();
    let mut received = Received::default();
    for _ in 0..count {
        let next = tokio::time::timeout(Duration::from_secs(30), messages.recv()).await;
        let (topic, payload) = next.expect("a message is missing").unwrap();
        let decoded = decoder.decode(&payload);
        let usable = decoded.as_ref().is_ok_and(|all| all.iter().flatten().any(|one| one.values.len() == 13));
        if !usable {
            received.1.push((topic, payload));
            continue;
        }
        for measurement in decoded.unwrap() {
            let measurement = measurement.unwrap();
            let bits = measurement.values.iter().map(|value| value.to_bits()).collect();
            received.0.entry(topic.clone()).or_default().push((measurement.ts.unwrap().as_micros(), bits));
        }
    }
    received
}

/// Returns the contents of a manifest in the same form, and the number of its messages.
fn read_manifest(path: &Path) -> (Received, u64) {
    let mut topics = HashMap::new();
    let mut received = Received::default();
    let mut messages = 0;
    for record in ManifestReader::open(path).unwrap() {
        match record.unwrap() {
            Record::Sensor(sensor) => {
                topics.insert(sensor.index, sensor.topic);
            }
            Record::Message { sensor, readings, .. } => {
                messages += 1;
                let of_topic = received.0.entry(topics[&sensor].clone()).or_default();
                of_topic
                    .extend(readings.iter().map(|r| (r.ts, r.values.iter().map(|v| v.to_bits()).collect())));
            }
            Record::Malformed { topic, payload } => {
                messages += 1;
                received.1.push((topic, payload));
            }
            Record::Clock(_) => {}
        }
    }
    (received, messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_the_very_bits_of_the_manifest_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path()).await;
    let scenario = new_scenario(folder.path(), 4);
    for (n, batch) in [1, 25].into_iter().enumerate() {
        let mut messages = subscribe(broker.port()).await;
        let path = folder.path().join(format!("manifest-{n}"));
        let options = ReplayOptions {
            frames: 300,
            live: false,
            batch,
            faults: Faults { duplicates: 0.05, malformed: 0.05, late: 0.05 },
            manifest: Some(path.clone()),
            ..ReplayOptions::new(broker.url_with_login().parse().unwrap())
        };
        let (_stop, stopped) = watch::channel(false);
        let summary = Replay::new(scenario.clone(), options).unwrap().run(stopped).await.unwrap();
        let (recorded, count) = read_manifest(&path);
        assert_eq!(recorded.0.values().map(Vec::len).sum::<usize>() as u64, summary.published);
        assert_eq!(recorded.1.len() as u64, summary.malformed);
        assert!(summary.published > 1_200 && summary.malformed > 20, "{summary:?}");
        let mut received = receive(&mut messages, count).await;
        // The broker does not preserve the order between topics.
        received.1.sort();
        let mut expected = recorded;
        expected.1.sort();
        assert!(received == expected, "batch {batch}: the received messages differ from the manifest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_survives_a_restart_of_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = mosquitto(folder.path()).await;
    let scenario = new_scenario(folder.path(), 4);
    let path = folder.path().join("manifest");
    let options = ReplayOptions {
        frames: 2_000,
        live: false,
        in_flight: 100,
        manifest: Some(path.clone()),
        ..ReplayOptions::new(broker.url_with_login().parse().unwrap())
    };
    let replay = Replay::new(scenario.clone(), options).unwrap();
    let progress = replay.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(replay.run(stopped));
    while progress.published() < 1_000 && !running.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let _broker = tokio::task::spawn_blocking(move || {
        broker.kill().unwrap();
        broker.restart_on_same_port().unwrap();
        broker
    })
    .await
    .unwrap();
    let summary = running.await.unwrap().unwrap();
    assert_eq!((summary.published, summary.unconfirmed), (8_000, 0));
    let (recorded, _) = read_manifest(&path);
    for (index, sensor) in scenario.sensors().iter().enumerate() {
        let times: Vec<i64> =
            recorded.0[&format!("sensors/{}", sensor.name)].iter().map(|(ts, _)| *ts).collect();
        let expected: Vec<i64> = (0..2_000).map(|frame| scenario.timestamp(index, frame)).collect();
        assert_eq!(times, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_goes_from_synth_to_replay() {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path()).await;
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, manifest) = (path("city"), path("manifest"));
    let synth = ["synth", "--out", &data, "--clips-per-class", "2", "--sample-rate", "8000"];
    assert!(run(&synth).status.success());
    let again = run(&synth);
    assert!(
        again.status.success() && String::from_utf8_lossy(&again.stderr).contains("already holds"),
        "{again:?}"
    );

    let url = broker.url_with_login();
    let replay = [
        "replay",
        "--data",
        &data,
        "--mqtt",
        &url,
        "--sensors",
        "3",
        "--frames",
        "50",
        "--manifest",
        &manifest,
        "--start",
        "2026-11-22T10:00:00Z",
        "--batch",
        "10",
    ];
    let output = run(&replay);
    assert!(output.status.success(), "{output:?}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["readings"], 150);
    let output = run(&replay);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exists already"), "{output:?}");

    let scenario = ["scenario", "--data", &data, "--out", &path("csv"), "--sensors", "3", "--frames", "50"];
    assert!(run(&scenario).status.success());
    let csv = std::fs::read_to_string(folder.path().join("csv/city_old-town_microphone-01.csv")).unwrap();
    assert_eq!(csv.lines().count(), 51);
    // With the same seed, the replayed readings equal those of the CSV file.
    let (recorded, _) = read_manifest(Path::new(&manifest));
    let first = &recorded.0["sensors/city/old-town/microphone-01"][0].1;
    let row: Vec<u64> = csv
        .lines()
        .nth(1)
        .unwrap()
        .split(',')
        .skip(1)
        .take(13)
        .map(|v| v.parse::<f64>().unwrap().to_bits())
        .collect();
    assert_eq!(*first, row);
}
