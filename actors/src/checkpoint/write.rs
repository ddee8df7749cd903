//! How a checkpoint is written, and which are being written.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::rc::Rc;

use chrono::Utc;
use thicket_protocol::checkpoint::worth;
use thicket_schema::SensorName;
use thicket_store::complaints;
use thicket_store::redis::{CheckpointStore, RedisError, is_out_of_memory, is_passing, memory_of};
use thicket_store::retry::Backoff;
use tokio::sync::Notify;

use super::budget::Budget;
use crate::messages::Save;
use crate::metrics::Metrics;

/// Tries to write a checkpoint while the node stops.
const LAST_TRIES: u32 = 3;

/// Writes one checkpoint.
pub(super) struct Write {
    pub(super) store: CheckpointStore,
    pub(super) budget: Rc<Budget>,
    pub(super) metrics: Metrics,
    pub(super) is_draining: Rc<Cell<bool>>,
}

impl Write {
    /// Writes a checkpoint. Drops it if it has no room: then the sensor is restored from an earlier
    /// checkpoint or from rows. Drops it too if Redis answers with an error. Waits for a Redis that
    /// is away, but not while the node stops.
    pub(super) async fn run(self, save: &Save) {
        let mut backoff = Backoff::default();
        let mut tries = 0;
        loop {
            let error = match self.try_once(save).await {
                Ok(true) => return,
                Ok(false) => return self.refuse(save, &"the checkpoints that are stored are worth more"),
                Err(error) if is_out_of_memory(&error) => {
                    return self.refuse(save, &"redis has no memory left");
                }
                // It would hold its credit without end.
                Err(error) if !is_passing(&error) => return self.refuse(save, &error),
                Err(error) => error,
            };
            tries += 1;
            if self.is_draining.get() && tries >= LAST_TRIES {
                return self.refuse(save, &error);
            }
            if let Some(repeated) = complaints::due("write a checkpoint", &error) {
                tracing::warn!(%error, sensor = %save.sensor, repeated, "cannot write the checkpoint; retrying");
            }
            backoff.wait().await;
        }
    }

    /// Returns whether there is room for the checkpoint.
    async fn try_once(&self, save: &Save) -> Result<bool, RedisError> {
        let Save { partition, sensor, checkpoint, pinned, .. } = save;
        let days = Utc::now().timestamp() as f64 / 86_400.0;
        let worth = if *pinned { f64::INFINITY } else { worth(checkpoint.seq, days) };
        if !self.budget.admits(memory_of(checkpoint.encoded_len(), sensor), worth).await? {
            return Ok(false);
        }
        let saved = self.store.save(*partition, sensor, checkpoint, worth).await?;
        self.budget.note(*partition, saved.partition_memory);
        self.metrics.checkpoints.inc();
        self.metrics.checkpoint_bytes.inc_by(saved.bytes as u64);
        Ok(true)
    }

    fn refuse(&self, save: &Save, why: &dyn Display) {
        self.metrics.checkpoints_refused.inc();
        if let Some(repeated) = complaints::due("refuse a checkpoint", &why) {
            tracing::warn!(%why, sensor = %save.sensor, repeated, "a checkpoint is not written; its detector will be restored from rows");
        }
    }
}

/// The sensors whose checkpoints are being written: a sensor can be in it twice.
#[derive(Default)]
pub(super) struct Writing {
    sensors: RefCell<Vec<SensorName>>,
    ended: Notify,
}

impl Writing {
    /// Begins to write a checkpoint of a sensor. The write has ended once the guard is dropped.
    pub(super) fn begin(self: &Rc<Self>, sensor: &SensorName) -> BeingWritten {
        self.sensors.borrow_mut().push(sensor.clone());
        BeingWritten { writing: Rc::clone(self), sensor: sensor.clone() }
    }

    /// Waits until no checkpoint of a sensor is being written.
    pub(super) async fn wait_for(&self, sensor: &SensorName) {
        loop {
            let ended = self.ended.notified();
            if !self.sensors.borrow().contains(sensor) {
                return;
            }
            ended.await;
        }
    }
}

/// A checkpoint that is being written. A write that a restart of the actor cuts short ends too.
pub(super) struct BeingWritten {
    writing: Rc<Writing>,
    sensor: SensorName,
}

impl Drop for BeingWritten {
    fn drop(&mut self) {
        let mut sensors = self.writing.sensors.borrow_mut();
        if let Some(place) = sensors.iter().position(|writing| *writing == self.sensor) {
            sensors.swap_remove(place);
        }
        self.writing.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_write_that_is_cut_short_has_ended() {
        let (writing, sensor) = (Rc::<Writing>::default(), SensorName::new("s").unwrap());
        let first = writing.begin(&sensor);
        let second = writing.begin(&sensor);
        let mut waiting = Box::pin(writing.wait_for(&sensor));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        drop(first);
        assert_eq!(waiting.as_mut().now_or_never(), None, "the other one is still being written");
        let cut_short = async move {
            let _writing = second;
            std::future::pending::<()>().await;
        };
        drop(cut_short);
        assert_eq!(waiting.now_or_never(), Some(()));
    }
}
