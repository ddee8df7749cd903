//! A sensor's stored rows, oldest first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use diesel::sql_types::{Array, BigInt, Bool, Double, Nullable, Text, Timestamptz};
use diesel::{QueryDsl as _, QueryableByName, sql_query};
use diesel_async::pooled_connection::deadpool::{BuildError, Pool, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use futures_util::FutureExt as _;
use thicket_detector::{DetectorConfig, Label};
use thicket_schema::postgres::configs;
use thicket_schema::{FieldSet, SensorId, Timestamp};

use crate::detector::NamedConfig;
use crate::messages::{HearLabel, StoredReading};
use crate::writer::{connect_postgres, timestamptz};

/// Connections that are shared by whoever reads.
pub type PostgresPool = Pool<AsyncPgConnection>;

/// A pool of at most `size` connections, made when they are needed.
pub fn postgres_pool(url: &str, size: usize) -> Result<PostgresPool, BuildError> {
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(|url| {
        let url = url.to_owned();
        async move { connect_postgres(&url).await }.boxed()
    });
    Pool::builder(AsyncDieselConnectionManager::new_with_config(url, config)).max_size(size).build()
}

/// Before every reading: none is older than the Unix epoch.
const BEFORE_ALL: Timestamp = Timestamp(-1);
/// After every reading: none is of the year 2263 or later.
const AFTER_ALL: Timestamp = Timestamp(9_246_182_400_000_000);

/// Why a sensor's rows could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No connection.
    #[error("postgresql: {0}")]
    Pool(#[from] PoolError),
    /// The query failed.
    #[error("postgresql: {0}")]
    Query(#[from] diesel::result::Error),
    /// A stored field set is not one.
    #[error("stored field set is damaged: {0}")]
    FieldSet(String),
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    ts_micros: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    seq: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    config: Option<i64>,
    #[diesel(sql_type = Nullable<Double>)]
    score: Option<f64>,
    #[diesel(sql_type = BigInt)]
    field_set: i64,
    #[diesel(sql_type = Array<Double>)]
    values: Vec<f64>,
}

#[derive(QueryableByName)]
struct Names {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Array<Text>)]
    names: Vec<String>,
}

/// Which rows of a sensor, besides that late ones never touched its detector's state and are left out.
enum Which {
    /// Those newer than a time.
    After(Timestamp),
    /// The last so many up to a time.
    UpTo(Timestamp, usize),
    /// The first so many that are newer than the first time and older than the second.
    Between(Timestamp, Timestamp, usize),
}

/// The scored and poison rows of a sensor that are newer than `after`, oldest first. Rows are in the order of their time,
/// which is that of their seq. Late rows never touched the detector's state and are left out.
pub async fn rows_after(
    pool: &PostgresPool,
    sensor: SensorId,
    after: Option<Timestamp>,
    field_sets: &FieldSets,
) -> Result<Vec<StoredReading>, HistoryError> {
    let which = Which::After(after.unwrap_or(BEFORE_ALL));
    rows(&mut *pool.get().await?, sensor, which, field_sets).await
}

/// The first `most` of the rows that [`rows_after`] gives, none at or after `before`.
pub async fn page_of_rows(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    after: Option<Timestamp>,
    before: Timestamp,
    most: usize,
) -> Result<Vec<StoredReading>, HistoryError> {
    rows(connection, sensor, Which::Between(after.unwrap_or(BEFORE_ALL), before, most), &FieldSets::default())
        .await
}

/// The last scored and poison rows of a sensor up to and including a time, at most so many, oldest first.
pub async fn rows_up_to(
    pool: &PostgresPool,
    sensor: SensorId,
    newest: Timestamp,
    most: usize,
) -> Result<Vec<StoredReading>, HistoryError> {
    rows(&mut *pool.get().await?, sensor, Which::UpTo(newest, most), &FieldSets::default()).await
}

/// The time of a sensor's newest scored row before a time, if one is given, that was made with none of these configurations.
pub async fn newest_of_others(
    pool: &PostgresPool,
    sensor: SensorId,
    configs: &[u64],
    before: Option<Timestamp>,
) -> Result<Option<Timestamp>, HistoryError> {
    #[derive(QueryableByName)]
    struct Newest {
        #[diesel(sql_type = BigInt)]
        ts_micros: i64,
    }
    let newest: Vec<Newest> = sql_query(
        "SELECT (EXTRACT(EPOCH FROM ts) * 1000000)::int8 AS ts_micros FROM readings
         WHERE sensor = $1 AND seq IS NOT NULL AND config <> ALL($2) AND ts < $3 ORDER BY ts DESC LIMIT 1",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Array<BigInt>, _>(configs.iter().map(|id| id.cast_signed()).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(timestamptz(before.unwrap_or(AFTER_ALL)))
    .load(&mut *pool.get().await?)
    .await?;
    Ok(newest.into_iter().next().map(|newest| Timestamp(newest.ts_micros)))
}

/// Ends the anomalies that lasted when a sensor's detector got another shape: with their last anomalous row up to then. The detector that
/// watched them is gone, and to say so again changes nothing.
pub async fn end_anomalies(
    pool: &PostgresPool,
    sensor: SensorId,
    changed: Timestamp,
) -> Result<(), HistoryError> {
    sql_query(
        "UPDATE anomalies a SET ended = coalesce(
             (SELECT max(r.ts) FROM readings r
              WHERE r.sensor = a.sensor AND r.ts BETWEEN a.started AND $2 AND (r.flags & 2) <> 0), a.peak_at)
         WHERE a.sensor = $1 AND a.ended IS NULL AND a.started <= $2",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Timestamptz, _>(timestamptz(changed))
    .execute(&mut *pool.get().await?)
    .await?;
    Ok(())
}

/// What is to be known of a sensor before its checkpoint is believed.
pub(super) struct Facts {
    /// The seq of its newest scored row; nothing if there is no such row. Where retention drops rows, `u64::MAX` then: there may have been any.
    pub(super) newest_seq: Option<u64>,
    /// Whether its detector has heard labels.
    pub(super) has_labels: bool,
}

/// Asks for the facts.
pub(super) async fn facts(pool: &PostgresPool, sensor: SensorId) -> Result<Facts, HistoryError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Nullable<BigInt>)]
        seq: Option<i64>,
        #[diesel(sql_type = Bool)]
        dropped: bool,
        #[diesel(sql_type = Bool)]
        has_labels: bool,
    }
    let found: Found = sql_query(
        "SELECT (SELECT seq FROM readings WHERE sensor = $1 AND seq IS NOT NULL ORDER BY ts DESC LIMIT 1) AS seq,
                EXISTS (SELECT 1 FROM partitions WHERE expired > 0) AS dropped,
                EXISTS (SELECT 1 FROM heard_labels WHERE sensor = $1) AS has_labels",
    )
    .bind::<BigInt, _>(sensor.0)
    .get_result(&mut *pool.get().await?)
    .await?;
    let newest_seq = found.seq.map(i64::cast_unsigned).or(found.dropped.then_some(u64::MAX));
    Ok(Facts { newest_seq, has_labels: found.has_labels })
}

/// All configurations that rows were made with. One that cannot be read by this program is left out, and its rows count as others.
pub async fn stored_configs(pool: &PostgresPool) -> Result<BTreeMap<u64, Arc<NamedConfig>>, HistoryError> {
    let stored: Vec<(i64, String)> =
        configs::table.select((configs::id, configs::settings)).load(&mut *pool.get().await?).await?;
    let named = stored.into_iter().filter_map(|(id, settings)| {
        let config = DetectorConfig::from_json(&settings).ok()?;
        // What another version of the method has made is not of this shape, whatever its settings.
        if config.identity() != id.cast_unsigned() {
            return None;
        }
        let fingerprint = config.fingerprint();
        Some((
            id.cast_unsigned(),
            Arc::new(NamedConfig { config, identity: id.cast_unsigned(), fingerprint }),
        ))
    });
    Ok(named.collect())
}

/// The labels that a sensor's detector has heard, by the seq after which it did.
pub async fn heard_labels(
    pool: &PostgresPool,
    sensor: SensorId,
) -> Result<BTreeMap<u64, Vec<HearLabel>>, HistoryError> {
    #[derive(QueryableByName)]
    struct Heard {
        #[diesel(sql_type = BigInt)]
        seq: i64,
        #[diesel(sql_type = BigInt)]
        started: i64,
        #[diesel(sql_type = Text)]
        label: String,
    }
    let heard: Vec<Heard> = sql_query(
        "SELECT seq, (EXTRACT(EPOCH FROM started) * 1000000)::int8 AS started, label FROM heard_labels
         WHERE sensor = $1 ORDER BY seq, started",
    )
    .bind::<BigInt, _>(sensor.0)
    .load(&mut *pool.get().await?)
    .await?;
    let mut labels: BTreeMap<u64, Vec<HearLabel>> = BTreeMap::new();
    for Heard { seq, started, label } in heard {
        if let Some(label) = Label::from_name(&label) {
            labels
                .entry(seq.cast_unsigned())
                .or_default()
                .push(HearLabel { started: Timestamp(started), label });
        }
    }
    Ok(labels)
}

/// Field sets that have been read: they never change.
#[derive(Debug, Default)]
pub struct FieldSets {
    known: Mutex<BTreeMap<i64, FieldSet>>,
}

impl FieldSets {
    async fn of(
        &self,
        connection: &mut AsyncPgConnection,
        ids: impl Iterator<Item = i64>,
    ) -> Result<BTreeMap<i64, FieldSet>, HistoryError> {
        let ids: BTreeSet<i64> = ids.collect();
        let mut found: BTreeMap<i64, FieldSet> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            ids.iter().filter_map(|id| Some((*id, known.get(id)?.clone()))).collect()
        };
        let missing: Vec<i64> = ids.into_iter().filter(|id| !found.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let names: Vec<Names> = sql_query("SELECT id, names FROM field_sets WHERE id = ANY($1)")
            .bind::<Array<BigInt>, _>(missing)
            .load(connection)
            .await?;
        for Names { id, names } in names {
            let fields = FieldSet::new(names).map_err(|error| HistoryError::FieldSet(error.to_string()))?;
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id, fields.clone());
            found.insert(id, fields);
        }
        Ok(found)
    }
}

async fn rows(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    which: Which,
    field_sets: &FieldSets,
) -> Result<Vec<StoredReading>, HistoryError> {
    const COLUMNS: &str = r#"SELECT (EXTRACT(EPOCH FROM ts) * 1000000)::int8 AS ts_micros, seq, config, score, field_set, "values"
           FROM readings WHERE sensor = $1 AND (flags & 4) = 0"#;
    let rows: Vec<Row> = match which {
        Which::After(after) => {
            sql_query(format!("{COLUMNS} AND ts > $2 ORDER BY ts"))
                .bind::<BigInt, _>(sensor.0)
                .bind::<Timestamptz, _>(timestamptz(after))
                .load(connection)
                .await?
        }
        Which::Between(after, before, most) => {
            sql_query(format!("{COLUMNS} AND ts > $2 AND ts < $3 ORDER BY ts LIMIT $4"))
                .bind::<BigInt, _>(sensor.0)
                .bind::<Timestamptz, _>(timestamptz(after))
                .bind::<Timestamptz, _>(timestamptz(before))
                .bind::<BigInt, _>(most as i64)
                .load(connection)
                .await?
        }
        Which::UpTo(newest, most) => {
            let mut rows: Vec<Row> = sql_query(format!("{COLUMNS} AND ts <= $2 ORDER BY ts DESC LIMIT $3"))
                .bind::<BigInt, _>(sensor.0)
                .bind::<Timestamptz, _>(timestamptz(newest))
                .bind::<BigInt, _>(most as i64)
                .load(connection)
                .await?;
            rows.reverse();
            rows
        }
    };
    let ids = rows.iter().map(|row| row.field_set);
    let field_sets = field_sets.of(connection, ids).await?;
    let stored = rows.into_iter().map(|row| {
        let fields = field_sets.get(&row.field_set).cloned();
        Ok(StoredReading {
            ts: Timestamp(row.ts_micros),
            seq: row.seq.map(i64::cast_unsigned),
            config: row.config.map(i64::cast_unsigned),
            score: row.score,
            fields: fields
                .ok_or_else(|| HistoryError::FieldSet(format!("{} has no names", row.field_set)))?,
            values: row.values,
        })
    });
    stored.collect()
}
