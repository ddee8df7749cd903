//! Publishes a scenario's readings over MQTT with quality of service 1, and counts only the
//! readings that the broker confirmed.
//!
//! - [`options`]: the parameters of a replay
//! - [`broker`]: the broker's address
//! - [`faults`]: deliberate duplicates, late readings and malformed messages, from the seed
//! - `payload`: encodes readings as JSON
//! - `feed`: turns the scenario into a sequence of messages
//! - `pace`: decides when a message may be sent
//! - `window`: the messages that were sent and are not yet confirmed
//! - `session`: the connection: sends, reads confirmations, reconnects and sends again
//! - [`progress`]: the counters of a running replay
//! - [`resume`]: remembers what an earlier run published
//! - [`summary`], [`error`]: how a replay ends
//!
//! The packets are those of `rumqttc`, but not the event loop. The loop of `rumqttc` forgets
//! unconfirmed messages when the broker has no session for them, and it writes to the socket once
//! per message. Here a message leaves the window only when it is confirmed. After a lost connection
//! the window is sent again, in order, before anything new. So the readings of a sensor reach the
//! broker in order and at least once. The engine counts a second copy as a duplicate.

pub mod broker;
pub mod error;
pub mod faults;
mod feed;
pub mod options;
mod pace;
mod payload;
pub mod progress;
pub mod resume;
mod session;
pub mod summary;
mod window;

use std::sync::Arc;

pub use broker::Broker;
pub use error::ReplayError;
pub use faults::Faults;
pub use options::{MaxLag, Rate, ReplayOptions};
pub use progress::Progress;
pub use resume::Resume;
use session::Session;
pub use summary::Summary;
use tokio::sync::watch;

use crate::scenario::Scenario;

/// A replay that has not started yet.
pub struct Replay {
    scenario: Arc<Scenario>,
    options: ReplayOptions,
    progress: Arc<Progress>,
}

impl Replay {
    /// Checks the options.
    pub fn new(scenario: Arc<Scenario>, options: ReplayOptions) -> Result<Self, ReplayError> {
        options.validate().map_err(ReplayError::BadOption)?;
        Ok(Self { scenario, options, progress: Arc::default() })
    }

    /// Returns the counters of the replay, for reading while it runs and after it.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Publishes until all frames are published or `stop` becomes true. Then waits a few seconds
    /// for the outstanding confirmations.
    ///
    /// Computing readings can keep a core busy. Give the replay a thread, or a worker of a
    /// multi-threaded runtime, that it does not share with urgent tasks.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<Summary, ReplayError> {
        Session::new(&self.scenario, self.options, self.progress)?.run(stop).await
    }
}
