//! Listens to a broker.

use std::time::Duration;

use anyhow::{Context as _, bail};
use thicket_actors::mqtt::{self, Event, Failure, FailureKind, Qos};
use tokio::time::Instant;

use super::args::DiscoverArgs;
use super::capture::{Capture, Message};
use crate::brokers::client_options;
use crate::config::BrokerConfig;
use crate::format::count;
use crate::progress_line::ProgressLine;

/// How long the broker may take to accept the connection, and again the subscription.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Listens until the time is over or Ctrl-C is pressed.
pub(super) async fn listen(broker: &BrokerConfig, args: &DiscoverArgs) -> anyhow::Result<Capture> {
    let options = client_options(broker, "discover")?;
    let address = &options.address;
    let away = || format!("the broker {address} does not answer; start it, or set mqtt.url");
    let opened = tokio::time::timeout(TIMEOUT, mqtt::open(&options)).await.with_context(away)?;
    let failed = |failure: Failure| {
        let said = match failure.kind {
            FailureKind::Unreachable => away(),
            FailureKind::Refused => format!("the broker {address} refuses the connection"),
            _ => format!("the connection to the broker {address} has failed"),
        };
        anyhow::Error::new(failure).context(said)
    };
    let (client, mut event_loop) = opened.map_err(failed)?;
    client
        .subscribe(&args.topics, Qos::AtMostOnce)
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
        match event.map_err(failed)? {
            Event::Subscribed(results) => {
                let mut refused = args.topics.iter().zip(results);
                if let Some((topic, Err(reason))) = refused.find(|(_, result)| result.is_err()) {
                    bail!(
                        "the broker refuses a subscription to {topic}: {reason}; name allowed filters with --topic"
                    );
                }
                started = Some(Instant::now());
                end = Instant::now() + args.duration;
            }
            Event::Message(message) if !message.topic.starts_with('$') => {
                capture.add(Message {
                    topic: message.topic,
                    payload: message.payload.to_vec(),
                    retained: message.retained,
                });
            }
            _ => {}
        }
        progress.show(|| {
            let left = end.saturating_duration_since(Instant::now()).as_secs();
            format!(
                "listening to {address}: {}, {left} s left",
                count(capture.messages.len() as u64, "message")
            )
        });
    }
    progress.finish();
    let Some(started) = started else { bail!("the broker {address} does not answer the subscription") };
    capture.seconds = Some(started.elapsed().as_secs_f64());
    Ok(capture)
}
