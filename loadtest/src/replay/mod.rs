//! Publishes a scenario's readings over MQTT with quality of service 1, and counts only what the broker confirmed.
//!
//! - [`options`]: where to, how fast, how many
//! - [`broker`]: the broker's address
//! - [`faults`]: duplicates, late readings and nonsense, on purpose and from the seed
//! - `payload`: a reading as JSON
//! - `feed`: the scenario as a sequence of messages
//! - `pace`: when a message may go
//! - `window`: what is on its way: sent, not yet confirmed
//! - `session`: the connection: sends, reads confirmations, reconnects and sends again
//! - [`progress`]: what others may watch
//!
//! The packets are those of `rumqttc`, the loop is not: its own forgets unconfirmed messages when the broker has no session
//! for them, and writes to the socket once per message. Here a message leaves the window only when it is confirmed, and
//! after a lost connection the window is sent again, in order, before anything new. So readings of a sensor reach the broker
//! in order, at least once; a second copy is what the engine counts as a duplicate.

pub mod broker;
pub mod faults;
mod feed;
pub mod options;
mod pace;
mod payload;
pub mod progress;
mod session;
mod window;

use std::{io, sync::Arc};

pub use broker::Broker;
pub use faults::Faults;
pub use options::{MaxLag, Rate, ReplayOptions};
pub use progress::Progress;
use tokio::sync::watch;

use crate::{ledger::LedgerError, scenario::Scenario};

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Options that make no sense.
    #[error("{0}")]
    BadOption(String),
    /// The broker did not answer for too long at the start. (Later it is waited for without end.)
    #[error(
        "cannot reach the MQTT broker at {broker}: {source}; is it running? start one with: mosquitto -p {port}, or all \
         servers with: make demo"
    )]
    Unreachable {
        /// Where it should be.
        broker: String,
        /// Its port.
        port: u16,
        /// The last failure.
        source: io::Error,
    },
    /// The broker answered, but does not want this client.
    #[error(
        "the MQTT broker at {broker} refuses the connection: {reason}; check user and password in --mqtt"
    )]
    Refused {
        /// Where it is.
        broker: String,
        /// What it said.
        reason: String,
    },
    /// What was published cannot be written down.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// How a replay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Readings that the broker confirmed, those published twice on purpose counted twice.
    pub published: u64,
    /// Messages without meaning that the broker confirmed.
    pub malformed: u64,
    /// Events all of whose readings were published.
    pub events: u64,
    /// Messages that were sent but not confirmed when the replay was stopped; they may or may not have arrived.
    pub unconfirmed: usize,
}

/// A replay, ready to run.
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

    /// What the replay has done so far; stays valid while it runs and after it.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Publishes until the scenario's part is done or `stop` becomes true; then waits a few seconds for what is on its way
    /// to be confirmed.
    ///
    /// Making readings keeps a core busy when the pace allows it: give the replay a thread, or a worker of a multi-threaded
    /// runtime, that nothing urgent shares.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<Summary, ReplayError> {
        session::Session::new(&self.scenario, self.options, self.progress)?.run(stop).await
    }
}
