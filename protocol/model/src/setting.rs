//! How large the world is, how much may go wrong in it, and which rule is broken to see whether anybody notices.

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A message is acknowledged after its reading is in the log.
    AcknowledgeAfterAppend,
    /// An append is tried again under the same number.
    AppendOnce,
    /// An append says which generation it belongs to, and Redis refuses one of another.
    AppendsNameTheirGeneration,
    /// What is missing before an entry is reported.
    LossesAreReported,
    /// Entries that were asked for before the partition was reopened are thrown away.
    AnswersAreCurrent,
    /// Rows and position commit in one transaction.
    PositionWithRows,
    /// Only the partition's current epoch commits.
    EpochIsChecked,
    /// A checkpoint is written after the rows that it knows are durable.
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
        Self::AnswersAreCurrent,
        Self::PositionWithRows,
        Self::EpochIsChecked,
        Self::RowsBeforeCheckpoint,
        Self::TrimAfterCommit,
    ];
}

/// How often each thing may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// All of it together.
    pub in_all: u8,
    /// A node dies, and another process takes its place.
    pub crashes: u8,
    /// The writer of the log starts anew within its process.
    pub restarts: u8,
    /// The connection to the broker breaks, or the other node takes the subscription over.
    pub disconnects: u8,
    /// A lease runs out though its holder lives.
    pub expiries: u8,
    /// The reply to an append is lost.
    pub lost_appends: u8,
    /// An append is given up for lost and reaches Redis later, whenever it likes.
    pub late_appends: u8,
    /// The reply to the taking over of a log is lost.
    pub lost_opens: u8,
    /// The reply to the claiming of a partition is lost.
    pub lost_claims: u8,
    /// The reply to a commit is lost.
    pub lost_commits: u8,
    /// The writer to the tables hands back what it has not committed.
    pub refusals: u8,
    /// A detector leaves memory.
    pub retirements: u8,
    /// Redis forgets its latest writes to a log.
    pub losses: u8,
}

impl Faults {
    /// The budget of a kind, by its name.
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
            "retirements" => &mut self.retirements,
            "losses" => &mut self.losses,
            _ => return None,
        })
    }
}

/// Bounds of an exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Readings that are published, at most 7: they take turns through the partitions.
    pub readings: u8,
    /// Partitions.
    pub partitions: usize,
    /// What may go wrong.
    pub faults: Faults,
    /// Whether the process that writes the log lives on, and keeps the subscription.
    pub writer_stays: bool,
    /// A rule that is not kept.
    pub broken: Option<Rule>,
}

impl Setting {
    /// One fault of every kind but a loss, so many of them in all.
    pub fn new(readings: u8, partitions: usize, in_all: u8) -> Self {
        let faults = Faults {
            in_all,
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
            retirements: 1,
            losses: 0,
        };
        Self { readings, partitions, faults, writer_stays: false, broken: None }
    }

    /// The same where Redis loses what it acknowledged, once. The process that writes the log lives on: what is lost together with the only one
    /// who knew of it cannot be noticed.
    pub fn lossy(readings: u8, partitions: usize, in_all: u8) -> Self {
        let mut setting = Self::new(readings, partitions, in_all);
        setting.faults.losses = 1;
        setting.writer_stays = true;
        setting.faults.crashes = 0;
        setting.faults.restarts = 0;
        setting
    }

    /// The same with faults of these kinds only, each so often.
    ///
    /// # Panics
    ///
    /// If there is no such kind.
    #[must_use]
    pub fn only(mut self, kinds: &[(&str, u8)]) -> Self {
        self.faults = Faults { in_all: self.faults.in_all, ..Faults::default() };
        for (name, most) in kinds {
            let kind = self.faults.kind(name);
            *kind.unwrap_or_else(|| panic!("there is no kind of faults {name}")) = *most;
        }
        self
    }

    /// The same with a rule broken.
    #[must_use]
    pub fn breaking(mut self, rule: Rule) -> Self {
        self.broken = Some(rule);
        self
    }

    /// Whether a rule is kept.
    pub fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    /// Whether Redis may lose what it acknowledged.
    pub fn is_lossy(&self) -> bool {
        self.faults.losses > 0
    }
}
