//! The bounds of an exploration: the size of the world, its faults, and the rule that is broken on
//! purpose, if any.

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A message is acknowledged after its reading is in the log.
    AcknowledgeAfterAppend,
    /// An append is retried with the same sequence number.
    AppendOnce,
    /// An append names its generation, and Redis rejects an append of another generation.
    AppendsNameTheirGeneration,
    /// Entries that are missing before another entry are reported.
    LossesAreReported,
    /// Entries that were requested before the partition was reopened are dropped.
    RepliesAreCurrent,
    /// Rows and position commit in one transaction.
    PositionWithRows,
    /// Only the current epoch of a partition commits.
    EpochIsChecked,
    /// A checkpoint is written after the rows that it contains are durable.
    RowsBeforeCheckpoint,
    /// The log is trimmed up to the committed position.
    TrimAfterCommit,
}

impl Rule {
    /// Every rule, in the order that data flows.
    pub const ALL: [Self; 9] = [
        Self::AcknowledgeAfterAppend,
        Self::AppendOnce,
        Self::AppendsNameTheirGeneration,
        Self::LossesAreReported,
        Self::RepliesAreCurrent,
        Self::PositionWithRows,
        Self::EpochIsChecked,
        Self::RowsBeforeCheckpoint,
        Self::TrimAfterCommit,
    ];
}

/// How often each kind of fault may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// All kinds together.
    pub total: u8,
    /// A node crashes, and another process takes its place.
    pub crashes: u8,
    /// The queue writer restarts within its process.
    pub restarts: u8,
    /// The connection to the broker breaks. Either node may connect next.
    pub disconnects: u8,
    /// A lease expires while its holder continues.
    pub expiries: u8,
    /// The reply to an append is lost.
    pub lost_appends: u8,
    /// An append is given up as lost and arrives in Redis at any later time.
    pub late_appends: u8,
    /// The reply to the opening of a log is lost.
    pub lost_opens: u8,
    /// The reply to the claim of a partition is lost.
    pub lost_claims: u8,
    /// The reply to a commit is lost.
    pub lost_commits: u8,
    /// The database writer returns its batches uncommitted.
    pub refusals: u8,
    /// A detector is evicted from memory.
    pub evictions: u8,
    /// Redis forgets its latest writes to a log.
    pub losses: u8,
}

impl Faults {
    /// Returns the budget of a kind by its name, or `None` if there is no such kind.
    pub fn kind(&mut self, name: &str) -> Option<&mut u8> {
        Some(match name {
            "crashes" => &mut self.crashes,
            "restarts" => &mut self.restarts,
            "disconnects" => &mut self.disconnects,
            "expiries" => &mut self.expiries,
            "lost-appends" => &mut self.lost_appends,
            "late-appends" => &mut self.late_appends,
            "lost-opens" => &mut self.lost_opens,
            "lost-claims" => &mut self.lost_claims,
            "lost-commits" => &mut self.lost_commits,
            "refusals" => &mut self.refusals,
            "evictions" => &mut self.evictions,
            "losses" => &mut self.losses,
            _ => return None,
        })
    }
}

/// Bounds of an exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Number of published readings, at most 7. They go to the partitions in turn.
    pub readings: u8,
    /// Number of partitions.
    pub partitions: usize,
    /// How often each kind of fault may happen.
    pub faults: Faults,
    /// Whether node 0 always holds the subscription, and so writes every log.
    pub writer_stays: bool,
    /// The rule that is broken, if any.
    pub broken: Option<Rule>,
}

impl Setting {
    /// Creates a setting with faults of every kind except a loss, at most `total` together.
    pub fn new(readings: u8, partitions: usize, total: u8) -> Self {
        let faults = Faults {
            total,
            crashes: 2,
            restarts: 1,
            disconnects: 1,
            expiries: 2,
            lost_appends: 1,
            late_appends: 1,
            lost_opens: 1,
            lost_claims: 1,
            lost_commits: 1,
            refusals: 1,
            evictions: 1,
            losses: 0,
        };
        Self { readings, partitions, faults, writer_stays: false, broken: None }
    }

    /// Creates a setting in which Redis once loses entries that it acknowledged. The process that
    /// writes the logs stays: if it is gone too, nobody can notice the loss.
    pub fn lossy(readings: u8, partitions: usize, total: u8) -> Self {
        let mut setting = Self::new(readings, partitions, total);
        setting.faults.losses = 1;
        setting.writer_stays = true;
        setting.faults.crashes = 0;
        setting.faults.restarts = 0;
        setting
    }

    /// Restricts the faults to some kinds, each with its budget. The total stays.
    ///
    /// # Panics
    ///
    /// If a kind does not exist.
    #[must_use]
    pub fn only(mut self, kinds: &[(&str, u8)]) -> Self {
        self.faults = Faults { total: self.faults.total, ..Faults::default() };
        for (name, most) in kinds {
            let kind = self.faults.kind(name);
            *kind.unwrap_or_else(|| panic!("there is no kind of fault named {name}")) = *most;
        }
        self
    }

    /// Breaks a rule.
    #[must_use]
    pub fn breaking(mut self, rule: Rule) -> Self {
        self.broken = Some(rule);
        self
    }

    /// Whether a rule is kept.
    pub fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    /// Whether Redis may lose entries that it acknowledged.
    pub fn is_lossy(&self) -> bool {
        self.faults.losses > 0
    }
}
