//! Dead letters as the table has them, by their keys or by what they are.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use serde::{Serialize, Serializer};
use thicket_schema::{PartitionId, RecordPosition, Timestamp};

use super::args::{Filter, Selection};
use crate::sensors::like;

/// What names a letter: its partition, and its place in the partition's log. Written `partition/generation-n/item`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LetterKey {
    pub(super) partition: PartitionId,
    pub(super) place: RecordPosition,
}

impl fmt::Display for LetterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.place)
    }
}

impl FromStr for LetterKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(partition, place)| {
            Some(Self { partition: PartitionId(partition.parse().ok()?), place: place.parse().ok()? })
        });
        parsed.ok_or_else(|| {
            "not the key of a letter, which is partition/generation-n/item as in 07/1795345200000-5/0"
                .to_owned()
        })
    }
}

/// A dead letter.
#[derive(Clone, Debug, QueryableByName, Serialize)]
pub(crate) struct Letter {
    #[diesel(sql_type = Integer)]
    pub(super) partition: i32,
    #[diesel(sql_type = BigInt)]
    pub(super) generation: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) n: i64,
    #[diesel(sql_type = Integer)]
    pub(super) item: i32,
    #[diesel(sql_type = Timestamptz)]
    pub(super) received: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub(super) reason: String,
    #[diesel(sql_type = Text)]
    pub(super) detail: String,
    #[diesel(sql_type = Text)]
    pub(super) topic: String,
    #[diesel(sql_type = Binary)]
    #[serde(serialize_with = "lossy")]
    pub(super) payload: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    pub(super) payload_bytes: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub(super) replayed: Option<DateTime<Utc>>,
}

fn lossy<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

impl Letter {
    /// What names it.
    pub(super) fn key(&self) -> LetterKey {
        let position = thicket_schema::Position {
            generation: self.generation.cast_unsigned(),
            n: self.n.cast_unsigned(),
        };
        let place = RecordPosition { position, item: self.item.cast_unsigned() };
        LetterKey { partition: PartitionId(self.partition as u16), place }
    }

    /// Whether only the beginning of the payload was kept.
    pub(super) fn is_cut(&self) -> bool {
        self.payload_bytes != self.payload.len() as i64
    }
}

const COLUMNS: &str =
    "partition, generation, n, item, received, reason, detail, topic, payload, payload_bytes, replayed";

const CHOSEN: &str =
    "($1 IS NULL OR reason = $1) AND ($2 IS NULL OR topic LIKE $2) AND ($3 IS NULL OR received >= $3)";

/// The newest letters that pass, at most so many.
pub(super) async fn newest(
    postgres: &mut AsyncPgConnection,
    filter: &Filter,
    limit: i64,
) -> QueryResult<Vec<Letter>> {
    sql_query(format!(
        "SELECT {COLUMNS} FROM dead_letters WHERE {CHOSEN} ORDER BY received DESC, n DESC, item DESC LIMIT $4"
    ))
    .bind::<Nullable<Text>, _>(filter.reason.map(thicket_schema::Reason::as_str))
    .bind::<Nullable<Text>, _>(filter.topic.as_deref().map(like))
    .bind::<Nullable<Timestamptz>, _>(filter.since.map(Timestamp::to_datetime))
    .bind::<BigInt, _>(limit)
    .load(postgres)
    .await
}

/// The keys of the letters that are chosen, in the order of the logs, and with them whether they were replayed before. A key that was
/// named and is not there is missing.
pub(super) async fn chosen(
    postgres: &mut AsyncPgConnection,
    selection: &Selection,
) -> QueryResult<Vec<(LetterKey, bool)>> {
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
        #[diesel(sql_type = Bool)]
        was_replayed: bool,
    }
    let Selection { keys, filter } = selection;
    let columns = KeyColumns::of(keys);
    let rows: Vec<Row> = sql_query(format!(
        "SELECT partition, generation, n, item, replayed IS NOT NULL AS was_replayed FROM dead_letters
         WHERE {CHOSEN} AND ($4 OR {NAMED_FROM_5}) ORDER BY partition, generation, n, item"
    ))
    .bind::<Nullable<Text>, _>(filter.reason.map(thicket_schema::Reason::as_str))
    .bind::<Nullable<Text>, _>(filter.topic.as_deref().map(like))
    .bind::<Nullable<Timestamptz>, _>(filter.since.map(Timestamp::to_datetime))
    .bind::<Bool, _>(keys.is_empty())
    .bind::<Array<Integer>, _>(columns.partition)
    .bind::<Array<BigInt>, _>(columns.generation)
    .bind::<Array<BigInt>, _>(columns.n)
    .bind::<Array<Integer>, _>(columns.item)
    .load(postgres)
    .await?;
    let key = |row: Row| {
        let position =
            thicket_schema::Position { generation: row.generation.cast_unsigned(), n: row.n.cast_unsigned() };
        let place = RecordPosition { position, item: row.item.cast_unsigned() };
        (LetterKey { partition: PartitionId(row.partition as u16), place }, row.was_replayed)
    };
    Ok(rows.into_iter().map(key).collect())
}

const NAMED_FROM_5: &str = "(partition, generation, n, item) IN (SELECT * FROM unnest($5::int4[], $6::int8[], $7::int8[], $8::int4[]))";

/// A condition on letters for [`KeyColumns`] that are bound from `$1` on.
pub(super) const NAMED: &str = "(partition, generation, n, item) IN (SELECT * FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int4[]))";

/// The letters of these keys, in the order of the logs.
pub(super) async fn of_keys(
    postgres: &mut AsyncPgConnection,
    keys: &[LetterKey],
) -> QueryResult<Vec<Letter>> {
    let columns = KeyColumns::of(keys);
    sql_query(format!(
        "SELECT {COLUMNS} FROM dead_letters WHERE {NAMED} ORDER BY partition, generation, n, item"
    ))
    .bind::<Array<Integer>, _>(columns.partition)
    .bind::<Array<BigInt>, _>(columns.generation)
    .bind::<Array<BigInt>, _>(columns.n)
    .bind::<Array<Integer>, _>(columns.item)
    .load(postgres)
    .await
}

/// Keys as a statement takes them: an array a column.
pub(super) struct KeyColumns {
    pub(super) partition: Vec<i32>,
    pub(super) generation: Vec<i64>,
    pub(super) n: Vec<i64>,
    pub(super) item: Vec<i32>,
}

impl KeyColumns {
    pub(super) fn of(keys: &[LetterKey]) -> Self {
        let position = |key: &LetterKey| key.place.position;
        Self {
            partition: keys.iter().map(|key| i32::from(key.partition.0)).collect(),
            generation: keys.iter().map(|key| position(key).generation.cast_signed()).collect(),
            n: keys.iter().map(|key| position(key).n.cast_signed()).collect(),
            item: keys.iter().map(|key| key.place.item.cast_signed()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        let text = "07/1795345200000-5/2";
        let key: LetterKey = text.parse().unwrap();
        assert_eq!((key.partition, key.place.item), (PartitionId(7), 2));
        assert_eq!(key.to_string(), text);
        for wrong in ["", "7", "7/5-5", "x/5-5/0", "7/5/0", "7/5-5/0/0"] {
            assert!(wrong.parse::<LetterKey>().unwrap_err().contains("07/1795345200000-5/0"), "{wrong}");
        }
    }
}
