//! A case: what is done to engines and servers while the traffic flows, and what is asked of it beyond the same rows.

use std::time::Duration;

use crate::settings::Settings;
use crate::stage::Server;
use crate::traffic::Shape;

/// Readings of each sensor: beyond two checkpoints, and beyond a last one after whatever disturbed.
pub const STEPS: usize = 900;
/// What most cases publish.
pub const PLAIN: Shape = Shape { steps: STEPS, poison: false, twins: false };
/// Messages a second: the traffic lasts long enough for a trim, which comes once a second.
pub const RATE: f64 = 3_000.0;

/// Which of two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The one that most cases have alone.
    A,
    /// The one that takes over.
    B,
}

impl Node {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// A place, and when it is reached for so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One of `thicket_actors::faults::PLACES`.
    pub place: &'static str,
    /// From 1.
    pub count: u64,
}

/// One step of a case.
#[derive(Clone, Debug)]
pub enum Act {
    /// Starts an engine and waits until it is ready or has died of its faults.
    Start(Node, Vec<Fault>),
    /// The engines started from here on have these settings.
    Set(Settings),
    /// Lets this part of the traffic through, without waiting.
    Flow(f64),
    /// Waits until the broker has taken all that was let through.
    Settle,
    /// Waits until this part of the scored readings is stored.
    Stored(f64),
    /// Waits until everything in the logs is committed, and nothing comes.
    Rests,
    /// The engine must die of its faults.
    Dies(Node),
    /// The engine dies of its faults within this time, or is killed.
    DiesOrIsKilled(Node, Duration),
    /// The engine must meet faults that do not end it.
    Meets(Node, &'static str),
    /// SIGKILL.
    Kill(Node),
    /// SIGTERM; it must end well.
    Stop(Node),
    /// SIGSTOP.
    Freeze(Node),
    /// SIGCONT.
    Thaw(Node),
    /// Waits until the engine owns every partition.
    Owns(Node),
    /// Waits until the engine has ended by itself, however.
    Leaves(Node),
    /// The engine must be refused a commit.
    Refused(Node),
    /// Gives the engine's file another `[detector]` section and tells it (SIGHUP).
    Reconfigure(Node),
    /// Partition leases vanish from Redis, as if they had run out.
    DropLeases,
    /// Detectors cannot read their past until [`Act::OpenPast`]: whoever takes over is slow.
    ClosePast,
    /// Ends [`Act::ClosePast`].
    OpenPast,
    /// Whoever commits has to wait now and then, until the end.
    SlowCommits,
    /// Kills a server, waits, starts it again.
    Outage(Server, Duration),
    /// Nothing.
    Pause(Duration),
}

/// What is done, and what is asked.
#[derive(Clone, Debug)]
pub struct Case {
    /// Unique, and fit for a file name.
    pub name: String,
    /// What is published.
    pub shape: Shape,
    /// What is done; in the end an engine without faults accounts for everything.
    pub acts: Vec<Act>,
    /// Rules that every engine of the case breaks.
    pub broken: Option<&'static str>,
    /// What else the engines find in their environment.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Nothing was delivered twice: the ledger must say exactly what was published.
    pub exact: bool,
    /// The broker may forget: dead letters are compared as a set.
    pub letters_may_repeat: bool,
}

impl Case {
    /// A case without acts.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shape: PLAIN,
            acts: Vec::new(),
            broken: None,
            environment: Vec::new(),
            exact: false,
            letters_may_repeat: false,
        }
    }

    /// Does this, too.
    #[must_use]
    pub fn then(mut self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.acts.extend(acts);
        self
    }

    /// With engines that break a rule.
    #[must_use]
    pub fn breaking(mut self, rule: &'static str) -> Self {
        self.broken = Some(rule);
        self
    }

    /// Its fail points fire at a quarter of their counts; an even count stays even.
    #[must_use]
    pub(crate) fn sooner(mut self) -> Self {
        for act in &mut self.acts {
            if let Act::Start(_, faults) = act {
                for Fault { count, .. } in faults {
                    *count = if *count % 2 == 0 { (*count / 8 * 2).max(2) } else { (*count / 4).max(1) };
                }
            }
        }
        self
    }

    /// Nothing may be delivered twice.
    #[must_use]
    pub fn exactly(mut self) -> Self {
        self.exact = true;
        self
    }
}
