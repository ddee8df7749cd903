//! `dead_letters`: keyed by their position, so that a replay of the log writes none twice. A dead
//! letter of a redelivered message is recognised by its content.
//!
//! `counted`: those that are only counted, and how they are recognised.

mod counted;
mod expire;
mod key;
mod selection;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::dsl::count_star;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Text, Timestamptz};
use diesel::{QueryDsl as _, QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::dead_letters;
use thicket_schema::{PartitionId, Timestamp};

use self::counted::Counted;
use super::batch::LoggedDeadLetter;

pub use self::expire::expire_dead_letters;
pub use self::key::{DeadLetterKey, DeadLetterKeyError};
pub use self::selection::{
    DeadLetterFilter, DeadLetterSelection, SelectedDeadLetter, dead_letters_by_key, delete_dead_letters,
    mark_replayed, newest_dead_letters, select_dead_letters,
};

#[derive(QueryableByName)]
struct Content {
    #[diesel(sql_type = BigInt)]
    content: i64,
    #[diesel(sql_type = Timestamptz)]
    received: Timestamp,
}

/// The arrival times of the known dead letters by content hash, in µs since the Unix epoch.
///
/// The dead letters of one message share that time. So a message with the same mistake twice has
/// two dead letters, while a redelivered message arrived at another time.
#[derive(Default)]
struct Arrivals {
    of: HashMap<i64, HashSet<i64>>,
}

impl Arrivals {
    fn insert(&mut self, content: i64, received: i64) {
        self.of.entry(content).or_default().insert(received);
    }

    /// Whether a dead letter with this content arrived at another time.
    fn is_known(&self, content: i64, received: i64) -> bool {
        self.of.get(&content).is_some_and(|times| times.iter().any(|&time| time != received))
    }
}

/// Stores dead letters and returns for each whether it is new. A redelivered one that is known is
/// not stored, whether it had a row, a shortened one, or was only counted. One that is only counted
/// is new and is not stored.
pub(super) async fn insert_dead_letters(
    connection: &mut AsyncPgConnection,
    dead_letters: &[(PartitionId, &LoggedDeadLetter)],
) -> QueryResult<Vec<bool>> {
    if dead_letters.is_empty() {
        return Ok(Vec::new());
    }
    let contents: Vec<Option<i64>> = dead_letters.iter().map(|(_, row)| row.dead_letter.content()).collect();
    let mut known = known_contents(connection, dead_letters, &contents).await?;
    let mut counted = Counted::default();
    let mut stored = Vec::with_capacity(dead_letters.len());
    let mut columns = Columns::default();
    for ((partition, row), &content) in dead_letters.iter().zip(&contents) {
        if row.dead_letter.count_only {
            stored.push(true);
            counted.push(*partition, content, row.received);
            if let Some(content) = content {
                known.insert(content, row.received);
            }
            continue;
        }
        // Only one that is only counted may have no hash.
        let content = content.unwrap_or_default();
        let is_new = !(row.redelivered && known.is_known(content, row.received));
        if is_new {
            known.insert(content, row.received);
            columns.push(*partition, row, content);
        }
        stored.push(is_new);
    }
    columns.insert(connection).await?;
    counted.insert(connection).await?;
    Ok(stored)
}

/// Returns the dead letters with the content of a redelivered one that are stored, or were counted
/// last.
async fn known_contents(
    connection: &mut AsyncPgConnection,
    dead_letters: &[(PartitionId, &LoggedDeadLetter)],
    contents: &[Option<i64>],
) -> QueryResult<Arrivals> {
    let redelivered = dead_letters.iter().zip(contents);
    let redelivered = redelivered.filter(|((_, row), _)| row.redelivered && !row.dead_letter.count_only);
    let (partitions, redelivered): (BTreeSet<i32>, Vec<i64>) = redelivered
        .filter_map(|((partition, _), content)| Some((i32::from(partition.0), (*content)?)))
        .unzip();
    let mut known = Arrivals::default();
    if redelivered.is_empty() {
        return Ok(known);
    }
    let found: Vec<Content> = sql_query(
        "SELECT content, received FROM dead_letters WHERE content = ANY($1)
         UNION SELECT content, received FROM counted_dead_letters
               WHERE partition = ANY($2) AND content = ANY($1)",
    )
    .bind::<Array<BigInt>, _>(redelivered)
    .bind::<Array<Integer>, _>(partitions.into_iter().collect::<Vec<_>>())
    .load(connection)
    .await?;
    for Content { content, received } in found {
        known.insert(content, received.0);
    }
    Ok(known)
}

/// Returns the number of stored dead letters of each reason.
pub async fn dead_letters_by_reason(
    connection: &mut AsyncPgConnection,
) -> QueryResult<BTreeMap<String, i64>> {
    let counts: Vec<(String, i64)> = dead_letters::table
        .group_by(dead_letters::reason)
        .select((dead_letters::reason, count_star()))
        .load(connection)
        .await?;
    Ok(counts.into_iter().collect())
}

/// Returns the number of stored dead letters of each partition that has some.
pub async fn dead_letters_by_partition(
    connection: &mut AsyncPgConnection,
) -> QueryResult<BTreeMap<i32, i64>> {
    let counts: Vec<(i32, i64)> = dead_letters::table
        .group_by(dead_letters::partition)
        .select((dead_letters::partition, count_star()))
        .load(connection)
        .await?;
    Ok(counts.into_iter().collect())
}

/// Dead letters to insert, one array per column.
#[derive(Default)]
struct Columns<'a> {
    partition: Vec<i32>,
    generation: Vec<i64>,
    n: Vec<i64>,
    item: Vec<i32>,
    received: Vec<Timestamp>,
    reason: Vec<&'a str>,
    detail: Vec<&'a str>,
    topic: Vec<&'a str>,
    payload: Vec<&'a [u8]>,
    payload_bytes: Vec<i64>,
    content: Vec<i64>,
    of_reading: Vec<bool>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, partition: PartitionId, row: &'a LoggedDeadLetter, content: i64) {
        self.partition.push(i32::from(partition.0));
        self.generation.push(row.position.position.generation.cast_signed());
        self.n.push(row.position.position.n.cast_signed());
        self.item.push(row.position.item.cast_signed());
        self.received.push(Timestamp(row.received));
        self.reason.push(row.dead_letter.reason.as_str());
        self.detail.push(&row.dead_letter.detail);
        self.topic.push(&row.dead_letter.topic);
        self.payload.push(row.dead_letter.kept_payload());
        self.payload_bytes.push(row.dead_letter.payload_bytes.cast_signed());
        self.content.push(content);
        self.of_reading.push(row.dead_letter.of_reading);
    }

    async fn insert(&self, connection: &mut AsyncPgConnection) -> QueryResult<usize> {
        if self.partition.is_empty() {
            return Ok(0);
        }
        sql_query(
            "INSERT INTO dead_letters
                 (partition, generation, n, item, received, reason, detail, topic, payload, payload_bytes, content,
                  of_reading)
             SELECT * FROM UNNEST($1::int4[], $2::int8[], $3::int8[], $4::int4[], $5::timestamptz[], $6::text[],
                                  $7::text[], $8::text[], $9::bytea[], $10::int8[], $11::int8[],
                                  $12::bool[])
             ON CONFLICT DO NOTHING",
        )
        .bind::<Array<Integer>, _>(&self.partition)
        .bind::<Array<BigInt>, _>(&self.generation)
        .bind::<Array<BigInt>, _>(&self.n)
        .bind::<Array<Integer>, _>(&self.item)
        .bind::<Array<Timestamptz>, _>(&self.received)
        .bind::<Array<Text>, _>(&self.reason)
        .bind::<Array<Text>, _>(&self.detail)
        .bind::<Array<Text>, _>(&self.topic)
        .bind::<Array<Binary>, _>(&self.payload)
        .bind::<Array<BigInt>, _>(&self.payload_bytes)
        .bind::<Array<BigInt>, _>(&self.content)
        .bind::<Array<Bool>, _>(&self.of_reading)
        .execute(connection)
        .await
    }
}
