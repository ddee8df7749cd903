//! What the sessions of a node know of sensors, fields and days, and the limits on new ones. Read
//! from PostgreSQL when a session begins, and again and again: another node may have added some.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::Utc;
use thicket_schema::{DeadLetter, Item, PartitionId, Record, SensorName};
use thicket_store::complaints;
use thicket_store::postgres::{PostgresPool, StoreError, read_registry, read_renames};

use super::admission::{Admission, AdmissionLimits, Refusal, Stored};
use super::letter_rate::LetterRate;
use super::renames::Renames;

/// Time between two reads.
const INTERVAL: Duration = Duration::from_mins(5);
/// Time between two reads of the renamed sensors. A renamed sensor's readings wait for it.
const RENAMES_INTERVAL: Duration = Duration::from_secs(1);
/// How long a read may take. Messages wait for the first one.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The limits at intake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeLimits {
    /// How many sensors there may be, and of how many shapes.
    pub admission: AdmissionLimits,
    /// Dead letters of one reason per second that get a row of their own.
    pub dead_letters_per_second: u32,
}

/// The limits at intake, with what is known.
pub(super) struct Registry {
    pool: PostgresPool,
    admission: RefCell<Admission>,
    letters: RefCell<LetterRate>,
    renames: RefCell<Renames>,
    is_loaded: Cell<bool>,
}

impl Registry {
    pub(super) fn new(pool: PostgresPool, limits: IntakeLimits) -> Self {
        Self {
            pool,
            admission: RefCell::new(Admission::new(limits.admission)),
            letters: RefCell::new(LetterRate::new(limits.dead_letters_per_second)),
            renames: RefCell::default(),
            is_loaded: Cell::new(false),
        }
    }

    /// Reads what is stored, unless it was read before and `is_outdated` is not set. Returns
    /// whether it has been read, now or before: without PostgreSQL, messages go to the log, too.
    pub(super) async fn ensure(&self, is_outdated: bool) -> bool {
        if is_outdated || !self.is_loaded.get() {
            self.load().await;
        }
        self.is_loaded.get()
    }

    async fn load(&self) {
        let read = tokio::time::timeout(READ_TIMEOUT, read_registry(&self.pool)).await;
        match read.unwrap_or(Err(StoreError::Silent(READ_TIMEOUT))) {
            Ok(stored) => {
                self.renames.replace(Renames::new(&stored.renames));
                // The database has only valid names.
                let name = |(name, sets): (String, _)| Some((SensorName::new(&name).ok()?, sets));
                let sensors = stored.sensors.into_iter().filter_map(name).collect();
                let stored = Stored { sensors, field_sets: stored.field_sets, days: stored.days };
                self.admission.borrow_mut().refresh(stored, Utc::now().timestamp_micros());
                self.is_loaded.set(true);
            }
            Err(error) => {
                if let Some(repeated) = complaints::due("read the sensors", &error) {
                    tracing::warn!(%error, repeated, "cannot read which sensors there are; retrying");
                }
            }
        }
    }

    /// Reads what is stored from time to time. Never returns.
    pub(super) async fn run(self: Rc<Self>) {
        let mut last_read = Instant::now();
        loop {
            tokio::time::sleep(RENAMES_INTERVAL).await;
            if last_read.elapsed() >= INTERVAL {
                self.load().await;
                last_read = Instant::now();
            } else if self.is_loaded.get() {
                self.load_renames().await;
            }
        }
    }

    async fn load_renames(&self) {
        match read_renames(&self.pool).await {
            Ok(renames) => drop(self.renames.replace(Renames::new(&renames))),
            Err(error) => {
                if let Some(repeated) = complaints::due("read the renamed sensors", &error) {
                    tracing::warn!(%error, repeated, "cannot read which sensors were renamed; retrying");
                }
            }
        }
    }

    /// Gives the readings the names of their sensors in the log. Replaces the readings that are
    /// refused by dead letters, and bounds the dead letters.
    pub(super) fn limit(&self, records: &mut [(PartitionId, Record)]) {
        let (mut admission, mut letters) = (self.admission.borrow_mut(), self.letters.borrow_mut());
        let renames = self.renames.borrow();
        for (partition, record) in records {
            renames.apply(partition, record);
            if let Item::Reading(reading) = &record.item
                && let Err(Refusal { reason, detail }) = admission.admit(reading, record.received)
            {
                record.item = Item::DeadLetter(DeadLetter::of_reading(reading, reason, &detail));
            }
            if let Item::DeadLetter(letter) = &mut record.item {
                letters.apply(letter, record.received);
            }
        }
    }
}
