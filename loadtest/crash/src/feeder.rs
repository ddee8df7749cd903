//! Publishes one list of messages in order and at a pace, as far as the case has released them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use thicket_testkit::Publisher;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::traffic::Message;

/// The resolution of the timer: a shorter wait would only slow the feeder down.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);

/// A device that publishes one list of messages. Disconnects when dropped.
#[derive(Debug)]
pub(crate) struct Feeder {
    publisher: Arc<Publisher>,
    released: watch::Sender<usize>,
    task: JoinHandle<()>,
    messages: Arc<Vec<Message>>,
}

impl Feeder {
    /// Connects to the broker. No message is released yet.
    pub(crate) fn start(client_id: &str, port: u16, messages: Arc<Vec<Message>>, per_second: f64) -> Self {
        let publisher = Arc::new(Publisher::connect(client_id, port));
        let (released, limit) = watch::channel(0);
        let task = publish(Arc::clone(&publisher), Arc::clone(&messages), limit, per_second);
        Self { publisher, released, task: tokio::spawn(task), messages }
    }

    /// Releases the messages whose number is lower.
    pub(crate) fn release(&self, number: usize) {
        let limit = self.messages.partition_point(|message| message.number < number);
        self.released.send_modify(|released| *released = limit.max(*released));
    }

    /// Waits until the broker has acknowledged every message that is released.
    ///
    /// # Errors
    /// Also if the publisher has sent fewer messages than the broker has acknowledged: then nothing
    /// is known about the others.
    pub(crate) async fn settle(&self, limit: Duration) -> anyhow::Result<()> {
        let released = *self.released.borrow() as u64;
        self.publisher.until_acknowledged(released, limit).await?;
        let sent = self.publisher.published();
        ensure!(
            sent >= released,
            "the publisher sent {sent} of {released} messages, and all are acknowledged"
        );
        Ok(())
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn publish(
    publisher: Arc<Publisher>,
    messages: Arc<Vec<Message>>,
    mut released: watch::Receiver<usize>,
    per_second: f64,
) {
    let mut started = Instant::now();
    let mut first = 0;
    for (number, message) in messages.iter().enumerate() {
        if *released.borrow() <= number {
            if released.wait_for(|&limit| limit > number).await.is_err() {
                return;
            }
            (started, first) = (Instant::now(), number);
        }
        let due = started + Duration::from_secs_f64((number - first) as f64 / per_second);
        if due > Instant::now() + SHORTEST_WAIT {
            tokio::time::sleep_until(due).await;
        }
        if publisher.try_publish(&message.topic, message.payload.as_slice()).await.is_err() {
            return;
        }
    }
}
