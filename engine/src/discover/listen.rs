//! Listens to a broker.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rumqttc::{AsyncClient, Event, Incoming, QoS, SubscribeFilter, SubscribeReasonCode};
use tokio::time::Instant;

use super::args::DiscoverArgs;
use super::capture::{Capture, Message};
use crate::brokers::client_options;
use crate::config::BrokerConfig;
use crate::format::count;
use crate::progress_line::ProgressLine;

/// How long the broker may take to accept the connection and the subscription.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a packet: the limit of MQTT.
const MAX_PACKET: usize = 268_435_455;

/// Listens until the time is over or Ctrl-C is pressed.
pub(super) async fn listen(broker: &BrokerConfig, args: &DiscoverArgs) -> anyhow::Result<Capture> {
    let mut options = client_options(broker, "discover")?;
    options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
    let (host, port) = options.broker_address();
    let (client, mut event_loop) = AsyncClient::new(options, 10);
    let filter = |filter: &String| SubscribeFilter::new(filter.clone(), QoS::AtMostOnce);
    client
        .try_subscribe_many(args.topics.iter().map(filter))
        .context("--topic has a filter that MQTT does not allow")?;
    let mut capture = Capture::default();
    let mut progress = ProgressLine::new();
    let mut end = Instant::now() + TIMEOUT;
    let mut started = None;
    let stop = tokio::signal::ctrl_c();
    tokio::pin!(stop);
    loop {
        let event = tokio::select! {
            event = event_loop.poll() => event,
            () = tokio::time::sleep_until(end) => break,
            _ = &mut stop => break,
        };
        let event = event.with_context(|| {
            format!("the broker {host}:{port} does not answer; start it, or set mqtt.url, mqtt.username and mqtt.password")
        })?;
        match event {
            Event::Incoming(Incoming::SubAck(answer)) => {
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                    bail!(
                        "the broker refuses a subscription to {}; name allowed filters with --topic",
                        args.topics.join(", ")
                    );
                }
                started = Some(Instant::now());
                end = Instant::now() + args.duration;
            }
            Event::Incoming(Incoming::Publish(publish)) if !publish.topic.starts_with('$') => {
                capture.add(Message {
                    topic: publish.topic,
                    payload: publish.payload.to_vec(),
                    retained: publish.retain,
                });
            }
            _ => {}
        }
        progress.show(|| {
            let left = end.saturating_duration_since(Instant::now()).as_secs();
            format!(
                "listening to {host}:{port}: {}, {left} s left",
                count(capture.messages.len() as u64, "message")
            )
        });
    }
    progress.finish();
    let Some(started) = started else { bail!("the broker {host}:{port} does not answer the subscription") };
    capture.seconds = Some(started.elapsed().as_secs_f64());
    Ok(capture)
}
