//! A case: the actions on engines and servers while messages are published, and the conditions at
//! the end beside the same rows.

use std::time::Duration;

use crate::environment::Server;
use crate::settings::Settings;
use crate::traffic::Shape;

/// Readings of each sensor: enough for two checkpoints, and for one more after the disturbance.
pub const STEPS: usize = 900;
/// The traffic of most cases.
pub const PLAIN: Shape = Shape { steps: STEPS, poison: false, twins: false };
/// Messages a second: the traffic lasts long enough for a trim, which happens once a second.
pub const RATE: f64 = 3_000.0;

/// One of two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The only node of most cases.
    A,
    /// The node that takes over from A, or shares the partitions with it.
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

/// A fail point, and the pass at which it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One of `thicket_store::faults::FAIL_POINTS`.
    pub place: &'static str,
    /// The number of the pass, from 1.
    pub count: u64,
}

/// One step of a case. If a step waits for an event that does not happen, the case ends with a
/// complaint.
#[derive(Clone, Debug)]
pub enum Action {
    /// Starts an engine and waits until it is ready or a fault has killed it.
    Start(Node, Vec<Fault>),
    /// Gives these settings to the engines that are started from here on.
    Set(Settings),
    /// Releases this part of the traffic, from its beginning, without waiting.
    Release(f64),
    /// Waits until the broker has acknowledged everything that is released.
    Settle,
    /// Waits until this part of the scored readings is stored.
    UntilStored(f64),
    /// Waits until everything in the logs is committed and no entry is appended.
    UntilIdle,
    /// Waits until the engine is killed by its faults.
    UntilKilled(Node),
    /// Waits this long for the engine's faults to kill it, then kills it.
    KillAfter(Node, Duration),
    /// Waits until the engine has logged that a fault which does not kill it has fired.
    UntilReplyLost(Node),
    /// Sends SIGKILL.
    Kill(Node),
    /// Sends SIGTERM; the engine must end with success.
    Stop(Node),
    /// Sends SIGSTOP.
    Freeze(Node),
    /// Sends SIGCONT.
    Thaw(Node),
    /// Waits until the engine owns every partition.
    UntilOwner(Node),
    /// Waits until both engines own their shares of the partitions.
    UntilShared,
    /// Waits until the engine has ended by itself, with any status.
    UntilEnded(Node),
    /// Waits until a commit of the engine is fenced.
    UntilFenced(Node),
    /// Makes the receiver of notifications answer with this status; 200 ends it.
    Refuse(u16),
    /// Waits until the receiver of notifications has refused this many attempts.
    UntilRefused(usize),
    /// Writes another `[detector]` section to the engine's file and sends SIGHUP.
    Reconfigure(Node),
    /// Deletes the leases of all partitions and the heartbeats of all nodes from Redis, as if they had
    /// expired.
    DropLeases,
    /// Keeps every detector from being restored until [`Action::UnblockRestores`], so that a
    /// takeover is slow.
    BlockRestores,
    /// Ends [`Action::BlockRestores`].
    UnblockRestores,
    /// Makes commits wait again and again, until the end.
    SlowCommits,
    /// Kills a server, waits, starts it again.
    Outage(Server, Duration),
    /// Makes the disk of a server full. Needs [`Setting::SmallDisks`].
    FillDisk(Server),
    /// Ends [`Action::FillDisk`], and starts the server again if it has ended meanwhile.
    FreeDisk(Server),
    /// Makes PostgreSQL write WAL until it ends, because its disk is full.
    ExhaustWal,
    /// Makes the way to the remote server swallow every packet. Needs [`Setting::Remote`].
    Swallow,
    /// Ends [`Action::Swallow`]. Connections that are not given up yet go on.
    Heal,
    /// Replaces the host of the remote server by one that knows no connection of before.
    ReplaceHost,
    /// Limits the memory of Redis, such as to `1mb`; `0` ends the limit.
    LimitRedis(&'static str),
    /// Locks all tables of readings until [`Action::UnlockReadings`], as a careless administrator
    /// may.
    LockReadings,
    /// Ends [`Action::LockReadings`].
    UnlockReadings,
    /// Makes the wall clocks of all engines wrong by these seconds. Needs [`Setting::WrongClock`].
    Clock(i64),
    /// Leaves an engine no more memory than it has.
    LimitMemory(Node),
    /// Makes the engines that are started from here on those of this build.
    Build(Build),
    /// Waits until `/readyz` of an engine answers with this status, and with a text that contains
    /// the part.
    UntilReadyz(Node, u16, &'static str),
    /// Waits until an engine has logged a text that the case itself has caused.
    UntilLogged(Node, &'static str),
    /// Waits until an engine is ready and commits readings again, and notes how long that takes.
    /// Only after an action that ends a disturbance.
    UntilRecovered(Node),
    /// Waits.
    Pause(Duration),
}

/// Which build an engine is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Build {
    /// The build under test.
    #[default]
    Present,
    /// One with a later version of the detection algorithm.
    Later,
}

/// What a case needs beside its servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setting {
    /// Nothing.
    #[default]
    Plain,
    /// Servers of its own, on disks that can be filled.
    SmallDisks {
        /// Whether the WAL of PostgreSQL is on the disk, too.
        with_wal: bool,
    },
    /// One server is on a host of its own.
    Remote(Server),
    /// The engines have a wall clock that can be set.
    WrongClock,
}

/// The actions of a case, and the conditions that must hold at its end.
#[derive(Clone, Debug)]
pub struct Case {
    /// Unique, and fit for a file name.
    pub name: String,
    /// The traffic that is published.
    pub shape: Shape,
    /// The actions. After them, an engine without faults processes everything that is left.
    pub actions: Vec<Action>,
    /// A rule that every engine of the case breaks.
    pub broken: Option<&'static str>,
    /// What it needs beside its servers.
    pub setting: Setting,
    /// Additional environment variables of the engines.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Whether its engines send notifications.
    pub notified: bool,
    /// Whether no message is delivered twice: the ledger must count exactly what was published.
    pub exact: bool,
    /// Whether the broker may repeat a message as a new one: dead letters are compared as a set.
    pub dead_letters_may_repeat: bool,
}

impl Case {
    /// Returns a case without actions.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shape: PLAIN,
            actions: Vec::new(),
            broken: None,
            setting: Setting::Plain,
            environment: Vec::new(),
            notified: false,
            exact: false,
            dead_letters_may_repeat: false,
        }
    }

    /// Appends actions.
    #[must_use]
    pub fn then(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions.extend(actions);
        self
    }

    /// Makes every engine break a rule.
    #[must_use]
    pub fn breaking(mut self, rule: &'static str) -> Self {
        self.broken = Some(rule);
        self
    }

    /// Makes its fail points fire at a quarter of their counts. An even count stays even.
    #[must_use]
    pub(crate) fn sooner(mut self) -> Self {
        for action in &mut self.actions {
            if let Action::Start(_, faults) = action {
                for Fault { count, .. } in faults {
                    *count = if *count % 2 == 0 { (*count / 8 * 2).max(2) } else { (*count / 4).max(1) };
                }
            }
        }
        self
    }

    /// Declares that no message is delivered twice.
    #[must_use]
    pub fn exactly(mut self) -> Self {
        self.exact = true;
        self
    }
}
