//! An ingress with a real broker and real stores: what it handles after a new connection.

use crate::ownership::RenewalOptions;

use thicket_compose::{Mosquitto, Postgres, Redis};
use thicket_connect::TlsSettings;
use thicket_store::postgres::{connect_postgres, postgres_pool};
use thicket_store::redis::connect_redis;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::credit::CreditPool;
use crate::mqtt::{BrokerAddress, Event, Qos, Versions};
use crate::testing::start;

/// Messages of the burst, and most of them without an acknowledgement.
const BURST: u32 = 40;
/// Messages of the burst that are handled before the connection ends.
const HANDLED: u32 = 3;

/// The servers of a test.
pub(super) struct Servers {
    mosquitto: Mosquitto,
    pub(super) redis: Redis,
    pub(super) postgres: Postgres,
    /// Removed after the servers have ended.
    _directory: tempfile::TempDir,
}

impl Servers {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let servers = Self {
            mosquitto: Mosquitto::start(&path.join("mosquitto")).unwrap(),
            redis: Redis::start(&path.join("redis")).unwrap(),
            postgres: Postgres::start(&path.join("postgres")).unwrap(),
            _directory: directory,
        };
        migrate(servers.postgres.url());
        servers
    }

    fn options(&self, version: Version, client_id: &str) -> MqttOptions {
        MqttOptions {
            address: BrokerAddress::new(&self.mosquitto.url(), TlsSettings::default()).unwrap(),
            versions: Versions::Only(version),
            client_id: client_id.to_owned(),
            credentials: Some((thicket_compose::USER.to_owned(), thicket_compose::password().unwrap())),
            ..mqtt_options(BURST)
        }
    }

    pub(super) fn broker(&self, version: Version, redelivery: &Redelivery) -> Broker {
        Broker {
            redelivery: redelivery.clone(),
            options: self.options(version, "engine"),
            decode: decode_options(),
            reorder: Duration::ZERO,
        }
    }

    pub(super) async fn peers(&self, metrics: &Metrics, append: Recipient<Append>) -> IngressPeers {
        let (node, ttl) = (NodeName::of_this_process("node"), END);
        let options = RenewalOptions {
            server: (&self.redis.url()).into(),
            node: node.clone(),
            nodes: Keys::default().nodes(),
            ttl,
        };
        let renewal = Renewal::start(options, metrics.leases.clone()).unwrap();
        let redis = connect_redis(&self.redis.url()).await;
        IngressPeers {
            leases: Leases::new(redis.clone(), node, ttl),
            renewal,
            redis: (redis, Keys::default()),
            pool: postgres_pool(&self.postgres.url(), 2).unwrap(),
            ..peers(append)
        }
    }

    /// Publishes 0, 1, 2 and so on, and waits until the broker has all of them.
    async fn publish_burst(&self, version: Version) {
        let (client, mut event_loop) = connect(&self.options(version, "device"), version).unwrap();
        for number in 0..BURST {
            client.publish("sensors/a", number.to_string().into_bytes(), Qos::AtLeastOnce).unwrap();
        }
        let mut missing = BURST;
        while missing > 0 {
            if let Event::Published(result) = event_loop.poll().await.unwrap() {
                result.unwrap();
                missing -= 1;
            }
        }
    }
}

/// diesel's migrations need a runtime with several threads.
fn migrate(url: String) {
    let migration = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.unwrap().block_on(async {
            let connection = connect_postgres(&url).await.unwrap();
            thicket_schema::postgres::migrate(connection).await.unwrap();
        });
    });
    migration.join().unwrap();
}

/// A message as the ingress sends it to the log.
#[derive(Debug, PartialEq)]
struct Handled {
    number: u32,
    redelivered: bool,
    /// Number of the connection that was the newest one then.
    connection: u64,
}

async fn next(appended: &mut UnboundedReceiver<Append>, metrics: &Metrics) -> (Handled, Append) {
    let append = tokio::time::timeout(END, appended.recv()).await;
    let connects = metrics.mqtt_connects.with_label_values(&["test"]).get();
    let append = append.unwrap_or_else(|_| panic!("no message on connection {connects}")).unwrap();
    let [(_, record)] = &append.records[..] else { panic!("{append:?}") };
    let Item::Reading(reading) = &record.item else { panic!("{record:?}") };
    let handled =
        Handled { number: reading.values[0] as u32, redelivered: record.redelivered, connection: connects };
    (handled, append)
}

async fn until_subscribed(metrics: &Metrics) {
    let subscribed = async {
        while metrics.mqtt_connected.with_label_values(&["test"]).get() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(END, subscribed).await.unwrap();
}

/// Lets the ingress handle the first messages of a burst, ends its connection while the library has
/// read more messages of it, and returns what the ingress handles then, up to the last message.
async fn handled_after_a_new_connection(version: Version) -> Vec<Handled> {
    let servers = Servers::start();
    let (append, mut appended) = record(|_| ());
    let (redelivery, metrics) = (Redelivery::default(), metrics());
    let broker = servers.broker(version, &redelivery);
    let ingress = MqttIngress::new(vec![broker], servers.peers(&metrics, append).await, &metrics);
    let credits: CreditPool = ingress.sessions[0].credits.clone();
    let mut rest = credits.acquire(BURST).await;
    let _ingress = start(ingress);
    until_subscribed(&metrics).await;
    // The first message waits for a credit while the others arrive.
    servers.publish_burst(version).await;
    drop(rest.split(HANDLED));
    let mut first = Vec::new();
    for number in 0..HANDLED {
        let (handled, append) = next(&mut appended, &metrics).await;
        assert_eq!(handled, Handled { number, redelivered: false, connection: 1 });
        first.push(append);
    }
    // The credits of these messages remain taken: the next message waits for one.
    redelivery.request();
    drop(rest);
    let mut all = Vec::new();
    while all.last().is_none_or(|last: &Handled| last.number < BURST - 1 || last.connection < 2) {
        all.push(next(&mut appended, &metrics).await.0);
    }
    all
}

#[actix_rt::test]
async fn no_message_of_the_old_connection_follows_a_new_one() {
    for version in [Version::V3, Version::V5] {
        let mut all = handled_after_a_new_connection(version).await;
        let later = all.split_off(all.iter().take_while(|handled| handled.connection == 1).count());
        let again = |number| Handled { number, redelivered: true, connection: 2 };
        assert_eq!(later, (0..BURST).map(again).collect::<Vec<_>>(), "{version}");
        // One message waited for a credit. What the library had read besides is dropped at once.
        let numbers: Vec<_> = all.iter().map(|handled| handled.number).collect();
        assert!(numbers.is_empty() || numbers == [HANDLED], "{version}: {numbers:?}");
    }
}

/// While an ingress stops, the connection may end before everything is in the log.
#[actix_rt::test]
async fn an_ingress_that_stops_releases_the_lease_also_if_its_connection_ends_first() {
    let servers = Servers::start();
    let (append, mut appended) = record(|_| ());
    let (redelivery, metrics) = (Redelivery::default(), metrics());
    let broker = servers.broker(Version::V5, &redelivery);
    let peers = servers.peers(&metrics, append).await;
    let (leases, lease) = (peers.leases.clone(), peers.keys.lease.clone());
    let ingress = MqttIngress::new(vec![broker], peers, &metrics);
    let mut stopping = ingress.stop.subscribe();
    let ingress = start(ingress);
    until_subscribed(&metrics).await;
    servers.publish_burst(Version::V5).await;
    // It is on its way to the log, and the ingress waits for it.
    let (_, on_its_way) = next(&mut appended, &metrics).await;
    assert!(leases.holders([lease.clone()]).await.unwrap()[0].is_some());
    let drained = actix_rt::spawn(ingress.send(Drain));
    stopping.wait_for(|&stop| stop).await.unwrap();
    redelivery.request();
    tokio::time::timeout(END, drained).await.unwrap().unwrap().unwrap();
    assert_eq!(leases.holders([lease]).await.unwrap(), [None]);
    drop(on_its_way);
}

/// Accepts each connection of MQTT 3.1.1, and closes it when the client subscribes, as some brokers
/// do whose access rules do not allow the topic filters.
async fn close_at_subscribe(listener: TcpListener) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut packet = [0; 1_024];
        assert!(connection.read(&mut packet).await.unwrap() > 0);
        connection.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        assert!(connection.read(&mut packet).await.unwrap() > 0);
    }
}

#[actix_rt::test]
async fn a_broker_that_closes_each_connection_at_the_subscription_is_no_conflict() {
    let servers = Servers::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("mqtt://{}", listener.local_addr().unwrap());
    actix_rt::spawn(close_at_subscribe(listener));
    let (append, _appended) = record(|_| ());
    let (redelivery, metrics) = (Redelivery::default(), metrics());
    let mut broker = servers.broker(Version::V3, &redelivery);
    broker.options.address = BrokerAddress::new(&address, TlsSettings::default()).unwrap();
    let ingress = MqttIngress::new(vec![broker], servers.peers(&metrics, append).await, &metrics);
    let _ingress = start(ingress);
    let connected = async {
        while metrics.mqtt_connects.with_label_values(&["test"]).get() < 5 {
            assert!(metrics.client_id_conflicts().is_empty(), "no other client has the client id");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(END, connected).await.unwrap();
}

/// Connects without a session under the client id, which ends its session at the broker.
async fn end_session(options: MqttOptions) {
    let options = MqttOptions { session_expiry: None, ..options };
    let (client, mut event_loop) = connect(&options, Version::V5).unwrap();
    while !matches!(event_loop.poll().await.unwrap(), Event::Connected { .. }) {}
    client.disconnect().unwrap();
    while !matches!(event_loop.poll().await, Ok(Event::Disconnected) | Err(_)) {}
}

#[actix_rt::test]
async fn a_session_that_the_broker_has_lost_is_counted() {
    let servers = Servers::start();
    for (ends, expected) in [(false, 0), (false, 0), (true, 1), (false, 0)] {
        if ends {
            end_session(servers.options(Version::V5, "engine")).await;
        }
        let (append, _appended) = record(|_| ());
        let (redelivery, metrics) = (Redelivery::default(), metrics());
        let broker = servers.broker(Version::V5, &redelivery);
        let ingress = start(MqttIngress::new(vec![broker], servers.peers(&metrics, append).await, &metrics));
        until_subscribed(&metrics).await;
        tokio::time::timeout(END, ingress.send(Drain)).await.unwrap().unwrap();
        assert_eq!(metrics.mqtt_sessions_lost.with_label_values(&["test"]).get(), expected);
    }
}
