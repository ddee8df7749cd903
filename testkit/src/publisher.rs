//! A device's side: publishes at QoS 1, in order, at a pace, up to where it is let, and knows what the broker has taken.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::traffic::Message;

const IN_FLIGHT: u16 = 100;
const RECONNECT: Duration = Duration::from_millis(50);

/// Publishes one list of messages.
#[derive(Debug)]
pub(crate) struct Publisher {
    let_through: watch::Sender<usize>,
    acknowledged: watch::Receiver<usize>,
    tasks: [JoinHandle<()>; 2],
    messages: Arc<Vec<Message>>,
}

impl Publisher {
    /// Begins with nothing let through.
    pub(crate) fn start(name: &str, port: u16, messages: Arc<Vec<Message>>, per_second: f64) -> Self {
        let mut options = MqttOptions::new(name, "127.0.0.1", port);
        options.set_clean_session(false).set_inflight(IN_FLIGHT);
        let (client, event_loop) = AsyncClient::new(options, 100);
        let (let_through, gate) = watch::channel(0);
        let (taken, acknowledged) = watch::channel(0);
        let tasks = [
            tokio::spawn(connect(event_loop, taken)),
            tokio::spawn(publish(client, Arc::clone(&messages), gate, per_second)),
        ];
        Self { let_through, acknowledged, tasks, messages }
    }

    /// Lets the messages with numbers below this one through.
    pub(crate) fn let_through(&self, number: usize) {
        let limit = self.messages.partition_point(|message| message.number < number);
        self.let_through.send_modify(|gate| *gate = limit.max(*gate));
    }

    /// Waits until the broker has taken all that is let through.
    pub(crate) async fn settle(&mut self, patience: Duration) -> anyhow::Result<()> {
        let limit = *self.let_through.borrow();
        let settled = self.acknowledged.wait_for(|&count| count >= limit);
        let settled = tokio::time::timeout(patience, settled).await;
        anyhow::ensure!(
            matches!(settled, Ok(Ok(_))),
            "the broker did not take all messages within {patience:?}"
        );
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn connect(mut event_loop: EventLoop, taken: watch::Sender<usize>) {
    loop {
        match event_loop.poll().await {
            Ok(Event::Incoming(Incoming::PubAck(_))) => taken.send_modify(|count| *count += 1),
            Ok(_) => {}
            Err(_) => tokio::time::sleep(RECONNECT).await,
        }
    }
}

async fn publish(
    client: AsyncClient,
    messages: Arc<Vec<Message>>,
    mut gate: watch::Receiver<usize>,
    per_second: f64,
) {
    let mut begun = Instant::now();
    let mut since = 0;
    for (number, message) in messages.iter().enumerate() {
        if *gate.borrow() <= number {
            if gate.wait_for(|&limit| limit > number).await.is_err() {
                return;
            }
            (begun, since) = (Instant::now(), number);
        }
        let due = begun + Duration::from_secs_f64((number - since) as f64 / per_second);
        // Below the timer's resolution waiting would only slow it down.
        if due > Instant::now() + Duration::from_millis(2) {
            tokio::time::sleep_until(due).await;
        }
        let sent = client.publish(&message.topic, QoS::AtLeastOnce, false, message.payload.as_str()).await;
        if sent.is_err() {
            return;
        }
    }
    // The client must outlive its messages; the publisher ends this task.
    std::future::pending::<()>().await;
}

/// Makes the broker forget a persistent session.
pub(crate) async fn forget_session(client_id: &str, port: u16) -> anyhow::Result<()> {
    let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
    options.set_clean_session(true);
    let (client, mut event_loop) = AsyncClient::new(options, 10);
    let forget = async {
        loop {
            match event_loop.poll().await {
                Ok(Event::Incoming(Incoming::ConnAck(_))) => client.try_disconnect()?,
                Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return anyhow::Ok(()),
                Ok(_) => {}
                Err(_) => tokio::time::sleep(RECONNECT).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forget).await?
}
