//! Why a node ends. The reason is a value, and the engine receives it at one place.

use tokio::sync::mpsc;

/// Why the node must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// An actor panicked more often than its restart intensity allows. The orchestrator starts the
    /// node again.
    ActorGaveUp {
        /// The actor's name.
        actor: &'static str,
    },
    /// Another node has taken over something that this node held. A restart resolves it.
    Fenced {
        /// The name of the resource that was taken over.
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

/// Reports to the engine that the node must end. Every supervised actor has a clone; the engine has
/// the receiver.
#[derive(Clone, Debug)]
pub struct ExitSignal {
    sender: mpsc::UnboundedSender<ExitReason>,
}

impl ExitSignal {
    /// Creates a signal, and the receiver that the engine waits on.
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
