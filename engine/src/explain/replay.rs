//! Restores a detector to its state before a reading. It is restored as the engine does it, but
//! page by page, so that a long history needs no more memory than a short one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use thicket_actors::checkpoint::REBUILD_PER_POINT;
use thicket_actors::detector::{RestoreFacts, restore};
use thicket_actors::messages::History;
use thicket_detector::{Detector, NamedConfig};
use thicket_schema::postgres::SensorRow;
use thicket_schema::{Checkpoint, Keys, PartitionId, SensorId, SensorName, Timestamp};
use thicket_store::postgres::{
    Applied, DetectorReset, PostgresPool, StoredReading, applied_labels, newest_of_others, newest_reset,
    page_of_rows, rows_up_to, stored_configs,
};
use thicket_store::redis::{CheckpointStore, try_connect_redis};

use super::stored::StoredDetection;
use crate::config::Config;
use crate::time_arg;

/// Rows per query.
const PAGE: usize = 20_000;
/// How long Redis may take. Without the checkpoint, the rows suffice.
const REDIS_TIMEOUT: Duration = Duration::from_secs(5);

/// The sources of a restored detector.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Replayed {
    /// Seq of the checkpoint that the restore started from; `None` if it started from rows.
    pub(super) checkpoint: Option<u64>,
    /// Rows that were scored again.
    pub(super) rows: u64,
    /// Number of these rows whose score differs from the stored score.
    pub(super) mismatches: u64,
    /// Seq of the oldest row, if there is no checkpoint. If it is not 1, older rows are no longer
    /// stored.
    pub(super) oldest_seq: Option<u64>,
}

/// Returns the detector in its state before a stored reading, and the configuration of the reading.
pub(super) async fn state_before(
    config: &Config,
    pool: &PostgresPool,
    sensor: &SensorRow,
    reading: &StoredDetection,
) -> anyhow::Result<(Detector, Arc<NamedConfig>, Replayed)> {
    let name = SensorName::new(sensor.first_name())?;
    let configs = stored_configs(pool).await?;
    let target = Arc::clone(configs.get(&reading.config).with_context(|| {
        format!(
            "the reading of {name} at {} was scored with configuration {:016x}, which is not stored, or which this version cannot read",
            time_arg::show(reading.ts),
            reading.config
        )
    })?);
    let end = (reading.era, reading.ts);
    let history = beginning(config, pool, sensor, &name, &target, configs, end).await?;
    let newest_before = history.rebuild_from.last().map(|row| (row.era, row.ts));
    let newest_saved =
        history.checkpoint.as_ref().and_then(|checkpoint| Some((checkpoint.era, checkpoint.newest?)));
    let begin = history.reset.as_ref().map(DetectorReset::place);
    let mut after = newest_saved.or(newest_before).or(begin);
    let mut replay = Replay::new(&name, &target, history);
    let mut postgres = pool.get().await?;
    loop {
        let rows = page_of_rows(&mut postgres, SensorId(sensor.id), after, end, PAGE).await?;
        after = rows.last().map(|row| (row.era, row.ts)).or(after);
        let is_last = rows.len() < PAGE;
        let mut detector = replay.take(rows);
        if is_last {
            detector.reconfigure(&target.config);
            let replayed = replay.replayed;
            return Ok((detector, target, replayed));
        }
        replay.save(&detector);
    }
}

/// Returns the history before the first row that is replayed: a checkpoint, or the rows from which
/// a detector of another shape was rebuilt, or neither.
async fn beginning(
    config: &Config,
    pool: &PostgresPool,
    sensor: &SensorRow,
    name: &SensorName,
    target: &NamedConfig,
    configs: BTreeMap<u64, Arc<NamedConfig>>,
    end: Applied,
) -> anyhow::Result<History> {
    let id = SensorId(sensor.id);
    let alike = configs.iter().filter(|(_, config)| config.fingerprint == target.fingerprint);
    let alike: Vec<u64> = alike.map(|(id, _)| *id).collect();
    let changed = newest_of_others(pool, id, &alike, Some(end)).await?;
    let reset = newest_reset(&mut *pool.get().await?, id, Some(end)).await?;
    let begin = reset.as_ref().map(DetectorReset::place);
    let changed = changed.filter(|&changed| begin.is_none_or(|begin| changed > begin));
    let usable = |checkpoint: &Checkpoint| {
        checkpoint.config == target.fingerprint
            && checkpoint.newest.is_some_and(|newest| {
                let saved = (checkpoint.era, newest);
                let is_after_reset = reset.is_none_or(|reset| checkpoint.seq > reset.seq);
                saved < end && Some(saved) > changed && is_after_reset
            })
    };
    let checkpoint = load_checkpoint(config, sensor, name).await.filter(usable);
    let mut rebuild_from = match changed {
        Some(changed) if checkpoint.is_none() => {
            rows_up_to(pool, id, changed, REBUILD_PER_POINT * target.config.shape().points).await?
        }
        _ => Vec::new(),
    };
    rebuild_from.retain(|row| begin.is_none_or(|begin| (row.era, row.ts) > begin));
    let labels = applied_labels(pool, id).await?;
    Ok(History { checkpoint, rebuild_from, configs, labels, reset, ..History::default() })
}

/// A restore in several steps. The state after a step is the checkpoint of the next step.
struct Replay<'a> {
    name: &'a SensorName,
    target: &'a Arc<NamedConfig>,
    history: History,
    replayed: Replayed,
    /// The era of the last row that was applied.
    era: i32,
}

impl<'a> Replay<'a> {
    fn new(name: &'a SensorName, target: &'a Arc<NamedConfig>, history: History) -> Self {
        let checkpoint = history.checkpoint.as_ref().map(|checkpoint| checkpoint.seq);
        let replayed = Replayed { checkpoint, ..Replayed::default() };
        Self { name, target, history, replayed, era: 0 }
    }

    /// Applies the next rows. A detector starts with the configuration of its first row: some
    /// settings cannot change later.
    fn take(&mut self, rows: Vec<StoredReading>) -> Detector {
        if self.history.checkpoint.is_none() && self.history.rebuild_from.is_empty() {
            self.replayed.oldest_seq = rows.iter().find_map(|row| row.seq);
        }
        let first = rows.iter().find_map(|row| self.history.configs.get(&row.config?));
        let config = Arc::clone(first.unwrap_or(self.target));
        self.era = rows.last().map_or(self.era, |row| row.era);
        self.history.replay = rows;
        let facts = RestoreFacts { sensor: self.name, config: &config, history: &self.history };
        let (detector, restored) = restore(&facts);
        self.replayed.rows += restored.replayed;
        self.replayed.mismatches += restored.mismatches;
        detector
    }

    /// Makes the detector's state the checkpoint of the next step.
    fn save(&mut self, detector: &Detector) {
        self.history.rebuild_from.clear();
        self.history.checkpoint = Some(Checkpoint {
            sensor: self.name.as_str().to_owned(),
            seq: detector.seq(),
            newest: detector.newest().map(Timestamp),
            era: self.era,
            config: self.target.fingerprint,
            state: detector.snapshot(),
        });
    }
}

/// Returns the sensor's checkpoint; `None` if it has none, or if Redis does not answer.
async fn load_checkpoint(config: &Config, sensor: &SensorRow, name: &SensorName) -> Option<Checkpoint> {
    let loading = async {
        let redis = try_connect_redis(config.redis.server()).await?;
        let store = CheckpointStore::new(redis, Keys::new(&config.redis.prefix)?);
        anyhow::Ok(store.load(PartitionId(sensor.partition as u16), name).await?.readable())
    };
    match tokio::time::timeout(REDIS_TIMEOUT, loading).await {
        Ok(Ok(checkpoint)) => checkpoint,
        Ok(Err(error)) => {
            tracing::warn!(%error, "redis does not return the checkpoint; replaying all stored rows");
            None
        }
        Err(_) => {
            tracing::warn!("redis does not answer; replaying all stored rows");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use thicket_detector::{DetectorConfig, Profile};
    use thicket_schema::FieldSet;

    use super::*;

    /// A configuration. A larger rate of alarms makes more readings anomalies, so that the detector
    /// learns differently.
    fn config(alarms_per_week: f64) -> Arc<NamedConfig> {
        let settings = DetectorConfig { profile: Profile::Small, warm_up: 64, ..DetectorConfig::default() };
        Arc::new(NamedConfig::from(DetectorConfig { alarms_per_week, ..settings }))
    }

    /// Scored rows and a poison row. The configuration changes at row 150.
    fn rows(first: &NamedConfig, second: &NamedConfig) -> Vec<StoredReading> {
        let fields = FieldSet::new(vec!["level".to_owned()]).unwrap();
        let mut detector = Detector::new("a", &first.config);
        let row = |i: i64| {
            let values = vec![50.0 + (i * 7_919 % 101) as f64 / 50.0];
            let (ts, fields) = (Timestamp(i * 1_000_000), fields.clone());
            if i == 90 {
                detector.skip(ts.0);
                return StoredReading {
                    ts,
                    seq: None,
                    config: None,
                    era: 0,
                    late: false,
                    score: None,
                    fields,
                    values,
                };
            }
            let config = if i < 150 { first } else { second };
            detector.reconfigure(&config.config);
            let detection = detector.apply(ts.0, fields.names(), &values).unwrap();
            let (seq, score) = (Some(detection.seq), Some(detection.score));
            StoredReading {
                ts,
                seq,
                config: Some(config.identity),
                era: 0,
                late: false,
                score,
                fields,
                values,
            }
        };
        (0..300).map(row).collect()
    }

    #[test]
    fn pages_of_any_size_lead_to_the_same_state_and_scores() {
        let (name, first, second) = (SensorName::new("a").unwrap(), config(1.0), config(50_000.0));
        let readings = rows(&first, &second);
        let configs: BTreeMap<_, _> =
            [&first, &second].map(|config| (config.identity, Arc::clone(config))).into();
        let replay = |page: usize| {
            let history = History { configs: configs.clone(), ..History::default() };
            let mut replay = Replay::new(&name, &second, history);
            let mut state = Vec::new();
            for page in readings.chunks(page) {
                let detector = replay.take(page.to_vec());
                replay.save(&detector);
                state = detector.snapshot();
            }
            assert_eq!((replay.replayed.mismatches, replay.replayed.rows), (0, 300), "{page}");
            state
        };
        let whole = replay(readings.len());
        for page in [1, 7, 50, 100, 299] {
            assert!(replay(page) == whole, "{page}");
        }
    }
}
