//! Why a node ends. Failure is a value that travels to the one place that ends the process.

use tokio::sync::mpsc;

/// Why the node cannot or need not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// An actor panicked more often than its restart intensity allows. The orchestrator starts the node anew.
    ActorGaveUp {
        /// The actor's name.
        actor: &'static str,
    },
    /// Another node holds what this one believed to hold, in a way that a restart resolves.
    Fenced {
        /// What was lost.
        what: String,
    },
}

impl std::fmt::Display for ExitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ActorGaveUp { actor } => {
                write!(f, "actor {actor} panicked more often than its restart intensity allows")
            }
            Self::Fenced { what } => write!(f, "another node took over {what}"),
        }
    }
}

/// Where actors report that the node must end. Cloned into every supervised actor; the engine holds the receiver.
#[derive(Clone, Debug)]
pub struct ExitSignal {
    sender: mpsc::UnboundedSender<ExitReason>,
}

impl ExitSignal {
    /// A signal and the receiver that the engine waits on.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<ExitReason>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, receiver)
    }

    /// Asks the engine to end the node.
    pub fn raise(&self, reason: ExitReason) {
        if self.sender.send(reason).is_err() {
            tracing::debug!("the node is ending already");
        }
    }
}
