//! Verdicts on readings that are skipped: durable before anything after them is processed, so that every replay of the log obeys.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{PartitionId, Place, Position, SensorName, Timestamp};

use crate::faults;
use crate::writer::timestamptz;

/// Why a reading is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// It panicked its detector twice, or killed the process again and again. Stored unscored.
    Poison,
    /// `PostgreSQL` does not take its row. A dead letter.
    Unstorable,
}

impl Skipped {
    const fn name(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Unstorable => "unstorable",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Poison, Self::Unstorable].into_iter().find(|skipped| skipped.name() == name)
    }
}

/// The readings of a partition that are to be skipped, by their place in the log, with what was said of each.
pub type Verdicts = BTreeMap<Place, (Skipped, String)>;

/// A verdict, and on which reading.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The reading's partition.
    pub partition: PartitionId,
    /// The epoch of who decides.
    pub epoch: i64,
    /// The reading's place in the log.
    pub place: Place,
    /// What is decided.
    pub skipped: Skipped,
    /// Whose reading it is.
    pub sensor: SensorName,
    /// When.
    pub ts: Timestamp,
    /// Why, for a person to read.
    pub detail: String,
}

/// Makes a verdict durable; the first on a reading wins. False if the partition is another owner's: then nothing was decided.
pub async fn decide(connection: &mut AsyncPgConnection, decision: &Decision) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Owned {
        #[diesel(sql_type = BigInt)]
        owned: i64,
    }
    faults::pass("verdict.before");
    let Decision { partition, epoch, place, skipped, sensor, ts, detail } = decision;
    let owned: Owned = sql_query(
        "WITH owned AS (SELECT id FROM partitions WHERE id = $1 AND epoch = $2 FOR SHARE),
              decided AS (INSERT INTO verdicts (partition, generation, n, item, verdict, sensor, ts, detail)
                          SELECT id, $3, $4, $5, $6, $7, $8, $9 FROM owned ON CONFLICT DO NOTHING)
         SELECT count(*) AS owned FROM owned",
    )
    .bind::<Integer, _>(i32::from(partition.0))
    .bind::<BigInt, _>(epoch)
    .bind::<BigInt, _>(place.position.generation.cast_signed())
    .bind::<BigInt, _>(place.position.n.cast_signed())
    .bind::<Integer, _>(place.item.cast_signed())
    .bind::<Text, _>(skipped.name())
    .bind::<Text, _>(sensor.as_str())
    .bind::<Timestamptz, _>(timestamptz(*ts))
    .bind::<Text, _>(detail)
    .get_result(connection)
    .await?;
    faults::pass("verdict.after");
    Ok(owned.owned > 0)
}

/// The verdicts on readings that are not committed yet.
pub(super) async fn pending_verdicts(
    connection: &mut AsyncPgConnection,
    partitions: &[i32],
) -> QueryResult<BTreeMap<PartitionId, Verdicts>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        partition: i32,
        #[diesel(sql_type = BigInt)]
        generation: i64,
        #[diesel(sql_type = BigInt)]
        n: i64,
        #[diesel(sql_type = Integer)]
        item: i32,
        #[diesel(sql_type = Text)]
        verdict: String,
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let rows: Vec<Row> = sql_query(
        "SELECT v.partition, v.generation, v.n, v.item, v.verdict, v.detail
         FROM verdicts v JOIN partitions p ON p.id = v.partition
         WHERE p.id = ANY($1) AND (v.generation, v.n) > (p.generation, p.n)",
    )
    .bind::<Array<Integer>, _>(partitions)
    .load(connection)
    .await?;
    let mut verdicts: BTreeMap<PartitionId, Verdicts> = BTreeMap::new();
    for Row { partition, generation, n, item, verdict, detail } in rows {
        let position = Position { generation: generation.cast_unsigned(), n: n.cast_unsigned() };
        let place = Place { position, item: item.cast_unsigned() };
        if let Some(skipped) = Skipped::from_name(&verdict) {
            verdicts.entry(PartitionId(partition as u16)).or_default().insert(place, (skipped, detail));
        }
    }
    Ok(verdicts)
}
