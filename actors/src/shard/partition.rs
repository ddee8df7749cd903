//! A partition as its shard sees it: how far it is read, and how far committed.

use std::sync::Arc;

use thicket_schema::Position;

use super::caution::PoisonSearch;
use crate::detector::DetectorConfigs;
use crate::messages::Assign;
use thicket_store::postgres::QuarantineList;
use thicket_protocol::progress::Progress;

/// The place of a partition in its log.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// How far it is read and committed, and under which epoch.
    pub(super) progress: Progress,
    /// How its sensors are configured after what is read.
    pub(super) detectors: Arc<DetectorConfigs>,
    /// When the newest committed record arrived, in µs since the Unix epoch.
    pub(super) committed_received: i64,
    /// Readings that are to be skipped.
    pub(super) verdicts: Arc<QuarantineList>,
    pub(super) readiness: Readiness,
}

/// Whether a partition may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Its last owner may have died of it, and what that owner left word of is not known yet.
    Asking,
    /// Yes, with caution where there is something to suspect.
    Ready(Option<PoisonSearch>),
}

impl Partition {
    /// A partition of which nothing is in flight.
    pub(super) fn new(assign: &Assign, detectors: Arc<DetectorConfigs>) -> Self {
        let Assign { epoch, position, .. } = *assign;
        Self {
            progress: Progress::new(epoch, position),
            detectors,
            committed_received: 0,
            verdicts: Arc::clone(&assign.verdicts),
            readiness: if assign.clean_shutdown { Readiness::Ready(None) } else { Readiness::Asking },
        }
    }

    /// What there is to suspect.
    pub(super) const fn caution(&self) -> Option<PoisonSearch> {
        match self.readiness {
            Readiness::Ready(caution) => caution,
            Readiness::Asking => None,
        }
    }

    /// Takes note of a commit; false if it belongs to an earlier ownership of the partition.
    pub(super) fn on_committed(&mut self, epoch: i64, to: Position, received: i64) -> bool {
        let current = self.progress.on_committed(epoch, to);
        if current {
            self.committed_received = received;
        }
        current
    }
}
