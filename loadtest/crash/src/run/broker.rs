//! A broker that was killed may have forgotten messages that it acknowledged. Its own losses are
//! outside the promise, so the devices begin again: each sensor after the last of its messages that
//! is known to be stored.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::progress::Progress;
use super::state::CaseRun;
use crate::environment::Server;
use crate::traffic::Message;

/// How long nothing may change before the engine is taken for idle.
const IDLE: Duration = Duration::from_millis(400);
/// How often this is checked.
const INTERVAL: Duration = Duration::from_millis(50);

impl CaseRun<'_> {
    /// Restarts the killed broker and the devices. The engine must run.
    ///
    /// The old feeder must end first: its unacknowledged messages would arrive after a gap. The
    /// broker may have forgotten the engine's session, and keeps nothing for it until the engine is
    /// back; or the broker has an old state of its queue, which the engine processes before
    /// anything is published again. So the order of every sensor's readings is kept, and a reading
    /// that arrives twice is a duplicate.
    pub(super) async fn recover_broker(&mut self) -> anyhow::Result<()> {
        self.feeder = None;
        self.until_idle().await?;
        self.environment.restart(Server::Mosquitto)?;
        for (engine, _) in self.engines.values_mut() {
            engine.ready_or_killed(self.timeout).await?;
        }
        self.until_idle().await?;
        let messages = self.unproven().await?;
        self.feeder = Some(self.start_feeder(messages));
        Ok(())
    }

    /// Waits until the engine has committed everything that is in the logs.
    pub(super) async fn until_idle(&mut self) -> anyhow::Result<()> {
        let (redis, mut tables) = (self.redis().await?, self.tables().await?);
        let mut progress = Progress::within(self.timeout);
        let mut unchanged: Option<(Vec<_>, Instant)> = None;
        loop {
            let newest: Vec<_> = redis.logs().await?.into_iter().map(|log| log.newest).collect();
            let positions = tables.positions().await?;
            let is_committed = positions == newest;
            unchanged = match unchanged {
                Some((before, since)) if is_committed && before == newest => {
                    if since.elapsed() >= IDLE {
                        return Ok(());
                    }
                    Some((before, since))
                }
                _ => Some((newest, Instant::now())),
            };
            ensure!(!progress.has_ended(positions), "the engine does not commit what is in the logs");
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Returns the messages of each sensor after its last message with a stored reading.
    /// Messages keep their order on the way, so all messages before that one have arrived.
    async fn unproven(&mut self) -> anyhow::Result<Vec<Message>> {
        let stored = self.tables().await?.reading_times().await?;
        let traffic = self.traffic;
        let is_stored = |message: &Message| {
            let sensor = traffic.sensors[message.sensor].to_string();
            message.brings.iter().any(|&second| stored.contains(&(sensor.clone(), second)))
        };
        let mut first_unproven = vec![0; traffic.sensors.len()];
        for (number, message) in traffic.messages.iter().enumerate() {
            if is_stored(message) {
                first_unproven[message.sensor] = number + 1;
            }
        }
        let is_unproven = |(number, message): &(usize, &Message)| *number >= first_unproven[message.sensor];
        let unproven = traffic.messages.iter().enumerate().filter(is_unproven);
        Ok(unproven.map(|(_, message)| message.clone()).collect())
    }
}
