//! What the sessions of a node know of sensors, fields and days, and the limits on new ones. Read
//! from PostgreSQL when a session begins, and again and again: another node may have added some.
//!
//! A node that takes the subscriptions over reads the log too. Earlier holders have admitted the
//! sensors in it, and PostgreSQL does not have them yet: without the log, they would count as new
//! once more, and their next readings could be refused.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::Utc;
use prometheus::IntGauge;
use thicket_schema::{DeadLetter, FieldSet, Item, PartitionId, Position, Record, SensorName};
use thicket_store::complaints;
use thicket_store::postgres::{PostgresPool, StoreError, read_registry, read_renames};
use thicket_store::redis::{LogReader, RedisError, waiting_sensors};

use super::admission::{Admission, AdmissionLimits, Refusal, Stored};
use super::letter_rate::LetterRate;
use super::renames::Renames;

/// Time between two reads.
const INTERVAL: Duration = Duration::from_mins(5);
/// Time between two reads of the renamed sensors. A renamed sensor's readings wait for it.
const RENAMES_INTERVAL: Duration = Duration::from_secs(1);
/// How long a read may take. Messages wait for the first one.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the read of the log may take. It reads a full Redis in a few seconds.
const LOG_TIMEOUT: Duration = Duration::from_mins(2);

/// Why the log was not read.
#[derive(Debug, thiserror::Error)]
enum LogError {
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Slow,
}

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
    log: LogReader,
    partitions: u16,
    admission: RefCell<Admission>,
    letters: RefCell<LetterRate>,
    renames: RefCell<Renames>,
    /// The newest term of the lease of the subscriptions.
    term: Cell<u64>,
    /// The term in which the log was read.
    log_read: Cell<Option<u64>>,
    /// The term in which PostgreSQL was last read.
    loaded: Cell<Option<u64>>,
    /// Size of the names of all field sets.
    name_bytes: IntGauge,
}

impl Registry {
    pub(super) fn new(
        pool: PostgresPool,
        log: LogReader,
        partitions: u16,
        limits: IntakeLimits,
        name_bytes: IntGauge,
    ) -> Self {
        Self {
            pool,
            log,
            partitions,
            admission: RefCell::new(Admission::new(limits.admission)),
            letters: RefCell::new(LetterRate::new(limits.dead_letters_per_second)),
            renames: RefCell::default(),
            term: Cell::new(0),
            log_read: Cell::new(None),
            loaded: Cell::new(None),
            name_bytes,
        }
    }

    /// Reads the log and what is stored, unless both were read in this term of the lease of the
    /// subscriptions: before it, another node may have admitted sensors. Returns whether messages may be
    /// taken. If PostgreSQL does not answer, they go to the log, too, unless this process has never read
    /// it.
    ///
    /// The log must be closed to earlier holders of the subscriptions.
    pub(super) async fn ensure(&self, term: u64) -> bool {
        self.term.set(term);
        // What is committed and trimmed after the read of the log is stored by then.
        if self.log_read.get() != Some(term) {
            if !self.read_log().await {
                return false;
            }
            self.log_read.set(Some(term));
        }
        if self.loaded.get() != Some(term) {
            self.load().await;
        }
        self.loaded.get().is_some()
    }

    /// Admits the sensors of all readings in the log. Returns false if Redis does not answer. The
    /// log begins near the committed positions, so PostgreSQL is not asked for them.
    async fn read_log(&self) -> bool {
        let now = Utc::now().timestamp_micros();
        let note = |sensor: &SensorName, fields: &FieldSet| {
            self.admission.borrow_mut().note(sensor, fields, now);
        };
        let starts: Vec<_> = (0..self.partitions).map(|id| (PartitionId(id), Position::default())).collect();
        let reading = async { Ok(waiting_sensors(&self.log, &starts, note).await?) };
        let read = tokio::time::timeout(LOG_TIMEOUT, reading).await.unwrap_or(Err(LogError::Slow));
        if let Err(error) = &read
            && let Some(repeated) = complaints::due("read the sensors in the log", error)
        {
            tracing::warn!(%error, repeated, "cannot read which sensors are in the log; retrying");
        }
        read.is_ok()
    }

    async fn load(&self) {
        let term = self.term.get();
        let read = tokio::time::timeout(READ_TIMEOUT, read_registry(&self.pool)).await;
        match read.unwrap_or(Err(StoreError::Silent(READ_TIMEOUT))) {
            Ok(stored) => {
                self.renames.borrow_mut().replace(stored.renames);
                // The database has only valid names.
                let name = |(name, sets): (String, _)| Some((SensorName::new(&name).ok()?, sets));
                let sensors = stored.sensors.into_iter().filter_map(name).collect();
                let stored = Stored { sensors, field_sets: stored.field_sets, days: stored.days };
                let mut admission = self.admission.borrow_mut();
                admission.refresh(stored, Utc::now().timestamp_micros());
                self.name_bytes.set(admission.name_bytes() as i64);
                self.loaded.set(Some(term));
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
            // PostgreSQL may have been away when the term began.
            let is_outdated = self.loaded.get().is_some_and(|loaded| loaded != self.term.get());
            if is_outdated || last_read.elapsed() >= INTERVAL {
                self.load().await;
                last_read = Instant::now();
            } else if self.loaded.get().is_some() {
                self.load_renames().await;
            }
        }
    }

    async fn load_renames(&self) {
        match read_renames(&self.pool).await {
            Ok(renames) => self.renames.borrow_mut().replace(renames),
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
            // One that the broker delivers again is whole, so that the commit can recognise it. The
            // broker does so at most for the messages that it has in flight.
            if let Item::DeadLetter(letter) = &mut record.item
                && !record.redelivered
            {
                letters.apply(letter, record.received);
            }
        }
        self.name_bytes.set(admission.name_bytes() as i64);
    }
}
