//! A broker that was killed may have forgotten what it acknowledged. Its own losses are outside the promise, so the devices begin
//! again: each sensor from behind the last of its messages that is proven to be in the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Play, publisher_name};
use crate::case::RATE;
use crate::publisher::Publisher;
use crate::stage::Server;
use crate::traffic::Message;

/// How long nothing may move before it is taken for settled.
const STILL: Duration = Duration::from_millis(400);

impl Play<'_> {
    /// The broker is dead; brings it back, and the devices with it. The engine must live.
    ///
    /// The old publisher must go: what it has in flight would come behind a hole. The broker may have forgotten the session, and
    /// keeps nothing for it until the engine is back; or it has an old state of its queue, which is dealt with before
    /// anything is published again. So every sensor's order is kept, and what comes twice is a duplicate.
    pub(super) async fn outage_of_broker(&mut self) -> anyhow::Result<()> {
        let nothing = Publisher::start("nobody", self.stage.broker_port(), Arc::default(), RATE);
        drop(std::mem::replace(&mut self.publisher, nothing));
        self.until_still().await?;
        self.stage.restart(Server::Mosquitto)?;
        for (engine, _) in self.engines.values_mut() {
            engine.ready(self.patience).await?;
        }
        self.until_still().await?;
        let messages = Arc::new(self.unproven().await?);
        let name = publisher_name(self.ground, self.publishers);
        self.publishers += 1;
        self.publisher = Publisher::start(&name, self.stage.broker_port(), messages, RATE);
        self.publisher.let_through(self.flowing);
        Ok(())
    }

    /// Waits until the engine has committed whatever it got.
    pub(super) async fn until_still(&mut self) -> anyhow::Result<()> {
        let (queue, mut tables) = (self.queue().await?, self.tables().await?);
        let started = Instant::now();
        let mut still_since: Option<(Vec<_>, Instant)> = None;
        loop {
            let newest: Vec<_> = queue.logs().await?.into_iter().map(|log| log.newest).collect();
            let committed = tables.positions().await? == newest;
            still_since = match still_since {
                Some((before, since)) if committed && before == newest => {
                    if since.elapsed() >= STILL {
                        return Ok(());
                    }
                    Some((before, since))
                }
                _ => Some((newest, Instant::now())),
            };
            ensure!(started.elapsed() < self.patience, "the engine does not commit what it has got");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The messages of each sensor behind the last of which a reading is stored. Order is kept on the way, so all before it came.
    async fn unproven(&mut self) -> anyhow::Result<Vec<Message>> {
        let stored = self.tables().await?.brought().await?;
        let traffic = self.traffic;
        let is_stored = |message: &Message| {
            let sensor = traffic.sensors[message.sensor].to_string();
            message.brings.iter().any(|&second| stored.contains(&(sensor.clone(), second)))
        };
        let mut proven = vec![0; traffic.sensors.len()];
        for (number, message) in traffic.messages.iter().enumerate() {
            if is_stored(message) {
                proven[message.sensor] = number + 1;
            }
        }
        let rest = traffic.messages.iter().enumerate();
        Ok(rest
            .filter(|(n, message)| *n >= proven[message.sensor])
            .map(|(_, message)| message.clone())
            .collect())
    }
}
